// Real pushes to nginx-rtmp, told of by the practice cloud: to the backend, whose row stands in a real
// MariaDB, and to the receiver of a running daemon, which holds them against the pushes of its own rtmp_push.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>

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

constexpr const char* template_key = "template-key";

/// nginx-rtmp and the cloud that tells of what it takes; nowhere at first.
struct EventStage {
    NginxStack push{practice::NginxRtmp::Options{.record = true}};
    CloudEvents events;

    EventStage() : events(push.hook, options(push.nginx)) {}
    static CloudEvents::Options options(practice::NginxRtmp& nginx) {
        CloudEvents::Options told;
        told.sender.key = template_key;
        told.sender.video_id = true;
        told.sender.record_format = "mp4";
        told.sender.dead = true;
        told.sender.retries = 0;
        // Of 1 s that is pushed: longer than the 60 s that the backend wants, and short of two.
        told.record_scale = 61;
        told.video_url = [&nginx](const std::string& stream) { return nginx.recording_url(stream); };
        return told;
    }
    void send_to(const std::string& url) {
        events.change([&](CallbackSender::Settings& s) {
            practice::set_url(s, url);
            s.dead = false;
        });
    }
    practice::HttpAnswer control(const std::string& body) {
        return practice::ask("127.0.0.1", push.hook.control_port(), body.empty() ? "GET" : "POST",
                             "/callbacks", body);
    }
};

/// A daemon that pushes for 1 s every 3 s, as `stream`, and receives what the cloud has to say.
class ReceivingDaemon {
public:
    ReceivingDaemon(const EventStage& stage, const std::string& receive, const std::string& stream = "canary")
        : installation_(toml(stage, receive, stream)), daemon_(installation_) {}

    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/live"; }
    double events(const std::string& event) const {
        return daemon_.scrape().at("livecanary_callbacks_total", "event=\"" + event + '"').value_or(0);
    }
    double defects(const std::string& defect) const {
        return daemon_.scrape()
            .at("livecanary_callback_defects_total", "defect=\"" + defect + '"')
            .value_or(0);
    }
    /// Of its receiving probe, while it fails.
    bool fails_for(const std::string& cause) const {
        const Scrape scrape = daemon_.scrape();
        return std::ranges::any_of(scrape.series, [&](const auto& series) {
            return series.first.starts_with("livecanary_probe_failing{") &&
                   series.first.find("probe=\"cloud\"") != std::string::npos &&
                   series.first.find("cause=\"" + cause + '"') != std::string::npos;
        });
    }
    bool is_ok() const { return daemon_.scrape().probe("cloud", "success") == 1; }
    void until(const std::string& what, const std::function<bool()>& happened) {
        daemon_.until(what, happened);
    }

private:
    std::string toml(const EventStage& stage, const std::string& receive, const std::string& stream) const {
        return "[daemon]\nreference = false\n[defaults]\ninterval = '3s'\n"
               "[[probe]]\nkind = 'rtmp_push'\nname = 'push'\nmedia = '1s'\nurl = '" +
               stage.push.url(stream) + "'\naddress = '127.0.0.1'\npush_key = '" + NginxStack::main_key +
               "'\n[[probe]]\nkind = 'callback'\nname = 'cloud'\ninterval = '1s'\nkey = '" + template_key +
               "'\n[probe.receive]\nlisten = '127.0.0.1:" + std::to_string(port_) + "'\npath = '/live'\n" +
               receive;
    }

    std::uint16_t port_ = practice::free_port();
    Installation installation_;
    DaemonProcess daemon_;
};

class CallbackEvents : public testing::Test {
protected:
    void SetUp() override {
        LIVECANARY_NEEDS(Need::nginx_rtmp);
        stage.emplace();
    }
    std::optional<EventStage> stage;
};

TEST_F(CallbackEvents, OfAPushReachTheBackendAndItsRowMariaDb) {
    if (!BackendStack::installed()) GTEST_SKIP() << "MariaDB and Redis are not installed";
    BackendStack backend;
    auto config = backend.backend.config();
    config.callback_key = template_key;
    backend.backend.configure(config);
    const std::string stream = std::string("lc_") + BackendStack::userid;
    ReceivingDaemon daemon(
        *stage,
        "expect = [1, 0, 100]\nforward = '" + backend.backend.url() + "/callback/tape_callback.php'\n",
        stream);
    stage->send_to(daemon.url());
    daemon.until("all three come in", [&] {
        return daemon.events("1") >= 1 && daemon.events("0") >= 1 && daemon.events("100") >= 1;
    });
    EXPECT_TRUE(daemon.is_ok());
    for (const char* defect : {"missing", "duplicate", "late", "bad_signature", "unmatched"})
        EXPECT_EQ(daemon.defects(defect), 0) << defect;
    const auto ask = [&](const std::string& what) {
        return backend.mariadb.ask("SELECT " + what + " FROM live_demo.tb_vod WHERE file_id LIKE 'file-" +
                                   stream + "-%' LIMIT 1");
    };
    EXPECT_EQ(ask("userid"), BackendStack::userid);
    EXPECT_GT(std::stoi(ask("UNIX_TIMESTAMP(create_time) - UNIX_TIMESTAMP(start_time)")), 60);
    const std::string url = ask("play_url");
    const auto path = url.find("/vod/");
    ASSERT_NE(path, std::string::npos) << url;
    const auto video = practice::ask("127.0.0.1", stage->push.nginx.http_port(), "GET", url.substr(path));
    EXPECT_EQ(video.status, 200);
    EXPECT_TRUE(video.body.starts_with("FLV"));
    EXPECT_EQ(backend.backend.seen().most_outstanding, 1U);
}

