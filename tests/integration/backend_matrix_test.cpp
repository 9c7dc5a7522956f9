// The backend_api probe against the practice backend over a real MariaDB and a real Redis: every failure that
// was measured on the real code → outcome, phase, reason, cause or class. With LIVECANARY_MATRIX set to a
// file name, the table is appended there as Markdown.
#include <memory>
#include <thread>
#include <vector>

#include <boost/system/system_error.hpp>

#include "probes/backend_api/kind.hpp"
#include "tests/integration/matrix.hpp"
#include "tests/practice/backend.hpp"
#include "tests/practice/http.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::BackendFaults;
using practice::BackendStack;

/// One probe over several runs, as the daemon has it: what it learns in one run it knows in the next.
class Prober {
public:
    explicit Prober(const std::string& keys) {
        const FakeWorld world{};
        TomlText text(keys, world);
        probe_ = backend_api::kind.make(text.reader());
        text.reader().unread();
        for (const auto& mistake : text.mistakes())
            if (mistake.find("warning") == std::string::npos) ADD_FAILURE() << mistake;
        env_.dns = &dns_;
        env_.random.seed(1);
    }

    Judged run(Clock::duration timeout = 10s) {
        Judged judged;
        ProbeRun under_way(env_, timeout);
        judged.run = await(io_, probe_.run(under_way));
        if (judged.run.outcome() != RunOutcome::failed) return judged;
        ProbeRun controls(env_, 2 * timeout);
        judged.run.controls = await(io_, probe_.controls(controls, judged.run));
        judged.found = probe_.diagnose(judged.run);
        return judged;
    }
    result<PeerAnswer> ask(std::string_view what, Facts with = {}, Clock::duration timeout = 10s) {
        ProbeRun under_way(env_, timeout);
        const Question question{.what = what, .with = std::move(with), .deadline = Clock::now() + timeout};
        return await(io_, probe_.answer(under_way, question));
    }

private:
    asio::io_context io_{};
    net::Resolver dns_{io_.get_executor()};
    Env env_{};
    Probe probe_{};
};

class BackendMatrix : public ::testing::Test {
protected:
    static void SetUpTestSuite() { stack = std::make_unique<BackendStack>(); }
    static void TearDownTestSuite() { stack.reset(); }
    void TearDown() override { stack->restore(); }

    /// The double serves its configuration, as the real one does unless told otherwise: so without the last
    /// check.
    static constexpr const char* seven =
        "checks = ['static', 'php', 'redis', 'db', 'login', 'vod_list', 'cos_sign']\n";
    static std::string keys(const std::string& more = seven) {
        return "url = '" + stack->backend.url() + "'\nuserid = '" + BackendStack::userid + "'\npassword = '" +
               BackendStack::password + "'\n" + more;
    }
    static Judged once(Clock::duration timeout = 10s) { return Prober(keys()).run(timeout); }
    static void behave(void (*change)(BackendFaults&)) {
        BackendFaults faults = stack->backend.faults();
        change(faults);
        stack->backend.behave(faults);
    }
    static std::string word(const Judged& judged, std::string_view check) {
        const auto got = judged.run.got(check);
        return std::string(got.substr(0, got.find(':')));
    }

    static std::unique_ptr<BackendStack> stack;
};
std::unique_ptr<BackendStack> BackendMatrix::stack;

constexpr const char* of = "backend double";

TEST_F(BackendMatrix, Right) {
    const Judged judged = once();
    expect(of, "success", judged, "ok");
    for (const char* check : {"static", "php", "redis", "db", "login", "vod_list", "cos_sign"})
        EXPECT_EQ(word(judged, check), "ok") << check;
    EXPECT_EQ(judged.run.headline, "7 checks, newest replay 60 min old");
    EXPECT_EQ(stack->backend.seen().most_outstanding, 1U);
    EXPECT_EQ(stack->backend.seen().calls.size(), 7U) << "one request a check";
}

