// HLS playlists: the examples of RFC 8216 §8, what is refused, when to load again.
#include "probes/protocol/m3u8.hpp"

#include <gtest/gtest.h>

namespace livecanary::protocol {
namespace {

using namespace std::chrono_literals;
using std::chrono::sys_days, std::chrono::year, std::chrono::steady_clock;

MediaPlaylist media(std::string_view text) {
    const auto playlist = parse_m3u8(text);
    if (!playlist) ADD_FAILURE() << playlist.error().message();
    return playlist ? std::get<MediaPlaylist>(*playlist) : MediaPlaylist();
}

MasterPlaylist master(std::string_view text) {
    const auto playlist = parse_m3u8(text);
    if (!playlist) ADD_FAILURE() << playlist.error().message();
    return playlist ? std::get<MasterPlaylist>(*playlist) : MasterPlaylist();
}

error_code error_of(std::string_view text) {
    const auto playlist = parse_m3u8(text);
    return playlist ? error_code() : playlist.error();
}

std::string with_crlf(std::string_view text) {
    std::string out;
    for (const char c : text) out += c == '\n' ? std::string("\r\n") : std::string(1, c);
    return out;
}

// RFC 8216 §8.2.
constexpr std::string_view live = R"(#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:8
#EXT-X-MEDIA-SEQUENCE:2680

#EXTINF:7.975,
https://priv.example.com/fileSequence2680.ts
#EXTINF:7.941,
https://priv.example.com/fileSequence2681.ts
#EXTINF:7.975,
https://priv.example.com/fileSequence2682.ts
)";

MediaPlaylist live_playlist() {
    const std::string uri = "https://priv.example.com/fileSequence268";
    return {.version = 3,
            .target_duration = 8s,
            .media_sequence = 2680,
            .segments = {{.uri = uri + "0.ts", .duration = 7.975, .sequence = 2680},
                         {.uri = uri + "1.ts", .duration = 7.941, .sequence = 2681},
                         {.uri = uri + "2.ts", .duration = 7.975, .sequence = 2682}}};
}

TEST(M3u8, ReadsALiveMediaPlaylist) { EXPECT_EQ(media(live), live_playlist()); }

TEST(M3u8, LineEndsByteOrderMarkAndSpaceMakeNoDifference) {
    EXPECT_EQ(media(with_crlf(live)), live_playlist());
    EXPECT_EQ(media(with_crlf(with_crlf(live))), live_playlist());
    EXPECT_EQ(media("\xef\xbb\xbf" + std::string(live)), live_playlist());
    EXPECT_EQ(media(live.substr(0, live.size() - 1)), live_playlist());
    std::string spaced;
    for (const char c : live) spaced += c == '\n' ? std::string(" \t\n") : std::string(1, c);
    EXPECT_EQ(media(spaced), live_playlist());
}

// RFC 8216 §8.1, and §8.3 with a key.
TEST(M3u8, ReadsAnEndedAndAnEncryptedPlaylist) {
    const auto ended = media(
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n\n#EXTINF:9.009,\nhttp://media.example.com/first.ts\n"
        "#EXTINF:9.009,\nhttp://media.example.com/second.ts\n#EXTINF:3.003,\nhttp://media.example.com/"
        "third.ts\n"
        "#EXT-X-ENDLIST\n");
    EXPECT_TRUE(ended.end_list);
    EXPECT_FALSE(ended.encrypted);
    EXPECT_EQ(ended.version, 1u);
    ASSERT_EQ(ended.segments.size(), 3u);
    EXPECT_EQ(ended.segments[2],
              (MediaSegment{.uri = "http://media.example.com/third.ts", .duration = 3.003, .sequence = 2}));

    const auto encrypted = media(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-MEDIA-SEQUENCE:7794\n#EXT-X-TARGETDURATION:15\n"
        "#EXT-X-KEY:METHOD=AES-128,URI=\"https://priv.example.com/key.php?r=52\"\n#EXTINF:2.833,\n"
        "http://media.example.com/fileSequence52-A.ts\n");
    EXPECT_TRUE(encrypted.encrypted);
    EXPECT_FALSE(encrypted.end_list);
}

TEST(M3u8, AKeyOfMethodNoneEncryptsNothing) {
    EXPECT_FALSE(media("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=NONE\n").encrypted);
}

// As SRS writes it: EXTINF with a title, a discontinuity at the start.
TEST(M3u8, ReadsWhatSrsWrites) {
    const auto playlist = media(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-MEDIA-SEQUENCE:4\n#EXT-X-TARGETDURATION:11\n#EXT-X-DISCONTINUITY\n"
        "#EXTINF:10.033, no desc\nlivestream-4.ts?hls_ctx=a,b\n#EXTINF:10.000, no desc\nlivestream-5.ts\n");
    ASSERT_EQ(playlist.segments.size(), 2u);
    EXPECT_EQ(playlist.segments[0].uri, "livestream-4.ts?hls_ctx=a,b");
    EXPECT_DOUBLE_EQ(playlist.segments[0].duration, 10.033);
    EXPECT_TRUE(playlist.segments[0].discontinuity);
    EXPECT_FALSE(playlist.segments[1].discontinuity);
    EXPECT_EQ(playlist.segments[1].sequence, 5u);
}

TEST(M3u8, KnowsGapsMapsByteRangesAndDiscontinuitySequence) {
    const auto playlist = media(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-DISCONTINUITY-SEQUENCE:7\n#EXT-X-MAP:URI=\"init.mp4\"\n"
        "#EXTINF:4\n#EXT-X-GAP\na.m4s\n#EXTINF:4,\n#EXT-X-BYTERANGE:100@0\nb.m4s\n");
    EXPECT_TRUE(playlist.fragmented_mp4);
    EXPECT_TRUE(playlist.byte_ranges);
    EXPECT_EQ(playlist.discontinuity_sequence, 7u);
    EXPECT_TRUE(playlist.segments.at(0).gap);
    EXPECT_FALSE(playlist.segments.at(1).gap);
    EXPECT_FALSE(media(live).fragmented_mp4 || media(live).byte_ranges);
}

TEST(M3u8, CommentsAndUnknownTagsAreIgnored) {
    EXPECT_EQ(media("#EXTM3U\n# hello\n#EXT-X-NEW:\"\n#EXTRA\n#EXT-X-ALLOW-CACHE:NO\n#\n" +
                    std::string(live.substr(8))),
              live_playlist());
}

TEST(M3u8, AMediaPlaylistMayBeginWithoutSegments) {
    EXPECT_TRUE(media("#EXTM3U\n#EXT-X-TARGETDURATION:4\n").segments.empty());
    EXPECT_EQ(media("#EXTM3U\n#EXT-X-TARGETDURATION: 0\n").target_duration, 0s);
}

// RFC 8216 §8.4 and §8.6, with a comma in a quoted string.
TEST(M3u8, ReadsAMasterPlaylist) {
    const std::string_view text =
        "#EXTM3U\n"
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"aac\",NAME=\"English, US\",DEFAULT=YES,URI=\"main/en.m3u8\"\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=1280000,AVERAGE-BANDWIDTH=1000000,AUDIO=\"aac\"\nlow/video-only.m3u8\n"
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=86000,URI=\"low/iframe.m3u8\"\n"
        "#EXT-X-STREAM-INF:CODECS=\"avc1.64001f,mp4a.40.2\", RESOLUTION=1280x720, BANDWIDTH=2560000\n"
        "http://example.com/mid.m3u8?bitrate=1\n"
        "#EXT-X-STREAM-INF:\nsilent.m3u8\n";
    const MasterPlaylist expected{{{.uri = "low/video-only.m3u8", .bandwidth = 1'280'000},
                                   {.uri = "http://example.com/mid.m3u8?bitrate=1",
                                    .bandwidth = 2'560'000,
                                    .codecs = "avc1.64001f,mp4a.40.2",
                                    .width = 1280,
                                    .height = 720},
                                   {.uri = "silent.m3u8"}}};
    EXPECT_EQ(master(text), expected);
    EXPECT_EQ(master(with_crlf(text)), expected);
}

TEST(M3u8, RefusesWhatBreaksTheFormat) {
    const std::string begin = "#EXTM3U\n#EXT-X-TARGETDURATION:8\n";
    const std::string variant = "#EXTM3U\n#EXT-X-STREAM-INF:";
    const auto sequence = [&](const std::string& number) {
        return begin + "#EXT-X-MEDIA-SEQUENCE:" + number;
    };
    const auto duration = [&](const std::string& number) {
        return begin + "#EXTINF:" + number + ",\na.ts\n";
    };
    struct Case {
        const char* what;
        std::string text;
        M3u8Error error;
    };
    using enum M3u8Error;
    const Case cases[] = {
        {"nothing", "", not_m3u8},
        {"an HTML page", "<!DOCTYPE html>\n<html><body>404</body></html>\n", not_m3u8},
        {"an HTML page in one long line", "<html>" + std::string(20'000, 'x'), not_m3u8},
        {"the tag in the second line", "\n#EXTM3U\n", not_m3u8},
        {"the tag goes on", "#EXTM3U8\n", not_m3u8},
        {"no tag but the first", "#EXTM3U\n", no_segments_or_variants},
        {"a master playlist without variants", "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO\n", no_segments_or_variants},
        {"segments in a master playlist", variant + "BANDWIDTH=1\na.m3u8\n#EXTINF:1,\na.ts\n", mixed},
        {"variants in a media playlist", begin + "#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n", mixed},
        {"a plain list of files", "#EXTM3U\na.mp3\n", uri_without_tag},
        {"two URIs for one EXTINF", duration("1") + "b.ts\n", uri_without_tag},
        {"the end after EXTINF", begin + "#EXTINF:1,\n", tag_without_uri},
        {"the end after EXT-X-STREAM-INF", variant + "BANDWIDTH=1\n", tag_without_uri},
        {"no target duration", "#EXTM3U\n#EXTINF:1,\na.ts\n", missing_target_duration},
        {"a target duration that is a word", "#EXTM3U\n#EXT-X-TARGETDURATION:long\n", bad_number},
        {"a target duration with a fraction", "#EXTM3U\n#EXT-X-TARGETDURATION:8.5\n", bad_number},
        {"a target duration of more than a day", "#EXTM3U\n#EXT-X-TARGETDURATION:86401\n", bad_number},
        {"an empty target duration", "#EXTM3U\n#EXT-X-TARGETDURATION\n", bad_number},
        {"a version that is negative", begin + "#EXT-X-VERSION:-3\n", bad_number},
        {"a media sequence beyond 64 bits", sequence("18446744073709551616"), bad_number},
        {"a media sequence with no room after it", sequence("18446744073709551615"), bad_number},
        {"a duration of none", duration(""), bad_number},
        {"a duration that is negative", duration("-1"), bad_number},
        {"an infinite duration", duration("inf"), bad_number},
        {"a duration with an exponent", duration("1e3"), bad_number},
        {"a duration with two points", duration("1.2.3"), bad_number},
        {"a duration of more than a day", duration("86400.1"), bad_number},
        {"a bandwidth that is a word", variant + "BANDWIDTH=fast\na\n", bad_number},
        {"a resolution without height", variant + "RESOLUTION=1280\na\n", bad_number},
        {"a resolution beyond bounds", variant + "RESOLUTION=1x1000001\na\n", bad_number},
        {"an attribute without value", variant + "BANDWIDTH\na\n", bad_attributes},
        {"an attribute without name", variant + "=1\na\n", bad_attributes},
        {"a string without end", variant + "CODECS=\"avc1\na\n", bad_attributes},
        {"a quote inside a word", variant + "CODECS=a\"b\na\n", bad_attributes},
        {"something after a string", variant + "CODECS=\"a\"b\na\n", bad_attributes},
        {"a key without method", begin + "#EXT-X-KEY:URI=\"k\"\n", bad_attributes},
    };
    for (const Case& c : cases) {
        EXPECT_EQ(error_of(c.text), c.error) << c.what;
        EXPECT_EQ(error_of(with_crlf(c.text)), c.error) << c.what;
        EXPECT_EQ(reason_of(c.error), c.error == not_m3u8 ? Reason::mismatch : Reason::protocol) << c.what;
    }
}

TEST(M3u8, HoldsItsLimitsToTheByteAndTheEntry) {
    const std::string begin = "#EXTM3U\n#EXT-X-TARGETDURATION:8\n";
    const auto line = [&](std::size_t size) { return begin + "#" + std::string(size - 1, 'x') + "\r\n"; };
    EXPECT_EQ(error_of(line(max_playlist_line)), error_code());
    EXPECT_EQ(error_of(line(max_playlist_line + 1)), M3u8Error::too_long);

    std::string text = begin;
    while (text.size() < max_playlist_size) text += '\n';
    EXPECT_EQ(error_of(text), error_code());
    EXPECT_EQ(error_of(text + '\n'), M3u8Error::too_long);

    std::string segments = begin, variants = "#EXTM3U\n";
    for (std::size_t i = 0; i < max_playlist_entries; ++i) {
        segments += "#EXTINF:1,\na\n";
        variants += "#EXT-X-STREAM-INF:\na\n";
    }
    EXPECT_EQ(media(segments).segments.size(), max_playlist_entries);
    EXPECT_EQ(error_of(segments + "#EXTINF:1,\na\n"), M3u8Error::too_long);
    EXPECT_EQ(master(variants).variants.size(), max_playlist_entries);
    EXPECT_EQ(error_of(variants + "#EXT-X-STREAM-INF:\na\n"), M3u8Error::too_long);
    const auto last =
        media(segments + "#EXT-X-MEDIA-SEQUENCE:18446744073709541615\n").segments.back().sequence;
    EXPECT_EQ(last, 18446744073709551614u);
}

TEST(M3u8, CutShortAtEveryByteHasNoSegmentItDidNotHave) {
    const auto whole = live_playlist();
    for (std::size_t size = 0; size < live.size(); ++size) {
        const auto playlist = parse_m3u8(live.substr(0, size));
        if (!playlist) continue;
        const auto& segments = std::get<MediaPlaylist>(*playlist).segments;
        ASSERT_LE(segments.size(), 3u) << size;
        for (std::size_t i = 0; i < segments.size(); ++i) {
            EXPECT_TRUE(whole.segments[i].uri.starts_with(segments[i].uri)) << size;
            const bool last = i + 1 == segments.size();
            EXPECT_TRUE(last || segments[i].uri == whole.segments[i].uri) << size;
        }
    }
}

TEST(M3u8, ProgramDateTimeIsRead) {
    const auto date_time = [](const std::string& text) {
        return media("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-PROGRAM-DATE-TIME:" + text +
                     "\n#EXTINF:1,\na.ts\n#EXTINF:1,\nb.ts\n")
            .segments;
    };
    const auto at = sys_days(year(2010) / 2 / 19) + 6h + 54min + 23s;
    struct Case {
        const char* text;
        std::optional<std::chrono::system_clock::time_point> expected;
    };
    const Case cases[] = {
        {"2010-02-19T14:54:23.031+08:00", at + 31ms},
        {"2010-02-19T14:54:23.031+0800", at + 31ms},  // as ffmpeg writes it
        {"2010-02-19T14:54:23+08", at},
        {"2010-02-19T06:54:23Z", at},
        {"2010-02-19 06:54:23,5z", at + 500ms},
        {"2010-02-19T04:24:23-02:30", at},
        {"2010-02-19T06:54:23.0000000019Z", at + 1ns},
        {"2010-02-18T23:59:60Z", sys_days(year(2010) / 2 / 19)},
        {"1970-01-01T00:00:00Z", std::chrono::system_clock::time_point()},
        {"2010-02-19T14:54:23", std::nullopt},
        {"2010-02-30T14:54:23Z", std::nullopt},
        {"2010-13-19T14:54:23Z", std::nullopt},
        {"2010-02-19T24:54:23Z", std::nullopt},
        {"2010-02-19T14:60:23Z", std::nullopt},
        {"2010-02-19T14:54:61Z", std::nullopt},
        {"2010-02-19T14:54:23+24:00", std::nullopt},
        {"2010-02-19T14:54:23+08:60", std::nullopt},
        {"2010-02-19T14:54:23+08:", std::nullopt},
        {"2010-02-19T14:54:23+08:000", std::nullopt},
        {"2010-02-19T14:54:23Z ago", std::nullopt},
        {"1969-12-31T23:59:59Z", std::nullopt},
        {"2262-01-01T00:00:00Z", std::nullopt},
        {"20100219T145423Z", std::nullopt},
        {"", std::nullopt},
    };
    for (const Case& c : cases) {
        const auto segments = date_time(c.text);
        EXPECT_EQ(segments.at(0).program_date_time, c.expected) << c.text;
        EXPECT_FALSE(segments.at(1).program_date_time) << c.text;
    }
    const std::string whole = "2010-02-19T14:54:23.031+08:00";
    for (std::size_t size = 0; size < whole.size(); ++size) date_time(whole.substr(0, size));
}

/// A playlist of `count` segments from `first` on, of 4 s.
MediaPlaylist window(std::uint64_t first, std::size_t count, const std::string& name = "s") {
    MediaPlaylist playlist{.target_duration = 4s, .media_sequence = first};
    for (std::uint64_t sequence = first; sequence < first + count; ++sequence)
        playlist.segments.push_back(
            {.uri = name + std::to_string(sequence) + ".ts?token=" + std::to_string(first),
             .duration = 4,
             .sequence = sequence});
    return playlist;
}

std::vector<std::uint64_t> numbers(const HlsUpdate& update) {
    std::vector<std::uint64_t> out;
    for (const auto& segment : update.new_segments) out.push_back(segment.sequence);
    return out;
}

using Numbers = std::vector<std::uint64_t>;

class HlsReloadTest : public testing::Test {
protected:
    /// Loads began `after` the start and took 100 ms.
    HlsUpdate load(const MediaPlaylist& playlist, steady_clock::duration after) {
        return reload.loaded(playlist, start + after, start + after + 100ms);
    }
    const steady_clock::time_point start{1000s};
    HlsReload reload;
};

TEST_F(HlsReloadTest, BeginsWithTheNewestSegment) {
    const auto update = load(window(10, 3), 0s);
    EXPECT_EQ(numbers(update), Numbers{12});
    EXPECT_TRUE(update.changed);
    EXPECT_EQ(update.load_again_at, start + 4s);
    EXPECT_FALSE(update.restarted || update.stale || update.older_version);
    EXPECT_EQ(update.missed, 0u);
    EXPECT_EQ(update.age, 0s);
}

TEST_F(HlsReloadTest, WaitsATargetDurationAfterAChangeAndHalfOfItWithout) {
    load(window(10, 3), 0s);
    const auto changed = load(window(12, 3), 4s);
    EXPECT_EQ(numbers(changed), (Numbers{13, 14}));
    EXPECT_EQ(changed.load_again_at, start + 8s);
    const auto same = load(window(12, 3), 8s);
    EXPECT_EQ(numbers(same), Numbers{});
    EXPECT_FALSE(same.changed);
    EXPECT_EQ(same.load_again_at, start + 10s);
}

TEST_F(HlsReloadTest, ASegmentThatOnlyLeftIsAChangeButNothingNew) {
    load(window(10, 3), 0s);
    const auto update = load(window(11, 2), 5s);
    EXPECT_TRUE(update.changed);
    EXPECT_EQ(numbers(update), Numbers{});
    EXPECT_EQ(update.load_again_at, start + 9s);
    EXPECT_EQ(update.age, 4900ms);
}

TEST_F(HlsReloadTest, CountsWhatItMissed) {
    load(window(10, 3), 0s);
    EXPECT_EQ(load(window(13, 3), 4s).missed, 0u);
    const auto update = load(window(18, 2), 8s);
    EXPECT_EQ(update.missed, 2u);  // 16 and 17
    EXPECT_EQ(numbers(update), (Numbers{18, 19}));
    EXPECT_FALSE(update.restarted);
}

TEST_F(HlsReloadTest, ARestartBeginsAgainWithTheNewestSegment) {
    load(window(10, 3), 0s);
    const auto update = load(window(0, 2), 20s);
    EXPECT_TRUE(update.restarted);
    EXPECT_FALSE(update.older_version);
    EXPECT_EQ(numbers(update), Numbers{1});
    EXPECT_EQ(update.age, 0s);
    EXPECT_EQ(update.missed, 0u);
    EXPECT_EQ(numbers(load(window(1, 2), 24s)), Numbers{2});
}

TEST_F(HlsReloadTest, ARestartIsKnownByOtherSegmentsUnderTheSameNumbers) {
    load(window(2, 4), 0s);
    const auto update = load(window(0, 4, "other"), 4s);
    EXPECT_TRUE(update.restarted);
    EXPECT_EQ(numbers(update), Numbers{3});
}

TEST_F(HlsReloadTest, AnOlderCopyOfASecondNodeChangesNothing) {
    load(window(10, 3), 0s);
    load(window(11, 3), 4s);
    const auto update = load(window(10, 3), 8s);
    EXPECT_TRUE(update.older_version);
    EXPECT_FALSE(update.restarted || update.changed);
    EXPECT_EQ(numbers(update), Numbers{});
    EXPECT_EQ(update.load_again_at, start + 10s);
    EXPECT_EQ(update.age, 3900ms);
    EXPECT_EQ(numbers(load(window(12, 3), 10s)), Numbers{14});
}

TEST_F(HlsReloadTest, IsStaleAboveOneAndAHalfTargetDurations) {
    load(window(10, 3), 0s);
    const auto still = load(window(10, 3), 6100ms);
    EXPECT_EQ(still.age, 6s);
    EXPECT_FALSE(still.stale);
    EXPECT_TRUE(load(window(10, 3), 6101ms).stale);
    EXPECT_FALSE(load(window(11, 3), 7s).stale);
}

TEST_F(HlsReloadTest, AnEndedPlaylistIsNotLoadedAgainAndNeverStale) {
    load(window(10, 3), 0s);
    MediaPlaylist ended = window(10, 3);
    ended.end_list = true;
    const auto update = load(ended, 60s);
    EXPECT_TRUE(update.changed);
    EXPECT_EQ(update.load_again_at, std::nullopt);
    EXPECT_FALSE(update.stale);
}

TEST_F(HlsReloadTest, BeginsOnceThereIsASegment) {
    EXPECT_EQ(numbers(load(window(0, 0), 0s)), Numbers{});
    const auto empty = load(window(0, 0), 7s);
    EXPECT_FALSE(empty.changed);
    EXPECT_EQ(empty.age, 6900ms);
    EXPECT_TRUE(empty.stale);
    const auto update = load(window(0, 2), 9s);
    EXPECT_EQ(numbers(update), Numbers{1});
    EXPECT_FALSE(update.restarted || update.stale);
    EXPECT_EQ(numbers(load(window(5, 0), 13s)), Numbers{});
    EXPECT_EQ(load(window(5, 1), 17s).missed, 3u);
}

TEST_F(HlsReloadTest, ATargetDurationOfZeroDoesNotFlood) {
    MediaPlaylist playlist = window(0, 1);
    playlist.target_duration = 0s;
    EXPECT_EQ(load(playlist, 0s).load_again_at, start + 1s);
    EXPECT_EQ(load(playlist, 1s).load_again_at, start + 1500ms);
}

}  // namespace
}  // namespace livecanary::protocol
