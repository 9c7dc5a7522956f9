#pragma once
// What a verb does on a loop of its own while somebody waits for it, who may break it off.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "probes/net/background.hpp"

namespace livecanary::daemon {

/// Turns the loop for one piece of work after the other. The first SIGINT or SIGTERM since it was made cuts
/// the one under way; the second ends the process: whoever asks twice does not want to wait for the goodbye.
class Foreground {
public:
    /// `io` must outlive it.
    explicit Foreground(boost::asio::io_context& io);

    /// Until `work` has ended. Throws what it threw.
    void turn(boost::asio::awaitable<void> work);
    /// Likewise, but a signal does not cut it.
    void finish(boost::asio::awaitable<void> work);
    bool interrupted() const noexcept { return interrupted_; }

private:
    void turn(net::Background& place, boost::asio::awaitable<void> work);

    boost::asio::io_context& io_;
    boost::asio::signal_set signals_;
    net::Background work_{};
    bool interrupted_ = false;
};

}  // namespace livecanary::daemon
