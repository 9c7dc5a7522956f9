// `livecanary sign callback`.
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "daemon/sign_command.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

// testdata/vectors.json, callback_sign.
constexpr const char* key = "testcallbackkey";
constexpr const char* t = "1700000600";
constexpr const char* sign = "b14d2c6e73da1e10af979c650f4b777c";
constexpr WallTime sent_at{std::chrono::seconds(1'700'000'000)};

struct Said {
    int code = 0;
    std::string out{};
    std::string err{};
};

Said say(const SignCallback& command, WallTime now = sent_at) {
    std::ostringstream out, err;
    const int code = sign_callback(out, err, command, now);
    return {code, out.str(), err.str()};
}

TEST(SignCallback, ExpiresInTenMinutesUnlessToldOtherwise) {
    const std::string vector = std::string(R"({"t":1700000600,"sign":")") + sign + "\"}\n";
    EXPECT_EQ(say({.key = config::Secret(key)}).out, vector);
    EXPECT_EQ(say({.key = config::Secret(key), .t = t}, WallTime{}).out, vector);
    EXPECT_EQ(say({.key = config::Secret(key), .lifetime = 0s}, sent_at + 10min).out, vector);
}

TEST(SignCallback, TIsATime) {
    for (const char* wrong : {"soon", "-1", "1.5", "0x5", "99999999999999999999"}) {
        const auto said = say({.key = config::Secret(key), .t = wrong});
        EXPECT_EQ(said.code, 2) << wrong;
        EXPECT_EQ(said.out, "");
        EXPECT_EQ(said.err, "livecanary: --t takes Unix seconds\n");
    }
}

struct VerifyCase {
    const char* name;
    const char* t;
    const char* sign;
    const char* key;
    const char* backup_key;
    WallTime now;
    const char* out;
    int code = 1;
};
void PrintTo(const VerifyCase& row, std::ostream* out) { *out << row.name; }

class VerifyCallback : public testing::TestWithParam<VerifyCase> {};

TEST_P(VerifyCallback, SaysEverythingThatDoesNotMatch) {
    const auto& c = GetParam();
    const auto said = say({.key = config::Secret(c.key),
                           .backup_key = config::Secret(c.backup_key),
                           .t = c.t,
                           .sign = c.sign,
                           .verify = true},
                          c.now);
    EXPECT_EQ(said.out, c.out);
    EXPECT_EQ(said.code, c.code);
    EXPECT_EQ(said.err, "");
}

const VerifyCase rows[] = {
    {"sound", t, sign, key, "", sent_at,
     "ok: valid until 2023-11-14T22:23:20.000Z\nok: sign comes out with the main key\n", 0},
    {"backup", t, sign, "other", key, sent_at,
     "ok: valid until 2023-11-14T22:23:20.000Z\nok: sign comes out with the backup key\n", 0},
    {"expired", t, sign, key, "", sent_at + 601s,
     "wrong: expired 1 s ago, at 2023-11-14T22:23:20.000Z (by this machine's clock)\n"
     "ok: sign comes out with the main key\n"},
    {"another_key", t, sign, "other", "", sent_at,
     "ok: valid until 2023-11-14T22:23:20.000Z\n"
     "wrong: sign does not come out with any key given: another key, or another t was hashed\n"},
    {"our_space", t, sign, "testcallbackkey ", "", sent_at,
     "ok: valid until 2023-11-14T22:23:20.000Z\nok: sign comes out with the main key\n"
     "wrong: key: the key given here has white space around it\n"},
    {"capitals", t, "B14D2C6E73DA1E10AF979C650F4B777C", key, "", sent_at,
     "ok: valid until 2023-11-14T22:23:20.000Z\nok: sign comes out with the main key\n"
     "wrong: case: sign is written with capitals\n"},
    {"nothing", "", "", key, "", sent_at, "wrong: there is no t\nwrong: there is no sign\n"},
    {"no_time", "soon", sign, key, "", sent_at,
     "wrong: t is not a time in Unix seconds\n"
     "wrong: sign does not come out with any key given: another key, or another t was hashed\n"},
    {"no_key", t, sign, "", "", sent_at,
     "ok: valid until 2023-11-14T22:23:20.000Z\n"
     "wrong: sign was not checked, because no key was given: --key.file or --key.env\n"},
};
INSTANTIATE_TEST_SUITE_P(, VerifyCallback, testing::ValuesIn(rows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace livecanary::daemon
