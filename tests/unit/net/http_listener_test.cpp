// What strangers may do to the listener, and how little of it it bears.
#include "probes/net/http_listener.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "tests/support/scripted_peer.hpp"
#include "tests/support/task.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using net::HttpListener;
using net::HttpListenerLimits;

struct Bench {
    asio::io_context io{};
    std::vector<net::HttpIncoming> heard{};
    unsigned status = 200;
    std::string body = "{}";
    bool throws = false;
    std::shared_ptr<Gate> gate{};  ///< the handler waits for it
    HttpListener listener;
    std::optional<Task<error_code>> serving{};

    explicit Bench(HttpListenerLimits limits = {})
        : listener(io.get_executor(), "/live", limits,
                   [this](net::HttpIncoming incoming) { return handle(std::move(incoming)); }) {
        EXPECT_EQ(listener.listen({asio::ip::address_v4::loopback(), 0}), error_code{});
        serving.emplace(io, listener.serve());
    }
    ~Bench() { stop(); }
    void stop() {
        if (!serving) return;
        serving->cut();
        serving->wait();
        serving.reset();
    }
    asio::awaitable<net::HttpOutgoing> handle(net::HttpIncoming incoming) {
        heard.push_back(std::move(incoming));
        if (throws) throw std::runtime_error("a bug");
        if (gate) co_await gate->pass();
        net::HttpOutgoing outgoing;
        outgoing.status = status;
        outgoing.body = body;
        co_return outgoing;
    }
    /// Sends `bytes` and reads until the connection ends.
    asio::awaitable<std::string> talk(std::string bytes) {
        tcp::socket socket(io);
        co_await socket.async_connect({asio::ip::address_v4::loopback(), listener.port()}, net::no_throw);
        co_await asio::async_write(socket, asio::buffer(bytes), net::no_throw);
        std::string all;
        co_await asio::async_read(socket, asio::dynamic_buffer(all), net::no_throw);
        co_return all;
    }
    std::string say(std::string bytes) { return await(io, talk(std::move(bytes))); }
    std::string post(const std::string& content, const std::string& target = "/live",
                     const std::string& more = "Connection: close\r\n") {
        return say("POST " + target + " HTTP/1.1\r\nHost: h\r\n" + more +
                   "Content-Length: " + std::to_string(content.size()) + "\r\n\r\n" + content);
    }
};

TEST(HttpListener, HandsOutWhatCameWhole) {
    Bench bench;
    const auto answer = bench.post("hello", "/live?x=1");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    EXPECT_NE(answer.find("Content-Type: application/json\r\n"), answer.npos);
    EXPECT_TRUE(answer.ends_with("\r\n\r\n{}"));
    ASSERT_EQ(bench.heard.size(), 1U);
    EXPECT_EQ(bench.heard[0].target, "/live?x=1");
    EXPECT_EQ(bench.heard[0].body, "hello");
    EXPECT_EQ(bench.heard[0].peer, "127.0.0.1");
}

TEST(HttpListener, TakesChunksAndOneRequestAfterTheOther) {
    Bench bench;
    const std::string head = "POST /live HTTP/1.1\r\nHost: h\r\n";
    const auto answer =
        bench.say(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" + head +
                  "Connection: close\r\nContent-Length: 1\r\n\r\nx");
    ASSERT_EQ(bench.heard.size(), 2U) << answer;
    EXPECT_EQ(bench.heard[0].body, "abcde");
    EXPECT_EQ(bench.heard[1].body, "x");
}

TEST(HttpListener, AsksForABodyThatIsAnnounced) {
    Bench bench;
    const auto answer = bench.post("x", "/live", "Expect: 100-continue\r\nConnection: close\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")) << answer;
}

