// A player against what servers say: the way that succeeds, each refusal, what is and is not media, and
// bounds.
#include "probes/protocol/rtmp/play_session.hpp"

#include <gtest/gtest.h>

#include <boost/system/system_error.hpp>

#include "tests/unit/protocol/rtmp_push_script.hpp"

namespace livecanary::test {
namespace {

using namespace protocol::rtmp;
using protocol::FlvTag;
using protocol::FlvTagType;

PlayOptions play_options() {
    return {.app = "live",
            .tc_url = "rtmp://127.0.0.1/live",
            .stream_name = "canary?txSecret=0123456789abcdef&txTime=6A000000"};
}

enum class Played { nothing, handshake, connect_sent, connected, create_sent, created, play_sent, started };

Bytes create_stream_result() { return server_command("_result", {2, AmfNull{}, 1}); }
Bytes on_status(const char* level, const char* code, std::uint8_t stream_id = 1, const char* text = "") {
    return server_command("onStatus", {0, AmfNull{}, info(level, code, text)}, stream_id);
}
Bytes play_start() { return on_status("status", "NetStream.Play.Start", 1, "Start live"); }
Bytes stream_eof(std::uint8_t stream_id = 1) {
    return hex("02 000000 000006 04 00000000 0001 000000") + Bytes{stream_id};
}
Bytes metadata() {
    return hex("02 000a \"onMetaData\" 08 00000001 0005 \"width\" 00 4074000000000000 000009");
}
Bytes video(const char* body = "17 01 000000") { return server_message(9, 1, hex(body)); }

/// A session with what it says and what it is told.
struct Play {
    PlaySession session;
    std::vector<PlayEvent> events;
    std::vector<FlvTag> media;

    explicit Play(Played played = Played::nothing, const PlayOptions& with = play_options())
        : session(with, 0, zeros) {
        const auto to = [&](Played step) { return played >= step; };
        if (to(Played::handshake)) session.start(), feed(Push::s0_s1_s2());
        if (to(Played::connect_sent)) session.connect();
        if (to(Played::connected)) feed(Push::connect_result());
        if (to(Played::create_sent)) session.create_stream();
        if (to(Played::created)) feed(create_stream_result());
        if (to(Played::play_sent)) session.play();
        if (to(Played::started)) feed(play_start());
        events.clear();
        session.take_output();
    }

    error_code feed(const Bytes& bytes) {
        const error_code error = session.feed(bytes, 0);
        while (auto event = session.next_event()) events.push_back(*std::move(event));
        for (FlvTag& tag : session.take_media()) media.push_back(std::move(tag));
        return error;
    }

