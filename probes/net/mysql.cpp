#include "probes/net/mysql.hpp"

#include <errmsg.h>
#include <fcntl.h>
#include <mysql.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>

#include "probes/core/error_table.hpp"
#include "probes/net/lane.hpp"
#include "probes/net/mysql_relay.hpp"
#include "probes/net/quiet.hpp"
#include "probes/protocol/ascii.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::net {

error_code make_error_code(MysqlError error) noexcept {
    using enum MysqlError;
    static const ErrorTable<MysqlError> table{
        "livecanary.mysql",
        {{no_greeting, "the connection stands, and the server says nothing on it", Reason::timeout},
         {no_socket, "nothing listens at the local socket", Reason::refused},
         {socket_denied, "we have no permission to use the local socket", Reason::local},
         {tls_not_offered, "the server offers no TLS", Reason::mismatch},
         {too_large, "the result is larger than was asked for", Reason::mismatch},
         {not_connected, "there is no connection to ask on", Reason::local},
         {out_of_memory, "no memory for a connection", Reason::local}}};
    return {static_cast<int>(error), table};
}

namespace {

using namespace std::chrono_literals;

/// How long we stay to leave in good order.
constexpr auto farewell = 1s;
/// libmariadb runs its calls on a stack of its own; its 60 KiB are little for a plugin to be loaded on.
constexpr std::size_t fiber_stack = 256UL * 1024;
/// Of one packet from the server.
constexpr unsigned long most_packet = 1024UL * 1024;
/// What we log in by. Over a connection that others can read none that sends the password as it is: a server,
/// or who poses as one, may ask for any. None that asks a third party, since that blocks (Kerberos).
constexpr const char* methods = "mysql_native_password,client_ed25519,caching_sha2_password,sha256_password";
constexpr const char* methods_over_tls =
    "mysql_native_password,client_ed25519,caching_sha2_password,sha256_password,mysql_clear_password,dialog";

struct Known {
    unsigned number;
    Reason reason;
    const char* words;
};

using namespace mysql_number;

/// The rest of the server's numbers are things it says no to; the rest of the library's are faults of ours.
constexpr std::array known{
    Known{access_denied, Reason::rejected, "access denied"},
    Known{access_denied_no_password, Reason::rejected, "access denied"},
    Known{database_denied, Reason::rejected, "access to the database denied"},
    Known{host_not_privileged, Reason::rejected, "our host may not connect"},
    Known{host_blocked, Reason::rejected, "our host is blocked"},
    Known{table_denied, Reason::forbidden, "not allowed on the table"},
    Known{column_denied, Reason::forbidden, "not allowed on the column"},
    Known{not_privileged, Reason::forbidden, "a privilege is missing"},
    Known{unknown_database, Reason::not_found, "unknown database"},
    Known{no_such_table, Reason::not_found, "no such table"},
    Known{unknown_column, Reason::not_found, "unknown column"},
    Known{statement_timeout, Reason::timeout, "the statement took too long"},
    Known{statement_timeout_mysql, Reason::timeout, "the statement took too long"},
    Known{2000, Reason::protocol, "the server's answer is not understood"},
    Known{gone_away, Reason::closed, "the server has gone away"},
    Known{lost, Reason::closed, "the connection was lost"},
    Known{2007, Reason::protocol, "another version of the protocol"},
    Known{2012, Reason::protocol, "an error in the handshake"},
    Known{2020, Reason::protocol, "a packet that is too large"},
    Known{2027, Reason::protocol, "a malformed packet"},
    Known{plugin_cannot_load, Reason::rejected, "the server asks for a way to log in that is not there"},
    Known{plugin_error, Reason::rejected, "the way to log in that the server asks for failed"},
    Known{plugin_not_allowed, Reason::rejected, "the server asks for a way to log in that we do not use"},
};

class MysqlCategory final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "mysql"; }
    std::string message(int value) const override {
        const auto* const found = find(value);
        return "error " + std::to_string(value) +
               (found != nullptr ? std::string(": ") + found->words : std::string());
    }
    boost::system::error_condition default_error_condition(int value) const noexcept override {
        if (const auto* const found = find(value)) return found->reason;
        const bool of_library = (value >= 2000 && value < 3000) || (value >= 5000 && value < 5100);
        return of_library ? Reason::local : Reason::rejected;
    }

