#include "daemon/cli_options.hpp"

#include <iostream>

#include "config/units.hpp"

namespace livecanary::daemon {

bool read_duration(const char* option, const std::string& text, std::chrono::seconds& out) {
    if (text.empty()) return true;
    const auto parsed = config::parse_duration(text);
    if (!parsed) {
        std::cerr << "livecanary: " << option << " takes a duration such as 12h\n";
        return false;
    }
    out = std::chrono::duration_cast<std::chrono::seconds>(*parsed);
    return true;
}

}  // namespace livecanary::daemon