    /// The only event since the last call, as that type.
    template <class T>
    T only() {
        if (events.size() != 1 || !std::holds_alternative<T>(events[0])) {
            ADD_FAILURE() << events.size() << " events, the first of kind "
                          << (events.empty() ? -1 : static_cast<int>(events[0].index()));
            return {};
        }
        T event = std::get<T>(events[0]);
        events.clear();
        return event;
    }
};

std::vector<Message> sent_in(PlaySession& session) { return messages_in(session.take_output(), "00000080"); }

TEST(RtmpPlay, ConnectSendsC2WindowConnectAsFfmpegDoes) {
    Play play(Played::handshake);
    play.session.connect();
    const Bytes sent = play.session.take_output();
    ASSERT_GT(sent.size(), 1536u);
    EXPECT_EQ(messages_in(Bytes(sent.begin() + 1536, sent.end()), "00000080"),
              (std::vector{Message{MessageType::window_ack_size, 0, 0, 2, hex("002625a0")},
                           Message{MessageType::command_amf0, 0, 0, 3,
                                   hex("02 0007 \"connect\" 00 3ff0000000000000 03"
                                       "0003 \"app\" 02 0004 \"live\""
                                       "0008 \"flashVer\" 02 000d \"LNX 9,0,124,2\""
                                       "0005 \"tcUrl\" 02 0015 \"rtmp://127.0.0.1/live\""
                                       "0004 \"fpad\" 01 00"
                                       "000c \"capabilities\" 00 402e000000000000"
                                       "000b \"audioCodecs\" 00 40afce0000000000"
                                       "000b \"videoCodecs\" 00 406f800000000000"
                                       "000d \"videoFunction\" 00 3ff0000000000000"
                                       "000009")}}));
}

TEST(RtmpPlay, ChunkSizeIsAnnouncedAndUsedIfItIsNotTheDefault) {
    PlayOptions with = play_options();
    with.chunk_size = 4096;
    with.window_ack_size = 0;
    Play play(Played::handshake, with);
    play.session.connect();
    const Bytes sent = play.session.take_output();
    EXPECT_EQ(Bytes(sent.begin() + 1536, sent.begin() + 1552), hex("02 000000 000004 01 00000000 00001000"));
    EXPECT_EQ(command_names(Bytes(sent.begin() + 1536, sent.end())), std::vector<std::string>{"connect"});
}

TEST(RtmpPlay, DigestHandshakeOnRequest) {
    PlayOptions signing = play_options();
    signing.digest_handshake = true;
    Play play(Played::nothing, signing);
    play.session.start();
    const Bytes sent = play.session.take_output();
    EXPECT_EQ(Bytes(sent.begin() + 5, sent.begin() + 9), hex("80000702"));
}

TEST(RtmpPlay, PlayWithItsQueryAndBufferLengthOnTheStreamTheServerMade) {
    Play play(Played::connected);
    play.session.create_stream();
    EXPECT_EQ(sent_in(play.session),
              (std::vector{Message{MessageType::command_amf0, 0, 0, 3,
                                   hex("02 000c \"createStream\" 00 4000000000000000 05")}}));
    EXPECT_FALSE(play.feed(server_command("_result", {2, AmfNull{}, 7})));
    EXPECT_EQ(play.only<StreamCreated>().id, 7u);
    EXPECT_EQ(play.session.stream_id(), 7u);
    play.session.play();
    EXPECT_EQ(sent_in(play.session),
              (std::vector{Message{MessageType::command_amf0, 0, 7, 8,
                                   hex("02 0004 \"play\" 00 4008000000000000 05 02 0030 \"" +
                                       play_options().stream_name + "\" 00 c09f400000000000")},
                           Message{MessageType::user_control, 0, 0, 2, hex("0003 00000007 00000bb8")}}));
}

TEST(RtmpPlay, StopDeletesTheStreamInEveryStateThatHasOne) {
    const std::vector<std::string> nothing, stream{"deleteStream"};
    const std::pair<Played, std::vector<std::string>> cases[] = {
        {Played::nothing, nothing},   {Played::handshake, nothing},   {Played::connect_sent, nothing},
        {Played::connected, nothing}, {Played::create_sent, nothing}, {Played::created, stream},
        {Played::play_sent, stream},  {Played::started, stream},
    };
    for (const auto& [played, sent] : cases) {
        Play play(played);
        play.session.stop();
        EXPECT_TRUE(play.session.ended());
        EXPECT_EQ(command_names(play.session.take_output()), sent) << static_cast<int>(played);
        play.session.stop();
        EXPECT_TRUE(play.session.take_output().empty()) << "once is enough";
    }
    Play play(Played::started);
    play.session.stop();
    EXPECT_EQ(sent_in(play.session).at(0).payload,
              hex("02 000c \"deleteStream\" 00 4010000000000000 05 00 3ff0000000000000"));
    EXPECT_FALSE(play.feed(video() + on_status("error", "NetStream.Failed") + stream_eof() +
                           on_status("status", "NetStream.Play.Stop") +
                           server_command("close", {0, AmfNull{}})));
    EXPECT_TRUE(play.media.empty()) << "no media after it";
    ASSERT_EQ(play.events.size(), 2u);
    for (const PlayEvent& event : play.events) EXPECT_TRUE(std::holds_alternative<StatusSeen>(event));
}

TEST(RtmpPlay, StepsOutOfTurnAreBugs) {
    Play play;
    EXPECT_THROW(play.session.connect(), std::logic_error);
    play.session.start();
    EXPECT_THROW(play.session.start(), std::logic_error);
    EXPECT_THROW(play.session.create_stream(), std::logic_error);
    EXPECT_THROW(play.session.play(), std::logic_error);
    EXPECT_THROW(Play(Played::connect_sent).session.create_stream(), std::logic_error);
    EXPECT_THROW(Play(Played::create_sent).session.play(), std::logic_error);
    EXPECT_THROW(Play(Played::play_sent).session.play(), std::logic_error);
}

TEST(RtmpPlay, AnswersPingsAndAcknowledges) {
    Play play(Played::started);
    EXPECT_FALSE(play.feed(hex("02 000000 000006 04 00000000 0006 01020304")));
    EXPECT_EQ(play.session.take_output(), hex("02 000000 000006 04 00000000 0007 01020304"));
    EXPECT_FALSE(play.feed(hex("02 000000 000004 05 00000000 00000400")));
    EXPECT_EQ(play.only<ServerSettings>().window_ack_size, 1024u);
    play.session.take_output();
    EXPECT_FALSE(play.feed(server_message(9, 1, Bytes(1024, 0x17))));
    const auto sent = sent_in(play.session);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].type, MessageType::acknowledgement);
}

