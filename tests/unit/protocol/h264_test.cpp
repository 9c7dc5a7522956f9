// Reading H.264: parameter sets as x264 (libx264 164 in ffmpeg 5.1) wrote them, the rest by hand from
// ITU-T H.264 and ISO/IEC 14496-15.
#include "probes/protocol/h264.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "probes/protocol/avc.hpp"
#include "probes/protocol/test_stream.hpp"

namespace livecanary::protocol {
namespace {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

Bytes from_hex(std::string_view hex) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(digit(hex[i]) * 16 + digit(hex[i + 1])));
    return bytes;
}

std::vector<Bytes> copies(const std::vector<View>& views) {
    std::vector<Bytes> out;
    for (const View view : views) out.emplace_back(view.begin(), view.end());
    return out;
}

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

TEST(H264AnnexB, SplitsAtStartCodesOfThreeAndFourBytes) {
    const Bytes bytes{0xff, 0, 0, 0, 1, 0x09, 0xf0, 0, 0, 1, 0x67, 1, 0,
                      2,    0, 0, 0, 0, 1,    0x41, 3, 0, 0, 3,    1};
    EXPECT_EQ(copies(split_annex_b(bytes)),
              (std::vector<Bytes>{{0x09, 0xf0}, {0x67, 1, 0, 2}, {0x41, 3, 0, 0, 3, 1}}));
}

TEST(H264AnnexB, LeavesOutTrailingZerosAndEmptyUnits) {
    EXPECT_EQ(copies(split_annex_b(Bytes{0, 0, 1, 0, 0, 1, 0x41, 1, 0, 0, 0, 0, 0})),
              (std::vector<Bytes>{{0x41, 1}}));
    EXPECT_TRUE(split_annex_b(Bytes{0, 0, 1}).empty());
    EXPECT_TRUE(split_annex_b(Bytes{0, 0, 1, 0, 0, 0}).empty());
    EXPECT_TRUE(split_annex_b(Bytes{1, 2, 3, 0, 0}).empty());
    EXPECT_TRUE(split_annex_b({}).empty());
}

TEST(H264AnnexB, GivesWhatIsThereWhereverItIsCutShort) {
    const Bytes bytes{0, 0, 0, 1, 0x09, 0xf0, 0, 0, 1, 0x41, 3};
    const std::vector<Bytes> whole{{0x09, 0xf0}, {0x41, 3}};
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
        const auto found = copies(split_annex_b(View(bytes).first(size)));
        ASSERT_LE(found.size(), whole.size()) << size;
        for (std::size_t i = 0; i < found.size(); ++i)
            EXPECT_TRUE(std::equal(found[i].begin(), found[i].end(), whole[i].begin())) << size;
    }
}

TEST(H264AnnexB, EndsAtTheLimit) {
    Bytes bytes;
    for (std::size_t i = 0; i < max_nal_units + 5; ++i) append(bytes, {0, 0, 1, 0x41});
    EXPECT_EQ(split_annex_b(bytes).size(), max_nal_units);
}

TEST(H264Avcc, SplitsWithLengthsOfOneTwoAndFourBytes) {
    const std::vector<Bytes> expected{{0x65, 1, 2}, {0x06}};
    EXPECT_EQ(copies(split_avcc(Bytes{3, 0x65, 1, 2, 0, 1, 0x06}, 1).value()), expected);
    EXPECT_EQ(copies(split_avcc(Bytes{0, 3, 0x65, 1, 2, 0, 0, 0, 1, 0x06}, 2).value()), expected);
    EXPECT_EQ(copies(split_avcc(Bytes{0, 0, 0, 3, 0x65, 1, 2, 0, 0, 0, 1, 0x06}, 4).value()), expected);
    EXPECT_TRUE(split_avcc({}, 4).value().empty());
}

TEST(H264Avcc, IsTruncatedWhereverItIsCutShort) {
    const Bytes bytes{0, 0, 0, 3, 0x65, 1, 2, 0, 0, 0, 1, 0x06};
    for (std::size_t size = 1; size < bytes.size(); ++size) {
        const auto found = split_avcc(View(bytes).first(size), 4);
        if (size == 7)
            EXPECT_EQ(found.value().size(), 1U);
        else
            EXPECT_EQ(found.error(), H264Error::truncated) << size;
    }
}

