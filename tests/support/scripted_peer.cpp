#include "tests/support/scripted_peer.hpp"

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace livecanary::test {
namespace {

namespace scripts {

asio::awaitable<void> say(tcp::socket socket, std::string text) {
    co_await asio::async_write(socket, asio::buffer(text), net::no_throw);
}

asio::awaitable<void> read_to_end(tcp::socket socket, std::string &heard) {
    co_await asio::async_read(socket, asio::dynamic_buffer(heard), net::no_throw);
}

asio::awaitable<void> read_after(tcp::socket socket, Gate &gate, std::string &heard) {
    co_await gate.pass();
    co_await asio::async_read(socket, asio::dynamic_buffer(heard), net::no_throw);
}

asio::awaitable<void> say_and_finish(tcp::socket socket, std::string text) {
    std::string ignored;
    co_await asio::async_write(socket, asio::buffer(text), net::no_throw);
    socket.shutdown(tcp::socket::shutdown_send);
    co_await asio::async_read(socket, asio::dynamic_buffer(ignored), net::no_throw);
}

asio::awaitable<void> finish_and_read(tcp::socket socket, std::string &heard) {
    socket.shutdown(tcp::socket::shutdown_send);
    co_await asio::async_read(socket, asio::dynamic_buffer(heard), net::no_throw);
}

}  // namespace scripts

tcp::endpoint any_port() { return {asio::ip::address_v4::loopback(), 0}; }

}  // namespace

Script says(std::string text) {
    return [text](tcp::socket socket) { return scripts::say(std::move(socket), text); };
}

Script says_and_finishes(std::string text) {
    return [text](tcp::socket socket) { return scripts::say_and_finish(std::move(socket), text); };
}

Script hears(std::string &heard) {
    return [&heard](tcp::socket socket) { return scripts::read_to_end(std::move(socket), heard); };
}

Script hears_after(Gate &gate, std::string &heard) {
    return [&](tcp::socket socket) { return scripts::read_after(std::move(socket), gate, heard); };
}

Script finishes_and_hears(std::string &heard) {
    return [&heard](tcp::socket socket) { return scripts::finish_and_read(std::move(socket), heard); };
}

asio::awaitable<void> stays_silent(tcp::socket socket) {
    asio::steady_timer forever(socket.get_executor(), Clock::time_point::max());
    co_await forever.async_wait(net::no_throw);
}

asio::awaitable<void> echoes(tcp::socket socket) {
    std::string bytes(65'536, '\0');
    for (;;) {
        const auto [code, size] = co_await socket.async_read_some(asio::buffer(bytes), net::no_throw);
        if (code) co_return;
        const auto [failed, sent] =
            co_await asio::async_write(socket, asio::buffer(bytes, size), net::no_throw);
        if (failed) co_return;
    }
}

asio::awaitable<void> resets(tcp::socket socket) {
    socket.set_option(tcp::socket::linger(true, 0));
    socket.close();
    co_return;
}

asio::awaitable<void> resets_when_spoken_to(tcp::socket socket) {
    co_await socket.async_wait(tcp::socket::wait_read, net::no_throw);
    socket.set_option(tcp::socket::linger(true, 0));
    socket.close();
}

ScriptedPeer::ScriptedPeer(asio::io_context &io, Script script)
    : acceptor_(io, any_port()), script_(std::move(script)) {
    accept();
}

ScriptedPeer::~ScriptedPeer() = default;

tcp::endpoint ScriptedPeer::endpoint() const { return acceptor_.local_endpoint(); }

void ScriptedPeer::accept() {
    acceptor_.async_accept([this](error_code code, tcp::socket socket) {
        if (code) return;
        ++accepted_;
        const auto executor = socket.get_executor();
        asio::co_spawn(executor, script_(std::move(socket)), asio::detached);
        accept();
    });
}

ClosedPort::ClosedPort(asio::io_context &io) : socket_(io, any_port()) {}

ClosedPort::~ClosedPort() = default;

tcp::endpoint ClosedPort::endpoint() const { return socket_.local_endpoint(); }

FullPort::FullPort(asio::io_context &io) : acceptor_(io), first_(io), second_(io) {
    acceptor_.open(tcp::v4());
    acceptor_.bind(any_port());
    acceptor_.listen(0);
    // The first is queued, the second already dropped.
    first_.async_connect(endpoint(), asio::detached);
    second_.async_connect(endpoint(), asio::detached);
}

FullPort::~FullPort() = default;

tcp::endpoint FullPort::endpoint() const { return acceptor_.local_endpoint(); }

}  // namespace livecanary::test
