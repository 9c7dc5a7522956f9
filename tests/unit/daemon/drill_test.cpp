#include "daemon/drill.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "daemon/child_process.hpp"
#include "daemon/drill_alerts.hpp"
#include "daemon/result_json.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

const WallTime broken_at{1'800'000'000s};

/// A result as the API has it, of a run that began `after` the fault.
json::value result(const std::string& probe, std::chrono::milliseconds after, const std::string& outcome,
                   const std::string& cause = {}, const std::string& cause_class = {},
                   std::vector<std::string> candidates = {}) {
    json::array list;
    for (const auto& candidate : candidates) list.push_back({{"cause", candidate}, {"why", ""}});
    const auto or_null = [](const std::string& text) {
        return text.empty() ? json::value(nullptr) : json::value(text);
    };
    return {{"probe", probe},
            {"run_id", probe + std::to_string(after.count())},
            {"started", rfc3339(broken_at + after)},
            {"outcome", outcome},
            {"cause", or_null(cause)},
            {"class", or_null(cause_class)},
            {"candidates", std::move(list)}};
}

DrillFault fault_named_by(std::vector<DrillFault::NamedBy> named_by) {
    return {.id = "key-changed", .breaks = "the key", .cause = "wrong_key", .named_by = std::move(named_by)};
}

/// Said twice: what was not confirmed counts as a cause only.
DrillRow after_one(const DrillFault& fault, const json::value& one, int times = 2) {
    DrillWatch watch(fault, broken_at);
    for (int i = 0; i < times; ++i) {
        json::value again = one;
        again.as_object()["run_id"] = std::to_string(i);
        watch.observe({again}, broken_at + 3s);
    }
    return watch.row();
}

TEST(Drill, ReadsWhatThePracticeStackCanBreak) {
    const auto faults = read_faults(
        R"({"probes":[{"probe":"p","interval_seconds":30,"timeout_seconds":10,"waits_seconds":5}],)"
        R"("faults":[{"id":"a","breaks":"b","cause":"c","seed":true,"any":false,"fresh_start":false,"settle_seconds":6,"control_seconds":3,)"
        R"("named_by":[{"probe":"p","label":"c"}],"explained":["d"]}]})");
    ASSERT_EQ(faults.size(), 1U);
    EXPECT_EQ(faults[0].cause, "c");
    EXPECT_TRUE(faults[0].seed);
    EXPECT_EQ(faults[0].settle, 6s);
    EXPECT_EQ(faults[0].named_by.at(0).probe, "p");
    EXPECT_DOUBLE_EQ(faults[0].named_by.at(0).bound, 30 + 10 + 20 + 10 + 5 + 3);
    EXPECT_TRUE(faults[0].explained.contains("d"));
    EXPECT_ANY_THROW(read_faults("{}"));
    EXPECT_ANY_THROW(read_faults("nonsense"));
}

TEST(Drill, AClaimedCauseIsRight) {
    const DrillRow row =
        after_one(fault_named_by({{"p", "wrong_key"}}), result("p", 1s, "failed", "wrong_key"));
    EXPECT_TRUE(row.right());
    EXPECT_DOUBLE_EQ(row.seconds(), 3);
}

TEST(Drill, WhatBeganBeforeTheFaultProvesNothing) {
    const DrillRow row =
        after_one(fault_named_by({{"p", "wrong_key"}}), result("p", -1ms, "failed", "wrong_key"));
    EXPECT_FALSE(row.right());
    EXPECT_TRUE(row.named.empty());
}

TEST(Drill, AClassCountsWhereItIsExpectedWithTheCauseAmongThree) {
    const auto by_class = fault_named_by({{"p", "refused"}});
    EXPECT_TRUE(
        after_one(by_class, result("p", 1s, "failed", "", "refused", {"a", "b", "wrong_key"})).right());
    EXPECT_FALSE(
        after_one(by_class, result("p", 1s, "failed", "", "refused", {"a", "b", "c", "wrong_key"})).right());
    EXPECT_FALSE(after_one(by_class, result("p", 1s, "failed", "", "other", {"wrong_key"})).right());
    // Before it was confirmed no control was played.
    EXPECT_FALSE(after_one(by_class, result("p", 1s, "failed", "", "refused", {"wrong_key"}), 1).right());
    // The cause itself is more than was asked for.
    EXPECT_TRUE(after_one(by_class, result("p", 1s, "failed", "wrong_key")).right());
    // And the class is less, where the cause can be proven.
    EXPECT_FALSE(after_one(fault_named_by({{"p", "wrong_key"}}),
                           result("p", 1s, "failed", "", "refused", {"wrong_key"}))
                     .right());
    EXPECT_TRUE(
        after_one(fault_named_by({{"p", ""}}), result("p", 1s, "failed", "", "", {"wrong_key"})).right());
}

TEST(Drill, OneOfSeveralIsEnoughWhereTheyHoldEachOtherBack) {
    DrillFault fault = fault_named_by({{"p", "wrong_key"}, {"q", "wrong_key"}});
    EXPECT_FALSE(after_one(fault, result("q", 1s, "failed", "wrong_key")).right());
    fault.any = true;
    EXPECT_TRUE(after_one(fault, result("q", 1s, "failed", "wrong_key")).right());
    EXPECT_FALSE(after_one(fault, result("q", 1s, "inconclusive")).right());
}

TEST(Drill, AnotherCauseIsWrongWhoeverClaimsIt) {
    DrillFault fault = fault_named_by({{"p", "wrong_key"}});
    DrillWatch watch(fault, broken_at);
    watch.observe({result("p", 1s, "failed", "wrong_key"), result("q", 1s, "failed", "expired")},
                  broken_at + 2s);
    watch.observe({result("q", 2s, "failed", "expired")}, broken_at + 4s);
    EXPECT_TRUE(watch.named());
    ASSERT_EQ(watch.row().wrong.size(), 1U) << "once is enough";
    EXPECT_EQ(watch.row().wrong[0].probe, "q");
    EXPECT_FALSE(watch.row().right());
    fault.explained = {"expired"};
    EXPECT_TRUE(after_one(fault, result("q", 1s, "failed", "expired")).wrong.empty());
}

TEST(Drill, ALaterVerdictReplacesOneThatWasNotRight) {
    DrillWatch watch(fault_named_by({{"p", "wrong_key"}}), broken_at);
    watch.observe({result("p", 1s, "failed", "", "refused", {"wrong_key"}), result("q", -1s, "ok")},
                  broken_at + 2s);
    EXPECT_FALSE(watch.named());
    EXPECT_FALSE(watch.all_have_run());
    watch.observe({result("p", 2s, "failed", "wrong_key"), result("q", 1s, "ok")}, broken_at + 4s);
    EXPECT_TRUE(watch.named());
    EXPECT_TRUE(watch.all_have_run());
    EXPECT_DOUBLE_EQ(watch.row().seconds(), 4);
}

TEST(Drill, SaysWhetherItWasNamedInTime) {
    DrillFault fault = fault_named_by({{"p", "wrong_key", 3}});
    DrillRow row = after_one(fault, result("p", 1s, "failed", "wrong_key"));
    EXPECT_TRUE(row.in_time());
    EXPECT_DOUBLE_EQ(row.bound(), 3);
    EXPECT_TRUE(to_json(row).at("in_time").as_bool());
    fault.named_by[0].bound = 2.9;
    row = after_one(fault, result("p", 1s, "failed", "wrong_key"));
    EXPECT_TRUE(row.right());
    EXPECT_FALSE(row.in_time());
    EXPECT_DOUBLE_EQ(to_json(row).at("bound_seconds").as_double(), 2.9);
    std::ostringstream out;
    print_rows(out, {row});
    EXPECT_NE(out.str().find("| 3.0 | 2.9 MISSED | p |"), std::string::npos) << out.str();
    EXPECT_NE(out.str().find("; 0 of 1 within one interval and the confirmation\n"), std::string::npos)
        << out.str();
    EXPECT_FALSE(after_one(fault, result("p", 1s, "ok")).in_time()) << "never is not in time";
    // Where one of several is enough, it is that one's time which counts.
    fault.named_by = {{"p", "wrong_key", 2}, {"q", "wrong_key", 4}};
    fault.any = true;
    row = after_one(fault, result("q", 1s, "failed", "wrong_key"));
    EXPECT_TRUE(row.in_time());
    EXPECT_DOUBLE_EQ(row.bound(), 4);
}

TEST(Drill, SaysWhoIsNotWellAgain) {
    const json::array results{result("p", 1s, "ok"), result("q", 1s, "failed", "wrong_key"),
                              result("r", -1s, "ok")};
    EXPECT_EQ(not_well(results, broken_at), (std::vector<std::string>{"q failed wrong_key", "r ok"}));
    EXPECT_EQ(not_well({json::object{{"probe", "s"}, {"outcome", nullptr}}}, broken_at),
              std::vector<std::string>{"s has not run"});
}

TEST(Drill, PrintsTheTableAndTheMatrix) {
    DrillFault fault = fault_named_by({{"p", "wrong_key", 9}});
    fault.seed = true;
    std::ostringstream out;
    print_rows(out, {after_one(fault, result("p", 1s, "failed", "wrong_key")),
                     after_one(fault_named_by({{"q", "refused"}}), result("p", 1s, "failed", "expired"))});
    const std::string text = out.str();
    EXPECT_NE(text.find("| key-changed | the key | wrong_key * | 3.0 | 9.0 | p | wrong_key | right |\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("| q | nothing; WRONG p: expired | WRONG |"), std::string::npos) << text;
    EXPECT_NE(text.find("| wrong_key | WRONG: expired 1, nothing 1, wrong_key 1 |"), std::string::npos)
        << text;
    EXPECT_NE(text.find("1 of 2 faults right, 1 of them named as the cause"), std::string::npos) << text;
    EXPECT_NE(text.find("1 of 1 failures of the owner's documents (*); 1 wrong causes"), std::string::npos)
        << text;
}

TEST(Drill, SaysWhatCameToAlertmanager) {
    const DrillFault fault = fault_named_by({{"p", "wrong_key"}});
    DrillRow alerted = after_one(fault, result("p", 1s, "failed", "wrong_key")), silent = alerted;
    std::ostringstream none;
    print_rows(none, {alerted});
    EXPECT_EQ(none.str().find("Alertmanager"), std::string::npos) << "there was none to look at";
    alerted.alert_watched = silent.alert_watched = true;
    alerted.alert_seconds = alerted.seconds() + 2;
    std::ostringstream out;
    print_rows(out, {alerted, silent});
    EXPECT_NE(
        out.str().find("1 of 2 came to Alertmanager under the same name, 2.0 s after it was named at most: "
                       "not key-changed\n"),
        std::string::npos)
        << out.str();
    EXPECT_DOUBLE_EQ(to_json(alerted).at("alert_seconds").as_double(), 5);
    EXPECT_TRUE(to_json(silent).at("alert_seconds").is_null());
}

TEST(DrillAlerts, FindsTheAlertByProbeAndCause) {
    const std::string alerts = R"([{"labels": {"alertname": "Watchdog"}, "annotations": {}}, {"labels":
        {"alertname": "LivecanaryProbeFailing", "probe": "p"}, "annotations": {"cause": "wrong_key"}}])";
    EXPECT_TRUE(has_alert(alerts, "p", "wrong_key"));
    EXPECT_FALSE(has_alert(alerts, "p", "expired"));
    EXPECT_FALSE(has_alert(alerts, "q", "wrong_key"));
    for (const char* other : {"", "{}", "[1]", "[{}]", "no JSON"})
        EXPECT_FALSE(has_alert(other, "p", "wrong_key")) << other;
}

