// A push with players against real servers: what they measure, and what is made of a play that fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <future>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/matrix.hpp"
#include "tests/integration/servers.hpp"
#include "tests/practice/delay_relay.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::signed_name;

constexpr std::string_view latency = "livecanary_playback_latency_seconds";
constexpr const char* play_backup_key = "practice-play-backup-key";

/// One element of `playback`. Keys that are empty are left out.
struct Play {
    std::string url;
    std::string key{};
    std::string backup{};
    std::string more{};  ///< such as ", ca_file = 'ca.pem'"
    std::string address = "127.0.0.1";
};

/// How long the push lasts and how long a stream may take to appear; as TOML has it.
struct Times {
    std::string media = "1s";
    std::string timeout = "20s";
    std::string wait{};  ///< empty: the default
};

std::string config(const std::string& push_url, const std::string& push_key, const std::vector<Play>& plays,
                   const Times& times = {}) {
    std::string toml = "url = " + quoted(push_url) +
                       "\naddress = '127.0.0.1'\nmedia = " + quoted(times.media) +
                       "\ntimeout = " + quoted(times.timeout) + "\n";
    if (!push_key.empty()) toml += "push_key = " + quoted(push_key) + "\n";
    toml += "playback = [\n";
    for (const Play& play : plays) {
        toml += "{ url = " + quoted(play.url) + ", address = " + quoted(play.address);
        if (!play.key.empty()) toml += ", key = " + quoted(play.key);
        if (!play.backup.empty()) toml += ", backup_key = " + quoted(play.backup);
        if (!times.wait.empty()) toml += ", wait = " + quoted(times.wait);
        toml += play.more + " },\n";
    }
    return toml + "]\n";
}

/// What the viewers who saw the stream say, in the order of the configuration.
std::vector<std::string> played(const Judged& judged) {
    std::vector<std::string> texts;
    for (const auto& e : judged.run.evidence)
        if (e.what == "played") texts.push_back(e.got);
    return texts;
}

/// Every one of `viewers` saw our pictures whole, with sound, and knew when they were sent.
void expect_whole(const Judged& judged, std::size_t viewers) {
    const std::vector<std::string> texts = played(judged);
    EXPECT_EQ(texts.size(), viewers) << seen_in(judged);
    for (const std::string& text : texts) {
        SCOPED_TRACE(text);
        EXPECT_NE(text.find(", by stamp)"), std::string::npos);
        EXPECT_NE(text.find("; 320x180 at "), std::string::npos);
        std::smatch rate;
        ASSERT_TRUE(std::regex_search(text, rate, std::regex(" at ([0-9.]+) of 25 fps")));
        EXPECT_NEAR(std::stod(rate[1]), 25, 2);
        for (const char* fault : {"no video", "no sound", "no SPS", "no AudioSpecificConfig", "jumps of",
                                  "another push", "missed", "anew"})
            EXPECT_EQ(text.find(fault), std::string::npos) << fault;
    }
    std::size_t latencies = 0;
    for (const auto& found : judged.run.values) {
        if (found.value.metric != latency) continue;
        ++latencies;
        EXPECT_GE(found.number, 0) << found.label_value;
    }
    EXPECT_GE(latencies, viewers);
}

std::string url(const char* scheme, std::uint16_t port, const std::string& file,
                const std::string& host = PlayStack::domain) {
    return std::string(scheme) + "://" + host + ":" + std::to_string(port) + "/live/" + file;
}

/// A push domain, and a play domain with a main and a backup key of its own.
class PlayMatrix : public testing::Test {
protected:
    void SetUp() override {
        LIVECANARY_NEEDS(Need::nginx_rtmp);
        LIVECANARY_NEEDS(Need::nginx);
        LIVECANARY_NEEDS(Need::node);
        stack.emplace();
        stack->push.hook.know(
            PlayStack::domain,
            {.play_key = PlayStack::play_key, .play_backup_key = play_backup_key, .push = false});
    }
    std::string rtmp(const std::string& name) const {
        return url("rtmp", stack->push.nginx.rtmp_port(), name);
    }
    std::string flv(const std::string& name) const { return url("http", stack->front.port(), name + ".flv"); }
    std::string hls(const std::string& name) const {
        return url("http", stack->front.port(), name + ".m3u8");
    }
    /// A push of `name` with these players.
    std::string config(const std::string& name, const std::vector<Play>& plays,
                       const Times& times = {}) const {
        return test::config(stack->push.url(name), NginxStack::main_key, plays, times);
    }
    bool wait_until_pushed(const std::string& name) const {
        return stack->push.hook.wait_until(
            [&](const practice::Seen& seen) { return seen.count("publish", name) >= 1; });
    }
    static Play right(const std::string& url) { return {.url = url, .key = PlayStack::play_key}; }

