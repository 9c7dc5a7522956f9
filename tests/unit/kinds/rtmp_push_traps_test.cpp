// What a publisher must not take for something else, as far as sockets and time decide it; and that every run
// gives back what it took.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/scripted_peer.hpp"
#include "tests/unit/kinds/push_stage.hpp"

namespace {

/// How often each option was set on the sockets of this process, by level, name and value.
std::map<std::tuple<int, int, int>, int>& options_set() {
    static std::map<std::tuple<int, int, int>, int> counts;
    return counts;
}

}  // namespace

// In the place of the C library's: the kernel does not tell afterwards whether TCP_QUICKACK was ever set.
extern "C" int setsockopt(int socket, int level, int name, const void* value, socklen_t size) noexcept {
    if (size == sizeof(int)) ++options_set()[{level, name, *static_cast<const int*>(value)}];
    return static_cast<int>(::syscall(SYS_setsockopt, socket, level, name, value, size));
}

namespace livecanary::test {
namespace {

using rtmp_says::status;

// nginx `deny publish` and node-media-server 4 say Start and close, and the close need not be at once.
TEST(RtmpPushTraps, PublishStartIsNotAcceptance) {
    for (const std::uint64_t media : {std::uint64_t{1}, std::uint64_t{5}, std::uint64_t{30}}) {
        PushStage stage;
        ScriptedRtmpServer server(stage.io, {.media_before = media, .on_media = always(Then::finish)});
        const RunResult run = stage.push(stage.plan(server));
        EXPECT_EQ(run.fingerprint, "media at once closed") << media;
        EXPECT_EQ(rtmp_push::diagnose(run).label(), "push_refused");
    }
}

// SRS says onFCPublish with the code NetStream.Publish.Start before it asks its hook.
TEST(RtmpPushTraps, OnFcPublishIsNotAcceptance) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {.on_publish = always(rtmp_says::fc_publish(), Then::hold)});
    ProbeRun run(stage.env, 30s);
    Task<RunResult> push(stage.io, push_to_end(stage.plan(server), run));
    run_until(stage.io,
              [&] { return !run.so_far().evidence.empty() && run.so_far().got("other_status") != ""; });
    server.release();
    EXPECT_EQ(push.wait().fingerprint, "publish closed");
    stage.wait_until_deserted(server);
    EXPECT_EQ(server.last().media_messages, 0U);
}

// Most refusals are a FIN without a word: where it came, and how long after our last command, is all there
// is.
TEST(RtmpPushTraps, BareFinIsPlacedAndTimed) {
    PushStage stage;
    for (const auto& [phase, story] :
         {std::pair("connect closed", RtmpStory{.on_connect = always(Then::hold)}),
          std::pair("create_stream closed", RtmpStory{.on_create_stream = always(Then::hold)}),
          std::pair("publish closed", RtmpStory{.on_publish = always(Then::hold)})}) {
        const std::string_view where = phase;  // a lambda of clang 14 captures no structured binding
        ScriptedRtmpServer server(stage.io, story);
        ProbeRun run(stage.env, 30s);
        Task<RunResult> push(stage.io, push_to_end(stage.plan(server), run));
        run_until(stage.io, [&] {
            const auto& heard = server.heard();
            return !heard.empty() && heard.back().has(where.starts_with("connect")  ? "connect"
                                                      : where.starts_with("create") ? "createStream"
                                                                                    : "publish");
        });
        server.release();
        const RunResult result = push.wait();
        EXPECT_EQ(result.fingerprint, phase);
        EXPECT_TRUE(result.got("after_our_last_command").ends_with(" ms"));
        EXPECT_EQ(result.got("status"), "");
    }
}

