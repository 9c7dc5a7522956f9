// Theory of operation. One thread runs the web loop, and everything here belongs to it. A connection is the
// coroutine `serve`: read a request, answer it, until the client or `stop` ends it. Answers come from the
// rooms beside this one: `web_pages`, `web_api`, `web_probe` and `web_events`; what only the probe loop knows
// is asked there through `web_questions`.
#include "daemon/web.hpp"

#include <array>
#include <ctime>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>
#include <thread>

#include <prometheus/text_serializer.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "daemon/gzip.hpp"
#include "daemon/metrics.hpp"
#include "daemon/web_api.hpp"
#include "daemon/web_events.hpp"
#include "daemon/web_pages.hpp"
#include "daemon/web_probe.hpp"
#include "daemon/web_questions.hpp"
#include "daemon/web_reply.hpp"

namespace livecanary::daemon {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using web::Access;
using web::Question;
using web::Reply;
using web::Request;
using web::sentence;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

constexpr std::uint32_t header_limit = 8 * 1024;  // bytes; larger than any client of ours sends
constexpr std::uint64_t body_limit = 64 * 1024;   // bytes; no request of ours needs a body
constexpr std::size_t buffer_limit = 16 * 1024;   // bytes; holds one header and some of what follows
constexpr std::size_t gzip_from = 512;            // bytes; below, coding costs more than it saves
constexpr auto drain_time = std::chrono::seconds(1);
constexpr auto accept_pause = std::chrono::milliseconds(100);

using Response = http::response<http::string_body>;

[[noreturn]] void refuse(const std::string& listen, const boost::system::error_code& error) {
    throw std::system_error(error, "cannot listen on " + listen);
}

/// "192.0.2.1:80", "[2001:db8::1]:80" or ":80"; the last is every address, of IPv6 and IPv4 both.
tcp::endpoint parse_listen(const std::string& listen) {
    const auto invalid = asio::error::make_error_code(asio::error::invalid_argument);
    const auto colon = listen.rfind(':');
    if (colon == std::string::npos) refuse(listen, invalid);
    std::string host = listen.substr(0, colon);
    const std::string digits = listen.substr(colon + 1);
    const bool numeric =
        !digits.empty() && digits.size() <= 5 && digits.find_first_not_of("0123456789") == std::string::npos;
    const unsigned long port = numeric ? std::stoul(digits) : 65536;
    if (port > 65535) refuse(listen, invalid);
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets) host = host.substr(1, host.size() - 2);
    boost::system::error_code error;
    const auto address =
        host.empty() ? asio::ip::address(asio::ip::address_v6::any()) : asio::ip::make_address(host, error);
    if (error) refuse(listen, error);
    if (!host.empty() && address.is_v6() != brackets) refuse(listen, invalid);
    return {address, static_cast<std::uint16_t>(port)};
}

boost::system::error_code open(tcp::acceptor& acceptor, const tcp::endpoint& endpoint, bool both_families) {
    boost::system::error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(!both_families), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    return error;
}

tcp::acceptor listen_on(asio::io_context& io, const std::string& listen) {
    const auto endpoint = parse_listen(listen);
    const bool every_address = listen.starts_with(':');
    tcp::acceptor acceptor(io);
    auto error = open(acceptor, endpoint, every_address);
    if (error == boost::system::errc::address_family_not_supported && every_address) {
        // A kernel without IPv6.
        const tcp::endpoint any(asio::ip::address_v4::any(), endpoint.port());
        error = open(acceptor, any, false);
    }
    if (error) refuse(listen, error);
    return acceptor;
}

/// RFC 9110 §5.6.7. Nothing here sets a locale, so the names are English.
std::string http_date(WallTime time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 40> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

std::string serialize(std::vector<prometheus::MetricFamily> families) {
    Families ours;
    collect_process(ours);
    for (auto& family : ours.take()) families.push_back(std::move(family));
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families);
    return std::move(out).str();
}

/// What to tell a client whose request Beast refused; nothing if there is nobody left to tell.
std::optional<Reply> complaint(const boost::system::error_code& error) {
    if (error == http::error::header_limit)
        return sentence(http::status::request_header_fields_too_large, "the header is too large");
    if (error == http::error::body_limit)
        return sentence(http::status::payload_too_large, "the body is too large");
    if (error == http::error::end_of_stream || error == http::error::partial_message) return {};
    if (error.category() == http::make_error_code(http::error::end_of_stream).category())
        return sentence(http::status::bad_request, "this is not HTTP/1.1");
    return {};
}

}  // namespace

class WebServer::Impl {
public:
    Impl(WebOptions options, asio::any_io_executor probe_loop, WebBackend backend)
        : options_(std::move(options)),
          backend_(std::move(backend)),
          questions_(io_, std::move(probe_loop), options_.patience, backend_.trouble) {
        for (const std::string& listen : options_.listen) {
            acceptors_.push_back(listen_on(io_, listen));
            endpoints_.push_back(acceptors_.back().local_endpoint());
        }
        for (tcp::acceptor& acceptor : acceptors_) spawn(accept(acceptor));
        thread_ = std::thread([this] { io_.run(); });
    }

