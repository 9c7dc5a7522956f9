// A connection that was let go of: what it still tells.
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "probes/net/held_socket.hpp"

#include <gtest/gtest.h>

#include "probes/net/connection.hpp"
#include "tests/support/scripted_peer.hpp"

namespace livecanary::net {
namespace {

using test::far;
using test::ScriptedPeer;

asio::awaitable<void> speaks_after(tcp::socket socket, test::Gate& gate, std::string& heard) {
    co_await gate.pass();
    co_await asio::async_write(socket, asio::buffer("x", 1), no_throw);
    co_await asio::async_read(socket, asio::dynamic_buffer(heard), no_throw);
}
asio::awaitable<void> closes_after(tcp::socket socket, test::Gate& gate) {
    co_await gate.pass();
    socket.close();
}

/// Turns the loop until the socket is no longer silent.
void wait_for_word(asio::io_context& io, const HeldSocket& held) {
    io.restart();
    while (held.is_silent()) io.poll();
}

TEST(HeldSocket, TellsThatThePeerSpoke) {
    asio::io_context io;
    test::Gate gate(io);
    std::string heard;
    ScriptedPeer peer(io, [&](tcp::socket socket) { return speaks_after(std::move(socket), gate, heard); });
    std::optional<HeldSocket> held;
    {
        Connection connection(io.get_executor());
        ASSERT_FALSE(test::await(io, connection.connect(peer.endpoint(), far())));
        held.emplace(connection.let_go());
        EXPECT_FALSE(connection.is_open());
        connection.close();
    }
    io.poll();
    EXPECT_TRUE(held->is_silent()) << "closing the connection that let go of it ends nothing";
    gate.open();
    wait_for_word(io, *held);
    EXPECT_FALSE(held->is_silent());
}

TEST(HeldSocket, TellsThatThePeerLeft) {
    asio::io_context io;
    test::Gate gate(io);
    ScriptedPeer peer(io, [&](tcp::socket socket) { return closes_after(std::move(socket), gate); });
    Connection connection(io.get_executor());
    ASSERT_FALSE(test::await(io, connection.connect(peer.endpoint(), far())));
    HeldSocket held = connection.let_go();
    EXPECT_TRUE(held.is_silent());
    gate.open();
    wait_for_word(io, held);
    EXPECT_FALSE(held.is_silent());
    // The connection can be used for another.
    EXPECT_FALSE(test::await(io, connection.connect(peer.endpoint(), far())));
}

TEST(HeldSocket, OfNothingIsNotSilent) {
    asio::io_context io;
    Connection connection(io.get_executor());
    EXPECT_FALSE(connection.let_go().is_silent());
}

}  // namespace
}  // namespace livecanary::net
