// HTTP/1.1 against a peer that answers by a script, in pieces; and URLs by the examples of RFC 3986.
#include "probes/net/http.hpp"

#include <gtest/gtest.h>

#include <unistd.h>
#include <filesystem>

#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "probes/protocol/push_url.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/support/task.hpp"
#include "tests/support/tls_peer.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using net::Connection, net::HttpError, net::HttpExchange, net::HttpHead, net::HttpRequest;
using protocol::UrlError;
using Pieces = std::vector<std::string>;

/// What the peer sends once it has read a request up to the blank line.
struct Answer {
    Pieces pieces;
    bool finishes = false;  ///< sends its FIN after them
};

template <class Stream>
asio::awaitable<void> send_pieces(Stream& stream, Pieces pieces) {
    for (const std::string& piece : pieces) {
        co_await asio::async_write(stream, asio::buffer(piece), net::no_throw);
        // The loop looks for what has arrived, so that each piece is a read of its own.
        for (int turn = 0; turn < 3; ++turn) co_await asio::post(stream.get_executor(), net::no_throw);
    }
}

asio::awaitable<void> answer_each(tcp::socket socket, std::vector<Answer> answers, std::string& heard) {
    socket.set_option(tcp::no_delay(true));
    std::string request;
    for (const Answer& answer : answers) {
        const auto [code, size] =
            co_await asio::async_read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n", net::no_throw);
        heard += request;
        request.clear();
        if (code) co_return;
        co_await send_pieces(socket, answer.pieces);
        if (answer.finishes) socket.shutdown(tcp::socket::shutdown_send);
    }
    co_await asio::async_read(socket, asio::dynamic_buffer(heard), net::no_throw);
}

/// A response and what became of it.
struct Got {
    error_code code{};
    HttpHead head{};
    std::string body{};
    bool keeps_alive = false;
    bool has_head = false;
};

asio::awaitable<Got> fetch(HttpExchange& exchange, HttpRequest request, std::size_t room = 4096) {
    Got got;
    const auto head = co_await exchange.send(request, far());
    if (!head) {
        got.code = head.error();
        co_return got;
    }
    got.head = *head;
    got.has_head = true;
    std::vector<std::uint8_t> bytes(room);
    for (;;) {
        const std::span<std::uint8_t> into(bytes);
        const auto size = co_await exchange.read_body(into, far());
        got.keeps_alive = exchange.keeps_alive();
        if (!size) got.code = size.error();
        if (!size || *size == 0) co_return got;
        got.body.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(*size));
    }
}

HttpRequest get(std::string target = "/") { return {.target = std::move(target), .host = "a.test"}; }

class HttpTest : public testing::Test {
protected:
    /// One exchange on a connection of its own.
    Got ask(std::vector<Answer> answers, const HttpRequest& request = get(), std::size_t room = 4096) {
        heard.clear();
        const ScriptedPeer peer(io, [this, answers](tcp::socket socket) {
            return answer_each(std::move(socket), answers, heard);
        });
        Connection connection(io.get_executor());
        EXPECT_EQ(await(io, connection.connect(peer.endpoint(), far())), error_code());
        HttpExchange exchange(connection);
        const Got got = await(io, fetch(exchange, request, room));
        connection.close();
        io.poll();
        return got;
    }
    Got ask(std::string answer, const HttpRequest& request = get()) {
        return ask({{{answer}, true}}, request);
    }

    asio::io_context io;
    std::string heard;
};

Pieces bytes_of(const std::string& text) {
    Pieces pieces;
    for (const char c : text) pieces.emplace_back(1, c);
    return pieces;
}

