// The callback probe against the practice backend over a real MariaDB and a real Redis: every answer of the
// recording callback that was measured on the real code, and every failure that it sees → outcome, phase,
// reason, cause or class. With LIVECANARY_MATRIX set to a file name, the table is appended there as Markdown.
#include <functional>
#include <memory>
#include <thread>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>

#include "probes/backend_api/kind.hpp"
#include "probes/callback/kind.hpp"
#include "tests/integration/matrix.hpp"
#include "tests/practice/backend.hpp"
#include "tests/practice/callback_sender.hpp"
#include "tests/support/fake_peers.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::BackendFaults;
using practice::BackendStack;
namespace json = boost::json;

/// Between the probe and the backend: bodies of the callback are changed on their way, which is how answers
/// are had to what the probe itself would never send.
class MangledWay {
public:
    using Change = std::function<std::string(std::string body)>;
    explicit MangledWay(std::uint16_t backend_port) : backend_port_(backend_port) {
        asio::co_spawn(io_, accept(), asio::detached);
        thread_ = std::thread([this] { io_.run(); });
    }
    ~MangledWay() {
        io_.stop();
        thread_.join();
    }
    MangledWay(const MangledWay&) = delete;
    MangledWay& operator=(const MangledWay&) = delete;

    /// Before the probe runs.
    void change(Change change) { change_ = std::move(change); }
    std::string url() const {
        return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
    }

private:
    static constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

    asio::awaitable<void> accept() {
        for (;;) {
            auto [error, socket] = co_await acceptor_.async_accept(no_throw);
            if (error) co_return;
            asio::co_spawn(io_, pass_on(std::move(socket)), asio::detached);
        }
    }
    asio::awaitable<void> pass_on(asio::ip::tcp::socket socket) {
        namespace http = boost::beast::http;
        boost::beast::flat_buffer buffer;
        http::request<http::string_body> request;
        const auto [unread, size] = co_await http::async_read(socket, buffer, request, no_throw);
        if (unread) co_return;
        std::string body = request.body();
        if (request.target().starts_with("/callback/") && change_) body = change_(std::move(body));
        std::string method(request.method_string());
        std::string target(request.target());
        const auto answered = co_await practice::http_ask(backend_port_, std::move(method), std::move(target),
                                                          std::move(body), 20'000ms);
        if (answered.status == 0) co_return;
        http::response<http::string_body> response(http::int_to_status(answered.status), 11);
        response.body() = answered.body;
        response.keep_alive(false);
        response.prepare_payload();
        co_await http::async_write(socket, response, no_throw);
    }

    std::uint16_t backend_port_;
    asio::io_context io_{};
    asio::ip::tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    Change change_{};
    std::thread thread_{};
};

class CallbackMatrix : public ::testing::Test {
protected:
    static void SetUpTestSuite() {
        if (!BackendStack::installed()) return;
        stack = std::make_unique<BackendStack>();
        way = std::make_unique<MangledWay>(stack->backend.port());
    }
    static void TearDownTestSuite() {
        way.reset();
        stack.reset();
    }
    void SetUp() override {
        if (!stack) GTEST_SKIP() << "MariaDB and Redis are not installed";
    }
    void TearDown() override {
        if (!stack) return;
        way->change({});
        stack->restore();
    }

