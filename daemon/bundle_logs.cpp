#include "daemon/bundle_logs.hpp"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <deque>
#include <set>
#include <system_error>

#include "config/descriptor.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto margin = 60s;
constexpr std::size_t stamp_within = 80;  // bytes of a line in which its time stands
constexpr std::size_t stamp_size = 20;    // 2026-11-28 14:03:07, 28-Nov-2026 14:03:07
constexpr std::size_t shortest_stamp = 19;

struct Found {
    std::string probe{}, path{};
    std::int64_t written = 0;
    off_t size = 0;
};

/// Ordinary files that the paths mean, each once.
std::vector<Found> files_of(const std::vector<LogPaths>& logs) {
    std::vector<Found> files;
    std::set<std::string> seen;
    for (const LogPaths& log : logs)
        for (const std::string& pattern : log.paths) {
            glob_t found{};
            // Nothing there is no trouble; what cannot be read is told by the probe.
            ::glob(pattern.c_str(), 0, nullptr, &found);
            for (std::size_t i = 0; i < found.gl_pathc; ++i) {
                const std::string path = found.gl_pathv[i];
                struct stat facts {};
                if (::stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) continue;
                if (path.ends_with(".gz") || !seen.insert(path).second) continue;
                files.push_back({log.probe, path, facts.st_mtim.tv_sec, facts.st_size});
            }
            ::globfree(&found);
        }
    return files;
}

/// As seconds of the calendar, in whatever zone it is.
std::optional<std::int64_t> civil_seconds(std::string_view head) {
    const std::string text(head.substr(0, stamp_size));
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    char name[4] = "";
    // Most logs, with '/' that of nginx's errors; and PHP's errors, with '/' nginx's requests.
    if (std::sscanf(text.c_str(), "%4d%*1[-/]%2d%*1[-/]%2d%*1[ T]%2d:%2d:%2d", &year, &month, &day, &hour,
                    &minute, &second) != 6) {
        if (std::sscanf(text.c_str(), "%2d%*1[-/]%3[A-Za-z]%*1[-/]%4d%*1[ :]%2d:%2d:%2d", &day, name, &year,
                        &hour, &minute, &second) != 6)
            return std::nullopt;
        constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
        const auto at = months.find(name);
        if (std::string_view(name).size() != 3 || at == months.npos || at % 3 != 0) return std::nullopt;
        month = static_cast<int>(at / 3) + 1;
    }
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days(date).time_since_epoch().count() * 86400LL + hour * 3600 + minute * 60 +
           second;
}

std::int64_t own_offset(std::int64_t seconds) {
    const std::time_t time = seconds;
    std::tm local{};
    return ::localtime_r(&time, &local) != nullptr ? local.tm_gmtoff : 0;
}

/// The end of a file, from the beginning of a line on. `cut`: there is more before it.
std::string tail(const Found& file, bool& cut, std::string& trouble) {
    // A pipe put there meanwhile would keep us waiting.
    const config::Descriptor open(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat facts {};
    if (open.get() < 0 || ::fstat(open.get(), &facts) != 0) {
        trouble = std::generic_category().message(errno);
        return {};
    }
    if (!S_ISREG(facts.st_mode)) {
        trouble = "it is no file any more";
        return {};
    }
    const auto limit = static_cast<off_t>(most_log_bytes);
    cut = file.size > limit;
    off_t at = cut ? file.size - limit : 0;
    std::string text;
    std::array<char, 64 * 1024> buffer;
    while (text.size() < most_log_bytes) {
        const ssize_t size = ::pread(open.get(), buffer.data(), buffer.size(), at);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) trouble = std::generic_category().message(errno);
        if (size <= 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(size));
        at += size;
    }
    if (cut) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
    return text;
}

/// Cut to what is taken of a line: not within an escape, which nobody could undo then.
std::string bounded(std::string_view line) {
    if (line.size() <= most_log_line) return std::string(line);
    constexpr std::size_t longest_escape = 12;  // \uD83D\uDE00
    std::size_t end = most_log_line;
    for (std::size_t at = end - longest_escape; at < end; ++at)
        if (std::string_view("%\\&").find(line[at]) != std::string_view::npos) end = at;
    return std::string(line.substr(0, end)) + " [cut]";
}

/// `room`: bytes that may still be taken.
LogExcerpt excerpt_of(const Found& file, const LogWish& wish, std::size_t& room) {
    LogExcerpt excerpt{.probe = file.probe, .path = file.path};
    bool cut = false;
    const std::string text = tail(file, cut, excerpt.note);
    std::deque<std::string> lines;
    std::size_t meant = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, end - at);
        at = end + 1;
        const bool named =
            std::ranges::any_of(wish.words, [&](const auto& word) { return line.find(word) != line.npos; });
        if (!named && !is_stamped_within(line, wish.around)) continue;
        ++meant;
        lines.push_back(bounded(line));
        if (lines.size() > most_log_lines) lines.pop_front();
    }
    std::size_t size = 0;
    for (const auto& line : lines) size += line.size();
    for (; size > room; lines.pop_front()) size -= lines.front().size();
    room -= size;
    excerpt.lines.assign(lines.begin(), lines.end());
    const auto add = [&](const std::string& words) {
        excerpt.note += (excerpt.note.empty() ? "" : "; ") + words;
    };
    if (cut) add("only its last " + std::to_string(most_log_bytes / 1024 / 1024) + " MiB were read");
    if (meant > lines.size())
        add("of " + std::to_string(meant) + " matching lines the last " + std::to_string(lines.size()));
    return excerpt;
}

}  // namespace

bool is_stamped_within(std::string_view line, const std::vector<WallTime>& times) {
    if (times.empty()) return false;
    const std::string_view head = line.substr(0, stamp_within);
    const auto parts = [](char c) { return c == '-' || c == '/'; };
    for (std::size_t at = 0; at + shortest_stamp <= head.size(); ++at) {
        if (head[at] < '0' || head[at] > '9' || !(parts(head[at + 4]) || parts(head[at + 2]))) continue;
        const auto stamp = civil_seconds(head.substr(at));
        if (!stamp) continue;
        return std::ranges::any_of(times, [&](WallTime time) {
            const auto seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
            constexpr std::int64_t china = 8 * 3600;
            return std::ranges::any_of(
                std::array<std::int64_t, 3>{0, own_offset(seconds), china},
                [&](std::int64_t offset) { return std::abs(*stamp - offset - seconds) <= margin.count(); });
        });
    }
    return false;
}

std::vector<LogExcerpt> read_logs(const std::vector<LogPaths>& logs, const LogWish& wish) {
    auto files = files_of(logs);
    std::ranges::stable_sort(files, std::greater(), &Found::written);
    if (files.size() > most_log_files) files.resize(most_log_files);
    std::ranges::sort(files, {}, &Found::path);
    std::vector<LogExcerpt> excerpts;
    std::size_t room = most_log_text;
    for (const Found& file : files) excerpts.push_back(excerpt_of(file, wish, room));
    return excerpts;
}

}  // namespace livecanary::daemon
