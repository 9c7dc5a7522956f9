#include "daemon/rules.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace livecanary::daemon {

namespace {

using enum Cause;
using namespace std::string_view_literals;

// --- the table. docs/diagnosis.md says it in words, rule by rule.

constexpr std::array backend_500{"backend_http_500"sv, "callback_refused"sv};
constexpr std::array hangs{"backend_hangs"sv, ""sv};
constexpr std::array of_tables{"backend_statement_failed"sv, "callback_not_stored"sv};
constexpr std::array of_connections{"backend_http_500"sv, "backend_hangs"sv, "callback_refused"sv, ""sv};
constexpr std::array of_journey{"callback_refused"sv, "callback_not_stored"sv, "callback_not_delivered"sv,
                                "replay_missing"sv};
constexpr std::array access_denied{"cos_access_denied"sv};
constexpr std::array request_expired{"cos_request_expired"sv};
constexpr std::array from_the_app{"cos_bucket_not_found"sv, ""sv};
constexpr std::array refused{"push_refused"sv};
constexpr std::array any_class{"*"sv};

constexpr std::array unreachable{db_unreachable_2002_2003_2005};
constexpr std::array frozen{db_frozen};
constexpr std::array config_mismatch{db_config_mismatch};
constexpr std::array secret_id{cos_wrong_secret_id};
constexpr std::array secret_key{cos_wrong_secret_key};
constexpr std::array our_clock{cos_clock_skew};
constexpr std::array arrears{live_account_in_arrears};
constexpr std::array of_whole_domain{push_domain_disabled_or_icp, live_account_in_arrears,
                                     push_client_ip_not_allowed};
constexpr std::array backend_cos{cos_wrong_bucket, cos_wrong_appid, cos_wrong_region,
                                 cos_service_not_activated};
constexpr std::array generation{cos_generation_mismatch};
constexpr std::array app_bucket{client_wrong_cos_appid_or_bucket};
constexpr std::array app_region{client_wrong_cos_region};
constexpr std::array by_login{db_auth_failed_1045, db_grant_missing_1044, db_unknown_1049};

constexpr std::array monitor_is_well{Fact{.kind = "mysql"}};
constexpr std::array monitor_is_well_and_login_refused{
    Fact{.kind = "mysql"}, Fact{.kind = "log_keywords", .shows = Shows::keyword, .causes = by_login}};
constexpr std::array monitor_claims{Fact{.kind = "mysql", .shows = Shows::claims_among}};
constexpr std::array monitor_claims_of_table{
    Fact{.kind = "mysql", .shows = Shows::claims_among, .same_table = true}};
constexpr std::array hop_claims{Fact{.kind = "", .shows = Shows::claims_among, .tie = Tie::asked}};
constexpr std::array own_pair_passes{Fact{.kind = "cos_roundtrip", .tie = Tie::same_bucket}};
constexpr std::array backend_signed_passes{Fact{.kind = "cos_roundtrip", .tie = Tie::asked}};
constexpr std::array both_generations_pass{Fact{.kind = "cos_roundtrip", .tie = Tie::asked},
                                           Fact{.kind = "cos_roundtrip", .tie = Tie::json_api}};
constexpr std::array other_domains_fail{
    Fact{.kind = "rtmp_push", .shows = Shows::fails, .tie = Tie::other_host, .label = "push_refused"}};
constexpr std::array other_domains_pass{Fact{.kind = "rtmp_push", .tie = Tie::other_host}};
constexpr std::array same_domain_passes{Fact{.kind = "rtmp_push", .tie = Tie::same_host}};
constexpr std::array log_says{Fact{.kind = "log_keywords", .shows = Shows::keyword}};

constexpr std::array table{
    // The monitor's own connection shows what stops the backend's.
    Rule{"database-seen-by-monitor",
         "",
         of_connections,
         {},
         monitor_claims,
         Effect::adopt,
         {},
         false,
         "{} finds the same at the database itself"},
    Rule{"table-seen-by-monitor",
         "",
         of_tables,
         {},
         monitor_claims_of_table,
         Effect::adopt,
         {},
         false,
         "{} finds the same in the table itself"},
    // A backend that cannot connect to what others connect to.
    Rule{"login-of-backend-refused", "", backend_500, config_mismatch, monitor_is_well_and_login_refused,
         Effect::claim, config_mismatch, false,
         "{}: the database lets the monitor in, and the backend's log says that it refuses the backend"},
    Rule{"database-is-up", "", backend_500, unreachable, monitor_is_well, Effect::rule_out, unreachable,
         false, "{} connects and reads meanwhile"},
    Rule{"database-moves", "", hangs, frozen, monitor_is_well, Effect::rule_out, frozen, false,
         "{} connects and reads meanwhile"},
    // A hop whose own probe knows why.
    Rule{"hop-knows",
         "journey",
         of_journey,
         {},
         hop_claims,
         Effect::adopt,
         {},
         false,
         "{}, which is a hop of this journey, finds it"},
    // The same bucket, signed by us and as the app does.
    Rule{"own-pair-passes-key", "cos_roundtrip", access_denied, secret_key, own_pair_passes, Effect::claim,
         secret_key, false,
         "{} passes at the same bucket with its own key pair; what the backend issues is refused"},
    // Without that candidate: COS says that it does not know the id.
    Rule{"own-pair-passes-id", "cos_roundtrip", access_denied, secret_id, own_pair_passes, Effect::claim,
         secret_id, false,
         "{} passes at the same bucket with its own key pair; what the backend issues is refused"},
    Rule{"own-pair-passes-clock", "cos_roundtrip", request_expired, our_clock, own_pair_passes,
         Effect::rule_out, our_clock, false, "{} passes at the same bucket, signed by our own clock"},
    // What users' apps log, while the round trip signed as the app signs passes.
    Rule{"app-has-other-bucket", "log_keywords", from_the_app, app_bucket, backend_signed_passes,
         Effect::rule_out, backend_cos, true, "{} passes with what the backend issues"},
    Rule{"app-has-other-region", "log_keywords", from_the_app, app_region, backend_signed_passes,
         Effect::rule_out, backend_cos, true, "{} passes with what the backend issues"},
    Rule{"bucket-has-app-generation", "log_keywords", from_the_app, app_region, both_generations_pass,
         Effect::rule_out, generation, true, "{} pass, over both APIs"},
    // One domain, or the account.
    Rule{"every-domain-refuses", "rtmp_push", refused, arrears, other_domains_fail, Effect::first, arrears,
         false, "{}, at another domain, is refused too"},
    Rule{"other-domain-accepts", "rtmp_push", refused, arrears, other_domains_pass, Effect::rule_out, arrears,
         false, "{}, at another domain, is accepted"},
    Rule{"domain-accepts-others",
         "rtmp_push",
         refused,
         {},
         same_domain_passes,
         Effect::rule_out,
         of_whole_domain,
         false,
         "{} is accepted by the same domain, from here"},
    // A log line beside a failing probe.
    Rule{"log-names-candidate",
         "",
         any_class,
         {},
         log_says,
         Effect::adopt,
         {},
         false,
         "the log read by {} says so"},
};

/// Names as rows of the tables that the two generations of the backend have.
constexpr std::array known_tables{"tb_vod"sv, "tb_room"sv, "tb_account"sv, "live_data"sv, "tape_data"sv};

/// "NAME-APPID" of "NAME-APPID in REGION": the two APIs call regions by different names.
std::string_view name_of(std::string_view bucket) { return bucket.substr(0, bucket.find(" in ")); }

bool has(const Diagnosis& found, Cause cause) {
    return std::ranges::find(found.candidates, cause, &Candidate::cause) != found.candidates.end();
}

/// What a rule found in other probes.
struct Shown {
    std::string names{};
    std::string words{};  ///< what the last of them says itself
    std::optional<Cause> cause{};

