#pragma once
// The whole configuration as one value: defaults applied, secrets resolved, cross-checked. Needs no network.
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/reader.hpp"
#include "config/window.hpp"
#include "daemon/web_users.hpp"
#include "probes/core/probe.hpp"

namespace livecanary::daemon {

struct WebTls;  // web_tls.hpp

/// One `[[probe]]`.
struct ProbeSettings {
    std::string name{};
    const Kind* kind = nullptr;
    Probe probe{};
    std::chrono::milliseconds interval{30'000};
    std::chrono::milliseconds timeout{10'000};
    int fail_after = 3;     ///< consecutive failures until it alerts
    int recover_after = 2;  ///< consecutive successes until it no longer does
    std::string severity = "critical";
    std::map<std::string, std::string> labels{};
    /// Probes of one system are evidence for each other (rules.hpp); "" is one too.
    std::string system{};
    /// The journey it is a hop of (the first one in the files, if it is of several), or that it is itself;
    /// else empty.
    std::string journey{};
    std::vector<config::Window> maintenance{};  ///< it runs, but its runs prove nothing and do not alert
    /// The table as read, with the defaults, secrets and location that went into it, hashed (SHA-256, hex):
    /// two probes of equal identity are the same probe to a reload. Not for logs: it would let a weak secret
    /// be guessed.
    std::string identity{};
    std::string file{};
    config::Position at{};
};

/// How the Alertmanagers let us in; all of them in the same way.
struct AlertmanagerAccess {
    std::string user{};  ///< of HTTP's basic authentication; empty: none
    config::Secret password{};
    std::string ca_file{};  ///< PEM; empty: the system's trust
    bool operator==(const AlertmanagerAccess&) const = default;
};

struct Settings {
    std::string location{};  ///< default: host name; [A-Za-z0-9-], 1 to 32 characters
    std::string state_directory = "/var/lib/livecanary";  ///< default: $STATE_DIRECTORY, if systemd sets it
    std::size_t max_concurrent_probes = 256;
    std::chrono::milliseconds max_loop_lag{250};  ///< a run during which the loop was later is inconclusive
    std::chrono::milliseconds controls_gap{60'000};  ///< least time between two rounds of a probe's controls
    bool reference = true;                           ///< the built-in probe of ourselves
    std::vector<std::string> web_listen{"127.0.0.1:9877"};  ///< "127.0.0.1:9877", "[::1]:9877", ":9877"
    std::shared_ptr<const WebTls> web_tls{};                ///< null: plain HTTP
    WebUsers web_users{};                                   ///< empty: everybody sees the pages
    std::vector<std::string> dns_servers{};    ///< "192.0.2.1" or "192.0.2.1:53"; empty: the system's
    std::vector<std::string> anchors{};        ///< http(s) URLs of neutral targets
    std::vector<std::string> alertmanagers{};  ///< http(s) URLs, without /api/v2 and a slash at the end
    AlertmanagerAccess alertmanager_access{};
    std::string grafana_url{};  ///< where alerts' dashboard_url leads; empty: to the daemon's own page
    std::string lang = "en";
    std::chrono::milliseconds keep_incidents = std::chrono::hours(90 * 24);  ///< after their end
    std::size_t most_incidents = 1000;
    std::vector<ProbeSettings> probes{};  ///< the enabled ones, in the order of the files
    std::size_t disabled_probes = 0;
};

/// The outcome of reading: `settings` is usable only when there is no mistake that is not a warning.
struct Loaded {
    Settings settings{};
    std::vector<config::Mistake> mistakes{};     ///< errors and warnings, in the order of files and lines
    std::vector<std::string> files{};            ///< every file read, or tried
    std::map<std::string, std::string> texts{};  ///< file name → its text, to show the lines of mistakes
    bool ok() const noexcept;
};

/// Reads `path` and conf.d/*.toml beside it in name order. Blocking: files only. Tests bring their own
/// `kinds`. `now` tells whether a certificate is valid.
Loaded load_settings(const std::string& path, const config::Surroundings& surroundings,
                     std::span<const Kind* const> kinds = all_kinds(),
                     WallTime now = std::chrono::system_clock::now());

}  // namespace livecanary::daemon
