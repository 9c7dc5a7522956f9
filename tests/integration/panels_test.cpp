// Every query of the Grafana dashboards, asked of Debian's Prometheus while it scrapes a daemon that watches
// the practice stack: each has to return something, those about failures once something is broken. What
// Grafana would put in for its variables is put in here; that Grafana itself draws it is not shown.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <boost/algorithm/string/replace.hpp>
#include <boost/json.hpp>

#include "tests/integration/servers.hpp"
#include "tests/practice/drill_stack.hpp"
#include "tests/practice/faults.hpp"
#include "tests/practice/http.hpp"
#include "tests/practice/mariadb.hpp"
#include "tests/support/name_server.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;
using practice::DrillStack;

/// One query of a dashboard: of a panel, an annotation or a variable.
struct PanelQuery {
    std::string dashboard, place, expr;
    bool instant = false;
    std::string label{};  ///< of a variable: whose values are asked for
};

std::string text_at(const json::object& object, const char* key) {
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

/// As Grafana does with "All" chosen everywhere and a scrape interval of a second. What is added so that a
/// panel shows 0 instead of nothing would also answer for a metric that is not there.
std::string as_grafana_asks(std::string expr, const std::string& probe = ".+") {
    for (const auto& [variable, value] : std::map<std::string, std::string>{{"$__rate_interval", "10s"},
                                                                            {"$__range", "1m"},
                                                                            {"$instance", ".+"},
                                                                            {"$kind", ".+"},
                                                                            {"$probe", probe},
                                                                            {" or vector(0)", ""}})
        boost::replace_all(expr, variable, value);
    return expr;
}

std::vector<PanelQuery> queries_of(const json::object& board, const std::string& probe = ".+") {
    std::vector<PanelQuery> queries;
    const std::string uid = text_at(board, "uid");
    for (const auto& value : board.at("panels").as_array()) {
        const json::object& panel = value.as_object();
        const auto* const targets = panel.if_contains("targets");
        if (targets == nullptr) continue;
        for (const auto& target : targets->as_array()) {
            const json::object& query = target.as_object();
            queries.push_back({.dashboard = uid,
                               .place = text_at(panel, "title") + " (" + text_at(query, "refId") + ")",
                               .expr = as_grafana_asks(text_at(query, "expr"), probe),
                               .instant = query.at("instant").as_bool()});
        }
    }
    for (const auto& value : board.at("annotations").at("list").as_array())
        queries.push_back({.dashboard = uid,
                           .place = "annotation " + text_at(value.as_object(), "name"),
                           .expr = as_grafana_asks(text_at(value.as_object(), "expr"), probe)});
    for (const auto& value : board.at("templating").at("list").as_array()) {
        const json::object& variable = value.as_object();
        if (text_at(variable, "type") != "query") continue;
        std::string asked = text_at(variable, "definition");
        const auto comma = asked.rfind(", ");
        const std::string label = asked.substr(comma + 2, asked.size() - comma - 3);
        asked =
            asked.substr(std::string("label_values(").size(), comma - std::string("label_values(").size());
        queries.push_back({.dashboard = uid,
                           .place = "variable " + text_at(variable, "name"),
                           .expr = as_grafana_asks(asked, probe),
                           .instant = true,
                           .label = label});
    }
    return queries;
}

std::map<std::string, json::object> shipped_dashboards() {
    std::map<std::string, json::object> boards;
    const std::filesystem::path folder(LIVECANARY_SOURCE_DIR "/dashboards/grafana");
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".json") continue;
        json::object board = json::parse(practice::read_file(entry.path())).as_object();
        boards[text_at(board, "uid")] = std::move(board);
    }
    return boards;
}

std::string url_encoded(const std::string& text) {
    static const char digits[] = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
            encoded += c;
            continue;
        }
        encoded += '%';
        encoded += digits[static_cast<unsigned char>(c) >> 4U];
        encoded += digits[static_cast<unsigned char>(c) & 15U];
    }
    return encoded;
}

