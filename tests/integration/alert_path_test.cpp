// `livecanary drill --alert-path` against Debian's Alertmanager.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "tests/integration/daemon_process.hpp"
#include "tests/integration/servers.hpp"
#include "tests/practice/callback_sender.hpp"
#include "tests/support/task.hpp"

namespace livecanary::test {
namespace {

namespace json = boost::json;

/// One with receivers that tell somebody, and one that does not.
class RoutedAlertmanager {
public:
    explicit RoutedAlertmanager(const std::string& config, std::vector<std::string> more = {}) {
        std::ofstream(folder_.path() / "alertmanager.yml") << config;
        std::vector<std::string> argv{
            "prometheus-alertmanager", "--config.file=" + (folder_.path() / "alertmanager.yml").string(),
            "--storage.path=" + (folder_.path() / "data").string(),
            "--web.listen-address=127.0.0.1:" + std::to_string(port_), "--cluster.listen-address="};
        argv.insert(argv.end(), more.begin(), more.end());
        process_.emplace(practice::Command{.argv = std::move(argv), .output = folder_.path() / "log"});
        if (!practice::wait_until_listening("127.0.0.1", port_, *process_))
            throw std::runtime_error("no Alertmanager: " + process_->output());
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
    std::uint16_t port() const { return port_; }
    unsigned post(const std::string& path, const json::value& body) const {
        boost::asio::io_context io;
        return await(io, practice::http_ask(port_, "POST", path, json::serialize(body))).status;
    }
    std::size_t standing() const {
        return json::parse(practice::ask("127.0.0.1", port_, "GET", "/api/v2/alerts").body).as_array().size();
    }

    void stop() { process_->stop(SIGKILL); }

private:
    practice::TemporaryDirectory folder_{};
    std::uint16_t port_ = practice::free_port();
    std::optional<practice::Process> process_{};
};

constexpr const char* routed =
    "route:\n  receiver: nobody\n  routes:\n  - receiver: team\n    matchers: "
    "['severity=~\"warning|critical\"']\n"
    "receivers:\n- name: nobody\n- name: team\n  webhook_configs:\n  - url: http://127.0.0.1:1/\n"
    "inhibit_rules:\n- source_matchers: ['alertname=\"AllQuiet\"']\n  target_matchers: "
    "['severity=\"warning\"']\n";

class AlertPath : public testing::Test {
protected:
    void SetUp() override {
        if (!practice::find_program("prometheus-alertmanager").empty()) return;
        const std::string absent = "apt-get install prometheus-alertmanager";
        if (under_ci()) FAIL() << absent;
        GTEST_SKIP() << absent;
    }
    static Ended drill(const std::string& alerting, std::vector<std::string> more = {}) {
        const Installation installation("[daemon]\nlocation = \"sh\"\n[alerting]\n" + alerting);
        std::vector<std::string> argv{"drill", "--alert-path", "--config.file", installation.config_file()};
        argv.insert(argv.end(), more.begin(), more.end());
        return livecanary(std::move(argv));
    }
    /// One that holds its alert, until `then` has been done to it.
    static Ended held(RoutedAlertmanager& alertmanager, const std::function<void(practice::Process&)>& then) {
        const Installation installation("[alerting]\n" + to({alertmanager.url()}));
        practice::Process process(
            {.argv = {LIVECANARY_BINARY, "drill", "--alert-path", "--config.file", installation.config_file(),
                      "--severity", "critical", "--hold", "10m"},
             .output = installation.path() / "out"});
        while (process.output().find("holding") == std::string::npos && process.running())
            std::this_thread::yield();
        EXPECT_EQ(alertmanager.standing(), 1U);
        then(process);
        const auto code = process.wait_for(std::chrono::seconds(30));
        return {code, process.output()};
    }
    static std::string to(const std::vector<std::string>& urls) {
        std::string list;
        for (const auto& url : urls) list += (list.empty() ? "\"" : ", \"") + url + '"';
        return "alertmanagers = [" + list + "]\n";
    }
};

TEST_F(AlertPath, IsShownPassedOnAndResolved) {
    const RoutedAlertmanager first(routed), second(routed);
    const auto ended = drill(to({first.url(), second.url()}), {"--severity", "critical"});
    EXPECT_EQ(ended.code, 0) << ended.output;
    for (const char* text :
         {"ok   asked    it is Alertmanager ", "ok   sent     as LivecanaryDrillAlertPath, severity critical",
          "ok   shown    ", "ok   reaches  receiver 'team' (webhook)", "ok   resolved it is gone",
          "2 of 2 Alertmanagers show it and pass it on"})
        EXPECT_NE(ended.output.find(text), std::string::npos) << text << '\n' << ended.output;
    EXPECT_EQ(first.standing(), 0U);
    EXPECT_EQ(second.standing(), 0U);
}

TEST_F(AlertPath, AReceiverThatTellsNobodyIsNoWay) {
    const RoutedAlertmanager alertmanager(routed);
    const auto ended = drill(to({alertmanager.url()}));
    EXPECT_EQ(ended.code, 1);
    EXPECT_NE(ended.output.find(
                  "FAIL reaches  nobody: it is routed to receiver 'nobody', which has nobody to tell. Real "
                  "alerts are critical or warning: --severity critical takes their way"),
              std::string::npos)
        << ended.output;
    EXPECT_NE(ended.output.find("ok   resolved"), std::string::npos);
}

TEST_F(AlertPath, SilencedAndInhibitedBySomebody) {
    const RoutedAlertmanager alertmanager(routed);
    const json::value silence = {
        {"matchers",
         json::array{{{"name", "severity"}, {"value", "critical"}, {"isRegex", false}, {"isEqual", true}}}},
        {"startsAt", "2020-01-01T00:00:00Z"},
        {"endsAt", "2099-01-01T00:00:00Z"},
        {"createdBy", "alice"},
        {"comment", "night off"}};
    ASSERT_EQ(alertmanager.post("/api/v2/silences", silence), 200U);
    const auto silenced = drill(to({alertmanager.url()}), {"--severity", "critical"});
    EXPECT_EQ(silenced.code, 1);
    EXPECT_NE(silenced.output.find(
                  "FAIL reaches  nobody: silenced by alice until 2099-01-01T00:00:00.000Z (\"night off\")"),
              std::string::npos)
        << silenced.output;

    const json::value source = json::array{{{"labels", {{"alertname", "AllQuiet"}}}}};
    ASSERT_EQ(alertmanager.post("/api/v2/alerts", source), 200U);
    const auto inhibited = drill(to({alertmanager.url()}), {"--severity", "warning"});
    EXPECT_EQ(inhibited.code, 1);
    EXPECT_NE(inhibited.output.find("nobody: inhibited by the alert {\"alertname\":\"AllQuiet\"}"),
              std::string::npos)
        << inhibited.output;
}

TEST_F(AlertPath, SaysWhatStandsInTheWay) {
    const RoutedAlertmanager prefixed(routed, {"--web.route-prefix=/am"});
    const auto ended = drill(to({prefixed.url(), "http://127.0.0.1:1", "http://no-such-host.invalid:9093"}));
    EXPECT_EQ(ended.code, 1);
    for (const char* text :
         {"FAIL asked    it answers 404: there is no API of Alertmanager below this URL",
          "FAIL asked    nothing listens there: does Alertmanager run", "0 of 3 Alertmanagers"})
        EXPECT_NE(ended.output.find(text), std::string::npos) << text << '\n' << ended.output;
    const auto right = drill(to({prefixed.url() + "/am"}), {"--severity", "warning"});
    EXPECT_EQ(right.code, 0) << right.output;
}

TEST_F(AlertPath, WhatAnswersMustBeAnAlertmanager) {
    const Installation installation("[daemon]\nreference = false\n");
    DaemonProcess other(installation);
    const auto ended = drill(to({"http://127.0.0.1:" + std::to_string(other.port())}));
    EXPECT_EQ(ended.code, 1);
    EXPECT_NE(ended.output.find("it answers 404"), std::string::npos) << ended.output;
    const auto none = drill("lang = \"zh\"\n");
    EXPECT_EQ(none.code, 1);
    EXPECT_NE(none.output.find("there is no Alertmanager to send to"), std::string::npos) << none.output;
    const auto invalid = drill("alertmanagers = [\"nonsense\"]\n");
    EXPECT_EQ(invalid.code, 1);
}

TEST_F(AlertPath, AnInterruptLeavesNoAlertStanding) {
    RoutedAlertmanager alertmanager(routed);
    const auto ended = held(alertmanager, [](practice::Process& process) { process.signal(SIGINT); });
    EXPECT_EQ(ended.code, 1);
    EXPECT_NE(ended.output.find("ok   resolved it is gone"), std::string::npos) << ended.output;
    EXPECT_NE(ended.output.find("livecanary: interrupted"), std::string::npos) << ended.output;
    EXPECT_EQ(alertmanager.standing(), 0U);
}

TEST_F(AlertPath, AnAlertmanagerThatIsGoneIsNotTakenForAResolvedAlert) {
    RoutedAlertmanager alertmanager(routed);
    const auto ended = held(alertmanager, [&](practice::Process& process) {
        alertmanager.stop();
        process.signal(SIGTERM);
    });
    EXPECT_EQ(ended.code, 1);
    EXPECT_NE(ended.output.find("FAIL resolved nothing listens there"), std::string::npos) << ended.output;
}

TEST_F(AlertPath, OverTlsWithAnAuthorityOfOnesOwn) {
    LIVECANARY_NEEDS(Need::tls_front);
    const RoutedAlertmanager alertmanager(routed);
    const CertificateFiles certificate({"127.0.0.1"});
    const TlsFront front(certificate, alertmanager.port());
    const std::string url = "https://127.0.0.1:" + std::to_string(front.port());
    const auto trusted = drill(to({url}) + "ca_file = \"" + certificate.certificate().string() + "\"\n",
                               {"--severity", "critical"});
    EXPECT_EQ(trusted.code, 0) << trusted.output;
    const auto stranger = drill(to({url}), {"--severity", "critical"});
    EXPECT_EQ(stranger.code, 1);
    EXPECT_NE(stranger.output.find("FAIL asked    its certificate is not accepted"), std::string::npos)
        << stranger.output;
}

}  // namespace
}  // namespace livecanary::test
