#include "probes/protocol/rtmp/connection.hpp"

#include <gtest/gtest.h>

#include "tests/unit/protocol/rtmp_script.hpp"

namespace livecanary::test {
namespace {

using namespace protocol::rtmp;

constexpr std::uint64_t two_to_32 = 1ull << 32;

TEST(RtmpAckPosition, ServerThatCountsFromTheEndOfTheHandshake) {
    AckPosition position;
    EXPECT_EQ(position.base(), AckBase::unknown);
    EXPECT_EQ(position.on_ack(10000, 13073), 13073u);
    EXPECT_EQ(position.base(), AckBase::after_handshake);
    EXPECT_EQ(position.on_ack(20000, 30000), 23073u);
}

TEST(RtmpAckPosition, ServerThatCountsFromTheStartGivesItselfAway) {
    AckPosition position;
    EXPECT_EQ(position.on_ack(5000, 5000), 5000u);
    EXPECT_EQ(position.base(), AckBase::from_start);
    EXPECT_EQ(position.on_ack(10000, 20000), 10000u) << "once known it stays known";
}

TEST(RtmpAckPosition, NeverGoesBackWhenTheBaseTurnsOut) {
    AckPosition position;
    EXPECT_EQ(position.on_ack(5000, 9000), 8073u) << "could still be either";
    EXPECT_EQ(position.on_ack(7000, 9000), 8073u) << "from the start: 7000, but 8073 has been said";
    EXPECT_EQ(position.base(), AckBase::from_start);
    EXPECT_EQ(position.on_ack(9000, 12000), 9000u);
}

TEST(RtmpAckPosition, CountBeyondWhatWasSentOrGoingBackIsIgnored) {
    AckPosition position;
    EXPECT_EQ(position.on_ack(10000, 9999), std::nullopt);
    EXPECT_EQ(position.base(), AckBase::unknown);
    EXPECT_EQ(position.on_ack(5000, 9000), 8073u);
    EXPECT_EQ(position.on_ack(4999, 9000), std::nullopt);
    EXPECT_EQ(position.on_ack(0xFFFFFFFF, 9000), std::nullopt);
    EXPECT_EQ(position.position(), 8073u);
}

TEST(RtmpAckPosition, UnwrapsOver32Bits) {
    AckPosition position;
    std::uint64_t last = 0;
    // 10 GB in steps of 1.5 GB: more than two wraps.
    for (std::uint64_t count = 0; count < 10'000'000'000; count += 1'500'000'000) {
        const auto got = position.on_ack(static_cast<std::uint32_t>(count), count + handshake_size);
        EXPECT_EQ(got, count + handshake_size);
        last = count;
    }
    EXPECT_GT(last, 2 * two_to_32);
    EXPECT_EQ(position.on_ack(static_cast<std::uint32_t>(last + 1), last + 1 + handshake_size),
              last + 1 + handshake_size);
}

TEST(RtmpReceiveWindow, DueWhenTheWindowIsFull) {
    ReceiveWindow window;
    window.on_bytes(5000);
    EXPECT_EQ(window.due(), std::nullopt) << "nobody asked";
    window.set(10000);
    window.on_bytes(4999);
    EXPECT_EQ(window.due(), std::nullopt);
    window.on_bytes(1);
    EXPECT_EQ(window.due(), 10000u);
    EXPECT_EQ(window.due(), std::nullopt);
    window.on_bytes(10001);
    EXPECT_EQ(window.due(), 20001u);
}

TEST(RtmpReceiveWindow, CountWrapsAt32Bits) {
    ReceiveWindow window;
    window.set(1 << 20);
    window.on_bytes(0xFFFFF000);
    EXPECT_EQ(window.due(), 0xFFFFF000u);
    window.on_bytes(0x10);
    EXPECT_EQ(window.due(), std::nullopt) << "the window ends behind the wrap";
    window.on_bytes(0xFFFF0);
    EXPECT_EQ(window.due(), 0xFF000u) << "2^32 bytes have passed";
    EXPECT_EQ(window.received(), 0x1000FF000u);
    EXPECT_EQ(window.due(), std::nullopt);
    window.on_bytes((1 << 20) - 1);
    EXPECT_EQ(window.due(), std::nullopt);
    window.on_bytes(1);
    EXPECT_EQ(window.due(), 0x1FF000u);
}

TEST(RtmpReceiveWindow, BoundWindowFrom1024To2To31) {
    ReceiveWindow small;
    small.set(1);
    small.on_bytes(1023);
    EXPECT_EQ(small.due(), std::nullopt);
    small.on_bytes(1);
    EXPECT_EQ(small.due(), 1024u);
    ReceiveWindow large;
    large.set(0xFFFFFFFF);
    large.on_bytes(0x7FFFFFFF);
    EXPECT_EQ(large.due(), std::nullopt);
    large.on_bytes(1);
    EXPECT_EQ(large.due(), 0x80000000u);
}

// A connection behind its handshake, with C2 taken.
Connection ready() {
    const std::array<std::uint8_t, handshake_random_size> random{};
    Connection connection(Handshake::Form::simple, 0, random);
    connection.send_c0_c1();
    EXPECT_EQ(connection.take_output().size(), 1537u);
    EXPECT_FALSE(connection.feed(Bytes{3} + Bytes(3072, 0), 0));
    connection.send_c2();
    EXPECT_EQ(connection.take_output().size(), 1536u);
    connection.take_incoming();
    return connection;
}

Bytes ping_request(std::uint8_t value) {
    return hex("02 000000 000006 04 00000000 0006 000000") + Bytes{value};
}
Bytes ping_response(std::uint8_t value) {
    return hex("02 000000 000006 04 00000000 0007 000000") + Bytes{value};
}

TEST(RtmpConnection, CountsBothDirectionsWithTheHandshake) {
    Connection connection = ready();
    EXPECT_EQ(connection.bytes_in(), handshake_size);
    EXPECT_EQ(connection.bytes_out(), handshake_size);
    connection.send_ping_request(1);
    EXPECT_EQ(connection.bytes_out(), handshake_size) << "not taken yet";
    EXPECT_EQ(connection.take_output(), ping_request(1));
    EXPECT_EQ(connection.bytes_out(), handshake_size + 18);
}

TEST(RtmpConnection, AnswersPings) {
    Connection connection = ready();
    EXPECT_FALSE(connection.feed(ping_request(7), 1000));
    EXPECT_EQ(connection.take_output(), ping_response(7));
}

TEST(RtmpConnection, BoundAnswersToPingsOnePer100Milliseconds) {
    Connection connection = ready();
    const std::uint32_t start = 0xFFFFFFF0;  // the clock wraps on the way
    EXPECT_FALSE(connection.feed(ping_request(1) + ping_request(2), start));
    EXPECT_FALSE(connection.feed(ping_request(3), start + 99));
    EXPECT_EQ(connection.take_output(), ping_response(1));
    EXPECT_FALSE(connection.feed(ping_request(4), start + 100));
    EXPECT_EQ(connection.take_output(), ping_response(4));
}

TEST(RtmpConnection, SaysNothingBeforeC2) {
    const std::array<std::uint8_t, handshake_random_size> random{};
    Connection connection(Handshake::Form::simple, 0, random);
    const Bytes window = hex("02 000000 000004 05 00000000 00000400");
    EXPECT_FALSE(connection.feed(Bytes{3} + Bytes(3072, 0) + ping_request(1) + window, 0));
    EXPECT_TRUE(connection.take_output().empty());
    connection.send_c2();
    EXPECT_EQ(connection.take_output().size(), 1536u);
    EXPECT_FALSE(connection.feed(ping_request(2), 0));
    EXPECT_EQ(connection.take_output(), ping_response(2) + hex("02 000000 000004 03 00000000 00000c35"))
        << "3125 bytes";
}

TEST(RtmpConnection, AcknowledgesByTheServersWindow) {
    Connection connection = ready();
    EXPECT_FALSE(connection.feed(hex("02 000000 000004 05 00000000 00000400"), 0));
    EXPECT_EQ(connection.take_output(), hex("02 000000 000004 03 00000000 00000c11"))
        << "3073 + 16 bytes so far";
    EXPECT_FALSE(connection.feed(hex("04 000000 0003f3 08 00000000") + Bytes(128, 0xAA), 0));
    EXPECT_TRUE(connection.take_output().empty());
    Bytes rest;
    for (int chunk = 0; chunk < 6; ++chunk) rest = rest + hex("c4") + Bytes(128, 0xAA);
    EXPECT_FALSE(connection.feed(rest, 0));
    EXPECT_TRUE(connection.take_output().empty()) << "914 of 1024";
    EXPECT_FALSE(connection.feed(hex("c4") + Bytes(109, 0xAA), 0));
    EXPECT_EQ(connection.take_output(), hex("02 000000 000004 03 00000000 00001011")) << "1024 more";
}

TEST(RtmpConnection, SettingsComeAsASnapshot) {
    Connection connection = ready();
    EXPECT_FALSE(
        connection.feed(hex("02 000000 000004 05 00000000 002625a0  02 000000 000005 06 00000000 002625a0 02"
                            "02 000000 000004 01 00000000 0000ea60"),
                        0));
    const auto incoming = connection.take_incoming();
    ASSERT_EQ(incoming.size(), 3u);
    EXPECT_EQ(std::get<ServerSettings>(incoming[0]), (ServerSettings{2500000, 0, 128}));
    EXPECT_EQ(std::get<ServerSettings>(incoming[1]), (ServerSettings{2500000, 2500000, 128}));
    EXPECT_EQ(std::get<ServerSettings>(incoming[2]), (ServerSettings{2500000, 2500000, 60000}));
    EXPECT_EQ(connection.settings(), (ServerSettings{2500000, 2500000, 60000}));
}

TEST(RtmpConnection, PlayersUserControl) {
    Connection connection = ready();
    connection.send_set_buffer_length(7, 3000);
    EXPECT_EQ(connection.take_output(), hex("02 000000 00000a 04 00000000 0003 00000007 00000bb8"));
    EXPECT_FALSE(connection.feed(hex("02 000000 000006 04 00000000 0001 00000007"), 0));
    const auto incoming = connection.take_incoming();
    ASSERT_EQ(incoming.size(), 1u);
    EXPECT_EQ(std::get<StreamEnd>(incoming[0]).message_stream_id, 7u);
}

TEST(RtmpConnection, WindowOfZeroIsAnError) {
    Connection connection = ready();
    EXPECT_EQ(connection.feed(hex("02 000000 000004 05 00000000 00000000"), 0), Error::zero_window);
    EXPECT_EQ(connection.feed(ping_request(1), 0), Error::zero_window) << "final";
}

TEST(RtmpConnection, BoundControlMessagesShorterThanTheirFields) {
    Connection connection = ready();
    for (const char* type : {"01", "02", "03", "05", "06"})
        EXPECT_FALSE(connection.feed(hex("02 000000 000003") + hex(type) + hex("00000000 ffffff"), 0))
            << type;
    EXPECT_FALSE(connection.feed(hex("02 000000 000005 04 00000000 0006 000000"), 0));
    EXPECT_FALSE(connection.feed(hex("02 000000 000001 04 00000000 00"), 0));
    EXPECT_FALSE(connection.feed(hex("02 000000 000000 04 00000000"), 0));
    EXPECT_TRUE(connection.take_incoming().empty());
    EXPECT_TRUE(connection.take_output().empty());
}

TEST(RtmpConnection, ErrorAfterTheHandshakeInTheSameReadComesAfterWhatWasGood) {
    const std::array<std::uint8_t, handshake_random_size> random{};
    Connection connection(Handshake::Form::simple, 0, random);
    EXPECT_EQ(connection.feed(Bytes{3} + Bytes(3072, 0) + hex("c4"), 0), Error::unknown_chunk_stream);
    EXPECT_EQ(connection.take_incoming().size(), 1u);
}

}  // namespace
}  // namespace livecanary::test
