#pragma once
#include <string>
#include <vector>

#include "probes/mysql/config.hpp"

namespace livecanary::mysql {

/// The statements that give the account just the rights it needs, one a line.
std::vector<std::string> grants(const Config& config);

}  // namespace livecanary::mysql
