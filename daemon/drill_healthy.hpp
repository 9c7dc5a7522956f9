#pragma once
// What a drill in which nothing is broken makes of what the daemon said: counting and judging, without I/O.
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "probes/core/run.hpp"

namespace livecanary::daemon {

/// The runs of one probe.
struct HealthyProbe {
    std::string probe{}, kind{};
    // As its counters have them. Skipped: not started, since the run before was still under way.
    std::uint64_t runs = 0, failed = 0, inconclusive = 0, skipped = 0;
    bool known = false;              ///< at the end: livecanary_probe_success was there
    double slowest = 0;              ///< seconds, of the runs that were seen
    std::set<std::string> phases{};  ///< that an ok run went through
    /// What runs that were not ok said, and how often it was seen. 20 texts at most; what is more is "other".
    std::map<std::string, std::uint64_t> said{};

    std::uint64_t ok() const { return runs - failed - inconclusive; }
    /// One run in a hundred, as many as the objective of the alert rules leaves a probe; three in any case,
    /// since what a probe has proven holds for three intervals (livecanary_probe_success).
    std::uint64_t inconclusive_allowed() const;
};

/// An alert that was raised though nothing is broken.
struct HealthyAlert {
    std::string by{};     ///< livecanary or Prometheus
    std::string name{};   ///< of Prometheus' rule; empty for the daemon's own
    std::string probe{};  ///< empty: it is about the host of the daemon, such as its clock, and no claim
                          ///< about the stack
    std::string words{};

    auto operator<=>(const HealthyAlert&) const = default;
};

/// What came of all of it.
struct HealthyReport {
    double seconds = 0;  ///< for which the daemon ran
    bool interrupted = false;
    std::vector<HealthyProbe> probes{};
    std::set<HealthyAlert> alerts{};
    std::uint64_t unanswered = 0;   ///< times that the daemon's loop did not say what it knows
    bool alerts_watched = false;    ///< Prometheus and Alertmanager were there
    bool watchdog_arrived = false;  ///< its alert came to Alertmanager: their silence means something

    /// Why it is not as it must be; empty if it is. `kinds`: each must have a probe.
    std::vector<std::string> troubles(const std::vector<std::string_view>& kinds) const;
};

/// Follows the API of a daemon from its start on.
class HealthyWatch {
public:
    /// `results`: as `/api/v1/probes` has them. For what counters cannot tell: each run that is still the
    /// last one when it is looked at is seen once.
    void observe(const boost::json::array& results);
    /// Seen so far, for a line of progress.
    std::uint64_t runs_seen() const noexcept { return runs_seen_; }
    std::uint64_t failures_seen() const noexcept { return failures_seen_; }
    std::uint64_t inconclusive_seen() const noexcept { return inconclusive_seen_; }
    /// `metrics`: of the daemon, at the end. Throws std::runtime_error if it has no runs.
    std::vector<HealthyProbe> counted(std::string_view metrics) const;

private:
    std::map<std::string, std::string> last_run_{};  // run id by probe
    std::map<std::string, HealthyProbe> seen_{};
    std::uint64_t runs_seen_ = 0, failures_seen_ = 0, inconclusive_seen_ = 0;
};

/// The daemon's own, of `/api/v1/incidents`: those that came to an alert and opened after `since`. Throws
/// std::exception for what is no such answer.
std::set<HealthyAlert> alerts_of_incidents(std::string_view body, WallTime since);
/// Of Prometheus' answer to a query over ALERTS, the watchdog's left out. Throws likewise.
std::set<HealthyAlert> alerts_of_prometheus(std::string_view body);
/// Whether the watchdog's alert is in Alertmanager's answer to GET /api/v2/alerts.
bool has_watchdog(std::string_view body);

/// A table of the probes, what runs that were not ok said, the alerts, and the judgement. As Markdown.
void print_healthy(std::ostream& out, const HealthyReport& report, const std::vector<std::string>& troubles);
boost::json::object to_json(const HealthyProbe& probe);
/// The sum, behind the probes.
boost::json::object to_json(const HealthyReport& report, const std::vector<std::string>& troubles);

}  // namespace livecanary::daemon
