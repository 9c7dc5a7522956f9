#include "probes/net/connection.hpp"

#include <netinet/tcp.h>
#include <array>
#include <utility>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>

#include "probes/net/lane.hpp"
#include "probes/net/quiet.hpp"
#include "probes/net/tls_session.hpp"

namespace livecanary::net {
namespace {

using UserTimeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
using QuickAck = asio::detail::socket_option::boolean<IPPROTO_TCP, TCP_QUICKACK>;

/// How long sent bytes may stay unacknowledged before the kernel gives the connection up (tcp(7)).
constexpr int user_timeout_ms = 15'000;
/// A TLS record holds at most 2^14 bytes of plaintext (RFC 8446 §5.1).
constexpr std::size_t record_size = 16'384;
/// How much of what the peer still sent is read away before closing, so that it gets a FIN, not a reset.
constexpr std::size_t drain_limit = 256 * 1024;

bool has_passed(Clock::time_point deadline) { return Clock::now() >= deadline; }

bool is_cancelled(const asio::cancellation_state& state) {
    return state.cancelled() != asio::cancellation_type::none;
}

TlsContexts& contexts(const asio::any_io_executor& executor) {
    return asio::use_service<TlsContexts>(asio::query(executor, asio::execution::context));
}

}  // namespace

/// Operations are static coroutines that hold the Impl, so that it outlives them.
class Connection::Impl {
public:
    using Self = std::shared_ptr<Impl>;

    explicit Impl(const asio::any_io_executor& executor)
        : socket_(executor), reading_(executor), writing_(executor) {}

    static asio::awaitable<error_code> connect(Self self, tcp::endpoint endpoint, Clock::time_point deadline);
    static asio::awaitable<error_code> start_tls(Self self, TlsOptions options, Clock::time_point deadline,
                                                 TlsFacts& facts);
    static asio::awaitable<Moved> read_some(Self self, std::span<std::uint8_t> buffer,
                                            Clock::time_point deadline);
    static asio::awaitable<Moved> write(Self self, std::span<const std::uint8_t> bytes,
                                        Clock::time_point deadline);

    void quick_ack(bool on) {
        quick_ack_ = on;
        set_quick_ack();
    }
    bool is_open() const noexcept { return socket_.is_open(); }
    bool is_tls() const noexcept { return tls_ != nullptr; }
    TcpFacts tcp_facts() { return is_open() ? read_tcp_facts(socket_.native_handle()) : TcpFacts{}; }
    std::optional<tcp::endpoint> local_endpoint() const {
        error_code code;
        auto endpoint = socket_.local_endpoint(code);
        if (code) return std::nullopt;
        return endpoint;
    }
    void close();
    void abort();
    HeldSocket let_go();

private:
    using Session = std::shared_ptr<TlsSession>;  // shared with the operations under way

    static asio::awaitable<Moved> read_socket(Self self, std::span<std::uint8_t> buffer,
                                              Clock::time_point deadline);
    static asio::awaitable<Moved> write_socket(Self self, std::span<const std::uint8_t> bytes,
                                               Clock::time_point deadline);
    static asio::awaitable<error_code> handshake(Self self, Session session, Clock::time_point deadline);
    static asio::awaitable<error_code> receive(Self self, Session session, Clock::time_point deadline);
    static asio::awaitable<Moved> flush(Self self, Session session, Clock::time_point deadline);

    void flush_now(TlsSession& session);
    void set_quick_ack() {
        error_code ignored;  // a matter of timing only
        if (quick_ack_ && is_open()) socket_.set_option(QuickAck(true), ignored);
    }

