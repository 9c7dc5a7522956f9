#pragma once
#include "probes/core/probe.hpp"

namespace livecanary::reference {

/// Probes a loopback server of our own whose delays are known: the difference is the daemon's own timing
/// error.
extern const Kind kind;

}  // namespace livecanary::reference
