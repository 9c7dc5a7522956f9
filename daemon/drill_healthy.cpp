#include "daemon/drill_healthy.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <ostream>
#include <stdexcept>
#include <utility>

#include <boost/json/parse.hpp>

#include "daemon/drill_words.hpp"
#include "daemon/result_json.hpp"

namespace livecanary::daemon {

namespace json = boost::json;

namespace {

constexpr std::string_view watchdog = "LivecanaryWatchdog";
/// Texts with numbers in them differ each time.
constexpr std::size_t most_texts = 20;

/// "failed in publish: closed, push_refused", or "inconclusive: the anchors fail too".
std::string words_of(const json::object& result) {
    std::string words = text_of(result, "outcome");
    if (const auto phase = text_of(result, "phase"); !phase.empty()) words += " in " + phase;
    std::string separator = ": ";
    for (const char* key : {"reason", "cause", "class", "inconclusive"})
        if (const auto text = text_of(result, key); !text.empty()) {
            words += separator + text;
            separator = ", ";
        }
    return words;
}

/// The value of a label in a line of metrics; empty if it has none. Names of probes and kinds hold nothing
/// that is escaped.
std::string_view label_of(std::string_view line, std::string_view label) {
    const std::string key = std::string(label) + "=\"";
    const auto at = line.find(key);
    if (at == line.npos) return {};
    line.remove_prefix(at + key.size());
    return line.substr(0, line.find('"'));
}

void each_series(std::string_view metrics, std::string_view name,
                 const std::function<void(std::string_view line, std::uint64_t value)>& take) {
    while (!metrics.empty()) {
        const auto end = std::min(metrics.find('\n'), metrics.size());
        const auto line = metrics.substr(0, end);
        metrics.remove_prefix(std::min(end + 1, metrics.size()));
        if (!line.starts_with(name) || line.substr(name.size(), 1) != "{") continue;
        const auto number = line.substr(line.rfind(' ') + 1);
        double value = 0;
        std::from_chars(number.data(), number.data() + number.size(), value);
        take(line, static_cast<std::uint64_t>(value));
    }
}

std::string about(const HealthyAlert& alert) {
    std::string words = "alert of " + alert.by;
    if (!alert.name.empty()) words += ' ' + alert.name;
    if (!alert.probe.empty()) words += " about " + alert.probe;
    return alert.words.empty() ? words : words + ": " + alert.words;
}

}  // namespace

std::uint64_t HealthyProbe::inconclusive_allowed() const { return std::max<std::uint64_t>(3, runs / 100); }

std::vector<std::string> HealthyReport::troubles(const std::vector<std::string_view>& kinds) const {
    std::vector<std::string> found;
    const auto of_runs = [](std::uint64_t count, const HealthyProbe& one) {
        return std::to_string(count) + " of " + std::to_string(one.runs) + " runs";
    };
    if (interrupted) found.emplace_back("it was interrupted");
    for (const auto kind : kinds)
        if (std::ranges::find(probes, kind, &HealthyProbe::kind) == probes.end())
            found.push_back("no probe of the kind " + std::string(kind));
    for (const HealthyProbe& one : probes) {
        if (one.failed > 0) found.push_back(one.probe + " failed in " + of_runs(one.failed, one));
        if (one.ok() == 0)
            found.push_back(one.probe + " was ok in none of " + std::to_string(one.runs) + " runs");
        else if (!one.known)
            found.push_back(one.probe + " had not been conclusive for long at the end");
        if (one.inconclusive > one.inconclusive_allowed())
            found.push_back(one.probe + " was inconclusive in " + of_runs(one.inconclusive, one) +
                            ", more than " + std::to_string(one.inconclusive_allowed()));
    }
    for (const HealthyAlert& alert : alerts)
        if (!alert.probe.empty()) found.push_back(about(alert));
    if (alerts_watched && !watchdog_arrived)
        found.emplace_back("not even the watchdog's alert came to Alertmanager");
    return found;
}

void HealthyWatch::observe(const json::array& results) {
    for (const auto& value : results) {
        const json::object& result = value.as_object();
        const std::string run = text_of(result, "run_id"), probe = text_of(result, "probe");
        if (run.empty() || std::exchange(last_run_[probe], run) == run) continue;
        ++runs_seen_;
        HealthyProbe& seen = seen_[probe];
        seen.slowest = std::max(seen.slowest, result.at("duration_seconds").to_number<double>());
        const std::string outcome = text_of(result, "outcome");
        if (outcome == "ok") {
            for (const auto& phase : result.at("phases").as_array())
                seen.phases.insert(text_of(phase.as_object(), "name"));
            continue;
        }
        ++(outcome == "failed" ? failures_seen_ : inconclusive_seen_);
        const std::string words = words_of(result);
        const bool full = seen.said.size() >= most_texts && !seen.said.contains(words);
        ++seen.said[full ? "other" : words];
    }
}

std::vector<HealthyProbe> HealthyWatch::counted(std::string_view metrics) const {
    std::vector<HealthyProbe> probes;
    each_series(metrics, "livecanary_probe_runs_total", [&](std::string_view line, std::uint64_t value) {
        const std::string name(label_of(line, "probe"));
        const auto seen = seen_.find(name);
        HealthyProbe& one = probes.emplace_back(seen == seen_.end() ? HealthyProbe{} : seen->second);
        one.probe = name;
        one.kind = label_of(line, "kind");
        one.runs = value;
    });
    if (probes.empty()) throw std::runtime_error("the daemon's metrics tell of no run");
    const auto add = [&](std::string_view name, std::uint64_t HealthyProbe::*count) {
        each_series(metrics, name, [&](std::string_view line, std::uint64_t value) {
            const auto one = std::ranges::find(probes, label_of(line, "probe"), &HealthyProbe::probe);
            if (one != probes.end()) (*one).*count += value;
        });
    };
    each_series(metrics, "livecanary_probe_success", [&](std::string_view line, std::uint64_t) {
        const auto one = std::ranges::find(probes, label_of(line, "probe"), &HealthyProbe::probe);
        if (one != probes.end()) one->known = true;
    });
    add("livecanary_probe_failures_total", &HealthyProbe::failed);
    add("livecanary_probe_inconclusive_total", &HealthyProbe::inconclusive);
    add("livecanary_probe_skipped_total", &HealthyProbe::skipped);
    return probes;
}

std::set<HealthyAlert> alerts_of_incidents(std::string_view body, WallTime since) {
    std::set<HealthyAlert> alerts;
    const json::value parsed = json::parse(body);
    const std::string from = rfc3339(since);
    for (const auto& value : parsed.as_object().at("data").as_object().at("incidents").as_array()) {
        const json::object& incident = value.as_object();
        // Both are RFC 3339 in UTC with milliseconds: their order is that of the texts.
        if (text_of(incident, "alerted").empty() || text_of(incident, "opened") < from) continue;
        alerts.insert({.by = "livecanary",
                       .probe = text_of(incident, "probe"),
                       .words = text_of(incident, "sentence")});
    }
    return alerts;
}

std::set<HealthyAlert> alerts_of_prometheus(std::string_view body) {
    std::set<HealthyAlert> alerts;
    const json::value parsed = json::parse(body);
    for (const auto& value : parsed.as_object().at("data").as_object().at("result").as_array()) {
        const json::object& labels = value.as_object().at("metric").as_object();
        HealthyAlert alert{
            .by = "Prometheus", .name = text_of(labels, "alertname"), .probe = text_of(labels, "probe")};
        if (alert.name != watchdog) alerts.insert(std::move(alert));
    }
    return alerts;
}

bool has_watchdog(std::string_view body) {
    boost::system::error_code error;
    const json::value alerts = json::parse(body, error);
    if (error || !alerts.is_array()) return false;
    return std::ranges::any_of(alerts.get_array(), [](const json::value& value) {
        const auto* const alert = value.if_object();
        const auto* const labels = alert == nullptr ? nullptr : alert->if_contains("labels");
        return labels != nullptr && labels->is_object() &&
               text_of(labels->get_object(), "alertname") == watchdog;
    });
}

void print_healthy(std::ostream& out, const HealthyReport& report, const std::vector<std::string>& troubles) {
    out << "| probe | kind | runs | ok | failed | inconclusive | not started | slowest |\n"
           "|---|---|---|---|---|---|---|---|\n";
    std::set<std::string> kinds;
    std::uint64_t runs = 0, failed = 0, inconclusive = 0;
    for (const HealthyProbe& one : report.probes) {
        out << "| " << one.probe << " | " << one.kind << " | " << one.runs << " | " << one.ok() << " | "
            << one.failed << " | " << one.inconclusive << " | " << one.skipped << " | "
            << seconds_text(one.slowest) << " s |\n";
        kinds.insert(one.kind);
        runs += one.runs;
        failed += one.failed;
        inconclusive += one.inconclusive;
    }
    if (std::ranges::any_of(report.probes, [](const HealthyProbe& one) { return !one.said.empty(); })) {
        out << "\n| probe | what runs that were not ok said | seen |\n|---|---|---|\n";
        for (const HealthyProbe& one : report.probes)
            for (const auto& [words, count] : one.said)
                out << "| " << one.probe << " | " << words << " | " << count << " |\n";
    }
    out << '\n'
        << runs << " runs of " << report.probes.size() << " probes of " << kinds.size() << " kinds in "
        << minutes_text(std::chrono::duration<double>(report.seconds)) << ": " << failed << " failed, "
        << inconclusive << " inconclusive; " << report.alerts.size() << " alerts"
        << (report.alerts_watched ? "" : ", without Prometheus beside it") << '\n';
    if (report.unanswered > 0)
        out << "The daemon did not say what it knows " << report.unanswered << " times\n";
    for (const HealthyAlert& alert : report.alerts)
        out << "- " << about(alert) << (alert.probe.empty() ? " (about the daemon's host)" : "") << '\n';
    out << (troubles.empty() ? "\nAs it must be\n" : "\nNOT as it must be:\n");
    for (const auto& trouble : troubles) out << "- " << trouble << '\n';
}

json::object to_json(const HealthyProbe& probe) {
    json::object said;
    for (const auto& [words, count] : probe.said) said[words] = count;
    return {{"probe", probe.probe},
            {"kind", probe.kind},
            {"runs", probe.runs},
            {"ok", probe.ok()},
            {"failed", probe.failed},
            {"inconclusive", probe.inconclusive},
            {"inconclusive_allowed", probe.inconclusive_allowed()},
            {"skipped", probe.skipped},
            {"slowest_seconds", probe.slowest},
            {"phases", json::array(probe.phases.begin(), probe.phases.end())},
            {"said", std::move(said)}};
}

json::object to_json(const HealthyReport& report, const std::vector<std::string>& troubles) {
    json::array alerts;
    for (const HealthyAlert& alert : report.alerts)
        alerts.push_back(json::object{
            {"by", alert.by}, {"name", alert.name}, {"probe", alert.probe}, {"words", alert.words}});
    return {{"healthy", troubles.empty()},
            {"seconds", report.seconds},
            {"unanswered", report.unanswered},
            {"alerts_watched", report.alerts_watched},
            {"watchdog_arrived", report.watchdog_arrived},
            {"alerts", std::move(alerts)},
            {"troubles", json::array(troubles.begin(), troubles.end())}};
}

}  // namespace livecanary::daemon
