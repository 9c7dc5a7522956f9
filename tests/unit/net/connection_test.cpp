#include <boost/asio/write.hpp>

#include "probes/net/connection.hpp"

#include <gtest/gtest.h>

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <array>
#include <string_view>

#include "tests/support/scripted_peer.hpp"
#include "tests/support/task.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using net::Connection, net::Moved;
using Bytes = std::vector<std::uint8_t>;

Bytes bytes(std::string_view text) { return Bytes(text.begin(), text.end()); }
/// More than the socket buffers of both sides hold.
const Bytes flood(32 * 1024 * 1024, 'x');

class ConnectionTest : public testing::Test {
protected:
    error_code connect(const tcp::endpoint& to, Clock::time_point deadline = far()) {
        return await(io, connection.connect(to, deadline));
    }
    Moved read(Clock::time_point deadline = far()) {
        return await(io, connection.read_some(buffer, deadline));
    }
    Moved write(const Bytes& data, Clock::time_point deadline = far()) {
        return await(io, connection.write(data, deadline));
    }
    std::string text(const Moved& moved) const {
        return std::string(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(moved.size));
    }

    asio::io_context io;
    Connection connection{io.get_executor()};
    Bytes buffer = Bytes(65'536);
};

TEST_F(ConnectionTest, MovesBytesAndSaysWhen) {
    const ScriptedPeer peer(io, echoes);
    EXPECT_FALSE(connection.is_open());
    const auto before = Clock::now();
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    EXPECT_TRUE(connection.is_open());
    EXPECT_FALSE(connection.is_tls());
    EXPECT_EQ(connection.local_endpoint().value().address().to_string(), "127.0.0.1");
    const Moved sent = write(bytes("hello"));
    EXPECT_EQ(sent.code, error_code());
    EXPECT_EQ(sent.size, 5u);
    const Moved got = read();
    EXPECT_EQ(got.code, error_code());
    EXPECT_EQ(text(got), "hello");
    EXPECT_LE(before, sent.at);
    EXPECT_LE(sent.at, got.at);
}

/// The value of a TCP option of our socket bound to `local`; -1 if there is none.
int tcp_option(const tcp::endpoint& local, int option) {
    for (int fd = 0; fd < 1024; ++fd) {
        tcp::endpoint found;
        auto size = static_cast<socklen_t>(found.capacity());
        if (::getsockname(fd, found.data(), &size) != 0 || found != local) continue;
        int value = -1;
        size = sizeof value;
        return ::getsockopt(fd, IPPROTO_TCP, option, &value, &size) == 0 ? value : -1;
    }
    return -1;
}

TEST_F(ConnectionTest, SendsAndAcknowledgesAtOnceAndGivesUpAfter15Seconds) {
    const ScriptedPeer peer(io, echoes);
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    const auto local = connection.local_endpoint().value();
    EXPECT_NE(tcp_option(local, TCP_NODELAY), 0);
    EXPECT_EQ(tcp_option(local, TCP_USER_TIMEOUT), 15'000);
    EXPECT_EQ(tcp_option(local, TCP_QUICKACK), 1);
    for (int i = 0; i < 4; ++i) {  // an exchange back and forth makes the kernel fall back to delaying
        ASSERT_EQ(write(bytes("hello")).code, error_code());
        ASSERT_EQ(text(read()), "hello");
    }
    EXPECT_EQ(tcp_option(local, TCP_QUICKACK), 1);
}

TEST_F(ConnectionTest, NobodyListens) {
    const ClosedPort port(io);
    const auto code = connect(port.endpoint());
    EXPECT_EQ(reason_of(code), Reason::refused) << code.message();
    EXPECT_FALSE(connection.is_open());
}

TEST_F(ConnectionTest, AConnectNobodyAnswersEndsAtTheDeadline) {
    const FullPort port(io);
    const auto code = connect(port.endpoint(), soon());
    EXPECT_EQ(reason_of(code), Reason::timeout) << code.message();
    EXPECT_FALSE(connection.is_open());
}

TEST_F(ConnectionTest, ACutConnectIsAborted) {
    const FullPort port(io);
    Task<error_code> task(io, connection.connect(port.endpoint(), far()));
    io.poll();
    EXPECT_FALSE(task.ended());
    task.cut();
    EXPECT_EQ(task.wait(), asio::error::operation_aborted);
    EXPECT_FALSE(connection.is_open());
}

TEST_F(ConnectionTest, NothingStartsAfterTheDeadline) {
    const ScriptedPeer peer(io, says("always something to say"));
    const auto passed = Clock::now();
    EXPECT_EQ(reason_of(connect(peer.endpoint(), passed)), Reason::timeout);
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    EXPECT_EQ(reason_of(read(passed).code), Reason::timeout);
    EXPECT_EQ(reason_of(write(bytes("x"), passed).code), Reason::timeout);
    EXPECT_EQ(text(read()), "always something to say");
}

TEST_F(ConnectionTest, APeerThatHangsUpHasClosed) {
    const ScriptedPeer peer(io, says(""));
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    const Moved moved = read();
    EXPECT_EQ(moved.code, asio::error::eof);
    EXPECT_EQ(reason_of(moved.code), Reason::closed);
}

TEST_F(ConnectionTest, APeerThatTearsTheConnectionDown) {
    const ScriptedPeer peer(io, resets);
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    EXPECT_EQ(reason_of(read().code), Reason::reset);
}

TEST_F(ConnectionTest, APeerThatTearsTheConnectionDownWhileWeWrite) {
    const ScriptedPeer peer(io, resets_when_spoken_to);
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    EXPECT_EQ(reason_of(write(flood).code), Reason::reset);
}

TEST_F(ConnectionTest, SilenceEndsAReadAndLeavesTheConnection) {
    Gate gate(io);
    std::string heard;
    const ScriptedPeer peer(io, hears_after(gate, heard));
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    EXPECT_EQ(reason_of(read(soon()).code), Reason::timeout);
    EXPECT_EQ(write(bytes("still here")).code, error_code());
    gate.open();
    connection.close();
    run_until(io, [&heard] { return heard == "still here"; });
}

TEST_F(ConnectionTest, APeerThatDoesNotReadEndsAWrite) {
    const ScriptedPeer peer(io, stays_silent);
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    const Moved moved = write(flood, soon());
    EXPECT_EQ(reason_of(moved.code), Reason::timeout);
    EXPECT_GT(moved.size, 0u);
    EXPECT_LT(moved.size, flood.size());
    EXPECT_GT(connection.tcp_facts().not_sent_bytes, 0u);
}

TEST_F(ConnectionTest, AReadsDeadlineLeavesTheWriteAlone) {
    Gate gate(io);
    std::string heard;
    const ScriptedPeer peer(io, hears_after(gate, heard));
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    Task<Moved> writing(io, connection.write(flood, far()));
    EXPECT_EQ(reason_of(read(soon()).code), Reason::timeout);
    EXPECT_FALSE(writing.ended());
    gate.open();
    EXPECT_EQ(writing.wait().size, flood.size());
}

TEST_F(ConnectionTest, AWritesDeadlineLeavesTheReadAlone) {
    const ScriptedPeer peer(io, stays_silent);
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    Task<Moved> reading(io, connection.read_some(buffer, far()));
    EXPECT_EQ(reason_of(write(flood, soon()).code), Reason::timeout);
    EXPECT_FALSE(reading.ended());
}

// A server may end its side and still take what we send: a FIN alone must not end a write.
TEST_F(ConnectionTest, WritesGoOnAfterThePeersFin) {
    std::string heard;
    const ScriptedPeer peer(io, finishes_and_hears(heard));
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    Task<Moved> writing(io, connection.write(flood, far()));
    EXPECT_EQ(read().code, asio::error::eof);
    EXPECT_EQ(writing.wait().size, flood.size());
    connection.close();
    run_until(io, [&heard] { return heard.size() == flood.size(); });
}

TEST_F(ConnectionTest, ACutReadIsAborted) {
    const ScriptedPeer peer(io, stays_silent);
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    Task<Moved> task(io, connection.read_some(buffer, far()));
    io.poll();
    task.cut();
    EXPECT_EQ(task.wait().code, asio::error::operation_aborted);
}

TEST_F(ConnectionTest, ClosingAbortsWhatIsUnderWay) {
    const ScriptedPeer peer(io, stays_silent);
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    Task<Moved> reading(io, connection.read_some(buffer, far()));
    Task<Moved> writing(io, connection.write(flood, far()));
    io.poll();
    connection.close();
    EXPECT_EQ(reading.wait().code, asio::error::operation_aborted);
    EXPECT_EQ(writing.wait().code, asio::error::operation_aborted);
}

TEST_F(ConnectionTest, OperationsOutliveTheConnection) {
    const ScriptedPeer peer(io, stays_silent);
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    Task<Moved> reading(io, connection.read_some(buffer, far()));
    io.poll();
    connection = Connection(io.get_executor());
    EXPECT_EQ(reading.wait().code, asio::error::operation_aborted);
}

/// Writes `data`; if it is cut, writes what is missing of it, and a farewell.
asio::awaitable<bool> write_with_farewell(Connection& connection, const Bytes& data) {
    const Moved moved = co_await connection.write(data, far());
    if (moved.code != asio::error::operation_aborted) co_return false;
    co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
    const Bytes farewell = bytes("bye");
    const std::span<const std::uint8_t> rest = std::span(data).subspan(moved.size);
    const Moved finished = co_await connection.write(rest, far());
    const Moved said = co_await connection.write(farewell, far());
    co_return !finished.code && !said.code;
}

TEST_F(ConnectionTest, ACutWriteCanBeFinishedAndFollowedByAFarewell) {
    Gate gate(io);
    std::string heard;
    const ScriptedPeer peer(io, hears_after(gate, heard));
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    Task<bool> task(io, write_with_farewell(connection, flood));
    io.poll();
    task.cut();
    gate.open();
    EXPECT_TRUE(task.wait());
    connection.close();
    run_until(io, [&heard] { return heard.ends_with("bye"); });
    EXPECT_EQ(heard.size(), flood.size() + 3);
}

TEST_F(ConnectionTest, KernelCountsWhatThePeerAcknowledged) {
    const ScriptedPeer peer(io, echoes);
    EXPECT_EQ(connection.tcp_facts().bytes_acked, 0u);
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    EXPECT_EQ(connection.tcp_facts().bytes_acked, 0u);
    ASSERT_EQ(write(bytes("hello")).code, error_code());
    ASSERT_EQ(text(read()), "hello");
    const auto facts = connection.tcp_facts();
    EXPECT_EQ(facts.bytes_acked, 5u);
    EXPECT_EQ(facts.unacked_segments, 0u);
    EXPECT_EQ(facts.not_sent_bytes, 0u);
    EXPECT_GT(facts.rtt, 0us);
}

asio::awaitable<void> keep_end(tcp::socket socket, error_code& end) {
    std::array<char, 64> ignored{};
    while (!end) {
        const auto [code, size] = co_await socket.async_read_some(asio::buffer(ignored), net::no_throw);
        end = code;
    }
}
asio::awaitable<void> talk_and_keep_end(tcp::socket socket, error_code& end) {
    co_await asio::async_write(socket, asio::buffer("unread", 6), net::no_throw);
    co_await keep_end(std::move(socket), end);
}

TEST_F(ConnectionTest, CloseIsInGoodOrderAlsoWithUnreadBytes) {
    error_code end;
    const ScriptedPeer peer(io,
                            [&end](tcp::socket socket) { return talk_and_keep_end(std::move(socket), end); });
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    buffer.resize(1);
    ASSERT_EQ(text(read()), "u");
    connection.close();
    connection.close();
    EXPECT_FALSE(connection.is_open());
    run_until(io, [&end] { return static_cast<bool>(end); });
    EXPECT_EQ(end, asio::error::eof);
}

asio::awaitable<void> talk_and_read_after(tcp::socket socket, Gate& gate, std::string& heard) {
    co_await asio::async_write(socket, asio::buffer("unread", 6), net::no_throw);
    const Script rest = hears_after(gate, heard);
    co_await rest(std::move(socket));
}

// Unread bytes would make the kernel reset the connection, and drop what we have written.
TEST_F(ConnectionTest, CloseDeliversWhatWasWritten) {
    Gate gate(io);
    std::string heard;
    const ScriptedPeer peer(
        io, [&](tcp::socket socket) { return talk_and_read_after(std::move(socket), gate, heard); });
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    const Moved moved = write(flood, soon());
    ASSERT_EQ(reason_of(moved.code), Reason::timeout);
    connection.close();
    gate.open();
    run_until(io, [&] { return heard.size() == moved.size; });
}

TEST_F(ConnectionTest, AbortResets) {
    error_code end;
    const ScriptedPeer peer(io, [&end](tcp::socket socket) { return keep_end(std::move(socket), end); });
    ASSERT_EQ(connect(peer.endpoint()), error_code());
    run_until(io, [&peer] { return peer.accepted() == 1; });
    connection.abort();
    EXPECT_FALSE(connection.is_open());
    run_until(io, [&end] { return static_cast<bool>(end); });
    EXPECT_EQ(end, asio::error::connection_reset);
}

TEST_F(ConnectionTest, ConnectsAnew) {
    const ScriptedPeer first(io, says("first"));
    const ScriptedPeer second(io, says("second"));
    ASSERT_EQ(connect(first.endpoint()), error_code());
    EXPECT_EQ(text(read()), "first");
    ASSERT_EQ(connect(second.endpoint()), error_code());
    EXPECT_EQ(text(read()), "second");
}

}  // namespace
}  // namespace livecanary::test