TEST(DrillAlerts, FindsTheRulesOfTheSourceTree) {
    EXPECT_EQ(find_rules(std::string(LIVECANARY_SOURCE_DIR) + "/build/dev/livecanary"),
              std::string(LIVECANARY_SOURCE_DIR) + "/dashboards/prometheus/livecanary.rules.yml");
    EXPECT_EQ(find_rules("/nowhere/livecanary"), "");
}

class ChildProcessTest : public testing::Test {
protected:
    ChildProcessTest() {
        std::string name = (std::filesystem::temp_directory_path() / "livecanary-child-XXXXXX").string();
        folder = ::mkdtemp(name.data());
    }
    ~ChildProcessTest() override { std::filesystem::remove_all(folder); }
    ChildProcess::Command shell(const std::string& script) const {
        return {.argv = {"/bin/sh", "-c", script}, .env = {{"MARK", "here"}}, .output = folder / "said"};
    }
    std::string said() const {
        std::ostringstream text;
        text << std::ifstream(folder / "said").rdbuf();
        return text.str();
    }
    static int end_of(ChildProcess& child) {
        // Its end is awaited by the test's own limit.
        while (!child.status()) {
        }
        return *child.status();
    }
    std::filesystem::path folder{};
};

TEST_F(ChildProcessTest, SaysWhatItSaysAndHowItEnded) {
    ChildProcess child(shell("echo $MARK; echo there >&2; exit 7"));
    EXPECT_EQ(end_of(child), 7);
    EXPECT_EQ(said(), "here\nthere\n");
    child.signal(SIGTERM);  // nobody else is hit
}

