#pragma once
#include "probes/core/probe.hpp"

namespace livecanary::log_keywords {

/// Follows log files and counts the lines that point at a cause; fails for those it is told to fail for.
extern const Kind kind;

}  // namespace livecanary::log_keywords
