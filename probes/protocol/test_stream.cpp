#include "probes/protocol/test_stream.hpp"

#include <stdexcept>

namespace livecanary::protocol {
namespace {

constexpr std::size_t length_size = 4, smallest_filler = 2;  // bytes

double audio_bitrate(AacChannels channels) {
    const auto frame_bits = static_cast<double>(8 * flv_aac_frame(aac_silence(channels)).size());
    return frame_bits * aac_sample_rate / aac_frame_samples;
}

}  // namespace

TestStream::TestStream(TestStreamOptions options) : options_(options) {
    if (options_.frames_per_second < 1 || options_.frames_per_second > 120)
        throw std::invalid_argument("frames per second must be 1 to 120");
    video_header_ = flv_avc_header(
        avc_sps(options_.size, avc_level(options_.size, options_.frames_per_second, options_.bitrate)),
        avc_pps());
}

Metadata TestStream::metadata() const {
    const double audio = audio_bitrate(options_.channels);
    const double video = options_.bitrate > audio ? options_.bitrate - audio : 0;
    return {{"duration", 0.0},
            {"width", static_cast<double>(options_.size.width)},
            {"height", static_cast<double>(options_.size.height)},
            {"videocodecid", 7.0},
            {"videodatarate", video / 1000},
            {"framerate", static_cast<double>(options_.frames_per_second)},
            {"audiocodecid", 10.0},
            {"audiodatarate", audio / 1000},
            {"audiosamplerate", static_cast<double>(aac_sample_rate)},
            {"audiosamplesize", 16.0},
            {"stereo", options_.channels == AacChannels::stereo},
            {"encoder", std::string("livecanary")}};
}

std::uint64_t TestStream::next_timestamp() const noexcept {
    if (headers_sent_ < 2) return 0;
    return video_is_next() ? video_timestamp() : aac_timestamp(sounds_);
}

bool TestStream::next_is_keyframe() const noexcept {
    return headers_sent_ == 2 && video_is_next() && pictures_ % options_.frames_per_second == 0;
}

bool TestStream::video_is_next() const noexcept { return video_timestamp() <= aac_timestamp(sounds_); }

Frame TestStream::next(std::span<const std::uint8_t> stamp) {
    switch (headers_sent_) {
        case 0:
            ++headers_sent_;
            return {.type = FlvTagType::video, .timestamp = 0, .body = video_header_};
        case 1:
            ++headers_sent_;
            return {.type = FlvTagType::audio, .timestamp = 0, .body = flv_aac_header(options_.channels)};
        default:
            return video_is_next() ? picture(stamp) : sound();
    }
}

Frame TestStream::picture(std::span<const std::uint8_t> stamp) {
    const std::uint64_t since_keyframe = pictures_ % options_.frames_per_second;
    const bool keyframe = since_keyframe == 0;
    std::vector<std::vector<std::uint8_t>> nal_units;
    if (keyframe) {
        if (!stamp.empty()) nal_units.push_back(avc_sei(stamp_uuid, stamp));
        const std::uint64_t keyframes = pictures_ / options_.frames_per_second;
        nal_units.push_back(avc_idr(options_.size, keyframes % 2));
    } else {
        nal_units.push_back(avc_p(options_.size, static_cast<std::uint32_t>(since_keyframe)));
    }

    Frame frame{.type = FlvTagType::video,
                .timestamp = static_cast<std::uint32_t>(video_timestamp()),
                .body = flv_avc_frame(keyframe, nal_units),
                .keyframe = keyframe};
    ++pictures_;
    // What the stream owes by the end of this picture; counting from the start keeps rounding from adding up.
    const std::uint64_t due = pictures_ * options_.bitrate / 8 / options_.frames_per_second;
    const std::uint64_t sent = bytes_sent_ + frame.body.size();
    if (due >= sent + length_size + smallest_filler) {
        nal_units.push_back(avc_filler(due - sent - length_size));
        frame.body = flv_avc_frame(keyframe, nal_units);
    }
    bytes_sent_ += frame.body.size();
    return frame;
}

Frame TestStream::sound() {
    Frame frame{.type = FlvTagType::audio,
                .timestamp = static_cast<std::uint32_t>(aac_timestamp(sounds_)),
                .body = flv_aac_frame(aac_silence(options_.channels))};
    ++sounds_;
    bytes_sent_ += frame.body.size();
    return frame;
}

}  // namespace livecanary::protocol
