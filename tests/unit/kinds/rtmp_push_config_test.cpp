#include "probes/rtmp_push/config.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include <fstream>
#include <sstream>

#include "probes/rtmp_push/kind.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::rtmp_push {
namespace {

using namespace std::chrono_literals;
using test::FakeWorld;
using test::TomlText;
using Mistakes = std::vector<std::string>;

const FakeWorld world{.variables = {{"MAIN", "main-key"},
                                    {"BACKUP", "backup-key"},
                                    {"PLAY", "play-key"},
                                    {"PLAY_BACKUP", "play-backup-key"}}};

Config read_all(const std::string& keys, const Mistakes& expected = {}) {
    TomlText text(keys, world);
    Config config = read(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), expected);
    return config;
}

TEST(RtmpPushConfig, Defaults) {
    const Config config = read_all("url = 'rtmp://push.example.com/live/canary'");
    EXPECT_EQ(config.url,
              (protocol::PushUrl{.host = "push.example.com", .app = "live", .stream_name = "canary"}));
    EXPECT_TRUE(config.push_key.empty());
    EXPECT_TRUE(config.backup_key.empty());
    EXPECT_FALSE(config.issued);
    EXPECT_EQ(config.signing.hash, protocol::TxHash::md5);
    EXPECT_EQ(config.tx_time_lifetime, 12h);
    EXPECT_EQ(config.plan.media, 5s);
    EXPECT_EQ(config.plan.chunk_size, 4096U);
    EXPECT_FALSE(config.plan.digest_handshake);
    EXPECT_EQ(config.plan.address, std::nullopt);
    EXPECT_EQ(config.plan.ca_file, "");
    EXPECT_TRUE(config.playback.empty());
    EXPECT_TRUE(config.plan.viewings.empty());
}

TEST(RtmpPushConfig, EveryKey) {
    const Config config = read_all(R"(url = 'rtmps://push.example.com:1936/app/sub/canary'
push_key = { env = 'MAIN' }
backup_key = { env = 'BACKUP' }
hash = 'sha256'
tx_time_lifetime = '1h'
media = '1s'
chunk_size = 65536
handshake = 'digest'
ca_file = 'ca.pem'
address = '2001:db8::1'
)");
    EXPECT_TRUE(config.url.tls);
    EXPECT_EQ(config.url.port, 1936);
    EXPECT_EQ(config.url.app, "app/sub");
    EXPECT_EQ(config.push_key.reveal(), "main-key");
    EXPECT_EQ(config.backup_key.reveal(), "backup-key");
    EXPECT_EQ(config.signing.hash, protocol::TxHash::sha256);
    EXPECT_EQ(config.tx_time_lifetime, 1h);
    EXPECT_EQ(config.plan.media, 1s);
    EXPECT_EQ(config.plan.chunk_size, 65536U);
    EXPECT_TRUE(config.plan.digest_handshake);
    EXPECT_EQ(config.plan.ca_file, "ca.pem");
    EXPECT_EQ(config.plan.address, asio::ip::make_address("2001:db8::1"));
}

TEST(RtmpPushConfig, EveryMistakeWithItsPlace) {
    read_all(
        R"(backup_key = { env = 'BACKUP' }
hash = 'sha265'
tx_time_lifetime = '10s'
media = '999ms'
chunk_size = 127
handshake = 'diggest'
address = 'push.example.com'
chunksize = 4096
)",
        {
            "t.toml:1:1: probe.url: missing",
            "t.toml:1:14: probe.backup_key: needs push_key: it is tried only when the main key is refused",
            "t.toml:2:8: probe.hash: expected one of 'md5', 'sha256', found 'sha265'; did you mean 'sha256'?",
            "t.toml:3:20: probe.tx_time_lifetime: expected 1m to 365d, found 10s",
            "t.toml:4:9: probe.media: expected 1s to 1h, found 999ms",
            "t.toml:5:14: probe.chunk_size: expected 128 to 65536, found 127",
            "t.toml:6:13: probe.handshake: expected one of 'simple', 'digest', found 'diggest'; did you mean "
            "'digest'?",
            "t.toml:7:11: probe.address: expected an IPv4 or IPv6 address, found 'push.example.com'",
            "t.toml:8:1: probe.chunksize: unknown key; did you mean 'chunk_size'?",
        });
}

