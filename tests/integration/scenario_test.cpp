// From a broken key to the one who is on call and back, with real parts: the practice backend on a real
// MariaDB and Redis, the daemon, Debian's Prometheus with the shipped rules, Debian's Alertmanager with the
// shipped inhibition. Only times are shorter than an operator's.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "probes/catalogue/catalogue.hpp"
#include "tests/integration/daemon_process.hpp"
#include "tests/integration/servers.hpp"
#include "tests/practice/backend.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::BackendStack;
namespace json = boost::json;

constexpr const char* watchdog = "LivecanaryWatchdog";
constexpr const char* mismatch = "callback_api_key_mismatch";

/// Alertmanager, and Prometheus once a daemon is there to be scraped, as docs/alerts.md sets them up: alerts
/// of the rules and of the daemon itself are the same alert.
class OnCall {
public:
    OnCall() {
        const std::string rules =
            practice::read_file(LIVECANARY_SOURCE_DIR "/dashboards/prometheus/livecanary.rules.yml");
        write("rules.yml",
              std::regex_replace(rules, std::regex("keep_firing_for: 90s"), "keep_firing_for: 3s"));
        write("alertmanager.yml",
              practice::read_file(LIVECANARY_SOURCE_DIR "/dashboards/prometheus/alertmanager.example.yml"));
        alertmanager_ =
            start({"prometheus-alertmanager", "--config.file=" + path("alertmanager.yml"),
                   "--storage.path=" + path("am"), "--web.listen-address=" + local(alertmanager_port),
                   "--cluster.listen-address="},
                  "am.log", alertmanager_port);
    }
    void scrape(std::uint16_t daemon) {
        write("prometheus.yml",
              "global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: ['" + path("rules.yml") +
                  "']\nscrape_configs:\n  - job_name: livecanary\n    static_configs: [{ targets: ['" +
                  local(daemon) +
                  "'], labels: { location: shanghai-1 } }]\nalerting:\n  alert_relabel_configs:\n" +
                  relabelling("instance") + relabelling("job") +
                  "  alertmanagers: [{ static_configs: [{ targets: ['" + local(alertmanager_port) +
                  "'] }] }]\n");
        prometheus_ = start(
            {"prometheus", "--config.file=" + path("prometheus.yml"), "--storage.tsdb.path=" + path("tsdb"),
             "--rules.alert.resend-delay=1s", "--web.listen-address=" + local(prometheus_port)},
            "prometheus.log", prometheus_port);
    }

    std::string alertmanager_url() const { return "http://" + local(alertmanager_port); }
    /// Alerts but the watchdog; of Alertmanager those that somebody is told of.
    std::vector<json::value> told() const {
        std::vector<json::value> alerts;
        const auto answer =
            practice::ask("127.0.0.1", alertmanager_port, "GET", "/api/v2/alerts?inhibited=false");
        if (answer.status != 200) throw std::runtime_error("Alertmanager: " + answer.body);
        const json::value all = json::parse(answer.body);
        for (const auto& alert : all.as_array())
            if (alert.at("labels").at("alertname").as_string() != watchdog) alerts.push_back(alert);
        return alerts;
    }
    /// Names of probes with a rule of Prometheus that fires for them.
    std::vector<std::string> rules_fire_for() const {
        std::vector<std::string> probes;
        for (const auto& alert : prometheus_alerts())
            if (alert.at("labels").at("alertname").as_string() != watchdog &&
                alert.at("state").as_string() == "firing")
                probes.emplace_back(alert.at("labels").at("probe").as_string());
        return probes;
    }
    bool watchdog_fires() const {
        const auto answer =
            practice::ask("127.0.0.1", alertmanager_port, "GET",
                          std::string("/api/v2/alerts?filter=alertname%3D%22") + watchdog + "%22");
        return answer.status == 200 && !json::parse(answer.body).as_array().empty();
    }

private:
    static std::string local(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }
    static std::string relabelling(const std::string& label) {
        return "    - { source_labels: [alertname], regex: LivecanaryProbeFailing, target_label: " + label +
               ", replacement: \"\" }\n";
    }
    std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
    void write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }
    std::unique_ptr<practice::Process> start(std::vector<std::string> argv, const std::string& log,
                                             std::uint16_t port) const {
        auto process = std::make_unique<practice::Process>(
            practice::Command{.argv = std::move(argv), .output = folder_.path() / log});
        if (!practice::wait_until_listening("127.0.0.1", port, *process))
            throw std::runtime_error("it does not listen: " + process->output());
        return process;
    }
    std::vector<json::value> prometheus_alerts() const {
        const auto answer = practice::ask("127.0.0.1", prometheus_port, "GET", "/api/v1/alerts");
        if (answer.status != 200) return {};
        const json::value all = json::parse(answer.body);
        const auto& alerts = all.at("data").at("alerts").as_array();
        return {alerts.begin(), alerts.end()};
    }

    practice::TemporaryDirectory folder_{};
    const std::uint16_t alertmanager_port = practice::free_port(), prometheus_port = practice::free_port();
    std::unique_ptr<practice::Process> alertmanager_{}, prometheus_{};
};