    void add(std::string_view name) { names += (names.empty() ? "" : ", ") + std::string(name); }
};

class Case {
public:
    Case(const Verdict& subject, std::span<const Verdict* const> all, std::span<const Notice> keywords,
         Clock::time_point now, WallTime wall_since)
        : subject_(subject), all_(all), keywords_(keywords), now_(now), since_(wall_since) {
        concluded_.found = subject.found;
    }

    Conclusion conclude() {
        for (const Rule& rule : rules()) {
            if (concluded_.found.cause) break;
            if (fits(rule)) apply(rule);
        }
        return std::move(concluded_);
    }

private:
    bool fits(const Rule& rule) const {
        const Diagnosis& found = concluded_.found;
        const auto label = found.cause_class ? to_string(*found.cause_class) : std::string_view();
        const bool labelled = rule.labels.front() == "*"
                                  ? !found.candidates.empty()
                                  : std::ranges::find(rule.labels, label) != rule.labels.end();
        return labelled && (rule.kind.empty() || rule.kind == subject_.kind) &&
               std::ranges::all_of(rule.needs, [&](Cause cause) { return has(found, cause); });
    }

    void apply(const Rule& rule) {
        Shown shown;
        for (const Fact& fact : rule.facts)
            if (!holds(fact, shown)) return;
        std::string why(rule.why);
        why.replace(why.find("{}"), 2, shown.names);
        switch (rule.effect) {
            case Effect::claim:
                claim(rule.causes.front(), why);
                break;
            case Effect::adopt:
                claim(*shown.cause, why + (shown.words.empty() ? "" : ": " + shown.words));
                break;
            case Effect::rule_out:
                if (!rule_out(rule, why)) return;
                break;
            case Effect::first:
                if (!put_first(rule, why)) return;
                break;
        }
        concluded_.by.push_back(rule.id);
    }

