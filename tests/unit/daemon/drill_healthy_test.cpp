#include "daemon/drill_healthy.hpp"

#include <sstream>

#include <gtest/gtest.h>
#include <boost/json/serialize.hpp>

#include "daemon/result_json.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;
using Troubles = std::vector<std::string>;

json::value healthy_result(const std::string& probe, const std::string& run, const std::string& outcome,
                           json::object more = {}) {
    json::object result{{"probe", probe},
                        {"run_id", run},
                        {"outcome", outcome},
                        {"duration_seconds", 0.5},
                        {"phases", json::array{json::object{{"name", "tcp"}}}}};
    for (const auto& [key, value] : more) result[key] = value;
    return result;
}

HealthyReport report_of(HealthyProbe probe) {
    HealthyReport report;
    report.seconds = 1800;
    report.probes.push_back(std::move(probe));
    return report;
}

HealthyProbe well() { return {.probe = "p", .kind = "mysql", .runs = 1000, .known = true}; }

TEST(DrillHealthy, AllOkIsAsItMustBe) { EXPECT_EQ(report_of(well()).troubles({"mysql"}), Troubles{}); }

TEST(DrillHealthy, OneFailureIsTooMuch) {
    auto probe = well();
    probe.failed = 1;
    EXPECT_EQ(report_of(probe).troubles({"mysql"}), Troubles{"p failed in 1 of 1000 runs"});
}

TEST(DrillHealthy, WhoeverProvedNothingWasNotShown) {
    auto probe = well();
    probe.runs = 0;
    EXPECT_EQ(report_of(probe).troubles({"mysql"}), Troubles{"p was ok in none of 0 runs"});
    probe.runs = probe.inconclusive = 2;
    EXPECT_EQ(report_of(probe).troubles({"mysql"}), Troubles{"p was ok in none of 2 runs"});
    EXPECT_EQ(report_of(well()).troubles({"mysql", "journey"}), Troubles{"no probe of the kind journey"});
}

TEST(DrillHealthy, WhoeverStoppedRunningIsNotWell) {
    auto probe = well();
    probe.known = false;
    EXPECT_EQ(report_of(probe).troubles({}), Troubles{"p had not been conclusive for long at the end"});
}

TEST(DrillHealthy, WhatWasCutShortIsNoProof) {
    auto report = report_of(well());
    report.interrupted = true;
    EXPECT_EQ(report.troubles({}), Troubles{"it was interrupted"});
}

TEST(DrillHealthy, InconclusiveMayBeThreeOrOneInAHundred) {
    auto probe = well();
    probe.inconclusive = 10;
    EXPECT_EQ(report_of(probe).troubles({}), Troubles{});
    probe.inconclusive = 11;
    EXPECT_EQ(report_of(probe).troubles({}), Troubles{"p was inconclusive in 11 of 1000 runs, more than 10"});
    probe.runs = 20;
    probe.inconclusive = 3;
    EXPECT_EQ(report_of(probe).troubles({}), Troubles{});
    probe.inconclusive = 4;
    EXPECT_EQ(report_of(probe).troubles({}), Troubles{"p was inconclusive in 4 of 20 runs, more than 3"});
}

TEST(DrillHealthy, AnAlertAboutAProbeCountsOneAboutTheHostDoesNot) {
    auto report = report_of(well());
    report.alerts = {{.by = "Prometheus", .name = "LivecanaryClockUnsafe"}};
    EXPECT_EQ(report.troubles({}), Troubles{});
    report.alerts.insert({.by = "Prometheus", .name = "LivecanaryPhaseSlow", .probe = "p"});
    report.alerts.insert({.by = "livecanary", .probe = "p", .words = "The key is wrong"});
    EXPECT_EQ(report.troubles({}), (Troubles{"alert of Prometheus LivecanaryPhaseSlow about p",
                                             "alert of livecanary about p: The key is wrong"}));
}

TEST(DrillHealthy, SilenceMeansSomethingOnlyIfTheWatchdogIsHeard) {
    auto report = report_of(well());
    report.alerts_watched = true;
    EXPECT_EQ(report.troubles({}), Troubles{"not even the watchdog's alert came to Alertmanager"});
    report.watchdog_arrived = true;
    EXPECT_EQ(report.troubles({}), Troubles{});
}