TEST(RtmpPlay, MediaComesAsFlvTags) {
    Play play(Played::started);
    EXPECT_FALSE(play.feed(server_message(18, 1, metadata()) +
                           hex("04 000010 000002 08 01000000 af00  44 000005 000002 08 af01"
                               "06 ffffff 000005 09 01000000 01020304 17 01 000000")));
    EXPECT_EQ(play.media, (std::vector<FlvTag>{{FlvTagType::script, 0, metadata()},
                                               {FlvTagType::audio, 16, hex("af00")},
                                               {FlvTagType::audio, 21, hex("af01")},
                                               {FlvTagType::video, 0x01020304, hex("17 01 000000")}}));
    EXPECT_TRUE(play.session.take_media().empty()) << "once";
    EXPECT_TRUE(play.events.empty());
}

TEST(RtmpPlay, DataInTheFormOfPublishersAndOfAmf3) {
    const Bytes set_data_frame = hex("02 000d \"@setDataFrame\"");
    Play play(Played::started);
    EXPECT_FALSE(play.feed(server_message(18, 1, set_data_frame + metadata()) +
                           server_message(15, 1, hex("00") + metadata()) + server_message(15, 1, {}) +
                           server_message(18, 1, hex("02 000d \"@setDataFram\""))));
    EXPECT_EQ(play.media, (std::vector<FlvTag>{{FlvTagType::script, 0, metadata()},
                                               {FlvTagType::script, 0, metadata()},
                                               {FlvTagType::script, 0, hex("02 000d \"@setDataFram\"")}}));
}

TEST(RtmpPlay, MediaOfWhateverMessageStreamIsOurs) {
    for (const std::uint8_t stream : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{9}}) {
        Play play(Played::started);
        EXPECT_FALSE(play.feed(server_message(9, stream, hex("17"))));
        EXPECT_EQ(play.media.size(), 1u) << int{stream};
    }
}

TEST(RtmpPlay, NoMediaBeforePlay) {
    for (const Played played :
         {Played::handshake, Played::connect_sent, Played::connected, Played::create_sent, Played::created}) {
        Play play(played);
        EXPECT_FALSE(play.feed(video() + server_message(18, 1, metadata())));
        EXPECT_TRUE(play.media.empty());
    }
}

// node-media-server may send it so.
TEST(RtmpPlay, MediaBeforePlayStartCounts) {
    Play play(Played::play_sent);
    EXPECT_FALSE(play.feed(server_message(18, 1, metadata()) + video()));
    EXPECT_EQ(play.media.size(), 2u);
    EXPECT_TRUE(play.events.empty());
    EXPECT_FALSE(play.feed(play_start()));
    EXPECT_EQ(play.only<PlayStarted>().status.code, "NetStream.Play.Start");

    Play never(Played::play_sent);
    EXPECT_FALSE(never.feed(video() + stream_eof()));
    never.only<PlayEnded>();
    Play metadata_only(Played::play_sent);
    EXPECT_FALSE(metadata_only.feed(server_message(18, 1, metadata()) + stream_eof()));
    EXPECT_TRUE(metadata_only.events.empty()) << "metadata is no media: nothing has begun";
}

// nginx-rtmp, SRS and node-media-server say it of streams that do not exist; a refusal can follow.
TEST(RtmpPlay, PlayStartIsNoProofOfMedia) {
    Play play(Played::play_sent);
    EXPECT_FALSE(play.feed(play_start() + on_status("error", "NetStream.Play.StreamNotFound")));
    ASSERT_EQ(play.events.size(), 2u);
    EXPECT_TRUE(std::holds_alternative<PlayStarted>(play.events[0]));
    EXPECT_EQ(std::get<Refused>(play.events[1]).step, Step::play) << "nothing was played";
    EXPECT_TRUE(play.media.empty());
}

TEST(RtmpPlay, ResetAndOtherNoticesBeforeAndAfterStart) {
    Play play(Played::play_sent);
    for (const char* code : {"NetStream.Play.Reset", "NetStream.Play.PublishNotify", "Something.New"}) {
        EXPECT_FALSE(play.feed(on_status("status", code)));
        EXPECT_EQ(play.only<StatusSeen>().status.code, code);
    }
    EXPECT_FALSE(play.feed(on_status("Status", "netstream.play.START")));
    play.only<PlayStarted>();
    for (const char* code : {"NetStream.Play.Start", "NetStream.Play.Reset", "NetStream.Data.Start"}) {
        EXPECT_FALSE(play.feed(on_status("status", code)));
        play.only<StatusSeen>();
    }
    EXPECT_FALSE(play.feed(on_status("warning", "NetStream.Play.InsufficientBW")));
    play.only<StatusSeen>();
    EXPECT_FALSE(play.session.ended());
}

