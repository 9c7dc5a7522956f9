#pragma once
// Reads what was written to files since the last run, through rotation, truncation and replacement.
//
// A file is its inode, not its name: renamed, it is read on where it was left, as long as it lies in one of
// the directories, or is still open. What is at a name now and was not before is read from its start. A file
// that is shorter than what was read of it, or does not hold at either end of that what it held, was
// truncated: it begins anew. A file that holds what was read of another one is a copy of it: while the other
// one stays as it is the copy is left alone, and once it is gone or truncated the copy is read on in its
// place (copytruncate).
//
// All of it blocks: it is called on a thread where that does no harm, one call at a time.
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "probes/log_keywords/config.hpp"
#include "probes/log_keywords/find.hpp"
#include "probes/log_keywords/places.hpp"

namespace livecanary::log_keywords {

/// An open file; closed with its last owner.
class Descriptor {
public:
    explicit Descriptor(int number) noexcept : number_(number) {}
    ~Descriptor();
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int number() const noexcept { return number_; }

private:
    int number_;
};

/// A file kept open between runs, so that it can be read to its end wherever it goes meanwhile.
struct Held {
    FileId id{};
    std::string path{};
    std::shared_ptr<const Descriptor> open{};
    int quiet = 0;  ///< runs in a row in which a file that is gone has had nothing new
};

/// Most files kept open by a probe between runs.
constexpr std::size_t most_held = 64;
/// A file that is gone is kept open until so many runs in a row found nothing new in it: its writer may not
/// have noticed yet.
constexpr int most_quiet = 2;

/// What of a label was found in a run.
struct Counted {
    std::uint64_t lines = 0;
    std::string words{};         ///< the keyword, or the name of the pattern, of the last line
    std::vector<Cause> among{};  ///< which it may be; empty if the label says it
    std::string line{};          ///< the last one, redacted
    std::string file{};          ///< its path
};

/// What a run read.
struct Tally {
    std::uint64_t lines = 0;
    std::uint64_t ignored = 0;       ///< lines of `ignore` and known noise
    std::uint64_t cut = 0;           ///< lines longer than is looked at
    std::vector<Counted> labels{};   ///< by label of the matcher
    std::deque<std::string> last{};  ///< `path: line` of the last matching ones, redacted, oldest first
};

/// Most lines in Tally::last.
constexpr std::size_t most_lines_shown = 5;

/// One run's reading: scan(), read_some() until it says false, finish().
class Follower {
public:
    /// `before` is nothing if the probe never ran. `held` are the files open since the last run.
    Follower(std::shared_ptr<const Config> config, std::optional<Places> before, std::vector<Held> held);
    ~Follower();
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    /// Finds the files, and where to go on in each.
    void scan();
    /// Reads a piece of 64 KiB, or of the longest line. False: everything is read, or as much as may be.
    bool read_some();
    /// Makes up what is below.
    void finish();

    const FilesFound& found() const noexcept;
    const Tally& tally() const noexcept;
    /// What to remember, if this run is not to be done again.
    const Places& places() const noexcept;
    std::vector<Held> held() const;
    std::uint64_t bytes_unread() const noexcept;  ///< of files that were not read to their end
    std::size_t files_left_out() const noexcept;  ///< that have changed, and were more than are opened

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

/// An open file for reading. Never waits for a writer, as of a FIFO.
error_code open_file(const std::string& path, Held& out);

}  // namespace livecanary::log_keywords
