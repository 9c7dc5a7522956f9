#pragma once
// Neutral targets: when they fail too, it is us.
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/core/run.hpp"

namespace livecanary::daemon {

/// Asks the configured anchors whether the network works here: the name resolves and its port accepts.
/// An answer serves everybody for `keep`, and who asks meanwhile waits for it, so a wide outage does not turn
/// into a flood.
class Anchors {
public:
    /// `urls`: http:// or https://, already checked by the configuration.
    explicit Anchors(std::vector<std::string> urls) : urls_(std::move(urls)) {}

    /// Passed if one anchor answers, failed if none does; nothing if there are none, or if the caller is
    /// cancelled. They are asked one after the other, each for `patience` at most. `failed_since`: the start
    /// of the run in question; an older answer does not excuse us.
    boost::asio::awaitable<std::optional<Control>> ask(Env& env, Clock::time_point failed_since);

    static constexpr Clock::duration keep = std::chrono::seconds(10);
    static constexpr Clock::duration patience = std::chrono::seconds(2);  ///< for one anchor

private:
    boost::asio::awaitable<Control> ask_each(Env& env) const;

    std::vector<std::string> urls_;
    std::optional<Control> answer_{};
    Clock::time_point answered_at_{};
    /// There while somebody asks; ends for those who wait for the answer.
    std::optional<boost::asio::steady_timer> asking_{};
};

}  // namespace livecanary::daemon
