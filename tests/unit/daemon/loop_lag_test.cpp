#include "daemon/loop_lag.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "probes/net/background.hpp"
#include "tests/support/task.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

constexpr Clock::time_point t0{100h};

/// Ticks in good time from `from` until `until`.
void run_well(LagRecord& record, Clock::time_point from, Clock::time_point until) {
    for (auto due = from + LagRecord::period; due <= until; due += LagRecord::period)
        record.tick(due, due + 100us);
}

TEST(LagRecord, NothingSeenIsNoLag) {
    const LagRecord record;
    EXPECT_EQ(record.worst_since(t0, t0 + 1h), 0s) << "nobody measures, so nothing is known";
}

TEST(LagRecord, AWellRunningLoopIsNotLate) {
    LagRecord record;
    run_well(record, t0, t0 + 1s);
    EXPECT_LT(record.worst_since(t0, t0 + 1s), 5ms);
}

TEST(LagRecord, KeepsTheWorstOfARun) {
    LagRecord record;
    record.tick(t0, t0 + 400ms);
    record.tick(t0 + 1s, t0 + 1s + 30ms);
    record.tick(t0 + 2s, t0 + 2s + 300ms);
    record.tick(t0 + 3s, t0 + 3s + 10ms);
    const auto now = t0 + 3s + 10ms;
    EXPECT_EQ(record.worst_since(t0, now), 400ms);
    EXPECT_EQ(record.worst_since(t0 + 400ms, now), 400ms) << "the tick came after the run had started";
    EXPECT_EQ(record.worst_since(t0 + 500ms, now), 300ms) << "before the run";
    EXPECT_EQ(record.worst_since(t0 + 2500ms, now), 10ms);
    EXPECT_EQ(record.worst_since(t0 + 4s, t0 + 4s), t0 + 4s - (now + LagRecord::period)) << "under way";
}

TEST(LagRecord, SeesTheLagUnderWay) {
    LagRecord record;
    run_well(record, t0, t0 + 1s);
    // The loop stands from now on: the run is resumed before the tick is.
    EXPECT_GE(record.worst_since(t0 + 900ms, t0 + 1s + 500ms), 470ms);
}

TEST(LagRecord, AStormOfSmallLagsDoesNotPushTheWorstOut) {
    LagRecord record;
    record.tick(t0, t0 + 900ms);
    auto at = t0 + 1s;
    for (int i = 0; i < 10'000; ++i) {
        record.tick(at, at + 6ms);
        at += 26ms;
    }
    EXPECT_EQ(record.worst_since(t0, at), 900ms);
    EXPECT_LE(record.worst_since(t0 + 1s, at), 6ms);
}

TEST(LagRecord, IsBounded) {
    LagRecord record;
    // Each is smaller than the one before, so none is forgotten as pointless.
    auto now = t0;
    for (int i = 0; i < 100'000; ++i) {
        const auto due = t0 + i * 20s;
        now = due + 10s - i * 10us;
        record.tick(due, now);
    }
    EXPECT_EQ(record.worst_since(t0, now), 10s - (100'000 - 512) * 10us) << "the oldest went first";
}

TEST(MeasureLag, TellsOfEachTickUntilItIsCancelled) {
    boost::asio::io_context io;
    LagRecord record;
    std::vector<Clock::duration> seen;
    net::Background measuring;
    measuring.start(io.get_executor(), measure_lag(record, [&](Clock::duration lag) { seen.push_back(lag); }),
                    [](const std::exception_ptr&) {});
    const auto started = Clock::now();
    test::run_until(io, [&] { return seen.size() == 2; });
    // Holds the loop up until the next tick is certainly late.
    const auto held = Clock::now() + LagRecord::period + 30ms;
    while (Clock::now() < held) std::this_thread::yield();
    test::run_until(io, [&] { return seen.size() == 3; });
    EXPECT_GE(seen.back(), 30ms);
    EXPECT_GE(record.worst_since(started, Clock::now()), 30ms);
    for (const auto lag : seen) EXPECT_GE(lag, 0ns);
    measuring.stop();
    test::run_until(io, [&] { return !measuring.running(); });
}

}  // namespace
}  // namespace livecanary::daemon
