// FLV bodies and framing: golden bytes by hand from Adobe's specification 10.1, annex E.
#include "probes/protocol/flv.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "probes/protocol/avc.hpp"

namespace livecanary::protocol {
namespace {

using Bytes = std::vector<std::uint8_t>;

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

TEST(FlvBody, OfAvcIsTheGoldenBytes) {
    EXPECT_EQ(flv_avc_header(avc_sps({}, 11), avc_pps()),
              (Bytes{0x17, 0,    0,    0,    0,    1,    0x42, 0xc0, 0x0b, 0xff, 0xe1, 0,    9,    0x67, 0x42,
                     0xc0, 0x0b, 0xda, 0x05, 0x06, 0x7e, 0x74, 1,    0,    4,    0x68, 0xce, 0x38, 0x80}));
    EXPECT_EQ(flv_avc_frame(true, std::vector<Bytes>{{0x06, 0xaa}, {0x65}}),
              (Bytes{0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x06, 0xaa, 0, 0, 0, 1, 0x65}));
    EXPECT_EQ(flv_avc_frame(false, std::vector<Bytes>{{0x41}}, 40),
              (Bytes{0x27, 1, 0, 0, 40, 0, 0, 0, 1, 0x41}));
    EXPECT_EQ(flv_avc_frame(false, {}, -2), (Bytes{0x27, 1, 0xff, 0xff, 0xfe}));
}

TEST(FlvBody, OfAacIsTheGoldenBytes) {
    EXPECT_EQ(flv_aac_header(AacChannels::mono), (Bytes{0xaf, 0x00, 0x12, 0x08}));
    EXPECT_EQ(flv_aac_header(AacChannels::stereo), (Bytes{0xaf, 0x00, 0x12, 0x10}));
    EXPECT_EQ(flv_aac_frame(aac_silence(AacChannels::mono)), (Bytes{0xaf, 0x01, 0x01, 0x18, 0x20, 0x07}));
    EXPECT_EQ(flv_aac_frame(aac_silence(AacChannels::stereo)),
              (Bytes{0xaf, 0x01, 0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c}));
}

TEST(FlvFraming, IsTheGoldenBytes) {
    EXPECT_EQ(flv_file_header(true, true), (Bytes{'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0}));
    EXPECT_EQ(flv_file_header(true, false)[4], 4);
    EXPECT_EQ(flv_file_header(false, true)[4], 1);
    EXPECT_EQ(flv_tag({.type = FlvTagType::audio, .timestamp = 0x01020304, .body = {0xaf, 1}}),
              (Bytes{8, 0, 0, 2, 2, 3, 4, 1, 0, 0, 0, 0xaf, 1, 0, 0, 0, 13}));
}

const std::vector<FlvTag>& some_tags() {
    static const std::vector<FlvTag> tags{
        {.type = FlvTagType::script, .timestamp = 0, .body = {2, 0, 1, 'x'}},
        {.type = FlvTagType::video, .timestamp = 40, .body = Bytes(300, 0x17)},
        {.type = FlvTagType::audio, .timestamp = 0xfffffff0, .body = {}},
        {.type = FlvTagType::audio, .timestamp = 3, .body = {0xaf}},
    };
    return tags;
}

Bytes some_stream() {
    Bytes bytes = flv_file_header(true, true);
    for (const FlvTag& tag : some_tags()) append(bytes, flv_tag(tag));
    return bytes;
}

struct Read {
    std::vector<FlvTag> tags;
    error_code error;
    std::uint64_t wrong_previous_sizes = 0;
    bool operator==(const Read&) const = default;
};

Read read_in_pieces(std::span<const std::uint8_t> bytes, std::size_t size, std::size_t max_body = 1000) {
    FlvReader reader(max_body);
    Read read;
    while (!bytes.empty() && !read.error) {
        const auto piece = bytes.first(std::min(size, bytes.size()));
        read.error = reader.feed(piece, read.tags);
        bytes = bytes.subspan(piece.size());
    }
    read.wrong_previous_sizes = reader.wrong_previous_sizes();
    return read;
}

TEST(FlvReader, ReadsWhatIsWrittenInPiecesOfAnySize) {
    const Bytes bytes = some_stream();
    for (std::size_t size = 1; size <= bytes.size(); ++size)
        ASSERT_EQ(read_in_pieces(bytes, size), (Read{some_tags(), {}, 0})) << size;
}

TEST(FlvReader, WaitsWhereverTheStreamIsCutShort) {
    const Bytes bytes = some_stream();
    std::size_t tags = 0;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const Read read = read_in_pieces(std::span(bytes).first(size), 7);
        EXPECT_FALSE(read.error) << size;
        EXPECT_GE(read.tags.size(), tags) << size;
        tags = read.tags.size();
    }
    EXPECT_EQ(tags, some_tags().size());
}

TEST(FlvReader, RefusesWhatIsNoFlv) {
    const auto stream = [](std::size_t at, std::uint8_t value) {
        Bytes bytes = some_stream();
        bytes[at] = value;
        return bytes;
    };
    struct Case {
        const char* what;
        Bytes bytes;
        FlvError error;
        std::size_t tags_before;
    };
    const std::size_t second_tag = 13 + 11 + 4 + 4;
    const Case cases[] = {
        {"a web page", Bytes{'<', 'h', 't', 'm', 'l', '>', '<', 'b', 'o', 'd', 'y', '>'}, FlvError::not_flv,
         0},
        {"version 2", stream(3, 2), FlvError::not_flv, 0},
        {"header of 8 bytes", stream(8, 8), FlvError::bad_header, 0},
        {"header of 64 KiB", stream(6, 1), FlvError::bad_header, 0},
        {"unknown tag", stream(second_tag, 10), FlvError::unknown_tag, 1},
        {"encrypted tag", stream(second_tag, 0x29), FlvError::unknown_tag, 1},
        {"long tag", stream(second_tag + 2, 4), FlvError::too_long, 1},
    };
    for (const Case& c : cases)
        for (const std::size_t size : {c.bytes.size(), std::size_t{1}}) {
            const Read read = read_in_pieces(c.bytes, size);
            EXPECT_EQ(read.error, c.error) << c.what;
            EXPECT_EQ(read.tags.size(), c.tags_before) << c.what;
            EXPECT_EQ(reason_of(read.error), Reason::protocol);
        }
}

TEST(FlvReader, StaysRefused) {
    FlvReader reader;
    std::vector<FlvTag> tags;
    EXPECT_EQ(reader.feed(Bytes(9, 0), tags), FlvError::not_flv);
    EXPECT_EQ(reader.feed(some_stream(), tags), FlvError::not_flv);
    EXPECT_TRUE(tags.empty());
}

TEST(FlvReader, HoldsItsLimitToTheByte) {
    EXPECT_FALSE(read_in_pieces(some_stream(), 50, 300).error);
    EXPECT_EQ(read_in_pieces(some_stream(), 50, 299).error, FlvError::too_long);
}

TEST(FlvReader, SkipsALongerHeaderAndCountsWrongPreviousSizes) {
    Bytes bytes = flv_file_header(true, true);
    bytes[8] = 12;
    bytes.insert(bytes.begin() + 9, {1, 2, 3});
    for (const FlvTag& tag : some_tags()) append(bytes, flv_tag(tag));
    bytes.back() ^= 1;
    EXPECT_EQ(read_in_pieces(bytes, bytes.size()), (Read{some_tags(), {}, 1}));
}

}  // namespace
}  // namespace livecanary::protocol