TEST(RtmpPushConfig, WrongTypes) {
    read_all("url = 5\npush_key = 5\nmedia = 5\nchunk_size = '4096'\naddress = 1\n",
             {
                 "t.toml:1:7: probe.url: expected a string, found an integer",
                 "t.toml:2:12: probe.push_key: expected a secret: { file = \"…\" }, { env = \"…\" } or "
                 "{ credential = \"…\" }, found an integer",
                 "t.toml:3:9: probe.media: expected a duration with its unit, such as \"250ms\", \"5s\" or "
                 "\"1m30s\", found an integer",
                 "t.toml:4:14: probe.chunk_size: expected an integer, found a string",
                 "t.toml:5:11: probe.address: expected a string, found an integer",
             });
}

struct BadUrl {
    const char* url;
    const char* words;
};
const BadUrl bad_urls[] = {
    {"http://push.example.com/live/canary", "the scheme of the URL is not one of this use"},
    {"rtmp://push.example.com/live", "the URL has no stream name after its application name"},
    {"rtmp://push.example.com", "the URL has no application name after its host"},
    {"rtmp://push.example.com:70000/live/canary", "the port of the URL is not 1 to 65535"},
    {"rtmpt://push.example.com/live/canary", "RTMPT (RTMP over HTTP) is not supported"},
    {"rtmpe://push.example.com/live/canary", "RTMPE (RTMP under Adobe's encryption) is not supported"},
    {"rtmp://user:word@push.example.com/live/canary",
     "the URL holds a user name or password before the host"},
    {"push.example.com/live/canary", "the URL does not begin with a scheme such as rtmp://"},
    {"rtmp:///live/canary", "the host of the URL is not a name, an IPv4 address or a bracketed IPv6 address"},
    {"rtmp://push.example.com/live/a b", "the URL holds white space, a control byte or '#'"},
};

TEST(RtmpPushConfig, BadUrls) {
    for (const auto& [url, words] : bad_urls)
        read_all(
            "url = '" + std::string(url) + "'\nca_file = 'ca.pem'",
            {"t.toml:1:7: probe.url: " + std::string(words) + ": expected rtmp[s]://host[:port]/app/stream"});
}

TEST(RtmpPushConfig, AuthorityOnlyForTls) {
    read_all("url = 'rtmp://push.example.com/live/canary'\nca_file = 'ca.pem'",
             {"t.toml:2:11: probe.ca_file: needs an rtmps:// URL"});
    read_all("url = 'rtmps://push.example.com/live/canary'\nca_file = 'ca.pem'");
}

TEST(RtmpPushConfig, UrlThatBringsItsSignatureIsTestedAsItIs) {
    const std::string url = "rtmp://push.example.com/live/canary";
    for (const char* query :
         {"?txSecret=0123", "?txTime=70000000", "?bizid=1&txSecret=0123&txTime=70000000"}) {
        const Config config = read_all("url = '" + url + query + "'\npush_key = { env = 'MAIN' }");
        EXPECT_TRUE(config.issued) << query;
    }
    EXPECT_FALSE(read_all("url = '" + url + "?bizid=1'\npush_key = { env = 'MAIN' }").issued);
}

TEST(RtmpPushConfig, UrlOfARunHasItsPlaceAndIsSigned) {
    const Config config = read_all("url = 'rtmp://push.example.com/live/a_{location}_{location}?bizid=1'");
    const WallTime expiry{std::chrono::seconds(0x5C271099)};
    EXPECT_EQ(url_of_run(config, "sh{location}", {}, expiry).publish_name(),
              "a_sh{location}_sh{location}?bizid=1");
    // The vendor's worked example: Tencent Cloud, "Hotlink Protection URL Calculation", read 2026-11-21.
    const Config example = read_all("url = 'rtmp://push.example.com/live/{location}?bizid=1'");
    EXPECT_EQ(url_of_run(example, "test", config::Secret("e12c46f2612d5106e2034781ab261ca3"), expiry + 900ms)
                  .publish_name(),
              "test?bizid=1&txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099");
}

