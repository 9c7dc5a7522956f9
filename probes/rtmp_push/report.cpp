#include "probes/rtmp_push/report.hpp"

#include <algorithm>
#include <cstdio>

#include "probes/protocol/test_stream.hpp"
#include "probes/rtmp_push/push.hpp"

namespace livecanary::rtmp_push {
namespace {

using std::chrono::milliseconds;

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

/// "0.32 ms", "53.2 ms", "530 ms", "1.07 s".
std::string text_of(Clock::duration duration) {
    char text[32];
    const double s = seconds(duration);
    if (s < 0.0095)
        std::snprintf(text, sizeof text, "%.2f ms", s * 1e3);
    else if (s < 0.0995)
        std::snprintf(text, sizeof text, "%.1f ms", s * 1e3);
    else if (s < 1)
        std::snprintf(text, sizeof text, "%.0f ms", s * 1e3);
    else
        std::snprintf(text, sizeof text, "%.2f s", s);
    return text;
}

Clock::duration median(std::vector<Clock::duration> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

std::string latency_text(const Received& r) {
    if (r.latencies.empty())
        return "; latency unknown: no picture that was sent after we asked was recognised";
    return "; " + text_of(median(r.latencies)) + " behind (median of " + std::to_string(r.latencies.size()) +
           ", most " + text_of(std::ranges::max(r.latencies)) +
           (r.matched == Matched::stamp ? ", by stamp)"
                                        : ", by presentation time: the stamp is gone, as after transcoding)");
}

/// Size and rate as received, and as sent where they differ.
std::string picture_text(const Received& r) {
    const protocol::TestStreamOptions sent;
    std::string text;
    if (r.other_codec) text += "; video that is not H.264";
    if (r.width != 0) {
        text += "; " + std::to_string(r.width) + "x" + std::to_string(r.height);
        if (r.width != sent.size.width || r.height != sent.size.height)
            text +=
                " (sent " + std::to_string(sent.size.width) + "x" + std::to_string(sent.size.height) + ")";
    }
    if (r.frames_per_second > 0) {
        char rate[48];
        std::snprintf(rate, sizeof rate, " at %.1f of %u fps", r.frames_per_second, sent.frames_per_second);
        text += rate;
    }
    return text;
}

std::string received_text(const Viewed& viewed) {
    const Received& r = viewed.received;
    std::string text;
    if (r.first_byte) text += "; first byte " + text_of(*r.first_byte);
    if (r.first_media) text += ", first media " + text_of(*r.first_media);
    if (r.first_frame) text += ", first picture " + text_of(*r.first_frame);
    if (!r.first_media) return text;
    if (r.first_frame) text += latency_text(r);
    text += picture_text(r);
    if (!r.video) text += "; no video";
    if (!r.audio) text += "; no sound";
    if (r.video && !r.video_header && !r.other_codec) text += "; no SPS and PPS";
    if (r.audio && !r.audio_header) text += "; no AudioSpecificConfig";
    if (r.gaps > 0)
        text += "; " + std::to_string(r.gaps) + (r.gaps == 1 ? " jump" : " jumps") +
                " of timestamps, the longest " + text_of(r.longest_gap);
    if (r.foreign_stamps > 0) text += "; " + std::to_string(r.foreign_stamps) + " keyframes of another push";
    if (viewed.protocol != PlayProtocol::hls) return text + "; longest pause " + text_of(r.longest_pause);
    text += "; " + std::to_string(viewed.segments) + " segments of up to " +
            text_of(viewed.segment_duration) + ", playlist at most " + text_of(viewed.playlist_age) + " old";
    if (viewed.missed > 0) text += ", " + std::to_string(viewed.missed) + " segments missed";
    if (viewed.went_back > 0) text += ", numbering began anew";
    return text;
}

bool is_six(const Viewed& viewed) { return viewed.address.starts_with('['); }

void report_addresses(const std::vector<Viewing>& viewings, const std::vector<Viewed>& viewed,
                      ProbeRun& run) {
    if (std::ranges::none_of(viewings, &Viewing::every_address)) return;
    const auto failing = [&](bool six) {
        return std::ranges::count_if(viewed, [&](const Viewed& v) {
            return viewings[v.viewing].every_address && v.code && !v.address.empty() && is_six(v) == six;
        });
    };
    run.found(failing_addresses, static_cast<double>(failing(false)), "ipv4");
    run.found(failing_addresses, static_cast<double>(failing(true)), "ipv6");
}

void report_values(const std::vector<Viewed>& viewed, ProbeRun& run) {
    Clock::duration pause{};
    milliseconds age{0};
    std::uint64_t gaps = 0;
    bool live = false, hls = false;
    for (const Viewed& v : viewed) {
        const auto protocol = to_string(v.protocol);
        for (const auto latency : v.received.latencies)
            run.found(playback_latency, seconds(latency), protocol);
        if (v.received.first_frame)
            run.found(playback_first_frame, seconds(*v.received.first_frame), protocol);
        gaps += v.received.gaps;
        if (v.protocol == PlayProtocol::hls) {
            hls = hls || v.target_duration > milliseconds(0);
            age = std::max(age, v.playlist_age);
        } else if (v.received.first_media) {
            live = true;
            pause = std::max(pause, v.received.longest_pause);
        }
    }
    if (live) run.found(playback_pause, seconds(pause));
    if (hls) run.found(playlist_age, seconds(age));
    if (live || hls) run.found(playback_gaps, static_cast<double>(gaps));
}

/// The viewer whose failure is the run's: the first one, but what is our own fault proves nothing, so
/// anything else comes before it. Null if all have played.
const Viewed* worst_of(const std::vector<Viewed>& viewed) noexcept {
    const Viewed* worst = nullptr;
    for (const Viewed& v : viewed) {
        const bool proven = v.code && reason_of(v.code) != Reason::local;
        if (v.code && (worst == nullptr || (proven && reason_of(worst->code) == Reason::local))) worst = &v;
    }
    return worst;
}

}  // namespace

std::string_view stage_of(const Viewed& viewed) noexcept {
    if (viewed.received.first_media) return stage_is::media;
    if (viewed.asked) return stage_is::asked;
    return viewed.greeted ? stage_is::connect : stage_is::unconnected;
}

std::string fingerprint(const Viewed& viewed) {
    if (!viewed.code) return "played";
    // A close is a close, whether our data met it (reset) or not.
    const Reason reason = reason_of(viewed.code);
    return "playback " + std::string(to_string(viewed.protocol)) + " " +
           std::string(to_string(reason == Reason::reset ? Reason::closed : reason));
}

std::string describe(const Viewed& viewed) {
    std::string text = std::string(to_string(viewed.protocol)) + " " + viewed.host;
    if (!viewed.address.empty()) text += " at " + viewed.address;
    const bool hung_up = viewed.code == asio::error::eof;
    text += hung_up ? ": the server hung up" : viewed.code ? ": " + viewed.code.message() : ": played";
    if (viewed.code && !viewed.said.empty()) text += " (" + viewed.said + ")";
    if (viewed.code && stage_of(viewed) == stage_is::connect)
        text += "; at connect, before a stream was asked for";
    if (viewed.code && stage_of(viewed) == stage_is::asked && !viewed.received.first_byte)
        text += "; no answer to the request";
    return text + received_text(viewed);
}

std::string_view host_in(std::string_view description) noexcept {
    description.remove_prefix(std::min(description.size(), description.find(' ') + 1));
    const auto end = std::min(description.find(' '), description.size());
    // Without an address, a colon ends the host; an address of IPv6 may end in one itself.
    const bool address_follows = description.substr(end).starts_with(" at ");
    auto host = description.substr(0, end);
    if (!address_follows && host.ends_with(':')) host.remove_suffix(1);
    return host;
}

std::string_view address_in(std::string_view description) noexcept {
    const auto at = description.find(" at ");
    if (at == std::string_view::npos) return {};
    description.remove_prefix(at + std::string_view(" at ").size());
    const auto whole = description.substr(0, description.find(": "));
    return whole.substr(0, whole.rfind(':'));
}

void report(const std::vector<Viewing>& viewings, const std::vector<Viewed>& viewed, ProbeRun& run) {
    const Viewed* const worst = worst_of(viewed);
    // The first of its kind is what the diagnosis speaks of.
    if (worst != nullptr) run.saw("not_played", describe(*worst));
    std::string headline;
    for (const Viewed& v : viewed) {
        if (&v != worst) run.saw(v.code ? "not_played" : "played", describe(v));
        if (!v.code && !v.received.latencies.empty())
            headline += (headline.empty() ? "played " : ", ") + std::string(to_string(v.protocol)) + " " +
                        text_of(median(v.received.latencies)) + " behind";
    }
    report_values(viewed, run);
    report_addresses(viewings, viewed, run);
    run.headline(std::move(headline));
    if (worst == nullptr) return;
    run.saw("playback_stage", std::string(stage_of(*worst)));
    // A wait that the run had no time for says nothing about a stream that is slow to appear.
    if (worst->cut_short)
        run.saw("playback_cut_short", "the run's timeout left less than `wait`");
    else
        run.saw("playback_wait", std::to_string(viewings[worst->viewing].wait.count()) + " ms");
    run.fingerprint(fingerprint(*worst));
    if (reason_of(worst->code) == Reason::local) run.inconclusive(describe(*worst));
    run.failed(worst->code);
}

}  // namespace livecanary::rtmp_push
