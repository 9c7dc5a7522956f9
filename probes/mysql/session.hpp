#pragma once
// One login of a probe: its phases, its first statements, and what an error of it looks like as evidence.
#include <string>
#include <utility>
#include <vector>

#include "probes/core/run.hpp"
#include "probes/mysql/config.hpp"
#include "probes/net/mysql.hpp"

namespace livecanary::mysql {

inline constexpr Phase dns{"dns"}, tcp{"tcp"}, tls{"tls"}, auth{"auth"}, query{"query"};

/// What a server or a table is that it should not be.
enum class Finding {
    column_missing = 1,
    column_differs,     ///< in type, nullability or default
    column_unexpected,  ///< a column that the writer does not know of, and that must have a value
    table_missing,      ///< and no number came for it
    not_indexed,        ///< no index begins with the watermark column
    full_scan,          ///< there is one, and the server would read the whole table all the same
    unfit_watermark,    ///< neither a number nor a time
    too_few_rows,       ///< fewer new rows than expected
    not_transactional,  ///< an insert could not be rolled back
    replication_lags,
    replication_stopped,
    not_a_replica,
    is_read_only,
    is_writable,
    other_time_zone,
};
error_code make_error_code(Finding finding) noexcept;

/// Something wrong, with what shows it.
struct Problem {
    error_code code{};
    unsigned number = 0;
    std::vector<std::pair<std::string_view, std::string>> evidence{};

    explicit operator bool() const noexcept { return static_cast<bool>(code); }
};

Problem problem_of(const net::MysqlFailure& failure, std::string what = {});

/// How a failure is compared with that of a control: "1045", else the reason.
std::string fingerprint(const net::MysqlFailure& failure);

/// How a login is made that is not just as configured.
struct LoginAs {
    bool with_database = true;
    bool by_socket = false;
    bool as_nobody = false;  ///< without name, password and TLS
};

class Session {
public:
    /// `config` and `run` must outlive it.
    Session(const Config& config, ProbeRun& run, boost::asio::any_io_executor executor)
        : config_(config), run_(run), mysql_(std::move(executor)) {}

    /// With its phases on the run if `spoken`.
    asio::awaitable<net::MysqlFailure> open(LoginAs as, bool spoken);
    asio::awaitable<net::MysqlReply> ask(std::string sql);
    bool is_open() const noexcept { return mysql_.is_connected(); }
    asio::awaitable<void> close() { return mysql_.close(); }

    std::string literal(std::string_view text) const { return mysql_.literal(text); }
    static std::string name(std::string_view identifier) { return net::Mysql::identifier(identifier); }
    std::string version() const { return mysql_.server_version(); }
    bool is_mariadb() const { return version().find("MariaDB") != std::string::npos; }

private:
    asio::awaitable<error_code> find_address(net::MysqlTarget& target, bool spoken);
    void note_tls();

    const Config& config_;
    ProbeRun& run_;
    net::Mysql mysql_;
};

}  // namespace livecanary::mysql

template <>
struct boost::system::is_error_code_enum<livecanary::mysql::Finding> : std::true_type {};
