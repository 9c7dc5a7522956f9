#include "daemon/anchors.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "probes/net/resolver.hpp"
#include "tests/support/name_server.hpp"
#include "tests/support/scripted_peer.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
using namespace livecanary::test;
using Answer = std::optional<Control>;

class AnchorsTest : public testing::Test {
protected:
    AnchorsTest() {
        env.dns = &dns;
        env.now = [this] { return Clock::now() + shift; };
    }
    static std::string url(const tcp::endpoint& at) {
        return "http://127.0.0.1:" + std::to_string(at.port()) + "/";
    }
    Answer ask(Anchors& anchors) { return await(io, anchors.ask(env)); }

    asio::io_context io{};
    NameServer name_server{io};
    net::Resolver dns{io.get_executor(), {name_server.address()}};
    Clock::duration shift{};
    Env env{};
    ScriptedPeer open{io, stays_silent};
    ClosedPort closed{io};
};

TEST_F(AnchorsTest, WithoutAnchorsThereIsNoAnswer) {
    Anchors anchors({});
    EXPECT_EQ(ask(anchors), std::nullopt);
}

TEST_F(AnchorsTest, OneThatAnswersIsEnough) {
    Anchors anchors({url(closed.endpoint()), url(open.endpoint())});
    const auto answer = ask(anchors);
    EXPECT_EQ(answer->outcome, ControlOutcome::passed);
    EXPECT_EQ(answer->name, "anchors");
    EXPECT_EQ(answer->shows, url(open.endpoint()) + " answers, so the network works here");
}

TEST_F(AnchorsTest, FailWhenNoneAnswers) {
    const std::string nowhere = "https://nowhere.test/";  // the name server does not know it
    Anchors anchors({url(closed.endpoint()), nowhere});
    const auto answer = ask(anchors);
    EXPECT_EQ(answer->outcome, ControlOutcome::failed);
    EXPECT_EQ(answer->shows, url(closed.endpoint()) + ": Connection refused; " + nowhere +
                                 ": the name does not exist or has no address");
}

TEST_F(AnchorsTest, ASilentOneEndsInTimeAndHidesNoOther) {
    FullPort silent(io);
    Anchors anchors({url(silent.endpoint()), url(open.endpoint())});
    EXPECT_EQ(ask(anchors)->outcome, ControlOutcome::passed);
}

TEST_F(AnchorsTest, AnAnswerServesForAWhile) {
    Anchors anchors({url(open.endpoint())});
    ask(anchors);
    shift += Anchors::keep - 1s;
    ask(anchors);
    EXPECT_EQ(open.accepted(), 1);
    shift += 1s;
    ask(anchors);
    run_until(io, [&] { return open.accepted() == 2; });
}

TEST_F(AnchorsTest, ThoseWhoAskMeanwhileWaitForTheSameAnswer) {
    name_server.set("slow.test", {.addresses = {"127.0.0.1"}, .how = DnsReply::How::held});
    Anchors anchors({"http://slow.test:" + std::to_string(open.port()) + "/"});
    std::vector<Task<Answer>> askers;
    for (int i = 0; i < 200; ++i) askers.emplace_back(io, anchors.ask(env));
    run_until(io, [&] { return name_server.questions() == 2; });  // A and AAAA
    name_server.release();
    for (auto& asker : askers) EXPECT_EQ(asker.wait()->outcome, ControlOutcome::passed);
    EXPECT_EQ(name_server.questions(), 2);
    EXPECT_EQ(open.accepted(), 1);
}

TEST_F(AnchorsTest, AnOldAnswerIsNotGivenWhileANewOneIsSought) {
    name_server.set("slow.test", {.addresses = {"127.0.0.1"}});
    Anchors anchors({"http://slow.test:" + std::to_string(open.port()) + "/"});
    EXPECT_EQ(ask(anchors)->outcome, ControlOutcome::passed);
    shift += 1h;
    name_server.set("slow.test", {.rcode = 3, .how = DnsReply::How::held});
    Task<Answer> first(io, anchors.ask(env));
    run_until(io, [&] { return name_server.questions() == 4; });
    Task<Answer> second(io, anchors.ask(env));
    io.poll();
    EXPECT_FALSE(second.ended());
    name_server.release();
    EXPECT_EQ(first.wait()->outcome, ControlOutcome::failed);
    EXPECT_EQ(second.wait()->outcome, ControlOutcome::failed);
}

TEST_F(AnchorsTest, WhatACutCallerHeardIsNoAnswer) {
    name_server.set("slow.test", {.addresses = {"127.0.0.1"}, .how = DnsReply::How::never});
    Anchors anchors({"http://slow.test:" + std::to_string(open.port()) + "/", url(closed.endpoint())});
    Task<Answer> cut(io, anchors.ask(env));
    Task<Answer> cut_waiting(io, anchors.ask(env));
    Task<Answer> other(io, anchors.ask(env));
    run_until(io, [&] { return name_server.questions() == 2; });
    name_server.set("slow.test", {.addresses = {"127.0.0.1"}});
    cut_waiting.cut();
    EXPECT_EQ(cut_waiting.wait(), std::nullopt);
    EXPECT_FALSE(other.ended());
    cut.cut();
    EXPECT_EQ(cut.wait(), std::nullopt);
    EXPECT_EQ(other.wait()->outcome, ControlOutcome::passed) << "it asked for itself";
}

}  // namespace
}  // namespace livecanary::daemon
