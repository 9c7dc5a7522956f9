// What servers do that a publisher must not take for something else, each trap by name; and refusals.
#include <gtest/gtest.h>

#include <boost/system/system_error.hpp>

#include "probes/protocol/rtmp/session.hpp"
#include "tests/unit/protocol/rtmp_push_script.hpp"

namespace livecanary::test {
namespace {

using namespace protocol::rtmp;

Bytes on_status(const char* level, const char* code, std::uint8_t stream_id = 1, const char* text = "") {
    return server_command("onStatus", {0, AmfNull{}, info(level, code, text)}, stream_id);
}

// nginx `deny publish` and node-media-server 4 say Start and close: it is one event among others, and a
// refusal can follow.
TEST(RtmpTraps, PublishStartIsNotAcceptance) {
    Push push(Reached::publish_sent);
    EXPECT_FALSE(push.feed(Push::publish_start() + on_status("error", "NetStream.Publish.Denied")));
    ASSERT_EQ(push.events.size(), 2u);
    EXPECT_TRUE(std::holds_alternative<PublishStarted>(push.events[0]));
    EXPECT_EQ(std::get<Refused>(push.events[1]).step, Step::media);
    EXPECT_FALSE(send_video(push.session, 0));
}

// SRS sends this before it asks its auth hook.
TEST(RtmpTraps, OnFcPublishWithPublishStartIsNotAcceptance) {
    Push push(Reached::publish_sent);
    EXPECT_FALSE(push.feed(server_command(
        "onFCPublish", {0, AmfNull{}, info("status", "NetStream.Publish.Start", "Started")}, 1)));
    EXPECT_EQ(push.only<StatusSeen>(),
              (StatusSeen{{"onFCPublish", "status", "NetStream.Publish.Start", "Started"}, 1}));
    EXPECT_FALSE(send_video(push.session, 0)) << "not started";
}

TEST(RtmpTraps, PublishStartOnAnotherStreamIsNotAcceptance) {
    for (const std::uint8_t stream : {std::uint8_t{0}, std::uint8_t{2}}) {
        Push push(Reached::publish_sent);
        EXPECT_FALSE(push.feed(on_status("status", "NetStream.Publish.Start", stream)));
        EXPECT_EQ(push.only<StatusSeen>().message_stream_id, stream);
        EXPECT_FALSE(send_video(push.session, 0));
    }
}

TEST(RtmpTraps, ErrorOnAForeignStreamIsNotOurRefusal) {
    Push push(Reached::started);
    EXPECT_FALSE(push.feed(on_status("error", "NetStream.Publish.BadName", 2)));
    push.only<StatusSeen>();
    EXPECT_TRUE(send_video(push.session, 0));
}

TEST(RtmpTraps, CodesAreComparedWhateverTheirCase) {
    Push start(Reached::publish_sent);
    EXPECT_FALSE(start.feed(on_status("Status", "netstream.publish.START")));
    start.only<PublishStarted>();
    Push refused(Reached::publish_sent);
    EXPECT_FALSE(
        refused.feed(on_status("ERROR", "NetStream.publish.Unauthorized", 1, "Authorization required.")));
    const auto event = refused.only<Refused>();
    EXPECT_EQ(event.status,
              (Status{"onStatus", "ERROR", "NetStream.publish.Unauthorized", "Authorization required."}))
        << "as the server spelled it";
    EXPECT_EQ(event.error, Error::publish_refused);
}

TEST(RtmpTraps, WhatIsNotStartIsRefusal) {
    const std::pair<const char*, const char*> cases[] = {
        {"error", "NetStream.Publish.BadName"},
        {"error", "NetStream.Publish.Start"},
        {"error", "Something.New"},
        {"status", "Something.New"},
        {"warning", "NetStream.Failed"},
        {"status", "NetStream.Publish.Denied"},
        {"status", "NetStream.Publish.Idle"},
        {"", ""},
        {"status", "NetStream.Unpublish.Success"},
    };
    for (const auto& [level, code] : cases) {
        Push push(Reached::publish_sent);
        EXPECT_FALSE(push.feed(on_status(level, code)));
        EXPECT_EQ(push.only<Refused>().step, Step::publish) << level << ' ' << code;
        Push started(Reached::started);
        EXPECT_FALSE(started.feed(on_status(level, code)));
        const auto refused = started.only<Refused>();
        EXPECT_EQ(refused.step, Step::media) << level << ' ' << code;
        EXPECT_EQ(refused.error, Error::media_refused);
    }
}

TEST(RtmpTraps, RecordNotificationsAndARepeatedStartAreNoRefusal) {
    Push push(Reached::publish_sent);
    EXPECT_FALSE(push.feed(on_status("status", "NetStream.Record.Start")));
    push.only<StatusSeen>();
    EXPECT_FALSE(push.feed(Push::publish_start()));
    push.only<PublishStarted>();
    EXPECT_FALSE(push.feed(Push::publish_start()));
    push.only<StatusSeen>();
    EXPECT_TRUE(send_video(push.session, 0));
    EXPECT_FALSE(push.feed(on_status("error", "NetStream.Record.Failed")));
    push.only<Refused>();
}

// node-media-server 4.4.3 hands the media of a refused publisher to the viewers of that name.
TEST(RtmpTraps, NoMediaAfterARefusal) {
    Push push(Reached::started);
    EXPECT_TRUE(send_video(push.session, 0));
    EXPECT_FALSE(push.feed(on_status("error", "NetStream.Publish.Denied")));
    EXPECT_TRUE(push.session.take_output().empty()) << "nor what was queued before it";
    EXPECT_FALSE(send_video(push.session, 40));
    EXPECT_FALSE(push.session.send_metadata({}));
    EXPECT_FALSE(push.session.ping(1));
    EXPECT_TRUE(push.session.take_output().empty());
    EXPECT_TRUE(push.session.ended());
}

TEST(RtmpTraps, NoMediaBeforePublishStart) {
    for (const auto reached :
         {Reached::nothing, Reached::connected, Reached::created, Reached::publish_sent}) {
        Push push(reached);
        EXPECT_FALSE(send_video(push.session, 0));
        EXPECT_FALSE(push.session.send_metadata({}));
        EXPECT_TRUE(push.session.take_output().empty());
    }
}

// nginx-rtmp and node-media-server 2 leave a refused connection open: the refusal itself is the event.
TEST(RtmpTraps, RefusalDoesNotWaitForAClose) {
    Push push(Reached::publish_sent);
    EXPECT_FALSE(push.feed(on_status("error", "NetStream.Publish.BadName", 1, "Already publishing")));
    push.only<Refused>();
    EXPECT_FALSE(push.feed(hex("02 000000 000006 04 00000000 0006 00000001"))) << "and pings go on";
    EXPECT_EQ(push.session.take_output(), hex("02 000000 000006 04 00000000 0007 00000001"));
}

// The name of a refused publish may be somebody else's stream.
TEST(RtmpTraps, RefusedPublishGivesBackTheStreamAndNotTheName) {
    Push push(Reached::publish_sent);
    EXPECT_FALSE(push.feed(on_status("error", "NetStream.Publish.BadName")));
    push.session.unpublish();
    EXPECT_EQ(command_names(push.session.take_output()), std::vector<std::string>{"deleteStream"});
    Push kicked(Reached::started);
    EXPECT_FALSE(kicked.feed(on_status("error", "NetStream.Publish.Denied")));
    kicked.session.unpublish();
    EXPECT_EQ(command_names(kicked.session.take_output()),
              (std::vector<std::string>{"FCUnpublish", "deleteStream"}));
}

TEST(RtmpTraps, ErrorForReleaseStreamOrFcPublishIsNotFatal) {
    Push push(Reached::create_sent);
    EXPECT_FALSE(
        push.feed(server_command("_error", {2, AmfNull{},
                                            info("error", "NetConnection.Call.Failed", "no such method")}) +
                  server_command("_error", {3, AmfNull{}})));
    ASSERT_EQ(push.events.size(), 2u);
    for (const Event& event : push.events) EXPECT_TRUE(std::holds_alternative<StatusSeen>(event));
    push.events.clear();
    EXPECT_FALSE(push.feed(Push::create_stream_result()));
    push.only<StreamCreated>();
}

// node-media-server 4.4.3 ends its process on a connect without a tcUrl it can parse.
TEST(RtmpTraps, NeverAConnectWithoutAWellFormedTcUrl) {
    const auto with = [](const char* tc_url, const char* app = "live") {
        PublishOptions bad = options();
        bad.tc_url = tc_url;
        bad.app = app;
        return check(bad);
    };
    for (const char* good : {"rtmp://a/live", "rtmps://a.example.com:443/live", "rtmp://[2001:db8::1]/live",
                             "rtmp://[::1]:1935/live", "rtmp://127.0.0.1:65535/live"})
        EXPECT_FALSE(with(good)) << good;
    for (const char* bad : {"",
                            "live",
                            "http://a/live",
                            "rtmp://",
                            "rtmp:///live",
                            "rtmp://a",
                            "rtmp://a/",
                            "rtmp://a/live/",
                            "rtmp://a//live",
                            "rtmp://a/other",
                            "rtmp://a:/live",
                            "rtmp://a:0/live",
                            "rtmp://a:65536/live",
                            "rtmp://a:x/live",
                            "rtmp://:1935/live",
                            "rtmp://::1/live",
                            "rtmp://[::1/live",
                            "rtmp://[]/live",
                            "rtmp://[::1]x/live",
                            "rtmp://u@a/live",
                            "rtmp://a b/live",
                            "rtmp://a/live\n",
                            "RTMP://a/live"})
        EXPECT_EQ(with(bad), Error::bad_tc_url) << bad;
    EXPECT_FALSE(with("rtmp://a/live/sub?x=1", "live/sub?x=1"));
    for (const char* app : {"", "/live", "live/", "li ve"})
        EXPECT_EQ(with("rtmp://a/live", app), Error::bad_app) << app;
    PublishOptions bad = options();
    bad.tc_url = "rtmp://a";
    EXPECT_THROW(PublishSession(bad, 0, zeros), boost::system::system_error);
}

TEST(RtmpTraps, OtherOptionsOutOfRange) {
    const auto wrong = [](auto change) {
        PublishOptions with = options();
        change(with);
        return check(with);
    };
    EXPECT_EQ(wrong([](PublishOptions& o) { o.stream_name = ""; }), Error::bad_stream_name);
    EXPECT_EQ(wrong([](PublishOptions& o) { o.stream_name = "a b"; }), Error::bad_stream_name);
    EXPECT_EQ(wrong([](PublishOptions& o) { o.stream_name = std::string(4097, 'x'); }),
              Error::bad_stream_name);
    EXPECT_EQ(wrong([](PublishOptions& o) { o.stream_name = "\xE6\x8E\xA8"; }), error_code())
        << "UTF-8 is fine";
    EXPECT_EQ(wrong([](PublishOptions& o) { o.chunk_size = 127; }), Error::bad_option);
    EXPECT_EQ(wrong([](PublishOptions& o) { o.chunk_size = 65537; }), Error::bad_option);
    EXPECT_EQ(wrong([](PublishOptions& o) { o.window_ack_size = 0x80000000; }), Error::bad_option);
}

// … and on timestamps near 2^32.
TEST(RtmpTraps, TimestampsStartAtZeroAndNeverLieBefore) {
    Push push(Reached::started);
    for (const std::uint32_t time : {5000u, 5040u, 4990u, 5030u}) EXPECT_TRUE(send_video(push.session, time));
    std::vector<std::uint32_t> times;
    for (const Message& message : messages_in(push.session.take_output())) times.push_back(message.timestamp);
    EXPECT_EQ(times, (std::vector<std::uint32_t>{0, 40, 0, 40}));
}

TEST(RtmpTraps, TimestampsGoOnOverTheWrapOfTheirSource) {
    Push push(Reached::started);
    for (const std::uint32_t time : {0xFFFFFFF0u, 0x10u}) EXPECT_TRUE(send_video(push.session, time));
    const auto sent = messages_in(push.session.take_output());
    EXPECT_EQ(sent.at(0).timestamp, 0u);
    EXPECT_EQ(sent.at(1).timestamp, 32u);
}

TEST(RtmpTraps, TestsOfOwnServersMayStartElsewhere) {
    PublishOptions later = options();
    later.first_timestamp = 16770000;
    Push push(Reached::started, later);
    EXPECT_TRUE(send_video(push.session, 0));
    EXPECT_TRUE(send_video(push.session, 10000));
    const auto sent = messages_in(push.session.take_output());
    EXPECT_EQ(sent.at(0).timestamp, 16770000u);
    EXPECT_EQ(sent.at(1).timestamp, 16780000u);
}

TEST(RtmpRefusal, ConnectRejectedWithAuthmod) {
    Push push(Reached::connect_sent);
    EXPECT_FALSE(push.feed(server_command(
        "_error", {1, AmfNull{},
                   info("error", "NetConnection.Connect.Rejected",
                        "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ")})));
    const auto refused = push.only<Refused>();
    EXPECT_EQ(refused.step, Step::connect);
    EXPECT_EQ(refused.error, Error::connect_refused);
    EXPECT_EQ(make_error_code(refused.error).default_error_condition(), Reason::rejected);
    EXPECT_EQ(refused.authmod, "adobe");
    EXPECT_EQ(refused.reason, "");
}

TEST(RtmpRefusal, ConnectRejectedWithItsReason) {
    Push push(Reached::connect_sent);
    EXPECT_FALSE(push.feed(server_command(
        "_error",
        {1, AmfNull{},
         info("error", "NetConnection.Connect.Rejected",
              "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=authfailed&opaque=vgoAAA==")})));
    const auto refused = push.only<Refused>();
    EXPECT_EQ(refused.authmod, "llnw");
    EXPECT_EQ(refused.reason, "authfailed");
}

TEST(RtmpRefusal, ConnectRedirected) {
    Push push(Reached::connect_sent);
    const AmfValue ex = AmfObject{{{"code", 302}, {"redirect", "rtmp://other.example.com/live"}}};
    EXPECT_FALSE(push.feed(server_command(
        "_error",
        {1, AmfNull{},
         AmfObject{{{"level", "error"}, {"code", "NetConnection.Connect.Rejected"}, {"ex", ex}}}})));
    EXPECT_EQ(push.only<Refused>().redirect, "rtmp://other.example.com/live");
}

TEST(RtmpRefusal, ConnectResultThatIsNoSuccess) {
    for (const char* code : {"NetConnection.Connect.Rejected", "NetConnection.Connect.InvalidApp"}) {
        Push push(Reached::connect_sent);
        EXPECT_FALSE(push.feed(server_command("_result", {1, AmfNull{}, info("status", code)})));
        EXPECT_EQ(push.only<Refused>().status.code, code);
    }
    Push push(Reached::connect_sent);
    EXPECT_FALSE(
        push.feed(server_command("_result", {1, AmfNull{}, info("error", "NetConnection.Connect.Success")})));
    push.only<Refused>();
}

TEST(RtmpRefusal, CreateStreamAndPublishByError) {
    Push create(Reached::create_sent);
    EXPECT_FALSE(
        create.feed(server_command("_error", {4, AmfNull{}, info("error", "NetConnection.Call.Failed")})));
    EXPECT_EQ(create.only<Refused>().error, Error::create_stream_refused);
    Push publish(Reached::publish_sent);
    EXPECT_FALSE(
        publish.feed(server_command("_error", {5, AmfNull{}, info("error", "NetStream.Publish.Rejected")})));
    EXPECT_EQ(publish.only<Refused>().error, Error::publish_refused);
}

TEST(RtmpRefusal, StepsAfterARefusalDoNothing) {
    Push push(Reached::connect_sent);
    EXPECT_FALSE(push.feed(server_command("_error", {1, AmfNull{}})));
    push.only<Refused>();
    push.session.create_stream();
    push.session.publish();
    push.session.unpublish();
    EXPECT_TRUE(push.session.take_output().empty());
    EXPECT_FALSE(push.feed(Push::connect_result()));
    EXPECT_TRUE(push.events.empty()) << "too late";
}

TEST(RtmpRefusal, ConnectionStatusInEachStep) {
    const std::pair<Reached, Step> steps[] = {
        {Reached::connect_sent, Step::connect},      {Reached::connected, Step::create_stream},
        {Reached::create_sent, Step::create_stream}, {Reached::created, Step::publish},
        {Reached::publish_sent, Step::publish},      {Reached::started, Step::media}};
    for (const auto& [reached, step] : steps)
        for (const char* code : {"NetConnection.Connect.Closed", "NetConnection.Connect.IdleTimeout",
                                 "NetConnection.Connect.AppShutdown"}) {
            Push push(reached);
            EXPECT_FALSE(push.feed(on_status("status", code, 0)));
            EXPECT_EQ(push.only<Refused>().step, step) << code;
        }
}

TEST(RtmpRefusal, CloseCommand) {
    for (const auto reached : {Reached::connect_sent, Reached::publish_sent, Reached::started}) {
        Push push(reached);
        EXPECT_FALSE(push.feed(server_command("close", {0, AmfNull{}})));
        push.only<ServerClosed>();
        EXPECT_TRUE(push.session.ended());
        EXPECT_FALSE(send_video(push.session, 0));
    }
}

TEST(RtmpRefusal, ReconnectRequestIsNoFailure) {
    Push push(Reached::started);
    EXPECT_FALSE(
        push.feed(server_command("onStatus", {0, AmfNull{},
                                              AmfObject{{{"level", "status"},
                                                         {"code", "NetConnection.Connect.ReconnectRequest"},
                                                         {"tcUrl", "rtmp://b.example.com/live"}}}})));
    EXPECT_EQ(push.only<ReconnectRequest>().tc_url, "rtmp://b.example.com/live");
    EXPECT_TRUE(send_video(push.session, 0));
}

TEST(RtmpRefusal, StatusesDuringTeardownAreEvidenceOnly) {
    Push push(Reached::publish_sent);
    push.session.unpublish();
    EXPECT_FALSE(push.feed(Push::publish_start() + on_status("error", "NetStream.Failed")));
    ASSERT_EQ(push.events.size(), 2u);
    for (const Event& event : push.events) EXPECT_TRUE(std::holds_alternative<StatusSeen>(event));
}

TEST(RtmpSession, AnswersWithAnotherTransactionAreNotOurs) {
    Push connect(Reached::connect_sent);
    EXPECT_FALSE(connect.feed(
        server_command("_result", {9, AmfNull{}, info("status", "NetConnection.Connect.Success")})));
    EXPECT_TRUE(connect.events.empty());
    Push create(Reached::create_sent);
    EXPECT_FALSE(create.feed(server_command("_result", {2, AmfNull{}, 5})));
    EXPECT_TRUE(create.events.empty()) << "that of releaseStream";
}

TEST(RtmpSession, BoundStreamIds) {
    const auto answer = [](AmfValue id) {
        Push push(Reached::create_sent);
        return push.feed(server_command("_result", {4, AmfNull{}, std::move(id)}));
    };
    for (const double id : {0.0, 1.0, 2147483648.0}) EXPECT_FALSE(answer(id)) << id;
    for (const double id : {-1.0, 0.5, 2147483649.0, 1e300, std::numeric_limits<double>::infinity(),
                            std::numeric_limits<double>::quiet_NaN()})
        EXPECT_EQ(answer(id), Error::bad_stream_id) << id;
    EXPECT_EQ(answer("1"), Error::bad_stream_id);
    EXPECT_EQ(answer(AmfNull{}), Error::bad_stream_id);
}

TEST(RtmpSession, ErrorsEndTheSessionButNotItsTeardown) {
    Push push(Reached::started);
    EXPECT_EQ(push.feed(Push::publish_start() + server_message(20, 1, hex("02 ffff"))), Error::amf_truncated);
    push.only<StatusSeen>();
    EXPECT_EQ(push.feed(Push::publish_start()), Error::amf_truncated) << "final";
    EXPECT_TRUE(push.session.ended());
    EXPECT_FALSE(send_video(push.session, 0));
    push.session.unpublish();
    EXPECT_EQ(command_names(push.session.take_output()),
              (std::vector<std::string>{"FCUnpublish", "deleteStream"}));
}

TEST(RtmpSession, HttpServerIsFoundByItsFirstByte) {
    Push push;
    push.session.start();
    EXPECT_EQ(push.feed(hex("\"HTTP/1.1 400 Bad Request\"")), Error::server_speaks_http);
    EXPECT_TRUE(push.events.empty());
    EXPECT_TRUE(push.session.ended());
}

TEST(RtmpSession, TheKeyNeverShowsInAnEvent) {
    Push push(Reached::publish_sent);
    EXPECT_FALSE(
        push.feed(on_status("error", "NetStream.Publish.Denied", 1,
                            "live/canary?txSecret=0123456789abcdef&txTime=6A000000 and 0123456789abcdef")));
    EXPECT_EQ(push.only<Refused>().status.description, "live/canary?*** and ***");
}

}  // namespace
}  // namespace livecanary::test
