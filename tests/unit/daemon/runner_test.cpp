#include "daemon/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/serialize.hpp>

#include "tests/support/name_server.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/unit/daemon/scripted_probe.hpp"
#include "tests/unit/daemon/state_folder.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
using livecanary::test::Gate;
using livecanary::test::run_until;
using livecanary::test::ScriptedPeer;
using livecanary::test::stays_silent;
using namespace test;

/// A daemon without its App: a loop, and what runners share.
class RunnerTest : public testing::Test {
protected:
    RunnerTest() {
        shared.executor = io.get_executor();
        shared.dns = std::make_shared<net::Resolver>(io.get_executor());
        shared.anchors = std::make_shared<Anchors>(std::vector<std::string>{});
        shared.seed = [this] { return ++seeds; };
        shared.now = [this] {
            const auto now = Clock::now() + shift;
            if (!first_asked) first_asked = now;
            return now;
        };
        shared.wall = [this] { return std::chrono::system_clock::now() + shift; };
    }
    ~RunnerTest() override {
        for (auto& one : running) stop(one);
    }

    /// Lives as long as the runners do.
    ScriptedProbe& scripted(std::deque<Step> script) { return probes.emplace_back(std::move(script)); }

    struct Running {
        std::unique_ptr<Runner> runner;
        bool ended = false;
    };
    Running& start(ProbeSettings settings) {
        auto& one = running.emplace_back();
        one.runner =
            std::make_unique<Runner>(std::make_shared<const ProbeSettings>(std::move(settings)), shared);
        one.runner->start([&one] { one.ended = true; });
        return one;
    }
    void stop(Running& one) {
        if (one.ended) return;
        one.runner->stop();
        run_until(io, [&] { return one.ended; });
    }
    double series(const Running& one, const std::string& name, const std::string& label = "") const {
        Families families;
        one.runner->collect(families, Clock::now());
        return test::series(families.take(), "livecanary_probe_" + name, label);
    }
    void run_until_series(const Running& one, const std::string& name, double at_least,
                          const std::string& label = "") {
        run_until(io, [&] { return series(one, name, label) >= at_least; });
    }
    void use_anchor(const asio::ip::tcp::endpoint& at) {
        shared.anchors =
            std::make_shared<Anchors>(std::vector{"http://127.0.0.1:" + std::to_string(at.port()) + "/"});
    }

    asio::io_context io{};
    Clock::duration shift{};  // of both clocks against the real ones
    std::optional<Clock::time_point> first_asked{};
    std::uint64_t seeds = 0;
    Shared shared{};
    Gate gate{io};
    std::list<ScriptedProbe> probes{};
    std::list<Running> running{};
};

TEST_F(RunnerTest, RunsAndRunsAgain) {
    auto& probe = scripted({succeeds()});
    auto& one = start(probe.settings());
    EXPECT_EQ(series(one, "runs_total"), 0) << "there from the start";
    EXPECT_EQ(series(one, "success"), -1) << "nothing is known yet";
    EXPECT_TRUE(one.runner->status(Clock::now()).outcome.empty());
    run_until_series(one, "runs_total", 3);
    EXPECT_EQ(series(one, "success"), 1);
    EXPECT_EQ(series(one, "failures_total"), 0);
    EXPECT_EQ(series(one, "duration_seconds"), 3);
    const auto status = one.runner->status(Clock::now());
    EXPECT_EQ(status.outcome, "ok");
    EXPECT_EQ(status.name, "p");
    EXPECT_EQ(status.kind, "scripted");
    EXPECT_LE(status.until_next, 20ms);
    EXPECT_EQ(shared.in_flight, 0U);
}

asio::awaitable<RunResult> make_something(ProbeRun& run, std::vector<error_code>& recorded) {
    run.enter(publish);
    Litter litter{run.env().probe, "cos", "item-" + run.run_id(), run.env().wall()};
    const auto code = co_await run.env().ledger->record(std::move(litter));
    recorded.push_back(code);
    co_return run.ok();
}