    static std::string keys(const std::string& base, const std::string& more) {
        return "url = '" + base + "/callback/tape_callback.php'\nkey = '" +
               practice::BackendConfig{}.callback_key + "'\ntimeout = '5s'\n" + more;
    }
    /// Event 1, or what `more` says.
    static Judged once(const std::string& more = {}) {
        return probe(keys(stack->backend.url(), more), {}, "callback");
    }
    static constexpr const char* livecanary_sh1 = "stream_id = 'x_livecanary_sh1'\n";
    /// A recording that the backend should store, once.
    static std::string recording(const std::string& stream = livecanary_sh1, const std::string& record = {}) {
        return "events = [100]\nmutates = true\n" + stream + "[probe.record]\n" + record;
    }
    /// A run whose bodies are changed, `control = false`: a wrong signature too would be changed.
    static Judged mangled(MangledWay::Change change, const std::string& more = {}) {
        way->change(std::move(change));
        return probe(keys(way->url(), "control = false\n" + more), {}, "callback");
    }
    static std::string changed(const std::string& body, const std::function<void(json::object&)>& change) {
        json::object event = json::parse(body).as_object();
        change(event);
        return json::serialize(event);
    }
    static bool is_event_1(const std::string& body) {
        return json::parse(body).at("event_type").to_number<int>() == 1;
    }
    static MangledWay::Change with(std::function<void(json::object&)> change) {
        return [change = std::move(change)](std::string body) { return changed(body, change); };
    }
    static void behave(void (*change)(BackendFaults&)) {
        BackendFaults faults = stack->backend.faults();
        change(faults);
        stack->backend.behave(faults);
    }
    static std::string rows() { return stack->mariadb.ask("SELECT COUNT(*) FROM live_demo.tb_vod"); }
    static std::string newest(const std::string& what) {
        return stack->mariadb.ask("SELECT " + what +
                                  " FROM live_demo.tb_vod WHERE file_id != 'f0' ORDER BY create_time DESC");
    }
    /// What both columns of section 5 see: event 1, and a recording of 120 s.
    static void refused_of_both(const char* what) {
        expect(of, (std::string(what) + ": event 1").c_str(), once(), "failed", "body", "rejected",
               "callback_refused", "db_config_mismatch");
        expect(of, (std::string(what) + ": event 100").c_str(), once(recording()), "failed", "body",
               "rejected", "callback_refused", "db_config_mismatch");
    }
    static void only_recordings_are_lost(const char* what, const std::string& record = {}) {
        expect(of, (std::string(what) + ": event 1").c_str(), once(), "ok");
        expect(of, (std::string(what) + ": event 100").c_str(), once(recording(livecanary_sh1, record)),
               "failed", "body", "rejected", "callback_not_stored", "room_row_missing");
    }
    static void nothing_is_seen(const char* what) {
        expect(of, (std::string(what) + ": event 1").c_str(), once(), "ok");
        const std::string before = rows();
        expect(of, (std::string(what) + ": event 100").c_str(), once(recording()), "ok");
        EXPECT_NE(rows(), before) << what;
    }

