// `livecanary sign cdn`.
#include "daemon/sign_command.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

// The worked examples of Tencent Cloud's documents on CDN authentication (testdata/vectors.json, cdn_auth).
constexpr const char* key = "dimtm5evg50ijsx2hvuwyfoiu65";
constexpr const char* bare = "http://cloud.tencent.com/test.jpg";
constexpr const char* type_d =
    "http://cloud.tencent.com/test.jpg?sign=900a5049aa8ac1ab144527d9c2be4cea&t=1582791032";
constexpr WallTime signed_at{std::chrono::seconds(1582791032)};

struct Said {
    int code = 0;
    std::string out{};
    std::string err{};
};

Said say(const SignCdn& command, WallTime now = signed_at) {
    std::ostringstream out, err;
    const int code = sign_cdn(out, err, command, now);
    return {code, out.str(), err.str()};
}

SignCdn of_type(const char* type, std::string url = bare) {
    return {.url = std::move(url), .type = type, .key = config::Secret(key)};
}

TEST(SignCdn, AgreesWithTheDocuments) {
    auto a = of_type("A");
    a.rand = "im1acp76sx9sdqe601v";
    EXPECT_EQ(say(a).out,
              "http://cloud.tencent.com/test.jpg?sign=1582791032-im1acp76sx9sdqe601v-0-"
              "3fbb88382c9356b6faaf9d68c7b2ae3a\n");
    EXPECT_EQ(say(of_type("B")).out,
              "http://cloud.tencent.com/202002271610/2e03a07cfa55a47768226d3e5ea82a8d/test.jpg\n");
    EXPECT_EQ(say(of_type("C"), WallTime(std::chrono::seconds(0x5e577978))).out,
              "http://cloud.tencent.com/7913fc0c5c9e92dd3633b7895152bbb2/5e577978/test.jpg\n");
    EXPECT_EQ(say(of_type("D")).out, std::string(type_d) + "\n");
    auto c = of_type("C");
    c.time_first = true;
    c.time_format = "decimal";
    EXPECT_EQ(say(c).out, "http://cloud.tencent.com/ea68b93ac23ebbc6eebf7f163c6e9c4c/1582791032/test.jpg\n");
}

TEST(SignCdn, DoesAsToldAndVerifiesIt) {
    auto d = of_type("D");
    d.sha256 = true;
    d.time_format = "hex";
    d.sign_parameter = "s";
    d.time_parameter = "when";
    const auto said = say(d);
    EXPECT_TRUE(said.out.starts_with("http://cloud.tencent.com/test.jpg?s="));
    EXPECT_TRUE(said.out.ends_with("&when=5e577978\n"));
    d.url = said.out.substr(0, said.out.size() - 1);
    d.verify = true;
    EXPECT_EQ(say(d).out,
              "ok: of type D\n"
              "ok: valid until 2020-02-27T08:40:32.000Z\n"
              "ok: the digest comes out with the main key\n");
}

TEST(SignCdn, WrongUsageIsTwoAndSaysWhy) {
    const auto err = [](const SignCdn& command) {
        const auto said = say(command);
        EXPECT_EQ(said.code, 2);
        EXPECT_EQ(said.out, "");
        return said.err;
    };
    EXPECT_EQ(err(of_type("A", "h/a")), "livecanary: the URL is not of the form http[s]://host/path: h/a\n");
    EXPECT_EQ(err(of_type("D", type_d)),
              "livecanary: a URL with a query cannot be signed for the CDN: "
              "http://cloud.tencent.com/test.jpg?sign=900a…&t=1582791032\n");
    auto verify = of_type("D", "http://h/头.jpg");
    verify.verify = true;
    EXPECT_EQ(err(verify),
              "livecanary: the URL holds '#', or a byte that must be percent-encoded: http://h/头.jpg\n");
    auto rand = of_type("A");
    rand.rand = "a-b";
    EXPECT_EQ(err(rand),
              std::string("livecanary: rand and uid take letters and digits only: ") + bare + "\n");
}

struct VerifyCase {
    const char* name;
    const char* type;
    std::string url;
    const char* main_key;
    const char* backup_key;
    WallTime now;
    std::string_view out;
    int code = 1;
};

class VerifyCdn : public testing::TestWithParam<VerifyCase> {};

