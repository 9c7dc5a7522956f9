#include "daemon/sweep.hpp"

#include <gtest/gtest.h>
#include <atomic>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/log.hpp"
#include "tests/unit/daemon/scripted_probe.hpp"
#include "tests/unit/daemon/state_folder.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
using livecanary::test::Gate;
using livecanary::test::run_until;
using namespace test;

using Items = std::vector<std::string>;

/// What a removal does; a lambda may call a coroutine, but must not be one.
using Removal = std::function<asio::awaitable<error_code>(ProbeRun&, const Litter&)>;

asio::awaitable<error_code> end_with(error_code code) { co_return code; }
asio::awaitable<result<std::vector<Litter>>> find(result<std::vector<Litter>> found) { co_return found; }
asio::awaitable<error_code> throw_up() {
    throw std::runtime_error("a bug");
    co_return error_code();
}
asio::awaitable<error_code> wait_for(Gate& gate) {
    co_await gate.pass();
    co_return error_code();
}
asio::awaitable<error_code> hang() {
    asio::steady_timer forever(co_await asio::this_coro::executor, Clock::time_point::max());
    const auto [code] = co_await forever.async_wait(net::no_throw);
    co_return code;
}

class SweepTest : public testing::Test {
protected:
    SweepTest() {
        shared.executor = io.get_executor();
        shared.dns = std::make_shared<net::Resolver>(io.get_executor());
        shared.anchors = std::make_shared<Anchors>(std::vector<std::string>{});
        shared.seed = [this] { return ++seeds; };
        shared.location = "shanghai-1";
        shared.wall = [this] { return wall.load(); };
        open();
    }
    ~SweepTest() override { stop(); }

    /// What a daemon before this one left.
    void left_behind(const std::string& probe, const Items& items) {
        StateStore before(options("died"));
        for (const auto& item : items) {
            const auto code = livecanary::test::await(io, before.record({probe, "cos", item, wall.load()}));
            EXPECT_FALSE(code);
            wall = wall.load() + 1ms;
        }
    }
    void configure(const std::string& name, Removal removal) {
        ProbeSettings probe;
        probe.name = name;
        probe.kind = &scripted_kind;
        probe.timeout = 7s;
        probe.probe.remove = [this, removal](ProbeRun& run, const Litter& litter) {
            asked.push_back(litter.item);
            timeouts.push_back(run.deadline() - run.started());
            in_env = run.env().probe + ' ' + run.env().location;
            EXPECT_EQ(run.env().ledger, &*store);
            EXPECT_NE(run.env().dns, nullptr);
            return removal(run, litter);
        };
        if (!removal) probe.probe.remove = {};
        probes[name] = std::make_shared<const ProbeSettings>(std::move(probe));
    }
    Sweeper& sweeper(Clock::duration period = 1h) {
        const auto find = [this](const std::string& name) {
            const auto at = probes.find(name);
            return at != probes.end() ? at->second : nullptr;
        };
        const auto all = [this] {
            std::vector<std::shared_ptr<const ProbeSettings>> every;
            for (const auto& [name, probe] : probes) every.push_back(probe);
            return every;
        };
        return sweeper_.emplace(shared, find, all, period);
    }
    void start(Clock::duration period = 1h) {
        running = true;
        sweeper(period).start([this] { running = false; });
    }
    void stop() {
        if (!running) return;
        sweeper_->stop();
        run_until(io, [this] { return !running; });
    }
    /// One sweep; what the log says of it.
    std::string sweep(Sweeper& with) {
        asked.clear();
        testing::internal::CaptureStderr();
        log::start(log::Level::info, log::Format::logfmt);
        livecanary::test::await(io, whole(with));
        log::stop();
        static const std::regex time("time=[^ ]* ");
        return std::regex_replace(testing::internal::GetCapturedStderr(), time, "");
    }
    std::string sweep() { return sweep(sweeper()); }
    /// The same of what does not stand in the ledger.
    std::string sweep_strays(Sweeper& with) {
        asked.clear();
        testing::internal::CaptureStderr();
        log::start(log::Level::info, log::Format::logfmt);
        livecanary::test::await(io, whole_of_strays(with));
        log::stop();
        static const std::regex time("time=[^ ]* ");
        return std::regex_replace(testing::internal::GetCapturedStderr(), time, "");
    }
    static asio::awaitable<bool> whole_of_strays(Sweeper& with) {
        co_await with.sweep_strays();
        co_return true;
    }
    /// The probe finds these at its target, whatever the ledger says.
    void strays_of(const std::string& name, Items items, error_code fails = {}) {
        ProbeSettings probe = *probes.at(name);
        probe.probe.strays = [=](ProbeRun& run) {
            result<std::vector<Litter>> found = std::vector<Litter>();
            for (const auto& item : items)
                found->push_back({.probe = run.env().probe, .store = "cos", .item = item});
            if (fails) found = fails;
            return find(std::move(found));
        };
        probes[name] = std::make_shared<const ProbeSettings>(std::move(probe));
    }
    static asio::awaitable<bool> whole(Sweeper& with) {
        co_await with.sweep();
        co_return true;
    }
    Items in_ledger() {
        Items items;
        for (const auto& held : livecanary::test::await(io, store->all())) items.push_back(held.litter.item);
        return items;
    }
    StateOptions options(const std::string& owner) {
        StateOptions with;
        with.directory = folder.path();
        with.owner = owner;
        with.look = [](std::string_view) { return OwnerState::gone; };
        with.wall = [this] { return wall.load(); };
        return with;
    }
    void open() {
        store.emplace(options("us"));
        shared.state = &*store;
    }

