#pragma once
// The query of a request, taken apart.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace livecanary::daemon {

/// Bytes of a value that are looked at.
constexpr std::size_t longest_query_value = 100;

/// Names and decoded values in their order. What is no valid coding stays as it is.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

/// A number from 1, without anything behind it.
std::optional<std::size_t> parse_count(std::string_view text);

}  // namespace livecanary::daemon
