#include "daemon/drill_healthy_command.hpp"

#include <cmath>
#include <ostream>
#include <stdexcept>

#include <boost/json/serialize.hpp>

#include "daemon/drill_healthy.hpp"
#include "daemon/drill_stage.hpp"
#include "daemon/drill_words.hpp"
#include "probes/core/probe.hpp"

namespace livecanary::daemon {

namespace json = boost::json;

namespace {

using namespace std::chrono_literals;

/// Less than the shortest time between two runs of a probe: half an interval, before a confirmation.
constexpr auto look_every = 250ms;
constexpr auto watchdog_patience =
    30s;  // Prometheus and Alertmanager start, and a rule's alert comes through

bool sees_watchdog(const DrillAlerts& alerts) {
    try {
        return has_watchdog(ask_local(alerts.alertmanager_port(), "GET", "/api/v2/alerts?active=true"));
    } catch (const std::runtime_error&) {
        return false;  // it starts
    }
}

/// Every alert that fired in the last `time`, however short, with each of its labels.
std::string fired_within(std::chrono::duration<double> time) {
    const auto window = std::to_string(static_cast<long>(std::ceil(time.count())) + 60);
    return "/api/v1/query?query=count_over_time(ALERTS%7Balertstate%3D%22firing%22%7D%5B" + window + "s%5D)";
}

HealthyReport watch(DrillStage& stage, std::chrono::seconds duration, DrillProgress& progress) {
    HealthyReport report;
    progress.say("starting the practice stack");
    stage.start_practice(DrillStage::Pace::healthy);
    // First, so that nothing the daemon says is missed.
    stage.start_alerts();
    const DrillAlerts* const alerts = stage.alerts();
    report.alerts_watched = alerts != nullptr;
    if (alerts != nullptr) stage.wait_until(watchdog_patience, [&] { return sees_watchdog(*alerts); });

    const WallTime since = std::chrono::system_clock::now();
    const auto start = Clock::now();
    stage.start_daemon();
    HealthyWatch watch;
    const auto look = [&] {
        if (stage.daemon_is_gone()) throw std::runtime_error("the daemon has ended by itself");
        try {
            watch.observe(stage.results());
        } catch (const std::runtime_error&) {
            // A machine that is busy; at the end it must answer, and have gone on running its probes.
            ++report.unanswered;
        }
        progress.say(minutes_text(start + duration - Clock::now()) + " left: " +
                     std::to_string(watch.runs_seen()) + " runs, " + std::to_string(watch.failures_seen()) +
                     " failed, " + std::to_string(watch.inconclusive_seen()) + " inconclusive");
        return false;
    };
    try {
        stage.wait_until(duration, look, look_every);
    } catch (const DrillInterrupted&) {
        report.interrupted = true;
    }
    const std::chrono::duration<double> took = Clock::now() - start;
    report.seconds = took.count();
    report.probes = watch.counted(stage.ask_daemon("/metrics"));
    report.alerts = alerts_of_incidents(stage.ask_daemon("/api/v1/incidents?limit=200"), since);
    if (alerts != nullptr) {
        report.watchdog_arrived = sees_watchdog(*alerts);
        report.alerts.merge(
            alerts_of_prometheus(ask_local(alerts->prometheus_port(), "GET", fired_within(took))));
    }
    return report;
}

}  // namespace

int drill_healthy(std::ostream& out, std::ostream& err, const DrillCommand& command,
                  std::chrono::seconds duration) {
    HealthyReport report;
    try {
        const DrillFolder work(command.directory);
        DrillStage stage(command.practice, work.get());
        DrillProgress progress(err, command.live);
        report = watch(stage, duration, progress);
    } catch (const std::exception& e) {
        err << "livecanary: " << e.what() << '\n';
        return 1;
    }
    std::vector<std::string_view> kinds;
    for (const Kind* kind : all_kinds()) kinds.push_back(kind->name);
    const auto troubles = report.troubles(kinds);
    if (command.json) {
        for (const HealthyProbe& one : report.probes) out << json::serialize(to_json(one)) << '\n';
        out << json::serialize(to_json(report, troubles)) << '\n';
    } else {
        print_healthy(out, report, troubles);
    }
    return troubles.empty() ? 0 : 1;
}

}  // namespace livecanary::daemon
