// Control pushes against a cloud that checks signatures: what each fault is called, and where it is not told.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include <boost/system/system_error.hpp>

#include "probes/rtmp_push/controls.hpp"
#include "tests/unit/kinds/push_stage.hpp"

namespace livecanary::test {
namespace {

using rtmp_says::status;

constexpr const char* domain = "1234.livepush.test";
constexpr const char* stream = "1234_canary";

/// A server that says each fault in its own words; the default is one silent close for all.
void speak_plainly(RtmpCloud& cloud) {
    cloud.wrong_secret = {.messages = {status("error", "NetStream.Publish.Unauthorized")}};
    cloud.expired = {.messages = {status("error", "NetStream.Publish.Expired")}};
    cloud.unknown_domain = {.messages = {status("error", "NetStream.Publish.UnknownDomain")}};
    cloud.unknown_app = {.messages = {status("error", "NetStream.Publish.UnknownApp")}};
    cloud.name_busy = {.messages = {status("error", "NetStream.Publish.BadName")}};
}

struct Fault {
    const char* name;
    void (*break_it)(RtmpCloud& cloud);
    const char* label;                 ///< the cause or the class
    const char* controls;              ///< names of those played, in order, with how each ended
    std::string (*query)() = nullptr;  ///< of an issued URL
    const char* keys = "push_key = { env = 'MAIN' }\nbackup_key = { env = 'BACKUP' }\n";
    const char* app = "live";
};
void PrintTo(const Fault& row, std::ostream* out) { *out << row.name; }

std::chrono::sys_seconds from_now(std::chrono::seconds ahead) {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) + ahead;
}
std::string issued(const char* key, std::chrono::seconds ahead, const char* rest = "bizid=1234") {
    return "?" + protocol::sign_query(key, stream, from_now(ahead), {}, rest);
}

const Fault faults[] = {
    {"main_key_changed", [](RtmpCloud& cloud) { cloud.main_key = "new"; }, "push_wrong_hotlink_key",
     "backup_key passed"},
    {"both_keys_changed", [](RtmpCloud& cloud) { cloud.main_key = cloud.backup_key = "new"; }, "push_refused",
     "backup_key failed, free_name failed, wrong_secret failed, expired failed, unknown_domain failed"},
    {"both_keys_changed_and_told",
     [](RtmpCloud& cloud) {
         cloud.main_key = cloud.backup_key = "new";
         speak_plainly(cloud);
         cloud.time_first = true;
     },
     "push_wrong_hotlink_key",
     "backup_key failed, free_name failed, wrong_secret failed, expired failed, unknown_domain failed"},
    {"name_busy_and_told",
     [](RtmpCloud& cloud) {
         cloud.busy = {stream};
         speak_plainly(cloud);
     },
     "push_stream_name_conflict", "backup_key failed, free_name passed"},
    {"name_busy_or_forbidden", [](RtmpCloud& cloud) { cloud.busy = {stream}; }, "push_refused",
     "backup_key failed, free_name passed"},
    {"domain_disabled", [](RtmpCloud& cloud) { cloud.domains.clear(); }, "push_refused",
     "backup_key failed, free_name failed, wrong_secret failed, expired failed, unknown_domain failed"},
    {"app_disabled", [](RtmpCloud&) {}, "push_app_name_disabled",
     "backup_key failed, free_name failed, live_app passed", nullptr,
     "push_key = { env = 'MAIN' }\nbackup_key = { env = 'BACKUP' }\n", "lvie"},
    {"issued_and_expired", [](RtmpCloud&) {}, "push_url_expired", "static_check failed, trusted_url passed",
     [] { return issued("main-key", -1h); }},
    {"issued_with_another_key", [](RtmpCloud&) {}, "push_wrong_hotlink_key",
     "static_check failed, trusted_url passed", [] { return issued("other-key", 1h); }},
    {"issued_with_another_key_and_expired", [](RtmpCloud&) {}, "push_refused",
     "static_check failed, trusted_url passed", [] { return issued("other-key", -1h); }},
    {"issued_without_secret", [](RtmpCloud&) {}, "push_auth_params_missing",
     "static_check failed, trusted_url passed", [] { return std::string("?txTime=70000000"); }},
    {"issued_for_another_account_and_told", speak_plainly, "push_wrong_bizid_or_appid",
     "static_check failed, trusted_url failed, backup_key failed, free_name failed, wrong_secret failed, "
     "expired "
     "failed, unknown_domain failed",
     [] { return issued("main-key", 1h, "bizid=5678"); }},
    {"issued_for_another_account", [](RtmpCloud&) {}, "push_refused",
     "static_check failed, trusted_url failed, backup_key failed, free_name failed, wrong_secret failed, "
     "expired "
     "failed, unknown_domain failed",
     [] { return issued("main-key", 1h, "bizid=5678"); }},
    {"issued_by_a_backend_whose_key_we_do_not_know", [](RtmpCloud& cloud) { cloud.main_key = "new"; },
     "push_refused", "static_check inconclusive, wrong_secret failed, unknown_domain failed",
     [] { return issued("main-key", 1h); }, ""},
    {"unsigned_without_a_key", [](RtmpCloud&) {}, "push_refused",
     "static_check failed, free_name failed, unknown_domain failed", nullptr, ""},
};

class RtmpPushControls : public testing::TestWithParam<Fault> {};

std::string played(const RunResult& run) {
    std::string text;
    for (const auto& control : run.controls)
        text += (text.empty() ? "" : ", ") + std::string(control.name) + " " +
                std::string(to_string(control.outcome));
    return text;
}
std::string url_line(const ScriptedRtmpServer& server, const std::string& query = "",
                     const char* app = "live") {
    return "url = 'rtmp://" + std::string(domain) + ":" + std::to_string(server.port()) + "/" + app + "/" +
           stream + query + "'\naddress = '127.0.0.1'\nmedia = '1s'\n";
}

TEST_P(RtmpPushControls, NameTheFaultOrItsClass) {
    PushStage stage;
    RtmpCloud cloud{.main_key = "main-key", .backup_key = "backup-key", .domains = {domain}};
    const Fault& fault = GetParam();
    fault.break_it(cloud);
    ScriptedRtmpServer server(stage.io, judged_by(cloud));
    const Probe probe =
        stage.make(url_line(server, fault.query ? fault.query() : "", fault.app) + fault.keys);
    const Judged judged = stage.judge(probe);
    EXPECT_EQ(judged.run.failed_phase(), "publish");
    EXPECT_EQ(judged.diagnosis.label(), fault.label) << judged.diagnosis.because;
    EXPECT_EQ(played(judged.run), fault.controls);
    // The own name, or that name with a tail that cannot be anybody's.
    for (const auto& heard : server.heard())
        EXPECT_TRUE(heard.publish_name.starts_with(std::string(stream) + "free") ||
                    heard.publish_name.substr(0, heard.publish_name.find('?')) == stream)
            << heard.publish_name;
    stage.wait_until_deserted(server);
}
INSTANTIATE_TEST_SUITE_P(, RtmpPushControls, testing::ValuesIn(faults),
                         [](const auto& row) { return row.param.name; });

TEST(RtmpPushControl, RightSignaturesAreAccepted) {
    PushStage stage;
    const RtmpCloud cloud{.main_key = "main-key", .backup_key = "backup-key", .domains = {domain}};
    ScriptedRtmpServer server(stage.io, judged_by(cloud));
    for (const char* key : {"main-key", "backup-key"}) {
        auto plan = stage.plan(server, 100ms);
        plan.url.host = domain;
        plan.address = asio::ip::address_v4::loopback();
        plan.url = protocol::sign_push_url(plan.url, key, from_now(1h));
        EXPECT_EQ(stage.push(plan).outcome(), RunOutcome::ok) << key;
    }
}

// At connect a server knows neither the name nor its signature.
TEST(RtmpPushControl, KeysAreNotTriedWhereConnectIsRefused) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {.on_connect = always(Then::finish)});
    const Judged judged = stage.judge(
        stage.make(url_line(server) + "push_key = { env = 'MAIN' }\nbackup_key = { env = 'BACKUP' }"));
    EXPECT_EQ(played(judged.run), "unknown_domain failed");
    EXPECT_EQ(judged.diagnosis.label(), "push_refused");
    EXPECT_EQ(
        std::ranges::count(judged.diagnosis.candidates, Cause::push_wrong_hotlink_key, &Candidate::cause), 0);
}

