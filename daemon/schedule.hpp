#pragma once
// When each probe is due: a pure function of time and the probe's name. Knows no timer and reads no clock.
#include <cstdint>
#include <string_view>

#include "probes/core/run.hpp"

namespace livecanary::daemon {

/// Slots at anchor, anchor + interval, anchor + 2 · interval, …: a slot never depends on how long the runs
/// before it took, so nothing drifts.
class Schedule {
public:
    struct Next {
        Clock::time_point due;
        std::uint64_t missed = 0;  ///< slots that went by meanwhile: the run before was still under way
    };

    /// The first slot lies a stable part of `min(interval, spread)` after `start`, told by a hash of the
    /// name: probes of one interval do not start together, and one of a long interval is not waited for.
    static Schedule starting(Clock::time_point start, Clock::duration interval, std::string_view name);

    Clock::time_point first() const noexcept { return anchor_; }
    Clock::duration interval() const noexcept { return interval_; }

    /// The first slot after both `slot`, which was the last one dealt with, and `now`.
    Next after(Clock::time_point slot, Clock::time_point now) const noexcept;

    static constexpr Clock::duration spread = std::chrono::seconds(10);

private:
    Schedule(Clock::time_point anchor, Clock::duration interval) : anchor_(anchor), interval_(interval) {}

    Clock::time_point anchor_;
    Clock::duration interval_;
};

/// When to look again, quickly, after a first failure; `next_slot` if that is near enough or if another
/// request could do harm (a target that timed out is left alone until its next slot).
Clock::time_point confirmation_due(Clock::time_point now, Clock::time_point next_slot,
                                   Clock::duration interval, Reason reason) noexcept;

}  // namespace livecanary::daemon
