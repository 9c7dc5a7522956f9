#pragma once
#include "probes/core/diagnosis.hpp"
#include "probes/core/error_table.hpp"

namespace livecanary::log_keywords {

enum class LogError {
    keyword = 1,  ///< a line was written that the probe is to fail for
    no_file,      ///< no file of these paths is there
    forbidden,    ///< files or directories may not be read by us
    unreadable,   ///< they cannot be read for another reason
    slow,         ///< the disk has not answered in time
};
error_code make_error_code(LogError error) noexcept;

/// Names of evidence that the rules read.
namespace seen {
/// Labels the run fails for, those found most often first, with spaces between.
inline constexpr std::string_view failing = "failing";
/// Causes the first of them may be, likewise; nothing if it says it.
inline constexpr std::string_view among = "among";
/// Its last line, redacted, with the file.
inline constexpr std::string_view failing_line = "failing_line";
inline constexpr std::string_view words = "keyword";
}  // namespace seen

Diagnosis diagnose(const RunResult& run);

}  // namespace livecanary::log_keywords

template <>
struct boost::system::is_error_code_enum<livecanary::log_keywords::LogError> : std::true_type {};