TEST(RtmpPushConfig, TargetShowsNoSecret) {
    TomlText text("url = 'rtmp://push.example.com/live/canary?txSecret=0123456789abcdef&txTime=70000000'",
                  world);
    const Probe probe = kind.make(text.reader());
    EXPECT_EQ(probe.target, "rtmp://push.example.com/live/canary?txSecret=0123…&txTime=70000000");
    EXPECT_TRUE(probe.run && probe.controls && probe.diagnose);
}

// --- playback

const std::string push_line = "url = 'rtmp://push.example.com/live/canary'\n";

TEST(RtmpPushPlaybackConfig, Defaults) {
    const Config config =
        read_all(push_line + "playback = [{ url = 'http://play.example.com/live/canary.flv' }]");
    ASSERT_EQ(config.playback.size(), 1U);
    const Playback& playback = config.playback.front();
    EXPECT_EQ(playback.url, (protocol::PlayUrl{.scheme = "http",
                                               .host = "play.example.com",
                                               .port = 80,
                                               .app = "live",
                                               .stream_name = "canary",
                                               .extension = ".flv"}));
    EXPECT_TRUE(playback.key.empty());
    EXPECT_TRUE(playback.backup_key.empty());
    EXPECT_EQ(playback.signing.hash, protocol::TxHash::md5);
    EXPECT_EQ(playback.viewing.address, std::nullopt);
    EXPECT_FALSE(playback.viewing.every_address);
    EXPECT_EQ(playback.viewing.ca_file, "");
    EXPECT_EQ(playback.viewing.wait, 10s);
}

TEST(RtmpPushPlaybackConfig, EveryKey) {
    const Config config = read_all(push_line + R"(push_key = { env = 'MAIN' }
[[playback]]
url = 'https://play.example.com:8443/live/sub/canary.m3u8'
key = { env = 'PLAY' }
backup_key = { env = 'PLAY_BACKUP' }
hash = 'sha256'
address = '2001:db8::1'
ca_file = 'ca.pem'
wait = '1m30s'
[[playback]]
url = 'rtmps://play.example.com/live/canary'
every_address = true
[[playback]]
url = 'rtmp://[2001:db8::2]/live/canary?a=b'
address = '192.0.2.1'
every_address = false
)");
    ASSERT_EQ(config.playback.size(), 3U);
    const Playback& hls = config.playback[0];
    EXPECT_EQ(hls.url.to_string(), "https://play.example.com:8443/live/sub/canary.m3u8");
    EXPECT_EQ(hls.key.reveal(), "play-key");
    EXPECT_EQ(hls.backup_key.reveal(), "play-backup-key");
    EXPECT_EQ(hls.signing.hash, protocol::TxHash::sha256);
    EXPECT_EQ(hls.viewing.address, asio::ip::make_address("2001:db8::1"));
    EXPECT_EQ(hls.viewing.ca_file, "ca.pem");
    EXPECT_EQ(hls.viewing.wait, 90s);
    EXPECT_EQ(config.playback[1].url.port, 443);
    EXPECT_TRUE(config.playback[1].viewing.every_address);
    EXPECT_EQ(config.playback[2].url.host, "2001:db8::2");
    EXPECT_EQ(config.playback[2].viewing.address, asio::ip::make_address("192.0.2.1"));
    // The push keeps keys of its own.
    EXPECT_EQ(config.push_key.reveal(), "main-key");
    EXPECT_TRUE(config.backup_key.empty());
    EXPECT_EQ(config.signing.hash, protocol::TxHash::md5);
    EXPECT_EQ(config.plan.address, std::nullopt);
}

