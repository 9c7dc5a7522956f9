#pragma once
// Prometheus and Alertmanager beside a drill, where they are installed: whether what the daemon names comes
// to the one who is on call.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/child_process.hpp"

namespace livecanary::daemon {

/// The rules that are shipped: beside an installed `self`, or in the source tree of a build in build/NAME.
/// Empty: they are in neither place.
std::filesystem::path find_rules(const std::filesystem::path& self);

/// Whether Alertmanager's answer to GET /api/v2/alerts has LivecanaryProbeFailing of `probe` with the
/// annotation `cause`. False for what is no such answer.
bool has_alert(std::string_view json, std::string_view probe, std::string_view cause);

/// The two programs, scraping and evaluating each second. They end with it.
class DrillAlerts {
public:
    /// Whether both programs are in $PATH.
    static bool installed();

    /// Files and logs go to `work`. Throws std::system_error.
    DrillAlerts(const std::filesystem::path& work, const std::filesystem::path& rules);
    ~DrillAlerts();
    DrillAlerts(const DrillAlerts&) = delete;
    DrillAlerts& operator=(const DrillAlerts&) = delete;

    /// Where the daemon's metrics are from now on, on 127.0.0.1.
    void watch(std::uint16_t daemon_port) const;
    std::uint16_t alertmanager_port() const noexcept { return alertmanager_port_; }
    std::uint16_t prometheus_port() const noexcept { return prometheus_port_; }

private:
    std::filesystem::path work_;
    std::uint16_t alertmanager_port_, prometheus_port_;
    std::optional<ChildProcess> alertmanager_{}, prometheus_{};
};

}  // namespace livecanary::daemon
