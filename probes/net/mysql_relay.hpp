#pragma once
// TLS on behalf of libmariadb: the library talks to a local socket, we talk TLS to the server.
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/net/connection.hpp"
#include "probes/net/lane.hpp"
#include "probes/protocol/mysql_wire.hpp"

namespace livecanary::net {

/// Theory of operation. connect() and read_greeting() speak with the server alone. listen() and accept() let
/// the library in, at an abstract socket that takes nobody but this process. The library gets the greeting
/// without the offer of TLS; what it answers is held back (hear()) until the request for TLS was sent in its
/// name and TLS stands (start_tls()), then forward() sends it on and lets bytes flow both ways. The request
/// has used up one sequence number that the library knows nothing of, so numbers are shifted by one until the
/// handshake is over.
class MysqlRelay : public std::enable_shared_from_this<MysqlRelay> {
public:
    /// The relay is over by `until`.
    MysqlRelay(const asio::any_io_executor& executor, Clock::time_point until);

    asio::awaitable<error_code> connect(tcp::endpoint endpoint, Clock::time_point deadline);
    asio::awaitable<error_code> read_greeting(Clock::time_point deadline);
    const protocol::MysqlGreeting& greeting() const noexcept { return greeting_; }

    /// The name to give the library, as it writes abstract sockets.
    /// `number` makes it unique within this process.
    result<std::string> listen(std::uint64_t number);
    /// Takes the library's connection in and gives it the greeting.
    asio::awaitable<error_code> accept(Clock::time_point deadline);
    /// Waits for the library's first packet.
    asio::awaitable<error_code> hear(Clock::time_point deadline);
    asio::awaitable<error_code> start_tls(TlsOptions options, Clock::time_point deadline, TlsFacts& facts);
    /// Sends what was held back, and starts relaying.
    asio::awaitable<error_code> forward(Clock::time_point deadline);

    /// Completes a handshake that the server has begun, as nobody, and quits. Does nothing if it has been
    /// forwarded.
    asio::awaitable<void> excuse(Clock::time_point deadline);
    /// Waits until all the library has said has gone to the server, then closes.
    asio::awaitable<void> finish(Clock::time_point deadline);
    void stop();
    /// Bytes go both ways.
    bool flows() const noexcept { return flows_; }

private:
    using Local = asio::local::stream_protocol;
    asio::awaitable<error_code> apart(asio::awaitable<error_code> step);
    static asio::awaitable<void> carry(std::shared_ptr<MysqlRelay> self, asio::awaitable<error_code> step);
    static asio::awaitable<error_code> shake(std::shared_ptr<MysqlRelay> self, TlsOptions options,
                                             Clock::time_point deadline);
    static asio::awaitable<void> outward(std::shared_ptr<MysqlRelay> self);
    static asio::awaitable<void> inward(std::shared_ptr<MysqlRelay> self);

    Connection remote_;
    Local::acceptor acceptor_;
    Local::socket local_;
    Lane waiting_;
    asio::steady_timer flowing_;  // cancelled when outward() has ended
    bool flows_ = false;
    asio::steady_timer stepped_;  // cancelled when a step apart has ended
    bool stepping_ = false;
    error_code step_failed_{};
    TlsFacts tls_facts_{};
    Clock::time_point until_;
    protocol::MysqlGreeting greeting_{};
    std::vector<std::uint8_t> from_server_{};  // the greeting, and what came with it
    std::vector<std::uint8_t> held_{};         // the library's first packet
    std::uint8_t due_ = 0;                     // sequence number of the packet the server waits for; 0: none
    protocol::MysqlRenumber to_server_{1};
    protocol::MysqlRenumber to_library_{-1};
};

}  // namespace livecanary::net