    std::optional<PlayStack> stack;
};

TEST_F(PlayMatrix, AllThreeProtocolsAtOnce) {
    const auto judged =
        probe(config("ok", {right(rtmp("ok")), right(flv("ok")), right(hls("ok"))}, {.media = "2s"}));
    expect("nginx-rtmp, NMS 4, nginx", "RTMP, HTTP-FLV and HLS play", judged, "ok");
    expect_whole(judged, 3);
    // A keyframe begins a segment, which is listed once it is whole.
    for (const auto& found : judged.run.values)
        if (found.value.metric == latency && found.label_value == "hls") {
            EXPECT_GE(found.number, 0.5);
        }
    EXPECT_TRUE(stack->push.hook.wait_until(
        [](const practice::Seen& seen) { return seen.count("publish_done", "ok") == 1; }));
    EXPECT_TRUE(stack->push.hook.wait_until([](const practice::Seen& seen) {
        return seen.count("play_done", "ok") >= 1;
    })) << "a viewer must not be left behind";
    // What HLS shows of the first push must not be taken for the second.
    const auto second = probe(config("ok", {right(hls("ok"))}));
    expect("nginx", "HLS, second push of the name", second, "ok");
    EXPECT_EQ(played(second).size(), 1U) << seen_in(second);
}

TEST_F(PlayMatrix, HttpKeyRefused) {
    const Play wrong{.url = flv("x"), .key = "old"};
    expect("nginx, HTTP-FLV", "play key wrong, backup key right",
           probe(config("x", {{.url = wrong.url, .key = "old", .backup = play_backup_key}})), "failed",
           "playback", "forbidden", "play_auth_key_mismatch");
    expect("nginx, HTTP-FLV", "play key wrong, no backup key", probe(config("x", {wrong})), "failed",
           "playback", "forbidden", "play_refused", "play_auth_key_mismatch");
    expect("nginx, HTTP-FLV", "play URL not signed", probe(config("x", {{.url = wrong.url}})), "failed",
           "playback", "forbidden", "play_refused", "play_auth_key_mismatch");
    // One viewer that fails is said, though others play.
    expect("nginx, HLS", "play key wrong, RTMP plays",
           probe(config("x", {right(rtmp("x")), {.url = hls("x"), .key = "old"}})), "failed", "playback",
           "forbidden", "play_refused", "play_auth_key_mismatch");
}

TEST_F(PlayMatrix, RtmpKeyRefused) {
    expect("nginx-rtmp", "play key wrong, backup key right",
           probe(config("x", {{.url = rtmp("x"), .key = "old", .backup = play_backup_key}})), "failed",
           "playback", "closed", "play_auth_key_mismatch");
    expect("nginx-rtmp", "play key wrong, no backup key",
           probe(config("x", {{.url = rtmp("x"), .key = "old"}})), "failed", "playback", "closed",
           "play_refused", "play_auth_key_mismatch");
}

/// Nothing in such a URL can be changed for a control, and a hang-up at `play` is a refusal all the same.
TEST_F(PlayMatrix, RtmpNotSigned) {
    expect("nginx-rtmp", "play URL not signed", probe(config("x", {{.url = rtmp("x")}})), "failed",
           "playback", "closed", "play_refused", "play_auth_key_mismatch");
}

TEST_F(PlayMatrix, HookNeverAnswers) {
    stack->push.hook.behave({.calls = {"play", "http_play"}, .hang = true});
    const Times short_wait{.wait = "1s"};
    expect("nginx, HTTP-FLV", "play hook never answers", probe(config("x", {right(flv("x"))}, short_wait)),
           "failed", "playback", "timeout", "play_unreachable", "cdn_endpoint_unreachable");
    expect("nginx-rtmp", "play hook never answers", probe(config("x", {right(rtmp("x"))}, short_wait)),
           "failed", "playback", "timeout", "play_unreachable", "cdn_endpoint_unreachable");
}

