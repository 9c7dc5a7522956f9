#pragma once
#include "probes/core/probe.hpp"

namespace livecanary::cdn_fetch {

/// Fetches an object through the CDN, from one of its addresses or from each, compares it with the origin's,
/// and says what is wrong if it does not come, is not the same, or is not cached.
extern const Kind kind;

}  // namespace livecanary::cdn_fetch
