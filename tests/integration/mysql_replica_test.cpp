// The kind `mysql` against a real pair of MariaDB servers, one replicating the other.
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "tests/practice/mariadb.hpp"
#include "tests/support/mysql_stage.hpp"

namespace livecanary::test {
namespace {

class MysqlReplica : public testing::Test {
protected:
    static void SetUpTestSuite() {
        if (!practice::MariaDb::installed()) return;
        source_ = std::make_unique<practice::MariaDb>(
            std::vector<std::string>{"--log-bin=source", "--server-id=1", "--skip-name-resolve"});
        replica_ = std::make_unique<practice::MariaDb>(
            std::vector<std::string>{"--server-id=2", "--read-only=1", "--skip-name-resolve",
                                     "--skip-slave-start", "--slave-net-timeout=5"});
        source_->execute(live_demo_tables);
        source_->execute(
            "CREATE USER replication@'%' IDENTIFIED BY 'r'; GRANT REPLICATION SLAVE ON *.* TO "
            "replication@'%'; CREATE USER monitor@'%' IDENTIFIED BY 'the-password'; GRANT SELECT ON "
            "live_demo.* TO monitor@'%'; GRANT REPLICA MONITOR ON *.* TO monitor@'%'");
        follow(0);
    }
    static void TearDownTestSuite() {
        replica_.reset();
        source_.reset();
    }
    void SetUp() override {
        if (!source_) GTEST_SKIP() << "mariadb-server is not installed";
    }
    /// What comes is carried out so many seconds after it was written.
    static void follow(int delay) {
        replica_->execute(
            "STOP SLAVE; CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = " +
            std::to_string(source_->port()) +
            ", MASTER_USER = 'replication', MASTER_PASSWORD = 'r', MASTER_USE_GTID = slave_pos, "
            "MASTER_CONNECT_RETRY = 1, MASTER_DELAY = " +
            std::to_string(delay) + "; START SLAVE");
    }
    static std::string keys(
        const std::string& more = "replication = { max_lag = '30s' }\nread_only = true\n") {
        return "host = '127.0.0.1'\nport = " + std::to_string(replica_->port()) +
               "\nuser = 'monitor'\npassword = { env = 'DB' }\ndatabase = 'live_demo'\n" + more;
    }
    /// Looks until it has come to that: the replica takes its time. What it came to last is in `judged`.
    bool comes_to(const std::function<bool()>& that, const std::string& more = keys()) {
        const Probe probe = MysqlRuns::made_of(more);
        const auto deadline = Clock::now() + 60s;
        do judged = runs.judge(probe);
        while (!that() && Clock::now() < deadline);
        return that();
    }
    bool comes_to_be_well() {
        return comes_to([this] { return judged.run.outcome() == RunOutcome::ok; });
    }
    std::string words() const { return MysqlRuns::words(judged.run); }

    MysqlRuns runs{};
    MysqlJudged judged{};
    static std::unique_ptr<practice::MariaDb> source_, replica_;
};
std::unique_ptr<practice::MariaDb> MysqlReplica::source_;
std::unique_ptr<practice::MariaDb> MysqlReplica::replica_;

TEST_F(MysqlReplica, ThatFollowsIsWell) {
    EXPECT_TRUE(comes_to_be_well()) << words();
    EXPECT_EQ(MysqlRuns::number(judged.run, "livecanary_mysql_replication_lag_seconds"), 0);
    EXPECT_EQ(judged.run.got("read_only"), "1");
    judged = runs.judge(MysqlRuns::made_of(keys("read_only = false\n")));
    EXPECT_EQ(judged.label(), "db_read_only_1290") << words();
}

TEST_F(MysqlReplica, ThatIsBehind) {
    follow(3600);
    // As if it had been written 100 s ago.
    source_->execute(
        "SET timestamp = UNIX_TIMESTAMP() - 100; INSERT INTO live_demo.tb_vod(userid, file_id) VALUES ('u', "
        "'behind'); SET timestamp = DEFAULT");
    EXPECT_TRUE(comes_to([this] { return !judged.run.got("lag").empty(); })) << words();
    EXPECT_EQ(judged.label(), "db_replication_lag") << words();
    EXPECT_GE(MysqlRuns::number(judged.run, "livecanary_mysql_replication_lag_seconds").value_or(0), 100);
    EXPECT_TRUE(comes_to([this] { return judged.run.outcome() == RunOutcome::ok; },
                         keys("replication = { max_lag = '2h' }\n")))
        << words();
    follow(0);
    EXPECT_TRUE(comes_to_be_well()) << words();
}

TEST_F(MysqlReplica, WhoseThreadsAreStopped) {
    ASSERT_TRUE(comes_to_be_well()) << words();
    replica_->execute("STOP SLAVE SQL_THREAD");
    judged = runs.judge(MysqlRuns::made_of(keys()));
    EXPECT_EQ(judged.label(), "db_replication_lag") << words();
    EXPECT_EQ(judged.run.got("replica"), "io Yes, sql No, behind unknown");
    replica_->execute("START SLAVE");
    EXPECT_TRUE(comes_to_be_well()) << words();
}

TEST_F(MysqlReplica, ThatCannotCarryOutAStatement) {
    ASSERT_TRUE(comes_to_be_well()) << words();
    replica_->execute("DROP TABLE live_demo.tb_room");
    source_->execute("INSERT INTO live_demo.tb_room(userid) VALUES ('u')");
    EXPECT_TRUE(comes_to([this] { return !judged.run.got("replica_error").empty(); })) << words();
    EXPECT_EQ(judged.label(), "db_replication_lag") << words();
    EXPECT_NE(judged.run.got("replica_error").find("tb_room"), std::string_view::npos) << words();
    replica_->execute("STOP SLAVE; SET GLOBAL sql_slave_skip_counter = 1");
    replica_->execute("START SLAVE");
    EXPECT_TRUE(comes_to_be_well()) << words();
}

TEST_F(MysqlReplica, WhoseSourceIsGone) {
    ASSERT_TRUE(comes_to_be_well()) << words();
    source_->stop();
    EXPECT_TRUE(comes_to([this] { return judged.run.outcome() == RunOutcome::failed; })) << words();
    EXPECT_EQ(judged.label(), "db_replication_lag") << words();
    EXPECT_NE(judged.run.got("replica").find("io Connecting"), std::string_view::npos) << words();
    source_->start();
    EXPECT_TRUE(comes_to_be_well()) << words();
}

}  // namespace
}  // namespace livecanary::test
