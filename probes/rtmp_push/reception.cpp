#include "probes/rtmp_push/reception.hpp"

#include <algorithm>
#include <utility>

#include "probes/protocol/stamp.hpp"
#include "probes/protocol/test_stream.hpp"

namespace livecanary::rtmp_push {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// Two minutes of keyframes, one a second: nothing that a viewer measures is older.
constexpr std::size_t most_keyframes = 120;
/// A picture this long after the last keyframe was never sent by us.
constexpr milliseconds longest_group{2000};
/// Steps of decoding time above this are holes: pictures come each 40 ms, sound each 23 ms.
constexpr milliseconds longest_step{200};
/// A stamp that a transcoder took away is missing in every keyframe; one keyframe may be cut off.
constexpr std::uint64_t keyframes_to_tell = 2;
/// What is cached of a transcoded stream holds some that were sent before we asked; without a time of ours in
/// so many, there is none.
constexpr std::uint64_t keyframes_to_give_up = 6;
constexpr std::size_t most_latencies = 512;
/// Fewer pictures give no rate.
constexpr std::uint64_t frames_for_rate = 10;

// FLV, annex E.4.3.1 and E.4.2.1.
constexpr unsigned avc_codec = 7, aac_format = 10;
constexpr unsigned old_hevc_codec = 12;
constexpr std::uint8_t extended_header = 0x80, coded_frames = 1, coded_frames_x = 3;  // enhanced RTMP v2
constexpr std::uint8_t sequence_header = 0, nal_units = 1;

milliseconds of_ticks(std::uint64_t ticks) { return milliseconds(static_cast<std::int64_t>(ticks / 90)); }

std::int32_t composition_time(std::span<const std::uint8_t> body) {
    const auto raw = static_cast<std::int32_t>((body[2] << 16) | (body[3] << 8) | body[4]);
    return raw >= 0x800000 ? raw - 0x1000000 : raw;
}

/// Whether a tag of video that is not H.264 carries a picture, and not a header or the end of a sequence.
bool carries_picture(std::span<const std::uint8_t> body) {
    const bool extended = (body[0] & extended_header) != 0;
    if (extended) return (body[0] & 0x0F) == coded_frames || (body[0] & 0x0F) == coded_frames_x;
    // HEVC, as older Chinese servers carry it, is laid out as AVC is; other codecs have no headers of their
    // own.
    return (body[0] & 0x0F) != old_hevc_codec || (body.size() > 1 && body[1] == nal_units);
}

}  // namespace

void SentLog::sent(milliseconds timestamp, Clock::time_point at) {
    keyframes_.push_back({timestamp, at});
    if (keyframes_.size() > most_keyframes) keyframes_.pop_front();
}

std::optional<Clock::time_point> SentLog::when(milliseconds timestamp) const {
    const auto after = std::ranges::upper_bound(keyframes_, timestamp, {}, &Keyframe::timestamp);
    if (after == keyframes_.begin()) return std::nullopt;
    const Keyframe& keyframe = *std::prev(after);
    const auto since = timestamp - keyframe.timestamp;
    if (since > longest_group) return std::nullopt;
    return keyframe.at + since;
}

bool Reception::complete() const noexcept {
    if (!received_.first_frame) return false;
    if (!received_.latencies.empty() && received_.matched == Matched::stamp) return true;
    if (received_.own_stamps + received_.foreign_stamps > 0) return false;
    return received_.keyframes >= (by_time_.empty() ? keyframes_to_give_up : keyframes_to_tell);
}

void Reception::bytes(Clock::time_point at) {
    if (!received_.first_byte) received_.first_byte = at - asked_;
}

bool Reception::ours(const protocol::AccessUnit& picture) {
    const auto stamp =
        picture.idr && picture.user_data ? protocol::read_stamp(*picture.user_data) : std::nullopt;
    if (!stamp) return !foreign_;
    const bool was_foreign = std::exchange(foreign_, stamp->run != log_->run());
    if (foreign_) ++received_.foreign_stamps;
    // What came before was cached of an earlier push, on a timeline of its own.
    if (was_foreign && !foreign_) video_track_ = audio_track_ = {};
    return !foreign_;
}

void Reception::media(Clock::time_point at) {
    if (!received_.first_media)
        received_.first_media = at - asked_;
    else
        received_.longest_pause = std::max(received_.longest_pause, at - received_.last_media);
    received_.last_media = at;
}

void Reception::step(Track& track, milliseconds time) {
    if (!track.first) track.first = time;
    if (track.last) {
        const auto step = time - *track.last;
        if (step > longest_step || step < 0ms) {
            ++received_.gaps;
            received_.longest_gap = std::max(received_.longest_gap, std::max(step, -step));
        }
    }
    track.last = time;
}

void Reception::shown(Clock::time_point at) {
    if (!received_.first_frame) received_.first_frame = at - asked_;
}

