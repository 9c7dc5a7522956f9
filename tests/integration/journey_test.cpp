// The journey on real parts: rtmp_push to nginx-rtmp, whose pushes and recordings the practice cloud tells of
// to the receiver of a running daemon, which passes them on to the backend over a real MariaDB and Redis; the
// replay is nginx-rtmp's recording. Every hop is broken once. A replay takes more than a minute of real time,
// so all journeys are under way at once, those of one daemon among each other too.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include <boost/json.hpp>

#include "daemon/schedule.hpp"
#include "tests/integration/daemon_process.hpp"
#include "tests/integration/servers.hpp"
#include "tests/practice/backend.hpp"
#include "tests/practice/cloud_events.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::BackendStack;
using practice::CallbackSender;
using practice::CloudEvents;
namespace json = boost::json;

constexpr const char* other_database = "live_other";

/// A journey that a daemon makes, once, and how it differs from the right one.
struct JourneyPlan {
    std::string userid{};
    std::string push = "push-right";
    std::string list = "api";
    int formats = 1;
    /// Whether it asks the receiver; else its rows alone show what came.
    bool told = true;
};

/// nginx-rtmp, a cloud, and a daemon between them and the backend.
class JourneyWorld {
public:
    /// `callbacks`: who gets the cloud's events.
    JourneyWorld(const BackendStack& backend, const practice::Backend& other,
                 const practice::Backend& callbacks, std::vector<JourneyPlan> plans,
                 const std::function<void(CloudEvents::Options&)>& change = {})
        : events_(push_.hook, told(change)),
          installation_(toml(backend, other, callbacks.url(), plans)),
          daemon_(installation_) {}

    /// The result of the journey of that user; null while it is under way.
    json::value result_of(const std::string& userid) const {
        const auto answer = daemon_.get("/api/v1/probes/" + names_.at(userid));
        if (answer.status != 200) return nullptr;
        const auto parsed = json::parse(answer.body);
        const auto& probes = parsed.at("data").at("probes").as_array();
        if (probes.empty() || probes.front().at("outcome").is_null()) return nullptr;
        return probes.front();
    }
    /// Looks after a short wait.
    bool is_done() {
        if (const auto code = daemon_.process().wait_for(100ms))
            throw std::runtime_error("the daemon ended: " + daemon_.log());
        return std::ranges::all_of(names_, [&](const auto& one) { return !result_of(one.first).is_null(); });
    }
    std::string log() const { return daemon_.log(); }

private:
    CloudEvents::Options told(const std::function<void(CloudEvents::Options&)>& change) const {
        CloudEvents::Options options;
        options.sender.key = "template-key";
        options.sender.video_id = true;
        options.sender.record_format = "mp4";
        options.sender.port = port_;
        options.sender.path = "/live";
        options.video_url = [this](const std::string& stream) {
            // That of one user is not where the cloud says.
            const std::string url = push_.nginx.recording_url(stream);
            if (stream.ends_with("_canary_letters")) return url.substr(0, url.rfind('.')) + ".mp4";
            return stream.ends_with("_canary_gone") ? url + ".gone" : url;
        };
        if (change) change(options);
        return options;
    }

