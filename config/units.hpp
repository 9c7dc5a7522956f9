#pragma once
// Durations and sizes as people write them.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace livecanary::config {

/// Numbers with units, larger units first, each at most once: "250ms", "5s", "1m30s", "1h", "7d". Empty if
/// the text is none, or is longer than 100 years.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The shortest text that parse_duration() turns back into `duration`, which must not be negative.
std::string format_duration(std::chrono::milliseconds duration);

/// A number with a unit, in bytes: B, kB (or KB), MB, GB are powers of 1000; KiB, MiB, GiB of 1024. Empty if
/// the text is none, or does not fit.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// The shortest text that parse_size() turns back into `bytes`.
std::string format_size(std::uint64_t bytes);

}  // namespace livecanary::config