TEST_P(VerifyCdn, SaysEverythingThatDoesNotMatch) {
    const auto& c = GetParam();
    const auto said = say({.url = c.url,
                           .type = c.type,
                           .key = config::Secret(c.main_key),
                           .backup_key = config::Secret(c.backup_key),
                           .verify = true},
                          c.now);
    EXPECT_EQ(said.out, c.out);
    EXPECT_EQ(said.code, c.code);
    EXPECT_EQ(said.err, "");
    EXPECT_EQ(said.out.find(key), std::string::npos);
    EXPECT_EQ(said.out.find("900a5049aa8ac1ab144527d9c2be4cea"), std::string::npos);
}

const VerifyCase verify[] = {
    {"sound", "D", type_d, key, "", signed_at,
     "ok: of type D\n"
     "ok: valid until 2020-02-27T08:40:32.000Z\n"
     "ok: the digest comes out with the main key\n",
     0},
    {"by_the_backup_key", "D", type_d, "another", key, signed_at,
     "ok: of type D\n"
     "ok: valid until 2020-02-27T08:40:32.000Z\n"
     "ok: the digest comes out with the backup key\n",
     0},
    {"by_the_backup_key_alone", "D", type_d, "", key, signed_at,
     "ok: of type D\n"
     "ok: valid until 2020-02-27T08:40:32.000Z\n"
     "ok: the digest comes out with the backup key\n",
     0},
    {"expired", "D", type_d, key, "", signed_at + 30min + 90s,
     "ok: of type D\n"
     "wrong: expired 90 s ago, at 2020-02-27T08:40:32.000Z (by this machine's clock)\n"
     "ok: the digest comes out with the main key\n"},
    {"ahead", "D", type_d, key, "", signed_at - 60s,
     "ok: of type D\n"
     "wrong: signed 60 s ahead of this machine's clock\n"
     "ok: valid until 2020-02-27T08:40:32.000Z\n"
     "ok: the digest comes out with the main key\n"},
    {"wrong_key", "D", type_d, "another", "", signed_at,
     "ok: of type D\n"
     "ok: valid until 2020-02-27T08:40:32.000Z\n"
     "wrong: the digest comes out with no key given: another key, or another path was hashed\n"},
    {"without_a_key_not_all_is_checked", "D", type_d, "", "", signed_at,
     "ok: of type D\n"
     "ok: valid until 2020-02-27T08:40:32.000Z\n"
     "wrong: the digest was not checked, because no key was given: --key.file or --key.env\n"},
    {"another_type", "A", type_d, key, "", signed_at,
     "wrong: signed for type D, not A\n"
     "ok: valid until 2020-02-27T08:40:32.000Z\n"
     "ok: the digest comes out with the main key\n"},
    {"the_other_order_of_type_c", "C",
     "http://cloud.tencent.com/ea68b93ac23ebbc6eebf7f163c6e9c4c/1582791032/test.jpg", key, "", signed_at,
     "ok: of type C\n"
     "wrong: the time is written in another form than the domain is set to\n"
     "ok: valid until 2020-02-27T08:40:32.000Z\n"
     "ok: the digest comes out with the main key\n"
     "wrong: order: path and time were hashed the other way round\n"},
    {"sha256", "D",
     "http://cloud.tencent.com/"
     "test.jpg?sign=00000000000000000000000000000000000000000000000000000000000000ff&t=x&t=1&w=1",
     key, "", signed_at,
     "ok: of type D\n"
     "wrong: the time is written in another form than the domain is set to\n"
     "wrong: hashed with SHA-256, not MD5\n"
     "wrong: a parameter of the signature stands there twice\n"
     "wrong: there is a query beside the signature, which the CDN does not support\n"
     "wrong: its time cannot be read\n"
     "wrong: the digest comes out with no key given: another key, or another path was hashed\n"},
    {"capitals", "D", "http://cloud.tencent.com/test.jpg?sign=900A5049AA8AC1AB144527D9C2BE4CEA&t=1582791032",
     key, "", signed_at,
     "ok: of type D\n"
     "ok: valid until 2020-02-27T08:40:32.000Z\n"
     "ok: the digest comes out with the main key\n"
     "wrong: case: the digest is written with capitals\n"},
    {"stray_space_of_ours", "D", type_d, "dimtm5evg50ijsx2hvuwyfoiu65 ", "", signed_at,
     "ok: of type D\n"
     "ok: valid until 2020-02-27T08:40:32.000Z\n"
     "ok: the digest comes out with the main key\n"
     "wrong: key: the key given here has white space around it\n"},
    {"unsigned", "B", bare, key, "", signed_at,
     "wrong: there is no signature of type B, nor of another type\n"},
};
INSTANTIATE_TEST_SUITE_P(SignCdn, VerifyCdn, testing::ValuesIn(verify),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace livecanary::daemon