TEST_F(BackendMatrix, ConfigurationExposed) {
    expect(of, "conf/ and createDB.sh can be fetched", Prober(keys("")).run(), "failed", "body", "mismatch",
           "backend_config_exposed");
    behave([](BackendFaults& f) { f.config_hidden = true; });
    const Judged hidden = Prober(keys("")).run();
    expect(of, "conf/ and createDB.sh are 403", hidden, "ok");
    EXPECT_EQ(word(hidden, "secrets_hidden"), "ok");
}

TEST_F(BackendMatrix, ImKeys) {
    const auto with = [&](const std::string& im) { return Prober(keys("im = " + im + "\n")).run(); };
    behave([](BackendFaults& f) { f.config_hidden = true; });
    expect(of, "UserSig right", with("{ sdkappid = 1400000000, key = 'practice-im-key' }"), "ok");
    expect(of, "UserSig signed with another key", with("{ sdkappid = 1400000000, key = 'another' }"),
           "failed", "body", "mismatch", "im_usersig_key_mismatch");
    expect(of, "UserSig of another SDKAppID", with("{ sdkappid = 1400000001, key = 'practice-im-key' }"),
           "failed", "body", "mismatch", "im_wrong_sdkappid_or_accounttype");
    auto config = stack->backend.config();
    config.im_expire = 0s;
    stack->backend.configure(config);
    expect(of, "UserSig expired", with("{ sdkappid = 1400000000 }"), "failed", "body", "mismatch",
           "im_usersig_expired");
    config.im_identifier = "somebody";
    stack->backend.configure(config);
    expect(of, "UserSig for another user", with("{ sdkappid = 1400000000 }"), "failed", "body", "mismatch",
           "im_usersig_identifier_mismatch");
}

TEST_F(BackendMatrix, DatabaseConnection) {
    const auto row = [&](const char* what) {
        const Judged judged = once();
        expect(of, what, judged, "failed", "first_byte", "rejected", "backend_http_500",
               "db_config_mismatch");
        EXPECT_EQ(judged.run.fingerprint, "db empty_500");
        EXPECT_EQ(judged.run.got("broken"), "the database");
        EXPECT_EQ(word(judged, "redis"), "ok");
        EXPECT_EQ(word(judged, "vod_list"), "not_asked") << "there is no session yet";
    };
    auto config = stack->backend.config();
    config.db_password = "wrong";
    stack->backend.configure(config);
    row("DB password wrong");
    config.db_password = "live_pwd";
    stack->backend.configure(config);
    stack->mariadb.execute("REVOKE ALL PRIVILEGES ON live_demo.* FROM 'live_user'@'%'");
    row("DB privilege missing");
    stack->fill_database();
    // 1226 instead of 1040, which is the same to PHP: no connection.
    stack->mariadb.execute("ALTER USER 'live_user'@'%' WITH MAX_CONNECTIONS_PER_HOUR 1");
    const auto used = practice::ask("127.0.0.1", stack->backend.port(), "POST", "/login",
                                    R"({"userid":"somebody","password":"x"})");
    EXPECT_EQ(used.status, 200);
    row("DB connections exhausted");
    stack->fill_database();
    behave([](BackendFaults& f) { f.mysqli_missing = true; });
    row("mysqli extension absent");
    behave([](BackendFaults& f) { f.mysqli_missing = false; });
    Prober knows(keys());
    expect(of, "DB up again", knows.run(), "ok");
    stack->mariadb.stop();
    const Judged down = knows.run();
    expect(of, "DB down (refused)", down, "failed", "first_byte", "rejected", "backend_http_500",
           "db_config_mismatch");
    EXPECT_EQ(word(down, "vod_list"), "empty_500") << "asked with the session from before";
    EXPECT_EQ(word(down, "cos_sign"), "ok");
    stack->mariadb.start();
    expect(of, "DB started again", knows.run(), "ok");
}

