#include "probes/protocol/callback_sign.hpp"

#include <algorithm>
#include <charconv>

#include "probes/protocol/ascii.hpp"
#include "probes/protocol/digest.hpp"

namespace livecanary::protocol {
namespace {

/// 9999-12-31T23:59:59Z.
constexpr std::int64_t last_second = 253'402'300'799;
/// Of a sign, in digits.
constexpr std::size_t sign_size = 32;

std::string json_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < ' ' || byte == 0x7f) {
            constexpr std::string_view digits = "0123456789abcdef";
            out += "\\u00";
            out += digits[byte >> 4];
            out += digits[byte & 15];
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string decimal(std::chrono::sys_seconds time) { return std::to_string(time.time_since_epoch().count()); }

void add_stream(JsonFields& fields, const CallbackStream& stream) {
    fields.number("appid", stream.appid)
        .text("app", stream.app)
        .text("appname", stream.app_name)
        .text("stream_id", stream.stream_id)
        .text("channel_id", stream.stream_id);
}

void add_stamp(JsonFields& fields, int event_type, const CallbackStamp& stamp) {
    fields.number("event_type", event_type).raw("t", stamp.t).text("sign", stamp.sign);
}

CallbackMatch match_of(std::string_view sign, std::string_view t, std::string_view key,
                       std::string_view backup_key) {
    const std::string lower = ascii_lower(sign);
    CallbackMatch found;
    for (const auto& [text, which, space] : key_texts(key, backup_key)) {
        const bool same = same_digest(lower, callback_sign(text, t));
        if (same && found.key == KeyFound::none)
            found = {.key = which, .stray_space = space, .capitals = lower != sign};
    }
    return found;
}

}  // namespace

std::string callback_sign(std::string_view key, std::string_view t) {
    return hex_digest(Digest::md5, std::string(key).append(t));
}
std::string callback_sign(std::string_view key, std::chrono::sys_seconds t) {
    return callback_sign(key, decimal(t));
}

std::optional<std::chrono::sys_seconds> parse_callback_time(std::string_view t) {
    std::int64_t seconds = 0;
    const char* const end = t.data() + t.size();
    if (t.empty() || !std::ranges::all_of(t, is_digit)) return std::nullopt;
    const auto [stop, ec] = std::from_chars(t.data(), end, seconds);
    if (ec != std::errc{} || stop != end || seconds > last_second) return std::nullopt;
    return std::chrono::sys_seconds(std::chrono::seconds(seconds));
}

CallbackCheck check_callback(std::string_view sign, std::string_view t, std::string_view key,
                             std::string_view backup_key, std::chrono::sys_seconds now) {
    CallbackCheck check{.has_sign = !sign.empty(), .has_t = !t.empty(), .expires = parse_callback_time(t)};
    if (check.expires) check.expired_for = now - *check.expires;
    if (sign.size() == sign_size && check.expires) check.match = match_of(sign, t, key, backup_key);
    return check;
}

JsonFields& JsonFields::raw(std::string_view name, std::string_view value) {
    if (!fields_.empty()) fields_ += ',';
    fields_.append(json_text(name)).append(":").append(value);
    return *this;
}
JsonFields& JsonFields::text(std::string_view name, std::string_view value) {
    return raw(name, json_text(value));
}
JsonFields& JsonFields::number(std::string_view name, std::int64_t value) {
    return raw(name, std::to_string(value));
}

CallbackStamp callback_stamp(std::string_view key, std::chrono::sys_seconds t) {
    return {.t = decimal(t), .sign = callback_sign(key, t)};
}

std::string push_event_body(const CallbackStream& stream, const PushEvent& event,
                            const CallbackStamp& stamp) {
    JsonFields fields;
    add_stream(fields, stream);
    fields.number("event_time", event.at.time_since_epoch().count())
        .text("sequence", event.sequence)
        .text("node", "127.0.0.1")
        .text("user_ip", "127.0.0.1")
        .text("stream_param", "")
        .text("push_duration", event.started ? "" : std::to_string(event.push_duration.count()))
        .number("errcode", event.started ? 0 : 1)
        .text("errmsg", event.started ? "ok" : "The push client actively stopped the push")
        .number("set_id", 2)
        .number("width", 0)
        .number("height", 0);
    add_stamp(fields, event.started ? 1 : 0, stamp);
    return fields.object();
}

std::string record_event_body(const CallbackStream& stream, const RecordEvent& event,
                              const CallbackStamp& stamp) {
    JsonFields fields;
    add_stream(fields, stream);
    if (event.video_id) fields.text("video_id", event.file_id);
    const auto start = event.start.time_since_epoch().count(), end = event.end.time_since_epoch().count();
    fields.text("file_id", event.file_id)
        .text("record_file_id", event.file_id)
        .text("file_format", event.file_format)
        .text("task_id", "")
        .number("start_time", start)
        .number("end_time", end)
        .number("start_time_usec", 0)
        .number("end_time_usec", 0)
        .number("duration", end - start)
        .number("file_size", event.file_size)
        .text("stream_param", "")
        .text("video_url", event.video_url)
        .number("media_start_time", 0)
        .number("record_bps", 0)
        .text("callback_ext", "{}");
    add_stamp(fields, 100, stamp);
    return fields.object();
}

std::string bare_event_body(int event_type, std::string_view stream_id, const CallbackStamp& stamp) {
    return JsonFields()
        .number("event_type", event_type)
        .text("stream_id", stream_id)
        .raw("t", stamp.t)
        .text("sign", stamp.sign)
        .object();
}

}  // namespace livecanary::protocol
