// The binary itself: what its users, systemd and Prometheus rely on.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>

#include "daemon/schedule.hpp"
#include "tests/integration/daemon_process.hpp"
#include "tests/integration/servers.hpp"
#include "tests/support/scripted_peer.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* plain = R"(
[daemon]
reference = false
)";

std::string push_probe(const std::string& name, std::uint16_t port,
                       const std::string& more = "interval = \"1s\"\n") {
    return "[[probe]]\nkind = \"rtmp_push\"\nname = \"" + name +
           "\"\nurl = \"rtmp://127.0.0.1:" + std::to_string(port) + "/live/canary\"\n" + more;
}
std::string reference_probe(const std::string& name, const std::string& interval = "1s") {
    return "[[probe]]\nkind = \"reference\"\nname = \"" + name + "\"\ninterval = \"" + interval + "\"\n";
}
/// A name whose first run comes at once, however long its interval.
std::string early_name(std::chrono::milliseconds interval) {
    for (int i = 0;; ++i) {
        const std::string name = "early-" + std::to_string(i);
        if (daemon::Schedule::starting({}, interval, name).first() < Clock::time_point(100ms)) return name;
    }
}

/// Listens, takes connections into its queue, and never says a word.
struct SilentServer {
    asio::io_context io{};
    tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
    std::uint16_t port() const { return acceptor.local_endpoint().port(); }
};

class Daemon : public testing::Test {
protected:
    asio::io_context io{};
    ClosedPort closed{io};
    std::uint16_t refused = closed.endpoint().port();
    SilentServer silent{};
};

TEST_F(Daemon, ServesMetricsAndHealth) {
    const Installation installation(push_probe("push-main", refused));
    DaemonProcess daemon(installation);
    daemon.until_metric("push-main", "failures_total", 1);
    daemon.until_metric("reference", "runs_total", 1);
    const Scrape scrape = daemon.scrape();
    EXPECT_EQ(scrape.probe("push-main", "success"), 0);
    EXPECT_EQ(scrape.probe("reference", "success"), 1);
    EXPECT_EQ(scrape.at("livecanary_probe_failing", "reason=\"refused\""), 1);
    EXPECT_EQ(scrape.at("livecanary_config_last_reload_successful"), 1);
    EXPECT_EQ(scrape.probe("push-main", "in_maintenance"), 0);
    EXPECT_EQ(daemon.get("/-/healthy").status, 200);
    EXPECT_EQ(daemon.get("/-/ready").status, 200);
    const auto page = daemon.get("/");
    EXPECT_EQ(page.status, 200);
    EXPECT_NE(page.body.find("push-main"), std::string::npos);
    EXPECT_EQ(daemon.post("/-/reload").status, 403) << "not without --web.enable-lifecycle";
    EXPECT_NE(daemon.log().find("level=warn msg=\"probe failed\" probe=push-main kind=rtmp_push"),
              std::string::npos)
        << daemon.log();
}

TEST_F(Daemon, PromtoolFindsNothingToSayOfALiveScrape) {
    if (practice::find_program("promtool").empty()) {
        if (under_ci()) FAIL() << "promtool is missing: apt-get install prometheus";
        GTEST_SKIP() << "promtool is missing: apt-get install prometheus";
    }
    const Installation installation(push_probe("push-main", refused));
    DaemonProcess daemon(installation);
    daemon.until_metric("push-main", "failures_total", 1);
    daemon.until_metric("reference", "runs_total", 1);
    installation.write("scrape", daemon.scrape().text);
    practice::Process promtool({.argv = {"sh", "-c", "promtool check metrics < \"$SCRAPE\""},
                                .env = {{"SCRAPE", (installation.path() / "scrape").string()}},
                                .output = installation.path() / "promtool"});
    EXPECT_EQ(promtool.wait_for(30s), 0);
    EXPECT_EQ(promtool.output(), "");
}

