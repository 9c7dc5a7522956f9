// The way of a push that succeeds: what is sent at each step, and what each known server's answers become.
#include "probes/protocol/rtmp/session.hpp"

#include <gtest/gtest.h>

#include "tests/unit/protocol/rtmp_push_script.hpp"

namespace livecanary::test {
namespace {

using namespace protocol::rtmp;

const std::string name = "canary?txSecret=0123456789abcdef&txTime=6A000000";
const Bytes amf_name = hex("02 0030 \"" + name + "\"");

TEST(RtmpSession, StartSendsC0C1) {
    Push push;
    push.session.start();
    EXPECT_EQ(push.session.take_output(), hex("03 00000000 00000000") + Bytes(1528, 0));
    EXPECT_FALSE(push.feed(Push::s0_s1_s2()));
    const auto done = push.only<HandshakeDone>();
    EXPECT_EQ(done.details.s2, S2::echo);
    EXPECT_TRUE(done.details.echoes_c1);
}

TEST(RtmpSession, DigestHandshakeOnRequest) {
    PublishOptions signing = options();
    signing.digest_handshake = true;
    Push push(Reached::nothing, signing);
    push.session.start();
    const Bytes sent = push.session.take_output();
    EXPECT_EQ(Bytes(sent.begin() + 5, sent.begin() + 9), hex("80000702"));
}

// The order of OBS, byte for byte: chunk size, window, connect, all after C2 in one write.
TEST(RtmpSession, ConnectSendsC2ChunkSizeWindowConnect) {
    Push push(Reached::handshake);
    push.session.connect();
    const Bytes connect =
        hex("02 0007 \"connect\" 00 3ff0000000000000 03"
            "0003 \"app\" 02 0004 \"live\""
            "0004 \"type\" 02 000a \"nonprivate\""
            "0008 \"flashVer\" 02 001f \"FMLE/3.0 (compatible; FMSc/1.0)\""
            "0006 \"swfUrl\" 02 0015 \"rtmp://127.0.0.1/live\""
            "0005 \"tcUrl\" 02 0015 \"rtmp://127.0.0.1/live\""
            "000009");
    ASSERT_GT(connect.size(), 128u) << "long enough to show the chunk size";
    EXPECT_EQ(push.session.take_output(),
              Bytes(1536, 0) + hex("02 000000 000004 01 00000000 00001000") +
                  hex("02 000000 000004 05 00000000 00002710") + hex("03 000000 0000") +
                  Bytes{static_cast<std::uint8_t>(connect.size())} + hex("14 00000000") + connect);
}

TEST(RtmpSession, WindowOfZeroAsksForNoAcknowledgements) {
    PublishOptions without_acks = options();
    without_acks.window_ack_size = 0;
    Push push(Reached::handshake, without_acks);
    push.session.connect();
    const Bytes sent = push.session.take_output();
    for (const Message& message : messages_in(Bytes(sent.begin() + 1536, sent.end())))
        EXPECT_NE(message.type, MessageType::window_ack_size);
}

TEST(RtmpSession, CreateStreamSendsThreeCommandsInOneWrite) {
    Push push(Reached::connected);
    push.session.create_stream();
    const auto sent = messages_in(push.session.take_output());
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[0].payload, hex("02 000d \"releaseStream\" 00 4000000000000000 05") + amf_name);
    EXPECT_EQ(sent[1].payload, hex("02 0009 \"FCPublish\" 00 4008000000000000 05") + amf_name);
    EXPECT_EQ(sent[2].payload, hex("02 000c \"createStream\" 00 4010000000000000 05"));
    for (const Message& message : sent) EXPECT_EQ(message.chunk_stream_id, 3u);
}

TEST(RtmpSession, PublishOnTheStreamTheServerMade) {
    Push push(Reached::create_sent);
    EXPECT_FALSE(push.feed(server_command("_result", {4, AmfNull{}, 7})));
    EXPECT_EQ(push.only<StreamCreated>().id, 7u);
    push.session.publish();
    EXPECT_EQ(messages_in(push.session.take_output()),
              (std::vector{Message{
                  MessageType::command_amf0, 0, 7, 4,
                  hex("02 0007 \"publish\" 00 4014000000000000 05") + amf_name + hex("02 0004 \"live\"")}}));
}

TEST(RtmpSession, MetadataAndMedia) {
    Push push(Reached::started);
    EXPECT_TRUE(push.session.send_metadata({{{"width", 320}}}));
    EXPECT_TRUE(send_video(push.session, 0));
    EXPECT_TRUE(send_video(push.session, 40));
    EXPECT_EQ(push.session.take_output(),
              hex("04 000000 000035 12 01000000"
                  "02 000d \"@setDataFrame\" 02 000a \"onMetaData\""
                  "08 00000001 0005 \"width\" 00 4074000000000000 000009"
                  "44 000000 000005 09 27 01 000000  44 000028 000005 09 27 01 000000"));
}

TEST(RtmpSession, UnpublishGivesBackNameAndStream) {
    Push push(Reached::started);
    push.session.unpublish();
    const auto sent = messages_in(push.session.take_output());
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[0].payload, hex("02 000b \"FCUnpublish\" 00 4018000000000000 05") + amf_name);
    EXPECT_EQ(sent[1].payload, hex("02 000c \"deleteStream\" 00 401c000000000000 05 00 3ff0000000000000"));
    EXPECT_FALSE(send_video(push.session, 80)) << "no media after it";
    push.session.unpublish();
    EXPECT_TRUE(push.session.take_output().empty()) << "once is enough";

