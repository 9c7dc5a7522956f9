#include "daemon/web_events.hpp"

#include <boost/asio/steady_timer.hpp>

namespace livecanary::daemon::web {

namespace asio = boost::asio;

namespace {

/// A stream says something at least so often, or a proxy takes it for dead.
constexpr auto heartbeat = std::chrono::seconds(15);

}  // namespace

bool EventStreams::takes(const Request& request) const {
    return request.method() == http::verb::get && is_path(target_of(request).path) &&
           streams_ < options_.max_streams;
}

asio::awaitable<void> EventStreams::serve(Client& client) {
    ++streams_;
    std::string text =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nretry: 3000\n\n";
    std::uint64_t known = 0;
    auto last_word = asio::steady_timer::clock_type::now();
    while (!questions_.stopping()) {
        if (!text.empty()) {
            client.expires_after(options_.client_limit);
            const auto error = co_await client.write(text);
            if (error) break;
            text.clear();
            last_word = asio::steady_timer::clock_type::now();
        }
        co_await questions_.pause(options_.news_every);
        if (questions_.stopping()) break;
        const auto answer = co_await questions_.ask_at_once(backend_.revision);
        if (!answer->value) break;  // the page asks again, and says meanwhile that it is old
        if (*answer->value != known)
            text = "event: changed\ndata: " + std::to_string(*answer->value) + "\n\n";
        else if (asio::steady_timer::clock_type::now() - last_word >= heartbeat)
            text = ":\n\n";
        known = *answer->value;
    }
    --streams_;
}

}  // namespace livecanary::daemon::web
