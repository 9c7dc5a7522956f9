#include "daemon/metrics.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include <prometheus/text_serializer.h>

#include "probes/core/error_table.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

// A kind of the size of rtmp_push: nine phases, three numbers of its own.
constexpr std::array push_phases{Phase{"dns"},       Phase{"tcp"},     Phase{"tls"},
                                 Phase{"handshake"}, Phase{"connect"}, Phase{"create_stream"},
                                 Phase{"publish"},   Phase{"media"},   Phase{"teardown"}};
constexpr Value sent_bytes{"livecanary_test_sent_bytes_total", "Bytes sent.", ValueType::counter};
constexpr Value closes{"livecanary_test_closes_total", "Closes.", ValueType::counter};
constexpr Value window_bytes{"livecanary_test_window_bytes", "Window of the server."};
constexpr std::array push_values{sent_bytes, closes, window_bytes};
constexpr Kind push{.name = "push", .phases = push_phases, .values = push_values, .make = nullptr};

// A kind with every type of number, with a label.
constexpr std::array one_phase{Phase{"dns"}};
constexpr std::array<std::string_view, 2> families_of_address{"ipv4", "ipv6"};
constexpr std::array error_bounds{0.001, 0.01};
constexpr Value events{
    "livecanary_test_events_total", "Events.", ValueType::counter, {}, "family", families_of_address};
constexpr Value errors{"livecanary_test_error_seconds",
                       "Errors.",
                       ValueType::histogram,
                       error_bounds,
                       "family",
                       families_of_address};
constexpr Value addresses{"livecanary_test_addresses", "Addresses.", ValueType::gauge, {}, "family",
                          families_of_address};
constexpr std::array labelled_values{events, errors, addresses};
constexpr Kind labelled{.name = "labelled", .phases = one_phase, .values = labelled_values, .make = nullptr};

enum class TestError {
    timeout = 1,
    refused,
    unreachable,
    closed,
    reset,
    nxdomain,
    servfail,
    certificate,
    protocol,
    rejected,
    mismatch,
    stalled,
    local
};
constexpr int conclusive_errors = static_cast<int>(TestError::stalled);

error_code code_for(TestError error) {
    using enum TestError;
    static const ErrorTable<TestError> table{"livecanary.test",
                                             {{timeout, "", Reason::timeout},
                                              {refused, "", Reason::refused},
                                              {unreachable, "", Reason::unreachable},
                                              {closed, "", Reason::closed},
                                              {reset, "", Reason::reset},
                                              {nxdomain, "", Reason::nxdomain},
                                              {servfail, "", Reason::servfail},
                                              {certificate, "", Reason::certificate},
                                              {protocol, "", Reason::protocol},
                                              {rejected, "", Reason::rejected},
                                              {mismatch, "", Reason::mismatch},
                                              {stalled, "", Reason::stalled},
                                              {local, "", Reason::local}}};
    return {static_cast<int>(error), table};
}

