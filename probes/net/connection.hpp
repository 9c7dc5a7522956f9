#pragma once
// One TCP connection, plain or TLS, as a probe needs it: every operation ends by the deadline, whatever the
// peer does, and says when what happened, happened.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "probes/core/run.hpp"
#include "probes/net/held_socket.hpp"
#include "probes/net/tcp_facts.hpp"
#include "probes/net/tls.hpp"

namespace livecanary::net {

namespace asio = boost::asio;
using asio::ip::tcp;

/// Bytes moved, and when. `code` empty: `size` > 0.
struct Moved {
    error_code code{};
    /// Of a write also with a code: these bytes have gone, or will go ahead of any later write.
    std::size_t size = 0;
    Clock::time_point at{};  ///< when the loop learnt of it
};

/// One read and one write may be under way at a time, each with its own deadline. Not thread-safe.
///
/// An operation that its deadline ends has errc::timed_out, one that is cancelled (through its coroutine)
/// or closed under way has operation_aborted. Either way the connection still stands: after resetting its
/// cancellation state, a cut coroutine can write its farewell. A failed start_tls() leaves nothing to do but
/// close. Operations keep what they need: destroying the Connection under one ends it as closing does.
class Connection {
public:
    explicit Connection(asio::any_io_executor executor);
    ~Connection();
    Connection(Connection&&) noexcept;
    Connection& operator=(Connection&&) noexcept;

    /// Connects to one address: a probe measures one path, it does not hunt for a good one. Sets TCP_NODELAY,
    /// TCP_QUICKACK and TCP_USER_TIMEOUT (15 s). Closes what was open before.
    asio::awaitable<error_code> connect(tcp::endpoint endpoint, Clock::time_point deadline);

    /// TLS 1.2 or later on the open connection. `facts` is filled as far as the handshake came.
    /// The code of a certificate that was not accepted is a TlsError with Reason::certificate.
    asio::awaitable<error_code> start_tls(TlsOptions options, Clock::time_point deadline, TlsFacts& facts);

    /// At least one byte, or an error; eof once the peer closed in good order, stream_truncated if it closed
    /// TLS without saying so.
    asio::awaitable<Moved> read_some(std::span<std::uint8_t> buffer, Clock::time_point deadline);
    /// All of `bytes`, or an error; `at` is when the socket took the last of them.
    asio::awaitable<Moved> write(std::span<const std::uint8_t> bytes, Clock::time_point deadline);

    /// On by default: acknowledge at once. TCP_QUICKACK is not sticky, so it is set again after every read.
    void quick_ack(bool on);
    bool is_open() const noexcept;
    bool is_tls() const noexcept;
    TcpFacts tcp_facts() const;
    std::optional<tcp::endpoint> local_endpoint() const;
    /// Ends our side in good order without waiting (close_notify, FIN; neither is awaited), then closes.
    void close();
    /// Closes with a reset.
    void abort();
    /// Lets go of the socket without a word to the peer, for whom the connection goes on. Not while an
    /// operation is under way.
    HeldSocket let_go();

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

/// Reads the trust that start_tls() will need, which blocks: for start-up. It does so itself the first time,
/// and when the file has changed. TlsError::trust_unreadable.
error_code load_trust(const asio::any_io_executor& executor, const std::string& ca_file = {});

}  // namespace livecanary::net