    StateFolder folder{};
    asio::io_context io{};
    std::atomic<WallTime> wall{
        WallTime(std::chrono::seconds(1'800'000'000))};  // the store's thread reads it too
    std::uint64_t seeds = 0;
    Shared shared{};
    std::optional<StateStore> store{};
    std::map<std::string, std::shared_ptr<const ProbeSettings>> probes{};
    std::optional<Sweeper> sweeper_{};
    bool running = false;
    Items asked{};  // the items whose removal was tried
    std::vector<Clock::duration> timeouts{};
    std::string in_env{};
};

constexpr auto gone = [](ProbeRun&, const Litter&) { return end_with({}); };
Removal fails_with(error_code code) {
    return [code](ProbeRun&, const Litter&) { return end_with(code); };
}

TEST_F(SweepTest, RemovesWhatADaemonBeforeItLeft) {
    left_behind("p", {"a", "b"});
    configure("p", gone);
    EXPECT_EQ(sweep(),
              "level=info msg=\"removed what a run left behind\" probe=p store=cos item=a\n"
              "level=info msg=\"removed what a run left behind\" probe=p store=cos item=b\n");
    EXPECT_EQ(asked, (Items{"a", "b"}));
    EXPECT_EQ(in_ledger(), Items{});
    EXPECT_EQ(timeouts, (std::vector<Clock::duration>{7s, 7s})) << "each has the probe's timeout";
    EXPECT_EQ(in_env, "p shanghai-1");
    EXPECT_EQ(sweep(), "");
    EXPECT_EQ(asked, Items{});
}

TEST_F(SweepTest, WhatCannotBeRemovedStaysAndIsTriedAgain) {
    left_behind("p", {"a", "b"});
    configure("p", fails_with(make_error_code(boost::system::errc::permission_denied)));
    ASSERT_FALSE(hopeless(make_error_code(boost::system::errc::permission_denied)));
    auto& one = sweeper();
    const std::string words =
        "level=warn msg=\"what runs left behind could not be removed: tried again later\" probe=p items=2 "
        "first=a error=\"Permission denied\"\n";
    EXPECT_EQ(sweep(one), words);
    EXPECT_EQ(asked, (Items{"a", "b"}));
    EXPECT_EQ(in_ledger(), (Items{"a", "b"}));
    EXPECT_EQ(sweep(one), words);
    configure("p", gone);
    sweep(one);
    EXPECT_EQ(in_ledger(), Items{});
}

TEST_F(SweepTest, WhatTheProbeStillUsesIsPassedOverInSilence) {
    left_behind("p", {"a", "b"});
    configure("p", fails_with(make_error_code(boost::system::errc::device_or_resource_busy)));
    EXPECT_EQ(sweep(), "");
    EXPECT_EQ(asked, (Items{"a", "b"}));
    EXPECT_EQ(in_ledger(), (Items{"a", "b"}));
}

TEST_F(SweepTest, RemovesWhatLiesThereAndDoesNotStandInTheLedger) {
    left_behind("p", {"a"});
    configure("p", gone);
    strays_of("p", {"a", "x"});
    auto& one = sweeper();
    EXPECT_EQ(sweep_strays(one),
              "level=info msg=\"removed what did not stand in the ledger\" probe=p store=cos item=x\n");
    EXPECT_EQ(asked, Items{"x"}) << "the ledger's own sweep sees to the other";
    EXPECT_EQ(in_ledger(), Items{"a"});
    EXPECT_EQ(in_env, "p shanghai-1");
}

TEST_F(SweepTest, StraysThatCannotBeLookedForAreSaidOnce) {
    configure("p", gone);
    strays_of("p", {}, make_error_code(boost::system::errc::permission_denied));
    auto& one = sweeper();
    EXPECT_EQ(sweep_strays(one),
              "level=info msg=\"cannot look for what does not stand in the ledger\" probe=p "
              "error=\"Permission denied\"\n");
    EXPECT_EQ(sweep_strays(one), "");
    configure("p", fails_with(make_error_code(boost::system::errc::permission_denied)));
    strays_of("p", {"x", "y"});
    EXPECT_EQ(sweep_strays(one),
              "level=warn msg=\"what does not stand in the ledger could not be removed: tried again later\" "
              "probe=p item=x error=\"Permission denied\"\n");
    EXPECT_EQ(asked, Items{"x"});
}

TEST_F(SweepTest, StartLooksForStraysToo) {
    configure("p", gone);
    strays_of("p", {"x"});
    start();
    run_until(io, [this] { return !asked.empty(); });
    EXPECT_EQ(asked, Items{"x"});
}

TEST_F(SweepTest, ATargetThatIsNotReachedIsAskedOnceASweep) {
    left_behind("p", {"a", "b", "c"});
    left_behind("q", {"d"});
    configure("p", fails_with(asio::error::timed_out));
    configure("q", gone);
    EXPECT_NE(sweep().find("probe=p items=3 first=a"), std::string::npos);
    EXPECT_EQ(asked, (Items{"a", "d"})) << "the others' turn comes";
    EXPECT_EQ(in_ledger(), (Items{"a", "b", "c"}));
}

TEST_F(SweepTest, AProbeNoLongerConfiguredIsSaidOnceAndItsLitterStays) {
    left_behind("old", {"a", "b"});
    configure("p", gone);
    auto& one = sweeper();
    EXPECT_EQ(
        sweep(one),
        "level=warn msg=\"a probe that is not configured has left something behind: it stays\" probe=old "
        "store=cos item=a\n");
    EXPECT_EQ(sweep(one), "");
    EXPECT_EQ(in_ledger(), (Items{"a", "b"}));
    configure("old", gone);
    sweep(one);
    EXPECT_EQ(in_ledger(), Items{}) << "a reload brought it back";
}

TEST_F(SweepTest, AKindThatCannotRemoveIsAsGoodAsNone) {
    left_behind("p", {"a"});
    configure("p", {});
    EXPECT_NE(sweep().find("not configured"), std::string::npos);
    EXPECT_EQ(in_ledger(), Items{"a"});
}

TEST_F(SweepTest, ABugInOneRemovalEndsNothing) {
    left_behind("p", {"a"});
    left_behind("q", {"b"});
    configure("p", [](ProbeRun&, const Litter&) { return throw_up(); });
    configure("q", gone);
    EXPECT_NE(
        sweep().find("level=error msg=\"a removal threw: please report this\" probe=p error=\"a bug\"\n"),
        std::string::npos);
    EXPECT_EQ(in_ledger(), Items{"a"});
    configure("p", gone);
    sweep();
    EXPECT_EQ(in_ledger(), Items{}) << "it was given back";
}

TEST_F(SweepTest, NothingThatARunHasUnderWayIsTouched) {
    configure("p", gone);
    const Litter litter{"p", "cos", "a", wall.load()};
    EXPECT_FALSE(livecanary::test::await(io, store->record(litter)));
    wall = wall.load() + 100h;
    sweep();
    EXPECT_EQ(asked, Items{});
    store->run_ended("p");
    sweep();
    EXPECT_EQ(asked, Items{"a"});
}

TEST_F(SweepTest, WhatARunTakesUpMeanwhileIsPassedOver) {
    left_behind("p", {"a", "b"});
    // While the first is being removed, a run records the second.
    const Litter second{"p", "cos", "b", wall.load()};
    std::unique_ptr<livecanary::test::Task<error_code>> recorded;
    Gate gate(io);
    configure("p", [&](ProbeRun&, const Litter&) {
        recorded = std::make_unique<livecanary::test::Task<error_code>>(io, store->record(second));
        return wait_for(gate);
    });
    start();
    run_until(io, [&] { return recorded && recorded->ended(); });
    EXPECT_FALSE(recorded->wait());
    gate.open();
    run_until(io, [&] { return store->figures().litter["cos"].items == 1; });
    stop();
    EXPECT_EQ(asked, Items{"a"});
    EXPECT_EQ(in_ledger(), Items{"b"});
}

TEST_F(SweepTest, SweepsAgainAndAgain) {
    configure("p", gone);
    start(1ms);
    left_behind("p", {"a"});
    run_until(io, [&] { return asked == Items{"a"}; });
    left_behind("p", {"b"});
    run_until(io, [&] { return asked == (Items{"a", "b"}); });
    stop();
}

TEST_F(SweepTest, StopCutsARemovalWhichStaysInTheLedger) {
    left_behind("p", {"a", "b"});
    configure("p", [](ProbeRun&, const Litter&) { return hang(); });
    start();
    run_until(io, [&] { return asked == Items{"a"}; });
    stop();
    EXPECT_EQ(asked, Items{"a"});
    EXPECT_EQ(in_ledger(), (Items{"a", "b"}));
    configure("p", gone);
    sweep();
    EXPECT_EQ(in_ledger(), Items{});
}

asio::awaitable<error_code> hang_and_throw() {
    asio::steady_timer forever(co_await asio::this_coro::executor, Clock::time_point::max());
    co_await forever.async_wait(asio::use_awaitable);
    co_return error_code();
}

TEST_F(SweepTest, ACutThatEndsAsAnExceptionIsNoBug) {
    left_behind("p", {"a"});
    configure("p", [](ProbeRun&, const Litter&) { return hang_and_throw(); });
    testing::internal::CaptureStderr();
    log::start(log::Level::info, log::Format::logfmt);
    start();
    run_until(io, [&] { return asked == Items{"a"}; });
    stop();
    log::stop();
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
    EXPECT_EQ(in_ledger(), Items{"a"});
}

TEST_F(SweepTest, StopEndsTheWaitForTheNextSweep) {
    start();
    run_until(io, [&] { return io.poll() == 0; });
    stop();
    EXPECT_FALSE(running);
}

}  // namespace
}  // namespace livecanary::daemon
