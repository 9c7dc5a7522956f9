#pragma once
// `livecanary drill --healthy`: the practice stack whole and well, every probe as often as it can, and what
// is nevertheless said against it.
#include <chrono>
#include <iosfwd>

#include "daemon/drill_command.hpp"

namespace livecanary::daemon {

/// Runs for `duration`, with `json`, `live`, `practice` and `directory` of `command`. 0 if no run failed and
/// no alert was raised (HealthyReport::troubles), else 1. Signals are as with drill().
int drill_healthy(std::ostream& out, std::ostream& err, const DrillCommand& command,
                  std::chrono::seconds duration);

}  // namespace livecanary::daemon
