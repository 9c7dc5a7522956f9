#pragma once
// From the facts of a failed round trip and its controls to a cause, or to a class with candidates. Pure.
#include "probes/core/diagnosis.hpp"
#include "probes/core/run.hpp"

namespace livecanary::cos_roundtrip {

Diagnosis diagnose(const RunResult& run);

}  // namespace livecanary::cos_roundtrip
