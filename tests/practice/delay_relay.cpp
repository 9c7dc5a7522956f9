#include "tests/practice/delay_relay.hpp"

#include <array>
#include <atomic>
#include <deque>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace livecanary::practice {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

/// One connection: three coroutines share it, and it ends with the last of them.
///
///     client → server: forward(), at once
///     server → hold() → `held` → release() → client
struct Pair {
    explicit Pair(tcp::socket accepted)
        : client(std::move(accepted)), server(client.get_executor()), changed(client.get_executor()) {}

    struct Chunk {
        Clock::time_point due;
        std::string bytes;  ///< empty: the server's end of stream
    };
    tcp::socket client;
    tcp::socket server;
    std::deque<Chunk> held{};
    std::size_t held_bytes = 0;
    bool broken = false;         ///< the client takes no more
    asio::steady_timer changed;  ///< cancelled when `held` or `broken` changes

    asio::awaitable<void> change() {
        changed.expires_at(Clock::time_point::max());
        co_await changed.async_wait(no_throw);
    }
    /// Wakes the others for good: nothing more can be forwarded.
    void break_off() {
        error_code ignored;
        broken = true;
        client.close(ignored);
        server.close(ignored);
        changed.cancel();
    }
};
using Shared = std::shared_ptr<Pair>;

asio::awaitable<void> forward(Shared pair) {
    std::string bytes(65'536, '\0');
    for (;;) {
        const auto [unread, size] = co_await pair->client.async_read_some(asio::buffer(bytes), no_throw);
        if (unread == asio::error::eof) {
            error_code ignored;
            pair->server.shutdown(tcp::socket::shutdown_send, ignored);
            co_return;
        }
        if (unread) break;
        const auto [unsent, sent] =
            co_await asio::async_write(pair->server, asio::buffer(bytes, size), no_throw);
        // What the server said before it stopped listening is still on its way.
        if (unsent) co_return;
    }
    pair->break_off();
}

asio::awaitable<void> hold(Shared pair, std::shared_ptr<const std::atomic<Clock::duration>> delay,
                           std::size_t most) {
    std::string bytes(65'536, '\0');
    bool ended = false;
    while (!ended && !pair->broken) {
        if (pair->held_bytes >= most) {
            co_await pair->change();
            continue;
        }
        const auto [unread, size] = co_await pair->server.async_read_some(asio::buffer(bytes), no_throw);
        ended = static_cast<bool>(unread);
        pair->held.push_back({Clock::now() + delay->load(), bytes.substr(0, ended ? 0 : size)});
        pair->held_bytes += pair->held.back().bytes.size();
        pair->changed.cancel();
    }
}

asio::awaitable<void> release(Shared pair) {
    asio::steady_timer due(pair->client.get_executor());
    while (!pair->broken) {
        if (pair->held.empty()) {
            co_await pair->change();
            continue;
        }
        due.expires_at(pair->held.front().due);
        co_await due.async_wait(no_throw);
        const Pair::Chunk chunk = std::move(pair->held.front());
        pair->held.pop_front();
        if (chunk.bytes.empty()) {
            error_code ignored;
            pair->client.shutdown(tcp::socket::shutdown_send, ignored);
            co_return;
        }
        const auto [unsent, sent] =
            co_await asio::async_write(pair->client, asio::buffer(chunk.bytes), no_throw);
        pair->held_bytes -= chunk.bytes.size();
        pair->changed.cancel();
        if (unsent) pair->break_off();
    }
}

}  // namespace

class DelayRelay::Relay {
public:
    explicit Relay(const Options& options)
        : server_(asio::ip::address_v4::loopback(), options.server_port),
          most_held_(options.most_held),
          delay_(std::make_shared<std::atomic<Clock::duration>>(options.delay)),
          acceptor_(io_, {asio::ip::address_v4::loopback(), 0}),
          port_(acceptor_.local_endpoint().port()) {
        asio::co_spawn(io_, accept(), asio::detached);
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Relay() {
        io_.stop();
        thread_.join();
    }

    std::uint16_t port() const noexcept { return port_; }
    void set_delay(std::chrono::milliseconds delay) { delay_->store(delay); }

private:
    asio::awaitable<void> accept() {
        for (;;) {
            auto [error, socket] = co_await acceptor_.async_accept(no_throw);
            if (error) co_return;
            asio::co_spawn(io_, relay(std::move(socket)), asio::detached);
        }
    }

    asio::awaitable<void> relay(tcp::socket client) {
        auto pair = std::make_shared<Pair>(std::move(client));
        const auto [unconnected] = co_await pair->server.async_connect(server_, no_throw);
        if (unconnected) co_return;
        error_code ignored;
        pair->client.set_option(tcp::no_delay(true), ignored);
        pair->server.set_option(tcp::no_delay(true), ignored);
        asio::co_spawn(io_, forward(pair), asio::detached);
        asio::co_spawn(io_, hold(pair, delay_, most_held_), asio::detached);
        asio::co_spawn(io_, release(pair), asio::detached);
    }

    asio::io_context io_;
    tcp::endpoint server_;
    std::size_t most_held_;
    std::shared_ptr<std::atomic<Clock::duration>> delay_;
    tcp::acceptor acceptor_;
    std::uint16_t port_;
    std::thread thread_;
};

DelayRelay::DelayRelay(const Options& options) : relay_(std::make_unique<Relay>(options)) {}
DelayRelay::~DelayRelay() = default;
std::uint16_t DelayRelay::port() const noexcept { return relay_->port(); }
void DelayRelay::set_delay(std::chrono::milliseconds delay) { relay_->set_delay(delay); }

}  // namespace livecanary::practice
