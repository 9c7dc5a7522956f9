#pragma once
// Neutral targets: when they fail too, it is us.
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "probes/core/run.hpp"

namespace livecanary::daemon {

/// Asks the configured anchors whether the network works here: the name resolves and its port accepts.
/// An answer serves everybody for `keep`, so a wide outage does not turn into a flood.
class Anchors {
public:
    /// `urls`: http:// or https://, already checked by the configuration.
    explicit Anchors(std::vector<std::string> urls) : urls_(std::move(urls)) {}

    /// Passed if one anchor answers, failed if none does; nothing if there are none. Ends within `patience`.
    boost::asio::awaitable<std::optional<Control>> ask(Env& env);

    static constexpr Clock::duration keep = std::chrono::seconds(10);
    static constexpr Clock::duration patience = std::chrono::seconds(2);

private:
    std::vector<std::string> urls_;
    std::optional<Control> answer_{};
    Clock::time_point asked_{};
};

}  // namespace livecanary::daemon
