#pragma once
// An H.264 picture of our own making, written bit by bit: flat grey, no encoder, no foreign content.
//
// Constrained baseline, CAVLC, one reference, picture order count type 2. Every macroblock of an IDR picture
// is Intra 16x16 with DC prediction and no residual (Y = Cb = Cr = 128); a P picture is one run of skipped
// ones. Section numbers are those of ITU-T H.264 (08/2021). All functions return a NAL unit with its header
// and emulation prevention, without start code or length.
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace livecanary::protocol {

/// Collects bits, most significant first.
class BitWriter {
public:
    /// The lowest `count` (0 to 32) bits of `value`.
    void bits(std::uint32_t value, unsigned count);
    /// Unsigned Exp-Golomb code (§9.1); `value` below 2^32 - 1.
    void ue(std::uint32_t value);
    /// Signed Exp-Golomb code (§9.1.1).
    void se(std::int32_t value);
    /// rbsp_trailing_bits (§7.3.2.11): a one, then zeros up to the next byte.
    void stop();
    /// The bytes so far; the last one is filled up with zeros.
    const std::vector<std::uint8_t>& bytes() const noexcept { return bytes_; }

private:
    std::vector<std::uint8_t> bytes_;
    unsigned used_ = 0;  // bits of the last byte, 0 to 7; 0 means there is no open byte
};

/// Size of the picture shown, in luma samples. 4:2:0 crops in steps of 2, so both must be even, 2 to 4096.
struct AvcSize {
    std::uint32_t width = 320;
    std::uint32_t height = 180;

    /// Whole macroblocks of 16x16 that cover it.
    std::uint32_t macroblocks() const noexcept { return (width + 15) / 16 * ((height + 15) / 16); }
};

/// The lowest level_idc (ten times the level) whose limits (§A.3.1, table A-1) hold. The bitrate is in bit/s.
/// Throws std::invalid_argument above level 5.2.
std::uint8_t avc_level(AvcSize size, unsigned frames_per_second, std::uint32_t bitrate);

/// Sequence parameter set. Throws std::invalid_argument if `size` is out of its range.
std::vector<std::uint8_t> avc_sps(AvcSize size, std::uint8_t level_idc);
/// Picture parameter set.
std::vector<std::uint8_t> avc_pps();
/// An IDR picture in one slice. `idr_pic_id` must differ between neighbouring IDR pictures (§7.4.3).
std::vector<std::uint8_t> avc_idr(AvcSize size, std::uint32_t idr_pic_id);
/// A P picture equal to the one before. `frame_num` counts from 1 after an IDR picture; it is taken
/// modulo 16.
std::vector<std::uint8_t> avc_p(AvcSize size, std::uint32_t frame_num);

/// SEI user_data_unregistered (§D.1.7). Decoders ignore it, servers pass it on.
std::vector<std::uint8_t> avc_sei(const std::array<std::uint8_t, 16>& uuid,
                                  std::span<const std::uint8_t> payload);

/// A filler NAL unit of exactly `size` bytes, at least 2: it loads a link and shows nothing. It must not
/// stand before the slice of its picture (§7.4.1.2.3).
std::vector<std::uint8_t> avc_filler(std::size_t size);

}  // namespace livecanary::protocol
