// Every way an RTMP server can fail a push, and what we make of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/write.hpp>

#include "tests/support/fake_peers.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/unit/kinds/push_stage.hpp"

namespace livecanary::test {
namespace {

using rtmp_says::status;
using Stories = std::function<RtmpStory()>;

Stories at_accept(Then then) {
    return [=] { return RtmpStory{.on_accept = then}; };
}
Stories greets(std::string words) {
    return [words = std::move(words)] { return RtmpStory{.greeting = words}; };
}
Stories at_connect(RtmpAnswers answers) {
    return [=] { return RtmpStory{.on_connect = answers}; };
}
Stories at_create_stream(RtmpAnswers answers) {
    return [=] { return RtmpStory{.on_create_stream = answers}; };
}
Stories at_publish(RtmpAnswers answers) {
    return [=] { return RtmpStory{.on_publish = answers}; };
}
RtmpAnswers raw(std::string bytes, Then then = Then::go_on) {
    return always(RtmpAnswer{.raw = std::move(bytes), .then = then});
}
RtmpAnswers connect_error(const char* code, const char* description = "", const char* redirect = nullptr) {
    return [=](const RtmpHeard& heard) {
        return RtmpAnswer{.messages = {rtmp_says::error(heard, code, description, redirect)}};
    };
}
std::string bytes(std::initializer_list<int> values) {
    std::string text;
    for (const int value : values) text += static_cast<char>(value);
    return text;
}
/// A type 0 chunk header on chunk stream 3 that announces `length` bytes of a command.
std::string header(int length_high, int length_middle, int length_low) {
    return bytes({3, 0, 0, 0, length_high, length_middle, length_low, 20, 0, 0, 0, 0});
}
const std::string chunk_size_0 = bytes({2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0});

struct Case {
    const char* name;
    Stories story;
    const char* phase;
    const char* reason;
    const char* fingerprint;
    const char* label;  ///< the cause or the class, after the controls
    Clock::duration timeout = 30s;
};
void PrintTo(const Case& row, std::ostream* out) { *out << row.name; }

const Case cases[] = {
    // No handshake.
    {"finishes_at_accept", at_accept(Then::finish), "handshake", "closed", "handshake closed",
     "push_unreachable"},
    {"resets_at_accept", at_accept(Then::reset), "handshake", "reset", "handshake closed",
     "push_unreachable"},
    {"silent_at_accept", at_accept(Then::stay_silent), "handshake", "timeout", "handshake timeout",
     "push_unreachable", 300ms},
    {"frozen_at_accept", at_accept(Then::freeze), "handshake", "timeout", "handshake timeout",
     "push_unreachable", 300ms},
    {"resets_after_c0_c1", [] { return RtmpStory{.on_c0_c1 = Then::reset}; }, "handshake", "reset",
     "handshake closed", "push_unreachable"},
    {"speaks_http", greets("HTTP/1.1 400 Bad Request\r\n\r\n"), "handshake", "mismatch", "handshake mismatch",
     "push_handshake_failed"},
    {"speaks_ssh", greets("SSH-2.0-OpenSSH_9.2\r\n"), "handshake", "mismatch", "handshake mismatch",
     "push_handshake_failed"},
    {"speaks_tls", greets(bytes({0x15, 3, 1, 0, 2, 2, 70})), "handshake", "mismatch", "handshake mismatch",
     "push_handshake_failed"},
    {"speaks_rtmpe", greets(bytes({6}) + std::string(1536, 'x')), "handshake", "mismatch",
     "handshake mismatch", "push_handshake_failed"},
    {"speaks_garbage", greets(std::string(4000, 'x')), "handshake", "protocol", "handshake protocol",
     "push_unreachable"},
    {"half_a_handshake", greets(bytes({3}) + std::string(1000, 'x')), "handshake", "closed",
     "handshake closed", "push_unreachable"},
    // connect.
    {"finishes_at_connect", at_connect(always(Then::finish)), "connect", "closed", "connect closed",
     "push_refused"},
    {"resets_at_connect", at_connect(always(Then::reset)), "connect", "reset", "connect closed",
     "push_refused"},
    {"silent_at_connect", at_connect(always(Then::stay_silent)), "connect", "timeout", "connect timeout",
     "push_refused", 300ms},
    {"rejects_connect", at_connect(connect_error("NetConnection.Connect.Rejected")), "connect", "rejected",
     "connect status NetConnection.Connect.Rejected", "push_refused"},
    {"closes_by_command_at_connect", at_connect(always(rtmp_says::close())), "connect", "closed",
     "connect closed", "push_refused"},
    {"chunk_size_0", at_connect(raw(chunk_size_0)), "connect", "protocol", "connect protocol",
     "push_refused"},
    {"lies_about_a_length", at_connect(raw(header(0xFF, 0xFF, 0xFF) + std::string(128, 'x'), Then::finish)),
     "connect", "closed", "connect closed", "push_refused"},
    {"promises_more_than_it_sends", at_connect(raw(header(0, 4, 0) + "abc")), "connect", "timeout",
     "connect timeout", "push_refused", 300ms},
    {"talks_without_end",
     at_connect(always(RtmpAnswer{.messages = {rtmp_says::fc_publish()}, .endless = true})), "connect",
     "timeout", "connect timeout", "push_refused", 300ms},
    // createStream.
    {"finishes_at_create_stream", at_create_stream(always(Then::finish)), "create_stream", "closed",
     "create_stream closed", "push_refused"},
    {"resets_after_connect", at_connect(after(rtmp_says::connected, Then::reset)), "create_stream", "reset",
     "create_stream closed", "push_refused"},
    {"refuses_create_stream", at_create_stream(connect_error("NetConnection.Call.Failed")), "create_stream",
     "rejected", "create_stream status NetConnection.Call.Failed", "push_refused"},
    {"stream_id_is_no_number", at_create_stream([](const RtmpHeard& heard) {
         return RtmpAnswer{.messages = {protocol::rtmp::encode_command(
                               "_result", heard.transaction, {protocol::rtmp::AmfNull{}, "one"}, 3, 0)}};
     }),
     "create_stream", "protocol", "create_stream protocol", "push_refused"},
    {"silent_at_create_stream", at_create_stream(always(Then::stay_silent)), "create_stream", "timeout",
     "create_stream timeout", "push_refused", 300ms},
    // publish.
    {"finishes_at_publish", at_publish(always(Then::finish)), "publish", "closed", "publish closed",
     "push_refused"},
    {"resets_at_publish", at_publish(always(Then::reset)), "publish", "reset", "publish closed",
     "push_refused"},
    {"finishes_after_on_fc_publish", at_publish(always(rtmp_says::fc_publish(), Then::finish)), "publish",
     "closed", "publish closed", "push_refused"},
    {"bad_name_and_stays",
     at_publish(always(status("error", "NetStream.Publish.BadName", "Already publishing"))), "publish",
     "rejected", "publish status NetStream.Publish.BadName", "push_refused"},
    {"bad_name_and_finishes", at_publish(always(status("error", "NetStream.Publish.BadName"), Then::finish)),
     "publish", "rejected", "publish status NetStream.Publish.BadName", "push_refused"},
    {"bad_name_and_resets", at_publish(always(status("error", "NetStream.Publish.BadName"), Then::reset)),
     "publish", "rejected", "publish status NetStream.Publish.BadName", "push_refused"},
    {"unauthorized_with_a_small_p", at_publish(always(status("error", "NetStream.publish.Unauthorized"))),
     "publish", "rejected", "publish status NetStream.publish.Unauthorized", "push_refused"},
    {"an_unknown_status", at_publish(always(status("status", "Something.New"))), "publish", "rejected",
     "publish status Something.New", "push_refused"},
    {"silent_at_publish", at_publish(always(Then::stay_silent)), "publish", "timeout", "publish timeout",
     "push_refused", 300ms},
    {"closes_by_command_at_publish", at_publish(always(rtmp_says::close())), "publish", "closed",
     "publish closed", "push_refused"},
    // Start, and yet no.
    {"start_then_fin", at_publish(after(rtmp_says::started, Then::finish)), "media", "closed",
     "media at once closed", "push_refused"},
    {"start_then_reset", at_publish(after(rtmp_says::started, Then::reset)), "media", "reset",
     "media at once closed", "push_refused"},
    {"start_then_denied", at_publish(after(rtmp_says::started, status("error", "NetStream.Publish.Denied"))),
     "media", "rejected", "media at once status NetStream.Publish.Denied", "push_refused"},
    {"start_then_close_command", at_publish(after(rtmp_says::started, rtmp_says::close())), "media", "closed",
     "media at once closed", "push_refused"},
    {"fin_at_the_first_media", [] { return RtmpStory{.media_before = 1, .on_media = always(Then::finish)}; },
     "media", "closed", "media at once closed", "push_refused"},
    {"broken_chunk_in_the_media", [] { return RtmpStory{.media_before = 5, .on_media = raw(chunk_size_0)}; },
     "media", "protocol", "media at once protocol", "push_refused"},
    // Accepted, then not: at 25 pictures and 43 sounds a second, 80 messages are 1.2 s.
    {"kicks_with_a_fin", [] { return RtmpStory{.media_before = 80, .on_media = always(Then::finish)}; },
     "media", "closed", "media accepted closed", "push_dropped"},
    {"kicks_with_a_status",
     [] {
         return RtmpStory{.media_before = 80,
                          .on_media = always(status("status", "NetStream.Unpublish.Success"))};
     },
     "media", "rejected", "media accepted status NetStream.Unpublish.Success", "push_dropped"},
    {"stops_acknowledging", [] { return RtmpStory{.pongs = false, .acked_media = 40}; }, "media", "stalled",
     "media accepted stalled", "push_dropped"},
    {"stops_reading", [] { return RtmpStory{.media_before = 10, .on_media = always(Then::freeze)}; }, "media",
     "stalled", "media accepted stalled", "push_dropped"},
    {"never_ends_the_media_in_time", [] { return RtmpStory{}; }, "media", "timeout", "media at once timeout",
     "", 500ms},
};

class RtmpPush : public testing::TestWithParam<Case> {};

TEST_P(RtmpPush, EndsInPhaseForReasonFromCause) {
    PushStage stage;
    const Case& row = GetParam();
    // A small buffer: what a frozen server does not read shows soon.
    ScriptedRtmpServer server(stage.io, row.story(), 4096);
    const Probe probe = stage.make("url = 'rtmp://127.0.0.1:" + std::to_string(server.port()) +
                                   "/live/canary'\nmedia = '1m'\n");
    const Judged judged = stage.judge(probe, row.timeout);
    EXPECT_EQ(judged.run.outcome(), RunOutcome::failed) << judged.run.inconclusive;
    EXPECT_EQ(judged.run.failed_phase(), row.phase);
    EXPECT_EQ(reason_text(judged.run), row.reason) << judged.run.code.message();
    EXPECT_EQ(judged.run.fingerprint, row.fingerprint);
    EXPECT_EQ(judged.diagnosis.label(), row.label) << judged.diagnosis.because;
    EXPECT_EQ(judged.diagnosis.cause_class.has_value(), !judged.diagnosis.candidates.empty());
}
INSTANTIATE_TEST_SUITE_P(, RtmpPush, testing::ValuesIn(cases),
                         [](const auto& row) { return row.param.name; });

struct Good {
    const char* name;
    RtmpStory story;
};
void PrintTo(const Good& row, std::ostream* out) { *out << row.name; }
const Good good[] = {
    {"as_nginx", {}},
    {"counts_from_the_start", {.pings = true, .ack_base = protocol::rtmp::AckBase::from_start}},
    {"no_acks_and_no_pongs", {.on_unpublish = always(Then::go_on), .pongs = false, .acks = false}},
    {"says_on_fc_publish_first",
     {.on_publish =
          [](const RtmpHeard& heard) {
              RtmpAnswer answer = rtmp_says::started(heard);
              answer.messages.insert(answer.messages.begin(), rtmp_says::fc_publish());
              return answer;
          }}},
    {"wrong_s2_and_one_byte_at_a_time", {.wrong_s2 = true, .one_byte_at_a_time = true}},
};
class RtmpPushAccepted : public testing::TestWithParam<Good> {};

TEST_P(RtmpPushAccepted, IsOkAndGivesBackTheName) {
    PushStage stage;
    FakePeers peers;
    stage.env.peers = &peers;
    ScriptedRtmpServer server(stage.io, GetParam().story);
    const Probe probe = stage.make("url = 'rtmp://127.0.0.1:" + std::to_string(server.port()) +
                                   "/live/canary?key=value'\nmedia = '1s'\n");
    const RunResult run = stage.judge(probe).run;
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    ASSERT_EQ(peers.notices.size(), 2U) << "on air, and ended: what the cloud calls back for";
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(peers.notices[i].topic, topics::push);
        EXPECT_EQ(peers.notices[i].from, stage.env.probe);
        EXPECT_EQ(peers.notices[i].facts, (Facts{{"event", i == 0 ? "1" : "0"},
                                                 {"domain", "127.0.0.1"},
                                                 {"app", "live"},
                                                 {"stream_id", "canary"},
                                                 {"run_id", run.run_id}}));
    }
    EXPECT_EQ(way(run), "dns tcp handshake connect create_stream publish media teardown");
    EXPECT_EQ(run.fingerprint, "");
    stage.wait_until_deserted(server);
    EXPECT_TRUE(server.last().gave_back());
    EXPECT_EQ(run.got("handshake").empty(), !GetParam().story.wrong_s2);
    const auto value = [&](const Value& wanted) {
        const auto at = std::ranges::find(run.values, wanted.metric,
                                          [](const Found& found) { return found.value.metric; });
        return at == run.values.end() ? -1.0 : at->number;
    };
    EXPECT_EQ(value(rtmp_push::sent_bytes), static_cast<double>(server.last().bytes));
    EXPECT_EQ(value(rtmp_push::acked_bytes) > 10'000, GetParam().story.acks);
    EXPECT_LE(value(rtmp_push::acked_bytes), value(rtmp_push::sent_bytes));
    EXPECT_EQ(value(rtmp_push::server_closes), -1);
    EXPECT_EQ(value(rtmp_push::server_window), 5'000'000);
    EXPECT_EQ(value(rtmp_push::server_chunk_size), 4096);
    EXPECT_GE(value(rtmp_push::stall_seconds), 0);
}
INSTANTIATE_TEST_SUITE_P(, RtmpPushAccepted, testing::ValuesIn(good),
                         [](const auto& row) { return row.param.name; });

/// Where to cut `total` bytes: everywhere after the handshake, in it at the ends of its parts and fields.
std::vector<std::uint64_t> boundaries(std::uint64_t total) {
    std::vector<std::uint64_t> places{0,    1,    2,    4,    5,    9,    10,   784,
                                      1535, 1536, 1537, 1538, 1541, 2000, 3071, 3072};
    for (std::uint64_t place = 3073; place <= total; ++place) places.push_back(place);
    return places;
}

struct Cut {
    const char* name;
    Then then;
    bool heard;  ///< else said
};
void PrintTo(const Cut& row, std::ostream* out) { *out << row.name; }
class RtmpPushCut : public testing::TestWithParam<Cut> {};

// Whatever byte of the talk is the last, the run fails, by the server's doing, and never waits for its
// deadline.
TEST_P(RtmpPushCut, FailsAtEveryByte) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {.media_before = 1, .on_media = always(Then::finish)});
    stage.push(stage.plan(server));
    ASSERT_TRUE(server.last().said_at_start && server.last().bytes_at_start);
    const auto total = GetParam().heard ? *server.last().bytes_at_start + 300 : *server.last().said_at_start;
    ASSERT_GT(total, 3073U);
    std::set<std::string> seen;
    for (const auto place : boundaries(total)) {
        RtmpStory story{.cut = GetParam().then};
        (GetParam().heard ? story.cut_after_heard : story.cut_after_said) = place;
        server.play(story);
        const RunResult run = stage.push(stage.plan(server));
        ASSERT_EQ(run.outcome(), RunOutcome::failed) << "cut after " << place;
        const Reason reason = run.reason();
        ASSERT_TRUE(reason == Reason::closed || reason == Reason::reset)
            << "cut after " << place << ": " << run.code.message();
        ASSERT_TRUE(run.fingerprint.ends_with(" closed")) << place << ": " << run.fingerprint;
        seen.insert(run.fingerprint);
    }
    EXPECT_EQ(seen, (std::set<std::string>{"connect closed", "create_stream closed", "handshake closed",
                                           "media at once closed", "publish closed"}));
    stage.wait_until_deserted(server);
}
const Cut cuts[] = {{"fin_after_said", Then::finish, false},
                    {"reset_after_said", Then::reset, false},
                    {"fin_after_heard", Then::finish, true},
                    {"reset_after_heard", Then::reset, true}};
