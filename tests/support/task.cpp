#include "tests/support/task.hpp"

#include <stdexcept>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

namespace livecanary::test {

void run_until(asio::io_context &io, const std::function<bool()> &happened) {
    io.restart();
    while (!happened())
        if (io.run_one() == 0) throw std::logic_error("the loop ran dry before it happened");
}

void start(asio::io_context &io, asio::awaitable<void> work, asio::cancellation_slot stop,
           std::function<void(std::exception_ptr)> ended) {
    asio::co_spawn(io, std::move(work), asio::bind_cancellation_slot(stop, std::move(ended)));
}

Gate::Gate(asio::io_context &io) : closed_(io, Clock::time_point::max()) {}

void Gate::open() {
    open_ = true;
    closed_.cancel();
}

asio::awaitable<void> Gate::pass() {
    if (!open_) co_await closed_.async_wait(net::no_throw);
}

}  // namespace livecanary::test