    static constexpr const char* of = "backend double";
    static std::unique_ptr<BackendStack> stack;
    static std::unique_ptr<MangledWay> way;
};
std::unique_ptr<BackendStack> CallbackMatrix::stack;
std::unique_ptr<MangledWay> CallbackMatrix::way;

// --- section 4: its answers

TEST_F(CallbackMatrix, Right) {
    for (const char* events : {"[1]", "[0]", "[1, 0]"})
        expect(of, events, once(std::string("events = ") + events + "\n"), "ok");
    EXPECT_EQ(rows(), "1") << "they change nothing";
    EXPECT_EQ(stack->backend.seen().most_outstanding, 1U);
    expect(of, "event 100, 120 s", once(recording()), "ok");
    EXPECT_EQ(rows(), "2");
    EXPECT_EQ(newest("UNIX_TIMESTAMP(create_time) - UNIX_TIMESTAMP(start_time)"), "120");
    EXPECT_LT(std::stoi(newest("UNIX_TIMESTAMP() - UNIX_TIMESTAMP(create_time)")), 60)
        << "the database is at +08";
}

TEST_F(CallbackMatrix, BodyThatIsNone) {
    for (const char* body : {"", "{", "[]", "null"}) {
        const Judged judged = mangled([body](const std::string&) { return std::string(body); });
        expect(of, (std::string("the body arrives as '") + body + "'").c_str(), judged, "failed", "body",
               "rejected", "");
        EXPECT_EQ(judged.run.fingerprint, "HTTP 200 code 4001");
    }
    // Of the event alone: were the controls mangled too, it would look like another key.
    for (const char* body : {"\"abc\"", "5"})
        expect(of, (std::string("the body arrives as ") + body).c_str(),
               mangled([body](std::string was) { return is_event_1(was) ? std::string(body) : was; }),
               "failed", "body", "rejected", "callback_refused");
}

TEST_F(CallbackMatrix, FieldsThatEveryEventHas) {
    for (const char* field : {"t", "sign", "event_type", "stream_id"}) {
        const Judged judged = mangled(with([field](json::object& event) { event.erase(field); }));
        expect(of, (std::string("without ") + field).c_str(), judged, "failed", "body", "rejected", "");
        EXPECT_EQ(judged.run.fingerprint, "HTTP 200 code 4002");
    }
    const Judged judged = mangled([](std::string was) {
        return is_event_1(was)
                   ? changed(was, [](json::object& event) { event["t"] = json::array{event["t"]}; })
                   : was;
    });
    expect(of, "t is a list", judged, "failed", "body", "rejected", "callback_refused");
}

TEST_F(CallbackMatrix, WrongSignature) {
    auto config = stack->backend.config();
    config.callback_key = "another-key";
    stack->backend.configure(config);
    const auto every_event = [&](const std::string& php) {
        for (const auto& [name, more] :
             {std::pair("event 1", std::string()), std::pair("event 0", std::string("events = [0]\n"))})
            expect(of, (php + ", another key: " + name).c_str(), once(more), "failed", "body", "rejected",
                   "callback_api_key_mismatch");
    };
    every_event("PHP 8");
    expect(of, "PHP 8, another key: event 100", once(recording()), "failed", "body", "rejected",
           "callback_api_key_mismatch");
    behave([](BackendFaults& f) { f.constants_defined = true; });
    every_event("the constants defined");
    behave([](BackendFaults& f) {
        f.constants_defined = false;
        f.php = practice::PhpVersion::php7;
    });
    every_event("PHP 7");
    EXPECT_EQ(rows(), "1");
}

TEST_F(CallbackMatrix, SignatureThatIsTrue) {
    expect(of, "sign: true, asked for", once("loose_control = true\n"), "failed", "body", "mismatch",
           "callback_unsigned_accepted");
    expect(of, "sign: true, not asked for", once(), "ok");
    const auto pass = with([](json::object& event) { event["sign"] = true; });
    expect(of, "sign: true in a recording", mangled(pass, recording()), "ok");
    EXPECT_EQ(rows(), "2");
}

TEST_F(CallbackMatrix, WhatIsNotLookedAt) {
    expect(of, "event 200", mangled(with([](json::object& event) { event["event_type"] = 200; })), "ok");
    expect(of, "t of 30 days ago", mangled(with([](json::object& event) {
               const std::int64_t t = event["t"].to_number<std::int64_t>() - 30 * 86400;
               event["t"] = t;
               event["sign"] =
                   practice::callback_sign(practice::BackendConfig{}.callback_key, std::to_string(t));
           })),
           "ok");
    EXPECT_EQ(rows(), "1");
}

TEST_F(CallbackMatrix, RecordingThatLacksAField) {
    expect(of, "event 100 without video_id", once(recording(livecanary_sh1, "video_id = false\n")), "failed",
           "body", "rejected", "callback_payload_missing_video_id");
    for (const char* field : {"video_url", "start_time", "end_time", "file_format"}) {
        const Judged judged =
            mangled(with([field](json::object& event) { event.erase(field); }), recording());
        expect(of, (std::string("event 100 without ") + field).c_str(), judged, "failed", "body", "rejected",
               "callback_not_stored", "callback_payload_missing_video_id");
        EXPECT_EQ(judged.run.fingerprint, "HTTP 200 code 4002");
    }
    expect(of, "event 100, a time that is no number",
           mangled(with([](json::object& event) {
                       if (event.contains("start_time")) event["start_time"] = "noon";
                   }),
                   recording()),
           "failed", "body", "rejected", "callback_not_stored", "callback_payload_missing_video_id");
    EXPECT_EQ(rows(), "1");
}

// Code 0 and no row: not seen from here, which is what the journey is for.
TEST_F(CallbackMatrix, RecordingThatIsTooShort) {
    for (const int seconds : {60, 59, -10}) {
        const auto shorter = with([seconds](json::object& event) {
            event["start_time"] = event["end_time"].to_number<std::int64_t>() - seconds;
        });
        expect(of, ("event 100, " + std::to_string(seconds) + " s").c_str(), mangled(shorter, recording()),
               "ok");
    }
    EXPECT_EQ(rows(), "1");
    expect(of, "event 100, 61 s", once(recording(livecanary_sh1, "duration = '61s'\n")), "ok");
    EXPECT_EQ(rows(), "2");
}

TEST_F(CallbackMatrix, RecordingOfNobody) {
    stack->mariadb.execute("DELETE FROM live_demo.tb_room");
    expect(of, "no room row", once(recording()), "failed", "body", "rejected", "callback_not_stored",
           "room_row_missing");
    stack->fill_database();
    expect(of, "unknown user", once(recording("stream_id = 'x_nobody'\n")), "failed", "body", "rejected",
           "callback_not_stored", "room_row_missing");
    expect(of, "a name without '_', and no such user", once(recording("stream_id = 'nobody'\n")), "failed",
           "body", "rejected", "callback_not_stored", "stream_id_without_underscore");
    EXPECT_EQ(rows(), "1");
    stack->mariadb.execute("INSERT INTO live_demo.tb_room(userid, title) VALUES ('canary01', 'canary')");
    expect(of, "a name without '_', whose user has a room", once(recording("stream_id = 'canary01'\n")),
           "failed", "body", "rejected", "stream_id_without_underscore");
}

TEST_F(CallbackMatrix, Format) {
    const auto urls = [] { return newest("CONCAT(IFNULL(play_url, '-'), ' ', IFNULL(hls_play_url, '-'))"); };
    const std::string url = "video_url = 'http://v.example.com/1'\n";
    expect(of, "file_format mp4", once(recording(livecanary_sh1, "file_format = 'mp4'\n" + url)), "ok");
    EXPECT_EQ(urls(), "http://v.example.com/1 -");
    for (const char* format : {"MP4", "hls", "5"}) {
        stack->fill_database();
        expect(of, (std::string("file_format ") + format).c_str(),
               once(recording(livecanary_sh1, std::string("file_format = '") + format + "'\n" + url)), "ok");
        EXPECT_EQ(urls(), "- http://v.example.com/1") << format;
    }
    stack->fill_database();
    expect(
        of, "file_format is a number",
        mangled(with([](json::object& event) { event["file_format"] = 5; }), recording(livecanary_sh1, url)),
        "ok");
    EXPECT_EQ(urls(), "- http://v.example.com/1");
}

TEST_F(CallbackMatrix, SameRecordingAgain) {
    // All the same but the signature, as when the cloud has not heard the answer.
    const auto fixed = [] {
        return with([](json::object& event) {
            event["video_id"] = event["file_id"] = "again";
            event["start_time"] = 1'700'000'000;
            event["end_time"] = 1'700'000'120;
        });
    };
    const auto once_more = [&](const std::string& format) {
        return mangled(fixed(), recording(livecanary_sh1, "file_format = '" + format + "'\n"));
    };
    expect(of, "event 100, database at +08:00", once_more("mp4"), "ok");
    expect(of, "the same again, database at +08:00", once_more("mp4"), "ok");
    expect(of, "the same as hls, database at +08:00", once_more("hls"), "ok");
    EXPECT_EQ(rows(), "2") << "updated in place";
    stack->fill_database();
    stack->mariadb.execute("SET GLOBAL time_zone = '+00:00'");
    expect(of, "event 100, database in UTC", once_more("mp4"), "ok");
    expect(of, "the same again, database in UTC", once_more("mp4"), "failed", "body", "rejected",
           "callback_not_stored");
    EXPECT_EQ(rows(), "2");
}

TEST_F(CallbackMatrix, MpFourAndHlsOfOneRecordingWithTheDatabaseInUtc) {
    stack->mariadb.execute("SET GLOBAL time_zone = '+00:00'");
    for (const char* format : {"mp4", "hls"})
        expect(of, (std::string("database in UTC, ") + format).c_str(),
               mangled(with([format](json::object& event) {
                           event["video_id"] = std::string("of-") + format;
                           event["start_time"] = 1'700'000'000;
                           event["end_time"] = 1'700'000'120;
                       }),
                       recording(livecanary_sh1, std::string("file_format = '") + format + "'\n")),
               "ok");
    EXPECT_EQ(rows(), "3") << "two rows of one recording";
}

TEST_F(CallbackMatrix, WhatBreaksTheStatement) {
    const auto lost = [](const char* what, const Judged& judged) {
        expect(of, what, judged, "failed", "body", "rejected", "callback_not_stored");
        EXPECT_EQ(judged.run.fingerprint, "HTTP 200 code 2003");
    };
    lost("a quote in video_id",
         mangled(with([](json::object& event) { event["video_id"] = "it's"; }), recording()));
    lost("a URL of more than 255", once(recording(livecanary_sh1, "video_url = 'http://v.example.com/" +
                                                                      std::string(250, 'x') + "'\n")));
    stack->mariadb.execute("UPDATE live_demo.tb_room SET title = 'it''s'");
    lost("a quote in the room's title", once(recording()));
    EXPECT_EQ(rows(), "1");
}

TEST_F(CallbackMatrix, ErrorsDisplayed) {
    behave([](BackendFaults& f) { f.display_errors = true; });
    expect(of, "display_errors=On: event 1", once(), "failed", "body", "mismatch",
           "backend_display_errors_on");
    expect(of, "display_errors=On: event 100", once(recording()), "failed", "body", "mismatch",
           "backend_display_errors_on");
    stack->mariadb.stop();
    expect(of, "display_errors=On and DB down", once(), "failed", "body", "mismatch",
           "backend_display_errors_on");
    stack->mariadb.start();
}

// --- section 5: its failures

TEST_F(CallbackMatrix, DatabaseThatCannotBeConnected) {
    stack->mariadb.stop();
    refused_of_both("DB down");
    stack->mariadb.start();
    auto config = stack->backend.config();
    config.db_password = "wrong";
    stack->backend.configure(config);
    refused_of_both("DB password wrong");
    config.db_password = "live_pwd";
    stack->backend.configure(config);
    stack->mariadb.execute("REVOKE ALL PRIVILEGES ON live_demo.* FROM 'live_user'@'%'");
    refused_of_both("DB privilege missing");
    stack->fill_database();
    // 1226 instead of 1040, which is the same to PHP: no connection.
    stack->mariadb.execute("ALTER USER 'live_user'@'%' WITH MAX_CONNECTIONS_PER_HOUR 1");
    expect(of, "the last DB connection of the hour", once(), "ok");
    refused_of_both("DB connections exhausted");
    stack->fill_database();
    behave([](BackendFaults& f) { f.mysqli_missing = true; });
    refused_of_both("mysqli extension absent");
}

TEST_F(CallbackMatrix, DatabaseThatHangs) {
    const auto keys_with = [](const std::string& more) {
        return "url = '" + stack->backend.url() + "/callback/tape_callback.php'\nkey = '" +
               practice::BackendConfig{}.callback_key + "'\ntimeout = '1s'\n" + more;
    };
    const auto row = [&](const char* what, const std::string& more) {
        const Judged judged = probe(keys_with(more), {}, "callback");
        expect(of, what, judged, "failed", "first_byte", "timeout", "", "db_frozen");
        EXPECT_EQ(judged.run.controls.size(), 1U) << "nothing more is asked of PHP";
        EXPECT_EQ(stack->backend.seen().most_outstanding, 1U);
    };
    const auto until_answered = [] {
        ASSERT_TRUE(stack->backend.wait_until([](const auto& seen) { return seen.outstanding == 0; }));
        stack->backend.forget();
    };
    stack->mariadb.freeze();
    row("DB frozen: event 1", "");
    stack->mariadb.thaw();
    until_answered();
    stack->mariadb.freeze();
    row("DB frozen: event 100", recording());
    stack->mariadb.thaw();
    until_answered();
    stack->mariadb.execute("LOCK TABLES live_demo.tb_vod WRITE");
    expect(of, "write lock on tb_vod: event 1", once(), "ok");
    row("write lock on tb_vod: event 100", recording());
    stack->mariadb.execute("UNLOCK TABLES");
    until_answered();
}

TEST_F(CallbackMatrix, DatabaseThatRefusesStatements) {
    stack->mariadb.execute("SET GLOBAL read_only = 1");
    only_recordings_are_lost("DB read-only");
    for (const char* table : {"tb_vod", "tb_room"}) {
        stack->fill_database();
        stack->mariadb.execute(std::string("DROP TABLE live_demo.") + table);
        only_recordings_are_lost((std::string(table) + " missing").c_str());
    }
    for (const char* change :
         {"DROP COLUMN play_url, DROP COLUMN hls_play_url", "MODIFY start_time int",
          "MODIFY start_time bigint", "MODIFY userid int", "ADD COLUMN more int NOT NULL"}) {
        stack->fill_database();
        stack->mariadb.execute(std::string("DELETE FROM live_demo.tb_vod; ALTER TABLE live_demo.tb_vod ") +
                               change);
        only_recordings_are_lost((std::string("tb_vod ") + change).c_str());
    }
    stack->fill_database();
    stack->mariadb.execute("ALTER TABLE live_demo.tb_vod DROP COLUMN play_url");
    only_recordings_are_lost("tb_vod.play_url dropped", "file_format = 'mp4'\n");
    stack->fill_database();
    stack->mariadb.execute(
        "DELETE FROM live_demo.tb_vod; ALTER TABLE live_demo.tb_vod MODIFY play_url varchar(16)");
    only_recordings_are_lost("tb_vod.play_url -> varchar(16), a long URL", "file_format = 'mp4'\n");
    expect(of, "tb_vod.play_url -> varchar(16), a short URL",
           once(recording(livecanary_sh1, "file_format = 'mp4'\nvideo_url = 'http://v/1'\n")), "ok");
}

TEST_F(CallbackMatrix, DatabaseChangesThatAreNotSeen) {
    stack->mariadb.execute("DROP TABLE live_demo.tb_account");
    nothing_is_seen("tb_account missing");
    for (const char* change : {"tb_vod MODIFY create_time varchar(32)", "tb_vod MODIFY create_time datetime",
                               "tb_vod MODIFY like_count varchar(20)", "tb_account DROP COLUMN nickname",
                               "tb_room DROP COLUMN title"}) {
        stack->fill_database();
        stack->mariadb.execute(std::string("ALTER TABLE live_demo.") + change);
        nothing_is_seen(change);
    }
    stack->fill_database();
    stack->mariadb.execute(
        "SET sql_mode = ''; ALTER TABLE live_demo.tb_account MODIFY password int; "
        "SET sql_mode = DEFAULT");
    nothing_is_seen("tb_account.password -> int");
}

TEST_F(CallbackMatrix, RedisIsNotAsked) {
    stack->redis.stop();
    nothing_is_seen("Redis down");
    stack->redis.start();
    auto config = stack->backend.config();
    config.redis_password = "wrong";
    stack->backend.configure(config);
    stack->fill_database();
    nothing_is_seen("Redis password wrong");
    config.redis_password = "liteav_demo";
    stack->backend.configure(config);
    stack->redis.freeze();
    stack->fill_database();
    nothing_is_seen("Redis frozen");
    stack->redis.thaw();
    stack->redis.command({"CONFIG", "SET", "maxmemory", "1"});
    stack->fill_database();
    nothing_is_seen("Redis full");
    stack->redis.command({"CONFIG", "SET", "maxmemory", "0"});
    stack->redis.restart();
    stack->fill_database();
    nothing_is_seen("Redis restarted without persistence");
    behave([](BackendFaults& f) { f.phpredis_missing = true; });
    stack->fill_database();
    nothing_is_seen("phpredis extension absent");
}

TEST_F(CallbackMatrix, Php) {
    behave([](BackendFaults& f) { f.log_dir_unwritable = true; });
    expect(of, "log directory not writable: event 1", once(), "failed", "body", "rejected",
           "backend_log_dir_unwritable");
    expect(of, "log directory not writable: event 100", once(recording()), "failed", "body", "rejected",
           "backend_log_dir_unwritable");
    behave([](BackendFaults& f) {
        f = {};
        f.fpm_down = true;
    });
    expect(of, "php-fpm down", once(), "failed", "body", "not_found", "backend_php_down");
    behave([](BackendFaults& f) { f.error_page = true; });
    expect(of, "php-fpm down, with an error page", once(), "failed", "body", "rejected", "backend_php_down");
    behave([](BackendFaults& f) {
        f = {};
        f.fpm_frozen = true;
    });
    const std::string soon = "url = '" + stack->backend.url() + "/callback/tape_callback.php'\nkey = '" +
                             practice::BackendConfig{}.callback_key + "'\ntimeout = '1s'\n";
    expect(of, "php-fpm frozen", probe(soon, {}, "callback"), "failed", "first_byte", "timeout", "",
           "db_frozen");
    EXPECT_EQ(stack->backend.seen().outstanding, 1U);
    behave([](BackendFaults& f) { f = {}; });
    for (const int status : {403, 429, 503}) {
        BackendFaults faults;
        faults.status = status;
        stack->backend.behave(faults);
        expect(of, ("HTTP " + std::to_string(status)).c_str(), once(), "failed", "body",
               status == 403   ? "forbidden"
               : status == 503 ? "rejected"
                               : "mismatch",
               "callback_endpoint_slow_or_failing");
    }
    stack->backend.vanish();
    expect(of, "nginx down", once(), "failed", "tcp", "refused", "callback_endpoint_unreachable");
}

// --- both kinds at one backend

/// A callback probe and a backend_api probe of one daemon.
class TwoKinds {
public:
    TwoKinds(const std::string& callback_keys, const std::string& api_keys)
        : callback_(made(callback::kind, callback_keys)), api_(made(backend_api::kind, api_keys)) {
        for (Env* env : {&callback_env_, &api_env_}) {
            env->dns = &dns_;
            env->peers = &peers_;
            env->random.seed(1);
        }
        callback_env_.now = [this] { return Clock::now() + passed; };
    }
    /// Sockets know the real time only, in which the deadline lies.
    RunResult callback() {
        ProbeRun under_way(callback_env_, 1s - passed);
        return await(io_, callback_.run(under_way));
    }
    RunResult api() {
        ProbeRun under_way(api_env_, 1s);
        return await(io_, api_.run(under_way));
    }
    /// Both at once.
    std::pair<RunResult, RunResult> both() {
        ProbeRun first(callback_env_, 5s - passed), second(api_env_, 5s);
        Task<RunResult> one(io_, callback_.run(first)), other(io_, api_.run(second));
        RunResult of_one = one.wait();
        RunResult of_other = other.wait();
        return {std::move(of_one), std::move(of_other)};
    }
    Clock::duration passed{};  ///< by the clock of the callback probe, beside the real time

private:
    static Probe made(const Kind& kind, const std::string& keys) {
        const FakeWorld world{};
        TomlText text(keys, world);
        Probe probe = kind.make(text.reader());
        text.reader().unread();
        return probe;
    }
    asio::io_context io_{};
    net::Resolver dns_{io_.get_executor()};
    FakePeers peers_{};
    Env callback_env_{}, api_env_{};
    Probe callback_, api_;
};

TEST_F(CallbackMatrix, BackendIsNeverAskedTwiceAtATimeByBothKinds) {
    const auto two_kinds = [] {
        return std::make_unique<TwoKinds>(
            "url = '" + stack->backend.url() + "/callback/tape_callback.php'\nkey = '" +
                practice::BackendConfig{}.callback_key + "'\n",
            "url = '" + stack->backend.url() + "'\nuserid = '" + BackendStack::userid + "'\npassword = '" +
                BackendStack::password + "'\nchecks = ['php', 'db', 'login', 'vod_list']\n");
    };
    const auto answered = [] {
        return stack->backend.wait_until([](const auto& seen) { return seen.outstanding == 0; });
    };
    auto probes = two_kinds();
    for (int i = 0; i < 20; ++i) {
        const auto [callback, api] = probes->both();
        EXPECT_EQ(callback.outcome(), RunOutcome::ok) << callback.code.message() << callback.inconclusive;
        EXPECT_EQ(api.outcome(), RunOutcome::ok) << api.code.message() << api.inconclusive;
    }
    EXPECT_EQ(stack->backend.seen().most_outstanding, 1U);

    stack->mariadb.freeze();
    EXPECT_EQ(probes->callback().reason(), Reason::timeout);
    const RunResult api = probes->api();
    EXPECT_EQ(api.outcome(), RunOutcome::inconclusive) << api.code.message();
    EXPECT_EQ(stack->backend.seen().most_outstanding, 1U) << "a hang of the one is one of both";
    stack->mariadb.thaw();
    ASSERT_TRUE(answered());
    probes->passed += 3min;
    EXPECT_EQ(probes->callback().outcome(), RunOutcome::ok);
    EXPECT_EQ(probes->api().outcome(), RunOutcome::ok);

    probes = two_kinds();
    stack->mariadb.freeze();
    EXPECT_EQ(probes->api().reason(), Reason::timeout);
    const RunResult callback = probes->callback();
    EXPECT_EQ(callback.outcome(), RunOutcome::inconclusive) << callback.code.message();
    EXPECT_EQ(stack->backend.seen().most_outstanding, 1U);
    stack->mariadb.thaw();
    ASSERT_TRUE(answered());
    // The answer is counted before it has come to the connection that is kept for it.
    RunResult again = probes->api();
    for (int i = 0; i < 100 && again.code; ++i) again = probes->api();
    EXPECT_EQ(again.outcome(), RunOutcome::ok) << again.code.message();
    EXPECT_EQ(probes->callback().outcome(), RunOutcome::ok) << "told that it is answered";
}

}  // namespace
}  // namespace livecanary::test
