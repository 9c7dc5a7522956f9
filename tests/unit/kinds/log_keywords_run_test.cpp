#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "probes/log_keywords/diagnose.hpp"
#include "probes/log_keywords/kind.hpp"
#include "probes/log_keywords/run.hpp"
#include "tests/support/task.hpp"
#include "tests/unit/kinds/diagnosis_rules.hpp"
#include "tests/unit/kinds/log_stage.hpp"

namespace livecanary::log_keywords {
namespace {

using namespace std::chrono_literals;
using namespace test;

class LogKeywordsRun : public ::testing::Test {
protected:
    LogKeywordsRun() {
        env.now = [this] { return now; };
        env.memory = &memory;
        env.peers = &peers;
        env.probe = "backend-log";
    }
    Probe make(const std::string& keys = {}) {
        TomlText text("paths = ['" + logs / "*.log" + "']\n" + keys);
        Probe probe = kind.make(text.reader());
        text.reader().unread();
        EXPECT_EQ(text.mistakes(), std::vector<std::string>{});
        return probe;
    }
    RunResult run(const Probe& probe) {
        now += 30s;
        ProbeRun probe_run(env, 10s);
        RunResult result = await(io, probe.run(probe_run));
        EXPECT_EQ(result.phases.size(), 1U);
        return result;
    }
    /// Cut by a handler of the loop's own, as the daemon does it: from elsewhere the signal would be on its
    /// way while the run ends.
    void cut_within(Task<RunResult>& task) {
        bool delivered = false;
        asio::post(io, [&] {
            task.cut();
            delivered = true;
        });
        run_until(io, [&] { return delivered && task.ended(); });
    }
    static double number(const RunResult& result, std::string_view metric, std::string_view label = {}) {
        for (const auto& found : result.values)
            if (found.value.metric == metric && found.label_value == label) return found.number;
        return -1;
    }
    static double matches_of(const RunResult& result, std::string_view label) {
        return number(result, "livecanary_log_matches_total", label);
    }