TEST(RtmpPlay, StartOfOursOnTheConnectionAndOfOthersElsewhere) {
    Play connection(Played::play_sent);
    EXPECT_FALSE(connection.feed(on_status("status", "NetStream.Play.Start", 0)));
    connection.only<PlayStarted>();
    Play foreign(Played::play_sent);
    EXPECT_FALSE(foreign.feed(on_status("status", "NetStream.Play.Start", 2) +
                              on_status("error", "NetStream.Play.StreamNotFound", 2) + stream_eof(2)));
    ASSERT_EQ(foreign.events.size(), 2u);
    for (const PlayEvent& event : foreign.events) EXPECT_TRUE(std::holds_alternative<StatusSeen>(event));
    EXPECT_FALSE(foreign.feed(
        server_command("onFCSubscribe", {0, AmfNull{}, info("status", "NetStream.Play.Start")}, 1)));
    EXPECT_TRUE(std::holds_alternative<StatusSeen>(foreign.events.back())) << "a CDN's, before it has asked";
}

TEST(RtmpPlay, EndOfTheStream) {
    for (const char* code : {"NetStream.Play.UnpublishNotify", "NetStream.Play.Stop"}) {
        Play play(Played::started);
        EXPECT_FALSE(play.feed(on_status("status", code, 1, "stream is now unpublished")));
        EXPECT_EQ(play.only<PlayEnded>().status,
                  (Status{"onStatus", "status", code, "stream is now unpublished"}));
        EXPECT_FALSE(play.session.ended());
        EXPECT_FALSE(play.feed(video()));
        EXPECT_EQ(play.media.size(), 1u) << "the publisher may come back";
    }
    Play play(Played::started);
    EXPECT_FALSE(play.feed(stream_eof(2)));
    EXPECT_TRUE(play.events.empty()) << "that of another stream";
    EXPECT_FALSE(play.feed(stream_eof()));
    EXPECT_EQ(play.only<PlayEnded>().status, (Status{"StreamEOF", "", "", ""}));
    EXPECT_FALSE(play.feed(stream_eof() + on_status("status", "NetStream.Play.UnpublishNotify")));
    play.only<StatusSeen>();
    EXPECT_EQ(make_error_code(Error::playback_ended).default_error_condition(), Reason::closed);
}

TEST(RtmpPlay, NoEndBeforeABeginning) {
    Play play(Played::play_sent);
    EXPECT_FALSE(play.feed(stream_eof() + on_status("status", "NetStream.Play.Stop")));
    play.only<StatusSeen>();
    EXPECT_FALSE(play.feed(play_start() + stream_eof()));
    EXPECT_EQ(play.events.size(), 2u);
}

TEST(RtmpPlayRefusal, OfEachStep) {
    Play connect(Played::connect_sent);
    EXPECT_FALSE(connect.feed(server_command(
        "_error", {1, AmfNull{}, info("error", "NetConnection.Connect.Rejected", "authmod=adobe ]")})));
    const auto refused = connect.only<Refused>();
    EXPECT_EQ(refused.step, Step::connect);
    EXPECT_EQ(refused.error, Error::connect_refused);
    EXPECT_EQ(refused.authmod, "adobe");
    Play no_success(Played::connect_sent);
    EXPECT_FALSE(no_success.feed(
        server_command("_result", {1, AmfNull{}, info("status", "NetConnection.Connect.InvalidApp")})));
    EXPECT_EQ(no_success.only<Refused>().error, Error::connect_refused);
    Play create(Played::create_sent);
    EXPECT_FALSE(
        create.feed(server_command("_error", {2, AmfNull{}, info("error", "NetConnection.Call.Failed")})));
    EXPECT_EQ(create.only<Refused>().error, Error::create_stream_refused);
    Play play(Played::play_sent);
    EXPECT_FALSE(play.feed(server_command("_error", {3, AmfNull{}, info("error", "NetStream.Play.Failed")})));
    EXPECT_EQ(play.only<Refused>().error, Error::play_refused);
    Play other(Played::play_sent);
    EXPECT_FALSE(other.feed(server_command("_error", {9, AmfNull{}, info("error", "No")})));
    other.only<StatusSeen>();
}

