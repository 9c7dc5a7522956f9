// `livecanary bundle` and `livecanary doctor` beside a daemon that runs.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>

#include "tests/integration/daemon_process.hpp"

namespace livecanary::test {
namespace {

namespace json = boost::json;

class BundleReal : public testing::Test {
protected:
    static constexpr const char* key = "pu5h/key+of=the canary";
    static constexpr const char* key_in_base64 = "cHU1aC9rZXkrb2Y9dGhlIGNhbmFyeQ==";

    BundleReal() {
        installation.write("key", key);
        std::ofstream(log()) << "";
    }
    /// A push that nobody takes, and a log that tells of it.
    std::string config(std::uint16_t port) const {
        return "[daemon]\nlocation = \"sh\"\nstate_directory = \"" +
               (installation.path() / "state").string() +
               "\"\nreference = false\n[web]\nlisten = [\"127.0.0.1:" + std::to_string(port) +
               "\"]\n# the key was " + key_in_base64 +
               "\n[[probe]]\nname = \"push-main\"\nkind = \"rtmp_push\"\nurl = "
               "\"rtmp://127.0.0.1:1/live/canary-sh\"\n"
               "push_key = { file = \"key\" }\ninterval = \"200ms\"\ntimeout = \"6s\"\nmedia = \"1s\"\n"
               "[[probe]]\nname = \"backend-log\"\nkind = \"log_keywords\"\ninterval = \"200ms\"\npaths = "
               "[\"" +
               log() + "\"]\n";
    }
    std::string log() const { return (installation.path() / "backend.log").string(); }
    std::string archive() const { return (installation.path() / "b.tar.gz").string(); }
    Ended bundle(std::vector<std::string> more) const {
        std::vector<std::string> argv{"bundle", "--config.file", installation.config_file(), "-o", archive()};
        argv.insert(argv.end(), more.begin(), more.end());
        return livecanary(std::move(argv));
    }
    /// By tar itself.
    std::string unpacked() const {
        const auto folder = installation.path() / "unpacked";
        std::filesystem::create_directories(folder);
        const std::string command = "tar xzf " + archive() + " -C " + folder.string();
        EXPECT_EQ(std::system(command.c_str()), 0);
        return folder.string();
    }
    static std::string read(const std::string& path) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        return text.str();
    }

