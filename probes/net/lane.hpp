#pragma once
// What ends an operation of Asio at its deadline, or when its coroutine is cancelled.
#include <cstdint>
#include <memory>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/core/run.hpp"

namespace livecanary::net {

namespace asio = boost::asio;

/// One direction of a connection: ends the operation in it, and only that, at the deadline or when its
/// coroutine is cancelled.
class Lane {
public:
    explicit Lane(const asio::any_io_executor& executor) : timer_(executor) {}

    /// Before an operation. `owner` keeps this lane alive; `cancelled` is the coroutine's own slot, which
    /// the operation does not get because it gets ours.
    void start(std::weak_ptr<void> owner, Clock::time_point deadline, asio::cancellation_slot cancelled) {
        expired_ = false;
        const auto turn = ++turn_;
        timer_.expires_at(deadline);
        timer_.async_wait([this, owner = std::move(owner), turn](error_code code) {
            // The operation may have ended while this handler was already waiting for its turn.
            if (const auto alive = owner.lock(); !alive || code || turn != turn_) return;
            expired_ = true;
            stop_.emit(asio::cancellation_type::terminal);
        });
        // Asio clears that slot when the operation ends.
        if (cancelled.is_connected())
            cancelled.assign(
                [this](asio::cancellation_type) { stop_.emit(asio::cancellation_type::terminal); });
    }
    asio::cancellation_slot slot() { return stop_.slot(); }
    /// After the operation: what its code means.
    error_code end(error_code code) {
        ++turn_;
        timer_.cancel();
        if (code == asio::error::operation_aborted && expired_) return asio::error::timed_out;
        return code;
    }

private:
    asio::steady_timer timer_;
    asio::cancellation_signal stop_;
    std::uint64_t turn_ = 0;
    bool expired_ = false;
};

}  // namespace livecanary::net
