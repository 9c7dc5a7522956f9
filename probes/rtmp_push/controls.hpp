#pragma once
// The control pushes: the failed push again with one thing changed, to see what the failure depends on.
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "probes/rtmp_push/config.hpp"

namespace livecanary::rtmp_push {

// Names of controls. A control that passed was accepted by the server; one that failed was not.
inline constexpr std::string_view static_check = "static_check";  ///< the URL itself, without any network
inline constexpr std::string_view trusted_url =
    "trusted_url";                                            ///< our own signature instead of the issued one
inline constexpr std::string_view backup_key = "backup_key";  ///< signed with the backup key
inline constexpr std::string_view free_name = "free_name";    ///< a stream name nobody uses
inline constexpr std::string_view live_app = "live_app";      ///< application `live`, a name nobody uses
inline constexpr std::string_view wrong_secret = "wrong_secret";  ///< one digit of txSecret changed
inline constexpr std::string_view expired = "expired";            ///< rightly signed, txTime 30 days ago
inline constexpr std::string_view unknown_domain =
    "unknown_domain";  ///< a made-up domain in tcUrl, same server
inline constexpr std::string_view other_address = "other_address";  ///< another address of the same name
inline constexpr std::string_view other_port = "other_port";        ///< port 443 of the same address
inline constexpr std::string_view other_scheme = "other_scheme";    ///< TLS instead of plain, or the reverse
inline constexpr std::string_view other_domain =
    "other_domain";  ///< the vendor's shared push domain resolves
// Of playing: all in one more push of the same stream, beside the viewer that failed.
inline constexpr std::string_view play_own_key =
    "play_own_key";  ///< our own signature instead of the issued one
inline constexpr std::string_view play_backup_key = "play_backup_key";      ///< signed with the backup key
inline constexpr std::string_view play_wrong_secret = "play_wrong_secret";  ///< one digit changed
inline constexpr std::string_view play_unsigned = "play_unsigned";          ///< without txSecret and txTime
inline constexpr std::string_view play_rtmp = "play_rtmp";  ///< same host over RTMP, port 1935
inline constexpr std::string_view play_flv = "play_flv";    ///< same host and port over HTTP-FLV
inline constexpr std::string_view play_hls = "play_hls";    ///< same host and port over HLS
inline constexpr std::string_view play_other_domain =
    "play_other_domain";  ///< the configured playbacks of other hosts

/// Fingerprints of `static_check`.
namespace url_is {
inline constexpr std::string_view sound = "sound";              ///< a known key, not expired
inline constexpr std::string_view expired = "expired";          ///< a known key, but expired
inline constexpr std::string_view unknown_key = "unknown key";  ///< neither key gives its txSecret
inline constexpr std::string_view several = "several faults";  ///< two or more of expired, unknown key, bizid
inline constexpr std::string_view unsigned_url = "unsigned";   ///< no txSecret or no txTime
inline constexpr std::string_view bizid_differs = "bizid differs";  ///< a known key, but two account numbers
inline constexpr std::string_view unchecked = "unchecked";          ///< no key to check with
}  // namespace url_is

/// Plays what can tell the causes of `failed` apart, cheapest first, and stops at the first that is accepted.
/// It counts as accepted only if what had failed, pushed once more, still fails with the same fingerprint. A
/// control in which the server made no decision (no connection, no time) is inconclusive. All go to the
/// address that `failed` went to. Nothing is pushed but the probe's own stream name, or that name with a
/// random tail, which cannot be anybody's.
asio::awaitable<std::vector<Control>> play_controls(const Config& config, ProbeRun& run,
                                                    const RunResult& failed);

/// The static check of a URL (no network): its fingerprint is one of `url_is`.
Control check_url(const Config& config, const protocol::PushUrl& url, WallTime now);

}  // namespace livecanary::rtmp_push
