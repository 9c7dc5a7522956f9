#include "daemon/notify.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>

#include "daemon/result_json.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/unit/daemon/scripted_probe.hpp"
#include "tests/unit/daemon/state_folder.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
using livecanary::test::always;
using livecanary::test::run_until;
using livecanary::test::ScriptedHttpServer;
using livecanary::test::ScriptedPeer;
using livecanary::test::stays_silent;
namespace http_says = livecanary::test::http_says;
namespace json = boost::json;
using namespace test;

constexpr const char* alerts_path = "/api/v2/alerts";

/// Delivery over loopback, with times a test can wait for.
class NotifyTest : public testing::Test {
protected:
    NotifyTest() {
        shared.executor = io.get_executor();
        shared.dns = std::make_shared<net::Resolver>(io.get_executor());
        shared.location = "shanghai-1";
        shared.wall = [this] { return wall; };
        probe = std::make_shared<const ProbeSettings>(scripted.settings());
        configure();
    }
    ~NotifyTest() override { stop(); }

    void configure() {
        AlertTimes times;
        times.resend = resend;
        times.first_back_off = 1ms;
        times.longest_back_off = 4ms;
        times.patience = patience;
        notifier = std::make_unique<Notifier>(shared, times);
    }
    void stop() {
        if (!notifier) return;
        bool ended = false;
        notifier->stop([&] { ended = true; });
        run_until(io, [&] { return ended; });
        notifier.reset();
    }
    void send_to(std::vector<std::string> urls, Notifier::Probes probes) {
        settings.alertmanagers = std::move(urls);
        notifier->adopt(settings, "http://canary:9877", probes);
    }
    void send_to(std::vector<std::string> urls) { send_to(std::move(urls), {probe}); }
    static std::string base(const ScriptedHttpServer& server) { return server.url(""); }

    void fail(const ProbeSettings& of) {
        Env env;
        ProbeRun run(env, 1s);
        run.enter(publish);
        notifier->judged(of, run.fail(make_error_code(boost::system::errc::connection_refused)), {},
                         {.known = true, .ok = false, .alerting = true, .consecutive_failures = 3});
    }
    void fail() { fail(*probe); }
    void succeed(bool alerting = false) {
        Env env;
        ProbeRun run(env, 1s);
        run.enter(publish);
        notifier->judged(*probe, run.ok(), {}, {.known = true, .ok = true, .alerting = alerting});
    }
    NotificationFigures::Receiver figures(std::size_t at = 0) const {
        return notifier->figures().receivers.at(at);
    }
    static json::array alerts(const livecanary::test::HttpHeard& heard) {
        return json::parse(heard.body).as_array();
    }

    asio::io_context io{};
    WallTime wall = std::chrono::system_clock::now();
    Clock::duration resend = 1h;
    Clock::duration patience = 10s;
    Shared shared{};
    Settings settings{};
    ScriptedProbe scripted{{succeeds()}};
    std::shared_ptr<const ProbeSettings> probe{};
    std::unique_ptr<Notifier> notifier{};
};

TEST_F(NotifyTest, PostsToTheV2ApiAndCounts) {
    ScriptedHttpServer server(io, always(http_says::status(200)));
    send_to({base(server) + "/prefix"});
    EXPECT_EQ(figures().alertmanager, base(server) + "/prefix");
    EXPECT_EQ(figures().sent, 0U) << "there from the start";
    fail();
    EXPECT_EQ(notifier->figures().queue, 1U);
    run_until(io, [&] { return figures().sent == 1; });
    EXPECT_EQ(figures().failed, 0U);
    EXPECT_EQ(notifier->figures().queue, 0U);
    const auto& heard = server.last();
    EXPECT_EQ(heard.method, "POST");
    EXPECT_EQ(heard.target, "/prefix/api/v2/alerts");
    EXPECT_EQ(heard.headers.at("content-type"), "application/json");
    EXPECT_FALSE(heard.headers.contains("authorization"));
    const auto body = alerts(heard);
    ASSERT_EQ(body.size(), 1U);
    EXPECT_EQ(body[0].at("labels").at("probe").as_string(), "p");
    EXPECT_EQ(body[0].at("labels").at("location").as_string(), "shanghai-1");
    EXPECT_EQ(body[0].at("generatorURL").as_string(), "http://canary:9877/probes/p");
    succeed(true);
    EXPECT_EQ(notifier->figures().queue, 0U) << "one success is not recover_after successes";
    succeed();
    run_until(io, [&] { return figures().sent == 2; });
    EXPECT_EQ(alerts(server.last())[0].at("labels"), body[0].at("labels"));
    EXPECT_LE(alerts(server.last())[0].at("endsAt").as_string(), body[0].at("endsAt").as_string());
}

