#include "daemon/sign_command.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

constexpr const char* key = "e12c46f2612d5106e2034781ab261ca3";
// The worked example of Tencent Cloud's document 267/31560 "Hotlink Protection URL Calculation".
constexpr const char* signed_url =
    "rtmp://push.example.com/live/test?txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099";
constexpr WallTime expiry{std::chrono::seconds(1546064025)};  // 5C271099

struct Said {
    int code = 0;
    std::string out{};
    std::string err{};
};

using Sign = int (*)(std::ostream&, std::ostream&, const SignUrl&, WallTime);

Said say(Sign sign, const SignUrl& command, WallTime now) {
    std::ostringstream out, err;
    const int code = sign(out, err, command, now);
    return {code, out.str(), err.str()};
}
Said push(const SignUrl& command, WallTime now = expiry - 1h) { return say(sign_push_url, command, now); }

TEST(SignPushUrl, AgreesWithEveryVector) {
    std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto all = boost::json::parse(text).at("tx_secret").as_array();
    ASSERT_FALSE(all.empty());
    for (const auto& vector : all) {
        const auto& in = vector.at("in");
        const auto string = [](const boost::json::value& v) { return std::string(v.as_string()); };
        const std::string time = string(in.at("tx_time"));
        const std::string url = "rtmp://push.example.com/live/" + string(in.at("stream_name"));
        const bool lower = time.find_first_of("ABCDEF") == std::string::npos;
        for (const auto& expires : {"0x" + time, std::to_string(in.at("tx_time_unix").as_int64())}) {
            SignUrl command;
            command.url = url;
            command.key = config::Secret(string(in.at("key")));
            command.expires = expires;
            command.lower_case = lower;
            const auto said = push(command);
            EXPECT_EQ(said.code, 0);
            EXPECT_EQ(said.out, url + "?" + string(vector.at("push_query")) + "\n")
                << string(vector.at("id"));
            EXPECT_EQ(said.err, "");
        }
    }
}

TEST(SignPushUrl, IsValidForTwelveHoursUnlessToldOtherwise) {
    SignUrl command{.url = "rtmp://h/live/test", .key = config::Secret(key)};
    EXPECT_EQ(push(command, expiry - 12h).out,
              "rtmp://h/live/test?txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099\n");
    command.lifetime = 1min;
    EXPECT_EQ(push(command, expiry - 1min).out,
              "rtmp://h/live/test?txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099\n");
}

TEST(SignPushUrl, ReplacesAnOldSignature) {
    SignUrl command{.url = "rtmp://8888.h.com/live/test?bizid=8888&txSecret=00&txTime=00",
                    .key = config::Secret(key)};
    command.expires = "0x5C271099";
    EXPECT_EQ(
        push(command).out,
        "rtmp://8888.h.com/live/test?bizid=8888&txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099\n");
}

TEST(SignPushUrl, CanBeSha256) {
    SignUrl command{
        .url = "rtmp://h/live/test", .key = config::Secret(key), .expires = "0x5C271099", .sha256 = true};
    const auto said = push(command);
    EXPECT_EQ(said.out.size(), std::string("rtmp://h/live/test?txSecret=&txTime=5C271099\n").size() + 64);
    command.verify = true;
    command.url = said.out.substr(0, said.out.size() - 1);
    EXPECT_EQ(push(command).out,
              "ok: valid until 2018-12-29T06:13:45.000Z\n"
              "ok: txSecret comes out with the main key (SHA-256)\n");
}

TEST(SignPlayUrl, LeavesTheExtensionOutOfWhatItHashes) {
    SignUrl command{.url = "https://play.example.com/live/test_hd.flv", .key = config::Secret(key)};
    command.expires = "0x65029B21";
    EXPECT_EQ(say(sign_play_url, command, expiry).out,
              "https://play.example.com/live/"
              "test_hd.flv?txSecret=01ff5566c2a3c383537e223abfa7c4ef&txTime=65029B21\n");
}

struct UsageCase {
    const char* name;
    const char* url;
    const char* expires;
    std::string_view err;
};

class SignUsage : public testing::TestWithParam<UsageCase> {};

TEST_P(SignUsage, IsTwoAndSaysWhy) {
    const auto said =
        push({.url = GetParam().url, .key = config::Secret(key), .expires = GetParam().expires});
    EXPECT_EQ(said.code, 2);
    EXPECT_EQ(said.out, "");
    EXPECT_EQ(said.err, GetParam().err);
}

constexpr std::string_view bad_expires = "livecanary: --expires takes Unix seconds, or txTime as 0x…\n";
constexpr UsageCase usage[] = {
    {"no_url", "live", "", "livecanary: the URL does not begin with a scheme such as rtmp://: live\n"},
    {"no_secret_in_the_words", "http://h/live/a?txSecret=f85a2ab363fe4deaffef9754d79da6fe", "",
     "livecanary: the scheme of the URL is not one of this use: http://h/live/a?txSecret=f85a…\n"},
    {"no_number", "rtmp://h/live/a", "tomorrow", bad_expires},
    {"no_hex", "rtmp://h/live/a", "0xZZ", bad_expires},
    {"hex_without_0x", "rtmp://h/live/a", "5C271099", bad_expires},
    {"negative", "rtmp://h/live/a", "-1", bad_expires},
    {"too_large", "rtmp://h/live/a", "99999999999999999999", bad_expires},
};
INSTANTIATE_TEST_SUITE_P(, SignUsage, testing::ValuesIn(usage),
                         [](const auto& row) { return std::string(row.param.name); });