TEST_F(BackendMatrix, DatabaseInvisible) {
    stack->mariadb.execute("SET GLOBAL read_only = 1");
    expect(of, "DB read-only", once(), "ok");
    stack->fill_database();
    stack->mariadb.execute("DROP TABLE live_demo.tb_room");
    expect(of, "tb_room missing", once(), "ok");
    for (const char* change : {"tb_vod MODIFY create_time varchar(32)", "tb_vod MODIFY create_time datetime",
                               "tb_vod MODIFY like_count varchar(20)", "tb_vod ADD COLUMN more int NOT NULL",
                               "tb_account DROP COLUMN nickname", "tb_room DROP COLUMN title"}) {
        stack->fill_database();
        stack->mariadb.execute("ALTER TABLE live_demo." + std::string(change));
        expect(of, change, once(), "ok");
    }
    stack->fill_database();
    stack->mariadb.execute("DELETE FROM live_demo.tb_vod; ALTER TABLE live_demo.tb_vod MODIFY userid int");
    expect(of, "tb_vod.userid -> int: an empty list", once(), "ok");
    expect(of, "the same, and max_age",
           Prober(keys("vod = { max_age = '1d' }\nchecks = ['login', 'vod_list']\n")).run(), "failed", "body",
           "stale", "replay_missing");
}

TEST_F(BackendMatrix, Tables) {
    stack->mariadb.execute("DROP TABLE live_demo.tb_vod");
    expect(of, "tb_vod missing", once(), "failed", "body", "rejected", "backend_statement_failed",
           "db_table_missing");
    stack->fill_database();
    stack->mariadb.execute("DROP TABLE live_demo.tb_account");
    const Judged account = once();
    expect(of, "tb_account missing", account, "failed", "body", "rejected", "backend_statement_failed",
           "db_table_missing");
    EXPECT_EQ(account.run.got("broken"), "the table tb_account");
    stack->fill_database();
    stack->mariadb.execute("ALTER TABLE live_demo.tb_vod DROP COLUMN play_url");
    expect(of, "tb_vod.play_url dropped", once(), "failed", "body", "rejected", "backend_statement_failed",
           "db_table_missing");
    stack->fill_database();
    stack->mariadb.execute("ALTER TABLE live_demo.tb_vod MODIFY start_time bigint");
    expect(of, "tb_vod.start_time -> bigint", once(), "failed", "body", "mismatch",
           "replay_db_write_failed_schema_changed");
    stack->fill_database();
    stack->mariadb.execute(
        "SET sql_mode = ''; ALTER TABLE live_demo.tb_vod MODIFY play_url varchar(16); "
        "SET sql_mode = DEFAULT");
    const Judged cut = once();
    expect(of, "tb_vod.play_url -> varchar(16)", cut, "failed", "body", "mismatch", "", "db_too_long_1406");
    stack->fill_database();
    stack->mariadb.execute(
        "SET sql_mode = ''; ALTER TABLE live_demo.tb_account MODIFY password int; "
        "SET sql_mode = DEFAULT");
    expect(of, "tb_account.password -> int", once(), "failed", "body", "rejected", "");
    stack->fill_database();
    stack->mariadb.execute("DELETE FROM live_demo.tb_account");
    expect(of, "the account is not registered", once(), "failed", "body", "rejected", "");
}

