#include "config/units.hpp"

#include <array>
#include <charconv>
#include <limits>

namespace livecanary::config {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t count;
};

// Larger first: the order in which they may follow each other.
constexpr std::array durations{Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000},
                               Unit{"s", 1000}, Unit{"ms", 1}};
constexpr std::uint64_t longest_ms = 100 * 366 * durations[0].count;

// Larger first, so that the first that divides a number is its shortest text.
constexpr std::array sizes{
    Unit{"GiB", 1ULL << 30}, Unit{"GB", 1'000'000'000}, Unit{"MiB", 1ULL << 20}, Unit{"MB", 1'000'000},
    Unit{"KiB", 1ULL << 10}, Unit{"kB", 1000},          Unit{"KB", 1000},        Unit{"B", 1}};

/// Takes the digits off the front of `text`; empty if there are none, or too many.
std::optional<std::uint64_t> take_number(std::string_view& text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    if (text.empty()) return std::nullopt;
    std::uint64_t total = 0;
    auto unit = durations.begin();
    while (!text.empty()) {
        const auto number = take_number(text);
        if (!number) return std::nullopt;
        const std::string_view name = text.substr(0, text.find_first_of("0123456789"));
        while (unit != durations.end() && unit->name != name) ++unit;
        if (unit == durations.end() || *number > longest_ms / unit->count) return std::nullopt;
        total += *number * unit->count;
        if (total > longest_ms) return std::nullopt;
        text.remove_prefix(name.size());
        ++unit;
    }
    return std::chrono::milliseconds(static_cast<std::int64_t>(total));
}

std::string format_duration(std::chrono::milliseconds duration) {
    auto rest = static_cast<std::uint64_t>(duration.count());
    std::string text;
    for (const Unit& unit : durations) {
        if (rest >= unit.count) text.append(std::to_string(rest / unit.count)).append(unit.name);
        rest %= unit.count;
    }
    return text.empty() ? "0s" : text;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    for (const Unit& unit : sizes) {
        if (unit.name != text) continue;
        if (*number > std::numeric_limits<std::uint64_t>::max() / unit.count) return std::nullopt;
        return *number * unit.count;
    }
    return std::nullopt;
}

std::string format_size(std::uint64_t bytes) {
    for (const Unit& unit : sizes)
        if (bytes != 0 && bytes % unit.count == 0)
            return std::to_string(bytes / unit.count).append(unit.name);
    return "0B";
}

}  // namespace livecanary::config
