#pragma once
// From the facts of a failed push and its controls to a cause, or to a class with candidates. Pure.
#include "probes/core/diagnosis.hpp"
#include "probes/core/run.hpp"

namespace livecanary::rtmp_push {

Diagnosis diagnose(const RunResult& run);

}  // namespace livecanary::rtmp_push
