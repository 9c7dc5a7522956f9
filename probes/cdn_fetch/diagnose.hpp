#pragma once
// From the facts of a failed fetch and its controls to a cause, or to a class with candidates. Pure.
#include "probes/core/diagnosis.hpp"
#include "probes/core/run.hpp"

namespace livecanary::cdn_fetch {

Diagnosis diagnose(const RunResult& run);

}  // namespace livecanary::cdn_fetch