private:
    static const Known* find(int value) noexcept {
        const auto found = std::ranges::find(known, static_cast<unsigned>(value), &Known::number);
        return found != known.end() ? &*found : nullptr;
    }
};

/// libmariadb puts the system's error number into the words: "Can't connect to server on '127.0.0.1' (111)".
int system_error_in(std::string_view message) {
    if (!message.ends_with(')')) return 0;
    const auto open = message.rfind('(');
    if (open == std::string_view::npos) return 0;
    int number = 0;
    const auto digits = message.substr(open + 1);
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size() - 1, number);
    return code == std::errc() && end == digits.data() + digits.size() - 1 ? number : 0;
}

}  // namespace

error_code mysql_code(unsigned number) noexcept {
    static const MysqlCategory category;
    return {static_cast<int>(number), category};
}

std::optional<std::string> MysqlRows::at(std::size_t row, std::string_view column) const {
    const auto found = std::ranges::find_if(columns, [&](const std::string& name) {
        return protocol::ascii_lower(name) == protocol::ascii_lower(column);
    });
    if (row >= rows.size() || found == columns.end()) return std::nullopt;
    return rows[row].at(static_cast<std::size_t>(found - columns.begin()));
}

/// Theory of operation. A call of libmariadb is begun by its _start function. That runs on a stack of its own
/// until it would block, and says what for; `resume_` is then its _cont function. drive() waits and resumes
/// until the call is over, or leaves it suspended at the deadline. Being told of a time-out makes a suspended
/// call fail and return, which is the one way to get rid of it without a leak: unwind().
class Mysql::Impl {
public:
    using Self = std::shared_ptr<Impl>;

    explicit Impl(asio::any_io_executor executor)
        : executor_(std::move(executor)), watched_(executor_), waiting_(executor_) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() {
        if (resume_ || spoilt_) say_quit();
        unwind();
        if (mysql_ != nullptr) mysql_close(std::exchange(mysql_, nullptr));
        forget();
    }

    static asio::awaitable<MysqlFailure> connect(Self self, MysqlTarget target, Clock::time_point deadline,
                                                 std::function<void(MysqlStep)> on_step);
    static asio::awaitable<MysqlReply> query(Self self, std::string sql, Clock::time_point deadline,
                                             MysqlBounds bounds);
    static asio::awaitable<void> close(Self self);

    bool is_connected() const noexcept { return connected_ && !resume_ && !spoilt_; }
    std::string server_version() const {
        if (relay_ && !relay_->greeting().version.empty())
            return protocol::printable(relay_->greeting().version);
        const char* const version = connected_ ? mysql_get_server_info(mysql_) : nullptr;
        return version != nullptr ? protocol::printable(version) : std::string();
    }
    const TlsFacts& tls_facts() const noexcept { return tls_facts_; }
    std::string literal(std::string_view text) const {
        std::string escaped(2 * text.size() + 1, '\0');
        const auto size = mysql_ != nullptr
                              ? mysql_real_escape_string(mysql_, escaped.data(), text.data(), text.size())
                              : mysql_escape_string(escaped.data(), text.data(), text.size());
        escaped.resize(size);
        return "'" + escaped + "'";
    }

private:
    static asio::awaitable<error_code> drive(Self self, int waiting, Clock::time_point deadline);
    static asio::awaitable<void> drain(Self self, Clock::time_point deadline);
    static asio::awaitable<error_code> ready(Self self, int wanted, Clock::time_point deadline);
    static asio::awaitable<error_code> connect_relay(Self self, Clock::time_point deadline);
    static asio::awaitable<MysqlFailure> log_in(Self self, int waiting, Clock::time_point deadline);
    static asio::awaitable<MysqlReply> fetch(Self self, Clock::time_point deadline, MysqlBounds bounds);

