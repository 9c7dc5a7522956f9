// What a server can do to a run that a real one does not do on demand: and that it costs that run only.
#include <gtest/gtest.h>

#include "probes/mysql/controls.hpp"
#include "tests/support/mysql_server.hpp"
#include "tests/support/mysql_stage.hpp"
#include "tests/support/name_server.hpp"

namespace livecanary::test {
namespace {

using Answers = std::vector<std::string>;

/// Answers as a healthy server that has the table `t` with one row of id 7.
Answers healthy(const std::string& sql) {
    using namespace mysql_says;
    const auto table = [](const std::vector<std::string>& columns, const Answers& rows) {
        Answers all{std::string(1, static_cast<char>(columns.size()))};
        for (const auto& name : columns) all.push_back(column(name));
        all.push_back(eof());
        all.insert(all.end(), rows.begin(), rows.end());
        all.push_back(eof());
        return all;
    };
    const auto has = [&](const char* words) { return sql.find(words) != std::string::npos; };
    if (has("@@session.time_zone"))
        return table({"z", "s", "o", "r", "m", "u"}, {text("SYSTEM") + text("UTC") + text("0") + text("0") +
                                                      text("STRICT_TRANS_TABLES") + text("1795000000")});
    if (has("information_schema.TABLES"))
        return table({"n", "e", "r"}, {text("t") + text("InnoDB") + text("1000")});
    if (has("information_schema.COLUMNS"))
        return table({"n", "c", "t", "y", "d", "x"},
                     {text("t") + text("id") + text("int(11)") + text("NO") + "\xFB" + text("")});
    if (has("information_schema.STATISTICS"))
        return table({"n", "i", "c"}, {text("t") + text("PRIMARY") + text("id")});
    if (has("EXPLAIN")) return table({"id", "type", "key"}, {text("1") + text("range") + text("PRIMARY")});
    if (has("SELECT MAX")) return table({"m"}, {text("7")});
    if (has("COUNT(*)")) return table({"c"}, {text("1")});
    if (has("Uptime")) return table({"n", "v"}, {text("Uptime") + text("9")});
    return {ok()};
}

struct Stage : MysqlRuns {
    std::string keys(std::uint16_t port, const std::string& more = {}) const {
        return "host = '127.0.0.1'\nport = " + std::to_string(port) +
               "\nuser = 'monitor'\npassword = { env = 'DB' }\ndatabase = 'live_demo'\n" + more;
    }
};

constexpr const char* with_table = "[[table]]\nname = 't'\nwatermark = 'id'\n";

TEST(MysqlRun, AsksInAFixedNumberOfStatements) {
    Stage stage;
    MysqlPeer peer(stage.io, {.to_query = healthy});
    const Probe probe = MysqlRuns::made_of(stage.keys(peer.port(), with_table));
    const RunResult first = stage.run(probe);
    EXPECT_EQ(first.outcome(), RunOutcome::ok) << MysqlRuns::words(first);
    EXPECT_EQ(first.got("baseline"), "t 7");
    EXPECT_EQ(peer.statements().size(), 9U);
    EXPECT_EQ(peer.statements()[1],
              "SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 10, max_execution_time = " +
                  peer.statements()[1].substr(peer.statements()[1].rfind(' ') + 1));
    EXPECT_EQ(peer.statements()[2], "SET SESSION TRANSACTION READ ONLY");
    EXPECT_EQ(peer.statements()[6], "SELECT MAX(`id`) FROM `t` FORCE INDEX (`PRIMARY`)");
    EXPECT_EQ(peer.statements()[7],
              "EXPLAIN SELECT COUNT(*) FROM `t` FORCE INDEX (`PRIMARY`) WHERE `id` > 7");
    EXPECT_EQ(MysqlRuns::number(first, "livecanary_mysql_table_rows", "t"), 1000);
    // That counting is cheap is asked once.
    const RunResult second = stage.run(probe);
    EXPECT_EQ(second.got("new_rows"), "t 0") << MysqlRuns::words(second);
    EXPECT_EQ(peer.statements().size(), 17U);
    run_until(stage.io, [&] { return peer.quits() == 2; });
    EXPECT_EQ(stage.memory.kept.size(), 1U);
}

TEST(MysqlRun, MarkOutlivesTheDaemonAndNotItsColumn) {
    Stage stage;
    MysqlPeer peer(stage.io, {.to_query = healthy});
    stage.run(MysqlRuns::made_of(stage.keys(peer.port(), with_table)));
    EXPECT_EQ(stage.run(MysqlRuns::made_of(stage.keys(peer.port(), with_table))).got("baseline"), "");
    for (auto& [key, text] : stage.memory.kept) text.replace(text.find("id"), 2, "at");
    EXPECT_EQ(stage.run(MysqlRuns::made_of(stage.keys(peer.port(), with_table))).got("baseline"), "t 7");
    stage.env.memory = nullptr;
    const Probe forgetful = MysqlRuns::made_of(stage.keys(peer.port(), with_table));
    EXPECT_EQ(stage.run(forgetful).got("baseline"), "t 7");
    EXPECT_EQ(stage.run(forgetful).got("new_rows"), "t 0");
}

struct End {
    const char* name;
    MysqlScript script;
    const char* phase;
    const char* reason;
    const char* cause;  ///< or its class, or the first candidate where there is no class
};
void PrintTo(const End& end, std::ostream* out) { *out << end.name; }

MysqlScript greeted_with(unsigned number, const char* words) {
    return {.greeting = mysql_says::early_error(number, words)};
}
MysqlScript logged_in_to(unsigned number, const char* words) {
    return {.to_login = mysql_says::error(number, words)};
}
MysqlScript asked(unsigned number, const char* words) {
    return {.to_query = [=](const std::string&) { return Answers{mysql_says::error(number, words)}; }};
}
/// The result of the first statement stops after its columns.
Answers half(const std::string&) {
    return {"\2", mysql_says::column("a"), mysql_says::column("b"), mysql_says::eof(),
            mysql_says::text("1") + mysql_says::text("2")};
}

const End ends[] = {
    {"frozen", {.greeting = ""}, "auth", "timeout", "db_frozen"},
    {"too_many_connections", greeted_with(1040, "Too many connections"), "auth", "rejected",
     "db_too_many_connections_1040"},
    {"host_blocked", greeted_with(1129, "Host '192.0.2.1' is blocked"), "auth", "rejected",
     "db_host_blocked_1129_1130"},
    {"host_not_allowed", greeted_with(1130, "not allowed"), "auth", "rejected", "db_host_blocked_1129_1130"},
    {"no_mysql", {.greeting = "HTTP/1.1 400"}, "auth", "protocol", ""},
    {"silent_after_login", {.to_login = ""}, "auth", "timeout", "db_frozen"},
    {"access_denied", logged_in_to(1045, "Access denied (using password: YES)"), "auth", "rejected",
     "db_auth_failed_1045"},
    {"schema_denied", logged_in_to(1044, "to database"), "auth", "rejected", "db_access_denied"},
    {"schema_unknown", logged_in_to(1049, "Unknown database"), "auth", "not_found", "db_unknown_1049"},
    {"quota", logged_in_to(1226, "has exceeded"), "auth", "rejected", "db_user_quota_1226"},
    {"user_connections", logged_in_to(1203, "more than"), "auth", "rejected", "db_too_many_connections_1040"},
    {"plugin_not_loaded", logged_in_to(1524, "Plugin 'x' is not loaded"), "auth", "rejected",
     "db_auth_plugin_missing"},
    {"plugin_unknown",
     {.to_login = mysql_says::switch_to("no_such_plugin")},
     "auth",
     "rejected",
     "db_auth_plugin_missing"},
    {"password_in_clear_asked",
     {.to_login = mysql_says::switch_to("mysql_clear_password")},
     "auth",
     "rejected",
     "db_auth_plugin_missing"},
    {"silent_after_statement", {}, "query", "timeout", "db_frozen"},
    {"result_stops", {.to_query = half}, "query", "timeout", "db_frozen"},
    {"result_breaks",
     {.to_query = half, .hangs_up = true},
     "query",
     "closed",
     "db_connection_lost_2006_2013"},
    {"lock", asked(1205, "Lock wait timeout exceeded"), "query", "rejected", "db_lock_wait_1205"},
    {"read_only", asked(1290, "running with the --read-only option"), "query", "rejected",
     "db_read_only_1290"},
    {"other_option", asked(1290, "running with the --secure-file-priv option"), "query", "rejected", ""},
    {"disk_full", asked(1021, "Disk full"), "query", "rejected", "db_disk_full"},
    {"limit_of_statements", asked(1226, "has exceeded"), "query", "rejected", "db_user_quota_1226"},
    {"denied", asked(1142, "SELECT command denied"), "query", "forbidden", "db_access_denied"},
    {"statement_timeout", asked(3024, "maximum execution time"), "query", "timeout", "db_lock_wait_1205"},
};

class MysqlEnds : public testing::TestWithParam<End> {};

TEST_P(MysqlEnds, InPhaseForReasonFromCause) {
    const End& end = GetParam();
    Stage stage;
    MysqlPeer peer(stage.io, end.script);
    const bool silent =
        std::string_view(end.reason) == "timeout" && std::string_view(end.name) != "statement_timeout";
    const auto judged =
        stage.judge(MysqlRuns::made_of(stage.keys(peer.port(), with_table)), silent ? 60ms : 10s);
    EXPECT_EQ(judged.run.failed_phase(), end.phase) << MysqlRuns::words(judged.run);
    EXPECT_EQ(judged.run.code ? to_string(judged.run.reason()) : "", end.reason)
        << MysqlRuns::words(judged.run);
    EXPECT_EQ(judged.label().empty() ? judged.first_candidate() : judged.label(), end.cause)
        << MysqlRuns::words(judged.run);
    // Nothing of a password is said, and no run comes to an end without a word to the server.
    EXPECT_EQ(MysqlRuns::words(judged.run).find("the-password"), std::string::npos);
    for (const auto& login : peer.logins()) EXPECT_EQ(login.find("the-password"), std::string::npos);
}
INSTANTIATE_TEST_SUITE_P(All, MysqlEnds, testing::ValuesIn(ends),
                         [](const auto& each) { return each.param.name; });

TEST(MysqlRun, QuitsWhateverStops) {
    Stage stage;
    MysqlPeer peer(stage.io, {});
    const Probe probe = MysqlRuns::made_of(stage.keys(peer.port(), with_table));
    stage.run(probe, 60ms);
    run_until(stage.io, [&] { return peer.quits() == 1; });
    peer.script({.to_login = ""});
    stage.run(probe, 60ms);
    EXPECT_EQ(peer.logins().size(), 2U);
}

TEST(MysqlRun, NetworkOnTheWay) {
    Stage stage;
    NameServer names(stage.io);
    net::Resolver dns(stage.io.get_executor(), {names.address()});
    stage.env.dns = &dns;
    const auto label = [&](const std::string& keys, Clock::duration timeout, const char* phase,
                           const char* reason) {
        const auto judged = stage.judge(MysqlRuns::made_of(keys), timeout);
        EXPECT_EQ(judged.run.failed_phase(), phase) << MysqlRuns::words(judged.run);
        EXPECT_EQ(to_string(judged.run.reason()), reason) << MysqlRuns::words(judged.run);
        return judged.label();
    };
    const ClosedPort closed(stage.io);
    const FullPort full(stage.io);
    EXPECT_EQ(label(stage.keys(closed.endpoint().port()), 10s, "tcp", "refused"),
              "db_unreachable_2002_2003_2005");
    EXPECT_EQ(label(stage.keys(full.endpoint().port()), 60ms, "tcp", "timeout"),
              "db_unreachable_2002_2003_2005");
    const std::string name = "host = 'nowhere.test'\nuser = 'u'\npassword = { env = 'DB' }\ndatabase = 'd'\n";
    EXPECT_EQ(label(name, 10s, "dns", "nxdomain"), "db_unreachable_2002_2003_2005");
    const std::string socket =
        "socket = '/nonexistent/mysql.sock'\nuser = 'u'\npassword = { env = 'DB' }\ndatabase = 'd'\n";
    EXPECT_EQ(label(socket, 10s, "tcp", "refused"), "db_unreachable_2002_2003_2005");
    ScriptedPeer hangs_up(stage.io, says(""));
    EXPECT_EQ(label(stage.keys(hangs_up.port()), 10s, "auth", "closed"), "");
}

TEST(MysqlRun, TlsThatIsNotThereOrDoesNotAnswer) {
    Stage stage;
    MysqlPeer none(stage.io, {.to_login = mysql_says::error(1045, "Access denied for user ''")});
    const auto judged =
        stage.judge(MysqlRuns::made_of(stage.keys(none.port(), "tls = { server_name = 'db.test' }\n")));
    EXPECT_EQ(judged.run.failed_phase(), "tls");
    EXPECT_EQ(judged.run.code, net::MysqlError::tls_not_offered);
    EXPECT_EQ(judged.label(), "db_tls_error_2026") << MysqlRuns::words(judged.run);
    ASSERT_GE(none.logins().size(), 1U);
    EXPECT_EQ(none.logins()[0].size(), 34U) << "more than nobody's login was sent without TLS";
    for (const auto& login : none.logins()) EXPECT_EQ(login.find("monitor"), std::string::npos);
    // It offers TLS, and has nothing more to say.
    MysqlPeer silent(stage.io, {.greeting = mysql_says::greeting("8.0.40", "mysql_native_password", true),
                                .to_login = ""});
    const auto stuck =
        stage.run(MysqlRuns::made_of(stage.keys(silent.port(), "tls = { server_name = 'db.test' }\n")), 60ms);
    EXPECT_EQ(stuck.failed_phase(), "tls") << MysqlRuns::words(stuck);
    EXPECT_EQ(stuck.reason(), Reason::timeout);
    MysqlPeer frozen(stage.io, {.greeting = ""});
    const auto iced = stage.judge(
        MysqlRuns::made_of(stage.keys(frozen.port(), "tls = { server_name = 'db.test' }\n")), 60ms);
    EXPECT_EQ(iced.label(), "db_frozen") << MysqlRuns::words(iced.run);
}

/// The rest of the loop goes on while a server says nothing.
TEST(MysqlRun, ASilentServerHoldsNobodyUp) {
    Stage stage;
    MysqlPeer silent(stage.io, {.greeting = ""});
    MysqlPeer good(stage.io, {.to_query = healthy});
    const Probe stuck = MysqlRuns::made_of(stage.keys(silent.port()));
    const Probe well = MysqlRuns::made_of(stage.keys(good.port(), with_table));
    ProbeRun waiting(stage.env, 10min);
    Task task(stage.io, stuck.run(waiting));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(stage.run(well).outcome(), RunOutcome::ok);
    EXPECT_FALSE(task.ended());
    task.cut();
    EXPECT_TRUE(task.wait().code);
    EXPECT_TRUE(waiting.was_cut());
}

TEST(MysqlRun, AResultIsBounded) {
    Stage stage;
    MysqlPeer peer(stage.io, {.to_query = [](const std::string&) {
                       Answers all{"\1", mysql_says::column("a"), mysql_says::eof()};
                       all.insert(all.end(), 2000, mysql_says::text("x"));
                       all.push_back(mysql_says::eof());
                       return all;
                   }});
    const auto run = stage.run(MysqlRuns::made_of(stage.keys(peer.port())));
    EXPECT_EQ(run.code, net::MysqlError::too_large);
}

}  // namespace
}  // namespace livecanary::test
