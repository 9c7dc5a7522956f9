#pragma once
// One push, from the name lookup to deleteStream: what the probe does, and what each of its controls repeats
// with one thing changed.
#include <array>
#include <chrono>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>

#include "probes/core/run.hpp"
#include "probes/net/connection.hpp"
#include "probes/protocol/push_url.hpp"

namespace livecanary::rtmp_push {

namespace asio = boost::asio;

inline constexpr Phase dns{"dns"}, tcp{"tcp"}, tls{"tls"}, handshake{"handshake"}, connect{"connect"},
    create_stream{"create_stream"}, publish{"publish"}, media{"media"}, teardown{"teardown"};
inline constexpr std::array phases{dns,           tcp,     tls,   handshake, connect,
                                   create_stream, publish, media, teardown};

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
inline constexpr Value certificate_end{
    "livecanary_tls_certificate_not_after_timestamp_seconds",
    "When the server's certificate ends, in Unix seconds; also when it was not accepted."};
inline constexpr std::array<std::string_view, 2> families{"ipv4", "ipv6"};
inline constexpr Value resolved_addresses{.metric = "livecanary_resolved_addresses",
                                          .help = "Addresses the last run got for the target's name.",
                                          .label = "family",
                                          .label_values = families};
inline constexpr std::array values{sent_bytes,    acked_bytes,       server_closes,   stall_seconds,
                                   server_window, server_chunk_size, certificate_end, resolved_addresses};

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
};

/// Publish.Start is not acceptance: two servers say it and close. This much media without a close is.
inline constexpr std::chrono::milliseconds acceptance{1000};

/// Ends at the latest at the run's deadline and the time a farewell may take. Says everything on `run`:
/// phases, evidence, values, the fingerprint and the failure. Gives the stream name back in every case,
/// also when the coroutine is cancelled. `plan` and `run` must outlive it.
///
/// The caller must have switched off `throw_if_cancelled` on its coroutine.
asio::awaitable<void> push(const Plan& plan, ProbeRun& run);

}  // namespace livecanary::rtmp_push

template <>
struct boost::system::is_error_code_enum<livecanary::rtmp_push::PushError> : std::true_type {};
