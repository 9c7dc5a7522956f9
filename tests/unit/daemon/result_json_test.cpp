#include "daemon/result_json.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <set>
#include <string>

#include <boost/asio/error.hpp>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/explain.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

constexpr Phase tcp{"tcp"}, publish{"publish"};
constexpr std::array phases{tcp, publish};
constexpr std::array<std::string_view, 2> families{"ipv4", "ipv6"};
constexpr Value sent{"livecanary_rtmp_sent_bytes_total", "Sent.", ValueType::counter};
constexpr Value resolved{
    "livecanary_resolved_addresses", "Addresses.", ValueType::gauge, {}, "family", families};
constexpr Kind kind{.name = "rtmp_push", .phases = phases, .values = {}, .make = nullptr};

constexpr WallTime began{std::chrono::milliseconds(1'700'000'000'042)};

ProbeSettings settings() {
    ProbeSettings settings;
    settings.name = "push-main";
    settings.kind = &kind;
    settings.probe.target = "rtmp://push.example.com/live/canary";
    return settings;
}

RunResult run(error_code code = {}) {
    Clock::time_point now{1h};
    Env env;
    env.now = [&] { return now; };
    env.wall = [] { return began; };
    ProbeRun run(env, 10s);
    run.enter(tcp);
    now += 250ms;
    run.enter(publish);
    run.saw("status", "NetStream.Publish.BadName");
    run.found(sent, 4096);
    run.found(resolved, 2, "ipv4");
    now += 500ms;
    auto result = code ? run.fail(code) : run.ok();
    result.run_id = "00c0ffee00c0ffee";
    return result;
}

json::object as_json(const RunResult& run, const Diagnosis& found = {}) {
    // By way of text, as everybody gets it.
    return json::parse(json::serialize(to_json(settings(), "shanghai-1", run, found))).as_object();
}

TEST(ResultJson, OfAnOkRun) {
    const json::value expected = json::parse(R"({
        "run_id": "00c0ffee00c0ffee", "probe": "push-main", "kind": "rtmp_push",
        "target": "rtmp://push.example.com/live/canary", "location": "shanghai-1",
        "started": "2023-11-14T22:13:20.042Z", "duration_seconds": 0.75, "outcome": "ok",
        "phase": null, "reason": null, "cause": null, "class": null,
        "candidates": [], "ruled_out": [], "controls": [],
        "evidence": [{"phase": "publish", "what": "status", "got": "NetStream.Publish.BadName"}],
        "fix": {"en": "", "zh": ""},
        "phases": [{"name": "tcp", "start_seconds": 0.0, "seconds": 0.25, "ok": true},
                   {"name": "publish", "start_seconds": 0.25, "seconds": 0.5, "ok": true}],
        "values": {"livecanary_rtmp_sent_bytes_total": 4096.0, "livecanary_resolved_addresses{family=\"ipv4\"}": 2.0}})");
    EXPECT_EQ(json::value(as_json(run())), expected);
}

TEST(ResultJson, OfAFailureWithItsCause) {
    auto failed = run(boost::asio::error::eof);
    failed.controls = {{.name = "backup_key", .outcome = ControlOutcome::passed, .shows = "it is accepted"}};
    const Diagnosis found{.cause = Cause::push_wrong_hotlink_key,
                          .because = "the backup key is accepted",
                          .ruled_out = {"push_url_expired: txTime is tomorrow"}};
    const auto o = as_json(failed, found);
    EXPECT_EQ(o.at("outcome"), "failed");
    EXPECT_EQ(o.at("phase"), "publish");
    EXPECT_EQ(o.at("reason"), "closed");
    EXPECT_EQ(o.at("cause"), "push_wrong_hotlink_key");
    EXPECT_EQ(o.at("class"), nullptr);
    EXPECT_EQ(o.at("because"), "the backup key is accepted");
    EXPECT_EQ(o.at("ruled_out"), json::parse(R"(["push_url_expired: txTime is tomorrow"])"));
    EXPECT_EQ(o.at("controls"),
              json::parse(R"([{"name":"backup_key","outcome":"passed","shows":"it is accepted"}])"));
    EXPECT_EQ(o.at("fix").at("en"), json::string_view(fix(found, "en")));
    EXPECT_EQ(o.at("fix").at("zh"), json::string_view(fix(found, "zh")));
    EXPECT_FALSE(o.at("fix").at("zh").as_string().empty());
    EXPECT_EQ(o.at("phases").at(1).at("ok"), false);
}

TEST(ResultJson, OfAFailureWithCandidates) {
    const auto o = as_json(
        run(boost::asio::error::eof),
        {.cause_class = CauseClass::push_refused,
         .candidates = {{Cause::push_wrong_hotlink_key, "likely"}, {Cause::push_url_expired, "less"}}});
    EXPECT_EQ(o.at("cause"), nullptr);
    EXPECT_EQ(o.at("class"), "push_refused");
    EXPECT_EQ(o.at("candidates"), json::parse(R"([{"cause":"push_wrong_hotlink_key","why":"likely"},
                                                  {"cause":"push_url_expired","why":"less"}])"));
}

TEST(ResultJson, OfAnInconclusiveRunSaysWhy) {
    auto result = run(boost::asio::error::eof);
    result.inconclusive = "maintenance";
    const auto o = as_json(result);
    EXPECT_EQ(o.at("outcome"), "inconclusive");
    EXPECT_EQ(o.at("inconclusive"), "maintenance");
    EXPECT_EQ(o.at("phase"), "publish") << "what was seen is still there";
}

TEST(ResultJson, HasEveryKeyOfTheSchemaWhateverHappened) {
    const std::set<std::string> schema{
        "run_id",           "probe",    "kind",     "target", "location", "started",
        "duration_seconds", "outcome",  "phase",    "reason", "cause",    "class",
        "candidates",       "controls", "evidence", "fix",    "phases",   "values"};
    for (const auto& result : {RunResult{}, run(), run(boost::asio::error::eof)}) {
        const auto o = as_json(result);
        for (const auto& key : schema) EXPECT_TRUE(o.contains(key)) << key;
    }
}

TEST(ResultJson, StaysJsonWhateverTheNumbers) {
    auto result = run();
    result.values.push_back({sent, std::numeric_limits<double>::quiet_NaN()});
    result.values.push_back({resolved, std::numeric_limits<double>::infinity(), "ipv6"});
    const auto o = as_json(result);
    EXPECT_EQ(o.at("values").as_object().size(), 2U) << "what is no number is left out";
}

TEST(Rfc3339, IsUtcWithMilliseconds) {
    EXPECT_EQ(rfc3339(WallTime{}), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(rfc3339(began), "2023-11-14T22:13:20.042Z");
    EXPECT_EQ(rfc3339(began + 957ms + 999us), "2023-11-14T22:13:20.999Z");
    EXPECT_EQ(rfc3339(WallTime{-1ms}), "1969-12-31T23:59:59.999Z");
    EXPECT_EQ(rfc3339(WallTime{std::chrono::seconds(1709164800)}), "2024-02-29T00:00:00.000Z");
}

}  // namespace
}  // namespace livecanary::daemon