// A publisher that only writes never sees the FIN of a server that reads on.
TEST(RtmpPushTraps, FinIsSeenWhileWeOnlyWrite) {
    PushStage stage;
    ScriptedRtmpServer server(
        stage.io, {.media_before = 3, .on_media = always(Then::finish), .pongs = false, .acks = false});
    const RunResult run = stage.push(stage.plan(server));
    EXPECT_EQ(run.fingerprint, "media at once closed");
    stage.wait_until_deserted(server);
    EXPECT_LE(server.last().media_after_last_word, 3U) << "more than what was under way";
}

// The buffers of two kernels take seconds of media from a server that does not read any more.
TEST(RtmpPushTraps, FrozenServerDoesNotAnswerTheLastPing) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {.media_before = 30, .on_media = always(Then::freeze)});
    const RunResult run = stage.push(stage.plan(server, 1s));
    EXPECT_EQ(run.fingerprint, "media accepted stalled") << run.code.message();
    EXPECT_EQ(rtmp_push::diagnose(run).label(), "push_dropped");
}

// The server that is slow to answer has as long as the run has; it is not frozen because we are impatient.
TEST(RtmpPushTraps, NoTimeForTheLastPingIsNoFrozenServer) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {.media_before = 10, .on_media = always(Then::freeze)});
    const RunResult run = stage.push(stage.plan(server, 1s), 1100ms);
    EXPECT_EQ(run.fingerprint, "media accepted timeout") << run.code.message();
}

TEST(RtmpPushTraps, NoDelayAndQuickAckUntilStart) {
    PushStage stage;
    // Each byte by itself is a read of its own, and each read needs the option again.
    ScriptedRtmpServer server(stage.io, {.one_byte_at_a_time = true});
    options_set().clear();
    stage.push(stage.plan(server, 150ms));
    EXPECT_GE((options_set()[{IPPROTO_TCP, TCP_NODELAY, 1}]), 1);
    const auto quick = static_cast<std::uint64_t>(options_set()[{IPPROTO_TCP, TCP_QUICKACK, 1}]);
    EXPECT_GE(quick, 100U);
    // Once at connect and once a read. After Start nothing waits for us: it would be load for nothing.
    EXPECT_LE(quick, 1 + *server.last().said_at_start);
}

// nginx-rtmp and node-media-server 2 leave a refused connection open and silent.
TEST(RtmpPushTraps, RefusalDoesNotWaitForAClose) {
    PushStage stage;
    ScriptedRtmpServer server(
        stage.io,
        {.on_publish = always(status("error", "NetStream.publish.Unauthorized"), Then::stay_silent)});
    const RunResult run = stage.push(stage.plan(server));
    EXPECT_EQ(run.fingerprint, "publish status NetStream.publish.Unauthorized");
    EXPECT_EQ(run.reason(), Reason::rejected);
    EXPECT_EQ(way(run), "dns tcp handshake connect create_stream publish teardown");
    stage.wait_until_deserted(server);
}

TEST(RtmpPushTraps, ChunkSizeIsAnnouncedAndUsed) {
    for (const std::uint32_t size : {128U, 4096U, 65536U}) {
        PushStage stage;
        ScriptedRtmpServer server(stage.io, {});
        auto plan = stage.plan(server, 150ms);
        plan.chunk_size = size;
        plan.url.query = "bizid=1234&pad=" + std::string(300, 'x');
        EXPECT_EQ(stage.push(plan).outcome(), RunOutcome::ok);
        EXPECT_EQ(server.last().chunk_size, size);
        EXPECT_EQ(server.last().publish_name, plan.url.publish_name());
    }
}

// node-media-server 4.4.3 ends its process, with all its users, on less.
TEST(RtmpPushTraps, WellFormedTcUrlAndTimestampsFromZero) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {});
    stage.push(stage.plan(server, 300ms));
    stage.wait_until_deserted(server);
    EXPECT_EQ(server.last().tc_url, "rtmp://127.0.0.1:" + std::to_string(server.port()) + "/live");
    EXPECT_EQ(server.last().app, "live");
    const auto& timestamps = server.last().timestamps;
    ASSERT_GT(timestamps.size(), 5U);
    EXPECT_EQ(timestamps.front(), 0U);
    EXPECT_TRUE(std::ranges::is_sorted(timestamps));
    EXPECT_LE(timestamps.back(), 300U);
}