INSTANTIATE_TEST_SUITE_P(, RtmpPushCut, testing::ValuesIn(cuts),
                         [](const auto& row) { return row.param.name; });

// Each once, whatever repeats them.
TEST(RtmpPushRun, KeepsWhatTheServerCallsTheConnection) {
    namespace rtmp = protocol::rtmp;
    const auto says = [](const RtmpHeard& heard, const char* command, const char* code, rtmp::AmfValue id) {
        rtmp::AmfObject info{{{"level", "status"}, {"code", code}, {"clientid", std::move(id)}}};
        info.members.push_back({"data", rtmp::AmfObject{{{"requestid", "r-1"}}}});
        const bool on_status = std::string_view(command) == "onStatus";
        return RtmpAnswer{.messages = {rtmp::encode_command(command, on_status ? 0 : heard.transaction,
                                                            {rtmp::AmfNull{}, std::move(info)},
                                                            on_status ? 5 : 3, on_status ? 1 : 0)}};
    };
    PushStage stage;
    const auto connects = [&](const RtmpHeard& heard) {
        RtmpAnswer answer = rtmp_says::connected(heard);
        answer.messages.back() =
            says(heard, "_result", "NetConnection.Connect.Success", "conn-1").messages.front();
        answer.messages.push_back(says(heard, "onStatus", "NetStream.Other", "conn-1").messages.front());
        answer.then = Then::finish;
        return answer;
    };
    ScriptedRtmpServer server(stage.io, {.on_connect = connects});
    const RunResult run = stage.push(stage.plan(server));
    const auto count = [&](std::string_view what) {
        return std::ranges::count(run.evidence, what, &Evidence::what);
    };
    EXPECT_EQ(run.got("clientid"), "conn-1");
    EXPECT_EQ(run.got("requestid"), "r-1");
    EXPECT_EQ(count("clientid"), 1);
    EXPECT_EQ(count("requestid"), 1);
}

