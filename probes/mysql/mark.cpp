#include "probes/mysql/mark.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "probes/protocol/ascii.hpp"

namespace livecanary::mysql {
namespace {

constexpr std::string_view format = "1";  // of the text; another one is not ours
constexpr std::size_t most_history = 128;

template <class Int>
bool read_number(std::string_view text, Int& out) {
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
    return code == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    for (;;) {
        const auto end = text.find(at);
        parts.push_back(text.substr(0, end));
        if (end == text.npos) return parts;
        text.remove_prefix(end + 1);
    }
}

}  // namespace

std::optional<MarkKind> mark_kind(std::string_view column_type) {
    const std::string type = protocol::ascii_lower(column_type);
    const std::string_view word = std::string_view(type).substr(0, type.find_first_of("( "));
    constexpr std::array<std::string_view, 7> numbers{"tinyint", "smallint", "mediumint", "int",
                                                      "integer", "bigint",   "year"};
    constexpr std::array<std::string_view, 3> times{"timestamp", "datetime", "date"};
    if (std::ranges::find(numbers, word) != numbers.end()) return MarkKind::number;
    if (std::ranges::find(times, word) != times.end()) return MarkKind::time;
    return std::nullopt;
}

std::string Mark::to_text() const {
    std::string text(format);
    text += '\n' + column + '\n' + (value ? "=" + *value : "") + '\n' + std::to_string(equal) + '\n' +
            std::to_string(since) + '\n';
    for (const auto& [at, rows] : history)
        text += (text.back() == '\n' ? "" : ",") + std::to_string(at) + ":" + std::to_string(rows);
    return text;
}

std::optional<Mark> Mark::from_text(std::string_view text) {
    const auto lines = split(text, '\n');
    if (lines.size() != 6 || lines[0] != format) return std::nullopt;
    Mark mark{.column = std::string(lines[1])};
    if (lines[2].starts_with('=')) mark.value = std::string(lines[2].substr(1));
    if (!read_number(lines[3], mark.equal) || !read_number(lines[4], mark.since)) return std::nullopt;
    if (lines[5].empty()) return mark;
    for (const auto entry : split(lines[5], ',')) {
        const auto colon = entry.find(':');
        auto& [at, rows] = mark.history.emplace_back();
        if (colon == entry.npos || !read_number(entry.substr(0, colon), at) ||
            !read_number(entry.substr(colon + 1), rows))
            return std::nullopt;
    }
    return mark;
}

int compare(MarkKind kind, std::string_view a, std::string_view b) {
    const auto sign = [](int number) { return number < 0 ? -1 : number > 0 ? 1 : 0; };
    // Times are written with leading zeros, and the same number of digits within one column.
    if (kind == MarkKind::time) return sign(a.compare(b));
    const bool a_below = a.starts_with('-'), b_below = b.starts_with('-');
    if (a_below != b_below) return a_below ? -1 : 1;
    const int longer = a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : sign(a.compare(b));
    return a_below ? -longer : longer;
}

Advanced advance(MarkKind kind, const Mark& mark, const Seen& seen) {
    Advanced next{.mark = mark};
    next.mark.value = seen.newest;
    next.mark.equal = seen.newest ? seen.at_newest : 0;
    if (!mark.value) {
        if (seen.newest) next.rows = seen.between + seen.at_newest;
        return next;
    }
    const int moved = seen.newest ? compare(kind, *seen.newest, *mark.value) : -1;
    next.went_back = moved < 0;
    const auto beyond = [](std::uint64_t now, std::uint64_t counted) {
        return now > counted ? now - counted : 0;
    };
    if (moved == 0) next.rows = beyond(seen.at_newest, mark.equal);
    if (moved > 0) next.rows = seen.between + seen.at_newest + beyond(seen.at_mark, mark.equal);
    return next;
}

void keep_history(Mark& mark, std::int64_t now, std::uint64_t rows, std::chrono::seconds within) {
    if (rows > 0) mark.history.emplace_back(now, rows);
    std::erase_if(mark.history, [&](const auto& entry) { return entry.first <= now - within.count(); });
    while (mark.history.size() > most_history) {
        // Two looks become the later one, which is the cautious way: they stay a little longer.
        auto shortest = mark.history.begin();
        for (auto at = mark.history.begin(); at + 1 != mark.history.end(); ++at)
            if ((at + 1)->first - at->first < (shortest + 1)->first - shortest->first) shortest = at;
        (shortest + 1)->second += shortest->second;
        mark.history.erase(shortest);
    }
}

std::optional<std::uint64_t> rows_within(const Mark& mark, std::int64_t now, std::chrono::seconds within) {
    if (now - mark.since < within.count()) return std::nullopt;
    std::uint64_t rows = 0;
    for (const auto& [at, found] : mark.history)
        if (at > now - within.count()) rows += found;
    return rows;
}

}  // namespace livecanary::mysql
