#include "daemon/redact.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <array>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

namespace livecanary::daemon {
namespace {

Redactor redactor_of(const std::vector<std::pair<std::string, std::string>>& secrets) {
    std::vector<NamedSecret> named;
    for (const auto& [name, value] : secrets) named.push_back({name, config::Secret(value)});
    return Redactor(std::move(named));
}

std::string hex(const std::string& text, const char* digits = "0123456789abcdef") {
    std::string out;
    for (const char c : text) {
        out += digits[static_cast<unsigned char>(c) >> 4U];
        out += digits[static_cast<unsigned char>(c) & 15U];
    }
    return out;
}

std::string percent(const std::string& text, bool all, const char* digits = "0123456789ABCDEF") {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '_' || c == '.' || c == '~';
        if (plain && !all)
            out += c;
        else
            out += '%' + hex(std::string(1, c), digits);
    }
    return out;
}

std::string base64(const std::string& text) {
    std::string coded((text.size() + 2) / 3 * 4 + 1, '\0');
    const int size =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(coded.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    coded.resize(static_cast<std::size_t>(size));
    return coded;
}

std::string url_safe(std::string text) {
    for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
    while (text.ends_with('=')) text.pop_back();
    return text;
}

std::string json_text(const std::string& text) {
    const std::string quoted = boost::json::serialize(boost::json::value(boost::json::string(text)));
    return quoted.substr(1, quoted.size() - 2);
}

std::string json_numbers(const std::string& text) {
    std::string out;
    for (const char c : text) out += "\\u00" + hex(std::string(1, c));
    return out;
}

std::string entities(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '"')
            out += "&quot;";
        else if (c == '\'')
            out += "&#39;";
        else
            out += c;
    }
    return out;
}

std::string digest(const EVP_MD* which, const std::string& text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), out.data(), &size, which, nullptr);
    std::string bytes;
    for (unsigned i = 0; i < size; ++i) bytes += static_cast<char>(out[i]);
    return hex(bytes);
}

std::string broken(const std::string& text, const std::string& how) {
    return text.substr(0, text.size() / 2) + how + text.substr(text.size() / 2);
}

struct Encoding {
    const char* name;
    std::function<std::string(const std::string&)> encode;
};

const std::vector<Encoding>& encodings() {
    static const std::vector<Encoding> all{
        {"plain", [](const std::string& s) { return s; }},
        {"percent", [](const std::string& s) { return percent(s, false); }},
        {"percent, lower case", [](const std::string& s) { return percent(s, false, "0123456789abcdef"); }},
        {"percent, each byte", [](const std::string& s) { return percent(s, true); }},
        {"percent, twice", [](const std::string& s) { return percent(percent(s, false), false); }},
        {"JSON", json_text},
        {"JSON, by numbers", json_numbers},
        {"JSON in JSON", [](const std::string& s) { return json_text(json_text(s)); }},
        {"JSON, three deep", [](const std::string& s) { return json_text(json_text(json_text(s))); }},
        {"percent in JSON in JSON",
         [](const std::string& s) { return json_text(json_text(percent(s, false))); }},
        {"HTML", entities},
        {"HTML in JSON", [](const std::string& s) { return json_text(entities(s)); }},
        {"hexadecimal", [](const std::string& s) { return hex(s); }},
        {"hexadecimal, capital", [](const std::string& s) { return hex(s, "0123456789ABCDEF"); }},
        {"base64", base64},
        {"base64, first of more", [](const std::string& s) { return base64(s + ":tail"); }},
        {"base64, second byte", [](const std::string& s) { return base64("u" + s); }},
        {"base64, third byte", [](const std::string& s) { return base64("u:" + s + "zz"); }},
        {"base64, within a word", [](const std::string& s) { return "abc" + base64("user:" + s) + "xyz"; }},
        {"base64, URL-safe", [](const std::string& s) { return url_safe(base64("ab" + s)); }},
        {"base64 in percent", [](const std::string& s) { return percent(base64(s), false); }},
        {"base64 of JSON", [](const std::string& s) { return base64("{\"key\":\"" + json_text(s) + "\"}"); }},
        {"hexadecimal of JSON",
         [](const std::string& s) { return hex("{\"key\":\"" + json_text(s) + "\"}"); }},
        {"over two lines", [](const std::string& s) { return broken(s, "\n"); }},
        {"over two lines of a string", [](const std::string& s) { return broken(s, "\\\n    "); }},
        {"over two lines of a comment", [](const std::string& s) { return broken(s, "\r\n  # "); }},
        {"over two lines in JSON", [](const std::string& s) { return broken(json_text(s), "\\n"); }},
        {"UTF-16",
         [](const std::string& s) {
             std::string wide;
             for (const char c : s) (wide += c) += '\0';
             return wide;
         }},
        {"MD5", [](const std::string& s) { return digest(EVP_md5(), s); }},
        {"SHA-1", [](const std::string& s) { return digest(EVP_sha1(), s); }},
        {"SHA-256", [](const std::string& s) { return digest(EVP_sha256(), s); }},
    };
    return all;
}