TEST_F(NotifyTest, LeadsToTheIncidentItIsOf) {
    shared.incident_of = [](const std::string& of) {
        return of == "p" ? std::string("0123") : std::string();
    };
    ScriptedHttpServer server(io, always(http_says::status(200)));
    send_to({base(server)});
    fail();
    run_until(io, [&] { return figures().sent == 1; });
    EXPECT_EQ(alerts(server.last())[0].at("generatorURL").as_string(), "http://canary:9877/incidents/0123");
}

TEST_F(NotifyTest, LogsInIfItIsTold) {
    ScriptedHttpServer server(io, always(http_says::status(200)));
    settings.alertmanager_access.user = "canary";
    settings.alertmanager_access.password = config::Secret("a:b");
    send_to({base(server)});
    fail();
    run_until(io, [&] { return figures().sent == 1; });
    EXPECT_EQ(server.last().headers.at("authorization"), "Basic Y2FuYXJ5OmE6Yg==");
}

/// An Alertmanager behind TLS, for one request.
asio::awaitable<void> takes_alerts(livecanary::test::TlsStream& stream) {
    std::string request;
    co_await asio::async_read_until(stream, asio::dynamic_buffer(request), "}]", net::no_throw);
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    co_await asio::async_write(stream, asio::buffer(answer), net::no_throw);
}

TEST_F(NotifyTest, OverTlsOnlyToWhomItTrusts) {
    const livecanary::test::Certificate authority({.common_name = "ours", .authority = true});
    const livecanary::test::Certificate stranger({.common_name = "another", .authority = true});
    const livecanary::test::Certificate certificate({.common_name = "a", .names = {"IP:127.0.0.1"}},
                                                    &authority);
    const std::string ca_file = testing::TempDir() + "livecanary_am_" + std::to_string(::getpid()) + ".pem";
    livecanary::test::TlsPeer peer(io, certificate, takes_alerts);
    const std::vector urls{"https://127.0.0.1:" + std::to_string(peer.endpoint().port())};
    settings.alertmanager_access.password = config::Secret("a:b");
    settings.alertmanager_access.user = "canary";

    // The system's authorities do not know it.
    send_to(urls);
    fail();
    run_until(io, [&] { return figures().failed >= 2; });
    EXPECT_EQ(figures().trouble, "the certificate is not signed by anyone we trust");
    // Nor does another authority of the operator's own.
    stranger.save(ca_file);
    settings.alertmanager_access.ca_file = ca_file;
    send_to(urls);
    run_until(io, [&] { return figures().failed >= 2; });
    EXPECT_EQ(peer.seen().handshakes, 0) << "it heard neither alerts nor the password";
    authority.save(ca_file);
    // The file is read again once it is another.
    std::filesystem::last_write_time(ca_file, std::filesystem::file_time_type::clock::now() - 1h);
    run_until(io, [&] { return figures().sent > figures().failed; });
    EXPECT_EQ(peer.seen().handshakes, 1);
    EXPECT_EQ(figures().trouble, "");
    EXPECT_EQ(notifier->figures().queue, 0U);
    std::filesystem::remove(ca_file);
}

TEST_F(NotifyTest, TriesAgainWhatWasNotTakenAndNotWhatWasRefused) {
    ScriptedHttpServer server(io, always(http_says::status(503)));
    send_to({base(server)});
    fail();
    run_until(io, [&] { return figures().failed >= 3; });
    EXPECT_EQ(notifier->figures().queue, 1U);
    server.answer(always(http_says::status(429)));
    const auto before = figures().failed;
    run_until(io, [&] { return figures().failed >= before + 2; });
    server.answer(always(http_says::status(400)));
    run_until(io, [&] { return notifier->figures().queue == 0; });
    const auto requests = server.count(alerts_path);
    const auto failed = figures().failed;
    EXPECT_EQ(failed, figures().sent) << "a refusal is a failure too";
    // Something else goes through; what was refused does not come along.
    server.answer(always(http_says::status(200)));
    auto other = scripted.settings();
    other.name = "q";
    fail(other);
    run_until(io, [&] { return notifier->figures().queue == 0; });
    EXPECT_EQ(server.count(alerts_path), requests + 1);
    ASSERT_EQ(alerts(server.last()).size(), 1U);
    EXPECT_EQ(alerts(server.last())[0].at("labels").at("probe").as_string(), "q");
    EXPECT_EQ(figures().failed, failed);
}

