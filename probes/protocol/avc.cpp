#include "probes/protocol/avc.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace livecanary::protocol {
namespace {

// nal_unit_header (§7.3.1): one byte of nal_ref_idc and nal_unit_type.
constexpr std::uint8_t nal_p = 0x41, nal_idr = 0x65, nal_sei = 0x06, nal_sps = 0x67, nal_pps = 0x68,
                       nal_filler = 0x0c;

// Emulation prevention (§7.4.1): no payload may look like a start code.
std::vector<std::uint8_t> nal_unit(std::uint8_t header, std::span<const std::uint8_t> payload) {
    std::vector<std::uint8_t> nal{header};
    unsigned zeros = 0;
    for (const std::uint8_t byte : payload) {
        if (zeros == 2 && byte <= 3) {
            nal.push_back(3);
            zeros = 0;
        }
        nal.push_back(byte);
        zeros = byte == 0 ? zeros + 1 : 0;
    }
    return nal;
}

struct Level {
    std::uint8_t level_idc;
    std::uint32_t macroblocks_per_second, macroblocks, kilobits_per_second;
};

// Table A-1, columns MaxMBPS, MaxFS and MaxBR, the latter for the baseline profile.
constexpr Level levels[] = {
    {10, 1'485, 99, 64},
    {11, 3'000, 396, 192},
    {12, 6'000, 396, 384},
    {13, 11'880, 396, 768},
    {20, 11'880, 396, 2'000},
    {21, 19'800, 792, 4'000},
    {22, 20'250, 1'620, 4'000},
    {30, 40'500, 1'620, 10'000},
    {31, 108'000, 3'600, 14'000},
    {32, 216'000, 5'120, 20'000},
    {40, 245'760, 8'192, 20'000},
    {41, 245'760, 8'192, 50'000},
    {42, 522'240, 8'704, 50'000},
    {50, 589'824, 22'080, 135'000},
    {51, 983'040, 36'864, 240'000},
    {52, 2'073'600, 36'864, 240'000},
};

}  // namespace

void BitWriter::bits(std::uint32_t value, unsigned count) {
    while (count > 0) {
        if (used_ == 0) bytes_.push_back(0);
        --count;
        const unsigned bit = (value >> count) & 1U;
        bytes_.back() = static_cast<std::uint8_t>(bytes_.back() | (bit << (7 - used_)));
        used_ = (used_ + 1) % 8;
    }
}

void BitWriter::ue(std::uint32_t value) {
    const auto length = static_cast<unsigned>(std::bit_width(value + 1));
    bits(0, length - 1);
    bits(value + 1, length);
}

void BitWriter::se(std::int32_t value) {
    const auto magnitude = static_cast<std::uint32_t>(value > 0 ? value : -value);
    ue(value > 0 ? 2 * magnitude - 1 : 2 * magnitude);
}

void BitWriter::stop() {
    bits(1, 1);
    used_ = 0;
}

std::uint8_t avc_level(AvcSize size, unsigned frames_per_second, std::uint32_t bitrate) {
    const std::uint64_t macroblocks = size.macroblocks();
    const std::uint64_t width = (size.width + 15) / 16, height = (size.height + 15) / 16;
    for (const Level& level : levels) {
        // §A.3.1 g and h: neither side may be longer than the root of 8 times the largest frame.
        const std::uint64_t longest = 8ULL * level.macroblocks;
        if (macroblocks <= level.macroblocks && width * width <= longest && height * height <= longest &&
            macroblocks * frames_per_second <= level.macroblocks_per_second &&
            bitrate <= 1000ULL * level.kilobits_per_second)
            return level.level_idc;
    }
    throw std::invalid_argument("no H.264 level allows this picture size, rate and bitrate");
}

std::vector<std::uint8_t> avc_sps(AvcSize size, std::uint8_t level_idc) {
    const auto allowed = [](std::uint32_t side) { return side % 2 == 0 && side >= 2 && side <= 4096; };
    if (!allowed(size.width) || !allowed(size.height))
        throw std::invalid_argument("a picture's sides must be even, 2 to 4096");
    const std::uint32_t width = (size.width + 15) / 16, height = (size.height + 15) / 16;
    const std::uint32_t crop_right = (width * 16 - size.width) / 2,
                        crop_bottom = (height * 16 - size.height) / 2;
    BitWriter out;
    out.bits(66, 8);    // profile_idc: baseline
    out.bits(0xc0, 8);  // constraint_set0_flag, constraint_set1_flag: constrained baseline
    out.bits(level_idc, 8);
    out.ue(0);       // seq_parameter_set_id
    out.ue(0);       // log2_max_frame_num_minus4
    out.ue(2);       // pic_order_cnt_type: output order is decoding order
    out.ue(1);       // max_num_ref_frames
    out.bits(0, 1);  // gaps_in_frame_num_value_allowed_flag
    out.ue(width - 1);
    out.ue(height - 1);
    out.bits(1, 1);  // frame_mbs_only_flag
    out.bits(1, 1);  // direct_8x8_inference_flag
    const bool crop = crop_right > 0 || crop_bottom > 0;
    out.bits(crop, 1);
    if (crop) {
        out.ue(0);
        out.ue(crop_right);
        out.ue(0);
        out.ue(crop_bottom);
    }
    out.bits(0, 1);  // vui_parameters_present_flag
    out.stop();
    return nal_unit(nal_sps, out.bytes());
}

std::vector<std::uint8_t> avc_pps() {
    BitWriter out;
    out.ue(0);       // pic_parameter_set_id
    out.ue(0);       // seq_parameter_set_id
    out.bits(0, 1);  // entropy_coding_mode_flag: CAVLC
    out.bits(0, 1);  // bottom_field_pic_order_in_frame_present_flag
    out.ue(0);       // num_slice_groups_minus1
    out.ue(0);       // num_ref_idx_l0_default_active_minus1
    out.ue(0);       // num_ref_idx_l1_default_active_minus1
    out.bits(0, 1);  // weighted_pred_flag
    out.bits(0, 2);  // weighted_bipred_idc
    out.se(0);       // pic_init_qp_minus26
    out.se(0);       // pic_init_qs_minus26
    out.se(0);       // chroma_qp_index_offset
    out.bits(0, 1);  // deblocking_filter_control_present_flag
    out.bits(0, 1);  // constrained_intra_pred_flag
    out.bits(0, 1);  // redundant_pic_cnt_present_flag
    out.stop();
    return nal_unit(nal_pps, out.bytes());
}

std::vector<std::uint8_t> avc_idr(AvcSize size, std::uint32_t idr_pic_id) {
    BitWriter out;
    out.ue(0);       // first_mb_in_slice
    out.ue(7);       // slice_type: I, as all slices of the picture
    out.ue(0);       // pic_parameter_set_id
    out.bits(0, 4);  // frame_num
    out.ue(idr_pic_id);
    out.bits(0, 1);  // no_output_of_prior_pics_flag
    out.bits(0, 1);  // long_term_reference_flag
    out.se(0);       // slice_qp_delta
    for (std::uint32_t i = size.macroblocks(); i > 0; --i) {
        out.ue(3);       // mb_type: Intra 16x16, DC prediction, no coefficients but luma DC
        out.ue(0);       // intra_chroma_pred_mode: DC
        out.se(0);       // mb_qp_delta
        out.bits(1, 1);  // coeff_token of the luma DC block: no coefficient
    }
    out.stop();
    return nal_unit(nal_idr, out.bytes());
}

std::vector<std::uint8_t> avc_p(AvcSize size, std::uint32_t frame_num) {
    BitWriter out;
    out.ue(0);  // first_mb_in_slice
    out.ue(5);  // slice_type: P, as all slices of the picture
    out.ue(0);  // pic_parameter_set_id
    out.bits(frame_num % 16, 4);
    out.bits(0, 1);              // num_ref_idx_active_override_flag
    out.bits(0, 1);              // ref_pic_list_modification_flag_l0
    out.bits(0, 1);              // adaptive_ref_pic_marking_mode_flag
    out.se(0);                   // slice_qp_delta
    out.ue(size.macroblocks());  // mb_skip_run: all of them
    out.stop();
    return nal_unit(nal_p, out.bytes());
}

std::vector<std::uint8_t> avc_sei(const std::array<std::uint8_t, 16>& uuid,
                                  std::span<const std::uint8_t> payload) {
    constexpr std::uint8_t user_data_unregistered = 5;
    std::vector<std::uint8_t> rbsp{user_data_unregistered};
    std::size_t size = uuid.size() + payload.size();
    for (; size >= 255; size -= 255) rbsp.push_back(255);
    rbsp.push_back(static_cast<std::uint8_t>(size));
    rbsp.insert(rbsp.end(), uuid.begin(), uuid.end());
    rbsp.insert(rbsp.end(), payload.begin(), payload.end());
    rbsp.push_back(0x80);  // rbsp_trailing_bits
    return nal_unit(nal_sei, rbsp);
}

std::vector<std::uint8_t> avc_filler(std::size_t size) {
    std::vector<std::uint8_t> nal(std::max<std::size_t>(size, 2), 0xff);
    nal.front() = nal_filler;
    nal.back() = 0x80;  // rbsp_trailing_bits
    return nal;
}

}  // namespace livecanary::protocol
