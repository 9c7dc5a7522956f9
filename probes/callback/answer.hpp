#pragma once
// The JSON of both sides, read with mercy: what a backend answers, and the events of the cloud.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace livecanary::callback {

/// What a backend's body says.
struct Said {
    bool json = false;                   ///< an object was found
    bool php_text = false;               ///< PHP's own messages stand where the JSON should begin
    std::optional<std::int64_t> code{};  ///< `code` if it is a whole number, or a text of one
    std::string code_text{};             ///< `code` as it stands, for people; empty if there is none
};

/// Skips what PHP prints before the JSON. At most 64 KiB and a depth of 32 are looked at.
Said read_answer(std::string_view body);

/// For people: a line, without what a stack trace of PHP would tell of passwords.
std::string shown(std::string_view body);

/// An event as it came. Texts are cut at 1 KiB.
struct Event {
    std::int64_t type = -1;
    std::string t{};  ///< its digits, also where it came as a number
    std::string sign{};
    std::string stream_id{};
    std::string app{};  ///< the push domain; empty if it has none
    std::string app_name{};
    std::string sequence{};
    std::string file_id{}, video_url{}, file_format{};
    bool has_video_id = false;
    /// All else that the reference backend wants of event 100.
    bool has_recording = false;
    std::optional<std::int64_t> start_time{}, end_time{};

    std::optional<std::int64_t> duration() const {
        if (!start_time || !end_time) return std::nullopt;
        return *end_time - *start_time;
    }
};

/// Numbers may come as texts of digits. Nothing unless it is a JSON object with `event_type`.
/// `t`, `sign` and `stream_id` may still be empty.
std::optional<Event> read_event(std::string_view body);

}  // namespace livecanary::callback