TEST_F(PlayMatrix, HookSlow) {
    stack->push.hook.behave({.calls = {"play", "http_play"}, .delay = 2s});
    const auto judged = probe(config("slow", {right(rtmp("slow")), right(flv("slow")), right(hls("slow"))}));
    expect("nginx-rtmp, NMS 4, nginx", "play hook slow (2 s), then accepts", judged, "ok");
    EXPECT_EQ(played(judged).size(), 3U) << seen_in(judged);
}

TEST_F(PlayMatrix, NothingThere) {
    const Times short_wait{.wait = "1s"};
    stack->front.serve_nothing(true);
    expect("nginx", "HTTP-FLV, 404", probe(config("x", {right(flv("x"))}, short_wait)), "failed", "playback",
           "not_found", "play_no_stream", "play_domain_mismatch");
    stack->front.serve_nothing(false);
    expect("nginx", "HLS of another name", probe(config("x", {right(hls("y"))}, short_wait)), "failed",
           "playback", "not_found", "play_no_stream");
    expect("NMS 4 behind nginx", "HTTP-FLV of another name (200, silence)",
           probe(config("x", {right(flv("y"))}, short_wait)), "failed", "playback", "no_media",
           "play_no_stream");
    expect("nginx-rtmp", "RTMP of another name (Play.Start, silence)",
           probe(config("x", {right(rtmp("y"))}, short_wait)), "failed", "playback", "no_media",
           "play_no_stream");
}

TEST_F(PlayMatrix, SegmentsLost) {
    stack->front.lose_segments(true);
    const auto judged = probe(config("x", {right(hls("x"))}));
    expect("nginx", "HLS, segments 404", judged, "failed", "playback", "not_found", "");
    EXPECT_NE(judged.run.code.message().find("segment"), std::string::npos) << seen_in(judged);
}

TEST_F(PlayMatrix, PlaylistStandsStill) {
    expect("nginx", "HLS, first push", probe(config("x", {right(hls("x"))})), "ok");
    stack->front.stand_still(true);
    const auto judged = probe(config("x", {right(hls("x"))}, {.wait = "3s"}));
    expect("nginx", "HLS, playlist stays that of the first push", judged, "failed", "playback", "stale");
}

TEST_F(PlayMatrix, UnknownDomain) {
    stack->push.hook.unknow(PlayStack::domain);
    const Times short_wait{.wait = "1s"};
    expect("nginx", "unknown play domain, HLS", probe(config("x", {right(hls("x"))}, short_wait)), "failed",
           "playback", "not_found", "play_no_stream");
    expect("nginx-rtmp", "unknown play domain, RTMP", probe(config("x", {right(rtmp("x"))}, short_wait)),
           "failed", "playback", "closed", "play_no_stream", "play_domain_mismatch");
}

/// A second play domain, of which all three protocols are there and which is not that of this push. Its RTMP
/// has the default port, where controls look for it.
TEST_F(PlayMatrix, DomainOfAnotherPush) {
    const practice::NginxRtmp other({.address = "127.0.0.2", .rtmp_port = 1935});
    const practice::PlayFront front({.address = "127.0.0.2"});
    const auto judged = probe(
        config("x",
               {right(rtmp("x")),
                {.url = url("http", front.port(), "x.flv", "other.example.com"), .address = "127.0.0.2"}},
               {.timeout = "30s"}));
    expect("nginx", "play domain of another push, first domain plays", judged, "failed", "playback",
           "not_found", "play_domain_mismatch");
}

TEST_F(PlayMatrix, NothingListens) {
    const std::string nowhere = url("http", practice::free_port(), "x.flv");
    expect("none", "nothing listens on the play port", probe(config("x", {right(nowhere)})), "failed",
           "playback", "refused", "play_unreachable", "cdn_endpoint_unreachable");
}

/// One address and two ports of it: that RTMP plays does not make the other an edge of its own.
TEST_F(PlayMatrix, FrontDownWhileRtmpPlays) {
    const std::string nowhere = url("http", practice::free_port(), "x.flv");
    expect("nginx-rtmp", "front down, RTMP plays at the same address",
           probe(config("x", {right(rtmp("x")), right(nowhere)})), "failed", "playback", "refused",
           "play_unreachable", "cdn_endpoint_unreachable");
}

TEST_F(PlayMatrix, FrozenWhilePlaying) {
    const auto judged = probe(config("x", {right(rtmp("x")), right(flv("x"))}, {.media = "10s"}),
                              {"media", 1s, [&] { stack->push.nginx.freeze(); }});
    stack->push.nginx.thaw();
    expect("nginx-rtmp", "server frozen while pushing and playing", judged, "failed", "media", "stalled",
           "push_dropped", "push_network_degraded");
}