TEST_F(RunnerTest, WhatARunMakesIsRecordedUnderItsNameAndLeftOverWhenItHasEnded) {
    const StateFolder folder;
    StateOptions options;
    options.directory = folder.path();
    options.wall = [this] { return shared.wall(); };
    StateStore store(std::move(options));
    shared.state = &store;
    std::vector<error_code> recorded;
    auto& probe = scripted({[&](ProbeRun& run) { return make_something(run, recorded); }, waits_for(gate)});
    auto settings = probe.settings();
    settings.name = "cover-bucket";
    auto& one = start(std::move(settings));
    run_until_series(one, "runs_total", 1);
    ASSERT_EQ(recorded, std::vector<error_code>{{}});
    EXPECT_TRUE(livecanary::test::await(io, store.leftovers()).empty()) << "another probe may want it yet";
    shift += settling;
    const auto left = livecanary::test::await(io, store.leftovers());
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0].probe, "cover-bucket");
    gate.open();
    stop(one);
}

TEST_F(RunnerTest, ACutRunLeavesNothingUnderWay) {
    const StateFolder folder;
    StateOptions options;
    options.directory = folder.path();
    options.wall = [this] { return shared.wall() + settling; };
    StateStore store(std::move(options));
    shared.state = &store;
    std::vector<error_code> recorded;
    bool cleaned_up = false;
    auto& probe = scripted({[&](ProbeRun& run) { return make_something(run, recorded); }, hangs(cleaned_up)});
    auto& one = start(probe.settings());
    run_until(io, [&] { return probe.started == 2; });
    stop(one);
    EXPECT_EQ(livecanary::test::await(io, store.leftovers()).size(), 1U);
}

TEST_F(RunnerTest, AFailureIsCountedAndShown) {
    auto& probe = scripted({fails()});
    auto& one = start(probe.settings());
    run_until_series(one, "failures_total", 3);
    EXPECT_EQ(series(one, "success"), 0);
    EXPECT_EQ(series(one, "failing", "publish"), 1);
    EXPECT_EQ(series(one, "failing", "refused"), 1);
    EXPECT_EQ(series(one, "alerting"), 1);
    EXPECT_EQ(series(one, "consecutive_failures"), 3);
    const auto status = one.runner->status(Clock::now());
    EXPECT_EQ(status.outcome, "failed");
    EXPECT_EQ(status.phase, "publish");
    EXPECT_EQ(status.reason, "refused");
    EXPECT_EQ(status.sentence, "publish: refused (Connection refused)");
    EXPECT_TRUE(status.alerting);
}

TEST_F(RunnerTest, RunsNeverOverlapAndTheSkippedAreCounted) {
    auto& probe = scripted({waits_for(gate), succeeds()});
    auto& one = start(probe.settings(5ms));
    run_until(io, [&] { return probe.started == 1; });
    // The run lasts three intervals at least.
    asio::steady_timer later(io, 20ms);
    later.async_wait([&](error_code) { gate.open(); });
    run_until(io, [&] { return probe.started == 3; });
    EXPECT_GE(series(one, "skipped_total", "overlap"), 3);
    EXPECT_EQ(series(one, "skipped_total", "admission"), 0);
    EXPECT_EQ(probe.most_at_once, 1);
}

TEST_F(RunnerTest, NoMoreRunsAtOnceThanAdmitted) {
    shared.max_concurrent = 1;
    auto& first = scripted({waits_for(gate), succeeds()});
    auto& second = scripted({succeeds()});
    start(first.settings());
    run_until(io, [&] { return first.started == 1; });
    EXPECT_EQ(shared.in_flight, 1U);
    auto& other = start(second.settings());
    run_until_series(other, "skipped_total", 2, "admission");
    EXPECT_EQ(second.started, 0);
    EXPECT_EQ(series(other, "runs_total"), 0);
    gate.open();
    run_until_series(other, "runs_total", 1);
}

TEST_F(RunnerTest, AFirstFailureIsConfirmedByAnExtraRun) {
    // Fails each other run, so that each failure is a first one.
    std::deque<Step> script;
    for (int i = 0; i < 100; ++i) script.insert(script.end(), {fails(), succeeds()});
    auto& probe = scripted(std::move(script));
    auto& one = start(probe.settings(60ms));
    run_until_series(one, "confirmations_total", 1);
    EXPECT_EQ(series(one, "runs_total"), probe.ended) << "it is a run as any other";
    // It uses no slot up: the next one due comes after those run and those missed.
    const auto first = Schedule::starting(first_asked.value(), 60ms, "p").first();
    const auto slots = series(one, "runs_total") - series(one, "confirmations_total") +
                       series(one, "skipped_total", "overlap");
    EXPECT_EQ(one.runner->status(first).until_next / 60ms, slots);
}

