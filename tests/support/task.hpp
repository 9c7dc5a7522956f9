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
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/core/run.hpp"
#include "probes/net/quiet.hpp"

namespace livecanary::test {

namespace asio = boost::asio;

/// Turns the loop until `happened`. Throws if nothing is left that could make
/// it happen.
void run_until(asio::io_context &io, const std::function<bool()> &happened);

/// Starts `work`, which `stop` can cut; then `ended` is told what it threw.
/// Compiled once, in place of once for each type of result: it makes up most of
/// what a test over sockets costs to build.
void start(asio::io_context &io, asio::awaitable<void> work, asio::cancellation_slot stop,
           std::function<void(std::exception_ptr)> ended);

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
        start(io, keep(state_, std::move(work)), state_->stop.slot(),
              [state = state_](std::exception_ptr failed) {
                  state->failed = failed;
                  state->ended = true;
              });
    }

    bool ended() const { return state_->ended; }
    /// Cancels it, as the daemon does with a run that shutdown ends: from within the loop, hence at its next
    /// turn. Said from outside, Asio would hand it to the loop by the address of a handler, which is gone if
    /// the coroutine ends by itself first.
    void cut() {
        asio::post(io_, [state = state_] {
            if (!state->ended) state->stop.emit(asio::cancellation_type::terminal);
        });
    }
    /// Turns the loop until it has ended; throws what it threw.
    T wait() {
        run_until(io_, [this] { return ended(); });
        if (state_->failed) std::rethrow_exception(state_->failed);
        return *std::move(state_->value);
    }

private:
    struct State {
        asio::cancellation_signal stop;
        std::exception_ptr failed{};
        std::optional<T> value{};
        bool ended = false;
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
