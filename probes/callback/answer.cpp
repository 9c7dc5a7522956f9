#include "probes/callback/answer.hpp"

#include <algorithm>
#include <charconv>

#include <boost/json.hpp>

#include "probes/protocol/printable.hpp"

namespace livecanary::callback {
namespace {

namespace json = boost::json;

constexpr std::size_t most_text = 1024;
constexpr std::size_t most_body = 64 * 1024;
constexpr std::size_t most_depth = 32;
/// Braces in what PHP prints before the JSON, such as those of a closure's name.
constexpr int most_starts = 16;
constexpr std::size_t most_shown = 200;

/// The object that begins `text`; `whole`: and ends it.
std::optional<json::object> object_of(std::string_view text, bool whole) {
    json::parse_options options;
    options.max_depth = most_depth;
    options.allow_invalid_utf8 = true;
    json::stream_parser parser({}, options);
    json::error_code code;
    const std::size_t used = parser.write_some(text.data(), text.size(), code);
    if (code || !parser.done()) return std::nullopt;
    if (whole && text.find_first_not_of(" \t\r\n", used) != text.npos) return std::nullopt;
    json::value value = parser.release();
    if (!value.is_object()) return std::nullopt;
    return std::move(value.get_object());
}

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

std::optional<std::int64_t> number_of(std::string_view text) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, ec] = std::from_chars(text.data(), end, number);
    if (text.empty() || ec != std::errc{} || stop != end) return std::nullopt;
    return number;
}

std::optional<std::int64_t> number_of(const json::value& value) {
    if (value.is_int64()) return value.get_int64();
    if (value.is_string()) return number_of(view(value.get_string()));
    return std::nullopt;
}

/// Empty if there is none, or something that is neither text nor whole number.
std::string text_of(const json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(json::string_view(name.data(), name.size()));
    if (value == nullptr) return {};
    if (value->is_string()) return std::string(view(value->get_string()).substr(0, most_text));
    if (value->is_int64()) return std::to_string(value->get_int64());
    return {};
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view bom = "\xef\xbb\xbf";
    if (text.starts_with(bom)) text.remove_prefix(bom.size());
    return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

/// As PHP's display_errors has it, with html_errors and without. nginx may have cut the body where the JSON
/// alone would have ended.
bool is_php_text(std::string_view body) {
    constexpr std::string_view html = "<br />\n<b>";
    const auto seen = std::min(html.size(), body.size());
    if (body.size() >= 6 && body.substr(0, seen) == html.substr(0, seen)) return true;
    for (const std::string_view word :
         {"Warning: ", "Notice: ", "Deprecated: ", "Fatal error: ", "PHP Warning: ", "PHP Notice: ",
          "PHP Deprecated: ", "PHP Fatal error: "})
        if (body.starts_with(word)) return true;
    return false;
}

}  // namespace

Said read_answer(std::string_view body) {
    const auto text = trimmed(body.substr(0, most_body));
    Said said{.php_text = is_php_text(text)};
    std::optional<json::object> object = object_of(text, false);
    int starts = 0;
    for (auto at = text.find('{'); !object && at != text.npos && starts < most_starts;
         at = text.find('{', at + 1), ++starts) {
        object = object_of(text.substr(at), false);
        // A brace of PHP's own text.
        if (object && !object->contains("code")) object.reset();
    }
    if (!object) return said;
    said.json = true;
    if (const auto* const code = object->if_contains("code")) {
        said.code = number_of(*code);
        said.code_text = code->is_string() ? protocol::printable(view(code->get_string()))
                                           : protocol::printable(json::serialize(*code));
    }
    return said;
}

std::string shown(std::string_view body) {
    auto text = trimmed(body);
    text = text.substr(0, text.find("Stack trace"));
    return protocol::printable(text.substr(0, most_shown));
}

std::optional<Event> read_event(std::string_view body) {
    if (body.size() > most_body) return std::nullopt;
    const auto object = object_of(body, true);
    if (!object) return std::nullopt;
    const auto* const type = object->if_contains("event_type");
    const auto number = type != nullptr ? number_of(*type) : std::nullopt;
    if (!number) return std::nullopt;
    Event event;
    event.type = *number;
    event.t = text_of(*object, "t");
    event.sign = text_of(*object, "sign");
    event.stream_id = text_of(*object, "stream_id");
    event.app = text_of(*object, "app");
    if (event.app.empty()) event.app = text_of(*object, "domain");
    event.app_name = text_of(*object, "appname");
    event.sequence = text_of(*object, "sequence");
    event.file_id = text_of(*object, "file_id");
    event.video_url = text_of(*object, "video_url");
    event.file_format = text_of(*object, "file_format");
    event.has_video_id = object->contains("video_id");
    event.start_time = number_of(text_of(*object, "start_time"));
    event.end_time = number_of(text_of(*object, "end_time"));
    event.has_recording = object->contains("video_url") && object->contains("file_format") &&
                          event.start_time && event.end_time;
    return event;
}

}  // namespace livecanary::callback
