#pragma once
// A peer on loopback that plays a script on each connection.
#include <cstdint>
#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "tests/support/task.hpp"

namespace livecanary::test {

using asio::ip::tcp;
/// A coroutine function; a lambda may call one, but must not be one (its
/// captures would die under it).
using Script = std::function<asio::awaitable<void>(tcp::socket)>;

/// Sends `text`, then closes; the kernel makes that a reset if we have sent
/// something.
Script says(std::string text);
/// Sends `text` and its FIN, then reads until we close.
Script says_and_finishes(std::string text);
/// Keeps all it is sent in `heard`, which has its final size once we have
/// closed.
Script hears(std::string &heard);
/// The same, but reads nothing before `gate` opens.
Script hears_after(Gate &gate, std::string &heard);
/// The same, but sends its FIN first.
Script finishes_and_hears(std::string &heard);
/// Accepts and neither reads nor speaks.
asio::awaitable<void> stays_silent(tcp::socket socket);
/// Sends back what it is sent.
asio::awaitable<void> echoes(tcp::socket socket);
/// Tears the connection down.
asio::awaitable<void> resets(tcp::socket socket);
/// Waits for the first byte, then tears the connection down.
asio::awaitable<void> resets_when_spoken_to(tcp::socket socket);

/// Listens on a free loopback port.
class ScriptedPeer {
public:
    ScriptedPeer(asio::io_context &io, Script script);
    ~ScriptedPeer();
    ScriptedPeer(const ScriptedPeer &) = delete;
    ScriptedPeer &operator=(const ScriptedPeer &) = delete;
    tcp::endpoint endpoint() const;
    std::uint16_t port() const { return endpoint().port(); }
    int accepted() const { return accepted_; }

private:
    void accept();

    tcp::acceptor acceptor_;
    Script script_;
    int accepted_ = 0;
};

/// A loopback port that is taken, but nobody listens on it: refuses.
class ClosedPort {
public:
    explicit ClosedPort(asio::io_context &io);
    ~ClosedPort();
    ClosedPort(const ClosedPort &) = delete;
    ClosedPort &operator=(const ClosedPort &) = delete;
    tcp::endpoint endpoint() const;

private:
    tcp::socket socket_;
};

/// A loopback port whose queue is full: the kernel drops further attempts, as a
/// firewall would.
class FullPort {
public:
    explicit FullPort(asio::io_context &io);
    ~FullPort();
    FullPort(const FullPort &) = delete;
    FullPort &operator=(const FullPort &) = delete;
    tcp::endpoint endpoint() const;

private:
    tcp::acceptor acceptor_;
    tcp::socket first_;
    tcp::socket second_;
};

}  // namespace livecanary::test
