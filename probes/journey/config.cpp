#include "probes/journey/config.hpp"

#include <algorithm>

#include "config/reader.hpp"
#include "config/units.hpp"

namespace livecanary::journey {
namespace {

using namespace std::chrono_literals;

std::string seconds_text(std::chrono::milliseconds time) {
    return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count()) + " s";
}

/// The backend's own rule for user ids.
bool is_userid(const std::string& text) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    return text.size() >= 4 && text.size() <= 24 && letter(text.front()) &&
           std::ranges::all_of(text, [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace

Config read(config::Reader& in) {
    Config config;
    in.reference("push", config.push);
    if (!in.has("push"))
        in.mistake("push", "missing: the rtmp_push whose URL and key the journey pushes with");
    in.reference("callback", config.callback);
    if (auto rows = in.table("rows")) {
        rows->reference("mysql", config.mysql);
        rows->required("table", config.table);
        if (config.mysql.empty()) rows->mistake("mysql", "missing: the mysql probe that has the table");
        rows->unread();
    }
    in.reference("list", config.list);
    in.optional("playback", config.playback);
    in.optional("userid", config.userid);
    if (!is_userid(config.userid))
        in.mistake("userid",
                   "expected 4 to 24 letters, digits and '_', a letter first, found '" + config.userid + "'");
    in.optional("formats", config.formats, 1, 8);
    in.optional("mutates", config.mutates);
    config.length = config.mutates ? 65s : 10s;
    in.optional("length", config.length, 5s, 1h);
    in.optional("shortest_replay", config.shortest_replay, 1s, 1h);
    if (config.mutates && config.length <= config.shortest_replay)
        in.mistake("length", "the backend stores no replay of " + seconds_text(config.shortest_replay) +
                                 " or less: expected more than that, found " +
                                 config::format_duration(config.length));
    // So short that no rounding of the cloud's makes it a replay.
    const auto longest_without_replay = config.shortest_replay * 5 / 6;
    if (!config.mutates && config.length > longest_without_replay)
        in.mistake("length", "a push this long becomes a replay that viewers see: expected " +
                                 seconds_text(longest_without_replay) +
                                 " at most, or mutates = true, found " +
                                 config::format_duration(config.length));
    if (!config.mutates && (!config.mysql.empty() || !config.list.empty() || config.playback))
        in.warning(
            !config.mysql.empty()  ? "rows"
            : !config.list.empty() ? "list"
                                   : "playback",
            "not reached: without mutates = true the journey makes no replay, and ends with the callback");
    if (config.mutates && config.mysql.empty())
        in.mistake(
            "mutates",
            "needs rows: the replay that the journey makes is removed by the table's remove statement");
    if (config.playback && config.list.empty() && config.mysql.empty() && config.callback.empty())
        in.mistake("playback", "nothing says where the replay is: needs callback, rows or list");
    if (auto deadlines = in.table("deadlines")) {
        deadlines->optional("callback", config.deadlines.callback, 100ms, 1h);
        deadlines->optional("row", config.deadlines.row, 100ms, 1h);
        deadlines->optional("list", config.deadlines.list, 100ms, 1h);
        deadlines->optional("playback", config.deadlines.playback, 100ms, 1h);
        deadlines->unread();
    }
    in.readable("ca_file", config.ca_file);
    return config;
}

}  // namespace livecanary::journey
