#include "probes/net/background.hpp"

#include <stdexcept>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>

namespace livecanary::net {

namespace asio = boost::asio;

struct Background::State {
    asio::any_io_executor executor{};
    asio::cancellation_signal stop{};
    bool running = true;
};

void Background::start(const asio::any_io_executor& executor, asio::awaitable<void> work, Ended ended) {
    if (running()) throw std::logic_error("what goes on beside was started twice");
    state_ = std::make_shared<State>();
    state_->executor = executor;
    // Not in the state: what `ended` keeps alive may be what keeps us.
    auto on_end = [state = state_, ended = std::move(ended)](const std::exception_ptr& failed) {
        state->running = false;
        ended(failed);
    };
    asio::co_spawn(executor, std::move(work),
                   asio::bind_cancellation_slot(state_->stop.slot(), std::move(on_end)));
}

void Background::stop() {
    if (!running()) return;
    asio::dispatch(state_->executor, [state = state_] {
        if (state->running) state->stop.emit(asio::cancellation_type::terminal);
    });
}

bool Background::running() const noexcept { return state_ && state_->running; }

}  // namespace livecanary::net
