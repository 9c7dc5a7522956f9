// Row deltas against a writer that inserts, updates, deletes, empties and rotates at random, over restarts of
// the probe and of MariaDB: each look finds just the rows that the definition of the watermark says.
// LIVECANARY_MYSQL_ROWS sets how many rows the writer writes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <stdexcept>

#include "tests/practice/mariadb.hpp"
#include "tests/support/mysql_stage.hpp"

namespace livecanary::test {
namespace {

/// A table and what must be in it: how many rows there are of each value of the watermark column.
class Written {
public:
    Written(practice::MariaDb& db, std::string name, bool of_time, std::mt19937_64& random)
        : db_(db), name_(std::move(name)), of_time_(of_time), random_(random) {
        db_.execute("CREATE TABLE live_demo." + name_ + " (at " +
                    (of_time_ ? "TIMESTAMP(3) NULL" : "BIGINT NULL") +
                    ", note INT NOT NULL DEFAULT 0, KEY by_at (at)) ENGINE=InnoDB");
    }

    /// One random step of the writer; the number of rows inserted.
    int step() {
        const auto dice = random_() % 100;
        if (dice < 70) return insert();
        if (dice < 78) {
            db_.execute("UPDATE live_demo." + name_ + " SET note = note + 1 ORDER BY at LIMIT 20");
        } else if (dice < 92) {
            remove();
        } else if (dice < 94) {
            db_.execute("TRUNCATE live_demo." + name_);
            rows_.clear();
        } else if (dice < 96) {
            // What a rotation does: away with the table, and a new one of the same kind.
            db_.execute("CREATE TABLE live_demo.fresh LIKE live_demo." + name_ + "; RENAME TABLE live_demo." +
                        name_ + " TO live_demo.old, live_demo.fresh TO live_demo." + name_ +
                        "; DROP TABLE live_demo.old");
            rows_.clear();
        }
        return 0;
    }

    /// What the definition says that a look finds now.
    std::uint64_t expected() {
        std::uint64_t added = 0;
        if (!looked_) {
            looked_ = true;
        } else if (!mark_) {
            for (const auto& [value, count] : rows_) added += count;
        } else if (!rows_.empty() && rows_.rbegin()->first >= *mark_) {
            for (auto at = rows_.upper_bound(*mark_); at != rows_.end(); ++at) added += at->second;
            const auto equal = rows_.find(*mark_);
            if (equal != rows_.end() && equal->second > equal_) added += equal->second - equal_;
        }
        mark_.reset();
        equal_ = 0;
        if (!rows_.empty()) {
            mark_ = rows_.rbegin()->first;
            equal_ = rows_.rbegin()->second;
        }
        return added;
    }
    const std::string& name() const { return name_; }

private:
    int insert() {
        std::string values;
        const int count = 1 + static_cast<int>(random_() % 200);
        for (int i = 0; i < count; ++i) {
            const auto dice = random_() % 20;
            if (dice == 0) {  // a row without a value is not counted
                values += (values.empty() ? "(" : ",(") + std::string("NULL)");
                continue;
            }
            std::int64_t value = next_;      // equal to the one before
            if (dice < 12) value = ++next_;  // ascending
            if (dice > 17)
                value =
                    std::max<std::int64_t>(1, next_ - static_cast<std::int64_t>(random_() % 500));  // late
            ++rows_[value];
            values += (values.empty() ? "(" : ",(") + text(value) + ")";
        }
        db_.execute("INSERT INTO live_demo." + name_ + " (at) VALUES " + values);
        return count;
    }
    void remove() {
        if (rows_.empty()) return;
        // Newest ones, oldest ones, or some in the middle.
        const auto dice = random_() % 3;
        const auto newest = rows_.rbegin()->first, oldest = rows_.begin()->first;
        std::int64_t from = oldest, to = oldest + static_cast<std::int64_t>(random_() % 300);
        if (dice == 0) from = newest - static_cast<std::int64_t>(random_() % 5), to = newest;
        if (dice == 1) from = (oldest + newest) / 2, to = from + static_cast<std::int64_t>(random_() % 20);
        db_.execute("DELETE FROM live_demo." + name_ + " WHERE at BETWEEN " + text(from) + " AND " +
                    text(to));
        rows_.erase(rows_.lower_bound(from), rows_.upper_bound(to));
    }
    /// Of times, some of which fall into the same second.
    std::string text(std::int64_t value) const {
        if (!of_time_) return std::to_string(value);
        constexpr std::int64_t base = 1'700'000'000;
        return "FROM_UNIXTIME(" + std::to_string(base + value / 4) + "." + std::to_string(value % 4 * 250) +
               ")";
    }

