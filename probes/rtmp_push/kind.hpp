#pragma once
#include "probes/core/probe.hpp"

namespace livecanary::rtmp_push {

/// Pushes a short test stream over RTMP or RTMPS, as a live app does, and says which item is wrong if it is
/// not taken.
extern const Kind kind;

}  // namespace livecanary::rtmp_push
