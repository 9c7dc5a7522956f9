#pragma once
// For verbs that ask one thing after the other: a loop of their own, turned until the one has its answer.
#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

namespace livecanary::daemon {

/// What `work` returns; nothing if it threw. Blocks until then: its deadline is that of the work.
template <class T>
std::optional<T> turned(boost::asio::io_context& io, boost::asio::awaitable<T> work) {
    std::optional<T> value;
    bool ended = false;
    io.restart();  // it may have run dry before
    // What is done on another thread meanwhile is no work of the loop's.
    const auto busy = boost::asio::make_work_guard(io);
    boost::asio::co_spawn(io, std::move(work), [&](const std::exception_ptr& failed, T said) {
        ended = true;
        if (!failed) value = std::move(said);
    });
    while (!ended) io.run_one();
    return value;
}

}  // namespace livecanary::daemon
