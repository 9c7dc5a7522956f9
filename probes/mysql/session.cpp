#include "probes/mysql/session.hpp"

#include "probes/core/error_table.hpp"
#include "probes/net/reach.hpp"
#include "probes/net/values.hpp"

namespace livecanary::mysql {

using namespace std::chrono_literals;

error_code make_error_code(Finding finding) noexcept {
    using enum Finding;
    static const ErrorTable<Finding> table{
        "livecanary.mysql_finding",
        {{column_missing, "a column is missing", Reason::mismatch},
         {column_differs, "a column is not as expected", Reason::mismatch},
         {column_unexpected, "a column that must have a value was added", Reason::mismatch},
         {table_missing, "a table is missing", Reason::not_found},
         {not_indexed, "no index begins with the watermark column", Reason::mismatch},
         {full_scan, "new rows could only be counted by reading the whole table", Reason::mismatch},
         {unfit_watermark, "the watermark column is neither a number nor a time", Reason::mismatch},
         {too_few_rows, "fewer new rows than expected", Reason::stale},
         {not_transactional, "an insert into the table could not be rolled back", Reason::mismatch},
         {replication_lags, "the replica is too far behind", Reason::stale},
         {replication_stopped, "the replica does not replicate", Reason::stalled},
         {not_a_replica, "the server is no replica, or this account may not see that it is",
          Reason::mismatch},
         {is_read_only, "the server is read-only", Reason::mismatch},
         {is_writable, "the server is not read-only", Reason::mismatch},
         {other_time_zone, "the server's time zone is another one", Reason::mismatch}}};
    return {static_cast<int>(finding), table};
}

Problem problem_of(const net::MysqlFailure& failure, std::string what) {
    Problem problem{.code = failure.code, .number = failure.number};
    if (failure.number != 0) problem.evidence.emplace_back("errno", std::to_string(failure.number));
    if (!failure.message.empty()) problem.evidence.emplace_back("message", failure.message);
    if (!what.empty()) problem.evidence.emplace_back("doing", std::move(what));
    return problem;
}

std::string fingerprint(const net::MysqlFailure& failure) {
    if (!failure) return "ok";
    return failure.number != 0 ? std::to_string(failure.number)
                               : std::string(to_string(reason_of(failure.code)));
}

asio::awaitable<error_code> Session::find_address(net::MysqlTarget& target, bool spoken) {
    if (config_.address) {
        target.endpoint = {*config_.address, config_.port};
    } else {
        error_code no_literal;
        const auto literal = asio::ip::make_address(config_.host, no_literal);
        if (!no_literal) {
            target.endpoint = {literal, config_.port};
        } else {
            if (spoken) run_.enter(dns);
            const auto found = co_await run_.env().dns->resolve(config_.host, config_.port, run_.deadline());
            if (!found) co_return found.error();
            target.endpoint = found->endpoints.front();
            if (spoken) net::note_addresses(*found, run_);
        }
    }
    co_return error_code{};
}

void Session::note_tls() {
    const auto& facts = mysql_.tls_facts();
    if (facts.not_after)
        run_.found(net::certificate_end,
                   std::chrono::duration<double>(facts.not_after->time_since_epoch()).count());
    if (!facts.subject.empty()) run_.saw("certificate", facts.subject + ", issued by " + facts.issuer);
    if (facts.verify_code != 0)
        run_.saw("verify", std::to_string(facts.verify_code) + " " + facts.verify_text);
}

asio::awaitable<net::MysqlFailure> Session::open(LoginAs as, bool spoken) {
    net::MysqlTarget target;
    target.until = run_.deadline() + 5s;
    const bool local = as.by_socket || config_.host.empty();
    if (local) {
        target.socket = config_.socket;
    } else if (const error_code code = co_await find_address(target, spoken)) {
        co_return net::MysqlFailure{.code = code};
    }
    // Nobody: a name that is not there, since an empty one is taken for the user of this process.
    target.user = as.as_nobody ? "livecanary-nobody" : config_.user;
    if (!as.as_nobody) target.password = config_.password.reveal();
    if (as.with_database && !as.as_nobody) target.database = config_.database;
    if (config_.tls && !local && !as.as_nobody)
        target.tls = net::TlsOptions{.server_name = config_.tls->server_name,
                                     .ca_file = config_.tls->ca_file,
                                     .verify = config_.tls->verify};
    const std::string where =
        local ? target.socket
              : target.endpoint.address().to_string() + ":" + std::to_string(target.endpoint.port());
    std::function<void(net::MysqlStep)> on_step = [this, spoken, where](net::MysqlStep step) {
        if (!spoken) return;
        if (step == net::MysqlStep::tcp) {
            run_.enter(tcp);
            run_.saw("address", where);
        } else {
            run_.enter(step == net::MysqlStep::tls ? tls : auth);
        }
    };
    const bool over_tls = target.tls.has_value();
    auto failure = co_await mysql_.connect(std::move(target), run_.deadline(), std::move(on_step));
    if (spoken && over_tls) note_tls();
    if (spoken && !version().empty()) run_.saw("server", version());
    co_return failure;
}

asio::awaitable<net::MysqlReply> Session::ask(std::string sql) {
    return mysql_.query(std::move(sql), run_.deadline());
}

}  // namespace livecanary::mysql
