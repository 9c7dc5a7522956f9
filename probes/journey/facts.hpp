#pragma once
// Reading what the asked probes answer.
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "probes/core/peers.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::journey {

/// Empty if it is not there.
inline std::string fact(const Facts& facts, std::string_view name) {
    const auto at = facts.find(name);
    return at != facts.end() ? protocol::printable(at->second) : std::string();
}

/// Of the whole text.
inline std::optional<std::int64_t> number_of(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

}  // namespace livecanary::journey