TEST_F(HttpTest, WritesARequestWordForWord) {
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    EXPECT_EQ(ask(answer, get("/live/a.flv?txSecret=1")).code, error_code());
    EXPECT_EQ(heard, "GET /live/a.flv?txSecret=1 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    ask(answer, {.method = "PUT",
                 .target = "/object",
                 .host = "[::1]:8080",
                 .headers = {{"Range", "bytes=0-"}, {"X-Empty", ""}},
                 .body = "he\r\nllo"});
    EXPECT_EQ(
        heard,
        "PUT /object HTTP/1.1\r\nHost: [::1]:8080\r\nRange: bytes=0-\r\nX-Empty: \r\nContent-Length: 7\r\n"
        "\r\nhe\r\nllo");
    ask(answer, {.method = "POST", .host = "a.test"});
    EXPECT_EQ(heard, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(HttpTest, ContentIsMadeWhileItIsSent) {
    constexpr std::size_t size = 200'000;
    std::string made;
    HttpRequest put{.method = "PUT", .target = "/o", .host = "a.test", .body = "not sent"};
    put.content = net::HttpContent{.size = size, .next = [&made](std::span<std::uint8_t> into) {
                                       const std::size_t piece = std::min<std::size_t>(into.size(), 7001);
                                       for (auto& byte : into.first(piece)) {
                                           byte = static_cast<std::uint8_t>(made.size() * 31);
                                           made += static_cast<char>(byte);
                                       }
                                       return piece;
                                   }};
    const Got got = ask("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", put);
    EXPECT_EQ(got.head.status, 200U) << got.code.message();
    EXPECT_EQ(made.size(), size) << "never asked for more than it said";
    EXPECT_EQ(heard, "PUT /o HTTP/1.1\r\nHost: a.test\r\nContent-Length: 200000\r\n\r\n" + made);
}

TEST_F(HttpTest, ContentThatEndsBeforeItsSizeIsNoRequest) {
    HttpRequest put{.method = "PUT", .host = "a.test"};
    put.content =
        net::HttpContent{.size = 10, .next = [](std::span<std::uint8_t>) { return std::size_t{0}; }};
    EXPECT_EQ(ask("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", put).code, HttpError::bad_request);
}

TEST_F(HttpTest, SendsNothingOfARequestThatWouldBeAnother) {
    const HttpRequest refused[] = {
        {.method = "", .host = "a"},
        {.method = "GET /x", .host = "a"},
        {.method = "CONNECT", .host = "a"},
        {.target = "", .host = "a"},
        {.target = "/a b", .host = "a"},
        {.target = "/\r\nX: y", .host = "a"},
        {.host = ""},
        {.host = "a\r\nX: y"},
        {.host = "a", .headers = {{"", "v"}}},
        {.host = "a", .headers = {{"N:", "v"}}},
        {.host = "a", .headers = {{"N\r\n", "v"}}},
        {.host = "a", .headers = {{"N", "v\r\nX: y"}}},
        {.host = "a", .headers = {{"N", "v\ny"}}},
        {.host = "a", .headers = {{"N", "v\0y"s}}},
        {.host = "a", .headers = {{"N\0"s, "v"}}},
        {.host = "a", .headers = {{"A", "b"}, {"host", "b"}}},
        {.host = "a", .headers = {{"content-Length", "1"}}},
        {.host = "a", .headers = {{"Transfer-Encoding", "chunked"}}},
    };
    for (const HttpRequest& request : refused) {
        const Got got = ask("HTTP/1.1 200 OK\r\n\r\n", request);
        EXPECT_EQ(got.code, HttpError::bad_request) << request.method << request.target << request.host;
        EXPECT_EQ(reason_of(got.code), Reason::local);
        EXPECT_EQ(heard, "");
    }
    EXPECT_EQ(ask("HTTP/1.1 200 OK\r\n\r\n", {.host = "a", .headers = {{"N", "a\tb"}}}).code, error_code());
}

struct Form {
    const char* what;
    std::string text;
    std::string body;
    bool keeps_alive;
};

const Form forms[] = {
    {"with a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true},
    {"chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00a;x=\"y\"\r\n, 10 "
     "bytes\r\n0\r\n\r\n",
     "hello, 10 bytes", true},
    {"chunked with a trailer",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n0\r\nX-Sum: 1\r\n\r\n", "\n", true},
    {"until the peer closes", "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello", "hello", false},
    {"of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", false},
    {"of HTTP/1.0, kept alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nh",
     "h", true},
    {"of a server that closes", "HTTP/1.1 200 \r\nconnection: Close\r\nContent-Length: 1\r\n\r\nh", "h",
     false},
    {"of no bytes", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true},
    {"after interim responses",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
     "hi", true},
};

TEST_F(HttpTest, ReadsABodyInEveryForm) {
    for (const Form& form : forms) {
        const Got got = ask(form.text);
        EXPECT_EQ(got.code, error_code()) << form.what << got.code.message();
        EXPECT_EQ(got.head.status, 200u) << form.what;
        EXPECT_EQ(got.body, form.body) << form.what;
        EXPECT_EQ(got.keeps_alive, form.keeps_alive) << form.what;
        EXPECT_EQ(got.head.header("link"), "") << form.what;
    }
}

TEST_F(HttpTest, ReadsThemByteByByte) {
    for (const Form& form : forms) {
        const Got got = ask({{bytes_of(form.text), true}}, get(), 1);
        EXPECT_EQ(got.code, error_code()) << form.what << got.code.message();
        EXPECT_EQ(got.body, form.body) << form.what;
        EXPECT_EQ(got.keeps_alive, form.keeps_alive) << form.what;
    }
}

TEST_F(HttpTest, ReadsThemSplitAnywhere) {
    for (const Form& form : forms)
        for (std::size_t at = 1; at < form.text.size(); ++at) {
            const Pieces pieces{form.text.substr(0, at), form.text.substr(at)};
            const Got got = ask({{pieces, true}}, get(), 3);
            ASSERT_EQ(got.code, error_code()) << form.what << at << got.code.message();
            ASSERT_EQ(got.body, form.body) << form.what << at;
        }
}

TEST_F(HttpTest, KnowsWhereverItIsCutShort) {
    for (const Form& form : forms) {
        const bool until_close = form.what == "until the peer closes"s;
        // Of the last response.
        const auto header_size = form.text.find("\r\n\r\n", form.text.rfind("HTTP/1.")) + 4;
        for (std::size_t size = 0; size < form.text.size(); ++size) {
            const Got got = ask(form.text.substr(0, size));
            const auto expected = size < header_size ? make_error_code(HttpError::closed_in_header)
                                  : until_close      ? error_code()
                                                     : make_error_code(HttpError::closed_in_body);
            ASSERT_EQ(got.code, expected) << form.what << size;
            ASSERT_TRUE(form.body.starts_with(got.body)) << form.what << size;
            ASSERT_FALSE(got.keeps_alive) << form.what << size;
            ASSERT_TRUE(!expected || reason_of(got.code) == Reason::closed);
        }
    }
}

TEST_F(HttpTest, KnowsTheHeader) {
    const Got got =
        ask("HTTP/1.1 404 Not there\r\nVia:  one \r\nX-Cache-Lookup: Hit\r\nvia: two\r\nContent-Length: "
            "3\r\n\r\nabc");
    EXPECT_EQ(got.head.status, 404u);
    EXPECT_EQ(got.head.reason, "Not there");
    EXPECT_EQ(got.head.header("VIA"), "one");
    EXPECT_EQ(got.head.header("x-cache-lookup"), "Hit");
    EXPECT_EQ(got.head.header("X"), "");
    EXPECT_EQ(got.head.headers.size(), 4u);
    EXPECT_EQ(got.head.headers[2], (std::pair("via"s, "two"s)));
    EXPECT_EQ(got.head.content_length, 3u);
    EXPECT_FALSE(got.head.chunked);
    const Got chunked = ask(forms[2].text);
    EXPECT_TRUE(chunked.head.chunked);
    EXPECT_EQ(chunked.head.content_length, std::nullopt);
    EXPECT_EQ(chunked.head.header("X-Sum"), "");
}

TEST_F(HttpTest, SomeResponsesHaveNoBodyWhateverTheySay) {
    const std::string length = "Content-Length: 5\r\n\r\n", chunked = "Transfer-Encoding: chunked\r\n\r\n";
    struct Case {
        const char* method;
        std::string text;
    };
    const Case cases[] = {
        {"HEAD", "HTTP/1.1 200 OK\r\n" + length},          {"HEAD", "HTTP/1.1 200 OK\r\n" + chunked},
        {"HEAD", "HTTP/1.1 404 Not Found\r\n\r\n"},        {"GET", "HTTP/1.1 204 No Content\r\n\r\n"},
        {"GET", "HTTP/1.1 304 Not Modified\r\n" + length},
    };
    for (const Case& c : cases) {
        const Got got = ask({{{c.text}}}, {.method = c.method, .host = "a"});
        EXPECT_EQ(got.code, error_code()) << c.text;
        EXPECT_EQ(got.body, "") << c.text;
        EXPECT_TRUE(got.keeps_alive) << c.text;
    }
    EXPECT_EQ(ask({{{cases[0].text}}}, {.method = "HEAD", .host = "a"}).head.content_length, 5u);
}

TEST_F(HttpTest, RefusesWhatBreaksTheFormat) {
    const std::string ok = "HTTP/1.1 200 OK\r\n", chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";
    struct Case {
        const char* what;
        std::string text;
        HttpError error;
    };
    using enum HttpError;
    const Case cases[] = {
        {"another protocol", "SSH-2.0-OpenSSH_9\r\n", bad_status_line},
        {"a web page without a header", "<html>" + std::string(20'000, 'x'), bad_status_line},
        {"the beginning of another protocol", "HTTQ", bad_status_line},
        {"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", bad_status_line},
        {"a status that is no number", "HTTP/1.1 2xx OK\r\n\r\n", bad_status_line},
        {"a header without a name", ok + ": v\r\n\r\n", bad_header},
        {"a header without a colon", ok + "name\r\n\r\n", bad_header},
        {"a NUL in a header", ok + "N: a\0b\r\n\r\n"s, bad_header},
        {"a length that is no number", ok + "Content-Length: many\r\n\r\n", bad_header},
        {"a negative length", ok + "Content-Length: -1\r\n\r\n", bad_header},
        {"two lengths", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", bad_header},
        {"a length and chunks", ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", bad_header},
        {"a chunk size that is no number", chunked + "five\r\nhello\r\n", bad_chunk},
        {"a chunk that is longer than it says", chunked + "4\r\nhello\r\n0\r\n\r\n", bad_chunk},
        {"a chunk size beyond 64 bits", chunked + "10000000000000000\r\nx\r\n", bad_chunk},
        {"a chunk extension that is none", chunked + "1 x\r\na\r\n", bad_chunk},
        {"a chunk extension without end", chunked + "1;" + std::string(20'000, 'x'), bad_chunk},
        {"a trailer without end", chunked + "0\r\nA: " + std::string(20'000, 'x'), bad_chunk},
        {"a trailer that is none", chunked + "0\r\nA\r\n\r\n", bad_chunk},
    };
    for (const Case& c : cases)
        for (const std::size_t size : {c.text.size(), std::size_t{7}}) {
            Pieces pieces;
            for (std::size_t at = 0; at < c.text.size(); at += size)
                pieces.push_back(c.text.substr(at, size));
            const Got got = ask({{pieces, true}});
            EXPECT_EQ(got.code, c.error) << c.what << got.code.message();
            EXPECT_EQ(reason_of(got.code), Reason::protocol) << c.what;
            EXPECT_FALSE(got.keeps_alive) << c.what;
        }
}

TEST_F(HttpTest, AnErrorOfTheBodyIsFinal) {
    const std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nx\r\n0\r\n\r\n";
    const ScriptedPeer peer(io, says_and_finishes(text));
    Connection connection(io.get_executor());
    ASSERT_EQ(await(io, connection.connect(peer.endpoint(), far())), error_code());
    HttpExchange exchange(connection);
    EXPECT_EQ(await(io, fetch(exchange, get())).code, HttpError::bad_chunk);
    std::vector<std::uint8_t> room(10);
    EXPECT_EQ(await(io, exchange.read_body(room, far())).error(), HttpError::bad_chunk);
    EXPECT_EQ(await(io, exchange.send(get(), far())).error(), HttpError::not_ready);
}

TEST_F(HttpTest, HoldsItsHeaderLimitToTheByte) {
    const auto header = [](std::size_t size, const std::string& status) {
        std::string text = "HTTP/1.1 " + status + " OK\r\nA: ";
        while (text.size() + 4 < size) {
            const std::size_t line = std::min<std::size_t>(size - 4 - text.size(), 2000);
            text +=
                line > 10 && line == 2000 ? std::string(line - 5, 'x') + "\r\nB: " : std::string(line, 'x');
        }
        return text + "\r\n\r\n";
    };
    const std::string body = "hello";
    const std::string fits = header(net::max_http_header_size, "200");
    const std::string too_large = header(net::max_http_header_size + 1, "200");
    const std::string two =
        header(net::max_http_header_size / 2, "103") + header(net::max_http_header_size / 2, "200");
    const std::string two_too_large =
        header(net::max_http_header_size / 2, "103") + header(net::max_http_header_size / 2 + 1, "200");
    ASSERT_EQ(fits.size(), net::max_http_header_size);
    for (const std::size_t size : {std::size_t{100'000}, std::size_t{1000}, std::size_t{64}}) {
        const auto pieces = [&](const std::string& text) {
            Pieces out;
            for (std::size_t at = 0; at < text.size(); at += size) out.push_back(text.substr(at, size));
            return out;
        };
        EXPECT_EQ(ask({{pieces(fits + body), true}}).body, body) << size;
        EXPECT_EQ(ask({{pieces(two + body), true}}).body, body) << size;
        EXPECT_EQ(ask({{pieces(too_large + body), true}}).code, HttpError::header_too_large) << size;
        EXPECT_EQ(ask({{pieces(two_too_large + body), true}}).code, HttpError::header_too_large) << size;
    }
    std::string interim;
    while (interim.size() < 100'000) interim += "HTTP/1.1 100 Continue\r\n\r\n";
    EXPECT_EQ(ask({{{interim}, true}}).code, HttpError::header_too_large);
}

TEST_F(HttpTest, ABodyHasNoLimit) {
    const std::string body(9 * 1024 * 1024, 'x'), ok = "HTTP/1.1 200 OK\r\n";
    EXPECT_EQ(ask(ok + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body).body, body);
    EXPECT_EQ(ask(ok + "Transfer-Encoding: chunked\r\n\r\n900000\r\n" + body + "\r\n0\r\n\r\n").body, body);
    EXPECT_EQ(ask(ok + "\r\n" + body).body, body);
}

TEST_F(HttpTest, SaysWhenTheFinalResponseBegan) {
    const auto before = Clock::now();
    std::string peer_heard;
    const Pieces pieces{"HTTP/1.1 100 Continue\r\n\r\n", "H", "TTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
                        "x"};
    const ScriptedPeer peer(
        io, [&](tcp::socket socket) { return answer_each(std::move(socket), {{pieces}}, peer_heard); });
    Connection connection(io.get_executor());
    ASSERT_EQ(await(io, connection.connect(peer.endpoint(), far())), error_code());
    HttpExchange exchange(connection);
    const auto head = await(io, exchange.send(get(), far()));
    ASSERT_TRUE(head);
    EXPECT_LT(before, head->first_byte_at);
    const auto header_at = exchange.last_read_at();
    EXPECT_LT(head->first_byte_at, header_at);
    EXPECT_NE(exchange.sent_at(), Clock::time_point());
    EXPECT_LE(exchange.sent_at(), head->first_byte_at);
    std::vector<std::uint8_t> room(10);
    EXPECT_EQ(*await(io, exchange.read_body(room, far())), 1u);
    EXPECT_LT(header_at, exchange.last_read_at());
}

/// A connected exchange with a peer that answers `pieces`, and no more.
class HttpStageTest : public HttpTest {
protected:
    void answer(std::vector<Answer> answers) {
        peer.emplace(io, [this, answers](tcp::socket socket) {
            return answer_each(std::move(socket), answers, heard);
        });
        ASSERT_EQ(await(io, connection.connect(peer->endpoint(), far())), error_code());
    }
    error_code send(Clock::time_point deadline, HttpRequest request = get()) {
        const auto head = await(io, exchange.send(request, deadline));
        return head ? error_code() : head.error();
    }
    error_code read(Clock::time_point deadline) {
        const auto size = await(io, exchange.read_body(room, deadline));
        return size ? error_code() : size.error();
    }

    std::optional<ScriptedPeer> peer;
    Connection connection{io.get_executor()};
    HttpExchange exchange{connection};
    std::vector<std::uint8_t> room = std::vector<std::uint8_t>(100);
};

TEST_F(HttpStageTest, AHeaderThatDoesNotComeEndsAtTheDeadline) {
    answer({{{"HTTP/1.1 200"}}});
    EXPECT_EQ(reason_of(send(soon())), Reason::timeout);
    EXPECT_FALSE(exchange.keeps_alive());
    EXPECT_EQ(send(far()), HttpError::not_ready);
    EXPECT_EQ(reason_of(read(far())), Reason::timeout);
}

TEST_F(HttpStageTest, ARequestThatIsNotTakenEndsAtTheDeadline) {
    peer.emplace(io, stays_silent);
    ASSERT_EQ(await(io, connection.connect(peer->endpoint(), far())), error_code());
    const HttpRequest flood{.method = "PUT", .host = "a", .body = std::string(32 * 1024 * 1024, 'x')};
    EXPECT_EQ(reason_of(send(soon(), flood)), Reason::timeout);
}

asio::awaitable<void> stalls_in_body(tcp::socket socket, Gate& gate) {
    std::string request, answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx", rest = "y";
    co_await asio::async_read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n", net::no_throw);
    co_await asio::async_write(socket, asio::buffer(answer), net::no_throw);
    co_await gate.pass();
    co_await asio::async_write(socket, asio::buffer(rest), net::no_throw);
    co_await asio::async_read(socket, asio::dynamic_buffer(request), net::no_throw);
}

TEST_F(HttpStageTest, ABodyThatStallsEndsAtTheDeadlineAndCanGoOn) {
    Gate gate(io);
    peer.emplace(io, [&](tcp::socket socket) { return stalls_in_body(std::move(socket), gate); });
    ASSERT_EQ(await(io, connection.connect(peer->endpoint(), far())), error_code());
    EXPECT_EQ(send(far()), error_code());
    EXPECT_EQ(read(far()), error_code());
    EXPECT_EQ(reason_of(read(soon())), Reason::timeout);
    EXPECT_FALSE(exchange.keeps_alive());
    gate.open();
    EXPECT_EQ(read(far()), error_code());
    EXPECT_EQ(room[0], 'y');
    EXPECT_EQ(*await(io, exchange.read_body(room, far())), 0u);
    EXPECT_TRUE(exchange.keeps_alive());
}

TEST_F(HttpStageTest, ACutHeaderIsAborted) {
    answer({{{"HTTP/1.1 200"}}});
    const HttpRequest request = get();
    Task<result<HttpHead>> task(io, exchange.send(request, far()));
    run_until(io, [this] { return exchange.last_read_at() != Clock::time_point(); });
    task.cut();
    EXPECT_EQ(task.wait().error(), asio::error::operation_aborted);
}

TEST_F(HttpStageTest, ACutBodyIsAborted) {
    answer({{{"HTTP/1.1 200 OK\r\n\r\n"}}});
    EXPECT_EQ(send(far()), error_code());
    Task<result<std::size_t>> task(io, exchange.read_body(room, far()));
    io.poll();
    EXPECT_FALSE(task.ended());
    task.cut();
    EXPECT_EQ(task.wait().error(), asio::error::operation_aborted);
}

TEST_F(HttpStageTest, APeerThatResets) {
    peer.emplace(io, resets_when_spoken_to);
    ASSERT_EQ(await(io, connection.connect(peer->endpoint(), far())), error_code());
    EXPECT_EQ(reason_of(send(far())), Reason::reset);
}

TEST_F(HttpStageTest, OneConnectionCarriesOneExchangeAfterTheOther) {
    const std::string second =
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    answer({{{forms[0].text}}, {{second}}, {{forms[0].text}}});
    const Got first = await(io, fetch(exchange, get("/1")));
    EXPECT_EQ(first.body, "hello");
    EXPECT_TRUE(first.keeps_alive);
    const auto first_ended = exchange.last_read_at();
    const Got got = await(io, fetch(exchange, get("/2")));
    EXPECT_LT(first_ended, got.head.first_byte_at);
    EXPECT_EQ(got.head.status, 404u);
    EXPECT_EQ(got.body, "abc");
    EXPECT_TRUE(got.keeps_alive);
    HttpExchange another(connection);
    EXPECT_EQ(await(io, fetch(another, get("/3"))).body, "hello");
    EXPECT_EQ(peer->accepted(), 1);
    EXPECT_EQ(heard,
              "GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n"
              "GET /3 HTTP/1.1\r\nHost: a.test\r\n\r\n");
}

TEST_F(HttpStageTest, TheNextExchangeWaitsForTheEndOfTheBody) {
    answer({{{forms[0].text}}});
    EXPECT_EQ(read(far()), HttpError::not_ready);
    EXPECT_EQ(send(far()), error_code());
    EXPECT_FALSE(exchange.keeps_alive());
    EXPECT_EQ(send(far()), HttpError::not_ready);
    EXPECT_EQ(read(far()), error_code());
    EXPECT_TRUE(exchange.keeps_alive());
}

TEST_F(HttpStageTest, AnEmptyBufferIsRefused) {
    answer({{{forms[0].text}}});
    EXPECT_EQ(send(far()), error_code());
    room.clear();
    EXPECT_EQ(reason_of(read(far())), Reason::local);
}

TEST_F(HttpTest, NothingFollowsOnAConnectionThatWeAskedToCloseOrThatSaysMoreThanAsked) {
    HttpRequest request = get();
    request.headers = {{"connection", "x, Close"}};
    EXPECT_FALSE(ask(forms[0].text, request).keeps_alive);
    request.headers = {{"connection", "keep-alive"}};
    EXPECT_TRUE(ask(forms[0].text, request).keeps_alive);
    EXPECT_FALSE(ask(forms[0].text + "more").keeps_alive);
    const Got upgraded = ask("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    EXPECT_EQ(upgraded.head.status, 101u);
    EXPECT_FALSE(upgraded.keeps_alive);
}

asio::awaitable<void> refuses_early(tcp::socket socket) {
    std::string request, answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    co_await asio::async_read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n", net::no_throw);
    co_await asio::async_write(socket, asio::buffer(answer), net::no_throw);
}

TEST_F(HttpStageTest, AnAnswerBeforeTheWholeRequestWasReadIsHeard) {
    peer.emplace(io, refuses_early);
    ASSERT_EQ(await(io, connection.connect(peer->endpoint(), far())), error_code());
    const HttpRequest flood{.method = "PUT", .host = "a", .body = std::string(32 * 1024 * 1024, 'x')};
    const Got got = await(io, fetch(exchange, flood));
    EXPECT_EQ(got.head.status, 403u) << got.code.message();
    EXPECT_EQ(got.body, "no");
    EXPECT_FALSE(got.keeps_alive);
}

asio::awaitable<void> answers_tls(TlsStream& stream, Pieces pieces, bool in_good_order) {
    std::string request;
    co_await asio::async_read_until(stream, asio::dynamic_buffer(request), "\r\n\r\n", net::no_throw);
    co_await send_pieces(stream, pieces);
    if (in_good_order) co_await stream.async_shutdown(net::no_throw);
}

class HttpsTest : public testing::Test {
protected:
    HttpsTest() { authority.save(ca_file); }
    ~HttpsTest() override { std::filesystem::remove(ca_file); }

    Got ask(const Pieces& pieces, bool in_good_order) {
        const TlsPeer peer(io, certificate,
                           [&](TlsStream& stream) { return answers_tls(stream, pieces, in_good_order); });
        Connection connection(io.get_executor());
        net::TlsFacts facts;
        const net::TlsOptions options{.server_name = "a.test", .ca_file = ca_file};
        EXPECT_EQ(await(io, connection.connect(peer.endpoint(), far())), error_code());
        EXPECT_EQ(await(io, connection.start_tls(options, far(), facts)), error_code());
        HttpExchange exchange(connection);
        return await(io, fetch(exchange, get()));
    }

    asio::io_context io;
    const Certificate authority{{.common_name = "Test Root", .authority = true}};
    const Certificate certificate{{.common_name = "a", .names = {"DNS:a.test"}}, &authority};
    const std::string ca_file =
        testing::TempDir() + "livecanary_http_ca_" + std::to_string(::getpid()) + ".pem";
};

TEST_F(HttpsTest, ReadsABodyInEveryForm) {
    for (const Form& form : forms) {
        const Got got = ask({form.text}, true);
        EXPECT_EQ(got.code, error_code()) << form.what << got.code.message();
        EXPECT_EQ(got.body, form.body) << form.what;
        EXPECT_EQ(ask(bytes_of(form.text), true).body, form.body) << form.what;
    }
}

TEST_F(HttpsTest, ABodyUntilTheCloseNeedsACloseInGoodOrder) {
    const Got torn = ask({forms[3].text}, false);
    EXPECT_EQ(torn.code, HttpError::closed_in_body);
    EXPECT_EQ(torn.body, "hello");
    EXPECT_EQ(ask({forms[0].text}, false).code, error_code());
}

TEST(HttpUrl, IsTakenApart) {
    struct Case {
        const char* url;
        net::HttpUrl expected;
        const char* host_header;
    };
    const Case cases[] = {
        {"http://a.test", {false, "a.test", 80, "/"}, "a.test"},
        {"HTTPS://a.test/b?c", {true, "a.test", 443, "/b?c"}, "a.test"},
        {"http://a.test:8080?c=d", {false, "a.test", 8080, "/?c=d"}, "a.test:8080"},
        {"https://a.test:80/#f", {true, "a.test", 80, "/"}, "a.test:80"},
        {"http://a.test:80/?#f", {false, "a.test", 80, "/?"}, "a.test"},
        {"http://a.test:/", {false, "a.test", 80, "/"}, "a.test"},
        {"http://[2001:db8::1]/x", {false, "2001:db8::1", 80, "/x"}, "[2001:db8::1]"},
        {"http://[::1]:1/x", {false, "::1", 1, "/x"}, "[::1]:1"},
        {"http://192.0.2.1/", {false, "192.0.2.1", 80, "/"}, "192.0.2.1"},
        {"http://a/%2f//b/../c?s=%2F/|:@", {false, "a", 80, "/%2f//b/../c?s=%2F/|:@"}, "a"},
        {"http://a/b c/\xe7\x9b\xb4?d=\"<e>\"", {false, "a", 80, "/b%20c/%E7%9B%B4?d=%22%3Ce%3E%22"}, "a"},
    };
    for (const Case& c : cases) {
        const auto url = net::parse_http_url(c.url);
        ASSERT_TRUE(url) << c.url << url.error().message();
        EXPECT_EQ(*url, c.expected) << c.url << url->host << url->port << url->target;
        EXPECT_EQ(url->host_header(), c.host_header);
    }
}

TEST(HttpUrl, IsRefused) {
    const std::string long_path(net::max_http_url_size - 9, 'x');
    struct Case {
        std::string url;
        error_code error;
    };
    const Case cases[] = {
        {"", UrlError::no_scheme},
        {"//a/b", UrlError::no_scheme},
        {"a.test/b", UrlError::no_scheme},
        {"http:a/b", UrlError::no_scheme},
        {"rtmp://a/b", UrlError::unknown_scheme},
        {"a:b", UrlError::unknown_scheme},
        {"http://u@a/", UrlError::user_info},
        {"http://u:p@a/", UrlError::user_info},
        {"http:///b", UrlError::bad_host},
        {"http://:80/b", UrlError::bad_host},
        {"http://a b/", UrlError::bad_host},
        {"http://a%41/", UrlError::bad_host},
        {"http://a\\b/", UrlError::bad_host},
        {"http://[::1/", UrlError::bad_host},
        {"http://[a]/", UrlError::bad_host},
        {"http://[::1]a/", UrlError::bad_host},
        {"http://[fe80::1%25eth0]/", UrlError::bad_host},
        {"http://a:0/", UrlError::bad_port},
        {"http://a:65536/", UrlError::bad_port},
        {"http://a:8x/", UrlError::bad_port},
        {"http://a:-1/", UrlError::bad_port},
        {"http://a/\r\n", UrlError::forbidden_byte},
        {"http://a/\0"s, UrlError::forbidden_byte},
        {"http://a/" + long_path, error_code()},
        {"http://a/x" + long_path, HttpError::url_too_long},
    };
    for (const Case& c : cases) {
        const auto url = net::parse_http_url(c.url);
        EXPECT_EQ(url ? error_code() : url.error(), c.error) << c.url;
    }
}

TEST(HttpUrl, ReferencesResolveAsInRfc3986) {
    // RFC 3986 §5.4.1, §5.4.2.
    const std::pair<const char*, const char*> examples[] = {
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"g#s", "http://a/b/c/g#s"},
        {"g?y#s", "http://a/b/c/g?y#s"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y#s"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"g#s/./x", "http://a/b/c/g#s/./x"},
        {"g#s/../x", "http://a/b/c/g#s/../x"},
        {"http:g", "http:g"},
    };
    for (const auto& [reference, expected] : examples)
        EXPECT_EQ(net::resolve_reference("http://a/b/c/d;p?q", reference).value(), expected) << reference;
}

TEST(HttpUrl, ReferencesKeepTheirBytes) {
    struct Case {
        const char* base;
        const char* reference;
        const char* expected;
    };
    const Case cases[] = {
        {"http://a", "x.ts", "http://a/x.ts"},
        {"http://a?q", "x.ts", "http://a/x.ts"},
        {"https://A:443/%41%2f/c.m3u8?s=/%2f", "%7ex.ts?sign=%2f/../%7e",
         "https://A:443/%41%2f/%7ex.ts?sign=%2f/../%7e"},
        {"http://a//b//c.m3u8", "d//e.ts", "http://a//b//d//e.ts"},
        {"http://a/b.m3u8", "./c:d.ts", "http://a/c:d.ts"},
        {"http://a/b.m3u8", "c/d:e.ts", "http://a/c/d:e.ts"},
        {"http://a/b.m3u8", "c d|\xe7\x9b\xb4.ts", "http://a/c d|\xe7\x9b\xb4.ts"},
        {"http://a/b.m3u8", "http://b/../c/./d", "http://b/c/d"},
        {"http://a/b.m3u8", "HTTP://u@b/c", "HTTP://u@b/c"},
        {"http://a/b.m3u8?u=http://x/y", "?v", "http://a/b.m3u8?v"},
    };
    for (const Case& c : cases)
        EXPECT_EQ(net::resolve_reference(c.base, c.reference).value(), c.expected) << c.reference;
    EXPECT_EQ(net::resolve_reference("a/b", "c").error(), UrlError::no_scheme);
    EXPECT_EQ(net::resolve_reference("http://a/", "c\nd").error(), UrlError::forbidden_byte);
    const std::string half(net::max_http_url_size / 2, 'x');
    EXPECT_EQ(net::resolve_reference("http://a/" + half + "/", half).error(), HttpError::url_too_long);
}

}  // namespace
}  // namespace livecanary::test
