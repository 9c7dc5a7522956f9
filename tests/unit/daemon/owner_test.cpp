#include "daemon/owner.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace livecanary::daemon {
namespace {

/// The parts of our own name.
struct Parts {
    Parts() {
        const std::string name = own_name();
        const auto first = name.find(':');
        const auto second = name.find(':', first + 1);
        pid = name.substr(0, first);
        start = name.substr(first + 1, second - first - 1);
        boot = name.substr(second + 1);
    }
    std::string pid{}, start{}, boot{};
};

TEST(Owner, IsThisProcessInThisBoot) {
    const Parts own;
    EXPECT_EQ(own.pid, std::to_string(getpid()));
    EXPECT_GT(std::stoull(own.start), 0U);
    EXPECT_EQ(own.boot.size(), 36U) << own.boot;
    EXPECT_EQ(own_name(), own_name());
    EXPECT_EQ(look_at(own_name()), OwnerState::alive);
}

TEST(Owner, AnotherProcessOfTheSameIdIsAnotherOwner) {
    const Parts own;
    EXPECT_EQ(look_at(own.pid + ':' + own.start + "1:" + own.boot), OwnerState::gone);
    EXPECT_EQ(look_at(own.pid + ':' + own.start + ":00000000-0000-0000-0000-000000000000"), OwnerState::gone);
}

TEST(Owner, WhatIsNoOwnerIsGone) {
    const Parts own;
    for (const std::string& name :
         {std::string(), std::string("x"), std::string("::"), own.pid, own.pid + ':' + own.start,
          "-1:" + own.start + ':' + own.boot, "0:" + own.start + ':' + own.boot,
          own.pid + "x:" + own.start + ':' + own.boot})
        EXPECT_EQ(look_at(name), OwnerState::gone) << name;
}

TEST(Owner, AKilledProcessIsGoneBeforeAndAfterItsParentWaited) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        const std::string name = own_name();
        if (write(pipe_ends[1], name.data(), name.size()) < 0) _exit(1);
        for (;;) pause();
    }
    char name[256];
    const ssize_t size = read(pipe_ends[0], name, sizeof name);
    ASSERT_GT(size, 0);
    const std::string owner(name, static_cast<std::size_t>(size));
    EXPECT_EQ(look_at(owner), OwnerState::alive);
    kill(child, SIGKILL);
    siginfo_t info{};
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(look_at(owner), OwnerState::gone) << "ended, and still in the table of processes";
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_EQ(look_at(owner), OwnerState::gone);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

}  // namespace
}  // namespace livecanary::daemon