TEST_F(RunnerTest, ATimeoutIsNotConfirmed) {
    std::deque<Step> script;
    for (int i = 0; i < 3; ++i) script.insert(script.end(), {fails(asio::error::timed_out), succeeds()});
    auto& probe = scripted(std::move(script));
    auto& one = start(probe.settings(40ms));
    run_until_series(one, "runs_total", 6);
    EXPECT_EQ(series(one, "failures_total"), 3);
    EXPECT_EQ(series(one, "confirmations_total"), 0);
}

TEST_F(RunnerTest, NothingIsLeftToConfirmWhenOneFailureAlerts) {
    std::deque<Step> script;
    for (int i = 0; i < 3; ++i) script.insert(script.end(), {fails(), succeeds()});
    auto& probe = scripted(std::move(script));
    auto settings = probe.settings(40ms);
    settings.fail_after = settings.recover_after = 1;
    auto& one = start(std::move(settings));
    run_until_series(one, "runs_total", 6);
    EXPECT_EQ(series(one, "confirmations_total"), 0);
    EXPECT_EQ(probe.experiments, 1);
}

TEST_F(RunnerTest, ControlsArePlayedOnceAnIncidentAndServeOnlyTheSameFailure) {
    const auto closed = asio::error::eof;
    auto& probe =
        scripted({fails(closed, publish, "A"), fails(closed, publish, "A"), fails(closed, publish, "B"),
                  fails(closed, publish, "A"), fails(closed, media, "A"),
                  fails(asio::error::timed_out, publish, "A"), fails(closed, publish, "A"), succeeds()});
    auto& one = start(probe.settings());
    run_until(io, [&] { return probe.judged.size() == 7; });
    std::vector<std::size_t> controls;
    for (const auto& run : probe.judged) controls.push_back(run.controls.size());
    // None for the first failure, which may be a hiccup.
    EXPECT_EQ(controls, (std::vector<std::size_t>{0, 1, 0, 1, 0, 0, 1}));
    EXPECT_EQ(probe.experiments, 1);
    EXPECT_EQ(series(one, "alerting"), 1);
}

TEST_F(RunnerTest, ControlsOfTheNextIncidentWaitForTheirGap) {
    auto& probe = scripted(
        {fails(), fails(), succeeds(), fails(), fails(), after([&](ProbeRun&) { shift += 61s; }, fails())});
    // The jump is undone once the run is over, else the next slot would be a minute away.
    probe.on_judged = [&] { shift = 0s; };
    auto settings = probe.settings();
    settings.recover_after = 1;
    start(std::move(settings));
    run_until(io, [&] { return probe.judged.size() == 4; });
    EXPECT_EQ(probe.experiments, 1);
    EXPECT_TRUE(probe.judged.back().controls.empty())
        << "those of the last incident say nothing about this one";
    run_until(io, [&] { return probe.judged.size() == 5; });
    EXPECT_EQ(probe.experiments, 2);
    EXPECT_EQ(probe.judged.back().controls.size(), 1U);
}

TEST_F(RunnerTest, ARunThatIsCutCleansUpAndHasNoResult) {
    bool cleaned_up = false;
    auto& probe = scripted({hangs(cleaned_up)});
    auto& one = start(probe.settings());
    run_until(io, [&] { return probe.started == 1; });
    EXPECT_EQ(shared.in_flight, 1U);
    stop(one);
    EXPECT_TRUE(cleaned_up);
    EXPECT_EQ(shared.in_flight, 0U);
    EXPECT_EQ(series(one, "runs_total"), 0);
    EXPECT_EQ(series(one, "inconclusive_total"), 0);
    EXPECT_TRUE(probe.judged.empty());
    EXPECT_TRUE(one.runner->status(Clock::now()).outcome.empty());
}

/// Fails by itself just as it is cut.
asio::awaitable<RunResult> refused_when_cut(ProbeRun& run) {
    run.enter(test::tcp);
    asio::steady_timer forever(co_await asio::this_coro::executor, Clock::time_point::max());
    co_await forever.async_wait(net::no_throw);
    co_return run.fail(asio::error::connection_refused);
}

TEST_F(RunnerTest, ARunThatIsCutAsksNoAnchors) {
    ScriptedPeer anchor(io, stays_silent);
    use_anchor(anchor.endpoint());
    auto& probe = scripted({refused_when_cut});
    auto& one = start(probe.settings());
    run_until(io, [&] { return probe.started == 1; });
    stop(one);
    io.poll();
    EXPECT_EQ(anchor.accepted(), 0);
}