    /// A name whose first run comes at once.
    static std::string early(const std::string& begin) {
        for (int i = 0;; ++i) {
            std::string name = begin + std::to_string(i);
            if (daemon::Schedule::starting({}, 24h, name).first() < Clock::time_point(1s)) return name;
        }
    }
    std::string toml(const BackendStack& backend, const practice::Backend& other,
                     const std::string& callbacks, const std::vector<JourneyPlan>& plans) {
        const auto config = backend.backend.config();
        // A minute has room for a busy machine to be late in.
        std::string text =
            "[daemon]\nreference = false\nlocation = 'here'\nmax_loop_lag = '5s'\n[defaults]\ninterval = "
            "'24h'\n";
        for (const auto& [name, key] :
             {std::pair("push-right", NginxStack::main_key), std::pair("push-wrong", "not the key")})
            text += std::string("[[probe]]\nkind = 'rtmp_push'\nname = '") + name +
                    "'\nmedia = '1s'\nurl = '" + push_.url("canary") +
                    "'\naddress = '127.0.0.1'\npush_key = '" + key + "'\n";
        text +=
            "[[probe]]\nkind = 'callback'\nname = 'calls'\nkey = 'template-key'\n[probe.receive]\n"
            "listen = '127.0.0.1:" +
            std::to_string(port_) + "'\npath = '/live'\nforward = '" + callbacks +
            "/callback/tape_callback.php'\n[[probe]]\nkind = 'mysql'\nname = 'db'\nhost = '127.0.0.1'\nport "
            "= " +
            std::to_string(config.db_port) + "\nuser = '" + config.db_user + "'\npassword = '" +
            config.db_password + "'\ndatabase = '" + config.db_name +
            "'\n[[probe.table]]\nname = 'tb_vod'\ncolumns = ['userid', 'file_id', 'play_url', "
            "'hls_play_url', 'start_time']\nremove = \"DELETE FROM tb_vod WHERE userid = {userid} AND "
            "file_id = {file_id}\"\n";
        for (const auto& [name, url] :
             {std::pair("api", backend.backend.url()), std::pair("api-other", other.url())})
            text += std::string("[[probe]]\nkind = 'backend_api'\nname = '") + name + "'\nurl = '" + url +
                    "'\nuserid = '" + BackendStack::userid + "'\npassword = '" + BackendStack::password +
                    "'\n";
        for (const JourneyPlan& plan : plans) {
            const std::string name = early("replay-" + std::to_string(names_.size()) + "-");
            names_[plan.userid] = name;
            text += "[[probe]]\nkind = 'journey'\nname = '" + name + "'\ntimeout = '150s'\npush = '" +
                    plan.push + (plan.told ? "'\ncallback = 'calls" : "") +
                    "'\nrows = { mysql = 'db', table = 'tb_vod' }\nlist = '" + plan.list +
                    "'\nplayback = true\nmutates = true\nlength = '62s'\nformats = " +
                    std::to_string(plan.formats) + "\nuserid = '" + plan.userid +
                    "'\ndeadlines = { callback = '15s', row = '10s', list = '10s', playback = '10s' }\n";
        }
        return text;
    }

    std::uint16_t port_ = practice::free_port();
    NginxStack push_{practice::NginxRtmp::Options{.record = true}};
    CloudEvents events_;
    std::map<std::string, std::string> names_{};  ///< of the journeys, by user
    Installation installation_;
    DaemonProcess daemon_;
};

class JourneyReal : public testing::Test {
protected:
    static void SetUpTestSuite() {
        if (!BackendStack::installed() || !practice::NginxRtmp::installed()) return;
        backend_ = std::make_unique<BackendStack>();
        auto& db = backend_->mariadb;
        for (const char* user :
             {"canary_two", "canary_moved", "canary_gone", "canary_hidden", "canary_lost", "canary_short",
              "canary_field", "canary_both", "canary_zone", "canary_letters", "canary_untold", "canary_utc"})
            db.execute(std::string("INSERT INTO live_demo.tb_room(userid, title) VALUES ('") + user +
                       "', 'canary')");
        // What this user's replays become another's, whom nobody asks for.
        db.execute(
            "CREATE TRIGGER live_demo.moved BEFORE INSERT ON live_demo.tb_vod FOR EACH ROW SET NEW.userid = "
            "IF(NEW.userid = 'canary_moved', 'elsewhere', NEW.userid)");
        // An API that reads another database than the callback writes.
        const std::string other = other_database;
        db.execute("CREATE DATABASE " + other);
        for (const char* table : {"tb_account", "tb_room", "tb_vod"})
            db.execute("CREATE TABLE " + other + "." + table + " LIKE live_demo." + table);
        db.execute("INSERT INTO " + other + ".tb_account SELECT * FROM live_demo.tb_account; GRANT ALL ON " +
                   other + ".* TO 'live_user'@'%'");
        auto options = practice::Backend::Options{.config = backend_->backend.config()};
        options.config.db_name = other;
        // A login ends the session before it; so this one has sessions of its own.
        other_redis_ = std::make_unique<practice::Redis>("liteav_demo");
        options.config.redis_port = other_redis_->port();
        other_ = std::make_unique<practice::Backend>(options);
        auto config = backend_->backend.config();
        config.callback_key = "template-key";
        backend_->backend.configure(config);

        // A backend whose sessions have another time zone than the server's own, +08:00.
        db.execute("CREATE USER live_utc@'%' IDENTIFIED BY '" + config.db_password +
                   "'; GRANT ALL ON live_demo.* TO live_utc@'%'; SET GLOBAL init_connect = \"SET time_zone = "
                   "IF(SESSION_USER() LIKE 'live_utc@%', '+00:00', @@time_zone)\"");
        auto in_utc = practice::Backend::Options{.config = config};
        in_utc.config.db_user = "live_utc";
        utc_ = std::make_unique<practice::Backend>(in_utc);

        const auto world = [](const char* name, std::vector<JourneyPlan> plans,
                              const std::function<void(CloudEvents::Options&)>& change = {}) {
            const auto& callbacks = std::string_view(name) == "zone" ? *utc_ : backend_->backend;
            worlds_[name] =
                std::make_unique<JourneyWorld>(*backend_, *other_, callbacks, std::move(plans), change);
        };
        world("right", {{.userid = BackendStack::userid},
                        {.userid = "canary_two"},
                        {.userid = "canary_none"},
                        {.userid = "canary_moved"},
                        {.userid = "canary_gone"},
                        {.userid = "canary_hidden", .list = "api-other"},
                        {.userid = "canary_push", .push = "push-wrong"}});
        world("lost", {{.userid = "canary_lost"}},
              [](CloudEvents::Options& options_of) { options_of.sender.lost = {100}; });
        world("short", {{.userid = "canary_short"}},
              [](CloudEvents::Options& options_of) { options_of.record_scale = 0.5; });
        world("field", {{.userid = "canary_field"}},
              [](CloudEvents::Options& options_of) { options_of.sender.video_id = false; });
        const auto both = [](CloudEvents::Options& options_of) { options_of.formats = {"mp4", "hls"}; };
        // What nobody tells of must not be in anybody's way, as the time zone's row of before is in
        // another's.
        backend_->mariadb.execute(
            "INSERT INTO live_demo.tb_vod(userid, file_id, play_url, start_time, create_time) VALUES "
            "('canary_utc', 'f0-utc', 'http://h/f0.mp4', NOW() - INTERVAL 2 DAY, NOW() - INTERVAL 2 DAY)");
        world("both", {{.userid = "canary_both", .formats = 2}, {.userid = "canary_untold", .told = false}},
              both);
        world("zone", {{.userid = "canary_zone", .formats = 2}, {.userid = "canary_utc", .told = false}},
              both);
        world("letters", {{.userid = "canary_letters"}},
              [](CloudEvents::Options& options_of) { options_of.sender.record_format = "MP4"; });
        const auto deadline = Clock::now() + 170s;
        for (auto& [name, one] : worlds_)
            while (!one->is_done() && Clock::now() < deadline) {
            }
    }
    static void TearDownTestSuite() {
        worlds_.clear();
        other_.reset();
        utc_.reset();
        other_redis_.reset();
        backend_.reset();
    }
    void SetUp() override {
        LIVECANARY_NEEDS(Need::nginx_rtmp);
        if (!backend_) GTEST_SKIP() << "MariaDB and Redis are not installed";
    }