TEST_F(BackendMatrix, Redis) {
    const auto row = [&](const char* what) {
        const Judged judged = once();
        expect(of, what, judged, "failed", "first_byte", "rejected", "backend_http_500",
               "backend_redis_down_or_auth");
        EXPECT_EQ(judged.run.got("broken"), "Redis");
        EXPECT_EQ(word(judged, "db"), "ok");
        EXPECT_EQ(word(judged, "login"), "empty_500");
    };
    auto config = stack->backend.config();
    config.redis_password = "wrong";
    stack->backend.configure(config);
    row("Redis password wrong");
    config.redis_password = "liteav_demo";
    stack->backend.configure(config);
    stack->redis.command({"CONFIG", "SET", "requirepass", ""});
    row("Redis without a password");
    stack->redis.restart();
    behave([](BackendFaults& f) { f.phpredis_missing = true; });
    row("phpredis extension absent");
    behave([](BackendFaults& f) { f.phpredis_missing = false; });
    Prober knows(keys());
    expect(of, "Redis up again", knows.run(), "ok");
    stack->redis.stop();
    row("Redis down (refused)");
    stack->redis.start();
    expect(of, "Redis restarted without persistence", knows.run(), "ok");
    // One that does not log in each time has a session that is gone.
    Prober signs(keys("checks = ['cos_sign']\n"));
    expect(of, "a session is made", signs.run(), "ok");
    stack->redis.restart();
    const Judged anew = signs.run();
    expect(of, "the same, without the login check", anew, "ok");
    EXPECT_FALSE(anew.run.got("relogin").empty());
}

TEST_F(BackendMatrix, RedisFull) {
    Prober knows(keys());
    expect(of, "Redis has room", knows.run(), "ok");
    stack->redis.command({"CONFIG", "SET", "maxmemory", "1"});
    const Judged full = knows.run();
    expect(of, "Redis full (maxmemory)", full, "failed", "first_byte", "rejected",
           "backend_redis_full_or_read_only");
    EXPECT_FALSE(full.run.got("old_token").empty());
    expect(of, "the same, without a session from before", once(), "failed", "first_byte", "rejected",
           "backend_http_500", "backend_redis_full_or_read_only");
    stack->redis.command({"CONFIG", "SET", "maxmemory", "0"});
    stack->redis.command({"REPLICAOF", "127.0.0.1", "1"});
    expect(of, "Redis is a read-only replica", knows.run(), "failed", "first_byte", "rejected",
           "backend_redis_full_or_read_only");
    stack->redis.command({"REPLICAOF", "NO", "ONE"});
}

TEST_F(BackendMatrix, Frozen) {
    constexpr auto timeout = 1s;
    {
        Prober knows(keys());
        stack->mariadb.freeze();
        const Judged frozen = knows.run(timeout);
        expect(of, "DB frozen", frozen, "failed", "first_byte", "timeout", "backend_hangs", "db_frozen");
        // However often it runs now, nothing more is asked of PHP.
        for (int again = 0; again < 20; ++again) {
            const Judged still = knows.run(timeout);
            EXPECT_EQ(still.run.fingerprint, frozen.run.fingerprint);
            EXPECT_EQ(still.found.label(), "backend_hangs");
            EXPECT_EQ(word(still, "static"), "ok");
        }
        EXPECT_EQ(stack->backend.seen().most_outstanding, 1U);
        EXPECT_EQ(stack->backend.seen().outstanding, 1U);
        EXPECT_FALSE(knows.ask(questions::cos_sign, {}, timeout)) << "nor for another probe";
        stack->mariadb.thaw();
        ASSERT_TRUE(stack->backend.wait_until([](const auto& seen) { return seen.outstanding == 0; }));
        // The answer is counted before it has come to the connection that is kept for it.
        Judged thawed = knows.run();
        for (int again = 0; again < 100 && thawed.run.code; ++again) thawed = knows.run();
        expect(of, "DB thawed", thawed, "ok");
    }
    {
        Prober knows(keys());
        stack->redis.freeze();
        expect(of, "Redis frozen", knows.run(timeout), "failed", "first_byte", "timeout",
               "backend_redis_frozen");
        expect(of, "Redis frozen, next run", knows.run(timeout), "failed", "first_byte", "timeout",
               "backend_redis_frozen");
        EXPECT_EQ(stack->backend.seen().most_outstanding, 1U);
        stack->redis.thaw();
        ASSERT_TRUE(stack->backend.wait_until([](const auto& seen) { return seen.outstanding == 0; }));
    }
    {
        Prober knows(keys());
        stack->mariadb.execute("LOCK TABLES live_demo.tb_vod WRITE");
        expect(of, "write lock on tb_vod", knows.run(timeout), "failed", "first_byte", "timeout",
               "backend_hangs", "db_lock_wait_1205");
        stack->mariadb.execute("UNLOCK TABLES");
        ASSERT_TRUE(stack->backend.wait_until([](const auto& seen) { return seen.outstanding == 0; }));
    }
    {
        Prober knows(keys());
        behave([](BackendFaults& f) { f.fpm_frozen = true; });
        expect(of, "php-fpm frozen", knows.run(timeout), "failed", "first_byte", "timeout",
               "backend_pool_exhausted");
        behave([](BackendFaults& f) { f.fpm_frozen = false; });
        ASSERT_TRUE(stack->backend.wait_until([](const auto& seen) { return seen.outstanding == 0; }));
        Judged thawed = knows.run();
        for (int again = 0; again < 100 && thawed.run.code; ++again) thawed = knows.run();
        expect(of, "php-fpm thawed", thawed, "ok");
    }
}

