#include "config/window.hpp"

#include <cctz/time_zone.h>

#include <algorithm>
#include <cctype>

namespace livecanary::config {

struct Window::Zone {
    cctz::time_zone rules;
};

namespace {

std::optional<int> two_digits(std::string_view text) {
    if (text.size() != 2 || !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }))
        return std::nullopt;
    return (text[0] - '0') * 10 + (text[1] - '0');
}

/// "HH:MM" as minutes after midnight, 24:00 at most.
std::optional<int> minutes_of(std::string_view text) {
    if (text.size() != 5 || text[2] != ':') return std::nullopt;
    const auto hours = two_digits(text.substr(0, 2));
    const auto minutes = two_digits(text.substr(3));
    if (!hours || !minutes || *minutes > 59) return std::nullopt;
    const int total = *hours * 60 + *minutes;
    return total <= 24 * 60 ? std::optional(total) : std::nullopt;
}

std::optional<cctz::time_zone> zone_of(std::string_view name) {
    if (name.empty() || name == "UTC") return cctz::utc_time_zone();
    if (name.front() == '+' || name.front() == '-') {
        const auto offset = minutes_of(name.substr(1));
        if (!offset || *offset > 14 * 60) return std::nullopt;  // the farthest zone there is: +14:00
        const std::chrono::minutes east(name.front() == '+' ? *offset : -*offset);
        return cctz::fixed_time_zone(east);
    }
    // The name becomes a path below the zone directory; keep it there.
    const auto allowed = [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '+' || c == '/';
    };
    if (name.front() == '/' || !std::ranges::all_of(name, allowed)) return std::nullopt;
    cctz::time_zone zone;
    if (!cctz::load_time_zone(std::string(name), &zone)) return std::nullopt;
    return zone;
}

}  // namespace

std::optional<Window> Window::parse(std::string_view text) {
    const std::size_t blank = text.find(' ');
    const std::string_view hours = text.substr(0, blank);
    if (hours.size() != 11 || hours[5] != '-') return std::nullopt;
    const auto start = minutes_of(hours.substr(0, 5));
    const auto end = minutes_of(hours.substr(6));
    if (!start || !end || *start == 24 * 60 || *start == *end) return std::nullopt;
    if (blank != std::string_view::npos && blank + 1 == text.size()) return std::nullopt;
    const auto zone = zone_of(blank == std::string_view::npos ? "" : text.substr(blank + 1));
    if (!zone) return std::nullopt;

    Window window;
    window.start_ = *start;
    window.end_ = *end;
    window.zone_ = std::make_shared<const Zone>(Zone{*zone});
    return window;
}

bool Window::contains(std::chrono::system_clock::time_point time) const {
    const auto local = cctz::convert(time, zone_->rules);
    const int minute = local.hour() * 60 + local.minute();
    if (start_ < end_) return start_ <= minute && minute < end_;
    return start_ <= minute || minute < end_;
}

}  // namespace livecanary::config
