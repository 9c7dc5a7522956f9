#pragma once
#include "probes/core/probe.hpp"

namespace livecanary::mysql {

/// Logs in to a MySQL or MariaDB server, looks at tables, counts the rows that have come since, and says what
/// is wrong if one of these fails.
extern const Kind kind;

}  // namespace livecanary::mysql
