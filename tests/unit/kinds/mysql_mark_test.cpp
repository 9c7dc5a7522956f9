// The definition of the watermark: what counts as a new row, whatever becomes of the others.
#include "probes/mysql/mark.hpp"

#include <gtest/gtest.h>

namespace livecanary::mysql {
namespace {

using namespace std::chrono_literals;
using enum MarkKind;

Mark at(std::optional<std::string> value, std::uint64_t equal) {
    return {.column = "id", .value = std::move(value), .equal = equal};
}

struct Step {
    const char* name;
    Mark mark;
    Seen seen;
    std::uint64_t rows;
    bool went_back = false;
};
void PrintTo(const Step& step, std::ostream* out) { *out << step.name; }

const Step steps[] = {
    {"nothing_new", at("7", 1), {.newest = "7", .at_newest = 1}, 0},
    {"above", at("7", 1), {.newest = "9", .between = 1, .at_newest = 1, .at_mark = 1}, 2},
    {"above_and_beside", at("7", 1), {.newest = "9", .at_newest = 2, .at_mark = 3}, 4},
    {"beside", at("7", 1), {.newest = "7", .at_newest = 4}, 3},
    {"above_after_the_marked_ones_were_deleted",
     at("7", 5),
     {.newest = "8", .at_newest = 1, .at_mark = 2},
     1},
    {"beside_after_some_were_deleted", at("7", 5), {.newest = "7", .at_newest = 2}, 0},
    {"newest_deleted", at("7", 1), {.newest = "5", .at_newest = 1}, 0, true},
    {"emptied", at("7", 1), {}, 0, true},
    {"first_rows", at(std::nullopt, 0), {.newest = "3", .between = 2, .at_newest = 1}, 3},
    {"still_empty", at(std::nullopt, 0), {}, 0},
    {"longer_number", at("99", 1), {.newest = "100", .at_newest = 1, .at_mark = 1}, 1},
    {"negative", at("-5", 1), {.newest = "-4", .at_newest = 1, .at_mark = 1}, 1},
};

class MysqlMark : public testing::TestWithParam<Step> {};

TEST_P(MysqlMark, Advances) {
    const Step& step = GetParam();
    const Advanced next = advance(number, step.mark, step.seen);
    EXPECT_EQ(next.rows, step.rows);
    EXPECT_EQ(next.went_back, step.went_back);
    EXPECT_EQ(next.mark.value, step.seen.newest);
    EXPECT_EQ(next.mark.equal, step.seen.newest ? step.seen.at_newest : 0U);
    // The same look again finds nothing.
    Seen again{.newest = step.seen.newest, .at_newest = step.seen.at_newest};
    EXPECT_EQ(advance(number, next.mark, again).rows, 0U);
}
INSTANTIATE_TEST_SUITE_P(Steps, MysqlMark, testing::ValuesIn(steps),
                         [](const auto& each) { return each.param.name; });

TEST(MysqlMarkText, ComesBackAsItWas) {
    Mark mark{.column = "create_time", .value = "2026-11-28 06:00:00.250", .equal = 3, .since = 1795000000};
    EXPECT_EQ(Mark::from_text(mark.to_text()), mark);
    mark.history = {{1795000000, 4}, {1795000060, 1}};
    EXPECT_EQ(Mark::from_text(mark.to_text()), mark);
    mark.value.reset();
    EXPECT_EQ(Mark::from_text(mark.to_text()), mark);
    for (const char* other : {"", "2\na\n=1\n0\n0\n", "1\na\n=1\nx\n0\n", "1\na\n=1\n0\n0\n5", "1\na\n=1\n0",
                              "1\na\n=1\n0\n0\nx:1"})
        EXPECT_EQ(Mark::from_text(other), std::nullopt) << other;
}

TEST(MysqlMarkText, HoldsWhateverTheIntervalIs) {
    Mark mark{.column = "id", .value = "1", .since = 0};
    std::uint64_t all = 0;
    for (std::int64_t now = 1; now < 7 * 86400; now += 30, ++all) keep_history(mark, now, 1, 31 * 24h);
    EXPECT_LE(mark.history.size(), 128U);
    std::uint64_t kept = 0;
    for (const auto& [when, rows] : mark.history) kept += rows;
    EXPECT_EQ(kept, all);
    EXPECT_LT(mark.to_text().size(), 64U * 1024);
}

TEST(MysqlMarkHistory, SaysNothingBeforeItHasWatchedLongEnough) {
    Mark mark{.column = "id", .value = "1", .since = 1000};
    keep_history(mark, 1010, 5, 60s);
    EXPECT_EQ(rows_within(mark, 1050, 60s), std::nullopt);
    EXPECT_EQ(rows_within(mark, 1060, 60s), 5U);
    EXPECT_EQ(rows_within(mark, 1070, 60s), 0U);
}

TEST(MysqlMarkKind, NumbersAndTimesOnly) {
    for (const char* type : {"int", "int(11)", "bigint(20) unsigned", "TINYINT", "year(4)"})
        EXPECT_EQ(mark_kind(type), number) << type;
    for (const char* type : {"timestamp", "datetime(6)", "date"}) EXPECT_EQ(mark_kind(type), time) << type;
    for (const char* type : {"varchar(32)", "text", "double", "time", "decimal(10,2)", ""})
        EXPECT_EQ(mark_kind(type), std::nullopt) << type;
}

TEST(MysqlMarkCompare, AsTheServerSorts) {
    EXPECT_LT(compare(number, "9", "10"), 0);
    EXPECT_GT(compare(number, "-9", "-10"), 0);
    EXPECT_LT(compare(number, "-1", "0"), 0);
    EXPECT_EQ(compare(number, "18446744073709551615", "18446744073709551615"), 0);
    EXPECT_LT(compare(number, "9223372036854775807", "18446744073709551615"), 0);
    EXPECT_LT(compare(time, "2026-11-28 06:00:00", "2026-11-28 06:00:01"), 0);
}

}  // namespace
}  // namespace livecanary::mysql
