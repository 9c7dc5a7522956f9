#pragma once
// What our test publisher sends: a grey picture and silence, the same bytes in every run.
//
// A pull source: it knows when each frame is due, the caller has the clock. Made so that a vendor's
// push-quality check finds nothing: codec headers first, timestamps from 0 without gap, a keyframe each
// second.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "probes/protocol/aac.hpp"
#include "probes/protocol/avc.hpp"
#include "probes/protocol/flv.hpp"

namespace livecanary::protocol {

struct TestStreamOptions {
    AvcSize size{};
    unsigned frames_per_second = 25;  ///< 1 to 120
    AacChannels channels = AacChannels::stereo;
    /// All bodies together, bit/s, reached by filler NAL units; 0 sends no filler (about 21 kb/s). The
    /// default lets a window of 10000 bytes pass in 0.4 s, so that a server's acknowledgements come that
    /// often.
    std::uint32_t bitrate = 200'000;
};

/// One field of onMetaData, in the three types that servers expect there.
struct MetadataField {
    std::string name{};
    std::variant<double, bool, std::string> value;
};
using Metadata = std::vector<MetadataField>;

/// Opens the SEI that carries a stamp, and tells it from others'. Drawn at random once, for this purpose.
inline constexpr std::array<std::uint8_t, 16> stamp_uuid{0xd7, 0x15, 0x0b, 0xac, 0x54, 0xbb, 0x42, 0x89,
                                                         0x8a, 0xcd, 0x3e, 0x78, 0x8e, 0x6f, 0x9b, 0x03};

/// An RTMP message or FLV tag to send once `timestamp` milliseconds of stream time have passed.
struct Frame {
    FlvTagType type = FlvTagType::video;  ///< audio or video
    std::uint32_t timestamp = 0;          ///< milliseconds
    std::vector<std::uint8_t> body{};
    bool keyframe = false;  ///< an IDR picture
};

/// Order: video header, audio header (both at 0), then pictures and sound by time, the picture first when
/// equal. It never ends; timestamps wrap after 2^32 ms.
class TestStream {
public:
    /// Throws std::invalid_argument if an option is out of its range.
    explicit TestStream(TestStreamOptions options = {});

    /// The fields of onMetaData, in OBS's order.
    Metadata metadata() const;

    /// Due time of what next() will return, in milliseconds from the start of the stream; does not wrap.
    std::uint64_t next_timestamp() const noexcept;
    /// Whether next() will return an IDR picture: the place for a stamp.
    bool next_is_keyframe() const noexcept;

    /// The next frame. A `stamp` that is not empty goes into an SEI after stamp_uuid, before the picture; it
    /// is ignored unless next_is_keyframe().
    Frame next(std::span<const std::uint8_t> stamp = {});

private:
    bool video_is_next() const noexcept;
    std::uint64_t video_timestamp() const noexcept { return pictures_ * 1000 / options_.frames_per_second; }
    Frame picture(std::span<const std::uint8_t> stamp);
    Frame sound();

    TestStreamOptions options_;
    std::vector<std::uint8_t> video_header_;
    unsigned headers_sent_ = 0;
    std::uint64_t pictures_ = 0;    // handed out
    std::uint64_t sounds_ = 0;      // handed out
    std::uint64_t bytes_sent_ = 0;  // bodies after the headers
};

}  // namespace livecanary::protocol
