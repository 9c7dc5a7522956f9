#include "probes/protocol/h264.hpp"

#include <algorithm>

#include "probes/core/error_table.hpp"

namespace livecanary::protocol {
namespace {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

// What stands before the VUI's timing is at most 480 codes of scaling lists with 17 bits each, 255 offsets
// with 63, and little else: 3 KiB.
constexpr std::size_t max_sps_size = 4096;
// §A.3.1 f to h with the MaxFS of level 6.2 (table A-1): the root of 8 * 139264.
constexpr std::uint64_t max_side_macroblocks = 1055;

// The payload of a NAL unit behind its header byte, without emulation_prevention_three_byte (§7.3.1), up to
// `limit` bytes.
Bytes payload(View nal, std::size_t limit) {
    Bytes out;
    unsigned zeros = 0;
    for (const std::uint8_t byte : nal.subspan(1)) {
        if (out.size() == limit) break;
        if (zeros >= 2 && byte == 3) {
            zeros = 0;
            continue;
        }
        out.push_back(byte);
        zeros = byte == 0 ? zeros + 1 : 0;
    }
    return out;
}

// Reads bits, most significant first. The first failure stays; all reads after it give 0.
class BitReader {
public:
    explicit BitReader(View bytes) noexcept : bytes_(bytes) {}

    std::uint32_t bits(unsigned count) {  // 0 to 32
        if (error_ || count > bytes_.size() * 8 - at_) {
            fail(H264Error::truncated);
            return 0;
        }
        std::uint32_t value = 0;
        for (; count > 0; --count, ++at_)
            value = value << 1 | ((std::uint32_t{bytes_[at_ / 8]} >> (7 - at_ % 8)) & 1U);
        return value;
    }

    bool flag() { return bits(1) != 0; }

    // Exp-Golomb code (§9.1), of the range that the semantics of the field allow.
    std::uint32_t ue(std::uint32_t max) {
        unsigned zeros = 0;
        while (!error_ && !flag()) ++zeros;
        if (zeros > 31) fail(H264Error::bad_parameter_set);
        if (error_) return 0;
        const std::uint32_t value = (1U << zeros) - 1 + bits(zeros);
        if (value > max) fail(H264Error::bad_parameter_set);
        return error_ ? 0 : value;
    }

    // Signed code (§9.1.1).
    std::int64_t se() {
        const std::int64_t code = ue(any);
        return code % 2 == 1 ? (code + 1) / 2 : -(code / 2);
    }

    const error_code& error() const noexcept { return error_; }

    static constexpr std::uint32_t any = 0xfffffffe;  // the longest code

private:
    void fail(H264Error error) {
        if (!error_) error_ = error;
    }