// node-media-server 4.4.3 hands the media of a refused publisher to the viewers of that name.
TEST(RtmpPushTraps, SendsNothingAfterARefusal) {
    for (const std::uint64_t media : {std::uint64_t{1}, std::uint64_t{5}, std::uint64_t{20}}) {
        PushStage stage;
        ScriptedRtmpServer server(
            stage.io,
            {.media_before = media, .on_media = always(status("error", "NetStream.Publish.Denied"))});
        EXPECT_EQ(stage.push(stage.plan(server)).fingerprint,
                  "media at once status NetStream.Publish.Denied");
        stage.wait_until_deserted(server);
        EXPECT_LE(server.last().media_after_last_word, 3U) << "more than what was under way";
    }
    PushStage stage;
    ScriptedRtmpServer server(stage.io,
                              {.on_publish = after(rtmp_says::started, status("error", "NetStream.Failed"))});
    stage.push(stage.plan(server));
    stage.wait_until_deserted(server);
    EXPECT_EQ(server.last().media_messages, 0U);
}

TEST(RtmpPushTraps, AsksForAcknowledgementsAndAnswersPings) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {.pings = true});
    const RunResult run = stage.push(stage.plan(server, 500ms));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(server.last().window_ack_size, 10'000U);
    EXPECT_EQ(server.last().ping_answered, 9U);
    EXPECT_NE(run.got("media").find("the last ping answered"), std::string_view::npos) << run.got("media");
}

TEST(RtmpPushTeardown, CommandsAreInOrder) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {});
    stage.push(stage.plan(server, 150ms));
    stage.wait_until_deserted(server);
    EXPECT_EQ(server.last().commands,
              (std::vector<std::string>{"connect", "releaseStream", "FCPublish", "createStream", "publish",
                                        "FCUnpublish", "deleteStream"}));
}

TEST(RtmpPushTeardown, ServerThatDoesNotAnswerFailsNothing) {
    PushStage stage;
    for (const Then then : {Then::go_on, Then::stay_silent, Then::finish, Then::reset, Then::freeze}) {
        ScriptedRtmpServer server(stage.io, {.on_unpublish = always(then)});
        const RunResult run = stage.push(stage.plan(server, 100ms));
        EXPECT_EQ(run.outcome(), RunOutcome::ok) << static_cast<int>(then) << run.code.message();
        EXPECT_TRUE(way(run).ends_with("media teardown"));
    }
}

TEST(RtmpPushTeardown, NameOfARefusedPublishIsNotOurs) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {.on_publish = always(status("error", "NetStream.Publish.BadName"))});
    stage.push(stage.plan(server));
    stage.wait_until_deserted(server);
    EXPECT_TRUE(server.last().has("deleteStream"));
    EXPECT_FALSE(server.last().has("FCUnpublish")) << "it may be somebody else's stream";
}

TEST(RtmpPushTeardown, NameIsGivenBackWhenTheRunFails) {
    const std::string chunk_size_0("\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\0\0", 16);
    const RtmpStory stories[] = {
        {.media_before = 5, .on_media = always(status("error", "NetStream.Publish.Denied"))},
        {.media_before = 5, .on_media = always(rtmp_says::close())},
        {.media_before = 5, .on_media = always(RtmpAnswer{.raw = chunk_size_0})},
        {.on_publish = always(RtmpAnswer{.raw = chunk_size_0})},
    };
    for (const RtmpStory& story : stories) {
        PushStage stage;
        ScriptedRtmpServer server(stage.io, story);
        const RunResult run = stage.push(stage.plan(server));
        EXPECT_EQ(run.outcome(), RunOutcome::failed);
        stage.wait_until_deserted(server);
        EXPECT_TRUE(server.last().gave_back()) << run.fingerprint;
    }
}

