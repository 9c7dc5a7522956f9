#include "daemon/history.hpp"

#include <algorithm>

#include <boost/json/object.hpp>

#include "daemon/result_json.hpp"

namespace livecanary::daemon {

namespace {

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

boost::json::value or_null(std::string_view text) {
    return text.empty() ? boost::json::value(nullptr) : boost::json::value(text);
}

}  // namespace

void History::add(const RunResult& run, std::string_view label) {
    RunSummary summary{.run_id = run.run_id,
                       .started = run.started,
                       .outcome = run.outcome(),
                       .label = std::string(label),
                       .duration = run.duration};
    if (summary.outcome == RunOutcome::failed) {
        summary.phase = run.failed_phase();
        summary.reason = to_string(run.reason());
    }
    for (const auto& phase : run.phases)
        if (phase.ok) summary.phases.emplace_back(phase.phase.name, phase.took);
    if (runs_.size() == most) runs_.pop_front();
    runs_.push_back(std::move(summary));
}

std::vector<std::pair<std::string_view, Clock::duration>> medians(const std::deque<RunSummary>& runs) {
    std::vector<std::string_view> order;
    std::vector<std::vector<Clock::duration>> found;
    for (const auto& run : runs) {
        if (run.outcome != RunOutcome::ok) continue;
        for (const auto& [name, took] : run.phases) {
            const auto at = std::ranges::find(order, name);
            if (at == order.end()) {
                order.push_back(name);
                found.push_back({took});
            } else {
                found[static_cast<std::size_t>(at - order.begin())].push_back(took);
            }
        }
    }
    std::vector<std::pair<std::string_view, Clock::duration>> all;
    for (std::size_t i = 0; i < order.size(); ++i) {
        auto& times = found[i];
        const auto middle = times.begin() + static_cast<std::ptrdiff_t>((times.size() - 1) / 2);
        std::ranges::nth_element(times, middle);
        all.emplace_back(order[i], *middle);
    }
    return all;
}

boost::json::array to_json(const std::deque<RunSummary>& runs) {
    boost::json::array all;
    for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
        boost::json::object phases;
        for (const auto& [name, took] : run->phases) phases[name] = seconds(took);
        all.push_back({{"run_id", run->run_id},
                       {"started", rfc3339(run->started)},
                       {"duration_seconds", seconds(run->duration)},
                       {"outcome", to_string(run->outcome)},
                       {"phase", or_null(run->phase)},
                       {"reason", or_null(run->reason)},
                       {"cause", or_null(run->label)},
                       {"phases", std::move(phases)}});
    }
    return all;
}

}  // namespace livecanary::daemon
