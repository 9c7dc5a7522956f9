#include "probes/protocol/redact.hpp"

#include <gtest/gtest.h>

#include <string>

namespace livecanary::protocol {
namespace {

// Made up, as everything secret in this file.
const std::string md5 = "0123456789abcdef0123456789abcdef";

TEST(Redact, ValuesBehindNamesThatSpeakOfASecret) {
    const std::pair<const char*, const char*> cases[] = {
        {"password=hunter2 next", "password=*** next"},
        {"passwd: hunter2, user: me", "passwd: ***, user: me"},
        {"dbPassword = 'hunter 2' and", "dbPassword = *** and"},
        {R"({"password":"hunter\"2","n":1})", R"({"password":***,"n":1})"},
        {R"({"refresh_token": "abc", "expires":86400})", R"({"refresh_token": ***, "expires":86400})"},
        {"[token] => abc", "[token] => ***"},
        {"'signKey' => 'abc',", "'signKey' => ***,"},
        {"live/room?txSecret=abc&txTime=5F000000", "live/room?txSecret=***&txTime=5F000000"},
        {"?sign=abc&t=1", "?sign=***&t=1"},
        {"API_KEY=abc;", "API_KEY=***;"},
        {"Liteav-Sig: abc", "Liteav-Sig: ***"},
        {"q-signature=abc&q-ak=x", "q-signature=***&q-ak=x"},
        {"Authorization: Bearer abc def", "Authorization: ***"},
        {"-H 'Authorization: q-sign-algorithm=sha1&q-ak=x' http", "-H 'Authorization: ***' http"},
        {"Set-Cookie: a=b; c=d", "Set-Cookie: ***"},
        {"userSig=eJx", "userSig=***"},
        {"token: 'never closed", "token: ***"},
    };
    for (const auto& [line, shown] : cases) EXPECT_EQ(redact(line), shown);
}

TEST(Redact, SecretsByTheirShape) {
    const std::string sha1 = md5 + "01234567";
    EXPECT_EQ(redact("check_sign error:" + md5 + ":" + md5), "check_sign error:***:***");
    EXPECT_EQ(redact("got " + sha1 + "."), "got ***.");
    EXPECT_EQ(redact("prefix_" + md5 + "_x"), "prefix_***_x");
    EXPECT_EQ(redact("x" + md5), "x***") << "in the middle of a word";
    EXPECT_EQ(redact(md5.substr(1)), md5.substr(1)) << "31 digits sign nothing";
    const std::string key = "AbCdEfGhIjKlMnOpQrStUvWxYz012345";
    EXPECT_EQ(redact("key is " + key + " here"), "key is *** here");
    EXPECT_EQ(redact(key + key + "=="), "***");
    EXPECT_EQ(redact("eJw" + key + "*-" + key + "_"), "***");
    EXPECT_EQ(redact("id AKIDabcdefghij0123456789 here"), "id *** here");
    EXPECT_EQ(redact("mysql://live_user:live_pwd@127.0.0.1/live"), "mysql://live_user:***@127.0.0.1/live");
    EXPECT_EQ(redact("http://127.0.0.1:80/a@b"), "http://127.0.0.1:80/a@b");
    EXPECT_EQ(redact("#0 DB.php(33): mysqli->__construct('127.0.0.1', 'live_user', 'live_pwd') #1"),
              "#0 DB.php(33): mysqli->__construct(***) #1");
    EXPECT_EQ(redact("Redis->auth('abc'"), "Redis->auth(***)");
}

TEST(Redact, WhatTellsTheCauseStays) {
    for (const char* line : {
             "Access denied for user 'live_user'@'localhost' (using password: YES)",
             "Access denied for user 'live_user'@'localhost' (using password: NO)",
             "Access denied for user 'live_user'@'%' to database 'live_demo'",
             "Duplicate entry 'user-1-file' for key 'PRIMARY'",
             "tape duration too short:59",
             "PHP Fatal error:  Uncaught Error: Undefined constant \"EC_SYSTEM_INVALID_SIGN\" in "
             "/data/live_demo_service/callback/tape_callback.php:44",
             "updateRoom error :You have an error in your SQL syntax; check the manual",
             "2026-11-21 10:00:00 [error] 12#12: *3 connect() failed (111: Connection refused)",
             "/data/live_demo_service/log/mysql_error20261121.log.php",
             "Sign::check() called",
             "Incorrect string value: '\\xF0\\x9F' for column 'title' at row 1",
             "Invalid Token",
             "",
         })
        EXPECT_EQ(redact(line), line);
    const std::string gbk = "\xC3\xDC\xC2\xEB: \xFF\x80 end";
    EXPECT_EQ(redact(gbk), gbk);
}

// A line may be long, and made to hurt.
TEST(Redact, AnyBytesWhole) {
    for (const std::string piece :
         {"a=", "a+", "+", "token=", "://", "\"", "key:", "0a", "A1b", "(", "auth(", "token"}) {
        std::string line;
        while (line.size() < 64 * 1024) line += piece;
        const std::string shown = redact(line);
        EXPECT_LE(shown.size(), 3 * line.size());
        EXPECT_EQ(redact(shown), shown) << "nothing is left to hide: " << piece;
    }
    std::string all;
    for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
    EXPECT_FALSE(redact(all).empty());
}

}  // namespace
}  // namespace livecanary::protocol
