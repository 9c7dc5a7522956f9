#include "daemon/incidents.hpp"

#include <algorithm>

namespace livecanary::daemon {

Incidents::Step Incidents::feed(RunOutcome outcome) noexcept {
    Step step;
    if (outcome == RunOutcome::inconclusive) return step;
    standing_.known = true;
    standing_.ok = outcome == RunOutcome::ok;
    if (standing_.ok) {
        standing_.consecutive_failures = 0;
        if (standing_.alerting && ++successes_ < recover_after_) return step;
        step.ended = incident_;
        incident_ = standing_.alerting = false;
        successes_ = 0;
        return step;
    }
    successes_ = 0;
    step.began = !incident_;
    incident_ = true;
    ++standing_.consecutive_failures;
    if (standing_.consecutive_failures >= fail_after_) standing_.alerting = true;
    step.confirmed = standing_.alerting || standing_.consecutive_failures > 1;
    return step;
}

bool Incidents::alert_stands() noexcept {
    if (standing_.alerting) return true;
    const int successes = standing_.known && standing_.ok ? 1 : 0;
    if (successes >= recover_after_) return false;
    successes_ = successes;
    incident_ = standing_.alerting = true;
    if (successes == 0)
        standing_.consecutive_failures = std::max(standing_.consecutive_failures, fail_after_);
    return true;
}

}  // namespace livecanary::daemon