    EXPECT_FALSE(push.feed(
        server_command("onStatus", {0, AmfNull{}, info("status", "NetStream.Unpublish.Success")}, 1)));
    EXPECT_EQ(push.only<Unpublished>().status.code, "NetStream.Unpublish.Success");
    EXPECT_TRUE(push.session.ended());
}

// Each step of a push and what tearing down sends there, so that a run can be stopped anywhere.
TEST(RtmpSession, UnpublishInEveryState) {
    const std::vector<std::string> nothing, stream{"deleteStream"}, all{"FCUnpublish", "deleteStream"};
    const std::pair<Reached, std::vector<std::string>> cases[] = {
        {Reached::nothing, nothing},   {Reached::handshake, nothing},   {Reached::connect_sent, nothing},
        {Reached::connected, nothing}, {Reached::create_sent, nothing}, {Reached::created, stream},
        {Reached::publish_sent, all},  {Reached::started, all},
    };
    for (const auto& [reached, sent] : cases) {
        Push push(reached);
        push.session.unpublish();
        EXPECT_EQ(command_names(push.session.take_output()), sent) << static_cast<int>(reached);
        EXPECT_FALSE(send_video(push.session, 0));
    }
}

TEST(RtmpSession, StepsOutOfTurnAreBugs) {
    Push push;
    EXPECT_THROW(push.session.connect(), std::logic_error);
    push.session.start();
    EXPECT_THROW(push.session.start(), std::logic_error);
    EXPECT_THROW(push.session.create_stream(), std::logic_error);
    EXPECT_THROW(push.session.publish(), std::logic_error);
    EXPECT_THROW(Push(Reached::connect_sent).session.create_stream(), std::logic_error);
    EXPECT_THROW(Push(Reached::create_sent).session.publish(), std::logic_error);
}

TEST(RtmpSession, PingAndPong) {
    Push before(Reached::connect_sent);
    EXPECT_FALSE(before.session.ping(1));
    EXPECT_TRUE(before.session.take_output().empty());
    Push push(Reached::started);
    EXPECT_TRUE(push.session.ping(0x01020304));
    EXPECT_EQ(push.session.take_output(), hex("02 000000 000006 04 00000000 0006 01020304"));
    EXPECT_FALSE(push.feed(hex("02 000000 000006 04 00000000 0007 01020304")));
    EXPECT_EQ(push.only<Pong>().value, 0x01020304u);
}

