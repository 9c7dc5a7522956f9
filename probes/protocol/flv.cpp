#include "probes/protocol/flv.hpp"

#include <algorithm>

#include "probes/core/error_table.hpp"

namespace livecanary::protocol {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t header_size = 9, tag_header_size = 11, previous_size_size = 4, max_header_size = 1024;
constexpr std::uint8_t avc = 7, aac_44khz_16bit_stereo = 0xaf;  // of AAC these bits never change (§E.4.2.1)
constexpr std::uint8_t sequence_header = 0, coded_data = 1;

void put(Bytes& out, std::uint32_t value, unsigned size) {
    while (size > 0) out.push_back(static_cast<std::uint8_t>(value >> (8 * --size)));
}

void put(Bytes& out, std::span<const std::uint8_t> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

std::uint32_t get(std::span<const std::uint8_t> bytes) {
    std::uint32_t value = 0;
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    return value;
}

Bytes video_body(bool keyframe, std::uint8_t packet_type, std::int32_t composition_time) {
    Bytes body{static_cast<std::uint8_t>((keyframe ? 0x10 : 0x20) | avc), packet_type};
    put(body, static_cast<std::uint32_t>(composition_time), 3);
    return body;
}

}  // namespace

std::vector<std::uint8_t> flv_avc_header(std::span<const std::uint8_t> sps,
                                         std::span<const std::uint8_t> pps) {
    Bytes body = video_body(true, sequence_header, 0);
    body.push_back(1);             // configurationVersion
    put(body, sps.subspan(1, 3));  // profile, compatibility and level stand in the SPS just so
    body.push_back(0xff);          // lengthSizeMinusOne: lengths of 4 bytes
    body.push_back(0xe1);          // one SPS
    put(body, static_cast<std::uint32_t>(sps.size()), 2);
    put(body, sps);
    body.push_back(1);  // one PPS
    put(body, static_cast<std::uint32_t>(pps.size()), 2);
    put(body, pps);
    return body;
}

std::vector<std::uint8_t> flv_avc_frame(bool keyframe, std::span<const std::vector<std::uint8_t>> nal_units,
                                        std::int32_t composition_time) {
    Bytes body = video_body(keyframe, coded_data, composition_time);
    for (const auto& nal : nal_units) {
        put(body, static_cast<std::uint32_t>(nal.size()), 4);
        put(body, nal);
    }
    return body;
}

std::vector<std::uint8_t> flv_aac_header(AacChannels channels) {
    Bytes body{aac_44khz_16bit_stereo, sequence_header};
    put(body, aac_config(channels));
    return body;
}

std::vector<std::uint8_t> flv_aac_frame(std::span<const std::uint8_t> raw) {
    Bytes body{aac_44khz_16bit_stereo, coded_data};
    put(body, raw);
    return body;
}

std::vector<std::uint8_t> flv_file_header(bool audio, bool video) {
    Bytes out{'F', 'L', 'V', 1, static_cast<std::uint8_t>((audio ? 4 : 0) | (video ? 1 : 0))};
    put(out, header_size, 4);
    put(out, 0, previous_size_size);
    return out;
}

std::vector<std::uint8_t> flv_tag(const FlvTag& tag) {
    Bytes out{static_cast<std::uint8_t>(tag.type)};
    const auto size = static_cast<std::uint32_t>(tag.body.size());
    put(out, size, 3);
    put(out, tag.timestamp, 3);
    put(out, tag.timestamp >> 24, 1);  // TimestampExtended: the upper byte stands last
    put(out, 0, 3);                    // StreamID
    put(out, tag.body);
    put(out, size + tag_header_size, 4);
    return out;
}

error_code make_error_code(FlvError error) noexcept {
    using enum FlvError;
    static const ErrorTable<FlvError> table{
        "livecanary.flv",
        {{not_flv, "not an FLV stream of version 1", Reason::protocol},
         {bad_header, "the FLV header states an impossible size", Reason::protocol},
         {unknown_tag, "an FLV tag is neither audio nor video nor script, or is encrypted", Reason::protocol},
         {too_long, "an FLV tag is longer than the limit", Reason::protocol}}};
    return {static_cast<int>(error), table};
}

error_code FlvReader::feed(std::span<const std::uint8_t> bytes, std::vector<FlvTag>& tags) {
    while (!error_) {
        const auto size = std::min(wanted_ - buffer_.size(), bytes.size());
        buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        bytes = bytes.subspan(size);
        if (buffer_.size() < wanted_) break;
        error_ = advance(tags);
    }
    return error_;
}

// The buffer holds the `wanted_` bytes of the state: take them and say what comes next.
error_code FlvReader::advance(std::vector<FlvTag>& tags) {
    const std::span<const std::uint8_t> bytes(buffer_);
    switch (state_) {
        case State::header: {
            if (get(bytes.first(4)) != 0x464c5601) return FlvError::not_flv;
            const std::uint32_t size = get(bytes.subspan(5, 4));
            if (size < header_size || size > max_header_size) return FlvError::bad_header;
            // What a longer header holds is unknown, and PreviousTagSize0 is of no use.
            wanted_ = size - header_size + previous_size_size;
            state_ = State::skip;
            break;
        }
        case State::tag_header: {
            const std::uint32_t size = get(bytes.subspan(1, 3));
            if (bytes[0] != 8 && bytes[0] != 9 && bytes[0] != 18) return FlvError::unknown_tag;
            if (size > max_body_) return FlvError::too_long;
            tag_.type = static_cast<FlvTagType>(bytes[0]);
            tag_.timestamp = get(bytes.subspan(4, 3)) | std::uint32_t{bytes[7]} << 24;
            last_tag_size_ = size + tag_header_size;
            wanted_ = size;
            state_ = State::body;
            break;
        }
        case State::body:
            tag_.body = std::move(buffer_);
            tags.push_back(std::move(tag_));
            wanted_ = previous_size_size;
            state_ = State::previous_size;
            break;
        case State::previous_size:
            if (get(bytes) != last_tag_size_) ++wrong_previous_sizes_;
            [[fallthrough]];
        case State::skip:
            wanted_ = tag_header_size;
            state_ = State::tag_header;
            break;
    }
    buffer_.clear();
    return {};
}

}  // namespace livecanary::protocol