TEST_F(Daemon, RunsAProbeNowForWhoeverIsUsedToBlackboxExporter) {
    const std::string name = "once-a-week";
    const Installation installation(std::string(plain) + push_probe(name, refused, "interval = \"7d\"\n"));
    DaemonProcess daemon(installation);
    const auto answer = daemon.get("/probe?probe=" + name);
    ASSERT_EQ(answer.status, 200) << answer.body;
    const Scrape scrape(answer.body);
    EXPECT_EQ(scrape.at("probe_success"), 0);
    EXPECT_EQ(scrape.at("probe_inconclusive"), 0);
    EXPECT_GT(scrape.at("probe_duration_seconds").value_or(0), 0);
    EXPECT_EQ(scrape.at("probe_failing", "phase=\"tcp\",reason=\"refused\""), 1);
    EXPECT_GE(daemon.scrape().probe(name, "failures_total").value_or(0), 1) << "it counts like any other";
    EXPECT_EQ(daemon.get("/probe?probe=rtmp://example.com/").status, 404);
    if (practice::find_program("promtool").empty()) return;
    installation.write("probe.txt", answer.body);
    practice::Process promtool(
        {.argv = {"/bin/sh", "-c",
                  "promtool check metrics < " + (installation.path() / "probe.txt").string()},
         .output = installation.path() / "promtool"});
    EXPECT_EQ(promtool.wait_for(10s), 0) << promtool.output();
}

TEST_F(Daemon, AnIncidentGoesOnAfterAKill) {
    const std::string config =
        std::string(plain) + push_probe("push-main", refused, "interval = \"200ms\"\n");
    const Installation installation(config);
    const auto incidents = [](const DaemonProcess& daemon) {
        return boost::json::parse(daemon.get("/api/v1/incidents").body).at("data").at("incidents").as_array();
    };
    boost::json::value before;
    {
        DaemonProcess daemon(installation);
        daemon.until("it alerts", [&] {
            const auto all = incidents(daemon);
            return all.size() == 1 && !all[0].at("alerted").is_null();
        });
        before = incidents(daemon)[0];
        // Alerting was stored when it began; a few runs later that is long done.
        const double failures = daemon.scrape().probe("push-main", "failures_total").value_or(0);
        daemon.until_metric("push-main", "failures_total", failures + 3);
        daemon.process().stop(SIGKILL);
    }
    std::filesystem::remove(installation.path() / "log");
    DaemonProcess daemon(installation);
    daemon.until_metric("push-main", "failures_total", 3);
    ASSERT_EQ(incidents(daemon).size(), 1U);
    const auto after = incidents(daemon)[0];
    for (const char* same : {"id", "opened", "alerted", "cause"})
        EXPECT_EQ(after.at(same), before.at(same)) << same;
    daemon.reload(installation, plain);
    daemon.until("it is over", [&] { return incidents(daemon)[0].at("state").as_string() == "closed"; });
    EXPECT_EQ(incidents(daemon)[0].at("probes").at(0).at("ended").as_string(), "removed");
    const auto status = boost::json::parse(daemon.get("/api/v1/status").body).at("data");
    EXPECT_EQ(status.at("incidents"), (boost::json::value{{"open", 0}, {"kept", 1}}));
    EXPECT_EQ(status.at("probes").at("configured"), 0);
    EXPECT_EQ(status.at("config").at("file").as_string(), installation.config_file());
    EXPECT_TRUE(status.at("state").at("trouble").is_null());
}

TEST_F(Daemon, EveryMetricStandsInItsDocumentWithItsType) {
    const Installation installation(push_probe("push-main", refused));
    DaemonProcess daemon(installation);
    daemon.until_metric("push-main", "failures_total", 1);
    daemon.until_metric("reference", "runs_total", 1);
    std::map<std::string, std::string> documented;
    std::istringstream lines(practice::read_file(LIVECANARY_SOURCE_DIR "/docs/metrics.md"));
    static const std::regex row(R"(\| `([a-z_]+)` \| (gauge|counter|histogram|summary) \|.*)");
    for (std::string line; std::getline(lines, line);)
        if (std::smatch found; std::regex_match(line, found, row)) documented[found[1]] = found[2];
    ASSERT_GT(documented.size(), 30U);
    for (const auto& [name, type] : daemon.scrape().types) {
        const auto at = documented.find(name);
        if (at == documented.end()) {
            ADD_FAILURE() << name << " is not in docs/metrics.md";
        } else {
            EXPECT_EQ(at->second, type) << name;
        }
    }
}

