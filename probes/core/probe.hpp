#pragma once
// A probe kind as the daemon sees it. One folder under probes/ defines one `kind`.
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "config/reader.hpp"
#include "probes/core/diagnosis.hpp"
#include "probes/core/ledger.hpp"
#include "probes/core/memory.hpp"
#include "probes/core/peers.hpp"
#include "probes/core/run.hpp"

namespace livecanary {

/// A configured probe. Owns its configuration and must outlive the runs it starts.
struct Probe {
    std::string target{};  ///< what is watched, for people and the label `target`; holds no secret
    std::chrono::milliseconds at_least{0};  ///< a run takes longer than this when all is well
    std::function<boost::asio::awaitable<RunResult>(ProbeRun&)> run{};
    /// Plays the controls that would tell the causes of `failed` apart; at most once an incident. May be
    /// empty.
    std::function<boost::asio::awaitable<std::vector<Control>>(ProbeRun&, const RunResult& failed)>
        controls{};
    /// Removes what a run of this probe has left behind. No error: it is gone, or was not there.
    /// errc::device_or_resource_busy: this very probe still has a use for it and will remove it itself. May
    /// be empty for kinds that leave nothing.
    std::function<boost::asio::awaitable<error_code>(ProbeRun&, const Litter&)> remove{};
    /// What lies at the target that runs of this probe must have made, by its name, and that none of them can
    /// be using any more. Some of it may stand in the ledger; what does not was made after a sweep had looked
    /// for it, or by a daemon whose ledger is lost. At most some hundreds at a time. May be empty.
    std::function<boost::asio::awaitable<result<std::vector<Litter>>>(ProbeRun&)> strays{};
    std::function<Diagnosis(const RunResult&)> diagnose{};  ///< pure; asked only of failed runs

    /// Names of the probes this one asks (peers.hpp).
    std::vector<std::string> asks{};
    /// Those of them that must have run first, to have something to give: `livecanary probe` runs them too.
    std::vector<std::string> after{};
    /// Answers another probe, on a run of its own that has no result. A run of this probe may be under way
    /// meanwhile. Empty for kinds that are asked nothing.
    std::function<boost::asio::awaitable<result<PeerAnswer>>(ProbeRun&, const Question&)> answer{};
    /// Goes on beside the runs for as long as the daemon has this probe, until it is cancelled: a listener,
    /// say. What it finds, the next run tells. Not started by `livecanary probe`. May be empty.
    std::function<boost::asio::awaitable<void>(Env&)> background{};
    /// The probe leaves, by a stop or a reload; runs and background have ended. For what was kept between
    /// runs; within the run's deadline of a second or two. May be empty.
    std::function<boost::asio::awaitable<void>(ProbeRun&)> leave{};
    /// What the administrator of the target should do for this probe, such as a GRANT: lines for people,
    /// shown by `check-config`. No secret.
    std::vector<std::string> advice{};
    /// The values of those labels of Kind::values that the configuration decides on, by label.
    std::map<std::string, std::vector<std::string>, std::less<>> label_values{};
};

struct Kind {
    std::string_view name;          ///< `kind = "…"` in the TOML; the metric label `kind`
    std::span<const Phase> phases;  ///< every phase a run may enter
    std::span<const Value> values;  ///< every metric of its own
    Probe (*make)(config::Reader&);
};

/// All kinds built in, sorted by name. Written by CMake from the folders under probes/.
std::span<const Kind* const> all_kinds() noexcept;

}  // namespace livecanary
