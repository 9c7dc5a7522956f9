#pragma once
// Probe kind `backend_api`: asks the business backend's API what tells which of its parts is broken, cheapest
// first.
#include "probes/core/probe.hpp"

namespace livecanary::backend_api {

extern const Kind kind;

}  // namespace livecanary::backend_api
