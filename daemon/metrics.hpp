#pragma once
// RunResult → Prometheus. Each probe owns its series, so they vanish with it; absent means absent.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include "daemon/settings.hpp"
#include "daemon/store.hpp"
#include "probes/core/diagnosis.hpp"
#include "probes/core/run.hpp"

namespace livecanary::daemon {

/// Why a run was never started. The enumerators are the values of the label `reason`.
enum class Skip { overlap, admission, paused };

/// What the incident machine made of a run (incidents.hpp).
struct Standing {
    bool known = false;     ///< a conclusive outcome is there
    bool ok = false;        ///< the last conclusive outcome
    bool alerting = false;  ///< from fail_after failures in a row until recover_after successes in a row
    int consecutive_failures = 0;
};

/// What became of the alerts that Alertmanagers were sent.
struct NotificationFigures {
    struct Receiver {
        std::string alertmanager{};  ///< its URL, as configured
        std::uint64_t sent = 0;      ///< alerts, each time one was sent
        std::uint64_t failed = 0;    ///< of these, those it did not accept
        std::string trouble{};       ///< why it does not accept them now; empty if it does
    };
    std::vector<Receiver> receivers{};
    std::size_t queue = 0;  ///< alerts that wait to be sent, of all receivers together
};

/// Metric families under construction, in the order of their first series.
class Families {
public:
    /// The family of that name; `help` and `type` are those of the first call. The reference is good until
    /// the next call.
    prometheus::MetricFamily& family(std::string_view name, std::string_view help,
                                     prometheus::MetricType type);
    std::vector<prometheus::MetricFamily> take();

private:
    std::vector<prometheus::MetricFamily> families_{};
    std::map<std::string, std::size_t, std::less<>> index_{};
};

/// Most series one probe may have (docs/metrics.md).
constexpr std::size_t series_limit = 75;

/// What a probe may have at most, without `livecanary_probe_failure_reasons_total`, which gets what is left
/// of `series_limit`, and without histograms that have a label and counters that have two: those come once
/// something was observed, beyond the limit, and are bounded by what is configured.
std::size_t most_series(const Kind& kind, const Probe& probe = {});

/// All series of one probe (docs/metrics.md). Counters that always exist start at 0.
///
/// Of `livecanary_probe_failure_reasons_total` the combinations last observed are kept: as many as
/// `series_limit` leaves room for, but at least four. One that had to go starts at 0 when it comes back, like
/// any counter after a restart.
class ProbeMetrics {
public:
    explicit ProbeMetrics(const ProbeSettings& settings);

    /// A run that ended by itself; runs that were cut never get here. `confirmation`: an extra run made
    /// quickly after a first failure. A number the kind did not announce in `Kind::values` is left out.
    void ran(const RunResult& run, const Diagnosis& found, const Standing& standing, bool confirmation,
             Clock::time_point ended);
    void skipped(Skip why);
    /// An alert from before a restart stands, though no run has been seen.
    void stands(const Standing& standing);

    /// `now` decides on staleness: `livecanary_probe_success` is absent when the last conclusive run is
    /// older than three intervals and a timeout. `wall` decides on maintenance.
    void collect(Families& into, Clock::time_point now, WallTime wall) const;

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

/// Series about the daemon itself. What was never told is absent.
class DaemonMetrics {
public:
    DaemonMetrics();

    void start_lateness(Clock::duration late);  ///< how much later than due a run was started
    void loop_lag(Clock::duration lag);         ///< how long the probe loop kept a handler waiting
    void reloaded(bool ok, WallTime at);        ///< the first configuration counts as a reload too
    void runs_in_flight(std::size_t count);
    /// Probes that fail: not yet for fail_after runs in a row, and for as many or more.
    void alerts(std::size_t pending, std::size_t firing);
    void clock(std::chrono::duration<double> offset, bool synchronized);
    void state(StateFigures figures);
    void notifications(NotificationFigures figures);

    void collect(Families& into) const;

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

/// `process_*` as Prometheus' client libraries give them, from /proc/self. Reads files: not for the probe
/// loop. What cannot be read is absent.
void collect_process(Families& into);

}  // namespace livecanary::daemon