TEST(RtmpPlayRefusal, ByStatusBeforeAndAfterStart) {
    const std::tuple<const char*, const char*, Error> cases[] = {
        {"error", "NetStream.Play.StreamNotFound", Error::stream_not_found},
        {"status", "NetStream.play.streamNotFound", Error::stream_not_found},
        {"status", "NetStream.Play.Failed", Error::play_refused},
        {"warning", "NetStream.Failed", Error::play_refused},
        {"ERROR", "NetStream.play.Unauthorized", Error::play_refused},
        {"error", "NetStream.Play.Start", Error::play_refused},
        {"error", "Something.New", Error::play_refused},
    };
    for (const auto& [level, code, error] : cases)
        for (const Played played : {Played::created, Played::play_sent, Played::started}) {
            Play play(played);
            EXPECT_FALSE(play.feed(on_status(level, code) + video()));
            const auto refused = play.only<Refused>();
            EXPECT_EQ(refused.step, Step::play) << code;
            EXPECT_EQ(refused.error, error) << code;
            EXPECT_EQ(refused.status.code, code);
            EXPECT_TRUE(play.session.ended());
            EXPECT_TRUE(play.media.empty()) << "nothing after it";
        }
    EXPECT_EQ(make_error_code(Error::stream_not_found).default_error_condition(), Reason::not_found);
    EXPECT_EQ(make_error_code(Error::play_refused).default_error_condition(), Reason::rejected);
}

TEST(RtmpPlayRefusal, WhileMediaComes) {
    Play play(Played::started);
    EXPECT_FALSE(play.feed(video() + on_status("error", "NetStream.Play.Denied")));
    EXPECT_EQ(play.only<Refused>().step, Step::media);
    EXPECT_EQ(play.media.size(), 1u) << "what came before is kept";
    play.session.stop();
    EXPECT_EQ(command_names(play.session.take_output()), std::vector<std::string>{"deleteStream"});
}

TEST(RtmpPlayRefusal, ConnectionStatusInEachStep) {
    const std::pair<Played, Step> steps[] = {{Played::connect_sent, Step::connect},
                                             {Played::connected, Step::create_stream},
                                             {Played::create_sent, Step::create_stream},
                                             {Played::created, Step::play},
                                             {Played::play_sent, Step::play},
                                             {Played::started, Step::play}};
    for (const auto& [played, step] : steps)
        for (const char* code : {"NetConnection.Connect.Closed", "NetConnection.Connect.IdleTimeout",
                                 "NetConnection.Connect.AppShutdown"}) {
            Play play(played);
            EXPECT_FALSE(play.feed(on_status("status", code, 0)));
            EXPECT_EQ(play.only<Refused>().step, step) << code;
        }
}

TEST(RtmpPlayRefusal, StepsAfterARefusalDoNothing) {
    Play play(Played::connect_sent);
    EXPECT_FALSE(play.feed(server_command("_error", {1, AmfNull{}})));
    play.only<Refused>();
    play.session.create_stream();
    play.session.play();
    play.session.stop();
    EXPECT_TRUE(play.session.take_output().empty());
    EXPECT_FALSE(play.feed(Push::connect_result()));
    EXPECT_TRUE(play.events.empty()) << "too late";
}

TEST(RtmpPlayRefusal, CloseCommandAndReconnectRequest) {
    Play play(Played::started);
    EXPECT_FALSE(
        play.feed(server_command("onStatus", {0, AmfNull{},
                                              AmfObject{{{"level", "status"},
                                                         {"code", "NetConnection.Connect.ReconnectRequest"},
                                                         {"tcUrl", "rtmp://b.example.com/live"}}}})));
    EXPECT_EQ(play.only<ReconnectRequest>().tc_url, "rtmp://b.example.com/live");
    EXPECT_FALSE(play.session.ended());
    const Bytes close = server_command("close", {0, AmfNull{}});
    EXPECT_FALSE(play.feed(close + close));
    play.only<ServerClosed>();
    EXPECT_TRUE(play.session.ended());
}

// A tag as an aggregate has it, with its back pointer.
Bytes sub_message(std::uint8_t type, const char* timestamp, const Bytes& body) {
    const auto size = static_cast<std::uint8_t>(body.size());
    return Bytes{type, 0, 0, size} + hex(timestamp) + hex("000000") + body + Bytes{0, 0, 0} +
           Bytes{static_cast<std::uint8_t>(size + 11)};
}

Bytes aggregate(const Bytes& payload) {
    return hex("04 000064 0000") + Bytes{static_cast<std::uint8_t>(payload.size())} + hex("16 01000000") +
           payload;
}

TEST(RtmpPlayAggregate, ComesAsItsTagsFromTheTimestampOfTheMessage) {
    const Bytes tags = sub_message(8, "ffff00 00", hex("af01 aa")) +
                       sub_message(9, "ffff14 00", hex("2701")) + sub_message(20, "ffff14 00", hex("02")) +
                       sub_message(22, "ffff14 00", hex("08")) + sub_message(18, "000005 01", metadata());
    Play play(Played::started);
    EXPECT_FALSE(play.feed(aggregate(tags)));
    const std::vector<FlvTag> expected{{FlvTagType::audio, 100, hex("af01 aa")},
                                       {FlvTagType::video, 120, hex("2701")},
                                       {FlvTagType::script, 361, metadata()}};
    EXPECT_EQ(play.media, expected);
    EXPECT_EQ(play.session.skipped_messages(), 0u);
    Play before(Played::play_sent);
    EXPECT_FALSE(before.feed(aggregate(tags) + stream_eof()));
    EXPECT_EQ(before.media, expected);
    before.only<PlayEnded>();
}