TEST(RtmpPushTeardown, NameIsGivenBackAtTheDeadline) {
    for (const RtmpStory& story :
         {RtmpStory{}, RtmpStory{.on_publish = always(Then::stay_silent)},
          RtmpStory{.on_publish = always(RtmpAnswer{.messages = {rtmp_says::fc_publish()}})}}) {
        PushStage stage;
        ScriptedRtmpServer server(stage.io, story);
        const RunResult run = stage.push(stage.plan(server), 400ms);
        EXPECT_EQ(run.reason(), Reason::timeout);
        stage.wait_until_deserted(server);
        EXPECT_TRUE(server.last().gave_back()) << run.fingerprint;
    }
}

/// Cuts a push as soon as `when`.
RunResult cut(PushStage& stage, const ScriptedRtmpServer& server, const std::function<bool()>& when) {
    ProbeRun run(stage.env, 1min);
    Task<RunResult> push(stage.io, push_to_end(stage.plan(server), run));
    run_until(stage.io, when);
    push.cut();
    RunResult result = push.wait();
    EXPECT_EQ(result.code, asio::error::operation_aborted) << result.code.message();
    EXPECT_TRUE(run.was_cut());
    stage.wait_until_deserted(server);
    return result;
}

TEST(RtmpPushTeardown, NameIsGivenBackWhenTheRunIsCut) {
    PushStage stage;
    ScriptedRtmpServer playing(stage.io, {});
    cut(stage, playing, [&] { return !playing.heard().empty() && playing.last().media_messages > 10; });
    EXPECT_TRUE(playing.last().gave_back());
    ScriptedRtmpServer silent(stage.io, {.on_publish = always(Then::stay_silent)});
    cut(stage, silent, [&] { return !silent.heard().empty() && silent.last().has("publish"); });
    EXPECT_TRUE(silent.last().gave_back());
}

TEST(RtmpPushTeardown, CutBeforeAnythingWasTakenJustLeaves) {
    PushStage stage;
    for (const RtmpStory& story :
         {RtmpStory{.on_accept = Then::stay_silent}, RtmpStory{.on_c0_c1 = Then::stay_silent},
          RtmpStory{.on_connect = always(Then::stay_silent)},
          RtmpStory{.on_create_stream = always(Then::stay_silent)}}) {
        ScriptedRtmpServer server(stage.io, story);
        const bool talks = story.on_accept == Then::go_on;
        cut(stage, server,
            [&] { return !server.heard().empty() && (!talks || server.last().bytes >= 1537); });
        EXPECT_FALSE(server.last().has("publish"));
    }
}

TEST(RtmpPushTeardown, CutWhileConnecting) {
    PushStage stage;
    stage.names.set("slow.test", {.how = DnsReply::How::never});
    const FullPort full(stage.io);
    rtmp_push::Plan resolving{.url = {.host = "slow.test", .app = "live", .stream_name = "canary"}};
    rtmp_push::Plan connecting = resolving;
    connecting.url.host = "127.0.0.1";
    connecting.url.port = full.endpoint().port();
    for (const auto& [plan, phase] : {std::pair(resolving, "dns"), std::pair(connecting, "dns tcp")}) {
        std::string entered;
        ProbeRun run(stage.env, 1min, [&](const PhaseTime& time, bool) { entered = time.phase.name; });
        Task<RunResult> push(stage.io, push_to_end(plan, run));
        run_until(stage.io, [&, last = std::string(phase).substr(std::string(phase).rfind(' ') + 1)] {
            return entered == last;
        });
        push.cut();
        const RunResult result = push.wait();
        EXPECT_EQ(way(result), phase);
        EXPECT_EQ(result.code, asio::error::operation_aborted);
        EXPECT_TRUE(run.was_cut());
    }
}

}  // namespace
}  // namespace livecanary::test
