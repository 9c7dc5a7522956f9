// Delivery of alerts by the daemon to Debian's Alertmanager, as operators run it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>

#include "tests/integration/daemon_process.hpp"
#include "tests/integration/servers.hpp"
#include "tests/support/scripted_peer.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

/// prometheus-alertmanager with a configuration of ours, in memory only between starts: as in reality, it
/// forgets its alerts when it is restarted.
class Alertmanager {
public:
    explicit Alertmanager(const std::string& config, std::uint16_t port = practice::free_port())
        : port_(port) {
        std::ofstream(folder_.path() / "alertmanager.yml") << config;
        start();
    }
    void start() {
        process_.emplace(practice::Command{
            .argv = {"prometheus-alertmanager",
                     "--config.file=" + (folder_.path() / "alertmanager.yml").string(),
                     "--storage.path=" + (folder_.path() / "data").string(),
                     "--web.listen-address=127.0.0.1:" + std::to_string(port_), "--cluster.listen-address="},
            .output = folder_.path() / "log"});
        if (!practice::wait_until_listening("127.0.0.1", port_, *process_))
            throw std::runtime_error("no Alertmanager: " + process_->output());
    }
    void stop() { process_.reset(); }

    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
    /// The alerts that fire, by probe.
    std::map<std::string, json::value> firing() const {
        std::map<std::string, json::value> by_probe;
        const auto answer = practice::ask("127.0.0.1", port_, "GET", "/api/v2/alerts");
        if (answer.status != 200) return by_probe;
        const auto alerts = json::parse(answer.body);
        for (const auto& alert : alerts.as_array())
            by_probe[std::string(alert.at("labels").at("probe").as_string())] = alert;
        return by_probe;
    }

private:
    practice::TemporaryDirectory folder_{};
    std::uint16_t port_;
    std::optional<practice::Process> process_{};
};

constexpr const char* quiet = "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n";

class AlertmanagerReal : public testing::Test {
protected:
    void SetUp() override {
        if (!practice::find_program("prometheus-alertmanager").empty()) return;
        const std::string absent = "apt-get install prometheus-alertmanager";
        if (under_ci()) FAIL() << absent;
        GTEST_SKIP() << absent;
    }

    static std::string alerting(const std::vector<std::string>& urls) {
        std::string list;
        for (const auto& url : urls) list += (list.empty() ? "\"" : ", \"") + url + '"';
        return "[daemon]\nlocation = \"shanghai-1\"\nreference = false\n[alerting]\nalertmanagers = [" +
               list + "]\n";
    }
    /// A probe that alerts from two looks at what break_it() writes until a second has gone without it.
    std::string log_probe(const std::string& more = "") const {
        return "[[probe]]\nkind = \"log_keywords\"\nname = \"backend-log\"\ninterval = \"200ms\"\n"
               "fail_after = 2\nrecover_after = 2\nfail_on = [\"any\"]\nfail_for = \"1s\"\npaths = [\"" +
               log().string() + "\"]\n" + more;
    }
    void break_it() const {
        std::ofstream(log(), std::ios::app)
            << "mysqli_connect(): Access denied for user 'live'@'localhost' (using password: YES)"
            << std::endl;
    }
    /// Breaks it anew until `happened`.
    void broken_until(DaemonProcess& daemon, const std::string& what,
                      const std::function<bool()>& happened) const {
        daemon.until(what, [&] {
            break_it();
            return happened();
        });
    }

    std::filesystem::path log() const { return logs.path() / "backend.log"; }
    practice::TemporaryDirectory logs{};
};

TEST_F(AlertmanagerReal, FiresAndResolvesAtEachWhileAnotherIsGone) {
    Alertmanager first(quiet);
    Alertmanager second(quiet);
    second.stop();
    const Installation installation(alerting({first.url(), second.url()}) + log_probe());
    DaemonProcess daemon(installation);
    broken_until(daemon, "the first one has the alert",
                 [&] { return first.firing().contains("backend-log"); });
    const auto alert = first.firing().at("backend-log");
    EXPECT_EQ(alert.at("labels"), (json::value{{"alertname", "LivecanaryProbeFailing"},
                                               {"kind", "log_keywords"},
                                               {"location", "shanghai-1"},
                                               {"probe", "backend-log"},
                                               {"severity", "critical"}}));
    const auto& words = alert.at("annotations").as_object();
    for (const auto* name : {"summary", "description", "cause", "fix", "runbook_url", "dashboard_url"})
        EXPECT_TRUE(words.contains(name)) << name;
    EXPECT_EQ(words.at("cause").as_string(), "db_auth_failed_1045");
    const std::string own = "http://127.0.0.1:" + std::to_string(daemon.port());
    const std::string generator(alert.at("generatorURL").as_string());
    ASSERT_TRUE(generator.starts_with(own + "/incidents/")) << generator;
    const auto page = daemon.get(generator.substr(own.size()));
    EXPECT_EQ(page.status, 200);
    EXPECT_NE(page.body.find("db_auth_failed_1045"), std::string::npos);
    const std::string away = "alertmanager=\"" + second.url() + '"';
    const std::string there = "alertmanager=\"" + first.url() + '"';
    broken_until(daemon, "the other one failed", [&] {
        return daemon.scrape().at("livecanary_notifications_failed_total", away).value_or(0) > 0;
    });
    EXPECT_EQ(daemon.scrape().at("livecanary_notifications_failed_total", there), 0);
    EXPECT_EQ(daemon.scrape().at("livecanary_notification_queue_length"), 1);
    EXPECT_EQ(daemon.scrape().at("livecanary_alerts", "state=\"firing\""), 1);
    second.start();
    broken_until(daemon, "the other one is back", [&] { return second.firing().contains("backend-log"); });
    daemon.until("both are told that it is over",
                 [&] { return first.firing().empty() && second.firing().empty(); });
    EXPECT_EQ(daemon.scrape().at("livecanary_notification_queue_length"), 0);
}

