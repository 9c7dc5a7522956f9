#pragma once
// The daemon: start, reload, drain, stop. The one owner of lifetimes.
#include <string>
#include <vector>

#include "daemon/settings.hpp"

namespace livecanary::daemon {

struct AppOptions {
    std::string config_file{};
    std::vector<std::string> listen{};  ///< of the command line; empty: the configuration's
    bool lifecycle = false;
    std::string external_url{};  ///< where people reach our pages; empty: the first address we listen on
};

/// Runs until SIGTERM or SIGINT; SIGHUP reloads. `settings`: of the configuration file, without mistakes.
/// The exit code: 0 after a clean stop, 1 if it could not start.
int run_daemon(AppOptions options, Settings settings);

}  // namespace livecanary::daemon
