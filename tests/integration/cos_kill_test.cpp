// A daemon that is killed at any moment of a COS round trip leaves nothing behind after its next start.
#include <gtest/gtest.h>

#include <random>

#include "daemon/schedule.hpp"
#include "tests/integration/daemon_process.hpp"
#include "tests/practice/cos_server.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::Cos;
using practice::CosCall;

constexpr int kills = 200;
constexpr int kills_between_checks = 25;
/// Of all kills, those that must have come before any call, and those that must have left an object. Usual
/// are three times as many.
constexpr int least_early = 5;
constexpr int least_leaving = 20;

/// A probe whose first run comes at once.
std::string early_name() {
    for (int i = 0;; ++i) {
        const std::string name = "cos-" + std::to_string(i);
        if (daemon::Schedule::starting({}, 1s, name).first() < Clock::time_point(20ms)) return name;
    }
}

class CosKill : public testing::Test {
protected:
    CosKill() {
        server.change([](Cos& cos) {
            cos.accounts["1250000000"].keys["practice-id"] = {.secret_key = "practice-key"};
            cos.buckets["cover-1250000000"] = {.region = "ap-shanghai"};
        });
        // The longer a call takes, the more kills fall into it. A DELETE takes longer than a PUT, so that it
        // never overtakes one whose sender was killed.
        server.behave({.calls = {{CosCall::put_object, {.delay = 12ms}},
                                 {CosCall::head_object, {.delay = 8ms}},
                                 {CosCall::get_object, {.delay = 5ms}},
                                 {CosCall::delete_object, {.delay = 20ms}}}});
        installation.write("secret", "practice-key");
        installation.configure(
            "[daemon]\nreference = false\n[[probe]]\nkind = \"cos_roundtrip\"\nname = \"" + early_name() +
            "\"\ninterval = \"1s\"\ntimeout = \"800ms\"\nbucket = \"cover-1250000000\"\n"
            "region = \"ap-shanghai\"\nsecret_id = \"practice-id\"\nsecret_key = { file = \"secret\" }\n"
            "object_size = \"1KiB\"\naddress = \"127.0.0.1\"\nendpoint = "
            "\"http://cover-1250000000.cos.ap-shanghai.myqcloud.com:" +
            std::to_string(server.port()) + "\"\n");
    }

    std::map<std::string, std::string> environment() const {
        return {{"STATE_DIRECTORY", (installation.path() / "state").string()}};
    }
    std::filesystem::path log() const { return installation.path() / "log"; }
    /// Starts a daemon and kills it `after` its start, or after the first call that the store has answered.
    void kill_one(std::chrono::milliseconds after, bool from_first_call);
    /// Lets one daemon live: it must clear away what all before it have left, and what it makes itself.
    void expect_swept();

    practice::CosServer server{};
    Installation installation{""};
    std::set<std::string> left{};  // every object that was there after a kill
    int early = 0;                 // kills before any call
    int leaving = 0;               // kills that left an object of their own
};

void CosKill::kill_one(std::chrono::milliseconds after, bool from_first_call) {
    std::filesystem::remove(log());
    server.forget();
    practice::Process process({.argv = {LIVECANARY_BINARY, "run", "--config.file", installation.config_file(),
                                        "--web.listen-address", "127.0.0.1:0"},
                               .env = environment(),
                               .output = log()});
    if (from_first_call) {
        ASSERT_TRUE(server.wait_until([](const auto& seen) { return !seen.calls.empty(); }))
            << process.output();
    }
    ASSERT_FALSE(process.wait_for(after)) << "ended by itself:\n" << process.output();
    ASSERT_EQ(process.stop(SIGKILL), 128 + SIGKILL);
    early += server.seen().calls.empty() ? 1 : 0;
    bool anew = false;
    for (auto& object : server.objects()) anew = left.insert(std::move(object)).second || anew;
    leaving += anew ? 1 : 0;
}

void CosKill::expect_swept() {
    std::filesystem::remove(log());
    DaemonProcess daemon(installation);
    daemon.until("it has run and swept", [&] {
        const Scrape scrape = daemon.scrape();
        return scrape.at("livecanary_probe_runs_total", "cos_roundtrip").value_or(0) >= 1 &&
               scrape.at("livecanary_litter_items").value_or(1) == 0;
    });
    EXPECT_EQ(daemon.process().stop(), 0) << daemon.log();
    EXPECT_EQ(server.objects(), std::vector<std::string>{}) << daemon.log();
    const Ended ended = livecanary({"cleanup", "--config.file", installation.config_file()}, environment());
    EXPECT_EQ(ended.code, 0);
    EXPECT_EQ(ended.output, "Nothing stands in the ledger.\n");
}

TEST_F(CosKill, LeavesNothingBehindAfterTheNextStart) {
    const unsigned seed = std::random_device{}();
    std::mt19937 random(seed);
    // About twice what a start takes, and a run.
    std::uniform_int_distribution from_start(0, 120), from_call(0, 100), mode(0, 1);
    for (int i = 1; i <= kills; ++i) {
        const bool from_first_call = mode(random) == 1;
        const std::chrono::milliseconds after(from_first_call ? from_call(random) : from_start(random));
        SCOPED_TRACE("seed " + std::to_string(seed) + ", kill " + std::to_string(i) + ", " +
                     std::to_string(after.count()) + " ms after the " +
                     (from_first_call ? "first call" : "start"));
        ASSERT_NO_FATAL_FAILURE(kill_one(after, from_first_call));
        if (i % kills_between_checks == 0) {
            ASSERT_NO_FATAL_FAILURE(expect_swept());
        }
        if (HasFailure()) return;
    }
    EXPECT_GE(early, least_early) << "seed " << seed;
    EXPECT_GE(leaving, least_leaving) << "seed " << seed;
    RecordProperty("early", early);
    RecordProperty("leaving", leaving);
}

}  // namespace
}  // namespace livecanary::test