TEST_F(BackendMatrix, PoolUsedUp) {
    // Five clients that ask for the database, as five impatient probes would have.
    stack->mariadb.freeze();
    std::vector<std::thread> others;
    for (int at = 0; at < 5; ++at)
        others.emplace_back([] {
            try {
                practice::ask("127.0.0.1", stack->backend.port(), "POST", "/register",
                              R"({"userid":"somebody","password":"x"})");
            } catch (const boost::system::system_error&) {
                // It gives up after 5 s, or gets its answer.
            }
        });
    ASSERT_TRUE(stack->backend.wait_until([](const auto& seen) { return seen.outstanding == 5; }));
    const Judged judged = once(1s);
    expect(of, "the pool is used up by others", judged, "failed", "first_byte", "timeout",
           "backend_pool_exhausted");
    EXPECT_EQ(word(judged, "static"), "ok");
    stack->mariadb.thaw();
    for (auto& other : others) other.join();
}

TEST_F(BackendMatrix, Php) {
    behave([](BackendFaults& f) { f.log_dir_unwritable = true; });
    const Judged log = once();
    expect(of, "log directory not writable", log, "failed", "first_byte", "rejected", "backend_http_500",
           "backend_log_dir_unwritable");
    for (const char* check : {"php", "redis", "db", "login"})
        EXPECT_EQ(word(log, check), "empty_500") << check;
    behave([](BackendFaults& f) {
        f = {};
        f.fpm_down = true;
    });
    expect(of, "php-fpm down, no error page", once(), "failed", "first_byte", "not_found",
           "backend_php_not_reached", "backend_php_down");
    behave([](BackendFaults& f) { f.error_page = true; });
    expect(of, "php-fpm down, error page", once(), "failed", "first_byte", "rejected", "backend_php_down");
    behave([](BackendFaults& f) {
        f = {};
        f.rewrite_broken = true;
    });
    expect(of, "rewrite rule missing", once(), "failed", "first_byte", "not_found",
           "backend_nginx_rewrite_broken");
    behave([](BackendFaults& f) {
        f = {};
        f.display_errors = true;
    });
    expect(of, "display_errors=On", once(), "failed", "body", "protocol", "backend_display_errors_on");
    stack->mariadb.execute("REVOKE ALL PRIVILEGES ON live_demo.* FROM 'live_user'@'%'");
    expect(of, "display_errors=On, and the DB refuses", once(), "failed", "body", "protocol",
           "backend_display_errors_on");
    behave([](BackendFaults& f) {
        f = {};
        f.status = 429;
    });
    const Judged limited = once();
    expect(of, "429 Too Many Requests", limited, "inconclusive", "first_byte", "rejected");
    EXPECT_EQ(limited.run.inconclusive, "the backend limits our rate: HTTP 429 to the check php");
    behave([](BackendFaults& f) { f = {}; });
    stack->backend.vanish();
    expect(of, "nginx down (refused)", once(), "failed", "tcp", "refused", "backend_unreachable");
    stack->backend.reappear();
}

