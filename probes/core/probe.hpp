#pragma once
// A probe kind as the daemon sees it. One folder under probes/ defines one `kind`.
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "config/reader.hpp"
#include "probes/core/diagnosis.hpp"
#include "probes/core/ledger.hpp"
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
    /// Removes what a run of this probe has left behind. No error: it is gone, or was not there. May be empty
    /// for kinds that leave nothing.
    std::function<boost::asio::awaitable<error_code>(ProbeRun&, const Litter&)> remove{};
    std::function<Diagnosis(const RunResult&)> diagnose{};  ///< pure; asked only of failed runs
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