TEST(RtmpPlayAggregate, CutAtEveryByte) {
    const Bytes first = sub_message(8, "000000 00", hex("af01")),
                second = sub_message(9, "000010 00", hex("27"));
    const Bytes whole = first + second;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        Play play(Played::started);
        EXPECT_FALSE(
            play.feed(aggregate(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)))));
        // A back pointer may be missing; a tag may not.
        const bool is_good =
            size == 0 || (size >= first.size() - 4 && size <= first.size()) || size >= whole.size() - 4;
        EXPECT_EQ(play.session.skipped_messages(), is_good ? 0u : 1u) << size;
        EXPECT_EQ(play.media.size(),
                  std::size_t{size >= first.size() - 4} + std::size_t{size >= whole.size() - 4})
            << size;
    }
}

TEST(RtmpPlayAggregate, BodyLongerThanTheMessage) {
    Play play(Played::started);
    EXPECT_FALSE(play.feed(aggregate(hex("09 ffffff 000000 00 000000 17"))));
    EXPECT_TRUE(play.media.empty());
    EXPECT_EQ(play.session.skipped_messages(), 1u);
}

// What nginx-rtmp 1.2.2 and SRS send to a player, with every message that can be there.
struct PlayScript {
    const char* server;
    Bytes after_c0_c1, after_connect, after_create_stream, after_play;
    std::vector<std::string> events;  // those after StreamCreated
    std::size_t tags = 0;
};

std::vector<PlayScript> play_scripts() {
    const Bytes settings =
        hex("02 000000 000004 05 00000000 004c4b40  02 000000 000005 06 00000000 004c4b40 02"
            "02 000000 000004 01 00000000 00001000");
    const Bytes stream_begin = hex("02 000000 000006 04 00000000 0000 00000001");
    const Bytes access = server_message(18, 1, hex("02 0011 \"|RtmpSampleAccess\" 01 01 01 01"));
    const Bytes media = server_message(18, 1, metadata()) + server_message(9, 1, hex("17 00 000000")) +
                        server_message(8, 1, hex("af 00 12 08")) +
                        server_message(9, 1, hex("17 01 000000") + Bytes(300, 0x65), 4096);
    return {
        {"nginx-rtmp",
         Push::s0_s1_s2(),
         settings + Push::connect_result(4096),
         create_stream_result(),
         stream_begin + play_start() + access + media + stream_eof() +
             on_status("status", "NetStream.Play.UnpublishNotify"),
         {"started", "ended", "seen"},
         5},
        {"SRS",
         Push::s0_s1_s2(),
         settings + Push::connect_result(4096) + server_command("onBWDone", {0, AmfNull{}}),
         create_stream_result(),
         stream_begin + on_status("status", "NetStream.Play.Reset") + play_start() + access + media,
         {"seen", "started"},
         5},
        {"node-media-server without a word",
         Push::s0_s1_s2(),
         settings + Push::connect_result(4096),
         create_stream_result(),
         media,
         {},
         4},
    };
}

struct Seen {
    std::vector<PlayEvent> events;
    std::vector<FlvTag> media;
    bool operator==(const Seen&) const = default;
};

Seen watch(const PlayScript& script, std::size_t piece, std::size_t first_piece) {
    PlaySession session(play_options(), 0, zeros);
    Seen seen;
    const auto hear = [&](const Bytes& bytes) {
        for (std::size_t at = 0, size = std::min(first_piece, bytes.size()); at < bytes.size();
             at += size, size = std::min(piece, bytes.size() - at))
            EXPECT_FALSE(session.feed(std::span(bytes).subspan(at, size), 0));
        while (auto event = session.next_event()) seen.events.push_back(*std::move(event));
        for (FlvTag& tag : session.take_media()) seen.media.push_back(std::move(tag));
        session.take_output();
    };
    session.start();
    hear(script.after_c0_c1);
    session.connect();
    hear(script.after_connect);
    session.create_stream();
    hear(script.after_create_stream);
    session.play();
    hear(script.after_play);
    return seen;
}

