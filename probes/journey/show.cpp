#include "probes/journey/show.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "probes/journey/facts.hpp"
#include "probes/journey/walk.hpp"

namespace livecanary::journey {
namespace {

using namespace std::chrono_literals;

/// Rows of one answer: as many as peers.hpp allows.
constexpr std::size_t most_rows = 2 * most_before;
/// Files of one push that are looked at: each has a format, or is a part of a long show.
constexpr std::size_t most_files = 8;

/// Time zones are whole quarters of an hour apart. The backend writes for +08:00 what its session then takes
/// for a time of its own zone, from -12:00 to +14:00: a row begins so much earlier or later.
constexpr std::int64_t zone_step = 900, earliest_zone = -6 * 3600, latest_zone = 20 * 3600;
/// Between the start of the run, or of its push, and that of the recording: connecting, and the clocks.
constexpr std::int64_t clocks_apart = 15, until_recorded = 60;
/// A row that began further away than any zone explains is another show's: rows of before that have come to
/// light because newer ones were deleted, or those of days after.
constexpr std::int64_t slack = 3600;

/// Instead of `before=`, if what was there is not known.
constexpr std::string_view unknown = "unknown";

bool contains(const std::vector<std::string>& files, const std::string& file_id) {
    return std::ranges::find(files, file_id) != files.end();
}

/// Values of the words of that name of an item in the ledger: `name=value`, blanks between them.
std::vector<std::string> words_of(std::string_view item, std::string_view name) {
    const std::string mark = std::string(name) + "=";
    std::vector<std::string> values;
    for (std::size_t at = 0; at < item.size();) {
        const auto end = std::min(item.find(' ', at), item.size());
        if (item.substr(at).starts_with(mark))
            values.emplace_back(item.substr(at + mark.size(), end - at - mark.size()));
        at = end + 1;
    }
    return values;
}
std::string word_of(std::string_view item, std::string_view name) {
    const auto values = words_of(item, name);
    return values.empty() ? std::string() : values.front();
}

std::int64_t unix_seconds(WallTime time) {
    return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

}  // namespace

std::optional<std::int64_t> zones_between(std::int64_t push_began, std::int64_t recording_began) {
    const std::int64_t apart = recording_began - push_began + clocks_apart;
    // Towards the earlier: what is left is how long after the push.
    const std::int64_t zones = (apart >= 0 ? apart : apart - zone_step + 1) / zone_step * zone_step;
    if (apart - zones > clocks_apart + until_recorded) return std::nullopt;
    if (zones < earliest_zone || zones > latest_zone) return std::nullopt;
    return zones;
}

bool Show::has(const Facts& stored, bool all_new) const {
    const std::string file_id = fact(stored, "column.file_id");
    if (contains(files, file_id)) return true;
    if (before && contains(*before, file_id)) return false;
    const auto began = number_of(fact(stored, "time.start_time"));
    const std::int64_t pushed = unix_seconds(made);
    if (before && all_new)
        return !began || (*began >= pushed + earliest_zone - slack && *began <= pushed + latest_zone + slack);
    return began && zones_between(pushed, *began);
}

Litter litter_of(const Show& show, std::string probe) {
    Litter of{.probe = std::move(probe),
              .store = "mysql",
              .item = "table=" + show.table + " userid=" + show.userid + " stream=" + show.stream,
              .made = show.made};
    if (!show.before) of.item += " rows=" + std::string(unknown);
    if (show.before)
        for (const auto& file : *show.before) of.item += " before=" + file;
    for (const auto& file : show.files)
        if (file.find(' ') == file.npos) of.item += " file=" + file;
    return of;
}

Show show_of(const Litter& litter) {
    Show show{.table = word_of(litter.item, "table"),
              .userid = word_of(litter.item, "userid"),
              .stream = word_of(litter.item, "stream"),
              .files = words_of(litter.item, "file"),
              .made = litter.made};
    if (word_of(litter.item, "rows") != unknown) show.before = words_of(litter.item, "before");
    return show;
}

Question about_rows(const Show& show) {
    Question question;
    question.what = questions::row;
    question.with = {
        {"table", show.table}, {"where.userid", show.userid}, {"rows", std::to_string(most_rows)}};
    return question;
}

std::vector<Facts> rows_of(const Facts& answer) {
    std::vector<Facts> rows;
    if (fact(answer, "found") != "1") return rows;
    rows.emplace_back();
    for (const auto& [name, text] : answer) {
        const auto point = name.find('.');
        const auto nth =
            point != name.npos ? number_of(std::string_view(name).substr(0, point)) : std::nullopt;
        if (!nth) {
            rows.front()[name] = text;
            continue;
        }
        if (*nth < 2 || std::cmp_greater(*nth, most_rows)) continue;
        const auto at = static_cast<std::size_t>(*nth - 1);
        if (rows.size() <= at) rows.resize(at + 1);
        rows[at][name.substr(point + 1)] = text;
    }
    return rows;
}

asio::awaitable<std::vector<Facts>> recordings_of(const Config& config, ProbeRun& run,
                                                  const std::string& stream) {
    std::vector<Facts> all;
    if (config.callback.empty()) co_return all;
    Facts newest;
    std::size_t count = 0;
    // The newest first, and if it is not the only one, each.
    for (std::size_t nth = 0; nth <= count; ++nth) {
        Question question;
        question.what = questions::event;
        question.deadline = run.env().now() + clean_up_patience;
        question.with = {{"event", "100"}, {"stream_id", stream}};
        if (nth > 0) question.with["nth"] = std::to_string(nth);
        const auto answer = co_await run.env().peers->ask(config.callback, std::move(question));
        if (!answer || fact(answer->facts, "arrived") != "yes") continue;
        if (nth > 0) {
            all.push_back(answer->facts);
            continue;
        }
        newest = answer->facts;
        const auto files = std::max<std::int64_t>(number_of(fact(newest, "files")).value_or(1), 1);
        if (files > 1) count = std::min(static_cast<std::size_t>(files), most_files);
    }
    if (all.empty() && !newest.empty()) all.push_back(std::move(newest));
    co_return all;
}

asio::awaitable<error_code> remove_rows(const Config& config, ProbeRun& run, Show show, const Ongoing* walk) {
    if (run.env().peers == nullptr) co_return JourneyError::cannot_ask;
    const auto told = co_await recordings_of(config, run, show.stream);
    for (const Facts& event : told) {
        std::string file_id = fact(event, "file_id");
        if (!file_id.empty() && !contains(show.files, file_id)) show.files.push_back(std::move(file_id));
    }
    const bool all_new = config.callback.empty() || show.files.empty();
    Question question = about_rows(show);
    question.deadline = run.deadline();
    const auto answer = co_await run.env().peers->ask(config.mysql, std::move(question));
    std::vector<std::string> going = show.files;
    bool busy = false;
    const std::vector<Facts> rows = answer ? rows_of(answer->facts) : std::vector<Facts>();
    for (const Facts& row_facts : rows) {
        std::string file_id = fact(row_facts, "column.file_id");
        if (contains(going, file_id) || !show.has(row_facts, all_new)) continue;
        const bool may_be_another =
            walk != nullptr && walk->walking && !(walk->before && contains(*walk->before, file_id));
        if (may_be_another)
            busy = true;
        else
            going.push_back(std::move(file_id));
    }
    for (const auto& file_id : going) {
        Question remove;
        remove.what = questions::remove_row;
        remove.deadline = run.deadline();
        remove.with = {{"table", show.table}, {"userid", show.userid}, {"file_id", file_id}};
        const auto removed = co_await run.env().peers->ask(config.mysql, std::move(remove));
        if (!removed) co_return removed.error();
    }
    if (!answer) co_return answer.error();
    if (busy) co_return make_error_code(boost::system::errc::device_or_resource_busy);
    co_return error_code{};
}

}  // namespace livecanary::journey
