#pragma once
// The control requests: what touches one thing less than the event that failed, and the key check.
#include <vector>

#include "probes/callback/outbound.hpp"

namespace livecanary::callback {

// Names of controls, in the order in which they are played. None writes anything but the last.
inline constexpr std::string_view web_server = "web_server";  ///< GET /, which needs no PHP
inline constexpr std::string_view interface_php =
    "interface";  ///< GET /interface.php: PHP and its log folder
/// A rightly signed event 100 without what a recording has: code 4002 if the key is right; no database.
inline constexpr std::string_view key_check = "key_check";
inline constexpr std::string_view wrong_sign = "wrong_sign";  ///< the same, wrongly signed
inline constexpr std::string_view trimmed_key =
    "trimmed_key";                                      ///< the same, with our key less its white space
inline constexpr std::string_view event_0 = "event_0";  ///< a rightly signed end of a push
inline constexpr std::string_view with_video_id = "with_video_id";  ///< a recording of 60 s, not stored
inline constexpr std::string_view underscore = "underscore";  ///< a recording under a name with '_'; writes

/// What can tell the causes of `failed` apart, cheapest first. After a request that was not answered, only
/// `web_server`: whatever else would hold another worker.
asio::awaitable<std::vector<Control>> play_controls(const Config& config, State& state, ProbeRun& run,
                                                    const RunResult& failed);

}  // namespace livecanary::callback
