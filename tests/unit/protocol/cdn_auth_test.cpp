// The URL authentication of the CDN: made, checked.
#include "probes/protocol/cdn_auth.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include <fstream>
#include <map>
#include <sstream>

#include "probes/protocol/ascii.hpp"

namespace livecanary::protocol {
namespace {

using std::chrono::seconds;
using std::chrono::sys_seconds;
using enum CdnAuthType;

sys_seconds unix_time(std::int64_t count) { return sys_seconds(seconds(count)); }

const std::string key = "dimtm5evg50ijsx2hvuwyfoiu65";
const std::string bare = "http://cloud.tencent.com/test.jpg";

std::map<std::string, boost::json::value> vectors() {
    std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
    std::stringstream text;
    text << file.rdbuf();
    std::map<std::string, boost::json::value> by_id;
    const auto document = boost::json::parse(text.str());
    for (const auto& vector : document.at("cdn_auth").as_array())
        by_id[boost::json::value_to<std::string>(vector.at("id"))] = vector;
    return by_id;
}

TEST(CdnSign, AgreesWithEveryVector) {
    const auto all = vectors();
    ASSERT_EQ(all.size(), 5U);
    const auto url = [&](const char* id) { return boost::json::value_to<std::string>(all.at(id).at("url")); };
    const auto time = unix_time(1582791032);
    EXPECT_EQ(*cdn_sign(bare, {.type = a}, key, time, "im1acp76sx9sdqe601v"), url("type_a_official"));
    // 2020-02-27 16:10 in UTC+8; the seconds are not written.
    EXPECT_EQ(*cdn_sign(bare, {.type = b}, key, time), url("type_b_official"));
    EXPECT_EQ(*cdn_sign(bare, {.type = c}, key, unix_time(0x5e577978)), url("type_c_official_cn"));
    EXPECT_EQ(*cdn_sign(bare, {.type = d}, key, time), url("type_d_official"));
    const auto md5 = boost::json::value_to<std::string>(all.at("type_c_intl_doc_variant").at("md5"));
    EXPECT_EQ(
        *cdn_sign(bare, {.type = c, .order = CdnOrder::time_first, .time = CdnTime::decimal}, key, time),
        "http://cloud.tencent.com/" + md5 + "/1582791032/test.jpg");
}

TEST(CdnSign, WritesTheTimeAsItIsToldTo) {
    EXPECT_NE(
        cdn_sign(bare, {.type = d, .time = CdnTime::hex}, key, unix_time(0x5e577978))->find("&t=5e577978"),
        std::string::npos);
    EXPECT_NE(cdn_sign(bare, {.type = a, .time = CdnTime::hex}, key, unix_time(0x5e577978))
                  ->find("?sign=5e577978-0-0-"),
              std::string::npos);
    // The year, month and day of UTC+8, not of UTC: 2023-12-31 16:00 and the minute before.
    EXPECT_NE(cdn_sign(bare, {.type = b}, key, unix_time(1704038400))->find("/202401010000/"),
              std::string::npos);
    EXPECT_NE(cdn_sign(bare, {.type = b}, key, unix_time(1704038399))->find("/202312312359/"),
              std::string::npos);
    EXPECT_NE(cdn_sign(bare, {.type = d}, key, unix_time(-5))->find("&t=0"), std::string::npos);
}

TEST(CdnSign, SaysWhatIsWrong) {
    struct Case {
        std::string url;
        const char* rand;
        CdnAuthError error;
    };
    const Case cases[] = {
        {"", "0", CdnAuthError::bad_url},
        {"/test.jpg", "0", CdnAuthError::bad_url},
        {"ftp://h/test.jpg", "0", CdnAuthError::bad_url},
        {"http://h", "0", CdnAuthError::bad_url},
        {"http://h/", "0", CdnAuthError::bad_url},
        {"http:///test.jpg", "0", CdnAuthError::bad_url},
        {"http://user@h/test.jpg", "0", CdnAuthError::bad_url},
        {"http://h?a=/b", "0", CdnAuthError::bad_url},
        {"http://h/头像.jpg", "0", CdnAuthError::forbidden_byte},
        {"http://h/a b", "0", CdnAuthError::forbidden_byte},
        {"http://h/a#b", "0", CdnAuthError::forbidden_byte},
        {"http://h/a?", "0", CdnAuthError::has_query},
        {"http://h/a?b=c", "0", CdnAuthError::has_query},
        {"http://h/a", "", CdnAuthError::bad_rand},
        {"http://h/a", "a-b", CdnAuthError::bad_rand},
        {"http://h/" + std::string(max_cdn_url_size, 'a'), "0", CdnAuthError::too_long},
    };
    for (const auto& c : cases)
        EXPECT_EQ(cdn_sign(c.url, {}, key, unix_time(0), c.rand).error(), c.error) << c.url.substr(0, 80);
    EXPECT_EQ(cdn_sign(bare, {}, key, unix_time(0), "0", "").error(), CdnAuthError::bad_rand);
    EXPECT_EQ(check_cdn_url("http://h", {}, key, "").error(), CdnAuthError::bad_url);
    for (const auto error : {CdnAuthError::too_long, CdnAuthError::forbidden_byte, CdnAuthError::bad_url,
                             CdnAuthError::has_query, CdnAuthError::bad_rand})
        EXPECT_FALSE(make_error_code(error).message().starts_with("error ")) << static_cast<int>(error);
    EXPECT_EQ(reason_of(CdnAuthError::bad_url), Reason::mismatch);
}

// Every way a domain can be set.
std::vector<CdnAuth> every_setting() {
    std::vector<CdnAuth> all;
    for (const auto type : {a, b, c, d})
        for (const auto hash : {Digest::md5, Digest::sha256})
            for (const auto order : {CdnOrder::by_type, CdnOrder::path_first, CdnOrder::time_first})
                for (const auto time : {CdnTime::by_type, CdnTime::decimal, CdnTime::hex})
                    all.push_back({.type = type, .hash = hash, .order = order, .time = time});
    return all;
}

TEST(CdnCheck, AgreesWithWhatWasSignedForEverySetting) {
    for (const auto& auth : every_setting()) {
        const auto url =
            cdn_sign("https://h.example.com:8443/a/%E5%A4%B4.jpg", auth, key, unix_time(1'700'000'040));
        ASSERT_TRUE(url);
        SCOPED_TRACE(*url);
        const auto found = check_cdn_url(*url, auth, "another", key);
        ASSERT_TRUE(found);
        EXPECT_EQ(found->type, auth.type);
        EXPECT_EQ(found->hash, auth.hash);
        EXPECT_EQ(found->time, auth.actual_time());
        EXPECT_EQ(found->signed_at, unix_time(1'700'000'040));
        EXPECT_EQ(found->match, (CdnMatch{.key = KeyFound::backup}));
        EXPECT_FALSE(found->other_parameters || found->repeated);
    }
}

TEST(CdnCheck, TakesTheParametersNamesFromTheSetting) {
    const CdnAuth named{.type = d, .sign_parameter = "s", .time_parameter = "when"};
    const auto url = *cdn_sign(bare, named, key, unix_time(1582791032));
    EXPECT_EQ(url, bare + "?s=900a5049aa8ac1ab144527d9c2be4cea&when=1582791032");
    EXPECT_TRUE(check_cdn_url(url, named, key, "")->match.exact());
    EXPECT_EQ(check_cdn_url(url, {.type = d}, key, "")->type, std::nullopt);
}

TEST(CdnCheck, TellsWhichTypeItWasSignedFor) {
    for (const auto signed_for : {a, b, c, d})
        for (const auto set_to : {a, b, c, d}) {
            const auto url = *cdn_sign(bare, {.type = signed_for}, key, unix_time(1'700'000'040));
            const auto found = *check_cdn_url(url, {.type = set_to}, key, "");
            EXPECT_EQ(found.type, signed_for) << url;
            EXPECT_TRUE(found.match.exact()) << url;
        }
}

TEST(CdnCheck, TellsTheMistakeOfTheSigner) {
    const auto time = unix_time(0x5e577978);
    const auto check = [](const std::string& url, const CdnAuth& auth) {
        return check_cdn_url(url, auth, key, "")->match;
    };
    // The two sites of the vendor contradict each other on type C.
    EXPECT_EQ(check(*cdn_sign(bare, {.type = c, .order = CdnOrder::time_first}, key, time), {.type = c}),
              (CdnMatch{.key = KeyFound::main, .other_order = true}));

    const CdnAuth hex{.type = d, .time = CdnTime::hex};
    auto url = *cdn_sign(bare, hex, key, unix_time(0x5e57797a));
    EXPECT_EQ(check(url.replace(url.size() - 1, 1, "A"), hex),
              (CdnMatch{.key = KeyFound::main, .time_case_changed = true}));

    const std::string digest = "900a5049aa8ac1ab144527d9c2be4cea";
    EXPECT_EQ(check(bare + "?sign=" + ascii_upper(digest) + "&t=1582791032", {.type = d}),
              (CdnMatch{.key = KeyFound::main, .digest_capitals = true}));

    // md5 of key, "/头.jpg" as it is, and the time
    const std::string raw = hex_digest(Digest::md5, key + "/头.jpg" + "1582791032");
    EXPECT_EQ(check("http://h/%E5%A4%B4.jpg?sign=" + raw + "&t=1582791032", {.type = d}),
              (CdnMatch{.key = KeyFound::main, .path_decoded = true}));

    EXPECT_EQ(check(*cdn_sign(bare, {.type = d}, key + "\n", time), {.type = d}),
              (CdnMatch{.key = KeyFound::main, .stray_space = KeySpace::theirs}));
    EXPECT_EQ(check(*cdn_sign(bare, {.type = d}, "another", time), {.type = d}), CdnMatch{});
    EXPECT_EQ(check_cdn_url(*cdn_sign(bare, {.type = d}, "", time), {.type = d}, "", "")->match, CdnMatch{});
}

TEST(CdnCheck, TellsHowTheTimeIsWritten) {
    struct Case {
        const char* time;
        CdnTime format;
        std::optional<sys_seconds> signed_at;
    };
    const Case cases[] = {
        {"1582791032", CdnTime::decimal, unix_time(1582791032)},
        {"5e577978", CdnTime::hex, unix_time(0x5e577978)},
        {"65029121", CdnTime::hex, unix_time(0x65029121)},
        {"0", CdnTime::decimal, unix_time(0)},
        {"", CdnTime::decimal, std::nullopt},
        {"now", CdnTime::hex, std::nullopt},
        {"-5e57797", CdnTime::hex, std::nullopt},
        {"123456789012", CdnTime::decimal, std::nullopt},
    };
    const std::string digest(32, 'a');
    for (const auto& c : cases) {
        const auto found = *check_cdn_url(bare + "?sign=" + digest + "&t=" + c.time, {.type = d}, key, "");
        EXPECT_EQ(found.time, c.format) << c.time;
        EXPECT_EQ(found.signed_at, c.signed_at) << c.time;
    }
    const CdnAuth hex{.type = d, .time = CdnTime::hex};
    EXPECT_EQ(check_cdn_url(bare + "?sign=" + digest + "&t=1582791032", hex, key, "")->time,
              CdnTime::decimal);
    EXPECT_EQ(check_cdn_url(bare + "?sign=" + digest + "&t=12", hex, key, "")->signed_at, unix_time(0x12));
    for (const char* const time :
         {"202002301610", "202013011610", "202002272410", "202002271660", "20200227161", "0"})
        EXPECT_EQ(check_cdn_url("http://h/" + std::string(time) + "/" + digest + "/a", {.type = b}, key, "")
                      ->signed_at,
                  std::nullopt)
            << time;
}

TEST(CdnCheck, TellsWhatElseIsInTheQuery) {
    const std::string sign = "sign=900a5049aa8ac1ab144527d9c2be4cea&t=1582791032";
    const auto check = [](const std::string& query) {
        return *check_cdn_url(bare + "?" + query, {.type = d}, key, "");
    };
    EXPECT_FALSE(check(sign).other_parameters);
    EXPECT_TRUE(check(sign + "&w=100").other_parameters);
    EXPECT_TRUE(check(sign + "&w=100").match.exact());
    EXPECT_TRUE(check(sign + "&t=1").repeated);
    EXPECT_TRUE(check("sign=&" + sign).type == std::nullopt);
    const auto c_url = *cdn_sign(bare, {.type = c}, key, unix_time(0x5e577978));
    EXPECT_TRUE(check_cdn_url(c_url + "?w=1", {.type = c}, key, "")->other_parameters);
}

TEST(CdnCheck, CutShortAtEveryByteNeverComesOut) {
    for (const auto& auth : every_setting()) {
        const auto whole = *cdn_sign("http://h/a.jpg", auth, key, unix_time(1'700'000'040));
        const bool in_path = auth.type == b || auth.type == c;
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const auto found = check_cdn_url(whole.substr(0, size), auth, key, "");
            if (found) {
                EXPECT_EQ(found->match.key, KeyFound::none) << whole.substr(0, size);
                EXPECT_FALSE(in_path && found->type && size < whole.size() - 4) << whole.substr(0, size);
            }
        }
    }
}

}  // namespace
}  // namespace livecanary::protocol
