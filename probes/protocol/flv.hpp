#pragma once
// FLV: the bodies that RTMP carries too, the framing of a file, and a bounded reader of it.
//
// Source: Adobe Flash Video File Format Specification 10.1, annex E.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "probes/core/reason.hpp"
#include "probes/protocol/aac.hpp"

namespace livecanary::protocol {

/// The values are those of the TagType field, which are also RTMP's message types.
enum class FlvTagType : std::uint8_t { audio = 8, video = 9, script = 18 };

/// One tag without its framing.
struct FlvTag {
    FlvTagType type = FlvTagType::script;
    std::uint32_t timestamp = 0;  ///< decoding time, milliseconds, modulo 2^32
    std::vector<std::uint8_t> body{};

    bool operator==(const FlvTag&) const = default;
};

/// VIDEODATA with an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.2.4.1) of these two NAL units.
std::vector<std::uint8_t> flv_avc_header(std::span<const std::uint8_t> sps,
                                         std::span<const std::uint8_t> pps);
/// VIDEODATA with the NAL units of one picture, each behind a length of 4 bytes. `composition_time` is
/// presentation minus decoding time in milliseconds, within 24 bits signed; 0 without B pictures.
std::vector<std::uint8_t> flv_avc_frame(bool keyframe, std::span<const std::vector<std::uint8_t>> nal_units,
                                        std::int32_t composition_time = 0);
/// AUDIODATA with an AudioSpecificConfig.
std::vector<std::uint8_t> flv_aac_header(AacChannels channels);
/// AUDIODATA with one raw frame.
std::vector<std::uint8_t> flv_aac_frame(std::span<const std::uint8_t> raw);

/// What a file or an HTTP-FLV response begins with: the header and PreviousTagSize0.
std::vector<std::uint8_t> flv_file_header(bool audio, bool video);
/// A tag with its framing: 11 bytes, the body, and its PreviousTagSize. The body is below 2^24 bytes.
std::vector<std::uint8_t> flv_tag(const FlvTag& tag);

enum class FlvError {
    not_flv = 1,  ///< does not begin with "FLV", version 1
    bad_header,   ///< header size outside 9 to 1024
    unknown_tag,  ///< not audio, video or script: the framing is lost, or the tag is encrypted
    too_long,     ///< a body longer than the limit
};
error_code make_error_code(FlvError error) noexcept;

/// Reads an FLV stream from bytes fed in pieces of any size. Holds at most one tag.
///
///     header → (tag header → body → previous size)* ; an error is final
class FlvReader {
public:
    /// `max_body`: longest tag body accepted, in bytes.
    explicit FlvReader(std::size_t max_body = 4 * 1024 * 1024) noexcept : max_body_(max_body) {}

    /// Appends each tag that `bytes` complete to `tags`, also those before an error. After an error the
    /// same error again.
    error_code feed(std::span<const std::uint8_t> bytes, std::vector<FlvTag>& tags);

    /// Tags after which the stated PreviousTagSize was wrong. Players ignore it; so it is a note, not an
    /// error.
    std::uint64_t wrong_previous_sizes() const noexcept { return wrong_previous_sizes_; }

private:
    enum class State { header, skip, tag_header, body, previous_size };
    error_code advance(std::vector<FlvTag>& tags);

    std::size_t max_body_;
    State state_ = State::header;
    std::size_t wanted_ = 9;  // bytes that complete the current state
    std::vector<std::uint8_t> buffer_;
    FlvTag tag_;
    std::uint32_t last_tag_size_ = 0;  // bytes, framing included
    std::uint64_t wrong_previous_sizes_ = 0;
    error_code error_;
};

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::FlvError> : std::true_type {};
