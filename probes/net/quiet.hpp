#pragma once
// The completion token of this layer: errors are values, not exceptions.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace livecanary::net {

/// `auto [ec, n] = co_await op(…, no_throw);`
inline constexpr auto no_throw = boost::asio::as_tuple(boost::asio::use_awaitable);

}  // namespace livecanary::net
