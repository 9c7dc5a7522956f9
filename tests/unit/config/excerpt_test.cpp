#include "config/excerpt.hpp"

#include <gtest/gtest.h>

namespace livecanary::config {
namespace {

struct Case {
    std::string_view line;
    std::uint32_t column;
    Place place;
    std::string_view shown;  // with ^ before the place of the mistake; empty: nothing
};

const Case cases[] = {
    // The value a mistake is about is shown, all others are not.
    {R"(interval = "30")", 12, Place::value, R"(interval = ^"30")"},
    {R"(port = 70000  # was 1935)", 8, Place::value, R"(port = ^70000)"},
    {R"(k = { a = "hunter2", b = 'hunter2', c = hunter2, d = 5 })", 54, Place::value,
     R"(k = { a = "***", b = "***", c = ***, d = ^5 })"},
    {R"(list = ["hunter2", "ftp://x", 12345])", 20, Place::value, R"(list = ["***", ^"ftp://x", ***])"},
    {R"(list = ["hunter2"])", 8, Place::value, R"(list = ^["***"])"},
    {R"(k = "\"hunter2", x = 5)", 18, Place::value, R"(k = "***", ^x = ***)"},
    {R"(名 = "中", z = 1)", 10, Place::value, R"(名 = "***", ^z = ***)"},
    {"\tport = 'x'", 9, Place::value, "\tport = ^'x'"},
    // Of a URL, the parts that can carry a key are not.
    {R"(url = "rtmp://u:hunter2@host/live/n?txSecret=hunter2")", 7, Place::value,
     R"(url = ^"rtmp://***@host/live/n?***")"},
    // A secret never is, in whatever form.
    {R"(push_key = "hunter2")", 12, Place::secret, R"(push_key = ^"***")"},
    {R"(push_key = 12345)", 12, Place::secret, R"(push_key = ^***)"},
    {R"(push_key = { file = "hunter2" })", 12, Place::secret, R"(push_key = ^***)"},
    {R"(push_key = ["hunter2"])", 12, Place::secret, R"(push_key = ^***)"},
    // What an unknown key is set to may be a secret.
    {R"(push_kye = "hunter2")", 1, Place::key, R"(^push_kye = ***)"},
    {R"(push_kye = [12345])", 1, Place::key, R"(^push_kye = ***)"},
    {R"(k = { a = "hunter2", vlaue = "hunter2" })", 22, Place::key, R"(k = { a = "***", ^vlaue = ***)"},
    {R"('a b' = "hunter2", vlaue = "hunter2")", 20, Place::key, R"('a b' = "***", ^vlaue = ***)"},
    // Tables.
    {R"([[probe]] # hunter2)", 1, Place::table, R"(^[[probe]])"},
    {R"(k = { value = "hunter2" })", 5, Place::table, R"(k = ^{ value = "***" })"},
    // What is not TOML.
    {R"(interval = 30s)", 14, Place::syntax, R"(interval = 30^s)"},
    {R"(push_key = hunter2)", 12, Place::syntax, R"(push_key = ^***)"},
    {R"(push_key = "hunter2)", 20, Place::syntax, R"(push_key = ***^)"},
    {R"(push_key = 'a' hunter2)", 16, Place::syntax, R"(push_key = ***^)"},
    {R"(hunter2)", 8, Place::syntax, ""},
    {R"("hunter2" = 5)", 8, Place::syntax, ""},
    {"k\x1b = hunter2", 2, Place::syntax, "k^? = ***"},
    // No place, no line.
    {"# hunter2", 1, Place::value, ""},
    {"", 5, Place::value, ""},
    {"x = 1", 0, Place::value, ""},
};

TEST(Excerpt, ShowsThePlaceAndNoSecret) {
    for (const Case& tested : cases) {
        const std::string text = "first = 1\r\n" + std::string(tested.line) + "\r\nlast = 2\n";
        const auto found = excerpt(text, {.file = "", .at = {2, tested.column}, .place = tested.place});
        std::string shown;
        if (found) {
            shown = found->line;
            std::size_t byte = 0;
            for (std::size_t seen = 0; byte < shown.size(); ++byte)
                if ((shown[byte] & 0xC0) != 0x80 && seen++ == found->caret) break;
            shown.insert(byte, "^");
        }
        EXPECT_EQ(shown, tested.shown) << tested.line;
        EXPECT_EQ(shown.find("hunter2"), std::string::npos) << tested.line;
    }
}

TEST(Excerpt, OfALineThatIsNotThereIsNothing) {
    EXPECT_FALSE(excerpt("x = 1", {.file = "", .at = {7, 1}}));
    EXPECT_FALSE(excerpt("", {.file = "", .at = {1, 1}}));
    EXPECT_FALSE(excerpt("x = '" + std::string(1000, 'x') + "'", {.file = "", .at = {1, 5}}));
}

TEST(Excerpt, WhateverTheColumnNothingBreaks) {
    for (const Case& tested : cases)
        for (const Place place : {Place::value, Place::secret, Place::key, Place::table, Place::syntax})
            for (std::uint32_t column = 1; column < 70; ++column) {
                const auto found = excerpt(tested.line, {.file = "", .at = {1, column}, .place = place});
                EXPECT_LE(found ? found->caret : 0, found ? found->line.size() : 0);
            }
}

TEST(Redact, LeavesOutWhoAndTheQuery) {
    EXPECT_EQ(redact("http://a.example/x"), "http://a.example/x");
    EXPECT_EQ(redact("http://u:p@a.example/x@y?k=v"), "http://***@a.example/x@y?***");
    EXPECT_EQ(redact("plain"), "plain");
}

}  // namespace
}  // namespace livecanary::config