TEST_F(RunnerTest, StopEndsTheWaitForTheNextRun) {
    auto& probe = scripted({succeeds()});
    auto& one = start(probe.settings(24h));
    io.poll();
    stop(one);
    EXPECT_EQ(probe.started, 0);
}

TEST_F(RunnerTest, StopBeforeTheFirstStep) {
    auto& probe = scripted({succeeds()});
    auto& one = start(probe.settings());
    stop(one);
    EXPECT_EQ(probe.started, 0);
}

TEST_F(RunnerTest, WhenTheAnchorsFailTooItIsUs) {
    livecanary::test::NameServer name_server(io);  // knows no name
    shared.dns = std::make_shared<net::Resolver>(io.get_executor(), std::vector{name_server.address()});
    shared.anchors = std::make_shared<Anchors>(std::vector<std::string>{"http://anchor.test/"});
    auto& probe = scripted({fails(asio::error::host_unreachable, tcp)});
    auto& one = start(probe.settings());
    run_until_series(one, "inconclusive_total", 1);
    EXPECT_EQ(series(one, "failures_total"), 0);
    EXPECT_EQ(series(one, "alerting"), 0);
    const auto sentence = one.runner->status(Clock::now()).sentence;
    EXPECT_TRUE(sentence.starts_with("the anchors fail too: http://anchor.test/: the name does not exist"))
        << sentence;
}

TEST_F(RunnerTest, WhenAnAnchorAnswersItIsTheTarget) {
    ScriptedPeer anchor(io, stays_silent);
    use_anchor(anchor.endpoint());
    auto& probe = scripted({fails(asio::error::host_unreachable, tcp)});
    auto& one = start(probe.settings());
    run_until_series(one, "failures_total", 1);
    ASSERT_EQ(probe.judged.front().controls.size(), 1U);
    EXPECT_EQ(probe.judged.front().controls.front().name, "anchors");
    EXPECT_EQ(probe.judged.front().controls.front().outcome, ControlOutcome::passed);
}

TEST_F(RunnerTest, AnchorsAreNotAskedOnceTheTargetWasReached) {
    ScriptedPeer anchor(io, stays_silent);
    use_anchor(anchor.endpoint());
    auto& probe = scripted({fails(asio::error::eof, publish)});
    auto& one = start(probe.settings());
    run_until_series(one, "failures_total", 1);
    EXPECT_TRUE(probe.judged.front().controls.empty());
    io.poll();
    EXPECT_EQ(anchor.accepted(), 0);
}

TEST_F(RunnerTest, AStopWhileAnchorsAreAskedPlaysNoControls) {
    livecanary::test::FullPort anchor(io);
    use_anchor(anchor.endpoint());
    auto& probe = scripted({fails(asio::error::host_unreachable, tcp)});
    auto settings = probe.settings();
    settings.fail_after = 1;
    auto& one = start(std::move(settings));
    run_until(io, [&] { return probe.ended == 1; });
    io.poll();
    stop(one);
    EXPECT_EQ(probe.experiments, 0);
    EXPECT_EQ(series(one, "runs_total"), 0);
}

TEST_F(RunnerTest, AReloadBringsAnotherResolverButNotUnderARun) {
    std::vector<net::Resolver*> seen;
    const auto look = [&](ProbeRun& run) { seen.push_back(run.env().dns); };
    auto& probe = scripted({after(look, waits_for(gate)), after(look, succeeds())});
    start(probe.settings());
    run_until(io, [&] { return probe.started == 1; });
    const std::weak_ptr<net::Resolver> old = shared.dns;
    shared.dns = std::make_shared<net::Resolver>(io.get_executor());
    EXPECT_FALSE(old.expired()) << "the run under way uses it";
    gate.open();
    run_until(io, [&] { return probe.ended == 2; });
    EXPECT_EQ(seen.back(), shared.dns.get());
    EXPECT_TRUE(old.expired());
}

TEST_F(RunnerTest, AThrowingProbeGoesOn) {
    auto& probe = scripted({throws("a bug"), succeeds()});
    auto& one = start(probe.settings());
    run_until_series(one, "runs_total", 2);
    EXPECT_EQ(series(one, "inconclusive_total"), 1);
    EXPECT_EQ(series(one, "success"), 1);
}