TEST(RtmpPushRun, KeepsWhatAServerThatTakesTheStreamCallsTheConnection) {
    namespace rtmp = protocol::rtmp;
    const auto started = [](const RtmpHeard&) {
        rtmp::AmfObject info{
            {{"level", "status"}, {"code", "NetStream.Publish.Start"}, {"clientid", "conn-2"}}};
        return RtmpAnswer{
            .messages = {rtmp::encode_command("onStatus", 0, {rtmp::AmfNull{}, std::move(info)}, 5, 1)}};
    };
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {.on_publish = started});
    const Probe probe = stage.make("url = 'rtmp://127.0.0.1:" + std::to_string(server.port()) +
                                   "/live/canary?key=value'\nmedia = '1s'\n");
    const RunResult run = stage.judge(probe).run;
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(run.got("clientid"), "conn-2");
}

TEST(RtmpPushRun, RefusalTellsWhatTheServerSaid) {
    PushStage stage;
    ScriptedRtmpServer server(
        stage.io,
        {.on_connect = connect_error("NetConnection.Connect.Rejected",
                                     "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
                                     "?reason=needauth",
                                     "rtmp://other.example.com/live")});
    const RunResult run = stage.push(stage.plan(server));
    EXPECT_EQ(run.got("authmod"), "adobe");
    EXPECT_EQ(run.got("refusal_reason"), "needauth");
    EXPECT_EQ(run.got("redirect"), "rtmp://other.example.com/live");
    EXPECT_TRUE(run.got("status").starts_with("_error error NetConnection.Connect.Rejected: [ Access"));
    EXPECT_TRUE(run.got("after_our_last_command").ends_with(" ms"));
    EXPECT_EQ(run.got("address"), "127.0.0.1:" + std::to_string(server.port()));
    EXPECT_EQ(run.got("addresses"), "") << "an address has no other addresses";
}

