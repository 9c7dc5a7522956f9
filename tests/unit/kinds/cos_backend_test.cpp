// Round trips that a business backend signs, as the app's uploads are.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "probes/cos_roundtrip/client.hpp"
#include "probes/cos_roundtrip/controls.hpp"
#include "probes/protocol/cos_sign.hpp"
#include "tests/unit/kinds/cos_stage.hpp"

namespace livecanary::test {
namespace {

using cos_roundtrip::CosError;

const std::string own = "own = { secret_id = 'AKIDown', secret_key = { env = 'OWN' } }\n";
const std::string configured = "bucket = 'cover-1250000000'\nregion = 'ap-shanghai'\n";

std::string signer(const HttpHeard& heard) {
    const auto authorization = protocol::parse_cos_authorization(heard.headers.at("authorization"));
    return authorization ? authorization->secret_id : "";
}
std::string key_time(const HttpHeard& heard) {
    const auto authorization = protocol::parse_cos_authorization(heard.headers.at("authorization"));
    return authorization ? authorization->key_time.to_string() : "";
}
/// Refuses what this SecretId signs.
void refuses(CosStage& stage, const std::string& secret_id, const HttpReply& refusal) {
    stage.changed = [=](const HttpHeard& heard, HttpReply& reply) {
        if (signer(heard) == secret_id) reply = refusal;
    };
}
HttpReply dated(HttpReply reply) {
    reply.headers.emplace_back("Date", CosStage::date);
    return reply;
}

TEST(CosBackend, SignsEveryRequest) {
    CosStage stage;
    stage.peers.say = [] { return cos_handed_out(CosStage::date_unix); };
    const Probe probe = CosStage::made_of(stage.backend_keys());
    EXPECT_EQ(probe.asks, std::vector<std::string>{"mini-live"});
    EXPECT_EQ(probe.target, "the bucket that mini-live names");
    const RunResult run = stage.run(probe);
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message() << run.inconclusive;
    EXPECT_EQ(stage.methods(), "PUT HEAD GET DELETE HEAD");
    EXPECT_EQ(stage.peers.asked, std::vector<std::string>{"mini-live cos_sign"}) << "once is enough";
    for (const auto& heard : stage.server.heard()) {
        EXPECT_EQ(heard.headers.at("host"),
                  std::string(CosStage::host) + ":" + std::to_string(stage.server.port()));
        std::vector<protocol::CosField> fields;
        for (const auto& [name, value] : heard.headers) fields.push_back({name, value});
        const auto request =
            protocol::cos_request(heard.method, "http://ignored" + heard.target, std::move(fields));
        const auto authorization = protocol::parse_cos_authorization(heard.headers.at("authorization"));
        ASSERT_TRUE(request && authorization);
        EXPECT_EQ(authorization->secret_id, "AKIDtest");
        EXPECT_EQ(authorization->key_time.to_string(), "1795000000;1795000030");
        const auto check = protocol::check_cos(*authorization, *request, {.secret_key = "the-secret-key"},
                                               std::chrono::sys_seconds(CosStage::date_unix));
        EXPECT_TRUE(check.match.exact()) << heard.method;
    }
    EXPECT_EQ(run.got("backend_bucket"), "cover, APPID 1250000000, region ap-shanghai");
    EXPECT_EQ(run.got("backend_secret_id"), "AKIDtest");
    EXPECT_EQ(run.got("key_time_width"), "30 s");
    EXPECT_EQ(run.got("backend_clock"), "0 s");
    EXPECT_EQ(run.got("backend_differs"), "");
    stage.expect_clean();
}

TEST(CosBackend, NameThatEndsInTheAppidIsNotDoubled) {
    CosStage stage;
    stage.peers.say = [] {
        PeerAnswer answer = cos_handed_out(CosStage::date_unix);
        answer.facts["bucket"] = CosStage::bucket;
        return answer;
    };
    EXPECT_EQ(stage.run(CosStage::made_of(stage.backend_keys())).outcome(), RunOutcome::ok);
    EXPECT_TRUE(stage.server.last().headers.at("host").starts_with(CosStage::host));
}

TEST(CosBackend, IsAskedAgainBeforeItsTimeEnds) {
    CosStage stage;
    auto passed = 0s;
    stage.env.now = [&] { return Clock::now() + passed; };
    stage.env.wall = [&] { return WallTime(CosStage::date_unix + passed); };
    stage.peers.say = [&] { return cos_handed_out(CosStage::date_unix + passed); };
    stage.changed = [&](const HttpHeard&, HttpReply&) { passed += 13s; };
    const RunResult run = stage.run(CosStage::made_of(stage.backend_keys()), 10min);
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message() << run.inconclusive;
    std::vector<std::string> times;
    for (const auto& heard : stage.server.heard()) times.push_back(key_time(heard));
    EXPECT_EQ(times, (std::vector<std::string>{"1795000000;1795000030", "1795000000;1795000030",
                                               "1795000026;1795000056", "1795000026;1795000056",
                                               "1795000052;1795000082"}));
    EXPECT_EQ(stage.peers.asked.size(), 3U);
    stage.expect_clean();
}

TEST(CosBackend, ThatDoesNotAnswerProvesNothingAboutCos) {
    for (const bool there : {true, false}) {
        CosStage stage;
        stage.peers.say = [] { return result<PeerAnswer>(PeerError::nothing_yet); };
        if (!there) stage.env.peers = nullptr;
        const RunResult run = stage.run(CosStage::made_of(stage.backend_keys()));
        EXPECT_EQ(run.outcome(), RunOutcome::inconclusive);
        EXPECT_EQ(run.inconclusive,
                  std::string("nothing to sign with came from mini-live: ") +
                      (there ? "that probe has nothing to give yet" : "there is no such probe any more") +
                      ". Its own probe says what is wrong there");
        EXPECT_EQ(stage.server.connections(), 0U);
        EXPECT_TRUE(stage.ledger.ever.empty());
    }
}

TEST(CosBackend, ThatRefusesIsAsInconclusiveAsOneThatIsSilent) {
    CosStage stage;
    stage.peers.say = [] {
        return result<PeerAnswer>(make_error_code(boost::system::errc::connection_refused));
    };
    const RunResult run = stage.run(CosStage::made_of(stage.backend_keys()));
    EXPECT_EQ(run.outcome(), RunOutcome::inconclusive)
        << "it is the backend's fault, and COS's probe this is";
}

TEST(CosBackend, ThatFailsMeanwhileLeavesNothingBehind) {
    for (const bool with_own : {false, true}) {
        CosStage stage;
        auto passed = 0s;
        bool well = true;
        stage.env.now = [&] { return Clock::now() + passed; };
        stage.peers.say = [&] {
            return well ? result<PeerAnswer>(cos_handed_out(CosStage::date_unix)) : PeerError::nothing_yet;
        };
        stage.changed = [&](const HttpHeard&, HttpReply&) {
            passed = 27s;
            well = false;
        };
        const RunResult run = stage.run(CosStage::made_of(stage.backend_keys(with_own ? own : "")), 10min);
        EXPECT_EQ(run.outcome(), RunOutcome::inconclusive);
        EXPECT_TRUE(run.inconclusive.starts_with("nothing more to sign with came from mini-live"))
            << run.inconclusive;
        EXPECT_EQ(run.failed_phase(), "head");
        EXPECT_EQ(stage.methods(), "PUT DELETE");
        EXPECT_EQ(signer(stage.server.last()), with_own ? "AKIDown" : "AKIDtest");
        stage.expect_clean();
    }
}

struct Named {
    const char* fact;
    const char* value;
    CosError code;
    const char* label;
};
TEST(CosBackend, WhatNoAppCouldUse) {
    const Named cases[] = {
        {"bucket", "", CosError::backend_bucket, "cos_invalid_bucket_name"},
        {"bucket", "Cover!", CosError::backend_bucket, "cos_invalid_bucket_name"},
        {"bucket", "cover-1250000000-1250000000", CosError::backend_bucket, "cos_invalid_bucket_name"},
        {"appid", "", CosError::backend_appid, "cos_wrong_appid"},
        {"appid", "your appid", CosError::backend_appid, "cos_wrong_appid"},
        {"region", "", CosError::backend_region, "cos_wrong_region"},
        {"region", "Shanghai/x", CosError::backend_region, "cos_wrong_region"},
        {"secret_id", "", CosError::backend_secret_id, "cos_wrong_secret_id"},
        {"key_time", "", CosError::backend_sign_key, ""},
        {"key_time", "now;later", CosError::backend_sign_key, ""},
    };
    for (const auto& [name, value, code, label] : cases) {
        CosStage stage;
        stage.peers.say = [fact = name, to = value] {
            PeerAnswer answer = cos_handed_out(CosStage::date_unix);
            answer.facts[fact] = to;
            return answer;
        };
        const CosJudged judged = stage.judge(CosStage::made_of(stage.backend_keys()));
        EXPECT_EQ(judged.run.outcome(), RunOutcome::failed) << name << value;
        EXPECT_EQ(judged.run.code, code) << name << value << judged.run.code.message();
        EXPECT_EQ(judged.run.failed_phase(), "put");
        EXPECT_EQ(judged.run.reason(), Reason::mismatch);
        EXPECT_EQ(judged.diagnosis.label(), label) << name << value;
        EXPECT_EQ(stage.server.connections(), 0U);
        EXPECT_TRUE(stage.ledger.ever.empty());
    }
}

TEST(CosBackend, IsComparedWithWhatIsConfigured) {
    CosStage stage;
    stage.peers.say = [] {
        PeerAnswer answer = cos_handed_out(CosStage::date_unix);
        answer.facts["region"] = "ap-guangzhou";
        return answer;
    };
    const RunResult run = stage.run(CosStage::made_of(stage.backend_keys(configured)));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << "where the app uploads to, it works";
    EXPECT_EQ(run.got("backend_differs"), "region ap-guangzhou, configured is ap-shanghai");
    EXPECT_TRUE(stage.server.last().headers.at("host").starts_with("cover-1250000000.cos.ap-guangzhou."));
}

// --- what is wrong at the backend

TEST(CosBackend, SecretIdOfNobodyWhileTheOwnPairPasses) {
    CosStage stage;
    stage.peers.say = [] { return cos_handed_out(CosStage::date_unix); };
    stage.changed = [](const HttpHeard& heard, HttpReply& reply) {
        if (signer(heard) != "AKIDown") reply = cos_refuses(403, "InvalidAccessKeyId");
    };
    const CosJudged judged = stage.judge(CosStage::made_of(stage.backend_keys(own)));
    EXPECT_EQ(judged.diagnosis.label(), "cos_wrong_secret_id") << judged.diagnosis.because;
    ASSERT_NE(judged.run.control(cos_roundtrip::own_pair), nullptr);
    EXPECT_EQ(judged.run.control(cos_roundtrip::own_pair)->outcome, ControlOutcome::passed);
}

TEST(CosBackend, SignKeyThatIsNotOfThisSecretId) {
    CosStage stage;
    const std::string same_id = "own = { secret_id = 'AKIDtest', secret_key = { env = 'OWN' } }\n";
    stage.peers.say = [] { return cos_handed_out(CosStage::date_unix); };
    stage.changed = [](const HttpHeard& heard, HttpReply& reply) {
        const auto time = key_time(heard);
        if (time.ends_with(";1795000030")) reply = cos_refuses(403, "SignatureDoesNotMatch");
    };
    const CosJudged judged = stage.judge(CosStage::made_of(stage.backend_keys(same_id)));
    EXPECT_EQ(judged.run.got("sign_key"), "not the one that the own pair of this SecretId gives");
    EXPECT_EQ(judged.diagnosis.label(), "cos_wrong_secret_key") << judged.diagnosis.because;
}

TEST(CosBackend, BothPairsRefusedAlikeIsNotTheBackend) {
    CosStage stage;
    stage.peers.say = [] { return cos_handed_out(CosStage::date_unix); };
    stage.changed = [](const HttpHeard&, HttpReply& reply) { reply = cos_refuses(403, "AccessDenied"); };
    const CosJudged judged = stage.judge(CosStage::made_of(stage.backend_keys(own)));
    EXPECT_EQ(judged.diagnosis.label(), "cos_access_denied");
    EXPECT_EQ(judged.run.control(cos_roundtrip::own_pair)->outcome, ControlOutcome::failed);
}

TEST(CosBackend, BucketThatTheConfiguredOneTellsApart) {
    struct Case {
        const char* fact;
        const char* value;
        const char* label;
    };
    for (const auto& [fact, value, label] :
         {Case{"bucket", "covers", "cos_wrong_bucket"}, Case{"appid", "1250000999", "cos_wrong_appid"},
          Case{"region", "ap-guangzhou", "cos_wrong_region"}}) {
        CosStage stage;
        stage.peers.say = [name = fact, to = value] {
            PeerAnswer answer = cos_handed_out(CosStage::date_unix);
            answer.facts[name] = to;
            return answer;
        };
        stage.changed = [](const HttpHeard& heard, HttpReply& reply) {
            if (!heard.headers.at("host").starts_with(CosStage::host))
                reply = cos_refuses(404, "NoSuchBucket");
        };
        const CosJudged judged = stage.judge(CosStage::made_of(stage.backend_keys(configured)));
        EXPECT_EQ(judged.diagnosis.label(), label) << judged.diagnosis.because;
        const auto* const control = judged.run.control(cos_roundtrip::configured_bucket);
        ASSERT_NE(control, nullptr);
        EXPECT_EQ(control->outcome, ControlOutcome::passed);
        EXPECT_TRUE(stage.ledger.kept.empty());
    }
}

TEST(CosBackend, ClockOfTheBackend) {
    for (const auto offset : {-1h, 1h}) {
        CosStage stage;
        stage.peers.say = [=] { return cos_handed_out(CosStage::date_unix + offset); };
        const HttpReply refusal = dated(offset < 0s ? cos_refuses(403, "AccessDenied", "Request has expired")
                                                    : cos_refuses(403, "RequestTimeTooSkewed"));
        refuses(stage, "AKIDtest", refusal);
        const CosJudged judged = stage.judge(CosStage::made_of(stage.backend_keys(own)));
        EXPECT_EQ(judged.run.got("backend_clock"), offset < 0s ? "3600 s" : "-3600 s");
        EXPECT_EQ(judged.diagnosis.label(), "push_backend_clock_skew") << judged.diagnosis.because;
    }
}

TEST(CosBackend, ClockThatAgreesWithOursAndNotWithCosIsNotBlamed) {
    CosStage stage;
    stage.env.wall = [] { return WallTime(CosStage::date_unix - 1h); };
    stage.peers.say = [] { return cos_handed_out(CosStage::date_unix - 1h); };
    refuses(stage, "AKIDtest", dated(cos_refuses(403, "AccessDenied", "Request has expired")));
    const CosJudged judged = stage.judge(CosStage::made_of(stage.backend_keys()));
    EXPECT_EQ(judged.diagnosis.label(), "cos_request_expired") << judged.diagnosis.because;
}

TEST(CosBackend, WindowOfNothing) {
    CosStage stage;
    stage.peers.say = [] { return cos_handed_out(CosStage::date_unix, 0s); };
    refuses(stage, "AKIDtest", dated(cos_refuses(403, "AccessDenied", "Request has expired")));
    const CosJudged judged = stage.judge(CosStage::made_of(stage.backend_keys()));
    EXPECT_EQ(judged.run.got("key_time_width"), "0 s");
    EXPECT_EQ(judged.diagnosis.label(), "cos_signkey_window_expired") << judged.diagnosis.because;
    EXPECT_EQ(stage.peers.asked.size(), 2U) << "once by the run, once by its controls";
}

TEST(CosBackend, UploadThatOutlivesItsWindow) {
    CosStage stage;
    auto passed = 0s;
    stage.env.now = [&] { return Clock::now() + passed; };
    stage.env.wall = [&] { return WallTime(CosStage::date_unix + passed); };
    stage.peers.say = [&] { return cos_handed_out(CosStage::date_unix + passed); };
    stage.changed = [&](const HttpHeard& heard, HttpReply& reply) {
        if (heard.method != "PUT") return;
        passed = 100s;
        reply = cos_refuses(403, "AccessDenied", "Request has expired");
        reply.headers.emplace_back("Date", "Wed, 18 Nov 2026 11:08:20 GMT");
    };
    const CosJudged judged = stage.judge(CosStage::made_of(stage.backend_keys()), 10min);
    EXPECT_EQ(judged.run.got("key_age"), "100 s");
    EXPECT_EQ(judged.run.got("backend_clock"), "0 s");
    EXPECT_EQ(judged.diagnosis.label(), "cos_signkey_window_expired") << judged.diagnosis.because;
    ASSERT_NE(judged.run.control(cos_roundtrip::fresh_sign_key), nullptr);
}

TEST(CosBackend, NoSignKeyIsInAResult) {
    CosStage stage;
    const std::string sign_key(
        protocol::cos_sign_key("the-secret-key", {std::chrono::sys_seconds(CosStage::date_unix),
                                                  std::chrono::sys_seconds(CosStage::date_unix + 30s)}));
    stage.peers.say = [] { return cos_handed_out(CosStage::date_unix); };
    for (const bool refused : {false, true}) {
        if (refused) refuses(stage, "AKIDtest", cos_refuses(403, "SignatureDoesNotMatch"));
        const CosJudged judged = stage.judge(CosStage::made_of(stage.backend_keys(own)));
        std::string seen = judged.diagnosis.because;
        for (const auto& evidence : judged.run.evidence) seen += evidence.got + '\n';
        for (const auto& control : judged.run.controls) seen += control.shows + control.fingerprint + '\n';
        for (const std::string& secret : {sign_key, std::string("our-own-key"), std::string("q-signature")})
            EXPECT_EQ(seen.find(secret), std::string::npos) << seen;
    }
}

TEST(CosBackend, LitterIsRemovedByTheOwnPairOrWithTheBackend) {
    CosStage stage;
    stage.peers.say = [] { return cos_handed_out(CosStage::date_unix); };
    const std::string item = "http://" + std::string(CosStage::host) + ":" +
                             std::to_string(stage.server.port()) + " livecanary/x/y/1-2.bin";
    const auto remove = [&](const std::string& more, const std::string& what) {
        const Probe probe = CosStage::made_of(stage.backend_keys(more));
        ProbeRun run(stage.env, 10s);
        const Litter litter{.probe = "cover", .store = "cos", .item = what};
        return await(stage.io, probe.remove(run, litter));
    };
    EXPECT_EQ(remove("", item), error_code());
    EXPECT_EQ(signer(stage.server.last()), "AKIDtest");
    EXPECT_EQ(remove(own, item), error_code());
    EXPECT_EQ(signer(stage.server.last()), "AKIDown");
    EXPECT_EQ(remove("", "http://elsewhere.test k"), CosError::other_endpoint);
    stage.env.peers = nullptr;
    EXPECT_EQ(remove(own + configured, item), error_code()) << "the configured bucket is where it lies";
    EXPECT_EQ(remove("", item), PeerError::no_such_probe);
}

}  // namespace
}  // namespace livecanary::test