    ~Impl() {
        stop();
        thread_.join();
        questions_.close();
    }

    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void stop() {
        asio::post(io_, [this] { end(); });
    }

    const std::vector<tcp::endpoint>& endpoints() const noexcept { return endpoints_; }

private:
    /// One connection, known to the server while it lasts.
    struct Session {
        Session(Impl& owner, tcp::socket socket) : server(owner), stream(std::move(socket)) {
            server.sessions_.insert(this);
        }
        ~Session() {
            server.sessions_.erase(this);
            server.room_.cancel();
            if (server.sessions_.empty()) server.last_call_.cancel();
        }
        Session(const Session&) = delete;
        Session& operator=(const Session&) = delete;

        Impl& server;
        beast::tcp_stream stream;
        bool answering = false;  ///< else it waits for a request and can be ended at once
    };

    /// Every coroutine of the web loop starts here. ~Impl waits for their ends: the loop runs until then.
    void spawn(asio::awaitable<void> coroutine) {
        asio::co_spawn(io_, std::move(coroutine), [this](const std::exception_ptr& error) {
            if (error) questions_.report(error);
        });
    }

    void end() {
        if (stopping()) return;
        questions_.stop();
        for (tcp::acceptor& acceptor : acceptors_) acceptor.close();
        room_.cancel();
        for (Session* session : sessions_)
            if (!session->answering) session->stream.close();
        if (!sessions_.empty()) spawn(end_sessions());
    }

    asio::awaitable<void> end_sessions() {
        last_call_.expires_after(options_.patience);
        if (sessions_.empty()) co_return;
        co_await last_call_.async_wait(no_throw);
        for (Session* session : sessions_) session->stream.close();
    }

    asio::awaitable<void> accept(tcp::acceptor& acceptor) {
        while (!stopping()) {
            if (sessions_.size() >= options_.max_connections) {
                co_await room_.async_wait(no_throw);
                continue;
            }
            auto [error, socket] = co_await acceptor.async_accept(no_throw);
            if (stopping()) co_return;
            if (error) {
                // Out of descriptors or memory, most likely: that does not pass by asking faster.
                // A timer of its own: setting a shared one would wake the other listeners.
                asio::steady_timer pause(io_, accept_pause);
                co_await pause.async_wait(no_throw);
                continue;
            }
            spawn(serve(std::move(socket)));
        }
    }

    asio::awaitable<void> serve(tcp::socket socket) {
        Session session(*this, std::move(socket));
        beast::flat_buffer buffer(buffer_limit);
        bool more = true;
        while (more && !stopping()) {
            http::request_parser<http::string_body> parser;
            parser.header_limit(header_limit);
            parser.body_limit(body_limit);
            session.stream.expires_after(options_.client_limit);
            const auto [read_error, read] =
                co_await http::async_read(session.stream, buffer, parser, no_throw);
            std::optional<Reply> reply = read_error ? complaint(read_error) : std::optional<Reply>();
            if (read_error && !reply) co_return;

            const Request request = parser.release();
            if (!reply && events_.takes(request)) {
                co_await events_.serve(session.stream);
                co_return;
            }
            session.answering = true;
            if (!reply) reply = co_await answer(request);
            more = !read_error && request.keep_alive() && !stopping();
            Response response = finish(request, *std::move(reply), more);
            session.stream.expires_after(stopping() ? options_.patience : options_.client_limit);
            const auto [write_error, written] =
                co_await http::async_write(session.stream, response, no_throw);
            if (write_error) co_return;
            if (read_error) co_await drain(session);
            session.answering = false;
        }
    }

    /// Takes what the client is still sending: closing at once would reset the connection, and the client
    /// would lose our answer.
    asio::awaitable<void> drain(Session& session) {
        boost::system::error_code ignored;
        session.stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
        session.stream.expires_after(drain_time);
        std::array<char, 4096> sink;
        for (std::uint64_t taken = 0; taken < 4 * body_limit;) {
            const auto [error, size] = co_await session.stream.async_read_some(asio::buffer(sink), no_throw);
            if (error) co_return;
            taken += size;
        }
    }

    asio::awaitable<Reply> answer(const Request& request) {
        const std::string_view path = web::target_of(request).path;
        const Access pages = web::Pages::access(path);
        const Access access = pages != Access::none ? pages : own_access(path);
        const Access any = access != Access::none ? access : web::Api::access(path);
        if (any == Access::none) co_return sentence(http::status::not_found, "there is no such page");
        if (!allows(any, request.method())) {
            Reply reply = sentence(http::status::method_not_allowed, "this page does not take that method");
            reply.allow = any == Access::reads ? "GET, HEAD" : any == Access::get ? "GET" : "POST";
            co_return reply;
        }
        if (pages != Access::none) co_return co_await pages_.answer(request);
        if (access == Access::none) co_return co_await api_.answer(request);
        if (path == "/metrics") co_return co_await metrics();
        if (path == "/-/healthy") co_return co_await state(backend_.unhealthy, "livecanary is healthy");
        if (path == "/-/ready") co_return co_await state(backend_.not_ready, "livecanary is ready");
        if (path == "/-/reload") co_return co_await reload();
        if (web::ProbeRuns::access(path) != Access::none) co_return co_await probe_runs_.answer(request);
        co_return sentence(http::status::service_unavailable, "too many pages are being told of changes");
    }

