#pragma once
// How far the rows of a table have been counted: the watermark, what it becomes, and how it is remembered.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace livecanary::mysql {

enum class MarkKind { number, time };

/// Whether a column of that type can be one; nothing if it cannot. Texts cannot: they do not sort as numbers
/// and times do.
std::optional<MarkKind> mark_kind(std::string_view column_type);

/// Rows with a value up to `value` are counted; of those with just that value, `equal` are.
struct Mark {
    std::string column{};
    std::optional<std::string> value{};  ///< as the server writes it; nothing: the table was empty
    std::uint64_t equal = 0;
    std::int64_t since = 0;  ///< Unix seconds of the first look
    /// Unix seconds of a look with the rows it found, oldest first; kept only where they are asked for.
    std::vector<std::pair<std::int64_t, std::uint64_t>> history{};

    std::string to_text() const;
    /// Nothing if it is none of ours.
    static std::optional<Mark> from_text(std::string_view text);
    bool operator==(const Mark&) const = default;
};

/// Less than 0, 0, or more: two values of a column, as the server writes them.
int compare(MarkKind kind, std::string_view a, std::string_view b);

/// What one look at the table saw. Each is counted in a statement of its own or with the others: the ranges
/// do not overlap, so a row that comes meanwhile is counted once, now or by the next look.
struct Seen {
    std::optional<std::string> newest{};  ///< the greatest value; nothing if there is none
    std::uint64_t between = 0;            ///< rows above the mark and below `newest`
    std::uint64_t at_newest = 0;          ///< rows with just `newest`
    std::uint64_t at_mark = 0;            ///< rows with just the mark's value
};

struct Advanced {
    Mark mark{};
    std::uint64_t rows = 0;  ///< new ones
    bool went_back =
        false;  ///< the greatest value is below the mark: rows were deleted, or the table made anew
};

/// The definition: new rows are those above the mark, and those at it beyond the ones already counted.
Advanced advance(MarkKind kind, const Mark& mark, const Seen& seen);

/// Adds a look to the history and drops what is older than `within`. It stays short whatever the interval.
void keep_history(Mark& mark, std::int64_t now, std::uint64_t rows, std::chrono::seconds within);
/// Rows of the last `within`; nothing while the table has not been watched for so long.
std::optional<std::uint64_t> rows_within(const Mark& mark, std::int64_t now, std::chrono::seconds within);

}  // namespace livecanary::mysql
