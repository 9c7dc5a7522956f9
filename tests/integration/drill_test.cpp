// `livecanary drill` itself: a row of each kind of probe. The whole matrix is docs/drill.md.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "tests/integration/daemon_process.hpp"
#include "tests/integration/servers.hpp"
#include "tests/practice/backend.hpp"
#include "tests/practice/cdn_edge.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;

class Drill : public testing::Test {
protected:
    void SetUp() override {
        LIVECANARY_NEEDS(Need::nginx_rtmp);
        LIVECANARY_NEEDS(Need::nginx);
        if (!practice::BackendStack::installed()) GTEST_SKIP() << "mariadb-server or redis-server is absent";
    }
    /// Its temporary files go to a folder of the test's, so that what is left of them can be seen.
    practice::Command command(std::vector<std::string> arguments) const {
        std::vector<std::string> argv{LIVECANARY_BINARY, "drill"};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        return {.argv = std::move(argv), .env = {{"TMPDIR", temporary().string()}}, .output = said()};
    }
    std::filesystem::path temporary() const { return folder.path() / "tmp"; }
    std::filesystem::path said() const { return folder.path() / "said"; }
    void expect_nothing_left() const { EXPECT_TRUE(std::filesystem::is_empty(temporary())); }
    practice::TemporaryDirectory folder{"livecanary-drill-test"};

public:
    Drill() { std::filesystem::create_directory(temporary()); }
};

TEST_F(Drill, NamesAFaultOfEachKind) {
    const std::vector<std::string> faults{
        "push-main-key-changed", "play-key-changed",     "cos-backend-bucket",
        "cdn-url-key-changed",   "db-column-renamed",    "redis-down",
        "callback-template-key", "log-im-registrations", "journey-two-rows"};
    std::vector<std::string> arguments{"--json"};
    for (const auto& fault : faults) arguments.insert(arguments.end(), {"--fault", fault});
    practice::Process drill(command(arguments));
    const auto status = drill.wait_for(400s);
    const std::string text = practice::read_file(said());
    EXPECT_EQ(status, 0) << text;
    std::istringstream lines(text);
    std::size_t rows = 0;
    for (std::string line; std::getline(lines, line); ++rows) {
        const boost::json::value row = boost::json::parse(line);
        EXPECT_TRUE(row.at("right").as_bool()) << line;
        EXPECT_EQ(row.at("wrong").as_array().size(), 0U) << line;
    }
    EXPECT_EQ(rows, faults.size()) << text;
    expect_nothing_left();
}

TEST_F(Drill, NothingIsSaidAgainstAHealthyStack) {
    practice::Process drill(command({"--healthy", "20s", "--json"}));
    const auto status = drill.wait_for(200s);
    const std::string text = practice::read_file(said());
    EXPECT_EQ(status, 0) << text;
    std::istringstream lines(text);
    std::map<std::string, boost::json::value> probes;
    boost::json::value sum;
    for (std::string line; std::getline(lines, line);) {
        boost::json::value parsed = boost::json::parse(line);
        if (const auto* probe = parsed.as_object().if_contains("probe"))
            probes[std::string(probe->as_string())] = parsed;
        else
            sum = std::move(parsed);
    }
    ASSERT_TRUE(sum.is_object()) << text;
    EXPECT_TRUE(sum.at("healthy").as_bool()) << text;
    EXPECT_EQ(sum.at("alerts_watched").as_bool(), sum.at("watchdog_arrived").as_bool());
    std::set<std::string> kinds;
    for (const auto& [name, probe] : probes) kinds.insert(std::string(probe.at("kind").as_string()));
    EXPECT_EQ(kinds.size(), 9U) << text;
    // The whole way of a replay: no hop may be left out of what is called well.
    ASSERT_TRUE(probes.contains("replay")) << text;
    EXPECT_EQ(boost::json::serialize(probes["replay"].at("phases")),
              R"(["callback","list","playback","push","row"])");
    expect_nothing_left();
}

TEST_F(Drill, ListsWhatItCanBreak) {
    practice::Process drill(command({"--list"}));
    EXPECT_EQ(drill.wait_for(30s), 0);
    const std::string text = practice::read_file(said());
    EXPECT_NE(text.find("push-main-key-changed\tpush_wrong_hotlink_key *\t"), std::string::npos) << text;
    std::set<std::string> seeds, causes;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const auto begin = line.find('\t') + 1;
        std::string cause = line.substr(begin, line.find('\t', begin) - begin);
        const bool seed = cause.ends_with(" *");
        if (seed) cause.resize(cause.size() - 2);
        causes.insert(cause);
        if (seed) seeds.insert(cause);
    }
    EXPECT_EQ(seeds.size(), 21U) << "every failure of the owner's documents";
    EXPECT_GE(causes.size(), 60U);
    expect_nothing_left();
}

TEST_F(Drill, AFaultThatIsNotThereIsAMistake) {
    practice::Process drill(command({"--fault", "no-such"}));
    EXPECT_EQ(drill.wait_for(30s), 2);
    EXPECT_EQ(practice::read_file(said()), "livecanary: there is no fault 'no-such': --list names them\n");
    practice::Process without(command({"--practice", "/nonexistent"}));
    EXPECT_EQ(without.wait_for(30s), 1);
}

TEST_F(Drill, AnInterruptEndsAllThatWasStarted) {
    practice::Process drill(
        command({"--fault", "push-main-key-changed", "--dir", (folder.path() / "d").string()}));
    const auto log = folder.path() / "d" / "practice.log";
    // The stack says that it is up; the process is looked at between two looks.
    for (int looks = 0; looks < 600 && practice::read_file(log).find('{') == std::string::npos; ++looks)
        ASSERT_FALSE(drill.wait_for(100ms)) << practice::read_file(said());
    drill.signal(SIGINT);
    EXPECT_EQ(drill.wait_for(60s), 1);
    EXPECT_NE(practice::read_file(said()).find("interrupted"), std::string::npos);
    const boost::json::value up = boost::json::parse(practice::read_file(log));
    const auto port = static_cast<std::uint16_t>(up.at("control_port").as_int64());
    EXPECT_THROW(practice::ask("127.0.0.1", port, "GET", "/faults"), boost::system::system_error);
}

}  // namespace
}  // namespace livecanary::test
