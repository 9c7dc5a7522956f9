#include "probes/mysql/diagnose.hpp"

#include <charconv>
#include <string>

#include "probes/mysql/controls.hpp"

namespace livecanary::mysql {
namespace {

using namespace net::mysql_number;

/// What was said, for people.
std::string said_by(const RunResult& run) {
    std::string said;
    if (const auto number = run.got("errno"); !number.empty())
        said = (number.front() == '1' || number.front() == '3' ? "the server says "
                                                               : "the client library says ") +
               std::string(number) + ": " + std::string(run.got("message"));
    else
        said = run.code.message();
    for (const auto* const what : {"drift", "stalled", "ahead", "zone_expected", "time_zone", "lag",
                                   "replica", "watermark", "explain", "engine", "missing", "verify"}) {
        const bool of_zone = std::string_view(what) == "time_zone";
        if (of_zone && run.code != Finding::other_time_zone) continue;
        if (const auto got = run.got(what); !got.empty()) said += "; " + std::string(got);
    }
    return said;
}

Diagnosis perhaps(std::vector<Candidate> candidates, std::string because) {
    Diagnosis found;
    found.candidates = std::move(candidates);
    found.because = std::move(because);
    return found;
}

unsigned number_of(const RunResult& run) {
    const auto text = run.got("errno");
    unsigned number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

bool is_strict(const RunResult& run) { return run.got("sql_mode").find("STRICT_") != std::string_view::npos; }

/// The one table that the shipped script fails to make where dates of zero are forbidden (measured: error
/// 1067).
bool script_failed_half_way(const RunResult& run, const ControlFacts& facts) {
    if (!facts.passed(tables) || run.got("sql_mode").find("NO_ZERO_DATE") == std::string_view::npos)
        return false;
    const auto there = facts.fingerprint(tables);
    const auto has = [&](std::string_view table) { return there.find(table) != std::string_view::npos; };
    return has("tb_account") && has("tb_room") && !has("tb_vod");
}

Diagnosis of_schema_missing(const ControlFacts& facts, const std::string& said) {
    // The catalogue's evidence: connect without a schema works, with it fails.
    if (facts.passed(no_database))
        return claim(Cause::db_grant_missing_1044, said + "; " + facts.shows(no_database),
                     {"db_auth_failed_1045: the same account logs in without a schema"});
    return one_of(
        CauseClass::db_access_denied,
        {{Cause::db_grant_missing_1044, "the number says so; no control could confirm it"},
         {Cause::db_unknown_1049, "an account without rights gets this number for a missing database too"}},
        said);
}

/// By the number alone, where it names what it means (MariaDB knowledge base, "MariaDB Error Codes").
std::optional<Cause> named_by(unsigned number) {
    switch (number) {
        case access_denied:
        case access_denied_no_password:
            return Cause::db_auth_failed_1045;
        case unknown_database:
            return Cause::db_unknown_1049;
        case unknown_column:
            return Cause::db_column_unknown_1054;
        case no_default:
            return Cause::db_no_default_1364;
        case bad_value:
        case truncated_wrong_value:
        case bad_datetime:
            return Cause::db_bad_value_1366;
        case too_long:
            return Cause::db_too_long_1406;
        case duplicate:
            return Cause::db_duplicate_1062;
        case too_many_connections:
        case too_many_user_connections:
            return Cause::db_too_many_connections_1040;
        case host_blocked:
        case host_not_privileged:
            return Cause::db_host_blocked_1129_1130;
        case lock_wait_timeout:
        case deadlock:
            return Cause::db_lock_wait_1205;
        case user_limit:
            return Cause::db_user_quota_1226;
        case read_only_transaction:
        case read_only_mode:
            return Cause::db_read_only_1290;
        case disk_full:
        case table_full:
            return Cause::db_disk_full;
        case plugin_not_loaded:
        case method_unsupported:
        case plugin_cannot_load:
        case plugin_error:
        case plugin_not_allowed:
            return Cause::db_auth_plugin_missing;
        default:
            return std::nullopt;
    }
}

std::optional<Diagnosis> of_number(unsigned number, const RunResult& run, const ControlFacts& facts,
                                   const std::string& said) {
    if (number == database_denied) return of_schema_missing(facts, said);
    if (number == no_such_table) {
        if (script_failed_half_way(run, facts))
            return perhaps({{Cause::createdb_zero_date_1067,
                             "just the table whose statement fails under this sql_mode is missing; " +
                                 facts.shows(tables)},
                            {Cause::db_table_missing, "it may have been dropped later"}},
                           said);
        return claim(Cause::db_table_missing, said);
    }
    if (number == table_denied || number == column_denied || number == not_privileged)
        return one_of(
            CauseClass::db_access_denied,
            {{Cause::db_grant_missing_1044, "the account logs in, and lacks a right: see check-config"}},
            said);
    if (number == option_prevents) {
        // The number stands for any option; only this one is the cause's.
        if (run.got("message").find("read-only") != std::string_view::npos ||
            run.got("message").find("read_only") != std::string_view::npos)
            return claim(Cause::db_read_only_1290, said);
        return Diagnosis{.because = said};
    }
    if (number == statement_timeout || number == statement_timeout_mysql)
        return perhaps(
            {{Cause::db_lock_wait_1205, "the statement waited for something until its time was up"}}, said);
    if (const auto cause = named_by(number)) {
        std::vector<std::string> ruled_out;
        if (number == access_denied && facts.passed(by_socket))
            ruled_out.push_back("db_grant_missing_1044: " + facts.shows(by_socket) +
                                ", so it is the host part of the account, or an anonymous one before it");
        return claim(*cause, said, std::move(ruled_out));
    }
    return std::nullopt;
}

Diagnosis of_finding(Finding finding, const RunResult& run, const std::string& said) {
    switch (finding) {
        case Finding::column_missing:
            return claim(Cause::db_column_unknown_1054, said);
        case Finding::column_unexpected:
            // The catalogue's evidence: the schema shows the extra column, and sql_mode is strict.
            if (is_strict(run)) return claim(Cause::db_no_default_1364, said);
            return one_of(CauseClass::callback_not_stored,
                          {{Cause::replay_db_write_failed_schema_changed,
                            "a column was added; without a strict sql_mode it gets an implicit default"}},
                          said);
        case Finding::column_differs:
        case Finding::unfit_watermark:
            return one_of(CauseClass::callback_not_stored,
                          {{Cause::replay_db_write_failed_schema_changed, "the table was changed"},
                           {Cause::db_too_long_1406, "if the column became shorter"},
                           {Cause::db_bad_value_1366, "if its type became another one"}},
                          said);
        case Finding::table_missing:
            return claim(Cause::db_table_missing, said);
        case Finding::too_few_rows:
            if (!run.got("ahead").empty())
                return perhaps({{Cause::db_timezone_mismatch, "rows are ahead of the server's clock"},
                                {Cause::db_table_stalled, "or none has come since"}},
                               said);
            return claim(Cause::db_table_stalled, said);
        case Finding::replication_lags:
        case Finding::replication_stopped:
            return claim(Cause::db_replication_lag, said);
        case Finding::not_a_replica:
            return perhaps({{Cause::db_replication_lag, "replication may have been taken down"}}, said);
        case Finding::is_read_only:
            return claim(Cause::db_read_only_1290, said);
        case Finding::other_time_zone:
            return claim(Cause::db_timezone_mismatch, said);
        case Finding::not_indexed:
        case Finding::full_scan:
        case Finding::not_transactional:
        case Finding::is_writable:
            break;  // of how the probe or the server is set up; the catalogue has no word for it
    }
    return {.because = said};
}

Diagnosis of_tls(const RunResult& run, const ControlFacts& facts, const std::string& said) {
    // The catalogue's evidence: TLS fails, and the server speaks without it.
    if (facts.passed(plain))
        return claim(Cause::db_tls_error_2026, said + "; " + facts.shows(plain),
                     {"db_unreachable_2002_2003_2005: it answers without TLS"});
    std::vector<Candidate> candidates{{Cause::db_tls_error_2026, "it failed in the phase tls"}};
    if (run.reason() == Reason::timeout)
        candidates.push_back({Cause::db_frozen, "it may have stopped answering"});
    return perhaps(std::move(candidates), said);
}

Diagnosis of_network(const RunResult& run, const ControlFacts& facts, const std::string& said) {
    const auto phase = run.failed_phase();
    if (phase == dns.name || phase == tcp.name) {
        std::vector<std::string> ruled_out;
        if (facts.passed(by_socket)) ruled_out.push_back("db_frozen: " + facts.shows(by_socket));
        return claim(Cause::db_unreachable_2002_2003_2005, said, std::move(ruled_out));
    }
    // The catalogue's evidence: tcp is ok, and the greeting does not come.
    if (run.code == net::MysqlError::no_greeting) return claim(Cause::db_frozen, said);
    if (phase == tls.name) return of_tls(run, facts, said);
    const bool broke = run.reason() == Reason::closed || run.reason() == Reason::reset;
    if (broke && phase == query.name)
        return claim(Cause::db_connection_lost_2006_2013,
                     facts.played(uptime) ? said + "; " + facts.shows(uptime) : said);
    if (broke)
        return perhaps({{Cause::db_connection_lost_2006_2013, "the server, or something before it, hung up"},
                        {Cause::db_host_blocked_1129_1130, "some firewalls accept and hang up"}},
                       said);
    if (run.reason() == Reason::timeout)
        return perhaps({{Cause::db_frozen, "the server stopped answering in the middle"},
                        {Cause::db_lock_wait_1205, "a statement may wait for a lock"}},
                       said);
    return {.because = said};
}

}  // namespace

Diagnosis diagnose(const RunResult& run) {
    const ControlFacts facts(run);
    const std::string said = said_by(run);
    if (run.code.category() == make_error_code(Finding::column_missing).category())
        return of_finding(static_cast<Finding>(run.code.value()), run, said);
    if (const auto number = number_of(run); number != 0)
        if (auto found = of_number(number, run, facts, said)) return *std::move(found);
    return of_network(run, facts, said);
}

}  // namespace livecanary::mysql
