#include "daemon/cleanup_command.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "daemon/store.hpp"
#include "tests/unit/daemon/scripted_probe.hpp"
#include "tests/unit/daemon/state_folder.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
using namespace test;

asio::awaitable<error_code> end_with(error_code code) { co_return code; }
asio::awaitable<result<std::vector<Litter>>> find(result<std::vector<Litter>> found) { co_return found; }
asio::awaitable<error_code> hang() {
    asio::steady_timer forever(co_await asio::this_coro::executor, Clock::time_point::max());
    const auto [code] = co_await forever.async_wait(net::no_throw);
    co_return code;
}

class Cleanup : public testing::Test {
protected:
    Cleanup() {
        settings.state_directory = folder.path();
        command.look = [](std::string_view owner) {
            return owner == "lives" ? OwnerState::alive : OwnerState::gone;
        };
    }
    void left_behind(const std::string& probe, const std::string& item, std::chrono::seconds ago,
                     const std::string& owner = "died") {
        StateOptions options;
        options.directory = folder.path();
        options.owner = owner;
        asio::io_context io;  // outlives the store, whose thread may still be about to leave it
        StateStore store(std::move(options));
        Litter litter{probe, "cos", item, std::chrono::system_clock::now() - ago - 300ms};
        const auto code = livecanary::test::await(io, store.record(std::move(litter)));
        EXPECT_FALSE(code);
    }
    /// `removal` gives the code that each item ends with.
    void configure(const std::string& name, std::function<error_code(const std::string&)> removal) {
        ProbeSettings probe;
        probe.name = name;
        probe.kind = &scripted_kind;
        probe.probe.remove = [this, removal](ProbeRun& run, const Litter& litter) {
            EXPECT_EQ(run.env().probe, litter.probe);
            asked.push_back(litter.item);
            return end_with(removal(litter.item));
        };
        settings.probes.push_back(std::move(probe));
    }
    /// The probe finds these at its target, whatever the ledger says.
    void strays_of(const std::string& name, std::vector<std::string> items, error_code fails = {}) {
        for (auto& probe : settings.probes) {
            if (probe.name != name) continue;
            probe.probe.strays = [=](ProbeRun& run) {
                result<std::vector<Litter>> found = std::vector<Litter>();
                for (const auto& item : items)
                    found->push_back({.probe = run.env().probe, .store = "cos", .item = item});
                if (fails) found = fails;
                return find(std::move(found));
            };
        }
    }
    int run(bool dry_run = false) {
        out.str("");
        err.str("");
        asked.clear();
        command.dry_run = dry_run;
        return cleanup(out, err, command, settings);
    }
    std::string in_file() { return Shell(folder.file()).run("SELECT group_concat(item) FROM litter"); }

    StateFolder folder{};
    Settings settings{};
    CleanupCommand command{};
    std::vector<std::string> asked{};
    std::ostringstream out{}, err{};
};

error_code goes(const std::string&) { return {}; }

TEST_F(Cleanup, NothingToDo) {
    EXPECT_EQ(run(), 0);
    EXPECT_EQ(out.str(), "Nothing stands in the ledger.\n");
    EXPECT_FALSE(std::filesystem::exists(folder.file())) << "looking makes nothing";
    left_behind("p", "a", 1s);
    Shell(folder.file()).run("DELETE FROM litter");
    EXPECT_EQ(run(), 0);
    EXPECT_EQ(out.str(), "Nothing stands in the ledger.\n");
    EXPECT_EQ(err.str(), "");
}

TEST_F(Cleanup, RemovesWhatIsLeftAndNotWhatALivingProcessHas) {
    left_behind("cover-bucket", "cover-1.cos.example.com/livecanary/x", 3720s);
    left_behind("p", "b", 5s, "lives");
    left_behind("p", "c", 2s);
    configure("cover-bucket", goes);
    configure("p", goes);
    EXPECT_EQ(run(), 0);
    EXPECT_EQ(out.str(),
              "PROBE         STORE  AGE   OWNER  ITEM\n"
              "cover-bucket  cos    1h2m  gone   cover-1.cos.example.com/livecanary/x\n"
              "p             cos    5s    alive  b\n"
              "p             cos    2s    gone   c\n"
              "removed cover-1.cos.example.com/livecanary/x\n"
              "removed c\n"
              "2 removed, 0 left, 1 in the hands of a process that runs\n");
    EXPECT_EQ(err.str(), "");
    EXPECT_EQ(in_file(), "b");
}

