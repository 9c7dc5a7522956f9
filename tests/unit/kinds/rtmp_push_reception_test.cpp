// What a viewer's measurements make of tags and TS units, at times that the tests invent.
#include "probes/rtmp_push/reception.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "probes/protocol/stamp.hpp"
#include "probes/protocol/test_stream.hpp"
#include "tests/unit/protocol/ts_writer.hpp"

namespace livecanary::rtmp_push {
namespace {

using namespace std::chrono_literals;
using protocol::FlvTag;
using protocol::FlvTagType;
using protocol::TsUnit;
using protocol::TsWriter;
using std::chrono::milliseconds;
using Bytes = std::vector<std::uint8_t>;
using Latencies = std::vector<Clock::duration>;

constexpr std::uint64_t our_run = 0x0123456789abcdef, other_run = 0xfedcba9876543210;
/// When the push began.
const Clock::time_point began{1000s};

enum class Stamps { ours, of_another, none };

/// A push as its log and its tags show it. Each tag goes out when its timestamp is due.
struct Push {
    explicit Push(Stamps stamped = Stamps::ours, protocol::TestStreamOptions options = {})
        : stamps(stamped), stream(options) {}

    /// All tags that are due before `end` of stream time and not taken yet.
    std::vector<FlvTag> until(milliseconds end) {
        std::vector<FlvTag> tags;
        while (milliseconds(stream.next_timestamp()) < end) {
            const milliseconds due(stream.next_timestamp());
            Bytes stamp;
            if (stream.next_is_keyframe()) {
                log.sent(due, began + due);
                if (stamps != Stamps::none)
                    stamp = protocol::write_stamp({.run = stamps == Stamps::ours ? our_run : other_run,
                                                   .sent = (began + due).time_since_epoch()});
            }
            auto frame = stream.next(stamp);
            tags.push_back({.type = frame.type, .timestamp = frame.timestamp, .body = std::move(frame.body)});
        }
        return tags;
    }