    tcp::socket socket_;
    Lane reading_;
    Lane writing_;
    bool quick_ack_ = true;
    bool sending_ = false;  // the write lane is under way
    Session tls_{};
    std::vector<std::uint8_t> received_{};  // the read lane's buffer for ciphertext
};

asio::awaitable<error_code> Connection::Impl::connect(Self self, tcp::endpoint endpoint,
                                                      Clock::time_point deadline) {
    self->close();
    if (has_passed(deadline)) co_return asio::error::timed_out;
    tcp::socket& socket = self->socket_;
    error_code code;
    socket.open(endpoint.protocol(), code);
    if (!code) socket.set_option(tcp::no_delay(true), code);
    if (!code) socket.set_option(UserTimeout(user_timeout_ms), code);
    if (!code) {
        const auto state = co_await asio::this_coro::cancellation_state;
        self->writing_.start(self, deadline, state.slot());
        auto token = asio::bind_cancellation_slot(self->writing_.slot(), no_throw);
        const auto [failed] = co_await socket.async_connect(endpoint, std::move(token));
        code = self->writing_.end(failed);
    }
    if (code) {
        self->close();
        co_return code;
    }
    self->set_quick_ack();
    co_return code;
}

asio::awaitable<Moved> Connection::Impl::read_socket(Self self, std::span<std::uint8_t> buffer,
                                                     Clock::time_point deadline) {
    // A peer that always has something to say would otherwise never let a read reach its deadline.
    if (has_passed(deadline)) co_return Moved{asio::error::timed_out, 0, Clock::now()};
    const auto state = co_await asio::this_coro::cancellation_state;
    self->reading_.start(self, deadline, state.slot());
    auto token = asio::bind_cancellation_slot(self->reading_.slot(), no_throw);
    const auto space = asio::buffer(buffer.data(), buffer.size());
    const auto [code, size] = co_await self->socket_.async_read_some(space, std::move(token));
    Moved moved{self->reading_.end(code), size, Clock::now()};
    self->set_quick_ack();
    co_return moved;
}

asio::awaitable<Moved> Connection::Impl::write_socket(Self self, std::span<const std::uint8_t> bytes,
                                                      Clock::time_point deadline) {
    if (has_passed(deadline)) co_return Moved{asio::error::timed_out, 0, Clock::now()};
    const auto state = co_await asio::this_coro::cancellation_state;
    self->writing_.start(self, deadline, state.slot());
    auto token = asio::bind_cancellation_slot(self->writing_.slot(), no_throw);
    const auto data = asio::buffer(bytes.data(), bytes.size());
    self->sending_ = true;
    const auto [code, size] = co_await asio::async_write(self->socket_, data, std::move(token));
    self->sending_ = false;
    co_return Moved{self->writing_.end(code), size, Clock::now()};
}

/// Sends what the session has for the peer. What a deadline or a cancellation leaves goes with the next call.
asio::awaitable<Moved> Connection::Impl::flush(Self self, Session session, Clock::time_point deadline) {
    Moved moved{{}, 0, Clock::now()};
    for (auto bytes = session->output(); !bytes.empty() && !moved.code; bytes = session->output()) {
        moved = co_await write_socket(self, bytes, deadline);
        session->sent(moved.size);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (is_cancelled(state)) moved.code = asio::error::operation_aborted;
    }
    co_return moved;
}

/// Reads ciphertext once.
asio::awaitable<error_code> Connection::Impl::receive(Self self, Session session,
                                                      Clock::time_point deadline) {
    self->received_.resize(record_size);
    const std::span<std::uint8_t> space(self->received_);
    const Moved moved = co_await read_socket(self, space, deadline);
    if (moved.code == asio::error::eof) co_return asio::ssl::error::stream_truncated;
    if (moved.code) co_return moved.code;
    session->feed(space.first(moved.size));
    co_return error_code();
}

asio::awaitable<error_code> Connection::Impl::handshake(Self self, Session session,
                                                        Clock::time_point deadline) {
    for (;;) {
        const error_code code = session->handshake();
        if (code && code != needs_input) {
            self->flush_now(*session);  // tells the peer why, if there is room
            co_return code;
        }
        const Moved sent = co_await flush(self, session, deadline);
        if (sent.code || !code) co_return sent.code;
        const error_code received = co_await receive(self, session, deadline);
        if (received) co_return received;
        const auto state = co_await asio::this_coro::cancellation_state;
        if (is_cancelled(state)) co_return asio::error::operation_aborted;
    }
}

asio::awaitable<error_code> Connection::Impl::start_tls(Self self, TlsOptions options,
                                                        Clock::time_point deadline, TlsFacts& facts) {
    const auto context = contexts(self->socket_.get_executor()).get(options.ca_file);
    if (!context) co_return context.error();
    auto made = TlsSession::make(*context, options);
    if (!made) co_return made.error();
    const Session session = *std::move(made);
    const error_code code = co_await handshake(self, session, deadline);
    facts = session->facts();
    if (!code) self->tls_ = session;
    co_return code;
}

asio::awaitable<Moved> Connection::Impl::read_some(Self self, std::span<std::uint8_t> buffer,
                                                   Clock::time_point deadline) {
    const Session session = self->tls_;
    if (!session) co_return co_await read_socket(self, buffer, deadline);
    for (;;) {
        std::size_t size = 0;
        const error_code code = session->read(buffer, size);
        if (code != needs_input) co_return Moved{code, size, Clock::now()};
        const error_code received = co_await receive(self, session, deadline);
        if (received) co_return Moved{received, 0, Clock::now()};
        const auto state = co_await asio::this_coro::cancellation_state;
        if (is_cancelled(state)) co_return Moved{asio::error::operation_aborted, 0, Clock::now()};
    }
}

asio::awaitable<Moved> Connection::Impl::write(Self self, std::span<const std::uint8_t> bytes,
                                               Clock::time_point deadline) {
    const Session session = self->tls_;
    if (!session) co_return co_await write_socket(self, bytes, deadline);
    Moved all{{}, 0, Clock::now()};
    while (!all.code && all.size < bytes.size()) {
        const auto record = bytes.subspan(all.size, std::min(record_size, bytes.size() - all.size));
        all.code = session->write(record);
        if (all.code) break;
        all.size += record.size();
        const Moved sent = co_await flush(self, session, deadline);
        all.code = sent.code;
        all.at = sent.at;
    }
    co_return all;
}

/// Sends what goes without waiting, and keeps the rest. Not while the write lane is under way.
void Connection::Impl::flush_now(TlsSession& session) {
    error_code code;
    socket_.non_blocking(true, code);
    for (auto bytes = session.output(); !bytes.empty() && !code; bytes = session.output())
        session.sent(socket_.write_some(asio::buffer(bytes.data(), bytes.size()), code));
}

void Connection::Impl::close() {
    if (!is_open()) return;
    error_code ignored;  // there is nobody left to tell
    if (tls_ && !sending_) {
        tls_->shutdown();
        flush_now(*tls_);
    }
    tls_.reset();
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    // Closing a socket with unread bytes resets the connection (RFC 2525 §2.17).
    socket_.non_blocking(true, ignored);
    std::array<std::uint8_t, 4096> unread;
    error_code empty;
    for (std::size_t drained = 0; !empty && drained < drain_limit;)
        drained += socket_.read_some(asio::buffer(unread), empty);
    socket_.close(ignored);
}

void Connection::Impl::abort() {
    error_code ignored;
    if (is_open()) socket_.set_option(tcp::socket::linger(true, 0), ignored);
    tls_.reset();
    socket_.close(ignored);
}

HeldSocket Connection::Impl::let_go() {
    error_code failed;
    tls_.reset();
    const int descriptor = is_open() ? socket_.release(failed) : -1;
    return HeldSocket(failed ? -1 : descriptor);
}

Connection::Connection(asio::any_io_executor executor) : impl_(std::make_shared<Impl>(executor)) {}
Connection::~Connection() {
    if (impl_) impl_->close();
}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&& other) noexcept {
    std::swap(impl_, other.impl_);
    return *this;
}