TEST_F(RunnerTest, SaysWhenItStandsStill) {
    auto& probe = scripted({waits_for(gate)});
    auto settings = probe.settings();
    settings.timeout = 1s;
    auto& one = start(std::move(settings));
    EXPECT_EQ(one.runner->standing_still(Clock::now() + 24h), "") << "it has not begun";
    io.poll();
    const auto now = Clock::now();
    EXPECT_EQ(one.runner->standing_still(now), "");
    EXPECT_TRUE(one.runner->standing_still(now + 1min).starts_with("probe p should have started "));
    run_until(io, [&] { return probe.started == 1; });
    EXPECT_EQ(one.runner->standing_still(Clock::now() + 12s), "")
        << "a run, its controls and its end may take a while";
    EXPECT_TRUE(one.runner->standing_still(Clock::now() + 14s).starts_with("probe p should have ended "));
    gate.open();
}

TEST_F(RunnerTest, EachProbeHasRandomnessOfItsOwn) {
    std::vector<std::uint64_t> numbers;
    const auto draw = [&](ProbeRun& run) { numbers.push_back(run.env().random()); };
    auto& first = scripted({after(draw, succeeds())});
    auto& second = scripted({after(draw, succeeds())});
    auto& one = start(first.settings());
    run_until_series(one, "runs_total", 1);
    stop(one);
    auto& other = start(second.settings());
    run_until_series(other, "runs_total", 1);
    ASSERT_EQ(numbers.size(), 2U);
    EXPECT_NE(numbers[0], numbers[1]);
}

/// Goes on until it is cancelled, and puts something away then.
asio::awaitable<void> go_on(Env& env, std::vector<std::string>& seen) {
    co_await asio::this_coro::throw_if_cancelled(false);
    seen.push_back(env.probe + " goes on");
    asio::steady_timer forever(co_await asio::this_coro::executor, Clock::time_point::max());
    co_await forever.async_wait(net::no_throw);
    seen.push_back("is stopped");
}
asio::awaitable<void> take_leave(ProbeRun& run, std::vector<std::string>& seen) {
    seen.push_back(run.deadline() > run.started() ? "leaves" : "leaves without time");
    co_return;
}

TEST_F(RunnerTest, WhatGoesOnBesideTheRunsIsJoinedAndThenTheProbeLeaves) {
    std::vector<std::string> seen;
    auto& probe = scripted({succeeds()});
    auto settings = probe.settings();
    settings.probe.background = [&](Env& env) { return go_on(env, seen); };
    settings.probe.leave = [&](ProbeRun& run) { return take_leave(run, seen); };
    auto& one = start(std::move(settings));
    run_until_series(one, "runs_total", 2);
    EXPECT_EQ(seen, std::vector<std::string>{"p goes on"});
    stop(one);
    EXPECT_EQ(seen, (std::vector<std::string>{"p goes on", "is stopped", "leaves"}));
}

asio::awaitable<void> fall_over(Env&) {
    throw std::runtime_error("a bug");
    co_return;
}

TEST_F(RunnerTest, AFaultBesideTheRunsEndsNoRun) {
    auto settings = scripted({succeeds()}).settings();
    settings.probe.background = fall_over;
    auto& one = start(std::move(settings));
    run_until_series(one, "runs_total", 2);
    stop(one);
}

TEST_F(RunnerTest, RunsAtOnceWhenAskedToAndNotTwice) {
    auto& probe = scripted({waits_for(gate)});
    auto& one = start(probe.settings(1h));
    run_until(io, [&] { return one.runner->status(Clock::now()).until_next > 0ms; });
    EXPECT_EQ(probe.started, 0);
    const auto until_slot = one.runner->status(Clock::now()).until_next;
    one.runner->run_now();
    run_until(io, [&] { return probe.started == 1; });
    one.runner->run_now();  // it runs already
    gate.open();
    run_until_series(one, "runs_total", 1);
    EXPECT_EQ(probe.most_at_once, 1);
    EXPECT_GT(one.runner->status(Clock::now()).until_next, 0ms) << "and its schedule goes on";
    EXPECT_LE(one.runner->status(Clock::now()).until_next, until_slot) << "from where it was";
    EXPECT_EQ(probe.started, 1);
}

constexpr Kind database_kind{.name = "mysql", .phases = scripted_phases, .values = {}, .make = nullptr};

