#include "probes/reference/kind.hpp"

#include <array>
#include <chrono>
#include <exception>
#include <optional>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "probes/core/error_table.hpp"
#include "probes/net/connection.hpp"

namespace livecanary::reference {

namespace {

enum class ReferenceError { no_listener = 1, lost };

error_code make_error_code(ReferenceError error) noexcept {
    using enum ReferenceError;
    // Whatever goes wrong here is our own: it proves nothing about anybody else.
    static const ErrorTable<ReferenceError> table{
        "livecanary.reference",
        {{no_listener, "no loopback socket to listen on", Reason::local},
         {lost, "the loopback connection was lost", Reason::local}}};
    return {static_cast<int>(error), table};
}

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::tcp;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

constexpr Phase connecting{"tcp"}, first_byte{"first_byte"}, body{"body"};
constexpr std::array phases{connecting, first_byte, body};

// The error is a scheduling delay: 0.1 ms is a good machine, 250 ms makes runs inconclusive.
constexpr std::array<double, 9> buckets{0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1};
constexpr Value error_seconds{
    .metric = "livecanary_reference_error_seconds",
    .help = "Measured minus true duration of a phase whose duration is known: the daemon's own timing error.",
    .type = ValueType::histogram,
    .buckets = buckets};
constexpr std::array values{error_seconds};

/// What the server waits before each of its two bytes.
constexpr std::array<Clock::duration, 2> delays{20ms, 30ms};

/// The loopback end of one run: accepts once, waits, answers, waits, answers.
struct Server {
    explicit Server(const asio::any_io_executor& executor)
        : acceptor(executor), timer(executor), socket(executor) {}
    tcp::acceptor acceptor;
    asio::steady_timer timer;
    tcp::socket socket;
    bool serving = true;
};

asio::awaitable<void> serve(Server& server) {
    auto [refused, socket] = co_await server.acceptor.async_accept(no_throw);
    if (refused) co_return;
    server.socket = std::move(socket);
    auto due = Clock::now();
    for (const auto delay : delays) {
        server.timer.expires_at(due += delay);
        if (auto [cut] = co_await server.timer.async_wait(no_throw); cut) co_return;
        static constexpr char byte = '.';
        auto [failed, size] = co_await asio::async_write(server.socket, asio::buffer(&byte, 1), no_throw);
        if (failed) co_return;
    }
}

asio::awaitable<void> measure(const tcp::endpoint& where, net::Connection& connection, ProbeRun& run) {
    run.enter(connecting);
    if (co_await connection.connect(where, run.deadline())) {
        run.failed(make_error_code(ReferenceError::lost));
        co_return;
    }
    auto from = run.env().now();
    std::size_t step = 0;
    for (const Phase phase : {first_byte, body}) {
        run.enter(phase);
        std::array<std::uint8_t, 1> buffer{};
        if ((co_await connection.read_some(buffer, run.deadline())).code) {
            run.failed(make_error_code(ReferenceError::lost));
            co_return;
        }
        // Taken when the coroutine goes on, as every probe does it: the loop's lateness is part of the error.
        const auto now = run.env().now();
        const auto error = (now - from) - delays.at(step++);
        run.found(error_seconds, std::max(0.0, std::chrono::duration<double>(error).count()));
        from = now;
    }
}

asio::awaitable<RunResult> probe(ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto executor = co_await asio::this_coro::executor;
    Server server(executor);
    error_code ec;
    server.acceptor.open(tcp::v4(), ec);
    if (!ec) server.acceptor.bind({asio::ip::address_v4::loopback(), 0}, ec);
    if (!ec) server.acceptor.listen(1, ec);
    if (ec) {
        run.enter(connecting);
        co_return run.fail(make_error_code(ReferenceError::no_listener));
    }
    asio::steady_timer ended(executor, Clock::time_point::max());
    auto on_end = [&server, &ended](const std::exception_ptr&) {
        server.serving = false;
        ended.cancel();
    };
    asio::co_spawn(executor, serve(server), on_end);
    net::Connection connection(executor);
    co_await measure(server.acceptor.local_endpoint(), connection, run);
    connection.close();
    server.acceptor.close(ec);
    server.timer.cancel();
    server.socket.close(ec);
    // Its frame refers to ours.
    co_await asio::this_coro::reset_cancellation_state();
    while (server.serving) co_await ended.async_wait(no_throw);
    co_return run.end();
}

Diagnosis diagnose(const RunResult&) { return {}; }

Probe make(config::Reader&) {
    return {
        .target = "the daemon itself", .run = [](ProbeRun& run) { return probe(run); }, .diagnose = diagnose};
}

}  // namespace

constinit const Kind kind{.name = "reference", .phases = phases, .values = values, .make = make};

}  // namespace livecanary::reference
