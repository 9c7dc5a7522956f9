// What our publisher sends, held against what a vendor's push-quality check flags.
#include "probes/protocol/test_stream.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <stdexcept>

namespace livecanary::protocol {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::vector<Frame> frames_until(TestStream& stream, std::uint64_t end) {
    std::vector<Frame> frames;
    while (stream.next_timestamp() < end) frames.push_back(stream.next());
    return frames;
}

// The NAL units of a body that holds coded pictures.
std::vector<Bytes> nal_units(const Bytes& body) {
    std::vector<Bytes> found;
    for (std::size_t at = 5; at < body.size();) {
        const std::size_t size = std::size_t{body.at(at)} << 24 | std::size_t{body.at(at + 1)} << 16 |
                                 std::size_t{body.at(at + 2)} << 8 | body.at(at + 3);
        at += 4;
        if (at + size > body.size()) throw std::out_of_range("a NAL unit is longer than its body");
        const auto begin = body.begin() + static_cast<std::ptrdiff_t>(at);
        found.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(size));
        at += size;
    }
    return found;
}

TEST(TestStream, BeginsWithBothHeadersAndAKeyframeAtZero) {
    TestStream stream;
    const Frame video = stream.next(), audio = stream.next();
    EXPECT_EQ(video.type, FlvTagType::video);
    // 6000 macroblocks a second are just level 1.2.
    EXPECT_EQ(video.body, flv_avc_header(avc_sps({}, 12), avc_pps()));
    EXPECT_EQ(audio.type, FlvTagType::audio);
    EXPECT_EQ(audio.body, flv_aac_header(AacChannels::stereo));
    EXPECT_EQ(video.timestamp, 0U);
    EXPECT_EQ(audio.timestamp, 0U);
    EXPECT_FALSE(video.keyframe);

    EXPECT_TRUE(stream.next_is_keyframe());
    const Frame picture = stream.next();
    EXPECT_TRUE(picture.keyframe);
    EXPECT_EQ(picture.timestamp, 0U);
    EXPECT_FALSE(stream.next_is_keyframe());
    EXPECT_EQ(stream.next().type, FlvTagType::audio);
}