TEST(RtmpPushPlaybackConfig, EveryMistakeWithItsPlace) {
    read_all(push_line + R"([[playback]]
backup_key = { env = 'PLAY' }
hash = 'sha1'
address = 'play.example.com'
wait = '999ms'
waits = '5s'
[[playback]]
url = 'rtmp://play.example.com/live/canary'
address = '192.0.2.1'
every_address = true
wait = '5m1s'
[[playback]]
url = 'rtmp://play.example.com/live/canary'
media = '5s'
push_key = { env = 'MAIN' }
)",
             {
                 "t.toml:2:1: probe.playback.url: missing",
                 "t.toml:3:14: probe.playback.backup_key: needs key: it is tried only when the main key is "
                 "refused",
                 "t.toml:4:8: probe.playback.hash: expected one of 'md5', 'sha256', found 'sha1'",
                 "t.toml:5:11: probe.playback.address: expected an IPv4 or IPv6 address, found "
                 "'play.example.com'",
                 "t.toml:6:8: probe.playback.wait: expected 1s to 5m, found 999ms",
                 "t.toml:7:1: probe.playback.waits: unknown key; did you mean 'wait'?",
                 "t.toml:11:17: probe.playback.every_address: one address is given, so there are no others",
                 "t.toml:12:8: probe.playback.wait: expected 1s to 5m, found 5m1s",
                 "t.toml:15:1: probe.playback.media: unknown key",
                 "t.toml:16:1: probe.playback.push_key: unknown key",
             });
}

TEST(RtmpPushPlaybackConfig, WrongTypes) {
    read_all(push_line + R"([[playback]]
url = 5
key = 5
hash = 5
address = 5
every_address = 'yes'
ca_file = 5
wait = 5
)",
             {
                 "t.toml:3:7: probe.playback.url: expected a string, found an integer",
                 "t.toml:4:7: probe.playback.key: expected a secret: { file = \"…\" }, { env = \"…\" } or "
                 "{ credential = \"…\" }, found an integer",
                 "t.toml:5:8: probe.playback.hash: expected a string, found an integer",
                 "t.toml:6:11: probe.playback.address: expected a string, found an integer",
                 "t.toml:7:17: probe.playback.every_address: expected true or false, found a string",
                 "t.toml:8:11: probe.playback.ca_file: expected a string, found an integer",
                 "t.toml:9:8: probe.playback.wait: expected a duration with its unit, such as \"250ms\", "
                 "\"5s\" or \"1m30s\", found an integer",
             });
    read_all(push_line + "playback = 'http://play.example.com/live/canary.flv'",
             {"t.toml:2:12: probe.playback: expected a list of tables, found a string"});
    read_all(push_line + "playback = { url = 'http://play.example.com/live/canary.flv' }",
             {"t.toml:2:12: probe.playback: expected a list of tables: write [[probe.playback]]"});
    read_all(push_line + "playback = ['http://play.example.com/live/canary.flv']",
             {"t.toml:2:13: probe.playback: expected a table, found a string"});
}

TEST(RtmpPushPlaybackConfig, BadUrls) {
    const std::string expected =
        "expected rtmp[s]://host[:port]/app/stream, or http[s]://host[:port]/app/stream with .flv or .m3u8";
    const BadUrl bad[] = {
        {"http://play.example.com/live/canary", ""},
        {"https://play.example.com/live/canary?x=.flv", ""},
        {"http://play.example.com/live/canary.mp4", ""},
        {"http://play.example.com/live/canary.ts", ""},
        {"webrtc://play.example.com/live/canary", "the scheme of the URL is not one of this use: "},
        {"rtmpt://play.example.com/live/canary", "RTMPT (RTMP over HTTP) is not supported: "},
        {"http://play.example.com/canary.flv", "the URL has no stream name after its application name: "},
        {"http://play.example.com", "the URL has no application name after its host: "},
        {"http://play.example.com:0/live/canary.flv", "the port of the URL is not 1 to 65535: "},
        {"http://u:p@play.example.com/live/canary.flv",
         "the URL holds a user name or password before the host: "},
        {"play.example.com/live/canary.flv", "the URL does not begin with a scheme such as rtmp://: "},
        {"http://play.example.com//canary.flv", "the path of the URL has two slashes in a row: "},
    };
    for (const auto& [url, words] : bad)
        read_all(push_line + "playback = [{ url = '" + url + "' }]",
                 {"t.toml:2:21: probe.playback.url: " + (words + expected)});
}