struct VerifyCase {
    const char* name;
    std::string url;
    const char* main_key;
    const char* backup_key;
    WallTime now;
    std::string_view out;
    int code = 1;
};

class Verify : public testing::TestWithParam<VerifyCase> {};

TEST_P(Verify, SaysEverythingThatDoesNotMatch) {
    const auto& c = GetParam();
    const auto said = push({.url = c.url,
                            .key = config::Secret(c.main_key),
                            .backup_key = config::Secret(c.backup_key),
                            .verify = true},
                           c.now);
    EXPECT_EQ(said.out, c.out);
    EXPECT_EQ(said.code, c.code);
    EXPECT_EQ(said.err, "");
    EXPECT_EQ(said.out.find(key), std::string::npos);
    EXPECT_EQ(said.out.find("f85a2ab363fe4deaffef9754d79da6fe"), std::string::npos);
}

std::string with(const std::string& tx_secret, const std::string& tx_time = "5C271099") {
    return "rtmp://push.example.com/live/test?txSecret=" + tx_secret + "&txTime=" + tx_time;
}

const VerifyCase verify[] = {
    {"sound", signed_url, key, "", expiry - 1h,
     "ok: valid until 2018-12-29T06:13:45.000Z\n"
     "ok: txSecret comes out with the main key (MD5)\n",
     0},
    {"by_the_backup_key", signed_url, "another", key, expiry - 1h,
     "ok: valid until 2018-12-29T06:13:45.000Z\n"
     "ok: txSecret comes out with the backup key (MD5)\n",
     0},
    {"expired", signed_url, key, "", expiry + 90s,
     "wrong: expired 90 s ago, at 2018-12-29T06:13:45.000Z (by this machine's clock)\n"
     "ok: txSecret comes out with the main key (MD5)\n"},
    {"wrong_key", signed_url, "another", "", expiry - 1h,
     "ok: valid until 2018-12-29T06:13:45.000Z\n"
     "wrong: txSecret comes out with no key given: another key, or another stream name was hashed\n"},
    {"without_a_key_not_all_is_checked", signed_url, "", "", expiry - 1h,
     "ok: valid until 2018-12-29T06:13:45.000Z\n"
     "wrong: txSecret was not checked, because no key was given: --key.file or --key.env\n"},
    // The hash of "…test5C271099" with the time shown in small letters.
    {"case_of_the_time", with("f85a2ab363fe4deaffef9754d79da6fe", "5c271099"), key, "", expiry - 1h,
     "ok: valid until 2018-12-29T06:13:45.000Z\n"
     "ok: txSecret comes out with the main key (MD5)\n"
     "wrong: case: it was hashed with the other letter case of txTime than the URL shows\n"},
    {"case_of_the_secret", with("F85A2AB363FE4DEAFFEF9754D79DA6FE"), key, "", expiry - 1h,
     "ok: valid until 2018-12-29T06:13:45.000Z\n"
     "ok: txSecret comes out with the main key (MD5)\n"
     "wrong: case: txSecret is written with capitals\n"},
    {"stray_space_of_ours", signed_url, "e12c46f2612d5106e2034781ab261ca3 ", "", expiry - 1h,
     "ok: valid until 2018-12-29T06:13:45.000Z\n"
     "ok: txSecret comes out with the main key (MD5)\n"
     "wrong: key: the key given here has white space around it\n"},
    // md5("e12c46f2612d5106e2034781ab261ca3\n" "test5C271099")
    {"stray_space_of_theirs", with("1d3b07cfc81234813ada1f091dc7f7f9"), key, "", expiry - 1h,
     "ok: valid until 2018-12-29T06:13:45.000Z\n"
     "ok: txSecret comes out with the main key (MD5)\n"
     "wrong: key: the URL was signed with white space around the key\n"},
    {"unsigned", "rtmp://push.example.com/live/test", key, "", expiry,
     "wrong: there is no txSecret\n"
     "wrong: there is no txTime\n"},
    {"no_time", with("f85a2ab363fe4deaffef9754d79da6fe", "tomorrow"), "", "", expiry,
     "wrong: txTime is not a hexadecimal time in seconds\n"
     "wrong: txSecret was not checked, because no key was given: --key.file or --key.env\n"},
    {"bizid", "rtmp://8888.livepush.myqcloud.com/live/9999_test?bizid=7777&txSecret=1&txTime=5C271099", "",
     "", expiry - 1h,
     "ok: valid until 2018-12-29T06:13:45.000Z\n"
     "wrong: txSecret was not checked, because no key was given: --key.file or --key.env\n"
     "wrong: bizid: the domain says 8888, bizid= says 7777, the stream name begins with 9999\n"},
    {"twice", with("f85a2ab363fe4deaffef9754d79da6fe") + "&txTime=5C271099", key, "", expiry - 1h,
     "wrong: txSecret or txTime stands there twice; servers look at one of them\n"
     "ok: valid until 2018-12-29T06:13:45.000Z\n"
     "ok: txSecret comes out with the main key (MD5)\n"},
};
INSTANTIATE_TEST_SUITE_P(SignPushUrl, Verify, testing::ValuesIn(verify),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(SignPlayUrl, VerifiesToo) {
    SignUrl command{
        .url =
            "http://play.example.com/live/test_hd.m3u8?txSecret=01ff5566c2a3c383537e223abfa7c4ef&txTime="
            "65029B21",
        .key = config::Secret(key),
        .verify = true};
    EXPECT_EQ(say(sign_play_url, command, expiry).out,
              "ok: valid until 2023-09-14T05:33:21.000Z\n"
              "ok: txSecret comes out with the main key (MD5)\n");
}

}  // namespace
}  // namespace livecanary::daemon