double unix_now() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// prometheus, with the rules that are shipped, scraping and evaluating each second.
class PanelsPrometheus {
public:
    /// `targets`: host:port of the scrape job livecanary.
    PanelsPrometheus(const std::filesystem::path& folder, const std::vector<std::string>& targets)
        : port_(practice::free_port()), began_(unix_now()) {
        std::string list;
        for (const auto& target : targets) list += "\"" + target + "\", ";
        std::ofstream(folder / "prometheus.yml")
            << "global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: "
               "['" LIVECANARY_SOURCE_DIR
               "/dashboards/prometheus/livecanary.rules.yml']\nscrape_configs:\n  - job_name: livecanary\n   "
               " "
               "static_configs: [{ targets: ["
            << list << "], labels: { location: practice } }]\n";
        process_.emplace(
            practice::Command{.argv = {"prometheus", "--config.file=" + (folder / "prometheus.yml").string(),
                                       "--storage.tsdb.path=" + (folder / "tsdb").string(),
                                       "--web.listen-address=127.0.0.1:" + std::to_string(port_)},
                              .output = folder / "prometheus.log"});
        if (!practice::wait_until_listening("127.0.0.1", port_, *process_, 30s))
            throw std::runtime_error("no Prometheus: " + process_->output());
    }

    /// The series that it answers with, of the whole time or of now. Throws on an error of the query.
    json::array ask(const PanelQuery& query) const {
        const std::string expr = "query=" + url_encoded(query.expr);
        const std::string now = std::to_string(unix_now());
        const auto answer = practice::ask(
            "127.0.0.1", port_, "GET",
            query.instant
                ? "/api/v1/query?" + expr
                : "/api/v1/query_range?" + expr + "&step=1&start=" + std::to_string(began_) + "&end=" + now);
        // It answers a while before it is ready.
        if (answer.status == 503) return {};
        if (answer.status != 200) throw std::runtime_error(query.place + ": " + answer.body);
        return json::parse(answer.body).at("data").at("result").as_array();
    }
    /// Whether a panel would show something: a number, or of a variable a value to choose.
    bool shows_something(const PanelQuery& query) const {
        const json::array result = ask(query);
        return std::ranges::any_of(result, [&](const json::value& series) {
            const json::object& found = series.as_object();
            if (!query.label.empty())
                return !text_at(found.at("metric").as_object(), query.label.c_str()).empty();
            const auto is_number = [](const json::value& sample) {
                return std::isfinite(std::stod(std::string(sample.as_array().at(1).as_string())));
            };
            return query.instant ? is_number(found.at("value"))
                                 : std::ranges::any_of(found.at("values").as_array(), is_number);
        });
    }

private:
    std::uint16_t port_;
    double began_;
    std::optional<practice::Process> process_{};
};

class PanelsReal : public testing::Test {
protected:
    void SetUp() override {
        LIVECANARY_NEEDS(Need::nginx_rtmp);
        LIVECANARY_NEEDS(Need::nginx);
        LIVECANARY_NEEDS(Need::tls_front);
        for (const char* program : {"prometheus", "prometheus-alertmanager"})
            if (practice::find_program(program).empty()) absent_ = std::string("apt-get install ") + program;
        if (!practice::BackendStack::installed()) absent_ = "apt-get install mariadb-server redis-server";
        if (absent_.empty()) return;
        if (under_ci()) FAIL() << absent_;
        GTEST_SKIP() << absent_;
    }

private:
    std::string absent_{};
};

/// A name server for what is not looked for at a given address.
class PanelsNames {
public:
    PanelsNames() {
        for (const char* name : {DrillStack::push_domain, DrillStack::play_domain,
                                 "cover-1250000000.cos.ap-shanghai.myqcloud.com"})
            server_.set(name, {.addresses = {"127.0.0.1"}});
        server_.set("cover.cdn.example.com", {.addresses = {"127.0.0.2", "127.0.0.3"}});
    }
    ~PanelsNames() { io_.stop(); }
    PanelsNames(const PanelsNames&) = delete;
    PanelsNames& operator=(const PanelsNames&) = delete;
    std::string address() const { return server_.address(); }

private:
    asio::io_context io_{1};
    NameServer server_{io_};
    std::jthread thread_{[this] { io_.run(); }};
};

/// A replica, which mysql probes can look at, and its source.
class PanelsReplica {
public:
    PanelsReplica() {
        source_.execute(
            "CREATE USER replication@'%' IDENTIFIED BY 'r'; GRANT REPLICATION SLAVE ON *.* TO "
            "replication@'%'");
        replica_.execute(
            "CREATE DATABASE live_demo; CREATE USER monitor@'%' IDENTIFIED BY 'the-password'; GRANT SELECT "
            "ON "
            "live_demo.* TO monitor@'%'; GRANT REPLICA MONITOR ON *.* TO monitor@'%'; "
            "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = " +
            std::to_string(source_.port()) +
            ", MASTER_USER = 'replication', MASTER_PASSWORD = 'r', MASTER_USE_GTID = slave_pos; START SLAVE");
    }
    std::uint16_t port() const { return replica_.port(); }

private:
    practice::MariaDb source_{{"--log-bin=source", "--server-id=1", "--skip-name-resolve"}};
    practice::MariaDb replica_{{"--server-id=2", "--skip-name-resolve", "--skip-slave-start"}};
};

