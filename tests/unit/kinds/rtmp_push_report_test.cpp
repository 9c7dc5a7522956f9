// What is said of viewers: words for people, fingerprints, values, and which failure a run ends in.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include <boost/asio/error.hpp>

#include "probes/core/error_table.hpp"
#include "probes/net/resolver.hpp"
#include "probes/rtmp_push/push.hpp"
#include "probes/rtmp_push/report.hpp"

namespace livecanary::rtmp_push {
namespace {

using namespace std::chrono_literals;
using Evidences = std::vector<std::pair<std::string_view, std::string>>;

const error_code refused_code = asio::error::connection_refused;

/// One that played as it should.
Viewed played(PlayProtocol protocol = PlayProtocol::http_flv, std::string host = "play.test") {
    Viewed viewed{.protocol = protocol, .host = std::move(host), .address = "192.0.2.1:80"};
    Received& r = viewed.received;
    r.first_byte = 3200us;
    r.first_media = 12ms;
    r.first_frame = 150ms;
    r.video = r.audio = r.video_header = r.audio_header = true;
    r.width = 320;
    r.height = 180;
    r.frames_per_second = 25;
    r.frames = 60;
    r.keyframes = r.own_stamps = 3;
    r.matched = Matched::stamp;
    r.latencies = {10ms, 1200ms, 40ms};
    r.longest_pause = 41ms;
    return viewed;
}

Viewed failed(error_code code, PlayProtocol protocol = PlayProtocol::http_flv,
              std::string host = "play.test") {
    return {.protocol = protocol, .host = std::move(host), .address = "192.0.2.1:80", .code = code};
}

Viewed of(std::size_t viewing, Viewed viewed) {
    viewed.viewing = viewing;
    return viewed;
}

TEST(RtmpPushDescribe, SaysWhatWasMeasured) {
    EXPECT_EQ(describe(played()),
              "http-flv play.test at 192.0.2.1:80: played; first byte 3.20 ms, first media 12.0 ms, first "
              "picture 150 ms; 40.0 ms behind (median of 3, most 1.20 s, by stamp); 320x180 at 25.0 of 25 "
              "fps; longest pause 41.0 ms");
}

TEST(RtmpPushDescribe, SaysHowLatencyIsKnown) {
    Viewed viewed = played();
    viewed.received.matched = Matched::presentation_time;
    EXPECT_NE(describe(viewed).find("; 40.0 ms behind (median of 3, most 1.20 s, by presentation time: the "
                                    "stamp is gone, as after transcoding);"),
              std::string::npos)
        << describe(viewed);
    viewed.received.matched = Matched::nothing;
    viewed.received.latencies.clear();
    EXPECT_NE(describe(viewed).find(
                  "; latency unknown: no picture that was sent after we asked was recognised; 320x180"),
              std::string::npos)
        << describe(viewed);
}

TEST(RtmpPushDescribe, ComparesSizeAndRateWithWhatWasSent) {
    Viewed viewed = played();
    viewed.received.width = 1280;
    viewed.received.height = 720;
    viewed.received.frames_per_second = 12.49;
    EXPECT_NE(describe(viewed).find("; 1280x720 (sent 320x180) at 12.5 of 25 fps;"), std::string::npos)
        << describe(viewed);
    viewed.received.width = viewed.received.height = 0;
    viewed.received.frames_per_second = 0;
    viewed.received.other_codec = true;
    viewed.received.video_header = false;
    EXPECT_NE(describe(viewed).find("by stamp); video that is not H.264; longest pause"), std::string::npos)
        << describe(viewed);
}

TEST(RtmpPushDescribe, NamesWhatIsMissing) {
    Viewed viewed = failed(PlayError::undecodable);
    Received& r = viewed.received;
    r.first_byte = 5ms;
    r.first_media = 600ms;
    r.video = true;
    EXPECT_EQ(describe(viewed),
              "http-flv play.test at 192.0.2.1:80: media came, but no picture that can be shown; first byte "
              "5.00 ms, first media 600 ms; no sound; no SPS and PPS; longest pause 0.00 ms");
    r.video = false;
    r.audio = true;
    EXPECT_EQ(describe(viewed),
              "http-flv play.test at 192.0.2.1:80: media came, but no picture that can be shown; first byte "
              "5.00 ms, first media 600 ms; no video; no AudioSpecificConfig; longest pause 0.00 ms");
}

TEST(RtmpPushDescribe, CountsJumpsAndForeignKeyframes) {
    Viewed viewed = played();
    viewed.received.gaps = 3;
    viewed.received.longest_gap = 2500ms;
    viewed.received.foreign_stamps = 2;
    EXPECT_TRUE(
        describe(viewed).ends_with("; 3 jumps of timestamps, the longest 2.50 s; 2 keyframes of "
                                   "another push; longest pause 41.0 ms"))
        << describe(viewed);
}

TEST(RtmpPushDescribe, SaysWhatBecameOfThePlaylist) {
    Viewed viewed = played(PlayProtocol::hls);
    viewed.target_duration = 2s;
    viewed.segment_duration = 2002ms;
    viewed.playlist_age = 900ms;
    viewed.segments = 4;
    EXPECT_TRUE(describe(viewed).ends_with(
        "at 25.0 of 25 fps; 4 segments of up to 2.00 s, playlist at most 900 ms old"))
        << describe(viewed);
    viewed.missed = 2;
    viewed.went_back = 1;
    EXPECT_TRUE(
        describe(viewed).ends_with("playlist at most 900 ms old, 2 segments missed, numbering began anew"))
        << describe(viewed);
}

TEST(RtmpPushDescribe, SaysWhyThereIsNothing) {
    Viewed viewed = failed(PlayError::not_found);
    viewed.said = "HTTP 404";
    EXPECT_EQ(describe(viewed),
              "http-flv play.test at 192.0.2.1:80: the server has no such stream (HTTP 404)");
    viewed.received.first_byte = 9ms;
    EXPECT_EQ(
        describe(viewed),
        "http-flv play.test at 192.0.2.1:80: the server has no such stream (HTTP 404); first byte 9.00 ms");

    Viewed unresolved = failed(net::DnsError::no_such_name, PlayProtocol::rtmp);
    unresolved.address.clear();
    EXPECT_EQ(describe(unresolved), "rtmp play.test: " + error_code(net::DnsError::no_such_name).message());
}

TEST(RtmpPushDescribe, LeavesOutTheStatusOfWhatPlayed) {
    Viewed viewed = played();
    viewed.said = "HTTP 200";
    EXPECT_EQ(describe(viewed), describe(played()));
}

TEST(RtmpPushDescribe, UnitsFollowTheSize) {
    const auto words = [](Clock::duration pause) {
        Viewed viewed = played();
        viewed.received.longest_pause = pause;
        const std::string text = describe(viewed);
        return text.substr(text.rfind("pause ") + 6);
    };
    EXPECT_EQ(words(0s), "0.00 ms");
    EXPECT_EQ(words(320us), "0.32 ms");
    EXPECT_EQ(words(9499us), "9.50 ms");
    EXPECT_EQ(words(53'200us), "53.2 ms");
    EXPECT_EQ(words(530ms), "530 ms");
    EXPECT_EQ(words(1s), "1.00 s");
    EXPECT_EQ(words(61'070ms), "61.07 s");
}

TEST(RtmpPushFingerprint, IsProtocolAndReason) {
    EXPECT_EQ(fingerprint(played()), "played");
    EXPECT_EQ(fingerprint(played(PlayProtocol::hls, "other.test")), "played");
    EXPECT_EQ(fingerprint(failed(PlayError::forbidden)), "playback http-flv forbidden");
    EXPECT_EQ(fingerprint(failed(PlayError::forbidden, PlayProtocol::rtmp)), "playback rtmp forbidden");
    EXPECT_EQ(fingerprint(failed(PlayError::no_media, PlayProtocol::hls)), "playback hls no_media");
    EXPECT_EQ(fingerprint(failed(refused_code)), "playback http-flv refused");
    // Who is asked, and in which words it answers, makes no difference.
    Viewed other = failed(PlayError::forbidden, PlayProtocol::http_flv, "other.test");
    other.address = "[2001:db8::1]:443";
    other.said = "HTTP 401";
    EXPECT_EQ(fingerprint(other), fingerprint(failed(PlayError::forbidden)));
}

TEST(RtmpPushFingerprint, EveryErrorHasItsReason) {
    const std::pair<PlayError, Reason> reasons[] = {
        {PlayError::not_found, Reason::not_found},  {PlayError::forbidden, Reason::forbidden},
        {PlayError::http_status, Reason::rejected}, {PlayError::segment_not_found, Reason::not_found},
        {PlayError::no_media, Reason::no_media},    {PlayError::undecodable, Reason::undecodable},
        {PlayError::stalled, Reason::stalled},      {PlayError::stale, Reason::stale},
        {PlayError::foreign, Reason::mismatch},     {PlayError::redirects, Reason::mismatch},
        {PlayError::no_protocol, Reason::local},    {PlayError::unsupported, Reason::local},
    };
    for (const auto& [error, reason] : reasons)
        EXPECT_EQ(reason_of(error), reason) << error_code(error).message();
    const auto& table = static_cast<const ErrorTable<PlayError>&>(error_code(PlayError::foreign).category());
    EXPECT_EQ(table.rows().size(), std::size(reasons));
}

class RtmpPushHostIn : public testing::TestWithParam<const char*> {};

TEST_P(RtmpPushHostIn, FindsTheHostOfEveryDescription) {
    const std::string host = GetParam();
    for (const PlayProtocol protocol : {PlayProtocol::rtmp, PlayProtocol::http_flv, PlayProtocol::hls})
        for (const char* address : {"", "192.0.2.1:80", "[2001:db8::1]:1935"})
            for (Viewed viewed : {played(protocol, host), failed(PlayError::not_found, protocol, host),
                                  failed(asio::error::timed_out, protocol, host)}) {
                viewed.address = address;
                viewed.said = "HTTP 404: at host";
                ASSERT_EQ(host_in(describe(viewed)), host) << describe(viewed);
            }
}
INSTANTIATE_TEST_SUITE_P(, RtmpPushHostIn,
                         testing::Values("play.test", "localhost", "a", "at", "192.0.2.1", "::1",
                                         "2001:db8::1", "2001:db8:0:0:0:0:0:1", "::ffff:192.0.2.1",
                                         "2001:db8::"));

TEST(RtmpPushHostInText, OfOtherTextsIsNothingThatHurts) {
    EXPECT_EQ(host_in(""), "");
    EXPECT_EQ(host_in(" "), "");
    EXPECT_EQ(host_in("rtmp "), "");
    EXPECT_EQ(host_in("rtmp host"), "host");
}

// --- what the run is told

struct World {
    Env env{};
    World() {
        env.now = [] { return Clock::time_point{}; };
        env.wall = [] { return WallTime{}; };
    }
    RunResult report(const std::vector<Viewing>& viewings, const std::vector<Viewed>& viewed) {
        ProbeRun run(env, 10s);
        run.enter(playing);
        rtmp_push::report(viewings, viewed, run);
        return run.end();
    }
};

RunResult reported(const std::vector<Viewing>& viewings, const std::vector<Viewed>& viewed) {
    return World().report(viewings, viewed);
}

Evidences evidence_of(const RunResult& run) {
    Evidences all;
    for (const auto& e : run.evidence) all.emplace_back(e.what, e.got);
    return all;
}

struct Number {
    std::string_view metric, label;
    double number;
    bool operator==(const Number&) const = default;
};
void PrintTo(const Number& n, std::ostream* out) { *out << n.metric << '{' << n.label << "} " << n.number; }

std::vector<Number> numbers_of(const RunResult& run) {
    std::vector<Number> numbers;
    for (const auto& found : run.values)
        numbers.push_back({found.value.metric, found.label_value, found.number});
    return numbers;
}

TEST(RtmpPushReport, AllPlayed) {
    const std::vector<Viewed> viewed{of(0, played()), of(1, played(PlayProtocol::rtmp))};
    const RunResult run = reported({{}, {}}, viewed);
    EXPECT_EQ(run.outcome(), RunOutcome::ok);
    EXPECT_EQ(run.fingerprint, "");
    EXPECT_EQ(run.headline, "played http-flv 40.0 ms behind, rtmp 40.0 ms behind");
    EXPECT_EQ(evidence_of(run),
              (Evidences{{"played", describe(viewed[0])}, {"played", describe(viewed[1])}}));
    EXPECT_EQ(run.evidence.front().phase.name, "playback");
}

TEST(RtmpPushReport, NobodyPlayed) {
    const RunResult run = reported({}, {});
    EXPECT_EQ(run.outcome(), RunOutcome::ok);
    EXPECT_EQ(run.headline, "");
    EXPECT_TRUE(run.evidence.empty() && run.values.empty());
}

TEST(RtmpPushReport, EveryLatencyIsANumber) {
    const RunResult run = reported({{}}, {played()});
    EXPECT_EQ(numbers_of(run),
              (std::vector<Number>{{"livecanary_playback_latency_seconds", "http-flv", 0.01},
                                   {"livecanary_playback_latency_seconds", "http-flv", 1.2},
                                   {"livecanary_playback_latency_seconds", "http-flv", 0.04},
                                   {"livecanary_playback_first_frame_seconds", "http-flv", 0.15},
                                   {"livecanary_playback_pause_seconds", "", 0.041},
                                   {"livecanary_playback_timestamp_gaps_total", "", 0}}));
}

TEST(RtmpPushReport, NumbersOfTheWorstViewerAndSumsOfAll) {
    Viewed flv = played(), rtmp = of(1, played(PlayProtocol::rtmp)), hls = of(2, played(PlayProtocol::hls)),
           newer = of(3, played(PlayProtocol::hls));
    for (Viewed* viewed : {&flv, &rtmp, &hls, &newer}) viewed->received.latencies = {1s};
    flv.received.gaps = 2;
    flv.received.longest_pause = 700ms;
    hls.received.longest_pause = 9s;  // between two segments: no pause of the picture
    hls.received.gaps = 1;
    hls.target_duration = newer.target_duration = 2s;
    newer.playlist_age = 1500ms;
    hls.playlist_age = 8s;
    const RunResult run = reported({{}, {}, {}, {}}, {flv, rtmp, hls, newer});
    EXPECT_EQ(numbers_of(run),
              (std::vector<Number>{{"livecanary_playback_latency_seconds", "http-flv", 1},
                                   {"livecanary_playback_first_frame_seconds", "http-flv", 0.15},
                                   {"livecanary_playback_latency_seconds", "rtmp", 1},
                                   {"livecanary_playback_first_frame_seconds", "rtmp", 0.15},
                                   {"livecanary_playback_latency_seconds", "hls", 1},
                                   {"livecanary_playback_first_frame_seconds", "hls", 0.15},
                                   {"livecanary_playback_latency_seconds", "hls", 1},
                                   {"livecanary_playback_first_frame_seconds", "hls", 0.15},
                                   {"livecanary_playback_pause_seconds", "", 0.7},
                                   {"livecanary_playback_playlist_age_seconds", "", 8},
                                   {"livecanary_playback_timestamp_gaps_total", "", 3}}));
}

TEST(RtmpPushReport, ViewerWithoutMediaHasNoNumbers) {
    for (const PlayProtocol protocol : {PlayProtocol::rtmp, PlayProtocol::http_flv, PlayProtocol::hls})
        EXPECT_TRUE(reported({{}}, {failed(PlayError::not_found, protocol)}).values.empty());
}

TEST(RtmpPushReport, NumbersOfAFailedViewerCount) {
    Viewed stalled = played();
    stalled.code = PlayError::stalled;
    stalled.received.longest_pause = 2s;
    const auto numbers = numbers_of(reported({{}}, {stalled}));
    EXPECT_EQ(numbers.size(), 6U);
    EXPECT_EQ(numbers[4], (Number{"livecanary_playback_pause_seconds", "", 2}));
}

TEST(RtmpPushReport, NumbersAreOfTheKindsValuesAndLabels) {
    Viewed hls = of(1, played(PlayProtocol::hls));
    hls.target_duration = 2s;
    Viewing every;
    every.every_address = true;
    const RunResult run =
        reported({every, {}, {}}, {played(), hls, of(2, played(PlayProtocol::rtmp)), failed(refused_code)});
    std::set<std::string_view> metrics;
    for (const auto& found : run.values) {
        metrics.insert(found.value.metric);
        EXPECT_EQ(std::ranges::count(values, found.value.metric, &Value::metric), 1) << found.value.metric;
        EXPECT_EQ(found.value.label.empty(), found.label_value.empty()) << found.value.metric;
        if (!found.value.label.empty()) {
            EXPECT_EQ(std::ranges::count(found.value.label_values, found.label_value), 1)
                << found.label_value;
        }
    }
    EXPECT_EQ(metrics.size(), 6U);
}

TEST(RtmpPushReport, HeadlineHasOnlyKnownLatencies) {
    Viewed unknown = played(PlayProtocol::hls);
    unknown.received.latencies.clear();
    EXPECT_EQ(reported({{}}, {unknown}).headline, "");
    Viewed stalled = played();
    stalled.code = PlayError::stalled;
    EXPECT_EQ(reported({{}, {}, {}}, {unknown, of(1, stalled), of(2, played(PlayProtocol::rtmp))}).headline,
              "played rtmp 40.0 ms behind");
}

TEST(RtmpPushReport, FailureNamesItself) {
    Viewed viewed = failed(PlayError::forbidden);
    viewed.said = "HTTP 403";
    Viewing viewing;
    viewing.wait = 2500ms;
    const RunResult run = reported({viewing}, {viewed});
    EXPECT_EQ(run.outcome(), RunOutcome::failed);
    EXPECT_EQ(run.failed_phase(), "playback");
    EXPECT_EQ(run.code, PlayError::forbidden);
    EXPECT_EQ(run.fingerprint, "playback http-flv forbidden");
    EXPECT_EQ(run.inconclusive, "");
    EXPECT_EQ(evidence_of(run), (Evidences{{"not_played", describe(viewed)},
                                           {"playback_stage", "unconnected"},
                                           {"playback_wait", "2500 ms"}}));
}

TEST(RtmpPushReport, FirstFailureIsTheRunsOwn) {
    std::vector<Viewing> viewings(3);
    viewings[1].wait = 3s;
    const RunResult run = reported(viewings, {played(), of(1, failed(PlayError::stale, PlayProtocol::hls)),
                                              of(2, failed(PlayError::forbidden, PlayProtocol::rtmp))});
    EXPECT_EQ(run.code, PlayError::stale);
    EXPECT_EQ(run.fingerprint, "playback hls stale");
    EXPECT_EQ(run.got("playback_wait"), "3000 ms");
    EXPECT_EQ(run.headline, "played http-flv 40.0 ms behind");
}

// The stream might have appeared, had the run had the time that the configuration grants.
TEST(RtmpPushReport, WaitThatWasCutShortIsNoEvidence) {
    Viewed viewed = failed(PlayError::not_found);
    viewed.cut_short = true;
    const RunResult run = reported({{}}, {viewed});
    EXPECT_EQ(run.code, PlayError::not_found);
    EXPECT_EQ(evidence_of(run),
              (Evidences{{"not_played", describe(viewed)},
                         {"playback_stage", "unconnected"},
                         {"playback_cut_short", "the run's timeout left less than `wait`"}}));
    // That of another viewer is no matter.
    const RunResult other = reported({{}, {}}, {failed(PlayError::not_found), of(1, viewed)});
    EXPECT_EQ(other.got("playback_wait"), "10000 ms");
}

TEST(RtmpPushReport, WhatIsProvenComesBeforeOurOwnFault) {
    std::vector<Viewing> viewings(3);
    viewings[1].wait = 3s;
    const Viewed proven = of(1, failed(PlayError::forbidden)), ours = failed(PlayError::unsupported);
    for (const auto& viewed : {std::vector{ours, proven}, std::vector{proven, of(2, ours)},
                               std::vector{ours, proven, of(2, ours)}}) {
        const RunResult run = reported(viewings, viewed);
        EXPECT_EQ(run.outcome(), RunOutcome::failed);
        EXPECT_EQ(run.inconclusive, "");
        EXPECT_EQ(run.code, PlayError::forbidden);
        EXPECT_EQ(run.fingerprint, "playback http-flv forbidden");
        EXPECT_EQ(run.got("playback_wait"), "3000 ms");
    }
}

// diagnose() takes the first `not_played` for the viewer that the run failed by: its host, its words.
TEST(RtmpPushReport, FirstEvidenceIsOfTheFailureThatCounts) {
    const Viewed proven = of(1, failed(PlayError::forbidden, PlayProtocol::rtmp, "b.test"));
    const RunResult run =
        reported({{}, {}}, {failed(PlayError::unsupported, PlayProtocol::hls, "a.test"), proven});
    EXPECT_EQ(run.code, PlayError::forbidden);
    EXPECT_EQ(run.got("not_played"), describe(proven));
    EXPECT_EQ(std::ranges::count(run.evidence, "not_played", &Evidence::what), 2);
}

TEST(RtmpPushReport, OurOwnFaultAloneProvesNothing) {
    for (const PlayError error : {PlayError::unsupported, PlayError::no_protocol}) {
        const Viewed viewed = of(1, failed(error, PlayProtocol::hls));
        const RunResult run = reported({{}, {}}, {played(), viewed});
        EXPECT_EQ(run.outcome(), RunOutcome::inconclusive);
        EXPECT_EQ(run.inconclusive, describe(viewed));
        EXPECT_EQ(run.code, error);
        EXPECT_EQ(run.failed_phase(), "playback");
        EXPECT_EQ(run.fingerprint, "playback hls local");
        EXPECT_EQ(run.got("not_played"), describe(viewed));
        EXPECT_NE(run.got("played"), "");
    }
}

TEST(RtmpPushReport, FirstOfOurOwnFaultsIsTheRunsOwn) {
    const Viewed first = failed(PlayError::unsupported, PlayProtocol::hls);
    const RunResult run = reported({{}, {}}, {first, of(1, failed(PlayError::no_protocol))});
    EXPECT_EQ(run.code, PlayError::unsupported);
    EXPECT_EQ(run.inconclusive, describe(first));
}

Viewed at(std::string address, error_code code) {
    Viewed viewed = code ? failed(code) : played();
    viewed.address = std::move(address);
    return viewed;
}

std::vector<Number> failing(const RunResult& run) {
    auto numbers = numbers_of(run);
    std::erase_if(numbers, [](const Number& n) { return n.metric != "livecanary_failing_addresses"; });
    return numbers;
}
std::vector<Number> families_failing(double ipv4, double ipv6) {
    return {{"livecanary_failing_addresses", "ipv4", ipv4}, {"livecanary_failing_addresses", "ipv6", ipv6}};
}

TEST(RtmpPushReport, FailingAddressesAreCountedByFamily) {
    Viewing every;
    every.every_address = true;
    const std::vector<Viewed> viewed{at("192.0.2.1:80", {}), at("192.0.2.2:80", refused_code),
                                     at("192.0.2.3:80", PlayError::not_found), at("[2001:db8::1]:80", {}),
                                     at("[2001:db8::2]:80", PlayError::stalled)};
    const RunResult run = reported({every}, viewed);
    EXPECT_EQ(failing(run), families_failing(2, 1));
    EXPECT_EQ(run.code, refused_code);
    EXPECT_EQ(run.got("not_played"), describe(viewed[1])) << "the bad edge is named";
}

TEST(RtmpPushReport, NoAddressFails) {
    Viewing every;
    every.every_address = true;
    EXPECT_EQ(failing(reported({every}, {at("192.0.2.1:80", {}), at("[2001:db8::1]:80", {})})),
              families_failing(0, 0));
    // A name that does not resolve has none.
    EXPECT_EQ(failing(reported({every}, {at("", net::DnsError::no_such_name)})), families_failing(0, 0));
}

TEST(RtmpPushReport, OnlyWhereEveryAddressIsAskedAreTheyCounted) {
    EXPECT_TRUE(failing(reported({{}}, {at("192.0.2.1:80", refused_code)})).empty());
    Viewing every;
    every.every_address = true;
    EXPECT_EQ(failing(reported({{}, every},
                               {at("192.0.2.1:80", refused_code), of(1, at("192.0.2.2:80", refused_code)),
                                of(1, at("192.0.2.3:80", {}))})),
              families_failing(1, 0));
}

// 16 addresses of one name must not crowd out what else is known.
TEST(RtmpPushReport, ManyFailuresLeaveRoomForWhatPlayed) {
    Viewing every;
    every.every_address = true;
    std::vector<Viewed> viewed;
    for (int i = 0; i < 16; ++i) viewed.push_back(at("192.0.2." + std::to_string(i) + ":80", refused_code));
    viewed.push_back(of(1, played(PlayProtocol::rtmp)));
    const RunResult run = reported({every, {}}, viewed);
    EXPECT_EQ(std::ranges::count(run.evidence, "not_played", &Evidence::what), 8);
    EXPECT_EQ(run.got("played"), describe(viewed.back()));
    EXPECT_NE(run.got("playback_wait"), "");
    EXPECT_EQ(failing(run), families_failing(16, 0));
}

}  // namespace
}  // namespace livecanary::rtmp_push
