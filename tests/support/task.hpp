#pragma once
// Coroutines under test: started, cut, waited for, on a loop that a test turns
// by hand.
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/core/run.hpp"
#include "probes/net/background.hpp"
#include "probes/net/quiet.hpp"

namespace livecanary::test {

namespace asio = boost::asio;

/// Turns the loop until `happened`. Throws if nothing is left that could make
/// it happen.
void run_until(asio::io_context &io, const std::function<bool()> &happened);

/// A point in time that many operations get which are not meant to reach it.
inline Clock::time_point far() { return Clock::now() + std::chrono::minutes(10); }
/// One that is meant to be reached.
inline Clock::time_point soon() { return Clock::now() + std::chrono::milliseconds(50); }

/// One coroutine, started at once (though it takes its first step only when the
/// loop turns).
template <class T>
class Task {
public:
    Task(asio::io_context &io, asio::awaitable<T> work) : io_(io), state_(std::make_shared<State>()) {
        auto on_end = [state = state_](const std::exception_ptr &failed) { state->failed = failed; };
        state_->work.start(io.get_executor(), keep(state_, std::move(work)), std::move(on_end));
    }

    bool ended() const { return !state_->work.running(); }
    /// Cancels it, as the daemon does with a run that shutdown ends.
    void cut() { state_->work.stop(); }
    /// Turns the loop until it has ended; throws what it threw.
    T wait() {
        run_until(io_, [this] { return ended(); });
        if (state_->failed) std::rethrow_exception(state_->failed);
        return *std::move(state_->value);
    }

private:
    struct State {
        net::Background work{};
        std::exception_ptr failed{};
        std::optional<T> value{};
    };
    static asio::awaitable<void> keep(std::shared_ptr<State> state, asio::awaitable<T> work) {
        state->value = co_await std::move(work);
    }
    asio::io_context &io_;
    std::shared_ptr<State> state_;
};

template <class T>
T await(asio::io_context &io, asio::awaitable<T> work) {
    return Task<T>(io, std::move(work)).wait();
}

/// Holds coroutines up until it is opened.
class Gate {
public:
    explicit Gate(asio::io_context &io);
    void open();
    asio::awaitable<void> pass();

private:
    asio::steady_timer closed_;
    bool open_ = false;
};

}  // namespace livecanary::test