TEST_F(BackendMatrix, AnotherProberWithTheSameAccount) {
    Prober one(keys()), other(keys("checks = ['cos_sign']\n"));
    for (int round = 0; round < 3; ++round) {
        expect(of, "two probers take turns with one account", one.run(), "ok");
        expect(of, "and the other", other.run(), "ok");
    }
}

TEST_F(BackendMatrix, AnswersOtherProbes) {
    Prober prober(keys());
    const auto sign = prober.ask(questions::cos_sign);
    ASSERT_TRUE(sign) << sign.error().message();
    EXPECT_EQ(sign->facts.at("bucket"), "cover");
    EXPECT_EQ(sign->facts.at("region"), "ap-shanghai");
    EXPECT_EQ(sign->facts.at("appid"), "1250000000");
    EXPECT_EQ(sign->facts.at("secret_id"), "AKIDpracticepracticepractice");
    EXPECT_EQ(sign->secrets.at("sign_key").reveal().size(), 40U);
    ASSERT_TRUE(prober.ask(questions::cos_sign));
    EXPECT_EQ(stack->backend.seen().count("/login"), 1U) << "one session for both";
    const auto replay = prober.ask(questions::vod_list, {{"stream_id", "1234_livecanary_sh1"}});
    ASSERT_TRUE(replay) << replay.error().message();
    EXPECT_EQ(replay->facts.at("found"), "yes");
    EXPECT_EQ(replay->facts.at("play_url"), "http://1250000000.vod2.example.com/replay/f0.mp4");
    const auto none = prober.ask(questions::vod_list, {{"file_id", "f1"}});
    ASSERT_TRUE(none);
    EXPECT_EQ(none->facts.at("found"), "no");
    EXPECT_EQ(stack->backend.seen().most_outstanding, 1U);
}

TEST_F(BackendMatrix, NoSecretIsInAResult) {
    behave([](BackendFaults& f) { f.display_errors = true; });
    for (const Judged& judged : {once(), Prober(keys("")).run()}) {
        const std::string seen = seen_in(judged);
        for (const char* secret : {BackendStack::password, "live_pwd", "liteav_demo", "practice-im-key"})
            EXPECT_EQ(seen.find(secret), std::string::npos) << seen;
    }
}

