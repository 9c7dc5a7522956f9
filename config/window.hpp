#pragma once
// A daily window of wall-clock time in a named zone: "02:00-04:00 Asia/Shanghai".
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace livecanary::config {

/// Minutes of the day in a zone, the start included, the end not. An end before the start passes midnight;
/// "24:00" is the end of the day. Hours that a change of clocks skips or repeats are skipped or repeated.
class Window {
public:
    /// "HH:MM-HH:MM [zone]": an IANA zone name, "UTC" or "+08:00"; UTC if left out. Empty if it is none.
    static std::optional<Window> parse(std::string_view text);

    bool contains(std::chrono::system_clock::time_point time) const;

private:
    struct Zone;
    Window() = default;
    int start_ = 0;  // minutes after midnight
    int end_ = 0;    // minutes after midnight, up to 1440
    std::shared_ptr<const Zone> zone_{};
};

}  // namespace livecanary::config
