#pragma once
// The control calls: a refused one again with one thing changed, to see what the refusal depends on.
#include <vector>

#include "probes/cos_roundtrip/roundtrip.hpp"

namespace livecanary::cos_roundtrip {

// Names of controls. None of them makes anything: they ask for the list of the bucket, one entry long.
inline constexpr std::string_view made_up_id = "made_up_id";  ///< a SecretId that nobody has
inline constexpr std::string_view wrong_signature =
    "wrong_signature";                                              ///< one digit of the signature changed
inline constexpr std::string_view server_time = "server_time";      ///< signed with the server's clock
inline constexpr std::string_view other_region = "other_region";    ///< the same bucket elsewhere
inline constexpr std::string_view own_buckets = "own_buckets";      ///< GET Service: the account's buckets
inline constexpr std::string_view regional_host = "regional_host";  ///< instead of the accelerate host

/// Over the JSON API: at the host of the generation before.
inline constexpr std::string_view old_generation = "old_generation";
// Where a backend signs:
inline constexpr std::string_view own_pair = "own_pair";  ///< the monitor's own key pair, at the same bucket
inline constexpr std::string_view fresh_sign_key = "fresh_sign_key";  ///< asked for and used at once
/// The configured bucket and region in place of those that the backend names.
inline constexpr std::string_view configured_bucket = "configured_bucket";

/// Fingerprints of `configured_bucket`, where it passed: the one thing in which the backend differs.
namespace differs_in {
inline constexpr std::string_view name = "name", appid = "appid", region = "region", more = "more than one";
}  // namespace differs_in

/// Fingerprints of `own_buckets`, where it passed.
namespace list_says {
inline constexpr std::string_view this_one = "this bucket";         ///< name, appid and region are right
inline constexpr std::string_view other_appid = "another appid";    ///< the name, under another appid
inline constexpr std::string_view other_region = "another region";  ///< the bucket, in another region
inline constexpr std::string_view not_there = "not in the list";
inline constexpr std::string_view nothing = "no buckets";
}  // namespace list_says

/// What can tell the causes of `failed` apart, cheapest first; a handful of requests.
asio::awaitable<std::vector<Control>> play_controls(const Config& config, ProbeRun& run,
                                                    const RunResult& failed);

}  // namespace livecanary::cos_roundtrip
