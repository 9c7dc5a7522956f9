#include "tests/practice/hook_server.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>

#include "tests/practice/changes.hpp"

namespace livecanary::practice {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using asio::ip::tcp;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

std::string lower_case(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

std::string_view as_text(beast::string_view text) { return {text.data(), text.size()}; }

Response answer(int status, std::string body = {}) {
    Response response(http::int_to_status(static_cast<unsigned>(status)), 11);
    response.body() = std::move(body);
    response.set(http::field::content_type, "application/json");
    response.keep_alive(false);
    response.prepare_payload();
    return response;
}

json::object described(const Behaviour& behaviour) {
    return {{"calls", json::value_from(behaviour.calls)},
            {"refuse", behaviour.refuse},
            {"delay_ms", behaviour.delay.count()},
            {"hang", behaviour.hang},
            {"drop", behaviour.drop},
            {"status", behaviour.status},
            {"judge_domain_at_publish", behaviour.judge_domain_at_publish},
            {"forbidden", json::value_from(behaviour.forbidden)},
            {"busy", json::value_from(behaviour.busy)}};
}

Behaviour changed(Behaviour behaviour, const std::string& body) {
    Changes changes(body);
    changes.take("calls", behaviour.calls);
    changes.take("refuse", behaviour.refuse);
    changes.take("delay_ms", behaviour.delay);
    changes.take("hang", behaviour.hang);
    changes.take("drop", behaviour.drop);
    changes.take("status", behaviour.status);
    changes.take("judge_domain_at_publish", behaviour.judge_domain_at_publish);
    changes.take("forbidden", behaviour.forbidden);
    changes.take("busy", behaviour.busy);
    changes.end();
    return behaviour;
}

Domain changed(Domain domain, const std::string& body) {
    Changes changes(body);
    changes.take("main_key", domain.main_key);
    changes.take("backup_key", domain.backup_key);
    changes.take("auth", domain.auth);
    changes.take("apps", domain.apps);
    changes.take("grace_seconds", domain.grace);
    changes.take("play_key", domain.play_key);
    changes.take("play_backup_key", domain.play_backup_key);
    changes.take("push", domain.push);
    changes.end();
    return domain;
}

json::object counted(const Seen& seen) {
    json::object counts;
    for (const auto& call : seen.calls) {
        if (!counts.contains(call.call)) counts[call.call].emplace_object();
        auto& count = counts[call.call].as_object()[to_string(call.verdict)];
        count = (count.is_null() ? 0 : count.to_number<std::int64_t>()) + 1;
    }
    return counts;
}

}  // namespace

class HookServer::Server {
public:
    explicit Server(Options options)
        : now_(std::move(options.now)),
          hooks_(io_, {asio::ip::make_address(options.address), options.port}),
          control_(io_, {asio::ip::make_address(options.address), options.control_port}),
          endpoint_(hooks_.local_endpoint()),
          control_port_(control_.local_endpoint().port()) {
        asio::co_spawn(io_, accept(hooks_, &Server::hook_session), asio::detached);
        asio::co_spawn(io_, accept(control_, &Server::control_session), asio::detached);
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Server() {
        io_.stop();
        thread_.join();
    }

    std::uint16_t port() const noexcept { return endpoint_.port(); }
    std::uint16_t control_port() const noexcept { return control_port_; }

    /// Runs `use(cloud)` while nobody else does.
    template <class Use>
    auto with_cloud(const Use& use) const {
        const std::scoped_lock lock(mutex_);
        return use(cloud_);
    }

    void vanish() {
        on_thread([this] {
            hooks_.close();
            for (tcp::socket* socket : hook_sockets_) socket->close();
        });
    }
    void reappear() {
        on_thread([this] {
            if (hooks_.is_open()) return;
            hooks_ = tcp::acceptor(io_, endpoint_);
            asio::co_spawn(io_, accept(hooks_, &Server::hook_session), asio::detached);
        });
    }
    void on_kick(std::function<int(const std::string&, const std::string&)> kick) {
        on_thread([this, &kick] { kick_ = std::move(kick); });
    }
    void on_call(std::function<void(const Call&)> told) {
        on_thread([this, &told] { told_ = std::move(told); });
    }
    void on_control(const std::string& target, ControlHandler handler) {
        on_thread([this, &target, &handler] {
            if (handler)
                handlers_[target] = std::move(handler);
            else
                handlers_.erase(target);
        });
    }
    bool wait_until(const std::function<bool(const Seen&)>& enough, std::chrono::milliseconds timeout) const {
        std::unique_lock lock(mutex_);
        return called_.wait_for(lock, timeout, [&] { return enough(cloud_.seen); });
    }

private:
    using Session = asio::awaitable<void> (Server::*)(tcp::socket);

    template <class Work>
    void on_thread(Work work) {
        asio::dispatch(io_, asio::use_future(std::move(work))).get();
    }

    asio::awaitable<void> accept(tcp::acceptor& acceptor, Session session) {
        for (;;) {
            auto [error, socket] = co_await acceptor.async_accept(no_throw);
            if (error) co_return;
            asio::co_spawn(io_, (this->*session)(std::move(socket)), asio::detached);
        }
    }

    asio::awaitable<void> hook_session(tcp::socket socket) {
        hook_sockets_.insert(&socket);
        co_await answer_hook(socket);
        hook_sockets_.erase(&socket);
    }

    asio::awaitable<void> answer_hook(tcp::socket& socket) {
        beast::flat_buffer buffer;
        Request request;
        auto [unread, size] = co_await http::async_read(socket, buffer, request, no_throw);
        if (unread) co_return;
        const bool http_play = request.target() == "/play_auth";
        const std::string call = http_play ? "http_play" : form_field(request.body(), "call").value_or("");
        Behaviour behaviour;
        Verdict verdict = Verdict::accepted;
        Call seen;
        {
            const std::scoped_lock lock(mutex_);
            behaviour = cloud_.behaviour;
            verdict = http_play ? cloud_.take_http_play(as_text(request[http::field::host]),
                                                        as_text(request["X-Original-URI"]), now_())
                                : cloud_.take(request.body(), now_());
            // Of nginx's own relays none is kept.
            if (!cloud_.seen.calls.empty()) seen = cloud_.seen.calls.back();
        }
        called_.notify_all();
        const bool affected = behaviour.calls.contains(call);
        if (affected && behaviour.drop) co_return;
        if (affected && behaviour.hang) {
            // Until the caller gives up.
            co_await socket.async_wait(tcp::socket::wait_read, no_throw);
            co_return;
        }
        if (affected && behaviour.delay.count() > 0) {
            asio::steady_timer delay(io_, behaviour.delay);
            co_await delay.async_wait(no_throw);
        }
        int status = verdict == Verdict::accepted ? 200 : 403;
        if (affected && behaviour.status != 0) status = behaviour.status;
        Response response = answer(status);
        if (verdict == Verdict::unknown_domain || verdict == Verdict::unknown_app)
            response.set("X-Play-Status", "404");
        const auto [unwritten, written] = co_await http::async_write(socket, response, no_throw);
        if (!unwritten && status == 200 && told_ && seen.call == call && !http_play) told_(seen);
    }

    asio::awaitable<void> control_session(tcp::socket socket) {
        beast::flat_buffer buffer;
        Request request;
        auto [unread, size] = co_await http::async_read(socket, buffer, request, no_throw);
        if (unread) co_return;
        Response response;
        try {
            response = control(request);
        } catch (const std::exception& error) {
            response = answer(400, json::serialize(json::object{{"error", error.what()}}));
        }
        co_await http::async_write(socket, response, no_throw);
    }

    Response control(const Request& request) {
        const std::string target(request.target());
        const std::string ask = std::string(request.method_string()) + " " + target;
        if (ask == "GET /seen")
            return answer(200, json::serialize(with_cloud([](Cloud& cloud) { return counted(cloud.seen); })));
        if (ask == "GET /behaviour" || ask == "POST /behaviour") {
            return answer(200, json::serialize(with_cloud([&](Cloud& cloud) {
                              cloud.behaviour = changed(cloud.behaviour, request.body());
                              return described(cloud.behaviour);
                          })));
        }
        constexpr std::string_view domains = "/domains/";
        if (target.starts_with(domains) && target.size() > domains.size()) {
            const std::string name = lower_case(target.substr(domains.size()));
            if (request.method() == http::verb::put) {
                with_cloud([&](Cloud& cloud) {
                    Domain domain = changed(cloud.domains[name], request.body());
                    cloud.domains[name] = std::move(domain);
                });
                return answer(204);
            }
            if (request.method() == http::verb::delete_)
                return answer(with_cloud([&](Cloud& cloud) { return cloud.domains.erase(name); }) > 0 ? 204
                                                                                                      : 404);
        }
        if (ask == "POST /vanish") {
            vanish();
            return answer(204);
        }
        if (ask == "POST /reappear") {
            reappear();
            return answer(204);
        }
        if (ask == "POST /kick" && kick_) {
            std::string app = "live";
            std::string name;
            Changes fields(request.body());
            fields.take("app", app);
            fields.take("name", name);
            fields.end();
            return answer(200, json::serialize(json::object{{"dropped", kick_(app, name)}}));
        }
        if (const auto found = handlers_.find(target); found != handlers_.end()) {
            const std::string said = found->second(std::string(request.method_string()), request.body());
            return said.empty() ? answer(404) : answer(200, said);
        }
        return answer(404);
    }

    WallClock now_;
    asio::io_context io_;
    tcp::acceptor hooks_;
    tcp::acceptor control_;
    tcp::endpoint endpoint_;  ///< of the hooks, to come back to
    std::uint16_t control_port_;
    std::set<tcp::socket*> hook_sockets_;                              ///< used on the thread only
    std::function<int(const std::string&, const std::string&)> kick_;  ///< used on the thread only
    std::function<void(const Call&)> told_;                            ///< likewise
    std::map<std::string, ControlHandler> handlers_;                   ///< likewise, by target
    mutable std::mutex mutex_;                                         ///< guards cloud_
    mutable std::condition_variable called_;
    mutable Cloud cloud_;
    std::thread thread_;
};

HookServer::HookServer() : HookServer(Options{}) {}
HookServer::HookServer(Options options) : server_(std::make_unique<Server>(std::move(options))) {}
HookServer::~HookServer() = default;

std::uint16_t HookServer::port() const noexcept { return server_->port(); }
std::uint16_t HookServer::control_port() const noexcept { return server_->control_port(); }

void HookServer::know(const std::string& domain, Domain settings) {
    server_->with_cloud([&](Cloud& cloud) { cloud.domains[lower_case(domain)] = std::move(settings); });
}
void HookServer::unknow(const std::string& domain) {
    server_->with_cloud([&](Cloud& cloud) { cloud.domains.erase(lower_case(domain)); });
}
void HookServer::know_player(const std::string& domain) {
    server_->with_cloud([&](Cloud& cloud) { cloud.players.insert(lower_case(domain)); });
}
void HookServer::set_main_key(const std::string& domain, std::string key) {
    server_->with_cloud(
        [&](Cloud& cloud) { cloud.domains.at(lower_case(domain)).main_key = std::move(key); });
}
void HookServer::set_auth(const std::string& domain, bool on) {
    server_->with_cloud([&](Cloud& cloud) { cloud.domains.at(lower_case(domain)).auth = on; });
}
void HookServer::set_play_key(const std::string& domain, std::string key) {
    server_->with_cloud(
        [&](Cloud& cloud) { cloud.domains.at(lower_case(domain)).play_key = std::move(key); });
}
void HookServer::behave(Behaviour behaviour) {
    server_->with_cloud([&](Cloud& cloud) { cloud.behaviour = std::move(behaviour); });
}
Behaviour HookServer::behaviour() const {
    return server_->with_cloud([](const Cloud& cloud) { return cloud.behaviour; });
}
void HookServer::vanish() { server_->vanish(); }
void HookServer::reappear() { server_->reappear(); }
void HookServer::on_kick(std::function<int(const std::string& app, const std::string& name)> kick) {
    server_->on_kick(std::move(kick));
}
void HookServer::on_call(std::function<void(const Call&)> told) { server_->on_call(std::move(told)); }
void HookServer::on_control(const std::string& target, ControlHandler handler) {
    server_->on_control(target, std::move(handler));
}
Seen HookServer::seen() const {
    return server_->with_cloud([](const Cloud& cloud) { return cloud.seen; });
}
void HookServer::forget() {
    server_->with_cloud([](Cloud& cloud) { cloud.seen.calls.clear(); });
}
bool HookServer::wait_until(const std::function<bool(const Seen&)>& enough,
                            std::chrono::milliseconds timeout) const {
    return server_->wait_until(enough, timeout);
}

}  // namespace livecanary::practice