void expect_hidden(const std::string& secret) {
    const Redactor redactor = redactor_of({{"push-main.push_key", secret}});
    for (const auto& encoding : encodings()) {
        SCOPED_TRACE(std::string(encoding.name) + " of " + secret);
        const std::string coded = encoding.encode(secret);
        const std::string before = "2026-11-28 [info] sent ", after = " and went on";
        const std::string text = before + coded + after;
        ASSERT_FALSE(redactor.found_in(text).empty());
        const std::string clean = redactor.text(text, Words::ours);
        EXPECT_EQ(clean.find(coded), std::string::npos) << clean;
        EXPECT_TRUE(redactor.found_in(clean).empty()) << clean;
        EXPECT_TRUE(clean.starts_with(before)) << clean;
        EXPECT_TRUE(clean.ends_with(after)) << clean;
        EXPECT_NE(clean.find("[redacted push-main.push_key 1]"), std::string::npos) << clean;
        EXPECT_EQ(std::count(clean.begin(), clean.end(), '\n'), std::count(text.begin(), text.end(), '\n'));
    }
}

TEST(Redact, ASecretInEachOfItsForms) { expect_hidden("s3cr3t/Key+with%=&\"'<>"); }

TEST(Redact, RandomSecretsInEachOfTheirForms) {
    std::mt19937_64 random(20261128);
    for (int i = 0; i < 60; ++i) {
        std::string secret;
        const auto size = std::uniform_int_distribution<int>(6, 48)(random);
        for (int at = 0; at < size; ++at) {
            // All of ASCII that is printed but '#' and '>', which continue a comment and a quotation.
            char c = 0;
            do {
                c = static_cast<char>(std::uniform_int_distribution<int>('!', '~')(random));
            } while (c == '#' || c == '>' || c == '\\');
            secret += c;
        }
        expect_hidden(secret);
        if (testing::Test::HasFailure()) break;
    }
}

TEST(Redact, BytesOfAnyKindAndBackslashes) {
    for (const std::string& secret : {std::string("\x01\xff\x00\x80key", 7), std::string("a\\b\\\\c\"d"),
                                      std::string("密钥密钥"), std::string("two words")}) {
        const Redactor redactor = redactor_of({{"k", secret}});
        for (const std::string& text :
             {secret, json_text(secret), percent(secret, true), base64(secret), hex(secret)}) {
            const std::string clean = redactor.text("(" + text + ")", Words::ours);
            EXPECT_EQ(clean, "([redacted k 1])") << text;
        }
    }
    EXPECT_EQ(redactor_of({{"k", "two words"}}).text("p=two+words&", Words::ours), "p=[redacted k 1]&");
}

TEST(Redact, EachLineOfAPrivateKey) {
    const Redactor redactor =
        redactor_of({{"im.key",
                      "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END "
                      "PRIVATE KEY-----"}});
    EXPECT_EQ(redactor.text("x AgEGCCqGSM49AwEHBG0w y", Words::ours), "x [redacted im.key 1] y");
}

TEST(Redact, ShortOnesWhereTheyStandAlone) {
    const Redactor redactor = redactor_of({{"db.password", "abc"}});
    EXPECT_EQ(redactor.uncertain(), std::vector<std::string>{"db.password"});
    EXPECT_EQ(redactor.text("password=abc&x=\"abc\" abcd cabc", Words::ours),
              "password=[redacted db.password 1]&x=\"[redacted db.password 1]\" abcd cabc");
    EXPECT_TRUE(redactor.found_in("the alphabet: abcd").empty());
    // A marker that held it would be found for ever.
    const Redactor digit = redactor_of({{"one", "1"}});
    EXPECT_EQ(digit.text("port 1 of v0.1.0", Words::ours), "port [redacted] of v0.1.0");
    EXPECT_TRUE(digit.found_in("[redacted] of v0.1.0").empty());
}

TEST(Redact, MarkersHoldNoSecret) {
    const Redactor redactor = redactor_of({{"a", "redacted"}, {"hunter2", "hunter2"}, {"b", "[###]!"}});
    const std::string clean = redactor.text("redacted hunter2 [###]!", Words::ours);
    EXPECT_TRUE(redactor.found_in(clean).empty()) << clean;
    EXPECT_EQ(clean.find("redacted"), std::string::npos);
}

