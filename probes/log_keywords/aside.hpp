#pragma once
// Work that may block for good, such as on a file server that is gone: left behind at a deadline.
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "probes/core/blocking.hpp"
#include "probes/core/run.hpp"
#include "probes/net/quiet.hpp"

namespace livecanary::log_keywords {

/// Does `work` on `where` and comes back with what it gives; with nothing at the deadline, or if the caller
/// is cut. Then the work goes on by itself: it must own what it touches. Throws what it throws.
template <class T>
boost::asio::awaitable<std::optional<T>> aside(boost::asio::any_io_executor where, std::function<T()> work,
                                               Clock::time_point deadline) {
    namespace asio = boost::asio;
    struct Pending {
        explicit Pending(const asio::any_io_executor& executor, Clock::time_point until)
            : ended(executor, until) {}
        asio::steady_timer ended;
        std::optional<T> value{};
        std::exception_ptr failed{};
    };
    if (!where) co_return work();
    const auto executor = co_await asio::this_coro::executor;
    const auto pending = std::make_shared<Pending>(executor, deadline);
    auto on_end = [pending](std::exception_ptr failed, T value) {
        pending->failed = failed;
        if (!failed) pending->value = std::move(value);
        pending->ended.cancel();
    };
    auto under_way = blocking<T>(where, std::move(work));
    asio::co_spawn(executor, std::move(under_way), std::move(on_end));
    if (!pending->value && !pending->failed) co_await pending->ended.async_wait(net::no_throw);
    if (pending->failed) std::rethrow_exception(pending->failed);
    co_return std::move(pending->value);
}

}  // namespace livecanary::log_keywords
