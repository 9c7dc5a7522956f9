#pragma once
// The control logins: a refused one again with one thing changed, to see what the refusal depends on.
#include <vector>

#include "probes/mysql/session.hpp"

namespace livecanary::mysql {

// Names of controls. None of them changes anything at the server.
inline constexpr std::string_view no_database = "no_database";  ///< the same account, no schema chosen
inline constexpr std::string_view by_socket = "socket";         ///< the same account, by the local socket
inline constexpr std::string_view plain = "plain";    ///< without TLS, as nobody: does it speak at all?
inline constexpr std::string_view tables = "tables";  ///< the schema's tables, which are the fingerprint
inline constexpr std::string_view uptime = "uptime";  ///< how long the server has been up

/// Fingerprint of `uptime` where the server has come up since shortly before the run.
inline constexpr std::string_view restarted = "restarted";

/// What can tell the causes of `failed` apart; at most two logins.
asio::awaitable<std::vector<Control>> play_controls(const Config& config, ProbeRun& run,
                                                    const RunResult& failed);

}  // namespace livecanary::mysql
