#include "daemon/metrics.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <list>
#include <optional>
#include <utility>

#include "daemon/version.hpp"

namespace livecanary::daemon {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;
using Seconds = std::chrono::duration<double>;

struct Metric {
    std::string_view name;
    std::string_view help;
    MetricType type;
};

constexpr Metric probe_success{"livecanary_probe_success",
                               "Whether the last conclusive run was ok; absent while unknown or stale.",
                               MetricType::Gauge};
constexpr Metric probe_runs{"livecanary_probe_runs_total",
                            "Runs that ended by themselves, confirmations included.", MetricType::Counter};
constexpr Metric probe_failures{"livecanary_probe_failures_total", "Runs that proved the target wrong.",
                                MetricType::Counter};
constexpr Metric probe_inconclusive{"livecanary_probe_inconclusive_total",
                                    "Runs that proved nothing about the target.", MetricType::Counter};
constexpr Metric probe_confirmations{"livecanary_probe_confirmations_total",
                                     "Extra runs made quickly after a first failure.", MetricType::Counter};
constexpr Metric probe_failure_reasons{"livecanary_probe_failure_reasons_total",
                                       "Failed runs by the phase they failed in and the reason.",
                                       MetricType::Counter};
constexpr Metric probe_failing{"livecanary_probe_failing",
                               "1 while the last conclusive run failed, with how and why; else absent.",
                               MetricType::Gauge};
constexpr Metric probe_skipped{"livecanary_probe_skipped_total", "Runs that were due and never started.",
                               MetricType::Counter};
constexpr Metric probe_consecutive_failures{"livecanary_probe_consecutive_failures",
                                            "Failed runs since the last one that was ok.", MetricType::Gauge};
constexpr Metric probe_alerting{"livecanary_probe_alerting",
                                "1 from fail_after failures in a row until recover_after successes in a row.",
                                MetricType::Gauge};
constexpr Metric probe_fail_after{"livecanary_probe_fail_after",
                                  "Failures in a row that make the probe alert, as configured.",
                                  MetricType::Gauge};
constexpr Metric probe_in_maintenance{"livecanary_probe_in_maintenance",
                                      "1 within a configured maintenance window, else 0.", MetricType::Gauge};
constexpr Metric probe_duration{"livecanary_probe_duration_seconds", "How long conclusive runs took.",
                                MetricType::Histogram};
constexpr Metric probe_phase_duration{"livecanary_probe_phase_duration_seconds",
                                      "How long the phases of conclusive runs took.", MetricType::Summary};
constexpr Metric probe_phase_last{"livecanary_probe_phase_last_duration_seconds",
                                  "How long the phase took in the last run; absent if it was not reached.",
                                  MetricType::Gauge};
constexpr Metric probe_last_run{"livecanary_probe_last_run_timestamp_seconds", "When the last run ended.",
                                MetricType::Gauge};
constexpr Metric probe_last_success{"livecanary_probe_last_success_timestamp_seconds",
                                    "When the last run that was ok ended.", MetricType::Gauge};
constexpr Metric probe_interval{"livecanary_probe_interval_seconds", "Time between runs, as configured.",
                                MetricType::Gauge};
constexpr Metric probe_timeout{"livecanary_probe_timeout_seconds", "Limit of one run, as configured.",
                               MetricType::Gauge};
constexpr Metric probe_info{"livecanary_probe_info", "1, with what the configuration says of the probe.",
                            MetricType::Gauge};

constexpr Metric scheduler_lateness{"livecanary_scheduler_lateness_seconds",
                                    "How much later than due runs were started.", MetricType::Histogram};
constexpr Metric event_loop_lag{"livecanary_event_loop_lag_seconds",
                                "How long the probe loop kept a handler that was due waiting.",
                                MetricType::Histogram};
constexpr Metric alerts_by_state{"livecanary_alerts",
                                 "Probes that fail: pending until fail_after failures in a row, then firing.",
                                 MetricType::Gauge};
constexpr Metric notifications_sent{"livecanary_notifications_total",
                                    "Alerts sent to the Alertmanager, each time one was sent.",
                                    MetricType::Counter};
constexpr Metric notifications_failed{"livecanary_notifications_failed_total",
                                      "Alerts sent to the Alertmanager that it did not accept.",
                                      MetricType::Counter};
constexpr Metric notification_queue{"livecanary_notification_queue_length",
                                    "Alerts that wait to be sent, counted for each Alertmanager.",
                                    MetricType::Gauge};
constexpr Metric clock_offset{"livecanary_clock_offset_seconds",
                              "Offset of the system clock as the kernel estimates it.", MetricType::Gauge};
constexpr Metric clock_synchronized{"livecanary_clock_synchronized",
                                    "Whether the kernel considers the system clock synchronized.",
                                    MetricType::Gauge};
constexpr Metric in_flight{"livecanary_runs_in_flight", "Runs under way.", MetricType::Gauge};
constexpr Metric reload_successful{"livecanary_config_last_reload_successful",
                                   "Whether the last configuration read was accepted.", MetricType::Gauge};
constexpr Metric reload_success_time{"livecanary_config_last_reload_success_timestamp_seconds",
                                     "When a configuration was last accepted.", MetricType::Gauge};
constexpr Metric litter_items{"livecanary_litter_items",
                              "Things made at targets that are not known to be removed yet.",
                              MetricType::Gauge};
constexpr Metric litter_oldest{"livecanary_litter_oldest_timestamp_seconds",
                               "When the oldest of them was made; absent if there is none.",
                               MetricType::Gauge};
constexpr Metric state_write_failures{"livecanary_state_write_failures_total",
                                      "Changes of the state that could not be written and stay in memory.",
                                      MetricType::Counter};
constexpr Metric build_info{"livecanary_build_info", "1, with what this binary was built from.",
                            MetricType::Gauge};

constexpr std::array skip_reasons{std::pair(Skip::overlap, std::string_view("overlap")),
                                  std::pair(Skip::admission, std::string_view("admission")),
                                  std::pair(Skip::paused, std::string_view("paused"))};

// The whole of a run, for rates of slow runs. Few, because they count against the limit of series: two below
// the length of a real-time push (5 s of media by default), one just above it, and the usual timeouts.
constexpr std::array duration_bounds{0.25, 1.0, 5.0, 7.5, 10.0, 30.0};

// From what an idle loop shows up to where every run is inconclusive anyway. Once a daemon, so finer.
constexpr std::array lateness_bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                     0.05,   0.1,     0.25,   0.5,   1.0,    2.5,   5.0};