    /// `label`: the cause, or the class, whose first candidate is `first`.
    static void expect(const char* world, const std::string& userid, const std::string& outcome,
                       const std::string& hop = {}, const std::string& reason = {},
                       const std::string& label = {}, const std::string& first = {}) {
        const json::value run = worlds_.at(world)->result_of(userid);
        const std::string seen = json::serialize(run);
        ASSERT_TRUE(run.is_object()) << userid << " has not ended: " << worlds_.at(world)->log();
        const auto text = [&](const char* name) {
            const auto& value = run.at(name);
            return value.is_string() ? std::string(value.as_string()) : std::string();
        };
        EXPECT_EQ(text("outcome"), outcome) << seen;
        EXPECT_EQ(text("phase"), hop) << seen;
        EXPECT_EQ(text("reason"), reason) << seen;
        const std::string cause = text("cause");
        // What a probe of a hop has found out meanwhile makes a cause of a candidate.
        if (!cause.empty() && !first.empty()) {
            EXPECT_EQ(cause, first) << seen;
            return;
        }
        EXPECT_EQ(cause.empty() ? text("class") : cause, label) << seen;
        if (first.empty()) return;
        const auto& candidates = run.at("candidates").as_array();
        ASSERT_FALSE(candidates.empty()) << seen;
        EXPECT_EQ(candidates[0].at("cause").as_string(), first) << seen;
    }
    static std::string rows_of(const std::string& userid) {
        return backend_->mariadb.ask("SELECT COUNT(*) FROM live_demo.tb_vod WHERE userid = '" + userid +
                                     "' AND file_id != 'f0'");
    }
    /// Phases of a run, in order.
    static std::string way(const char* world, const std::string& userid) {
        std::string names;
        const json::value run = worlds_.at(world)->result_of(userid);
        for (const auto& phase : run.at("phases").as_array())
            names += (names.empty() ? "" : " ") + std::string(phase.at("name").as_string());
        return names;
    }

