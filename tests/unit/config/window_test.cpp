#include "config/window.hpp"

#include <gtest/gtest.h>

namespace livecanary::config {
namespace {

using namespace std::chrono;

system_clock::time_point utc(year_month_day day, minutes time) { return sys_days(day) + time; }

constexpr auto day = 2026y / 1 / 15;

TEST(Window, HoursOfTheDayInUtc) {
    const Window window = Window::parse("02:00-04:30").value();
    EXPECT_FALSE(window.contains(utc(day, 1h + 59min)));
    EXPECT_TRUE(window.contains(utc(day, 2h)));
    EXPECT_TRUE(window.contains(utc(day, 4h + 29min)));
    EXPECT_TRUE(window.contains(utc(day, 4h + 29min) + 59s + 999ms));
    EXPECT_FALSE(window.contains(utc(day, 4h + 30min)));
}

TEST(Window, PassesMidnight) {
    const Window window = Window::parse("23:00-01:00 UTC").value();
    EXPECT_FALSE(window.contains(utc(day, 22h + 59min)));
    EXPECT_TRUE(window.contains(utc(day, 23h)));
    EXPECT_TRUE(window.contains(utc(day, 0h)));
    EXPECT_FALSE(window.contains(utc(day, 1h)));
    EXPECT_FALSE(window.contains(utc(day, 12h)));
}

TEST(Window, EndsWithTheDay) {
    const Window window = Window::parse("08:00-24:00 Asia/Shanghai").value();  // UTC+8 all year
    EXPECT_TRUE(window.contains(utc(day, 0h)));
    EXPECT_TRUE(window.contains(utc(day, 15h + 59min)));
    EXPECT_FALSE(window.contains(utc(day, 16h)));
    EXPECT_FALSE(window.contains(utc(day, 23h + 59min)));
    EXPECT_TRUE(Window::parse("00:00-24:00").value().contains(utc(day, 12h)));
}

TEST(Window, BeforeTheEpoch) {
    EXPECT_TRUE(Window::parse("23:59-24:00").value().contains(sys_days(1970y / 1 / 1) - 1s));
}

TEST(Window, FixedOffsets) {
    const Window east = Window::parse("00:00-01:00 +05:30").value();
    EXPECT_TRUE(east.contains(utc(day, 18h + 30min)));
    EXPECT_FALSE(east.contains(utc(day, 18h + 29min)));
    const Window west = Window::parse("00:00-01:00 -03:30").value();
    EXPECT_TRUE(west.contains(utc(day, 3h + 30min)));
    EXPECT_FALSE(west.contains(utc(day, 4h + 30min)));
}

TEST(Window, FollowsDaylightSavingTime) {
    // New York is at UTC-5 in winter and UTC-4 in summer; in 2026 it changes on 8 March and 1 November.
    const Window window = Window::parse("09:00-10:00 America/New_York").value();
    EXPECT_TRUE(window.contains(utc(2026y / 1 / 15, 14h)));
    EXPECT_FALSE(window.contains(utc(2026y / 1 / 15, 13h)));
    EXPECT_TRUE(window.contains(utc(2026y / 7 / 15, 13h)));
    EXPECT_FALSE(window.contains(utc(2026y / 7 / 15, 14h)));
}

TEST(Window, AnHourThatIsSkippedOrRepeated) {
    const Window window = Window::parse("01:30-02:30 America/New_York").value();
    // 8 March: 01:59 is followed by 03:00, at 07:00 UTC.
    EXPECT_TRUE(window.contains(utc(2026y / 3 / 8, 6h + 59min)));
    EXPECT_FALSE(window.contains(utc(2026y / 3 / 8, 7h)));
    // 1 November: 01:59 is followed by 01:00, at 06:00 UTC.
    EXPECT_TRUE(window.contains(utc(2026y / 11 / 1, 5h + 59min)));
    EXPECT_FALSE(window.contains(utc(2026y / 11 / 1, 6h)));
    EXPECT_TRUE(window.contains(utc(2026y / 11 / 1, 6h + 30min)));
}

TEST(Window, AnythingElseIsNone) {
    for (const char* text :
         {"", "02:00", "02:00-", "2:00-04:00", "02:00-04:00 ", "02:00 - 04:00", "02:60-04:00", "24:00-01:00",
          "02:00-24:01", "02:00-25:00", "02:00-02:00", "-1:00-04:00", "02-00-04:00",
          "02:00-04:00 Asia/Nowhere", "02:00-04:00 ../../etc/passwd", "02:00-04:00 /etc/localtime",
          "02:00-04:00 +8", "02:00-04:00 +15:00", "02:00-04:00 Asia/Shanghai now"})
        EXPECT_FALSE(Window::parse(text)) << text;
}

}  // namespace
}  // namespace livecanary::config
