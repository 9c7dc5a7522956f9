#pragma once
// What the rooms of a drill share: reading results, and figures for people.
#include <chrono>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

namespace livecanary::daemon {

/// Empty if it is not there, or no text.
std::string text_of(const boost::json::object& object, std::string_view key);
/// With one digit behind the point.
std::string seconds_text(double seconds);
/// "75 s", "12 min".
std::string minutes_text(std::chrono::duration<double> time);

}  // namespace livecanary::daemon
