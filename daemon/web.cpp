// Theory of operation. One thread runs the web loop, and everything but `Link` belongs to it. A connection is
// the coroutine `serve`: read a request, answer it, until the client or `stop` ends it. What only the probe
// loop knows is asked there by `ask`: a question is spawned on that loop, its answer is posted back through
// `Link`, and the connection waits for it on a timer. An answer that comes late finds nobody waiting, or,
// after the server is gone, a closed Link; in both cases it is dropped.
#include "daemon/web.hpp"

#include <array>
#include <ctime>
#include <mutex>
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
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/gzip.hpp"
#include "daemon/metrics.hpp"
#include "daemon/page.hpp"
#include "daemon/probe_page.hpp"
#include "daemon/status_page.hpp"

namespace livecanary::daemon {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

constexpr std::uint32_t header_limit = 8 * 1024;  // bytes; larger than any client of ours sends
constexpr std::uint64_t body_limit = 64 * 1024;   // bytes; no request of ours needs a body
constexpr std::size_t buffer_limit = 16 * 1024;   // bytes; holds one header and some of what follows
constexpr std::size_t gzip_from = 512;            // bytes; below, coding costs more than it saves
constexpr auto drain_time = std::chrono::seconds(1);
constexpr auto accept_pause = std::chrono::milliseconds(100);

constexpr std::string_view text_type = "text/plain; charset=utf-8";
constexpr std::string_view html_type = "text/html; charset=utf-8";
constexpr std::string_view css_type = "text/css; charset=utf-8";
constexpr std::string_view script_type = "text/javascript; charset=utf-8";
constexpr std::string_view json_type = "application/json";
/// A stream of events says something at least so often, or a proxy takes it for dead.
constexpr auto heartbeat = std::chrono::seconds(15);
/// Followed by `/NAME`, one probe.
constexpr std::string_view probes_path = "/api/v1/probes";
constexpr std::string_view page_path = "/probes/";
constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";

using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

struct Reply {
    http::status status = http::status::ok;
    std::string body{};
    std::string_view type = text_type;
    std::string_view allow{};  ///< for 405
    std::string location{};    ///< for 303
};

Reply sentence(http::status status, std::string_view words) {
    return {.status = status, .body = std::string(words) + "\n"};
}

/// The way back from the probe loop to the web loop, which may be gone by then.
class Link {
public:
    explicit Link(asio::io_context& web) : web_(&web) {}