TEST_F(Daemon, ACorruptStateIsSetAside) {
    const Installation installation(push_probe("push-main", refused));
    std::filesystem::create_directory(installation.path() / "state");
    installation.write("state/state.sqlite", "this is no database, and long enough to see that");
    DaemonProcess daemon(installation);
    daemon.until_metric("push-main", "failures_total", 1);
    daemon.until("it says so", [&] {
        return daemon.log().find("msg=\"the state cannot be read: set aside, and begun anew\"") !=
               std::string::npos;
    });
    EXPECT_EQ(daemon.scrape().at("livecanary_state_write_failures_total"), 0);
    EXPECT_EQ(daemon.process().stop(), 0);
}

TEST_F(Daemon, WithoutAStateDirectoryItProbesAllTheSame) {
    const Installation installation(push_probe("push-main", refused));
    installation.write("file", "");
    DaemonProcess daemon(installation, {{"STATE_DIRECTORY", (installation.path() / "file").string()}});
    daemon.until_metric("push-main", "failures_total", 1);
    daemon.until("it says so", [&] {
        return daemon.log().find("msg=\"the state cannot be written: it is kept in memory only\"") !=
               std::string::npos;
    });
    EXPECT_EQ(daemon.process().stop(), 0);
}

TEST_F(Daemon, CleanupOfAnEmptyLedger) {
    const Installation installation(push_probe("push-main", refused));
    const std::map<std::string, std::string> env{{"STATE_DIRECTORY", installation.path().string()}};
    const Ended ended = livecanary({"cleanup", "--config.file", installation.config_file()}, env);
    EXPECT_EQ(ended.code, 0);
    EXPECT_EQ(ended.output, "Nothing stands in the ledger.\n");
    EXPECT_EQ(livecanary({"cleanup", "--config.file", "/no/such/file"}).code, 78);
}

TEST_F(Daemon, ReloadKeepsWhatDidNotChange) {
    const std::string stays = early_name(1h);
    const std::string common = plain + reference_probe(stays, "1h") + reference_probe("counts");
    const Installation installation(common + push_probe("goes", refused) + push_probe("changes", refused));
    DaemonProcess daemon(installation);
    daemon.until_metric(stays, "runs_total", 1);
    daemon.until_metric("counts", "runs_total", 2);
    daemon.until_metric("goes", "runs_total", 1);
    daemon.until_metric("changes", "failures_total", 2);

    const auto counted = daemon.scrape().probe("counts", "runs_total").value();
    daemon.reload(installation,
                  common + reference_probe("comes") +
                      push_probe("changes", refused, "interval = \"1h\"\nlabels = { team = \"live\" }\n"));
    daemon.until_metric("comes", "runs_total", 2);
    const Scrape after = daemon.scrape();
    EXPECT_EQ(after.probes(), (std::set<std::string>{stays, "counts", "comes", "changes"}));
    EXPECT_EQ(after.text.find("\"goes\""), std::string::npos);
    EXPECT_EQ(after.probe(stays, "runs_total"), 1) << "a new schedule would have begun with a run";
    EXPECT_GE(after.probe("counts", "runs_total").value(), counted);
    EXPECT_EQ(after.probe("changes", "interval_seconds"), 3600);
    EXPECT_LE(after.probe("changes", "runs_total").value(), 1) << "a changed probe begins anew";
    EXPECT_TRUE(after.at("livecanary_probe_info", "team=\"live\""));
}

