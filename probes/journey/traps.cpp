#include "probes/journey/traps.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>

#include <boost/asio/error.hpp>

#include "probes/journey/facts.hpp"
#include "probes/journey/show.hpp"
#include "probes/journey/walk.hpp"

namespace livecanary::journey {
namespace {

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

/// Whether the path of a URL names an MP4 file.
bool is_mp4_url(const std::string& url) { return lower(url.substr(0, url.find('?'))).ends_with(".mp4"); }

/// Whether two events 100 tell of one recording: a long show has several files one after the other.
bool is_same_recording(const Facts& a, const Facts& b) {
    const auto a_from = number_of(fact(a, "start_time")), a_to = number_of(fact(a, "end_time"));
    const auto b_from = number_of(fact(b, "start_time")), b_to = number_of(fact(b, "end_time"));
    if (a_from && a_to && b_from && b_to) return *a_from < *b_to && *b_from < *a_to;
    return lower(fact(a, "file_format")) != lower(fact(b, "file_format"));
}

/// How far the row's start is from what its event says; nothing if one of them does not tell.
std::optional<std::int64_t> offset_of(const Facts& stored_row, const Facts& event) {
    const auto stored = number_of(fact(stored_row, "time.start_time"));
    const auto told = number_of(fact(event, "start_time"));
    if (!stored || !told) return std::nullopt;
    return *stored - *told;
}

/// Whether two rows that no event tells of are one show. Each is longer than the shortest replay, so two that
/// begin closer to each other than that overlap. Where it is not known when they began, one of each format
/// is.
bool is_same_show(const Config& config, const Facts& a, const Facts& b) {
    const auto from = number_of(fact(a, "time.start_time")), other = number_of(fact(b, "time.start_time"));
    if (from && other) return std::chrono::seconds(std::abs(*from - *other)) < config.shortest_replay;
    const auto has = [](const Facts& row_facts, const char* column) {
        return !fact(row_facts, column).empty();
    };
    const auto only_mp4 = [&](const Facts& one) {
        return has(one, "column.play_url") && !has(one, "column.hls_play_url");
    };
    const auto only_hls = [&](const Facts& one) {
        return has(one, "column.hls_play_url") && !has(one, "column.play_url");
    };
    return (only_mp4(a) && only_hls(b)) || (only_hls(a) && only_mp4(b));
}

std::string named(const Facts& stored) {
    std::string name = fact(stored, "column.file_id");
    for (const char* column : {"play_url", "hls_play_url"})
        if (!fact(stored, std::string("column.") + column).empty()) name += " with " + std::string(column);
    return name;
}

bool is_there(const Facts& facts) { return fact(facts, "found") == "1"; }

/// The backend takes a recording that overlaps with one it has for another format of it, and changes that row
/// (tape_callback.php, measured); one of its own for each format is two replays in the list.
asio::awaitable<bool> has_second_row(const Config& config, ProbeRun& run, Looker& looker,
                                     const std::vector<Facts>& events, const Facts& of_first) {
    const std::string stored = fact(of_first, "column.file_id");
    const auto first = std::ranges::find_if(
        events, [&](const Facts& event) { return !stored.empty() && fact(event, "file_id") == stored; });
    if (first == events.end()) co_return false;
    for (const Facts& event : events) {
        const std::string file_id = fact(event, "file_id");
        if (file_id.empty() || file_id == stored || !is_same_recording(*first, event)) continue;
        Question question = about_row(config, file_id);
        result<Facts> second = JourneyError::no_row;
        // If it is answered, what it was to do is done.
        if (!fact(event, "code").empty()) {
            second = co_await looker.once(config.mysql, std::move(question));
        } else {
            std::vector<Question> questions{std::move(question)};
            std::function<bool(const Facts&)> there = is_there;
            second = co_await looker.look(config.mysql, std::move(questions), second_row_patience,
                                          JourneyError::no_row, std::move(there));
        }
        if (!second || !is_there(*second)) continue;
        run.saw("second_row", "file_id " + file_id + " of format " + fact(event, "file_format") +
                                  ", beside " + stored + " of format " + fact(*first, "file_format"));
        const auto offset = offset_of(of_first, *first), other = offset_of(*second, event);
        if (offset && offset == other) run.saw("row_offset_seconds", std::to_string(*offset));
        co_return true;
    }
    co_return false;
}

}  // namespace

Question about_row(const Config& config, const std::string& file_id) {
    Question question;
    question.what = questions::row;
    question.with = {{"table", config.table}, {"where.userid", config.userid}};
    if (!file_id.empty()) question.with["where.file_id"] = file_id;
    return question;
}

asio::awaitable<error_code> look_for_traps(const Config& config, ProbeRun& run, Looker& looker,
                                           const std::vector<Facts>& events, Facts& stored) {
    const bool second = co_await has_second_row(config, run, looker, events, stored);
    if (co_await is_cut()) co_return error_code(asio::error::operation_aborted);
    if (second) co_return JourneyError::two_rows;
    if (events.size() > 1) {
        // The event of another format may have changed the row since it was read.
        Question question = about_row(config, fact(stored, "column.file_id"));
        const auto again = co_await looker.once(config.mysql, std::move(question));
        if (again && is_there(*again)) stored = *again;
    }
    if (is_misfiled(run, events, stored, "column.")) co_return JourneyError::misfiled;
    co_return error_code{};
}

error_code judge_rows(const Config& config, ProbeRun& run, const std::vector<Facts>& rows,
                      const Facts& pushed, const Facts& stored) {
    for (const Facts& other : rows) {
        if (fact(other, "column.file_id") == fact(stored, "column.file_id") ||
            !is_same_show(config, stored, other))
            continue;
        run.saw("second_row", "file_id " + named(other) + ", beside " + named(stored));
        // Nothing but the push itself says when the recording began.
        const auto began = number_of(fact(pushed, "began"));
        const auto zones_of = [&](const Facts& one) {
            const auto from = number_of(fact(one, "time.start_time"));
            return began && from ? zones_between(*began / 1000, *from) : std::nullopt;
        };
        const auto zones = zones_of(stored);
        if (zones && zones == zones_of(other)) {
            run.saw("row_offset_seconds", std::to_string(*zones));
            run.saw("row_offset_from", "push");
        }
        return JourneyError::two_rows;
    }
    return is_misfiled(run, {}, stored, "column.") ? error_code(JourneyError::misfiled) : error_code{};
}

std::int64_t formats_in(const std::vector<Facts>& rows) {
    std::int64_t formats = 0;
    for (const Facts& one : rows) {
        const std::int64_t both =
            !fact(one, "column.play_url").empty() && !fact(one, "column.hls_play_url").empty() ? 2 : 1;
        formats += both;
    }
    return formats;
}

/// The backend compares file_format with "mp4" (tape_callback.php, measured), and takes all else for HLS.
bool is_misfiled(ProbeRun& run, const std::vector<Facts>& events, const Facts& stored,
                 const std::string& prefix) {
    const std::string play_url = fact(stored, prefix + "play_url"),
                      hls_url = fact(stored, prefix + "hls_play_url");
    if (!play_url.empty()) return false;
    const auto is_mp4 = [](const Facts& event) { return lower(fact(event, "file_format")) == "mp4"; };
    const auto mp4 = std::ranges::find_if(events, is_mp4);
    const bool told = mp4 != events.end();
    // A column that was not asked for is no empty one.
    const bool is_empty = stored.contains(prefix + "play_url");
    const bool lost = told && is_empty && fact(*mp4, "code") == "0";
    if (!is_mp4_url(hls_url) && !lost) return false;
    run.saw("misfiled", is_mp4_url(hls_url) ? "hls_play_url is " + hls_url.substr(0, hls_url.find('?'))
                                            : "play_url is empty");
    if (told) run.saw("mp4_format", fact(*mp4, "file_format"));
    return true;
}

}  // namespace livecanary::journey
