#pragma once
// Learns from inotify of files that come between two runs, and keeps them open, so that one which is rotated
// away again before the next run is read all the same. Nothing depends on it: where there is no inotify, or
// its events get lost, the next run finds what is still there.
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "probes/core/run.hpp"
#include "probes/log_keywords/follow.hpp"

namespace livecanary::log_keywords {

/// Files that were seen to come since the last run, open. Of one executor.
class Arrivals {
public:
    /// Drops those that are known already, and the newest ones above `most_held`.
    void add(std::vector<Held> files);
    std::vector<Held> take();
    std::size_t size() const noexcept { return files_.size(); }

private:
    std::vector<Held> files_{};
};

/// Most directories watched by a probe.
constexpr std::size_t most_watched = 64;

/// Until it is cancelled. Ends at once if the system has no inotify instance left.
boost::asio::awaitable<void> watch(std::shared_ptr<const Config> config, std::shared_ptr<Arrivals> arrivals,
                                   Env& env);

}  // namespace livecanary::log_keywords