TEST(RtmpPushRun, SecretsStayOutOfTheEvidence) {
    PushStage stage;
    const auto echo = [](const RtmpHeard& heard) {
        return RtmpAnswer{
            .messages = {status("error", "NetStream.Publish.Denied", heard.publish_name.c_str())}};
    };
    ScriptedRtmpServer server(stage.io, {.on_publish = echo});
    const Probe probe = stage.make("url = 'rtmp://127.0.0.1:" + std::to_string(server.port()) +
                                   "/live/canary'\npush_key = { env = 'MAIN' }\n");
    ProbeRun run(stage.env, 30s);
    const RunResult result = await(stage.io, probe.run(run));
    const auto query = server.last().publish_name.substr(std::string_view("canary?txSecret=").size());
    EXPECT_TRUE(server.last().publish_name.starts_with("canary?txSecret="));
    for (const auto& evidence : result.evidence)
        EXPECT_EQ(evidence.got.find(query.substr(0, 8)), std::string::npos)
            << evidence.what << ": " << evidence.got;
}

TEST(RtmpPushRun, NobodyListens) {
    PushStage stage;
    const ClosedPort closed(stage.io);
    const Judged judged = stage.judge(
        stage.make("url = 'rtmp://127.0.0.1:" + std::to_string(closed.endpoint().port()) + "/live/x'"));
    EXPECT_EQ(way(judged.run), "dns tcp");
    EXPECT_EQ(judged.run.fingerprint, "tcp refused");
    EXPECT_EQ(judged.diagnosis.label(), "push_tcp_refused");
}