TEST_F(ChildProcessTest, IsStoppedByTheSignalElseKilled) {
    ChildProcess polite(shell("sleep 1000"));
    EXPECT_EQ(polite.stop(30s), 128 + SIGTERM);
    ChildProcess deaf(shell("trap '' TERM; echo deaf; while :; do sleep 1; done"));
    while (said().find("deaf") == std::string::npos) {
    }
    EXPECT_EQ(deaf.stop(1ms), 128 + SIGKILL);
}

TEST_F(ChildProcessTest, KilledItLeavesNothingThatItStarted) {
    pid_t grandchild = 0;
    {
        ChildProcess child(shell("sleep 1000 & echo $!; wait"));
        while (said().find('\n') == std::string::npos) {
        }
        grandchild = std::stoi(said());
        ASSERT_EQ(::kill(grandchild, 0), 0);
    }
    // It is a zombie until whoever inherited it looks.
    while (::kill(grandchild, 0) == 0) {
        std::ostringstream state;
        state << std::ifstream("/proc/" + std::to_string(grandchild) + "/stat").rdbuf();
        if (state.str().find(") Z ") != std::string::npos) break;
    }
}

TEST_F(ChildProcessTest, AProgramThatIsNotThereIsAnError) {
    EXPECT_THROW(ChildProcess({.argv = {"/nonexistent"}, .output = folder / "said"}), std::system_error);
}

}  // namespace
}  // namespace livecanary::daemon
