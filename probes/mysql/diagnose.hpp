#pragma once
#include "probes/core/diagnosis.hpp"

namespace livecanary::mysql {

/// What is wrong, of a failed run with its controls. Pure.
Diagnosis diagnose(const RunResult& run);

}  // namespace livecanary::mysql