TEST_F(Daemon, ABadConfigurationKeepsTheOldOneRunning) {
    const std::string good = plain + reference_probe("a");
    const Installation installation(good);
    DaemonProcess daemon(installation, {}, {"--web.enable-lifecycle"});
    daemon.until_metric("a", "runs_total", 1);
    const auto successful = [&] { return daemon.scrape().at("livecanary_config_last_reload_successful"); };
    daemon.reload(installation, good + "[[probe]]\nkind = \"rtmp_psh\"\nname = \"b\"\n");
    daemon.until("the reload is refused", [&] { return successful() == 0; });
    EXPECT_EQ(daemon.scrape().probes(), (std::set<std::string>{"a"}));
    daemon.until_metric("a", "runs_total", daemon.scrape().probe("a", "runs_total").value() + 1);
    EXPECT_NE(daemon.log().find("msg=\"configuration not reloaded, the old one stays in use\" mistakes="),
              std::string::npos);
    EXPECT_NE(daemon.log().find("did you mean 'rtmp_push'?"), std::string::npos) << daemon.log();

    const auto answer = daemon.post("/-/reload");
    EXPECT_EQ(answer.status, 400);
    EXPECT_NE(answer.body.find("did you mean 'rtmp_push'?"), std::string::npos) << answer.body;
    installation.configure(good);
    EXPECT_EQ(daemon.post("/-/reload").status, 200);
    EXPECT_EQ(successful(), 1);
    std::filesystem::remove(installation.config_file());
    daemon.process().signal(SIGHUP);
    daemon.until("the reload is refused", [&] { return successful() == 0; });
    daemon.until_metric("a", "runs_total", daemon.scrape().probe("a", "runs_total").value() + 1);
}

TEST_F(Daemon, AStormOfReloadsEndsInOneState) {
    // The probe "both" changes each time, and has a run under way that takes its time to be cut.
    const auto config = [&](int i) {
        const std::string both =
            push_probe("both", silent.port(), "interval = \"" + std::to_string(1000 + i) + "ms\"\n");
        return plain + both + reference_probe("stays") + reference_probe(i % 2 == 0 ? "even" : "odd");
    };
    const Installation installation(config(0));
    DaemonProcess daemon(installation);
    daemon.until_metric("stays", "runs_total", 1);
    for (int i = 1; i <= 200; ++i) daemon.reload(installation, i % 17 == 0 ? "no toml" : config(i));
    daemon.reload(installation, config(201));
    daemon.until("the last one is in use", [&] {
        const Scrape scrape = daemon.scrape();
        return scrape.probe("both", "interval_seconds") == 1.201 &&
               scrape.probe("odd", "runs_total").value_or(0) >= 1;
    });
    daemon.until("one run is under way",
                 [&] { return daemon.scrape().at("livecanary_runs_in_flight") == 1; });
    const Scrape after = daemon.scrape();
    EXPECT_EQ(after.probes(), (std::set<std::string>{"both", "stays", "odd"}));
    EXPECT_EQ(after.at("livecanary_config_last_reload_successful"), 1);
    EXPECT_EQ(daemon.get("/-/healthy").status, 200);
    int infos = 0;
    for (const auto& [name, value] : after.series) infos += name.starts_with("livecanary_probe_info{");
    EXPECT_EQ(infos, 3);
    EXPECT_EQ(daemon.process().stop(SIGTERM), 0);
}

class Stop : public Daemon, public testing::WithParamInterface<int> {};

TEST_P(Stop, EndsWithinFiveSecondsWithRunsUnderWay) {
    std::string config = plain;
    for (int i = 0; i < 10; ++i)
        config += push_probe("p" + std::to_string(i), silent.port(), "interval = \"1s\"\ntimeout = \"1m\"\n");
    const Installation installation(config);
    DaemonProcess daemon(installation);
    daemon.until("runs are under way", [&] { return daemon.scrape().at("livecanary_runs_in_flight") == 10; });

    // One client keeps its connection, one has sent half a request, one does not read its answers.
    const tcp::endpoint web(asio::ip::address_v4::loopback(), daemon.port());
    tcp::socket idle(io), half(io), deaf(io);
    for (auto* socket : {&idle, &half, &deaf}) socket->connect(web);
    const std::string request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    asio::write(idle, asio::buffer(request));
    std::array<char, 100> start{};
    idle.read_some(asio::buffer(start));
    asio::write(half, asio::buffer(request.substr(0, 20)));
    deaf.set_option(tcp::socket::receive_buffer_size(4096));
    std::string many;
    for (int i = 0; i < 500; ++i) many += request;
    asio::write(deaf, asio::buffer(many));

    daemon.process().signal(GetParam());
    EXPECT_EQ(daemon.process().wait_for(5s), 0) << daemon.log();
    EXPECT_NE(daemon.log().find("msg=stopped"), std::string::npos);
    EXPECT_EQ(daemon.log().find("level=error"), std::string::npos) << daemon.log();
}
INSTANTIATE_TEST_SUITE_P(, Stop, testing::Values(SIGTERM, SIGINT),
                         [](const auto& row) { return row.param == SIGTERM ? "SIGTERM" : "SIGINT"; });