constexpr std::size_t histogram_series(std::size_t bounds) { return bounds + 3; }  // +Inf, _sum, _count

prometheus::Histogram::BucketBoundaries bounds_of(std::span<const double> bounds) {
    return {bounds.begin(), bounds.end()};
}

double seconds(Clock::duration duration) { return Seconds(duration).count(); }

double unix_seconds(WallTime time) { return Seconds(time.time_since_epoch()).count(); }

ClientMetric gauge(double number) {
    ClientMetric metric;
    metric.gauge.value = number;
    return metric;
}

ClientMetric counter(std::uint64_t number) {
    ClientMetric metric;
    metric.counter.value = static_cast<double>(number);
    return metric;
}

ClientMetric summary(std::uint64_t count, double sum) {
    ClientMetric metric;
    metric.summary.sample_count = count;
    metric.summary.sample_sum = sum;
    return metric;
}

void add(Families& into, const Metric& metric, ClientMetric sample, Labels labels) {
    sample.label = std::move(labels);
    into.family(metric.name, metric.help, metric.type).metric.push_back(std::move(sample));
}

MetricType type_of(const Value& value) {
    switch (value.type) {
        case ValueType::gauge:
            return MetricType::Gauge;
        case ValueType::counter:
            return MetricType::Counter;
        case ValueType::histogram:
            return MetricType::Histogram;
        case ValueType::summary:
            return MetricType::Summary;
    }
    return MetricType::Untyped;
}

}  // namespace

