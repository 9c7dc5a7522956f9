#pragma once
// `livecanary probe`: runs probes once, now, with the daemon's own code.
#include <ostream>
#include <string>
#include <vector>

#include "daemon/settings.hpp"

namespace livecanary::daemon {

struct ProbeCommand {
    std::vector<std::string> names{};
    bool all = false;
    std::string kind{};
    enum class Output { people, json, nagios } output = Output::people;
    bool live = false;  ///< a line a phase while it happens; only for people on a terminal
    bool colour = false;
    std::string lang{};  ///< empty: the configuration's
};

/// 0 all ok, 1 some failed, 3 none failed and some inconclusive, 2 no such probe, 4 internal. With `nagios`,
/// the plugin codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
int probe_now(std::ostream& out, std::ostream& err, const ProbeCommand& command, const Settings& settings);

}  // namespace livecanary::daemon