TEST_F(Cleanup, RemovesWhatLiesThereAndDoesNotStandInTheLedger) {
    left_behind("p", "a", 60s, "lives");
    configure("p", goes);
    configure("q", goes);
    strays_of("p", {"a", "x"});
    strays_of("q", {"y"});
    EXPECT_EQ(run(true), 0);
    EXPECT_TRUE(out.str().ends_with("not in the ledger: x of p\nnot in the ledger: y of q\n")) << out.str();
    EXPECT_TRUE(asked.empty());
    EXPECT_EQ(run(), 0);
    EXPECT_EQ(asked, (std::vector<std::string>{"x", "y"})) << "what a living process has is its own";
    EXPECT_TRUE(out.str().ends_with("removed x\nremoved y\n")) << out.str();
    EXPECT_EQ(in_file(), "a");
}

TEST_F(Cleanup, StraysNeedNoLedger) {
    configure("p", [](const std::string& item) {
        return item == "y" ? make_error_code(boost::system::errc::permission_denied) : error_code();
    });
    strays_of("p", {"x", "y", "z"});
    EXPECT_EQ(run(), 1);
    EXPECT_EQ(out.str(), "Nothing stands in the ledger.\nremoved x\n");
    EXPECT_EQ(err.str(), "livecanary: cannot remove y of p: Permission denied\n");
    EXPECT_EQ(asked, (std::vector<std::string>{"x", "y"})) << "the next one would fare no better";
    EXPECT_FALSE(std::filesystem::exists(folder.file())) << "looking makes nothing";
    strays_of("p", {}, make_error_code(boost::system::errc::permission_denied));
    EXPECT_EQ(run(), 0);
    EXPECT_EQ(err.str(), "livecanary: cannot look for what p may have left besides: Permission denied\n");
}

TEST_F(Cleanup, DryRunOnlySays) {
    left_behind("p", "a", 60s);
    configure("p", goes);
    EXPECT_EQ(run(true), 0);
    EXPECT_EQ(out.str(),
              "PROBE  STORE  AGE  OWNER  ITEM\n"
              "p      cos    1m   gone   a\n");
    EXPECT_TRUE(asked.empty());
    EXPECT_EQ(in_file(), "a");
}

TEST_F(Cleanup, WhatCannotBeRemovedIsSaidAndStays) {
    left_behind("p", "a", 60s);
    left_behind("p", "b", 50s);
    configure("p", [](const std::string& item) {
        return item == "a" ? make_error_code(boost::system::errc::permission_denied) : error_code();
    });
    EXPECT_EQ(run(), 1);
    EXPECT_EQ(err.str(), "livecanary: cannot remove a of p: Permission denied\n");
    EXPECT_TRUE(out.str().ends_with("removed b\n1 removed, 1 left\n")) << out.str();
    EXPECT_EQ(in_file(), "a");
}

TEST_F(Cleanup, ATargetThatIsNotReachedIsAskedOnce) {
    for (const auto* item : {"a", "b", "c"}) left_behind("p", item, 60s);
    configure("p", [](const std::string&) { return error_code(asio::error::timed_out); });
    EXPECT_EQ(run(), 1);
    EXPECT_EQ(asked.size(), 1U);
    EXPECT_TRUE(out.str().ends_with("\n0 removed, 3 left\n")) << out.str();
}

TEST_F(Cleanup, AProbeThatIsNotConfiguredCannotRemove) {
    left_behind("old", "a", 60s);
    EXPECT_EQ(run(), 1);
    EXPECT_EQ(err.str(), "livecanary: no probe 'old' is configured that could remove a\n");
    EXPECT_EQ(in_file(), "a");
}

TEST_F(Cleanup, ALedgerThatCannotBeReadIsNotEmpty) {
    std::ofstream(folder.file()) << std::string(5000, 'x');
    EXPECT_EQ(run(), 1);
    EXPECT_EQ(out.str(), "");
    EXPECT_EQ(err.str(), "livecanary: the ledger in " + folder.path().string() +
                             " cannot be used: file is not a database\n");
    EXPECT_TRUE(folder.set_aside().empty()) << "a dry look changes nothing";
}

TEST_F(Cleanup, AnInterruptLeavesTheRestInTheLedger) {
    left_behind("p", "a", 60s);
    left_behind("p", "b", 50s);
    configure("p", goes);
    settings.probes[0].probe.remove = [&](ProbeRun&, const Litter& litter) {
        asked.push_back(litter.item);
        std::raise(SIGINT);
        return hang();
    };
    EXPECT_EQ(run(), 1);
    EXPECT_EQ(asked, std::vector<std::string>{"a"});
    EXPECT_EQ(err.str(), "livecanary: interrupted\n");
    EXPECT_EQ(in_file(), "a,b");
}

}  // namespace
}  // namespace livecanary::daemon
