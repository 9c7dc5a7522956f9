#pragma once
// One run: what was written to the logs since the last one.
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "probes/core/probe.hpp"
#include "probes/log_keywords/config.hpp"
#include "probes/log_keywords/follow.hpp"
#include "probes/log_keywords/watch.hpp"

namespace livecanary::log_keywords {

inline constexpr Phase reading{"read"};
inline constexpr std::array phases{reading};

inline constexpr Value matches{.metric = "livecanary_log_matches_total",
                               .help = "Lines of logs that point at a cause, or at a class of causes.",
                               .type = ValueType::counter,
                               .label = "cause"};
inline constexpr Value lines_read{.metric = "livecanary_log_lines_total",
                                  .help = "Lines of logs that were read.",
                                  .type = ValueType::counter};
inline constexpr Value files_followed{"livecanary_log_files",
                                      "Log files that the paths mean, in the last run."};
inline constexpr Value unread{"livecanary_log_unread_bytes",
                              "What the last run has left for the next one, of the files it opened."};
inline constexpr std::array values{matches, lines_read, files_followed, unread};

/// What goes on from run to run. Of one executor.
struct State {
    /// Of the last run that was not cut; nothing before the first one, unless it was remembered.
    std::optional<Places> places{};
    bool recalled = false;
    std::vector<Held> held{};
    std::shared_ptr<Arrivals> arrivals = std::make_shared<Arrivals>();
    std::optional<Clock::time_point> last_run{};
    std::vector<double> tokens{};  ///< by Config::expected: lines that may yet be subtracted
    /// By label: what was found last of those the run fails for.
    struct Failing {
        Clock::time_point at{};
        Counted found{};
    };
    std::map<std::size_t, Failing> failing{};
    /// Work on files is under way, perhaps left behind by a run whose time was over.
    std::shared_ptr<std::atomic<bool>> busy = std::make_shared<std::atomic<bool>>(false);
};

/// The key under which places are remembered.
inline constexpr std::string_view places_key = "places";

/// `run` must outlive it.
boost::asio::awaitable<RunResult> probe(std::shared_ptr<const Config> config, std::shared_ptr<State> state,
                                        ProbeRun& run);

}  // namespace livecanary::log_keywords
