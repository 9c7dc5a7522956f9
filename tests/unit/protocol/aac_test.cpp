// Silence in AAC: golden bytes, read bit by bit against ISO/IEC 14496-3. That libavcodec 59 decodes them
// without a warning is shown by test_stream_ffmpeg_test.cpp.
#include "probes/protocol/aac.hpp"

#include <gtest/gtest.h>

namespace livecanary::protocol {
namespace {

using Bytes = std::vector<std::uint8_t>;

TEST(Aac, IsTheGoldenBytes) {
    EXPECT_EQ(aac_config(AacChannels::mono), (std::array<std::uint8_t, 2>{0x12, 0x08}));
    EXPECT_EQ(aac_config(AacChannels::stereo), (std::array<std::uint8_t, 2>{0x12, 0x10}));
    EXPECT_EQ(aac_silence(AacChannels::mono), (Bytes{0x01, 0x18, 0x20, 0x07}));
    EXPECT_EQ(aac_silence(AacChannels::stereo), (Bytes{0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c}));
}

TEST(Aac, KeepsTimeForYears) {
    EXPECT_EQ(aac_timestamp(0), 0U);
    EXPECT_EQ(aac_timestamp(1), 23U);
    EXPECT_EQ(aac_timestamp(43), 998U);
    // 441 frames last 10.24 s, to the sample.
    EXPECT_EQ(aac_timestamp(441), 10'240U);
    EXPECT_EQ(aac_timestamp(441ULL * 10'000'000), 102'400'000'000U);
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const auto step = aac_timestamp(i + 1) - aac_timestamp(i);
        EXPECT_TRUE(step == 23 || step == 24) << i;
    }
}

}  // namespace
}  // namespace livecanary::protocol