asio::awaitable<error_code> Connection::connect(tcp::endpoint endpoint, Clock::time_point deadline) {
    return Impl::connect(impl_, std::move(endpoint), deadline);
}
asio::awaitable<error_code> Connection::start_tls(TlsOptions options, Clock::time_point deadline,
                                                  TlsFacts& facts) {
    return Impl::start_tls(impl_, std::move(options), deadline, facts);
}
asio::awaitable<Moved> Connection::read_some(std::span<std::uint8_t> buffer, Clock::time_point deadline) {
    return Impl::read_some(impl_, buffer, deadline);
}
asio::awaitable<Moved> Connection::write(std::span<const std::uint8_t> bytes, Clock::time_point deadline) {
    return Impl::write(impl_, bytes, deadline);
}

void Connection::quick_ack(bool on) { impl_->quick_ack(on); }
bool Connection::is_open() const noexcept { return impl_->is_open(); }
bool Connection::is_tls() const noexcept { return impl_->is_tls(); }
TcpFacts Connection::tcp_facts() const { return impl_->tcp_facts(); }
std::optional<tcp::endpoint> Connection::local_endpoint() const { return impl_->local_endpoint(); }
void Connection::close() { impl_->close(); }
void Connection::abort() { impl_->abort(); }
HeldSocket Connection::let_go() { return impl_->let_go(); }

error_code load_trust(const asio::any_io_executor& executor, const std::string& ca_file) {
    const auto context = contexts(executor).get(ca_file);
    return context ? error_code() : context.error();
}

}  // namespace livecanary::net
