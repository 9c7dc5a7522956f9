#pragma once
// Which files the paths of a configuration mean at the moment. Blocks: not for the event loop.
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "probes/core/reason.hpp"
#include "probes/log_keywords/places.hpp"

namespace livecanary::log_keywords {

/// A file as it was when it was looked at.
struct Seen {
    std::string path{};
    FileId id{};
    std::uint64_t size = 0;
    std::int64_t written = 0;       ///< mtime, nanoseconds since 1970
    std::vector<std::size_t> by{};  ///< indices of the paths that mean it; empty: known by its inode alone
};

/// What could not be looked at, and why not.
struct Unreadable {
    std::string path{};
    error_code code{};
};

struct FilesFound {
    /// Distinct, ordinary files; by the first name under which each was found.
    std::vector<Seen> files{};
    std::vector<bool> matched{};          ///< by path of the configuration: something is there
    std::set<std::string> directories{};  ///< that were read: where files come and go
    std::vector<Unreadable> unreadable{};
    bool too_many = false;  ///< there are more names than are looked at
};

/// Names looked at in one go. A directory with more of them is no log directory.
constexpr std::size_t most_names = 50'000;

/// Paths with '*', '?' and '[…]' in any part, as the shell has them: a leading dot must be named. Symbolic
/// links are followed. Files whose names end as those of compressed ones (.gz, .bz2, .xz, .zst, .zip) hold no
/// lines and are left out. A file in one of the directories whose inode is among `known` belongs to it
/// whatever its name: it was renamed.
FilesFound find_files(const std::vector<std::string>& paths, const std::set<std::uint64_t>& known);

/// Of an open file; not of what is no ordinary file.
error_code look_at(int descriptor, Seen& out);

/// Whether `path` is meant by one of `paths`, by its name alone.
bool is_meant(const std::vector<std::string>& paths, const std::string& path);

}  // namespace livecanary::log_keywords
