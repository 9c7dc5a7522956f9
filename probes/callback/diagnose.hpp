#pragma once
#include "probes/core/diagnosis.hpp"

namespace livecanary::callback {

/// Pure. What each rule rests on stands beside it.
Diagnosis diagnose(const RunResult& run);

}  // namespace livecanary::callback