/// systemd's end of NOTIFY_SOCKET.
class Systemd {
public:
    explicit Systemd(const std::filesystem::path& folder) : path_((folder / "notify").string()) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        const timeval patience{.tv_sec = 20, .tv_usec = 0};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        EXPECT_EQ(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    ~Systemd() { ::close(descriptor_); }
    Systemd(const Systemd&) = delete;
    Systemd& operator=(const Systemd&) = delete;

    const std::string& path() const { return path_; }
    std::string next() const {
        std::array<char, 4096> bytes;
        const auto size = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
        return {bytes.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
    }
    /// The next one that is no watchdog's.
    std::string next_state() {
        for (;;) {
            auto text = next();
            if (text != "WATCHDOG=1") return text;
            ++watchdogs;
        }
    }

    int watchdogs = 0;

private:
    std::string path_;
    int descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

TEST_F(Daemon, TellsSystemd) {
    const Installation installation(plain + reference_probe("a"));
    Systemd systemd(installation.path());
    DaemonProcess daemon(installation, {{"NOTIFY_SOCKET", systemd.path()}, {"WATCHDOG_USEC", "100000"}});
    EXPECT_EQ(systemd.next_state(), "READY=1\nSTATUS=running");
    daemon.process().signal(SIGHUP);
    const std::string reloading = systemd.next_state();
    EXPECT_TRUE(std::regex_match(reloading, std::regex("RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*")))
        << reloading;
    EXPECT_EQ(systemd.next_state(), "READY=1\nSTATUS=running");
    daemon.reload(installation, "no toml");
    EXPECT_TRUE(systemd.next_state().starts_with("RELOADING=1\n"));
    EXPECT_EQ(systemd.next_state(), "READY=1\nSTATUS=running; the last reload was refused");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(systemd.next(), "WATCHDOG=1");
    daemon.process().signal(SIGTERM);
    EXPECT_EQ(systemd.next_state(), "STOPPING=1");
    EXPECT_EQ(daemon.process().wait_for(5s), 0);
}

TEST_F(Daemon, LeavesAWatchdogOfAnotherProcessAlone) {
    const Installation installation(plain + reference_probe("a"));
    Systemd systemd(installation.path());
    DaemonProcess daemon(
        installation, {{"NOTIFY_SOCKET", systemd.path()}, {"WATCHDOG_USEC", "10000"}, {"WATCHDOG_PID", "1"}});
    daemon.until_metric("a", "runs_total", 1);
    daemon.process().signal(SIGTERM);
    EXPECT_EQ(systemd.next_state(), "READY=1\nSTATUS=running");
    EXPECT_EQ(systemd.next_state(), "STOPPING=1");
    EXPECT_EQ(systemd.watchdogs, 0);
}

TEST_F(Daemon, APortInUseIsOneAndAClearLine) {
    const Installation installation(plain);
    const auto ended = livecanary({"run", "--config.file", installation.config_file(), "--web.listen-address",
                                   "127.0.0.1:" + std::to_string(silent.port())});
    EXPECT_EQ(ended.code, 1);
    EXPECT_TRUE(std::regex_match(
        ended.output,
        std::regex("time=\\S+ level=error msg=\"cannot listen\" error=\"cannot listen on 127\\.0\\.0\\.1:" +
                   std::to_string(silent.port()) + ": Address already in use\"\n")))
        << ended.output;
}

TEST_F(Daemon, ABadConfigurationIs78) {
    const Installation installation("[[probe]]\nkind = \"rtmp_push\"\n");
    for (const auto* verb : {"run", "probe"}) {
        const auto ended = livecanary({verb, "--config.file", installation.config_file()});
        EXPECT_EQ(ended.code, 78);
        EXPECT_NE(ended.output.find(installation.config_file() + ":1:1: probe"), std::string::npos)
            << ended.output;
    }
    EXPECT_EQ(livecanary({"check-config", "--config.file", installation.config_file()}).code, 1);
    EXPECT_EQ(livecanary({"run", "--config.file", "/no/such/file"}).code, 78);
}

TEST_F(Daemon, WrongUsageIsTwo) {
    EXPECT_EQ(livecanary({}).code, 2);
    EXPECT_EQ(livecanary({"rum"}).code, 2);
    EXPECT_EQ(livecanary({"run", "--no.such.option"}).code, 2);
    EXPECT_EQ(livecanary({"run", "--log.level=loud"}).code, 2);
    EXPECT_EQ(livecanary({"probe", "--json", "--nagios"}).code, 2);
    EXPECT_EQ(livecanary({"sign"}).code, 2);
    EXPECT_EQ(livecanary({"causes", "no_such_cause"}).code, 2);
    EXPECT_EQ(livecanary({"version"}).code, 0);
}

TEST_F(Daemon, LogsJson) {
    const Installation installation(plain + push_probe("a", refused));
    practice::Process process({.argv = {LIVECANARY_BINARY, "run", "--config.file", installation.config_file(),
                                        "--web.listen-address", "127.0.0.1:0", "--log.format=json"},
                               .env = {{"STATE_DIRECTORY", installation.path().string()}},
                               .output = installation.path() / "log"});
    while (process.output().find("probe failed") == std::string::npos) ASSERT_FALSE(process.wait_for(10ms));
    EXPECT_EQ(process.stop(SIGTERM), 0);
    std::istringstream lines(process.output());
    for (std::string line; std::getline(lines, line);)
        EXPECT_TRUE(line.starts_with("{\"time\":\"") && line.ends_with("}")) << line;
}

TEST_F(Daemon, TellsNoSecret) {
    const std::array secrets{"s3cret-of-a-file", "s3cret-of-the-environment", "s3cret-of-systemd",
                             "s3cret-in-plain-text", "s3cretinaquery"};
    const std::string config =
        plain + push_probe("file", refused, "interval = \"1s\"\npush_key = { file = \"key\" }\n") +
        push_probe(
            "env", silent.port(),
            "interval = \"1s\"\nmedia = \"1s\"\ntimeout = \"1100ms\"\npush_key = { env = \"PUSH_KEY\" }\n") +
        push_probe("credential", refused,
                   "interval = \"1s\"\npush_key = { credential = \"key\" }\nbackup_key = "
                   "\"s3cret-in-plain-text\"\n") +
        "[[probe]]\nkind = \"rtmp_push\"\nname = \"query\"\ninterval = \"1s\"\nurl = \"rtmp://127.0.0.1:" +
        std::to_string(refused) + "/live/a?txSecret=s3cretinaquery&txTime=5C271099\"\n";
    const Installation installation(config);
    installation.write("key", std::string(secrets[0]) + "\n");
    std::filesystem::create_directory(installation.path() / "credentials");
    installation.write("credentials/key", secrets[2]);
    const std::map<std::string, std::string> env{
        {"PUSH_KEY", secrets[1]}, {"CREDENTIALS_DIRECTORY", (installation.path() / "credentials").string()}};
    DaemonProcess daemon(installation, env, {"--log.level=debug"});
    for (const auto* probe : {"file", "env", "credential", "query"})
        daemon.until_metric(probe, "failures_total", 3);
    // Mistakes show their lines.
    daemon.reload(installation,
                  config + "push_key = \"s3cret-in-plain-text\"\nbackup_key = 5\n" +
                      "[[probe]]\nkind = \"rtmp_push\"\nname = \"n\"\npsh_key = \"s3cret-in-plain-text\"\n");
    daemon.until("the reload is refused",
                 [&] { return daemon.scrape().at("livecanary_config_last_reload_successful") == 0; });
    std::map<std::string, std::string> said{
        {"/metrics", daemon.get("/metrics").body},
        {"/", daemon.get("/").body},
        {"cmdline", practice::read_file("/proc/" + std::to_string(daemon.process().pid()) + "/cmdline")}};
    EXPECT_EQ(daemon.process().stop(SIGTERM), 0);
    said["log"] = daemon.log();
    said["check-config of mistakes"] =
        livecanary({"check-config", "--config.file", installation.config_file()}, env).output;
    installation.configure(config);
    const std::vector<std::vector<std::string>> verbs{
        {"check-config"}, {"probe", "--all"}, {"probe", "--all", "--json"}, {"probe", "--all", "--nagios"}};
    for (const auto& verb : verbs) {
        auto arguments = verb;
        arguments.insert(arguments.end(), {"--config.file", installation.config_file()});
        said[verb.back()] = livecanary(arguments, env).output;
    }
    for (const auto& [where, text] : said) {
        EXPECT_FALSE(text.empty()) << where;
        for (const auto* secret : secrets)
            EXPECT_EQ(text.find(secret), std::string::npos) << where << ":\n" << text;
        EXPECT_FALSE(std::regex_search(text, std::regex("txSecret=[0-9a-f]{32}"))) << where << ":\n" << text;
    }
}

/// What the verb prints on a terminal.
std::string on_a_terminal(const Installation& installation, std::map<std::string, std::string> env) {
    env["COMMAND"] =
        std::string(LIVECANARY_BINARY) + " probe --all --config.file " + installation.config_file();
    practice::Process script({.argv = {"sh", "-c", "script -qec \"$COMMAND\" /dev/null"},
                              .env = std::move(env),
                              .output = installation.path() / "typescript"});
    EXPECT_EQ(script.wait_for(30s), 1);
    const auto text = script.output();
    std::filesystem::remove(installation.path() / "typescript");
    return text;
}

TEST_F(Daemon, ColourIsForTerminalsThatWantIt) {
    const Installation installation(plain + push_probe("a", refused));
    const std::regex colour("\033\\[[0-9]+m");
    EXPECT_TRUE(std::regex_search(on_a_terminal(installation, {{"NO_COLOR", ""}}), colour));
    const auto without = on_a_terminal(installation, {{"NO_COLOR", "1"}});
    EXPECT_FALSE(std::regex_search(without, colour)) << without;
    EXPECT_NE(without.find("FAIL tcp"), std::string::npos) << without;
    const auto piped = livecanary({"probe", "--all", "--config.file", installation.config_file()});
    EXPECT_EQ(piped.code, 1);
    EXPECT_EQ(piped.output.find('\033'), std::string::npos) << piped.output;
}

TEST_F(Daemon, HelpFitsAScreen) {
    const std::vector<std::vector<std::string>> verbs{{},
                                                      {"run"},
                                                      {"check-config"},
                                                      {"probe"},
                                                      {"causes"},
                                                      {"sign"},
                                                      {"sign", "push-url"},
                                                      {"sign", "play-url"},
                                                      {"sign", "cos"},
                                                      {"sign", "cos-v4"},
                                                      {"sign", "cdn"},
                                                      {"cleanup"},
                                                      {"version"}};
    for (const auto& verb : verbs) {
        auto arguments = verb;
        arguments.emplace_back("--help");
        const auto ended = livecanary(arguments);
        EXPECT_EQ(ended.code, 0);
        std::istringstream lines(ended.output);
        int count = 0;
        for (std::string line; std::getline(lines, line); ++count) {
            const auto columns = std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; });
            // The usage line shows the path of the binary.
            EXPECT_TRUE(columns <= 100 || line.starts_with("Usage: ")) << line;
        }
        EXPECT_LE(count, 24) << ended.output;
        EXPECT_GT(count, 3) << ended.output;
    }
}

}  // namespace
}  // namespace livecanary::test