    Stamps stamps;
    SentLog log{our_run};
    protocol::TestStream stream;
};

/// Every tag `delay` after it was sent.
void relay(Reception& viewer, const std::vector<FlvTag>& tags, milliseconds delay,
           milliseconds shifted_by = 0ms) {
    for (FlvTag tag : tags) {
        const auto at = began + milliseconds(tag.timestamp) + delay;
        tag.timestamp += static_cast<std::uint32_t>(shifted_by.count());
        viewer.bytes(at);
        viewer.tag(tag, at);
    }
}

bool is_header(const FlvTag& tag) { return tag.body[1] == 0; }
bool is_video(const FlvTag& tag) { return tag.type == FlvTagType::video; }
bool is_keyframe(const FlvTag& tag) { return is_video(tag) && !is_header(tag) && tag.body[0] >> 4 == 1; }

void expect_consistent(const Received& seen, Clock::time_point asked) {
    EXPECT_LE(seen.keyframes, seen.frames);
    EXPECT_LE(seen.own_stamps, seen.keyframes);
    EXPECT_LE(seen.latencies.size(), seen.keyframes);
    EXPECT_LE(seen.latencies.size(), 512U);
    for (const auto latency : seen.latencies) EXPECT_GE(latency, 0s);
    if (seen.first_frame) {
        EXPECT_GT(seen.keyframes, 0U);
        ASSERT_TRUE(seen.first_media);
        EXPECT_LE(*seen.first_media, *seen.first_frame);
    }
    if (seen.first_media) {
        EXPECT_GE(*seen.first_media, 0s);
        EXPECT_GE(seen.last_media, asked);
    }
    EXPECT_EQ(seen.matched == Matched::nothing, seen.latencies.empty());
    EXPECT_GE(seen.longest_pause, 0s);
    EXPECT_GE(seen.longest_gap, 0s);
    EXPECT_GE(seen.frames_per_second, 0);
    EXPECT_TRUE(seen.video || seen.frames == 0);
    EXPECT_TRUE(seen.video || !seen.video_header);
    EXPECT_TRUE(seen.audio || !seen.audio_header);
}

TEST(RtmpPushSentLog, KnowsWhenAPictureWentOut) {
    SentLog log(our_run);
    EXPECT_EQ(log.run(), our_run);
    EXPECT_EQ(log.when(0ms), std::nullopt);
    log.sent(1000ms, began + 7ms);
    log.sent(2000ms, began + 1020ms);
    EXPECT_EQ(log.when(999ms), std::nullopt);
    EXPECT_EQ(log.when(1000ms), began + 7ms);
    EXPECT_EQ(log.when(1999ms), began + 1006ms);
    EXPECT_EQ(log.when(2000ms), began + 1020ms);
    EXPECT_EQ(log.when(4000ms), began + 3020ms);
    EXPECT_EQ(log.when(4001ms), std::nullopt) << "no group of pictures is that long";
    EXPECT_EQ(log.when(-1ms), std::nullopt);
}

TEST(RtmpPushSentLog, ForgetsWhatIsTwoMinutesOld) {
    SentLog log(our_run);
    for (int i = 0; i < 3600; ++i) log.sent(i * 1000ms, began + i * 1s);
    EXPECT_EQ(log.when(3479s), std::nullopt);
    EXPECT_EQ(log.when(3480s), began + 3480s);
    EXPECT_EQ(log.when(3599s), began + 3599s);
}

TEST(RtmpPushReception, NothingYet) {
    const SentLog log(our_run);
    const Reception viewer(log, began);
    EXPECT_FALSE(viewer.complete());
    EXPECT_FALSE(viewer.received().first_byte || viewer.received().first_media);
    EXPECT_EQ(viewer.received().matched, Matched::nothing);
}

TEST(RtmpPushReception, LatencyIsFromStampToArrival) {
    Push push;
    Reception viewer(push.log, began);
    relay(viewer, push.until(3500ms), 300ms);
    const Received& seen = viewer.received();
    EXPECT_EQ(seen.first_byte, 300ms);
    EXPECT_EQ(seen.first_media, 300ms);
    EXPECT_EQ(seen.first_frame, 300ms);
    EXPECT_EQ(seen.matched, Matched::stamp);
    EXPECT_EQ(seen.latencies, Latencies(4, 300ms));
    EXPECT_EQ(seen.own_stamps, 4U);
    EXPECT_EQ(seen.foreign_stamps, 0U);
    EXPECT_EQ(seen.keyframes, 4U);
    EXPECT_EQ(seen.frames, 88U);
    EXPECT_TRUE(seen.video && seen.audio && seen.video_header && seen.audio_header);
    EXPECT_FALSE(seen.other_codec);
    EXPECT_EQ(seen.gaps, 0U);
    EXPECT_EQ(seen.longest_pause, 24ms) << "as between two sounds";
    expect_consistent(seen, began);
}

TEST(RtmpPushReception, IsCompleteWithTheFirstPictureSentAfterWeAsked) {
    Push push;
    Reception viewer(push.log, began + 1ms);
    relay(viewer, push.until(1000ms), 5ms);
    EXPECT_TRUE(viewer.received().first_frame);
    EXPECT_FALSE(viewer.complete()) << "its only keyframe was sent before we asked";
    relay(viewer, push.until(1001ms), 5ms);
    EXPECT_TRUE(viewer.complete());
}

TEST(RtmpPushReception, PictureSentAsWeAskedCounts) {
    Push push;
    Reception viewer(push.log, began + 1000ms);
    relay(viewer, push.until(1001ms), 5ms);
    EXPECT_EQ(viewer.received().latencies, Latencies{5ms});
}

// A server keeps the pictures since the last keyframe for those who come: they look as old as they are.
TEST(RtmpPushReception, CachedGroupOfPicturesIsNotTakenForLatency) {
    for (const Stamps stamps : {Stamps::ours, Stamps::none}) {
        Push push(stamps);
        const auto asked = began + 2900ms;
        Reception viewer(push.log, asked);
        for (const FlvTag& tag : push.until(2900ms)) {
            if (!is_header(tag) && tag.timestamp < 2000) continue;
            viewer.bytes(asked + 4ms);
            viewer.tag(tag, asked + 4ms);
        }
        EXPECT_EQ(viewer.received().first_frame, 4ms);
        EXPECT_EQ(viewer.received().keyframes, 1U);
        EXPECT_EQ(viewer.received().own_stamps, stamps == Stamps::ours ? 1U : 0U);
        EXPECT_FALSE(viewer.complete());
        relay(viewer, push.until(5500ms), 20ms);
        EXPECT_TRUE(viewer.complete());
        EXPECT_EQ(viewer.received().latencies, Latencies(3, 20ms));
        EXPECT_EQ(viewer.received().matched,
                  stamps == Stamps::ours ? Matched::stamp : Matched::presentation_time);
        EXPECT_EQ(viewer.received().gaps, 0U);
        EXPECT_NEAR(viewer.received().frames_per_second, 25, 0.01);
    }
}

TEST(RtmpPushReception, StampsOfAnotherPushAreNoneOfOurs) {
    Push push(Stamps::of_another);
    Reception viewer(push.log, began);
    relay(viewer, push.until(4500ms), 50ms);
    EXPECT_EQ(viewer.received().foreign_stamps, 5U);
    EXPECT_EQ(viewer.received().own_stamps, 0U);
    EXPECT_FALSE(viewer.received().first_frame) << "no picture of ours";
    EXPECT_EQ(viewer.received().latencies, Latencies{}) << "the times agree by chance";
    EXPECT_EQ(viewer.received().matched, Matched::nothing);
    EXPECT_FALSE(viewer.complete());
}

TEST(RtmpPushReception, EndOfAnEarlierPushGivesWayToOurs) {
    Push push(Stamps::of_another);
    Reception viewer(push.log, began);
    relay(viewer, push.until(1500ms), 50ms);
    push.stamps = Stamps::ours;
    relay(viewer, push.until(3500ms), 60ms);
    EXPECT_TRUE(viewer.complete());
    EXPECT_EQ(viewer.received().foreign_stamps, 2U);
    EXPECT_EQ(viewer.received().latencies, Latencies(2, 60ms));
    EXPECT_EQ(viewer.received().first_frame, 2060ms) << "the first picture of ours";
}

// As nginx-rtmp's playlist and node-media-server's cache do: the timeline of the earlier push is another one.
TEST(RtmpPushReception, TheTimelineOfAnEarlierPushIsNoJumpInOurs) {
    Push earlier(Stamps::of_another), ours(Stamps::ours);
    Reception viewer(ours.log, began);
    relay(viewer, earlier.until(2500ms), 1ms);
    relay(viewer, ours.until(2500ms), 40ms);
    EXPECT_EQ(viewer.received().foreign_stamps, 3U);
    EXPECT_EQ(viewer.received().gaps, 0U);
    EXPECT_NEAR(viewer.received().frames_per_second, 25, 0.01);
}

TEST(RtmpPushReception, WithoutStampsItGoesByPresentationTimeAfterTwoKeyframes) {
    Push push(Stamps::none);
    Reception viewer(push.log, began);
    relay(viewer, push.until(1000ms), 700ms);
    EXPECT_TRUE(viewer.received().first_frame);
    EXPECT_FALSE(viewer.complete());
    EXPECT_EQ(viewer.received().matched, Matched::nothing);
    relay(viewer, push.until(2500ms), 700ms);
    EXPECT_TRUE(viewer.complete());
    EXPECT_EQ(viewer.received().matched, Matched::presentation_time);
    EXPECT_EQ(viewer.received().latencies, Latencies(3, 700ms));
    expect_consistent(viewer.received(), began);
}

TEST(RtmpPushReception, StampAfterAllReplacesTheGuess) {
    Push push(Stamps::none);
    Reception viewer(push.log, began);
    relay(viewer, push.until(1500ms), 700ms);
    push.stamps = Stamps::ours;
    relay(viewer, push.until(3500ms), 30ms);
    EXPECT_EQ(viewer.received().matched, Matched::stamp);
    EXPECT_EQ(viewer.received().latencies, Latencies(2, 30ms));
}

TEST(RtmpPushReception, ShiftedTimelineMatchesNothing) {
    // Far off, and so little that pictures would come before they were sent.
    for (const milliseconds shift : {milliseconds(10h), 2001ms, 400ms}) {
        Push push(Stamps::none);
        Reception viewer(push.log, began);
        relay(viewer, push.until(1500ms), 300ms, shift);
        EXPECT_FALSE(viewer.complete()) << "two keyframes may come from a cache";
        relay(viewer, push.until(5500ms), 300ms, shift);
        EXPECT_EQ(viewer.received().latencies, Latencies{}) << shift.count();
        EXPECT_EQ(viewer.received().matched, Matched::nothing);
        EXPECT_TRUE(viewer.complete()) << "it will never be known";
        EXPECT_EQ(viewer.received().gaps, 0U);
    }
}

TEST(RtmpPushReception, ShiftedTimelineDoesNotMatterToStamps) {
    Push push;
    Reception viewer(push.log, began);
    relay(viewer, push.until(2500ms), 300ms, 10h);
    EXPECT_EQ(viewer.received().latencies, Latencies(3, 300ms));
}

// A server that watches can copy our run id, but not our clock.
TEST(RtmpPushReception, StampOfTheFutureIsNoLatency) {
    Push push;
    const auto tags = push.until(1001ms);
    for (const Clock::duration ahead : {Clock::duration(1ns), Clock::duration(5s)}) {
        Reception viewer(push.log, began);
        for (const FlvTag& tag : tags) viewer.tag(tag, began + 1000ms - ahead);
        for (const auto latency : viewer.received().latencies) EXPECT_GE(latency, 0s);
    }
}

TEST(RtmpPushReception, PresentationTimeIsDecodingTimePlusCompositionTime) {
    for (const milliseconds composition : {80ms, 0ms, -40ms}) {
        SentLog log(our_run);
        log.sent(1000ms, began + 1s);
        log.sent(2000ms, began + 2s);
        Reception viewer(log, began);
        viewer.tag({.type = FlvTagType::video,
                    .body = protocol::flv_avc_header(protocol::avc_sps({}, 12), protocol::avc_pps())},
                   began);
        for (const milliseconds time : {1000ms, 2000ms})
            viewer.tag({.type = FlvTagType::video,
                        .timestamp = static_cast<std::uint32_t>((time - composition).count()),
                        .body = protocol::flv_avc_frame(true, std::vector<Bytes>{protocol::avc_idr({}, 0)},
                                                        static_cast<std::int32_t>(composition.count()))},
                       began + time + 90ms);
        EXPECT_EQ(viewer.received().latencies, Latencies(2, 90ms)) << composition.count();
    }
}

/// The jumps of a sequence of decoding times.
Received after_times(FlvTagType type, const std::vector<std::uint32_t>& times) {
    const SentLog log(our_run);
    Reception viewer(log, began);
    const Bytes body = type == FlvTagType::video
                           ? protocol::flv_avc_frame(false, std::vector<Bytes>{protocol::avc_p({}, 1)})
                           : protocol::flv_aac_frame(Bytes{0x21});
    auto at = began;
    for (const auto time : times) viewer.tag({.type = type, .timestamp = time, .body = body}, at += 40ms);
    return viewer.received();
}

TEST(RtmpPushReception, JumpsOfTimestampsAreCounted) {
    for (const FlvTagType type : {FlvTagType::video, FlvTagType::audio}) {
        EXPECT_EQ(after_times(type, {}).gaps, 0U);
        EXPECT_EQ(after_times(type, {90'000}).gaps, 0U) << "a stream may begin anywhere";
        EXPECT_EQ(after_times(type, {0, 200, 200, 400}).gaps, 0U);
        const Received hole = after_times(type, {0, 40, 241, 281});
        EXPECT_EQ(hole.gaps, 1U);
        EXPECT_EQ(hole.longest_gap, 201ms);
        const Received back = after_times(type, {5000, 5040, 4960, 5000});
        EXPECT_EQ(back.gaps, 1U);
        EXPECT_EQ(back.longest_gap, 80ms);
        const Received both = after_times(type, {1000, 0, 40, 3000});
        EXPECT_EQ(both.gaps, 2U);
        EXPECT_EQ(both.longest_gap, 2960ms);
    }
}

TEST(RtmpPushReception, TracksJumpEachForItself) {
    Push push;
    Reception viewer(push.log, began);
    auto tags = push.until(2000ms);
    for (FlvTag& tag : tags)
        if (!is_video(tag)) tag.timestamp += 500'000;
    relay(viewer, tags, 10ms);
    EXPECT_EQ(viewer.received().gaps, 0U);
}

TEST(RtmpPushReception, LostPicturesAreOneJump) {
    Push push;
    Reception viewer(push.log, began);
    auto tags = push.until(3000ms);
    std::erase_if(tags, [](const FlvTag& tag) {
        return is_video(tag) && tag.timestamp > 1200 && tag.timestamp < 1800;
    });
    relay(viewer, tags, 10ms);
    EXPECT_EQ(viewer.received().gaps, 1U);
    EXPECT_EQ(viewer.received().longest_gap, 600ms);
    EXPECT_EQ(viewer.received().longest_pause, 24ms) << "sound went on";
}

// A push of at most an hour never wraps; only a server that begins elsewhere does, after 49 days.
TEST(RtmpPushReception, WrappedTimestampsAreAJumpAndNothingElse) {
    Push push;
    Reception viewer(push.log, began);
    relay(viewer, push.until(3000ms), 10ms, milliseconds((1LL << 32) - 1500));
    EXPECT_EQ(viewer.received().gaps, 2U) << "one of each track";
    EXPECT_EQ(viewer.received().latencies, Latencies(3, 10ms));
    EXPECT_TRUE(viewer.complete());
    EXPECT_NEAR(viewer.received().frames_per_second, 25, 0.01);
    expect_consistent(viewer.received(), began);
}

TEST(RtmpPushReception, LongestPauseIsBetweenTwoArrivals) {
    Push push;
    Reception viewer(push.log, began - 5s);
    relay(viewer, push.until(1000ms), 0ms);
    relay(viewer, push.until(2000ms), 1500ms);
    relay(viewer, push.until(3000ms), 2000ms);
    EXPECT_EQ(viewer.received().longest_pause, 1502ms);
    EXPECT_EQ(viewer.received().first_media, 5s) << "waiting for the first is no pause";
    EXPECT_EQ(viewer.received().gaps, 0U) << "late is not lost";
}

TEST(RtmpPushReception, ScriptsAndEmptyTagsAreNoMedia) {
    const SentLog log(our_run);
    Reception viewer(log, began);
    viewer.bytes(began + 3ms);
    viewer.bytes(began + 9ms);
    viewer.tag({.type = FlvTagType::script, .body = Bytes(100, 2)}, began + 3ms);
    viewer.tag({.type = FlvTagType::video}, began + 4ms);
    viewer.tag({.type = FlvTagType::audio}, began + 5ms);
    EXPECT_EQ(viewer.received().first_byte, 3ms);
    EXPECT_FALSE(viewer.received().first_media);
    EXPECT_FALSE(viewer.received().video || viewer.received().audio);
}

TEST(RtmpPushReception, WithoutParameterSetsNoPictureCanBeShown) {
    Push push;
    Reception viewer(push.log, began);
    auto tags = push.until(2500ms);
    const FlvTag header = tags.front();
    ASSERT_TRUE(is_header(header) && is_video(header));
    tags.erase(tags.begin());
    relay(viewer, tags, 10ms);
    EXPECT_EQ(viewer.received().keyframes, 3U);
    EXPECT_EQ(viewer.received().latencies, Latencies(3, 10ms));
    EXPECT_FALSE(viewer.received().first_frame);
    EXPECT_FALSE(viewer.received().video_header);
    EXPECT_FALSE(viewer.complete());

    viewer.tag(header, began + 2550ms);
    EXPECT_FALSE(viewer.received().first_frame) << "the picture to show is still to come";
    relay(viewer, push.until(3500ms), 10ms);
    EXPECT_EQ(viewer.received().first_frame, 3010ms);
    EXPECT_TRUE(viewer.complete());
}

TEST(RtmpPushReception, ParameterSetsMayStandInThePicture) {
    SentLog log(our_run);
    Reception viewer(log, began);
    const auto sps = protocol::avc_sps({640, 360}, 30), pps = protocol::avc_pps();
    const auto idr = protocol::avc_idr({640, 360}, 0);
    const auto picture = [&](const std::vector<Bytes>& nal_units) {
        viewer.tag({.type = FlvTagType::video, .body = protocol::flv_avc_frame(true, nal_units)}, began);
    };
    picture({sps, idr});
    EXPECT_FALSE(viewer.received().first_frame) << "no PPS";
    picture({pps, idr});
    EXPECT_FALSE(viewer.received().first_frame) << "no SPS";
    picture({sps, pps});
    EXPECT_FALSE(viewer.received().first_frame) << "no picture";
    EXPECT_EQ(viewer.received().frames, 2U);
    picture({sps, pps, idr});
    EXPECT_TRUE(viewer.received().first_frame);
    EXPECT_EQ(viewer.received().width, 640U);
    EXPECT_EQ(viewer.received().height, 360U);
}

TEST(RtmpPushReception, HeaderThatCannotBeReadIsNone) {
    const Bytes good = protocol::flv_avc_header(protocol::avc_sps({}, 12), protocol::avc_pps());
    const auto read = [](Bytes body) {
        const SentLog log(our_run);
        Reception viewer(log, began);
        viewer.tag({.type = FlvTagType::video, .body = std::move(body)}, began);
        EXPECT_TRUE(viewer.received().video);
        EXPECT_EQ(viewer.received().frames, 0U);
        return viewer.received().video_header;
    };
    EXPECT_TRUE(read(good));
    for (std::size_t size = 1; size < good.size(); ++size)
        EXPECT_FALSE(read(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)))) << size;
    EXPECT_FALSE(read(protocol::flv_avc_header(Bytes{0x67, 0x42, 0xc0, 0x0c}, protocol::avc_pps())));
    EXPECT_FALSE(read(protocol::flv_avc_header(protocol::avc_pps(), protocol::avc_pps())));
    // The record allows it to hold no PPS (ISO/IEC 14496-15 §5.2.4.1); a decoder needs one.
    const std::size_t before_pps = 5 + 6 + 2 + protocol::avc_sps({}, 12).size();
    Bytes without_pps(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(before_pps));
    without_pps.push_back(0);
    EXPECT_FALSE(read(without_pps));
    Bytes other_version = good;
    other_version[5] = 2;
    EXPECT_FALSE(read(other_version));
}

// Some muxers write lengths of two bytes; the header says so.
TEST(RtmpPushReception, LengthsAreAsTheHeaderStates) {
    SentLog log(our_run);
    Reception viewer(log, began);
    Bytes header = protocol::flv_avc_header(protocol::avc_sps({}, 12), protocol::avc_pps());
    header[9] = static_cast<std::uint8_t>((header[9] & 0xfc) | 1);
    viewer.tag({.type = FlvTagType::video, .body = header}, began);
    Bytes body = protocol::flv_avc_frame(true, std::vector<Bytes>{protocol::avc_idr({}, 0)});
    body.erase(body.begin() + 5, body.begin() + 7);
    viewer.tag({.type = FlvTagType::video, .body = body}, began + 1ms);
    EXPECT_EQ(viewer.received().first_frame, 1ms);
    EXPECT_EQ(viewer.received().keyframes, 1U);
}

TEST(RtmpPushReception, SoundAloneShowsNoPicture) {
    Push push;
    Reception viewer(push.log, began);
    auto tags = push.until(5000ms);
    std::erase_if(tags, is_video);
    relay(viewer, tags, 10ms);
    EXPECT_TRUE(viewer.received().first_media && viewer.received().audio && viewer.received().audio_header);
    EXPECT_FALSE(viewer.received().video || viewer.received().video_header);
    EXPECT_FALSE(viewer.received().first_frame);
    EXPECT_EQ(viewer.received().frames, 0U);
    EXPECT_FALSE(viewer.complete());
}

TEST(RtmpPushReception, PicturesAloneAreComplete) {
    Push push;
    Reception viewer(push.log, began);
    auto tags = push.until(1500ms);
    std::erase_if(tags, [](const FlvTag& tag) { return !is_video(tag); });
    relay(viewer, tags, 10ms);
    EXPECT_FALSE(viewer.received().audio || viewer.received().audio_header);
    EXPECT_TRUE(viewer.complete());
}

TEST(RtmpPushReception, SoundNeedsItsHeaderUnlessItIsNoAac) {
    const auto header_known = [](const Bytes& body) {
        const SentLog log(our_run);
        Reception viewer(log, began);
        viewer.tag({.type = FlvTagType::audio, .body = body}, began);
        EXPECT_TRUE(viewer.received().audio);
        return viewer.received().audio_header;
    };
    EXPECT_TRUE(header_known(protocol::flv_aac_header(protocol::AacChannels::stereo)));
    EXPECT_FALSE(header_known(protocol::flv_aac_frame(Bytes{0x21})));
    EXPECT_FALSE(header_known({0xaf}));
    EXPECT_TRUE(header_known({0x2f, 0xff, 0xfb}));  // MP3
    EXPECT_TRUE(header_known({0x2f}));
}

/// The FLV of HEVC before enhanced RTMP: CodecID 12, as vendors in China agreed on; else AVC's form.
Bytes hevc(bool keyframe, std::uint8_t packet_type) {
    return {static_cast<std::uint8_t>(keyframe ? 0x1c : 0x2c), packet_type, 0, 0, 0, 1, 2, 3};
}
/// VideoTagHeader of enhanced RTMP v1: IsExHeader, FrameType, PacketType, FourCC.
Bytes enhanced(bool keyframe, std::uint8_t packet_type) {
    return {
        static_cast<std::uint8_t>((keyframe ? 0x90 : 0xa0) | packet_type), 'h', 'v', 'c', '1', 0, 0, 0, 1, 2};
}

TEST(RtmpPushReception, OtherVideoIsShownAndMatchedByTime) {
    for (auto* const form : {hevc, enhanced}) {
        Push push(Stamps::none);
        Reception viewer(push.log, began);
        auto tags = push.until(1500ms);
        std::erase_if(tags, [](const FlvTag& tag) { return is_video(tag) && is_header(tag); });
        for (FlvTag& tag : tags)
            if (is_video(tag)) tag.body = form(is_keyframe(tag), 1);
        std::erase_if(tags, [](const FlvTag& tag) { return tag.timestamp >= 1000; });
        relay(viewer, tags, 40ms);
        const Received& seen = viewer.received();
        EXPECT_TRUE(seen.other_codec);
        EXPECT_EQ(seen.first_frame, 40ms);
        EXPECT_EQ(seen.keyframes, 1U);
        EXPECT_EQ(seen.frames, 25U);
        EXPECT_EQ(seen.gaps, 0U);
        EXPECT_EQ(seen.width, 0U);
        EXPECT_FALSE(seen.video_header);
        EXPECT_FALSE(viewer.complete());
        viewer.tag({.type = FlvTagType::video, .timestamp = 1000, .body = form(true, 1)}, began + 1040ms);
        EXPECT_TRUE(viewer.complete());
        EXPECT_EQ(seen.matched, Matched::presentation_time);
        EXPECT_EQ(seen.latencies, Latencies(2, 40ms));
        expect_consistent(seen, began);
    }
}

TEST(RtmpPushReception, HeaderOfOtherVideoIsNoPicture) {
    for (auto* const form : {hevc, enhanced}) {
        const SentLog log(our_run);
        Reception viewer(log, began);
        viewer.tag({.type = FlvTagType::video, .body = form(true, 0)}, began);
        EXPECT_TRUE(viewer.received().video && viewer.received().other_codec);
        EXPECT_FALSE(viewer.received().first_frame) << "only the configuration came";
        EXPECT_EQ(viewer.received().keyframes, 0U);
        EXPECT_EQ(viewer.received().frames, 0U);
    }
}

TEST(RtmpPushReception, SizeAndRateAreThoseReceived) {
    struct Case {
        protocol::AvcSize size;
        unsigned rate;
    };
    for (const auto& [size, rate] : {Case{{320, 180}, 25}, Case{{1280, 720}, 30}, Case{{640, 362}, 60}}) {
        Push push(Stamps::ours, {.size = size, .frames_per_second = rate, .bitrate = 0});
        Reception viewer(push.log, began);
        relay(viewer, push.until(4000ms), 10ms);
        EXPECT_EQ(viewer.received().width, size.width);
        EXPECT_EQ(viewer.received().height, size.height);
        EXPECT_NEAR(viewer.received().frames_per_second, rate, 0.1);
    }
}

TEST(RtmpPushReception, TooFewPicturesHaveNoRate) {
    Push push;
    Reception viewer(push.log, began);
    relay(viewer, push.until(360ms), 10ms);
    EXPECT_EQ(viewer.received().frames, 9U);
    EXPECT_EQ(viewer.received().frames_per_second, 0);
    relay(viewer, push.until(361ms), 10ms);
    EXPECT_EQ(viewer.received().frames, 10U);
    EXPECT_NEAR(viewer.received().frames_per_second, 25, 0.01);
    EXPECT_EQ(after_times(FlvTagType::video, std::vector<std::uint32_t>(20, 7)).frames_per_second, 0);
}

// --- TS units, as HLS brings them

Bytes stamp_sei(Stamps stamps, Clock::time_point sent) {
    return protocol::avc_sei(protocol::stamp_uuid,
                             protocol::write_stamp({.run = stamps == Stamps::ours ? our_run : other_run,
                                                    .sent = sent.time_since_epoch()}));
}

std::uint64_t ticks(milliseconds time) { return static_cast<std::uint64_t>(time.count()) * 90; }

/// The units of `seconds` segments of one second each, 25 pictures and one sound each, as a demuxer gives
/// them.
std::vector<TsUnit> segments(int seconds, Stamps stamps, SentLog& log, milliseconds shifted_by = 0ms,
                             bool parameter_sets = true) {
    TsWriter writer;
    protocol::TsDemux demux;
    std::vector<TsUnit> units;
    for (int second = 0; second < seconds; ++second) {
        writer.tables();
        const milliseconds start = second * 1000ms;
        log.sent(start, began + start);
        for (int i = 0; i < 25; ++i) {
            std::vector<Bytes> nal_units;
            if (i == 0) {
                if (parameter_sets) nal_units = {protocol::avc_sps({}, 12), protocol::avc_pps()};
                if (stamps != Stamps::none) nal_units.push_back(stamp_sei(stamps, began + start));
                nal_units.push_back(protocol::avc_idr({}, static_cast<std::uint32_t>(second % 2)));
            } else {
                nal_units.push_back(protocol::avc_p({}, static_cast<std::uint32_t>(i)));
            }
            writer.video(ticks(start + i * 40ms + shifted_by), nal_units, i == 0);
        }
        writer.audio(ticks(start + shifted_by), protocol::aac_silence(protocol::AacChannels::stereo));
        EXPECT_FALSE(demux.feed(writer.take(), units));
        demux.finish(units);
    }
    return units;
}

TEST(RtmpPushReception, SegmentsAreMeasuredLikeTags) {
    SentLog log(our_run);
    const auto units = segments(3, Stamps::ours, log);
    Reception viewer(log, began + 500ms);
    for (const TsUnit& unit : units) viewer.unit(unit, began + 3200ms);
    const Received& seen = viewer.received();
    EXPECT_EQ(seen.first_media, 2700ms);
    EXPECT_EQ(seen.first_frame, 2700ms);
    EXPECT_EQ(seen.matched, Matched::stamp);
    EXPECT_EQ(seen.latencies, (Latencies{2200ms, 1200ms}));
    EXPECT_EQ(seen.own_stamps, 3U);
    EXPECT_EQ(seen.frames, 75U);
    EXPECT_EQ(seen.gaps, 0U);
    EXPECT_EQ(seen.width, 320U);
    EXPECT_NEAR(seen.frames_per_second, 25, 0.01);
    EXPECT_TRUE(seen.video_header && seen.audio && seen.audio_header);
    EXPECT_TRUE(viewer.complete());
    expect_consistent(seen, began);
}

TEST(RtmpPushReception, SegmentsOfAnEarlierPushAreForeign) {
    SentLog log(our_run);
    const auto units = segments(3, Stamps::of_another, log);
    Reception viewer(log, began);
    for (const TsUnit& unit : units) viewer.unit(unit, began + 3200ms);
    EXPECT_EQ(viewer.received().foreign_stamps, 3U);
    EXPECT_EQ(viewer.received().latencies, Latencies{});
    EXPECT_FALSE(viewer.complete());
}

TEST(RtmpPushReception, TranscodedSegmentsGoByPresentationTime) {
    SentLog log(our_run);
    const auto units = segments(3, Stamps::none, log);
    Reception viewer(log, began);
    for (const TsUnit& unit : units) viewer.unit(unit, began + 3s);
    EXPECT_EQ(viewer.received().matched, Matched::presentation_time);
    EXPECT_EQ(viewer.received().latencies, (Latencies{3s, 2s, 1s}));

    SentLog shifted(our_run);
    const auto moved = segments(3, Stamps::none, shifted, 10h);
    Reception other(shifted, began);
    for (const TsUnit& unit : moved) other.unit(unit, began + 3s);
    EXPECT_EQ(other.received().latencies, Latencies{});
    EXPECT_FALSE(other.complete()) << "later ones may have a time of ours";
}

TEST(RtmpPushReception, SegmentsWithoutParameterSetsShowNothing) {
    SentLog log(our_run);
    const auto units = segments(3, Stamps::ours, log, 0ms, false);
    Reception viewer(log, began);
    for (const TsUnit& unit : units) viewer.unit(unit, began + 3s);
    EXPECT_EQ(viewer.received().keyframes, 3U);
    EXPECT_FALSE(viewer.received().first_frame);
    EXPECT_FALSE(viewer.complete());
}

// The stamp begins at every place of a packet, so that each of its bytes is once the first of the next one.
TEST(RtmpPushReception, StampMaySpanPackets) {
    SentLog log(our_run);
    constexpr std::array<std::uint8_t, 16> other_uuid{1};
    for (std::size_t before = 0; before < 200; ++before) {
        TsWriter writer;
        writer.tables();
        writer.video(0,
                     std::vector<Bytes>{protocol::avc_sps({}, 12), protocol::avc_pps(),
                                        protocol::avc_sei(other_uuid, Bytes(before, 'x')),
                                        stamp_sei(Stamps::ours, began), protocol::avc_idr({}, 0)},
                     true);
        protocol::TsDemux demux;
        std::vector<TsUnit> units;
        ASSERT_FALSE(demux.feed(writer.bytes(), units));
        demux.finish(units);
        Reception viewer(log, began);
        for (const TsUnit& unit : units) viewer.unit(unit, began + 2s);
        ASSERT_EQ(viewer.received().latencies, Latencies{2s}) << before;
        ASSERT_TRUE(viewer.complete());
    }
}

TEST(RtmpPushReception, SegmentsOfHevcAreShownAtTheirRandomAccessPoints) {
    SentLog log(our_run);
    log.sent(0ms, began);
    log.sent(1000ms, began + 1s);
    Reception viewer(log, began);
    const auto picture = [&](milliseconds time, bool random_access) {
        viewer.unit({.type = protocol::TsStream::hevc,
                     .pid = 256,
                     .pts = ticks(time),
                     .random_access = random_access,
                     .data = {0, 0, 1, 0x26, 1}},
                    began + time + 100ms);
    };
    picture(0ms, true);
    picture(40ms, false);
    EXPECT_EQ(viewer.received().first_frame, 100ms);
    EXPECT_FALSE(viewer.complete());
    picture(1000ms, true);
    EXPECT_TRUE(viewer.complete() && viewer.received().other_codec);
    EXPECT_EQ(viewer.received().latencies, Latencies(2, 100ms));
    EXPECT_EQ(viewer.received().frames, 3U);
}

TEST(RtmpPushReception, UnitsOfOtherKindsAreNoMedia) {
    const SentLog log(our_run);
    Reception viewer(log, began);
    viewer.unit({.type = protocol::TsStream::other, .pts = 0, .data = Bytes(50)}, began);
    EXPECT_FALSE(viewer.received().first_media);
    viewer.unit({.type = protocol::TsStream::aac, .pts = 0, .data = Bytes(50)}, began);
    EXPECT_TRUE(viewer.received().first_media);
    EXPECT_FALSE(viewer.complete());
}

TEST(RtmpPushReception, UnitsJumpByTheirDecodingTimes) {
    const SentLog log(our_run);
    Reception viewer(log, began);
    const Bytes picture = protocol::annex_b(std::vector<Bytes>{protocol::avc_p({}, 1)});
    const auto show = [&](milliseconds pts, milliseconds dts) {
        viewer.unit({.type = protocol::TsStream::h264, .pts = ticks(pts), .dts = ticks(dts), .data = picture},
                    began);
    };
    show(1000ms, 900ms);
    show(1300ms, 940ms);
    show(1100ms, 980ms);
    EXPECT_EQ(viewer.received().gaps, 0U) << "only the order of showing goes back";
    show(1300ms, 1300ms);
    EXPECT_EQ(viewer.received().gaps, 1U);
    EXPECT_EQ(viewer.received().longest_gap, 320ms);
}

// Not every PES packet has to carry a time (ISO/IEC 13818-1 §2.7.4: one each 0.7 s is enough).
TEST(RtmpPushReception, UnitWithoutATimeIsNoJump) {
    const SentLog log(our_run);
    Reception viewer(log, began);
    const Bytes picture = protocol::annex_b(std::vector<Bytes>{protocol::avc_p({}, 1)});
    TsUnit unit{.type = protocol::TsStream::h264, .pts = ticks(90s), .data = picture};
    viewer.unit(unit, began);
    unit.pts.reset();
    viewer.unit(unit, began);
    unit.pts = ticks(90s + 80ms);
    viewer.unit(unit, began);
    EXPECT_EQ(viewer.received().frames, 3U);
    EXPECT_EQ(viewer.received().gaps, 0U);
}

// --- what a broken or hostile server sends

TEST(RtmpPushReception, BodiesOfOneByteDoNoHarm) {
    for (const FlvTagType type : {FlvTagType::video, FlvTagType::audio, FlvTagType::script}) {
        const SentLog log(our_run);
        Reception viewer(log, began);
        for (unsigned byte = 0; byte < 256; ++byte)
            viewer.tag({.type = type, .timestamp = byte, .body = {static_cast<std::uint8_t>(byte)}}, began);
        expect_consistent(viewer.received(), began);
    }
}

TEST(RtmpPushReception, PictureCutShortIsNone) {
    Push push;
    const auto tags = push.until(1ms);
    const auto keyframe = std::ranges::find_if(tags, is_keyframe);
    ASSERT_NE(keyframe, tags.end());
    for (std::size_t size = 1; size < keyframe->body.size(); ++size) {
        Reception viewer(push.log, began);
        viewer.tag(tags.front(), began);
        FlvTag cut = *keyframe;
        cut.body.resize(size);
        viewer.tag(cut, began + 1ms);
        expect_consistent(viewer.received(), began);
        // The filler at its end is a NAL unit of its own.
        if (viewer.received().first_frame) {
            EXPECT_EQ(viewer.received().own_stamps, 1U) << size;
        } else {
            EXPECT_EQ(viewer.received().keyframes, 0U) << size;
        }
    }
}

TEST(RtmpPushReception, NumberOfLatenciesHasALimit) {
    for (const Stamps stamps : {Stamps::ours, Stamps::none}) {
        Push push(stamps, {.size = {16, 16}, .frames_per_second = 1, .bitrate = 0});
        Reception viewer(push.log, began);
        for (int second = 1; second <= 700; ++second) relay(viewer, push.until(second * 1000ms), 10ms);
        EXPECT_EQ(viewer.received().keyframes, 700U);
        EXPECT_EQ(viewer.received().latencies.size(), 512U);
    }
}

TEST(RtmpPushReception, RandomBytesDoNoHarm) {
    std::mt19937 random(20260101);
    const auto below = [&random](std::size_t limit) { return random() % limit; };
    Push push;
    const auto tags = push.until(1100ms);
    SentLog unit_log(our_run);
    const auto units = segments(1, Stamps::ours, unit_log);
    const auto spoil = [&](Bytes& bytes) {
        for (auto left = below(4); left > 0 && !bytes.empty(); --left)
            bytes[below(std::min<std::size_t>(bytes.size(), 120))] = static_cast<std::uint8_t>(random());
        if (below(8) == 0) bytes.resize(below(bytes.size() + 1));
        if (below(16) == 0) std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(random()); });
    };
    for (int round = 0; round < 400; ++round) {
        Reception viewer(push.log, began);
        auto at = began + 10s;
        for (int i = 0; i < 60; ++i) {
            at += milliseconds(below(50));
            if (below(3) == 0) {
                TsUnit unit = units[below(units.size())];
                spoil(unit.data);
                if (below(8) == 0) unit.pts = (std::uint64_t{random()} << 1) & 0x1ffffffffU;
                if (below(8) == 0) unit.dts = (1ULL << 33) - 1;
                if (below(8) == 0) unit.pts.reset();
                if (below(8) == 0) unit.type = static_cast<protocol::TsStream>(below(4));
                unit.random_access = below(2) == 0;
                viewer.unit(unit, at);
            } else {
                // Headers and keyframes are few, and what follows depends on them.
                FlvTag tag = tags[below(2) == 0 ? below(5) : below(tags.size())];
                spoil(tag.body);
                if (below(8) == 0) tag.timestamp = static_cast<std::uint32_t>(random());
                if (below(8) == 0) tag.type = below(2) == 0 ? FlvTagType::audio : FlvTagType::video;
                viewer.tag(tag, at);
            }
            viewer.complete();
        }
        expect_consistent(viewer.received(), began);
        if (HasFailure()) FAIL() << "round " << round;
    }
}

}  // namespace
}  // namespace livecanary::rtmp_push
