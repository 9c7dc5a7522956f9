#pragma once
// A small HTTP/1.1 server that answers POST at one path and nothing else: for what calls us back. Whoever
// connects is a stranger, so everything it may use of ours has a bound.
#include <cstdint>
#include <functional>
#include <list>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/core/reason.hpp"
#include "probes/net/background.hpp"

namespace livecanary::net {

namespace asio = boost::asio;
using asio::ip::tcp;

struct HttpListenerLimits {
    std::size_t connections = 32;               ///< at a time; one more is closed at once
    std::uint32_t header_size = 8 * 1024;       ///< bytes; above: 431
    std::uint64_t body_size = 64 * 1024;        ///< bytes; above: 413
    std::chrono::milliseconds request{10'000};  ///< for a request to come whole, also counted while idle
    std::chrono::milliseconds write{5'000};     ///< for an answer to be taken
};

/// A request that came whole.
struct HttpIncoming {
    std::string target{};  ///< path and query, as it came
    std::string body{};
    std::string peer{};  ///< address
};

struct HttpOutgoing {
    unsigned status = 200;
    std::string body{};  ///< JSON
};

/// Must end by itself, or when it is cancelled.
using HttpHandler = std::function<asio::awaitable<HttpOutgoing>(HttpIncoming)>;

/// Of one executor, not thread-safe. Must outlive serve().
class HttpListener {
public:
    /// `path` is the only one that is not 404; there, everything but POST is 405.
    HttpListener(asio::any_io_executor executor, std::string path, HttpListenerLimits limits,
                 HttpHandler handler);
    ~HttpListener();
    HttpListener(const HttpListener&) = delete;
    HttpListener& operator=(const HttpListener&) = delete;

    /// Binds, with SO_REUSEADDR. Port 0 takes a free one.
    error_code listen(tcp::endpoint endpoint);
    /// 0 while it does not listen.
    std::uint16_t port() const noexcept;
    /// Accepts until it is cancelled, then closes the port and ends its connections, and waits for their
    /// ends. The code is that of the port's own failure, if it was that which ended it.
    asio::awaitable<error_code> serve();

    std::size_t connections() const noexcept { return sessions_.size(); }
    std::uint64_t turned_away() const noexcept { return turned_away_; }  ///< for want of a free connection
    /// What the handler threw last, which is a bug of ours and was answered with 500; empty if it never did.
    const std::string& bug() const noexcept { return bug_; }

private:
    asio::awaitable<void> session(tcp::socket socket);
    void start(tcp::socket socket);

    asio::any_io_executor executor_;
    std::string path_;
    HttpListenerLimits limits_;
    HttpHandler handler_;
    tcp::acceptor acceptor_;
    std::list<Background> sessions_{};
    asio::steady_timer empty_;  // waited for once there is nothing but ends to wait for
    std::uint64_t turned_away_ = 0;
    std::string bug_{};
};

}  // namespace livecanary::net