prometheus::MetricFamily& Families::family(std::string_view name, std::string_view help, MetricType type) {
    auto at = index_.find(name);
    if (at == index_.end()) {
        at = index_.emplace(name, families_.size()).first;
        families_.push_back({std::string(name), std::string(help), type, {}});
    }
    return families_[at->second];
}

std::vector<prometheus::MetricFamily> Families::take() {
    index_.clear();
    return std::exchange(families_, {});
}

namespace {

/// A histogram for each value of a label is too much to have for what a probe never does, such as playing
/// over a protocol that is not configured.
bool comes_when_observed(const Value& value) noexcept {
    return (value.type == ValueType::histogram && !value.label.empty()) || !value.second_label.empty();
}

/// Closed in the code, or else by the configuration.
std::vector<std::string> label_values_of(const Value& value, const Probe& probe) {
    if (!value.label_values.empty()) return {value.label_values.begin(), value.label_values.end()};
    const auto configured = probe.label_values.find(value.label);
    return configured != probe.label_values.end() ? configured->second : std::vector<std::string>{};
}

}  // namespace

std::size_t most_series(const Kind& kind, const Probe& probe) {
    // success, runs, failures, inconclusive, confirmations, failing, consecutive_failures, alerting,
    // fail_after, in_maintenance, last_run, last_success, interval, timeout, info
    std::size_t series = 15 + skip_reasons.size() + histogram_series(duration_bounds.size());
    series += 3 * kind.phases.size();  // the summary's _sum and _count, and the last duration
    for (const Value& value : kind.values) {
        if (comes_when_observed(value)) continue;
        const std::size_t each = value.type == ValueType::histogram ? histogram_series(value.buckets.size())
                                 : value.type == ValueType::summary ? 2
                                                                    : 1;
        series += each * (value.label.empty() ? 1 : label_values_of(value, probe).size());
    }
    return series;
}

class ProbeMetrics::Impl {
public:
    explicit Impl(const ProbeSettings& settings)
        : interval_(settings.interval),
          timeout_(settings.timeout),
          fail_after_(settings.fail_after),
          maintenance_(settings.maintenance),
          labels_{{"probe", settings.name}, {"kind", std::string(settings.kind->name)}} {
        for (const Phase& phase : settings.kind->phases) phases_.push_back({.name = phase.name});
        for (const Value& value : settings.kind->values) {
            if (value.label.empty()) own_.emplace_back(value, std::string());
            for (const auto& label : label_values_of(value, settings.probe)) {
                if (value.second_label.empty()) own_.emplace_back(value, label);
                for (const std::string_view second : value.second_label_values)
                    own_.emplace_back(value, label, std::string(second));
            }
        }
        const std::size_t taken = most_series(*settings.kind, settings.probe);
        reasons_limit_ = std::max<std::size_t>(4, taken < series_limit ? series_limit - taken : 0);

        // By way of a map, so that no configured label can stand beside one of ours with the same name:
        // a server refuses the whole scrape for that.
        auto info = settings.labels;
        for (const auto& label : labels_) info[label.name] = label.value;
        info["target"] = settings.probe.target;
        info["journey"] = settings.journey;
        info["severity"] = settings.severity;
        for (const auto& [name, value] : info) info_.push_back({name, value});
    }

    void ran(const RunResult& run, const Diagnosis& found, const Standing& standing, bool confirmation,
             Clock::time_point ended) {
        const auto outcome = run.outcome();
        const WallTime wall = run.started + std::chrono::duration_cast<WallTime::duration>(run.duration);
        standing_ = standing;
        last_run_ = wall;
        runs_.Increment();
        if (confirmation) confirmations_.Increment();
        if (outcome == RunOutcome::inconclusive) {
            inconclusive_.Increment();
        } else {
            last_conclusive_ = ended;
            duration_.Observe(seconds(run.duration));
        }
        if (outcome == RunOutcome::ok) {
            last_success_ = wall;
            failing_.reset();
        }
        if (outcome == RunOutcome::failed) {
            failures_.Increment();
            const std::string_view reason = to_string(run.reason());
            count_reason(run.failed_phase(), reason);
            failing_ = Failing{std::string(run.failed_phase()), reason, std::string(found.label())};
        }
        time_phases(run);
        keep_values(run);
    }

