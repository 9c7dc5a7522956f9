#pragma once
// What the options of several verbs have in common.
#include <chrono>
#include <string>

namespace livecanary::daemon {

/// Of the verbs' exit codes: the command line is wrong.
inline constexpr int usage_error = 2;

/// A duration of the command line into `out`, which stays if `text` is empty: the option was not given.
/// False, and words to stderr, if it is not one.
bool read_duration(const char* option, const std::string& text, std::chrono::seconds& out);

}  // namespace livecanary::daemon
