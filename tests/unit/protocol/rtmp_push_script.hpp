#pragma once
// A publish session played against what servers say.
#include <gtest/gtest.h>

#include "probes/protocol/rtmp/session.hpp"
#include "tests/unit/protocol/rtmp_script.hpp"

namespace livecanary::test {

inline constexpr std::array<std::uint8_t, protocol::rtmp::handshake_random_size> zeros{};

inline protocol::rtmp::PublishOptions options() {
    return {.app = "live",
            .tc_url = "rtmp://127.0.0.1/live",
            .stream_name = "canary?txSecret=0123456789abcdef&txTime=6A000000"};
}

/// How far a Push is taken before the test goes on.
enum class Reached {
    nothing,
    handshake,
    connect_sent,
    connected,
    create_sent,
    created,
    publish_sent,
    started
};

/// A session with what it says and what it is told. The server's answers are those of nginx-rtmp 1.2.2.
struct Push {
    protocol::rtmp::PublishSession session;
    std::vector<protocol::rtmp::Event> events;

    explicit Push(Reached reached = Reached::nothing, const protocol::rtmp::PublishOptions& with = options())
        : session(with, 0, zeros) {
        go(reached);
        events.clear();
        session.take_output();
    }

    error_code feed(const Bytes& bytes, std::uint32_t now_ms = 0) {
        const error_code error = session.feed(bytes, now_ms);
        while (auto event = session.next_event()) events.push_back(*std::move(event));
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

    static Bytes s0_s1_s2() { return Bytes{3} + Bytes(3072, 0); }
    static Bytes connect_result(std::size_t chunk_size = 128) {
        return server_command(
            "_result",
            {1, protocol::rtmp::AmfObject{{{"fmsVer", "FMS/3,0,1,123"}, {"capabilities", 31}}},
             info("status", "NetConnection.Connect.Success", "Connection succeeded.")},
            0, chunk_size);
    }
    static Bytes create_stream_result() {
        return server_command("_result", {4, protocol::rtmp::AmfNull{}, 1});
    }
    static Bytes publish_start() {
        return server_command(
            "onStatus",
            {0, protocol::rtmp::AmfNull{}, info("status", "NetStream.Publish.Start", "Start publishing")}, 1);
    }

private:
    void go(Reached reached) {
        const auto to = [&](Reached step) { return reached >= step; };
        if (to(Reached::handshake)) session.start(), feed(s0_s1_s2());
        if (to(Reached::connect_sent)) session.connect(), session.take_output();
        if (to(Reached::connected)) feed(connect_result());
        if (to(Reached::create_sent)) session.create_stream();
        if (to(Reached::created)) feed(create_stream_result());
        if (to(Reached::publish_sent)) session.publish();
        if (to(Reached::started)) feed(publish_start());
    }
};

inline bool send_video(protocol::rtmp::PublishSession& session, std::uint32_t timestamp) {
    const Bytes body = hex("27 01 000000");
    return session.send({.type = protocol::rtmp::MessageType::video, .timestamp = timestamp, .body = body});
}

/// What was sent since `connect`, as messages. `chunk_size` as set by the client before.
inline std::vector<protocol::rtmp::Message> messages_in(const Bytes& bytes,
                                                        const char* chunk_size = "00001000") {
    protocol::rtmp::ChunkReader reader({.message_bytes = 1 << 20, .chunk_streams = 64});
    EXPECT_FALSE(reader.feed(hex("02 000000 000004 01 00000000") + hex(chunk_size)));
    reader.next();
    EXPECT_FALSE(reader.feed(bytes));
    std::vector<protocol::rtmp::Message> messages;
    while (auto message = reader.next()) messages.push_back(*std::move(message));
    return messages;
}

inline std::vector<std::string> command_names(const Bytes& bytes) {
    std::vector<std::string> names;
    for (const auto& message : messages_in(bytes))
        if (message.type == protocol::rtmp::MessageType::command_amf0)
            names.push_back(protocol::rtmp::decode_command(message).value().name);
    return names;
}

}  // namespace livecanary::test