void Reception::keyframe(std::optional<milliseconds> presentation, const std::vector<std::uint8_t>* user_data,
                         Clock::time_point at) {
    ++received_.keyframes;
    if (const auto sent = presentation ? log_->when(*presentation) : std::nullopt;
        sent && *sent >= asked_ && *sent <= at && by_time_.size() < most_latencies)
        by_time_.push_back(at - *sent);
    const auto stamp = user_data != nullptr ? protocol::read_stamp(*user_data) : std::nullopt;
    if (stamp) {
        ++received_.own_stamps;
        const Clock::time_point sent{std::chrono::duration_cast<Clock::duration>(stamp->sent)};
        if (sent >= asked_ && sent <= at && received_.latencies.size() < most_latencies) {
            if (received_.matched != Matched::stamp) received_.latencies.clear();
            received_.matched = Matched::stamp;
            received_.latencies.push_back(at - sent);
        }
    }
    // Without any stamp in keyframes that are whole, something has written them anew.
    if (received_.own_stamps + received_.foreign_stamps == 0 && received_.keyframes >= keyframes_to_tell &&
        !by_time_.empty()) {
        received_.matched = Matched::presentation_time;
        received_.latencies = by_time_;
    }
}

void Reception::picture(const protocol::AccessUnit& picture, std::optional<milliseconds> presentation,
                        Clock::time_point at) {
    if (picture.sps) {
        received_.width = picture.sps->width;
        received_.height = picture.sps->height;
    }
    if (picture.sps && picture.pps) received_.video_header = true;
    if (!picture.slice) return;
    ++received_.frames;
    if (received_.frames >= frames_for_rate && video_track_.last > video_track_.first)
        received_.frames_per_second =
            static_cast<double>(received_.frames - 1) /
            std::chrono::duration<double>(*video_track_.last - *video_track_.first).count();
    if (!picture.idr) return;
    if (received_.video_header) shown(at);
    keyframe(presentation, picture.user_data ? &*picture.user_data : nullptr, at);
}

void Reception::video_tag(const protocol::FlvTag& tag, Clock::time_point at) {
    const auto& body = tag.body;
    received_.video = true;
    const milliseconds time{tag.timestamp};
    if ((body[0] & extended_header) != 0 || (body[0] & 0x0F) != avc_codec) {
        received_.other_codec = true;
        if (!carries_picture(body)) return;
        ++received_.frames;
        step(video_track_, time);
        const bool key = ((body[0] >> 4) & 0x07) == 1;
        if (!key) return;
        shown(at);
        keyframe(time, nullptr, at);
        return;
    }
    if (body.size() < 5) return;
    const std::span payload = std::span(body).subspan(5);
    if (body[1] == sequence_header) {
        const auto config = protocol::parse_avc_config(payload);
        if (!config || config->sps.empty() || config->pps.empty()) return;
        length_size_ = config->length_size;
        if (const auto sps = protocol::parse_sps(config->sps.front())) {
            received_.width = sps->width;
            received_.height = sps->height;
            received_.video_header = true;
        }
    } else if (body[1] == nal_units) {
        const auto units = protocol::split_avcc(payload, length_size_);
        if (!units) return;
        const auto whole = protocol::summarize(*units, protocol::stamp_uuid);
        if (!ours(whole)) return;
        step(video_track_, time);
        picture(whole, time + milliseconds(composition_time(body)), at);
    }
}

void Reception::tag(const protocol::FlvTag& tag, Clock::time_point at) {
    if (tag.type == protocol::FlvTagType::script || tag.body.empty()) return;
    media(at);
    if (tag.type == protocol::FlvTagType::video) {
        video_tag(tag, at);
        return;
    }
    received_.audio = true;
    const bool aac = tag.body[0] >> 4 == aac_format;
    if (!aac || (tag.body.size() > 1 && tag.body[1] == sequence_header)) received_.audio_header = true;
    if (!foreign_ && (!aac || (tag.body.size() > 1 && tag.body[1] != sequence_header)))
        step(audio_track_, milliseconds(tag.timestamp));
}

void Reception::unit(const protocol::TsUnit& unit, Clock::time_point at) {
    using Type = protocol::TsStream;
    if (unit.type == Type::other) return;
    media(at);
    const auto presentation = unit.pts ? std::optional(of_ticks(*unit.pts)) : std::nullopt;
    if (unit.type == Type::aac) {
        received_.audio = received_.audio_header = true;  // ADTS repeats it before each frame
        // One unit holds many frames, so its steps say nothing.
        return;
    }
    received_.video = true;
    const auto stepped = [&] {
        if (unit.pts) step(video_track_, unit.dts ? of_ticks(*unit.dts) : *presentation);
    };
    if (unit.type != Type::h264) {
        stepped();
        received_.other_codec = true;
        ++received_.frames;
        if (!unit.random_access) return;
        shown(at);
        keyframe(presentation, nullptr, at);
        return;
    }
    const auto units = protocol::split_annex_b(unit.data);
    const auto whole = protocol::summarize(units, protocol::stamp_uuid);
    if (!ours(whole)) return;
    stepped();
    picture(whole, presentation, at);
}

}  // namespace livecanary::rtmp_push
