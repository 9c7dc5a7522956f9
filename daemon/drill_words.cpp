#include "daemon/drill_words.hpp"

#include <cstdio>

namespace livecanary::daemon {

std::string text_of(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    if (value == nullptr || !value->is_string()) return {};
    return {value->as_string().c_str(), value->as_string().size()};
}

std::string seconds_text(double seconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", seconds);
    return text;
}

std::string minutes_text(std::chrono::duration<double> time) {
    const auto seconds = static_cast<long>(time.count());
    return seconds < 90 ? std::to_string(seconds) + " s" : std::to_string((seconds + 30) / 60) + " min";
}

}  // namespace livecanary::daemon