    Installation installation{""};
};

TEST_F(BundleReal, OfTheRunningDaemon) {
    const auto port = practice::free_port();
    installation.configure(config(port));
    DaemonProcess daemon(installation, {}, {"--web.listen-address", "127.0.0.1:" + std::to_string(port)});
    daemon.until_metric("push-main", "failures_total", 3);
    const auto result = json::parse(daemon.get("/api/v1/probes/push-main").body);
    const std::string started(
        result.at("data").at("probes").as_array().front().at("started").as_string().subview(0, 19));
    std::ofstream(log()) << started << " refused a push signed with " << key
                         << "\n2001-01-01 00:00:00 long ago\n";
    const auto ended = bundle({"push-main"});
    ASSERT_EQ(ended.code, 0) << ended.output;
    struct stat facts {};
    ASSERT_EQ(::stat(archive().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0600U);
    const std::string folder = unpacked();
    const auto run = json::parse(read(folder + "/results/push-main.json"));
    EXPECT_EQ(run.at("outcome").as_string(), "failed");
    EXPECT_EQ(run.at("reason").as_string(), "refused");
    EXPECT_FALSE(json::parse(read(folder + "/runs/push-main.json")).as_array().empty());
    const std::string cover = read(folder + "/cover.md");
    for (const char* text : {"# livecanary bundle: push-main", "**since**: ", "tcp: refused",
                             "the API of the running daemon", "# livecanary 诊断包：push-main"})
        EXPECT_NE(cover.find(text), std::string::npos) << text << '\n' << cover;
    // Only what belongs to the probe, but of the logs all.
    EXPECT_FALSE(std::filesystem::exists(folder + "/results/backend-log.json"));
    const std::string lines = read(folder + "/logs/backend-log/backend.log");
    EXPECT_NE(lines.find("refused a push signed with [redacted push-main.push_key 1]"), std::string::npos)
        << lines;
    EXPECT_EQ(lines.find("long ago"), std::string::npos);
    EXPECT_NE(read(folder + "/config/l.toml").find("# the key was [redacted push-main.push_key 1]"),
              std::string::npos);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (!entry.is_regular_file()) continue;
        const std::string text = read(entry.path());
        EXPECT_EQ(text.find(key), std::string::npos) << entry.path();
        EXPECT_EQ(text.find("cHU1aC9r"), std::string::npos) << entry.path();
    }
    EXPECT_EQ(bundle({"push-main"}).code, 1);
}

TEST_F(BundleReal, WithoutADaemonTheProbesAreRunIfAskedFor) {
    installation.configure(config(practice::free_port()));
    const auto without = bundle({});
    EXPECT_EQ(without.code, 0) << without.output;
    EXPECT_NE(without.output.find("there are no results in it: the daemon at http://127.0.0.1:"),
              std::string::npos)
        << without.output;
    const auto ended = bundle({"--run", "--force"});
    ASSERT_EQ(ended.code, 0) << ended.output;
    const std::string folder = unpacked();
    EXPECT_EQ(json::parse(read(folder + "/results/push-main.json")).at("reason").as_string(), "refused");
    EXPECT_TRUE(std::filesystem::exists(folder + "/results/backend-log.json"));
    EXPECT_NE(read(folder + "/cover.md").find("2 runs made for this bundle (--run)"), std::string::npos);
}

TEST_F(BundleReal, AfterTheDaemonsEndWhatItKeptOfAnIncident) {
    const auto port = practice::free_port();
    installation.configure(config(port));
    std::string run_id;
    {
        DaemonProcess daemon(installation);
        daemon.until("there is an incident", [&] {
            const auto said = json::parse(daemon.get("/api/v1/incidents?probe=push-main").body);
            const auto& all = said.at("data").at("incidents").as_array();
            if (all.empty()) return false;
            run_id = all.front().at("id").as_string();
            return true;
        });
        daemon.process().signal(SIGTERM);
        ASSERT_EQ(daemon.process().wait_for(std::chrono::seconds(20)), 0);
    }
    const auto ended = bundle({"push-main"});
    ASSERT_EQ(ended.code, 0) << ended.output;
    EXPECT_NE(
        ended.output.find("only the last failed results of open incidents are in it: the daemon at http://"),
        std::string::npos)
        << ended.output;
    const std::string folder = unpacked();
    EXPECT_EQ(json::parse(read(folder + "/results/push-main.json")).at("reason").as_string(), "refused");
    const auto incidents = json::parse(read(folder + "/incidents.json"));
    EXPECT_EQ(incidents.as_array().front().at("id").as_string(), run_id);
    const std::string since(incidents.as_array().front().at("opened").as_string());
    const std::string cover = read(folder + "/cover.md");
    EXPECT_NE(cover.find("**since**: " + since), std::string::npos) << cover;
    EXPECT_NE(cover.find("## Incidents, the newest first"), std::string::npos);
}

TEST_F(BundleReal, AFullDiskLeavesNothing) {
    installation.configure(config(practice::free_port()));
    // A file of any size is too large for this one.
    const practice::TemporaryDirectory folder;
    const std::string output = (folder.path() / "b.tar.gz").string();
    const std::string command = "ulimit -f 0; trap '' XFSZ; exec " LIVECANARY_BINARY
                                " bundle --config.file " +
                                installation.config_file() + " -o " + output;
    practice::Process process({.argv = {"/bin/bash", "-c", command}});
    EXPECT_EQ(process.wait_for(std::chrono::seconds(30)), 1);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(BundleReal, DoctorSaysALineForEachThing) {
    installation.configure(config(practice::free_port()));
    const auto ended = livecanary({"doctor", "--json", "--config.file", installation.config_file()});
    std::set<std::string> checks;
    bool fails = false;
    std::istringstream in(ended.output);
    for (std::string line; std::getline(in, line);) {
        const auto finding = json::parse(line);
        checks.insert(std::string(finding.at("check").as_string()));
        fails = fails || finding.at("level") == "fail";
        EXPECT_EQ(line.find(key), std::string::npos);
        if (finding.at("level") != "ok") {
            EXPECT_FALSE(finding.at("todo").as_string().empty()) << line;
        }
    }
    EXPECT_EQ(checks, (std::set<std::string>{"clock", "configuration", "credentials", "limits", "permissions",
                                             "resolver", "sandbox"}));
    EXPECT_EQ(ended.code, fails ? 1 : 0) << ended.output;
    const auto people = livecanary({"doctor", "--config.file", installation.config_file()});
    EXPECT_NE(people.output.find("ok   credentials: push-main.push_key: file "), std::string::npos)
        << people.output;
    EXPECT_NE(people.output.find(" warning"), std::string::npos);
    const auto nothing = livecanary({"doctor", "--config.file", "/nowhere/l.toml"});
    EXPECT_EQ(nothing.code, 1);
    EXPECT_NE(nothing.output.find("fail configuration: /nowhere/l.toml: 1 error"), std::string::npos)
        << nothing.output;
}

}  // namespace
}  // namespace livecanary::test
