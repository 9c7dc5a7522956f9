#include "probes/backend_api/replay.hpp"

#include <ctime>

#include <boost/json/array.hpp>

#include "probes/backend_api/client.hpp"
#include "probes/net/http.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::backend_api {
namespace {

constexpr std::string_view zero_date = "0000-00-00 00:00:00";

bool is_stamp(const std::string& text) { return text == zero_date || read_prc_time(text); }

/// A text, or an empty one for null: columns that were never written are null.
bool read(const boost::json::object& row, std::string_view name, std::string& out) {
    const auto* const value = row.if_contains(name);
    if (value == nullptr) return false;
    if (value->is_null()) return true;
    const auto* const text = value->if_string();
    if (text == nullptr) return false;
    out.assign(text->data(), text->size());
    return true;
}

/// A URL that names a file, which one that was cut off in its host does not.
bool is_play_url(const std::string& url) {
    const auto parsed = net::parse_http_url(url);
    return parsed && parsed->target.size() > 1 && !parsed->host.ends_with('.');
}

std::string fault_of(const boost::json::object& row, Replay& replay) {
    for (const auto& [name, member] :
         {std::pair{"userid", &replay.userid}, std::pair{"file_id", &replay.file_id},
          std::pair{"play_url", &replay.play_url}, std::pair{"hls_play_url", &replay.hls_play_url},
          std::pair{"start_time", &replay.start_time}, std::pair{"create_time", &replay.create_time}})
        if (!read(row, name, *member)) return std::string(name) + " is not a text";
    if (replay.userid.empty()) return "userid is empty";
    if (replay.file_id.empty()) return "file_id is empty";
    if (replay.url().empty()) return "there is no play URL";
    for (const auto& [name, url] :
         {std::pair{"play_url", &replay.play_url}, std::pair{"hls_play_url", &replay.hls_play_url}})
        if (!url->empty() && !is_play_url(*url))
            return std::string(name) + " is not the URL of a file: '" + protocol::printable(*url) + "'";
    for (const auto& [name, time] :
         {std::pair{"start_time", &replay.start_time}, std::pair{"create_time", &replay.create_time}})
        if (!is_stamp(*time))
            return std::string(name) + " is not a time: '" + protocol::printable(*time) + "'";
    replay.started = read_prc_time(replay.start_time);
    replay.ended = read_prc_time(replay.create_time);
    return {};
}

}  // namespace

std::optional<WallTime> read_prc_time(std::string_view text) {
    if (text.size() != zero_date.size() || text == zero_date) return std::nullopt;
    const std::string date(text);
    std::tm local{};
    const char* const end = ::strptime(date.c_str(), "%Y-%m-%d %H:%M:%S", &local);
    if (end == nullptr || *end != '\0' || local.tm_year < 1970 - 1900 || local.tm_year >= 2200 - 1900)
        return std::nullopt;
    return std::chrono::system_clock::from_time_t(::timegm(&local)) - std::chrono::hours(8);
}

result<std::vector<Replay>> read_replays(const boost::json::object& answer, std::string& wrong) {
    const auto* const data = answer.if_contains("data");
    const auto* const list =
        data != nullptr && data->is_object() ? data->get_object().if_contains("list") : nullptr;
    if (list == nullptr || !list->is_array()) {
        wrong = "data.list is not a list";
        return BackendError::bad_list;
    }
    std::vector<Replay> replays;
    for (const auto& row : list->get_array()) {
        const std::string where = "row " + std::to_string(replays.size() + 1) + ": ";
        if (!row.is_object()) {
            wrong = where + "not an object";
            return BackendError::bad_list;
        }
        Replay& replay = replays.emplace_back();
        if (const std::string fault = fault_of(row.get_object(), replay); !fault.empty()) {
            wrong = where + fault;
            return BackendError::bad_row;
        }
    }
    return replays;
}

}  // namespace livecanary::backend_api