TEST(DrillHealthy, CountsByCountersAndTellsWhatWasSeen) {
    HealthyWatch watch;
    watch.observe({healthy_result("p", "1", "ok"), json::object{{"probe", "q"}, {"outcome", nullptr}}});
    watch.observe({healthy_result("p", "1", "ok"),
                   healthy_result("q", "7", "inconclusive", {{"inconclusive", "we were late"}})});
    watch.observe({healthy_result("p", "2", "failed",
                                  {{"phase", "tcp"},
                                   {"reason", "refused"},
                                   {"cause", nullptr},
                                   {"class", "gone"},
                                   {"duration_seconds", 2.0}})});
    EXPECT_EQ(watch.runs_seen(), 3U);
    EXPECT_EQ(watch.failures_seen(), 1U);
    EXPECT_EQ(watch.inconclusive_seen(), 1U);
    const auto probes = watch.counted(
        "# TYPE livecanary_probe_runs_total counter\n"
        "livecanary_probe_runs_total{probe=\"p\",kind=\"mysql\"} 12\n"
        "livecanary_probe_runs_total{probe=\"q\",kind=\"journey\"} 4\n"
        "livecanary_probe_failures_total{probe=\"p\",kind=\"mysql\"} 2\n"
        "livecanary_probe_failures_total{probe=\"q\",kind=\"journey\"} 0\n"
        "livecanary_probe_success{probe=\"p\",kind=\"mysql\"} 1\n"
        "livecanary_probe_inconclusive_total{probe=\"q\",kind=\"journey\"} 1\n"
        "livecanary_probe_skipped_total{probe=\"p\",kind=\"mysql\",reason=\"overlap\"} 5\n"
        "livecanary_probe_skipped_total{probe=\"p\",kind=\"mysql\",reason=\"admission\"} 1\n");
    ASSERT_EQ(probes.size(), 2U);
    const HealthyProbe &p = probes[0], &q = probes[1];
    EXPECT_EQ(p.kind, "mysql");
    EXPECT_EQ(p.runs, 12U);
    EXPECT_EQ(p.failed, 2U) << "not only those that were seen";
    EXPECT_EQ(p.ok(), 10U);
    EXPECT_EQ(p.skipped, 6U);
    EXPECT_TRUE(p.known);
    EXPECT_FALSE(q.known);
    EXPECT_DOUBLE_EQ(p.slowest, 2);
    EXPECT_EQ(p.phases, std::set<std::string>{"tcp"});
    EXPECT_EQ(p.said, (std::map<std::string, std::uint64_t>{{"failed in tcp: refused, gone", 1}}));
    EXPECT_EQ(q.inconclusive, 1U);
    EXPECT_EQ(q.said, (std::map<std::string, std::uint64_t>{{"inconclusive: we were late", 1}}));
    EXPECT_THROW(watch.counted("nonsense"), std::runtime_error);
}

TEST(DrillHealthy, KeepsTwentyTexts) {
    HealthyWatch watch;
    for (int i = 0; i < 25; ++i)
        watch.observe({healthy_result("p", std::to_string(i), "inconclusive",
                                      {{"inconclusive", "late by " + std::to_string(i) + " ms"}})});
    const auto probes = watch.counted("livecanary_probe_runs_total{probe=\"p\",kind=\"mysql\"} 25\n");
    EXPECT_EQ(probes.at(0).said.size(), 21U);
    EXPECT_EQ(probes.at(0).said.at("other"), 5U);
}

