#include "daemon/web_renewal.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "probes/net/background.hpp"
#include "tests/support/task.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<const WebTls> certificate(const std::string& digest) {
    auto tls = std::make_shared<WebTls>();
    tls->files.cert = "cert.pem";
    tls->digest = digest;
    return tls;
}
WebTlsRead good(const std::string& digest, std::vector<WebTlsTrouble> troubles = {}) {
    return {.tls = certificate(digest), .troubles = std::move(troubles)};
}
WebTlsRead bad(const std::string& words) { return {.troubles = {{.words = words}}}; }

/// Looks at the files again and again; what they hold is told in advance.
struct RenewalStage {
    /// Turns the loop until that many looks are over.
    void look(std::vector<WebTlsRead> files_hold) {
        for (auto& one : files_hold) to_read.push_back(std::move(one));
        turn([&] { return to_read.empty() && looks > reads; });
        looks = reads = 0;
    }
    void turn(const std::function<bool()>& until) {
        net::Background renewing;
        renewing.start(io.get_executor(), renew_web_tls(renewal()), [](const std::exception_ptr&) {});
        test::run_until(io, until);
        renewing.stop();
        test::run_until(io, [&] { return !renewing.running(); });
    }
    WebRenewal renewal() {
        return {.period = 1us,
                .served =
                    [this] {
                        ++looks;
                        return served;
                    },
                .read = [this](WebTlsFiles files) { return read(std::move(files)); },
                .renewed =
                    [this](std::shared_ptr<const WebTls> tls) {
                        served = std::move(tls);
                        renewed.push_back(served->digest);
                    },
                .trouble = [this](const std::string& words) { troubles.push_back(words); }};
    }
    boost::asio::awaitable<WebTlsRead> read(WebTlsFiles files) {
        // It goes on until it is cut; what it finds then is what it knows.
        if (to_read.empty()) co_return good(served->digest);
        EXPECT_EQ(files.cert, "cert.pem");
        if (before_an_answer) before_an_answer();
        WebTlsRead one = std::move(to_read.front());
        to_read.pop_front();
        reads = looks;
        co_return one;
    }

    boost::asio::io_context io;
    std::shared_ptr<const WebTls> served = certificate("a");
    std::deque<WebTlsRead> to_read;
    std::function<void()> before_an_answer;
    std::vector<std::string> renewed, troubles;
    int looks = 0, reads = 0;
};

TEST(WebRenewal, OnlyAnotherCertificateIsTaken) {
    RenewalStage stage;
    stage.look({good("a"), good("b"), good("b"), good("a")});
    EXPECT_EQ(stage.renewed, (std::vector<std::string>{"b", "a"}));
    EXPECT_TRUE(stage.troubles.empty());
}

TEST(WebRenewal, WhatCannotBeServedIsSaidOnceAndLeavesTheOneBefore) {
    RenewalStage stage;
    stage.look({bad("half"), bad("half"), bad("no key"), good("a"), bad("half"), good("b")});
    EXPECT_EQ(stage.troubles, (std::vector<std::string>{"half", "no key", "half"}));
    EXPECT_EQ(stage.renewed, (std::vector<std::string>{"b"}));
}

TEST(WebRenewal, AWarningDoesNotKeepItFromBeingServed) {
    RenewalStage stage;
    stage.look({good("b", {{.words = "expired", .warning = true}})});
    EXPECT_EQ(stage.troubles, (std::vector<std::string>{"expired"}));
    EXPECT_EQ(stage.renewed, (std::vector<std::string>{"b"}));
}

TEST(WebRenewal, AReloadThatCameBetweenIsRight) {
    RenewalStage stage;
    stage.before_an_answer = [&] { stage.served = certificate("reloaded"); };
    stage.look({good("b")});
    EXPECT_TRUE(stage.renewed.empty());
    EXPECT_EQ(stage.served->digest, "reloaded");
}

TEST(WebRenewal, WithoutTlsNothingIsRead) {
    RenewalStage stage;
    stage.served = nullptr;
    stage.turn([&] { return stage.looks == 3; });
    EXPECT_TRUE(stage.renewed.empty());
}

}  // namespace
}  // namespace livecanary::daemon