TEST_F(PlayMatrix, KickedWhilePlaying) {
    const auto judged = probe(config("x", {right(rtmp("x")), right(flv("x"))}, {.media = "10s"}),
                              {"media", 1s, [&] { EXPECT_EQ(stack->push.nginx.kick("live", "x"), 1); }});
    // What nginx had not read yet turns its end into a reset.
    EXPECT_TRUE(judged.run.reason() == Reason::closed || judged.run.reason() == Reason::reset);
    expect("nginx-rtmp", "publisher kicked while playing", judged, "failed", "media",
           to_string(judged.run.reason()), "push_dropped");
}

TEST_F(PlayMatrix, FrontStopsWhilePlaying) {
    std::optional<practice::PlayFront> front(
        std::in_place, practice::PlayFront::Options{.flv_port = stack->flv_server.http_port()});
    const auto judged = probe(config("x", {right(url("http", front->port(), "x.flv"))}, {.media = "3s"}),
                              {"media", 1500ms, [&] { front.reset(); }});
    expect("nginx, HTTP-FLV", "front stops while playing", judged, "failed", "playback", "closed");
}

TEST_F(PlayMatrix, DeliveryPauses) {
    practice::DelayRelay relay({.server_port = stack->push.nginx.rtmp_port()});
    const auto judged =
        probe(config("x", {right(url("rtmp", relay.port(), "x"))}, {.media = "6s", .wait = "4s"}),
              {"media", 1500ms, [&] { relay.set_delay(20s); }});
    expect("nginx-rtmp", "delivery stops, push goes on", judged, "failed", "playback", "stalled");
}

TEST_F(PlayMatrix, OverTls) {
    LIVECANARY_NEEDS(Need::tls_front);
    const CertificateFiles certificate({PlayStack::domain});
    const practice::PlayFront front({.hls = stack->push.nginx.hls(),
                                     .flv_port = stack->flv_server.http_port(),
                                     .hook_port = stack->push.hook.port(),
                                     .certificate = certificate.certificate(),
                                     .private_key = certificate.private_key()});
    const TlsFront rtmps(certificate, stack->push.nginx.rtmp_port());
    std::vector<Play> plays{right(url("https", front.tls_port(), "x.flv")),
                            right(url("https", front.tls_port(), "x.m3u8")),
                            right(url("rtmps", rtmps.port(), "x"))};
    const auto refused = probe(config("x", plays));
    expect("nginx, stunnel", "certificate not trusted (HTTPS-FLV, HTTPS HLS, RTMPS)", refused, "failed",
           "playback", "certificate", "play_unreachable", "cdn_cert_expired");
    EXPECT_EQ(std::ranges::count_if(refused.run.evidence,
                                    [](const Evidence& e) {
                                        return e.what == "not_played" &&
                                               e.got.find("self-signed") != std::string::npos;
                                    }),
              3)
        << seen_in(refused);
    for (Play& play : plays) play.more = ", ca_file = " + quoted(certificate.certificate().string());
    // Another name: node-media-server still has the last pictures of a stream that has ended.
    for (Play& play : plays) play.url.replace(play.url.find("/live/x") + 6, 1, "trusted");
    const auto judged = probe(config("trusted", plays, {.media = "2s"}));
    expect("nginx, stunnel", "HTTPS-FLV, HTTPS HLS and RTMPS play", judged, "ok");
    expect_whole(judged, 3);
}

TEST_F(PlayMatrix, Transcoded) {
    LIVECANARY_NEEDS(Need::ffmpeg);
    std::optional<FfmpegTranscoder> transcoder;
    const std::string name = "x_transcoded";
    const auto judged =
        probe(config("x", {right(rtmp(name)), right(flv(name)), right(hls(name))},
                     {.timeout = "30s", .wait = "20s"}),
              {"media", 0ms, [&] {
                   transcoder.emplace(stack->push.nginx.url() + "/x",
                                      stack->push.ffmpeg(signed_name(NginxStack::main_key, name,
                                                                     std::chrono::system_clock::now() + 1h)));
               }});
    expect("nginx-rtmp, NMS 4, nginx, ffmpeg", "RTMP, HTTP-FLV and HLS of a transcoding", judged, "ok");
    const auto texts = played(judged);
    EXPECT_EQ(texts.size(), 3U) << seen_in(judged) << transcoder->log();
    for (const std::string& text : texts) {
        EXPECT_NE(text.find("; 320x180 at "), std::string::npos) << text;
        // Two keyframes of a playlist that was there before us may be all that HLS shows.
        if (!text.starts_with("hls")) {
            EXPECT_NE(text.find("by presentation time"), std::string::npos) << text;
        }
    }
}

