#include "probes/protocol/rtmp/chunk.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/unit/protocol/rtmp_script.hpp"

namespace livecanary::test {
namespace {

using namespace protocol::rtmp;

struct Read {
    std::vector<Message> messages;
    error_code error;
    bool operator==(const Read&) const = default;
};

Read read(const Bytes& bytes, std::size_t piece, ChunkLimits limits = {}) {
    ChunkReader reader(limits);
    Read out;
    for (std::size_t at = 0; at < bytes.size() && !out.error; at += piece) {
        out.error = reader.feed(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
        while (auto message = reader.next()) out.messages.push_back(*std::move(message));
    }
    return out;
}

// Whole, in pieces of one and seven bytes, and as two pieces cut at every byte: all the same.
Read read_every_way(const Bytes& bytes, ChunkLimits limits = {}) {
    const Read whole = read(bytes, bytes.size(), limits);
    EXPECT_EQ(read(bytes, 1, limits), whole);
    EXPECT_EQ(read(bytes, 7, limits), whole);
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
        ChunkReader reader(limits);
        Read out;
        out.error = reader.feed(std::span(bytes).first(cut));
        if (!out.error) out.error = reader.feed(std::span(bytes).subspan(cut));
        while (auto message = reader.next()) out.messages.push_back(*std::move(message));
        EXPECT_EQ(out, whole) << "cut at " << cut;
    }
    return whole;
}

Bytes counted(std::size_t size) {
    Bytes bytes(size);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{1});
    return bytes;
}

Bytes slice(const Bytes& bytes, std::size_t from, std::size_t to) {
    return {bytes.begin() + static_cast<std::ptrdiff_t>(from),
            bytes.begin() + static_cast<std::ptrdiff_t>(to)};
}

// RTMP 1.0 §5.3.2.1: audio messages of 32 bytes at 1000, 1020, 1040, 1060; types 0, 2, 3, 3 on chunk
// stream 3.
TEST(RtmpChunkReader, SpecificationExampleOne) {
    const Bytes body(32, 0xAA);
    const Bytes bytes = hex("03 0003e8 000020 08 39300000") + body + hex("83 000014") + body + hex("c3") +
                        body + hex("c3") + body;
    const Read out = read_every_way(bytes);
    ASSERT_EQ(out.messages.size(), 4u);
    for (std::uint32_t i = 0; i < 4; ++i)
        EXPECT_EQ(out.messages[i], (Message{MessageType::audio, 1000 + 20 * i, 12345, 3, body}));
}

// RTMP 1.0 §5.3.2.2: a video message of 307 bytes in chunks of 128, 128 and 51.
TEST(RtmpChunkReader, SpecificationExampleTwo) {
    const Bytes body = counted(307);
    const Bytes bytes = hex("04 0003e8 000133 09 3a300000") + slice(body, 0, 128) + hex("c4") +
                        slice(body, 128, 256) + hex("c4") + slice(body, 256, 307);
    EXPECT_EQ(read_every_way(bytes).messages,
              (std::vector{Message{MessageType::video, 1000, 12346, 4, body}}));
}

TEST(RtmpChunkReader, Type1ChangesLengthAndType) {
    const Read out = read_every_way(hex("04 000010 000001 08 01000000 aa  44 000005 000002 09 bbcc"));
    ASSERT_EQ(out.messages.size(), 2u);
    EXPECT_EQ(out.messages[1], (Message{MessageType::video, 0x15, 1, 4, hex("bbcc")}));
}

TEST(RtmpChunkReader, Type3AfterType0RepeatsItsTimestampAsDelta) {
    const Read out = read_every_way(hex("04 000064 000001 08 01000000 aa  c4 bb"));
    ASSERT_EQ(out.messages.size(), 2u);
    EXPECT_EQ(out.messages[1].timestamp, 200u);
}

TEST(RtmpChunkReader, BasicHeaderOfOneTwoAndThreeBytes) {
    const Read out =
        read_every_way(hex("3f 000000 000001 08 00000000 aa"        // 63
                           "00 00 000000 000001 08 00000000 aa"     // 64
                           "00 ff 000000 000001 08 00000000 aa"     // 319
                           "01 00 01 000000 000001 08 00000000 aa"  // 320
                           "01 ff ff 000000 000001 08 00000000 aa"  // 65599
                           "c1 ff 00 aa"));                         // 319 again, the long way
    ASSERT_EQ(out.messages.size(), 6u);
    const std::uint32_t ids[] = {63, 64, 319, 320, 65599, 319};
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(out.messages[i].chunk_stream_id, ids[i]);
}

TEST(RtmpChunkReader, InterleavedMessages) {
    const Bytes a = counted(200);
    const Bytes b(130, 0xBB);
    const Bytes bytes = hex("04 000000 0000c8 09 01000000") + slice(a, 0, 128) +
                        hex("05 000000 000082 08 01000000") + slice(b, 0, 128) +
                        hex("02 000000 000004 03 00000000 00000001") + hex("c5") + slice(b, 128, 130) +
                        hex("c4") + slice(a, 128, 200);
    const Read out = read_every_way(bytes);
    ASSERT_EQ(out.messages.size(), 3u);
    EXPECT_EQ(out.messages[0].type, MessageType::acknowledgement);
    EXPECT_EQ(out.messages[1].payload, b);
    EXPECT_EQ(out.messages[2].payload, a);
}

TEST(RtmpChunkReader, EmptyMessage) {
    const Read out = read_every_way(hex("04 000001 000000 09 01000000 c4 c4"));
    ASSERT_EQ(out.messages.size(), 3u);
    EXPECT_EQ(out.messages[2], (Message{MessageType::video, 3, 1, 4, {}}));
}

TEST(RtmpChunkReader, SetChunkSizeFromTheVeryNextChunk) {
    // It comes between the chunks of a message: the second chunk of that is already of the new size.
    const Bytes body = counted(200);
    const Bytes bytes = hex("04 000000 0000c8 09 01000000") + slice(body, 0, 128) +
                        hex("02 000000 000004 01 00000000 00000040") + hex("c4") + slice(body, 128, 192) +
                        hex("c4") + slice(body, 192, 200);
    const Read out = read_every_way(bytes);
    ASSERT_EQ(out.messages.size(), 2u);
    EXPECT_EQ(out.messages[1].payload, body);
}

TEST(RtmpChunkReader, BoundChunkSize) {
    const auto set = [](const char* size) { return hex("02 000000 000004 01 00000000") + hex(size); };
    for (const char* size : {"00000000", "80000000", "ffffffff"})
        EXPECT_EQ(read_every_way(set(size)).error, Error::bad_chunk_size) << size;
    for (const char* size : {"7fffffff", "01000000"}) {
        ChunkReader reader;
        EXPECT_FALSE(reader.feed(set(size)));
        EXPECT_EQ(reader.chunk_size(), 0xFFFFFFu) << size;
    }
    ChunkReader reader;
    EXPECT_FALSE(reader.feed(hex("02 000000 000003 01 00000000 000000")));
    EXPECT_EQ(reader.chunk_size(), 128u) << "too short a message is ignored";
}

TEST(RtmpChunkReader, ErrorsAreFinal) {
    ChunkReader reader;
    EXPECT_FALSE(reader.feed(hex("04 000000 000001 08 00000000 aa")));
    EXPECT_EQ(reader.feed(hex("c5")), Error::unknown_chunk_stream);
    EXPECT_EQ(reader.feed(hex("04 000000 000001 08 00000000 aa")), Error::unknown_chunk_stream);
    EXPECT_TRUE(reader.next()) << "what was complete stays";
    EXPECT_FALSE(reader.next());
}

TEST(RtmpChunkReader, AbortDropsThePartialMessage) {
    const Bytes bytes = hex("04 000000 000100 09 01000000") + Bytes(128, 0xAA) +
                        hex("02 000000 000004 02 00000000 00000004") +  //
                        hex("44 000005 000001 08 bb") +                 // a new header may follow at once
                        hex("02 000000 000004 02 00000000 00000063");   // nobody knows chunk stream 99
    const Read out = read_every_way(bytes);
    EXPECT_FALSE(out.error);
    ASSERT_EQ(out.messages.size(), 3u);
    EXPECT_EQ(out.messages[1], (Message{MessageType::audio, 5, 1, 4, hex("bb")}));
}

TEST(RtmpChunkReader, FirstChunkOfAChunkStream) {
    // ffmpeg -listen opens chunk stream 2 with type 1.
    const Read out = read_every_way(hex("42 000000 000004 05 002625a0"));
    ASSERT_EQ(out.messages.size(), 1u);
    EXPECT_EQ(out.messages[0], (Message{MessageType::window_ack_size, 0, 0, 2, hex("002625a0")}));
    EXPECT_EQ(read_every_way(hex("84 000000")).error, Error::unknown_chunk_stream);
    EXPECT_EQ(read_every_way(hex("c4")).error, Error::unknown_chunk_stream);
}

TEST(RtmpChunkReader, HeaderInsideAMessage) {
    const Bytes partial = hex("04 000000 000100 09 01000000") + Bytes(128, 0xAA);
    for (const char* header : {"04 000000 000001 08 00000000", "44 000000 000001 08", "84 000000"})
        EXPECT_EQ(read_every_way(partial + hex(header)).error, Error::interrupted_message) << header;
}

TEST(RtmpChunkReader, BoundChunkStreams) {
    const auto open = [](unsigned count) {
        Bytes bytes;
        for (unsigned i = 0; i < count; ++i)
            bytes = bytes + Bytes{0x00, static_cast<std::uint8_t>(i)} + hex("000000 000001 08 00000000 aa");
        return bytes;
    };
    EXPECT_EQ(read(open(64), 1000).messages.size(), 64u);
    EXPECT_EQ(read(open(65), 1000).error, Error::too_many_chunk_streams);
    EXPECT_EQ(read_every_way(open(3), {.message_bytes = 10, .chunk_streams = 2}).error,
              Error::too_many_chunk_streams);
}

TEST(RtmpChunkReader, BoundMessageLength) {
    ChunkLimits limits{.message_bytes = 200, .chunk_streams = 4};
    const auto message = [](std::uint8_t size) {
        const Bytes body = counted(size);
        return hex("04 000000 0000") + Bytes{size} + hex("09 01000000") + slice(body, 0, 128) + hex("c4") +
               slice(body, 128, size);
    };
    EXPECT_EQ(read_every_way(message(200) + message(201) + message(200), limits).messages,
              (std::vector(2, Message{MessageType::video, 0, 1, 4, counted(200)})));
    ChunkReader reader(limits);
    EXPECT_FALSE(reader.feed(message(201)));
    EXPECT_EQ(reader.skipped_messages(), 1u);
}

TEST(RtmpChunkReader, BoundUnfinishedMessagesTogether) {
    const ChunkLimits limits{.message_bytes = 300, .chunk_streams = 4, .total_bytes = 400};
    const Bytes body(128, 0xAA);
    const auto begin = [&](std::uint8_t stream) {
        return Bytes{stream} + hex("000000 00012c 09 01000000") + body;
    };
    const Bytes finish = hex("c4") + body + hex("c4") + Bytes(44, 0xAA);
    const Bytes abort = hex("02 000000 000004 02 00000000 00000004");
    const Bytes too_long =
        hex("05 000000 00012d 09 01000000") + body + hex("c5") + body + hex("c5") + Bytes(45, 0xAA);

    EXPECT_FALSE(read_every_way(begin(4) + begin(5) + begin(6), limits).error);
    EXPECT_EQ(read_every_way(begin(4) + begin(5) + begin(6) + hex("c4") + Bytes(17, 0xAA), limits).error,
              Error::too_much_unfinished);
    EXPECT_FALSE(read_every_way(begin(4) + finish + begin(4) + begin(5) + begin(6), limits).error)
        << "what is finished no longer counts";
    EXPECT_FALSE(read_every_way(begin(4) + abort + begin(4) + begin(5) + begin(6), limits).error)
        << "nor what is given up";
    EXPECT_FALSE(read_every_way(begin(4) + begin(6) + too_long, limits).error) << "nor what is read past";
}

TEST(RtmpChunkReader, LongestMessageIsReadPast) {
    ChunkReader reader;
    EXPECT_FALSE(reader.feed(hex("02 000000 000004 01 00000000 00ffffff  04 000000 ffffff 09 01000000")));
    const Bytes piece(0x10000, 0xAA);
    for (int i = 0; i < 255; ++i) EXPECT_FALSE(reader.feed(piece));
    EXPECT_FALSE(reader.feed(Bytes(0xFFFF, 0xAA)));
    EXPECT_EQ(reader.skipped_messages(), 1u);
    EXPECT_FALSE(reader.feed(hex("04 000000 000001 08 00000000 aa")));
    EXPECT_TRUE(reader.next() && reader.next()) << "the control message and the one after";
}

// A message of 130 bytes at 0x01020304, in two chunks, with and without the repetition.
TEST(RtmpChunkReader, ExtendedTimestampRepeatedInType3OrNot) {
    const Bytes body = counted(130);
    for (const char* repeat : {"", "01020304"}) {
        const Bytes bytes = hex("04 ffffff 000082 09 01000000 01020304") + slice(body, 0, 128) + hex("c4") +
                            hex(repeat) + slice(body, 128, 130) + hex("04 000000 000001 08 01000000 aa");
        const Read out = read_every_way(bytes);
        EXPECT_FALSE(out.error);
        ASSERT_EQ(out.messages.size(), 2u) << repeat;
        EXPECT_EQ(out.messages[0], (Message{MessageType::video, 0x01020304, 1, 4, body})) << repeat;
    }
}

TEST(RtmpChunkReader, ExtendedTimestampExactlyAtTheBorder) {
    const Read out =
        read_every_way(hex("04 fffffe 000001 09 01000000 aa  04 ffffff 000001 09 01000000 00ffffff bb"));
    ASSERT_EQ(out.messages.size(), 2u);
    EXPECT_EQ(out.messages[0].timestamp, 0xFFFFFEu);
    EXPECT_EQ(out.messages[1].timestamp, 0xFFFFFFu);
}

TEST(RtmpChunkReader, ExtendedDeltaRepeatedAsDeltaOrAbsoluteOrNot) {
    const Bytes body = counted(129);
    for (const char* repeat : {"", "01000000", "01000010"}) {
        const Bytes bytes = hex("04 000010 000001 09 01000000 aa") + hex("44 ffffff 000081 09 01000000") +
                            slice(body, 0, 128) + hex("c4") + hex(repeat) + slice(body, 128, 129) +
                            hex("04 000000 000001 08 01000000 aa");
        const Read out = read_every_way(bytes);
        ASSERT_EQ(out.messages.size(), 3u) << repeat;
        EXPECT_EQ(out.messages[1], (Message{MessageType::video, 0x01000010, 1, 4, body})) << repeat;
    }
}

// Payload that begins like the timestamp, and a rest shorter than four bytes, are told from the repetition.
TEST(RtmpChunkReader, UnrepeatedExtendedTimestampWithALookAlikePayload) {
    const Bytes body = slice(counted(128), 0, 128) + hex("0102");
    const Bytes bytes = hex("04 ffffff 000082 09 01000000 01020304") + slice(body, 0, 128) + hex("c4") +
                        slice(body, 128, 130) + hex("04 000000 000001 08 01000000 aa");
    const Read out = read_every_way(bytes);
    ASSERT_EQ(out.messages.size(), 2u);
    EXPECT_EQ(out.messages[0].payload, body);
}

TEST(RtmpChunkReader, Type3StartsAMessageWithAnExtendedDelta) {
    const Read out = read_every_way(hex(
        "04 000000 000001 09 01000000 aa  84 ffffff 01000000 bb  c4 01000000 cc  c4 dd  04 000000 000001 08 "
        "01000000 ee"));
    ASSERT_EQ(out.messages.size(), 5u);
    EXPECT_EQ(out.messages[2].timestamp, 0x02000000u);
    EXPECT_EQ(out.messages[3].timestamp, 0x03000000u);
    EXPECT_EQ(out.messages[3].payload, hex("dd"));
}

TEST(RtmpChunkReader, TimestampWrapsAt32Bits) {
    const Read out = read_every_way(hex("04 ffffff 000001 09 01000000 fffffff0 aa  84 000020 bb"));
    ASSERT_EQ(out.messages.size(), 2u);
    EXPECT_EQ(out.messages[0].timestamp, 0xFFFFFFF0u);
    EXPECT_EQ(out.messages[1].timestamp, 0x10u);
}

Bytes written(const std::vector<Message>& messages) {
    ChunkWriter writer;
    Bytes out;
    for (const Message& message : messages) writer.write(message, out);
    return out;
}

Message video(std::uint32_t timestamp, Bytes body = hex("aa"), std::uint32_t stream = 1) {
    return {MessageType::video, timestamp, stream, 4, std::move(body)};
}

TEST(RtmpChunkWriter, FullHeaderThenDeltas) {
    EXPECT_EQ(written({video(0), video(40), {MessageType::audio, 41, 1, 4, hex("bbcc")}}),
              hex("04 000000 000001 09 01000000 aa  44 000028 000001 09 aa  44 000001 000002 08 bbcc"));
}

TEST(RtmpChunkWriter, FullHeaderWhenTimeGoesBackOrTheStreamChanges) {
    EXPECT_EQ(written({video(40), video(39)}),
              hex("04 000028 000001 09 01000000 aa  04 000027 000001 09 01000000 aa"));
    EXPECT_EQ(written({video(40), video(41, hex("aa"), 0x01020304)}),
              hex("04 000028 000001 09 01000000 aa  04 000029 000001 09 04030201 aa"));
}

TEST(RtmpChunkWriter, FullHeaderForCommands) {
    const Message command{MessageType::command_amf0, 0, 0, 3, hex("aa")};
    EXPECT_EQ(written({command, command}),
              hex("03 000000 000001 14 00000000 aa 03 000000 000001 14 00000000 aa"));
}

TEST(RtmpChunkWriter, ShortestBasicHeader) {
    const auto first = [](std::uint32_t id) {
        return slice(written({{MessageType::video, 0, 1, id, hex("aa")}}), 0, 3);
    };
    EXPECT_EQ(first(63), hex("3f 0000"));
    EXPECT_EQ(first(64), hex("00 00 00"));
    EXPECT_EQ(first(319), hex("00 ff 00"));
    EXPECT_EQ(first(320), hex("01 00 01"));
    EXPECT_EQ(first(65599), hex("01 ff ff"));
    EXPECT_THROW(first(1), std::out_of_range);
    EXPECT_THROW(first(65600), std::out_of_range);
    EXPECT_THROW(written({video(0, Bytes(0x1000000))}), std::length_error);
}

TEST(RtmpChunkWriter, ExtendedTimestampInEachType3Chunk) {
    const Bytes body = counted(257);
    EXPECT_EQ(written({video(0xFFFFFF, body)}),
              hex("04 ffffff 000101 09 01000000 00ffffff") + slice(body, 0, 128) + hex("c4 00ffffff") +
                  slice(body, 128, 256) + hex("c4 00ffffff") + slice(body, 256, 257));
    EXPECT_EQ(written({video(0xFFFFFE)}), hex("04 fffffe 000001 09 01000000 aa"));
}

TEST(RtmpChunkWriter, LongDeltaBecomesAFullHeader) {
    EXPECT_EQ(written({video(1), video(0x1000000)}),
              hex("04 000001 000001 09 01000000 aa  04 ffffff 000001 09 01000000 01000000 aa"));
    EXPECT_EQ(written({video(1), video(0xFFFFFF)}),
              hex("04 000001 000001 09 01000000 aa  44 fffffe 000001 09 aa"));
}

TEST(RtmpChunkWriter, DeltaAcrossTheWrap) {
    EXPECT_EQ(written({video(0xFFFFFFF0), video(0x10)}),
              hex("04 ffffff 000001 09 01000000 fffffff0 aa  44 000020 000001 09 aa"));
}

// Trap: a connect cut at 128 after announcing 4096 makes every known server hang up.
TEST(RtmpChunkWriter, SetChunkSizeIsUsedFromTheVeryNextChunk) {
    const Message set{MessageType::set_chunk_size, 0, 0, 2, hex("00001000")};
    const Bytes body = counted(4097);
    const Bytes out = written({set, {MessageType::command_amf0, 0, 0, 3, body}});
    EXPECT_EQ(out, hex("02 000000 000004 01 00000000 00001000  03 000000 001001 14 00000000") +
                       slice(body, 0, 4096) + hex("c3") + slice(body, 4096, 4097));
}

TEST(RtmpChunkWriter, ReadsBackWhatItWrites) {
    std::vector<Message> messages;
    for (const std::uint32_t time : {0u, 40u, 20u, 0xFFFFFEu, 0xFFFFFFu, 0x1000000u, 0xFFFFFFFFu, 5u})
        for (const std::size_t size : {0u, 1u, 127u, 128u, 129u, 300u})
            messages.push_back(video(time, counted(size)));
    messages.push_back({MessageType::set_chunk_size, 0, 0, 2, hex("00000100")});
    messages.push_back({MessageType::audio, 7, 1, 400, counted(600)});
    EXPECT_EQ(read_every_way(written(messages)).messages, messages);
}

}  // namespace
}  // namespace livecanary::test