    View bytes_;
    std::size_t at_ = 0;  // bits read
    error_code error_;
};

// scaling_list (§7.3.2.1.1.1): a zero as next scale means that no more codes follow.
void skip_scaling_list(BitReader& in, unsigned size) {
    std::int64_t last = 8, next = 8;
    for (unsigned i = 0; i < size && next != 0; ++i) {
        next = (((last + in.se()) % 256) + 256) % 256;
        last = next;
    }
}

// Profiles whose SPS names its chroma format; all others are 4:2:0 (§7.3.2.1.1).
bool names_chroma_format(std::uint32_t profile_idc) {
    constexpr std::array<std::uint32_t, 13> profiles{100, 110, 122, 244, 44,  83, 86,
                                                     118, 128, 138, 139, 134, 135};
    return std::find(profiles.begin(), profiles.end(), profile_idc) != profiles.end();
}

// Returns ChromaArrayType: 0 monochrome or separate planes, 1 4:2:0, 2 4:2:2, 3 4:4:4.
std::uint32_t read_chroma_format(BitReader& in) {
    const std::uint32_t chroma_format_idc = in.ue(3);
    const bool separate_colour_planes = chroma_format_idc == 3 && in.flag();
    in.ue(6);                      // bit_depth_luma_minus8
    in.ue(6);                      // bit_depth_chroma_minus8
    in.flag();                     // qpprime_y_zero_transform_bypass_flag
    const bool lists = in.flag();  // seq_scaling_matrix_present_flag
    for (unsigned i = 0; lists && i < (chroma_format_idc == 3 ? 12U : 8U); ++i)
        if (in.flag()) skip_scaling_list(in, i < 6 ? 16 : 64);
    return separate_colour_planes ? 0 : chroma_format_idc;
}

void skip_picture_order(BitReader& in) {
    const std::uint32_t pic_order_cnt_type = in.ue(2);
    if (pic_order_cnt_type == 0) in.ue(12);  // log2_max_pic_order_cnt_lsb_minus4
    if (pic_order_cnt_type != 1) return;
    in.flag();                                               // delta_pic_order_always_zero_flag
    in.se();                                                 // offset_for_non_ref_pic
    in.se();                                                 // offset_for_top_to_bottom_field
    for (std::uint32_t i = in.ue(255); i > 0; --i) in.se();  // offset_for_ref_frame
}

// vui_parameters (§E.1.1) up to the timing.
std::optional<double> read_frame_rate(BitReader& in) {
    constexpr std::uint32_t extended_sar = 255;
    if (in.flag() && in.bits(8) == extended_sar) in.bits(32);  // aspect_ratio_idc, sar_width, sar_height
    if (in.flag()) in.flag();                                  // overscan_appropriate_flag
    if (in.flag()) {                                           // video_signal_type_present_flag
        in.bits(4);                                            // video_format, video_full_range_flag
        if (in.flag()) in.bits(24);                            // colour description
    }
    if (in.flag()) {  // chroma_loc_info_present_flag
        in.ue(BitReader::any);
        in.ue(BitReader::any);
    }
    if (!in.flag()) return std::nullopt;  // timing_info_present_flag
    const double units_in_tick = in.bits(32), time_scale = in.bits(32);
    if (in.error() || units_in_tick <= 0 || time_scale <= 0) return std::nullopt;
    return time_scale / units_in_tick / 2;  // a tick is a field (§E.2.1)
}

}  // namespace

error_code make_error_code(H264Error error) noexcept {
    using enum H264Error;
    static const ErrorTable<H264Error> table{
        "livecanary.h264",
        {{truncated, "H.264 data end too early", Reason::protocol},
         {too_many, "more NAL units than the limit in one picture", Reason::protocol},
         {unknown_version, "an AVC configuration of an unknown version", Reason::protocol},
         {bad_length_size, "NAL unit lengths of other than 1, 2 or 4 bytes", Reason::protocol},
         {not_sps, "not an H.264 sequence parameter set", Reason::protocol},
         {bad_parameter_set, "an H.264 parameter set holds an impossible value", Reason::protocol}}};
    return {static_cast<int>(error), table};
}

std::vector<std::span<const std::uint8_t>> split_annex_b(std::span<const std::uint8_t> bytes) {
    constexpr std::array<std::uint8_t, 3> start_code{0, 0, 1};
    std::vector<View> nal_units;
    auto begin = std::search(bytes.begin(), bytes.end(), start_code.begin(), start_code.end());
    while (begin != bytes.end() && nal_units.size() < max_nal_units) {
        begin += start_code.size();
        const auto next = std::search(begin, bytes.end(), start_code.begin(), start_code.end());
        // A NAL unit never ends in a zero (§7.4.1): it is trailing_zero_8bits, or of the next start code.
        auto end = next;
        while (end != begin && *(end - 1) == 0) --end;
        if (end != begin) nal_units.emplace_back(begin, end);
        begin = next;
    }
    return nal_units;
}

result<std::vector<std::span<const std::uint8_t>>> split_avcc(std::span<const std::uint8_t> bytes,
                                                              unsigned length_size) {
    if (length_size != 1 && length_size != 2 && length_size != 4) return H264Error::bad_length_size;
    std::vector<View> nal_units;
    while (!bytes.empty()) {
        if (bytes.size() < length_size) return H264Error::truncated;
        std::size_t size = 0;
        for (const std::uint8_t byte : bytes.first(length_size)) size = size << 8 | byte;
        bytes = bytes.subspan(length_size);
        if (size > bytes.size()) return H264Error::truncated;
        if (size > 0) {
            if (nal_units.size() == max_nal_units) return H264Error::too_many;
            nal_units.push_back(bytes.first(size));
        }
        bytes = bytes.subspan(size);
    }
    return nal_units;
}

result<AvcConfig> parse_avc_config(std::span<const std::uint8_t> record) {
    if (record.empty()) return H264Error::truncated;
    if (record[0] != 1) return H264Error::unknown_version;
    if (record.size() < 6) return H264Error::truncated;
    AvcConfig config;
    config.length_size = (record[4] & 3U) + 1;
    if (config.length_size == 3) return H264Error::bad_length_size;

    const auto read_sets = [&record](unsigned count, std::vector<Bytes>& sets) -> error_code {
        for (; count > 0; --count) {
            if (record.size() < 2) return H264Error::truncated;
            const std::size_t size = static_cast<std::size_t>(record[0] << 8 | record[1]);
            record = record.subspan(2);
            if (record.size() < size) return H264Error::truncated;
            sets.emplace_back(record.begin(), record.begin() + static_cast<std::ptrdiff_t>(size));
            record = record.subspan(size);
        }
        return {};
    };
    const unsigned sps_count = record[5] & 0x1f;
    record = record.subspan(6);
    if (auto ec = read_sets(sps_count, config.sps)) return ec;
    if (record.empty()) return H264Error::truncated;
    const unsigned pps_count = record[0];
    record = record.subspan(1);
    if (auto ec = read_sets(pps_count, config.pps)) return ec;
    return config;
}

result<SpsInfo> parse_sps(std::span<const std::uint8_t> nal) {
    if (nal.empty()) return H264Error::truncated;
    if (nal_type(nal) != NalType::sps) return H264Error::not_sps;
    const Bytes rbsp = payload(nal, max_sps_size);
    BitReader in(rbsp);
    SpsInfo info;
    info.profile_idc = static_cast<std::uint8_t>(in.bits(8));
    in.bits(8);  // constraint flags
    info.level_idc = static_cast<std::uint8_t>(in.bits(8));
    in.ue(31);  // seq_parameter_set_id
    const std::uint32_t chroma_array_type =
        names_chroma_format(info.profile_idc) ? read_chroma_format(in) : 1;
    in.ue(12);  // log2_max_frame_num_minus4
    skip_picture_order(in);
    in.ue(16);  // max_num_ref_frames
    in.flag();  // gaps_in_frame_num_value_allowed_flag
    const std::uint64_t map_units_wide = std::uint64_t{in.ue(BitReader::any)} + 1;
    const std::uint64_t map_units_high = std::uint64_t{in.ue(BitReader::any)} + 1;
    const bool frame_mbs_only = in.flag();
    if (!frame_mbs_only) in.flag();  // mb_adaptive_frame_field_flag
    in.flag();                       // direct_8x8_inference_flag

    // §7.4.2.1.1: crops count chroma samples, and in lines of a field if the picture may have fields.
    const std::uint64_t fields = frame_mbs_only ? 1 : 2;
    const std::uint64_t crop_unit_x = chroma_array_type == 1 || chroma_array_type == 2 ? 2 : 1;
    const std::uint64_t crop_unit_y = (chroma_array_type == 1 ? 2 : 1) * fields;
    std::uint64_t crop_x = 0, crop_y = 0;
    if (in.flag()) {
        for (std::uint64_t* crop : {&crop_x, &crop_x, &crop_y, &crop_y}) *crop += in.ue(BitReader::any);
        crop_x *= crop_unit_x;
        crop_y *= crop_unit_y;
    }
    const bool has_vui = in.flag();
    if (in.error()) return in.error();
    if (map_units_wide > max_side_macroblocks || map_units_high * fields > max_side_macroblocks)
        return H264Error::bad_parameter_set;
    const std::uint64_t width = map_units_wide * 16, height = map_units_high * fields * 16;
    if (crop_x >= width || crop_y >= height) return H264Error::bad_parameter_set;
    info.width = static_cast<std::uint32_t>(width - crop_x);
    info.height = static_cast<std::uint32_t>(height - crop_y);
    if (has_vui) info.frames_per_second = read_frame_rate(in);
    return info;
}

std::optional<std::vector<std::uint8_t>> find_user_data(std::span<const std::uint8_t> nal,
                                                        const std::array<std::uint8_t, 16>& uuid) {
    constexpr std::size_t user_data_unregistered = 5;
    if (nal.empty() || nal_type(nal) != NalType::sei) return std::nullopt;
    const Bytes rbsp = payload(nal, max_sei_size);
    View rest(rbsp);
    // sei_message (§7.3.2.3.1): a number is the sum of bytes up to the first that is not 255.
    const auto read_number = [&rest]() -> std::optional<std::size_t> {
        std::size_t number = 0;
        while (!rest.empty()) {
            const std::uint8_t byte = rest.front();
            rest = rest.subspan(1);
            number += byte;
            if (byte != 255) return number;
        }
        return std::nullopt;
    };
    while (!rest.empty()) {
        const auto type = read_number(), size = read_number();
        // The trailing bits end here as well: they are no message with a size.
        if (!size || *size > rest.size()) return std::nullopt;
        const View message = rest.first(*size);
        rest = rest.subspan(*size);
        if (type != user_data_unregistered || message.size() < uuid.size()) continue;
        if (!std::equal(uuid.begin(), uuid.end(), message.begin())) continue;
        const View found = message.subspan(uuid.size());
        return Bytes(found.begin(), found.end());
    }
    return std::nullopt;
}

AccessUnit summarize(const std::vector<std::span<const std::uint8_t>>& nal_units,
                     const std::array<std::uint8_t, 16>& uuid) {
    AccessUnit unit;
    for (const View nal : nal_units) {
        if (nal.empty()) continue;
        switch (nal_type(nal)) {
            case NalType::idr:
                unit.idr = true;
                [[fallthrough]];
            case NalType::slice:
                unit.slice = true;
                break;
            case NalType::sei:
                if (!unit.user_data) unit.user_data = find_user_data(nal, uuid);
                break;
            case NalType::sps:
                if (!unit.sps)
                    if (auto sps = parse_sps(nal)) unit.sps = *sps;
                break;
            case NalType::pps:
                unit.pps = true;
                break;
            case NalType::aud:
            case NalType::filler:
                break;
        }
    }
    return unit;
}

}  // namespace livecanary::protocol
