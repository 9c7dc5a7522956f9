#include "tests/support/http_server.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "tests/support/task.hpp"

namespace livecanary::test {

namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

struct ScriptedHttpServer::State {
    State(asio::io_context& io, HttpAnswers told)
        : acceptor(io, {asio::ip::address_v4::loopback(), 0}), answers(std::move(told)) {}
    tcp::acceptor acceptor;
    HttpAnswers answers;
    std::deque<HttpHeard> heard{};
    std::size_t accepted = 0;
    std::set<tcp::socket*> sockets{};  ///< of the clients that are here
    bool closing = false;
};

namespace {

std::string text(beast::string_view view) { return {view.data(), view.size()}; }

HttpHeard heard_of(const http::request<http::string_body>& request, std::size_t connection) {
    HttpHeard heard{.method = text(request.method_string()),
                    .target = text(request.target()),
                    .headers = {},
                    .body = request.body(),
                    .connection = connection};
    for (const auto& field : request) {
        std::string name = text(field.name_string());
        for (char& c : name)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        heard.headers[name] = text(field.value());
    }
    return heard;
}

std::string head_of(const HttpReply& reply) {
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " " +
                       text(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(reply.status)))) +
                       "\r\n";
    for (const auto& [name, value] : reply.headers) head += name + ": " + value + "\r\n";
    if (reply.framing == HttpFraming::length)
        head += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
    if (reply.framing == HttpFraming::chunked) head += "Transfer-Encoding: chunked\r\n";
    if (reply.framing == HttpFraming::close) head += "Connection: close\r\n";
    return head + "\r\n";
}

/// One client, from its first request to its end. Strings are named before they are passed on: with
/// `if (!co_await write(head_of(reply)))` in say(), GCC 12 laid out its frame wrongly, and `reply` was
/// garbage after the first wait.
class Talk {
public:
    explicit Talk(tcp::socket& socket) : socket_(socket) {}

    /// The next request; nothing once there is none.
    asio::awaitable<std::optional<http::request<http::string_body>>> listen() {
        http::request<http::string_body> request;
        const auto [unread, size] = co_await http::async_read(socket_, buffer_, request, net::no_throw);
        if (unread) co_return std::nullopt;
        co_return std::optional(std::move(request));
    }

    /// True if the client may ask again. `reply` outlives the call, which takes its body.
    asio::awaitable<bool> say(HttpReply& reply) {
        const bool waited = co_await wait(reply.delay);
        if (!waited) co_return false;
        std::string head = reply.raw ? *reply.raw : head_of(reply);
        const bool said = co_await write(std::move(head));
        if (!said) co_return false;
        if (!reply.raw) {
            const bool body_said = co_await say_body(reply);
            if (!body_said) co_return false;
        }
        if (reply.then == HttpThen::go_on && (reply.raw || reply.framing != HttpFraming::close))
            co_return true;
        co_await end(reply.then);
        co_return false;
    }

private:
    asio::awaitable<bool> say_body(HttpReply& reply) {
        std::size_t left = reply.cut_after;
        bool said = true;
        if (left > 0) {
            std::string body = std::move(reply.body);
            said = co_await say_piece(reply.framing, std::move(body), left);
        }
        while (said && left > 0 && reply.next) {
            const bool waited = co_await wait(reply.pace);
            if (!waited) co_return false;
            std::optional<std::string> more = reply.next();
            if (!more) break;
            said = co_await say_piece(reply.framing, *std::move(more), left);
        }
        if (!said || left == 0 || reply.framing != HttpFraming::chunked) co_return said;
        std::string last_chunk = "0\r\n\r\n";
        co_return co_await write(std::move(last_chunk));
    }

    /// Says as much of `bytes` as `left` allows, which becomes less. A chunk that is cut has its full size
    /// announced.
    asio::awaitable<bool> say_piece(HttpFraming framing, std::string bytes, std::size_t& left) {
        // An empty chunk would be the last one.
        if (bytes.empty()) co_return true;
        const bool whole = bytes.size() <= left;
        std::string framed;
        if (framing == HttpFraming::chunked) {
            std::array<char, 16> size{};
            const auto end = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16).ptr;
            framed.assign(size.data(), end).append("\r\n");
        }
        framed.append(bytes, 0, left);
        if (framing == HttpFraming::chunked && whole) framed += "\r\n";
        if (left != HttpReply::all) left -= std::min(left, bytes.size());
        co_return co_await write(std::move(framed));
    }

    asio::awaitable<bool> write(std::string bytes) {
        const auto [unsent, size] = co_await asio::async_write(socket_, asio::buffer(bytes), net::no_throw);
        co_return !unsent;
    }

    asio::awaitable<bool> wait(std::chrono::milliseconds time) {
        if (time.count() == 0) co_return true;
        asio::steady_timer timer(socket_.get_executor(), time);
        const auto [cut] = co_await timer.async_wait(net::no_throw);
        co_return !cut;
    }

    asio::awaitable<void> end(HttpThen then) {
        if (then == HttpThen::reset) {
            socket_.set_option(tcp::socket::linger(true, 0));
            socket_.close();
            co_return;
        }
        error_code ignored;
        if (then != HttpThen::stay_silent) socket_.shutdown(tcp::socket::shutdown_send, ignored);
        std::string unheard(4096, '\0');
        for (;;) {
            const auto [unread, size] =
                co_await socket_.async_read_some(asio::buffer(unheard), net::no_throw);
            if (unread) co_return;
        }
    }

    tcp::socket& socket_;
    beast::flat_buffer buffer_{1U << 20U};
};

}  // namespace