TEST_F(AlertmanagerReal, ARestartLosesNeitherAnAlertNorItsEnd) {
    Alertmanager alertmanager(quiet);
    const Installation installation(alerting({alertmanager.url()}) + log_probe());
    std::string starts_at;
    {
        DaemonProcess daemon(installation);
        broken_until(daemon, "it fires", [&] { return alertmanager.firing().contains("backend-log"); });
        starts_at = alertmanager.firing().at("backend-log").at("startsAt").as_string();
        // Killed, not stopped: what was said is on the disk.
        daemon.process().stop(SIGKILL);
    }
    // A daemon's log is added to, and the port is read from it.
    const auto new_log = [&] { std::filesystem::remove(installation.path() / "log"); };
    new_log();
    // What Alertmanager knew is gone as well.
    alertmanager.stop();
    alertmanager.start();
    EXPECT_TRUE(alertmanager.firing().empty());
    {
        // No run is due for an hour: it is the state that speaks.
        installation.configure(alerting({alertmanager.url()}) +
                               std::regex_replace(log_probe(), std::regex("200ms"), "1h"));
        DaemonProcess daemon(installation);
        daemon.until("it fires again", [&] { return alertmanager.firing().contains("backend-log"); });
        EXPECT_EQ(alertmanager.firing().at("backend-log").at("startsAt").as_string(), starts_at);
        EXPECT_EQ(daemon.scrape().at("livecanary_alerts", "state=\"firing\""), 1);
        EXPECT_EQ(daemon.scrape().probe("backend-log", "alerting"), 1);
        EXPECT_EQ(daemon.process().stop(SIGTERM), 0);
    }
    // A third daemon, in which it has recovered.
    new_log();
    installation.configure(alerting({alertmanager.url()}) + log_probe());
    DaemonProcess daemon(installation);
    daemon.until("it is over", [&] { return alertmanager.firing().empty(); });
}

TEST_F(AlertmanagerReal, AProbeThatAReloadRemovesResolves) {
    Alertmanager alertmanager(quiet);
    const Installation installation(alerting({alertmanager.url()}) + log_probe());
    DaemonProcess daemon(installation);
    broken_until(daemon, "it fires", [&] { return alertmanager.firing().contains("backend-log"); });
    break_it();
    daemon.reload(installation, alerting({alertmanager.url()}));
    daemon.until("it is over", [&] { return alertmanager.firing().empty(); });
}

TEST_F(AlertmanagerReal, ABrokenHopIsOneAlertWithTheExampleConfiguration) {
    asio::io_context io;
    ClosedPort closed(io);
    Alertmanager alertmanager(
        practice::read_file(LIVECANARY_SOURCE_DIR "/dashboards/prometheus/alertmanager.example.yml"));
    const std::string timing = "interval = \"500ms\"\ntimeout = \"15s\"\nfail_after = 1\n";
    const Installation installation(
        alerting({alertmanager.url()}) + "[[probe]]\nkind = \"rtmp_push\"\nname = \"push-main\"\n" + timing +
        "url = \"rtmp://127.0.0.1:" + std::to_string(closed.endpoint().port()) +
        "/live/canary\"\n[[probe]]\nkind = \"journey\"\nname = \"replay\"\npush = \"push-main\"\n" + timing +
        log_probe("severity = \"warning\"\n"));
    DaemonProcess daemon(installation);
    const auto state = [&](const std::string& probe) -> std::string {
        const auto firing = alertmanager.firing();
        const auto at = firing.find(probe);
        return at == firing.end() ? "" : std::string(at->second.at("status").at("state").as_string());
    };
    broken_until(daemon, "the hop is inhibited by its journey", [&] {
        return state("replay") == "active" && state("push-main") == "suppressed" &&
               state("backend-log") == "active";
    });
    EXPECT_EQ(alertmanager.firing().at("push-main").at("labels").at("journey").as_string(), "replay");
}

}  // namespace
}  // namespace livecanary::test