TEST_F(NotifyTest, AnAnswerThatBreaksOffHasSaidWhatCounts) {
    ScriptedPeer breaks_off(
        io, livecanary::test::says_and_finishes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"));
    send_to({"http://127.0.0.1:" + std::to_string(breaks_off.endpoint().port())});
    fail();
    run_until(io, [&] { return figures().sent >= 1; });
    EXPECT_EQ(figures().failed, 0U);
    EXPECT_EQ(notifier->figures().queue, 0U);
}

TEST_F(NotifyTest, OneOfTwoThatHangsOrIsGoneHoldsUpNothing) {
    patience = 200ms;
    configure();
    ScriptedHttpServer up(io, always(http_says::status(200)));
    ScriptedPeer hangs(io, stays_silent);
    livecanary::test::ClosedPort closed(io);
    send_to({"http://127.0.0.1:" + std::to_string(hangs.endpoint().port()),
             "http://127.0.0.1:" + std::to_string(closed.endpoint().port()), base(up)});
    fail();
    run_until(io, [&] { return figures(2).sent == 1; });
    EXPECT_EQ(figures(2).failed, 0U);
    EXPECT_EQ(figures(0).sent, 0U) << "its deadline has not passed";
    run_until(io, [&] { return figures(0).failed >= 1 && figures(1).failed >= 2; });
    EXPECT_EQ(notifier->figures().queue, 2U);
}

TEST_F(NotifyTest, IsResentUntilItIsOver) {
    resend = 20ms;
    configure();
    ScriptedHttpServer server(io, always(http_says::status(200)));
    send_to({base(server)});
    fail();
    run_until(io, [&] { return figures().sent >= 4; });
    EXPECT_EQ(alerts(server.last())[0].at("startsAt"), alerts(server.heard().front())[0].at("startsAt"));
}

TEST_F(NotifyTest, MaintenanceResolvesAndItsEndAlertsWithTheNextFailure) {
    resend = 20ms;
    configure();
    auto planned = scripted.settings();
    planned.maintenance = {*config::Window::parse("02:00-04:00 UTC")};
    probe = std::make_shared<const ProbeSettings>(planned);
    wall = std::chrono::sys_days{std::chrono::year{2026} / 11 / 28} + 1h;
    ScriptedHttpServer server(io, always(http_says::status(200)));
    send_to({base(server)});
    notifier->start({});
    fail();
    run_until(io, [&] { return figures().sent >= 1; });
    EXPECT_TRUE(notifier->fires(*probe));
    wall += 90min;
    run_until(io, [&] { return !notifier->fires(*probe); });
    fail();
    EXPECT_FALSE(notifier->fires(*probe)) << "it runs, and does not alert";
    wall += 2h;
    fail();
    EXPECT_TRUE(notifier->fires(*probe));
}

TEST_F(NotifyTest, WhatAReloadTakesAwayOrGivesOtherLabelsResolves) {
    ScriptedHttpServer server(io, always(http_says::status(200)));
    send_to({base(server)});
    fail();
    run_until(io, [&] { return figures().sent == 1; });
    send_to({base(server)});
    EXPECT_TRUE(notifier->fires(*probe)) << "nothing has changed";
    EXPECT_EQ(figures().sent, 1U) << "the sender stays";
    auto milder = scripted.settings();
    milder.severity = "warning";
    send_to({base(server)}, {std::make_shared<const ProbeSettings>(milder)});
    EXPECT_FALSE(notifier->fires(*probe));
    fail(milder);
    EXPECT_TRUE(notifier->fires(milder));
    send_to({base(server)}, {});
    EXPECT_TRUE(notifier->book().firing().empty());
    run_until(io, [&] { return notifier->figures().queue == 0; });
    for (const auto& alert : alerts(server.last()))
        EXPECT_LE(alert.at("endsAt").as_string(), json::string(rfc3339(wall)));
}

TEST_F(NotifyTest, AnAlertmanagerThatAReloadBringsGetsWhatFires) {
    ScriptedHttpServer first(io, always(http_says::status(200)));
    ScriptedHttpServer second(io, always(http_says::status(200)));
    send_to({base(first)});
    fail();
    run_until(io, [&] { return figures().sent == 1; });
    send_to({base(second)});
    run_until(io, [&] { return figures().sent == 1; });
    EXPECT_EQ(second.count(alerts_path), 1U);
    EXPECT_EQ(first.count(alerts_path), 1U);
    send_to({});
    EXPECT_TRUE(notifier->figures().receivers.empty());
    EXPECT_TRUE(notifier->fires(*probe)) << "known, though nobody is told";
}

TEST_F(NotifyTest, AnAlertmanagerThatAReloadTakesAwayIsToldNothingMore) {
    resend = 20ms;
    configure();
    ScriptedHttpServer stays(io, always(http_says::status(200)));
    ScriptedHttpServer leaves(io, always(http_says::status(200)));
    send_to({base(leaves), base(stays)});
    fail();
    run_until(io, [&] { return figures(0).sent >= 1 && figures(1).sent >= 1; });
    send_to({base(stays)});
    const auto told = leaves.count(alerts_path);
    succeed();
    run_until(
        io, [&] { return alerts(stays.last())[0].at("endsAt").as_string() == json::string(rfc3339(wall)); });
    const auto so_far = figures().sent;
    run_until(io, [&] { return figures().sent >= so_far + 3; });
    // It ends there by itself: the last it was told is that it fires, for four resends.
    EXPECT_LE(leaves.count(alerts_path), told + 1) << "but what was under way";
    EXPECT_GT(alerts(leaves.last())[0].at("endsAt").as_string(), json::string(rfc3339(wall)));
}

TEST_F(NotifyTest, AnotherLanguageIsTheSameAlertInOtherWords) {
    ScriptedHttpServer server(io, always(http_says::status(200)));
    send_to({base(server)});
    fail();
    run_until(io, [&] { return figures().sent == 1; });
    const auto english = alerts(server.last())[0];
    settings.lang = "zh";
    send_to({base(server)});
    wall += 30s;
    fail();
    run_until(io, [&] { return figures().sent == 2; });
    const auto chinese = alerts(server.last())[0];
    EXPECT_EQ(chinese.at("labels"), english.at("labels"));
    EXPECT_EQ(chinese.at("startsAt"), english.at("startsAt"));
    EXPECT_NE(chinese.at("annotations").at("summary"), english.at("annotations").at("summary"));
    EXPECT_EQ(notifier->book().alerts().size(), 1U);
}

TEST_F(NotifyTest, DeliveryThatHangsDelaysNoProbe) {
    ScriptedPeer hangs(io, stays_silent);
    shared.anchors = std::make_shared<Anchors>(std::vector<std::string>{});
    shared.seed = [] { return 1; };
    shared.judged = [this](const ProbeSettings& of, const RunResult& run, const Diagnosis& found,
                           const Standing& standing) { notifier->judged(of, run, found, standing); };
    ScriptedProbe failing{{fails()}};
    auto eager = failing.settings(1ms);
    eager.fail_after = 1;
    const auto its = std::make_shared<const ProbeSettings>(eager);
    send_to({"http://127.0.0.1:" + std::to_string(hangs.endpoint().port())}, {its});
    Runner runner(its, shared);
    bool ended = false;
    runner.start([&] { ended = true; });
    run_until(io, [&] { return notifier->fires(*its); });
    const int so_far = failing.started;
    run_until(io, [&] { return failing.started >= so_far + 20; });
    EXPECT_EQ(figures().sent, 0U) << "the first delivery is still under way";
    runner.stop();
    run_until(io, [&] { return ended; });
}

TEST_F(NotifyTest, WhatFiredBeforeARestartFiresAfterIt) {
    const StateFolder folder;
    StateOptions options;
    options.directory = folder.path();
    auto store = std::make_unique<StateStore>(options);
    shared.state = store.get();
    ScriptedHttpServer server(io, always(http_says::status(200)));
    send_to({base(server)});
    fail();
    stop();
    EXPECT_EQ(server.count(alerts_path), 0U) << "it was not even sent";
    // What it was asked for is done once it is gone.
    store.reset();
    store = std::make_unique<StateStore>(options);
    shared.state = store.get();
    configure();
    send_to({base(server)});
    bool loaded = false;
    notifier->start([&] { loaded = notifier->fires(*probe); });
    run_until(io, [&] { return figures().sent == 1; });
    EXPECT_TRUE(loaded);
    EXPECT_EQ(alerts(server.last())[0].at("startsAt").as_string(), json::string(rfc3339(wall)));
    // A third process, to which nobody configures the probe any more.
    stop();
    store.reset();
    store = std::make_unique<StateStore>(options);
    shared.state = store.get();
    configure();
    send_to({base(server)}, {});
    notifier->start([&] { EXPECT_TRUE(notifier->book().firing().empty()); });
    run_until(io, [&] { return figures().sent == 1; });
    EXPECT_EQ(alerts(server.last())[0].at("endsAt").as_string(), json::string(rfc3339(wall)));
    stop();
    shared.state = nullptr;
}

TEST_F(NotifyTest, StopsAtOnceWhileADeliveryHangs) {
    ScriptedPeer hangs(io, stays_silent);
    send_to({"http://127.0.0.1:" + std::to_string(hangs.endpoint().port())});
    notifier->start({});
    fail();
    run_until(io, [&] { return notifier->figures().queue == 1; });
    for (int i = 0; i < 20; ++i) io.poll();
    stop();
}

}  // namespace
}  // namespace livecanary::daemon
