#include "probes/mysql/controls.hpp"

#include <charconv>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "probes/protocol/printable.hpp"

namespace livecanary::mysql {
namespace {

/// A server that has been up for less has restarted within the time in which a run fails.
constexpr long young = 120;  // s

class Experiment {
public:
    Experiment(const Config& config, ProbeRun& run) : config_(config), run_(run) {}

    /// Logs in as told, asks `sql` if it may, and keeps what came of it.
    asio::awaitable<void> log_in(std::string_view name, LoginAs as, std::string how, std::string sql = {});
    std::vector<Control> take() { return std::move(played_); }

private:
    static bool is_answer(const net::MysqlFailure& failure) {
        return failure.number >= 1000 && failure.number < 2000;
    }
    void judge(Control& control, const net::MysqlFailure& failure, const std::string& how) const {
        control.fingerprint = fingerprint(failure);
        control.outcome = failure ? ControlOutcome::failed : ControlOutcome::passed;
        control.shows = how + (failure ? " is refused: " + (failure.message.empty() ? failure.code.message()
                                                                                    : failure.message)
                                       : " is accepted");
    }

    const Config& config_;
    ProbeRun& run_;
    std::vector<Control> played_{};
};

asio::awaitable<void> Experiment::log_in(std::string_view name, LoginAs as, std::string how,
                                         std::string sql) {
    Control control{.name = name};
    Session session(config_, run_, co_await asio::this_coro::executor);
    net::MysqlFailure failure = co_await session.open(as, false);
    net::MysqlReply reply;
    if (!failure && !sql.empty()) {
        reply = co_await session.ask(std::move(sql));
        failure = reply.failure;
    }
    judge(control, failure, how);
    if (as.as_nobody && is_answer(failure)) {
        control.outcome = ControlOutcome::passed;
        control.shows = how + " is answered: " + failure.message;
    }
    const auto& rows = reply.rows.rows;
    if (!failure && name == tables) {
        control.fingerprint.clear();
        for (const auto& row : rows)
            control.fingerprint +=
                (control.fingerprint.empty() ? "" : " ") + protocol::printable(row.at(0).value_or(""));
        control.shows = "the schema has " + (rows.empty() ? std::string("no table") : control.fingerprint);
    }
    if (!failure && name == uptime && !rows.empty()) {
        const std::string text = rows[0].at(1).value_or("");
        long seconds = 0;
        std::from_chars(text.data(), text.data() + text.size(), seconds);
        control.fingerprint = seconds < young ? restarted : "up";
        control.shows = "the server has been up for " + std::to_string(seconds) + " s";
    }
    played_.push_back(std::move(control));
    co_await asio::this_coro::reset_cancellation_state();
    co_await session.close();
}

}  // namespace

asio::awaitable<std::vector<Control>> play_controls(const Config& config, ProbeRun& run,
                                                    const RunResult& failed) {
    Experiment experiment(config, run);
    const auto number = failed.got("errno");
    const auto phase = failed.failed_phase();
    const bool other_way = !config.host.empty() && !config.socket.empty();
    if (number == "1044" || number == "1049") {
        const LoginAs as{.with_database = false};
        co_await experiment.log_in(no_database, as, "a login without a schema");
    } else if (other_way && (number == "1045" || number == "1698" || phase == tcp.name)) {
        const LoginAs as{.by_socket = true};
        co_await experiment.log_in(by_socket, as, "the same login by the local socket");
    } else if (phase == tls.name && failed.code != net::MysqlError::no_greeting) {
        const LoginAs as{.as_nobody = true};
        co_await experiment.log_in(plain, as, "a login without TLS as nobody");
    } else if (number == "1146") {
        const LoginAs as;
        co_await experiment.log_in(
            tables, as, "a look at the schema",
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() "
            "ORDER BY TABLE_NAME LIMIT 50");
    } else if (phase == query.name &&
               (failed.reason() == Reason::closed || failed.reason() == Reason::reset)) {
        const LoginAs as;
        co_await experiment.log_in(uptime, as, "another login", "SHOW GLOBAL STATUS LIKE 'Uptime'");
    }
    co_return experiment.take();
}

}  // namespace livecanary::mysql
