#include "daemon/execute.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "daemon/log.hpp"
#include "tests/unit/daemon/scripted_probe.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
using livecanary::test::await;
using namespace test;

/// Clocks that stand until a run moves them.
struct World {
    Clock::time_point now{1000h};
    WallTime wall{std::chrono::seconds(1'700'000'000)};  // 2023-11-14 22:13:20 UTC
    Env env{};
    LagRecord lag{};
    asio::io_context io{};

    World() {
        env.now = [this] { return now; };
        env.wall = [this] { return wall; };
    }
    void pass(Clock::duration time) {
        now += time;
        wall += std::chrono::duration_cast<WallTime::duration>(time);
    }
    RunResult run(const ProbeSettings& settings, ProbeRun::Observer observer = {}) {
        const Honesty honesty{.lag = &lag};
        return await(io, execute(settings, env, honesty, std::move(observer)));
    }
};

TEST(Execute, GivesTheResultOfTheRun) {
    World world;
    ScriptedProbe probe({after([&](ProbeRun&) { world.pass(2s); },
                               fails(asio::error::connection_refused, tcp, "how it ended"))});
    const auto result = world.run(probe.settings());
    EXPECT_EQ(result.outcome(), RunOutcome::failed);
    EXPECT_EQ(result.reason(), Reason::refused);
    EXPECT_EQ(result.failed_phase(), "tcp");
    EXPECT_EQ(result.fingerprint, "how it ended");
    EXPECT_EQ(result.duration, 2s);
    EXPECT_EQ(result.started, WallTime(std::chrono::seconds(1'700'000'000)));
    EXPECT_EQ(result.run_id.size(), 16U);
    EXPECT_EQ(result.run_id.find_first_not_of("0123456789abcdef"), std::string::npos);
}

TEST(Execute, GivesEachRunAnIdOfItsOwn) {
    World world;
    ScriptedProbe probe({succeeds()});
    const auto settings = probe.settings();
    std::set<std::string> ids;
    for (int i = 0; i < 1000; ++i) ids.insert(world.run(settings).run_id);
    EXPECT_EQ(ids.size(), 1000U);
}

TEST(Execute, TellsTheObserverOfEachPhase) {
    World world;
    ScriptedProbe probe({after([](ProbeRun& run) { run.enter(dns); }, fails())});
    std::string seen;
    world.run(probe.settings(), [&](const PhaseTime& phase, bool ended) {
        seen += std::string(phase.phase.name) + (ended ? phase.ok ? " ok\n" : " failed\n" : "...\n");
    });
    EXPECT_EQ(seen, "dns...\ndns ok\npublish...\npublish failed\n");
}

TEST(Execute, AThrowingProbeIsOurFaultAndIsLogged) {
    World world;
    ScriptedProbe probe({throws("vector::at")});
    testing::internal::CaptureStderr();
    log::start(log::Level::error, log::Format::logfmt);
    const auto result = world.run(probe.settings());
    log::stop();
    const std::string logged = testing::internal::GetCapturedStderr();
    EXPECT_EQ(result.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(result.inconclusive, "a fault of our own: vector::at");
    EXPECT_EQ(result.phases.size(), 1U) << "what it had found is kept";
    EXPECT_NE(logged.find("level=error msg=\"a probe threw: please report this\" probe=p error=vector::at\n"),
              std::string::npos)
        << logged;
}

struct DoubtCase {
    const char* name;
    std::function<void(World&)> meanwhile;
    std::string_view why;  // empty: the run counts
};

class Doubt : public testing::TestWithParam<DoubtCase> {};

TEST_P(Doubt, MakesAnyRunInconclusive) {
    for (const bool ok : {true, false}) {
        World world;
        ScriptedProbe probe(
            {after([&](ProbeRun&) { GetParam().meanwhile(world); }, ok ? succeeds() : fails())});
        auto settings = probe.settings();
        const auto result = world.run(settings);
        EXPECT_EQ(result.inconclusive, GetParam().why);
        const auto undoubted = ok ? RunOutcome::ok : RunOutcome::failed;
        EXPECT_EQ(result.outcome(), GetParam().why.empty() ? undoubted : RunOutcome::inconclusive);
    }
}

const DoubtCase doubts[] = {
    {"nothing_happened", [](World& w) { w.pass(5s); }, ""},
    {"the_loop_was_late",
     [](World& w) {
         w.pass(400ms);
         w.lag.tick(w.now - 300ms, w.now);
     },
     "our own event loop was 300 ms late during the run"},
    {"the_loop_was_late_but_in_bounds",
     [](World& w) {
         w.pass(400ms);
         w.lag.tick(w.now - 250ms, w.now);
     },
     ""},
    {"the_loop_had_been_late_before", [](World& w) { w.lag.tick(w.now - 10s, w.now - 1ns); }, ""},
    {"the_loop_is_late_right_now",
     [](World& w) {
         w.lag.tick(w.now, w.now);
         w.pass(1s);
     },
     "our own event loop was 980 ms late during the run"},
    {"the_clock_was_set_forward",
     [](World& w) {
         w.pass(1s);
         w.wall += 3s;
     },
     "our own clock was stepped during the run"},
    {"the_clock_was_set_back",
     [](World& w) {
         w.pass(1s);
         w.wall -= 1h;
     },
     "our own clock was stepped during the run"},
    {"the_clock_was_nudged", [](World& w) { w.wall += 1900ms; }, ""},
};
INSTANTIATE_TEST_SUITE_P(Execute, Doubt, testing::ValuesIn(doubts),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Execute, AFaultOfOurOwnProvesNothing) {
    World world;
    ScriptedProbe probe({fails(make_error_code(boost::system::errc::too_many_files_open))});
    const auto result = world.run(probe.settings());
    EXPECT_EQ(result.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(result.inconclusive, "a fault of our own: Too many open files");
}

TEST(Execute, TheFirstDoubtIsTheOneThatIsTold) {
    World world;
    ScriptedProbe probe({after(
        [&](ProbeRun& run) {
            run.inconclusive("the kind itself is not sure");
            world.wall += 1h;
        },
        fails())});
    EXPECT_EQ(world.run(probe.settings()).inconclusive, "the kind itself is not sure");
}

TEST(Execute, MaintenanceIsTheHourTheRunStartedIn) {
    World world;  // 22:13 UTC
    ScriptedProbe probe({fails()});
    auto settings = probe.settings();
    settings.maintenance = {config::Window::parse("01:00-02:00").value(),
                            config::Window::parse("22:00-22:30").value()};
    const auto inside = world.run(settings);
    EXPECT_EQ(inside.inconclusive, "maintenance");
    EXPECT_EQ(inside.outcome(), RunOutcome::inconclusive);
    world.pass(20min);
    EXPECT_EQ(world.run(settings).outcome(), RunOutcome::failed);
}

/// What the controls made of a failed run; `Task` wants a value.
asio::awaitable<RunResult> with_controls(const ProbeSettings& settings, Env& env, RunResult failed) {
    co_await play_controls(settings, env, failed);
    co_return failed;
}

using Controls = std::vector<Control>;

asio::awaitable<Controls> throw_instead() {
    throw std::runtime_error("no controls today");
    co_return Controls{};
}
asio::awaitable<Controls> none() { co_return Controls{}; }

RunResult failed_run(World& world, const ProbeSettings& settings) {
    auto failed = world.run(settings);
    failed.controls.push_back({.name = "anchors", .outcome = ControlOutcome::passed});
    return failed;
}

TEST(PlayControls, AddsWhatTheKindSees) {
    World world;
    ScriptedProbe probe({fails()});
    const auto settings = probe.settings();
    const auto result = await(world.io, with_controls(settings, world.env, failed_run(world, settings)));
    ASSERT_EQ(result.controls.size(), 2U);
    EXPECT_EQ(result.controls[0].name, "anchors");
    EXPECT_EQ(result.controls[1].name, "scripted");
    EXPECT_EQ(result.outcome(), RunOutcome::failed);
}

TEST(PlayControls, HaveTwiceTheTimeoutAndTheFailedRun) {
    World world;
    ScriptedProbe probe({fails()});
    auto settings = probe.settings();
    Clock::time_point deadline{};
    std::string phase;
    settings.probe.controls = [&](ProbeRun& run, const RunResult& failed) {
        deadline = run.deadline();
        phase = failed.failed_phase();
        return none();
    };
    await(world.io, with_controls(settings, world.env, failed_run(world, settings)));
    EXPECT_EQ(deadline - world.now, 20s);
    EXPECT_EQ(phase, "publish");
}

TEST(PlayControls, AFaultInThemLeavesTheResultAsItIs) {
    World world;
    ScriptedProbe probe({fails()});
    auto settings = probe.settings();
    settings.probe.controls = [](ProbeRun&, const RunResult&) { return throw_instead(); };
    auto result = await(world.io, with_controls(settings, world.env, failed_run(world, settings)));
    EXPECT_EQ(result.controls.size(), 1U);
    EXPECT_EQ(result.outcome(), RunOutcome::failed);
    settings.probe.controls = {};
    result = await(world.io, with_controls(settings, world.env, failed_run(world, settings)));
    EXPECT_EQ(result.controls.size(), 1U) << "a kind may have none";
}

TEST(Judge, IsAskedOfFailedRunsOnly) {
    World world;
    ScriptedProbe probe({succeeds(), fails(), fails(make_error_code(boost::system::errc::no_buffer_space))});
    const auto settings = probe.settings();
    for (int i = 0; i < 3; ++i) judge(settings, world.run(settings));
    ASSERT_EQ(probe.judged.size(), 1U);
    EXPECT_EQ(probe.judged.front().outcome(), RunOutcome::failed);
}

}  // namespace
}  // namespace livecanary::daemon
