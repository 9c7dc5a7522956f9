#pragma once
// What the tests of the kind `mysql` share: the backend's schema, and runs against a server.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "probes/mysql/kind.hpp"
#include "probes/net/mysql.hpp"
#include "probes/net/resolver.hpp"
#include "tests/support/remembering.hpp"
#include "tests/support/task.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::test {

using namespace std::chrono_literals;

/// The second generation's tables, as its script makes them (createDB.sh of the public backend).
inline constexpr const char* live_demo_tables = R"(
CREATE DATABASE IF NOT EXISTS live_demo DEFAULT CHARACTER SET utf8mb4;
USE live_demo;
CREATE TABLE tb_account (userid VARCHAR(50) NOT NULL DEFAULT '', password VARCHAR(255), nickname VARCHAR(100),
  sex INT DEFAULT -1, avatar VARCHAR(254), frontcover VARCHAR(255), create_time TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (userid)) ENGINE=InnoDB;
CREATE TABLE tb_room (userid VARCHAR(50) NOT NULL, title VARCHAR(255) NOT NULL DEFAULT '', frontcover VARCHAR(255),
  location VARCHAR(128), create_time TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (userid)) ENGINE=InnoDB;
CREATE TABLE tb_vod (userid VARCHAR(50) NOT NULL, file_id VARCHAR(150) NOT NULL, frontcover VARCHAR(255),
  location VARCHAR(128), play_url VARCHAR(255), like_count INT NOT NULL DEFAULT 0, viewer_count INT NOT NULL DEFAULT 0,
  create_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, hls_play_url VARCHAR(255),
  start_time TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00', title VARCHAR(128),
  PRIMARY KEY (userid, file_id), KEY by_time (create_time)) ENGINE=InnoDB;
)";

/// A failed run as the daemon judges it.
struct MysqlJudged {
    RunResult run{};
    Diagnosis diagnosis{};

    std::string label() const { return std::string(diagnosis.label()); }
    std::string first_candidate() const {
        return diagnosis.candidates.empty() ? "" : std::string(to_string(diagnosis.candidates.front().cause));
    }
};

/// A loop with probes on it.
struct MysqlRuns {
    asio::io_context io{};
    net::Resolver dns{io.get_executor(), {"127.0.0.1:1"}};
    Remembering memory{};
    Env env{};

    MysqlRuns() {
        env.dns = &dns;
        env.memory = &memory;
        env.probe = "replay-db";
    }

    static Probe made_of(const std::string& keys) {
        const FakeWorld world{.variables = {{"DB", "the-password"}, {"WRONG", "wrong-password"}}};
        TomlText text(keys, world);
        Probe probe = mysql::kind.make(text.reader());
        text.reader().unread();
        EXPECT_EQ(text.mistakes(), std::vector<std::string>{});
        return probe;
    }
    RunResult run(const Probe& probe, Clock::duration timeout = 20s) {
        ProbeRun under_way(env, timeout);
        return await(io, probe.run(under_way));
    }
    MysqlJudged judge(const Probe& probe, Clock::duration timeout = 20s) {
        MysqlJudged judged{.run = run(probe, timeout)};
        if (judged.run.outcome() != RunOutcome::failed) return judged;
        ProbeRun controls(env, 2 * timeout);
        judged.run.controls = await(io, probe.controls(controls, judged.run));
        judged.diagnosis = probe.diagnose(judged.run);
        return judged;
    }
    /// The number found; nothing if there was none.
    static std::optional<double> number(const RunResult& run, std::string_view metric,
                                        std::string_view label = {}) {
        for (const auto& found : run.values)
            if (found.value.metric == metric && found.label_value == label) return found.number;
        return std::nullopt;
    }
    static std::string words(const RunResult& run) {
        std::string all = run.code.message();
        for (const auto& e : run.evidence) all += "\n  " + std::string(e.what) + ": " + e.got;
        for (const auto& c : run.controls) all += "\n  control " + std::string(c.name) + ": " + c.shows;
        return all;
    }
};

}  // namespace livecanary::test
