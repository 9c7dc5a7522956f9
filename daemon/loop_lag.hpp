#pragma once
// How late the event loop is: measured all the time, so that our own slowness never reads as a slow target.
#include <deque>
#include <functional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/core/run.hpp"

namespace livecanary::daemon {

/// The lags seen, as a value: fed by LoopLag, asked by runs.
class LagRecord {
public:
    /// A tick due at `due` ran at `at`.
    void tick(Clock::time_point due, Clock::time_point at);
    /// The worst lag between `from` and `now`, the one under way included.
    Clock::duration worst_since(Clock::time_point from, Clock::time_point now) const;

    static constexpr Clock::duration period = std::chrono::milliseconds(20);

private:
    struct Spike {
        Clock::time_point at;
        Clock::duration lag;
    };
    static constexpr Clock::duration worth_keeping = std::chrono::milliseconds(5);
    static constexpr std::size_t most = 512;  // the oldest go first
    /// The oldest is the worst: one that was followed by a worse one answers no question any more.
    std::deque<Spike> spikes_{};
    Clock::time_point next_due_{};
};

/// Ticks every `LagRecord::period` until cancelled.
boost::asio::awaitable<void> measure_lag(LagRecord& record, std::function<void(Clock::duration)> seen);

}  // namespace livecanary::daemon