TEST(H264Avcc, RefusesWhatItCannotHold) {
    EXPECT_EQ(split_avcc(Bytes{0xff, 0xff, 0xff, 0xff, 0x65}, 4).error(), H264Error::truncated);
    EXPECT_EQ(split_avcc(Bytes{0, 0, 1}, 3).error(), H264Error::bad_length_size);
    EXPECT_EQ(split_avcc({}, 0).error(), H264Error::bad_length_size);
    Bytes bytes;
    for (std::size_t i = 0; i < max_nal_units; ++i) append(bytes, {1, 0x0c});
    EXPECT_EQ(split_avcc(bytes, 1).value().size(), max_nal_units);
    append(bytes, {1, 0x0c});
    const error_code error = split_avcc(bytes, 1).error();
    EXPECT_EQ(error, H264Error::too_many);
    EXPECT_EQ(error, Reason::protocol);
}

Bytes config_record() {
    const Bytes body = flv_avc_header(avc_sps({}, 11), avc_pps());
    return {body.begin() + 5, body.end()};
}

TEST(H264Config, IsReadFromWhatWeSend) {
    EXPECT_EQ(parse_avc_config(config_record()).value(),
              (AvcConfig{.length_size = 4, .sps = {avc_sps({}, 11)}, .pps = {avc_pps()}}));
}

TEST(H264Config, HoldsSeveralSetsAndIgnoresWhatFollows) {
    const Bytes record{1, 100, 0,    40, 0xfd, 0xe2, 0, 2,    0x67, 1,    0,
                       0, 2,  // an empty SPS is held as such
                       0, 1,   0x68, 0,  2,    0x68, 2, 0xfd, 0xf8, 0xf8, 0};
    EXPECT_EQ(parse_avc_config(record).value(),
              (AvcConfig{.length_size = 2, .sps = {{0x67, 1}, {}}, .pps = {{0x68}, {0x68, 2}}}));
}

TEST(H264Config, IsTruncatedWhereverItIsCutShort) {
    const Bytes record = config_record();
    for (std::size_t size = 0; size < record.size(); ++size)
        EXPECT_EQ(parse_avc_config(View(record).first(size)).error(), H264Error::truncated) << size;
}

TEST(H264Config, RefusesAnotherVersionAndLengthsOfThreeBytes) {
    Bytes record = config_record();
    record[4] = 0xfe;
    EXPECT_EQ(parse_avc_config(record).error(), H264Error::bad_length_size);
    record[0] = 0;
    EXPECT_EQ(parse_avc_config(record).error(), H264Error::unknown_version);
}

// Settings of x264 in the names; sizes and rates are those that were asked of it.
TEST(H264Sps, IsReadAsX264WritesIt) {
    struct Case {
        const char* what;
        const char* hex;
        SpsInfo expected;
    };
    const Case cases[] = {
        {"1080p, NTSC rate",
         "67640028acd940780227e5c04400000fa40003a9803c60c658",
         {100, 40, 1920, 1080, 30000.0 / 1001}},
        {"1080i", "67640028acd94078044fde0220000003002000000643e2c5b2c0", {100, 40, 1920, 1080, 25}},
        {"4:4:4", "67f4001f919b281b07bc5f8088000003000800000301e078c18cb0", {244, 31, 854, 480, 30}},
        {"4:2:2, 10 bits", "677a001fb6cd940d83de6f0110000003001000000640f1831960", {122, 31, 854, 480, 50}},
        {"monochrome", "6764000af3651cbe367c05b2000003000200000300601e244b2c", {100, 10, 100, 74, 24}},
        {"60 fps, both sides cropped",
         "67640020acd9405005beab0110000003001000000780f1831960",
         {100, 32, 1278, 718, 60}},
    };
    for (const Case& c : cases) {
        const auto found = parse_sps(from_hex(c.hex));
        ASSERT_TRUE(found) << c.what << ": " << found.error().message();
        EXPECT_EQ(*found, c.expected) << c.what << ": " << found->width << "x" << found->height << " "
                                      << found->frames_per_second.value_or(0);
    }
}