    bool prepare();
    int start_connect(const char* host, const char* socket);
    MysqlFailure failure() const;
    MysqlFailure failure(error_code code) const {
        if (code == asio::error::timed_out && connecting_ && !greeted_ && step_ != MysqlStep::tcp)
            code = MysqlError::no_greeting;
        return {.code = code};
    }
    void step(MysqlStep now) {
        step_ = now;
        if (on_step_) on_step_(now);
    }
    /// Watches the library's socket by a descriptor of our own: the library closes its own one as it likes,
    /// and Asio would then take back its watch from whoever got the number next.
    void watch() {
        if (watched_.is_open() || mysql_ == nullptr) return;
        const int socket = mysql_get_socket(mysql_);
        if (socket < 0) return;
        const int copy = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
        if (copy >= 0) watched_.assign(copy);
    }
    /// Past the library, for when it is in the middle of something else.
    void say_quit() {
        if (connected_ && watched_.is_open())
            ::send(watched_.native_handle(), protocol::mysql_quit.data(), protocol::mysql_quit.size(),
                   MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    void unwind() {
        while (resume_ && resume_(MYSQL_WAIT_TIMEOUT) != 0) {
        }
        resume_ = nullptr;
    }
    void forget() {
        error_code ignored;
        watched_.close(ignored);
        if (relay_) relay_->stop();
        connected_ = connecting_ = false;
    }

    asio::any_io_executor executor_;
    asio::posix::stream_descriptor watched_;
    Lane waiting_;
    std::shared_ptr<MysqlRelay> relay_{};
    MYSQL* mysql_ = nullptr;
    std::function<int(int)> resume_{};  // of the call that is suspended
    int wanted_ = 0;                    // what that waits for
    // What a suspended call refers to, also after the coroutine that began it is gone.
    MysqlTarget target_{};
    std::string host_{};
    std::string sql_{};
    MYSQL* made_ = nullptr;
    int failed_ = 0;
    MYSQL_ROW row_ = nullptr;

    std::function<void(MysqlStep)> on_step_{};
    MysqlStep step_ = MysqlStep::tcp;
    Clock::time_point connect_by_{};
    bool connecting_ = false;
    bool connected_ = false;
    bool greeted_ = false;  // the server has said something
    bool spoilt_ = false;   // the rest of a result is still to come
    TlsFacts tls_facts_{};
};

asio::awaitable<error_code> Mysql::Impl::ready(Self self, int wanted, Clock::time_point deadline) {
    if (Clock::now() >= deadline) co_return asio::error::timed_out;
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return asio::error::operation_aborted;
    self->watch();
    if (!self->watched_.is_open()) co_return asio::error::no_descriptors;
    const auto what = (wanted & MYSQL_WAIT_READ) != 0 ? asio::posix::stream_descriptor::wait_read
                                                      : asio::posix::stream_descriptor::wait_write;
    self->waiting_.start(self, deadline, state.slot());
    auto token = asio::bind_cancellation_slot(self->waiting_.slot(), no_throw);
    const auto [code] = co_await self->watched_.async_wait(what, std::move(token));
    co_return self->waiting_.end(code);
}

asio::awaitable<error_code> Mysql::Impl::drive(Self self, int waiting, Clock::time_point deadline) {
    while (waiting != 0) {
        self->wanted_ = waiting;
        // The first thing ever to be read is the greeting: until then the library connects.
        const bool reads = (waiting & MYSQL_WAIT_READ) != 0;
        if (self->connecting_ && reads && self->step_ == MysqlStep::tcp) self->step(MysqlStep::auth);
        const error_code code = co_await ready(self, waiting, deadline);
        if (code) co_return code;
        if (reads) self->greeted_ = true;
        waiting = self->resume_(waiting & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE));
    }
    self->resume_ = nullptr;
    co_return error_code{};
}

MysqlFailure Mysql::Impl::failure() const {
    const unsigned number = mysql_errno(mysql_);
    MysqlFailure failed{
        .code = mysql_code(number), .number = number, .message = protocol::printable(mysql_error(mysql_))};
    if (number != CR_CONNECTION_ERROR && number != CR_CONN_HOST_ERROR) return failed;
    const int why = system_error_in(failed.message);
    const bool local = !target_.socket.empty();
    if (local && (why == ENOENT || why == ECONNREFUSED || why == ENOTSOCK)) {
        failed.code = MysqlError::no_socket;
    } else if (local && (why == EACCES || why == EPERM)) {
        failed.code = MysqlError::socket_denied;
    } else if (why != 0) {
        failed.code = error_code(why, boost::system::system_category());
    }
    return failed;
}

bool Mysql::Impl::prepare() {
    mysql_ = mysql_init(nullptr);
    if (mysql_ == nullptr) return false;
    const unsigned protocol = MYSQL_PROTOCOL_TCP;
    if (target_.socket.empty() && !relay_) mysql_options(mysql_, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(mysql_, MYSQL_OPT_MAX_ALLOWED_PACKET, &most_packet);
    mysql_options(mysql_, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_optionsv(mysql_, MARIADB_OPT_RESTRICTED_AUTH, relay_ ? methods_over_tls : methods);
    // A server may ask for any of our files otherwise.
    const unsigned no_files = 0;
    mysql_options(mysql_, MYSQL_OPT_LOCAL_INFILE, &no_files);
    mysql_optionsv(mysql_, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "livecanary");
    return mysql_options(mysql_, MYSQL_OPT_NONBLOCK, &fiber_stack) == 0;
}

int Mysql::Impl::start_connect(const char* host, const char* socket) {
    connecting_ = true;
    resume_ = [this](int events) { return mysql_real_connect_cont(&made_, mysql_, events); };
    const int waiting = mysql_real_connect_start(
        &made_, mysql_, host, target_.user.c_str(), target_.password.c_str(),
        target_.database.empty() ? nullptr : target_.database.c_str(), target_.endpoint.port(), socket, 0);
    if (waiting == 0) resume_ = nullptr;
    return waiting;
}

asio::awaitable<MysqlFailure> Mysql::Impl::log_in(Self self, int waiting, Clock::time_point deadline) {
    if (const error_code code = co_await drive(self, waiting, deadline)) co_return self->failure(code);
    self->connecting_ = false;
    MysqlFailure failed;
    if (self->made_ == nullptr) failed = self->failure();
    // The library takes whatever begins with a number above 10 for a greeting of ours.
    constexpr unsigned only_version = 10;
    if (failed && self->mysql_->protocol_version > only_version)
        failed = {.code = protocol::MysqlWireError::not_a_greeting};
    // A server close by may have said everything before the library came to wait for it.
    const bool came_to_speak =
        !failed || (failed.number != CR_CONNECTION_ERROR && failed.number != CR_CONN_HOST_ERROR);
    if (came_to_speak && self->step_ == MysqlStep::tcp) self->step(MysqlStep::auth);
    if (failed) co_return failed;
    self->connected_ = true;
    co_return MysqlFailure{};
}

/// Until the library may log in over TLS.
asio::awaitable<error_code> Mysql::Impl::connect_relay(Self self, Clock::time_point deadline) {
    auto& relay = *self->relay_;
    if (const auto code = co_await relay.connect(self->target_.endpoint, deadline)) co_return code;
    self->step(MysqlStep::tls);
    self->connecting_ = true;
    if (const auto code = co_await relay.read_greeting(deadline)) co_return code;
    self->greeted_ = true;
    const auto& greeting = relay.greeting();
    if (!greeting.refused && (greeting.capabilities & protocol::mysql_can::tls) == 0)
        co_return MysqlError::tls_not_offered;
    const auto name = relay.listen(reinterpret_cast<std::uintptr_t>(self.get()));
    if (!name) co_return name.error();
    // Another call of the library may not begin before this one ends, so what it needs is kept here.
    self->target_.socket = *name;
    const int waiting = self->start_connect(nullptr, self->target_.socket.c_str());
    if (const auto code = co_await relay.accept(deadline)) co_return code;
    if (waiting == 0) co_return error_code{};
    // It reads the greeting, answers, and waits.
    if (const auto code = co_await ready(self, waiting, deadline)) co_return code;
    if (self->resume_(MYSQL_WAIT_READ) == 0) {
        self->resume_ = nullptr;
        co_return error_code{};
    }
    if (const auto code = co_await relay.hear(deadline)) co_return code;
    TlsOptions options = *self->target_.tls;
    if (const auto code = co_await relay.start_tls(std::move(options), deadline, self->tls_facts_))
        co_return code;
    self->step(MysqlStep::auth);
    co_return co_await relay.forward(deadline);
}

asio::awaitable<MysqlFailure> Mysql::Impl::connect(Self self, MysqlTarget target, Clock::time_point deadline,
                                                   std::function<void(MysqlStep)> on_step) {
    self->target_ = std::move(target);
    self->on_step_ = std::move(on_step);
    self->connect_by_ = deadline;
    if (self->target_.tls) self->relay_ = std::make_shared<MysqlRelay>(self->executor_, self->target_.until);
    if (!self->prepare()) co_return self->failure(MysqlError::out_of_memory);
    self->step(MysqlStep::tcp);
    if (self->relay_) {
        if (const auto code = co_await connect_relay(self, deadline)) co_return self->failure(code);
        // The library may have ended already, over an error in place of the greeting.
        co_return co_await log_in(self, self->resume_ ? MYSQL_WAIT_READ : 0, deadline);
    }
    // An address, so that no name is looked up: that would block.
    self->host_ = self->target_.endpoint.address().to_string();
    const bool local = !self->target_.socket.empty();
    const int waiting = self->start_connect(local ? nullptr : self->host_.c_str(),
                                            local ? self->target_.socket.c_str() : nullptr);
    co_return co_await log_in(self, waiting, deadline);
}

asio::awaitable<MysqlReply> Mysql::Impl::fetch(Self self, Clock::time_point deadline, MysqlBounds bounds) {
    MysqlReply reply;
    MYSQL_RES* const rows = mysql_use_result(self->mysql_);
    if (rows == nullptr) {
        if (mysql_errno(self->mysql_) != 0) reply.failure = self->failure();
        reply.rows.affected = mysql_affected_rows(self->mysql_);
        co_return reply;
    }
    const unsigned width = mysql_num_fields(rows);
    for (unsigned i = 0; i < width; ++i)
        reply.rows.columns.emplace_back(mysql_fetch_field_direct(rows, i)->name);
    std::size_t bytes = 0;
    self->spoilt_ = true;
    for (;;) {
        self->resume_ = [impl = self.get(), rows](int events) {
            return mysql_fetch_row_cont(&impl->row_, rows, events);
        };
        const int waiting = mysql_fetch_row_start(&self->row_, rows);
        if (waiting == 0) self->resume_ = nullptr;
        const error_code code = co_await drive(self, waiting, deadline);
        if (code) reply.failure = self->failure(code);
        if (code || self->row_ == nullptr) break;
        const unsigned long* const lengths = mysql_fetch_lengths(rows);
        auto& row = reply.rows.rows.emplace_back();
        for (unsigned i = 0; i < width; ++i) {
            bytes += lengths[i];
            row.push_back(self->row_[i] != nullptr ? std::optional(std::string(self->row_[i], lengths[i]))
                                                   : std::nullopt);
        }
        if (reply.rows.rows.size() > bounds.rows || bytes > bounds.bytes) {
            reply.failure.code = MysqlError::too_large;
            break;
        }
    }
    if (!reply.failure && mysql_errno(self->mysql_) != 0) reply.failure = self->failure();
    // An error of the server is the end of the result.
    const bool whole = !reply.failure || (reply.failure.number != 0 && reply.failure.number < CR_MIN_ERROR);
    if (!whole) {
        // What is left of the result is not read: the connection ends, past the library.
        self->say_quit();
        self->unwind();
        // Freeing a result reads the rest of it from its connection, waiting: so it must have none any more.
        rows->handle = nullptr;
    }
    mysql_free_result(rows);
    self->spoilt_ = !whole;
    co_return reply;
}

asio::awaitable<MysqlReply> Mysql::Impl::query(Self self, std::string sql, Clock::time_point deadline,
                                               MysqlBounds bounds) {
    MysqlReply reply;
    if (!self->is_connected()) {
        reply.failure.code = MysqlError::not_connected;
        co_return reply;
    }
    self->sql_ = std::move(sql);
    self->resume_ = [impl = self.get()](int events) {
        return mysql_real_query_cont(&impl->failed_, impl->mysql_, events);
    };
    const int waiting =
        mysql_real_query_start(&self->failed_, self->mysql_, self->sql_.data(), self->sql_.size());
    if (waiting == 0) self->resume_ = nullptr;
    if (const error_code code = co_await drive(self, waiting, deadline)) {
        reply.failure = self->failure(code);
        co_return reply;
    }
    if (self->failed_ != 0) {
        reply.failure = self->failure();
        const auto number = reply.failure.number;
        // The library has closed what broke.
        if (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR) self->connected_ = false;
        co_return reply;
    }
    co_return co_await fetch(self, deadline, bounds);
}

/// A server that is in the middle of an answer comes to read that we quit once it has got rid of it.
asio::awaitable<void> Mysql::Impl::drain(Self self, Clock::time_point deadline) {
    std::array<char, 4096> scrap{};
    for (;;) {
        const error_code code = co_await ready(self, MYSQL_WAIT_READ, deadline);
        if (code || ::recv(self->watched_.native_handle(), scrap.data(), scrap.size(), MSG_DONTWAIT) <= 0)
            break;
    }
}

asio::awaitable<void> Mysql::Impl::close(Self self) {
    const auto until = Clock::now() + farewell;
    // The server is about to greet us, or waits for our login, or we for its answer. One that has not even
    // taken our connection by the deadline will not do so now.
    const bool in_time = self->step_ != MysqlStep::tcp || Clock::now() < self->connect_by_;
    const bool logging_in = self->resume_ && self->connecting_ && in_time;
    if (logging_in && (!self->relay_ || self->relay_->flows())) {
        const error_code late = co_await drive(self, self->wanted_, until);
        if (!late) self->connected_ = self->made_ != nullptr;
    }
    if (self->relay_) co_await self->relay_->excuse(until);
    if (self->resume_ || self->spoilt_) {
        self->say_quit();
        if (self->connected_) co_await drain(self, until);
        self->unwind();
        self->connected_ = false;
    }
    if (self->mysql_ != nullptr) {
        MYSQL* const mysql = std::exchange(self->mysql_, nullptr);
        self->resume_ = [mysql](int events) { return mysql_close_cont(mysql, events); };
        const int waiting = mysql_close_start(mysql);
        if (waiting == 0) self->resume_ = nullptr;
        self->connecting_ = false;
        // At the deadline it closes what it has without a word.
        static_cast<void>(co_await drive(self, waiting, until));
        self->unwind();
    }
    error_code ignored;
    self->watched_.close(ignored);
    if (self->relay_) co_await self->relay_->finish(until);
    self->forget();
}

Mysql::Mysql(asio::any_io_executor executor) : impl_(std::make_shared<Impl>(std::move(executor))) {}
Mysql::~Mysql() = default;

asio::awaitable<MysqlFailure> Mysql::connect(MysqlTarget target, Clock::time_point deadline,
                                             std::function<void(MysqlStep)> on_step) {
    return Impl::connect(impl_, std::move(target), deadline, std::move(on_step));
}
asio::awaitable<MysqlReply> Mysql::query(std::string sql, Clock::time_point deadline, MysqlBounds bounds) {
    return Impl::query(impl_, std::move(sql), deadline, bounds);
}
bool Mysql::is_connected() const noexcept { return impl_->is_connected(); }
std::string Mysql::server_version() const { return impl_->server_version(); }
const TlsFacts& Mysql::tls_facts() const noexcept { return impl_->tls_facts(); }
std::string Mysql::literal(std::string_view text) const { return impl_->literal(text); }

std::string Mysql::identifier(std::string_view name) {
    std::string quoted = "`";
    for (const char c : name) quoted += c == '`' ? std::string("``") : std::string(1, c);
    return quoted + "`";
}

asio::awaitable<void> Mysql::close() { return Impl::close(impl_); }

}  // namespace livecanary::net
