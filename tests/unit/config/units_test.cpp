#include "config/units.hpp"

#include <gtest/gtest.h>

namespace livecanary::config {
namespace {

using namespace std::chrono_literals;

TEST(Duration, NumbersWithUnitsLargerFirst) {
    EXPECT_EQ(parse_duration("250ms"), 250ms);
    EXPECT_EQ(parse_duration("5s"), 5s);
    EXPECT_EQ(parse_duration("1m30s"), 90s);
    EXPECT_EQ(parse_duration("90m"), 90min);
    EXPECT_EQ(parse_duration("1d2h3m4s5ms"), 26h + 3min + 4s + 5ms);
    EXPECT_EQ(parse_duration("7d"), 168h);
    EXPECT_EQ(parse_duration("0s"), 0s);
}

TEST(Duration, AnythingElseIsNone) {
    for (const char* text :
         {"", "5", "s", "5 s", " 5s", "5s ", "-5s", "+5s", "1.5s", "30s1m", "1s1s", "5S", "5w", "5µs", "5sm",
          "99999999999999999999s", "18446744073709551615ms", "99999999d", "36601d"})
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(Duration, PrintsAsItIsRead) {
    EXPECT_EQ(format_duration(0ms), "0s");
    EXPECT_EQ(format_duration(60s), "1m");
    EXPECT_EQ(format_duration(90'250ms), "1m30s250ms");
    for (const char* text : {"250ms", "5s", "1m30s", "1h", "7d", "1d2h3m4s5ms"})
        EXPECT_EQ(format_duration(parse_duration(text).value()), text);
}

TEST(Size, ANumberWithAUnit) {
    EXPECT_EQ(parse_size("512B"), 512);
    EXPECT_EQ(parse_size("64KiB"), 65'536);
    EXPECT_EQ(parse_size("1MiB"), 1'048'576);
    EXPECT_EQ(parse_size("2GiB"), 2'147'483'648);
    EXPECT_EQ(parse_size("10kB"), 10'000);
    EXPECT_EQ(parse_size("10KB"), 10'000);
    EXPECT_EQ(parse_size("10MB"), 10'000'000);
    EXPECT_EQ(parse_size("1GB"), 1'000'000'000);
}

TEST(Size, AnythingElseIsNone) {
    for (const char* text :
         {"", "5", "KiB", "5 KiB", "-5B", "1.5MB", "1MB1B", "5kb", "5K", "5TiB", "18446744073709551615KiB"})
        EXPECT_EQ(parse_size(text), std::nullopt) << text;
}

TEST(Size, PrintsAsItIsRead) {
    EXPECT_EQ(format_size(0), "0B");
    EXPECT_EQ(format_size(1025), "1025B");
    for (const char* text : {"512B", "64KiB", "3MiB", "1GiB", "10kB", "10MB", "1GB"})
        EXPECT_EQ(format_size(parse_size(text).value()), text);
}

}  // namespace
}  // namespace livecanary::config