/// Time stands until a test moves it.
struct World {
    Clock::time_point now{1h};
    WallTime wall{std::chrono::seconds(1'700'000'000)};
    Env env{};

    World() {
        env.now = [this] { return now; };
        env.wall = [this] { return wall; };
    }
};

ProbeSettings settings_of(const Kind& kind) {
    ProbeSettings settings;
    settings.name = "p1";
    settings.kind = &kind;
    settings.probe.target = "rtmp://example.com/live";
    settings.interval = 30s;
    settings.timeout = 10s;
    return settings;
}

class ProbeMetricsTest : public testing::Test {
protected:
    /// A run that spends 100 ms in each of the first `reached` phases and then ends with `code`.
    RunResult run(std::size_t reached, error_code code = {}) {
        ProbeRun run(world.env, 10s);
        for (std::size_t i = 0; i < reached; ++i) {
            run.enter(push_phases[i]);
            world.now += 100ms;
        }
        return run.fail(code);
    }

    void ran(const RunResult& result, const Diagnosis& found = {}, bool confirmation = false) {
        if (result.outcome() != RunOutcome::inconclusive) {
            standing.known = true;
            standing.ok = result.outcome() == RunOutcome::ok;
            standing.consecutive_failures = standing.ok ? 0 : standing.consecutive_failures + 1;
            standing.alerting = standing.consecutive_failures >= 3;
        }
        metrics.ran(result, found, standing, confirmation, world.now);
    }

    std::string text() const { return text_of(metrics); }
    std::string text_of(const ProbeMetrics& probe) const {
        Families families;
        probe.collect(families, world.now, world.wall);
        std::ostringstream out;
        prometheus::TextSerializer().Serialize(out, families.take());
        return out.str();
    }

    /// The number behind `livecanary_<series>`; empty if that series is absent.
    std::string number(const std::string& series) const { return number_in(text(), series); }
    static std::string number_in(const std::string& text, const std::string& series) {
        std::istringstream lines(text);
        const std::string start = "livecanary_" + series + " ";
        for (std::string line; std::getline(lines, line);)
            if (line.starts_with(start)) return line.substr(start.size());
        return {};
    }

    static std::size_t series_in(const std::string& text) {
        std::istringstream lines(text);
        std::size_t count = 0;
        for (std::string line; std::getline(lines, line);) count += !line.empty() && line.front() != '#';
        return count;
    }

    World world{};
    Standing standing{};
    ProbeMetrics metrics{settings_of(push)};
};

TEST_F(ProbeMetricsTest, StartsWithCountersAtZeroAndClaimsNothing) {
    const char* zero[] = {"probe_runs_total{probe=\"p1\",kind=\"push\"}",
                          "probe_failures_total{probe=\"p1\",kind=\"push\"}",
                          "probe_inconclusive_total{probe=\"p1\",kind=\"push\"}",
                          "probe_confirmations_total{probe=\"p1\",kind=\"push\"}",
                          "probe_skipped_total{probe=\"p1\",kind=\"push\",reason=\"overlap\"}",
                          "probe_skipped_total{probe=\"p1\",kind=\"push\",reason=\"admission\"}",
                          "probe_skipped_total{probe=\"p1\",kind=\"push\",reason=\"paused\"}",
                          "probe_consecutive_failures{probe=\"p1\",kind=\"push\"}",
                          "probe_alerting{probe=\"p1\",kind=\"push\"}",
                          "probe_duration_seconds_count{probe=\"p1\",kind=\"push\"}",
                          "probe_duration_seconds_bucket{probe=\"p1\",kind=\"push\",le=\"+Inf\"}",
                          "probe_phase_duration_seconds_count{probe=\"p1\",kind=\"push\",phase=\"teardown\"}",
                          "probe_phase_duration_seconds_sum{probe=\"p1\",kind=\"push\",phase=\"teardown\"}",
                          "test_sent_bytes_total{probe=\"p1\",kind=\"push\"}"};
    for (const char* series : zero) EXPECT_EQ(number(series), "0") << series;
    EXPECT_EQ(number("probe_interval_seconds{probe=\"p1\",kind=\"push\"}"), "30");
    EXPECT_EQ(number("probe_timeout_seconds{probe=\"p1\",kind=\"push\"}"), "10");
    EXPECT_EQ(number("probe_fail_after{probe=\"p1\",kind=\"push\"}"), "3");
    const std::string all = text();
    for (const char* absent : {"probe_success", "probe_failing", "failure_reasons", "phase_last", "timestamp",
                               "test_window_bytes"})
        EXPECT_EQ(all.find(absent), std::string::npos) << absent;
}

TEST_F(ProbeMetricsTest, ASuccessCountsAndIsTimed) {
    ran(run(9));
    EXPECT_EQ(number("probe_success{probe=\"p1\",kind=\"push\"}"), "1");
    EXPECT_EQ(number("probe_runs_total{probe=\"p1\",kind=\"push\"}"), "1");
    EXPECT_EQ(number("probe_failures_total{probe=\"p1\",kind=\"push\"}"), "0");
    EXPECT_EQ(number("probe_duration_seconds_sum{probe=\"p1\",kind=\"push\"}"), "0.9");
    EXPECT_EQ(number("probe_duration_seconds_bucket{probe=\"p1\",kind=\"push\",le=\"0.25\"}"), "0");
    EXPECT_EQ(number("probe_duration_seconds_bucket{probe=\"p1\",kind=\"push\",le=\"1\"}"), "1");
    EXPECT_EQ(number("probe_phase_duration_seconds_count{probe=\"p1\",kind=\"push\",phase=\"media\"}"), "1");
    EXPECT_EQ(number("probe_phase_last_duration_seconds{probe=\"p1\",kind=\"push\",phase=\"media\"}"), "0.1");
    EXPECT_EQ(number("probe_last_run_timestamp_seconds{probe=\"p1\",kind=\"push\"}"), "1700000000.9");
    EXPECT_EQ(number("probe_last_success_timestamp_seconds{probe=\"p1\",kind=\"push\"}"), "1700000000.9");
}

TEST_F(ProbeMetricsTest, AFailureNamesPhaseReasonAndCauseUntilASuccess) {
    ran(run(9));
    Diagnosis found;
    found.cause_class = CauseClass::push_refused;
    ran(run(7, code_for(TestError::rejected)), found);
    const std::string failing =
        "probe_failing{probe=\"p1\",kind=\"push\",phase=\"publish\",reason=\"rejected\",cause=";
    EXPECT_EQ(number(failing + "\"push_refused\"}"), "1");
    EXPECT_EQ(number("probe_success{probe=\"p1\",kind=\"push\"}"), "0");
    EXPECT_EQ(number("probe_consecutive_failures{probe=\"p1\",kind=\"push\"}"), "1");
    // The media phase was reached in the run before, not in this one.
    EXPECT_EQ(number("probe_phase_last_duration_seconds{probe=\"p1\",kind=\"push\",phase=\"media\"}"), "");
    EXPECT_EQ(number("probe_last_success_timestamp_seconds{probe=\"p1\",kind=\"push\"}"), "1700000000.9");

    found.cause = Cause::push_wrong_hotlink_key;
    ran(run(7, code_for(TestError::rejected)), found, true);
    EXPECT_EQ(number(failing + "\"push_wrong_hotlink_key\"}"), "1");
    EXPECT_EQ(number(failing + "\"push_refused\"}"), "");
    EXPECT_EQ(number("probe_confirmations_total{probe=\"p1\",kind=\"push\"}"), "1");
    EXPECT_EQ(
        number(
            "probe_failure_reasons_total{probe=\"p1\",kind=\"push\",phase=\"publish\",reason=\"rejected\"}"),
        "2");

    ran(run(9));
    EXPECT_EQ(text().find("livecanary_probe_failing"), std::string::npos);
    EXPECT_EQ(number("probe_failures_total{probe=\"p1\",kind=\"push\"}"), "2");
    EXPECT_EQ(number("probe_runs_total{probe=\"p1\",kind=\"push\"}"), "4");
}

TEST_F(ProbeMetricsTest, AFailureBeforeAnyPhaseHasAnEmptyPhase) {
    ran(run(0, code_for(TestError::mismatch)));
    EXPECT_EQ(number("probe_failing{probe=\"p1\",kind=\"push\",phase=\"\",reason=\"mismatch\",cause=\"\"}"),
              "1");
}

TEST_F(ProbeMetricsTest, AnInconclusiveRunSaysNothingAboutTheTarget) {
    ran(run(7, code_for(TestError::rejected)));
    RunResult late = run(7, code_for(TestError::timeout));
    late.inconclusive = "the loop was late";
    ran(late);
    ran(run(1, code_for(TestError::local)));
    EXPECT_EQ(number("probe_runs_total{probe=\"p1\",kind=\"push\"}"), "3");
    EXPECT_EQ(number("probe_inconclusive_total{probe=\"p1\",kind=\"push\"}"), "2");
    EXPECT_EQ(number("probe_failures_total{probe=\"p1\",kind=\"push\"}"), "1");
    EXPECT_EQ(number("probe_duration_seconds_count{probe=\"p1\",kind=\"push\"}"), "1");
    EXPECT_EQ(number("probe_phase_duration_seconds_count{probe=\"p1\",kind=\"push\",phase=\"dns\"}"), "1");
    EXPECT_EQ(number("probe_success{probe=\"p1\",kind=\"push\"}"), "0");
    EXPECT_EQ(
        number("probe_failing{probe=\"p1\",kind=\"push\",phase=\"publish\",reason=\"rejected\",cause=\"\"}"),
        "1");
    EXPECT_EQ(text().find("reason=\"timeout\""), std::string::npos);
    EXPECT_EQ(text().find("reason=\"local\""), std::string::npos);
}

TEST_F(ProbeMetricsTest, SuccessIsAbsentOnceStale) {
    ran(run(9));
    world.now += 100s;  // three intervals and a timeout
    EXPECT_EQ(number("probe_success{probe=\"p1\",kind=\"push\"}"), "1");
    world.now += 1ms;
    EXPECT_EQ(number("probe_success{probe=\"p1\",kind=\"push\"}"), "");
    RunResult late = run(9);
    late.inconclusive = "the loop was late";
    ran(late);
    EXPECT_EQ(number("probe_success{probe=\"p1\",kind=\"push\"}"), "");
}

TEST_F(ProbeMetricsTest, SkipsAreCountedByReason) {
    metrics.skipped(Skip::admission);
    metrics.skipped(Skip::paused);
    metrics.skipped(Skip::paused);
    EXPECT_EQ(number("probe_skipped_total{probe=\"p1\",kind=\"push\",reason=\"overlap\"}"), "0");
    EXPECT_EQ(number("probe_skipped_total{probe=\"p1\",kind=\"push\",reason=\"admission\"}"), "1");
    EXPECT_EQ(number("probe_skipped_total{probe=\"p1\",kind=\"push\",reason=\"paused\"}"), "2");
}

TEST_F(ProbeMetricsTest, NumbersOfTheKindAddUpByTheirType) {
    ProbeMetrics own(settings_of(labelled));
    const auto find = [&](double number) {
        ProbeRun run(world.env, 10s);
        run.enter(one_phase[0]);
        run.found(events, number, "ipv6");
        run.found(errors, number / 1000, "ipv6");
        run.found(addresses, number, "ipv6");
        run.found(events, number, "what the server says");
        run.found(errors, std::numeric_limits<double>::quiet_NaN(), "ipv6");
        own.ran(run.ok(), {}, {}, false, world.now);
    };
    const std::string label = "{probe=\"p1\",kind=\"labelled\",family=\"ipv6\"";
    EXPECT_EQ(number_in(text_of(own), "test_events_total" + label + "}"), "0");
    // A histogram for each value of a label comes with its first observation.
    EXPECT_EQ(number_in(text_of(own), "test_error_seconds_count" + label + "}"), "");
    EXPECT_EQ(number_in(text_of(own), "test_addresses" + label + "}"), "");
    find(3);
    find(4);
    const std::string text = text_of(own);
    EXPECT_EQ(number_in(text, "test_events_total" + label + "}"), "7");
    EXPECT_EQ(number_in(text, "test_events_total{probe=\"p1\",kind=\"labelled\",family=\"ipv4\"}"), "0");
    EXPECT_EQ(number_in(text, "test_error_seconds_sum" + label + "}"), "0.007");
    EXPECT_EQ(number_in(text, "test_error_seconds_count{probe=\"p1\",kind=\"labelled\",family=\"ipv4\"}"),
              "");
    EXPECT_EQ(number_in(text, "test_error_seconds_bucket" + label + ",le=\"0.01\"}"), "2");
    EXPECT_EQ(number_in(text, "test_addresses" + label + "}"), "4");
    EXPECT_EQ(text.find("what the server says"), std::string::npos);

    ProbeRun nothing_found(world.env, 10s);
    own.ran(nothing_found.ok(), {}, {}, false, world.now);
    EXPECT_EQ(number_in(text_of(own), "test_addresses" + label + "}"), "");
    EXPECT_EQ(number_in(text_of(own), "test_events_total" + label + "}"), "7");
}

TEST_F(ProbeMetricsTest, InfoCarriesTheConfiguredLabelsOnceEach) {
    ProbeSettings settings = settings_of(push);
    settings.labels = {{"team", "live \"A\""}, {"probe", "other"}, {"severity", "other"}};
    EXPECT_EQ(number_in(text_of(ProbeMetrics(settings)),
                        "probe_info{journey=\"\",kind=\"push\",probe=\"p1\",severity=\"critical\","
                        "target=\"rtmp://example.com/live\",team=\"live \\\"A\\\"\"}"),
              "1");
}

TEST(AllKinds, LeaveRoomForTheReasonsOfFailuresWithinTheLimit) {
    constexpr std::size_t reasons = 4;  // the fewest that are kept
    for (const Kind* kind : all_kinds()) EXPECT_LE(most_series(*kind) + reasons, series_limit) << kind->name;
}

constexpr std::array<std::string_view, 2> caches{"hit", "miss"};
constexpr std::array<std::string_view, 2> codes{"200", "404"};
constexpr Value responses{.metric = "livecanary_test_responses_total",
                          .help = "Responses.",
                          .type = ValueType::counter,
                          .label = "code",
                          .label_values = codes,
                          .second_label = "cache",
                          .second_label_values = caches};
constexpr Value table_rows{.metric = "livecanary_test_table_rows", .help = "Rows.", .label = "table"};
constexpr std::array configured_values{responses, table_rows};
constexpr Kind configured{
    .name = "configured", .phases = one_phase, .values = configured_values, .make = nullptr};

TEST_F(ProbeMetricsTest, LabelsAreBoundedByTheConfigurationAndTwoOfThemComeWhenObserved) {
    auto settings = settings_of(configured);
    settings.probe.label_values["table"] = {"tb_vod", "tb_room"};
    const Probe bare;
    EXPECT_EQ(most_series(configured, settings.probe), most_series(configured, bare) + 2);
    ProbeMetrics own(settings);
    EXPECT_EQ(text_of(own).find("livecanary_test_"), std::string::npos);
    ProbeRun run(world.env, 10s);
    run.found(table_rows, 7, "tb_vod");
    run.found(table_rows, 8, "a table that a server made up");
    run.found(responses, 1, "200", "hit");
    run.found(responses, 1, "200", "hit");
    run.found(responses, 1, "404", "somewhere");
    own.ran(run.ok(), {}, standing, false, world.now);
    const std::string text = text_of(own);
    EXPECT_EQ(number_in(text, "test_table_rows{probe=\"p1\",kind=\"configured\",table=\"tb_vod\"}"), "7");
    EXPECT_EQ(number_in(text,
                        "test_responses_total{probe=\"p1\",kind=\"configured\",code=\"200\",cache="
                        "\"hit\"}"),
              "2");
    EXPECT_EQ(text.find("made up"), std::string::npos);
    EXPECT_EQ(text.find("tb_room"), std::string::npos) << "a gauge that is not known";
    EXPECT_EQ(text.find("\"404\""), std::string::npos);
    EXPECT_EQ(text.find("\"miss\""), std::string::npos);
}

TEST_F(ProbeMetricsTest, WhateverAServerDoesTheSeriesStayWithinTheLimit) {
    for (std::size_t phase = 1; phase <= push_phases.size(); ++phase)
        for (int error = 1; error <= conclusive_errors; ++error)
            ran(run(phase, code_for(static_cast<TestError>(error))));
    ProbeRun last(world.env, 10s);
    for (const Phase& phase : push_phases) last.enter(phase);
    last.found(window_bytes, 5'000'000);
    ran(last.ok());
    EXPECT_EQ(series_in(text()), series_limit - 1);  // failing is absent
    ran(run(9, code_for(TestError::stalled)));
    const std::string all = text();
    EXPECT_LE(series_in(all), series_limit);
    EXPECT_EQ(most_series(push), 57U);
    EXPECT_EQ(number_in(all, "probe_failures_total{probe=\"p1\",kind=\"push\"}"), "109");
    // What was seen last is there, what was seen first made room.
    EXPECT_NE(all.find("phase=\"teardown\",reason=\"stalled\"} 2"), std::string::npos);
    EXPECT_EQ(all.find("phase=\"dns\",reason="), std::string::npos);
}

TEST(DaemonMetricsTest, SaysWhatItWasToldAndNothingElse) {
    DaemonMetrics metrics;
    const auto text = [&] {
        Families families;
        metrics.collect(families);
        std::ostringstream out;
        prometheus::TextSerializer().Serialize(out, families.take());
        return out.str();
    };
    std::string before = text();
    EXPECT_EQ(before.find("clock"), std::string::npos);
    EXPECT_EQ(before.find("reload"), std::string::npos);
    EXPECT_NE(before.find("livecanary_build_info{version=\""), std::string::npos);
    EXPECT_NE(before.find("\nlivecanary_runs_in_flight 0\n"), std::string::npos);

    EXPECT_EQ(before.find("litter"), std::string::npos);
    EXPECT_NE(before.find("\nlivecanary_state_write_failures_total 0\n"), std::string::npos);

    StateFigures state;
    state.litter["cos"] = {.items = 3, .oldest = WallTime{1500ms}};
    state.litter["sql"] = {};
    state.write_failures = 5;
    metrics.state(std::move(state));
    metrics.reloaded(true, WallTime{100s});
    metrics.reloaded(false, WallTime{200s});
    metrics.clock(-250ms, true);
    metrics.runs_in_flight(7);
    metrics.start_lateness(200us);
    metrics.loop_lag(6s);
    const std::string after = text();
    for (const char* line :
         {"livecanary_config_last_reload_successful 0",
          "livecanary_config_last_reload_success_timestamp_seconds 100",
          "livecanary_clock_offset_seconds -0.25", "livecanary_clock_synchronized 1",
          "livecanary_runs_in_flight 7", "livecanary_scheduler_lateness_seconds_bucket{le=\"0.0001\"} 0",
          "livecanary_scheduler_lateness_seconds_bucket{le=\"0.00025\"} 1",
          "livecanary_event_loop_lag_seconds_bucket{le=\"5\"} 0", "livecanary_litter_items{store=\"cos\"} 3",
          "livecanary_litter_items{store=\"sql\"} 0",
          "livecanary_litter_oldest_timestamp_seconds{store=\"cos\"} 1.5",
          "livecanary_state_write_failures_total 5",
          "livecanary_event_loop_lag_seconds_bucket{le=\"+Inf\"} 1"})
        EXPECT_NE(after.find(std::string("\n") + line + "\n"), std::string::npos) << line;
    EXPECT_EQ(after.find("livecanary_litter_oldest_timestamp_seconds{store=\"sql\"}"), std::string::npos);
}

TEST(ProcessMetricsTest, TellsOfThisProcess) {
    Families families;
    collect_process(families);
    std::set<std::string> names;
    for (const auto& family : families.take()) {
        names.insert(family.name);
        ASSERT_EQ(family.metric.size(), 1U);
        const bool counter = family.type == prometheus::MetricType::Counter;
        const double number = counter ? family.metric[0].counter.value : family.metric[0].gauge.value;
        EXPECT_GE(number, counter ? 0 : 1) << family.name;
    }
    EXPECT_EQ(names,
              (std::set<std::string>{"process_cpu_seconds_total", "process_max_fds", "process_open_fds",
                                     "process_resident_memory_bytes", "process_start_time_seconds",
                                     "process_threads", "process_virtual_memory_bytes"}));
}

TEST_F(ProbeMetricsTest, PromtoolFindsNothingToSay) {
    if (std::system("promtool --version >/dev/null 2>&1") != 0) {
        if (std::getenv("CI")) FAIL() << "promtool is missing (Debian package prometheus)";
        GTEST_SKIP() << "promtool is missing (Debian package prometheus)";
    }
    ProbeSettings second_settings = settings_of(labelled);
    second_settings.name = "p2";
    ProbeMetrics second(second_settings);
    ran(run(9));
    ran(run(7, code_for(TestError::rejected)));
    Families families;
    metrics.collect(families, world.now, world.wall);
    second.collect(families, world.now, world.wall);
    DaemonMetrics daemon;
    daemon.reloaded(true, world.wall);
    daemon.clock(1ms, true);
    StateFigures state;
    state.litter["cos"] = {.items = 1, .oldest = world.wall};
    daemon.state(std::move(state));
    daemon.collect(families);
    collect_process(families);

    const auto directory = std::filesystem::path(testing::TempDir());
    const auto in = (directory / ("promtool_" + std::to_string(::getpid()) + ".txt")).string();
    const auto out = in + ".out";
    {
        std::ofstream file(in);
        prometheus::TextSerializer().Serialize(file, families.take());
    }
    const int status = std::system(("promtool check metrics <" + in + " >" + out + " 2>&1").c_str());
    std::ifstream file(out);
    const std::string said{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(status, 0) << said;
    EXPECT_EQ(said, "");
    std::filesystem::remove(in);
    std::filesystem::remove(out);
}

}  // namespace
}  // namespace livecanary::daemon
