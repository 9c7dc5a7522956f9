#include "probes/rtmp_push/link.hpp"

#include <array>
#include <chrono>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace livecanary::rtmp_push {
namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

asio::awaitable<void> read_all(Link& link, Clock::time_point deadline) {
    std::array<std::uint8_t, 16384> buffer;
    while (!link.read_error) {
        const net::Moved moved = co_await link.connection.read_some(buffer, deadline);
        link.read_at = moved.at;
        ++link.news;
        if (moved.code) {
            link.read_error = moved.code;
        } else {
            const auto now_ms =
                std::chrono::duration_cast<std::chrono::milliseconds>(moved.at.time_since_epoch());
            link.read_error = link.session.feed(std::span(buffer).first(moved.size),
                                                static_cast<std::uint32_t>(now_ms.count()));
        }
        link.changed.cancel();
    }
}

}  // namespace

void start_reading(Link& link, Clock::time_point deadline) {
    link.reading = true;
    // Its end is waited for (join), so it may hold references to the link.
    auto ended = [&link](const std::exception_ptr& bug) {
        link.bug = bug;
        if (bug) link.read_error = asio::error::operation_aborted;
        link.reading = false;
        link.changed.cancel();
    };
    asio::co_spawn(link.changed.get_executor(), read_all(link, deadline), ended);
}

asio::awaitable<void> join(Link& link) {
    while (link.reading) {
        link.changed.expires_at(Clock::time_point::max());
        co_await link.changed.async_wait(no_throw);
    }
}

asio::awaitable<void> wait_for_news(Link& link, std::uint64_t seen, Clock::time_point until) {
    if (link.news != seen || link.read_error) co_return;
    link.changed.expires_at(until);
    co_await link.changed.async_wait(no_throw);
}

}  // namespace livecanary::rtmp_push