TEST(RtmpSession, AcknowledgedInOurOwnCount) {
    Push push(Reached::started);
    const std::uint64_t sent = push.session.bytes_out();
    const auto count = static_cast<std::uint8_t>(sent - handshake_size);
    ASSERT_LT(sent - handshake_size, 1000u);
    EXPECT_FALSE(push.feed(hex("02 000000 000004 03 00000000 0000") +
                           Bytes{static_cast<std::uint8_t>((sent - handshake_size) >> 8), count}));
    EXPECT_EQ(push.only<Acknowledged>().bytes, sent);
    EXPECT_EQ(push.session.bytes_acknowledged(), sent);
    EXPECT_EQ(push.session.ack_base(), AckBase::after_handshake);
}

TEST(RtmpSession, ConnectedTellsWhoTheServerIs) {
    Push nginx(Reached::connect_sent);
    EXPECT_FALSE(nginx.feed(Push::connect_result()));
    EXPECT_EQ(nginx.only<Connected>(),
              (Connected{{"_result", "status", "NetConnection.Connect.Success", "Connection succeeded."},
                         "FMS/3,0,1,123",
                         "",
                         "",
                         31}));
    Push srs(Reached::connect_sent);
    EXPECT_FALSE(srs.feed(server_command(
        "_result",
        {1, AmfObject{{{"fmsVer", "FMS/3,5,3,888"}, {"capabilities", 127}, {"mode", 1}}},
         AmfObject{{{"level", "status"},
                    {"code", "NetConnection.Connect.Success"},
                    {"description", "Connection succeeded"},
                    {"objectEncoding", 0},
                    {"data", AmfEcmaArray{{{"version", "3,5,3,888"}, {"srs_server", "SRS/7.0.18"}}}}}}})));
    const auto connected = srs.only<Connected>();
    EXPECT_EQ(connected.software, "SRS/7.0.18");
    EXPECT_EQ(connected.version, "3,5,3,888");
    Push silent(Reached::connect_sent);
    EXPECT_FALSE(silent.feed(server_command("_result", {1, AmfUndefined{}})));
    EXPECT_EQ(silent.only<Connected>().status.code, "") << "a _result is a yes even without words";
}

// A whole push against the answers of each server, in the order and with the values measured on them.
struct Script {
    const char* server;
    Bytes after_c0_c1, after_connect, after_create_stream, after_publish, after_unpublish;
    std::vector<std::size_t> events;  // indices of the variant, in order
};

template <class T, std::size_t index = 0>
constexpr std::size_t kind() {
    if constexpr (std::is_same_v<std::variant_alternative_t<index, Event>, T>)
        return index;
    else
        return kind<T, index + 1>();
}

std::vector<Script> scripts() {
    const Bytes settings =
        hex("02 000000 000004 05 00000000 004c4b40  02 000000 000005 06 00000000 004c4b40 02"
            "02 000000 000004 01 00000000 00001000");
    const Bytes srs_settings =
        hex("02 000000 000004 05 00000000 002625a0  02 000000 000005 06 00000000 002625a0 02"
            "02 000000 000004 01 00000000 0000ea60");
    const Bytes unpublished =
        server_command("onStatus", {0, AmfNull{}, info("status", "NetStream.Unpublish.Success")}, 1);
    const std::size_t set = kind<ServerSettings>(), seen = kind<StatusSeen>();
    return {
        {"nginx-rtmp",
         Push::s0_s1_s2(),
         settings + Push::connect_result(4096),
         Push::create_stream_result(),
         Push::publish_start(),
         unpublished,
         {kind<HandshakeDone>(), set, set, set, kind<Connected>(), kind<StreamCreated>(),
          kind<PublishStarted>(), kind<Unpublished>()}},
        {"SRS",
         hex("03 65000000 01000504") + Bytes(1528, 0x11) + Bytes(1536, 0),
         srs_settings + Push::connect_result(60000) + server_command("onBWDone", {0, AmfNull{}}),
         server_command("_result", {2, AmfNull{}, AmfUndefined{}}) +
             server_command("_result", {3, AmfNull{}, AmfUndefined{}}) +
             server_command("_result", {4, AmfNull{}, 1}),
         server_command("onFCPublish", {0, AmfNull{}, info("status", "NetStream.Publish.Start")}, 1) +
             Push::publish_start(),
         server_command("onFCUnpublish", {0, AmfNull{}, info("status", "NetStream.Unpublish.Success")}, 1) +
             server_command("_result", {6, AmfNull{}, AmfUndefined{}}) + unpublished +
             server_command("_result", {7, AmfNull{}, AmfUndefined{}}),
         {kind<HandshakeDone>(), set, set, set, kind<Connected>(), kind<StreamCreated>(), seen,
          kind<PublishStarted>(), seen, kind<Unpublished>()}},
        {"ffmpeg -listen",
         Push::s0_s1_s2(),
         hex("42 000000 000004 05 002625a0  42 000000 000005 06 002625a0 02  42 000000 000006 04 000000000000"
             "42 000000 000004 01 00000080") +
             Push::connect_result() + server_command("onBWDone", {0, AmfNull{}, 8192}),
         server_command("onFCPublish", {}) + Push::create_stream_result(),
         hex("42 000000 000006 04 000000000001") + Push::publish_start(),
         {},
         {kind<HandshakeDone>(), set, set, set, kind<Connected>(), kind<StreamCreated>(),
          kind<PublishStarted>()}},
    };
}

