#pragma once
// The control calls: what a failed check asked for, by another way.
#include <vector>

#include "probes/backend_api/state.hpp"

namespace livecanary::backend_api {

// Names of controls. None is played while a request hangs.
inline constexpr std::string_view direct = "direct";  ///< /interface.php/register without the rewrite rule
/// A new token for the session from before a login that failed: it writes to Redis, and does nothing else.
inline constexpr std::string_view refresh = "refresh";
/// /interface.php at `same_as`, where the backend really is.
inline constexpr std::string_view true_address = "true_address";
inline constexpr std::string_view made_up_script = "made_up_script";  ///< a .php file that nobody has

/// Fingerprints of `made_up_script`.
namespace script_says {
inline constexpr std::string_view by_php = "PHP";           ///< PHP itself says that there is no such file
inline constexpr std::string_view by_web_server = "alike";  ///< answered just as the scripts that exist
}  // namespace script_says

asio::awaitable<std::vector<Control>> play_controls(const Config& config, State& state, ProbeRun& run,
                                                    const RunResult& failed);

}  // namespace livecanary::backend_api
