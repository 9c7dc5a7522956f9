#pragma once
// A peer on loopback that plays a script on each connection.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "tests/support/task.hpp"

namespace livecanary::test {

using asio::ip::tcp;
/// A coroutine function; a lambda may call one, but must not be one (its captures would die under it).
using Script = std::function<asio::awaitable<void>(tcp::socket)>;

namespace scripts {

inline asio::awaitable<void> say(tcp::socket socket, std::string text) {
    co_await asio::async_write(socket, asio::buffer(text), net::no_throw);
}
inline asio::awaitable<void> read_to_end(tcp::socket socket, std::string& heard) {
    co_await asio::async_read(socket, asio::dynamic_buffer(heard), net::no_throw);
}
inline asio::awaitable<void> read_after(tcp::socket socket, Gate& gate, std::string& heard) {
    co_await gate.pass();
    co_await asio::async_read(socket, asio::dynamic_buffer(heard), net::no_throw);
}
inline asio::awaitable<void> say_and_finish(tcp::socket socket, std::string text) {
    std::string ignored;
    co_await asio::async_write(socket, asio::buffer(text), net::no_throw);
    socket.shutdown(tcp::socket::shutdown_send);
    co_await asio::async_read(socket, asio::dynamic_buffer(ignored), net::no_throw);
}
inline asio::awaitable<void> finish_and_read(tcp::socket socket, std::string& heard) {
    socket.shutdown(tcp::socket::shutdown_send);
    co_await asio::async_read(socket, asio::dynamic_buffer(heard), net::no_throw);
}

}  // namespace scripts

/// Sends `text`, then closes; the kernel makes that a reset if we have sent something.
inline Script says(std::string text) {
    return [text](tcp::socket socket) { return scripts::say(std::move(socket), text); };
}
/// Sends `text` and its FIN, then reads until we close.
inline Script says_and_finishes(std::string text) {
    return [text](tcp::socket socket) { return scripts::say_and_finish(std::move(socket), text); };
}
/// Keeps all it is sent in `heard`, which has its final size once we have closed.
inline Script hears(std::string& heard) {
    return [&heard](tcp::socket socket) { return scripts::read_to_end(std::move(socket), heard); };
}
/// The same, but reads nothing before `gate` opens.
inline Script hears_after(Gate& gate, std::string& heard) {
    return [&](tcp::socket socket) { return scripts::read_after(std::move(socket), gate, heard); };
}
/// The same, but sends its FIN first.
inline Script finishes_and_hears(std::string& heard) {
    return [&heard](tcp::socket socket) { return scripts::finish_and_read(std::move(socket), heard); };
}
/// Accepts and neither reads nor speaks.
inline asio::awaitable<void> stays_silent(tcp::socket socket) {
    asio::steady_timer forever(socket.get_executor(), Clock::time_point::max());
    co_await forever.async_wait(net::no_throw);
}
/// Sends back what it is sent.
inline asio::awaitable<void> echoes(tcp::socket socket) {
    std::string bytes(65'536, '\0');
    for (;;) {
        const auto [code, size] = co_await socket.async_read_some(asio::buffer(bytes), net::no_throw);
        if (code) co_return;
        const auto [failed, sent] =
            co_await asio::async_write(socket, asio::buffer(bytes, size), net::no_throw);
        if (failed) co_return;
    }
}
/// Tears the connection down.
inline asio::awaitable<void> resets(tcp::socket socket) {
    socket.set_option(tcp::socket::linger(true, 0));
    socket.close();
    co_return;
}
/// Waits for the first byte, then tears the connection down.
inline asio::awaitable<void> resets_when_spoken_to(tcp::socket socket) {
    co_await socket.async_wait(tcp::socket::wait_read, net::no_throw);
    socket.set_option(tcp::socket::linger(true, 0));
    socket.close();
}

/// Listens on a free loopback port.
class ScriptedPeer {
public:
    ScriptedPeer(asio::io_context& io, Script script)
        : acceptor_(io, {asio::ip::address_v4::loopback(), 0}), script_(std::move(script)) {
        accept();
    }
    tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }
    std::uint16_t port() const { return endpoint().port(); }
    int accepted() const { return accepted_; }

private:
    void accept() {
        acceptor_.async_accept([this](error_code code, tcp::socket socket) {
            if (code) return;
            ++accepted_;
            const auto executor = socket.get_executor();
            asio::co_spawn(executor, script_(std::move(socket)), asio::detached);
            accept();
        });
    }
    tcp::acceptor acceptor_;
    Script script_;
    int accepted_ = 0;
};

/// A loopback port that is taken, but nobody listens on it: refuses.
class ClosedPort {
public:
    explicit ClosedPort(asio::io_context& io) : socket_(io, {asio::ip::address_v4::loopback(), 0}) {}
    tcp::endpoint endpoint() const { return socket_.local_endpoint(); }

private:
    tcp::socket socket_;
};

/// A loopback port whose queue is full: the kernel drops further attempts, as a firewall would.
class FullPort {
public:
    explicit FullPort(asio::io_context& io) : acceptor_(io), first_(io), second_(io) {
        acceptor_.open(tcp::v4());
        acceptor_.bind({asio::ip::address_v4::loopback(), 0});
        acceptor_.listen(0);
        // The first is queued, the second already dropped.
        first_.async_connect(endpoint(), asio::detached);
        second_.async_connect(endpoint(), asio::detached);
    }
    tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

private:
    tcp::acceptor acceptor_;
    tcp::socket first_;
    tcp::socket second_;
};

}  // namespace livecanary::test