TEST(RtmpPushRun, NobodyAnswers) {
    PushStage stage;
    const FullPort full(stage.io);
    const Judged judged = stage.judge(
        stage.make("url = 'rtmp://127.0.0.1:" + std::to_string(full.endpoint().port()) + "/live/x'"), 200ms);
    EXPECT_EQ(judged.run.fingerprint, "tcp timeout");
    ASSERT_NE(judged.run.control("other_port"), nullptr) << "port 443 of loopback refuses or answers";
    EXPECT_EQ(judged.diagnosis.label(), "push_tcp_timeout");
}

TEST(RtmpPushRun, NameDoesNotResolve) {
    PushStage stage;
    stage.names.set("push.tlivecloud.com", {.addresses = {"127.0.0.1"}});
    const Judged judged = stage.judge(stage.make("url = 'rtmp://gone.test/live/x'"));
    EXPECT_EQ(way(judged.run), "dns");
    EXPECT_EQ(judged.run.fingerprint, "dns nxdomain");
    EXPECT_EQ(judged.diagnosis.label(), "push_domain_dns_failure");
    stage.names.set("push.tlivecloud.com", {.rcode = 2});
    const Judged ours = stage.judge(stage.make("url = 'rtmp://gone.test/live/x'"));
    EXPECT_EQ(ours.diagnosis.label(), "push_unreachable");
}

