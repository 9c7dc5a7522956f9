#include "probes/reference/kind.hpp"

#include <gtest/gtest.h>

#include "tests/support/task.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;

Probe make_reference() {
    TomlText text("");
    Probe probe = reference::kind.make(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), std::vector<std::string>{});
    return probe;
}

TEST(Reference, MeasuresTwoKnownDelays) {
    asio::io_context io;
    Env env;
    const Probe probe = make_reference();
    ProbeRun run(env, 10s);
    const RunResult result = await(io, probe.run(run));
    EXPECT_EQ(result.outcome(), RunOutcome::ok) << result.code.message();
    std::vector<std::string_view> phases;
    for (const auto& phase : result.phases) phases.push_back(phase.phase.name);
    EXPECT_EQ(phases, (std::vector<std::string_view>{"tcp", "first_byte", "body"}));
    ASSERT_EQ(result.values.size(), 2U);
    for (const auto& found : result.values) {
        EXPECT_EQ(found.value.metric, "livecanary_reference_error_seconds");
        EXPECT_GE(found.number, 0);
    }
}

// To a clock that hardly moves each delay is too short; the error is cut at zero, never negative.
TEST(Reference, ErrorIsNeverNegative) {
    asio::io_context io;
    Env env;
    const auto began = Clock::now();
    env.now = [began] { return began + (Clock::now() - began) / 1000; };
    const Probe probe = make_reference();
    ProbeRun run(env, 10s);
    const RunResult result = await(io, probe.run(run));
    EXPECT_EQ(result.outcome(), RunOutcome::ok);
    for (const auto& found : result.values) EXPECT_EQ(found.number, 0);
}

// What goes wrong here proves nothing about anybody else.
TEST(Reference, DeadlineIsOurOwnFault) {
    asio::io_context io;
    Env env;
    const Probe probe = make_reference();
    ProbeRun run(env, 5ms);
    const RunResult result = await(io, probe.run(run));
    EXPECT_EQ(result.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(probe.diagnose(result).label(), "");
}

TEST(Reference, CutRunEnds) {
    Env env;
    const Probe probe = make_reference();
    for (int turns = 0; turns < 8; ++turns) {
        asio::io_context io;
        ProbeRun run(env, 10s);
        Task<RunResult> task(io, probe.run(run));
        for (int turn = 0; turn < turns && !task.ended(); ++turn) io.run_one();
        task.cut();
        const RunResult result = task.wait();
        EXPECT_NE(result.outcome(), RunOutcome::failed) << turns;
    }
}

}  // namespace
}  // namespace livecanary::test
