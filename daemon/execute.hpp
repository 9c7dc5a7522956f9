#pragma once
// One run and what belongs to it: the honesty checks, the controls, the diagnosis. The daemon and the verb
// `probe` share it.
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "daemon/loop_lag.hpp"
#include "daemon/rules.hpp"
#include "daemon/settings.hpp"
#include "probes/core/peers.hpp"

namespace livecanary::daemon {

/// What decides whether a run proves anything about its target.
struct Honesty {
    const LagRecord* lag = nullptr;
    Clock::duration max_loop_lag = std::chrono::milliseconds(250);
    /// A wall clock that moved this much against the steady one during a run was stepped.
    Clock::duration max_clock_step = std::chrono::seconds(2);
};

/// Runs `probe` once, to its end or its deadline. Never throws for what a target does; an exception out of a
/// run is a bug of ours and comes back as an inconclusive result.
boost::asio::awaitable<RunResult> execute(const ProbeSettings& probe, Env& env, const Honesty& honesty,
                                          ProbeRun::Observer observer = {});

/// Plays the kind's controls for a failed run and adds them to it. At most twice the probe's timeout.
boost::asio::awaitable<void> play_controls(const ProbeSettings& probe, Env& env, RunResult& failed);

/// The diagnosis of a failed run; nothing for another.
Diagnosis judge(const ProbeSettings& probe, const RunResult& run);

/// Adds what logs say of the same cause (topics::keyword): to the sentence of a cause that was claimed, to
/// the why of a candidate. A keyword alone claims nothing. Only those found within `holds` before `now`
/// count.
void confirm_by_keywords(Diagnosis& found, const std::vector<Notice>& keywords, WallTime now,
                         Clock::duration holds);

/// What a conclusive run that began at `began` proved, for rules over several probes.
Verdict verdict_of(const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                   Clock::time_point began);

}  // namespace livecanary::daemon