/// A user whose replays are no other probe's: recordings of one user that overlap are one to the backend.
constexpr const char* walker = "walker";

constexpr const char* more_probes = R"(
[alerting]
alertmanagers = ["http://127.0.0.1:@ALERTMANAGER@", "http://127.0.0.1:@NOBODY@"]

[dns]
servers = ["@NAMES@"]

# Runs that overlap, that are in maintenance, and a certificate that nobody signed.
[[probe]]
kind = "rtmp_push"
name = "too-often"
url = "rtmp://push.example.com:@RTMP@/live/often"
address = "127.0.0.1"
push_key = { file = "@KEYS@/main" }
media = "1s"
interval = "1s"
timeout = "6s"

[[probe]]
kind = "rtmp_push"
name = "in-maintenance"
maintenance = ["00:00-24:00"]
url = "rtmp://push.example.com:@RTMP@/live/planned"
address = "127.0.0.1"
push_key = { file = "@KEYS@/main" }
media = "1s"
interval = "5s"
timeout = "5s"

[[probe]]
kind = "rtmp_push"
name = "own-certificate"
url = "rtmps://push.example.com:@RTMPS@/live/secret"
address = "127.0.0.1"
push_key = { file = "@KEYS@/main" }
media = "1s"
interval = "4s"
timeout = "4s"

# Long enough for a segment or two.
[[probe]]
kind = "rtmp_push"
name = "over-hls"
url = "@PLAYED@"
address = "127.0.0.1"
push_key = { file = "@KEYS@/main" }
media = "5s"
interval = "12s"
timeout = "15s"
[[probe.playback]]
url = "http://play.example.com:@FRONT@/live/shown.m3u8"
address = "127.0.0.1"
key = { file = "@KEYS@/play" }

# Names that are looked up, and each of their addresses.
[[probe]]
kind = "rtmp_push"
name = "by-name"
url = "rtmp://push.example.com:@PLAYED_RTMP@/live/named"
push_key = { file = "@KEYS@/main" }
media = "2s"
interval = "6s"
timeout = "6s"
[[probe.playback]]
url = "rtmp://play.example.com:@PLAYED_RTMP@/live/named"
every_address = true
key = { file = "@KEYS@/play" }

# One of each kind that fails.
[[probe]]
kind = "cos_roundtrip"
name = "cover-wrong-key"
bucket = "cover-1250000000"
region = "ap-shanghai"
secret_id = "AKIDmonitor"
secret_key = { file = "@KEYS@/wrong" }
endpoint = "http://cover-1250000000.cos.ap-shanghai.myqcloud.com:@STORE@"
interval = "4s"
timeout = "4s"

[[probe]]
kind = "cdn_fetch"
name = "cdn-wrong-key"
after = "cover-bucket"
domain = "cover.cdn.example.com"
scheme = "http"
port = @EDGE@
every_address = true
auth = { type = "A", key = { file = "@KEYS@/wrong" } }
interval = "4s"
timeout = "4s"

[[probe]]
kind = "callback"
name = "callback-wrong-key"
url = "@BACKEND@/callback/tape_callback.php"
key = { file = "@KEYS@/wrong" }
interval = "4s"
timeout = "4s"

[[probe]]
kind = "mysql"
name = "db-wrong-password"
host = "127.0.0.1"
port = @DATABASE@
user = "live_monitor"
password = { file = "@KEYS@/wrong" }
database = "live_demo"
interval = "4s"
timeout = "4s"

[[probe]]
kind = "mysql"
name = "replica"
host = "127.0.0.1"
port = @REPLICA@
user = "monitor"
password = { file = "@KEYS@/replica" }
database = "live_demo"
read_only = false
replication = { max_lag = "30s" }
interval = "4s"
timeout = "4s"

[[probe]]
kind = "backend_api"
name = "backend-wrong-password"
url = "@BACKEND@"
userid = "@USER@"
password = { file = "@KEYS@/wrong" }
interval = "4s"
timeout = "4s"

# The whole way, once, and its beginning again and again.
[[probe]]
kind = "journey"
name = "replay"
push = "push-main"
callback = "cloud-events"
rows = { mysql = "replay-db", table = "tb_vod" }
list = "mini-live"
playback = true
mutates = true
length = "61s"
userid = "@WALKER@"
interval = "24h"
timeout = "3m"
deadlines = { callback = "15s", row = "10s", list = "10s", playback = "10s" }