/// Section 4 of what was measured: the recording callback, which other probes ask.
TEST_F(BackendMatrix, TapeCallbackOfTheDouble) {
    const std::string key = stack->backend.config().callback_key, t = "1700000000";
    const auto said = [&](const std::string& body) {
        const auto answer =
            practice::ask("127.0.0.1", stack->backend.port(), "POST", "/callback/tape_callback.php", body);
        return std::to_string(answer.status) + " " + answer.body;
    };
    const auto event = [&](const std::string& type, const std::string& more = "",
                           const std::string& stream = "1234_livecanary_sh1") {
        return R"({"t":)" + t + R"(,"sign":")" + practice::callback_sign(key, t) + R"(","event_type":)" +
               type + R"(,"stream_id":")" + stream + '"' + more + "}";
    };
    const auto tape = [](long start, long end, const std::string& id, const std::string& format = "mp4") {
        return R"(,"video_id":")" + id + R"(","video_url":"http://v.example.com/)" + id +
               R"(.mp4","start_time":)" + std::to_string(start) + R"(,"end_time":)" + std::to_string(end) +
               R"(,"file_format":")" + format + '"';
    };
    const auto rows = [&] { return stack->mariadb.ask("SELECT COUNT(*) FROM live_demo.tb_vod"); };
    const std::string ok = R"(200 {"code":0})", fatal = "500 ", dao = R"(200 {"code":2003})";
    for (const char* nothing : {"", "[]", "{}", "null", "nonsense"})
        EXPECT_EQ(said(nothing), R"(200 {"code":4001})") << nothing;
    EXPECT_EQ(said(R"("abc")"), fatal);
    EXPECT_EQ(said("5"), fatal);
    EXPECT_EQ(said(R"({"t":1,"sign":"x","event_type":1})"), R"(200 {"code":4002})");
    EXPECT_EQ(said(R"({"t":[1],"sign":"x","event_type":1,"stream_id":"s"})"), fatal);
    EXPECT_EQ(said(R"({"t":1,"sign":"x","event_type":1,"stream_id":"s"})"), fatal);
    EXPECT_EQ(said(R"({"t":1,"sign":true,"event_type":1,"stream_id":"s"})"), ok);
    for (const char* type : {"0", "1", "200"}) EXPECT_EQ(said(event(type)), ok);
    EXPECT_EQ(said(event("100")), R"(200 {"code":4002})");
    EXPECT_EQ(said(event("100", tape(1700000000, 1700000060, "f1"))), ok);
    EXPECT_EQ(said(event("100", tape(1700000100, 1700000000, "f1"))), ok);
    EXPECT_EQ(rows(), "1") << "60 s and less leave no row";
    EXPECT_EQ(said(event("100", tape(1700000000, 1700000061, "f1"))), ok);
    EXPECT_EQ(rows(), "2");
    EXPECT_EQ(
        stack->mariadb.ask("SELECT CONCAT(start_time, ' ', create_time, ' ', play_url) FROM live_demo.tb_vod "
                           "WHERE file_id = 'f1'"),
        "2023-11-15 06:13:20 2023-11-15 06:14:21 http://v.example.com/f1.mp4");
    EXPECT_EQ(said(event("100", tape(1700000000, 1700000061, "f1"))), ok) << "again: an update, at +08:00";
    EXPECT_EQ(said(event("100", tape(1700000000, 1700000061, "f1", "hls"))), ok);
    EXPECT_EQ(rows(), "2");
    EXPECT_EQ(said(event("100", tape(1700001000, 1700001061, "f'2"))), dao);
    EXPECT_EQ(said(event("100", tape(1700001000, 1700001061, "f2"), "1234_nobody")), dao);
    EXPECT_EQ(said(event("100", tape(1700001000, 1700001061, "f2"), "noUnderscore")), dao);
    behave([](BackendFaults& f) { f.php = practice::PhpVersion::php7; });
    const std::string wrong = R"({"t":1,"sign":"x","event_type":)";
    EXPECT_EQ(said(wrong + R"(1,"stream_id":"s"})"), R"(200 {"code":"EC_SYSTEM_INVALID_SIGN"})");
    EXPECT_EQ(said(wrong + R"(100,"stream_id":"s"})"), ok);
    behave([](BackendFaults& f) {
        f = {};
        f.display_errors = true;
    });
    EXPECT_EQ(said(event("1")), "200 <br />\n<b>") << "cut to the length of what should have been said";
    behave([](BackendFaults& f) { f = {}; });
    // A session zone of UTC: the lookup misses by eight hours, and the key is there already.
    stack->mariadb.execute("DELETE FROM live_demo.tb_vod; SET GLOBAL time_zone = '+00:00'");
    EXPECT_EQ(said(event("100", tape(1700005000, 1700005061, "f3"))), ok);
    EXPECT_EQ(said(event("100", tape(1700005000, 1700005061, "f3"))), dao);
    stack->mariadb.execute("DROP TABLE live_demo.tb_vod");
    EXPECT_EQ(said(event("1")), ok);
    EXPECT_EQ(said(event("100", tape(1700006000, 1700006061, "f4"))), dao);
    stack->mariadb.stop();
    EXPECT_EQ(said(event("1")), fatal);
    EXPECT_EQ(said(event("100", tape(1700006000, 1700006060, "f4"))), fatal);
    stack->mariadb.start();
}

}  // namespace
}  // namespace livecanary::test
