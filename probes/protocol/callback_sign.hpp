#pragma once
// The live callbacks of Tencent Cloud: how an event is signed, and the JSON bodies of those we send.
//
// Sources: "Callback" of CSS, documents 267/32744 and 267/38081 (events 1 and 0), 267/38082 (100), read
// 2026-11-21.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "probes/protocol/key_text.hpp"

namespace livecanary::protocol {

/// How long after it was sent the cloud has an event expire (267/38081).
inline constexpr std::chrono::minutes callback_lifetime{10};
/// An answer that comes later is none for the cloud, which then sends the event again (267/32744).
inline constexpr std::chrono::seconds callback_patience{20};

/// `sign` of an event: 32 lower-case digits, MD5(key + t). `t` as it stands in the body: decimal Unix
/// seconds.
std::string callback_sign(std::string_view key, std::string_view t);
std::string callback_sign(std::string_view key, std::chrono::sys_seconds t);

/// `t` as a time: digits only, up to the year 9999.
std::optional<std::chrono::sys_seconds> parse_callback_time(std::string_view t);

/// What one would have to do to come to an event's `sign`.
struct CallbackMatch {
    KeyFound key = KeyFound::none;
    KeySpace stray_space = KeySpace::none;
    bool capitals = false;  ///< of the digits, which a receiver compares as they are
    bool exact() const noexcept {
        return key != KeyFound::none && stray_space == KeySpace::none && !capitals;
    }
    bool operator==(const CallbackMatch&) const = default;
};

struct CallbackCheck {
    bool has_sign = false;
    bool has_t = false;
    std::optional<std::chrono::sys_seconds> expires{};  ///< `t`; nothing if it is no time
    std::chrono::seconds expired_for{0};                ///< negative: still valid for that long
    CallbackMatch match{};

    bool expired() const noexcept { return expires && expired_for > std::chrono::seconds(0); }
    /// A receiver may take it.
    bool sound() const noexcept { return match.exact() && expires && !expired(); }
};

/// Compares in a time that tells nothing of the right signature. An empty key signs nothing.
CallbackCheck check_callback(std::string_view sign, std::string_view t, std::string_view key,
                             std::string_view backup_key, std::chrono::sys_seconds now);

/// A JSON object with texts and whole numbers, written in the order they were given.
class JsonFields {
public:
    JsonFields& text(std::string_view name, std::string_view value);
    JsonFields& number(std::string_view name, std::int64_t value);
    /// JSON as it stands, such as `true`.
    JsonFields& raw(std::string_view name, std::string_view value);
    /// Bytes that are not UTF-8 stay as they are.
    std::string object() const { return "{" + fields_ + "}"; }

private:
    std::string fields_{};
};

/// What events 1 and 0 have in common with 100.
struct CallbackStream {
    std::int64_t appid = 0;
    std::string app{};       ///< the push domain
    std::string app_name{};  ///< the path of the push URL
    std::string stream_id{};
};

/// A push that started (1) or ended (0).
struct PushEvent {
    bool started = true;
    std::chrono::sys_seconds at{};
    std::string sequence{};                     ///< the same of both
    std::chrono::milliseconds push_duration{};  ///< only of an end
};

/// A recording (100).
struct RecordEvent {
    std::chrono::sys_seconds start{}, end{};
    std::string file_id{};
    std::string file_format{};  ///< FLV, HLS, MP4, AAC
    std::string video_url{};
    std::int64_t file_size = 0;  ///< bytes
    /// In the documents of 2016 and 2017, and in none since; backends of that time want it.
    bool video_id = false;
};

/// `t` and `sign`, which every event has.
struct CallbackStamp {
    std::string t{};
    std::string sign{};
};
CallbackStamp callback_stamp(std::string_view key, std::chrono::sys_seconds t);

// Bodies as the cloud sends them, with all documented fields; `t` is a number, as in its samples.
std::string push_event_body(const CallbackStream& stream, const PushEvent& event, const CallbackStamp& stamp);
std::string record_event_body(const CallbackStream& stream, const RecordEvent& event,
                              const CallbackStamp& stamp);
/// No more than the fields every event has.
std::string bare_event_body(int event_type, std::string_view stream_id, const CallbackStamp& stamp);

}  // namespace livecanary::protocol
