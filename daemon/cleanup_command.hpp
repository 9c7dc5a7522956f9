#pragma once
// `livecanary cleanup`: what stands in the ledger, and the removal of what is left over.
#include <functional>
#include <ostream>
#include <string>

#include "daemon/owner.hpp"
#include "daemon/settings.hpp"

namespace livecanary::daemon {

struct CleanupCommand {
    bool dry_run = false;
    std::function<OwnerState(std::string_view)> look = look_at;
};

/// 0 if nothing is left over (what a living process has in hand is not), or nothing was to be removed; 1 if
/// something could not be removed or the ledger could not be read.
int cleanup(std::ostream& out, std::ostream& err, const CleanupCommand& command, const Settings& settings);

}  // namespace livecanary::daemon
