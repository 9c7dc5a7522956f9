#pragma once
// A connection to an ingest server with its session, and a reader that is always at work.
#include <cstdint>
#include <exception>
#include <span>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/core/run.hpp"
#include "probes/net/connection.hpp"
#include "probes/protocol/rtmp/session.hpp"

namespace livecanary::rtmp_push {

namespace asio = boost::asio;

/// A refusal or a FIN must not wait until somebody looks. The reader never writes; what the session wants to
/// answer goes out with the next flush.
struct Link {
    Link(asio::any_io_executor executor, net::Connection&& open, protocol::rtmp::PublishOptions options,
         std::uint32_t time, std::span<const std::uint8_t, protocol::rtmp::handshake_random_size> random)
        : connection(std::move(open)), session(std::move(options), time, random), changed(executor) {
        changed.expires_at(Clock::time_point::max());
    }
    net::Connection connection;
    protocol::rtmp::PublishSession session;
    asio::steady_timer changed;  // cancelled whenever the reader has news
    bool reading = false;
    error_code read_error{};
    Clock::time_point read_at{};  // of the last read
    std::uint64_t news = 0;       // reads so far
    std::exception_ptr bug{};     // what ended the reader, if it was not the connection
};

/// The reader goes on until the connection or the session fails, or `deadline`. join() must be waited for
/// before the link goes.
void start_reading(Link& link, Clock::time_point deadline);
/// Waits for the reader's end: the connection has to be closed before.
asio::awaitable<void> join(Link& link);

/// Waits until the reader has news, or `until`. `seen`: link.news when the caller last looked.
asio::awaitable<void> wait_for_news(Link& link, std::uint64_t seen, Clock::time_point until);

}  // namespace livecanary::rtmp_push