    void stands(const Standing& standing) { standing_ = standing; }

    void skipped(Skip why) { skipped_[static_cast<std::size_t>(why)].Increment(); }

    void collect(Families& into, Clock::time_point now, WallTime wall) const {
        collect_outcomes(into, now);
        const bool planned =
            std::ranges::any_of(maintenance_, [&](const auto& w) { return w.contains(wall); });
        add(into, probe_in_maintenance, gauge(planned ? 1 : 0), labels_);
        collect_times(into);
        for (const Own& own : own_) {
            const Metric metric{own.value.metric, own.value.help, type_of(own.value)};
            if (!own.observed && comes_when_observed(own.value)) continue;
            auto labels = labels_;
            if (!own.value.label.empty()) labels.push_back({std::string(own.value.label), own.label_value});
            if (!own.value.second_label.empty())
                labels.push_back({std::string(own.value.second_label), own.second_label_value});
            if (own.value.type == ValueType::counter) add(into, metric, own.sum.Collect(), std::move(labels));
            if (own.value.type == ValueType::summary)
                add(into, metric, summary(own.count, own.total), labels);
            if (own.value.type == ValueType::histogram) add(into, metric, own.all.Collect(), labels);
            if (own.last) add(into, metric, gauge(*own.last), std::move(labels));
        }
        add(into, probe_info, gauge(1), info_);
    }

private:
    struct PhaseSeries {
        std::string_view name;
        std::uint64_t count = 0;       // of conclusive runs
        double sum = 0;                // seconds, of conclusive runs
        std::optional<double> last{};  // seconds
    };

    struct ReasonSeries {
        std::string phase;
        std::string_view reason;
        prometheus::Counter count{};
    };

    struct Failing {
        std::string phase;
        std::string_view reason;
        std::string cause;
    };

    /// One series of the kind's own, or one histogram.
    struct Own {
        Own(const Value& announced, std::string label, std::string second_label = {})
            : value(announced),
              label_value(std::move(label)),
              second_label_value(std::move(second_label)),
              all(bounds_of(announced.buckets)) {}

        const Value& value;
        std::string label_value;
        std::string second_label_value;
        bool observed = false;
        prometheus::Counter sum{};
        std::optional<double> last{};
        prometheus::Histogram all;
        std::uint64_t count = 0;  // of a summary
        double total = 0;
    };

    Labels with(Labels extra) const {
        Labels all = labels_;
        for (auto& label : extra) all.push_back(std::move(label));
        return all;
    }

    /// Newest first; the oldest makes room.
    void count_reason(std::string_view phase, std::string_view reason) {
        const auto at = std::ranges::find_if(
            reasons_, [&](const ReasonSeries& r) { return r.phase == phase && r.reason == reason; });
        if (at != reasons_.end()) {
            reasons_.splice(reasons_.begin(), reasons_, at);
        } else {
            if (reasons_.size() == reasons_limit_) reasons_.pop_back();
            reasons_.emplace_front();
            reasons_.front().phase = phase;
            reasons_.front().reason = reason;
        }
        reasons_.front().count.Increment();
    }

    void time_phases(const RunResult& run) {
        const bool conclusive = run.outcome() != RunOutcome::inconclusive;
        for (PhaseSeries& series : phases_) {
            series.last.reset();
            for (const PhaseTime& phase : run.phases)
                if (phase.phase.name == series.name)
                    series.last = series.last.value_or(0) + seconds(phase.took);
            if (!series.last || !conclusive) continue;
            ++series.count;
            series.sum += *series.last;
        }
    }