TEST_F(RunnerTest, AnotherProbeOfItsSystemNamesTheCause) {
    ProbeSettings backend = scripted({fails()}).settings();
    backend.probe.diagnose = [](const RunResult&) {
        return one_of(CauseClass::backend_http_500,
                      {{Cause::db_config_mismatch, "a"}, {Cause::db_unreachable_2002_2003_2005, "b"}},
                      "HTTP 500");
    };
    ProbeSettings database = scripted({succeeds(), fails()}).settings(1h);
    database.name = "replay-db";
    database.kind = &database_kind;
    database.probe.diagnose = [](const RunResult&) {
        return claim(Cause::db_unreachable_2002_2003_2005, "refused");
    };
    auto& one = start(std::move(backend));
    run_until_series(one, "failing", 1, "backend_http_500");
    auto& other = start(database);
    run_until(io, [&] { return other.runner->status(Clock::now()).until_next > 0ms; });
    other.runner->run_now();
    run_until_series(other, "runs_total", 1);
    run_until_series(one, "runs_total", series(one, "runs_total") + 1);
    EXPECT_EQ(series(one, "failing", "backend_http_500"), 1) << "it is well: a class it stays";
    EXPECT_THAT(boost::json::serialize(one.runner->latest()), testing::HasSubstr("replay-db connects"));
    stop(other);

    database.interval = 20ms;
    auto& again = start(std::move(database));
    run_until_series(again, "failing", 1);
    run_until_series(one, "failing", 1, "db_unreachable_2002_2003_2005");
    EXPECT_EQ(series(one, "failing", "backend_http_500"), -1);
    // Its verdict goes with it.
    stop(again);
    run_until_series(one, "failing", 1, "backend_http_500");
    EXPECT_EQ(series(one, "failing", "db_unreachable_2002_2003_2005"), -1);
}

TEST_F(RunnerTest, AKeywordOfALogConfirmsACauseAndClaimsNone) {
    Notice notice{.from = "backend-log", .at = std::chrono::system_clock::now()};
    notice.facts = {{"cause", "callback_api_key_mismatch"}, {"line", "check_sign error:***"}};
    const auto now = notice.at + 1min;
    Diagnosis claimed = claim(Cause::callback_api_key_mismatch, "the key oracle says so");
    confirm_by_keywords(claimed, {notice}, now, 15min);
    EXPECT_EQ(claimed.because,
              "the key oracle says so; the log read by backend-log says so too: check_sign error:***");
    Diagnosis open = one_of(
        CauseClass::callback_refused,
        {{Cause::db_config_mismatch, "the commonest"}, {Cause::callback_api_key_mismatch, "it may be"}},
        "refused");
    confirm_by_keywords(open, {notice}, now, 15min);
    EXPECT_FALSE(open.cause);
    EXPECT_EQ(open.candidates[0].why, "the commonest");
    EXPECT_EQ(open.candidates[1].why,
              "it may be; the log read by backend-log says so too: check_sign error:***");
    Diagnosis old = claim(Cause::callback_api_key_mismatch, "the key oracle says so");
    confirm_by_keywords(old, {notice}, notice.at + 16min, 15min);
    EXPECT_EQ(old.because, "the key oracle says so");
    Diagnosis none;
    confirm_by_keywords(none, {notice}, now, 15min);
    EXPECT_TRUE(none.because.empty());
}

asio::awaitable<void> take_answer(std::shared_ptr<RunWaiter> waiter, std::shared_ptr<const ProbeNow>& into) {
    into = co_await wait_for(std::move(waiter));
}

/// What somebody who asks for a run gets, once it is there.
struct AskedFor {
    AskedFor(asio::io_context& io, Runner& runner) {
        auto waiter = std::make_shared<RunWaiter>(io.get_executor());
        asio::co_spawn(io, take_answer(waiter, answer), asio::detached);
        runner.answer_with_next(waiter);
    }
    std::shared_ptr<const ProbeNow> answer{};
};

