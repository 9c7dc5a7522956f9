// `livecanary sign cos` and `sign cos-v4`.
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

constexpr const char* secret_key = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
constexpr const char* secret_id = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q";
constexpr const char* sign_key = "552178a693a0d230b84a4f15c143bc3c2cb3d9c0";
constexpr const char* url = "https://examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/avatar/probe.jpg";
constexpr const char* key_time = "1700000000;1700003600";
constexpr WallTime start{std::chrono::seconds(1700000000)};

// The vector plain_put.
constexpr const char* authorization =
    "q-sign-algorithm=sha1&q-ak=AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q&q-sign-time=1700000000;1700003600&"
    "q-key-time=1700000000;1700003600&q-header-list=host&q-url-param-list=&"
    "q-signature=411a0cf539ddfa27e467bca8a0aba681f0ce13e4";
constexpr const char* query =
    "q-sign-algorithm=sha1&q-ak=AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q&q-sign-time=1700000000%3B1700003600&"
    "q-key-time=1700000000%3B1700003600&q-header-list=host&q-url-param-list=&"
    "q-signature=411a0cf539ddfa27e467bca8a0aba681f0ce13e4";

struct Said {
    int code = 0;
    std::string out{};
    std::string err{};
};

Said say(const SignCos& command, WallTime now = start) {
    std::ostringstream out, err;
    const int code = sign_cos(out, err, command, now);
    return {code, out.str(), err.str()};
}

Said say(const SignCosV4& command, WallTime now) {
    std::ostringstream out, err;
    const int code = sign_cos_v4(out, err, command, now);
    return {code, out.str(), err.str()};
}

SignCos put() {
    return {.method = "PUT", .url = url, .secret_id = secret_id, .key = config::Secret(secret_key)};
}

boost::json::value vectors() {
    std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return boost::json::parse(text);
}

std::string string(const boost::json::value& v) { return std::string(v.as_string()); }

TEST(SignCos, AgreesWithTheVectorsOfTheSdk) {
    const auto document = vectors();
    int tried = 0;
    for (const auto& vector : document.at("cos_v5").as_array()) {
        const auto& in = vector.at("in");
        // The others have no bucket, or a query that would have to be encoded by hand.
        const auto* const bucket = in.as_object().if_contains("bucket");
        if (bucket == nullptr || !bucket->is_string() || !in.at("query").as_object().empty()) continue;
        SignCos command{.method = string(in.at("method")),
                        .url = "https://" + string(*bucket) + ".cos." + string(in.at("region")) +
                               ".myqcloud.com" + string(in.at("uri_pathname_on_wire")),
                        .secret_id = string(in.at("secret_id")),
                        .key = config::Secret(string(in.at("secret_key"))),
                        .key_time = string(in.at("key_time"))};
        for (const auto& [name, value] : in.at("signed_headers").as_object())
            command.headers.push_back(std::string(name) + ": " + string(value));
        const auto said = say(command);
        EXPECT_EQ(said.out, string(vector.at("authorization")) + "\n") << string(vector.at("id"));
        EXPECT_EQ(said.code, 0);
        EXPECT_EQ(said.err, "");
        ++tried;
    }
    EXPECT_GE(tried, 6);
}

TEST(SignCos, IsValidForAnHourFromNowUnlessToldOtherwise) {
    EXPECT_EQ(say(put()).out, std::string(authorization) + "\n");
    auto command = put();
    command.lifetime = 1min;
    EXPECT_NE(say(command).out.find("q-sign-time=1700000000;1700000060&"), std::string::npos);
    command.key_time = key_time;
    EXPECT_EQ(say(command, start + 5min).out, std::string(authorization) + "\n");
}

TEST(SignCos, TakesTheSignKeyOfABackend) {
    auto command = put();
    command.key = config::Secret(sign_key);
    command.key_is_sign_key = true;
    EXPECT_EQ(say(command).err,
              "livecanary: a SignKey holds for one --key-time only, which must be given too\n");
    command.key_time = key_time;
    EXPECT_EQ(say(command).out, std::string(authorization) + "\n");
}