TEST(RtmpPushRun, WhatTheConfigurationCannotSayIsOurOwnFault) {
    PushStage stage;
    stage.env.location = "a place";
    const Probe probe = stage.make("url = 'rtmp://127.0.0.1/live/x_{location}'");
    ProbeRun run(stage.env, 1s);
    const RunResult result = await(stage.io, probe.run(run));
    EXPECT_EQ(result.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(way(result), "");
}

TEST(RtmpPushRun, ClockBeforeThisProgramSignsNothing) {
    PushStage stage;
    stage.env.wall = [] { return WallTime{} + std::chrono::hours(24 * 365 * 50); };
    ScriptedRtmpServer server(stage.io, {});
    const std::string url = "url = 'rtmp://127.0.0.1:" + std::to_string(server.port()) + "/live/x'\n";
    const Probe probe = stage.make(url + "push_key = { env = 'MAIN' }");
    ProbeRun run(stage.env, 1s);
    EXPECT_EQ(await(stage.io, probe.run(run)).outcome(), RunOutcome::inconclusive);
    EXPECT_TRUE(server.heard().empty());
}

/// Two sockets as one: what comes out of each goes into the other.
asio::awaitable<void> relay_out(TlsStream& from, tcp::socket& to) {
    std::array<char, 16384> buffer;
    for (;;) {
        const auto [code, size] = co_await from.async_read_some(asio::buffer(buffer), net::no_throw);
        if (code) break;
        co_await asio::async_write(to, asio::buffer(buffer, size), net::no_throw);
    }
    to.shutdown(tcp::socket::shutdown_send);
}
asio::awaitable<void> relay(TlsStream& client, std::uint16_t port, bool& out_ended) {
    const auto executor = co_await asio::this_coro::executor;
    tcp::socket server(executor);
    co_await server.async_connect({asio::ip::address_v4::loopback(), port}, net::no_throw);
    asio::steady_timer ended(executor, Clock::time_point::max());
    auto on_end = [&](const std::exception_ptr&) {
        out_ended = true;
        ended.cancel();
    };
    asio::co_spawn(executor, relay_out(client, server), on_end);
    std::array<char, 16384> buffer;
    for (;;) {
        const auto [code, size] = co_await server.async_read_some(asio::buffer(buffer), net::no_throw);
        if (code) break;
        co_await asio::async_write(client, asio::buffer(buffer, size), net::no_throw);
    }
    while (!out_ended) co_await ended.async_wait(net::no_throw);
}

asio::awaitable<void> hang_up(TlsStream&) { co_return; }

TEST(RtmpPushRun, OverTls) {
    PushStage stage;
    const Certificate certificate({.common_name = "push.test", .names = {"IP:127.0.0.1"}, .authority = true});
    const std::string root = testing::TempDir() + "rtmp_push_root.pem";
    certificate.save(root);
    ScriptedRtmpServer server(stage.io, {});
    bool out_ended = false;
    const TlsPeer front(stage.io, certificate,
                        [&](TlsStream& client) { return relay(client, server.port(), out_ended); });
    auto plan = stage.plan(server, 150ms);
    plan.url.tls = true;
    plan.url.port = front.endpoint().port();
    plan.ca_file = root;
    const RunResult run = stage.push(plan);
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(way(run), "dns tcp tls handshake connect create_stream publish media teardown");
    EXPECT_TRUE(server.last().tc_url.starts_with("rtmps://127.0.0.1:"));
    EXPECT_TRUE(run.got("tls").starts_with("TLSv1.3"));
    run_until(stage.io, [&] { return out_ended; });
}

TEST(RtmpPushRun, CertificateThatHasExpired) {
    PushStage stage;
    const Certificate certificate({.common_name = "push.test",
                                   .names = {"IP:127.0.0.1"},
                                   .not_before = -2h,
                                   .not_after = -1h,
                                   .authority = true});
    const std::string root = testing::TempDir() + "rtmp_push_expired.pem";
    certificate.save(root);
    const TlsPeer front(stage.io, certificate, hang_up);
    const Judged judged =
        stage.judge(stage.make("url = 'rtmps://127.0.0.1:" + std::to_string(front.endpoint().port()) +
                               "/live/x'\nca_file = '" + root + "'"));
    EXPECT_EQ(judged.run.fingerprint, "tls certificate");
    EXPECT_EQ(judged.diagnosis.label(), "push_rtmps_cert_invalid");
    const auto& values = judged.run.values;
    EXPECT_EQ(std::ranges::count(values, rtmp_push::certificate_end.metric,
                                 [](const Found& found) { return found.value.metric; }),
              1);
}

TEST(RtmpPushRun, PlainServerBehindAnRtmpsUrl) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {.looks_at_c0 = false});
    const Judged judged = stage.judge(
        stage.make("url = 'rtmps://127.0.0.1:" + std::to_string(server.port()) + "/live/x'"), 300ms);
    EXPECT_EQ(judged.run.fingerprint, "tls timeout");
    EXPECT_EQ(judged.diagnosis.label(), "push_handshake_failed") << judged.diagnosis.because;
}

TEST(RtmpPushRun, TlsServerBehindAnRtmpUrl) {
    PushStage stage;
    const Certificate certificate({.common_name = "push.test"});
    const TlsPeer server(stage.io, certificate, hang_up);
    const Judged judged = stage.judge(
        stage.make("url = 'rtmp://127.0.0.1:" + std::to_string(server.endpoint().port()) + "/live/x'"));
    EXPECT_EQ(judged.run.failed_phase(), "handshake");
    EXPECT_EQ(judged.diagnosis.label(), "push_handshake_failed") << judged.diagnosis.because;
}

}  // namespace
}  // namespace livecanary::test