    void claim(Cause cause, const std::string& why) {
        Diagnosis& found = concluded_.found;
        found.cause = cause;
        found.cause_class.reset();
        found.candidates.clear();
        found.because += (found.because.empty() ? "" : "; ") + why;
    }

    bool rule_out(const Rule& rule, const std::string& why) {
        Diagnosis& found = concluded_.found;
        bool any = false;
        for (const Cause cause : rule.causes) {
            // The last one stands: a class without a candidate says nothing, and a contradiction is no proof.
            if (!has(found, cause) || found.candidates.size() == 1) continue;
            std::erase_if(found.candidates, [&](const Candidate& c) { return c.cause == cause; });
            found.ruled_out.push_back(std::string(to_string(cause)) + ": " + why);
            any = true;
        }
        if (any && rule.last_one_left && found.candidates.size() == 1)
            claim(found.candidates.front().cause, why + ", and nothing else is left");
        return any;
    }

    bool put_first(const Rule& rule, const std::string& why) {
        auto& candidates = concluded_.found.candidates;
        auto place = candidates.begin();
        bool any = false;
        for (const Cause cause : rule.causes) {
            const auto at = std::ranges::find(candidates, cause, &Candidate::cause);
            if (at == candidates.end()) continue;
            at->why += "; " + why;
            std::rotate(place, at, at + 1);
            ++place;
            any = true;
        }
        return any;
    }

    bool tied(const Fact& fact, const Verdict& other) const {
        if (other.probe == subject_.probe || other.system != subject_.system) return false;
        if (!fact.kind.empty() && other.kind != fact.kind) return false;
        switch (fact.tie) {
            case Tie::system:
                return true;
            case Tie::asked:
                // Of a log: a round trip signed by whatever backend the system has.
                if (subject_.kind == "log_keywords") return !other.asks.empty();
                return std::ranges::find(subject_.asks, other.probe) != subject_.asks.end();
            case Tie::same_bucket:
                return !subject_.asks.empty() && other.asks.empty() && !subject_.bucket.empty() &&
                       other.bucket == subject_.bucket;
            case Tie::json_api:
                return other.api == "v4" && std::ranges::any_of(all_, [&](const Verdict* signed_by_backend) {
                           return !signed_by_backend->asks.empty() && signed_by_backend->kind == other.kind &&
                                  name_of(signed_by_backend->bucket) == name_of(other.bucket);
                       });
            case Tie::same_host:
                return !host_of(other.target).empty() && host_of(other.target) == host_of(subject_.target);
            case Tie::other_host:
                return !host_of(other.target).empty() && host_of(other.target) != host_of(subject_.target);
        }
        return false;
    }

    bool holds(const Fact& fact, Shown& shown) const {
        return fact.shows == Shows::keyword ? keyword(fact, shown) : probes(fact, shown);
    }