struct Refusal {
    const char* name;
    std::string bytes;
    const char* begin;  ///< of the answer
};
void PrintTo(const Refusal& row, std::ostream* out) { *out << row.name; }
const Refusal refusals[] = {
    {"other_path", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 404 "},
    {"below_the_path", "POST /live/ HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 "},
    {"metrics", "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 "},
    {"get", "GET /live HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 405 "},
    {"put", "PUT /live HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 405 "},
    {"no_http", "\x16\x03\x01\x02 hello\r\n\r\n", "HTTP/1.1 400 "},
    {"large_header", "POST /live HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n", "HTTP/1.1 431 "},
    {"large_body_announced", "POST /live HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n",
     "HTTP/1.1 413 "},
    {"large_body_in_chunks",
     "POST /live HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n" +
         std::string(65537, 'x') + "\r\n0\r\n\r\n",
     "HTTP/1.1 413 "},
    {"negative_length", "POST /live HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400 "},
};
class HttpListenerRefuses : public testing::TestWithParam<Refusal> {};
TEST_P(HttpListenerRefuses, WithoutTheHandler) {
    Bench bench;
    // The peer ends its side too, so that nobody waits for the rest of what is refused.
    const auto ends = [](Bench& at, std::string bytes) -> asio::awaitable<std::string> {
        tcp::socket socket(at.io);
        co_await socket.async_connect({asio::ip::address_v4::loopback(), at.listener.port()}, net::no_throw);
        co_await asio::async_write(socket, asio::buffer(bytes), net::no_throw);
        std::string all;
        char byte = 0;
        while (all.find("\r\n\r\n") == all.npos) {
            const auto [code, size] = co_await socket.async_read_some(asio::buffer(&byte, 1), net::no_throw);
            if (code) break;
            all += byte;
        }
        co_return all;
    };
    const std::string answer = await(bench.io, ends(bench, GetParam().bytes));
    EXPECT_TRUE(answer.starts_with(GetParam().begin)) << answer;
    EXPECT_TRUE(bench.heard.empty());
}
INSTANTIATE_TEST_SUITE_P(, HttpListenerRefuses, testing::ValuesIn(refusals),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(HttpListener, RequestThatDoesNotComeWholeIsClosed) {
    Bench bench({.request = 50ms});
    EXPECT_EQ(bench.say("POST /live HTTP/1.1\r\nHost: h\r\nContent-Le"), "");
    EXPECT_EQ(bench.say("POST /live HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel"), "");
    EXPECT_EQ(bench.say(""), "");
    EXPECT_TRUE(bench.heard.empty());
}

TEST(HttpListener, OneConnectionTooManyIsClosedAtOnce) {
    Bench bench({.connections = 2});
    bench.gate = std::make_shared<Gate>(bench.io);
    const std::string request =
        "POST /live HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    Task<std::string> first(bench.io, bench.talk(request)), second(bench.io, bench.talk(request));
    run_until(bench.io, [&] { return bench.heard.size() == 2; });
    EXPECT_EQ(bench.say(request), "");
    EXPECT_EQ(bench.listener.turned_away(), 1U);
    bench.gate->open();
    EXPECT_TRUE(first.wait().starts_with("HTTP/1.1 200 "));
    EXPECT_TRUE(second.wait().starts_with("HTTP/1.1 200 "));
    run_until(bench.io, [&] { return bench.listener.connections() == 0; });
    EXPECT_TRUE(bench.say(request).starts_with("HTTP/1.1 200 "));
}

TEST(HttpListener, HandlerThatThrowsIsABugOfOurs) {
    Bench bench;
    bench.throws = true;
    EXPECT_TRUE(bench.post("x").starts_with("HTTP/1.1 500 "));
    EXPECT_EQ(bench.listener.bug(), "a bug");
    bench.throws = false;
    EXPECT_TRUE(bench.post("x").starts_with("HTTP/1.1 200 "));
}

TEST(HttpListener, StopsWithConnectionsUnderWayAndFreesItsPort) {
    Bench bench;
    bench.gate = std::make_shared<Gate>(bench.io);
    Task<std::string> waiting(bench.io,
                              bench.talk("POST /live HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"));
    Task<std::string> idle(bench.io, bench.talk("POST /li"));
    run_until(bench.io, [&] { return !bench.heard.empty() && bench.listener.connections() == 2; });
    const auto port = bench.listener.port();
    bench.stop();
    EXPECT_EQ(bench.listener.port(), 0);
    EXPECT_EQ(bench.listener.connections(), 0U);
    EXPECT_EQ(waiting.wait(), "");
    EXPECT_EQ(idle.wait(), "");
    HttpListener again(bench.io.get_executor(), "/", {}, {});
    EXPECT_EQ(again.listen({asio::ip::address_v4::loopback(), port}), error_code{});
}

TEST(HttpListener, PortThatIsTaken) {
    Bench bench;
    HttpListener other(bench.io.get_executor(), "/", {}, {});
    EXPECT_EQ(other.listen({asio::ip::address_v4::loopback(), bench.listener.port()}),
              asio::error::address_in_use);
    EXPECT_EQ(other.port(), 0);
}

}  // namespace
}  // namespace livecanary::test
