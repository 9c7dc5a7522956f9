#pragma once
// Confirming, failing, recovered: what a row of outcomes means. A pure state machine.
//
// Theory of operation. `ok` --failure--> `suspect` --fail_after failures in a row--> `alerting`
// --recover_after successes in a row--> `ok`. A success in `suspect` ends it. An inconclusive run proves
// nothing and moves nobody. An incident lasts from leaving `ok` until coming back.
#include "daemon/metrics.hpp"
#include "probes/core/run.hpp"

namespace livecanary::daemon {

class Incidents {
public:
    Incidents(int fail_after, int recover_after) : fail_after_(fail_after), recover_after_(recover_after) {}

    struct Step {
        bool began = false;      ///< an incident began with this run
        bool ended = false;      ///< the incident is over
        bool confirmed = false;  ///< failed again, or may alert at once: worth playing the controls
    };
    Step feed(RunOutcome outcome) noexcept;
    /// An alert from before a restart: it stands as after fail_after failures, and a success that was there
    /// already counts. False if that one has ended it.
    bool alert_stands() noexcept;

    const Standing& standing() const noexcept { return standing_; }
    bool incident() const noexcept { return incident_; }

private:
    int fail_after_;
    int recover_after_;
    int successes_ = 0;  // in a row, while alerting
    bool incident_ = false;
    Standing standing_{};
};

}  // namespace livecanary::daemon