    void keep_values(const RunResult& run) {
        for (Own& own : own_) own.last.reset();
        for (const Found& found : run.values) {
            const auto own = std::ranges::find_if(own_, [&](const Own& o) {
                return o.value.metric == found.value.metric && o.label_value == found.label_value &&
                       o.second_label_value == found.second_label_value;
            });
            // One NaN would spoil a sum for good.
            if (own == own_.end() || !std::isfinite(found.number)) continue;
            own->observed = true;
            switch (own->value.type) {
                case ValueType::gauge:
                    own->last = found.number;
                    break;
                case ValueType::counter:
                    own->sum.Increment(found.number);
                    break;
                case ValueType::histogram:
                    own->all.Observe(found.number);
                    break;
                case ValueType::summary:
                    ++own->count;
                    own->total += found.number;
                    break;
            }
        }
    }

    void collect_outcomes(Families& into, Clock::time_point now) const {
        const bool fresh = last_conclusive_ && now - *last_conclusive_ <= 3 * interval_ + timeout_;
        if (standing_.known && fresh) add(into, probe_success, gauge(standing_.ok ? 1 : 0), labels_);
        add(into, probe_runs, runs_.Collect(), labels_);
        add(into, probe_failures, failures_.Collect(), labels_);
        add(into, probe_inconclusive, inconclusive_.Collect(), labels_);
        add(into, probe_confirmations, confirmations_.Collect(), labels_);
        for (const ReasonSeries& r : reasons_)
            add(into, probe_failure_reasons, r.count.Collect(),
                with({{"phase", r.phase}, {"reason", std::string(r.reason)}}));
        if (failing_)
            add(into, probe_failing, gauge(1),
                with({{"phase", failing_->phase},
                      {"reason", std::string(failing_->reason)},
                      {"cause", failing_->cause}}));
        for (const auto& [skip, reason] : skip_reasons)
            add(into, probe_skipped, skipped_[static_cast<std::size_t>(skip)].Collect(),
                with({{"reason", std::string(reason)}}));
        add(into, probe_consecutive_failures, gauge(standing_.consecutive_failures), labels_);
        add(into, probe_alerting, gauge(standing_.alerting ? 1 : 0), labels_);
        add(into, probe_fail_after, gauge(fail_after_), labels_);
    }

    void collect_times(Families& into) const {
        add(into, probe_duration, duration_.Collect(), labels_);
        for (const PhaseSeries& phase : phases_) {
            const auto labels = with({{"phase", std::string(phase.name)}});
            add(into, probe_phase_duration, summary(phase.count, phase.sum), labels);
            if (phase.last) add(into, probe_phase_last, gauge(*phase.last), labels);
        }
        if (last_run_) add(into, probe_last_run, gauge(unix_seconds(*last_run_)), labels_);
        if (last_success_) add(into, probe_last_success, gauge(unix_seconds(*last_success_)), labels_);
        add(into, probe_interval, gauge(seconds(interval_)), labels_);
        add(into, probe_timeout, gauge(seconds(timeout_)), labels_);
    }

    const std::chrono::milliseconds interval_;
    const std::chrono::milliseconds timeout_;
    const int fail_after_;
    const std::vector<config::Window> maintenance_;
    const Labels labels_;
    Labels info_{};

    Standing standing_{};
    std::optional<Clock::time_point> last_conclusive_{};
    std::optional<WallTime> last_run_{};
    std::optional<WallTime> last_success_{};
    std::optional<Failing> failing_{};
    prometheus::Counter runs_{};
    prometheus::Counter failures_{};
    prometheus::Counter inconclusive_{};
    prometheus::Counter confirmations_{};
    std::array<prometheus::Counter, skip_reasons.size()> skipped_{};
    std::size_t reasons_limit_ = 0;
    std::list<ReasonSeries> reasons_{};
    prometheus::Histogram duration_{bounds_of(duration_bounds)};
    std::vector<PhaseSeries> phases_{};
    std::deque<Own> own_{};
};

ProbeMetrics::ProbeMetrics(const ProbeSettings& settings) : impl_(std::make_shared<Impl>(settings)) {}