class Scenario : public testing::Test {
protected:
    void SetUp() override {
        std::string absent;
        for (const char* program : {"prometheus", "prometheus-alertmanager"})
            if (practice::find_program(program).empty()) absent = std::string("apt-get install ") + program;
        if (!BackendStack::installed()) absent = "apt-get install mariadb-server redis-server";
        if (absent.empty()) return;
        if (under_ci()) FAIL() << absent;
        GTEST_SKIP() << absent;
    }

    std::string config(const std::string& more = {}) const {
        return "[daemon]\nlocation = \"shanghai-1\"\nreference = false\n[alerting]\nalertmanagers = [\"" +
               on_call.alertmanager_url() +
               "\"]\n[defaults]\ninterval = \"500ms\"\ntimeout = \"10s\"\nfail_after = 2\nrecover_after = "
               "2\n" +
               more;
    }
    std::string callback(const std::string& more = {}) const {
        return "[[probe]]\nkind = \"callback\"\nname = \"record-callback\"\nurl = \"" + stack.backend.url() +
               "/callback/tape_callback.php\"\nkey = \"" + practice::BackendConfig{}.callback_key + "\"\n" +
               more;
    }
    void break_the_key() {
        practice::BackendConfig wrong;
        wrong.db_port = stack.mariadb.port();
        wrong.redis_port = stack.redis.port();
        wrong.callback_key = "another-key";
        stack.backend.configure(wrong);
    }
    static json::value data(const DaemonProcess& daemon, const std::string& path) {
        const auto answer = daemon.get(path);
        if (answer.status != 200) throw std::runtime_error(path + ": " + answer.body);
        return json::parse(answer.body).at("data");
    }
    static std::string text(const json::value& value) { return std::string(value.as_string()); }

    BackendStack stack{};
    OnCall on_call{};
};