TEST(SignCos, PrintsTheUrlInPlaceOfAnEarlierSignature) {
    auto command = put();
    command.as_url = true;
    const auto once = say(command).out;
    EXPECT_EQ(once, std::string(url) + "?" + query + "\n");
    command.url = once.substr(0, once.size() - 1);
    EXPECT_EQ(say(command).out, once);
}

TEST(SignCos, LeavesTheTokenOfATemporaryKeyUnsigned) {
    auto command = put();
    command.url = std::string(url) + "?x-cos-security-token=abc";
    EXPECT_EQ(say(command).out, std::string(authorization) + "\n");
}

TEST(SignCos, WrongUsageIsTwoAndSaysWhy) {
    const auto err = [](auto change) {
        auto command = put();
        change(command);
        const auto said = say(command);
        EXPECT_EQ(said.code, 2);
        EXPECT_EQ(said.out, "");
        return said.err;
    };
    EXPECT_EQ(err([](auto& c) { c.headers = {"Range"}; }), "livecanary: --header takes 'Name: value'\n");
    EXPECT_EQ(err([](auto& c) { c.headers = {": x"}; }), "livecanary: --header takes 'Name: value'\n");
    EXPECT_EQ(err([](auto& c) { c.method = "/"; }),
              std::string("livecanary: the method is not a word such as PUT: ") + url + "\n");
    EXPECT_EQ(err([](auto& c) { c.url = "h/a?q-signature=0123456789"; }),
              "livecanary: the URL is not of the form http[s]://host/path?query: h/a?q-signature=0123…\n");
    EXPECT_EQ(err([](auto& c) { c.key_time = "1"; }),
              "livecanary: --key-time takes two Unix seconds: 'start;end'\n");
    EXPECT_EQ(err([](auto& c) { c.secret_id = ""; }), "livecanary: --secret-id is needed\n");
    EXPECT_EQ(err([](auto& c) { c.verify = true; }),
              "livecanary: one of the seven q-… fields of a COS signature is missing\n");
}

struct VerifyCase {
    const char* name;
    void (*change)(SignCos&);
    WallTime now;
    std::string_view out;
    int code = 1;
};

class VerifyCos : public testing::TestWithParam<VerifyCase> {};

TEST_P(VerifyCos, SaysEverythingThatDoesNotMatch) {
    const auto& c = GetParam();
    auto command = put();
    command.verify = true;
    command.authorization = authorization;
    c.change(command);
    const auto said = say(command, c.now);
    EXPECT_EQ(said.out, c.out);
    EXPECT_EQ(said.code, c.code);
    EXPECT_EQ(said.err, "");
    for (const char* const secret : {secret_key, sign_key, "411a0cf539ddfa27e467bca8a0aba681f0ce13e4"})
        EXPECT_EQ(said.out.find(secret), std::string::npos);
}

void replace(std::string& text, std::string_view from, std::string_view to) {
    text.replace(text.find(from), from.size(), to);
}