TEST(RtmpPushControl, OtherApplicationWhereConnectIsRefused) {
    PushStage stage;
    const auto knows_live = [](const RtmpHeard& heard) {
        return heard.app == "live" ? rtmp_says::connected(heard) : RtmpAnswer{.then = Then::finish};
    };
    ScriptedRtmpServer server(stage.io, {.on_connect = knows_live});
    const Judged judged =
        stage.judge(stage.make(url_line(server, "", "lvie") + "push_key = { env = 'MAIN' }"));
    EXPECT_EQ(judged.run.fingerprint, "connect closed");
    EXPECT_EQ(judged.diagnosis.label(), "push_app_name_disabled");
}

// A server that is up again accepts every control, and none of them is why.
TEST(RtmpPushControl, RecoveredServerBlamesNobody) {
    PushStage stage;
    RtmpCloud cloud{.main_key = "new", .backup_key = "new", .domains = {domain}};
    ScriptedRtmpServer server(stage.io, judged_by(cloud));
    const Probe probe =
        stage.make(url_line(server) + "push_key = { env = 'MAIN' }\nbackup_key = { env = 'BACKUP' }");
    ProbeRun run(stage.env, 30s);
    RunResult failed = await(stage.io, probe.run(run));
    EXPECT_EQ(failed.fingerprint, "publish closed");
    cloud = {.main_key = "main-key", .backup_key = "backup-key", .domains = {domain}};
    ProbeRun controls(stage.env, 30s);
    failed.controls = await(stage.io, probe.controls(controls, failed));
    EXPECT_EQ(played(failed), "backup_key inconclusive");
    EXPECT_EQ(probe.diagnose(failed).label(), "push_refused");
}