[[probe]]
kind = "journey"
name = "beginning"
push = "push-main"
callback = "cloud-events"
length = "5s"
userid = "@USER@"
interval = "15s"
timeout = "20s"
deadlines = { callback = "6s" }
)";

/// What the drill's stack lacks, so that every panel of every kind has something to show, failures too.
class PanelsWorld {
public:
    PanelsWorld() : stack_(folder_.path() / "stack"), tls_(certificate_, stack_.nginx.rtmp_port()) {
        played_.hook.know(DrillStack::play_domain, {.play_key = play_key, .push = false});
        // An event that a busy disk keeps the backend from storing in time is lost, and so is the replay.
        stack_.told.forward_within = 15s;
        stack_.write_config();
        alertmanager();
        std::filesystem::create_directories(more().parent_path());
        write(stack_.config().parent_path() / "keys" / "wrong", "wrongkey12345");
        write(stack_.config().parent_path() / "keys" / "replica", "the-password");
        write(more(), toml());
        stack_.backend.mariadb.execute(std::string("INSERT INTO live_demo.tb_room(userid, title) VALUES ('") +
                                       walker + "', 'canary')");
        daemon_.emplace(practice::Command{
            .argv = {LIVECANARY_BINARY, "run", "--config.file", stack_.config().string(),
                     "--web.listen-address", "127.0.0.1:" + std::to_string(port_), "--web.enable-lifecycle"},
            .output = folder_.path() / "daemon.log"});
        if (!practice::wait_until_listening("127.0.0.1", port_, *daemon_, 30s))
            throw std::runtime_error("no daemon: " + daemon_->output());
        prometheus_.emplace(folder_.path(),
                            std::vector{"127.0.0.1:" + std::to_string(port_),
                                        "127.0.0.1:" + std::to_string(practice::free_port())});
    }
    const PanelsPrometheus& prometheus() const { return *prometheus_; }
    /// Whatever its interval.
    void run_now(const std::string& probe) const {
        const auto answer = practice::ask("127.0.0.1", port_, "POST", "/api/v1/probes/" + probe + "/run");
        if (answer.status >= 400) throw std::runtime_error(probe + " was not run: " + answer.body);
    }
    /// Looks again and again until it `happened`; false after `patience`. Throws if the daemon ends.
    bool comes_to(const std::function<bool()>& happened, std::chrono::seconds patience) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        do {
            if (happened()) return true;
            if (daemon_->wait_for(500ms)) throw std::runtime_error("the daemon ended: " + daemon_->output());
            // A log_keywords probe fails only for a while after a line.
            if (broken_) stack_.log("mysqli_connect failed, error: Too many connections");
        } while (std::chrono::steady_clock::now() < deadline);
        return false;
    }
    /// The cloud's callbacks get lost, the logs complain, and somebody reloads a configuration with a
    /// mistake.
    void break_it() {
        broken_ = true;
        const auto& faults = practice::drill_faults();
        const auto fault =
            std::ranges::find(faults, std::string("callback-template-not-bound"), &practice::Fault::id);
        fault->apply(stack_);
        write(more().parent_path() / "zz.toml", "[web]\nno_such_key = 1\n");
        daemon_->signal(SIGHUP);
    }
    std::string log() const { return daemon_->output(); }

