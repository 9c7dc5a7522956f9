#pragma once
#include "probes/core/probe.hpp"

namespace livecanary::journey {

/// Follows one replay from the push to the player, hop by hop, and says which hop broke first.
extern const Kind kind;

}  // namespace livecanary::journey