TEST(TestStream, RunsInOrderWithoutGaps) {
    TestStream stream;
    std::map<FlvTagType, std::vector<std::uint32_t>> times;
    std::uint32_t last = 0;
    for (const Frame& frame : frames_until(stream, 60'000)) {
        EXPECT_GE(frame.timestamp, last);
        last = frame.timestamp;
        times[frame.type].push_back(frame.timestamp);
    }
    auto& video = times[FlvTagType::video];
    auto& audio = times[FlvTagType::audio];
    video.erase(video.begin());  // the headers
    audio.erase(audio.begin());
    ASSERT_EQ(video.size(), 1500U);
    ASSERT_EQ(audio.size(), 2584U);  // 60 s of 44100 samples in frames of 1024, the last one begun
    for (std::size_t i = 0; i < video.size(); ++i) EXPECT_EQ(video[i], 40 * i);
    for (std::size_t i = 0; i < audio.size(); ++i) EXPECT_EQ(audio[i], aac_timestamp(i));
}

TEST(TestStream, NextTimestampIsThatOfTheNextFrame) {
    TestStream stream({.frames_per_second = 30});
    for (int i = 0; i < 1000; ++i) {
        const auto expected = stream.next_timestamp();
        const bool keyframe = stream.next_is_keyframe();
        const Frame frame = stream.next();
        EXPECT_EQ(frame.timestamp, expected);
        EXPECT_EQ(frame.keyframe, keyframe);
    }
}

TEST(TestStream, HasAKeyframeEachSecondWithAnotherId) {
    TestStream stream({.bitrate = 0});
    std::vector<Bytes> keyframes;
    std::uint32_t since_keyframe = 0;
    for (const Frame& frame : frames_until(stream, 40'000)) {
        if (frame.type != FlvTagType::video || frame.body[1] == 0) continue;
        const auto units = nal_units(frame.body);
        ASSERT_EQ(units.size(), 1U);
        EXPECT_EQ(frame.keyframe, frame.timestamp % 1000 == 0);
        EXPECT_EQ(frame.body[0], frame.keyframe ? 0x17 : 0x27);
        if (frame.keyframe) {
            EXPECT_EQ(units[0], avc_idr({}, keyframes.size() % 2));
            keyframes.push_back(units[0]);
            since_keyframe = 0;
        } else {
            EXPECT_EQ(units[0], avc_p({}, ++since_keyframe));
        }
    }
    EXPECT_EQ(keyframes.size(), 40U);
    EXPECT_NE(keyframes[0], keyframes[1]);
}

TEST(TestStream, ReachesItsBitrateInEverySecond) {
    for (const std::uint32_t bitrate : {200'000U, 64'000U, 5'000'001U}) {
        TestStream stream({.bitrate = bitrate});
        stream.next();
        stream.next();
        for (std::uint64_t second = 1; second <= 10; ++second) {
            std::size_t bytes = 0;
            for (const Frame& frame : frames_until(stream, second * 1000)) bytes += frame.body.size();
            // Sound that falls after the last picture of a second is paid back by the next one.
            EXPECT_NEAR(static_cast<double>(bytes), bitrate / 8.0, 40.0)
                << bitrate << " in second " << second;
        }
    }
}

TEST(TestStream, FillsAWindowOf10000BytesInHalfASecond) {
    TestStream stream;
    std::size_t bytes = 0;
    for (const Frame& frame : frames_until(stream, 500)) bytes += frame.body.size();
    EXPECT_GE(bytes, 10'000U);
}

TEST(TestStream, SendsNoFillerWhenNotAsked) {
    TestStream stream({.bitrate = 0});
    for (const Frame& frame : frames_until(stream, 2000))
        if (frame.type == FlvTagType::video) {
            EXPECT_LE(frame.body.size(), 300U);
        }
}

TEST(TestStream, PutsAStampBeforeThePictureAndFillerAfter) {
    const Bytes stamp{'r', 'u', 'n', 0, 0, 1};
    TestStream stream;
    std::size_t stamped = 0;
    while (stream.next_timestamp() < 3000) {
        const bool with_stamp = stream.next_is_keyframe() && stream.next_timestamp() > 0;
        const Frame frame = stream.next(stream.next_timestamp() > 0 ? std::span<const std::uint8_t>(stamp)
                                                                    : std::span<const std::uint8_t>());
        if (frame.type != FlvTagType::video || frame.body[1] == 0) continue;
        const auto units = nal_units(frame.body);
        ASSERT_EQ(units.size(), with_stamp ? 3U : 2U);
        if (with_stamp) {
            EXPECT_EQ(units[0], avc_sei(stamp_uuid, stamp));
            ++stamped;
        }
        EXPECT_EQ(units[units.size() - 2][0], frame.keyframe ? 0x65 : 0x41);
        EXPECT_EQ(units.back()[0], 0x0c);
    }
    EXPECT_EQ(stamped, 2U);
}

TEST(TestStream, IsTheSameEachTime) {
    TestStream first, second;
    for (int i = 0; i < 500; ++i) EXPECT_EQ(first.next().body, second.next().body);
}

TEST(TestStream, DescribesItself) {
    std::map<std::string, std::variant<double, bool, std::string>> found;
    const Metadata metadata = TestStream({.size = {640, 360}, .channels = AacChannels::mono}).metadata();
    for (const MetadataField& field : metadata) found[field.name] = field.value;
    EXPECT_EQ(found.size(), metadata.size());
    EXPECT_EQ(std::get<double>(found["width"]), 640);
    EXPECT_EQ(std::get<double>(found["height"]), 360);
    EXPECT_EQ(std::get<double>(found["framerate"]), 25);
    EXPECT_EQ(std::get<double>(found["videocodecid"]), 7);
    EXPECT_EQ(std::get<double>(found["audiocodecid"]), 10);
    EXPECT_EQ(std::get<double>(found["audiosamplerate"]), 44100);
    EXPECT_EQ(std::get<double>(found["audiosamplesize"]), 16);
    EXPECT_EQ(std::get<double>(found["duration"]), 0);
    EXPECT_EQ(std::get<bool>(found["stereo"]), false);
    EXPECT_EQ(std::get<std::string>(found["encoder"]), "livecanary");
    EXPECT_NEAR(std::get<double>(found["videodatarate"]) + std::get<double>(found["audiodatarate"]), 200,
                1e-9);
    EXPECT_FALSE(found.contains("filesize"));
}

TEST(TestStream, RefusesWhatItCannotMake) {
    EXPECT_THROW(TestStream({.frames_per_second = 0}), std::invalid_argument);
    EXPECT_THROW(TestStream({.frames_per_second = 121}), std::invalid_argument);
    EXPECT_THROW(TestStream({.size = {321, 180}}), std::invalid_argument);
    EXPECT_THROW(TestStream({.size = {4096, 4096}, .frames_per_second = 60}), std::invalid_argument);
}

}  // namespace
}  // namespace livecanary::protocol
