// `sign usersig`: what it prints, and what it finds wrong.
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

constexpr WallTime made{std::chrono::seconds(1700000000)};

struct Said {
    int code = 0;
    std::string out{};
    std::string err{};
};
Said say(const SignUserSig& command, WallTime now = made + 1h) {
    std::ostringstream out, err;
    const int code = sign_user_sig(out, err, command, now);
    return {code, out.str(), err.str()};
}

std::string vector_text(const char* name) {
    std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return std::string(boost::json::parse(text).at("user_sig").as_array().at(0).at(name).as_string());
}

const char* const key = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

SignUserSig to_verify() {
    SignUserSig command;
    command.identifier = "probe01";
    command.sdkappid = 1400000000;
    command.key = config::Secret(key);
    command.verify = true;
    command.user_sig = config::Secret(vector_text("user_sig"));
    return command;
}

TEST(SignUserSig, WhatItSignsItFindsSound) {
    SignUserSig command = to_verify();
    command.verify = false;
    command.lifetime = 24h;
    const Said signed_now = say(command, made);
    EXPECT_EQ(signed_now.code, 0) << signed_now.err;
    ASSERT_TRUE(signed_now.out.ends_with('\n'));
    command.verify = true;
    command.user_sig = config::Secret(signed_now.out.substr(0, signed_now.out.size() - 1));
    const Said said = say(command);
    EXPECT_EQ(said.code, 0);
    EXPECT_EQ(said.out,
              "ok: of SDKAppID 1400000000, made at 2023-11-14T22:13:20.000Z\n"
              "ok: valid until 2023-11-15T22:13:20.000Z\n"
              "ok: its signature comes out with this key\n");
}

TEST(SignUserSig, VerifiesTheVendorsOwn) {
    const Said said = say(to_verify());
    EXPECT_EQ(said.code, 0) << said.out;
    EXPECT_EQ(said.err, "");
}

TEST(SignUserSig, SaysWhatIsWrong) {
    SignUserSig command = to_verify();
    command.identifier = "probe02";
    command.sdkappid = 1400000001;
    command.key = config::Secret("another");
    EXPECT_EQ(say(command, made + 25h).out,
              "ok: of SDKAppID 1400000000, made at 2023-11-14T22:13:20.000Z\n"
              "wrong: it is for another identifier than the one given\n"
              "wrong: it is of another SDKAppID than the one given\n"
              "wrong: expired 3600 s ago, at 2023-11-15T22:13:20.000Z (by this machine's clock)\n"
              "wrong: its signature does not come out with this key: another key, or another SDKAppID's\n");
    EXPECT_EQ(say(command).code, 1);
    command = to_verify();
    command.key = config::Secret(std::string(key) + " ");
    EXPECT_TRUE(say(command).out.ends_with("wrong: key: the key given here has white space around it\n"));
    EXPECT_TRUE(say(command, made - 5s).out.find("wrong: made 5 s ahead of this machine's clock\n") !=
                std::string::npos);
    command.key = {};
    EXPECT_TRUE(say(command).out.ends_with(
        "wrong: its signature was not checked, because no key was given: --key.file or --key.env\n"));
}

TEST(SignUserSig, WhatCannotBeReadIsWrong) {
    SignUserSig command = to_verify();
    command.user_sig = config::Secret("eJyrVg");
    const Said said = say(command);
    EXPECT_EQ(said.code, 1);
    EXPECT_EQ(said.out, "wrong: the UserSig is not base64 of its alphabet\n");
}

TEST(SignUserSig, WantsWhatItNeeds) {
    SignUserSig command = to_verify();
    command.user_sig = {};
    EXPECT_EQ(say(command).err, "livecanary: --verify needs --user-sig.file or --user-sig.env\n");
    command.verify = false;
    command.sdkappid = 0;
    EXPECT_EQ(say(command).code, 2);
    EXPECT_EQ(say(command).err, "livecanary: --identifier and --sdkappid are needed\n");
}

}  // namespace
}  // namespace livecanary::daemon
