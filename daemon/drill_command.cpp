#include "daemon/drill_command.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <ostream>
#include <stdexcept>

#include <boost/json/serialize.hpp>

#include "daemon/drill.hpp"
#include "daemon/drill_alerts.hpp"
#include "daemon/drill_stage.hpp"
#include "daemon/drill_words.hpp"

namespace livecanary::daemon {

namespace json = boost::json;

namespace {

using namespace std::chrono_literals;

constexpr auto named_patience = 45s;  // far more than interval, confirmation and timeout of its probes
constexpr auto alert_patience = 20s;  // of a scrape, a rule and a delivery a second each

WallTime now() { return std::chrono::system_clock::now(); }

/// Whether Alertmanager has an alert of what one of them has rightly named.
bool is_alerted(const DrillAlerts& alerts, const std::vector<DrillRow::Named>& named) {
    std::string said;
    try {
        said = ask_local(alerts.alertmanager_port(), "GET", "/api/v2/alerts?active=true");
    } catch (const std::runtime_error&) {
        return false;  // it starts
    }
    return std::ranges::any_of(named, [&](const DrillRow::Named& one) {
        return one.right && has_alert(said, one.probe, one.label);
    });
}

DrillRow drill_one(DrillStage& stage, const DrillFault& fault) {
    stage.break_it(fault.id);
    const WallTime broken = now();
    DrillWatch watch(fault, broken);
    // Others are waited for too, so that a wrong cause is seen wherever it is claimed.
    stage.wait_until(named_patience, [&] {
        watch.observe(stage.results(), now());
        return watch.named() && watch.all_have_run();
    });
    DrillRow row = watch.row();
    if (const auto* alerts = stage.alerts(); alerts != nullptr && row.is_named()) {
        row.alert_watched = true;
        // What is named may still change from a class to its cause.
        const auto alerted = [&] {
            watch.observe(stage.results(), now());
            return is_alerted(*alerts, watch.row().named);
        };
        if (stage.wait_until(alert_patience, alerted))
            row.alert_seconds = std::chrono::duration<double>(now() - broken).count();
    }
    stage.heal_it(fault.id);
    const WallTime healed = now();
    if (fault.fresh_start) stage.start_daemon();
    std::string unwell = stage.wait_until_well(healed);
    row.recovered_seconds = std::chrono::duration<double>(now() - healed).count();
    if (fault.settle > 0s) {
        stage.wait_until(fault.settle, [] { return false; });
        unwell = stage.wait_until_well(now());
    }
    if (!unwell.empty()) row.trouble = "not well again: " + unwell;
    return row;
}

std::vector<DrillFault> chosen(std::vector<DrillFault> all, const std::vector<std::string>& ids,
                               std::string& unknown) {
    for (const auto& id : ids)
        if (std::ranges::find(all, id, &DrillFault::id) == all.end()) unknown = id;
    if (!ids.empty())
        std::erase_if(all, [&](const DrillFault& f) { return std::ranges::find(ids, f.id) == ids.end(); });
    return all;
}

}  // namespace

int drill(std::ostream& out, std::ostream& err, const DrillCommand& command) {
    std::vector<DrillRow> rows;
    try {
        const DrillFolder work(command.directory);
        DrillStage stage(command.practice, work.get());
        std::string unknown;
        const auto faults = chosen(stage.list(), command.faults, unknown);
        if (!unknown.empty()) {
            err << "livecanary: there is no fault '" << unknown << "': --list names them\n";
            return 2;
        }
        if (command.list) {
            for (const DrillFault& fault : faults)
                out << fault.id << '\t' << fault.cause << (fault.seed ? " *" : "") << '\t' << fault.breaks
                    << '\n';
            return 0;
        }
        DrillProgress progress(err, command.live);
        progress.say("starting the practice stack");
        stage.start_practice(DrillStage::Pace::faults);
        const WallTime began = now();
        stage.start_daemon();
        stage.start_alerts();
        progress.say("waiting until every probe is well");
        if (const auto unwell = stage.wait_until_well(began); !unwell.empty())
            throw std::runtime_error("before anything was broken: " + unwell);
        const auto start = std::chrono::steady_clock::now();
        for (const DrillFault& fault : faults) {
            std::string left;
            if (const std::chrono::duration<double> used = std::chrono::steady_clock::now() - start;
                !rows.empty())
                left = ", " +
                       minutes_text(used / rows.size() * static_cast<double>(faults.size() - rows.size())) +
                       " left";
            progress.say(std::to_string(rows.size() + 1) + " of " + std::to_string(faults.size()) + left +
                         ": " + fault.id);
            rows.push_back(drill_one(stage, fault));
            if (command.json) out << json::serialize(to_json(rows.back())) << std::endl;
            if (!rows.back().trouble.empty()) stage.start_daemon();
        }
    } catch (const DrillInterrupted&) {
        err << "livecanary: interrupted\n";
        if (!command.json) print_rows(out, rows);
        return 1;
    } catch (const std::exception& e) {
        err << "livecanary: " << e.what() << '\n';
        if (!command.json && !rows.empty()) print_rows(out, rows);
        return 1;
    }
    if (!command.json) print_rows(out, rows);
    return std::ranges::all_of(rows, &DrillRow::right) ? 0 : 1;
}

}  // namespace livecanary::daemon