TEST(Redact, TheBeginningOfOneThatWasCut) {
    const std::string secret = "s3cr3t/Key+with=more of it";
    const Redactor redactor = redactor_of({{"k", secret}, {"short", "a.b"}});
    for (const std::string& left : {secret.substr(0, 15), json_text(secret).substr(0, 12),
                                    base64(secret).substr(0, 20), hex(secret).substr(0, 9)})
        for (const char* mark : {"...", "…", " [cut]"}) {
            const std::string text = "'live', '" + left + mark + "', 'db'";
            EXPECT_EQ(redactor.text(text, Words::ours),
                      std::string("'live', '[redacted k 1]") + mark + "', 'db'");
            EXPECT_FALSE(redactor.found_in(text).empty());
        }
    // Fewer cannot be told from a word, and what nobody cut is whole.
    for (const std::string text : {"s3cr3...", "s3cr3t/Key, and so on...", "....", "...", "a... [cut]…"})
        EXPECT_EQ(redactor.text(text, Words::ours), text);
    std::string dots(300'000, '.');
    EXPECT_TRUE(redactor.found_in(dots).empty());
}

TEST(Redact, OneValueOneMarker) {
    const Redactor redactor =
        redactor_of({{"a.key", "the-same-value"}, {"b.key", "the-same-value"}, {"c", ""}});
    EXPECT_EQ(redactor.text("the-same-value", Words::ours), "[redacted a.key 1]");
}

TEST(Redact, OverlappingSecretsLeaveNoRest) {
    const Redactor redactor =
        redactor_of({{"a", "secretsecret"}, {"b", "cretsecretXY"}, {"c", "secretsecretsecret"}});
    for (const std::string text : {"secretsecretXY", "secretsecretsecretXY", "xsecretsecretx"}) {
        const std::string clean = redactor.text(text, Words::ours);
        EXPECT_TRUE(redactor.found_in(clean).empty()) << clean;
        EXPECT_EQ(clean.find("cret"), clean.find("[") == std::string::npos ? 0 : std::string::npos) << clean;
    }
}

struct Shaped {
    const char* text;
    const char* hidden;  ///< must not be left
};

class RedactShapes : public testing::TestWithParam<Shaped> {};

TEST_P(RedactShapes, AreKnownWithoutBeingConfigured) {
    Redactor redactor({});
    const std::string text = GetParam().text;
    redactor.learn(text, Words::foreign);
    const std::string clean = redactor.text(text, Words::foreign);
    EXPECT_EQ(clean.find(GetParam().hidden), std::string::npos) << clean;
    EXPECT_NE(clean.find("[redacted "), std::string::npos) << clean;
}

INSTANTIATE_TEST_SUITE_P(
    Each, RedactShapes,
    testing::Values(
        Shaped{"rtmp://h/live/s?txSecret=3f2a9c0b1d4e5f60718293a4b5c6d7e8&txTime=6A1B2C3D", "3f2a9c0b"},
        Shaped{"url=rtmp%3A%2F%2Fh%2Flive%2Fs%3FtxSecret%3D3f2a9c0b1d4e%26txTime%3D6A", "3f2a9c0b1d4e"},
        Shaped{"{\"sign\":\"aabbccdd\",\"t\":1}", "aabbccdd"},
        Shaped{"{\\\"token\\\":\\\"Tk-11223344\\\"}", "Tk-11223344"},
        Shaped{"Authorization: q-sign-algorithm=sha1&q-ak=AKIDx&q-signature=00ff", "q-signature=00ff"},
        Shaped{"authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"},
        Shaped{"Set-Cookie: PHPSESSID=abc123; path=/", "abc123"},
        Shaped{"[token] => 0011aa22bb", "0011aa22bb"}, Shaped{"#password = \"hunter22\"", "hunter22"},
        Shaped{"mysql://live:pa55w0rd@db/live_demo", "pa55w0rd"},
        Shaped{"#0 /srv/db.php(12): mysqli->__construct('127.0.0.1', 'live', 'pa55w0rd', 'live_demo')",
               "pa55w0rd"},
        Shaped{"#1 /srv/db.php(9): PDO->__construct('mysql:host=db', 'live', 'pa55w0rd')", "pa55w0rd"},
        Shaped{"push_key = \"ab&cd;efgh,ij)kl\"  # spare", "efgh"},
        Shaped{"'password' => 'ab&cd;ef gh'", "ef gh"},
        Shaped{"body {\\\"secretKey\\\":\\\"ab,cdefgh\\\"}", "cdefgh"},
        Shaped{"<Error><SignatureProvided>00ff11ee</SignatureProvided></Error>", "00ff11ee"},
        Shaped{"passphrase: open sesame", "open"},
        Shaped{"ak AKIDz8krbsJ5yKBZQpn74WFkmLPx3", "AKIDz8krbsJ5yKBZQpn74WFkmLPx3"},
        Shaped{"jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF123-_ end", "eyJzdWIiOiIxIn0"},
        Shaped{"alice = \"$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\"",
               "N9qo8uLOickgx2ZM"},
        Shaped{"http://h/p.jpg?sign=1600000000-0-0-5d41402abc4b2a76b9719d911017c592", "5d41402abc4b"},
        Shaped{"http://h/202611281200/5d41402abc4b2a76b9719d911017c592/p.jpg", "5d41402abc4b"},
        Shaped{"check_sign error: 5d41402abc4b2a76b9719d911017c592", "5d41402abc4b"},
        Shaped{"userSig eJwtzM0KgkAUhuF7mW3hHOdHR2hhkQVFizYSbYSZ4WiJ-TSJ0b2n1rL3*2DPS", "eJwtzM0KgkAUhuF7"},
        Shaped{"-----BEGIN RSA PRIVATE KEY-----\nMIIC\n-----END RSA PRIVATE KEY-----", "MIIC"},
        Shaped{"user called from +86 13912345678.", "13912345678"}));

TEST(Redact, ATokenSeenOnceIsKnownWhereItStandsAlone) {
    Redactor redactor({});
    const std::string named = "login ok, token=Zq81mmAA20xx9", alone = "GET /x/Zq81mmAA20xx9 HTTP/1.1";
    redactor.learn(named, Words::foreign);
    EXPECT_EQ(redactor.text(named, Words::foreign), "login ok, token=[redacted token 1]");
    EXPECT_EQ(redactor.text(alone, Words::ours), "GET /x/[redacted token 1] HTTP/1.1");
    EXPECT_EQ(redactor.found_in(alone), std::vector<std::string>{"token"});
}

TEST(Redact, ATokenThatReadsLikeAMarkerIsNoReasonToGiveUp) {
    Redactor redactor = redactor_of({{"push-main22.push_key", "the-push-key"}});
    for (const std::string text : {"password=\"push-main22.push_key\"", "password=\"push-main22.push_key 1\"",
                                   "password=\"redacted token 33\""}) {
        redactor.learn(text, Words::foreign);
        const std::string clean = redactor.text(text + " the-push-key", Words::foreign);
        EXPECT_TRUE(redactor.found_in(clean).empty()) << clean;
        EXPECT_NE(clean.find("\"[redacted "), std::string::npos) << clean;
    }
}

TEST(Redact, WhatIsNoSecretStays) {
    Redactor redactor(std::vector<NamedSecret>{});
    const std::string id = "NjQxYjJjM2RfNGU1ZjYwNzE4MjkzYTRiNWM2ZDdlOF8xMjM0";
    redactor.keep(id);
    for (const std::string& text :
         {"x-cos-request-id " + id, std::string("push_key = { credential = \"push-key\" }"),
          std::string("signature_lifetime = \"10m\""), std::string("Access denied (using password: YES)"),
          std::string("interval = \"30s\" # every 30 s"),
          std::string("checks = [\"secrets_hidden\", \"cos_sign\"]"),
          std::string("2026-11-28 14:03:07 +08:00 t=1764310000 X-NWS-LOG-UUID 14523459872345987234")}) {
        redactor.learn(text, Words::foreign);
        EXPECT_EQ(redactor.text(text, Words::foreign), text);
    }
    // In our own words long digits are checksums and ids.
    for (const std::string text : {"etag \"5d41402abc4b2a76b9719d911017c592\"",
                                   "SignatureDoesNotMatch: The request signature differs"})
        EXPECT_EQ(redactor.text(text, Words::ours), text);
}

TEST(Redact, AKeptIdDoesNotShieldASecret) {
    Redactor redactor = redactor_of({{"key", "inside-the-id"}});
    redactor.keep("put-inside-the-id-0000");
    EXPECT_EQ(redactor.text("put-inside-the-id-0000", Words::ours), "put-[redacted key 1]-0000");
}

TEST(Redact, LargeTextsTakeLinearTime) {
    const Redactor redactor = redactor_of({{"key", "not-in-there-at-all"}});
    std::string blanks(300'000, ' '), digits(300'000, 'a'), signs(300'000, '%');
    for (const auto* text : {&blanks, &digits, &signs}) EXPECT_TRUE(redactor.found_in(*text).empty());
}

}  // namespace
}  // namespace livecanary::daemon
