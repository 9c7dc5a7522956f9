#pragma once
// From the hop that broke and what was seen there to a cause, or to a class with candidates. Pure.
#include "probes/core/diagnosis.hpp"
#include "probes/core/run.hpp"

namespace livecanary::journey {

Diagnosis diagnose(const RunResult& run);

}  // namespace livecanary::journey