/// The pictures are those of a stranger, who puts no stamp in them.
TEST_F(PlayMatrix, StreamOfFfmpeg) {
    LIVECANARY_NEEDS(Need::ffmpeg);
    const auto stranger = stack->start_push("stranger");
    ASSERT_TRUE(stack->wait_for_playlist("stranger", *stranger));
    const auto judged =
        probe(config("x", {right(rtmp("stranger")), right(flv("stranger")), right(hls("stranger"))}));
    expect("nginx-rtmp, NMS 4, nginx", "a stream that ffmpeg pushes, another name", judged, "ok");
    const auto texts = played(judged);
    EXPECT_EQ(texts.size(), 3U) << seen_in(judged);
    for (const std::string& text : texts) {
        EXPECT_NE(text.find("latency unknown"), std::string::npos) << text;
        EXPECT_NE(text.find("160x90 (sent 320x180)"), std::string::npos) << text;
    }
}

/// They are those of another push of ours.
TEST_F(PlayMatrix, StreamOfAnotherPushOfOurs) {
    auto other = std::async(std::launch::async, [&] {
        return probe("url = " + quoted(stack->push.url("other")) +
                     "\naddress = '127.0.0.1'\nmedia = '5s'\ntimeout = '30s'\npush_key = " +
                     quoted(NginxStack::main_key) + "\n");
    });
    EXPECT_TRUE(wait_until_pushed("other"));
    const auto judged = probe(config("x", {right(rtmp("other"))}, {.wait = "2s"}));
    expect("nginx-rtmp", "RTMP shows another push of ours", judged, "failed", "playback", "mismatch");
    EXPECT_EQ(other.get().run.outcome(), RunOutcome::ok);
}

/// What a stamped push looks like to a player that knows nothing of stamps.
TEST_F(PlayMatrix, FfmpegPlaysOurPush) {
    LIVECANARY_NEEDS(Need::ffmpeg);
    auto pushed = std::async(std::launch::async, [&] {
        return probe(config("x", {right(rtmp("x"))}, {.media = "10s", .timeout = "30s"}));
    });
    EXPECT_TRUE(wait_until_pushed("x"));
    const std::string name = signed_name(PlayStack::play_key, "x", std::chrono::system_clock::now() + 1h);
    const auto playlist = stack->push.nginx.hls() / "live" / "x.m3u8";
    const auto check = [](const FfmpegPlayed& seen) {
        EXPECT_EQ(seen.status, 0) << seen.log;
        EXPECT_EQ(seen.width, 320) << seen.log;
        EXPECT_EQ(seen.height, 180) << seen.log;
        EXPECT_GE(seen.pictures, 25) << seen.log;
        EXPECT_GE(seen.audio_frames, 20) << seen.log;
        for (const char* complaint : {"rror", "nvalid", "orrupt", "conceal", "on-existing", "on monoton"})
            EXPECT_EQ(seen.log.find(complaint), std::string::npos) << complaint << " in " << seen.log;
    };
    check(play(stack->rtmp(name)));
    // By now two seconds of it were pushed: the playlist is there.
    EXPECT_NE(practice::read_file(playlist).find(".ts"), std::string::npos);
    check(play(stack->hls(name)));
    const auto judged = pushed.get();
    expect("nginx-rtmp, ffmpeg", "ffmpeg plays our push beside us", judged, "ok");
    expect_whole(judged, 1);
}

class NodePlayback : public testing::TestWithParam<NodeMediaServer::Version> {
protected:
    void SetUp() override { LIVECANARY_NEEDS(Need::node); }
    static bool two() { return GetParam() == NodeMediaServer::Version::v2; }
    static const char* name() { return two() ? "node-media-server 2" : "node-media-server 4"; }
};
INSTANTIATE_TEST_SUITE_P(Versions, NodePlayback,
                         testing::Values(NodeMediaServer::Version::v2, NodeMediaServer::Version::v4),
                         [](const auto& tested) {
                             return tested.param == NodeMediaServer::Version::v2 ? std::string("v2")
                                                                                 : std::string("v4");
                         });