    practice::MariaDb& db_;
    std::string name_;
    bool of_time_;
    std::mt19937_64& random_;
    std::int64_t next_ = 1;
    std::map<std::int64_t, std::uint64_t> rows_{};
    // The definition's own mark.
    bool looked_ = false;
    std::optional<std::int64_t> mark_{};
    std::uint64_t equal_ = 0;
};

void try_to(practice::MariaDb& db, const std::string& sql) {
    try {
        db.execute(sql);
    } catch (const std::runtime_error&) {
    }
}

TEST(MysqlRows, EachLookFindsWhatTheDefinitionSays) {
    if (!practice::MariaDb::installed()) GTEST_SKIP() << "mariadb-server is not installed";
    const char* const wanted = std::getenv("LIVECANARY_MYSQL_ROWS");
    const long rows = wanted != nullptr ? std::atol(wanted) : 20'000;
    const auto seed = std::random_device()();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    practice::MariaDb db({"--default-time-zone=+08:00"});
    db.execute(
        "CREATE DATABASE live_demo; CREATE USER monitor@'%' IDENTIFIED BY 'the-password'; GRANT SELECT ON "
        "live_demo.* TO monitor@'%'");
    Written by_id(db, "by_id", false, random), by_time(db, "by_time", true, random);
    MysqlRuns runs;
    const std::string keys =
        "host = '127.0.0.1'\nport = " + std::to_string(db.port()) +
        "\nuser = 'monitor'\npassword = { env = 'DB' }\ndatabase = 'live_demo'\n[[table]]\nname = "
        "'by_id'\nwatermark = 'at'\n[[table]]\nname = 'by_time'\nwatermark = 'at'\n";
    auto probe = std::make_unique<Probe>(MysqlRuns::made_of(keys));

    long written = 0, looks = 0, cut = 0, restarts = 0, server_restarts = 0;
    double counted = 0;
    const auto look = [&] {
        ProbeRun run(runs.env, 60s);
        Task task(runs.io, probe->run(run));
        // Some are cut at some turn of the loop: they have no result, and the next one finds what they would
        // have.
        runs.io.restart();
        if (random() % 3 == 0) {
            const auto turns = random() % 40;
            for (std::uint64_t i = 0; i < turns && !task.ended(); ++i) runs.io.run_one();
            if (!task.ended()) task.cut();
        }
        const RunResult result = task.wait();
        if (run.was_cut()) {
            ++cut;
            return true;
        }
        ++looks;
        EXPECT_EQ(result.outcome(), RunOutcome::ok) << MysqlRuns::words(result);
        for (Written* table : {&by_id, &by_time}) {
            const auto found =
                MysqlRuns::number(result, "livecanary_mysql_table_rows_added_total", table->name());
            const auto expected = table->expected();
            EXPECT_EQ(found, static_cast<double>(expected)) << table->name() << MysqlRuns::words(result);
            counted += found.value_or(0);
        }
        return !testing::Test::HasFailure();
    };
    while (written < rows && look()) {
        for (auto steps = random() % 6; steps > 0; --steps) written += by_id.step() + by_time.step();
        if (random() % 10 == 0) {
            ++restarts;
            probe = std::make_unique<Probe>(MysqlRuns::made_of(keys));
        }
        // Twice in the course of it: once in good order, once as a crash.
        if (server_restarts < 2 && written > rows / 3 * (server_restarts + 1)) {
            db.restart(++server_restarts == 1 ? SIGTERM : SIGKILL);
        }
    }
    std::printf(
        "%ld rows written, %.0f counted as new; %ld looks, %ld cut, %ld restarts of the probe, %ld of "
        "MariaDB\n",
        written, counted, looks, cut, restarts, server_restarts);
    EXPECT_GT(looks, 10);
    EXPECT_EQ(server_restarts, 2);
}

TEST(MysqlRows, ABrokenConnectionLosesNoRow) {
    if (!practice::MariaDb::installed()) GTEST_SKIP() << "mariadb-server is not installed";
    practice::MariaDb db;
    db.execute(
        "CREATE DATABASE live_demo; CREATE USER monitor@'%' IDENTIFIED BY 'the-password'; GRANT SELECT ON "
        "live_demo.* TO monitor@'%'; CREATE TABLE live_demo.t (id INT PRIMARY KEY) ENGINE=InnoDB; CREATE "
        "TABLE "
        "live_demo.u (id INT PRIMARY KEY) ENGINE=InnoDB");
    MysqlRuns runs;
    const Probe probe =
        MysqlRuns::made_of("host = '127.0.0.1'\nport = " + std::to_string(db.port()) +
                           "\nuser = 'monitor'\npassword = { env = 'DB' }\ndatabase = "
                           "'live_demo'\n[[table]]\nname = 't'\nwatermark = 'id'\n[[table]]\nname = "
                           "'u'\nwatermark = 'id'\n");
    EXPECT_EQ(runs.run(probe).outcome(), RunOutcome::ok);
    double counted = 0;
    bool lost = false;
    for (int i = 1; i <= 60; ++i) {
        db.execute("INSERT INTO live_demo.t VALUES (" + std::to_string(i) +
                   "); INSERT INTO live_demo.u VALUES (" + std::to_string(i) + ")");
        ProbeRun run(runs.env, 20s);
        Task task(runs.io, probe.run(run));
        runs.io.restart();
        for (int turn = 0; turn < i && !task.ended(); ++turn) runs.io.run_one();
        const auto id =
            db.ask("SELECT id FROM information_schema.PROCESSLIST WHERE user = 'monitor' LIMIT 1");
        // It may have gone by itself meanwhile.
        if (!id.empty() && i % 2 == 0) try_to(db, "KILL " + id);
        const RunResult result = task.wait();
        lost = lost || result.reason() == Reason::closed;
        if (result.reason() == Reason::closed && result.failed_phase() == "query") {
            EXPECT_EQ(probe.diagnose(result).label(), "db_connection_lost_2006_2013")
                << MysqlRuns::words(result);
        }
        for (const auto* const table : {"t", "u"})
            counted +=
                MysqlRuns::number(result, "livecanary_mysql_table_rows_added_total", table).value_or(0);
    }
    const RunResult last = runs.run(probe);
    for (const auto* const table : {"t", "u"})
        counted += MysqlRuns::number(last, "livecanary_mysql_table_rows_added_total", table).value_or(0);
    EXPECT_EQ(counted, 120);
    EXPECT_TRUE(lost) << "no connection was broken, so nothing was shown";
}

}  // namespace
}  // namespace livecanary::test