// A network that fails while the controls are played would make each of them "refused in another way".
TEST(RtmpPushControl, ControlsThatDoNotGetThroughShowNothing) {
    PushStage stage;
    RtmpCloud cloud{.main_key = "new", .backup_key = "new", .domains = {domain}};
    auto server = std::make_unique<ScriptedRtmpServer>(stage.io, judged_by(cloud));
    const Probe probe = stage.make(url_line(*server) + "push_key = { env = 'MAIN' }");
    ProbeRun run(stage.env, 30s);
    RunResult failed = await(stage.io, probe.run(run));
    server.reset();
    ProbeRun controls(stage.env, 30s);
    failed.controls = await(stage.io, probe.controls(controls, failed));
    EXPECT_EQ(played(failed),
              "free_name inconclusive, wrong_secret inconclusive, expired inconclusive, "
              "unknown_domain inconclusive");
    const Diagnosis diagnosis = probe.diagnose(failed);
    EXPECT_EQ(diagnosis.label(), "push_refused");
    EXPECT_TRUE(diagnosis.ruled_out.empty()) << diagnosis.ruled_out.front();
}

// Once we are to stop, no server is asked anything more.
TEST(RtmpPushControl, CutControlsAreTheLast) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {.on_publish = always(Then::finish)});
    const Probe probe = stage.make(url_line(server) + "push_key = { env = 'MAIN' }");
    ProbeRun run(stage.env, 30s);
    const RunResult failed = await(stage.io, probe.run(run));
    server.play({.on_publish = always(Then::stay_silent)});
    ProbeRun controls(stage.env, 30s);
    Task<std::vector<Control>> playing(stage.io, probe.controls(controls, failed));
    run_until(stage.io, [&] { return server.heard().size() == 2 && server.last().has("publish"); });
    playing.cut();
    EXPECT_TRUE(playing.wait().empty());
    EXPECT_EQ(server.heard().size(), 2U);
    stage.wait_until_deserted(server);
    EXPECT_TRUE(server.last().gave_back());
}

TEST(RtmpPushControl, SilentServerIsNotAskedAgain) {
    PushStage stage;
    ScriptedRtmpServer server(stage.io, {.on_publish = always(Then::stay_silent)});
    const Judged judged = stage.judge(stage.make(url_line(server) + "push_key = { env = 'MAIN' }"), 300ms);
    EXPECT_EQ(judged.run.fingerprint, "publish timeout");
    EXPECT_EQ(server.heard().size(), 1U);
    EXPECT_EQ(judged.diagnosis.candidates.front().cause, Cause::push_remote_auth_denied);
}

/// Two servers under one name, on the same port.
struct TwoNodes {
    PushStage stage{};
    std::unique_ptr<ScriptedRtmpServer> first{};   ///< 127.0.0.1
    std::unique_ptr<ScriptedRtmpServer> second{};  ///< 127.0.0.2

    explicit TwoNodes(const RtmpStory& story) {
        stage.names.set("push.test",
                        {.addresses = {"127.0.0.1", "127.0.0.2"}, .cnames = {"push.cloud.test"}});
        // A port that is free on one address may be taken on the other.
        for (int attempt = 0; attempt < 100 && !first; ++attempt) {
            second = std::make_unique<ScriptedRtmpServer>(stage.io, RtmpStory{}, 0, "127.0.0.2");
            try {
                first = std::make_unique<ScriptedRtmpServer>(stage.io, story, 0, "127.0.0.1", second->port());
            } catch (const boost::system::system_error& taken) {
                if (taken.code() != asio::error::address_in_use) throw;
            }
        }
        if (!first) throw std::runtime_error("no port is free on both addresses");
    }
    Probe make() const {
        return PushStage::make("url = 'rtmp://push.test:" + std::to_string(second->port()) +
                               "/live/x'\nmedia = '1s'");
    }
    Judged judge() { return stage.judge(make()); }
};