TEST_P(NodePlayback, RtmpAndHttpFlv) {
    NodeMediaServer server(GetParam());
    const auto judged = probe(config(
        server.url("x"), {}, {{.url = server.url("x")}, {.url = server.flv_url("x")}}, {.media = "2s"}));
    expect(name(), "RTMP and HTTP-FLV play", judged, "ok");
    expect_whole(judged, 2);
    // Its cache still holds the first push.
    const auto again =
        probe(config(server.url("x"), {}, {{.url = server.url("x")}, {.url = server.flv_url("x")}}));
    expect(name(), "RTMP and HTTP-FLV, second push of the name", again, "ok");
    const auto of_another_name = [&](const std::string& url) {
        return probe(config(server.url("x"), {}, {{.url = url}}, {.wait = "1s"}));
    };
    expect(name(), "RTMP of another name", of_another_name(server.url("y")), "failed", "playback", "no_media",
           "play_no_stream", "play_domain_mismatch");
    // Version 2 does not answer the request at all until there is something to play.
    expect(name(), "HTTP-FLV of another name", of_another_name(server.flv_url("y")), "failed", "playback",
           two() ? "timeout" : "no_media", two() ? "play_unreachable" : "play_no_stream");
    EXPECT_TRUE(server.running()) << server.log();
}

/// The median of each viewer's latencies, in the order of the configuration; empty if one has none.
std::vector<double> medians(const Judged& judged) {
    std::vector<double> values, medians;
    for (const auto& found : judged.run.values)
        if (found.value.metric == latency) values.push_back(found.number);
    auto next = values.begin();
    for (const std::string& text : played(judged)) {
        std::smatch count;
        if (!std::regex_search(text, count, std::regex("median of ([0-9]+),"))) return {};
        const auto end = next + std::min<std::ptrdiff_t>(std::stol(count[1]), values.end() - next);
        if (next == end) return {};
        std::sort(next, end);
        medians.push_back(*(next + (end - next) / 2));
        next = end;
    }
    return medians;
}

/// The same stream over paths of known delay. The machine may be busy, so the best of three counts.
TEST_F(PlayMatrix, LatencyIsTheTruth) {
    constexpr std::array delays{0ms, 500ms, 1000ms, 3000ms};
    constexpr double frame = 0.040;
    // All have asked for the stream by the time the delays begin, and nothing was sent to them yet: each
    // answer before it would come late too, and a stream that pauses for 3 s has stalled.
    stack->push.hook.behave({.calls = {"play", "http_play"}, .delay = 1s});
    double best = 1e9;
    Judged judged;
    for (int attempt = 0; attempt < 3 && best > frame; ++attempt) {
        std::vector<std::unique_ptr<practice::DelayRelay>> relays;
        std::vector<Play> plays;
        for (const bool over_http : {false, true})
            for (std::size_t i = 0; i < delays.size(); ++i) {
                relays.push_back(std::make_unique<practice::DelayRelay>(practice::DelayRelay::Options{
                    .server_port = over_http ? stack->front.port() : stack->push.nginx.rtmp_port()}));
                plays.push_back(right(over_http ? url("http", relays.back()->port(), "x.flv")
                                                : url("rtmp", relays.back()->port(), "x")));
            }
        judged = probe(config("x", plays, {.media = "8s", .timeout = "30s", .wait = "15s"}),
                       {"media", 500ms, [&] {
                            for (std::size_t i = 0; i < relays.size(); ++i)
                                relays.at(i)->set_delay(delays.at(i % delays.size()));
                        }});
        const std::vector<double> found = medians(judged);
        if (found.size() != plays.size()) continue;
        double worst = 0;
        for (std::size_t i = 0; i < found.size(); ++i) {
            const std::size_t delay = i % delays.size();
            const double truth = std::chrono::duration<double>(delays.at(delay)).count();
            worst = std::max(worst, std::abs(found.at(i) - found.at(i - delay) - truth));
        }
        best = std::min(best, worst);
    }
    EXPECT_LE(best, frame) << seen_in(judged);
    expect("nginx-rtmp, NMS 4", "RTMP and HTTP-FLV, each 0, 0.5, 1 and 3 s late", judged, "ok");
}

}  // namespace
}  // namespace livecanary::test