TEST(RtmpPushPlaybackConfig, AtMostEight) {
    const auto list = [](int count) {
        std::string text = push_line;
        for (int i = 0; i < count; ++i)
            text +=
                "[[playback]]\nurl = 'http://play" + std::to_string(i) + ".example.com/live/canary.flv'\n";
        return text;
    };
    EXPECT_EQ(read_all(list(8)).playback.size(), 8U);
    // Once, at the first that is too many.
    for (const int count : {9, 12})
        EXPECT_EQ(read_all(list(count), {"t.toml:18:1: probe.playback: at most 8 of them for one push"})
                      .playback.size(),
                  8U);
}

/// Of whatever stream: that it may be another than the pushed one is only a warning.
Playback first_playback(const std::string& url) {
    TomlText text(push_line + "playback = [{ url = '" + url + "', key = { env = 'PLAY' } }]", world);
    const Config config = read(text.reader());
    for (const auto& mistake : text.mistakes())
        EXPECT_NE(mistake.find("warning: probe.playback.url: plays stream"), std::string::npos) << mistake;
    return config.playback.front();
}

TEST(RtmpPushPlaybackConfig, WarnsOfAStreamThatIsNotPushed) {
    for (const char* name : {"canary", "canary_720p"})
        read_all(push_line + "playback = [{ url = 'http://play.example.com/live/" + name + ".flv' }]");
    read_all(push_line + "playback = [{ url = 'http://play.example.com/live/canary2.flv' }]",
             {"t.toml:2:21: warning: probe.playback.url: plays stream 'canary2', while 'canary' is pushed"});
}

TEST(RtmpPushPlaybackConfig, AnIssuedUrlGoesOutAsItIs) {
    for (const char* query : {"txSecret=0123&txTime=1", "txTime=1", "txSecret=0123"}) {
        const Playback playback =
            first_playback("http://play.example.com/live/canary.flv?" + std::string(query));
        EXPECT_TRUE(playback.issued) << query;
        EXPECT_TRUE(key_of_run(playback).empty()) << query;
        EXPECT_EQ(viewing_of_run(playback, "here", key_of_run(playback), WallTime{}).url.query, query);
    }
    const Playback own = first_playback("http://play.example.com/live/canary.flv?bizid=1");
    EXPECT_FALSE(own.issued);
    EXPECT_EQ(key_of_run(own).reveal(), "play-key");
}

TEST(RtmpPushPlaybackConfig, ViewingHasItsPlaceAndEverythingThatWasSet) {
    const Config config = read_all(push_line + R"([[playback]]
url = 'https://play.example.com/live/a_{location}_{location}.flv?x={location}'
every_address = true
ca_file = 'ca.pem'
wait = '3s'
)",
                                   {"t.toml:3:7: warning: probe.playback.url: plays stream "
                                    "'a_{location}_{location}', while 'canary' is pushed"});
    const Viewing viewing = viewing_of_run(config.playback.front(), "sh{location}", {}, WallTime{});
    EXPECT_EQ(viewing.url.to_string(),
              "https://play.example.com/live/a_sh{location}_sh{location}.flv?x={location}")
        << "only the stream name has a place";
    EXPECT_TRUE(viewing.every_address);
    EXPECT_EQ(viewing.ca_file, "ca.pem");
    EXPECT_EQ(viewing.wait, 3s);
    EXPECT_EQ(viewing.address, std::nullopt);
    EXPECT_EQ(config.playback.front().url.stream_name, "a_{location}_{location}") << "it stays as written";
}

