#pragma once
#include "probes/core/diagnosis.hpp"

namespace livecanary::backend_api {

/// Pure: which cause, or which class with candidates, the pattern of a failed run's checks points at.
Diagnosis diagnose(const RunResult& run);

}  // namespace livecanary::backend_api
