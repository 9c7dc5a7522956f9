#pragma once
// A client's connection to the pages, plain or TLS: what the rooms of the HTTP side read from and write to.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace livecanary::daemon::web {

/// Of the web loop. Every operation ends at the time that was last set by expires_after(); with
/// beast::error::timeout, and then there is nothing left but to let it go.
class Client {
public:
    using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

    explicit Client(boost::asio::ip::tcp::socket socket);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// The server's side of a handshake. After an error only write_plainly() and drain() are left.
    boost::asio::awaitable<boost::system::error_code> start_tls(
        std::shared_ptr<boost::asio::ssl::context> context);

    void expires_after(std::chrono::milliseconds time) { tcp_.expires_after(time); }
    /// Reads a whole request; what has come of the next one stays in `buffer`.
    boost::asio::awaitable<boost::system::error_code> read(boost::beast::flat_buffer& buffer, Parser& parser);
    boost::asio::awaitable<boost::system::error_code> write(std::string_view head,
                                                            std::string_view body = {});
    /// Past TLS: to a client that spoke plain HTTP where TLS is expected.
    boost::asio::awaitable<void> write_plainly(std::string_view text);
    /// Takes leave, and takes up to `most` bytes of what the client is still sending: to close at once would
    /// reset the connection, and the client would lose our answer.
    boost::asio::awaitable<void> drain(std::size_t most);
    /// Takes leave in good order.
    boost::asio::awaitable<void> finish();
    /// At once, whatever is under way.
    void close() { tcp_.close(); }

    /// The client's address; empty once it is gone.
    std::string address() const;

private:
    boost::beast::tcp_stream tcp_;
    std::optional<boost::asio::ssl::stream<boost::beast::tcp_stream&>> tls_{};
    bool secured_ = false;  ///< its handshake is done
};

/// Of start_tls(): the client began to speak HTTP.
bool is_plain_http(const boost::system::error_code& error) noexcept;

}  // namespace livecanary::daemon::web