    static std::unique_ptr<BackendStack> backend_;
    static std::unique_ptr<practice::Redis> other_redis_;
    static std::unique_ptr<practice::Backend> other_, utc_;
    static std::map<std::string, std::unique_ptr<JourneyWorld>> worlds_;
};
std::unique_ptr<BackendStack> JourneyReal::backend_;
std::unique_ptr<practice::Redis> JourneyReal::other_redis_;
std::unique_ptr<practice::Backend> JourneyReal::other_;
std::unique_ptr<practice::Backend> JourneyReal::utc_;
std::map<std::string, std::unique_ptr<JourneyWorld>> JourneyReal::worlds_;

TEST_F(JourneyReal, TwoAtOnceGoAllTheWayAndLeaveNothing) {
    for (const char* user : {BackendStack::userid, "canary_two"}) {
        expect("right", user, "ok");
        EXPECT_EQ(way("right", user), "push callback row list playback");
        EXPECT_EQ(rows_of(user), "0");
        // Each has followed its own.
        const std::string seen = json::serialize(worlds_.at("right")->result_of(user));
        EXPECT_NE(seen.find("_" + std::string(user) + "-"), std::string::npos) << seen;
    }
    EXPECT_EQ(backend_->mariadb.ask("SELECT COUNT(*) FROM live_demo.tb_vod WHERE file_id = 'f0'"), "1")
        << "what was there before stays";
}

TEST_F(JourneyReal, PushThatIsRefused) {
    expect("right", "canary_push", "failed", "push", "rejected", "push_refused");
    EXPECT_EQ(way("right", "canary_push"), "push");
}

TEST_F(JourneyReal, EventThatDoesNotCome) {
    expect("lost", "canary_lost", "failed", "callback", "timeout", "callback_not_delivered",
           "record_template_not_bound");
}

TEST_F(JourneyReal, EventThatTheBackendDoesNotTake) {
    expect("right", "canary_none", "failed", "callback", "rejected", "callback_not_stored",
           "room_row_missing");
    expect("field", "canary_field", "failed", "callback", "rejected", "callback_not_stored",
           "callback_payload_missing_video_id");
}

TEST_F(JourneyReal, RowThatIsNotThere) {
    expect("right", "canary_moved", "failed", "row", "timeout", "callback_not_stored");
    expect("short", "canary_short", "failed", "row", "timeout", "replay_too_short");
}

// Two files of one recording: the backend finds the row of the first again, as its session is in +08:00.
TEST_F(JourneyReal, TwoFormatsAreOneRow) {
    expect("both", "canary_both", "ok");
    EXPECT_EQ(way("both", "canary_both"), "push callback row list playback");
    EXPECT_EQ(rows_of("canary_both"), "0");
}

// The same two, of a backend whose session is in UTC.
TEST_F(JourneyReal, TwoFormatsAreTwoRowsInAnotherTimeZone) {
    expect("zone", "canary_zone", "failed", "row", "mismatch", "db_timezone_mismatch");
    const std::string seen = json::serialize(worlds_.at("zone")->result_of("canary_zone"));
    EXPECT_NE(seen.find("8 h after the start"), std::string::npos) << seen;
    EXPECT_EQ(rows_of("canary_zone"), "0") << "both are taken away";
}

// Without a receiver nobody tells of the second file: the rows alone show it, and the push when it began.
TEST_F(JourneyReal, TwoFormatsOfWhichNobodyTells) {
    expect("both", "canary_untold", "ok");
    EXPECT_EQ(way("both", "canary_untold"), "push row list playback");
    EXPECT_EQ(rows_of("canary_untold"), "0");

    expect("zone", "canary_utc", "failed", "row", "mismatch", "db_timezone_mismatch");
    const std::string seen = json::serialize(worlds_.at("zone")->result_of("canary_utc"));
    EXPECT_NE(seen.find("8 h after the push began"), std::string::npos) << seen;
    EXPECT_EQ(backend_->mariadb.ask(
                  "SELECT GROUP_CONCAT(file_id) FROM live_demo.tb_vod WHERE userid = 'canary_utc'"),
              "f0-utc")
        << "both are taken away, and what was there before stays";
}

TEST_F(JourneyReal, FormatInOtherLettersThanTheBackendCompares) {
    expect("letters", "canary_letters", "failed", "row", "mismatch", "replay_format_case_mismatch");
    EXPECT_EQ(rows_of("canary_letters"), "0");
}

TEST_F(JourneyReal, ListThatDoesNotShowIt) {
    expect("right", "canary_hidden", "failed", "list", "timeout", "replay_missing");
    EXPECT_EQ(rows_of("canary_hidden"), "0");
}

TEST_F(JourneyReal, ReplayThatIsNotServed) {
    expect("right", "canary_gone", "failed", "playback", "rejected", "", "cos_object_missing");
    EXPECT_EQ(rows_of("canary_gone"), "0");
}

}  // namespace
}  // namespace livecanary::test
