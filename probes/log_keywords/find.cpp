#include "probes/log_keywords/find.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <string_view>

namespace livecanary::log_keywords {
namespace {

bool has_wildcard(std::string_view text) { return text.find_first_of("*?[\\") != text.npos; }

bool is_compressed(std::string_view name) {
    constexpr std::array<std::string_view, 5> ends{".gz", ".bz2", ".xz", ".zst", ".zip"};
    return std::ranges::any_of(ends, [&](auto end) { return name.ends_with(end); });
}

error_code last_error() { return {errno, boost::system::system_category()}; }

std::int64_t nanoseconds(const statx_timestamp& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

constexpr unsigned wanted = STATX_TYPE | STATX_INO | STATX_SIZE | STATX_MTIME | STATX_BTIME;

/// False if it is no ordinary file.
bool take(const struct statx& from, Seen& out) {
    if (!S_ISREG(from.stx_mode)) return false;
    out.id.device = makedev(from.stx_dev_major, from.stx_dev_minor);
    out.id.inode = from.stx_ino;
    out.id.born = (from.stx_mask & STATX_BTIME) != 0 ? nanoseconds(from.stx_btime) : 0;
    out.size = from.stx_size;
    out.written = nanoseconds(from.stx_mtime);
    return true;
}

/// Walks down one path of the configuration after the other.
class Walk {
public:
    Walk(const std::set<std::uint64_t>& known, FilesFound& found) : known_(known), found_(found) {}

    void start(std::size_t number, std::string_view path) {
        number_ = number;
        down("", path);
    }

private:
    /// `rest` starts with the slash behind `base`.
    void down(const std::string& base, std::string_view rest) {
        const auto slash = rest.find('/', 1);
        const std::string part(rest.substr(1, slash == rest.npos ? rest.npos : slash - 1));
        if (slash == rest.npos) {
            names(base, part);
        } else if (!has_wildcard(part)) {
            down(base + '/' + part, rest.substr(slash));
        } else {
            each_name(base, false, [&](const dirent& entry) {
                // What is no directory says so when it is opened.
                const bool may_be =
                    entry.d_type == DT_DIR || entry.d_type == DT_LNK || entry.d_type == DT_UNKNOWN;
                if (may_be && ::fnmatch(part.c_str(), entry.d_name, FNM_PERIOD) == 0)
                    down(base + '/' + entry.d_name, rest.substr(slash));
            });
        }
    }

    /// The last part of a path: names of files.
    void names(const std::string& directory, const std::string& pattern) {
        const bool is_name = !has_wildcard(pattern);
        if (is_name) file(directory + '/' + pattern, true);
        each_name(directory, is_name, [&](const dirent& entry) {
            const std::string_view name(entry.d_name);
            if (is_compressed(name) || entry.d_type == DT_DIR) return;
            const bool meant =
                is_name ? name == pattern : ::fnmatch(pattern.c_str(), entry.d_name, FNM_PERIOD) == 0;
            if (meant && !is_name) file(directory + '/' + entry.d_name, true);
            if (!meant && known_.contains(entry.d_ino)) file(directory + '/' + entry.d_name, false);
        });
    }

    /// `quiet`: it is no trouble if the directory may not be listed.
    template <class Each>
    void each_name(const std::string& directory, bool quiet, Each each) {
        const std::string path = directory.empty() ? "/" : directory;
        const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(path.c_str()), &::closedir);
        if (!open) {
            // Not being there is no trouble: nothing is in it then.
            if (errno != ENOENT && errno != ENOTDIR && !quiet) trouble(path, last_error());
            return;
        }
        found_.directories.insert(path);
        while (true) {
            errno = 0;
            const dirent* const entry = ::readdir(open.get());
            if (entry == nullptr) break;
            if (++seen_ > most_names) {
                found_.too_many = true;
                return;
            }
            each(*entry);
        }
        if (errno != 0) trouble(path, last_error());
    }

    void file(const std::string& path, bool meant) {
        struct statx status {};
        if (::statx(AT_FDCWD, path.c_str(), 0, wanted, &status) != 0) {
            if (errno != ENOENT && errno != ENOTDIR) trouble(path, last_error());
            return;
        }
        Seen seen{.path = path};
        if (!take(status, seen)) return;
        if (meant) found_.matched[number_] = true;
        const auto [at, is_new] = index_.try_emplace(seen.id, found_.files.size());
        if (is_new) found_.files.push_back(std::move(seen));
        if (!meant) return;
        Seen& known = found_.files[at->second];
        if (known.by.empty()) known.path = path;
        known.by.push_back(number_);
    }

    void trouble(const std::string& path, error_code code) {
        if (std::ranges::find(found_.unreadable, path, &Unreadable::path) == found_.unreadable.end())
            found_.unreadable.push_back({path, code});
    }

    const std::set<std::uint64_t>& known_;
    FilesFound& found_;
    std::map<FileId, std::size_t> index_{};  // into found_.files
    std::size_t number_ = 0;
    std::size_t seen_ = 0;  // names
};

}  // namespace

FilesFound find_files(const std::vector<std::string>& paths, const std::set<std::uint64_t>& known) {
    FilesFound found;
    found.matched.resize(paths.size());
    Walk walk(known, found);
    for (std::size_t number = 0; number < paths.size(); ++number) walk.start(number, paths[number]);
    return found;
}

error_code look_at(int descriptor, Seen& out) {
    struct statx status {};
    if (::statx(descriptor, "", AT_EMPTY_PATH, wanted, &status) != 0) return last_error();
    if (!take(status, out)) return make_error_code(boost::system::errc::not_supported);
    return {};
}

bool is_meant(const std::vector<std::string>& paths, const std::string& path) {
    return !is_compressed(path) && std::ranges::any_of(paths, [&](const std::string& pattern) {
        return ::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0;
    });
}

}  // namespace livecanary::log_keywords
