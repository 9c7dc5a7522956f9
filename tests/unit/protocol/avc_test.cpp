// The H.264 bits we write ourselves, held against golden bytes. That libavcodec 59 decodes them without a
// warning is shown by test_stream_ffmpeg_test.cpp.
#include "probes/protocol/avc.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace livecanary::protocol {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr AvcSize small{.width = 64, .height = 64};

TEST(BitWriter, PutsTheFirstBitHighest) {
    BitWriter out;
    out.bits(1, 1);
    out.bits(0, 3);
    out.bits(0xabcdef01, 32);
    out.bits(0xff, 2);
    EXPECT_EQ(out.bytes(), (Bytes{0x8a, 0xbc, 0xde, 0xf0, 0x1c}));
}

TEST(BitWriter, WritesExpGolombCodes) {
    // Table 9-2: 1, 010, 011, 00100, 00101 …; then 1 for 0, 010 for 1, 011 for -1, 00100 for 2, 00101 for -2.
    BitWriter unsigned_codes;
    for (std::uint32_t value = 0; value < 5; ++value) unsigned_codes.ue(value);
    EXPECT_EQ(unsigned_codes.bytes(), (Bytes{0b10100110, 0b01000010, 0b10000000}));
    BitWriter signed_codes;
    for (const std::int32_t value : {0, 1, -1, 2, -2}) signed_codes.se(value);
    EXPECT_EQ(signed_codes.bytes(), unsigned_codes.bytes());
    BitWriter largest;
    largest.ue(0xfffffffe);
    EXPECT_EQ(largest.bytes(), (Bytes{0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe}));
}

TEST(BitWriter, StopsAtAByte) {
    BitWriter out;
    out.stop();
    out.bits(0, 7);
    out.stop();
    out.bits(1, 1);
    EXPECT_EQ(out.bytes(), (Bytes{0x80, 0x01, 0x80}));
}

TEST(AvcParameterSets, AreTheGoldenBytes) {
    EXPECT_EQ(avc_sps({}, 11), (Bytes{0x67, 0x42, 0xc0, 0x0b, 0xda, 0x05, 0x06, 0x7e, 0x74}));
    EXPECT_EQ(avc_sps(small, 11), (Bytes{0x67, 0x42, 0xc0, 0x0b, 0xda, 0x10, 0x99}));
    EXPECT_EQ(avc_pps(), (Bytes{0x68, 0xce, 0x38, 0x80}));
}

TEST(AvcParameterSets, RefuseSizesThatCannotBeCropped) {
    for (const AvcSize size : {AvcSize{0, 180}, AvcSize{320, 0}, AvcSize{321, 180}, AvcSize{320, 181},
                               AvcSize{4098, 180}, AvcSize{320, 4098}})
        EXPECT_THROW(avc_sps(size, 11), std::invalid_argument) << size.width << 'x' << size.height;
    EXPECT_NO_THROW(avc_sps({.width = 2, .height = 4096}, 52));
}

TEST(AvcPictures, AreTheGoldenBytes) {
    const Bytes first = avc_idr({}, 0), second = avc_idr({}, 1);
    EXPECT_EQ(first.size(), 244U);
    EXPECT_EQ(Bytes(first.begin(), first.begin() + 5), (Bytes{0x65, 0x88, 0x84, 0x93, 0x93}));
    EXPECT_EQ(Bytes(second.begin(), second.begin() + 6), (Bytes{0x65, 0x88, 0x82, 0x24, 0xe4, 0xe4}));
    EXPECT_EQ(avc_idr(small, 0).size(), 20U);
    EXPECT_EQ(avc_p({}, 1), (Bytes{0x41, 0x9a, 0x22, 0x03, 0xc6}));
    EXPECT_EQ(avc_p({}, 2), (Bytes{0x41, 0x9a, 0x42, 0x03, 0xc6}));
    EXPECT_EQ(avc_p({}, 17), avc_p({}, 1));
}