TEST(RtmpPlay, WholePlayAgainstEachServerInEveryPiece) {
    for (const PlayScript& script : play_scripts()) {
        const Seen whole = watch(script, 100000, 100000);
        std::vector<std::string> events;
        bool is_created = false;
        for (const PlayEvent& event : whole.events) {
            if (is_created)
                events.emplace_back(std::holds_alternative<PlayStarted>(event)  ? "started"
                                    : std::holds_alternative<PlayEnded>(event)  ? "ended"
                                    : std::holds_alternative<StatusSeen>(event) ? "seen"
                                                                                : "?");
            is_created |= std::holds_alternative<StreamCreated>(event);
        }
        EXPECT_EQ(events, script.events) << script.server;
        EXPECT_EQ(whole.media.size(), script.tags) << script.server;
        EXPECT_EQ(watch(script, 1, 1), whole) << script.server;
        // Cut in two at every byte of the answers after the handshake, all of which are shorter than this.
        for (std::size_t cut = 1; cut < 1000; ++cut)
            EXPECT_EQ(watch(script, 100000, cut), whole) << script.server << " cut at " << cut;
    }
}

TEST(RtmpPlay, OtherMessagesAreReadPast) {
    Play play(Played::started);
    EXPECT_FALSE(play.feed(server_message(16, 1, hex("00")) + server_message(19, 1, hex("00")) +
                           server_message(99, 1, hex("ff")) + server_command("onBWDone", {0, AmfNull{}}) +
                           hex("02 000000 000006 04 00000000 0002 00000001")));
    EXPECT_TRUE(play.events.empty());
    EXPECT_TRUE(play.media.empty());
}

TEST(RtmpPlay, ErrorsEndTheSessionButNotItsTeardown) {
    Play play(Played::started);
    EXPECT_EQ(play.feed(video() + server_message(20, 1, hex("02 ffff")) + video()), Error::amf_truncated);
    EXPECT_EQ(play.media.size(), 1u) << "what came before it";
    EXPECT_EQ(play.feed(video()), Error::amf_truncated) << "final";
    EXPECT_TRUE(play.session.ended());
    play.session.stop();
    EXPECT_EQ(command_names(play.session.take_output()), std::vector<std::string>{"deleteStream"});
    Play http;
    http.session.start();
    EXPECT_EQ(http.feed(hex("\"HTTP/1.1 400 Bad Request\"")), Error::server_speaks_http);
    Play create(Played::create_sent);
    EXPECT_EQ(create.feed(server_command("_result", {2, AmfNull{}, 0.5})), Error::bad_stream_id);
}

TEST(RtmpPlay, TheKeyNeverShowsInAnEvent) {
    Play play(Played::play_sent);
    const char* text = "live/canary?txSecret=0123456789abcdef&txTime=6A000000 and 0123456789abcdef";
    EXPECT_FALSE(play.feed(on_status("status", "NetStream.Play.Reset", 1, text)));
    EXPECT_EQ(play.only<StatusSeen>().status.description, "live/canary?*** and ***");
    EXPECT_FALSE(play.feed(on_status("status", "NetStream.Play.Start", 1, text)));
    EXPECT_EQ(play.only<PlayStarted>().status.description, "live/canary?*** and ***");
    EXPECT_FALSE(play.feed(on_status("status", "NetStream.Play.Stop", 1, text)));
    EXPECT_EQ(play.only<PlayEnded>().status.description, "live/canary?*** and ***");
    EXPECT_FALSE(play.feed(on_status("error", "NetStream.Play.StreamNotFound", 1, text)));
    EXPECT_EQ(play.only<Refused>().status.description, "live/canary?*** and ***");
}

TEST(RtmpPlay, OptionsOutOfRange) {
    const auto wrong = [](auto change) {
        PlayOptions with = play_options();
        change(with);
        return check(with);
    };
    EXPECT_FALSE(check(play_options()));
    EXPECT_EQ(wrong([](PlayOptions& o) { o.app = "/live"; }), Error::bad_app);
    EXPECT_EQ(wrong([](PlayOptions& o) { o.tc_url = "rtmp://a"; }), Error::bad_tc_url);
    EXPECT_EQ(wrong([](PlayOptions& o) { o.stream_name = "a b"; }), Error::bad_stream_name);
    EXPECT_EQ(wrong([](PlayOptions& o) { o.chunk_size = 127; }), Error::bad_option);
    EXPECT_EQ(wrong([](PlayOptions& o) { o.chunk_size = 65537; }), Error::bad_option);
    EXPECT_EQ(wrong([](PlayOptions& o) { o.window_ack_size = 0x80000000; }), Error::bad_option);
    EXPECT_EQ(wrong([](PlayOptions& o) { o.flash_ver = std::string(4097, 'x'); }), Error::bad_option);
    EXPECT_EQ(wrong([](PlayOptions& o) { o.buffer_ms = 99; }), Error::bad_option);
    EXPECT_EQ(wrong([](PlayOptions& o) { o.buffer_ms = 60001; }), Error::bad_option);
    PlayOptions bad = play_options();
    bad.tc_url = "";
    EXPECT_THROW(PlaySession(bad, 0, zeros), boost::system::system_error);
}

