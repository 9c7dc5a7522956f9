#include "probes/mysql/look.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "probes/mysql/table_look.hpp"
#include "probes/protocol/ascii.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::mysql {
namespace {

using namespace std::chrono_literals;

asio::awaitable<bool> is_cut() {
    const auto state = co_await asio::this_coro::cancellation_state;
    co_return state.cancelled() != asio::cancellation_type::none;
}

std::int64_t to_number(const std::optional<std::string>& text) {
    std::int64_t number = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), number);
    return number;
}

/// How long a server may go on with a statement that nobody waits for any more.
std::chrono::milliseconds left(const ProbeRun& run, Clock::time_point now) {
    const auto time = std::chrono::ceil<std::chrono::milliseconds>(run.deadline() - now);
    return std::max(time, std::chrono::milliseconds(100));
}

class Look {
public:
    Look(const Config& config, Kept& kept, ProbeRun& run, boost::asio::any_io_executor executor)
        : config_(config), kept_(kept), run_(run), session_(config, run, std::move(executor)) {}

    asio::awaitable<void> whole();
    asio::awaitable<void> leave() { return session_.close(); }
    asio::awaitable<void> keep();

private:
    asio::awaitable<bool> about_server();
    asio::awaitable<bool> set_up();
    asio::awaitable<bool> about_tables();
    asio::awaitable<bool> about_replication();
    /// Notes what is wrong; the first counts. False if the connection is gone, so that there is no going on.
    bool wrong(Problem problem) {
        if (!first_) first_ = std::move(problem);
        return session_.is_open();
    }
    bool wrong(const net::MysqlFailure& failure, std::string what) {
        return wrong(problem_of(failure, std::move(what)));
    }
    void say(const Problem& problem);

    const Config& config_;
    Kept& kept_;
    ProbeRun& run_;
    Session session_;
    Problem first_{};
    Server server_{};
    std::vector<TableLook> looks_{};
};

void Look::say(const Problem& problem) {
    for (const auto& [what, got] : problem.evidence) run_.saw(what, got);
    run_.saw("ended", problem.code.message());
    const std::string how = problem.number != 0 ? std::to_string(problem.number)
                                                : std::string(to_string(reason_of(problem.code)));
    run_.fingerprint(how);
    run_.failed(problem.code);
}

asio::awaitable<void> Look::whole() {
    const LoginAs as;
    const auto failure = co_await session_.open(as, true);
    if (failure) {
        say(problem_of(failure));
        co_return;
    }
    run_.enter(query);
    bool on = co_await about_server();
    if (on) on = co_await set_up();
    if (on) on = co_await about_tables();
    if (on && config_.replication) co_await about_replication();
    if (first_) say(first_);
}

asio::awaitable<bool> Look::about_server() {
    const auto reply = co_await session_.ask(
        "SELECT @@session.time_zone, @@system_time_zone, TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), NOW()), "
        "@@global.read_only, @@session.sql_mode, UNIX_TIMESTAMP()");
    if (reply.failure) co_return wrong(reply.failure, "looking at the server");
    const auto& rows = reply.rows;
    const auto column = [&](std::size_t i) {
        return !rows.rows.empty() && i < rows.rows[0].size() ? rows.rows[0][i] : std::nullopt;
    };
    server_.offset = std::chrono::minutes(to_number(column(2)));
    server_.sql_mode = protocol::printable(column(4).value_or(""));
    server_.now = to_number(column(5));
    server_.is_mariadb = session_.is_mariadb();
    const bool read_only = column(3).value_or("0") != "0";
    run_.saw("time_zone", protocol::printable(column(0).value_or("?")) + " (" +
                              protocol::printable(column(1).value_or("?")) + "), " +
                              format_offset(server_.offset));
    run_.saw("read_only", read_only ? "1" : "0");
    run_.saw("sql_mode", server_.sql_mode);
    if (config_.read_only && *config_.read_only != read_only)
        wrong({.code = read_only ? Finding::is_read_only : Finding::is_writable});
    if (config_.time_zone && *config_.time_zone != server_.offset)
        wrong({.code = Finding::other_time_zone,
               .evidence = {{"zone_expected", format_offset(*config_.time_zone)}}});
    if (config_.time_zone) server_.offset = *config_.time_zone;
    co_return true;
}

