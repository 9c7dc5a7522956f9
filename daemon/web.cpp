// Theory of operation. One thread runs the web loop, and everything here belongs to it. A connection is the
// coroutine `serve`: shake hands if there is TLS, then read a request, let it in, answer it, until the client
// or `stop` ends it. Whether it is let in, says `web_doorkeeper`. Answers come from the rooms beside this
// one: `web_pages`, `web_api`, `web_probe` and `web_events`; what only the probe loop knows is asked there
// through `web_questions`.
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
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "daemon/gzip.hpp"
#include "daemon/metrics.hpp"
#include "daemon/web_api.hpp"
#include "daemon/web_client.hpp"
#include "daemon/web_doorkeeper.hpp"
#include "daemon/web_events.hpp"
#include "daemon/web_pages.hpp"
#include "daemon/web_probe.hpp"
#include "daemon/web_questions.hpp"
#include "daemon/web_reply.hpp"
#include "daemon/web_tls.hpp"

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
constexpr auto refusals_told_every = std::chrono::minutes(1);
constexpr std::string_view not_over_tls =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    "Content-Length: 53\r\n\r\nthis port speaks HTTPS: ask it with https:// instead\n";
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

/// Who asks whether we live is a supervisor that has no password; it learns nothing else.
bool is_for_everybody(std::string_view path) { return path == "/-/healthy" || path == "/-/ready"; }

Reply unknown_client() {
    Reply reply = sentence(http::status::unauthorized, "this page needs a user and a password");
    reply.authenticate = R"(Basic realm="livecanary", charset="UTF-8")";
    return reply;
}

