#pragma once
// "Did you mean …?"
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace livecanary::config {

/// The candidate that few edits (at most two; one in words of three, none in shorter ones) turn into `word`;
/// the first of equals.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

/// "expected one of 'a', 'b', found 'x'; did you mean 'a'?"
std::string none_of(std::string_view found, std::span<const std::string_view> allowed);

}  // namespace livecanary::config
