#include "daemon/anchors.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/url/parse.hpp>

#include "probes/net/connection.hpp"
#include "probes/net/quiet.hpp"
#include "probes/net/resolver.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

asio::awaitable<bool> cancelled() {
    const auto state = co_await asio::this_coro::cancellation_state;
    co_return state.cancelled() != asio::cancellation_type::none;
}

/// Lets those go on who wait for the answer, however the asking ends.
struct Release {
    std::optional<asio::steady_timer>& asking;
    ~Release() { asking.reset(); }
};

asio::awaitable<error_code> reach(const std::string& url, Env& env, Clock::time_point deadline) {
    const auto parsed = boost::urls::parse_uri(url);
    if (!parsed) co_return parsed.error();
    const std::uint16_t port = parsed->has_port()            ? parsed->port_number()
                               : parsed->scheme() == "https" ? 443
                                                             : 80;
    auto found = co_await env.dns->resolve(std::string(parsed->encoded_host_address()), port, deadline);
    if (!found) co_return found.error();
    net::Connection connection(co_await asio::this_coro::executor);
    const auto code = co_await connection.connect(found->endpoints.front(), deadline);
    connection.close();
    co_return code;
}

}  // namespace

asio::awaitable<std::optional<Control>> Anchors::ask(Env& env, Clock::time_point failed_since) {
    if (urls_.empty()) co_return std::nullopt;
    co_await asio::this_coro::throw_if_cancelled(false);
    while (asking_) {
        co_await asking_->async_wait(net::no_throw);
        if (co_await cancelled()) co_return std::nullopt;
    }
    // That the network worked before the run began says nothing about the run.
    const bool fresh = answer_ && env.now() - answered_at_ < keep &&
                       (answer_->outcome == ControlOutcome::failed || answered_at_ >= failed_since);
    if (fresh) co_return answer_;
    asking_.emplace(co_await asio::this_coro::executor, Clock::time_point::max());
    const Release release{asking_};
    auto answer = co_await ask_each(env);
    // What a cut caller heard is not an answer.
    if (co_await cancelled()) co_return std::nullopt;
    answer_ = std::move(answer);
    answered_at_ = env.now();
    co_return answer_;
}

asio::awaitable<Control> Anchors::ask_each(Env& env) const {
    Control control{.name = "anchors", .outcome = ControlOutcome::failed};
    for (const auto& url : urls_) {
        const auto code = co_await reach(url, env, env.now() + patience);
        if (co_await cancelled()) break;
        if (!code) {
            control.outcome = ControlOutcome::passed;
            control.shows = url + " answers, so the network works here";
            break;
        }
        control.shows += (control.shows.empty() ? "" : "; ") + url + ": " + code.message();
    }
    co_return control;
}

}  // namespace livecanary::daemon