const VerifyCase verify[] = {
    {"sound", [](auto&) {}, start,
     "ok: valid until 2023-11-14T23:13:20.000Z\n"
     "ok: the signature comes out with this SecretKey\n",
     0},
    {"sound_in_the_url",
     [](auto& c) {
         c.authorization = "";
         c.url += std::string("?") + query;
     },
     start,
     "ok: valid until 2023-11-14T23:13:20.000Z\n"
     "ok: the signature comes out with this SecretKey\n",
     0},
    {"sound_by_sign_key",
     [](auto& c) {
         c.key = config::Secret(sign_key);
         c.key_is_sign_key = true;
         c.key_time = key_time;
     },
     start,
     "ok: valid until 2023-11-14T23:13:20.000Z\n"
     "ok: the signature comes out with this SignKey\n",
     0},
    {"unsigned_is_only_a_note",
     [](auto& c) {
         c.headers = {"Content-Type: text/plain", "x-cos-acl: private"};
         c.url += "?acl";
     },
     start,
     "ok: valid until 2023-11-14T23:13:20.000Z\n"
     "note: not signed, which COS allows: header content-type, x-cos-acl\n"
     "note: not signed, which COS allows: parameter acl\n"
     "ok: the signature comes out with this SecretKey\n",
     0},
    {"expired", [](auto&) {}, start + 1h + 90s,
     "wrong: expired 90 s ago, at 2023-11-14T23:13:20.000Z (by this machine's clock)\n"
     "ok: the signature comes out with this SecretKey\n"},
    {"not_yet", [](auto&) {}, start - 30s,
     "wrong: not valid for another 30 s, until 2023-11-14T22:13:20.000Z (by this machine's clock)\n"
     "ok: valid until 2023-11-14T23:13:20.000Z\n"
     "ok: the signature comes out with this SecretKey\n"},
    {"wrong_key", [](auto& c) { c.key = config::Secret("another"); }, start,
     "ok: valid until 2023-11-14T23:13:20.000Z\n"
     "wrong: the signature does not come out with this SecretKey: another key, or another request was "
     "signed\n"},
    {"another_request", [](auto& c) { c.method = "GET"; }, start,
     "ok: valid until 2023-11-14T23:13:20.000Z\n"
     "wrong: the signature does not come out with this SecretKey: another key, or another request was "
     "signed\n"},
    {"without_a_key_not_all_is_checked", [](auto& c) { c.key = {}; }, start,
     "ok: valid until 2023-11-14T23:13:20.000Z\n"
     "wrong: the signature was not checked, because no key was given: --key.file or --key.env\n"},
    {"everything",
     [](auto& c) {
         c.secret_id = "AKID";
         c.key_time = "1;2";
         replace(c.authorization, "sha1", "md5");
         replace(c.authorization, "q-sign-time=1700000000;1700003600", "q-sign-time=1700000000;1699999999");
         replace(c.authorization, "header-list=host", "header-list=host;Range");
         replace(c.authorization, "param-list=", "param-list=acl");
     },
     start,
     "wrong: q-sign-algorithm is not sha1\n"
     "wrong: q-ak is another SecretId than the one given\n"
     "wrong: q-sign-time and q-key-time differ\n"
     "wrong: the time ends before it starts\n"
     "wrong: q-key-time is another than the one given\n"
     "wrong: expired 1 s ago, at 2023-11-14T22:13:19.000Z (by this machine's clock)\n"
     "wrong: the lists of headers and parameters are not sorted and in lower case\n"
     "wrong: signed, but not in the request: header Range\n"
     "wrong: signed, but not in the request: parameter acl\n"
     "wrong: the signature does not come out with this SecretKey: another key, or another request was "
     "signed\n"},
    {"capitals",
     [](auto& c) {
         replace(c.authorization, "411a0cf539ddfa27e467bca8a0aba681f0ce13e4",
                 "411A0CF539DDFA27E467BCA8A0ABA681F0CE13E4");
     },
     start,
     "ok: valid until 2023-11-14T23:13:20.000Z\n"
     "ok: the signature comes out with this SecretKey\n"
     "wrong: case: the signature is written with capitals\n"},
    {"stray_space_of_ours", [](auto& c) { c.key = config::Secret(std::string(secret_key) + " "); }, start,
     "ok: valid until 2023-11-14T23:13:20.000Z\n"
     "ok: the signature comes out with this SecretKey\n"
     "wrong: key: the key given here has white space around it\n"},
};
INSTANTIATE_TEST_SUITE_P(SignCos, VerifyCos, testing::ValuesIn(verify),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(SignCos, NamesAPathThatWasHashedEncoded) {
    auto command = put();
    command.verify = true;
    command.url = "https://examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/a%20b";
    // HMAC-SHA1 with sign_key over the SHA-1 of "put\n/a%20b\n\nhost=examplebucket-…\n" (Python 3.11 hmac,
    // hashlib)
    command.authorization = authorization;
    replace(command.authorization, "411a0cf539ddfa27e467bca8a0aba681f0ce13e4",
            "e3ff3a67f4b92c09b76f789d453024674353feba");
    EXPECT_EQ(say(command).out,
              "ok: valid until 2023-11-14T23:13:20.000Z\n"
              "ok: the signature comes out with this SecretKey\n"
              "wrong: the path was hashed percent-encoded; it is hashed as UTF-8\n");
}

constexpr const char* v4_key = "bLcPnl88WU30VY57ipRhSePfPdOfSruK";

SignCosV4 v4() {
    return {.app_id = "200001",
            .bucket = "newbucket",
            .secret_id = "AKIDUfLUEUigQiXqm7CVSspKJnuaiIKtxqAv",
            .key = config::Secret(v4_key),
            .lifetime = 1min,
            .random = 490258943};
}
constexpr WallTime v4_now{std::chrono::seconds(1470736940)};

std::string v4_vector(std::string_view id) {
    const auto document = vectors();
    for (const auto& vector : document.at("cos_v4").as_array())
        if (vector.at("id").as_string() == id) return string(vector.at("authorization"));
    return "no such vector";
}

TEST(SignCosV4, AgreesWithTheVectors) {
    auto command = v4();
    EXPECT_EQ(say(command, v4_now).out, v4_vector("multi_effect_1") + "\n");
    command.object = "tencent_test.jpg";
    EXPECT_EQ(say(command, v4_now).out, v4_vector("single_effect_1") + "\n");
    command.object = "/头像/a b.jpg";
    EXPECT_EQ(say(command, v4_now).out, v4_vector("single_effect_utf8_path") + "\n");
}

TEST(SignCosV4, WrongUsageIsTwoAndSaysWhy) {
    auto command = v4();
    command.bucket = "";
    EXPECT_EQ(say(command, v4_now).err, "livecanary: --app-id, --bucket and --secret-id are needed\n");
    command.verify = true;
    EXPECT_EQ(say(command, v4_now).err, "livecanary: --verify needs --authorization\n");
    command.authorization = "a=1";
    const auto said = say(command, v4_now);
    EXPECT_EQ(said.err, "livecanary: the authorization is not base64\n");
    EXPECT_EQ(said.code, 2);
}

TEST(SignCosV4, VerifySaysWhatDoesNotMatch) {
    auto command = v4();
    command.verify = true;
    command.authorization = v4_vector("multi_effect_1");
    auto said = say(command, v4_now);
    EXPECT_EQ(said.out,
              "ok: valid until 2016-08-09T10:03:20.000Z\n"
              "ok: the signature comes out with this SecretKey\n");
    EXPECT_EQ(said.code, 0);

    command.app_id = "1";
    command.bucket = "b";
    command.secret_id = "AKID";
    command.key = config::Secret("another");
    said = say(command, v4_now + 90s);
    EXPECT_EQ(said.out,
              "wrong: a= is another APPID than the one given\n"
              "wrong: b= is another bucket than the one given\n"
              "wrong: k= is another SecretId than the one given\n"
              "wrong: expired 30 s ago, at 2016-08-09T10:03:20.000Z (by this machine's clock)\n"
              "wrong: the signature does not come out with this SecretKey\n");
    EXPECT_EQ(said.code, 1);

    command = {.key = config::Secret(std::string(v4_key) + "\n"), .object = "other.jpg", .verify = true};
    command.authorization = v4_vector("single_effect_1");
    EXPECT_EQ(say(command, v4_now - 5s).out,
              "wrong: f= is another object than the one given\n"
              "ok: of single use, without an end\n"
              "wrong: signed 5 s ahead of this machine's clock\n"
              "ok: the signature comes out with this SecretKey\n"
              "wrong: key: the key given here has white space around it\n");

    // e is before t, and there is a file beside it.
    command = {.verify = true,
               .authorization =
                   "AAAAAAAAAAAAAAAAAAAAAAAAAABhPTEmYj0yJms9MyZlPTE0NzA3MzY5MzAmdD0xNDcwNzM2OTQwJnI9NCZmPS8xL"
                   "zIveA=="};
    EXPECT_EQ(say(command, v4_now).out,
              "wrong: expired 10 s ago, at 2016-08-09T10:02:10.000Z (by this machine's clock)\n"
              "wrong: it ends before it was signed\n"
              "wrong: it has both an object (f=) and an end (e=): COS takes one of them\n"
              "wrong: the signature was not checked, because no key was given: --key.file or --key.env\n");
}

}  // namespace
}  // namespace livecanary::daemon