std::vector<Event> play(const Script& script, std::size_t piece, std::size_t first_piece) {
    PublishSession session(options(), 0, zeros);
    std::vector<Event> events;
    const auto hear = [&](const Bytes& bytes) {
        for (std::size_t at = 0, size = std::min(first_piece, bytes.size()); at < bytes.size();
             at += size, size = std::min(piece, bytes.size() - at))
            EXPECT_FALSE(session.feed(std::span(bytes).subspan(at, size), 0));
        while (auto event = session.next_event()) events.push_back(*std::move(event));
        session.take_output();
    };
    session.start();
    hear(script.after_c0_c1);
    session.connect();
    hear(script.after_connect);
    session.create_stream();
    hear(script.after_create_stream);
    session.publish();
    hear(script.after_publish);
    session.unpublish();
    hear(script.after_unpublish);
    return events;
}

TEST(RtmpSession, WholePushAgainstEachServerInEveryPiece) {
    for (const Script& script : scripts()) {
        const auto whole = play(script, 100000, 100000);
        std::vector<std::size_t> kinds;
        for (const Event& event : whole) kinds.push_back(event.index());
        EXPECT_EQ(kinds, script.events) << script.server;
        EXPECT_EQ(play(script, 1, 1), whole) << script.server;
        // Cut in two at every byte of the answers after the handshake, all of which are shorter than this.
        for (std::size_t cut = 1; cut < 700; ++cut)
            EXPECT_EQ(play(script, 100000, cut), whole) << script.server;
    }
}

TEST(RtmpSession, OtherMessagesAreReadPast) {
    Push push(Reached::started);
    EXPECT_FALSE(push.feed(server_message(18, 1, hex("02 0003 \"abc\"")) + server_message(8, 1, hex("af00")) +
                           server_message(22, 1, hex("00")) + server_message(99, 1, hex("ff")) +
                           server_command("somethingNew", {0, AmfNull{}, 5})));
    EXPECT_TRUE(push.events.empty());
}

TEST(RtmpSession, BoundMessageOf64KiB) {
    Push push(Reached::started);
    EXPECT_FALSE(push.feed(server_message(20, 1, Bytes(65537, 0x05))));
    EXPECT_TRUE(push.events.empty());
    EXPECT_EQ(push.session.skipped_messages(), 1u);
}

TEST(RtmpSession, CountsEveryByteFed) {
    Push push(Reached::started);
    const std::uint64_t before = push.session.bytes_in();
    EXPECT_FALSE(push.feed(hex("02 000000")));
    EXPECT_EQ(push.session.bytes_in(), before + 4);
}

}  // namespace
}  // namespace livecanary::test