private:
    static constexpr const char* play_key = "practice-play-key";

    std::filesystem::path more() const { return stack_.config().parent_path() / "conf.d" / "panels.toml"; }
    static void write(const std::filesystem::path& file, const std::string& text) {
        std::ofstream(file) << text;
        std::filesystem::permissions(
            file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    }
    void alertmanager() {
        std::ofstream(folder_.path() / "alertmanager.yml")
            << "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n";
        alertmanager_.emplace(
            practice::Command{.argv = {"prometheus-alertmanager",
                                       "--config.file=" + (folder_.path() / "alertmanager.yml").string(),
                                       "--storage.path=" + (folder_.path() / "alertmanager").string(),
                                       "--web.listen-address=127.0.0.1:" + std::to_string(alertmanager_port_),
                                       "--cluster.listen-address="},
                              .output = folder_.path() / "alertmanager.log"});
        if (!practice::wait_until_listening("127.0.0.1", alertmanager_port_, *alertmanager_, 30s))
            throw std::runtime_error("no Alertmanager: " + alertmanager_->output());
    }
    std::string toml() const {
        std::string text = more_probes;
        for (const auto& [name, value] :
             std::map<std::string, std::string>{{"ALERTMANAGER", std::to_string(alertmanager_port_)},
                                                {"NAMES", names_.address()},
                                                {"NOBODY", std::to_string(practice::free_port())},
                                                {"KEYS", (stack_.config().parent_path() / "keys").string()},
                                                {"RTMPS", std::to_string(tls_.port())},
                                                {"RTMP", std::to_string(stack_.nginx.rtmp_port())},
                                                {"PLAYED", played_.url("shown")},
                                                {"PLAYED_RTMP", std::to_string(played_.nginx.rtmp_port())},
                                                {"FRONT", std::to_string(front_.port())},
                                                {"STORE", std::to_string(stack_.cos.port())},
                                                {"EDGE", std::to_string(stack_.cover_cdn.port())},
                                                {"DATABASE", std::to_string(stack_.backend.mariadb.port())},
                                                {"REPLICA", std::to_string(replica_.port())},
                                                {"BACKEND", stack_.backend.backend.url()},
                                                {"USER", practice::BackendStack::userid},
                                                {"WALKER", walker}})
            boost::replace_all(text, "@" + name + "@", value);
        return text;
    }

    practice::TemporaryDirectory folder_{"livecanary-panels"};
    std::uint16_t port_ = practice::free_port(), alertmanager_port_ = practice::free_port();
    DrillStack stack_;
    CertificateFiles certificate_{};
    TlsFront tls_;
    NginxStack played_{practice::NginxRtmp::Options{.hls = true}};
    practice::PlayFront front_{{.hls = played_.nginx.hls(), .hook_port = played_.hook.port()}};
    PanelsReplica replica_{};
    PanelsNames names_{};
    bool broken_ = false;
    std::optional<practice::Process> alertmanager_{}, daemon_{};
    std::optional<PanelsPrometheus> prometheus_{};
};

/// Hop → what the hop table says of it: 0 broken, 1 ok, 2 not reached.
using Hops = std::map<std::string, std::string>;

TEST_F(PanelsReal, ShowWhatIsAndWhatIsBroken) {
    const auto boards = shipped_dashboards();
    std::vector<PanelQuery> pending;
    for (const auto& [uid, board] : boards)
        for (PanelQuery& query : queries_of(board)) pending.push_back(std::move(query));
    ASSERT_GE(boards.size(), 10U);
    const std::size_t all = pending.size();

    PanelsWorld world;
    const auto hops_of = [&](const std::string& journey) {
        Hops hops;
        for (const PanelQuery& query : queries_of(boards.at("livecanary-journey"), journey)) {
            if (query.place != "Hops (A)") continue;
            for (const auto& series : world.prometheus().ask(query))
                hops[text_at(series.at("metric").as_object(), "hop")] =
                    series.at("value").as_array().at(1).as_string();
        }
        return hops;
    };
    const auto comes_to = [&](const std::string& journey, const Hops& hops, std::chrono::seconds patience) {
        if (world.comes_to([&] { return hops_of(journey) == hops; }, patience)) return;
        ADD_FAILURE() << journey << " is " << json::serialize(json::value_from(hops_of(journey))) << '\n'
                      << world.log();
    };
    world.run_now("replay");
    comes_to("beginning",
             {{"1 push", "1"}, {"2 callback", "1"}, {"3 row", "2"}, {"4 list", "2"}, {"5 playback", "2"}},
             60s);
    comes_to("replay",
             {{"1 push", "1"}, {"2 callback", "1"}, {"3 row", "1"}, {"4 list", "1"}, {"5 playback", "1"}},
             150s);

    const auto ask_the_rest = [&] {
        std::erase_if(pending,
                      [&](const PanelQuery& query) { return world.prometheus().shows_something(query); });
        return pending.empty();
    };
    ask_the_rest();
    const std::size_t of_the_well = all - pending.size();
    world.break_it();
    world.run_now("beginning");
    comes_to("beginning",
             {{"1 push", "1"}, {"2 callback", "0"}, {"3 row", "2"}, {"4 list", "2"}, {"5 playback", "2"}},
             90s);
    EXPECT_TRUE(world.comes_to(ask_the_rest, 60s));
    for (const PanelQuery& query : pending)
        ADD_FAILURE() << query.dashboard << ": " << query.place << " shows nothing:\n" << query.expr;
    if (HasFailure()) std::cerr << world.log();
    std::cout << all << " queries of " << boards.size() << " dashboards, " << of_the_well
              << " of them answered before anything was broken on purpose\n";
}

}  // namespace
}  // namespace livecanary::test
