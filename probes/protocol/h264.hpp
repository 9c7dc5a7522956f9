#pragma once
// Reading H.264 as far as a player that measures needs it: NAL units, picture size, our stamp in an SEI.
//
// Section numbers without a name are those of ITU-T H.264 (08/2021). Spans point into the bytes given.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "probes/core/reason.hpp"

namespace livecanary::protocol {

/// nal_unit_type (table 7-1): those we look at.
enum class NalType : std::uint8_t {
    slice = 1,   ///< of a picture that is not IDR
    idr = 5,     ///< a slice of an IDR picture
    sei = 6,     ///< supplemental enhancement information
    sps = 7,     ///< sequence parameter set
    pps = 8,     ///< picture parameter set
    aud = 9,     ///< access unit delimiter
    filler = 12  ///< bytes that only load the link
};

/// The type of a NAL unit that is not empty; it may be one without an enumerator.
inline NalType nal_type(std::span<const std::uint8_t> nal) noexcept {
    return static_cast<NalType>(nal.front() & 0x1f);
}

/// Most NAL units we take from one access unit. Encoders make tens of slices at most; the rest is room for
/// filler in small pieces.
inline constexpr std::size_t max_nal_units = 1024;

enum class H264Error {
    truncated = 1,      ///< the bytes end before a field, or before a NAL unit of the stated length
    too_many,           ///< more than max_nal_units
    unknown_version,    ///< an AVCDecoderConfigurationRecord of a version other than 1
    bad_length_size,    ///< NAL unit lengths of other than 1, 2 or 4 bytes
    not_sps,            ///< a NAL unit of another type where a sequence parameter set was expected
    bad_parameter_set,  ///< a field outside the range that its section allows
};
error_code make_error_code(H264Error error) noexcept;

/// The NAL units of a byte stream (annex B), with start codes of three or four bytes, without start codes
/// and trailing zeros. Skips what stands before the first start code and NAL units without a byte. Ends
/// after max_nal_units.
std::vector<std::span<const std::uint8_t>> split_annex_b(std::span<const std::uint8_t> bytes);

/// The NAL units of a sample (ISO/IEC 14496-15 §5.2.3), each behind a length of `length_size` (1, 2 or 4)
/// bytes. Skips those of length 0, which some encoders send. Errors: truncated, too_many, bad_length_size.
result<std::vector<std::span<const std::uint8_t>>> split_avcc(std::span<const std::uint8_t> bytes,
                                                              unsigned length_size);

/// What stands in an AVCDecoderConfigurationRecord, of which FLV makes its AVC sequence header.
struct AvcConfig {
    unsigned length_size = 4;  ///< bytes before each NAL unit: 1, 2 or 4
    /// NAL units with their header, up to 31 and 255. Either may be missing: the record allows it.
    std::vector<std::vector<std::uint8_t>> sps{};
    std::vector<std::vector<std::uint8_t>> pps{};

    bool operator==(const AvcConfig&) const = default;
};

/// Reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.2.4.1). The fields that high profiles add
/// behind the parameter sets repeat what the SPS says and are not read. Errors: truncated,
/// unknown_version, bad_length_size.
result<AvcConfig> parse_avc_config(std::span<const std::uint8_t> record);

/// What a sequence parameter set says (§7.3.2.1.1).
struct SpsInfo {
    std::uint8_t profile_idc = 0;  ///< annex A: 66 baseline, 77 main, 100 high, …
    std::uint8_t level_idc = 0;    ///< ten times the level
    std::uint32_t width = 0;       ///< luma samples after cropping, 1 to 16880
    std::uint32_t height = 0;      ///< the same
    /// Frames, not fields, a second as the VUI states them (§E.2.1), plausible or not. None if it has no
    /// timing, or one with a zero in it.
    std::optional<double> frames_per_second{};

    bool operator==(const SpsInfo&) const = default;
};

/// Reads a sequence parameter set, a NAL unit with its header. A VUI that is cut short costs only the frame
/// rate: encoders get it wrong, and the picture does not depend on it. Errors: truncated, not_sps,
/// bad_parameter_set.
result<SpsInfo> parse_sps(std::span<const std::uint8_t> nal);

/// Bytes of an SEI we look at, after emulation prevention is removed.
inline constexpr std::size_t max_sei_size = 64UL * 1024;

/// The payload behind `uuid` of the first user_data_unregistered (§D.1.7) with this uuid in an SEI NAL unit
/// with its header. None if there is none, if the message is broken or ends beyond max_sei_size, or if
/// the NAL unit is no SEI.
std::optional<std::vector<std::uint8_t>> find_user_data(std::span<const std::uint8_t> nal,
                                                        const std::array<std::uint8_t, 16>& uuid);

/// What the NAL units of one picture hold.
struct AccessUnit {
    bool idr = false;              ///< a slice of an IDR picture: a player may start here
    bool slice = false;            ///< any coded slice
    std::optional<SpsInfo> sps{};  ///< the first sequence parameter set that can be read
    bool pps = false;              ///< a picture parameter set
    std::optional<std::vector<std::uint8_t>> user_data{};  ///< of the first SEI that carries the uuid

    bool operator==(const AccessUnit&) const = default;
};

/// Looks through the NAL units that a split function gave. What cannot be read counts as absent.
AccessUnit summarize(const std::vector<std::span<const std::uint8_t>>& nal_units,
                     const std::array<std::uint8_t, 16>& uuid);

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::H264Error> : std::true_type {};