TEST_F(CallbackEvents, LostOneIsMissing) {
    ReceivingDaemon daemon(*stage, "expect_within = '1s'\n");
    stage->events.change([](CallbackSender::Settings& s) { s.lost = {0}; });
    stage->send_to(daemon.url());
    daemon.until("event 0 is missed", [&] { return daemon.fails_for("callback_not_delivered"); });
    EXPECT_GE(daemon.defects("missing"), 1);
    EXPECT_GE(daemon.events("1"), 1);
    EXPECT_EQ(daemon.events("0"), 0);
    EXPECT_EQ(stage->control(R"({"lost":[]})").status, 200);
    daemon.until("it comes in again", [&] { return daemon.events("0") >= 1 && daemon.is_ok(); });
}

TEST_F(CallbackEvents, RecordingThatIsOffIsMissing) {
    ReceivingDaemon daemon(*stage, "expect = [1, 0, 100]\nrecord_within = '1s'\n");
    stage->send_to(daemon.url());
    daemon.until("a recording is told of", [&] { return daemon.events("100") >= 1; });
    EXPECT_EQ(stage->control(R"({"recording":false})").status, 200);
    daemon.until("event 100 is missed", [&] { return daemon.fails_for("callback_not_delivered"); });
    EXPECT_EQ(stage->control(R"({"recording":true})").status, 200);
    daemon.until("it comes in again", [&] { return daemon.is_ok(); });
}

TEST_F(CallbackEvents, KeyOfTheTemplateChanged) {
    ReceivingDaemon daemon(*stage, "");
    EXPECT_EQ(stage->control(R"({"key":"a new key"})").status, 200);
    stage->send_to(daemon.url());
    daemon.until("its own events are signed otherwise",
                 [&] { return daemon.fails_for("callback_api_key_mismatch"); });
    EXPECT_GE(daemon.defects("bad_signature"), 1);
    EXPECT_EQ(daemon.events("1"), 0);
    EXPECT_EQ(stage->control("").body.find("a new key"), std::string::npos);
    EXPECT_EQ(stage->control("{\"key\":\"" + std::string(template_key) + "\"}").status, 200);
    daemon.until("they are right again", [&] { return daemon.events("0") >= 1 && daemon.is_ok(); });
}

TEST_F(CallbackEvents, SlowOneIsLate) {
    ReceivingDaemon daemon(*stage, "expect_within = '1s'\n");
    EXPECT_EQ(stage->control(R"({"delay_ms":2500})").status, 200);
    stage->send_to(daemon.url());
    daemon.until("events come late", [&] { return daemon.defects("late") >= 2; });
    EXPECT_GE(daemon.defects("missing"), 2);
    EXPECT_EQ(daemon.defects("duplicate"), 0);
}

// As documented: until it is answered with 200, and never again after that.
TEST_F(CallbackEvents, DeadUrlIsTriedAgain) {
    ReceivingDaemon daemon(*stage, "");
    stage->events.change([](CallbackSender::Settings& s) {
        s.retries = 12;
        s.retry_every = 200ms;
    });
    daemon.until("an attempt has failed", [&] {
        const auto sent = stage->events.deliveries();
        return !sent.empty() && !sent.front().statuses.empty();
    });
    stage->send_to(daemon.url());
    daemon.until("it is delivered", [&] { return stage->events.deliveries().front().done; });
    const auto first = stage->events.deliveries().front();
    EXPECT_EQ(first.event, 1);
    EXPECT_EQ(first.statuses.front(), 0U);
    EXPECT_EQ(first.statuses.back(), 200U);
    EXPECT_EQ(std::ranges::count(first.statuses, 200U), 1);
    daemon.until("it is counted", [&] { return daemon.events("1") >= 1; });
}

TEST_F(CallbackEvents, DuplicatesAndStrangers) {
    ReceivingDaemon daemon(*stage, "expect_within = '2s'\n");
    stage->send_to(daemon.url());
    daemon.until("a push is told of", [&] { return daemon.events("0") >= 1; });
    const auto told = stage->events.deliveries();
    const auto ended = std::ranges::find(told, 0, &CallbackSender::Delivery::event);
    ASSERT_NE(ended, told.end());
    stage->events.deliver(0, ended->stream, ended->body);
    daemon.until("it came twice", [&] { return daemon.defects("duplicate") == 1; });
    EXPECT_EQ(daemon.defects("unmatched"), 0);
    stage->events.deliver(1, "somebody", stage->events.event_body(1, "somebody", "s1"));
    daemon.until("nobody here pushed it", [&] { return daemon.defects("unmatched") == 1; });
    EXPECT_TRUE(daemon.is_ok()) << "users' streams share the template";
}

}  // namespace
}  // namespace livecanary::test