    template <class Function>
    void post(Function function) {
        const std::lock_guard lock(mutex_);
        if (web_) asio::post(*web_, std::move(function));
    }
    bool open() {
        const std::lock_guard lock(mutex_);
        return web_ != nullptr;
    }
    void close() {
        const std::lock_guard lock(mutex_);
        web_ = nullptr;
    }

private:
    std::mutex mutex_{};
    asio::io_context* web_;
};

/// What came of a question to the probe loop. Touched on the web loop only.
template <class T>
struct Answer {
    std::optional<T> value{};
    bool failed = false;  ///< the backend threw; neither: it did not answer in time
    asio::steady_timer* waiting = nullptr;
};

template <class T>
using Question = std::function<asio::awaitable<T>()>;

template <class T>
asio::awaitable<T> at_once(std::function<T()> function) {
    co_return function();
}

template <class T>
asio::awaitable<T> on_probe_loop(std::shared_ptr<Link> link, Question<T> question) {
    if (!link->open()) co_return T{};
    auto answer = question();
    co_return co_await std::move(answer);
}

std::string what(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "an exception that is no std::exception";
    }
}

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
        : options_(std::move(options)), probe_loop_(std::move(probe_loop)), backend_(std::move(backend)) {
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
        link_->close();
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
            if (!error) return;
            asio::post(probe_loop_, [link = link_, trouble = backend_.trouble, words = what(error)] {
                if (trouble && link->open()) trouble(words);
            });
        });
    }

    void end() {
        if (stopping_) return;
        stopping_ = true;
        for (tcp::acceptor& acceptor : acceptors_) acceptor.close();
        room_.cancel();
        for (asio::steady_timer* wait : waits_) wait->cancel();
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
        while (!stopping_) {
            if (sessions_.size() >= options_.max_connections) {
                co_await room_.async_wait(no_throw);
                continue;
            }
            auto [error, socket] = co_await acceptor.async_accept(no_throw);
            if (stopping_) co_return;
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
        while (more && !stopping_) {
            http::request_parser<http::string_body> parser;
            parser.header_limit(header_limit);
            parser.body_limit(body_limit);
            session.stream.expires_after(options_.client_limit);
            const auto [read_error, read] =
                co_await http::async_read(session.stream, buffer, parser, no_throw);
            std::optional<Reply> reply = read_error ? complaint(read_error) : std::optional<Reply>();
            if (read_error && !reply) co_return;

            const Request request = parser.release();
            if (!reply && is_stream(request)) {
                co_await stream(session);
                co_return;
            }
            session.answering = true;
            if (!reply) reply = co_await answer(request);
            more = !read_error && request.keep_alive() && !stopping_;
            Response response = finish(request, *std::move(reply), more);
            session.stream.expires_after(stopping_ ? options_.patience : options_.client_limit);
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

    bool is_stream(const Request& request) const {
        return request.method() == http::verb::get && request.target() == "/events" &&
               streams_ < options_.max_streams;
    }

    /// Server-sent events (HTML Living Standard, 9.2): `changed` when there are new results.
    asio::awaitable<void> stream(Session& session) {
        ++streams_;
        std::string text =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nretry: 3000\n\n";
        std::uint64_t known = 0;
        auto last_word = asio::steady_timer::clock_type::now();
        while (!stopping_) {
            if (!text.empty()) {
                session.stream.expires_after(options_.client_limit);
                const auto [error, written] =
                    co_await asio::async_write(session.stream, asio::buffer(text), no_throw);
                if (error) break;
                text.clear();
                last_word = asio::steady_timer::clock_type::now();
            }
            asio::steady_timer wait(io_, options_.news_every);
            waits_.insert(&wait);
            co_await wait.async_wait(no_throw);
            waits_.erase(&wait);
            if (stopping_) break;
            Question<std::uint64_t> question = [function = backend_.revision] { return at_once(function); };
            const auto answer = co_await ask(std::move(question));
            if (!answer->value) break;  // the page asks again, and says meanwhile that it is old
            if (*answer->value != known)
                text = "event: changed\ndata: " + std::to_string(*answer->value) + "\n\n";
            else if (asio::steady_timer::clock_type::now() - last_word >= heartbeat)
                text = ":\n\n";
            known = *answer->value;
        }
        --streams_;
    }

    asio::awaitable<Reply> answer(const Request& request) {
        const std::string_view target(request.target().data(), request.target().size());
        const auto mark = std::min(target.find('?'), target.size());
        const std::string_view path = target.substr(0, mark);
        const std::string_view query = target.substr(std::min(mark + 1, target.size()));
        const bool api = path == probes_path || path.starts_with(std::string(probes_path) + '/');
        const bool runs_now = api && path.ends_with("/run");
        const bool page = path.starts_with(page_path) && path.size() > page_path.size();
        const bool pages = (api && !runs_now) || page || path == "/" || path == "/style.css" ||
                           path == "/live.js" || path == "/events" || path == "/metrics" ||
                           path == "/-/healthy" || path == "/-/ready";
        if (!pages && !runs_now && path != "/-/reload")
            co_return sentence(http::status::not_found, "there is no such page");
        const bool reads = request.method() == http::verb::get || request.method() == http::verb::head;
        if (pages ? !reads : request.method() != http::verb::post) {
            Reply reply = sentence(http::status::method_not_allowed, "this page does not take that method");
            reply.allow = pages ? "GET, HEAD" : "POST";
            co_return reply;
        }
        if (path == "/") co_return co_await status(page_wish(query));
        if (page)
            co_return co_await details(std::string(path.substr(page_path.size())),
                                       language_of(field(request, http::field::accept_language)));
        if (path == "/metrics") co_return co_await metrics();
        if (runs_now)
            co_return co_await run_now(
                std::string(path.substr(probes_path.size() + 1, path.size() - probes_path.size() - 5)),
                request);
        if (api) co_return co_await results(std::string(path.substr(probes_path.size())));
        if (path == "/-/healthy") co_return co_await state(backend_.unhealthy, "livecanary is healthy");
        if (path == "/-/ready") co_return co_await state(backend_.not_ready, "livecanary is ready");
        if (path == "/-/reload") co_return co_await reload();
        if (path == "/events")
            co_return sentence(http::status::service_unavailable, "too many pages are being told of changes");
        Reply file;
        file.type = path == "/live.js" ? script_type : css_type;
        file.body = path == "/live.js" ? live_script() : style_sheet();
        co_return file;
    }

    static std::string_view field(const Request& request, http::field name) {
        const auto value = request[name];
        return {value.data(), value.size()};
    }

    using Details = std::shared_ptr<const ProbeDetails>;

    asio::awaitable<std::shared_ptr<Answer<Details>>> ask_details(std::string name) {
        Question<Details> question = [function = backend_.details, name = std::move(name)] {
            return at_once<Details>([function, name] { return function(name); });
        };
        auto answer = co_await ask(std::move(question));
        co_return answer;
    }

    asio::awaitable<Reply> details(std::string name, std::string_view lang) {
        const auto answer = co_await ask_details(std::move(name));
        Reply reply;
        reply.type = html_type;
        if (!answer->value) {
            Reply none = no_answer(answer->failed);
            reply.status = none.status;
            reply.body = no_status_page(none.body, "../");
        } else if (!*answer->value) {
            reply.status = http::status::not_found;
            reply.body = no_status_page("There is no such probe.", "../");
        } else {
            const ProbeDetails& probe = **answer->value;
            reply.body = probe_page(probe, options_.wall(), lang, options_.lifecycle);
        }
        co_return reply;
    }

    /// A form of ours, or a program; not a form of another site that a reader's browser sends.
    static bool is_foreign(const Request& request) {
        const auto site = request["Sec-Fetch-Site"];
        return !site.empty() && site != "same-origin" && site != "none";
    }

    asio::awaitable<Reply> run_now(std::string name, const Request& request) {
        if (!options_.lifecycle)
            co_return sentence(
                http::status::forbidden,
                "running over HTTP is off: start livecanary with --web.enable-lifecycle, or use "
                "`livecanary probe`");
        if (is_foreign(request))
            co_return sentence(http::status::forbidden, "this was sent by another site's page");
        Question<bool> question = [function = backend_.run_now, name] {
            return at_once<bool>([function, name] { return function(name); });
        };
        const auto answer = co_await ask(std::move(question));
        if (!answer->value) co_return no_answer(answer->failed);
        if (!*answer->value) co_return sentence(http::status::not_found, "there is no such probe");
        Reply reply = sentence(http::status::see_other, "it runs");
        reply.location = "../../../../probes/" + percent_encoded(name);
        co_return reply;
    }

    asio::awaitable<Reply> status(PageWish wish) {
        Question<Status> question = [function = backend_.status] { return at_once(function); };
        const auto answer = co_await ask(std::move(question));
        Reply reply;
        reply.type = html_type;
        if (answer->value) {
            reply.body = status_page(*answer->value, options_.wall(), wish);
        } else {
            Reply none = no_answer(answer->failed);
            reply.status = none.status;
            reply.body = no_status_page(none.body);
        }
        co_return reply;
    }

    asio::awaitable<Reply> metrics() {
        Question<std::vector<prometheus::MetricFamily>> question = backend_.metrics;
        const auto answer = co_await ask(std::move(question));
        if (!answer->value) co_return no_answer(answer->failed);
        Reply reply;
        reply.type = metrics_type;
        reply.body = serialize(*std::move(answer->value));
        co_return reply;
    }

    /// In the envelope of Prometheus' API. `below`: empty, or '/' and the name of a probe, and "/runs".
    asio::awaitable<Reply> results(std::string below) {
        std::string name = below.empty() ? below : below.substr(1);
        if (name.ends_with("/runs")) co_return co_await runs(name.substr(0, name.size() - 5));
        Question<std::string> question = [function = backend_.results, name] {
            return at_once<std::string>([function, name] { return function(name); });
        };
        const auto answer = co_await ask(std::move(question));
        Reply reply;
        reply.type = json_type;
        if (!answer->value) {
            reply.status = no_answer(answer->failed).status;
            reply.body = R"({"status":"error","errorType":"timeout","error":"the probes did not answer"})";
        } else if (!below.empty() && *answer->value == "[]") {
            reply.status = http::status::not_found;
            reply.body = R"({"status":"error","errorType":"not_found","error":"there is no such probe"})";
        } else {
            reply.body = R"({"status":"success","data":{"probes":)" + *answer->value + "}}";
        }
        reply.body += '\n';
        co_return reply;
    }

    /// The last runs in short, newest first.
    asio::awaitable<Reply> runs(std::string name) {
        const auto answer = co_await ask_details(std::move(name));
        Reply reply;
        reply.type = json_type;
        if (!answer->value) {
            reply.status = no_answer(answer->failed).status;
            reply.body = R"({"status":"error","errorType":"timeout","error":"the probes did not answer"})";
        } else if (!*answer->value) {
            reply.status = http::status::not_found;
            reply.body = R"({"status":"error","errorType":"not_found","error":"there is no such probe"})";
        } else {
            reply.body = R"({"status":"success","data":{"runs":)" +
                         boost::json::serialize(to_json((*answer->value)->runs)) + "}}";
        }
        reply.body += '\n';
        co_return reply;
    }

    /// 200 with `fine`, or 503 with the words why not.
    asio::awaitable<Reply> state(const std::function<std::string()>& objection, std::string_view fine) {
        Question<std::string> question = [function = objection] { return at_once(function); };
        const auto answer = co_await ask(std::move(question));
        if (!answer->value) co_return no_answer(answer->failed);
        if (!answer->value->empty()) co_return sentence(http::status::service_unavailable, *answer->value);
        co_return sentence(http::status::ok, fine);
    }

    asio::awaitable<Reply> reload() {
        if (!options_.lifecycle)
            co_return sentence(http::status::forbidden,
                               "reloading over HTTP is off: start livecanary with --web.enable-lifecycle, or "
                               "send it SIGHUP");
        Question<std::string> question = backend_.reload;
        const auto answer = co_await ask(std::move(question));
        if (!answer->value) co_return no_answer(answer->failed);
        if (!answer->value->empty()) co_return sentence(http::status::bad_request, *answer->value);
        co_return sentence(http::status::ok, "the configuration was reloaded");
    }

    Reply no_answer(bool failed) const {
        if (failed) return sentence(http::status::internal_server_error, "a bug of ours; the log says more");
        if (stopping_) return sentence(http::status::service_unavailable, "livecanary is shutting down");
        return sentence(
            http::status::service_unavailable,
            "the probe loop did not answer within " + std::to_string(options_.patience.count()) + " ms");
    }

    template <class T>
    asio::awaitable<std::shared_ptr<Answer<T>>> ask(Question<T> question) {
        auto answer = std::make_shared<Answer<T>>();
        if (stopping_) co_return answer;
        auto answered = [link = link_, answer, trouble = backend_.trouble](std::exception_ptr error,
                                                                           T value) {
            if (error && trouble && link->open()) trouble(what(error));
            link->post([answer, failed = error != nullptr, value = std::move(value)]() mutable {
                answer->failed = failed;
                if (!failed) answer->value = std::move(value);
                if (answer->waiting) answer->waiting->cancel();
            });
        };
        asio::steady_timer wait(io_, options_.patience);
        asio::co_spawn(probe_loop_, on_probe_loop<T>(link_, std::move(question)), std::move(answered));
        waits_.insert(&wait);
        answer->waiting = &wait;
        co_await wait.async_wait(no_throw);
        answer->waiting = nullptr;
        waits_.erase(&wait);
        co_return answer;
    }

    Response finish(const Request& request, Reply reply, bool keep_alive) const {
        Response response(reply.status, 11);
        response.keep_alive(keep_alive);
        response.set(http::field::date, http_date(options_.wall()));
        response.set(http::field::content_type, beast::string_view(reply.type.data(), reply.type.size()));
        response.set(http::field::cache_control,
                     reply.type == css_type || reply.type == script_type ? "max-age=60" : "no-store");
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

    const WebOptions options_;
    const asio::any_io_executor probe_loop_;
    const WebBackend backend_;
    asio::io_context io_{1};
    const std::shared_ptr<Link> link_ = std::make_shared<Link>(io_);
    std::vector<tcp::acceptor> acceptors_{};
    std::vector<tcp::endpoint> endpoints_{};
    bool stopping_ = false;
    std::size_t streams_ = 0;
    asio::steady_timer room_{io_,
                             asio::steady_timer::time_point::max()};  ///< cancelled when a connection ends
    asio::steady_timer last_call_{io_};      ///< cancelled when the last connection ends
    std::set<asio::steady_timer*> waits_{};  ///< of requests that wait for the probe loop
    std::set<Session*> sessions_{};
    std::thread thread_{};
};

WebServer::WebServer(WebOptions options, asio::any_io_executor probe_loop, WebBackend backend)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(probe_loop), std::move(backend))) {}

WebServer::~WebServer() = default;

void WebServer::stop() { impl_->stop(); }

const std::vector<tcp::endpoint>& WebServer::endpoints() const noexcept { return impl_->endpoints(); }

}  // namespace livecanary::daemon
