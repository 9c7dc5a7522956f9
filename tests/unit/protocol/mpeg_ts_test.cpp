// Demultiplexing of MPEG-TS: golden bytes as ffmpeg 5.1 writes them, the rest by ts_writer.hpp.
#include "probes/protocol/mpeg_ts.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "probes/protocol/avc.hpp"
#include "probes/protocol/h264.hpp"
#include "probes/protocol/test_stream.hpp"
#include "tests/unit/protocol/ts_writer.hpp"

namespace livecanary::protocol {
namespace {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;
constexpr std::size_t packet_size = 188;

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

struct Read {
    std::vector<TsUnit> units{};
    error_code error{};
    std::uint64_t packets = 0, continuity_errors = 0, scrambled = 0, dropped_units = 0, section_errors = 0;
    bool operator==(const Read&) const = default;
};

Read read_in_pieces(View bytes, std::size_t size = 100'000, std::size_t max_pes = 1 << 20) {
    TsDemux demux(max_pes);
    Read read;
    while (!bytes.empty() && !read.error) {
        const auto piece = bytes.first(std::min(size, bytes.size()));
        read.error = demux.feed(piece, read.units);
        bytes = bytes.subspan(piece.size());
    }
    demux.finish(read.units);
    read.packets = demux.packets();
    read.continuity_errors = demux.continuity_errors();
    read.scrambled = demux.scrambled();
    read.dropped_units = demux.dropped_units();
    read.section_errors = demux.section_errors();
    return read;
}

TsUnit video(std::uint64_t pts, Bytes data, bool random_access = false,
             std::optional<std::uint64_t> dts = std::nullopt) {
    return {TsStream::h264, TsWriter::video_pid, pts, dts, random_access, std::move(data)};
}

TsUnit audio(std::uint64_t pts) {
    return {TsStream::aac, TsWriter::audio_pid,
            pts,           std::nullopt,
            true,          adts_frame(aac_silence(AacChannels::stereo), AacChannels::stereo)};
}

constexpr std::uint64_t max_ticks = (std::uint64_t{1} << 33) - 1;

struct Segment {
    Bytes bytes;
    std::vector<TsUnit> units;
};

// Pictures of one packet and of many, sound between them, the last picture closed by the end only.
Segment some_segment() {
    TsWriter writer;
    writer.tables();
    const std::vector<Bytes> first{avc_sps({}, 11), avc_pps(), avc_idr({}, 0)}, second{avc_p({}, 1)},
        third{Bytes(1000, 0x41)};
    const Bytes silence = aac_silence(AacChannels::stereo);
    writer.video(90'000, first, true, 86'400);
    writer.audio(90'000, silence);
    writer.video(max_ticks, second);
    writer.audio(92'090, silence);
    writer.tables();
    writer.video(0, third, false, max_ticks);
    return {writer.take(),
            {audio(90'000), video(90'000, annex_b(first), true, 86'400), audio(92'090),
             video(max_ticks, annex_b(second)), video(0, annex_b(third), false, max_ticks)}};
}

TEST(TsDemux, ReadsWhatIsWrittenInPiecesOfAnySize) {
    const Segment segment = some_segment();
    const Read expected{.units = segment.units, .packets = segment.bytes.size() / packet_size};
    for (std::size_t size = 1; size <= segment.bytes.size(); ++size)
        ASSERT_EQ(read_in_pieces(segment.bytes, size), expected) << size;
}

TEST(TsDemux, NeverGivesHalfAUnitWhereverTheSegmentIsCutBetweenItsParts) {
    const Segment segment = some_segment();
    for (std::size_t size = 0; size < segment.bytes.size(); ++size) {
        const Read read = read_in_pieces(View(segment.bytes).first(size), 50);
        EXPECT_FALSE(read.error) << size;
        // A picture has no length: only the last unit may lack its end.
        for (std::size_t i = 0; i + 1 < read.units.size(); ++i)
            EXPECT_NE(std::find(segment.units.begin(), segment.units.end(), read.units[i]),
                      segment.units.end())
                << size;
        EXPECT_EQ(read.continuity_errors + read.section_errors, 0U) << size;
    }
}

TEST(TsDemux, TellsStreamsOfThePmt) {
    struct Case {
        std::vector<TsWriter::Stream> streams;
        bool video, audio;
    };
    const Case cases[] = {
        {{{0x1b, 256}, {0x0f, 257}}, true, true},
        {{{0x0f, 257}}, false, true},
        {{{0x24, 256}}, true, false},
        {{{0x03, 257}}, false, true},
        {{{0x02, 256}}, true, false},
        {{{0x15, 258}}, false, false},
        {{{0x81, 257}}, false, true},
        {{}, false, false},
    };
    for (const Case& c : cases) {
        TsWriter writer(c.streams);
        writer.tables();
        TsDemux demux;
        std::vector<TsUnit> units;
        EXPECT_FALSE(demux.has_video() || demux.has_audio());
        EXPECT_FALSE(demux.feed(writer.bytes(), units));
        EXPECT_EQ(demux.has_video(), c.video);
        EXPECT_EQ(demux.has_audio(), c.audio);
        EXPECT_EQ(demux.packets(), 2U);
        EXPECT_EQ(demux.section_errors(), 0U);
    }
}

TEST(TsDemux, NamesTheTypeOfEachStream) {
    TsWriter writer({{0x1b, 1001}, {0x24, 1002}, {0x0f, 1003}, {0x11, 1004}, {0x15, 1005}});
    writer.tables();
    for (std::uint16_t pid = 1001; pid <= 1006; ++pid) writer.pes(pid, {}, Bytes{1});
    std::vector<TsStream> types;
    for (const TsUnit& unit : read_in_pieces(writer.bytes()).units) types.push_back(unit.type);
    EXPECT_EQ(types, (std::vector<TsStream>{TsStream::h264, TsStream::hevc, TsStream::aac, TsStream::aac,
                                            TsStream::other}));
}

// PAT and PMT of `ffmpeg -f mpegts` with H.264 and AAC.
TEST(TsDemux, ReadsTheTablesOfFfmpeg) {
    Bytes bytes{0x47, 0x40, 0x00, 0x10, 0x00, 0x00, 0xb0, 0x0d, 0x00, 0x01, 0xc1,
                0x00, 0x00, 0x00, 0x01, 0xf0, 0x00, 0x2a, 0xb1, 0x04, 0xb2};
    bytes.resize(packet_size, 0xff);
    append(bytes,
           {0x47, 0x50, 0x00, 0x10, 0x00, 0x02, 0xb0, 0x17, 0x00, 0x01, 0xc1, 0x00, 0x00, 0xe1, 0x00, 0xf0,
            0x00, 0x1b, 0xe1, 0x00, 0xf0, 0x00, 0x0f, 0xe1, 0x01, 0xf0, 0x00, 0x2f, 0x44, 0xb9, 0x9b});
    bytes.resize(2 * packet_size, 0xff);
    TsDemux demux;
    std::vector<TsUnit> units;
    EXPECT_FALSE(demux.feed(bytes, units));
    EXPECT_EQ(demux.section_errors(), 0U);
    EXPECT_TRUE(demux.has_video());
    EXPECT_TRUE(demux.has_audio());
}

// nginx-rtmp and SRS pass an SEI on into HLS segments, where it is cut at every 184 bytes.
TEST(TsDemux, PutsAStampTogetherThatSpansPackets) {
    for (const std::size_t size : {20U, 180U, 300U, 400U, 2000U}) {
        Bytes stamp(size);
        for (std::size_t i = 0; i < size; ++i) stamp[i] = static_cast<std::uint8_t>(i % 7 == 0 ? i : 0);
        const std::vector<Bytes> picture{avc_sps({}, 11), avc_pps(), avc_sei(stamp_uuid, stamp),
                                         avc_idr({}, 0)};
        TsWriter writer;
        writer.tables();
        writer.video(90'000, picture, true);
        writer.video(93'600, std::vector<Bytes>{avc_p({}, 1)});
        for (const std::size_t piece : {writer.bytes().size(), std::size_t{1}, std::size_t{100}}) {
            const Read read = read_in_pieces(writer.bytes(), piece);
            ASSERT_EQ(read.units.size(), 2U);
            const AccessUnit unit = summarize(split_annex_b(read.units[0].data), stamp_uuid);
            EXPECT_EQ(unit.user_data, stamp) << size;
            EXPECT_TRUE(unit.idr && unit.pps);
            EXPECT_EQ(unit.sps.value_or(SpsInfo{}).width, 320U);
            EXPECT_FALSE(summarize(split_annex_b(read.units[1].data), stamp_uuid).user_data);
        }
    }
}

TEST(TsDemux, RefusesLostSyncForGood) {
    const Segment segment = some_segment();
    TsDemux demux;
    std::vector<TsUnit> units;
    EXPECT_EQ(demux.feed(Bytes{'<'}, units), TsError::no_sync);
    EXPECT_EQ(demux.feed(segment.bytes, units), TsError::no_sync);
    EXPECT_TRUE(units.empty());
    EXPECT_EQ(demux.packets(), 0U);

    Bytes bytes = segment.bytes;
    bytes.erase(bytes.begin() + 3 * packet_size + 50);
    for (const std::size_t size : {bytes.size(), std::size_t{1}, std::size_t{187}}) {
        const Read read = read_in_pieces(bytes, size);
        EXPECT_EQ(read.error, TsError::no_sync);
        EXPECT_EQ(read.error, Reason::protocol);
        EXPECT_EQ(read.packets, 4U);
    }
}

TEST(TsDemux, ReadsNothingBeforeThePmt) {
    TsWriter writer;
    writer.audio(1, Bytes{1});
    writer.section(0, TsWriter::pat());
    writer.audio(2, Bytes{2});
    writer.section(TsWriter::pmt_pid, writer.pmt());
    writer.audio(3, Bytes{3});
    const Read read = read_in_pieces(writer.bytes());
    ASSERT_EQ(read.units.size(), 1U);
    EXPECT_EQ(read.units[0].pts, 3U);
}

TEST(TsDemux, FollowsTheFirstProgramOnly) {
    TsWriter writer;
    const Bytes programs{0, 0, 0xe0, 0x10,  // the network's table
                         0, 7, 0xf0, 0x00, 0, 8, 0xf0, 0x01};
    writer.section(0, TsWriter::table(0, 1, programs));
    writer.section(TsWriter::pmt_pid, writer.pmt(7));
    writer.section(TsWriter::pmt_pid, TsWriter({{0x1b, 300}}).pmt(8));  // another program on the same PID
    writer.section(TsWriter::pmt_pid + 1, TsWriter({{0x1b, 300}}).pmt(8));
    writer.pes(300, {}, Bytes{1});
    writer.audio(5, Bytes{1});
    const Read read = read_in_pieces(writer.bytes());
    ASSERT_EQ(read.units.size(), 1U);
    EXPECT_EQ(read.units[0].pid, TsWriter::audio_pid);
}

// A PMT with long descriptors, cut into packets at every place.
TEST(TsDemux, PutsTablesTogetherThatSpanPackets) {
    Bytes fields{0xe1, 0x00, 0xf1, 0x2c};  // 300 bytes of program_info
    fields.resize(fields.size() + 300, 0x47);
    append(fields, {0x0f, 0xe1, 0x01, 0xf0, 0x02, 0x0a, 0x00});
    const Bytes pmt = TsWriter::table(2, 1, fields);
    for (std::size_t cut = 0; cut <= 183; ++cut) {
        TsWriter writer;
        writer.section(0, TsWriter::pat());
        Bytes first{0}, second(pmt.begin() + static_cast<std::ptrdiff_t>(cut), pmt.end());
        first.insert(first.end(), pmt.begin(), pmt.begin() + static_cast<std::ptrdiff_t>(cut));
        writer.packet(TsWriter::pmt_pid, true, first);
        while (second.size() > 184) {
            writer.packet(TsWriter::pmt_pid, false, View(second).first(184));
            second.erase(second.begin(), second.begin() + 184);
        }
        writer.packet(TsWriter::pmt_pid, false, second);
        writer.audio(5, Bytes{1});
        const Read read = read_in_pieces(writer.bytes());
        ASSERT_EQ(read.units.size(), 1U) << cut;
        EXPECT_EQ(read.section_errors, 0U) << cut;
    }
}

TEST(TsDemux, ReadsTheNextTableBehindThePointer) {
    TsWriter writer;
    const Bytes pat = TsWriter::pat(), pmt = writer.pmt();
    writer.section(0, pat);
    // A foreign table, then the PMT begins in a packet that still holds the end of that table.
    const Bytes foreign = TsWriter::table(0xc0, 1, Bytes(200, 0x11));
    Bytes first{0}, second{static_cast<std::uint8_t>(foreign.size() - 183)};
    first.insert(first.end(), foreign.begin(), foreign.begin() + 183);
    second.insert(second.end(), foreign.begin() + 183, foreign.end());
    append(second, pmt);
    writer.packet(TsWriter::pmt_pid, true, first);
    writer.packet(TsWriter::pmt_pid, true, second);
    writer.audio(5, Bytes{1});
    const Read read = read_in_pieces(writer.bytes());
    EXPECT_EQ(read.units.size(), 1U);
    EXPECT_EQ(read.section_errors, 0U);
}

TEST(TsDemux, DropsTablesThatAreBroken) {
    const Bytes good = TsWriter().pmt();
    Bytes bad_crc = good, too_long = good, too_short = TsWriter::table(2, 1, {}), bad_pointer{200, 0xff};
    bad_crc[14] ^= 1;
    too_long[1] |= 0x0f;
    too_short[2] = 3;
    for (const Bytes& broken : {bad_crc, too_long, too_short}) {
        TsWriter writer;
        writer.section(0, TsWriter::pat());
        writer.section(TsWriter::pmt_pid, broken);
        writer.audio(5, Bytes{1});
        const Read read = read_in_pieces(writer.bytes());
        EXPECT_TRUE(read.units.empty());
        EXPECT_GE(read.section_errors, 1U);
        // The next one counts again.
        writer.section(TsWriter::pmt_pid, good);
        writer.audio(5, Bytes{1});
        EXPECT_EQ(read_in_pieces(writer.bytes()).units.size(), 1U);
    }
    TsWriter writer;
    writer.packet(0, true, bad_pointer);
    EXPECT_EQ(read_in_pieces(writer.bytes()).section_errors, 1U);
}

TEST(TsDemux, DropsATableThatAnotherCutsShort) {
    TsWriter writer;
    writer.section(0, TsWriter::pat());
    const Bytes pmt = writer.pmt();
    Bytes half{0};
    half.insert(half.end(), pmt.begin(), pmt.begin() + 10);
    writer.packet(TsWriter::pmt_pid, true, half);
    writer.section(TsWriter::pmt_pid, pmt);
    writer.audio(5, Bytes{1});
    const Read read = read_in_pieces(writer.bytes());
    EXPECT_EQ(read.units.size(), 1U);
    EXPECT_EQ(read.section_errors, 1U);
    EXPECT_EQ(read.continuity_errors, 0U);
}

TEST(TsDemux, FollowsAPmtThatMovesToAnotherPid) {
    TsWriter writer;
    writer.tables();
    writer.audio(1, Bytes{1});
    writer.section(0, TsWriter::pat(2, 0x30));
    writer.section(0x30, TsWriter({{0x0f, 300}}).pmt(2));
    writer.audio(2, Bytes{2});
    writer.pes(300, {.pts = 3}, Bytes{3});
    const Read read = read_in_pieces(writer.bytes());
    ASSERT_EQ(read.units.size(), 2U);
    EXPECT_EQ(read.units[0].pts, 1U);
    EXPECT_EQ(read.units[1].pts, 3U);
    EXPECT_EQ(read.continuity_errors, 0U);
}

TEST(TsDemux, IgnoresTablesThatAreNotCurrentOrNotTheFirst) {
    const Bytes empty{0xff, 0xff, 0xf0, 0x00}, other_program{0, 9, 0xe0, 0x30};
    TsWriter writer;
    writer.tables();
    writer.section(TsWriter::pmt_pid, TsWriter::table(2, 1, empty, false));
    writer.section(0, TsWriter::table(0, 1, other_program, true, 1));
    writer.audio(5, Bytes{1});
    const Read read = read_in_pieces(writer.bytes());
    EXPECT_EQ(read.units.size(), 1U);
    EXPECT_EQ(read.section_errors, 0U);
    writer.section(TsWriter::pmt_pid, TsWriter::table(2, 1, empty));
    writer.audio(6, Bytes{1});
    EXPECT_EQ(read_in_pieces(writer.bytes()).units.size(), 1U);
}

TEST(TsDemux, KeepsWhatAStreamHasBegunOverANewPmt) {
    TsWriter writer;
    writer.tables();
    const std::vector<Bytes> picture{Bytes(300, 0x41)};
    const Bytes pes = TsWriter::pes_bytes({.pts = 7, .with_length = false}, annex_b(picture));
    writer.packet(TsWriter::video_pid, true, View(pes).first(184));
    writer.section(TsWriter::pmt_pid, TsWriter({{0x1b, TsWriter::video_pid}, {0x15, 400}}).pmt());
    writer.packet(TsWriter::video_pid, false, View(pes).subspan(184));
    // The stream leaves: that is its end.
    writer.section(TsWriter::pmt_pid, TsWriter({{0x15, 400}}).pmt());
    writer.pes(400, {}, Bytes{1});
    const Read read = read_in_pieces(writer.bytes());
    ASSERT_EQ(read.units.size(), 2U);
    EXPECT_EQ(read.units[0], video(7, annex_b(picture)));
    EXPECT_EQ(read.units[1].pid, 400);
}

TEST(TsDemux, FollowsEightStreamsAtMost) {
    std::vector<TsWriter::Stream> streams;
    for (std::uint16_t pid = 500; pid < 520; ++pid) streams.push_back({0x15, pid});
    streams.insert(streams.begin(), streams.front());  // twice the same
    TsWriter writer(streams);
    writer.tables();
    for (std::uint16_t pid = 500; pid < 520; ++pid) writer.pes(pid, {}, Bytes{1});
    EXPECT_EQ(read_in_pieces(writer.bytes()).units.size(), 8U);
}

// Tables in packets 0 and 1, then pictures of three packets each.
Bytes three_pictures() {
    TsWriter writer;
    writer.tables();
    for (std::uint64_t i = 0; i < 3; ++i)
        writer.video(i, std::vector<Bytes>{Bytes(450, static_cast<std::uint8_t>(0x40 + i))});
    return writer.take();
}

std::vector<std::uint64_t> times(const Read& read) {
    std::vector<std::uint64_t> out;
    for (const TsUnit& unit : read.units) out.push_back(unit.pts.value_or(999));
    return out;
}

Bytes without_packets(Bytes bytes, std::size_t first, std::size_t count) {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(first * packet_size);
    bytes.erase(begin, begin + static_cast<std::ptrdiff_t>(count * packet_size));
    return bytes;
}

TEST(TsDemux, CountsAGapAndDropsThePictureItHits) {
    ASSERT_EQ(three_pictures().size(), 11 * packet_size);
    struct Case {
        std::size_t lost, count;
        std::vector<std::uint64_t> left;
    };
    const Case cases[] = {
        {2, 1, {1, 2}},  // its start: nobody knows that there was one
        {3, 1, {1, 2}},
        {4, 1, {1, 2}},  // its end
        {5, 1, {2}},     // the next one's start: the end of the first is in doubt, and the rest belongs to no
                         // one
        {6, 1, {0, 2}},
        {9, 1, {0, 1}},
        {4, 3, {2}},
    };
    for (const Case& c : cases) {
        const Read read = read_in_pieces(without_packets(three_pictures(), c.lost, c.count));
        EXPECT_EQ(times(read), c.left) << c.lost;
        EXPECT_EQ(read.continuity_errors, c.lost == 2 ? 0U : 1U) << c.lost;
        EXPECT_EQ(read.error, error_code()) << c.lost;
    }
}

TEST(TsDemux, TakesAPacketWithTransportErrorAsLost) {
    Bytes bytes = three_pictures();
    bytes[6 * packet_size + 1] |= 0x80;
    Read read = read_in_pieces(bytes);
    EXPECT_EQ(times(read), (std::vector<std::uint64_t>{0, 2}));
    EXPECT_EQ(read.continuity_errors, 1U);
    EXPECT_EQ(read.dropped_units, 1U);

    bytes = three_pictures();
    bytes[6 * packet_size + 3] |= 0x20;  // now its first byte is the length of an adaptation field
    bytes[6 * packet_size + 4] = 184;
    read = read_in_pieces(bytes);
    EXPECT_EQ(times(read), (std::vector<std::uint64_t>{0, 2}));
    EXPECT_EQ(read.continuity_errors, 1U);
}

Bytes with_repeated(Bytes bytes, std::size_t packet, std::size_t times) {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(packet * packet_size);
    const Bytes copy(begin, begin + packet_size);
    for (; times > 0; --times)
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(packet * packet_size), copy.begin(),
                     copy.end());
    return bytes;
}

TEST(TsDemux, AllowsAPacketTwiceButNotThreeTimes) {
    const Read plain = read_in_pieces(three_pictures());
    for (std::size_t packet = 0; packet < 11; ++packet) {
        const Read twice = read_in_pieces(with_repeated(three_pictures(), packet, 1));
        EXPECT_EQ(twice.units, plain.units) << packet;
        EXPECT_EQ(twice.continuity_errors, 0U) << packet;
        EXPECT_EQ(read_in_pieces(with_repeated(three_pictures(), packet, 2)).continuity_errors, 1U) << packet;
    }
}

TEST(TsDemux, SeesALossOfFifteenPackets) {
    TsWriter writer;
    writer.tables();
    Bytes data(184 * 30);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i / 184);
    writer.pes(TsWriter::video_pid, {.pts = 1, .with_length = false}, data);
    const Read read = read_in_pieces(without_packets(writer.take(), 5, 15));
    EXPECT_EQ(read.continuity_errors, 1U);
    EXPECT_TRUE(read.units.empty());
}

TEST(TsDemux, HonoursTheDiscontinuityIndicator) {
    TsWriter first, second;
    first.tables();
    first.video(1, std::vector<Bytes>{Bytes(10, 0x41)});
    first.audio(1, Bytes{1});
    // A splice: the same PID goes on with another counter.
    for (int i = 0; i < 5; ++i) second.video(0, std::vector<Bytes>{Bytes(10, 0x41)});
    second.take();
    second.video(2, std::vector<Bytes>{Bytes(10, 0x41)});
    Bytes bytes = first.take(), marked = second.take();
    append(bytes, marked);
    EXPECT_EQ(read_in_pieces(bytes).continuity_errors, 1U);
    bytes[bytes.size() - packet_size + 5] |= 0x80;
    const Read read = read_in_pieces(bytes);
    EXPECT_EQ(read.continuity_errors, 0U);
    EXPECT_EQ(times(read), (std::vector<std::uint64_t>{1, 1, 2}));
}

TEST(TsDemux, HonoursADiscontinuityIndicatorOnAPacketWithoutPayload) {
    const Bytes pictures = three_pictures();
    Bytes marker{0x47, 0x01, 0x00, 0x25, 183, 0x80};  // counter 5: the next packet has 6
    marker.resize(packet_size, 0xff);
    Bytes bytes = pictures;
    bytes.insert(bytes.begin() + 5 * packet_size, marker.begin(), marker.end());
    for (std::size_t packet = 6; packet < 12; ++packet)
        bytes[packet * packet_size + 3] =
            static_cast<std::uint8_t>((bytes[packet * packet_size + 3] & 0xf0) | packet);
    EXPECT_EQ(times(read_in_pieces(bytes)), (std::vector<std::uint64_t>{0, 1, 2}));
    EXPECT_EQ(read_in_pieces(bytes).continuity_errors, 0U);
    bytes[5 * packet_size + 5] = 0;
    EXPECT_EQ(read_in_pieces(bytes).continuity_errors, 1U);
}

TEST(TsDemux, CountsScrambledPackets) {
    for (const std::size_t packet : {5U, 6U, 7U}) {
        Bytes bytes = three_pictures();
        bytes[packet * packet_size + 3] |= 0x80;
        const Read read = read_in_pieces(bytes);
        EXPECT_EQ(read.scrambled, 1U);
        EXPECT_EQ(read.dropped_units, 1U);
        EXPECT_EQ(read.continuity_errors, 0U);
        EXPECT_EQ(times(read), (std::vector<std::uint64_t>{0, 2})) << packet;
    }
}

TEST(TsDemux, EndsAPesPacketWhereItSaysSo) {
    TsWriter writer;
    writer.tables();
    Bytes pes = TsWriter::pes_bytes({.pts = 5}, Bytes(20, 0x41));
    append(pes, Bytes(400, 0xff));
    writer.packets(TsWriter::video_pid, pes);
    EXPECT_EQ(read_in_pieces(writer.bytes()).units, (std::vector<TsUnit>{video(5, Bytes(20, 0x41))}));
}

TEST(TsDemux, DropsPesPacketsThatAreBroken) {
    const Bytes good = TsWriter::pes_bytes({.pts = 5, .dts = 4}, Bytes(20, 0x41));
    const auto with = [&good](std::size_t at, std::uint8_t value) {
        Bytes bytes = good;
        bytes[at] = value;
        return bytes;
    };
    struct Case {
        const char* what;
        Bytes pes;
        std::uint64_t scrambled;
    };
    const Case cases[] = {
        {"no start code", with(2, 2), 0},
        {"no optional fields", with(6, 0x04), 0},
        {"scrambled", with(6, 0x94), 1},
        {"shorter than stated", with(5, 100), 0},
        {"header longer than the packet", with(8, 40), 0},
        {"no room for its times", with(8, 5), 0},
        {"cut within its header", Bytes(good.begin(), good.begin() + 8), 0},
        {"cut before its length", Bytes(good.begin(), good.begin() + 4), 0},
    };
    for (const Case& c : cases) {
        TsWriter writer;
        writer.tables();
        writer.packets(TsWriter::video_pid, c.pes);
        writer.packets(TsWriter::video_pid, good);
        const Read read = read_in_pieces(writer.bytes());
        EXPECT_EQ(read.units, (std::vector<TsUnit>{video(5, Bytes(20, 0x41), false, 4)})) << c.what;
        EXPECT_EQ(read.dropped_units, 1U) << c.what;
        EXPECT_EQ(read.scrambled, c.scrambled) << c.what;
    }
}

TEST(TsDemux, GivesAPesPacketWithLengthAtOnce) {
    TsWriter writer;
    writer.tables();
    writer.audio(5, Bytes(500, 1));
    TsDemux demux;
    std::vector<TsUnit> units;
    EXPECT_FALSE(demux.feed(writer.bytes(), units));
    EXPECT_EQ(units.size(), 1U);
    demux.finish(units);
    EXPECT_EQ(units.size(), 1U);
}

TEST(TsDemux, GivesUnitsWithoutTimes) {
    TsWriter writer;
    writer.tables();
    writer.pes(TsWriter::audio_pid, {}, Bytes{1, 2});
    const Read read = read_in_pieces(writer.bytes());
    ASSERT_EQ(read.units.size(), 1U);
    EXPECT_EQ(read.units[0].pts, std::nullopt);
    EXPECT_EQ(read.units[0].dts, std::nullopt);
    EXPECT_EQ(read.units[0].data, (Bytes{1, 2}));
}

TEST(TsDemux, HoldsItsLimitToTheByte) {
    for (const bool with_length : {true, false}) {
        TsWriter writer;
        writer.tables();
        const Bytes data(1000, 0x41);
        const TsWriter::Pes header{.pts = 1, .with_length = with_length};
        const std::size_t size = TsWriter::pes_bytes(header, data).size();
        writer.pes(TsWriter::video_pid, header, data);
        writer.pes(TsWriter::video_pid, {.pts = 2}, Bytes{1});
        EXPECT_EQ(times(read_in_pieces(writer.bytes(), 100, size)), (std::vector<std::uint64_t>{1, 2}));
        const Read read = read_in_pieces(writer.bytes(), 100, size - 1);
        EXPECT_EQ(times(read), (std::vector<std::uint64_t>{2}));
        EXPECT_EQ(read.dropped_units, 1U);
    }
}

TEST(TsDemux, GoesOnWithTheNextSegment) {
    const Segment segment = some_segment();
    TsDemux demux;
    std::vector<TsUnit> units;
    for (int i = 0; i < 2; ++i) {
        // Cut within a packet, and its counters begin anew the next time.
        EXPECT_FALSE(demux.feed(segment.bytes, units));
        EXPECT_FALSE(demux.feed(View(segment.bytes).first(10), units));
        demux.finish(units);
    }
    EXPECT_EQ(units.size(), 2 * segment.units.size());
    EXPECT_EQ(demux.continuity_errors(), 0U);
    EXPECT_EQ(demux.dropped_units(), 0U);
}

}  // namespace
}  // namespace livecanary::protocol