TEST(RtmpPlayBound, Events) {
    Play play(Played::started);
    Bytes flood;
    for (int i = 0; i < 300; ++i) flood = flood + on_status("status", "NetStream.Play.Reset");
    EXPECT_FALSE(play.session.feed(flood, 0));
    EXPECT_EQ(play.session.dropped_events(), 44u);
    EXPECT_FALSE(play.feed(stream_eof() + on_status("error", "NetStream.Failed")));
    ASSERT_EQ(play.events.size(), 258u);
    EXPECT_TRUE(std::holds_alternative<PlayEnded>(play.events[256])) << "what matters is never dropped";
    EXPECT_TRUE(std::holds_alternative<Refused>(play.events[257]));
    EXPECT_FALSE(play.feed(play_start()));
    EXPECT_EQ(play.events.size(), 259u) << "and there is room again";
}

// A message whose chunks the server makes as long as can be.
Bytes set_long_chunks() { return hex("02 000000 000004 01 00000000 00ffffff"); }
Bytes long_message(std::uint8_t chunk_stream, std::uint8_t type, std::size_t size, std::size_t present) {
    return Bytes{chunk_stream, 0, 0, 0} +
           Bytes{static_cast<std::uint8_t>(size >> 16),
                 static_cast<std::uint8_t>(size >> 8 & 0xFF),
                 static_cast<std::uint8_t>(size & 0xFF),
                 type,
                 1,
                 0,
                 0,
                 0} +
           Bytes(present, 0x05);
}

TEST(RtmpPlayBound, MessageOf4MiBAndCommandOf64KiB) {
    const std::size_t longest = 4 * 1024 * 1024;
    Play play(Played::started);
    EXPECT_FALSE(play.feed(set_long_chunks() + long_message(4, 9, longest, longest) +
                           long_message(4, 9, longest + 1, longest + 1)));
    ASSERT_EQ(play.media.size(), 1u);
    EXPECT_EQ(play.media[0].body.size(), longest);
    EXPECT_EQ(play.session.skipped_messages(), 1u);
    EXPECT_FALSE(play.feed(long_message(4, 20, 65537, 65537)));
    EXPECT_EQ(play.session.skipped_messages(), 2u);
    EXPECT_EQ(play.feed(long_message(4, 20, 65536, 65536)), Error::amf_too_large) << "was looked at";
}

TEST(RtmpPlayBound, UnfinishedMessagesOf8MiB) {
    const std::size_t longest = 4 * 1024 * 1024, chunk = 1024 * 1024;
    Play play(Played::started);
    EXPECT_FALSE(play.feed(hex("02 000000 000004 01 00000000 00100000")));
    for (std::uint8_t stream = 8; stream < 16; ++stream)
        EXPECT_FALSE(play.feed(long_message(stream, 9, longest, chunk)));
    EXPECT_EQ(play.feed(long_message(16, 9, longest, 1)), Error::too_much_unfinished);
}

TEST(RtmpPlayBound, SixteenChunkStreams) {
    Play play(Played::started);  // which has used chunk stream 3
    Bytes bytes;
    for (std::uint8_t stream = 4; stream < 19; ++stream) bytes = bytes + long_message(stream, 9, 1, 1);
    EXPECT_FALSE(play.feed(bytes));
    EXPECT_EQ(play.feed(long_message(19, 9, 1, 1)), Error::too_many_chunk_streams);
}

TEST(RtmpPlayBound, MediaNotTaken) {
    const std::size_t longest = 4 * 1024 * 1024;
    Play play(Played::started);
    EXPECT_FALSE(play.session.feed(set_long_chunks(), 0));
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(play.session.feed(long_message(4, 9, longest, longest), 0));
    EXPECT_EQ(play.session.dropped_tags(), 1u) << "beyond 16 MiB";
    EXPECT_EQ(play.session.take_media().size(), 4u);
    EXPECT_FALSE(play.session.feed(long_message(4, 9, longest, longest), 0));
    EXPECT_EQ(play.session.take_media().size(), 1u) << "there is room again";
    const Bytes empty(70000, 0xC6);  // each byte a message
    EXPECT_FALSE(play.session.feed(long_message(6, 9, 0, 0) + empty, 0));
    EXPECT_EQ(play.session.take_media().size(), 65536u);
    EXPECT_EQ(play.session.dropped_tags(), 1u + 70001 - 65536);
}

}  // namespace
}  // namespace livecanary::test
