// The kind `mysql` against a real MariaDB: every fault of the catalogue's database section that can be
// staged.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <boost/asio/co_spawn.hpp>

#include "tests/practice/mariadb.hpp"
#include "tests/support/mysql_stage.hpp"
#include "tests/support/tls_peer.hpp"

namespace livecanary::test {
namespace {

/// One server for all of these, since starting one takes seconds. Each test leaves it as it found it.
class MysqlReal : public testing::Test {
protected:
    static void SetUpTestSuite() {
        if (!practice::MariaDb::installed()) return;
        folder_ = std::make_unique<practice::TemporaryDirectory>("livecanary-mysql-tls");
        const Certificate authority({.common_name = "authority", .authority = true});
        const Certificate certificate({.names = {"DNS:db.test"}}, &authority);
        authority.save(file("ca.pem"));
        std::ofstream(file("cert.pem")) << certificate.certificate();
        std::ofstream(file("key.pem")) << certificate.key();
        server_ = std::make_unique<practice::MariaDb>(std::vector<std::string>{
            "--ssl-cert=" + file("cert.pem"), "--ssl-key=" + file("key.pem"),
            "--plugin-load-add=auth_ed25519", "--plugin-maturity=unknown",
            "--sql-mode=STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION", "--default-time-zone=+08:00",
            "--skip-name-resolve", "--max-connections=20"});
        server_->execute(live_demo_tables);
        server_->execute(
            "CREATE USER monitor@'%' IDENTIFIED BY 'the-password';"
            "GRANT SELECT, INSERT ON live_demo.* TO monitor@'%'");
    }
    static void TearDownTestSuite() {
        server_.reset();
        folder_.reset();
    }
    void SetUp() override {
        if (!server_) GTEST_SKIP() << "mariadb-server is not installed";
    }
    static std::string file(const std::string& name) { return (folder_->path() / name).string(); }
    static practice::MariaDb& db() { return *server_; }

    static std::string keys(const std::string& more = {}, const std::string& user = "monitor",
                            const std::string& database = "live_demo", const std::string& secret = "DB") {
        return "host = '127.0.0.1'\nport = " + std::to_string(db().port()) + "\nuser = '" + user +
               "'\npassword = { env = '" + secret + "' }\ndatabase = '" + database + "'\n" + more;
    }
    /// Undone with the test.
    class Changed {
    public:
        Changed(const std::string& change, std::string undo) : undo_(std::move(undo)) {
            db().execute(change);
        }
        ~Changed() { db().execute(undo_); }
        Changed(const Changed&) = delete;
        Changed& operator=(const Changed&) = delete;

    private:
        std::string undo_;
    };
    void expect(const std::string& key_text, const std::string& phase, const std::string& reason,
                const std::string& cause, Clock::duration timeout = 20s) {
        const auto judged = runs.judge(MysqlRuns::made_of(key_text), timeout);
        EXPECT_EQ(judged.run.failed_phase(), phase) << MysqlRuns::words(judged.run);
        EXPECT_EQ(judged.run.code ? to_string(judged.run.reason()) : "", reason)
            << MysqlRuns::words(judged.run);
        EXPECT_EQ(judged.label().empty() ? judged.first_candidate() : judged.label(), cause)
            << MysqlRuns::words(judged.run);
    }