TEST(AvcLevel, IsTheLowestThatAllowsIt) {
    struct Case {
        AvcSize size;
        unsigned frames_per_second;
        std::uint32_t bitrate;
        int level;
    };
    const Case cases[] = {
        {small, 25, 0, 10},
        {small, 25, 64'001, 11},
        {{}, 12, 192'000, 11},
        {{}, 25, 200'000, 12},
        {{}, 26, 200'000, 13},
        {{1280, 720}, 30, 2'000'000, 31},
        {{1920, 1080}, 25, 4'000'000, 40},
        {{1920, 1080}, 60, 4'000'000, 42},
        {{4096, 2160}, 60, 4'000'000, 52},
        {{4096, 16}, 1, 0, 40},
    };
    for (const Case& c : cases)
        EXPECT_EQ(avc_level(c.size, c.frames_per_second, c.bitrate), c.level)
            << c.size.width << 'x' << c.size.height << ' ' << c.frames_per_second << ' ' << c.bitrate;
    EXPECT_THROW(avc_level({4096, 4096}, 60, 0), std::invalid_argument);
    EXPECT_THROW(avc_level(small, 25, 240'000'001), std::invalid_argument);
}

TEST(AvcSei, CarriesUuidAndPayload) {
    const std::array<std::uint8_t, 16> uuid{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    const Bytes payload{'h', 'i'};
    EXPECT_EQ(avc_sei(uuid, payload),
              (Bytes{0x06, 0x05, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 'h', 'i', 0x80}));
}

TEST(AvcSei, StatesLongSizesInStepsOf255) {
    const std::array<std::uint8_t, 16> uuid{};
    const Bytes just(255 - 16, 0xaa), more(2 * 255 + 3 - 16, 0xaa);
    // Size 255 is ff 00. The 16 zeros of the UUID follow, each third of them behind a 03.
    EXPECT_EQ(avc_sei(uuid, just)[2], 0xff);
    EXPECT_EQ(avc_sei(uuid, just)[3], 0x00);
    EXPECT_EQ(avc_sei(uuid, more)[2], 0xff);
    EXPECT_EQ(avc_sei(uuid, more)[3], 0xff);
    EXPECT_EQ(avc_sei(uuid, more)[4], 0x03);
}

TEST(AvcSei, NeverLooksLikeAStartCode) {
    const std::array<std::uint8_t, 16> uuid{0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee,
                                            0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee};
    const auto payload_of = [&](const Bytes& payload) {
        const Bytes nal = avc_sei(uuid, payload);
        return Bytes(nal.begin() + 19, nal.end() - 1);
    };
    EXPECT_EQ(payload_of({0, 0, 0, 0, 0}), (Bytes{0, 0, 3, 0, 0, 3, 0}));
    EXPECT_EQ(payload_of({0, 0, 1, 0, 0, 3}), (Bytes{0, 0, 3, 1, 0, 0, 3, 3}));
    EXPECT_EQ(payload_of({0, 0, 4, 0, 1, 0, 0}), (Bytes{0, 0, 4, 0, 1, 0, 0}));
    // Each pair of zeros would be followed by 0 to 3 somewhere in here.
    Bytes all;
    for (unsigned value = 0; value < 256; ++value)
        all.insert(all.end(), {0, 0, static_cast<std::uint8_t>(value)});
    const Bytes nal = avc_sei(uuid, all);
    for (std::size_t i = 0; i + 2 < nal.size(); ++i)
        EXPECT_FALSE(nal[i] == 0 && nal[i + 1] == 0 && nal[i + 2] < 3) << i;
}

TEST(AvcFiller, HasTheSizeAskedFor) {
    EXPECT_EQ(avc_filler(2), (Bytes{0x0c, 0x80}));
    EXPECT_EQ(avc_filler(5), (Bytes{0x0c, 0xff, 0xff, 0xff, 0x80}));
    EXPECT_EQ(avc_filler(1000).size(), 1000U);
}

}  // namespace
}  // namespace livecanary::protocol
