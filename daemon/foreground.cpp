#include "daemon/foreground.hpp"

#include <csignal>
#include <exception>
#include <utility>

#include "probes/core/reason.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

Foreground::Foreground(asio::io_context& io) : io_(io), signals_(io, SIGINT, SIGTERM) {
    signals_.async_wait([this](const error_code& ec, int) {
        if (ec) return;
        interrupted_ = true;
        std::signal(SIGINT, SIG_DFL);
        std::signal(SIGTERM, SIG_DFL);
        work_.stop();
    });
}

void Foreground::turn(asio::awaitable<void> work) { turn(work_, std::move(work)); }

void Foreground::finish(asio::awaitable<void> work) {
    net::Background uncut;
    turn(uncut, std::move(work));
}

void Foreground::turn(net::Background& place, asio::awaitable<void> work) {
    std::exception_ptr bug;
    place.start(io_.get_executor(), std::move(work), [&](const std::exception_ptr& failed) { bug = failed; });
    while (place.running() && io_.run_one() > 0) {
    }
    if (bug) std::rethrow_exception(bug);
}

}  // namespace livecanary::daemon