/// Times in UTC, no writing, and an end to statements and waits that outlive the run.
asio::awaitable<bool> Look::set_up() {
    const auto time = left(run_, run_.env().now());
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(time);
    // Locks are given up on first, so that the server comes to say so (error 1205).
    const auto for_locks = std::max<std::int64_t>(1, seconds.count() / 2);
    std::string sql =
        "SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = " + std::to_string(for_locks) + ", ";
    sql += server_.is_mariadb ? "max_statement_time = " + std::to_string(seconds.count())
                              : "max_execution_time = " + std::to_string(time.count());
    auto reply = co_await session_.ask(std::move(sql));
    if (reply.failure) co_return wrong(reply.failure, "setting up the session");
    reply = co_await session_.ask("SET SESSION TRANSACTION READ ONLY");
    if (reply.failure) co_return wrong(reply.failure, "setting up the session");
    co_return true;
}

asio::awaitable<bool> Look::about_tables() {
    if (config_.tables.empty()) co_return true;
    Tables tables;
    auto failure = co_await read_tables(session_, config_, tables);
    if (failure) co_return wrong(failure, "looking at the tables");
    for (const Table& table : config_.tables) {
        TableLook found{.table = &table};
        const Mark* mark = nullptr;
        if (!table.watermark.empty()) {
            if (kept_.recalled.insert(table.name).second && run_.env().memory != nullptr) {
                const auto text = co_await run_.env().memory->recall(run_.env().probe, "table " + table.name);
                if (auto recalled = text ? Mark::from_text(*text) : std::nullopt)
                    kept_.marks.insert_or_assign(table.name, *std::move(recalled));
            }
            // A mark of another column says nothing of this one.
            const auto kept = kept_.marks.find(table.name);
            if (kept != kept_.marks.end() && kept->second.column == table.watermark) mark = &kept->second;
        }
        const bool explained = kept_.explained.contains(table.name);
        co_await look_at(session_, config_, tables, server_, mark, explained, run_.env().wall(), found);
        if (found.explained) kept_.explained.insert(table.name);
        for (auto& problem : found.problems) wrong(std::move(problem));
        found.problems.clear();
        for (const auto& [what, got] : found.evidence) run_.saw(what, got);
        looks_.push_back(std::move(found));
        if (!session_.is_open()) co_return false;
        if (co_await is_cut()) co_return false;
    }
    co_return true;
}

asio::awaitable<bool> Look::about_replication() {
    // MySQL has the new words since 8.0.22 and only them since 8.4; MariaDB still has both.
    const auto reply =
        co_await session_.ask(server_.is_mariadb ? "SHOW SLAVE STATUS" : "SHOW REPLICA STATUS");
    if (reply.failure) co_return wrong(reply.failure, "asking for the replica's state");
    const auto& rows = reply.rows;
    if (rows.rows.empty()) co_return wrong({.code = Finding::not_a_replica});
    const auto either = [&](std::string_view old, std::string_view now) {
        const auto found = rows.at(0, old);
        return found ? found : rows.at(0, now);
    };
    const auto io = either("Slave_IO_Running", "Replica_IO_Running").value_or("?");
    const auto sql = either("Slave_SQL_Running", "Replica_SQL_Running").value_or("?");
    const auto behind = either("Seconds_Behind_Master", "Seconds_Behind_Source");
    run_.saw("replica",
             protocol::printable("io " + io + ", sql " + sql + ", behind " + behind.value_or("unknown")));
    for (const auto* const column : {"Last_IO_Error", "Last_SQL_Error"})
        if (const auto error = rows.at(0, column); error && !error->empty())
            run_.saw("replica_error", protocol::printable(*error));
    if (!behind) co_return wrong({.code = Finding::replication_stopped});
    const auto lag = to_number(behind);
    run_.found(replication_lag, static_cast<double>(lag));
    if (config_.replication->max_lag && lag > config_.replication->max_lag->count())
        co_return wrong(
            {.code = Finding::replication_lags,
             .evidence = {{"lag", std::to_string(lag) + " s, at most " +
                                      std::to_string(config_.replication->max_lag->count()) + " s"}}});
    co_return true;
}