TEST(RtmpPushPlaybackConfig, UrlWithoutKeyGoesOutAsWritten) {
    const Config config = read_all(push_line +
                                   "playback = [{ url = "
                                   "'rtmp://play.example.com/live/canary?txSecret=0123&txTime=70000000' }]");
    EXPECT_EQ(viewing_of_run(config.playback.front(), "here", {}, WallTime{}).url.to_string(),
              "rtmp://play.example.com/live/canary?txSecret=0123&txTime=70000000");
}

// The extension is not part of what is signed; the name of a transcoded rendition is, in full.
TEST(RtmpPushPlaybackConfig, SignsTheStreamNameAsItIsPlayed) {
    const WallTime expiry{std::chrono::seconds(0x5C271099)};
    // md5 and sha256 of "play-keystream_720p5C271099", by coreutils.
    const std::string md5 = "72bd92d6536d2972e84d99d5b21cee88";
    const std::string sha256 = "6182d6e3001178a6cf6a2dfa75823b4a6f865a2293f62170fa787e7ba8309815";
    for (const std::string end : {"http://play.example.com/live/{location}_720p.flv",
                                  "https://play.example.com/live/{location}_720p.m3u8",
                                  "rtmp://play.example.com/live/{location}_720p",
                                  "rtmps://play.example.com/other/app/{location}_720p"}) {
        Playback playback = first_playback(end);
        const auto signed_url = [&] {
            return viewing_of_run(playback, "stream", playback.key, expiry + 900ms).url.to_string();
        };
        std::string url = end;
        url.replace(url.find("{location}"), 10, "stream");
        EXPECT_EQ(signed_url(), url + "?txSecret=" + md5 + "&txTime=5C271099");
        playback.signing.hash = protocol::TxHash::sha256;
        EXPECT_EQ(signed_url(), url + "?txSecret=" + sha256 + "&txTime=5C271099");
    }
}

TEST(RtmpPushPlaybackConfig, SigningKeepsTheRestOfTheQuery) {
    const Playback playback =
        first_playback("http://play.example.com/live/canary.flv?bizid=1&txSecret=0123&txTime=1");
    const Viewing viewing =
        viewing_of_run(playback, "here", playback.key, WallTime{std::chrono::seconds(0x5C271099)});
    EXPECT_EQ(viewing.url.query,
              "bizid=1&" + protocol::sign_query("play-key", "canary",
                                                std::chrono::sys_seconds(std::chrono::seconds(0x5C271099))));
}

TEST(RtmpPushPlaybackConfig, SignsAsTheVectorsDo) {
    std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
    std::ostringstream text;
    text << file.rdbuf();
    const auto text_of = [](const boost::json::value& from, const char* name) {
        return boost::json::value_to<std::string>(from.at(name));
    };
    const boost::json::value all = boost::json::parse(text.str());
    int tried = 0;
    for (const auto& vector : all.at("tx_secret").as_array()) {
        const auto& in = vector.at("in");
        const WallTime expiry{std::chrono::seconds(in.at("tx_time_unix").as_int64())};
        // Small letters in txTime are another text to hash; ours are capitals.
        if (text_of(in, "tx_time").find_first_of("abcdef") != std::string::npos) continue;
        const Playback playback =
            first_playback("http://play.example.com/live/" + text_of(in, "stream_name") + ".flv");
        EXPECT_EQ(viewing_of_run(playback, "here", config::Secret(text_of(in, "key")), expiry).url.query,
                  text_of(vector, "push_query"))
            << text_of(vector, "id");
        ++tried;
    }
    EXPECT_GE(tried, 3);
}

TEST(RtmpPushPlaybackConfig, SecretsOfPlaybackAreKnownAsSecrets) {
    TomlText text(
        push_line +
            "playback = [{ url = 'rtmp://p.test/live/a', key = { env = 'PLAY' }, backup_key = { env = "
            "'PLAY_BACKUP' } }]",
        world);
    read(text.reader());
    std::vector<std::string> known;
    for (const auto& secret : text.secrets()) known.push_back(secret.reveal());
    EXPECT_EQ(known, (std::vector<std::string>{"play-key", "play-backup-key"}));
}

}  // namespace
}  // namespace livecanary::rtmp_push