TEST_F(RunnerTest, WhoeverAsksForARunGetsItsResultAndNobodyStartsASecond) {
    auto& probe = scripted({waits_for(gate), fails()});
    auto& one = start(probe.settings(1h));
    // It is not due for up to an hour, so the first one who asks starts it.
    AskedFor first(io, *one.runner);
    run_until(io, [&] { return probe.started == 1; });
    AskedFor second(io, *one.runner);
    for (int i = 0; i < 20; ++i) io.poll();
    EXPECT_EQ(first.answer, nullptr);
    EXPECT_EQ(probe.started, 1);
    gate.open();
    run_until(io, [&] { return first.answer && second.answer; });
    EXPECT_EQ(first.answer, second.answer) << "one run for both";
    EXPECT_EQ(first.answer->run.outcome(), RunOutcome::ok);
    // One who asks as soon as it has ended gets the same: else a client in a loop would be a load.
    AskedFor third(io, *one.runner);
    run_until(io, [&] { return third.answer != nullptr; });
    EXPECT_EQ(third.answer, first.answer);
    EXPECT_EQ(probe.started, 1);
    shift += 1s;
    AskedFor fourth(io, *one.runner);
    run_until(io, [&] { return fourth.answer != nullptr; });
    EXPECT_EQ(probe.started, 2);
    EXPECT_EQ(fourth.answer->run.outcome(), RunOutcome::failed);
    EXPECT_EQ(probe.most_at_once, 1);
}

TEST_F(RunnerTest, WhoWaitsForARunThatCannotBeIsTold) {
    auto& probe = scripted({waits_for(gate)});
    auto& one = start(probe.settings(1h));
    shared.max_concurrent = 0;
    AskedFor full(io, *one.runner);
    run_until(io, [&] { return full.answer != nullptr; });
    EXPECT_EQ(full.answer->refused, "as many runs as may be are under way already");
    shared.max_concurrent = 1;
    AskedFor cut(io, *one.runner);
    run_until(io, [&] { return probe.started == 1; });
    one.runner->stop();
    AskedFor late(io, *one.runner);
    run_until(io, [&] { return cut.answer && late.answer && one.ended; });
    EXPECT_EQ(cut.answer->refused, "the probe is being stopped");
    EXPECT_EQ(late.answer->refused, "the probe is being stopped");
}

TEST_F(RunnerTest, OneTooManyWhoWaitsIsRefusedAndNobodyElse) {
    auto& probe = scripted({waits_for(gate)});
    auto& one = start(probe.settings(1h));
    std::deque<AskedFor> asked;
    for (int i = 0; i < 64; ++i) asked.emplace_back(io, *one.runner);
    run_until(io, [&] { return probe.started == 1; });
    AskedFor too_many(io, *one.runner);
    run_until(io, [&] { return too_many.answer != nullptr; });
    EXPECT_EQ(too_many.answer->refused, "too many wait for this probe");
    for (int i = 0; i < 20; ++i) io.poll();
    for (const auto& waits : asked) ASSERT_EQ(waits.answer, nullptr);
    gate.open();
    run_until(io, [&] {
        return std::ranges::all_of(asked, [](const auto& got) { return got.answer != nullptr; });
    });
    for (const auto& got : asked) EXPECT_EQ(got.answer->refused, "");
    EXPECT_EQ(probe.started, 1);
}

TEST(ProbeNowText, IsBlackboxExportersWhereTheNumberIsTheSame) {
    Env env;
    ProbeRun run(env, 1s);
    run.enter(test::dns, run.started());
    run.enter(publish, run.started() + 250ms);
    ProbeNow answer{.run = run.fail(make_error_code(boost::system::errc::connection_refused)),
                    .label = "push_refused"};
    answer.run.duration = 500ms;
    const std::string failed = exposition(answer);
    for (const char* line :
         {"# TYPE probe_success gauge\nprobe_success 0\n", "\nprobe_inconclusive 0\n",
          "\nprobe_duration_seconds 0.5\n", "\nprobe_dns_lookup_time_seconds 0.25\n",
          "\nprobe_phase_duration_seconds{phase=\"dns\"} 0.25\n",
          "\nprobe_failing{phase=\"publish\",reason=\"refused\",cause=\"push_refused\"} 1\n"})
        EXPECT_NE(failed.find(line), std::string::npos) << line << failed;
    answer.run.inconclusive = "our own clock was stepped";
    const std::string open = exposition(answer);
    EXPECT_EQ(open.find("\nprobe_success "), std::string::npos) << "nothing is proven";
    EXPECT_EQ(open.find("probe_failing"), std::string::npos);
    EXPECT_NE(open.find("\nprobe_inconclusive 1\n"), std::string::npos);
}

}  // namespace
}  // namespace livecanary::daemon
