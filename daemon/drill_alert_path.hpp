#pragma once
// `livecanary drill --alert-path`: one alert that says of itself that it is a test, through the configured
// Alertmanagers, and what each of them makes of it.
#include <chrono>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/settings.hpp"

namespace livecanary::daemon {

struct AlertPathCommand {
    std::string severity = "info";      ///< of the alert: routes mostly go by it
    std::chrono::seconds patience{30};  ///< until an Alertmanager shows it
    /// It stands for so long before it is resolved: a receiver gets it after the group_wait of its route
    /// only.
    std::chrono::seconds hold{0};
};

/// Nobody is to be called by it unless a route says so.
inline constexpr std::string_view drill_alert_name = "LivecanaryDrillAlertPath";

/// Prints a line a step to `out`. 0 if every Alertmanager shows it and hands it to a receiver that tells
/// somebody; else 1. The alert is resolved in the end; if we are killed before, it ends by itself five
/// minutes later.
int drill_alert_path(std::ostream& out, std::ostream& err, const AlertPathCommand& command,
                     const Settings& settings);

/// The integrations of a receiver (`webhook`, `email` …) in a configuration as Alertmanager's API prints it;
/// nothing if it is not there.
std::optional<std::vector<std::string>> integrations_of(std::string_view yaml, std::string_view receiver);

}  // namespace livecanary::daemon
