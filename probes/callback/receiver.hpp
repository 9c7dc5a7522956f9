#pragma once
// The listener that is a callback URL of the cloud, beside the runs of its probe.
#include <memory>
#include <optional>
#include <string>

#include "probes/callback/client.hpp"
#include "probes/callback/inbox.hpp"
#include "probes/core/peers.hpp"
#include "probes/net/http_listener.hpp"

namespace livecanary::callback {

/// What a probe keeps between its runs.
struct State {
    Gate gate{};
    std::optional<Inbox> inbox{};                    ///< if it receives
    const net::HttpListener* listener = nullptr;     ///< while it listens
    bool started = false;                            ///< the daemon runs the listener
    std::string cannot_listen{};                     ///< why it does not
    WallTime listening_since{};                      ///< of the last listening
    std::optional<Clock::time_point> control_due{};  ///< none: at the next run
    std::optional<Clock::time_point> record_due{};   ///< likewise, of event 100
};

/// Probe::background: listens until it is cancelled, again and again if the port cannot be had.
asio::awaitable<void> listen(std::shared_ptr<const Config> config, std::shared_ptr<State> state, Env& env);

/// Lets the inbox know of the pushes told of meanwhile.
void hear_of_pushes(State& state, const Env& env);

/// Probe::answer: questions::event.
asio::awaitable<result<PeerAnswer>> answer(std::shared_ptr<const Config> config, std::shared_ptr<State> state,
                                           ProbeRun& run, const Question& question);

}  // namespace livecanary::callback
