#include "probes/log_keywords/watch.hpp"

#include <fcntl.h>
#include <sys/inotify.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>

#include "probes/log_keywords/aside.hpp"
#include "probes/net/quiet.hpp"

namespace livecanary::log_keywords {
namespace {

namespace asio = boost::asio;

/// What came of a look at the directories.
struct Watched {
    std::map<int, std::string> directories{};  // by inotify's number
    std::vector<Held> files{};
};

std::vector<Held> open_all(const std::vector<std::string>& paths) {
    std::vector<Held> files;
    for (const auto& path : paths) {
        Held file;
        if (files.size() < most_held && !open_file(path, file)) files.push_back(std::move(file));
    }
    return files;
}

/// Watches every directory that a path leads to, and opens the files written last.
Watched look_around(const Config& config, const Descriptor& inotify) {
    Watched watched;
    auto found = find_files(config.paths, {});
    for (const auto& directory : found.directories) {
        if (watched.directories.size() == most_watched) break;
        const int number =
            ::inotify_add_watch(inotify.number(), directory.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
        if (number >= 0) watched.directories.emplace(number, directory);
    }
    // Only now, so that none can come in between.
    found = find_files(config.paths, {});
    std::ranges::sort(found.files, std::ranges::greater(), &Seen::written);
    std::vector<std::string> paths;
    for (const Seen& seen : found.files) paths.push_back(seen.path);
    watched.files = open_all(paths);
    return watched;
}

/// What a read of events says.
struct News {
    std::vector<std::string> paths{};  // of files that came
    bool look_around = false;          // events were lost, or directories came
};

/// The kernel's structs one behind the other, each followed by a name (inotify(7)).
News news_in(const char* bytes, std::size_t size, const std::map<int, std::string>& directories) {
    News news;
    for (std::size_t at = 0; at + sizeof(inotify_event) <= size;) {
        inotify_event event;
        std::memcpy(&event, bytes + at, sizeof event);
        const char* const name = bytes + at + sizeof event;
        at += sizeof event + event.len;
        if ((event.mask & (IN_Q_OVERFLOW | IN_ISDIR | IN_IGNORED)) != 0) {
            news.look_around = true;
            continue;
        }
        const auto directory = directories.find(event.wd);
        if (directory == directories.end() || event.len == 0) continue;
        news.paths.push_back((directory->second == "/" ? "" : directory->second) + '/' + name);
    }
    return news;
}

}  // namespace

void Arrivals::add(std::vector<Held> files) {
    for (auto& file : files) {
        const bool known = std::ranges::find(files_, file.id, &Held::id) != files_.end();
        if (!known && files_.size() < most_held) files_.push_back(std::move(file));
    }
}

std::vector<Held> Arrivals::take() { return std::exchange(files_, {}); }

asio::awaitable<void> watch(std::shared_ptr<const Config> config, std::shared_ptr<Arrivals> arrivals,
                            Env& env) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const int number = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (number < 0) co_return;
    const auto inotify = std::make_shared<const Descriptor>(number);
    // One for each owner: work that is left behind may still use its own.
    const int for_events = ::fcntl(number, F_DUPFD_CLOEXEC, 0);
    if (for_events < 0) co_return;
    asio::posix::stream_descriptor events(co_await asio::this_coro::executor, for_events);
    const std::function<Watched()> look = [config, inotify] { return look_around(*config, *inotify); };
    std::map<int, std::string> directories;
    std::array<char, 16 * 1024> buffer{};
    bool lost = true;
    while (true) {
        if (lost) {
            auto watched = co_await aside<Watched>(env.blocking, look, Clock::time_point::max());
            if (!watched) break;
            directories = std::move(watched->directories);
            arrivals->add(std::move(watched->files));
        }
        const auto [failed, size] = co_await events.async_read_some(asio::buffer(buffer), net::no_throw);
        if (failed) break;
        auto news = news_in(buffer.data(), size, directories);
        lost = news.look_around;
        std::erase_if(news.paths, [&](const auto& path) { return !is_meant(config->paths, path); });
        if (news.paths.empty()) continue;
        const std::function<std::vector<Held>()> open = [paths = std::move(news.paths)] {
            return open_all(paths);
        };
        auto files = co_await aside<std::vector<Held>>(env.blocking, open, Clock::time_point::max());
        if (!files) break;
        arrivals->add(std::move(*files));
    }
}

}  // namespace livecanary::log_keywords
