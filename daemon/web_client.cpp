#include "daemon/web_client.hpp"

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>

namespace livecanary::daemon::web {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t read_at_once = 4096;  // bytes
/// A client that does not take leave is not waited for longer.
constexpr auto leave_time = std::chrono::seconds(1);

}  // namespace

Client::Client(asio::ip::tcp::socket socket) : tcp_(std::move(socket)) {}

asio::awaitable<error_code> Client::start_tls(std::shared_ptr<asio::ssl::context> context) {
    tls_.emplace(tcp_, *context);
    const auto [error] = co_await tls_->async_handshake(asio::ssl::stream_base::server, no_throw);
    secured_ = !error;
    co_return error;
}

asio::awaitable<error_code> Client::read(boost::beast::flat_buffer& buffer, Parser& parser) {
    parser.eager(true);
    for (;;) {
        error_code error;
        if (buffer.size() > 0) {
            buffer.consume(parser.put(buffer.data(), error));
            if (error && error != http::error::need_more) co_return error;
            if (parser.is_done()) co_return error_code();
        }
        if (buffer.size() >= buffer.max_size()) co_return http::error::buffer_overflow;
        const auto room = buffer.prepare(std::min(read_at_once, buffer.max_size() - buffer.size()));
        std::size_t size = 0;
        if (tls_) {
            const auto [failed, came] = co_await tls_->async_read_some(room, no_throw);
            error = failed;
            size = came;
        } else {
            const auto [failed, came] = co_await tcp_.async_read_some(room, no_throw);
            error = failed;
            size = came;
        }
        buffer.commit(size);
        if (error) co_return error;
    }
}

asio::awaitable<error_code> Client::write(std::string_view head, std::string_view body) {
    const std::array<asio::const_buffer, 2> all{asio::buffer(head.data(), head.size()),
                                                asio::buffer(body.data(), body.size())};
    if (tls_) {
        const auto [failed, size] = co_await asio::async_write(*tls_, all, no_throw);
        co_return failed;
    }
    const auto [failed, size] = co_await asio::async_write(tcp_, all, no_throw);
    co_return failed;
}

asio::awaitable<void> Client::write_plainly(std::string_view text) {
    co_await asio::async_write(tcp_, asio::buffer(text.data(), text.size()), no_throw);
}

asio::awaitable<void> Client::drain(std::size_t most) {
    tcp_.expires_after(leave_time);
    if (secured_) co_await tls_->async_shutdown(no_throw);
    error_code ignored;
    tcp_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    std::array<char, read_at_once> sink;
    for (std::size_t taken = 0; taken < most;) {
        const auto [error, size] = co_await tcp_.async_read_some(asio::buffer(sink), no_throw);
        if (error) co_return;
        taken += size;
    }
}

asio::awaitable<void> Client::finish() {
    if (!secured_) co_return;
    tcp_.expires_after(leave_time);
    co_await tls_->async_shutdown(no_throw);
}

std::string Client::address() const {
    error_code error;
    const auto endpoint = tcp_.socket().remote_endpoint(error);
    return error ? std::string() : endpoint.address().to_string();
}

bool is_plain_http(const error_code& error) noexcept {
    return error.category() == asio::error::get_ssl_category() &&
           ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST;
}

}  // namespace livecanary::daemon::web
