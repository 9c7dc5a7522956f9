#pragma once
// One run: the checks, cheapest first, over one connection, one request at a time.
//
// A check that fails does not end the run, since the pattern of all tells which part is broken. A check that
// hangs does: the request occupies a PHP worker, and nothing more is asked of PHP until it is answered
// (state.hpp).
#include <array>

#include "probes/backend_api/state.hpp"
#include "probes/net/values.hpp"

namespace livecanary::backend_api {

inline constexpr std::array phases{dns, tcp, tls, request, first_byte, body};

inline constexpr Value check_ok{
    .metric = "livecanary_backend_check_ok",
    .help = "Whether the check came out as it must in the last run that made it: 1 or 0.",
    .label = "check",
    .label_values = check_names};
inline constexpr Value check_seconds{
    .metric = "livecanary_backend_check_duration_seconds",
    .help = "From the start of a check's request to the last byte of its answer.",
    .type = ValueType::summary,
    .label = "check",
    .label_values = check_names};
inline constexpr Value newest_replay_age{
    "livecanary_backend_newest_replay_age_seconds",
    "Time since the newest replay in the list ended; absent without replays."};
inline constexpr std::array values{check_ok, check_seconds, newest_replay_age, net::certificate_end};

/// Evidence beside that of the checks.
namespace saw {
inline constexpr std::string_view broken = "broken";    ///< the part that the pattern points at
inline constexpr std::string_view wrong = "wrong";      ///< what of an answer is
inline constexpr std::string_view exposed = "exposed";  ///< path of a file with passwords
inline constexpr std::string_view same_as = "same_as";  ///< where the backend really is
inline constexpr std::string_view relogin = "relogin";  ///< the token had become invalid
inline constexpr std::string_view old_token =
    "old_token";  ///< what a session from before a failed login still can do
inline constexpr std::string_view hanging = "hanging";  ///< for how long a request has had no answer
}  // namespace saw

/// The word of an evidence of a check: what stands before its colon.
constexpr std::string_view word_in(std::string_view got) noexcept { return got.substr(0, got.find(':')); }

/// Says everything on `run`. The caller must have switched off `throw_if_cancelled` on its coroutine; the
/// others must outlive it.
asio::awaitable<void> run_checks(const Config& config, State& state, ProbeRun& run);

}  // namespace livecanary::backend_api
