// Whole runs with playback: every way a server can fail a viewer of the stream that we push, and what we make
// of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>

#include <boost/asio/write.hpp>

#include "probes/protocol/h264.hpp"
#include "probes/protocol/stamp.hpp"
#include "probes/protocol/test_stream.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/unit/kinds/push_stage.hpp"
#include "tests/unit/protocol/ts_writer.hpp"

namespace livecanary::test {
namespace {

using protocol::rtmp::Message;
using protocol::rtmp::MessageType;
using rtmp_push::Viewing;
using rtmp_says::status;
using Edit = std::function<std::optional<Message>(const Message&)>;

// What becomes of the pushed stream on its way to a viewer.

bool is_codec_header(const Message& message) {
    return message.type != MessageType::data_amf0 && message.payload.size() > 1 && message.payload[1] == 0;
}
std::optional<Message> headers_only(const Message& message) {
    return is_codec_header(message) ? std::optional(message) : std::nullopt;
}
std::optional<Message> sound_only(const Message& message) {
    return message.type == MessageType::audio ? std::optional(message) : std::nullopt;
}
std::optional<Message> pictures_only(const Message& message) {
    return message.type == MessageType::video ? std::optional(message) : std::nullopt;
}
/// Keeps what says the codec and breaks what follows.
std::optional<Message> garbled(Message message) {
    if (message.payload.size() > 5) std::fill(message.payload.begin() + 5, message.payload.end(), 0xFF);
    return message;
}
/// The same pictures with the stamp of another push.
std::optional<Message> of_another_push(Message message) {
    static constexpr std::string_view before_id = "livecanary 1 ";
    auto& bytes = message.payload;
    const auto at = std::search(bytes.begin(), bytes.end(), before_id.begin(), before_id.end());
    if (at != bytes.end()) {
        auto& digit = *(at + static_cast<std::ptrdiff_t>(before_id.size()));
        digit = digit == '0' ? '1' : '0';
    }
    return message;
}
/// Without a stamp, as a transcoder leaves it.
std::optional<Message> transcoded(Message message) {
    auto& bytes = message.payload;
    const auto& uuid = protocol::stamp_uuid;
    const auto at = std::search(bytes.begin(), bytes.end(), uuid.begin(), uuid.end());
    if (at != bytes.end()) *at ^= 1;
    return message;
}

RtmpAnswers starts(RtmpRelay relay = {}) {
    return always(
        RtmpAnswer{.messages = {status("status", "NetStream.Play.Start")}, .relay = std::move(relay)});
}
/// From the last keyframe on.
RtmpAnswers shows(Edit edit) { return starts({.edit = std::move(edit), .cached_group = true}); }

std::string text(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

/// The stream that is pushed to `ingest`, from its beginning, as HTTP-FLV.
HttpReply flv_of(const ScriptedRtmpServer& ingest, HttpFraming framing = HttpFraming::chunked) {
    auto next = [&ingest, at = std::size_t{0}]() mutable {
        // A piece must not be empty; script data without a value is none of the stream.
        std::string bytes = text(protocol::flv_tag({}));
        for (; at < ingest.published().size(); ++at) {
            const Message& message = ingest.published()[at];
            if (message.type == MessageType::data_amf0) continue;
            bytes += text(protocol::flv_tag({.type = static_cast<protocol::FlvTagType>(message.type),
                                             .timestamp = message.timestamp,
                                             .body = message.payload}));
        }
        return std::optional(bytes);
    };
    return http_says::flv_as_due(text(protocol::flv_file_header(true, true)), next, 10ms, framing);
}

/// The groups of pictures in `media` that are complete, each as an MPEG-TS segment.
std::vector<std::string> segments_of(const std::vector<Message>& media) {
    std::vector<std::string> segments;
    protocol::TsWriter writer;
    protocol::AvcConfig config;
    bool begun = false;
    for (const Message& message : media) {
        const std::span body(message.payload);
        if (message.type == MessageType::data_amf0 || body.size() < 5) continue;
        const bool video = message.type == MessageType::video;
        if (is_codec_header(message)) {
            if (video) config = protocol::parse_avc_config(body.subspan(5)).value();
            continue;
        }
        const bool key = video && body[0] == 0x17;
        if (key) {
            const auto done = writer.take();
            if (std::exchange(begun, true)) segments.push_back(text(done));
            writer.tables();
        }
        const std::uint64_t ticks = std::uint64_t{message.timestamp} * 90;
        if (!begun) continue;
        if (!video) {
            writer.audio(ticks, body.subspan(2));
            continue;
        }
        std::vector<std::vector<std::uint8_t>> units;
        if (key) units = {config.sps.front(), config.pps.front()};
        const auto split = protocol::split_avcc(body.subspan(5), config.length_size);
        for (const auto& unit : split.value()) units.emplace_back(unit.begin(), unit.end());
        writer.video(ticks, units, key);
    }
    return segments;
}
/// What another push left behind: three seconds.
std::vector<Message> earlier_push() {
    protocol::TestStream stream;
    std::vector<Message> media;
    while (stream.next_timestamp() <= 3000) {
        std::vector<std::uint8_t> stamp;
        if (stream.next_is_keyframe()) stamp = protocol::write_stamp({.run = 1, .sent = 1s});
        const auto frame = stream.next(stamp);
        media.push_back({.type = static_cast<MessageType>(frame.type),
                         .timestamp = frame.timestamp,
                         .message_stream_id = 1,
                         .chunk_stream_id = 6,
                         .payload = frame.body});
    }
    return media;
}

std::string playlist_of(std::size_t segments, const std::string& tags = "", const std::string& end = "") {
    std::string lines =
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n" + tags;
    for (std::size_t i = 0; i < segments; ++i) lines += "#EXTINF:1.000,\n" + std::to_string(i) + ".ts\n";
    return lines + end;
}

/// What makes HLS of a stream.
struct Packager {
    std::function<std::vector<Message>(const ScriptedRtmpServer&)> source =
        [](const ScriptedRtmpServer& ingest) { return ingest.published(); };
    std::size_t most_segments = 1000;
    std::string tags{};  ///< before the segments
    std::string end{};   ///< after them
    bool has_segments = true;
};
std::vector<Message> edited(const ScriptedRtmpServer& ingest, const Edit& edit) {
    std::vector<Message> media;
    for (const Message& message : ingest.published())
        if (auto kept = edit(message)) media.push_back(*std::move(kept));
    return media;
}
HttpReply hls_of(const ScriptedRtmpServer& ingest, const Packager& packager, const HttpHeard& heard) {
    auto segments = segments_of(packager.source(ingest));
    segments.resize(std::min(segments.size(), packager.most_segments));
    if (heard.path() == "/live/master.m3u8")
        return http_says::playlist("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000000\ncanary.m3u8?level=1\n");
    if (heard.path().ends_with(".m3u8"))
        return http_says::playlist(playlist_of(segments.size(), packager.tags, packager.end));
    for (std::size_t i = 0; i < segments.size() && packager.has_segments; ++i)
        if (heard.path() == "/live/" + std::to_string(i) + ".ts") return http_says::segment(segments[i]);
    return http_says::status(404);
}

// A run.

Viewing viewing(const std::string& url, std::chrono::milliseconds wait = 5s) {
    return {.url = protocol::parse_play_url(url).value(), .wait = wait};
}
double number(const RunResult& run, const Value& wanted, std::string_view label = {}) {
    const auto at = std::ranges::find_if(run.values, [&](const Found& found) {
        return found.value.metric == wanted.metric && found.label_value == label;
    });
    return at == run.values.end() ? -1.0 : at->number;
}
std::string evidence(const RunResult& run, std::string_view what) {
    std::string all;
    for (const auto& e : run.evidence)
        if (e.what == what) all += e.got + "\n";
    return all;
}

/// How a run with one viewer ends.
struct Ends {
    const char* reason;  ///< empty: it is ok
    const char* label;   ///< the cause or the class, without any control
    RunOutcome outcome = *reason == 0 ? RunOutcome::ok : RunOutcome::failed;
    const char* says = "";  ///< stands in the evidence
};

/// Where the stream goes: nobody refuses the push.
struct PlayStage : PushStage {
    explicit PlayStage(RtmpStory story = {}) : ingest(io, std::move(story)) {}
    ScriptedRtmpServer ingest;

    std::string rtmp_url() const { return rtmp_url(ingest.port()); }
    static std::string rtmp_url(std::uint16_t port) {
        return "rtmp://127.0.0.1:" + std::to_string(port) + "/live/canary";
    }
    /// Shorter than a configuration may ask for: viewers who still wait make it longer.
    RunResult watch(std::vector<Viewing> viewings, Clock::duration timeout = 30s) {
        auto plan = this->plan(ingest, 100ms);
        plan.viewings = std::move(viewings);
        return push(std::move(plan), timeout);
    }
    /// What holds however the viewer fares.
    void expect(const RunResult& run, const Ends& ends, const std::string& protocol) {
        EXPECT_EQ(run.outcome(), ends.outcome) << run.code.message() << "; " << run.inconclusive;
        EXPECT_EQ(way(run), "dns tcp handshake connect create_stream publish media playback teardown");
        EXPECT_EQ(reason_text(run), ends.reason) << evidence(run, "not_played");
        // A close is a close, whether our data met it or not.
        const std::string how = std::string(ends.reason) == "reset" ? "closed" : std::string(ends.reason);
        EXPECT_EQ(run.fingerprint, run.code ? "playback " + protocol + " " + how : "");
        EXPECT_EQ(run.failed_phase(), run.code ? "playback" : "");
        EXPECT_EQ(run.code ? rtmp_push::diagnose(run).label() : "", ends.label);
        const std::string seen = evidence(run, run.code ? "not_played" : "played");
        EXPECT_NE(seen.find(ends.says), std::string::npos) << seen;
        EXPECT_TRUE(seen.starts_with(protocol + " ")) << seen;
        wait_until_deserted(ingest);
        EXPECT_TRUE(ingest.heard().front().gave_back());
    }
};

// RTMP.

struct RtmpCase {
    const char* name;
    RtmpAnswers on_play;
    Ends ends;
    std::chrono::milliseconds wait = 300ms;
};
void PrintTo(const RtmpCase& row, std::ostream* out) { *out << row.name; }

const RtmpCase rtmp_cases[] = {
    {"plays_from_a_cache", shows({}), {"", "", RunOutcome::ok, "by stamp"}, 5s},
    {"plays_without_a_word", always(RtmpAnswer{.relay = RtmpRelay{}}), {"", ""}, 5s},
    {"transcoded", shows(transcoded), {"", "", RunOutcome::ok, "by presentation time"}, 5s},
    {"pictures_without_sound", shows(pictures_only), {"", "", RunOutcome::ok, "; no sound"}, 5s},
    {"start_of_nothing", always(status("status", "NetStream.Play.Start")), {"no_media", "play_no_stream"}},
    {"says_nothing_at_play", always(Then::stay_silent), {"timeout", "play_unreachable"}},
    {"stream_not_found",
     always(status("error", "NetStream.Play.StreamNotFound", "gone")),
     {"not_found", "play_no_stream", RunOutcome::failed, "(NetStream.Play.StreamNotFound: gone)"}},
    {"stream_not_found_with_a_small_p",
     always(status("status", "NetStream.play.StreamNotFound")),
     {"not_found", "play_no_stream"}},
    {"play_failed", always(status("error", "NetStream.Play.Failed")), {"forbidden", "play_refused"}},
    {"another_error", always(status("error", "NetStream.Play.Busy")), {"rejected", "play_refused"}},
    {"finishes_at_play", always(Then::finish), {"closed", "play_refused"}},
    {"resets_at_play", always(Then::reset), {"reset", "play_refused"}},
    {"closes_by_command", always(rtmp_says::close()), {"closed", "play_refused"}},
    {"start_then_finishes",
     always(status("status", "NetStream.Play.Start"), Then::finish),
     {"closed", "play_refused"}},
    {"garbled", shows(garbled), {"undecodable", ""}, 500ms},
    {"headers_only", shows(headers_only), {"undecodable", ""}, 500ms},
    {"sound_only", shows(sound_only), {"undecodable", "", RunOutcome::failed, "; no video"}, 500ms},
    {"another_push", shows(of_another_push), {"mismatch", "", RunOutcome::failed, "another push"}, 500ms},
    {"finishes_in_the_media",
     starts({.cached_group = true, .at_most = 5, .then = Then::finish}),
     {"closed", ""}},
    {"says_that_it_is_over",
     starts({.cached_group = true,
             .at_most = 5,
             .last_words = {status("status", "NetStream.Play.UnpublishNotify")}}),
     {"closed", "", RunOutcome::failed, "NetStream.Play.UnpublishNotify"}},
    {"stalls", starts({.cached_group = true, .at_most = 20}), {"stalled", ""}, 10s},
};

class RtmpPlayback : public testing::TestWithParam<RtmpCase> {};

TEST_P(RtmpPlayback, EndsForReason) {
    const RtmpCase& row = GetParam();
    PlayStage stage({.on_play = row.on_play});
    const RunResult run = stage.watch({viewing(stage.rtmp_url(), row.wait)});
    stage.expect(run, row.ends, "rtmp");
}
INSTANTIATE_TEST_SUITE_P(, RtmpPlayback, testing::ValuesIn(rtmp_cases),
                         [](const auto& row) { return row.param.name; });

struct RtmpPeerCase {
    const char* name;
    RtmpStory story;
    Ends ends;
};
void PrintTo(const RtmpPeerCase& row, std::ostream* out) { *out << row.name; }
const RtmpPeerCase rtmp_peers[] = {
    {"finishes_at_accept", {.on_accept = Then::finish}, {"closed", ""}},
    {"silent_at_accept", {.on_accept = Then::stay_silent}, {"timeout", "play_unreachable"}},
    {"speaks_http", {.greeting = "HTTP/1.1 400 Bad Request\r\n\r\n"}, {"mismatch", ""}},
    {"finishes_at_connect", {.on_connect = always(Then::finish)}, {"closed", "play_no_stream"}},
    {"rejects_connect",
     {.on_connect =
          [](const RtmpHeard& heard) {
              return RtmpAnswer{.messages = {rtmp_says::error(heard, "NetConnection.Connect.Rejected")}};
          }},
     {"rejected", "play_no_stream"}},
    {"silent_at_create_stream",
     {.on_create_stream = always(Then::stay_silent)},
     {"timeout", "play_unreachable"}},
};
class RtmpPlaybackElsewhere : public testing::TestWithParam<RtmpPeerCase> {};

TEST_P(RtmpPlaybackElsewhere, EndsForReason) {
    PlayStage stage;
    ScriptedRtmpServer edge(stage.io, GetParam().story);
    const RunResult run = stage.watch({viewing(PlayStage::rtmp_url(edge.port()), 300ms)});
    stage.expect(run, GetParam().ends, "rtmp");
    stage.wait_until_deserted(edge);
}
INSTANTIATE_TEST_SUITE_P(, RtmpPlaybackElsewhere, testing::ValuesIn(rtmp_peers),
                         [](const auto& row) { return row.param.name; });

// The cached group begins with a picture that was sent long before anybody asked for it: that is no latency.
TEST(RtmpPlaybackRun, CachedGroupDoesNotLookOld) {
    const auto late = [](const RtmpHeard& heard) {
        RtmpAnswer answer = rtmp_says::created(heard);
        // At 25 pictures and 43 sounds a second, 0.6 s.
        if (!heard.has("FCPublish")) answer.once_published = 40;
        return answer;
    };
    PlayStage stage({.on_create_stream = late, .on_play = shows({})});
    const RunResult run = stage.watch({viewing(stage.rtmp_url())});
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_NE(run.got("played").find("(median of 1,"), std::string::npos) << run.got("played");
    EXPECT_LT(number(run, rtmp_push::playback_latency, "rtmp"), 0.5) << "the cached picture's age";
}

TEST(RtmpPlaybackRun, TellsWhatItMeasured) {
    PlayStage stage;
    const RunResult run = stage.watch({viewing(stage.rtmp_url() + "?txSecret=0123456789abcdef")});
    stage.expect(run, {"", "", RunOutcome::ok, "by stamp"}, "rtmp");
    EXPECT_TRUE(run.headline.starts_with("played rtmp ")) << run.headline;
    EXPECT_TRUE(run.headline.ends_with(" behind")) << run.headline;
    EXPECT_GE(number(run, rtmp_push::playback_latency, "rtmp"), 0);
    EXPECT_GE(number(run, rtmp_push::playback_first_frame, "rtmp"), 0);
    EXPECT_GE(number(run, rtmp_push::playback_pause), 0);
    EXPECT_EQ(number(run, rtmp_push::playback_gaps), 0);
    EXPECT_EQ(number(run, rtmp_push::playlist_age), -1) << "nobody loaded one";
    EXPECT_EQ(number(run, rtmp_push::failing_addresses, "ipv4"), -1) << "nobody asked every address";
    EXPECT_EQ(stage.ingest.heard().at(1).play_name, "canary?txSecret=0123456789abcdef");
    for (const auto& e : run.evidence) EXPECT_EQ(e.got.find("0123"), std::string::npos) << e.what;
}

TEST(RtmpPlaybackRun, StreamThatAppearsLateIsAskedForAgain) {
    auto asked = std::make_shared<int>(0);
    const auto late = [asked](const RtmpHeard& heard) {
        return ++*asked == 1 ? RtmpAnswer{.messages = {status("error", "NetStream.Play.StreamNotFound")}}
                             : shows({})(heard);
    };
    PlayStage stage({.on_play = late});
    const RunResult run = stage.watch({viewing(stage.rtmp_url())});
    stage.expect(run, {"", ""}, "rtmp");
    EXPECT_EQ(*asked, 2);
}

TEST(RtmpPlaybackRun, StreamThatNeverAppearsIsAskedForUntilTheWaitIsOver) {
    PlayStage stage({.on_play = always(status("error", "NetStream.Play.StreamNotFound"))});
    const RunResult run = stage.watch({viewing(stage.rtmp_url(), 1500ms)});
    stage.expect(run, {"not_found", "play_no_stream"}, "rtmp");
    EXPECT_EQ(std::ranges::count_if(stage.ingest.heard(), [](const RtmpHeard& h) { return h.has("play"); }),
              2);
    EXPECT_EQ(run.got("playback_wait"), "1500 ms");
}

// A picture that freezes after it had been there is seen too, while the push is long enough.
TEST(RtmpPlaybackRun, StallsAfterItPlayed) {
    PlayStage stage({.on_play = starts({.cached_group = true, .at_most = 80})});
    auto plan = stage.plan(stage.ingest, 4300ms);
    plan.viewings = {viewing(stage.rtmp_url())};
    const RunResult run = stage.push(plan);
    stage.expect(run, {"stalled", "", RunOutcome::failed, "behind (median of 1"}, "rtmp");
}

// HTTP-FLV.

using FlvServer = std::function<HttpReply(const ScriptedRtmpServer& ingest, const HttpHeard& heard)>;
struct FlvCase {
    const char* name;
    FlvServer server;
    Ends ends;
    std::chrono::milliseconds wait = 300ms;
};
void PrintTo(const FlvCase& row, std::ostream* out) { *out << row.name; }
FlvServer answers(HttpReply reply) {
    return [reply = std::move(reply)](const auto&, const HttpHeard&) { return reply; };
}
const std::string flv_header = text(protocol::flv_file_header(true, true));

const FlvCase flv_cases[] = {
    {"chunked",
     [](const auto& ingest, const HttpHeard&) { return flv_of(ingest); },
     {"", "", RunOutcome::ok, "by stamp"},
     5s},
    {"until_the_connection_ends",
     [](const auto& ingest, const HttpHeard&) { return flv_of(ingest, HttpFraming::close); },
     {"", ""},
     5s},
    {"sent_on_to_the_right_place",
     [](const auto& ingest, const HttpHeard& heard) {
         return heard.path() == "/edge/1.flv" ? flv_of(ingest) : http_says::redirect("/edge/1.flv?a=b");
     },
     {"", ""},
     5s},
    {"sent_round_in_circles",
     answers(http_says::redirect("/live/canary.flv")),
     {"mismatch", "", RunOutcome::failed, "HTTP 302"}},
    {"sent_to_nowhere", answers(http_says::redirect("")), {"mismatch", ""}},
    {"sent_to_another_scheme", answers(http_says::redirect("ftp://127.0.0.1/x")), {"mismatch", ""}},
    {"unauthorized", answers(http_says::status(401)), {"forbidden", "play_refused"}},
    {"forbidden",
     answers(http_says::status(403)),
     {"forbidden", "play_refused", RunOutcome::failed, "(HTTP 403)"}},
    {"not_found", answers(http_says::status(404)), {"not_found", "play_no_stream"}},
    {"server_error", answers(http_says::status(500)), {"rejected", ""}},
    {"no_content", answers(http_says::status(204)), {"rejected", ""}},
    {"silent", answers(http_says::silence()), {"timeout", "play_unreachable"}},
    {"silent_after_the_head",
     answers(http_says::silence_after_head(http_says::page("FLV", "video/x-flv"))),
     {"no_media", "play_no_stream"}},
    {"silent_after_the_flv_header",
     answers(http_says::cut(http_says::page(flv_header + "x", "video/x-flv"), flv_header.size(),
                            HttpThen::stay_silent)),
     {"no_media", "play_no_stream"}},
    {"ends_after_the_head",
     answers({.framing = HttpFraming::close, .then = HttpThen::finish}),
     {"closed", ""}},
    {"resets_after_the_head",
     answers(http_says::cut(http_says::page(flv_header + "x"), flv_header.size(), HttpThen::reset)),
     {"reset", ""}},
    {"a_page_for_people",
     answers(http_says::page("<!DOCTYPE html><title>Welcome</title>", "text/html")),
     {"protocol", ""}},
    {"speaks_ssh", answers({.raw = "SSH-2.0-x\r\n", .then = HttpThen::finish}), {"protocol", ""}},
    {"cut_in_a_tag",
     [](const auto& ingest, const HttpHeard&) { return http_says::cut(flv_of(ingest), 300); },
     {"closed", ""}},
    {"ends_between_two_tags",
     [](const auto&, const HttpHeard&) { return http_says::flv(flv_header, {text(protocol::flv_tag({}))}); },
     {"closed", ""}},
};

class FlvPlayback : public testing::TestWithParam<FlvCase> {};

TEST_P(FlvPlayback, EndsForReason) {
    const FlvCase& row = GetParam();
    PlayStage stage;
    ScriptedHttpServer edge(stage.io,
                            [&](const HttpHeard& heard) { return row.server(stage.ingest, heard); });
    const RunResult run = stage.watch({viewing(edge.url("/live/canary.flv?k=v"), row.wait)});
    stage.expect(run, row.ends, "http-flv");
    EXPECT_EQ(edge.heard().front().target, "/live/canary.flv?k=v");
    EXPECT_EQ(edge.heard().front().headers.at("host"), "127.0.0.1:" + std::to_string(edge.port()));
    run_until(stage.io, [&] { return edge.deserted(); });
}
INSTANTIATE_TEST_SUITE_P(, FlvPlayback, testing::ValuesIn(flv_cases),
                         [](const auto& row) { return row.param.name; });

TEST(FlvPlaybackRun, StreamThatAppearsLateIsAskedForAgain) {
    PlayStage stage;
    ScriptedHttpServer edge(stage.io, [&](const HttpHeard&) {
        return stage.ingest.published().size() < 20 ? http_says::status(404) : flv_of(stage.ingest);
    });
    const RunResult run = stage.watch({viewing(edge.url("/live/canary.flv"))});
    stage.expect(run, {"", ""}, "http-flv");
    EXPECT_EQ(edge.heard().size(), 2U);
}

TEST(FlvPlaybackRun, RefusalIsNotAskedAgain) {
    PlayStage stage;
    ScriptedHttpServer edge(stage.io, always(http_says::status(403)));
    const RunResult run = stage.watch({viewing(edge.url("/live/canary.flv"))});
    EXPECT_EQ(run.fingerprint, "playback http-flv forbidden");
    EXPECT_EQ(edge.heard().size(), 1U);
}

TEST(FlvPlaybackRun, SentOnToAnotherHost) {
    PlayStage stage;
    stage.names.set("edge.test", {.addresses = {"127.0.0.1"}});
    ScriptedHttpServer edge(stage.io, always(http_says::status(403)));
    const std::string port = std::to_string(edge.port());
    ScriptedHttpServer front(stage.io,
                             always(http_says::redirect("http://edge.test:" + port + "/live/canary.flv")));
    const RunResult run = stage.watch({viewing(front.url("/live/canary.flv"))});
    stage.expect(run, {"forbidden", "play_refused", RunOutcome::failed, "(HTTP 403)"}, "http-flv");
    EXPECT_NE(run.got("not_played").find(" at 127.0.0.1:" + port + ": "), std::string::npos)
        << run.got("not_played");
    EXPECT_EQ(edge.last().headers.at("host"), "edge.test:" + port);
}

TEST(FlvPlaybackRun, NobodyListens) {
    PlayStage stage;
    const ClosedPort closed(stage.io);
    const std::string url =
        "http://127.0.0.1:" + std::to_string(closed.endpoint().port()) + "/live/canary.flv";
    const RunResult run = stage.watch({viewing(url)});
    stage.expect(run, {"refused", "play_unreachable"}, "http-flv");
}

TEST(FlvPlaybackRun, NameDoesNotResolve) {
    PlayStage stage;
    const RunResult run = stage.watch({viewing("http://gone.test/live/canary.flv")});
    stage.expect(run, {"nxdomain", "play_unreachable"}, "http-flv");
    EXPECT_TRUE(run.got("not_played").starts_with("http-flv gone.test: ")) << run.got("not_played");
}

asio::awaitable<void> hang_up(TlsStream&) { co_return; }
asio::awaitable<void> send_home(TlsStream& client) {
    std::array<char, 4096> request;
    co_await client.async_read_some(asio::buffer(request), net::no_throw);
    const std::string reply = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    co_await asio::async_write(client, asio::buffer(reply), net::no_throw);
}
std::string https_url(const TlsPeer& peer) {
    return "https://127.0.0.1:" + std::to_string(peer.endpoint().port()) + "/live/canary.flv";
}

TEST(FlvPlaybackRun, CertificateThatIsNotTrusted) {
    PlayStage stage;
    const Certificate certificate({.common_name = "play.test", .names = {"IP:127.0.0.1"}, .authority = true});
    const TlsPeer edge(stage.io, certificate, hang_up);
    const RunResult run = stage.watch({viewing(https_url(edge))});
    stage.expect(run, {"certificate", "play_unreachable", RunOutcome::failed, "self-signed"}, "http-flv");
}

TEST(FlvPlaybackRun, CertificateThatHasExpired) {
    PlayStage stage;
    const Certificate certificate({.common_name = "play.test",
                                   .names = {"IP:127.0.0.1"},
                                   .not_before = -2h,
                                   .not_after = -1h,
                                   .authority = true});
    const TlsPeer edge(stage.io, certificate, hang_up);
    Viewing viewer = viewing(https_url(edge));
    viewer.ca_file = testing::TempDir() + "rtmp_push_playback_expired.pem";
    certificate.save(viewer.ca_file);
    const RunResult run = stage.watch({viewer});
    stage.expect(run, {"certificate", "cdn_cert_expired"}, "http-flv");
}

TEST(FlvPlaybackRun, OverTls) {
    PlayStage stage;
    const Certificate certificate({.common_name = "play.test", .names = {"IP:127.0.0.1"}, .authority = true});
    const TlsPeer edge(stage.io, certificate, send_home);
    Viewing viewer = viewing(https_url(edge));
    viewer.ca_file = testing::TempDir() + "rtmp_push_playback_root.pem";
    certificate.save(viewer.ca_file);
    const RunResult run = stage.watch({viewer});
    stage.expect(run, {"forbidden", "play_refused", RunOutcome::failed, "(HTTP 403)"}, "http-flv");
}

// HLS.

struct HlsCase {
    const char* name;
    Packager packager;
    Ends ends;
    std::chrono::milliseconds wait = 10s;
    const char* path = "/live/canary.m3u8";
};
void PrintTo(const HlsCase& row, std::ostream* out) { *out << row.name; }
std::vector<Message> from_the_archive(const ScriptedRtmpServer&) { return earlier_push(); }
constexpr Ends unreadable{"local", "", RunOutcome::inconclusive, "fMP4, encrypted or byte ranges"};

const HlsCase hls_cases[] = {
    {"plays_by_way_of_a_master", {}, {"", "", RunOutcome::ok, "by stamp"}, 10s, "/live/master.m3u8"},
    {"earlier_push_that_ended", {.source = from_the_archive, .end = "#EXT-X-ENDLIST\n"}, {"stale", ""}},
    {"earlier_push_never_renewed", {.source = from_the_archive}, {"stale", ""}},
    {"renewed_with_another_push",
     {.source = [](const auto& ingest) { return edited(ingest, of_another_push); }},
     {"stale", "", RunOutcome::failed, "keyframes of another push"},
     2200ms},
    {"no_segment_ever", {.most_segments = 0}, {"stale", ""}},
    {"segments_not_there",
     {.source = from_the_archive, .has_segments = false},
     {"not_found", "", RunOutcome::failed, "lists a segment that is not there (HTTP 404)"}},
    {"fragmented_mp4", {.source = from_the_archive, .tags = "#EXT-X-MAP:URI=\"init.mp4\"\n"}, unreadable},
    {"encrypted",
     {.source = from_the_archive, .tags = "#EXT-X-KEY:METHOD=AES-128,URI=\"key\"\n"},
     unreadable},
};

class HlsPlayback : public testing::TestWithParam<HlsCase> {};

TEST_P(HlsPlayback, EndsForReason) {
    const HlsCase& row = GetParam();
    PlayStage stage;
    ScriptedHttpServer edge(
        stage.io, [&](const HttpHeard& heard) { return hls_of(stage.ingest, row.packager, heard); });
    const RunResult run = stage.watch({viewing(edge.url(row.path), row.wait)});
    stage.expect(run, row.ends, "hls");
    run_until(stage.io, [&] { return edge.deserted(); });
}
INSTANTIATE_TEST_SUITE_P(, HlsPlayback, testing::ValuesIn(hls_cases),
                         [](const auto& row) { return row.param.name; });

struct HlsReplyCase {
    const char* name;
    HttpReply reply;
    Ends ends;
};
void PrintTo(const HlsReplyCase& row, std::ostream* out) { *out << row.name; }
const HlsReplyCase hls_replies[] = {
    {"a_page_for_people", http_says::page("<!DOCTYPE html><title>Welcome</title>"), {"mismatch", ""}},
    {"nothing", http_says::playlist(""), {"mismatch", ""}},
    {"no_target_duration", http_says::playlist("#EXTM3U\n#EXTINF:1,\n0.ts\n"), {"protocol", ""}},
    {"forbidden", http_says::status(403), {"forbidden", "play_refused"}},
    {"not_found", http_says::status(404), {"not_found", "play_no_stream"}},
    {"server_error", http_says::status(503), {"rejected", ""}},
    {"silent", http_says::silence(), {"timeout", "play_unreachable"}},
    {"cut", http_says::cut(http_says::playlist(playlist_of(3)), 20), {"closed", ""}},
    {"master_of_itself",
     http_says::playlist("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\ncanary.m3u8\n"),
     {"mismatch", ""}},
    {"segments_that_are_no_ts",
     http_says::playlist("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ncanary.m3u8\n"),
     {"protocol", ""}},
};
class HlsPlaybackReply : public testing::TestWithParam<HlsReplyCase> {};

TEST_P(HlsPlaybackReply, EndsForReason) {
    PlayStage stage;
    ScriptedHttpServer edge(stage.io, always(GetParam().reply));
    const RunResult run = stage.watch({viewing(edge.url("/live/canary.m3u8"), 300ms)});
    stage.expect(run, GetParam().ends, "hls");
}
INSTANTIATE_TEST_SUITE_P(, HlsPlaybackReply, testing::ValuesIn(hls_replies),
                         [](const auto& row) { return row.param.name; });

// The plain way through, from the edge's side: the playlist is loaded anew and each segment once.
TEST(HlsPlaybackRun, Plays) {
    PlayStage stage;
    const Packager packager;
    ScriptedHttpServer edge(stage.io,
                            [&](const HttpHeard& heard) { return hls_of(stage.ingest, packager, heard); });
    const RunResult run = stage.watch({viewing(edge.url("/live/canary.m3u8?k=v"), 10s)});
    stage.expect(run, {"", "", RunOutcome::ok, "by stamp"}, "hls");
    EXPECT_GT(edge.count("/live/canary.m3u8"), 1U);
    EXPECT_EQ(edge.count("/live/0.ts"), 1U);
    EXPECT_EQ(edge.connections(), 1U);
    EXPECT_TRUE(run.headline.starts_with("played hls ")) << run.headline;
    EXPECT_GE(number(run, rtmp_push::playback_latency, "hls"), 0.9) << "a segment is a second of pictures";
    EXPECT_GE(number(run, rtmp_push::playlist_age), 0);
    EXPECT_EQ(number(run, rtmp_push::playback_gaps), 0);
    EXPECT_EQ(number(run, rtmp_push::playback_pause), -1) << "between segments there is nothing";
}

// A playlist that stands still after it had played is seen too, while the push is long enough.
TEST(HlsPlaybackRun, PlaylistIsNoLongerRenewed) {
    PlayStage stage;
    const Packager packager{.most_segments = 1};
    ScriptedHttpServer edge(stage.io,
                            [&](const HttpHeard& heard) { return hls_of(stage.ingest, packager, heard); });
    auto plan = stage.plan(stage.ingest, 3500ms);
    plan.viewings = {viewing(edge.url("/live/canary.m3u8"))};
    const RunResult run = stage.push(plan);
    stage.expect(run, {"stale", "", RunOutcome::failed, "; 1 segments of up to 1.00 s"}, "hls");
    EXPECT_GE(number(run, rtmp_push::playlist_age), 1.5);
}

// Whoever gives up does not wait for the next reload.
TEST(HlsPlaybackRun, WaitEndsBetweenTwoReloads) {
    PlayStage stage;
    ScriptedHttpServer edge(stage.io, always(http_says::playlist("#EXTM3U\n#EXT-X-TARGETDURATION:60\n")));
    const RunResult run = stage.watch({viewing(edge.url("/live/canary.m3u8"), 300ms)}, 10s);
    stage.expect(run, {"no_media", "play_no_stream"}, "hls");
    EXPECT_LT(stage.ingest.heard().front().timestamps.back(), 5000U) << "the push went on for nobody";
}

// The push, whatever its viewers meet.

TEST(PlaybackAndPush, NoViewerEndsThePushEarly) {
    PlayStage stage({.on_play = always(Then::reset)});
    const ClosedPort closed(stage.io);
    ScriptedHttpServer edge(stage.io, always(http_says::status(403)));
    const auto gone = std::to_string(closed.endpoint().port());
    const Probe probe = stage.make("url = '" + stage.rtmp_url() + "'\nmedia = '1s'\nplayback = [{ url = '" +
                                   edge.url("/live/canary.flv") + "' }, { url = '" + stage.rtmp_url() +
                                   "' }, { url = 'http://127.0.0.1:" + gone + "/live/canary.m3u8' }]");
    ProbeRun run(stage.env, 30s);
    const RunResult result = await(stage.io, probe.run(run));
    EXPECT_EQ(result.fingerprint, "playback http-flv forbidden");
    EXPECT_EQ(std::ranges::count(result.evidence, "not_played", &Evidence::what), 3);
    stage.wait_until_deserted(stage.ingest);
    EXPECT_GE(stage.ingest.heard().front().timestamps.back(), 950U);
    EXPECT_TRUE(stage.ingest.heard().front().gave_back());
}

TEST(PlaybackAndPush, OneViewerOfThreeFails) {
    PlayStage stage;
    ScriptedHttpServer edge(stage.io, [&](const HttpHeard& heard) {
        return heard.path() == "/live/other.flv" ? http_says::status(404) : flv_of(stage.ingest);
    });
    const RunResult run = stage.watch({viewing(stage.rtmp_url()), viewing(edge.url("/live/other.flv"), 1s),
                                       viewing(edge.url("/live/canary.flv"))});
    EXPECT_EQ(run.fingerprint, "playback http-flv not_found");
    EXPECT_EQ(std::ranges::count(run.evidence, "played", &Evidence::what), 2);
    EXPECT_GE(number(run, rtmp_push::playback_latency, "rtmp"), 0);
    EXPECT_GE(number(run, rtmp_push::playback_latency, "http-flv"), 0);
}

// What this player cannot read proves nothing; what a server refused does.
TEST(PlaybackAndPush, WhatIsProvenComesFirst) {
    PlayStage stage;
    ScriptedHttpServer edge(stage.io, [](const HttpHeard& heard) {
        return heard.path().ends_with(".flv")
                   ? http_says::status(403)
                   : http_says::playlist(playlist_of(1, "#EXT-X-MAP:URI=\"init.mp4\"\n"));
    });
    const RunResult run =
        stage.watch({viewing(edge.url("/live/canary.m3u8")), viewing(edge.url("/live/canary.flv"))});
    EXPECT_EQ(run.outcome(), RunOutcome::failed) << run.inconclusive;
    EXPECT_EQ(run.fingerprint, "playback http-flv forbidden");
}

TEST(PlaybackAndPush, PushThatFailsMeanwhileIsTheFailure) {
    PlayStage stage({.on_play = shows({}), .media_before = 40, .on_media = always(Then::finish)});
    ScriptedHttpServer edge(stage.io, always(http_says::status(403)));
    const RunResult run = stage.watch({viewing(stage.rtmp_url()), viewing(edge.url("/live/canary.flv"))});
    EXPECT_EQ(run.outcome(), RunOutcome::failed);
    EXPECT_EQ(way(run), "dns tcp handshake connect create_stream publish media");
    EXPECT_EQ(run.failed_phase(), "media");
    EXPECT_EQ(reason_text(run), "closed");
    EXPECT_EQ(run.fingerprint, "media at once closed");
    EXPECT_EQ(evidence(run, "played") + evidence(run, "not_played"), "");
    stage.wait_until_deserted(stage.ingest);
}

TEST(PlaybackAndPush, CutWhileViewersPlay) {
    PlayStage stage({.on_play = shows({})});
    ScriptedHttpServer edge(stage.io, [&](const HttpHeard& heard) {
        return heard.path().ends_with(".flv") ? flv_of(stage.ingest) : http_says::silence();
    });
    ScriptedRtmpServer silent(stage.io, {.on_accept = Then::stay_silent});
    auto plan = stage.plan(stage.ingest);
    plan.viewings = {viewing(stage.rtmp_url()), viewing(edge.url("/live/canary.flv")),
                     viewing(edge.url("/live/canary.m3u8")), viewing(PlayStage::rtmp_url(silent.port())),
                     viewing("http://play.test/live/canary.flv")};
    stage.names.set("play.test", {.how = DnsReply::How::never});
    ProbeRun run(stage.env, 30s);
    Task<RunResult> pushing(stage.io, push_to_end(plan, run));
    run_until(stage.io, [&] {
        return stage.ingest.published().size() > 20 && edge.heard().size() == 2 && silent.heard().size() == 1;
    });
    pushing.cut();
    const RunResult result = pushing.wait();
    EXPECT_TRUE(run.was_cut());
    EXPECT_EQ(result.phases.back().phase.name, "teardown");
    stage.wait_until_deserted(stage.ingest);
    stage.wait_until_deserted(silent);
    run_until(stage.io, [&] { return edge.deserted(); });
    EXPECT_TRUE(stage.ingest.heard().front().gave_back());
}

// Viewers have until a second before the deadline, so that the run ends in good order and for their reason.
TEST(PlaybackAndPush, DeadlineComesWhileViewersWait) {
    PlayStage stage({.on_play = always(status("status", "NetStream.Play.Start"))});
    ScriptedHttpServer edge(stage.io, [](const HttpHeard& heard) {
        return heard.path().ends_with(".flv") ? http_says::silence() : http_says::status(404);
    });
    const RunResult run =
        stage.watch({viewing(edge.url("/live/canary.m3u8"), 10s), viewing(stage.rtmp_url(), 10s),
                     viewing(edge.url("/live/canary.flv"), 10s)},
                    1600ms);
    EXPECT_EQ(way(run), "dns tcp handshake connect create_stream publish media playback teardown");
    EXPECT_EQ(run.fingerprint, "playback hls not_found");
    const std::string seen = evidence(run, "not_played");
    EXPECT_NE(seen.find("rtmp 127.0.0.1 at 127.0.0.1:" + std::to_string(stage.ingest.port()) +
                        ": playing was granted and no media came"),
              std::string::npos)
        << seen;
    EXPECT_EQ(std::ranges::count(seen, '\n'), 3);
    stage.wait_until_deserted(stage.ingest);
    EXPECT_TRUE(stage.ingest.heard().front().gave_back());
    EXPECT_EQ(run.got("playback_wait"), "") << "nobody could wait for ten seconds";
}

// Every address.

struct Edges {
    PlayStage stage{};
    std::string url = "rtmp://play.test:" + std::to_string(stage.ingest.port()) + "/live/canary";
    Edges() { stage.names.set("play.test", {.addresses = {"127.0.0.1", "127.0.0.2"}}); }
    RunResult watch() {
        Viewing viewer = viewing(url);
        viewer.every_address = true;
        return stage.watch({viewer});
    }
};

TEST(PlaybackOfEveryAddress, OneRefuses) {
    Edges edges;
    const RunResult run = edges.watch();
    const std::string port = std::to_string(edges.stage.ingest.port());
    EXPECT_EQ(run.fingerprint, "playback rtmp refused");
    EXPECT_TRUE(run.got("not_played").starts_with("rtmp play.test at 127.0.0.2:" + port + ": "))
        << run.got("not_played");
    EXPECT_TRUE(run.got("played").starts_with("rtmp play.test at 127.0.0.1:" + port + ": "))
        << run.got("played");
    EXPECT_EQ(number(run, rtmp_push::failing_addresses, "ipv4"), 1);
    EXPECT_EQ(number(run, rtmp_push::failing_addresses, "ipv6"), 0);
    EXPECT_EQ(rtmp_push::diagnose(run).label(), "cdn_endpoint_unreachable");
}

// Controls.

/// An edge that checks txSecret and txTime as the play domains of Tencent Cloud do.
struct PlayCloud {
    std::string main_key = "main-key";
    std::string backup_key = "backup-key";
    HttpReply wrong = http_says::status(403);
    HttpReply unsigned_url = http_says::status(403);

    HttpReply judge(const ScriptedRtmpServer& ingest, const HttpHeard& heard) const {
        const auto url =
            protocol::parse_play_url("http://" + heard.headers.at("host") + heard.target).value();
        const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        const auto check = protocol::check_play_url(url, main_key, backup_key, now);
        if (!check.has_tx_secret) return unsigned_url;
        if (!check.secret.exact() || check.expired()) return wrong;
        return flv_of(ingest);
    }
};

std::string controls_of(const RunResult& run) {
    std::string all;
    for (const auto& control : run.controls)
        all += (all.empty() ? "" : ", ") + std::string(control.name) + " " +
               std::string(to_string(control.outcome));
    return all;
}

struct RefusalCase {
    const char* name;
    PlayCloud cloud;
    const char* label;
    const char* controls;
    const char* keys = ", key = { env = 'MAIN' }, backup_key = { env = 'BACKUP' }";
};
void PrintTo(const RefusalCase& row, std::ostream* out) { *out << row.name; }
constexpr const char* main_key_alone = ", key = { env = 'MAIN' }";
const RefusalCase refusals[] = {
    {"main_key_changed",
     {.main_key = "new"},
     "play_auth_key_mismatch",
     "play_backup_key passed, play_wrong_secret failed, play_unsigned failed"},
    {"key_changed_and_told_from_no_key",
     {.main_key = "new", .unsigned_url = http_says::status(401)},
     "play_auth_key_mismatch",
     "play_wrong_secret failed, play_unsigned failed",
     main_key_alone},
    {"all_refused_alike",
     {.main_key = "new", .backup_key = "new"},
     "play_refused",
     "play_backup_key failed, play_wrong_secret failed, play_unsigned failed"},
    // An error of the server's own is no answer to a signature.
    {"server_error", {.main_key = "new", .backup_key = "new", .wrong = http_says::status(500)}, "", ""},
};
class PlaybackControls : public testing::TestWithParam<RefusalCase> {};

TEST_P(PlaybackControls, NameTheFaultOrItsClass) {
    const RefusalCase& row = GetParam();
    PlayStage stage;
    ScriptedHttpServer edge(stage.io,
                            [&](const HttpHeard& heard) { return row.cloud.judge(stage.ingest, heard); });
    const Judged judged =
        stage.judge(stage.make("url = '" + stage.rtmp_url() + "'\nmedia = '1s'\nplayback = [{ url = '" +
                               edge.url("/live/canary.flv") + "', wait = '3s'" + row.keys + " }]"));
    EXPECT_EQ(judged.run.failed_phase(), "playback");
    EXPECT_EQ(judged.diagnosis.label(), row.label) << judged.diagnosis.because;
    EXPECT_EQ(controls_of(judged.run), row.controls);
    stage.wait_until_deserted(stage.ingest);
    for (const auto& control : judged.run.controls)
        EXPECT_EQ(control.shows.find("txSecret="), std::string::npos) << control.shows;
}
INSTANTIATE_TEST_SUITE_P(, PlaybackControls, testing::ValuesIn(refusals),
                         [](const auto& row) { return row.param.name; });

// nginx-rtmp hangs up on a player that it does not let in.
TEST(PlaybackControl, MainKeyChangedWhereRefusalsAreSilent) {
    const auto knows_backup_key = [](const RtmpHeard& heard) {
        const auto url = protocol::parse_play_url(heard.tc_url + "/" + heard.play_name).value();
        const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        const auto check = protocol::check_play_url(url, "new", "backup-key", now);
        return check.secret.exact() ? shows({})(heard) : RtmpAnswer{.then = Then::finish};
    };
    PlayStage stage({.on_play = knows_backup_key});
    const Judged judged = stage.judge(
        stage.make("url = '" + stage.rtmp_url() + "'\nmedia = '1s'\nplayback = [{ url = '" +
                   stage.rtmp_url() + "', key = { env = 'MAIN' }, backup_key = { env = 'BACKUP' } }]"));
    EXPECT_EQ(judged.run.fingerprint, "playback rtmp closed");
    EXPECT_EQ(judged.diagnosis.label(), "play_auth_key_mismatch") << judged.diagnosis.because;
    EXPECT_EQ(controls_of(judged.run),
              "play_backup_key passed, play_wrong_secret failed, play_unsigned failed");
}

TEST(PlaybackControl, RightSignatureIsLetIn) {
    PlayStage stage;
    const PlayCloud cloud;
    ScriptedHttpServer edge(stage.io,
                            [&](const HttpHeard& heard) { return cloud.judge(stage.ingest, heard); });
    const Judged judged =
        stage.judge(stage.make("url = '" + stage.rtmp_url() + "'\nmedia = '1s'\nplayback = [{ url = '" +
                               edge.url("/live/canary.flv") + "'" + main_key_alone + " }]"));
    EXPECT_EQ(judged.run.outcome(), RunOutcome::ok) << judged.run.code.message();
}

// The claim play_domain_mismatch needs ten seconds of waiting: the tests of diagnose() make it.
TEST(PlaybackControl, StreamThatAnotherDomainHas) {
    PlayStage stage;
    stage.names.set("play.test", {.addresses = {"127.0.0.1"}});
    ScriptedHttpServer edge(stage.io, always(http_says::status(404)));
    const Judged judged = stage.judge(
        stage.make("url = '" + stage.rtmp_url() +
                   "'\nmedia = '1s'\nplayback = [{ url = 'http://play.test:" + std::to_string(edge.port()) +
                   "/live/canary.flv', wait = '1s' }, { url = '" + stage.rtmp_url() + "' }]"));
    EXPECT_EQ(judged.run.fingerprint, "playback http-flv not_found");
    EXPECT_EQ(judged.diagnosis.label(), "play_no_stream") << judged.diagnosis.because;
    // Nobody listens on port 1935: the host does not have the stream over RTMP either.
    EXPECT_EQ(controls_of(judged.run), "play_rtmp failed, play_hls failed, play_other_domain passed");
    ASSERT_FALSE(judged.diagnosis.candidates.empty());
    EXPECT_EQ(judged.diagnosis.candidates.front().cause, Cause::play_domain_mismatch);
}

TEST(PlaybackControl, StreamThatTheSameHostPlaysOtherwise) {
    PlayStage stage;
    ScriptedHttpServer edge(stage.io, [&](const HttpHeard& heard) {
        return heard.path().ends_with(".m3u8") ? http_says::status(404) : flv_of(stage.ingest);
    });
    const Judged judged =
        stage.judge(stage.make("url = '" + stage.rtmp_url() + "'\nmedia = '1s'\nplayback = [{ url = '" +
                               edge.url("/live/canary.m3u8") + "', wait = '2s' }]"));
    EXPECT_EQ(judged.run.fingerprint, "playback hls not_found");
    EXPECT_EQ(judged.diagnosis.label(), "") << judged.diagnosis.because;
    EXPECT_EQ(controls_of(judged.run), "play_rtmp failed, play_flv passed");
    EXPECT_EQ(
        judged.diagnosis.ruled_out,
        (std::vector<std::string>{"play_domain_mismatch: the same host plays it over another protocol"}));
}

TEST(PlaybackControl, CutControlsLeaveNobodyBehind) {
    PlayStage stage;
    ScriptedHttpServer edge(stage.io, always(http_says::status(403)));
    const Probe probe = stage.make("url = '" + stage.rtmp_url() + "'\nmedia = '1s'\nplayback = [{ url = '" +
                                   edge.url("/live/canary.flv") + "'" + main_key_alone + " }]");
    ProbeRun run(stage.env, 30s);
    const RunResult failed = await(stage.io, probe.run(run));
    edge.answer(always(http_says::silence()));
    ProbeRun controls(stage.env, 30s);
    Task<std::vector<Control>> playing(stage.io, probe.controls(controls, failed));
    run_until(stage.io, [&] { return edge.heard().size() == 4; });
    playing.cut();
    EXPECT_TRUE(playing.wait().empty());
    stage.wait_until_deserted(stage.ingest);
    run_until(stage.io, [&] { return edge.deserted(); });
    EXPECT_TRUE(stage.ingest.last().gave_back());
}

}  // namespace
}  // namespace livecanary::test
