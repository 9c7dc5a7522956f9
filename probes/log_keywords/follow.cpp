#include "probes/log_keywords/follow.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <span>
#include <utility>

#include "probes/protocol/crc64.hpp"
#include "probes/protocol/printable.hpp"
#include "probes/protocol/redact.hpp"

namespace livecanary::log_keywords {
namespace {

constexpr std::size_t piece = 64 * 1024;  // bytes read at once
// Files that begin alike, such as with the same guard in PHP, are copies only if they share this much.
constexpr std::uint64_t least_of_a_copy = 128;

std::uint64_t crc(std::string_view bytes) {
    protocol::Crc64 sum;
    sum.feed(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
    return sum.value();
}

/// At most `size` bytes from `offset`; fewer at the end of the file, or if it cannot be read.
std::string bytes_at(const Descriptor& file, std::uint64_t offset, std::size_t size,
                     error_code* failed = nullptr) {
    std::string bytes(size, '\0');
    std::size_t got = 0;
    while (got < size) {
        const auto n =
            ::pread(file.number(), bytes.data() + got, size - got, static_cast<off_t>(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && failed != nullptr) *failed = {errno, boost::system::system_category()};
        if (n <= 0) break;
        got += static_cast<std::size_t>(n);
    }
    bytes.resize(got);
    return bytes;
}

std::size_t print_of(std::uint64_t offset) {
    return static_cast<std::size_t>(std::min<std::uint64_t>(offset, print_size));
}

/// The last bytes before `offset`.
std::string tail_at(const Descriptor& file, std::uint64_t offset) {
    return bytes_at(file, offset - print_of(offset), print_of(offset));
}

/// A file under way.
struct Followed {
    Place place{};
    std::string path{};
    std::shared_ptr<const Descriptor> open{};
    std::uint64_t size = 0;  // when it was looked at
    std::int64_t written = 0;
    std::string start{};      // its first bytes, print_size at most
    std::string head{};       // the first bytes that were read, likewise
    std::string tail{};       // the last bytes that were read, likewise
    std::uint64_t began = 0;  // offset at the start of the run
    bool known = false;       // there was a place for it, and it holds what it held
    bool meant_anew = false;  // only a path that is new in the configuration means it
    bool by_inode = false;    // at a name that no path means
    bool gone = false;        // at no name that we know of
    bool postponed = false;   // closed again once its place was taken
    int quiet = 0;
    bool done = false;
    const Followed* original = nullptr;  // of a copy
};

/// Whether `file` holds what was read up to `place`.
bool holds(const Followed& file, const Place& place) {
    const auto print = print_of(place.offset);
    return file.size >= place.offset && file.start.size() >= print &&
           crc(std::string_view(file.start).substr(0, print)) == place.head &&
           crc(tail_at(*file.open, place.offset)) == place.tail;
}

void go_to(Followed& file, const Place& place) {
    file.place.offset = place.offset;
    file.place.skipping = place.skipping;
    file.head = file.start.substr(0, print_of(place.offset));
    file.tail = tail_at(*file.open, place.offset);
}

void go_to_offset(Followed& file, std::uint64_t offset) { go_to(file, {.offset = offset}); }

/// Whether `file` holds nothing but what `other` begins with.
bool is_copy_of(const Followed& file, const Followed& other) {
    if (file.size < least_of_a_copy || other.size < file.size) return false;
    const auto print = std::min(file.start.size(), other.start.size());
    return std::string_view(file.start).substr(0, print) == std::string_view(other.start).substr(0, print) &&
           tail_at(*file.open, file.size) == tail_at(*other.open, file.size);
}

}  // namespace

Descriptor::~Descriptor() { ::close(number_); }

error_code open_file(const std::string& path, Held& out) {
    const int number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (number < 0) return {errno, boost::system::system_category()};
    out.open = std::make_shared<const Descriptor>(number);
    out.path = path;
    Seen seen;
    const auto code = look_at(number, seen);
    out.id = seen.id;
    return code;
}

class Follower::Impl {
public:
    Impl(std::shared_ptr<const Config> config, std::optional<Places> before, std::vector<Held> held)
        : config_(std::move(config)),
          is_first_(!before),
          before_(std::move(before).value_or(Places{})),
          held_(std::move(held)) {
        tally.labels.resize(config_->matcher->labels().size());
    }

    void scan() {
        std::set<std::uint64_t> inodes;
        for (const Place& place : before_.files) {
            places_.emplace(place.id, place);
            inodes.insert(place.id.inode);
        }
        for (const Held& held : held_) inodes.insert(held.id.inode);
        found = find_files(config_->paths, inodes);
        // What we have a place in, or keep open, is ours; an inode alone may be anybody's by now.
        std::erase_if(found.files, [&](const Seen& seen) {
            return seen.by.empty() && !places_.contains(seen.id) && find_held(seen.id) == nullptr;
        });
        choose();
        for (const Seen& seen : found.files) present_.insert(seen.id);
        for (const Held& held : held_)
            if (!present_.contains(held.id)) take_gone(held);
        // An inode that was given to a file of nobody's is not the file that was renamed.
        std::erase_if(files_, [&](auto& file) { return !file->postponed && !meet_again(*file); });
        std::vector<Followed*> strangers;
        for (const auto& file : files_)
            if (!file->known && !file->postponed) strangers.push_back(file.get());
        // A copy is never longer than what it is of.
        std::ranges::stable_sort(strangers, std::ranges::greater(), &Followed::size);
        for (Followed* const file : strangers) meet(*file);
    }

    bool read_some() {
        if (read_ >= config_->limits.read) return false;
        for (std::size_t tried = 0; tried < files_.size(); ++tried) {
            Followed& file = *files_[next_++ % files_.size()];
            if (file.done || file.postponed || file.original != nullptr) continue;
            read_piece(file);
            return true;
        }
        return false;
    }

    void finish() {
        for (auto& file : files_) settle(*file);
        std::vector<Place> present, absent;
        for (const auto& file : files_) present.push_back(file->place);
        std::set<FileId> opened;
        for (const auto& file : files_) opened.insert(file->place.id);
        for (const auto& [id, place] : places_) {
            if (opened.contains(id) || taken_over_.contains(id)) continue;
            (present_.contains(id) ? present : absent).push_back(place);
        }
        std::ranges::stable_sort(present, std::ranges::greater(), &Place::written);
        std::ranges::stable_sort(absent, std::ranges::greater(), &Place::written);
        places.paths = config_->paths;
        places.horizon = std::max(before_.horizon, horizon_);
        for (std::size_t at = most_places; at < present.size(); ++at)
            places.horizon = std::max(places.horizon, present[at].written);
        places.files = std::move(present);
        places.files.insert(places.files.end(), absent.begin(), absent.end());
        if (places.files.size() > most_places) places.files.resize(most_places);
    }

    std::vector<Held> held() const {
        std::vector<Held> kept;
        for (const bool gone : {true, false})
            for (const auto& file : files_) {
                if (file->gone != gone || file->postponed || kept.size() >= most_held) continue;
                const bool moved = file->place.offset != file->began || !file->done;
                const int quiet = file->gone && !moved ? file->quiet + 1 : 0;
                if (quiet < most_quiet) kept.push_back({file->place.id, file->path, file->open, quiet});
            }
        return kept;
    }

    std::uint64_t bytes_unread() const {
        std::uint64_t unread = 0;
        for (const auto& file : files_)
            if (!file->done && !file->postponed && file->original == nullptr &&
                file->size > file->place.offset)
                unread += file->size - file->place.offset;
        return unread;
    }

    FilesFound found{};
    Tally tally{};
    Places places{};
    std::size_t left_out = 0;

private:
    const Held* find_held(const FileId& id) const {
        const auto at = std::ranges::find(held_, id, &Held::id);
        return at != held_.end() ? &*at : nullptr;
    }

    bool has_changed(const Seen& seen) const {
        const auto place = places_.find(seen.id);
        return place == places_.end() || place->second.size != seen.size ||
               place->second.written != seen.written;
    }

    /// Opens those that have changed, then those written last, as many as may be.
    void choose() {
        std::vector<const Seen*> order;
        for (const Seen& seen : found.files) {
            const bool was_there = is_first_ || places_.contains(seen.id) || seen.written > before_.horizon;
            if (was_there) order.push_back(&seen);
        }
        std::ranges::stable_sort(order, [&](const Seen* a, const Seen* b) {
            return std::pair(has_changed(*a), a->written) > std::pair(has_changed(*b), b->written);
        });
        // The first time a place is taken in all of them; none is read but those that stay open.
        const std::size_t most = is_first_ ? most_places : config_->limits.files;
        for (std::size_t at = 0; at < order.size(); ++at) {
            if (at >= most) {
                if (is_first_)
                    horizon_ = std::max(horizon_, order[at]->written);
                else if (has_changed(*order[at]))
                    ++left_out;
                continue;
            }
            Followed* const file = open(*order[at]);
            if (file == nullptr || at < config_->limits.files) continue;
            meet(*file);
            file->open.reset();
            file->postponed = true;
        }
    }

    /// Null if it cannot be opened, or is there already.
    Followed* open(const Seen& seen) {
        Held file{.id = seen.id, .path = seen.path};
        if (const Held* held = find_held(seen.id)) {
            file.open = held->open;
        } else if (const auto code = open_file(seen.path, file)) {
            // Gone between the look and now.
            if (code != boost::system::errc::no_such_file_or_directory)
                found.unreadable.push_back({seen.path, code});
            return nullptr;
        }
        const bool anew = !seen.by.empty() && std::ranges::none_of(seen.by, [&](std::size_t number) {
            return std::ranges::find(before_.paths, config_->paths[number]) != before_.paths.end();
        });
        Followed* const added = add(file);
        if (added == nullptr) return nullptr;
        added->meant_anew = anew;
        added->by_inode = seen.by.empty();
        return added;
    }

    void take_gone(const Held& held) {
        if (Followed* const added = add(held)) added->gone = true;
    }

    Followed* add(const Held& held) {
        Seen seen;
        if (look_at(held.open->number(), seen)) return nullptr;
        const bool twice =
            std::ranges::any_of(files_, [&](const auto& file) { return file->place.id == seen.id; });
        if (twice) return nullptr;
        auto file = std::make_unique<Followed>();
        file->place.id = seen.id;
        file->path = held.path;
        file->open = held.open;
        file->size = seen.size;
        file->written = seen.written;
        file->start = bytes_at(*held.open, 0, print_size);
        file->quiet = held.quiet;
        files_.push_back(std::move(file));
        return files_.back().get();
    }

    /// A file that there is a place in: on from there, if it still holds what was read. False: it is none of
    /// ours.
    bool meet_again(Followed& file) {
        const auto at = places_.find(file.place.id);
        if (at == places_.end()) return true;
        const Place& place = at->second;
        if (!holds(file, place)) {
            truncated_.push_back(place);
            // Without a time of birth the inode may have been given to anybody's file.
            if (file.by_inode && file.place.id.born == 0 && find_held(file.place.id) == nullptr) return false;
            file.known = true;  // and empty, as it were
            return true;
        }
        go_to(file, place);
        file.began = place.offset;
        // Whether it is a copy still is to be seen.
        file.place.copy = place.copy;
        file.known = !place.copy;
        return true;
    }

    /// One that is new, or was a copy the last time.
    void meet(Followed& file) {
        const bool was_copy = file.place.copy;
        file.place.copy = false;
        const bool was_there_before_us = !was_copy && (is_first_ || file.meant_anew);
        if (was_there_before_us && !config_->from_start) {
            go_to_end(file);
        } else if (const Followed* other = original_of(file)) {
            // All that it holds is counted there.
            file.original = other;
            file.place.copy = true;
        } else if (const Place* const cut = content_of_truncated(file)) {
            go_to(file, *cut);
        } else if (const auto gone = content_of_gone(file)) {
            go_to(file, *gone);
        }
        file.known = file.original == nullptr;
        file.began = file.place.offset;
    }

    /// How far content was read that was in another file until that was truncated; if further than in this
    /// one.
    const Place* content_of_truncated(const Followed& file) const {
        const Place* best = nullptr;
        for (const Place& place : truncated_) {
            const bool further = place.offset > (best != nullptr ? best->offset : file.place.offset);
            if (further && holds(file, place)) best = &place;
        }
        return best;
    }

    /// How far content was read that was in another file, which is gone. Several may have held it.
    std::optional<Place> content_of_gone(const Followed& file) {
        std::optional<Place> best;
        for (const auto& [id, place] : places_) {
            if (present_.contains(id) || find_held(id) != nullptr || taken_over_.contains(id)) continue;
            const bool further = place.offset > (best ? best->offset : file.place.offset);
            if (place.offset >= least_of_a_copy && further && holds(file, place)) best = place;
        }
        if (best) taken_over_.insert(best->id);
        return best;
    }

    const Followed* original_of(const Followed& file) const {
        for (const auto& other : files_)
            if (other->known && other->open && is_copy_of(file, *other)) return other.get();
        return nullptr;
    }

    /// Behind its last line end. A line longer than is looked at is left to pass.
    void go_to_end(Followed& file) {
        const auto size = static_cast<std::size_t>(std::min(file.size, config_->limits.line + 1));
        const std::string last = bytes_at(*file.open, file.size - size, size);
        const auto newline = last.rfind('\n');
        if (newline != last.npos || size == file.size) {
            go_to_offset(file, file.size - last.size() + (newline == last.npos ? 0 : newline + 1));
            return;
        }
        go_to_offset(file, file.size);
        file.place.skipping = true;
    }

    void read_piece(Followed& file) {
        const std::size_t most = std::max<std::size_t>(piece, config_->limits.line + 2);
        error_code failed;
        const std::string bytes = bytes_at(*file.open, file.place.offset, most, &failed);
        if (failed) {
            found.unreadable.push_back({file.path, failed});
            file.done = true;
            return;
        }
        const std::size_t used = consume(file, bytes);
        read_ += used;
        const std::string_view taken = std::string_view(bytes).substr(0, used);
        if (file.head.size() < print_size) file.head += taken.substr(0, print_size - file.head.size());
        file.tail += taken;
        if (used > 0 && taken.find_first_not_of('\0') == taken.npos) skip_hole(file, used);
        if (file.tail.size() > print_size) file.tail.erase(0, file.tail.size() - print_size);
        file.place.offset += used;
        file.done = bytes.size() < most;
    }

    /// A file that was truncated under a writer which does not append begins with a hole of any length.
    void skip_hole(Followed& file, std::size_t used) {
        const auto here = static_cast<off_t>(file.place.offset + used);
        const auto data = ::lseek(file.open->number(), here, SEEK_DATA);
        if (data <= here) return;
        file.tail.append(std::min(print_size, static_cast<std::size_t>(data - here)), '\0');
        file.place.offset += static_cast<std::uint64_t>(data - here);
    }

    /// Counts the lines in `bytes`. What they take up; an unfinished line is left for another time.
    std::size_t consume(Followed& file, std::string_view bytes) {
        std::size_t at = 0;
        while (at < bytes.size()) {
            const auto newline = bytes.find('\n', at);
            if (file.place.skipping) {
                if (newline == bytes.npos) return bytes.size();
                file.place.skipping = false;
                at = newline + 1;
                continue;
            }
            if (bytes[at] == '\0') {
                at = std::min(bytes.find_first_not_of('\0', at), bytes.size());
                continue;
            }
            const std::size_t size = std::min(newline, bytes.size()) - at;
            if (size > config_->limits.line)
                ++tally.cut;
            else if (newline == bytes.npos)
                return at;
            count(file, bytes.substr(at, std::min<std::size_t>(size, config_->limits.line)));
            file.place.skipping = newline == bytes.npos;
            at = newline == bytes.npos ? bytes.size() : newline + 1;
        }
        return at;
    }

    void count(const Followed& file, std::string_view line) {
        if (line.ends_with('\r')) line.remove_suffix(1);
        ++tally.lines;
        const auto verdict = config_->matcher->look(line);
        if (verdict.ignored) ++tally.ignored;
        if (verdict.labels.empty()) return;
        const std::string shown = protocol::printable(protocol::redact(line));
        for (const std::size_t label : verdict.labels) {
            Counted& counted = tally.labels[label];
            ++counted.lines;
            counted.words = protocol::printable(verdict.words.front());
            counted.among = verdict.among;
            counted.line = shown;
            counted.file = file.path;
        }
        if (tally.last.size() == most_lines_shown) tally.last.pop_front();
        tally.last.push_back(file.path + ": " + shown);
    }

    void settle(Followed& file) {
        if (file.original != nullptr) {
            go_to_offset(file, std::min(file.size, file.original->place.offset));
            file.place.copy = true;
            file.done = true;
        }
        file.place.head = crc(file.head);
        file.place.tail = crc(file.tail);
        // What was not read to its end has changed, as far as the next run can see.
        file.place.written = file.written;
        file.place.size =
            file.done || (file.postponed && !config_->from_start) ? file.size : file.place.offset;
    }

    std::shared_ptr<const Config> config_;
    bool is_first_;
    Places before_;
    std::vector<Held> held_;
    std::map<FileId, Place> places_{};
    std::set<FileId> present_{};  // at some name
    std::vector<std::unique_ptr<Followed>> files_{};
    std::vector<Place> truncated_{};
    std::set<FileId> taken_over_{};  // gone, and read on in a copy
    std::int64_t horizon_ = std::numeric_limits<std::int64_t>::min();
    std::size_t next_ = 0;    // in files_
    std::uint64_t read_ = 0;  // bytes
};

Follower::Follower(std::shared_ptr<const Config> config, std::optional<Places> before, std::vector<Held> held)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(before), std::move(held))) {}
Follower::~Follower() = default;
void Follower::scan() { impl_->scan(); }
bool Follower::read_some() { return impl_->read_some(); }
void Follower::finish() { impl_->finish(); }
const FilesFound& Follower::found() const noexcept { return impl_->found; }
const Tally& Follower::tally() const noexcept { return impl_->tally; }
const Places& Follower::places() const noexcept { return impl_->places; }
std::vector<Held> Follower::held() const { return impl_->held(); }
std::uint64_t Follower::bytes_unread() const noexcept { return impl_->bytes_unread(); }
std::size_t Follower::files_left_out() const noexcept { return impl_->left_out; }

}  // namespace livecanary::log_keywords
