#pragma once
#include "probes/core/probe.hpp"

namespace livecanary::callback {

/// Sends the business backend the events the cloud would send, and is a callback URL of the cloud itself:
/// says whether events would be taken, and whether they come.
extern const Kind kind;

}  // namespace livecanary::callback