    MysqlRuns runs{};

private:
    static std::unique_ptr<practice::TemporaryDirectory> folder_;
    static std::unique_ptr<practice::MariaDb> server_;
};
std::unique_ptr<practice::TemporaryDirectory> MysqlReal::folder_;
std::unique_ptr<practice::MariaDb> MysqlReal::server_;

const std::string vod = "[[table]]\nname = 'tb_vod'\nwatermark = 'create_time'\nprofile = 'live_demo'\n";
const std::string vod_insert = vod + "insert_check = { userid = 'livecanary', file_id = 'check' }\n";

TEST_F(MysqlReal, LooksAtAllTables) {
    const auto run = runs.run(MysqlRuns::made_of(
        keys(vod_insert +
             "[[table]]\nname = 'tb_room'\nprofile = 'live_demo'\n[[table]]\nname = 'tb_account'\nprofile = "
             "'live_demo'\n")));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << MysqlRuns::words(run);
    EXPECT_EQ(run.headline, "tb_vod +0");
    EXPECT_EQ(run.got("insert_check"), "tb_vod takes a row");
    EXPECT_EQ(run.got("time_zone"), "+08:00 (UTC), +08:00");
    for (const auto* const table : {"tb_vod", "tb_room", "tb_account"})
        EXPECT_EQ(MysqlRuns::number(run, "livecanary_mysql_table_schema_ok", table), 1) << table;
    EXPECT_EQ(db().ask("SELECT COUNT(*) FROM live_demo.tb_vod"), "0") << "the insert check left a row";
}

TEST_F(MysqlReal, LoginFaults) {
    expect(keys({}, "monitor", "live_demo", "WRONG"), "auth", "rejected", "db_auth_failed_1045");
    expect(keys({}, "nobody"), "auth", "rejected", "db_auth_failed_1045");
    const Changed other("CREATE DATABASE other", "DROP DATABASE other");
    expect(keys({}, "monitor", "other"), "auth", "rejected", "db_grant_missing_1044");
    const Changed broad("GRANT SELECT ON *.* TO monitor@'%'", "REVOKE SELECT ON *.* FROM monitor@'%'");
    expect(keys({}, "monitor", "nowhere"), "auth", "not_found", "db_unknown_1049");
}

TEST_F(MysqlReal, SocketTellsThatItIsTheHostPart) {
    const Changed local(
        "CREATE USER local@localhost IDENTIFIED BY 'the-password'; GRANT SELECT ON live_demo.* TO "
        "local@localhost",
        "DROP USER local@localhost");
    const std::string by_socket = "socket = '" + db().socket() +
                                  "'\nuser = 'local'\npassword = { env = 'DB' }\ndatabase = 'live_demo'\n";
    EXPECT_EQ(runs.run(MysqlRuns::made_of(by_socket)).outcome(), RunOutcome::ok);
    const auto judged = runs.judge(MysqlRuns::made_of(keys("socket = '" + db().socket() + "'\n", "local")));
    EXPECT_EQ(judged.label(), "db_auth_failed_1045") << MysqlRuns::words(judged.run);
    ASSERT_NE(judged.run.control("socket"), nullptr) << MysqlRuns::words(judged.run);
    EXPECT_EQ(judged.run.control("socket")->outcome, ControlOutcome::passed);
}

TEST_F(MysqlReal, QuotasAndFullHouses) {
    {
        const Changed quota(
            "CREATE USER few@'%' IDENTIFIED BY 'the-password' WITH MAX_QUERIES_PER_HOUR 1; GRANT SELECT "
            "ON live_demo.* TO few@'%'",
            "DROP USER few@'%'");
        expect(keys({}, "few"), "query", "rejected", "db_user_quota_1226");
    }
    {
        const Changed one(
            "CREATE USER one@'%' IDENTIFIED BY 'the-password' WITH MAX_CONNECTIONS_PER_HOUR 1; GRANT "
            "SELECT ON live_demo.* TO one@'%'",
            "DROP USER one@'%'");
        EXPECT_EQ(runs.run(MysqlRuns::made_of(keys({}, "one"))).outcome(), RunOutcome::ok);
        expect(keys({}, "one"), "auth", "rejected", "db_user_quota_1226");
    }
    std::vector<std::unique_ptr<net::Mysql>> others;
    for (int i = 0; i < 20; ++i) {
        net::MysqlTarget target{.endpoint = {asio::ip::address_v4::loopback(), db().port()},
                                .user = "monitor",
                                .password = "the-password",
                                .until = Clock::now() + 60s};
        auto& one = others.emplace_back(std::make_unique<net::Mysql>(runs.io.get_executor()));
        const auto failure = await(runs.io, one->connect(std::move(target), Clock::now() + 10s, {}));
        if (failure) break;
    }
    expect(keys(), "auth", "rejected", "db_too_many_connections_1040");
}

TEST_F(MysqlReal, LoginMethods) {
    const Changed user(
        "CREATE USER edward@'%' IDENTIFIED VIA ed25519 USING PASSWORD('the-password'); GRANT SELECT ON "
        "live_demo.* TO edward@'%'",
        "DROP USER edward@'%'");
    const auto run = runs.run(MysqlRuns::made_of(keys({}, "edward")));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << MysqlRuns::words(run);
    expect(keys({}, "edward", "live_demo", "WRONG"), "auth", "rejected", "db_auth_failed_1045");
}

TEST_F(MysqlReal, TlsVerifiesTheNameAndNotTheAddress) {
    const auto over_tls = [&](const std::string& host, const std::string& tls) {
        return "host = '" + host + "'\naddress = '127.0.0.1'\nport = " + std::to_string(db().port()) +
               "\nuser = 'monitor'\npassword = { env = 'DB' }\ndatabase = 'live_demo'\ntls = { " + tls +
               " }\n";
    };
    const std::string ca = "ca_file = '" + file("ca.pem") + "'";
    const auto run = runs.run(MysqlRuns::made_of(over_tls("db.test", ca) + vod_insert));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << MysqlRuns::words(run);
    std::string way;
    for (const auto& phase : run.phases) way += std::string(phase.phase.name) + " ";
    EXPECT_EQ(way, "tcp tls auth query ");
    EXPECT_NE(MysqlRuns::number(run, "livecanary_tls_certificate_not_after_timestamp_seconds"), std::nullopt);
    expect(over_tls("other.test", ca), "tls", "certificate", "db_tls_error_2026");
    expect(over_tls("db.test", "verify = true"), "tls", "certificate", "db_tls_error_2026");
    EXPECT_EQ(runs.run(MysqlRuns::made_of(over_tls("other.test", "verify = false"))).outcome(),
              RunOutcome::ok);
    const Changed only("ALTER USER monitor@'%' REQUIRE SSL", "ALTER USER monitor@'%' REQUIRE NONE");
    EXPECT_EQ(runs.run(MysqlRuns::made_of(over_tls("db.test", ca))).outcome(), RunOutcome::ok);
    expect(keys(), "auth", "rejected", "db_auth_failed_1045");
}

TEST_F(MysqlReal, TableFaults) {
    {
        const Changed gone("RENAME TABLE live_demo.tb_vod TO live_demo.away",
                           "RENAME TABLE live_demo.away TO live_demo.tb_vod");
        expect(keys(vod), "query", "not_found", "db_table_missing");
    }
    {
        const Changed renamed("ALTER TABLE live_demo.tb_vod CHANGE play_url url VARCHAR(255)",
                              "ALTER TABLE live_demo.tb_vod CHANGE url play_url VARCHAR(255)");
        expect(keys(vod), "query", "not_found", "db_column_unknown_1054");
    }
    {
        const Changed shorter("ALTER TABLE live_demo.tb_vod MODIFY play_url VARCHAR(16)",
                              "ALTER TABLE live_demo.tb_vod MODIFY play_url VARCHAR(255)");
        const auto judged = runs.judge(MysqlRuns::made_of(keys(vod)));
        EXPECT_EQ(judged.run.got("drift"), "tb_vod.play_url: varchar(16), expected varchar(255)");
        EXPECT_EQ(judged.label(), "callback_not_stored");
        EXPECT_EQ(MysqlRuns::number(judged.run, "livecanary_mysql_table_schema_ok", "tb_vod"), 0);
        expect(keys("[[table]]\nname = 'tb_vod'\ninsert_check = { userid = 'livecanary', file_id = 'x', "
                    "play_url = "
                    "'https://play.example.com/a' }\n"),
               "query", "rejected", "db_too_long_1406");
    }
    {
        const Changed added("ALTER TABLE live_demo.tb_vod ADD extra VARCHAR(10) NOT NULL",
                            "ALTER TABLE live_demo.tb_vod DROP extra");
        expect(keys(vod), "query", "mismatch", "db_no_default_1364");
        expect(keys("[[table]]\nname = 'tb_vod'\ninsert_check = { userid = 'livecanary', file_id = 'x' }\n"),
               "query", "rejected", "db_no_default_1364");
    }
    {
        const Changed three("ALTER TABLE live_demo.tb_vod MODIFY title VARCHAR(128) CHARACTER SET utf8mb3",
                            "ALTER TABLE live_demo.tb_vod MODIFY title VARCHAR(128)");
        expect(
            keys("[[table]]\nname = 'tb_vod'\ninsert_check = { userid = 'livecanary', file_id = 'x', title = "
                 "'\xF0\x9F\x90\xA4' }\n"),
            "query", "rejected", "db_bad_value_1366");
    }
    {
        const Changed unindexed("ALTER TABLE live_demo.tb_vod DROP KEY by_time",
                                "ALTER TABLE live_demo.tb_vod ADD KEY by_time (create_time)");
        const auto judged = runs.judge(MysqlRuns::made_of(keys(vod)));
        EXPECT_EQ(judged.run.code.message(), "no index begins with the watermark column");
    }
    {
        const Changed taken("INSERT INTO live_demo.tb_vod (userid, file_id) VALUES ('livecanary', 'check')",
                            "DELETE FROM live_demo.tb_vod");
        expect(keys(vod_insert), "query", "rejected", "db_duplicate_1062");
    }
    {
        const Changed denied(
            "CREATE USER blind@'%' IDENTIFIED BY 'the-password'; GRANT SELECT ON live_demo.tb_room TO "
            "blind@'%'",
            "DROP USER blind@'%'");
        expect(keys(vod, "blind"), "query", "forbidden", "db_access_denied");
    }
    EXPECT_EQ(db().ask("SELECT COUNT(*) FROM live_demo.tb_vod"), "0") << "an insert check left a row";
    EXPECT_EQ(runs.run(MysqlRuns::made_of(keys(vod))).outcome(), RunOutcome::ok);
}

TEST_F(MysqlReal, LockedTablesAndReadOnlyServers) {
    {
        const Changed other(
            "CREATE TABLE live_demo.mine (id INT PRIMARY KEY) ENGINE=InnoDB; START TRANSACTION; INSERT "
            "INTO live_demo.mine VALUES (1)",
            "ROLLBACK; DROP TABLE live_demo.mine");
        expect(keys("[[table]]\nname = 'mine'\ninsert_check = { id = '1' }\n"), "query", "rejected",
               "db_lock_wait_1205", 4s);
    }
    {
        const Changed myisam("CREATE TABLE live_demo.old (id INT PRIMARY KEY) ENGINE=MyISAM",
                             "DROP TABLE live_demo.old");
        const auto judged =
            runs.judge(MysqlRuns::made_of(keys("[[table]]\nname = 'old'\ninsert_check = { id = '1' }\n")));
        EXPECT_EQ(judged.run.code.message(), "an insert into the table could not be rolled back");
        EXPECT_EQ(db().ask("SELECT COUNT(*) FROM live_demo.old"), "0");
    }
    {
        const Changed read_only("SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0");
        expect(keys("read_only = false\n"), "query", "mismatch", "db_read_only_1290");
        expect(keys(vod_insert), "query", "rejected", "db_read_only_1290");
        EXPECT_EQ(runs.run(MysqlRuns::made_of(keys("read_only = true\n"))).outcome(), RunOutcome::ok);
    }
    expect(keys("read_only = true\n"), "query", "mismatch", "");
    expect(keys("time_zone = '+00:00'\n"), "query", "mismatch", "db_timezone_mismatch");
    EXPECT_EQ(runs.run(MysqlRuns::made_of(keys("time_zone = '+08:00'\n"))).outcome(), RunOutcome::ok);
}

TEST_F(MysqlReal, StalledTable) {
    const std::string hour = vod + "expect_new_rows = { at_least = 2, within = '1h' }\n";
    expect(keys(hour), "query", "stale", "db_table_stalled");
    const Changed rows("INSERT INTO live_demo.tb_vod (userid, file_id) VALUES ('a', '1'), ('a', '2')",
                       "DELETE FROM live_demo.tb_vod");
    const auto run = runs.run(MysqlRuns::made_of(keys(hour)));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << MysqlRuns::words(run);
    // The age is that of now, whatever the zones: the server stands at +08:00, we read in UTC.
    const auto newest = MysqlRuns::number(run, "livecanary_mysql_table_newest_timestamp_seconds", "tb_vod");
    ASSERT_TRUE(newest);
    EXPECT_NEAR(*newest, std::stod(db().ask("SELECT UNIX_TIMESTAMP()")), 60);
    // Written by a writer whose zone is not the session's: eight hours ahead of now.
    db().execute("UPDATE live_demo.tb_vod SET create_time = NOW() + INTERVAL 8 HOUR");
    const auto ahead = runs.judge(MysqlRuns::made_of(keys(hour)));
    EXPECT_EQ(ahead.first_candidate(), "db_timezone_mismatch") << MysqlRuns::words(ahead.run);
}

TEST_F(MysqlReal, DatetimeIsOfTheServersZone) {
    const Changed table(
        "CREATE TABLE live_demo.dated (id INT PRIMARY KEY, at DATETIME(3), KEY (at)) ENGINE=InnoDB; "
        "SET time_zone = '+08:00'; INSERT INTO live_demo.dated VALUES (1, NOW(3))",
        "SET time_zone = 'SYSTEM'; DROP TABLE live_demo.dated");
    const auto run = runs.run(MysqlRuns::made_of(
        keys("[[table]]\nname = 'dated'\nwatermark = 'at'\nexpect_new_rows = { within = '5m' }\n")));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << MysqlRuns::words(run);
    const auto newest = MysqlRuns::number(run, "livecanary_mysql_table_newest_timestamp_seconds", "dated");
    ASSERT_TRUE(newest);
    EXPECT_NEAR(*newest, std::stod(db().ask("SELECT UNIX_TIMESTAMP()")), 60);
}

TEST_F(MysqlReal, ReplicationIsSaidToBeMissing) {
    expect(keys("replication = { max_lag = '10s' }\n"), "query", "forbidden", "db_access_denied");
    const Changed may("GRANT REPLICA MONITOR ON *.* TO monitor@'%'",
                      "REVOKE REPLICA MONITOR ON *.* FROM monitor@'%'");
    expect(keys("replication = { max_lag = '10s' }\n"), "query", "mismatch", "db_replication_lag");
}

TEST_F(MysqlReal, AnswersWithARow) {
    const Changed rows(
        "INSERT INTO live_demo.tb_vod (userid, file_id, play_url) VALUES ('o''b`rien', 'f1', "
        "'https://play.example.com/1')",
        "DELETE FROM live_demo.tb_vod");
    const Probe probe = MysqlRuns::made_of(keys(vod));
    const auto ask = [&](Facts with) {
        ProbeRun run(runs.env, 20s);
        Question question{.what = questions::row, .with = std::move(with), .deadline = Clock::now() + 20s};
        std::optional<result<PeerAnswer>> answer;
        asio::co_spawn(runs.io, probe.answer(run, question),
                       [&](const std::exception_ptr&, result<PeerAnswer> came) { answer = std::move(came); });
        run_until(runs.io, [&] { return answer.has_value(); });
        return *answer;
    };
    const auto found = ask({{"table", "tb_vod"}, {"where.userid", "o'b`rien"}});
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(found->facts.at("found"), "1");
    EXPECT_EQ(found->facts.at("column.play_url"), "https://play.example.com/1");
    // The instant, whatever zone the writer's session had.
    EXPECT_EQ(found->facts.at("time.create_time"),
              db().ask("SELECT UNIX_TIMESTAMP(create_time) FROM live_demo.tb_vod WHERE file_id = 'f1'"));
    EXPECT_EQ(found->facts.count("time.play_url"), 0U);
    EXPECT_EQ(ask({{"table", "tb_vod"}, {"where.userid", "' OR 1=1 -- "}})->facts.at("found"), "0");
    EXPECT_EQ(ask({{"table", "tb_vod"}, {"where.play_url", "x"}}).error().message(),
              "no index begins with the watermark column");
    EXPECT_EQ(ask({{"table", "tb_vod"}, {"where.nosuch", "x"}}).error(), PeerError::not_understood);
    EXPECT_EQ(ask({{"table", "tb_room"}, {"where.userid", "x"}}).error(), PeerError::not_understood);

    db().execute(
        "INSERT INTO live_demo.tb_vod (userid, file_id, play_url) VALUES ('two', 'f1', 'u1'), ('two', 'f2', "
        "'u2')");
    const auto one = ask({{"table", "tb_vod"}, {"where.userid", "two"}});
    EXPECT_EQ(one->facts.count("2.column.file_id"), 0U);
    const auto both = ask({{"table", "tb_vod"}, {"where.userid", "two"}, {"rows", "32"}});
    ASSERT_TRUE(both) << both.error().message();
    EXPECT_EQ(both->facts.at("column.play_url").size(), 2U);
    EXPECT_EQ(std::set({both->facts.at("column.file_id"), both->facts.at("2.column.file_id")}),
              (std::set<std::string>{"f1", "f2"}));
    EXPECT_TRUE(both->facts.contains("2.time.create_time"));
    EXPECT_EQ(both->facts.count("3.column.file_id"), 0U);
    for (const char* most : {"0", "33", "", "many"})
        EXPECT_EQ(ask({{"table", "tb_vod"}, {"where.userid", "two"}, {"rows", most}}).error(),
                  PeerError::not_understood);
}

TEST_F(MysqlReal, FrozenAndDownAndBackAgain) {
    db().freeze();
    expect(keys(), "auth", "timeout", "db_frozen", 300ms);
    db().thaw();
    EXPECT_EQ(runs.run(MysqlRuns::made_of(keys())).outcome(), RunOutcome::ok);
    db().stop();
    expect(keys(), "tcp", "refused", "db_unreachable_2002_2003_2005");
    db().start();
    EXPECT_EQ(runs.run(MysqlRuns::made_of(keys())).outcome(), RunOutcome::ok);
}

/// Left in good order: the server counts no broken handshake and no client that went without a word.
TEST_F(MysqlReal, NeverLeavesAHandshakeUnfinished) {
    const auto aborted = [&] {
        return db().ask(
            "SELECT SUM(VARIABLE_VALUE) FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN "
            "('ABORTED_CLIENTS', 'ABORTED_CONNECTS_PREAUTH')");
    };
    const std::string before = aborted();
    EXPECT_EQ(runs.run(MysqlRuns::made_of(keys(vod_insert))).outcome(), RunOutcome::ok);
    const std::string tls =
        "host = 'other.test'\naddress = '127.0.0.1'\nport = " + std::to_string(db().port()) +
        "\nuser = 'monitor'\npassword = { env = 'DB' }\ndatabase = 'live_demo'\ntls = { ca_file = '" +
        file("ca.pem") + "' }\n";
    EXPECT_EQ(runs.run(MysqlRuns::made_of(tls)).reason(), Reason::certificate);
    // Cut at every turn of the loop from the first to the last.
    for (int turns = 1; turns < 400; ++turns) {
        const Probe probe = MysqlRuns::made_of(turns % 2 == 0 ? keys(vod) : tls);
        ProbeRun run(runs.env, 20s);
        Task task(runs.io, probe.run(run));
        runs.io.restart();
        for (int i = 0; i < turns / 2 && !task.ended(); ++i) runs.io.run_one();
        const bool whole = task.ended();
        task.cut();
        task.wait();
        if (whole && turns % 2 == 0) break;
    }
    EXPECT_EQ(aborted(), before);
}

}  // namespace
}  // namespace livecanary::test
