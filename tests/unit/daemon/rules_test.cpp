// What the probes of one system know together: each rule holds on all of its facts, and on nothing less.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

#include "daemon/rules.hpp"
#include "probes/catalogue/catalogue.hpp"

namespace livecanary::daemon {
namespace {

using enum Cause;
using std::chrono::seconds;

const Clock::time_point start{std::chrono::hours(1)};
const WallTime wall_start{std::chrono::hours(500'000)};

/// A system in which `subject` began to fail at `start`, and all looks are from a minute later.
struct RuleStage {
    std::vector<Verdict> others{};
    std::vector<Notice> keywords{};
    Clock::time_point now = start + seconds(60);

    static Verdict failing(std::string probe, std::string_view kind, Diagnosis found) {
        return {.probe = std::move(probe),
                .kind = kind,
                .ok = false,
                .found = std::move(found),
                .began = start,
                .failing_since = start,
                .holds = seconds(90)};
    }
    static Verdict well(std::string probe, std::string_view kind) {
        return {.probe = std::move(probe), .kind = kind, .began = start + seconds(10), .holds = seconds(90)};
    }
    void log(std::string_view cause, seconds after = seconds(5)) {
        keywords.push_back({.topic = std::string(topics::keyword),
                            .from = "backend-log",
                            .at = wall_start + after,
                            .facts = {{"cause", std::string(cause)}, {"line", "the line"}}});
        if (std::ranges::find(others, "backend-log", &Verdict::probe) == others.end())
            others.push_back(well("backend-log", "log_keywords"));
    }
    Conclusion judge(const Verdict& subject) const {
        std::vector<const Verdict*> all{&subject};
        for (const auto& other : others) all.push_back(&other);
        return conclude(subject, all, keywords, now, wall_start);
    }
};

std::vector<Cause> causes_of(const Diagnosis& found) {
    std::vector<Cause> causes;
    for (const auto& candidate : found.candidates) causes.push_back(candidate.cause);
    return causes;
}

Diagnosis database_500() {
    return one_of(CauseClass::backend_http_500,
                  {{db_config_mismatch, "a"},
                   {db_unreachable_2002_2003_2005, "b"},
                   {db_too_many_connections_1040, "c"},
                   {backend_php_extension_missing, "d"}},
                  "db fails");
}

TEST(Rules, DatabaseThatMonitorReachesIsNotDown) {
    RuleStage stage;
    stage.others.push_back(RuleStage::well("replay-db", "mysql"));
    const auto said = stage.judge(RuleStage::failing("mini-live", "backend_api", database_500()));
    EXPECT_FALSE(said.found.cause);
    EXPECT_EQ(said.found.cause_class, CauseClass::backend_http_500);
    EXPECT_EQ(causes_of(said.found),
              (std::vector{db_config_mismatch, db_too_many_connections_1040, backend_php_extension_missing}));
    ASSERT_EQ(said.found.ruled_out.size(), 1U);
    EXPECT_EQ(said.found.ruled_out[0],
              "db_unreachable_2002_2003_2005: replay-db connects and reads meanwhile");
    EXPECT_EQ(said.by, std::vector<std::string_view>{"database-is-up"});
}

TEST(Rules, DatabaseThatMonitorFindsDownIsDown) {
    RuleStage stage;
    stage.others.push_back(
        RuleStage::failing("replay-db", "mysql", claim(db_unreachable_2002_2003_2005, "2002 at tcp")));
    const auto said = stage.judge(RuleStage::failing("mini-live", "backend_api", database_500()));
    EXPECT_EQ(said.found.cause, db_unreachable_2002_2003_2005);
    EXPECT_FALSE(said.found.cause_class);
    EXPECT_EQ(said.found.because, "db fails; replay-db finds the same at the database itself: 2002 at tcp");
}

TEST(Rules, CauseThatIsNoCandidateIsNotAdopted) {
    RuleStage stage;
    stage.others.push_back(RuleStage::failing("replay-db", "mysql", claim(db_disk_full, "full")));
    EXPECT_FALSE(stage.judge(RuleStage::failing("mini-live", "backend_api", database_500())).found.cause);
}

TEST(Rules, TwoThatDisagreeShowNothing) {
    RuleStage stage;
    stage.others.push_back(RuleStage::failing("db-a", "mysql", claim(db_unreachable_2002_2003_2005, "down")));
    stage.others.push_back(RuleStage::failing("db-b", "mysql", claim(db_too_many_connections_1040, "many")));
    EXPECT_FALSE(stage.judge(RuleStage::failing("mini-live", "backend_api", database_500())).found.cause);
}

TEST(Rules, OneOfTwoDatabasesThatFailsProvesNeitherUp) {
    RuleStage stage;
    stage.others.push_back(RuleStage::well("db-a", "mysql"));
    stage.others.push_back(RuleStage::failing("db-b", "mysql", {}));
    EXPECT_TRUE(stage.judge(RuleStage::failing("mini-live", "backend_api", database_500())).by.empty());
}

TEST(Rules, BackendWhoseLoginTheDatabaseRefusesIsMisconfigured) {
    RuleStage stage;
    stage.others.push_back(RuleStage::well("replay-db", "mysql"));
    stage.log("db_auth_failed_1045");
    const auto said = stage.judge(RuleStage::failing("mini-live", "backend_api", database_500()));
    EXPECT_EQ(said.found.cause, db_config_mismatch);
    EXPECT_EQ(said.by, std::vector<std::string_view>{"login-of-backend-refused"});
}

TEST(Rules, TableIsAdoptedOnlyIfBothSpeakOfIt) {
    const auto subject = [](const char* table) {
        return RuleStage::failing("mini-live", "backend_api",
                                  one_of(CauseClass::backend_statement_failed,
                                         {{db_table_missing, "a"}, {db_column_unknown_1054, "b"}},
                                         std::string("a statement on ") + table + " fails"));
    };
    RuleStage stage;
    stage.others.push_back(
        RuleStage::failing("replay-db", "mysql", claim(db_table_missing, "1146: tb_vod is not there")));
    EXPECT_EQ(stage.judge(subject("tb_vod")).found.cause, db_table_missing);
    EXPECT_FALSE(stage.judge(subject("tb_account")).found.cause);
}

TEST(Rules, FrozenDatabaseDoesNotAnswerMonitor) {
    RuleStage stage;
    stage.others.push_back(RuleStage::well("replay-db", "mysql"));
    const auto said = stage.judge(RuleStage::failing(
        "mini-live", "backend_api",
        one_of(CauseClass::backend_hangs,
               {{db_frozen, "a"}, {db_lock_wait_1205, "b"}, {backend_timeout, "c"}}, "hangs")));
    EXPECT_EQ(causes_of(said.found), (std::vector{db_lock_wait_1205, backend_timeout}));
}

TEST(Rules, JourneyTakesTheCauseOfItsHop) {
    RuleStage stage;
    stage.others.push_back(RuleStage::failing("record-callback", "callback",
                                              claim(callback_api_key_mismatch, "the key is another")));
    Verdict journey =
        RuleStage::failing("replay", "journey",
                           one_of(CauseClass::callback_refused,
                                  {{db_config_mismatch, "a"}, {callback_api_key_mismatch, "b"}}, "refused"));
    EXPECT_FALSE(stage.judge(journey).found.cause) << "it does not ask that probe";
    journey.asks = {"push-main", "record-callback"};
    EXPECT_EQ(stage.judge(journey).found.cause, callback_api_key_mismatch);
}

TEST(Rules, OwnPairPassesWhereTheBackendsIsRefused) {
    Verdict subject = RuleStage::failing(
        "as-the-app", "cos_roundtrip",
        one_of(CauseClass::cos_access_denied, {{cos_wrong_secret_key, "a"}, {cos_wrong_secret_id, "b"}},
               "SignatureDoesNotMatch"));
    subject.asks = {"mini-live"};
    subject.bucket = "cover-1250000000 in ap-shanghai";
    RuleStage stage;
    stage.others.push_back(RuleStage::well("cover", "cos_roundtrip"));
    EXPECT_FALSE(stage.judge(subject).found.cause) << "of another bucket";
    stage.others[0].bucket = subject.bucket;
    EXPECT_EQ(stage.judge(subject).found.cause, cos_wrong_secret_key);
    stage.others[0].asks = {"mini-live"};
    EXPECT_FALSE(stage.judge(subject).found.cause) << "signed by the backend too";
}

TEST(Rules, AppWithOtherBucketThanTheBackendSignsFor) {
    RuleStage stage;
    stage.others.push_back(RuleStage::well("as-the-app", "cos_roundtrip"));
    stage.others[0].asks = {"mini-live"};
    const auto said = stage.judge(
        RuleStage::failing("app-log", "log_keywords",
                           {.candidates = {{cos_wrong_appid, "a"}, {client_wrong_cos_appid_or_bucket, "b"}},
                            .because = "the log says: ERROR_PROXY_APPID_USERID_NOTMATCH"}));
    EXPECT_EQ(said.found.cause, client_wrong_cos_appid_or_bucket);
    EXPECT_EQ(said.by, std::vector<std::string_view>{"app-has-other-bucket"});
}

TEST(Rules, AppWithOtherRegionThanTheBucketOfBothGenerations) {
    const auto subject = RuleStage::failing(
        "app-log", "log_keywords",
        one_of(CauseClass::cos_bucket_not_found,
               {{cos_generation_mismatch, "a"}, {client_wrong_cos_region, "b"}, {cos_wrong_bucket, "c"}},
               "the log says: bucket notexist"));
    RuleStage stage;
    stage.others.push_back(RuleStage::well("as-the-app", "cos_roundtrip"));
    stage.others[0].asks = {"mini-live"};
    stage.others[0].bucket = "cover-1 in ap-shanghai";
    EXPECT_EQ(causes_of(stage.judge(subject).found),
              (std::vector{cos_generation_mismatch, client_wrong_cos_region}));
    stage.others.push_back(RuleStage::well("cover-v4", "cos_roundtrip"));
    stage.others[1].api = "v4";
    stage.others[1].bucket = "logo-1 in sh";
    EXPECT_FALSE(stage.judge(subject).found.cause) << "that is another bucket";
    stage.others[1].bucket = "cover-1 in sh";
    EXPECT_EQ(stage.judge(subject).found.cause, client_wrong_cos_region);
}

TEST(Rules, EveryDomainOrOne) {
    const auto refused_at = [](std::string name, std::string target) {
        Verdict verdict = RuleStage::failing(std::move(name), "rtmp_push",
                                             one_of(CauseClass::push_refused,
                                                    {{push_wrong_hotlink_key, "a"},
                                                     {push_domain_disabled_or_icp, "b"},
                                                     {live_account_in_arrears, "c"},
                                                     {push_client_ip_not_allowed, "d"}},
                                                    "refused"));
        verdict.target = std::move(target);
        return verdict;
    };
    const Verdict subject = refused_at("push-a", "rtmp://a.example.com/live/x");
    RuleStage every;
    every.others.push_back(refused_at("push-b", "rtmp://b.example.com:1935/live/x"));
    EXPECT_EQ(every.judge(subject).found.candidates.front().cause, live_account_in_arrears);

    RuleStage one;
    one.others.push_back(RuleStage::well("push-b", "rtmp_push"));
    one.others[0].target = "rtmp://b.example.com/live/x";
    EXPECT_EQ(causes_of(one.judge(subject).found),
              (std::vector{push_wrong_hotlink_key, push_domain_disabled_or_icp, push_client_ip_not_allowed}));

    RuleStage same;
    same.others.push_back(RuleStage::well("push-c", "rtmp_push"));
    same.others[0].target = "rtmp://a.example.com/live/y";
    EXPECT_EQ(causes_of(same.judge(subject).found), std::vector{push_wrong_hotlink_key})
        << "one that is left by elimination is no proof";
    EXPECT_FALSE(same.judge(subject).found.cause);
}

TEST(Rules, LogNamesOneCandidate) {
    const auto subject = RuleStage::failing(
        "record-callback", "callback",
        one_of(CauseClass::callback_refused,
               {{callback_api_key_mismatch, "a"}, {backend_php_extension_missing, "b"}}, "HTTP 500"));
    RuleStage stage;
    stage.log("callback_api_key_mismatch");
    const auto said = stage.judge(subject);
    EXPECT_EQ(said.found.cause, callback_api_key_mismatch);
    EXPECT_EQ(said.found.because, "HTTP 500; the log read by backend-log says so: the line");
    stage.log("room_row_missing");
    EXPECT_EQ(stage.judge(subject).found.cause, callback_api_key_mismatch) << "that is no candidate";
    stage.log("backend_php_extension_missing");
    EXPECT_FALSE(stage.judge(subject).found.cause) << "it names two";

    RuleStage before;
    before.log("callback_api_key_mismatch", seconds(-1));
    EXPECT_FALSE(before.judge(subject).found.cause) << "of before the incident";

    RuleStage several;
    several.log("callback_api_key_mismatch");
    several.keywords[0].facts.emplace("among", "callback_api_key_mismatch replay_too_short");
    EXPECT_FALSE(several.judge(subject).found.cause) << "the words stand for several causes";
}

TEST(Rules, CauseOfTheKindIsNeverOverruled) {
    RuleStage stage;
    stage.others.push_back(
        RuleStage::failing("replay-db", "mysql", claim(db_unreachable_2002_2003_2005, "down")));
    stage.log("db_auth_failed_1045");
    const auto said = stage.judge(
        RuleStage::failing("mini-live", "backend_api", claim(backend_log_dir_unwritable, "said")));
    EXPECT_EQ(said.found.cause, backend_log_dir_unwritable);
    EXPECT_EQ(said.found.because, "said");
    EXPECT_TRUE(said.by.empty());
}

// --- every rule, on its facts and on each of them spoilt

/// A system in which every fact of `rule` holds for the subject.
struct Staged {
    Verdict subject{};
    RuleStage stage{};
};

/// Some cause that a claim of the rule's facts may be; of a rule without candidates of its own, any.
Cause wanted(const Rule& rule) {
    if (!rule.causes.empty()) return rule.causes.front();
    return rule.needs.empty() ? db_table_missing : rule.needs.front();
}

bool is_spoken_of(Cause cause) {
    const auto among = [&](std::span<const Cause> some) {
        return std::ranges::find(some, cause) != some.end();
    };
    return std::ranges::any_of(rules(),
                               [&](const Rule& rule) { return among(rule.needs) || among(rule.causes); });
}

Staged staged(const Rule& rule, std::mt19937& random) {
    Staged made;
    Diagnosis found;
    for (const auto& known : all_classes())
        if (to_string(known.id) == rule.labels.front()) found.cause_class = known.id;
    if (rule.labels.front() == "*") found.cause_class = CauseClass::callback_refused;
    found.because = "tb_vod";
    std::vector<Cause> candidates(rule.needs.begin(), rule.needs.end());
    for (const Cause cause : rule.causes)
        if (std::ranges::find(candidates, cause) == candidates.end()) candidates.push_back(cause);
    if (std::ranges::find(candidates, wanted(rule)) == candidates.end()) candidates.push_back(wanted(rule));
    // Beside them some others, which no rule speaks of.
    for (int more = std::uniform_int_distribution(1, 3)(random); more > 0;) {
        const auto all = all_causes();
        const Cause cause = all[std::uniform_int_distribution<std::size_t>(0, all.size() - 1)(random)].id;
        if (is_spoken_of(cause) || std::ranges::find(candidates, cause) != candidates.end()) continue;
        candidates.push_back(cause);
        --more;
    }
    std::ranges::shuffle(candidates, random);
    for (const Cause cause : candidates) found.candidates.push_back({cause, "why"});
    made.subject = RuleStage::failing("subject", rule.kind.empty() ? "backend_api" : rule.kind, found);
    made.subject.target = "rtmp://a.example.com/live/x";
    made.subject.bucket = "b";
    int number = 0;
    for (const Fact& fact : rule.facts) {
        const std::string name = "other-" + std::to_string(number++);
        Verdict other;
        switch (fact.shows) {
            case Shows::ok:
                other = RuleStage::well(name, fact.kind);
                break;
            case Shows::claims_among:
                other = RuleStage::failing(name, fact.kind.empty() ? "callback" : fact.kind,
                                           claim(wanted(rule), "tb_vod"));
                break;
            case Shows::fails: {
                Diagnosis same;
                for (const auto& known : all_classes())
                    if (to_string(known.id) == fact.label) same.cause_class = known.id;
                other = RuleStage::failing(name, fact.kind, same);
                break;
            }
            case Shows::keyword:
                made.stage.log(to_string(fact.causes.empty() ? wanted(rule) : fact.causes.front()));
                continue;
        }
        switch (fact.tie) {
            case Tie::system:
                break;
            case Tie::asked:
                made.subject.asks.push_back(name);
                other.asks = {"somebody"};
                other.bucket = "b in ap-here";
                break;
            case Tie::same_bucket:
                made.subject.asks.push_back("backend");
                other.bucket = "b";
                break;
            case Tie::json_api:
                other.api = "v4";
                other.bucket = "b in h";
                break;
            case Tie::same_host:
                other.target = "rtmp://a.example.com/live/y";
                break;
            case Tie::other_host:
                other.target = "rtmp://b.example.com/live/x";
                break;
        }
        made.stage.others.push_back(other);
    }
    return made;
}

class EveryRule : public testing::TestWithParam<std::size_t> {
protected:
    const Rule& rule() const { return rules()[GetParam()]; }
    bool had_a_part(const Staged& made) const {
        const auto by = made.stage.judge(made.subject).by;
        return std::ranges::find(by, rule().id) != by.end();
    }
};

TEST_P(EveryRule, HoldsOnItsFactsAndOnNothingLess) {
    std::mt19937 random(static_cast<unsigned>(GetParam()));
    for (int round = 0; round < 200; ++round) {
        const Staged whole = staged(rule(), random);
        ASSERT_TRUE(had_a_part(whole)) << rule().id;
        for (std::size_t at = 0; at < whole.stage.others.size(); ++at) {
            Staged without = whole;
            without.stage.others.erase(without.stage.others.begin() + static_cast<std::ptrdiff_t>(at));
            EXPECT_FALSE(had_a_part(without)) << rule().id << " without " << whole.stage.others[at].probe;
            Staged elsewhere = whole;
            elsewhere.stage.others[at].system = "another";
            EXPECT_FALSE(had_a_part(elsewhere)) << rule().id << " of another system";
            if (whole.stage.others[at].kind == "log_keywords") continue;
            Staged stale = whole;
            stale.stage.others[at].holds = seconds(1);
            EXPECT_FALSE(had_a_part(stale)) << rule().id << " with stale " << whole.stage.others[at].probe;
            Staged otherwise = whole;
            otherwise.stage.others[at].ok = !otherwise.stage.others[at].ok;
            EXPECT_FALSE(had_a_part(otherwise)) << rule().id << " with the contrary";
            if (!whole.stage.others[at].ok) continue;
            Staged before = whole;
            before.stage.others[at].began = start - seconds(1);
            EXPECT_FALSE(had_a_part(before)) << rule().id << ": well before the failure began";
        }
        if (!whole.stage.keywords.empty()) {
            Staged silent = whole;
            silent.stage.keywords.clear();
            EXPECT_FALSE(had_a_part(silent)) << rule().id << " without the log line";
        }
    }
}

/// Whatever the evidence: a cause is claimed by rules that are there, and where it was not claimed the class
/// and a candidate stand.
TEST_P(EveryRule, NeverLeavesLessThanAClass) {
    std::mt19937 random(static_cast<unsigned>(1000 + GetParam()));
    for (int round = 0; round < 200; ++round) {
        Staged made = staged(rule(), random);
        for (std::size_t more = 0; more < 3; ++more) {
            const auto& another =
                rules()[std::uniform_int_distribution<std::size_t>(0, rules().size() - 1)(random)];
            const Staged beside = staged(another, random);
            made.stage.others.insert(made.stage.others.end(), beside.stage.others.begin(),
                                     beside.stage.others.end());
            made.stage.keywords.insert(made.stage.keywords.end(), beside.stage.keywords.begin(),
                                       beside.stage.keywords.end());
        }
        const auto said = made.stage.judge(made.subject);
        if (said.found.cause) {
            EXPECT_FALSE(said.by.empty());
            const auto before = causes_of(made.subject.found);
            EXPECT_NE(std::ranges::find(before, *said.found.cause), before.end())
                << to_string(*said.found.cause) << " was no candidate";
        } else {
            EXPECT_FALSE(said.found.candidates.empty());
            EXPECT_EQ(said.found.cause_class, made.subject.found.cause_class);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Table, EveryRule, testing::Range(std::size_t{0}, rules().size()),
                         [](const auto& at) {
                             std::string name(rules()[at.param].id);
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

TEST(Rules, StandInTheDocument) {
    std::ostringstream text;
    text << std::ifstream(std::string(LIVECANARY_SOURCE_DIR) + "/docs/diagnosis.md").rdbuf();
    for (const auto& rule : rules())
        EXPECT_NE(text.str().find("`" + std::string(rule.id) + "`"), std::string::npos) << rule.id;
}

TEST(Verdicts, KeepSinceWhenItFails) {
    Verdicts verdicts;
    Verdict verdict{.probe = "a", .ok = true, .began = start};
    verdicts.put(verdict);
    verdict.ok = false;
    verdict.began = start + seconds(10);
    verdicts.put(verdict);
    verdict.began = start + seconds(20);
    EXPECT_EQ(verdicts.put(verdict).failing_since, start + seconds(10));
    verdict.ok = true;
    verdicts.put(verdict);
    verdict.ok = false;
    verdict.began = start + seconds(40);
    EXPECT_EQ(verdicts.put(verdict).failing_since, start + seconds(40));
    ASSERT_EQ(verdicts.of("").size(), 1U);
    verdicts.forget("", "a");
    EXPECT_TRUE(verdicts.of("").empty());
}

TEST(Verdicts, TooManyAreNoSystem) {
    Verdicts verdicts;
    for (std::size_t i = 0; i <= most_of_a_system; ++i)
        verdicts.put({.probe = std::to_string(i), .system = "big"});
    EXPECT_TRUE(verdicts.of("big").empty());
    verdicts.put({.probe = "one", .system = "small"});
    EXPECT_EQ(verdicts.of("small").size(), 1U);
}

TEST(HostOf, IsThatOfTheUrl) {
    EXPECT_EQ(host_of("rtmp://a.example.com:1935/live/x"), "a.example.com");
    EXPECT_EQ(host_of("https://b.example.com?x"), "b.example.com");
    EXPECT_EQ(host_of("live_demo at 127.0.0.1"), "");
}

}  // namespace
}  // namespace livecanary::daemon