TEST(H264Sps, IsReadAsWeWriteIt) {
    for (const std::uint32_t width : {2U, 16U, 320U, 1278U, 4096U})
        for (const std::uint32_t height : {2U, 180U, 1080U, 4096U}) {
            const auto found = parse_sps(avc_sps({width, height}, 52));
            ASSERT_TRUE(found) << found.error().message();
            EXPECT_EQ(*found, (SpsInfo{66, 52, width, height, std::nullopt}));
        }
}

// Fields of an SPS in the order of §7.3.2.1.1; the defaults are 320x192, 4:2:0, without crop and VUI.
struct Sps {
    std::uint8_t profile_idc = 66;
    std::uint32_t id = 0, chroma_format_idc = 1, bit_depth = 0;
    bool separate_colour_planes = false;
    std::vector<std::vector<std::int32_t>> scaling_lists{};  // an empty one is not present
    std::uint32_t frame_num = 0, picture_order_type = 2, reference_frames = 1;
    std::vector<std::int32_t> offsets{};  // of picture order count type 1
    std::uint32_t width = 20, height = 12;
    bool frame_mbs_only = true;
    std::vector<std::uint32_t> crop{};
    std::vector<std::pair<std::uint32_t, unsigned>> vui{};  // value and count of bits

    Bytes nal() const {
        BitWriter out;
        out.bits(profile_idc, 8);
        out.bits(0, 8);
        out.bits(30, 8);
        out.ue(id);
        if (profile_idc >= 100) {
            out.ue(chroma_format_idc);
            if (chroma_format_idc == 3) out.bits(separate_colour_planes, 1);
            out.ue(bit_depth);
            out.ue(bit_depth);
            out.bits(0, 1);
            out.bits(!scaling_lists.empty(), 1);
            for (const auto& list : scaling_lists) {
                out.bits(!list.empty(), 1);
                for (const std::int32_t delta : list) out.se(delta);
            }
        }
        out.ue(frame_num);
        out.ue(picture_order_type);
        if (picture_order_type == 0) out.ue(4);
        if (picture_order_type == 1) {
            out.bits(0, 1);
            out.se(-3);
            out.se(70000);
            out.ue(static_cast<std::uint32_t>(offsets.size()));
            for (const std::int32_t offset : offsets) out.se(offset);
        }
        out.ue(reference_frames);
        out.bits(0, 1);
        out.ue(width - 1);
        out.ue(height - 1);
        out.bits(frame_mbs_only, 1);
        if (!frame_mbs_only) out.bits(0, 1);
        out.bits(1, 1);
        out.bits(!crop.empty(), 1);
        for (const std::uint32_t side : crop) out.ue(side);
        out.bits(!vui.empty(), 1);
        for (const auto& [value, count] : vui) out.bits(value, count);
        out.stop();
        Bytes nal{0x67};
        unsigned zeros = 0;
        for (const std::uint8_t byte : out.bytes()) {
            if (zeros == 2 && byte <= 3) nal.push_back(3), zeros = 0;
            nal.push_back(byte);
            zeros = byte == 0 ? zeros + 1 : 0;
        }
        return nal;
    }
};

std::string size_of(const Sps& sps) {
    const auto found = parse_sps(sps.nal());
    if (!found) return found.error().message();
    return std::to_string(found->width) + "x" + std::to_string(found->height);
}