TEST_F(Scenario, ABrokenCallbackKeyIsOneAlertThatNamesItAndIsOverWhenItIsHealed) {
    const Installation installation(config(callback()));
    DaemonProcess daemon(installation);
    on_call.scrape(daemon.port());
    daemon.until("all is well and watched", [&] { return on_call.watchdog_fires(); });
    daemon.until_metric("record-callback", "success", 1);
    EXPECT_TRUE(on_call.told().empty());
    EXPECT_EQ(data(daemon, "/api/v1/incidents").at("count").to_number<int>(), 0);

    break_the_key();
    daemon.until("a rule fires", [&] { return on_call.rules_fire_for().size() == 1; });
    EXPECT_EQ(on_call.rules_fire_for().front(), "record-callback");
    const auto sent = [&] { return daemon.scrape().at("livecanary_notifications_total").value_or(0); };
    daemon.until("the daemon has said so itself too", [&] { return sent() > 0; });
    daemon.until("whoever is on call is told what it is", [&] {
        const auto alerts = on_call.told();
        return alerts.size() == 1 && text(alerts[0].at("annotations").at("cause")) == mismatch;
    });
    // Said twice, it is one.
    const json::value alert = on_call.told().front();
    EXPECT_EQ(on_call.told().size(), 1U);
    EXPECT_EQ(alert.at("labels"), (json::value{{"alertname", "LivecanaryProbeFailing"},
                                               {"kind", "callback"},
                                               {"location", "shanghai-1"},
                                               {"probe", "record-callback"},
                                               {"severity", "critical"}}));
    EXPECT_TRUE(text(alert.at("annotations").at("summary")).find(mismatch) != std::string::npos);
    EXPECT_TRUE(text(alert.at("annotations").at("runbook_url"))
                    .ends_with(std::string("/runbooks/en.md#") + mismatch));

    // The pages and the API say the same.
    const json::value open = data(daemon, "/api/v1/incidents?state=open&probe=record-callback");
    ASSERT_EQ(open.at("incidents").as_array().size(), 1U);
    const std::string id = text(open.at("incidents").at(0).at("id"));
    EXPECT_EQ(text(open.at("incidents").at(0).at("cause")), mismatch);
    const json::value incident = data(daemon, "/api/v1/incidents/" + id);
    const std::string fix(entry(Cause::callback_api_key_mismatch).fix.en);
    EXPECT_EQ(text(incident.at("probes").at(0).at("result").at("fix").at("en")), fix);
    EXPECT_FALSE(incident.at("probes").at(0).at("result").at("evidence").as_array().empty());
    EXPECT_FALSE(incident.at("alerted").is_null());
    const std::vector<std::string> in_full{"/probes/record-callback", "/incidents/" + id};
    std::vector<std::string> pages{"/", "/incidents"};
    pages.insert(pages.end(), in_full.begin(), in_full.end());
    for (const std::string& page : pages) {
        const auto answer = daemon.get(page);
        EXPECT_EQ(answer.status, 200) << page;
        EXPECT_NE(answer.body.find(mismatch), std::string::npos) << page;
    }
    for (const std::string& page : in_full)
        EXPECT_NE(daemon.get(page).body.find("<p class=\"fix\" lang=\"en\">" + fix.substr(0, 10)),
                  std::string::npos)
            << page;
    // No page and no answer holds the key.
    for (const std::string& path :
         std::vector<std::string>{"/api/v1/incidents/" + id, "/incidents/" + id, "/api/v1/status"})
        EXPECT_EQ(daemon.get(path).body.find(practice::BackendConfig{}.callback_key), std::string::npos)
            << path;
    EXPECT_EQ(data(daemon, "/api/v1/status").at("incidents").at("open").to_number<int>(), 1);
    EXPECT_EQ(data(daemon, "/api/v1/status").at("probes").at("alerting").to_number<int>(), 1);

    stack.restore();
    daemon.until("nobody is told any more",
                 [&] { return on_call.told().empty() && on_call.rules_fire_for().empty(); });
    EXPECT_EQ(daemon.scrape().at("livecanary_alerts", "state=\"firing\""), 0);
    const json::value closed = data(daemon, "/api/v1/incidents?state=closed");
    ASSERT_EQ(closed.at("incidents").as_array().size(), 1U);
    EXPECT_EQ(text(closed.at("incidents").at(0).at("id")), id);
    EXPECT_EQ(data(daemon, "/api/v1/incidents?state=open").at("count").to_number<int>(), 0);
    EXPECT_NE(daemon.get("/incidents/" + id).body.find("class=\"summary ok\">closed"), std::string::npos);
    EXPECT_EQ(daemon.get("/").body.find(mismatch), std::string::npos);
}

TEST_F(Scenario, AJourneyThatFailsSpeaksForItsProbes) {
    const std::string nowhere = "rtmp://127.0.0.1:" + std::to_string(practice::free_port()) + "/live/canary";
    const std::string hops = "[[probe]]\nkind = \"rtmp_push\"\nname = \"push-main\"\nurl = \"" + nowhere +
                             "\"\n[[probe]]\nkind = \"journey\"\nname = \"replay\"\npush = \"push-main\"\n"
                             "callback = \"record-callback\"\ntimeout = \"20s\"\n";
    const Installation installation(
        config(hops + callback("receive = { listen = \"127.0.0.1:" + std::to_string(practice::free_port()) +
                               "\", path = \"/live\" }\n")));
    break_the_key();
    DaemonProcess daemon(installation);
    on_call.scrape(daemon.port());
    daemon.until("the rules fire for all of them", [&] { return on_call.rules_fire_for().size() == 3; });
    daemon.until("whoever is on call is told of one", [&] {
        const auto alerts = on_call.told();
        return alerts.size() == 1 && text(alerts[0].at("labels").at("probe")) == "replay";
    });
    const json::value open = data(daemon, "/api/v1/incidents");
    ASSERT_EQ(open.at("count").to_number<int>(), 1) << open;
    const json::value incident =
        data(daemon, "/api/v1/incidents/" + text(open.at("incidents").at(0).at("id")));
    EXPECT_EQ(text(incident.at("journey")), "replay");
    EXPECT_EQ(text(incident.at("probe")), "replay") << "it speaks for the others";
    EXPECT_EQ(incident.at("probes").as_array().size(), 3U);
    std::string named;
    for (const auto& change : incident.at("changes").as_array())
        if (text(change.at("probe")) == "record-callback" && change.at("cause").is_string())
            named = text(change.at("cause"));
    EXPECT_EQ(named, mismatch);
}

}  // namespace
}  // namespace livecanary::test
