#include "daemon/version.hpp"

// Both are defined for this file alone, so that a new commit recompiles one file.
#ifndef LIVECANARY_VERSION
#define LIVECANARY_VERSION "unknown"
#endif
#ifndef LIVECANARY_REVISION
#define LIVECANARY_REVISION "unknown"
#endif

namespace livecanary::daemon {

std::string_view version() noexcept { return LIVECANARY_VERSION; }

std::string_view revision() noexcept { return LIVECANARY_REVISION; }

std::string_view compiler() noexcept {
#ifdef __clang__
    return __VERSION__;  // names itself: "Debian Clang 14.0.6"
#else
    return "GCC " __VERSION__;
#endif
}

}  // namespace livecanary::daemon
