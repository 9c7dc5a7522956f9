#include "tests/support/task.hpp"

#include <stdexcept>

namespace livecanary::test {

void run_until(asio::io_context &io, const std::function<bool()> &happened) {
    io.restart();
    while (!happened())
        if (io.run_one() == 0) throw std::logic_error("the loop ran dry before it happened");
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
