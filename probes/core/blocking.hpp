#pragma once
// Work that may block, such as reading a file, done where it holds no loop up.
#include <functional>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace livecanary {

template <class T>
boost::asio::awaitable<T> perform_blocking(std::function<T()> work) {
    co_return work();
}

/// Does `work` on `where` (Env::blocking) and comes back to the caller's executor. It is whole even if the
/// caller is cut meanwhile: what it touches must live as long as it may take. An empty `where` does it here,
/// which is for tests and for commands that have nothing else to do.
template <class T>
boost::asio::awaitable<T> blocking(boost::asio::any_io_executor where, std::function<T()> work) {
    if (!where) co_return work();
    // Without a slot: what a cancellation hands to another executor (Boost 1.81, co_spawn's handler) may come
    // there after the work, and what it points to, is gone.
    auto uncut =
        boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot(), boost::asio::use_awaitable);
    co_return co_await boost::asio::co_spawn(where, perform_blocking(std::move(work)), std::move(uncut));
}

}  // namespace livecanary