TEST(RtmpPushControl, OneNodeOfTwoIsFaulty) {
    TwoNodes nodes({.on_accept = Then::finish});
    const Judged judged = nodes.judge();
    EXPECT_EQ(judged.run.got("cname"), "push.cloud.test");
    EXPECT_EQ(judged.run.got("addresses"), "2");
    EXPECT_EQ(judged.run.fingerprint, "handshake closed");
    EXPECT_EQ(judged.diagnosis.label(), "push_ingest_node_fault") << judged.diagnosis.because;
}

TEST(RtmpPushControl, NodeThatRefusesConnections) {
    TwoNodes nodes({});
    nodes.first.reset();
    const Judged judged = nodes.judge();
    EXPECT_EQ(judged.run.fingerprint, "tcp refused");
    EXPECT_EQ(judged.diagnosis.label(), "push_ingest_node_fault") << judged.diagnosis.because;
}

TEST(RtmpPushControl, BothNodesRefuseConnections) {
    TwoNodes nodes({});
    const auto port = std::to_string(nodes.second->port());
    nodes.first.reset();
    auto& stage = nodes.stage;
    stage.names.set("push.test", {.addresses = {"127.0.0.1", "127.0.0.3"}, .cnames = {"push.cloud.test"}});
    const Judged judged = stage.judge(stage.make("url = 'rtmp://push.test:" + port + "/live/x'"));
    EXPECT_EQ(played(judged.run), "other_address failed");
    EXPECT_EQ(judged.diagnosis.label(), "push_tcp_refused") << judged.diagnosis.because;
}

// The controls ask the server that refused: another one might differ in more than what was changed.
TEST(RtmpPushControl, AllGoToTheAddressThatFailed) {
    TwoNodes nodes({.on_publish = always(Then::finish)});
    PushStage& stage = nodes.stage;
    const Probe probe = nodes.make();
    ProbeRun run(stage.env, 30s);
    RunResult failed = await(stage.io, probe.run(run));
    EXPECT_EQ(failed.fingerprint, "publish closed");
    // As name servers that share the load between addresses do.
    stage.names.set("push.test", {.addresses = {"127.0.0.2", "127.0.0.1"}});
    ProbeRun controls(stage.env, 30s);
    failed.controls = await(stage.io, probe.controls(controls, failed));
    EXPECT_EQ(played(failed), "static_check failed, free_name failed, unknown_domain failed");
    EXPECT_TRUE(nodes.second->heard().empty());
}

TEST(RtmpPushControl, StaticCheckOfTheUrl) {
    rtmp_push::Config config;
    config.push_key = config::Secret("main-key");
    config.backup_key = config::Secret("backup-key");
    const auto check = [&](const std::string& query) {
        const protocol::PushUrl url{.host = domain, .app = "live", .stream_name = stream, .query = query};
        return std::string(rtmp_push::check_url(config, url, from_now(0s)).fingerprint);
    };
    const auto made = [](const char* key, std::chrono::seconds ahead, const char* rest) {
        return issued(key, ahead, rest).substr(1);
    };
    EXPECT_EQ(check(made("main-key", 1h, "bizid=1234")), rtmp_push::url_is::sound);
    EXPECT_EQ(check(made("backup-key", 1h, "")), rtmp_push::url_is::sound);
    EXPECT_EQ(check(made("main-key", -1h, "bizid=1234")), rtmp_push::url_is::expired);
    EXPECT_EQ(check(made("other-key", 1h, "bizid=1234")), rtmp_push::url_is::unknown_key);
    EXPECT_EQ(check(made("main-key ", 1h, "")), rtmp_push::url_is::unknown_key);
    EXPECT_EQ(check(made("main-key", 1h, "bizid=5678")), rtmp_push::url_is::bizid_differs);
    EXPECT_EQ(check(made("main-key", -1h, "bizid=5678")), rtmp_push::url_is::several);
    EXPECT_EQ(check(made("other-key", -1h, "bizid=1234")), rtmp_push::url_is::several);
    EXPECT_EQ(check(made("other-key", 1h, "bizid=5678")), rtmp_push::url_is::several);
    EXPECT_EQ(check(""), rtmp_push::url_is::unsigned_url);
    EXPECT_EQ(check("txTime=70000000"), rtmp_push::url_is::unsigned_url);
    EXPECT_EQ(check("txSecret=0123"), rtmp_push::url_is::unsigned_url);
    config.push_key = config.backup_key = config::Secret();
    EXPECT_EQ(check(made("main-key", 1h, "")), rtmp_push::url_is::unchecked);
    EXPECT_EQ(check(made("main-key", -1h, "")), rtmp_push::url_is::expired);
}

}  // namespace
}  // namespace livecanary::test