std::string HttpHeard::query() const {
    const auto mark = target.find('?');
    return mark == std::string::npos ? "" : target.substr(mark + 1);
}

namespace http_says {

HttpReply page(std::string body, std::string type) {
    return {.headers = {{"Content-Type", std::move(type)}}, .body = std::move(body)};
}

HttpReply playlist(std::string text) { return page(std::move(text), "application/vnd.apple.mpegurl"); }

HttpReply segment(std::string bytes) { return page(std::move(bytes), "video/mp2t"); }

HttpReply status(int status) { return {.status = status}; }

HttpReply redirect(std::string location, int status) {
    return {.status = status, .headers = {{"Location", std::move(location)}}};
}

HttpReply flv(std::string head, std::vector<std::string> tags, std::chrono::milliseconds pace,
              HttpFraming framing) {
    // Counts anew for each reply that is made of this one.
    auto next = [tags = std::move(tags), at = std::size_t{0}]() mutable -> std::optional<std::string> {
        if (at == tags.size()) return std::nullopt;
        return tags[at++];
    };
    return flv_as_due(std::move(head), std::move(next), pace, framing);
}

HttpReply flv_as_due(std::string head, std::function<std::optional<std::string>()> next,
                     std::chrono::milliseconds pace, HttpFraming framing) {
    HttpReply reply = page(std::move(head), "video/x-flv");
    reply.next = std::move(next);
    reply.pace = pace;
    reply.framing = framing;
    return reply;
}

HttpReply silence() {
    HttpReply reply;
    reply.raw = "";
    reply.then = HttpThen::stay_silent;
    return reply;
}

HttpReply silence_after_head(HttpReply reply) { return cut(std::move(reply), 0, HttpThen::stay_silent); }

HttpReply cut(HttpReply reply, std::size_t after, HttpThen then) {
    reply.cut_after = after;
    reply.then = then;
    return reply;
}

}  // namespace http_says

HttpAnswers always(HttpReply reply) {
    return [reply = std::move(reply)](const HttpHeard&) { return reply; };
}

HttpAnswers by_path(const HttpPages& pages) {
    return [&pages](const HttpHeard& heard) {
        const auto found = pages.find(heard.path());
        return found == pages.end() ? http_says::status(404) : found->second;
    };
}

namespace {

template <class State>
asio::awaitable<void> serve(std::shared_ptr<State> state, tcp::socket socket) {
    const std::size_t connection = state->accepted++;
    state->sockets.insert(&socket);
    Talk talk(socket);
    for (;;) {
        const auto request = co_await talk.listen();
        if (!request || state->closing) break;
        state->heard.push_back(heard_of(*request, connection));
        HttpReply reply = state->answers(state->heard.back());
        const bool again = co_await talk.say(reply);
        if (!again) break;
    }
    state->sockets.erase(&socket);
}

template <class State>
asio::awaitable<void> accept(std::shared_ptr<State> state) {
    for (;;) {
        auto [closed, socket] = co_await state->acceptor.async_accept(net::no_throw);
        if (closed) co_return;
        asio::co_spawn(state->acceptor.get_executor(), serve(state, std::move(socket)), asio::detached);
    }
}

}  // namespace

ScriptedHttpServer::ScriptedHttpServer(asio::io_context& io, HttpAnswers answers)
    : state_(std::make_shared<State>(io, std::move(answers))) {
    asio::co_spawn(io, accept(state_), asio::detached);
}

ScriptedHttpServer::~ScriptedHttpServer() {
    error_code ignored;
    state_->closing = true;
    state_->acceptor.close(ignored);
    for (tcp::socket* const socket : state_->sockets) socket->close(ignored);
}

std::uint16_t ScriptedHttpServer::port() const { return state_->acceptor.local_endpoint().port(); }

std::string ScriptedHttpServer::url(std::string_view path) const {
    return "http://127.0.0.1:" + std::to_string(port()) + std::string(path);
}

const std::deque<HttpHeard>& ScriptedHttpServer::heard() const { return state_->heard; }

std::size_t ScriptedHttpServer::count(std::string_view path) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(state_->heard, [&](const HttpHeard& heard) { return heard.path() == path; }));
}

std::size_t ScriptedHttpServer::connections() const { return state_->accepted; }

bool ScriptedHttpServer::deserted() const { return state_->sockets.empty(); }

void ScriptedHttpServer::answer(HttpAnswers answers) { state_->answers = std::move(answers); }

}  // namespace livecanary::test