TEST(DrillHealthy, TheDaemonsAlertsAreItsIncidentsThatAlerted) {
    const WallTime since{1'800'000'000s};
    const auto incident = [&](std::chrono::seconds after, json::value alerted) {
        return json::object{{"opened", rfc3339(since + after)},
                            {"alerted", std::move(alerted)},
                            {"probe", "p" + std::to_string(after.count())},
                            {"sentence", "It is down"}};
    };
    const json::object body{
        {"data", json::object{{"incidents", json::array{incident(-1s, "2027-01-15"), incident(1s, nullptr),
                                                        incident(2s, "2027-01-15")}}}}};
    EXPECT_EQ(alerts_of_incidents(json::serialize(body), since),
              (std::set<HealthyAlert>{{.by = "livecanary", .probe = "p2", .words = "It is down"}}));
    EXPECT_ANY_THROW(alerts_of_incidents("{}", since));
    EXPECT_ANY_THROW(alerts_of_incidents("no JSON", since));
}

TEST(DrillHealthy, PrometheusAlertsAreAllButTheWatchdog) {
    const char* const body = R"({"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"alertname":"LivecanaryWatchdog"},"value":[1,"20"]},
        {"metric":{"alertname":"LivecanaryClockUnsafe"},"value":[1,"3"]},
        {"metric":{"alertname":"LivecanaryProbeFailing","probe":"p"},"value":[1,"1"]}]}})";
    EXPECT_EQ(alerts_of_prometheus(body),
              (std::set<HealthyAlert>{{.by = "Prometheus", .name = "LivecanaryClockUnsafe"},
                                      {.by = "Prometheus", .name = "LivecanaryProbeFailing", .probe = "p"}}));
    EXPECT_ANY_THROW(alerts_of_prometheus(R"({"status":"error","error":"bad query"})"));
    EXPECT_TRUE(
        has_watchdog(R"([{"labels":{"alertname":"x"}},{"labels":{"alertname":"LivecanaryWatchdog"}}])"));
    for (const char* other :
         {"", "{}", "[1]", "[{}]", R"([{"labels":1}])", R"([{"labels":{"alertname":"x"}}])"})
        EXPECT_FALSE(has_watchdog(other)) << other;
}

TEST(DrillHealthy, PrintsTheTableAndTheJudgement) {
    auto probe = well();
    probe.inconclusive = 1;
    probe.skipped = 2;
    probe.slowest = 1.25;
    probe.said = {{"inconclusive: we were late", 1}};
    auto report = report_of(probe);
    report.alerts = {{.by = "Prometheus", .name = "LivecanaryClockUnsafe"}};
    std::ostringstream out;
    print_healthy(out, report, report.troubles({}));
    EXPECT_EQ(out.str(),
              "| probe | kind | runs | ok | failed | inconclusive | not started | slowest |\n"
              "|---|---|---|---|---|---|---|---|\n"
              "| p | mysql | 1000 | 999 | 0 | 1 | 2 | 1.2 s |\n"
              "\n| probe | what runs that were not ok said | seen |\n|---|---|---|\n"
              "| p | inconclusive: we were late | 1 |\n"
              "\n1000 runs of 1 probes of 1 kinds in 30 min: 0 failed, 1 inconclusive; 1 alerts, without "
              "Prometheus "
              "beside it\n"
              "- alert of Prometheus LivecanaryClockUnsafe (about the daemon's host)\n"
              "\nAs it must be\n");
    report.probes[0].failed = 1;
    report.alerts_watched = report.watchdog_arrived = true;
    report.unanswered = 2;
    std::ostringstream bad;
    print_healthy(bad, report, report.troubles({}));
    EXPECT_NE(bad.str().find("; 1 alerts\nThe daemon did not say what it knows 2 times\n"), std::string::npos)
        << bad.str();
    EXPECT_NE(bad.str().find("\nNOT as it must be:\n- p failed in 1 of 1000 runs\n"), std::string::npos)
        << bad.str();
}

TEST(DrillHealthy, SaysTheSameAsJson) {
    auto probe = well();
    probe.said = {{"failed", 1}};
    probe.failed = 1;
    const auto one = to_json(probe);
    EXPECT_EQ(one.at("ok").to_number<int>(), 999);
    EXPECT_EQ(one.at("inconclusive_allowed").to_number<int>(), 10);
    EXPECT_EQ(one.at("said").at("failed").to_number<int>(), 1);
    auto report = report_of(probe);
    report.alerts = {{.by = "livecanary", .probe = "p", .words = "down"}};
    const auto sum = to_json(report, report.troubles({}));
    EXPECT_FALSE(sum.at("healthy").as_bool());
    EXPECT_EQ(sum.at("troubles").as_array().size(), 2U);
    EXPECT_EQ(sum.at("alerts").at(0).at("probe").as_string(), "p");
    EXPECT_TRUE(to_json(report, {}).at("healthy").as_bool());
}

}  // namespace
}  // namespace livecanary::daemon
