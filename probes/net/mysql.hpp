#pragma once
// A connection to a MySQL or MariaDB server that never holds the loop up: libmariadb's non-blocking calls,
// driven by Asio. docs/decisions/0007-mysql-client.md says why TLS does not go through the library.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "probes/core/run.hpp"
#include "probes/net/tls.hpp"

namespace livecanary::net {

namespace asio = boost::asio;
using asio::ip::tcp;

/// Failures that neither the server nor libmariadb has a number for.
enum class MysqlError {
    no_greeting = 1,  ///< connected, and the server said nothing until the deadline
    no_socket,        ///< nothing listens at the local socket, or there is no such file
    socket_denied,    ///< our fault: we may not use that socket
    tls_not_offered,  ///< TLS was asked for, and the server has none
    too_large,        ///< a result beyond what was asked for
    not_connected,    ///< our fault: a query without a connection
    out_of_memory,
};
error_code make_error_code(MysqlError error) noexcept;

/// An error number of the server or of libmariadb, with its reason. Connecting gives the system's codes
/// instead (connection refused and so on).
error_code mysql_code(unsigned number) noexcept;

/// Numbers of errors that probes know by name (MariaDB knowledge base, "MariaDB Error Codes"; MySQL 8.0 Error
/// Message Reference, both read 2026-11-28; libmariadb's errmsg.h).
namespace mysql_number {
inline constexpr unsigned disk_full = 1021, too_many_connections = 1040, database_denied = 1044,
                          access_denied = 1045, unknown_database = 1049, unknown_column = 1054,
                          duplicate = 1062, table_full = 1114, host_blocked = 1129,
                          host_not_privileged = 1130, table_denied = 1142, column_denied = 1143,
                          no_such_table = 1146, too_many_user_connections = 1203, lock_wait_timeout = 1205,
                          deadlock = 1213, user_limit = 1226, not_privileged = 1227,
                          method_unsupported = 1251, truncated_wrong_value = 1265, option_prevents = 1290,
                          bad_datetime = 1292, no_default = 1364, bad_value = 1366, too_long = 1406,
                          plugin_not_loaded = 1524, access_denied_no_password = 1698,
                          read_only_transaction = 1792, read_only_mode = 1836, statement_timeout = 1969,
                          statement_timeout_mysql = 3024, gone_away = 2006, lost = 2013,
                          plugin_cannot_load = 2059, plugin_error = 2061, plugin_not_allowed = 5010;
}  // namespace mysql_number

/// Why something failed. `code` empty: it did not.
struct MysqlFailure {
    error_code code{};
    unsigned number = 0;    ///< the server's or the library's; 0 if neither has one
    std::string message{};  ///< in their own words, fit for a log

    explicit operator bool() const noexcept { return static_cast<bool>(code); }
};

/// Where a connection goes, as whom.
struct MysqlTarget {
    tcp::endpoint endpoint{};
    std::string socket{};  ///< path of a local socket, in place of the endpoint; without TLS
    std::string user{};
    std::string password{};
    std::string database{};  ///< may be empty
    std::optional<TlsOptions> tls{};
    /// By then the connection is over, whatever happens.
    Clock::time_point until{};
};

/// What connecting has come to. `auth` includes the wait for the greeting, with TLS that is part of `tls`.
enum class MysqlStep { tcp, tls, auth };

/// A small result. Texts are as the server sent them.
struct MysqlRows {
    std::vector<std::string> columns{};
    std::vector<std::vector<std::optional<std::string>>> rows{};
    std::uint64_t affected = 0;  ///< of a statement without a result

    /// The value of that column in that row; nothing if it is NULL or not there. Names in any case.
    std::optional<std::string> at(std::size_t row, std::string_view column) const;
};

struct MysqlReply {
    MysqlFailure failure{};
    MysqlRows rows{};
};

/// Bounds of one result; beyond them it is MysqlError::too_large and the connection is good for nothing but
/// close().
struct MysqlBounds {
    std::size_t rows = 1000;
    std::size_t bytes = 256UL * 1024;
};

/// One call at a time. A call that its deadline ends or that is cancelled leaves the connection good for
/// nothing but close(). Not thread-safe.
class Mysql {
public:
    explicit Mysql(asio::any_io_executor executor);
    /// Without close() the server is told by a best effort only.
    ~Mysql();
    Mysql(const Mysql&) = delete;
    Mysql& operator=(const Mysql&) = delete;

    /// `on_step` is told each step as it begins.
    asio::awaitable<MysqlFailure> connect(MysqlTarget target, Clock::time_point deadline,
                                          std::function<void(MysqlStep)> on_step);
    asio::awaitable<MysqlReply> query(std::string sql, Clock::time_point deadline, MysqlBounds bounds = {});

    /// Whether queries can still be made.
    bool is_connected() const noexcept;
    /// What the server says it is; empty before its greeting was read.
    std::string server_version() const;
    /// As far as TLS came.
    const TlsFacts& tls_facts() const noexcept;

    /// `text` as a string literal in the connection's character set, quotes included.
    std::string literal(std::string_view text) const;
    /// `name` as an identifier, back-quotes included.
    static std::string identifier(std::string_view name);

    /// Leaves in good order: a handshake the server has begun is completed, then the server is told that we
    /// quit. Takes a second at most. Once the caller's cancellation state is reset it works for a cut run
    /// too.
    asio::awaitable<void> close();

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace livecanary::net

template <>
struct boost::system::is_error_code_enum<livecanary::net::MysqlError> : std::true_type {};
