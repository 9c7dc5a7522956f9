#include "daemon/incidents.hpp"

#include <gtest/gtest.h>

#include <string>

namespace livecanary::daemon {
namespace {

/// A row of outcomes: o(k), f(ailed), i(nconclusive). And what each step is expected to say, letter by
/// letter:
/// '.' nothing, 'b' an incident began, 'c' it is confirmed, 'B' both, 'e' it ended.
struct Case {
    const char* name;
    int fail_after;
    int recover_after;
    std::string_view outcomes;
    std::string_view steps;
    std::string_view alerting;  // 'a' while it alerts, '.' while it does not
};

class IncidentsTable : public testing::TestWithParam<Case> {};

char letter(const Incidents::Step& step) {
    if (step.ended) return 'e';
    if (step.began) return step.confirmed ? 'B' : 'b';
    return step.confirmed ? 'c' : '.';
}

RunOutcome outcome_of(char letter) {
    return letter == 'o' ? RunOutcome::ok : letter == 'f' ? RunOutcome::failed : RunOutcome::inconclusive;
}

TEST_P(IncidentsTable, MovesAsItShould) {
    const Case& c = GetParam();
    Incidents incidents(c.fail_after, c.recover_after);
    std::string steps;
    std::string alerting;
    for (const char outcome : c.outcomes) {
        steps += letter(incidents.feed(outcome_of(outcome)));
        alerting += incidents.standing().alerting ? 'a' : '.';
        EXPECT_FALSE(incidents.standing().alerting && !incidents.incident());
    }
    EXPECT_EQ(steps, c.steps);
    EXPECT_EQ(alerting, c.alerting);
}

constexpr Case cases[] = {
    {"all_well", 3, 2, "oooo", "....", "...."},
    {"one_failure_is_no_alert", 3, 2, "ofo", ".be", "..."},
    {"alerts_after_three_in_a_row", 3, 2, "offff", ".bccc", "...aa"},
    {"recovers_after_two_in_a_row", 3, 2, "fffoo", "bcc.e", "..aa."},
    {"a_success_breaks_the_row_of_failures", 3, 2, "ffoff", "bcebc", "....."},
    {"a_failure_breaks_the_row_of_successes", 3, 2, "fffofoo", "bcc.c.e", "..aaaa."},
    {"flapping_while_alerting_never_recovers", 2, 2, "ffofofof", "bc.c.c.c", ".aaaaaaa"},
    {"flapping_before_is_many_incidents", 2, 2, "fofofo", "bebebe", "......"},
    {"inconclusive_neither_adds_nor_breaks", 3, 2, "fifiifoio", "b.c..c..e", ".....aaa."},
    {"inconclusive_alone_says_nothing", 1, 1, "iiii", "....", "...."},
    {"the_first_failure_alerts", 1, 1, "ofo", ".Be", ".a."},
    {"the_first_failure_alerts_and_stays", 1, 3, "fooofo", "B..eB.", "aaa.aa"},
    {"recovers_at_once", 3, 1, "fffo", "bcce", "..a."},
};
INSTANTIATE_TEST_SUITE_P(, IncidentsTable, testing::ValuesIn(cases),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Incidents, StandIsUnknownUntilSomethingWasProven) {
    Incidents incidents(3, 2);
    EXPECT_FALSE(incidents.standing().known);
    incidents.feed(RunOutcome::inconclusive);
    EXPECT_FALSE(incidents.standing().known);
    incidents.feed(RunOutcome::failed);
    EXPECT_TRUE(incidents.standing().known);
    EXPECT_FALSE(incidents.standing().ok);
    EXPECT_TRUE(incidents.incident());
    incidents.feed(RunOutcome::inconclusive);
    EXPECT_FALSE(incidents.standing().ok) << "an inconclusive run proves no recovery";
    EXPECT_EQ(incidents.standing().consecutive_failures, 1);
    incidents.feed(RunOutcome::ok);
    EXPECT_TRUE(incidents.standing().ok);
    EXPECT_EQ(incidents.standing().consecutive_failures, 0);
    EXPECT_FALSE(incidents.incident());
}

TEST(Incidents, CountsFailuresInARow) {
    Incidents incidents(2, 2);
    for (int i = 1; i <= 100; ++i) {
        incidents.feed(RunOutcome::failed);
        EXPECT_EQ(incidents.standing().consecutive_failures, i);
    }
}

/// An alert from before a restart, before or after the first run.
TEST(Incidents, AnAlertThatStandsEndsAsAnyOther) {
    Incidents incidents(3, 2);
    EXPECT_TRUE(incidents.alert_stands());
    EXPECT_TRUE(incidents.standing().alerting && incidents.incident());
    EXPECT_FALSE(incidents.standing().known);
    EXPECT_TRUE(incidents.feed(RunOutcome::failed).confirmed) << "its controls are worth playing";
    incidents.feed(RunOutcome::ok);
    EXPECT_TRUE(incidents.standing().alerting);
    EXPECT_TRUE(incidents.feed(RunOutcome::ok).ended);
    EXPECT_FALSE(incidents.standing().alerting);

    Incidents after_one(3, 2);
    after_one.feed(RunOutcome::ok);
    EXPECT_TRUE(after_one.alert_stands());
    EXPECT_TRUE(after_one.feed(RunOutcome::ok).ended) << "the success before counts";

    Incidents over(3, 1);
    over.feed(RunOutcome::ok);
    EXPECT_FALSE(over.alert_stands());
    EXPECT_FALSE(over.standing().alerting);

    Incidents failing(3, 2);
    failing.feed(RunOutcome::failed);
    EXPECT_TRUE(failing.alert_stands());
    EXPECT_EQ(failing.standing().consecutive_failures, 3);
}

}  // namespace
}  // namespace livecanary::daemon
