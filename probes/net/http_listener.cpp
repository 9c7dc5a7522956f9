#include "probes/net/http_listener.hpp"

#include <array>
#include <exception>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "probes/net/quiet.hpp"

namespace livecanary::net {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using namespace std::chrono_literals;

/// How much of what a peer still sends is read away after an answer it did not wait for, so that it gets the
/// answer and not a reset (RFC 9112 §9.6).
constexpr std::size_t drain_limit = 256 * 1024;
constexpr auto drain_time = 2s;
/// Between two attempts to accept while there are no descriptors.
constexpr auto breath = 100ms;

using Response = http::response<http::string_body>;

std::string_view path_of(beast::string_view target) {
    const std::string_view text(target.data(), target.size());
    return text.substr(0, text.find('?'));
}

Response response_of(unsigned status, std::string body, bool keep_alive) {
    Response response;
    response.version(11);
    response.result(status);
    response.set(http::field::content_type, "application/json");
    if (status == 405) response.set(http::field::allow, "POST");
    response.body() = std::move(body);
    response.keep_alive(keep_alive);
    response.prepare_payload();
    return response;
}

unsigned status_of(const error_code& unread) {
    if (unread == http::error::header_limit) return 431;
    if (unread == http::error::body_limit) return 413;
    return unread.category() == make_error_code(http::error::bad_version).category() &&
                   unread != http::error::end_of_stream && unread != http::error::partial_message
               ? 400
               : 0;
}

bool is_cancelled(const asio::cancellation_state& state) {
    return state.cancelled() != asio::cancellation_type::none;
}

/// One connection, from its first request to its end.
class Talk {
public:
    Talk(tcp::socket socket, const HttpListenerLimits& limits)
        : stream_(std::move(socket)), limits_(limits), buffer_(limits.header_size + read_ahead) {}

    std::string peer() const {
        error_code ignored;
        return stream_.socket().remote_endpoint(ignored).address().to_string();
    }

    /// The next request; false if there is none to be answered by the handler: then all is done.
    asio::awaitable<bool> listen(const std::string& path, HttpIncoming& request) {
        http::request_parser<http::string_body> parser;
        parser.header_limit(limits_.header_size);
        parser.body_limit(limits_.body_size);
        stream_.expires_after(limits_.request);
        const auto [unread, size] = co_await http::async_read_header(stream_, buffer_, parser, no_throw);
        if (unread) {
            co_await refuse(status_of(unread));
            co_return false;
        }
        const bool is_ours = path_of(parser.get().target()) == path;
        if (!is_ours || parser.get().method() != http::verb::post) {
            co_await refuse(is_ours ? 405 : 404);
            co_return false;
        }
        if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
            const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
            const auto [unsent, sent] = co_await asio::async_write(stream_, asio::buffer(go_on), no_throw);
            if (unsent) co_return false;
        }
        const auto [cut, more] = co_await http::async_read(stream_, buffer_, parser, no_throw);
        if (cut) {
            co_await refuse(status_of(cut));
            co_return false;
        }
        keep_alive_ = parser.get().keep_alive();
        request.target = std::string(parser.get().target());
        request.body = std::move(parser.get().body());
        request.peer = peer();
        co_return true;
    }

    /// False once the connection has ended.
    asio::awaitable<bool> say(unsigned status, std::string body) {
        Response response = response_of(status, std::move(body), keep_alive_);
        stream_.expires_after(limits_.write);
        const auto [unsent, size] = co_await http::async_write(stream_, response, no_throw);
        co_return !unsent && keep_alive_;
    }

    void close() {
        error_code ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
        stream_.close();
    }

private:
    static constexpr std::size_t read_ahead = 16 * 1024;

    /// 0: there is nobody to tell.
    asio::awaitable<void> refuse(unsigned status) {
        if (status == 0) co_return;
        keep_alive_ = false;
        std::string nothing;
        co_await say(status, std::move(nothing));
        error_code ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
        stream_.expires_after(drain_time);
        std::array<char, 4096> unheard;
        for (std::size_t drained = 0; drained < drain_limit;) {
            const auto [code, size] = co_await stream_.async_read_some(asio::buffer(unheard), no_throw);
            if (code) co_return;
            drained += size;
        }
    }

    beast::tcp_stream stream_;
    const HttpListenerLimits& limits_;
    beast::flat_buffer buffer_;
    bool keep_alive_ = false;
};

}  // namespace

HttpListener::HttpListener(asio::any_io_executor executor, std::string path, HttpListenerLimits limits,
                           HttpHandler handler)
    : executor_(executor),
      path_(std::move(path)),
      limits_(limits),
      handler_(std::move(handler)),
      acceptor_(executor),
      empty_(executor, asio::steady_timer::time_point::max()) {}
HttpListener::~HttpListener() = default;

error_code HttpListener::listen(tcp::endpoint endpoint) {
    error_code code;
    acceptor_.open(endpoint.protocol(), code);
    if (!code) acceptor_.set_option(tcp::acceptor::reuse_address(true), code);
    if (!code) acceptor_.bind(endpoint, code);
    if (!code) acceptor_.listen(tcp::acceptor::max_listen_connections, code);
    error_code ignored;
    if (code) acceptor_.close(ignored);
    return code;
}

std::uint16_t HttpListener::port() const noexcept {
    error_code code;
    const auto endpoint = acceptor_.local_endpoint(code);
    return code ? std::uint16_t{0} : endpoint.port();
}

asio::awaitable<void> HttpListener::session(tcp::socket socket) {
    co_await asio::this_coro::throw_if_cancelled(false);
    Talk talk(std::move(socket), limits_);
    for (bool goes_on = true; goes_on;) {
        HttpIncoming request;
        const bool came = co_await talk.listen(path_, request);
        if (!came) break;
        HttpOutgoing answer;
        std::string bug;
        try {
            answer = co_await handler_(std::move(request));
        } catch (const std::exception& e) {
            bug = e.what();
        }
        if (!bug.empty()) {
            bug_ = bug;
            answer.status = 500;
            answer.body.clear();
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        if (is_cancelled(state)) break;
        goes_on = co_await talk.say(answer.status, std::move(answer.body));
    }
    talk.close();
}

void HttpListener::start(tcp::socket socket) {
    const auto at = sessions_.emplace(sessions_.end());
    auto ended = [this, at](const std::exception_ptr& failed) {
        // What a session throws is not the handler's: memory, say. It costs that connection only.
        if (failed) bug_ = "a connection ended by an exception";
        sessions_.erase(at);
        if (sessions_.empty()) empty_.cancel();
    };
    at->start(executor_, session(std::move(socket)), std::move(ended));
}

asio::awaitable<error_code> HttpListener::serve() {
    co_await asio::this_coro::throw_if_cancelled(false);
    error_code ended;
    for (;;) {
        auto [code, socket] = co_await acceptor_.async_accept(no_throw);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (is_cancelled(state)) break;
        if (code == asio::error::no_descriptors || code == asio::error::connection_aborted) {
            asio::steady_timer timer(executor_, breath);
            co_await timer.async_wait(no_throw);
            continue;
        }
        if (code) {
            ended = code;
            break;
        }
        if (sessions_.size() >= limits_.connections) {
            ++turned_away_;
            continue;  // which closes it
        }
        start(std::move(socket));
    }
    error_code ignored;
    acceptor_.close(ignored);
    // One that ends at once leaves the list.
    for (auto at = sessions_.begin(); at != sessions_.end();) (at++)->stop();
    while (!sessions_.empty()) co_await empty_.async_wait(no_throw);
    co_return ended;
}

}  // namespace livecanary::net