Reply too_many_passwords() {
    Reply reply =
        sentence(http::status::service_unavailable, "too many passwords wait to be checked: ask again");
    reply.retry_after = "1";
    return reply;
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
          questions_(io_, std::move(probe_loop), options_.patience, backend_.trouble),
          doorkeeper_(io_, options_.client_limit, options_.is_password_of) {
        take(options_.access);
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

    void adopt(WebAccess access) {
        asio::post(io_, [this, access = std::move(access)] { take(access); });
    }

    const std::vector<tcp::endpoint>& endpoints() const noexcept { return endpoints_; }

private:
    /// One connection, known to the server while it lasts.
    struct Session {
        Session(Impl& owner, tcp::socket socket) : server(owner), client(std::move(socket)) {
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
        web::Client client;
        bool answering = false;  ///< else it waits for a request and can be ended at once
    };

    /// Every coroutine of the web loop starts here. ~Impl waits for their ends: the loop runs until then.
    void spawn(asio::awaitable<void> coroutine) {
        asio::co_spawn(io_, std::move(coroutine), [this](const std::exception_ptr& error) {
            if (error) questions_.report(error);
        });
    }

    void take(const WebAccess& access) {
        tls_ = access.tls;
        doorkeeper_.adopt(access.users, access.local_key);
    }

    void end() {
        if (stopping()) return;
        questions_.stop();
        doorkeeper_.stop();
        for (tcp::acceptor& acceptor : acceptors_) acceptor.close();
        room_.cancel();
        for (Session* session : sessions_)
            if (!session->answering) session->client.close();
        if (!sessions_.empty()) spawn(end_sessions());
    }

    asio::awaitable<void> end_sessions() {
        last_call_.expires_after(options_.patience);
        if (sessions_.empty()) co_return;
        co_await last_call_.async_wait(no_throw);
        for (Session* session : sessions_) session->client.close();
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
        const bool secured = co_await shake_hands(session.client);
        if (!secured) co_return;
        beast::flat_buffer buffer(buffer_limit);
        bool more = true;
        while (more && !stopping()) {
            web::Client::Parser parser;
            parser.header_limit(header_limit);
            parser.body_limit(body_limit);
            session.client.expires_after(options_.client_limit);
            const auto read_error = co_await session.client.read(buffer, parser);
            std::optional<Reply> reply = read_error ? complaint(read_error) : std::optional<Reply>();
            if (read_error && !reply) break;

            const Request request = parser.release();
            session.answering = true;
            if (!reply) reply = co_await objection(request, session.client);
            if (!reply && events_.takes(request)) {
                session.answering = false;
                co_await events_.serve(session.client);
                break;
            }
            if (!reply) reply = co_await answer(request);
            more = !read_error && request.keep_alive() && !stopping();
            Response response = finish(request, *std::move(reply), more);
            session.client.expires_after(stopping() ? options_.patience : options_.client_limit);
            std::ostringstream head;
            head << response.base();
            const std::string head_text = std::move(head).str();
            const auto write_error = co_await session.client.write(head_text, response.body());
            if (write_error) co_return;
            if (read_error) {
                co_await session.client.drain(4 * body_limit);
                co_return;
            }
            session.answering = false;
        }
        if (!stopping()) co_await session.client.finish();
    }

    /// False: it is over. Of TLS, if there is any.
    asio::awaitable<bool> shake_hands(web::Client& client) {
        if (!tls_) co_return true;
        client.expires_after(options_.client_limit);
        const auto error = co_await client.start_tls(tls_->context);
        if (!error) co_return true;
        // Who connects and says nothing, such as a load balancer's check, is no failure worth a line.
        const bool silent = error == asio::error::eof || error == asio::ssl::error::stream_truncated ||
                            error == asio::error::connection_reset || error == asio::error::operation_aborted;
        if (!silent) tell(handshakes_, "a TLS handshake failed: " + error.message(), client);
        if (web::is_plain_http(error)) {
            co_await client.write_plainly(not_over_tls);
            co_await client.drain(4 * body_limit);
        }
        co_return false;
    }

    /// Why the request gets no answer of its own; nothing if it does.
    asio::awaitable<std::optional<Reply>> objection(const Request& request, const web::Client& client) {
        if (is_for_everybody(web::target_of(request).path)) co_return std::nullopt;
        const auto said = web::field(request, http::field::authorization);
        const auto verdict = co_await doorkeeper_.judge(std::string(said));
        if (verdict == web::Doorkeeper::Verdict::enters) co_return std::nullopt;
        if (verdict == web::Doorkeeper::Verdict::busy) co_return too_many_passwords();
        // A browser first asks without.
        if (!said.empty()) tell(logins_, "a wrong user or password for the pages", client);
        co_return unknown_client();
    }

    /// How often clients have failed in one way, and when that was last told.
    struct Refusals {
        std::uint64_t count = 0;
        std::optional<std::chrono::steady_clock::time_point> told{};
    };
    void tell(Refusals& refusals, const std::string& what, const web::Client& client) {
        ++refusals.count;
        const auto now = std::chrono::steady_clock::now();
        if (!backend_.refused || (refusals.told && now - *refusals.told < refusals_told_every)) return;
        questions_.tell([refused = backend_.refused, what, address = client.address(),
                         count = refusals.count] { refused(what, address, count); });
        refusals = {.told = now};
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
        if (path == "/-/reload") co_return co_await reload(request);
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

    asio::awaitable<Reply> reload(const Request& request) {
        if (!options_.lifecycle)
            co_return sentence(http::status::forbidden,
                               "reloading over HTTP is off: start livecanary with --web.enable-lifecycle, or "
                               "send it SIGHUP");
        if (web::is_foreign(request))
            co_return sentence(http::status::forbidden, "this was sent by another site's page");
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
        if (!reply.authenticate.empty())
            response.set(http::field::www_authenticate,
                         beast::string_view(reply.authenticate.data(), reply.authenticate.size()));
        if (!reply.retry_after.empty())
            response.set(http::field::retry_after,
                         beast::string_view(reply.retry_after.data(), reply.retry_after.size()));
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
    web::Doorkeeper doorkeeper_;
    std::shared_ptr<const WebTls> tls_{};
    Refusals handshakes_{}, logins_{};
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

void WebServer::adopt(WebAccess access) { impl_->adopt(std::move(access)); }

const std::vector<tcp::endpoint>& WebServer::endpoints() const noexcept { return impl_->endpoints(); }

}  // namespace livecanary::daemon
