#pragma once
// `livecanary check-config`: every mistake of a configuration, then its probes.
#include <ostream>
#include <span>
#include <string>

#include "config/reader.hpp"
#include "daemon/settings.hpp"

namespace livecanary::daemon {

/// Every mistake with its line and a caret below it. Shows no secret, and no value that may be one.
void print_mistakes(std::ostream& out, const Loaded& loaded);

/// Mistakes go to `err`, the summary of the probes to `out`. Returns the exit code: 0, or 1 if there is an
/// error. Tests bring their own `kinds`.
int check_config(std::ostream& out, std::ostream& err, const std::string& path,
                 const config::Surroundings& surroundings, std::span<const Kind* const> kinds = all_kinds());

}  // namespace livecanary::daemon
