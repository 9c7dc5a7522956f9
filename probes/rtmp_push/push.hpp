#pragma once
// One push, from the name lookup to deleteStream: what the probe does, and what each of its controls repeats
// with one thing changed.
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>

#include "probes/core/run.hpp"
#include "probes/net/connection.hpp"
#include "probes/net/values.hpp"
#include "probes/protocol/push_url.hpp"
#include "probes/rtmp_push/playback.hpp"

namespace livecanary::rtmp_push {

inline constexpr Phase dns{"dns"}, tcp{"tcp"}, tls{"tls"}, handshake{"handshake"}, connect{"connect"},
    create_stream{"create_stream"}, publish{"publish"}, media{"media"}, playing{"playback"},
    teardown{"teardown"};
inline constexpr std::array phases{dns,           tcp,     tls,   handshake, connect,
                                   create_stream, publish, media, playing,   teardown};

inline constexpr Value sent_bytes{"livecanary_rtmp_sent_bytes_total",
                                  "Bytes sent to RTMP servers, handshake included.", ValueType::counter};
inline constexpr Value acked_bytes{"livecanary_rtmp_acked_bytes_total",
                                   "Bytes that RTMP servers have acknowledged, as far as they do.",
                                   ValueType::counter};
inline constexpr Value server_closes{"livecanary_rtmp_server_closes_total",
                                     "Connections that the RTMP server ended before we did.",
                                     ValueType::counter};
inline constexpr Value stall_seconds{"livecanary_rtmp_stall_seconds",
                                     "Longest time of the last push in which the server took nothing."};
inline constexpr Value server_window{"livecanary_rtmp_server_window_bytes",
                                     "Window acknowledgement size the server set in the last push."};
inline constexpr Value server_chunk_size{"livecanary_rtmp_server_chunk_size_bytes",
                                         "Chunk size the server set in the last push."};
using net::certificate_end, net::failing_addresses, net::resolved_addresses;
// From a relay on the same host, over live edges of RTMP and HTTP-FLV, to HLS with long segments.
inline constexpr std::array latency_bounds{0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 20.0};
inline constexpr std::array first_frame_bounds{0.1, 0.5, 1.0, 3.0, 10.0};
inline constexpr std::array<std::string_view, 3> play_protocols{"rtmp", "http-flv", "hls"};
inline constexpr Value playback_latency{
    .metric = "livecanary_playback_latency_seconds",
    .help = "From the push of a keyframe to its arrival at a player, both measured here, on one clock.",
    .type = ValueType::histogram,
    .buckets = latency_bounds,
    .label = "protocol",
    .label_values = play_protocols};
inline constexpr Value playback_first_frame{
    .metric = "livecanary_playback_first_frame_seconds",
    .help = "From a player's request to the first picture that could be shown.",
    .type = ValueType::histogram,
    .buckets = first_frame_bounds,
    .label = "protocol",
    .label_values = play_protocols};
inline constexpr Value playback_pause{
    "livecanary_playback_pause_seconds",
    "Longest time in which a player of the last run got nothing after its first media (not HLS)."};
inline constexpr Value playback_gaps{"livecanary_playback_timestamp_gaps_total",
                                     "Timestamps that jumped on their way to a player.", ValueType::counter};
inline constexpr Value playlist_age{
    "livecanary_playback_playlist_age_seconds",
    "Longest time for which a playlist of the last run had not been renewed when it was loaded."};
inline constexpr std::array values{
    sent_bytes,        acked_bytes,     server_closes,      stall_seconds,    server_window,
    server_chunk_size, certificate_end, resolved_addresses, playback_latency, playback_first_frame,
    playback_pause,    playback_gaps,   playlist_age,       failing_addresses};

enum class PushError {
    frozen = 1,    ///< the server acknowledged before and no longer does, or takes no more bytes
    unsafe_clock,  ///< our own clock cannot be right: a signature would be refused through our own fault
    bad_session,   ///< the URL cannot be spoken as RTMP
};
error_code make_error_code(PushError error) noexcept;

/// All that one push needs.
struct Plan {
    protocol::PushUrl url{};  ///< as it goes out: signed
    /// Connects there instead of resolving the name.
    std::optional<asio::ip::address> address{};
    std::string ca_file{};
    std::chrono::milliseconds media{
        5000};                        ///< real-time length; an accepted push lasts at least `acceptance`
    std::uint32_t chunk_size = 4096;  ///< bytes
    bool digest_handshake = false;
    /// Who plays the stream meanwhile. While one still waits for its first picture, the push goes on beyond
    /// `media`, at most to shortly before the run's deadline.
    std::vector<Viewing> viewings{};
};

/// Publish.Start is not acceptance: two servers say it and close. This much media without a close is.
inline constexpr std::chrono::milliseconds acceptance{1000};

/// Ends at the latest at the run's deadline and the time a farewell may take. Says everything on `run`:
/// phases, evidence, values, the fingerprint and the failure. Gives the stream name back in every case,
/// also when the coroutine is cancelled. `plan` and `run` must outlive it.
/// Returns what the viewers saw; none if the push itself failed.
///
/// The caller must have switched off `throw_if_cancelled` on its coroutine.
asio::awaitable<std::vector<Viewed>> push(const Plan& plan, ProbeRun& run);

}  // namespace livecanary::rtmp_push

template <>
struct boost::system::is_error_code_enum<livecanary::rtmp_push::PushError> : std::true_type {};