    asio::io_context io;
    Clock::time_point now = Clock::now();
    Env env;
    FakeMemory memory;
    LogPeers peers;
    LogDirectory logs;
};

const std::string bad_password = "Access denied for user 'u'@'h' (using password: YES)\n";
const std::string bad_sign =
    "check_sign error:0123456789abcdef0123456789abcdef:fedcba9876543210fedcba9876543210\n";

TEST_F(LogKeywordsRun, CountsAndTellsAndIsOk) {
    logs.append("a.log", "old\n");
    const Probe probe = make();
    EXPECT_EQ(run(probe).outcome(), RunOutcome::ok);
    logs.append("a.log", "fine\n" + bad_password + bad_sign + bad_password + "getRoomInfo Error:u\n");
    const RunResult result = run(probe);
    EXPECT_EQ(result.outcome(), RunOutcome::ok) << "what logs say is no outage unless it is configured so";
    EXPECT_EQ(number(result, "livecanary_log_lines_total"), 5);
    EXPECT_EQ(number(result, "livecanary_log_files"), 1);
    EXPECT_EQ(number(result, "livecanary_log_unread_bytes"), 0);
    EXPECT_EQ(matches_of(result, "db_auth_failed_1045"), 2);
    EXPECT_EQ(matches_of(result, "callback_api_key_mismatch"), 1);
    EXPECT_EQ(matches_of(result, "callback_not_stored"), 1);
    EXPECT_EQ(matches_of(result, "db_unknown_1049"), 0) << "what was not found is known to be none";
    EXPECT_EQ(result.got("matches"),
              "callback_api_key_mismatch: 1 (2 a minute); callback_not_stored: 1 (2 a minute); "
              "db_auth_failed_1045: 2 (4 a minute)");
    EXPECT_EQ(result.headline, "5 lines, 4 that point at a cause");
    std::vector<std::string> lines;
    for (const auto& evidence : result.evidence)
        if (evidence.what == "line") lines.push_back(evidence.got);
    ASSERT_EQ(lines.size(), 4U);
    EXPECT_EQ(lines[1], (logs / "a.log") + ": check_sign error:***:***")
        << "the second one is a valid signature";

    ASSERT_EQ(peers.heard.size(), 3U);
    const Notice& notice = peers.heard[2];
    EXPECT_EQ(notice.topic, topics::keyword);
    EXPECT_EQ(notice.from, "backend-log");
    EXPECT_EQ(notice.facts, (Facts{{"cause", "db_auth_failed_1045"},
                                   {"count", "2"},
                                   {"line", bad_password.substr(0, bad_password.size() - 1)},
                                   {"file", logs / "a.log"}}));
    EXPECT_EQ(peers.heard[1].facts.at("among"), "room_row_missing stream_id_without_underscore");
    EXPECT_EQ(run(probe).got("matches"), "");
    EXPECT_EQ(peers.heard.size(), 3U);
}

TEST_F(LogKeywordsRun, GoesOnWhereItWasOverARestart) {
    logs.append("a.log", "old\n");
    run(make());
    logs.append("a.log", "one\n");
    EXPECT_EQ(number(run(make()), "livecanary_log_lines_total"), 1);
    EXPECT_EQ(number(run(make()), "livecanary_log_lines_total"), 0);
    memory.kept.begin()->second = "nonsense";
    logs.append("a.log", "two\n");
    const RunResult anew = run(make());
    EXPECT_EQ(number(anew, "livecanary_log_lines_total"), 0);
    EXPECT_EQ(anew.got("places"), "what was remembered cannot be read: we begin anew");
    memory.fails = make_error_code(boost::system::errc::value_too_large);
    const Probe probe = make();
    run(probe);
    logs.append("a.log", "three\n");
    const RunResult forgetful = run(probe);
    EXPECT_EQ(number(forgetful, "livecanary_log_lines_total"), 1) << "as long as the daemon lives";
    EXPECT_EQ(forgetful.got("places"),
              "they are not remembered over a restart: Value too large for defined data type");
    env.memory = nullptr;
    const Probe alone = make();
    run(alone);
    logs.append("a.log", "four\n");
    EXPECT_EQ(number(run(alone), "livecanary_log_lines_total"), 1);
}

TEST_F(LogKeywordsRun, ACutRunIsDoneAgainByWhoeverComesNext) {
    asio::thread_pool pool(1);
    logs.append("a.log", "old\n");
    run(make());
    logs.append("a.log", bad_password);
    env.blocking = pool.get_executor();
    const auto before = memory.kept;
    int cuts = 0;
    for (int turns = 0;; ++turns) {
        const Probe probe = make();
        ProbeRun probe_run(env, 10s);
        Task<RunResult> task(io, probe.run(probe_run));
        io.restart();
        for (int turn = 0; turn < turns && !task.ended(); ++turn) io.run_one();
        const bool ended = task.ended();
        cut_within(task);
        if (ended) break;
        if (probe_run.was_cut()) {
            ++cuts;
            EXPECT_TRUE(peers.heard.empty()) << turns;
            EXPECT_EQ(memory.kept, before) << turns;
        }
        memory.kept = before;
        peers.heard.clear();
    }
    EXPECT_GE(cuts, 3);
    memory.kept = before;
    peers.heard.clear();
    env.blocking = {};
    // In the very moment in which its places are remembered.
    const Probe probe = make();
    std::optional<Task<RunResult>> task;
    memory.on_remember = [&] {
        if (task) task->cut();
    };
    ProbeRun probe_run(env, 10s);
    task.emplace(io, probe.run(probe_run));
    task->wait();
    EXPECT_TRUE(probe_run.was_cut());
    EXPECT_TRUE(peers.heard.empty());
    memory.on_remember = {};
    EXPECT_EQ(matches_of(run(make()), "db_auth_failed_1045"), 1);
    pool.join();
}

TEST_F(LogKeywordsRun, ReadsAsideAsItDoesInline) {
    asio::thread_pool pool(2);
    env.blocking = pool.get_executor();
    const Probe probe = make();
    run(probe);
    logs.append("a.log", bad_password);
    EXPECT_EQ(matches_of(run(probe), "db_auth_failed_1045"), 1);
    pool.join();
}

// Such as a file server that is gone.
TEST_F(LogKeywordsRun, ADiskThatDoesNotAnswerCostsThisRunOnly) {
    asio::io_context never_runs;
    env.blocking = never_runs.get_executor();
    logs.append("a.log", "old\n");
    const Probe probe = make();
    for (int turn = 0; turn < 2; ++turn) {
        now = Clock::now() - 10s;  // its time is over at once
        ProbeRun probe_run(env, 10s);
        const RunResult result = await(io, probe.run(probe_run));
        EXPECT_EQ(result.outcome(), RunOutcome::inconclusive);
        EXPECT_EQ(result.reason(), Reason::timeout);
        EXPECT_EQ(result.inconclusive,
                  "the file system has not answered for a whole run: is it a file server that is gone?");
        now = Clock::now();
    }
    never_runs.poll();  // it answers after all
    env.blocking = {};
    EXPECT_EQ(run(probe).outcome(), RunOutcome::ok);
}

TEST_F(LogKeywordsRun, FailsForWhatItIsToldToFailFor) {
    const Probe probe =
        make("fail_on = ['db_auth_failed_1045', 'callback_not_stored']\nfail_for = '45s'\nmissing = 'ok'\n");
    EXPECT_EQ(run(probe).outcome(), RunOutcome::ok);
    logs.append("a.log", bad_sign);
    EXPECT_EQ(run(probe).outcome(), RunOutcome::ok);
    logs.append("a.log", bad_password + bad_password + "getRoomInfo Error:u\n");
    RunResult result = run(probe);
    EXPECT_EQ(result.outcome(), RunOutcome::failed);
    EXPECT_EQ(result.failed_phase(), "read");
    EXPECT_EQ(result.reason(), Reason::mismatch);
    EXPECT_EQ(result.got("failing"), "db_auth_failed_1045 callback_not_stored");
    Diagnosis found = probe.diagnose(result);
    expect_sound(found);
    EXPECT_EQ(found.label(), "db_auth_failed_1045");
    EXPECT_EQ(found.because, "the log says: " + (logs / "a.log") +
                                 ": Access denied for user 'u'@'h' (using password: YES); also found: "
                                 "callback_not_stored");
    result = run(probe);
    EXPECT_EQ(result.outcome(), RunOutcome::failed) << "30 s later, for 45 s";
    EXPECT_EQ(result.got("last_seen"), "30 s before this run");
    EXPECT_EQ(probe.diagnose(result).label(), "db_auth_failed_1045");
    EXPECT_EQ(run(probe).outcome(), RunOutcome::ok);
    logs.append("a.log", "getRoomInfo Error:u\n");
    found = probe.diagnose(run(probe));
    expect_sound(found);
    EXPECT_EQ(found.label(), "callback_not_stored");
    ASSERT_EQ(found.candidates.size(), 2U);
    EXPECT_EQ(found.candidates[0].cause, Cause::room_row_missing);
}

TEST_F(LogKeywordsRun, WhatIsExpectedIsSubtracted) {
    const Probe probe = make(
        "subtract = [{ cause = 'callback_api_key_mismatch', lines = 1, per = '30s' }]\n"
        "fail_on = ['callback_api_key_mismatch']\nmissing = 'ok'\n");
    run(probe);
    for (int turn = 0; turn < 3; ++turn) {
        logs.append("a.log", bad_sign);
        const RunResult result = run(probe);
        EXPECT_EQ(result.outcome(), RunOutcome::ok) << turn;
        EXPECT_EQ(matches_of(result, "callback_api_key_mismatch"), 0);
        EXPECT_EQ(result.got("subtracted"), "callback_api_key_mismatch: 1");
    }
    EXPECT_TRUE(peers.heard.empty());
    logs.append("a.log", bad_sign + bad_sign + bad_sign + bad_sign);
    const RunResult result = run(probe);
    EXPECT_EQ(result.outcome(), RunOutcome::failed);
    EXPECT_EQ(matches_of(result, "callback_api_key_mismatch"), 2);
}

TEST_F(LogKeywordsRun, NoFileIsWhatTheConfigurationTakesItFor) {
    RunResult result = run(make());
    EXPECT_EQ(result.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(result.reason(), Reason::not_found);
    EXPECT_EQ(result.got("no_match"), logs / "*.log");
    EXPECT_EQ(result.inconclusive,
              "no file is there: are these the paths? If files come only when something is wrong, set "
              "missing = \"ok\"");
    EXPECT_EQ(run(make("missing = 'ok'\n")).outcome(), RunOutcome::ok);
    const Probe probe = make("missing = 'fail'\n");
    result = run(probe);
    EXPECT_EQ(result.outcome(), RunOutcome::failed);
    const Diagnosis found = probe.diagnose(result);
    expect_sound(found);
    EXPECT_EQ(found.label(), "") << "nothing shows why";
    ASSERT_EQ(found.candidates.size(), 1U);
    EXPECT_EQ(found.candidates[0].cause, Cause::backend_log_dir_unwritable);
    logs.append("a.log", "one\n");
    EXPECT_EQ(run(probe).outcome(), RunOutcome::ok);
}

TEST_F(LogKeywordsRun, WhatMayNotBeReadProvesNothing) {
    // A link that leads to itself.
    std::filesystem::create_symlink("a.log", logs / "a.log");
    logs.append("b.log", "old\n");
    const Probe probe = make("fail_on = ['any']\n");
    RunResult result = run(probe);
    EXPECT_EQ(result.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(result.reason(), Reason::local);
    EXPECT_EQ(result.inconclusive, (logs / "a.log") + ": Too many levels of symbolic links");
    logs.append("b.log", bad_password);
    EXPECT_EQ(run(probe).outcome(), RunOutcome::failed) << "what was read proves enough";
    logs.remove("a.log");
    const Unprivileged somebody(logs);
    std::filesystem::permissions(logs / "b.log", std::filesystem::perms::none);
    result = run(make());
    EXPECT_EQ(result.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(result.reason(), Reason::forbidden);
    EXPECT_EQ(result.inconclusive,
              (logs / "b.log") +
                  ": Permission denied: give the daemon's user the right to read it, such as "
                  "by setfacl -m u:livecanary:rX");
}

TEST_F(LogKeywordsRun, EvidenceOfWhatWasLeftAndCut) {
    const Probe probe = make("max_line = '64B'\nmax_read = '64KiB'\nmax_files = 1\nignore = ['^noise']\n");
    logs.append("a.log", "old\n");
    run(probe);
    logs.append("b.log", "one\n");
    logs.append("a.log", "noise\n" + std::string(100, 'x') + "\n" + std::string(600 * 1024, '\n'));
    const auto later = std::filesystem::file_time_type::clock::now() + 1min;
    std::filesystem::last_write_time(logs / "a.log", later);
    const RunResult result = run(probe);
    EXPECT_EQ(result.outcome(), RunOutcome::ok);
    EXPECT_NE(result.got("unread"), "");
    EXPECT_EQ(result.got("ignored"), "1 lines");
    EXPECT_EQ(result.got("cut"), "1 lines were looked at up to max_line only");
    EXPECT_EQ(result.got("left_out"), "1 changed files are left for the next run (max_files)");
    EXPECT_GT(number(result, "livecanary_log_unread_bytes"), 0);
}

// The daemon keeps what comes in between.
TEST_F(LogKeywordsRun, FilesThatCameAndWentBetweenTwoRunsAreRead) {
    asio::thread_pool pool(1);
    for (const bool aside : {false, true}) {
        if (aside) env.blocking = pool.get_executor();
        const auto config = [&] {
            TomlText text("paths = ['" + logs / "*/*.log" + "']\n");
            return std::make_shared<const Config>(read(text.reader()));
        }();
        std::filesystem::create_directory(logs / "x");
        logs.append("x/old.log", "old\n");
        memory.kept.clear();
        auto state = std::make_shared<State>();
        struct Nothing {};
        const auto watching = [](auto of, auto arrivals, Env& in) -> asio::awaitable<Nothing> {
            co_await watch(of, arrivals, in);
            co_return Nothing{};
        };
        Task<Nothing> task(io, watching(config, state->arrivals, env));
        run_until(io, [&] { return state->arrivals->size() == 1; });
        const auto go = [&] {
            now += 30s;
            ProbeRun probe_run(env, 10s);
            return await(io, log_keywords::probe(config, state, probe_run));
        };
        EXPECT_EQ(number(go(), "livecanary_log_lines_total"), 0);
        const auto holds = [&](std::size_t size) {
            run_until(io, [&] { return state->arrivals->size() == size; });
        };
        logs.append("x/a.log", "one\n");
        holds(1);
        logs.remove("x/a.log");
        logs.append("x/b.txt", "no\n");
        logs.append("x/a.log", "two\n");
        logs.rename("x/a.log", "x/b.log");
        holds(2);
        EXPECT_EQ(number(go(), "livecanary_log_lines_total"), 2);
        std::filesystem::create_directory(logs / "y");
        run_until(io, [&] { return state->arrivals->size() > 0; });
        state->arrivals->take();
        logs.append("y/c.log", "three\n");
        run_until(io, [&] { return state->arrivals->size() > 0; });
        std::filesystem::remove_all(logs / "y");
        EXPECT_EQ(number(go(), "livecanary_log_lines_total"), 1);
        EXPECT_FALSE(task.ended());
        task.cut();
        task.wait();
        std::filesystem::remove_all(logs / "x");
    }
    pool.join();
}

TEST_F(LogKeywordsRun, WatchingEndsAtOnceWithoutInotifyAndWhereverItIsCut) {
    const Probe probe = make();
    struct Nothing {};
    const auto watching = [](const Probe& of, Env& in) -> asio::awaitable<Nothing> {
        co_await of.background(in);
        co_return Nothing{};
    };
    for (int turns = 0; turns < 6; ++turns) {
        Task<Nothing> task(io, watching(probe, env));
        for (int turn = 0; turn < turns; ++turn) io.poll_one();
        task.cut();
        task.wait();
    }
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    Task<Nothing> task(io, watching(probe, env));
    task.wait();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

const DiagnosisRule rules[] = {
    {"certain",
     failed_run(reading, LogError::keyword, "", {{"failing", "db_unknown_1049"}, {"failing_line", "f: l"}}),
     "db_unknown_1049"},
    {"one_of_a_class",
     failed_run(reading, LogError::keyword, "", {{"failing", "db_access_denied"}, {"keyword", "k"}}),
     "db_access_denied"},
    {"likeliest_of_several",
     failed_run(reading, LogError::keyword, "",
                {{"failing", "db_duplicate_1062 db_unknown_1049"},
                 {"among", "db_duplicate_1062 db_timezone_mismatch"}}),
     ""},
    {"no_file", failed_run(reading, LogError::no_file, "", {{"no_match", "/x"}}), ""},
};
class LogKeywordsDiagnosis : public ::testing::TestWithParam<DiagnosisRule> {};
TEST_P(LogKeywordsDiagnosis, NamesWhatTheEvidenceCarries) {
    const Diagnosis found = diagnose(GetParam().run);
    EXPECT_EQ(found.label(), GetParam().label);
    EXPECT_TRUE(found.cause || !found.candidates.empty());
    expect_sound(found);
}
INSTANTIATE_TEST_SUITE_P(Rules, LogKeywordsDiagnosis, ::testing::ValuesIn(rules),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(LogKeywordsErrors, HaveWordsAndAReason) {
    for (const auto error :
         {LogError::keyword, LogError::no_file, LogError::forbidden, LogError::unreadable, LogError::slow})
        EXPECT_EQ(make_error_code(error).message().find("error "), std::string::npos);
    EXPECT_EQ(make_error_code(static_cast<LogError>(99)).message(), "error 99");
}

}  // namespace
}  // namespace livecanary::log_keywords
