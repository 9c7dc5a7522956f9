#pragma once
// A run: events are sent as the cloud does, and what came in meanwhile is reported.
#include <memory>

#include "probes/callback/receiver.hpp"
#include "probes/net/values.hpp"

namespace livecanary::callback {

inline constexpr std::array values{callbacks, defects, delay, net::certificate_end, net::resolved_addresses};

/// The control within good runs: a wrongly signed event costs the backend a fatal error in its log, so it is
/// sent at most once an hour; once one was accepted, with every run.
inline constexpr std::chrono::hours control_every{1};

/// A body for each event that we may send, rightly or wrongly signed.
class Bodies {
public:
    Bodies(const Config& config, Env& env);
    /// 1, 0 or 100.
    std::string event(std::int64_t type) const;
    /// Event 0 with one digit of its signature changed.
    std::string wrongly_signed() const;
    /// Event 0 whose `sign` is JSON's `true`, which equals every text in a loose comparison of PHP.
    std::string loosely_signed() const;
    /// Event 100 without what a recording has: a right key gets code 4002, before anything is touched.
    std::string key_check(const std::string& key) const;
    std::string wrongly_signed_key_check() const;
    /// A recording of exactly 60 s with a video_id: taken, and not stored.
    std::string short_recording() const;
    /// Event 100 for the same stream, with "livecanary_" before its name.
    std::string recording_with_underscore() const;

private:
    std::string recording(std::string stream_id, std::chrono::seconds duration, bool video_id) const;

    const Config& config_;
    std::string stream_id_;
    std::chrono::sys_seconds now_;
    std::chrono::sys_seconds t_;
    std::string unique_;
};

/// Says everything on `run`. The caller must have switched off `throw_if_cancelled`; all must outlive it.
asio::awaitable<void> run_events(const Config& config, State& state, ProbeRun& run);
/// Phase `callback`: what came in. `alone`: nothing is sent.
void report_received(State& state, ProbeRun& run, bool alone);

}  // namespace livecanary::callback
