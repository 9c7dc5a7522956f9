#pragma once
// A coroutine that goes on beside what started it, and its end.
#include <exception>
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace livecanary::net {

/// Owns one coroutine at a time: starts it, may stop it, is told of its end.
///
/// Idle until start(); running until the coroutine has returned or thrown; then idle again, and may be
/// started anew. stop() only asks: what is awaited ends as cancelled, and the coroutine leaves in its own
/// way.
///
/// A stop said within the loop acts at once: when it returns, what was awaited is cancelled, and the end may
/// have come. Said from outside, it waits for the loop's next turn. Asio 1.81 would bring it there by the
/// address of a handler that dies with the coroutine; where that ends by itself in the same turn, and its
/// signal is gone, the next one would write to freed memory. Here what is brought there owns the signal, and
/// looks first whether there is still something to stop.
///
/// Of one loop, not thread-safe. Neither stops nor waits when it is destroyed: that is for whoever waits for
/// the end.
class Background {
public:
    /// Told once how it ended: null if it returned. What cancels it between two waits comes as an exception.
    /// It may destroy the Background or start it anew.
    using Ended = std::function<void(const std::exception_ptr&)>;

    Background() = default;
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

    /// `work` takes its first steps at once if this is said within the loop, else when that turns; `ended` is
    /// never called within start(), and must stay good until it is, or the loop is destroyed. Throws
    /// std::logic_error if one runs already.
    void start(const boost::asio::any_io_executor& executor, boost::asio::awaitable<void> work, Ended ended);
    /// Nothing happens if nothing runs.
    void stop();
    bool running() const noexcept;

private:
    struct State;
    std::shared_ptr<State> state_{};  ///< of the last one; null before the first
};

}  // namespace livecanary::net
