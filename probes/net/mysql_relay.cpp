#include "probes/net/mysql_relay.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include "probes/net/quiet.hpp"

namespace livecanary::net {

namespace {

bool is_ours(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == ::getpid();
}

}  // namespace

MysqlRelay::MysqlRelay(const asio::any_io_executor& executor, Clock::time_point until)
    : remote_(executor),
      acceptor_(executor),
      local_(executor),
      waiting_(executor),
      flowing_(executor, Clock::time_point::max()),
      stepped_(executor),
      until_(until) {}

asio::awaitable<error_code> MysqlRelay::connect(tcp::endpoint endpoint, Clock::time_point deadline) {
    const auto self = shared_from_this();
    auto step = remote_.connect(endpoint, deadline);
    co_return co_await apart(std::move(step));
}

/// Steps that must not be broken off in the middle go on by themselves when we are cut; excuse() waits for
/// them. They have a deadline of their own.
asio::awaitable<error_code> MysqlRelay::apart(asio::awaitable<error_code> step) {
    const auto self = shared_from_this();
    stepping_ = true;
    stepped_.expires_at(Clock::time_point::max());
    asio::co_spawn(local_.get_executor(), carry(self, std::move(step)), asio::detached);
    // It may have ended already.
    if (stepping_) co_await stepped_.async_wait(no_throw);
    co_return stepping_ ? error_code(asio::error::operation_aborted) : step_failed_;
}

asio::awaitable<void> MysqlRelay::carry(std::shared_ptr<MysqlRelay> self, asio::awaitable<error_code> step) {
    self->step_failed_ = co_await std::move(step);
    self->stepping_ = false;
    self->stepped_.cancel();
}

asio::awaitable<error_code> MysqlRelay::read_greeting(Clock::time_point deadline) {
    const auto self = shared_from_this();
    std::array<std::uint8_t, 4096> buffer{};
    while (!protocol::mysql_packet_size(from_server_)) {
        if (from_server_.size() >= protocol::most_handshake_packet)
            co_return protocol::MysqlWireError::too_long;
        const Moved moved = co_await remote_.read_some(buffer, deadline);
        if (moved.code) co_return moved.code;
        from_server_.insert(from_server_.end(), buffer.begin(),
                            buffer.begin() + static_cast<std::ptrdiff_t>(moved.size));
    }
    auto read = protocol::read_mysql_greeting(
        std::span(from_server_).first(*protocol::mysql_packet_size(from_server_)));
    if (!read) co_return read.error();
    greeting_ = *std::move(read);
    if (!greeting_.refused) due_ = 1;
    co_return error_code{};
}

result<std::string> MysqlRelay::listen(std::uint64_t number) {
    const std::string name = "livecanary-" + std::to_string(::getpid()) + "-" + std::to_string(number);
    error_code code;
    acceptor_.open(Local(), code);
    if (!code) acceptor_.bind(Local::endpoint(std::string(1, '\0') + name), code);
    if (!code) acceptor_.listen(1, code);
    if (code) return code;
    return "@" + name;
}

asio::awaitable<error_code> MysqlRelay::accept(Clock::time_point deadline) {
    const auto self = shared_from_this();
    error_code code;
    while (!local_.is_open()) {
        const auto state = co_await asio::this_coro::cancellation_state;
        waiting_.start(self, deadline, state.slot());
        auto token = asio::bind_cancellation_slot(waiting_.slot(), no_throw);
        const auto [failed] = co_await acceptor_.async_accept(local_, std::move(token));
        code = waiting_.end(failed);
        if (code) co_return code;
        // Abstract sockets have no permissions: any process may have found this one.
        if (!is_ours(local_.native_handle())) local_.close(code);
    }
    acceptor_.close(code);
    protocol::hide_tls(from_server_, greeting_);
    // A socket that nobody has written to takes a greeting at once.
    const auto greeting = asio::buffer(from_server_);
    const auto [unwritten, size] = co_await asio::async_write(local_, greeting, no_throw);
    static_cast<void>(size);
    co_return unwritten;
}

asio::awaitable<error_code> MysqlRelay::hear(Clock::time_point deadline) {
    const auto self = shared_from_this();
    std::array<std::uint8_t, 4096> buffer{};
    while (!protocol::mysql_packet_size(held_)) {
        if (held_.size() >= protocol::most_handshake_packet) co_return protocol::MysqlWireError::too_long;
        const auto state = co_await asio::this_coro::cancellation_state;
        waiting_.start(self, deadline, state.slot());
        auto token = asio::bind_cancellation_slot(waiting_.slot(), no_throw);
        const auto space = asio::buffer(buffer);
        const auto [failed, size] = co_await local_.async_read_some(space, std::move(token));
        if (const auto code = waiting_.end(failed)) co_return code;
        held_.insert(held_.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
    }
    co_return error_code{};
}

asio::awaitable<error_code> MysqlRelay::start_tls(TlsOptions options, Clock::time_point deadline,
                                                  TlsFacts& facts) {
    const auto self = shared_from_this();
    const auto request = protocol::mysql_tls_request(held_);
    const Moved sent = co_await remote_.write(request, deadline);
    if (sent.code) co_return sent.code;
    due_ = 0;
    // A handshake that ends over a certificate counts as abandoned at the server. So TLS is completed in any
    // case, and a certificate that is not good enough gets nothing but nobody's login.
    const bool verify = std::exchange(options.verify, false);
    auto step = shake(self, std::move(options), deadline);
    const error_code failed = co_await apart(std::move(step));
    facts = tls_facts_;
    if (!failed && verify && facts.verify_code != 0) co_return certificate_error(facts.verify_code);
    co_return failed;
}

asio::awaitable<error_code> MysqlRelay::shake(std::shared_ptr<MysqlRelay> self, TlsOptions options,
                                              Clock::time_point deadline) {
    const error_code failed =
        co_await self->remote_.start_tls(std::move(options), deadline, self->tls_facts_);
    if (!failed) self->due_ = 2;
    co_return failed;
}

asio::awaitable<error_code> MysqlRelay::forward(Clock::time_point deadline) {
    const auto self = shared_from_this();
    const bool over_tls = remote_.is_tls();
    if (over_tls) {
        protocol::after_tls_request(held_);
        const Moved sent = co_await remote_.write(held_, deadline);
        if (sent.code) co_return sent.code;
    }
    due_ = 0;
    flows_ = true;
    asio::co_spawn(local_.get_executor(), inward(self), asio::detached);
    asio::co_spawn(local_.get_executor(), outward(self), asio::detached);
    co_return error_code{};
}

/// What the library says goes to the server.
asio::awaitable<void> MysqlRelay::outward(std::shared_ptr<MysqlRelay> self) {
    std::vector<std::uint8_t> buffer(16 * 1024);
    for (;;) {
        const auto space = asio::buffer(buffer);
        const auto [failed, size] = co_await self->local_.async_read_some(space, no_throw);
        if (failed) break;
        const auto bytes = std::span(buffer).first(size);
        self->to_server_.feed(bytes, false);
        const Moved sent = co_await self->remote_.write(bytes, self->until_);
        if (sent.code) break;
    }
    self->flows_ = false;
    self->flowing_.cancel();
}

asio::awaitable<void> MysqlRelay::inward(std::shared_ptr<MysqlRelay> self) {
    std::vector<std::uint8_t> buffer(16 * 1024);
    for (;;) {
        const Moved moved = co_await self->remote_.read_some(buffer, self->until_);
        if (moved.code) break;
        const auto bytes = std::span(buffer).first(moved.size);
        if (self->to_library_.feed(bytes, true)) self->to_server_.stop();
        const auto data = asio::buffer(bytes.data(), bytes.size());
        const auto [failed, size] = co_await asio::async_write(self->local_, data, no_throw);
        if (failed) break;
    }
    // The library shall learn that nothing more comes.
    error_code ignored;
    if (self->local_.is_open()) self->local_.shutdown(Local::socket::shutdown_send, ignored);
}

asio::awaitable<void> MysqlRelay::excuse(Clock::time_point deadline) {
    const auto self = shared_from_this();
    if (flows_) co_return;
    if (stepping_) {
        stepped_.expires_at(deadline);
        co_await stepped_.async_wait(no_throw);
    }
    // It may have been about to greet us.
    if (due_ == 0 && greeting_.version.empty() && !greeting_.refused && remote_.is_open())
        co_await read_greeting(deadline);
    if (due_ == 0) co_return;
    const auto sequence = std::exchange(due_, std::uint8_t{0});
    const auto nobody =
        remote_.is_tls()
            ? protocol::mysql_nobody(sequence, protocol::mysql_capabilities(held_) | protocol::mysql_can::tls)
            : protocol::mysql_nobody(sequence);
    const Moved sent = co_await remote_.write(nobody, deadline);
    if (sent.code) co_return;
    std::array<std::uint8_t, 512> answer{};
    const Moved read = co_await remote_.read_some(answer, deadline);
    if (!read.code) co_await remote_.write(protocol::mysql_quit, deadline);
}

asio::awaitable<void> MysqlRelay::finish(Clock::time_point deadline) {
    const auto self = shared_from_this();
    if (flows_) {
        flowing_.expires_at(deadline);
        co_await flowing_.async_wait(no_throw);
    }
    stop();
}

void MysqlRelay::stop() {
    error_code ignored;
    acceptor_.close(ignored);
    local_.close(ignored);
    remote_.close();
}

}  // namespace livecanary::net
