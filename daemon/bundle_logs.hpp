#pragma once
// The lines of backend logs that belong to what a bundle is about. Blocking: files only.
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config_facts.hpp"
#include "probes/core/run.hpp"

namespace livecanary::daemon {

/// Which lines are meant.
struct LogWish {
    std::vector<std::string>
        words{};  ///< run ids, streams, objects, request ids: a line that holds one is meant
    std::vector<WallTime> around{};  ///< as is one stamped within a minute of one of these
};

/// Of one file.
struct LogExcerpt {
    std::string probe{};  ///< the log_keywords probe that follows it
    std::string path{};
    std::vector<std::string> lines{};  ///< in their order
    std::string note{};                ///< what was left out, or why there is nothing; empty if all is there
};

// Bounds. Of a file its end is read: what is wrong now stands there.
inline constexpr std::size_t most_log_bytes = 4 * 1024 * 1024;  ///< read of a file
inline constexpr std::size_t most_log_lines = 300;              ///< taken of a file: the last ones
inline constexpr std::size_t most_log_line = 4 * 1024;          ///< bytes of a line
inline constexpr std::size_t most_log_text = 4 * 1024 * 1024;   ///< taken of all files
inline constexpr std::size_t most_log_files = 64;               ///< looked at: those written last

/// Whether a line that begins with, or holds in its first 80 bytes, a time such as `2026-11-28 14:03:07`,
/// `2026-11-28T14:03:07`, `2026/11/28 14:03:07` (nginx), `28-Nov-2026 14:03:07` (PHP) or
/// `28/Nov/2026:14:03:07` is meant. Which time zone it has it does not say: UTC, that of this machine and
/// China's are all tried, since a line too many does no harm.
bool is_stamped_within(std::string_view line, const std::vector<WallTime>& times);

std::vector<LogExcerpt> read_logs(const std::vector<LogPaths>& logs, const LogWish& wish);

}  // namespace livecanary::daemon