    static bool allows(Access access, http::verb method) {
        const bool get = method == http::verb::get;
        if (access == Access::post) return method == http::verb::post;
        return get || (access == Access::reads && method == http::verb::head);
    }

    /// Of the paths that are no page and not of the API.
    static Access own_access(std::string_view path) {
        if (path == "/-/reload") return Access::post;
        const bool known = path == "/metrics" || path == "/-/healthy" || path == "/-/ready" ||
                           web::EventStreams::is_path(path);
        return known ? Access::reads : web::ProbeRuns::access(path);
    }

    asio::awaitable<Reply> metrics() {
        Question<std::vector<prometheus::MetricFamily>> question = backend_.metrics;
        const auto answer = co_await questions_.ask(std::move(question));
        if (!answer->value) co_return questions_.no_answer(answer->failed);
        Reply reply;
        reply.type = web::metrics_type;
        reply.body = serialize(*std::move(answer->value));
        co_return reply;
    }

    /// 200 with `fine`, or 503 with the words why not.
    asio::awaitable<Reply> state(const std::function<std::string()>& objection, std::string_view fine) {
        const auto answer = co_await questions_.ask_at_once(objection);
        if (!answer->value) co_return questions_.no_answer(answer->failed);
        if (!answer->value->empty()) co_return sentence(http::status::service_unavailable, *answer->value);
        co_return sentence(http::status::ok, fine);
    }

    asio::awaitable<Reply> reload() {
        if (!options_.lifecycle)
            co_return sentence(http::status::forbidden,
                               "reloading over HTTP is off: start livecanary with --web.enable-lifecycle, or "
                               "send it SIGHUP");
        Question<std::string> question = backend_.reload;
        const auto answer = co_await questions_.ask(std::move(question));
        if (!answer->value) co_return questions_.no_answer(answer->failed);
        if (!answer->value->empty()) co_return sentence(http::status::bad_request, *answer->value);
        co_return sentence(http::status::ok, "the configuration was reloaded");
    }

    Response finish(const Request& request, Reply reply, bool keep_alive) const {
        Response response(reply.status, 11);
        response.keep_alive(keep_alive);
        response.set(http::field::date, http_date(options_.wall()));
        response.set(http::field::content_type, beast::string_view(reply.type.data(), reply.type.size()));
        response.set(http::field::cache_control, reply.type == web::css_type || reply.type == web::script_type
                                                     ? "max-age=60"
                                                     : "no-store");
        response.set("Content-Security-Policy",
                     "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri "
                     "'none'; form-action 'self'; frame-ancestors 'none'");
        response.set("X-Content-Type-Options", "nosniff");
        response.set("Referrer-Policy", "no-referrer");
        response.set(http::field::vary, "Accept-Encoding");
        if (!reply.location.empty()) response.set(http::field::location, reply.location);
        if (!reply.allow.empty())
            response.set(http::field::allow, beast::string_view(reply.allow.data(), reply.allow.size()));
        const auto accepted = request[http::field::accept_encoding];
        if (reply.body.size() >= gzip_from && accepts_gzip({accepted.data(), accepted.size()})) {
            response.set(http::field::content_encoding, "gzip");
            reply.body = gzip(reply.body);
        }
        response.body() = std::move(reply.body);
        response.prepare_payload();
        // The length stays: HEAD tells what GET would send.
        if (request.method() == http::verb::head) response.body().clear();
        return response;
    }

    bool stopping() const noexcept { return questions_.stopping(); }

    const WebOptions options_;
    const WebBackend backend_;
    asio::io_context io_{1};
    web::Questions questions_;
    web::EventStreams events_{options_, backend_, questions_};
    web::Pages pages_{options_, backend_, questions_};
    web::Api api_{options_, backend_, questions_};
    web::ProbeRuns probe_runs_{backend_, questions_};
    std::vector<tcp::acceptor> acceptors_{};
    std::vector<tcp::endpoint> endpoints_{};
    asio::steady_timer room_{io_,
                             asio::steady_timer::time_point::max()};  ///< cancelled when a connection ends
    asio::steady_timer last_call_{io_};  ///< cancelled when the last connection ends
    std::set<Session*> sessions_{};
    std::thread thread_{};
};

WebServer::WebServer(WebOptions options, asio::any_io_executor probe_loop, WebBackend backend)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(probe_loop), std::move(backend))) {}

WebServer::~WebServer() = default;

void WebServer::stop() { impl_->stop(); }

const std::vector<tcp::endpoint>& WebServer::endpoints() const noexcept { return impl_->endpoints(); }

}  // namespace livecanary::daemon
