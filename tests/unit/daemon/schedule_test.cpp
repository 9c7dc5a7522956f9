#include "daemon/schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

constexpr Clock::time_point start{1000h};

Clock::duration offset(const std::string& name, Clock::duration interval) {
    return Schedule::starting(start, interval, name).first() - start;
}

TEST(Schedule, SlotsDoNotDriftOverAMillionOfThem) {
    const auto schedule = Schedule::starting(start, 30s, "push-main");
    auto slot = schedule.first();
    for (int i = 0; i < 1'000'000; ++i) {
        // A run that starts a little late and takes a while, each time another.
        const auto ended = slot + 3ms + std::chrono::microseconds(i % 7919);
        const auto next = schedule.after(slot, ended);
        ASSERT_EQ(next.missed, 0U);
        slot = next.due;
    }
    EXPECT_EQ(slot, schedule.first() + 1'000'000 * 30s);
}

struct AfterCase {
    const char* name;
    Clock::duration now;  // after the slot dealt with
    Clock::duration due;  // after it, too
    std::uint64_t missed;
};

class ScheduleAfter : public testing::TestWithParam<AfterCase> {};

TEST_P(ScheduleAfter, SkipsWhatWentByAndCountsIt) {
    const auto schedule = Schedule::starting(start, 10s, "p");
    const auto slot = schedule.first() + 50s;
    const auto next = schedule.after(slot, slot + GetParam().now);
    EXPECT_EQ(next.due - slot, GetParam().due);
    EXPECT_EQ(next.missed, GetParam().missed);
    EXPECT_EQ((next.due - schedule.first()) % 10s, 0s) << "not on the grid";
}

constexpr AfterCase after_cases[] = {
    {"at_once", 0s, 10s, 0},
    {"in_time", 4s, 10s, 0},
    {"just_before_the_next", 10s - 1ns, 10s, 0},
    {"exactly_at_the_next", 10s, 20s, 1},
    {"just_after_the_next", 10s + 1ns, 20s, 1},
    {"three_intervals_long", 35s, 40s, 3},
    {"the_clock_jumped_by_five_hours", 5h, 5h + 10s, 1800},
    {"the_clock_jumped_by_ten_years", 87600h, 87600h + 10s, 31'536'000},
    {"the_clock_went_back", -1h, 10s, 0},
};
INSTANTIATE_TEST_SUITE_P(, ScheduleAfter, testing::ValuesIn(after_cases),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Schedule, NoBurstAfterAJumpOfTheClock) {
    const auto schedule = Schedule::starting(start, 1s, "p");
    auto slot = schedule.first();
    std::uint64_t runs = 0;
    std::uint64_t missed = 0;
    auto now = slot;
    for (int i = 0; i < 100; ++i) {
        now = std::max(now, slot);
        if (i == 50) now += 6h;  // a suspended virtual machine
        ++runs;
        const auto next = schedule.after(slot, now + 10ms);
        EXPECT_GT(next.due, now);
        missed += next.missed;
        slot = next.due;
    }
    EXPECT_EQ(runs, 100U);
    EXPECT_EQ(missed, 6U * 3600U);
    EXPECT_EQ(slot, schedule.first() + std::chrono::seconds(runs + missed));
}

TEST(Schedule, OneNameHasOneOffset) {
    for (const std::string name : {"a", "push-main", "cover-bucket"}) {
        EXPECT_EQ(offset(name, 30s), offset(name, 30s));
        EXPECT_EQ(offset(name, 30s), offset(name, 5min)) << "the spread, not the interval, decides";
    }
    EXPECT_NE(offset("push-1", 30s), offset("push-2", 30s));
}

TEST(Schedule, OffsetsStayAsTheyAre) {
    // In another build and on another machine too. FNV-1a with MurmurHash3's finaliser, computed by another
    // program.
    EXPECT_EQ(offset("push-main", 30s), 2'123'269'383ns);
    EXPECT_EQ(offset("", 30s), 528'514'342ns);
}

class ScheduleSpread : public testing::TestWithParam<Clock::duration> {};

TEST_P(ScheduleSpread, TenThousandNamesFillItEvenly) {
    const auto interval = GetParam();
    const auto range = std::min(interval, Schedule::spread);
    constexpr int names = 10'000;
    constexpr auto bucket = 100ms;
    std::vector<int> buckets(static_cast<std::size_t>(range / bucket), 0);
    std::set<Clock::duration> distinct;
    for (int i = 0; i < names; ++i) {
        const auto at = offset("probe-" + std::to_string(i), interval);
        ASSERT_GE(at, 0s);
        ASSERT_LT(at, range);
        ++buckets[static_cast<std::size_t>(at / bucket)];
        distinct.insert(at);
    }
    // Six standard deviations of a binomial distribution around its mean.
    const double mean = static_cast<double>(names) / static_cast<double>(buckets.size());
    const double slack = 6 * std::sqrt(mean);
    for (const int count : buckets) {
        EXPECT_GT(count, mean - slack);
        EXPECT_LT(count, mean + slack);
    }
    EXPECT_GT(distinct.size(), 9'990U);
}
INSTANTIATE_TEST_SUITE_P(
    , ScheduleSpread, testing::Values(Clock::duration(1s), 10s, 30s, 24h), [](const auto& row) {
        return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(row.param).count()) + "s";
    });

TEST(Schedule, AnIntervalOfNothingHasNoOffset) { EXPECT_EQ(offset("p", 0ns), 0ns); }

struct ConfirmCase {
    const char* name;
    Clock::duration next_slot;
    Clock::duration interval;
    Reason reason;
    Clock::duration due;
};

class ConfirmationDue : public testing::TestWithParam<ConfirmCase> {};

TEST_P(ConfirmationDue, IsQuickButDoesNoHarm) {
    const auto& p = GetParam();
    EXPECT_EQ(confirmation_due(start, start + p.next_slot, p.interval, p.reason) - start, p.due);
}

constexpr ConfirmCase confirm_cases[] = {
    {"two_seconds_of_a_long_interval", 25s, 30s, Reason::refused, 2s},
    {"half_of_a_short_interval", 1900ms, 2s, Reason::closed, 1s},
    {"the_next_slot_if_it_is_nearer", 500ms, 30s, Reason::rejected, 500ms},
    {"a_slot_that_is_due_now", 0s, 30s, Reason::reset, 0s},
    {"never_after_a_timeout", 25s, 30s, Reason::timeout, 25s},
    {"after_a_stall", 25s, 30s, Reason::stalled, 2s},
};
INSTANTIATE_TEST_SUITE_P(, ConfirmationDue, testing::ValuesIn(confirm_cases),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace livecanary::daemon
