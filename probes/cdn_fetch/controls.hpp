#pragma once
// The control requests: a failed fetch again with one thing changed, and the object without the CDN.
#include <vector>

#include "probes/cdn_fetch/fetch.hpp"

namespace livecanary::cdn_fetch {

// Names of controls. Of a probe with `after` they fetch another object than the run did, since that one is
// gone: what they show is how the domain treats objects.
inline constexpr std::string_view again = "again";    ///< nothing changed: the failure lasts
inline constexpr std::string_view origin = "origin";  ///< the object without the CDN, signed if it must be
inline constexpr std::string_view origin_unsigned = "origin_unsigned";  ///< the same, not signed
inline constexpr std::string_view origin_name = "origin_name";  ///< lookup of a name that is not the CDN's
inline constexpr std::string_view not_signed = "unsigned";      ///< without URL authentication
inline constexpr std::string_view wrong_sign = "wrong_sign";    ///< one digit of the signature changed
inline constexpr std::string_view backup_key = "backup_key";
inline constexpr std::string_view other_order = "other_order";  ///< of path and time in what is hashed
inline constexpr std::string_view server_time = "server_time";  ///< signed with the CDN's clock
inline constexpr std::string_view other_referer = "referer";    ///< one of the domain, or none if one is set
inline constexpr std::string_view other_user_agent = "user_agent";  ///< that of a browser
inline constexpr std::string_view fresh_query = "fresh_query";      ///< a parameter that no cache has seen
inline constexpr std::string_view other_address = "other_address";  ///< of the same name
inline constexpr std::string_view over_http = "over_http";          ///< without TLS, at port 80

/// What can tell the causes of `failed` apart.
asio::awaitable<std::vector<Control>> play_controls(const Config& config, ProbeRun& run,
                                                    const RunResult& failed);

}  // namespace livecanary::cdn_fetch
