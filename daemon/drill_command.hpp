#pragma once
// The verb `drill`: breaks each thing of the practice stack in turn, and shows what the daemon names.
#include <iosfwd>
#include <string>
#include <vector>

namespace livecanary::daemon {

struct DrillCommand {
    std::vector<std::string> faults{};  ///< their ids; empty: all
    bool list = false;                  ///< only say what there is
    bool json = false;                  ///< one object a line instead of tables
    bool live = false;                  ///< stderr is a terminal: a line of progress
    std::string practice{};             ///< path of livecanary-practice; empty: looked for beside ourselves
    std::string directory{};            ///< keeps configuration and logs there; empty: nothing is kept
};

/// The exit code: 0 if all was right, else 1; 2 if a fault is not known. Blocks SIGINT, SIGTERM and SIGHUP
/// for the process, and ends by them with everything that was started.
int drill(std::ostream& out, std::ostream& err, const DrillCommand& command);

}  // namespace livecanary::daemon