/// What was counted is remembered and told only together, and only by a run that has a result.
asio::awaitable<void> Look::keep() {
    if (run_.was_cut()) co_return;
    std::string headline;
    for (TableLook& found : looks_) {
        const std::string& name = found.table->name;
        if (found.rows) run_.found(table_rows, *found.rows, name);
        if (found.newest) run_.found(newest, *found.newest, name);
        if (found.looked) run_.found(schema_ok, found.schema_ok ? 1 : 0, name);
        if (!found.mark) continue;
        const std::string text = found.mark->to_text();
        kept_.marks.insert_or_assign(name, *std::move(found.mark));
        // If it cannot be remembered it is counted all the same: once, as long as the daemon lives.
        if (run_.env().memory != nullptr)
            co_await run_.env().memory->remember(run_.env().probe, "table " + name, text);
        run_.found(rows_added, static_cast<double>(found.added), name);
        headline += (headline.empty() ? "" : ", ") + name + " +" + std::to_string(found.added);
    }
    if (headline.empty()) headline = "logged in";
    if (!run_.has_failed()) run_.headline(headline);
}

}  // namespace

asio::awaitable<void> look(const Config& config, Kept& kept, ProbeRun& run) {
    Look one(config, kept, run, co_await asio::this_coro::executor);
    co_await one.whole();
    if (co_await is_cut()) run.cut();
    // A run that is cut still leaves in good order.
    co_await asio::this_coro::reset_cancellation_state();
    co_await one.leave();
    if (co_await is_cut()) run.cut();
    co_await asio::this_coro::reset_cancellation_state();
    co_await one.keep();
}

asio::awaitable<result<PeerAnswer>> find_row(const Config& config, ProbeRun& run, const Question& question) {
    const auto named = question.with.find("table");
    const Table* const table = named != question.with.end() ? config.table(named->second) : nullptr;
    if (table == nullptr) co_return PeerError::not_understood;
    Session session(config, run, co_await asio::this_coro::executor);
    const LoginAs as;
    auto failure = co_await session.open(as, false);
    error_code code = failure.code;
    PeerAnswer answer;
    if (!code) code = co_await ask_for_row(session, config, *table, question, answer);
    co_await asio::this_coro::reset_cancellation_state();
    co_await session.close();
    if (code) co_return code;
    co_return answer;
}

namespace {

/// The statement with each {name} as the literal that was given for it. PeerError::not_understood if one was
/// not.
result<std::string> filled_in(const Session& session, const std::string& statement, const Facts& with) {
    std::string sql;
    for (std::size_t at = 0; at < statement.size();) {
        const auto open = statement.find('{', at);
        const auto close = statement.find('}', open);
        if (open == statement.npos || close == statement.npos) {
            sql += statement.substr(at);
            break;
        }
        const auto value = with.find(statement.substr(open + 1, close - open - 1));
        if (value == with.end()) return PeerError::not_understood;
        sql += statement.substr(at, open - at) + session.literal(value->second);
        at = close + 1;
    }
    return sql;
}

asio::awaitable<error_code> carry_out(Session& session, const Table& table, const Question& question,
                                      PeerAnswer& answer) {
    const auto sql = filled_in(session, table.remove, question.with);
    if (!sql) co_return sql.error();
    auto reply = co_await session.ask("START TRANSACTION READ WRITE");
    if (reply.failure) co_return reply.failure.code;
    reply = co_await session.ask(*sql);
    if (reply.failure) co_return reply.failure.code;
    reply = co_await session.ask("SELECT ROW_COUNT() AS removed");
    if (reply.failure) co_return reply.failure.code;
    answer.facts["removed"] = reply.rows.at(0, "removed").value_or("0");
    reply = co_await session.ask("COMMIT");
    co_return reply.failure.code;
}

}  // namespace

asio::awaitable<result<PeerAnswer>> remove_row(const Config& config, ProbeRun& run,
                                               const Question& question) {
    const auto named = question.with.find("table");
    const Table* const table = named != question.with.end() ? config.table(named->second) : nullptr;
    if (table == nullptr || table->remove.empty()) co_return PeerError::not_understood;
    Session session(config, run, co_await asio::this_coro::executor);
    const LoginAs as;
    auto failure = co_await session.open(as, false);
    error_code code = failure.code;
    PeerAnswer answer;
    if (!code) code = co_await carry_out(session, *table, question, answer);
    co_await asio::this_coro::reset_cancellation_state();
    co_await session.close();
    if (code) co_return code;
    co_return answer;
}

}  // namespace livecanary::mysql
