#pragma once
#include "probes/core/probe.hpp"

namespace livecanary::cos_roundtrip {

/// Uploads an object of its own to a COS bucket, reads it back bit by bit, deletes it, and says which
/// parameter is wrong if one of these fails.
extern const Kind kind;

}  // namespace livecanary::cos_roundtrip
