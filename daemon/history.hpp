#pragma once
// The last runs of a probe, in short: for the strip on the status page, the median of each phase, and
// /api/v1/probes/NAME/runs.
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>

#include "probes/core/run.hpp"

namespace livecanary::daemon {

struct RunSummary {
    std::string run_id{};
    WallTime started{};
    RunOutcome outcome = RunOutcome::ok;
    std::string phase{}, reason{};  ///< of a failure
    std::string label{};            ///< cause, else class, else empty
    Clock::duration duration{};
    std::vector<std::pair<std::string_view, Clock::duration>> phases{};  ///< that ended well
};

/// Newest last.
class History {
public:
    static constexpr std::size_t most = 20;

    void add(const RunResult& run, std::string_view label);
    const std::deque<RunSummary>& runs() const noexcept { return runs_; }

private:
    std::deque<RunSummary> runs_{};
};

/// The middle duration of each phase over the runs that were ok, in the order of the phases; of an even
/// number the lower of the two.
std::vector<std::pair<std::string_view, Clock::duration>> medians(const std::deque<RunSummary>& runs);

/// Newest first: {"run_id","started","duration_seconds","outcome","phase","reason","cause","phases":{…}}.
boost::json::array to_json(const std::deque<RunSummary>& runs);

}  // namespace livecanary::daemon