TEST(H264Sps, CropsInTheUnitsOfEachChromaFormat) {
    const std::vector<std::uint32_t> crop{1, 2, 1, 3};  // left, right, top, bottom
    EXPECT_EQ(size_of({}), "320x192");
    EXPECT_EQ(size_of({.crop = crop}), "314x184");
    EXPECT_EQ(size_of({.height = 6, .frame_mbs_only = false, .crop = crop}), "314x176");
    EXPECT_EQ(size_of({.profile_idc = 100, .chroma_format_idc = 0, .crop = crop}), "317x188");
    EXPECT_EQ(
        size_of(
            {.profile_idc = 100, .chroma_format_idc = 0, .height = 6, .frame_mbs_only = false, .crop = crop}),
        "317x184");
    EXPECT_EQ(size_of({.profile_idc = 122, .chroma_format_idc = 2, .crop = crop}), "314x188");
    EXPECT_EQ(size_of({.profile_idc = 244, .chroma_format_idc = 3, .crop = crop}), "317x188");
    EXPECT_EQ(
        size_of({.profile_idc = 244, .chroma_format_idc = 3, .separate_colour_planes = true, .crop = crop}),
        "317x188");
}

TEST(H264Sps, SkipsScalingListsAndOffsets) {
    const std::vector<std::int32_t> full16(16, 1), full64(64, 3), ended{1, -9}, wrapped{120, 120, -128, -120};
    EXPECT_EQ(
        size_of({.profile_idc = 100, .scaling_lists = {full16, {}, ended, wrapped, {}, {-8}, full64, {}}}),
        "320x192");
    EXPECT_EQ(size_of({.profile_idc = 244,
                       .chroma_format_idc = 3,
                       .scaling_lists = {{}, {}, {}, {}, {}, {}, full64, {}, full64, ended, {}, full64}}),
              "320x192");
    EXPECT_EQ(size_of({.picture_order_type = 0}), "320x192");
    EXPECT_EQ(size_of({.picture_order_type = 1, .offsets = std::vector<std::int32_t>(255, -1'000'000'000)}),
              "320x192");
}

TEST(H264Sps, TellsTheFrameRateBehindAWholeVui) {
    // Aspect ratio, overscan, video signal with colours, chroma location, then ticks of 1001/48000 s.
    const std::vector<std::pair<std::uint32_t, unsigned>> vui{
        {1, 1},   {255, 8},   {0x0040'0021, 32}, {1, 1}, {1, 1}, {1, 1},
        {0xb, 4}, {1, 1},     {0x010101, 24},    {1, 1}, {1, 1}, {2, 3},
        {1, 1},   {1001, 32}, {48000, 32},       {1, 1}};
    const auto found = parse_sps(Sps{.vui = vui}.nal());
    ASSERT_TRUE(found);
    EXPECT_DOUBLE_EQ(found->frames_per_second.value_or(0), 24000.0 / 1001);
}

TEST(H264Sps, HasNoFrameRateWithoutTimingOrWithAZeroInIt) {
    const std::vector<std::pair<std::uint32_t, unsigned>> no_timing{{0, 5}, {0, 4}};
    const std::vector<std::pair<std::uint32_t, unsigned>> no_units{{0, 4}, {1, 1}, {0, 32}, {50, 32}};
    const std::vector<std::pair<std::uint32_t, unsigned>> no_scale{{0, 4}, {1, 1}, {1, 32}, {0, 32}};
    for (const auto& vui : {no_timing, no_units, no_scale})
        EXPECT_EQ(parse_sps(Sps{.vui = vui}.nal()).value(), (SpsInfo{66, 30, 320, 192, std::nullopt}));
}

TEST(H264Sps, RefusesValuesOutOfRange) {
    const auto refused = [](const Sps& sps) {
        const auto found = parse_sps(sps.nal());
        return !found && found.error() == H264Error::bad_parameter_set && found.error() == Reason::protocol;
    };
    EXPECT_TRUE(refused({.id = 32}));
    EXPECT_TRUE(refused({.profile_idc = 100, .chroma_format_idc = 4}));
    EXPECT_TRUE(refused({.profile_idc = 100, .bit_depth = 7}));
    EXPECT_TRUE(refused({.frame_num = 13}));
    EXPECT_TRUE(refused({.picture_order_type = 3}));
    EXPECT_TRUE(refused({.picture_order_type = 1, .offsets = std::vector<std::int32_t>(256)}));
    EXPECT_TRUE(refused({.reference_frames = 17}));
    EXPECT_TRUE(refused({.width = 1056}));
    EXPECT_TRUE(refused({.height = 1056}));
    EXPECT_TRUE(refused({.height = 528, .frame_mbs_only = false}));
    EXPECT_TRUE(refused({.width = 0xfffffffe}));
    EXPECT_TRUE(refused({.crop = {80, 80, 0, 0}}));
    EXPECT_TRUE(refused({.crop = {0, 0, 0, 96}}));
    EXPECT_TRUE(refused({.crop = {0xfffffffe, 0xfffffffe, 0, 0}}));
    EXPECT_EQ(size_of({.width = 1055, .height = 1055}), "16880x16880");
    EXPECT_EQ(size_of({.crop = {80, 79, 0, 95}}), "2x2");
}

TEST(H264Sps, RefusesACodeLongerThanAnyNumber) {
    EXPECT_EQ(parse_sps(Bytes{0x67, 66, 0, 30, 0, 0, 3, 0, 0, 3, 0, 0xff, 0xff, 0xff, 0xff, 0xff}).error(),
              H264Error::bad_parameter_set);
    EXPECT_EQ(parse_sps(Bytes{0x67, 66, 0, 30, 0, 0}).error(), H264Error::truncated);
}

TEST(H264Sps, NeverSaysAnotherSizeWhereverItIsCutShort) {
    const Bytes nal = from_hex("67640028acd940780227e5c04400000fa40003a9803c60c658");
    const SpsInfo whole = parse_sps(nal).value();
    std::size_t refused = 0;
    for (std::size_t size = 0; size < nal.size(); ++size) {
        const auto found = parse_sps(View(nal).first(size));
        if (!found) {
            EXPECT_EQ(found.error(), H264Error::truncated) << size;
            ++refused;
            continue;
        }
        EXPECT_EQ(found->width, whole.width) << size;
        EXPECT_EQ(found->height, whole.height) << size;
        EXPECT_TRUE(!found->frames_per_second || found->frames_per_second == whole.frames_per_second) << size;
    }
    EXPECT_EQ(refused, 12U);  // up to where the VUI begins
}

TEST(H264Sps, IsNothingElse) {
    EXPECT_EQ(parse_sps(avc_pps()).error(), H264Error::not_sps);
    EXPECT_EQ(parse_sps({}).error(), H264Error::truncated);
}

const Bytes stamp{'r', 'u', 'n', 0, 0, 0, 1, 0, 0, 3, 0xff, 0};  // needs emulation prevention

TEST(H264UserData, IsFoundAsWritten) {
    for (const std::size_t size : {0U, 1U, 238U, 239U, 240U, 494U, 5000U}) {
        const Bytes payload(size, 0);
        EXPECT_EQ(find_user_data(avc_sei(stamp_uuid, payload), stamp_uuid), payload) << size;
    }
    EXPECT_EQ(find_user_data(avc_sei(stamp_uuid, stamp), stamp_uuid), stamp);
}

Bytes sei_message(std::uint8_t type, const Bytes& payload) {
    Bytes out{type, static_cast<std::uint8_t>(payload.size())};
    append(out, payload);
    return out;
}

Bytes with_uuid(std::uint8_t last_byte, const Bytes& payload) {
    Bytes out(stamp_uuid.begin(), stamp_uuid.end());
    out.back() = last_byte;
    append(out, payload);
    return out;
}

TEST(H264UserData, IsFoundBehindOtherMessages) {
    Bytes nal{0x06};
    append(nal, sei_message(1, {0x12, 0x34}));                       // pic_timing
    append(nal, {0xff, 0x01, 2, 9, 9});                              // a type of 256
    append(nal, sei_message(4, with_uuid(stamp_uuid.back(), {1})));  // another type with our bytes
    append(nal, sei_message(5, {1, 2, 3}));                          // too short for a uuid
    append(nal, sei_message(5, with_uuid(0xee, {1})));               // another's uuid
    append(nal, sei_message(5, with_uuid(stamp_uuid.back(), {7, 8, 9})));
    append(nal, sei_message(5, with_uuid(stamp_uuid.back(), {6})));
    nal.push_back(0x80);
    EXPECT_EQ(find_user_data(nal, stamp_uuid), (Bytes{7, 8, 9}));
}

TEST(H264UserData, IsAbsentWhereverTheMessageIsCutShort) {
    const Bytes nal = avc_sei(stamp_uuid, stamp);
    for (std::size_t size = 0; size + 1 < nal.size(); ++size)
        EXPECT_FALSE(find_user_data(View(nal).first(size), stamp_uuid)) << size;
    // The last byte is the trailing bits, and some writers leave them out.
    EXPECT_EQ(find_user_data(View(nal).first(nal.size() - 1), stamp_uuid), stamp);
}

TEST(H264UserData, IsAbsentFromWhatIsBrokenOrNoSei) {
    EXPECT_FALSE(find_user_data({}, stamp_uuid));
    EXPECT_FALSE(find_user_data(Bytes{0x06}, stamp_uuid));
    EXPECT_FALSE(find_user_data(Bytes(1000, 0xff), stamp_uuid));
    Bytes endless(1000, 0xff);
    endless[0] = 0x06;
    EXPECT_FALSE(find_user_data(endless, stamp_uuid));
    Bytes nal = avc_sei(stamp_uuid, stamp);
    nal[0] = 0x41;
    EXPECT_FALSE(find_user_data(nal, stamp_uuid));
}

TEST(H264UserData, IsLookedForWithinItsLimit) {
    constexpr std::size_t around = 1 + (max_sei_size / 255 + 1) + stamp_uuid.size();  // type, size, uuid
    const Bytes fits(max_sei_size - around, 0x55), beyond(max_sei_size - around + 10, 0x55);
    EXPECT_EQ(find_user_data(avc_sei(stamp_uuid, fits), stamp_uuid), fits);
    EXPECT_FALSE(find_user_data(avc_sei(stamp_uuid, beyond), stamp_uuid));
}

TEST(H264AccessUnit, TellsWhatATestStreamHolds) {
    TestStream stream({.size = {640, 360}});
    const Frame header = stream.next();
    ASSERT_EQ(header.type, FlvTagType::video);
    const auto config = parse_avc_config(View(header.body).subspan(5));
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(parse_sps(config->sps.at(0)).value().width, 640U);
    std::size_t keyframes = 0, pictures = 0;
    while (pictures < 60) {
        const Frame frame = stream.next(stamp);
        if (frame.type != FlvTagType::video) continue;
        ++pictures;
        const auto nal_units = split_avcc(View(frame.body).subspan(5), config->length_size);
        ASSERT_TRUE(nal_units) << nal_units.error().message();
        const AccessUnit unit = summarize(*nal_units, stamp_uuid);
        EXPECT_TRUE(unit.slice);
        EXPECT_EQ(unit.idr, frame.keyframe);
        EXPECT_EQ(unit.user_data, frame.keyframe ? std::optional(stamp) : std::nullopt);
        keyframes += frame.keyframe;
    }
    EXPECT_EQ(keyframes, 3U);
}

TEST(H264AccessUnit, TakesTheFirstThatCanBeRead) {
    const Bytes delimiter{0x09, 0xf0}, broken_sps{0x67, 66},
        sps = avc_sps({640, 360}, 30), pps = avc_pps(), other = avc_sps({}, 30),
        foreign_sei{0x06, 5, 1, 0, 0x80}, sei = avc_sei(stamp_uuid, stamp),
        second_sei = avc_sei(stamp_uuid, Bytes{1}), filler = avc_filler(10);
    const std::vector<View> nal_units{delimiter, broken_sps,  sps, other,      pps,
                                      {},        foreign_sei, sei, second_sei, filler};
    EXPECT_EQ(summarize(nal_units, stamp_uuid), (AccessUnit{.idr = false,
                                                            .slice = false,
                                                            .sps = SpsInfo{66, 30, 640, 360, std::nullopt},
                                                            .pps = true,
                                                            .user_data = stamp}));
    EXPECT_EQ(summarize({}, stamp_uuid), AccessUnit{});
}

}  // namespace
}  // namespace livecanary::protocol