    bool probes(const Fact& fact, Shown& shown) const {
        Shown mine;
        for (const Verdict* other : all_) {
            if (!tied(fact, *other)) continue;
            const bool current = now_ - other->began <= other->holds;
            const bool after = other->began >= subject_.failing_since;
            switch (fact.shows) {
                case Shows::ok:
                    if (!other->ok || !current || !after) return false;
                    mine.add(other->probe);
                    break;
                case Shows::fails:
                    if (other->ok || !current || other->found.label() != fact.label) return false;
                    mine.add(other->probe);
                    break;
                case Shows::claims_among: {
                    if (other->ok || !current || !other->found.cause) break;
                    if (!has(concluded_.found, *other->found.cause)) break;
                    if (fact.same_table && !of_same_table(*other)) break;
                    // Two that disagree show nothing.
                    if (mine.cause && mine.cause != other->found.cause) return false;
                    mine.cause = other->found.cause;
                    mine.words = other->found.because;
                    mine.add(other->probe);
                    break;
                }
                case Shows::keyword:
                    break;
            }
        }
        if (mine.names.empty()) return false;
        shown.add(mine.names);
        if (mine.cause) {
            shown.cause = mine.cause;
            shown.words = mine.words;
        }
        return true;
    }

    bool of_same_table(const Verdict& other) const {
        return std::ranges::any_of(known_tables, [&](std::string_view name) {
            return subject_.found.because.find(name) != std::string::npos &&
                   other.found.because.find(name) != std::string::npos;
        });
    }

    /// A keyword that stands for several causes names none of them.
    bool keyword(const Fact& fact, Shown& shown) const {
        std::set<Cause> said;
        const Notice* last = nullptr;
        for (const Notice& notice : keywords_) {
            const auto named = notice.facts.find("cause");
            if (notice.at < since_ || named == notice.facts.end() || notice.facts.contains("among")) continue;
            const auto cause = cause_from(named->second);
            if (!cause || !of_system(notice.from)) continue;
            const bool asked_for = fact.causes.empty()
                                       ? has(concluded_.found, *cause)
                                       : std::ranges::find(fact.causes, *cause) != fact.causes.end();
            if (!asked_for) continue;
            said.insert(*cause);
            last = &notice;
        }
        // Of the candidates the log may name one only; which of the wanted ones it is does not matter.
        if (last == nullptr || (fact.causes.empty() && said.size() != 1)) return false;
        shown.add(last->from);
        shown.cause = *said.begin();
        const auto line = last->facts.find("line");
        shown.words = line == last->facts.end() ? std::string() : line->second;
        return true;
    }

    bool of_system(std::string_view probe) const {
        const auto at = std::ranges::find_if(all_, [&](const Verdict* v) { return v->probe == probe; });
        return at != all_.end() && (*at)->system == subject_.system && probe != subject_.probe;
    }

    const Verdict& subject_;
    std::span<const Verdict* const> all_;
    std::span<const Notice> keywords_;
    Clock::time_point now_;
    WallTime since_;
    Conclusion concluded_{};
};

}  // namespace

std::span<const Rule> rules() noexcept { return table; }

Conclusion conclude(const Verdict& subject, std::span<const Verdict* const> all,
                    std::span<const Notice> keywords, Clock::time_point now, WallTime wall_since) {
    return Case(subject, all, keywords, now, wall_since).conclude();
}

const Verdict& Verdicts::put(Verdict verdict) {
    auto& kept = systems_[verdict.system][verdict.probe];
    const bool goes_on = !kept.probe.empty() && !kept.ok && !verdict.ok;
    verdict.failing_since = goes_on ? kept.failing_since : verdict.began;
    kept = std::move(verdict);
    return kept;
}

void Verdicts::forget(const std::string& system, std::string_view probe) {
    const auto at = systems_.find(system);
    if (at == systems_.end()) return;
    if (const auto its = at->second.find(probe); its != at->second.end()) at->second.erase(its);
    if (at->second.empty()) systems_.erase(at);
}

std::vector<const Verdict*> Verdicts::of(const std::string& system) const {
    std::vector<const Verdict*> found;
    const auto at = systems_.find(system);
    if (at == systems_.end() || at->second.size() > most_of_a_system) return found;
    found.reserve(at->second.size());
    for (const auto& [name, verdict] : at->second) found.push_back(&verdict);
    return found;
}

std::string_view host_of(std::string_view target) noexcept {
    const auto scheme = target.find("://");
    if (scheme == target.npos) return {};
    target.remove_prefix(scheme + 3);
    return target.substr(0, target.find_first_of(":/?"));
}

}  // namespace livecanary::daemon