void ProbeMetrics::ran(const RunResult& run, const Diagnosis& found, const Standing& standing,
                       bool confirmation, Clock::time_point ended) {
    impl_->ran(run, found, standing, confirmation, ended);
}

void ProbeMetrics::stands(const Standing& standing) { impl_->stands(standing); }

void ProbeMetrics::skipped(Skip why) { impl_->skipped(why); }

void ProbeMetrics::collect(Families& into, Clock::time_point now, WallTime wall) const {
    impl_->collect(into, now, wall);
}

class DaemonMetrics::Impl {
public:
    void collect(Families& into) const {
        add(into, scheduler_lateness, lateness.Collect(), {});
        add(into, event_loop_lag, lag.Collect(), {});
        add(into, in_flight, runs.Collect(), {});
        add(into, alerts_by_state, gauge(static_cast<double>(pending)), {{"state", "pending"}});
        add(into, alerts_by_state, gauge(static_cast<double>(firing)), {{"state", "firing"}});
        for (const auto& receiver : notifications.receivers) {
            add(into, notifications_sent, counter(receiver.sent), {{"alertmanager", receiver.alertmanager}});
            add(into, notifications_failed, counter(receiver.failed),
                {{"alertmanager", receiver.alertmanager}});
        }
        add(into, notification_queue, gauge(static_cast<double>(notifications.queue)), {});
        if (offset) add(into, clock_offset, gauge(*offset), {});
        if (synchronized) add(into, clock_synchronized, gauge(*synchronized ? 1 : 0), {});
        if (reload_ok) add(into, reload_successful, gauge(*reload_ok ? 1 : 0), {});
        if (reloaded) add(into, reload_success_time, gauge(unix_seconds(*reloaded)), {});
        for (const auto& [store, litter] : state.litter) {
            add(into, litter_items, gauge(static_cast<double>(litter.items)), {{"store", store}});
            if (litter.items > 0)
                add(into, litter_oldest, gauge(unix_seconds(litter.oldest)), {{"store", store}});
        }
        add(into, state_write_failures, counter(state.write_failures), {});
        add(into, build_info, gauge(1),
            {{"version", std::string(version())},
             {"revision", std::string(revision())},
             {"compiler", std::string(compiler())}});
    }

    prometheus::Histogram lateness{bounds_of(lateness_bounds)};
    prometheus::Histogram lag{bounds_of(lateness_bounds)};
    prometheus::Gauge runs{};
    std::size_t pending = 0;
    std::size_t firing = 0;
    std::optional<double> offset{};  // seconds
    std::optional<bool> synchronized{};
    std::optional<bool> reload_ok{};
    std::optional<WallTime> reloaded{};  // last time it was accepted
    StateFigures state{};
    NotificationFigures notifications{};
};

DaemonMetrics::DaemonMetrics() : impl_(std::make_shared<Impl>()) {}

void DaemonMetrics::start_lateness(Clock::duration late) { impl_->lateness.Observe(seconds(late)); }

void DaemonMetrics::loop_lag(Clock::duration lag) { impl_->lag.Observe(seconds(lag)); }

void DaemonMetrics::reloaded(bool ok, WallTime at) {
    impl_->reload_ok = ok;
    if (ok) impl_->reloaded = at;
}

void DaemonMetrics::runs_in_flight(std::size_t count) { impl_->runs.Set(static_cast<double>(count)); }

void DaemonMetrics::alerts(std::size_t pending, std::size_t firing) {
    impl_->pending = pending;
    impl_->firing = firing;
}

void DaemonMetrics::clock(std::chrono::duration<double> offset, bool synchronized) {
    impl_->offset = offset.count();
    impl_->synchronized = synchronized;
}

void DaemonMetrics::state(StateFigures figures) { impl_->state = std::move(figures); }

void DaemonMetrics::notifications(NotificationFigures figures) { impl_->notifications = std::move(figures); }

void DaemonMetrics::collect(Families& into) const { impl_->collect(into); }

}  // namespace livecanary::daemon
