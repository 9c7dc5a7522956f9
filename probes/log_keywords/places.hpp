#pragma once
// How far files have been read: what is remembered from run to run, and over restarts.
#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace livecanary::log_keywords {

/// Which file it is, whatever it is called. Where the file system tells the time of birth, an inode that was
/// given to another file is another one.
struct FileId {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t born = 0;  ///< nanoseconds since 1970; 0 where the file system does not say
    auto operator<=>(const FileId&) const = default;
};

/// Bytes at either end of what was read that are compared to know a file's content again.
constexpr std::size_t print_size = 1024;

/// A place in a file: just behind the last line that was counted.
struct Place {
    FileId id{};
    std::uint64_t offset = 0;
    /// Of the first and the last bytes before `offset`, `print_size` of each at most: CRC-64.
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    std::int64_t written = 0;  ///< when the file was written last (mtime), nanoseconds since 1970
    std::uint64_t size = 0;    ///< of the file then
    bool skipping = false;     ///< within a line that was too long, and has been counted
    bool copy = false;         ///< of another file that is still there: not read by itself
    bool operator==(const Place&) const = default;
};

/// Most files whose place is remembered. With some 120 bytes each in writing they keep below
/// `most_remembered`.
constexpr std::size_t most_places = 400;

struct Places {
    /// The paths of the configuration by then: what only a new one finds was there before we looked.
    std::vector<std::string> paths{};
    /// Of files not in `files`, those written last at this time or before have been there all along.
    std::int64_t horizon = std::numeric_limits<std::int64_t>::min();
    std::vector<Place> files{};
    bool operator==(const Places&) const = default;
};

/// Lines of text.
std::string to_text(const Places& places);
/// Nothing if it is not of this form.
std::optional<Places> places_from(std::string_view text);

}  // namespace livecanary::log_keywords
