#pragma once
// What a viewer gets of the pushed stream: tags or TS units in, measurements out. Pure: the times are handed
// in.
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "probes/core/run.hpp"
#include "probes/protocol/flv.hpp"
#include "probes/protocol/h264.hpp"
#include "probes/protocol/mpeg_ts.hpp"

namespace livecanary::rtmp_push {

/// When the keyframes of a push went out. What the push writes, its viewers read.
class SentLog {
public:
    /// `run`: what the stamps of this push carry.
    explicit SentLog(std::uint64_t run) noexcept : run_(run) {}

    std::uint64_t run() const noexcept { return run_; }
    /// A keyframe of this timestamp was handed to the connection at `at`.
    void sent(std::chrono::milliseconds timestamp, Clock::time_point at);
    /// When the picture of that timestamp went out. Between keyframes the pace is real time; nothing for
    /// times before the first or too far after the last one.
    std::optional<Clock::time_point> when(std::chrono::milliseconds timestamp) const;

private:
    struct Keyframe {
        std::chrono::milliseconds timestamp;
        Clock::time_point at;
    };
    std::uint64_t run_;
    std::deque<Keyframe> keyframes_;
};

/// By what a received picture was known to be one that was sent.
enum class Matched {
    nothing,            ///< no picture was
    stamp,              ///< the SEI with run id and time
    presentation_time,  ///< the same timestamp: right if what transcodes keeps the timeline
};

/// What one viewer has received so far.
struct Received {
    // Since the viewer asked for the stream; absent until it came.
    std::optional<Clock::duration> first_byte{}, first_media{}, first_frame{};
    Clock::time_point last_media{};
    bool video = false, audio = false;
    bool video_header = false;            ///< sequence and picture parameter sets
    bool audio_header = false;            ///< AudioSpecificConfig, or a format that needs none
    bool other_codec = false;             ///< the video is not H.264: nobody here can look into it
    std::uint32_t width = 0, height = 0;  ///< luma samples; 0 if unknown
    double frames_per_second = 0;         ///< over all pictures; 0 with fewer than 10
    std::uint64_t frames = 0, keyframes = 0;
    std::uint64_t own_stamps = 0;              ///< of this push, cached pictures included
    std::uint64_t foreign_stamps = 0;          ///< of another push
    std::uint64_t gaps = 0;                    ///< timestamps that jump, of video or audio
    std::chrono::milliseconds longest_gap{0};  ///< of timestamps
    Clock::duration longest_pause{};           ///< between two arrivals of media
    Matched matched = Matched::nothing;        ///< what `latencies` rest on
    std::vector<Clock::duration> latencies{};  ///< one per keyframe that was sent after the viewer asked
};

/// Decodes nothing and keeps no picture: it looks at headers, keyframes and times.
class Reception {
public:
    /// `asked`: when the viewer asked for the stream. Pictures that were sent before then come from a cache
    /// and say nothing about latency. `log` must outlive it.
    Reception(const SentLog& log, Clock::time_point asked) noexcept : log_(&log), asked_(asked) {}

    void bytes(Clock::time_point at);
    void tag(const protocol::FlvTag& tag, Clock::time_point at);
    void unit(const protocol::TsUnit& unit, Clock::time_point at);

    const Received& received() const noexcept { return received_; }
    /// A picture can be shown, and it is known how old pictures are or that this cannot be known.
    bool complete() const noexcept;

private:
    /// The decoding times of one of the two tracks.
    struct Track {
        std::optional<std::chrono::milliseconds> first{}, last{};
    };
    /// Notes whose pictures come from now on, if the picture says so. False while they are another push's.
    bool ours(const protocol::AccessUnit& picture);
    void media(Clock::time_point at);
    void step(Track& track, std::chrono::milliseconds time);
    void picture(const protocol::AccessUnit& picture, std::optional<std::chrono::milliseconds> presentation,
                 Clock::time_point at);
    void keyframe(std::optional<std::chrono::milliseconds> presentation,
                  const std::vector<std::uint8_t>* user_data, Clock::time_point at);
    void shown(Clock::time_point at);
    void video_tag(const protocol::FlvTag& tag, Clock::time_point at);

    const SentLog* log_;
    Clock::time_point asked_;
    Received received_;
    unsigned length_size_ = 4;  // bytes before each NAL unit of an FLV tag
    Track video_track_, audio_track_;
    bool foreign_ = false;                  // since the last keyframe with a stamp
    std::vector<Clock::duration> by_time_;  // latencies by presentation time, in case no stamp comes
};

}  // namespace livecanary::rtmp_push
