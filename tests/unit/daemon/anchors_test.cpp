#include "daemon/anchors.hpp"

#include <gtest/gtest.h>

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
/// The answer in one line, such as "failed: http://…"; empty if there is none.
asio::awaitable<std::string> asked(Anchors& anchors, Env& env, Clock::time_point failed_since) {
    const auto control = co_await anchors.ask(env, failed_since);
    co_return control ? std::string(to_string(control->outcome)) + ": " + control->shows : std::string();
}

class AnchorsTest : public testing::Test {
protected:
    AnchorsTest() {
        env.dns = &dns;
        env.now = [this] { return Clock::now() + shift; };
    }
    static std::string url(const std::string& host, std::uint16_t port) {
        return "http://" + host + ":" + std::to_string(port) + "/";
    }
    asio::awaitable<std::string> asking(Anchors& anchors) { return asked(anchors, env, {}); }
    std::string ask(Anchors& anchors, Clock::time_point failed_since = {}) {
        return await(io, asked(anchors, env, failed_since));
    }

    asio::io_context io{};
    NameServer name_server{io};
    net::Resolver dns{io.get_executor(), {name_server.address()}};
    Clock::duration shift{};
    Env env{};
    ScriptedPeer open{io, stays_silent};
    const std::string here = url("127.0.0.1", open.port());
    const std::string it_works = "passed: " + here + " answers, so the network works here";
    const std::string nowhere = "https://nowhere.test/";  // the name server does not know it
    const std::string no_such_name = "the name does not exist or has no address";
};

TEST_F(AnchorsTest, WithoutAnchorsThereIsNoAnswer) {
    Anchors anchors({});
    EXPECT_EQ(ask(anchors), "");
}

TEST_F(AnchorsTest, OneThatAnswersIsEnough) {
    Anchors anchors({nowhere, here});
    EXPECT_EQ(ask(anchors), it_works);
}

TEST_F(AnchorsTest, ARefusalIsNoAnswer) {
    ClosedPort closed(io);
    const std::string refuses = url("127.0.0.1", closed.endpoint().port());
    Anchors anchors({refuses});
    EXPECT_EQ(ask(anchors), "failed: " + refuses + ": Connection refused");
}

TEST_F(AnchorsTest, FailWhenNoneAnswers) {
    Anchors anchors({nowhere, "http://gone.test/"});
    EXPECT_EQ(ask(anchors),
              "failed: " + nowhere + ": " + no_such_name + "; http://gone.test/: " + no_such_name);
}

TEST_F(AnchorsTest, ASilentOneEndsInTimeAndHidesNoOther) {
    FullPort silent(io);
    Anchors anchors({url("127.0.0.1", silent.endpoint().port()), here});
    EXPECT_EQ(ask(anchors), it_works);
}

TEST_F(AnchorsTest, AnAnswerServesForAWhile) {
    Anchors anchors({here});
    ask(anchors);
    shift += Anchors::keep - 1s;
    EXPECT_EQ(ask(anchors), it_works);
    EXPECT_EQ(open.accepted(), 1);
    shift += 1s;
    ask(anchors);
    run_until(io, [&] { return open.accepted() == 2; });
}

TEST_F(AnchorsTest, ThatTheNetworkWorkedBeforeDoesNotCount) {
    Anchors anchors({here});
    ask(anchors);
    shift += 1s;
    EXPECT_EQ(ask(anchors, env.now() - 2s), it_works);
    EXPECT_EQ(open.accepted(), 1) << "the run began before that answer";
    ask(anchors, env.now());
    run_until(io, [&] { return open.accepted() == 2; });
}

TEST_F(AnchorsTest, ThatItDidNotWorkCountsForAWhile) {
    Anchors anchors({nowhere});
    ask(anchors);
    const int questions = name_server.questions();
    shift += 1s;
    EXPECT_EQ(ask(anchors, env.now()), "failed: " + nowhere + ": " + no_such_name);
    EXPECT_EQ(name_server.questions(), questions);
}

TEST_F(AnchorsTest, ThoseWhoAskMeanwhileWaitForTheSameAnswer) {
    name_server.set("slow.test", {.addresses = {"127.0.0.1"}, .how = DnsReply::How::held});
    Anchors anchors({url("slow.test", open.port())});
    std::vector<Task<std::string>> askers;
    for (int i = 0; i < 200; ++i) askers.emplace_back(io, asking(anchors));
    run_until(io, [&] { return name_server.questions() == 2; });  // A and AAAA
    name_server.release();
    for (auto& asker : askers) EXPECT_TRUE(asker.wait().starts_with("passed"));
    EXPECT_EQ(name_server.questions(), 2);
    EXPECT_EQ(open.accepted(), 1);
}

TEST_F(AnchorsTest, AnOldAnswerIsNotGivenWhileANewOneIsSought) {
    name_server.set("slow.test", {.addresses = {"127.0.0.1"}});
    Anchors anchors({url("slow.test", open.port())});
    EXPECT_TRUE(ask(anchors).starts_with("passed"));
    shift += 1h;
    name_server.set("slow.test", {.rcode = 3, .how = DnsReply::How::held});
    Task<std::string> first(io, asking(anchors));
    run_until(io, [&] { return name_server.questions() == 4; });
    Task<std::string> second(io, asking(anchors));
    io.poll();
    EXPECT_FALSE(second.ended());
    name_server.release();
    EXPECT_TRUE(first.wait().starts_with("failed"));
    EXPECT_TRUE(second.wait().starts_with("failed"));
}

TEST_F(AnchorsTest, WhatACutCallerHeardIsNoAnswer) {
    name_server.set("slow.test", {.addresses = {"127.0.0.1"}, .how = DnsReply::How::never});
    Anchors anchors({url("slow.test", open.port()), nowhere});
    Task<std::string> cut(io, asking(anchors));
    Task<std::string> cut_waiting(io, asking(anchors));
    Task<std::string> other(io, asking(anchors));
    run_until(io, [&] { return name_server.questions() == 2; });
    name_server.set("slow.test", {.addresses = {"127.0.0.1"}});
    cut_waiting.cut();
    EXPECT_EQ(cut_waiting.wait(), "");
    EXPECT_FALSE(other.ended());
    cut.cut();
    EXPECT_EQ(cut.wait(), "");
    EXPECT_TRUE(other.wait().starts_with("passed")) << "it asked for itself";
}

}  // namespace
}  // namespace livecanary::daemon
