// URLs of live streams and their txSecret: reading, composing, signing, checking, hiding.
#include "probes/protocol/push_url.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include <cctype>
#include <fstream>
#include <sstream>

namespace livecanary::protocol {
namespace {

using std::chrono::seconds;
using std::chrono::sys_seconds;
using Key = SecretMatch::Key;
using StraySpace = SecretMatch::StraySpace;

sys_seconds unix_time(std::int64_t count) { return sys_seconds(seconds(count)); }

std::string expected_words(std::string_view url) {
    const auto parsed = parse_push_url(url);
    return parsed ? "no error: " + parsed->to_string() : parsed.error().message();
}

TEST(PushUrl, TakesApartWhatItPutsTogether) {
    struct Case {
        const char* url;
        PushUrl parts;
        const char* tc_url;
        const char* publish_name;
    };
    const Case cases[] = {
        {"rtmp://push.example.com/live/room1",
         {.tls = false,
          .host = "push.example.com",
          .port = 1935,
          .app = "live",
          .stream_name = "room1",
          .query = ""},
         "rtmp://push.example.com/live",
         "room1"},
        {"rtmps://push.example.com/live/room1?txSecret=ab&txTime=5C271099",
         {.tls = true,
          .host = "push.example.com",
          .port = 443,
          .app = "live",
          .stream_name = "room1",
          .query = "txSecret=ab&txTime=5C271099"},
         "rtmps://push.example.com/live",
         "room1?txSecret=ab&txTime=5C271099"},
        {"rtmp://[2001:db8::1]:1936/live/eu/room1?a=/x?y",
         {.tls = false,
          .host = "2001:db8::1",
          .port = 1936,
          .app = "live/eu",
          .stream_name = "room1",
          .query = "a=/x?y"},
         "rtmp://[2001:db8::1]:1936/live/eu",
         "room1?a=/x?y"},
        {"rtmps://[::ffff:192.0.2.1]/live/8888_%E6%88%BF",
         {.tls = true,
          .host = "::ffff:192.0.2.1",
          .port = 443,
          .app = "live",
          .stream_name = "8888_%E6%88%BF",
          .query = ""},
         "rtmps://[::ffff:192.0.2.1]/live",
         "8888_%E6%88%BF"},
        {"rtmps://192.0.2.1:1935/a/b",
         {.tls = true, .host = "192.0.2.1", .port = 1935, .app = "a", .stream_name = "b", .query = ""},
         "rtmps://192.0.2.1:1935/a",
         "b"},
    };
    for (const Case& c : cases) {
        const auto parsed = parse_push_url(c.url);
        ASSERT_TRUE(parsed) << c.url << ": " << parsed.error().message();
        EXPECT_EQ(*parsed, c.parts) << c.url;
        EXPECT_EQ(parsed->tc_url(), c.tc_url);
        EXPECT_EQ(parsed->publish_name(), c.publish_name);
        EXPECT_EQ(parsed->to_string(), c.url);
    }
}

TEST(PushUrl, LeavesOutTheDefaultPortAndTheCaseOfTheScheme) {
    EXPECT_EQ(parse_push_url("RTMP://h:1935/live/s")->to_string(), "rtmp://h/live/s");
    EXPECT_EQ(parse_push_url("rtmps://h:443/live/s")->tc_url(), "rtmps://h/live");
    EXPECT_EQ(parse_push_url("rtmp://h:443/live/s")->tc_url(), "rtmp://h:443/live");
    EXPECT_EQ(parse_push_url("rtmp://h/live/s?")->to_string(), "rtmp://h/live/s");
}

TEST(PushUrl, SaysWhatIsWrong) {
    const std::pair<std::string, const char*> cases[] = {
        {"", "the URL does not begin with a scheme such as rtmp://"},
        {"push.example.com/live/s", "the URL does not begin with a scheme such as rtmp://"},
        {"://h/live/s", "the URL does not begin with a scheme such as rtmp://"},
        {"http://h/live/s", "the scheme of the URL is not one of this use"},
        {"rtmpt://h/live/s", "RTMPT (RTMP over HTTP) is not supported"},
        {"rtmpts://h/live/s", "RTMPT (RTMP over HTTP) is not supported"},
        {"RTMPE://h/live/s", "RTMPE (RTMP under Adobe's encryption) is not supported"},
        {"rtmpte://h/live/s", "RTMPE (RTMP under Adobe's encryption) is not supported"},
        {"rtmp://user:word@h/live/s", "the URL holds a user name or password before the host"},
        {"rtmp:///live/s", "the host of the URL is not a name, an IPv4 address or a bracketed IPv6 address"},
        {"rtmp://h%41/live/s",
         "the host of the URL is not a name, an IPv4 address or a bracketed IPv6 address"},
        {"rtmp://[::1/live/s",
         "the host of the URL is not a name, an IPv4 address or a bracketed IPv6 address"},
        {"rtmp://[::1]1935/live/s",
         "the host of the URL is not a name, an IPv4 address or a bracketed IPv6 address"},
        {"rtmp://[]/live/s",
         "the host of the URL is not a name, an IPv4 address or a bracketed IPv6 address"},
        {"rtmp://[192.0.2.1]/live/s",
         "the host of the URL is not a name, an IPv4 address or a bracketed IPv6 address"},
        {"rtmp://::1/live/s",
         "the host of the URL is not a name, an IPv4 address or a bracketed IPv6 address"},
        {"rtmp://h:/live/s", "the port of the URL is not 1 to 65535"},
        {"rtmp://h:0/live/s", "the port of the URL is not 1 to 65535"},
        {"rtmp://h:65536/live/s", "the port of the URL is not 1 to 65535"},
        {"rtmp://h:-1/live/s", "the port of the URL is not 1 to 65535"},
        {"rtmp://h:1935x/live/s", "the port of the URL is not 1 to 65535"},
        {"rtmp://h", "the URL has no application name after its host"},
        {"rtmp://h/", "the URL has no application name after its host"},
        {"rtmp://h/?a=b/c", "the URL has no application name after its host"},
        {"rtmp://h?a=b/c", "the URL has no application name after its host"},
        {"rtmp://h/live", "the URL has no stream name after its application name"},
        {"rtmp://h/live/", "the URL has no stream name after its application name"},
        {"rtmp://h/live?vhost=v/s", "the URL has no stream name after its application name"},
        {"rtmp://h//s", "the path of the URL has two slashes in a row"},
        {"rtmp://h/live//s", "the path of the URL has two slashes in a row"},
        {"rtmp://h/live/my room", "the URL holds white space, a control byte or '#'"},
        {"rtmp://h/live/s\n", "the URL holds white space, a control byte or '#'"},
        {"rtmp://h/live/s#now", "the URL holds white space, a control byte or '#'"},
        {"rtmp://h/live/" + std::string(max_url_size, 's'), "the URL is longer than 4096 bytes"},
    };
    for (const auto& [url, words] : cases) EXPECT_EQ(expected_words(url), words) << url;
    EXPECT_EQ(reason_of(UrlError::rtmpe_unsupported), Reason::local);
    EXPECT_EQ(reason_of(UrlError::bad_port), Reason::mismatch);
}

TEST(PushUrl, EachUrlCutShortIsReadOrRefused) {
    const std::string url = "rtmps://[2001:db8::1]:1936/live/eu/room1?txSecret=abcdefghij&txTime=5C271099";
    for (std::size_t size = 0; size < url.size(); ++size) {
        const std::string cut = url.substr(0, size);
        const bool has_name = size > url.find("eu/") && !cut.ends_with('/');
        EXPECT_EQ(parse_push_url(cut).has_value(), has_name) << cut;
    }
}

TEST(PlayUrl, KeepsTheExtensionOutOfTheName) {
    const auto flv = parse_play_url("http://play.example.com/live/room1_hd.flv?a=b");
    ASSERT_TRUE(flv);
    EXPECT_EQ(*flv, (PlayUrl{.scheme = "http",
                             .host = "play.example.com",
                             .port = 80,
                             .app = "live",
                             .stream_name = "room1_hd",
                             .extension = ".flv",
                             .query = "a=b"}));
    const auto hls = parse_play_url("HTTPS://[::1]:8443/live/room1.m3u8");
    ASSERT_TRUE(hls);
    EXPECT_EQ(hls->stream_name, "room1");
    EXPECT_EQ(hls->to_string(), "https://[::1]:8443/live/room1.m3u8");
    // In RTMP a dot is part of the name.
    EXPECT_EQ(parse_play_url("rtmp://h/live/room1.flv")->stream_name, "room1.flv");
    EXPECT_EQ(parse_play_url("rtmp://h/live/room1")->port, 1935);
    EXPECT_EQ(parse_play_url("rtmps://h/live/room1")->port, 443);
    EXPECT_EQ(parse_play_url("http://h/live/.flv").error(), UrlError::no_stream_name);
    EXPECT_EQ(parse_play_url("webrtc://h/live/room1").error(), UrlError::unknown_scheme);
}

boost::json::array vectors() {
    std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
    std::stringstream text;
    text << file.rdbuf();
    return boost::json::parse(text.str()).at("tx_secret").as_array();
}

std::string text_of(const boost::json::value& from, const char* name) {
    return boost::json::value_to<std::string>(from.at(name));
}

TEST(TxSecret, AgreesWithEveryVector) {
    const auto all = vectors();
    ASSERT_GE(all.size(), 5U);
    for (const auto& vector : all) {
        SCOPED_TRACE(text_of(vector, "id"));
        const auto& in = vector.at("in");
        const std::string key = text_of(in, "key"), name = text_of(in, "stream_name"),
                          time = text_of(in, "tx_time");
        const sys_seconds expiry = unix_time(in.at("tx_time_unix").as_int64());
        const bool is_lower = time == tx_time(expiry, HexCase::lower);
        const TxSigning signing{.tx_time_case = is_lower ? HexCase::lower : HexCase::upper};

        EXPECT_EQ(key + name + time, text_of(vector, "hash_input"));
        EXPECT_EQ(tx_time(expiry, signing.tx_time_case), time);
        EXPECT_EQ(tx_secret(key, name, time), text_of(vector, "tx_secret"));
        EXPECT_EQ(sign_query(key, name, expiry, signing), text_of(vector, "push_query"));

        const PushUrl url{.host = "h", .app = "live", .stream_name = name};
        const PushUrl signed_url = sign_push_url(url, key, expiry, signing);
        EXPECT_EQ(signed_url.publish_name(), name + "?" + text_of(vector, "push_query"));
        EXPECT_TRUE(check_push_url(signed_url, key, "", expiry - seconds(1)).secret.exact());
        if (const auto* const whole = vector.as_object().if_contains("push_url")) {
            const auto bare = parse_push_url("rtmp://8888.livepush.myqcloud.com/live/8888_123456?bizid=8888");
            EXPECT_EQ(sign_push_url(*bare, key, expiry, signing).to_string(), whole->as_string());
        }
    }
}

TEST(TxSecret, CanBeSha256) {
    // printf %s e12c46f2612d5106e2034781ab261ca3test5C271099 | sha256sum (GNU coreutils 9.1)
    EXPECT_EQ(tx_secret("e12c46f2612d5106e2034781ab261ca3", "test", "5C271099", TxHash::sha256),
              "2fe51d13bff48deaddd7e4e086265e69d5a04a64db9a2cbc737bd585c472fd07");
}

TEST(TxTime, IsHexWithoutLeadingZeros) {
    EXPECT_EQ(tx_time(unix_time(0xABCDEF)), "ABCDEF");
    EXPECT_EQ(tx_time(unix_time(0xABCDEF), HexCase::lower), "abcdef");
    EXPECT_EQ(tx_time(unix_time(0x1'0000'0000)), "100000000");
    EXPECT_EQ(tx_time(unix_time(-5)), "0");
}

TEST(SignQuery, ReplacesAnOldSignatureAndKeepsTheRest) {
    EXPECT_EQ(sign_query("k", "s", unix_time(0x10), {}, "txTime=1&bizid=8888&txSecret=old&&x"),
              "bizid=8888&&x&txSecret=" + tx_secret("k", "s", "10") + "&txTime=10");
}

TEST(SignPlayUrl, HashesTheNameWithItsTemplateButWithoutExtension) {
    const auto url = parse_play_url("http://play.example.com/live/test_hd.flv");
    ASSERT_TRUE(url);
    // Vector playback_with_transcode_template.
    EXPECT_EQ(
        sign_play_url(*url, "e12c46f2612d5106e2034781ab261ca3", unix_time(1694669601)).to_string(),
        "http://play.example.com/live/test_hd.flv?txSecret=01ff5566c2a3c383537e223abfa7c4ef&txTime=65029B21");
}

constexpr std::int64_t expiry_count = 0x5C271099;
const std::string main_key = "e12c46f2612d5106e2034781ab261ca3",
                  backup_key = "69e0daf7234b01f257a7adb9f807ae9f";

PushUrl unsigned_url() {
    return {.host = "8888.livepush.example.com",
            .app = "live",
            .stream_name = "8888_test",
            .query = "bizid=8888"};
}

UrlCheck check_query(const std::string& query) {
    PushUrl url = unsigned_url();
    url.query = query;
    return check_push_url(url, main_key, backup_key, unix_time(expiry_count));
}

std::string query_of(const std::string& secret, const std::string& time) {
    return "txSecret=" + secret + "&txTime=" + time;
}

TEST(CheckPushUrl, TellsWhatIsThere) {
    struct Case {
        const char* query;
        bool has_query, has_tx_secret, has_tx_time, repeated, expires;
    };
    const Case cases[] = {
        {"", false, false, false, false, false},
        {"bizid=8888", true, false, false, false, false},
        {"txSecret=&txTime=", true, false, false, false, false},
        {"txSecret&txTime", true, false, false, false, false},
        {"txsecret=ab&txtime=5C271099", true, false, false, false, false},
        {"txSecret=ab", true, true, false, false, false},
        {"txTime=5C271099", true, false, true, false, true},
        {"txTime=5c271099&txTime=5c271099", true, false, true, true, true},
        {"txSecret=a&txSecret=b", true, true, false, true, false},
        {"txTime=0x5C27", true, false, true, false, false},
        {"txTime=-5C27", true, false, true, false, false},
        {"txTime=5C27%20", true, false, true, false, false},
        {"txTime=12345678901", true, false, true, false, false},
        {"txTime=FFFFFFFFFF", true, false, true, false, true},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.query);
        const UrlCheck found = check_query(c.query);
        EXPECT_EQ(found.has_query, c.has_query);
        EXPECT_EQ(found.has_tx_secret, c.has_tx_secret);
        EXPECT_EQ(found.has_tx_time, c.has_tx_time);
        EXPECT_EQ(found.repeated, c.repeated);
        EXPECT_EQ(found.expires.has_value(), c.expires);
        EXPECT_EQ(found.secret, SecretMatch{});
    }
}

TEST(CheckPushUrl, TellsByHowMuchItExpired) {
    const PushUrl url = sign_push_url(unsigned_url(), main_key, unix_time(expiry_count));
    const auto at = [&](std::int64_t after) {
        return check_push_url(url, main_key, backup_key, unix_time(expiry_count + after));
    };
    EXPECT_EQ(at(0).expires, unix_time(expiry_count));
    EXPECT_FALSE(at(-1).expired());
    EXPECT_EQ(at(-3600).expired_for, seconds(-3600));
    EXPECT_TRUE(at(0).expired());
    EXPECT_TRUE(at(86400).expired());
    EXPECT_EQ(at(86400).expired_for, seconds(86400));
    EXPECT_TRUE(at(86400).secret.exact());
    EXPECT_FALSE(check_query("txSecret=ab").expired());
}

TEST(CheckPushUrl, TellsWithWhichKeyAndHow) {
    struct Case {
        const char* what;
        std::string query;
        SecretMatch match;
    };
    const std::string name = "8888_test", time = "5C271099", low = "5c271099";
    std::string capitals = tx_secret(main_key, name, time);
    for (char& c : capitals) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    std::string flipped = tx_secret(main_key, name, time);
    flipped[0] = flipped[0] == '0' ? '1' : '0';
    const Case cases[] = {
        {"main", query_of(tx_secret(main_key, name, time), time), {.key = Key::main}},
        {"main, lower case", query_of(tx_secret(main_key, name, low), low), {.key = Key::main}},
        {"backup", query_of(tx_secret(backup_key, name, time), time), {.key = Key::backup}},
        {"SHA256",
         query_of(tx_secret(backup_key, name, time, TxHash::sha256), time),
         {.key = Key::backup, .hash = TxHash::sha256}},
        {"hashed in lower case, sent in upper",
         query_of(tx_secret(main_key, name, low), time),
         {.key = Key::main, .tx_time_case_changed = true}},
        {"hashed in upper case, sent in lower",
         query_of(tx_secret(main_key, name, time), low),
         {.key = Key::main, .tx_time_case_changed = true}},
        {"secret in capitals", query_of(capitals, time), {.key = Key::main, .secret_case_changed = true}},
        {"their key ends in a line feed",
         query_of(tx_secret(main_key + "\n", name, time), time),
         {.key = Key::main, .stray_space = StraySpace::theirs}},
        {"their key begins with a space",
         query_of(tx_secret(" " + backup_key, name, low), time),
         {.key = Key::backup, .tx_time_case_changed = true, .stray_space = StraySpace::theirs}},
        {"one digit wrong", query_of(flipped, time), {}},
        {"cut short", query_of(tx_secret(main_key, name, time).substr(0, 31), time), {}},
        {"another key", query_of(tx_secret("another", name, time), time), {}},
        {"another name", query_of(tx_secret(main_key, "test", time), time), {}},
        {"no time", "txSecret=" + tx_secret(main_key, name, time), {}},
    };
    for (const Case& c : cases) {
        const SecretMatch found = check_query(c.query).secret;
        EXPECT_EQ(found, c.match) << c.what;
        const bool exact = c.match.key != Key::none && !c.match.tx_time_case_changed &&
                           !c.match.secret_case_changed && c.match.stray_space == StraySpace::none;
        EXPECT_EQ(found.exact(), exact) << c.what;
    }
}

TEST(CheckPushUrl, TellsStraySpaceInOurCopyOfTheKey) {
    const PushUrl url = sign_push_url(unsigned_url(), main_key, unix_time(expiry_count));
    const auto found = check_push_url(url, " " + main_key + "\r\n", "", unix_time(0)).secret;
    EXPECT_EQ(found, (SecretMatch{.key = Key::main, .stray_space = StraySpace::ours}));
}

TEST(CheckPushUrl, DoesNotTryAnEmptyKey) {
    const PushUrl url = sign_push_url(unsigned_url(), "", unix_time(expiry_count));
    EXPECT_EQ(check_push_url(url, "", "", unix_time(0)).secret.key, Key::none);
    EXPECT_EQ(check_push_url(url, " ", "\n", unix_time(0)).secret.key, Key::none);
}

TEST(CheckPushUrl, ComparesTheAccountNumbers) {
    struct Case {
        const char* url;
        Bizid bizid;
        bool agree;
    };
    const Case cases[] = {
        {"rtmp://8888.livepush.myqcloud.com/live/8888_room?bizid=8888", {"8888", "8888", "8888"}, true},
        {"rtmp://8889.livepush.myqcloud.com/live/8888_room?bizid=8888", {"8889", "8888", "8888"}, false},
        {"rtmp://8888.livepush.myqcloud.com/live/8888_room?bizid=8889", {"8888", "8889", "8888"}, false},
        {"rtmp://8888.livepush.myqcloud.com/live/8889_room?bizid=8888", {"8888", "8888", "8889"}, false},
        {"rtmp://8888.livepush.myqcloud.com/live/8889_room", {"8888", {}, "8889"}, false},
        {"rtmp://8888.livepush.myqcloud.com/live/room?bizid=8889", {"8888", "8889", {}}, false},
        {"rtmp://8888.livepush.myqcloud.com/live/room", {"8888", {}, {}}, true},
        {"rtmp://push.example.com/live/2026_room", {{}, {}, "2026"}, true},
        {"rtmp://push.example.com/live/2026_room?bizid=8888", {{}, "8888", "2026"}, false},
        {"rtmp://push.example.com/live/_room", {}, true},
        {"rtmp://push.example.com/live/8888", {}, true},
        {"rtmp://127.0.0.1/live/8888_room?bizid=", {{}, "", "8888"}, false},
        {"rtmp://8888a.example.com/live/room", {}, true},
        {"rtmp://8888/live/room", {}, true},
    };
    for (const Case& c : cases) {
        const auto url = parse_push_url(c.url);
        ASSERT_TRUE(url) << c.url;
        const Bizid found = check_push_url(*url, main_key, "", unix_time(0)).bizid;
        EXPECT_EQ(found, c.bizid) << c.url;
        EXPECT_EQ(found.agree(), c.agree) << c.url;
    }
}

TEST(CheckPlayUrl, LeavesTheExtensionOut) {
    const auto url = parse_play_url("https://8888.liveplay.example.com/live/8888_test.m3u8");
    ASSERT_TRUE(url);
    const auto found = check_play_url(sign_play_url(*url, backup_key, unix_time(expiry_count)), main_key,
                                      backup_key, unix_time(expiry_count));
    EXPECT_EQ(found.secret, (SecretMatch{.key = Key::backup}));
    EXPECT_TRUE(found.expired());
    EXPECT_EQ(found.bizid.domain_label, "8888");
}

TEST(Redacted, HidesWhatMayBeASecret) {
    const std::pair<const char*, const char*> cases[] = {
        {"rtmp://h/live/s?bizid=8888&txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099",
         "rtmp://h/live/s?bizid=8888&txSecret=f85a…&txTime=5C271099"},
        {"http://h/live/s.flv?txTime=1&TXSECRET=f85a2ab363fe", "http://h/live/s.flv?txTime=1&TXSECRET=f85a…"},
        {"rtmp://h/live/s?sign=abcdefghi&auth_key=1546064025-0-0-ab&t=2",
         "rtmp://h/live/s?sign=abcd…&auth_key=1546…&t=2"},
        {"rtmp://h/live/s?token=abcdefgh&password=", "rtmp://h/live/s?token=…&password=…"},
        {"rtmp://h/live/s?a=1?token=abcdefghi;b=2&c=3", "rtmp://h/live/s?a=1?token=abcd…&c=3"},
        {"rtmp://h/live/s?tx%53ecret=abcdefghi", "rtmp://h/live/s?tx%53ecret=abcd…"},
        {"rtmp://h/live/s?token=密钥密钥密钥", "rtmp://h/live/s?token=…"},
        {"rtmp://h/live/s&txSecret=abcdefghi&txTime=1", "rtmp://h/live/s&txSecret=abcd…&txTime=1"},
        {"rtmp://user:word@h/live/s", "rtmp://…@h/live/s"},
        {"no url\n?key=abcdefghi", "no url??key=abcd…"},
        {"", ""},
    };
    for (const auto& [url, shown] : cases) EXPECT_EQ(redacted_url(url), shown);

    const auto push = sign_push_url(unsigned_url(), main_key, unix_time(expiry_count));
    EXPECT_EQ(push.redacted().find(tx_secret(main_key, "8888_test", "5C271099")), std::string::npos);
    const auto play =
        sign_play_url(*parse_play_url("http://h/live/test.flv"), main_key, unix_time(expiry_count));
    EXPECT_EQ(play.redacted(), "http://h/live/test.flv?txSecret=f85a…&txTime=5C271099");
}

}  // namespace
}  // namespace livecanary::protocol
