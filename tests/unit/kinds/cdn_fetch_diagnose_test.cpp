// The rules that lead from a failed fetch and its controls to a cause: each with what it needs.
#include "probes/cdn_fetch/diagnose.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <span>

#include <boost/asio/error.hpp>

#include "probes/cdn_fetch/controls.hpp"
#include "probes/net/resolver.hpp"
#include "probes/net/tls.hpp"
#include "tests/unit/kinds/diagnosis_rules.hpp"

namespace livecanary::cdn_fetch {
namespace {

using test::accepted;
using test::Controls;
using test::Evidences;
using test::inconclusive;
using test::refused;
using Rule = test::DiagnosisRule;

const error_code eof = asio::error::eof;
const error_code timed_out = asio::error::timed_out;
const error_code refused_code = asio::error::connection_refused;

RunResult failed(Phase phase, error_code code, const std::string& how, const Evidences& evidence = {},
                 Controls controls = {}) {
    Evidences all{{"auth", "none"}, {"domain", "cover.cdn.example.com"}, {"uploaded_by", "cover"}};
    all.insert(all.end(), evidence.begin(), evidence.end());
    return test::failed_run(phase, code, how, all, std::move(controls));
}

/// A status, and COS's code if there was one.
RunResult said_no(unsigned status, const char* cos_code, Controls controls = {}, const Evidences& more = {}) {
    Evidences evidence = more;
    evidence.emplace_back("status", "HTTP " + std::to_string(status));
    std::string how = std::to_string(status);
    if (*cos_code != '\0') {
        evidence.insert(evidence.end(), {{"cos_code", cos_code}, {"request_id", "id"}});
        how += " " + std::string(cos_code);
    }
    return failed(first_byte, error_of(status), how, evidence, std::move(controls));
}

RunResult wrong(CdnError code, const char* how, const char* version, Controls controls = {}) {
    return failed(verify, code, how, {{"status", "HTTP 200"}, {"version", version}}, std::move(controls));
}

/// auth is looked up by the first evidence of its name, so it has to come before ours.
RunResult signed_said_no(unsigned status, Controls controls, const char* auth = "type A",
                         const char* domain = "cover.cdn.example.com") {
    return test::failed_run(first_byte, error_of(status), std::to_string(status),
                            {{"auth", auth},
                             {"domain", domain},
                             {"uploaded_by", "cover"},
                             {"status", "HTTP " + std::to_string(status)}},
                            std::move(controls));
}

const char* const same = "the same ETag as the origin";
const char* const another = "another ETag than the origin";
const std::string denied = "403 AccessDenied";

const Controls all_alike{refused(again, "403"), accepted(origin), refused(other_referer, "403"),
                         refused(other_user_agent, "403")};

const Rule rules[] = {
    // The way there.
    {"no_name",
     failed(dns, net::DnsError::no_such_name, "dns nxdomain", {}, {accepted(origin_name)}),
     "cdn_dns_failure",
     {origin_name},
     "cdn_unreachable"},
    {"no_names_at_all",
     failed(dns, net::DnsError::server_failed, "dns servfail", {}, {refused(origin_name, "dns servfail")}),
     "cdn_unreachable"},
    {"tcp_and_the_origin_stands",
     failed(tcp, refused_code, "tcp refused", {}, {refused(again, "tcp refused"), accepted(origin)}),
     "cdn_endpoint_unreachable",
     {again, origin},
     "cdn_unreachable"},
    {"tcp_and_another_address_stands",
     failed(tcp, timed_out, "tcp timeout", {}, {refused(again, "tcp timeout"), accepted(other_address)}),
     "cdn_endpoint_unreachable",
     {again, other_address},
     "cdn_unreachable"},
    {"tcp_of_one_of_many",
     failed(tcp, refused_code, "tcp refused", {{"good_addresses", "3 of 4"}},
            {refused(again, "tcp refused")}),
     "cdn_endpoint_unreachable",
     {again},
     "cdn_unreachable"},
    {"tcp_and_nothing_stands",
     failed(tcp, refused_code, "tcp refused", {},
            {refused(again, "tcp refused"), refused(origin, "tcp refused")}),
     "cdn_unreachable"},
    {"expired", failed(tls, net::TlsError::certificate_expired, "tls certificate"), "cdn_cert_expired"},
    {"other_name", failed(tls, net::TlsError::name_mismatch, "tls certificate"), "cdn_cert_expired"},
    {"expired_as_the_origin",
     failed(tls, net::TlsError::certificate_expired, "tls certificate", {},
            {refused(origin, "tls certificate")}),
     "cdn_unreachable"},
    {"not_yet", failed(tls, net::TlsError::certificate_not_yet_valid, "tls certificate"), "cdn_unreachable"},
    {"untrusted", failed(tls, net::TlsError::untrusted, "tls certificate"), "cdn_unreachable"},
    {"tls_closed", failed(tls, eof, "tls closed", {}, {accepted(over_http)}), "cdn_unreachable"},
    {"silent", failed(first_byte, timed_out, "first_byte timeout"), "cdn_unreachable"},
    {"cut",
     failed(body, net::HttpError::closed_in_body, "body closed after 1000 bytes", {{"status", "HTTP 200"}},
            {refused(again, "body closed after 1000 bytes"), accepted(origin)}),
     "cdn_hash_mismatch",
     {again, origin},
     "cdn_unreachable"},
    {"cut_elsewhere_the_next_time",
     failed(body, net::HttpError::closed_in_body, "body closed after 1000 bytes", {{"status", "HTTP 200"}},
            {refused(again, "body closed after 1001 bytes"), accepted(origin)}),
     "cdn_unreachable"},

    // 403.
    {"acceleration_off",
     said_no(403, "",
             {refused(again, "403"), accepted(origin), refused(other_referer, "403"),
              refused(other_user_agent, "403")}),
     "cdn_cos_acceleration_disabled",
     {again, origin, other_referer, other_user_agent},
     "cdn_forbidden"},
    {"acceleration_off_and_signed",
     signed_said_no(
         403, {refused(again, "403"), accepted(origin), refused(not_signed, "403"),
               refused(wrong_sign, "403"), refused(other_referer, "403"), refused(other_user_agent, "403")}),
     "cdn_forbidden"},
    // A domain that wants a signature refuses in the same way.
    {"acceleration_off_and_nobody_said_unsigned", signed_said_no(403, all_alike, "not configured"),
     "cdn_forbidden"},
    {"acceleration_of_the_default_domain_off",
     signed_said_no(403, all_alike, "not configured", "cover-1250000000.file.myqcloud.com"),
     "cdn_cos_acceleration_disabled",
     {again, origin, other_referer, other_user_agent},
     "cdn_forbidden"},
    {"forbidden_everywhere",
     said_no(403, "",
             {refused(again, "403"), refused(origin, "403"), refused(other_referer, "403"),
              refused(other_user_agent, "403")}),
     "cdn_forbidden"},
    {"forbidden_and_nothing_tried", said_no(403, ""), "cdn_forbidden"},
    {"private_bucket",
     said_no(403, "AccessDenied",
             {refused(again, denied), accepted(origin), refused(origin_unsigned, denied)}),
     "cdn_private_bucket_origin_auth_off",
     {again, origin, origin_unsigned},
     "cdn_forbidden"},
    {"public_bucket_that_denies",
     said_no(403, "AccessDenied", {refused(again, denied), accepted(origin), accepted(origin_unsigned)}),
     "cdn_forbidden"},
    {"other_code_of_cos",
     said_no(403, "InvalidAccessKeyId", {refused(again, "403 InvalidAccessKeyId"), accepted(origin)}),
     "cdn_forbidden"},
    {"backup_key",
     signed_said_no(403, {refused(again, "403"), accepted(origin), accepted(backup_key)}),
     "cdn_url_auth_failed",
     {again, backup_key},
     "cdn_forbidden"},
    {"other_order",
     signed_said_no(403, {refused(again, "403"), accepted(origin), accepted(other_order)}),
     "cdn_url_auth_failed",
     {again, other_order},
     "cdn_forbidden"},
    {"server_time",
     signed_said_no(403, {refused(again, "403"), accepted(origin), accepted(server_time)}),
     "cdn_url_auth_failed",
     {again, server_time},
     "cdn_forbidden"},
    {"unsigned",
     signed_said_no(403, {refused(again, "403"), accepted(origin), accepted(not_signed)}),
     "cdn_url_auth_failed",
     {again, not_signed},
     "cdn_forbidden"},
    {"referer",
     said_no(403, "", {refused(again, "403"), accepted(origin), accepted(other_referer)}),
     "cdn_hotlink_or_ip_blocked",
     {again, other_referer},
     "cdn_forbidden"},
    {"user_agent",
     said_no(403, "", {refused(again, "403"), accepted(origin), accepted(other_user_agent)}),
     "cdn_hotlink_or_ip_blocked",
     {again, other_user_agent},
     "cdn_forbidden"},
    {"it_was_a_moment", said_no(403, "", {accepted(again), accepted(origin), accepted(other_referer)}),
     "cdn_forbidden"},

    // 404.
    {"negative_cache",
     said_no(404, "", {refused(again, "404"), accepted(origin), accepted(fresh_query)}, {{"cache", "hit"}}),
     "cdn_negative_cache",
     {again, origin, fresh_query},
     "cdn_failing"},
    {"not_found_and_no_cache",
     said_no(404, "", {refused(again, "404"), accepted(origin), accepted(fresh_query)}, {{"cache", "miss"}}),
     "cdn_failing"},
    {"not_found_anywhere",
     said_no(404, "NoSuchKey", {refused(again, "404 NoSuchKey"), refused(origin, "404")}), "cdn_failing"},
    {"signature_taken_for_a_path",
     signed_said_no(404, {refused(again, "404"), accepted(origin), accepted(not_signed)}),
     "cdn_url_auth_failed",
     {again, not_signed},
     "cdn_failing"},

    // What the CDN makes itself.
    {"loop", said_no(423, "", {accepted(origin)}), "cdn_origin_loop", {origin}, "cdn_failing"},
    {"loop_seen_at_the_origin", said_no(423, "", {refused(origin, "423")}), "cdn_failing"},
    {"origin_refuses",
     said_no(532, "", {accepted(origin)}),
     "cdn_origin_unreachable",
     {origin},
     "cdn_failing"},
    {"origin_is_down",
     said_no(532, "", {refused(origin, "tcp refused")}),
     "cdn_origin_unreachable",
     {origin},
     "cdn_failing"},
    {"fetch_over_https",
     said_no(563, "", {accepted(origin)}),
     "cdn_origin_unreachable",
     {origin},
     "cdn_failing"},
    {"node_times_out", said_no(567, "", {accepted(origin)}), "cdn_failing"},
    {"bad_gateway",
     said_no(502, "", {refused(again, "502"), refused(origin, "tcp refused")}),
     "cdn_origin_unreachable",
     {again, origin},
     "cdn_failing"},
    {"bad_gateway_of_the_origin", said_no(502, "", {refused(again, "502"), refused(origin, "502")}),
     "cdn_failing"},
    {"gateway_timeout",
     said_no(504, "", {refused(again, "504"), accepted(origin)}),
     "cdn_origin_unreachable",
     {again, origin},
     "cdn_failing"},
    {"slow_down",
     said_no(503, "SlowDown", {refused(again, "503 SlowDown"), accepted(origin)}),
     "cdn_cos_freq_control",
     {again, origin},
     "cdn_failing"},
    {"slow_down_of_all",
     said_no(503, "SlowDown", {refused(again, "503 SlowDown"), refused(origin, "503 SlowDown")}),
     "cdn_failing"},
    {"unavailable", said_no(503, "", {refused(again, "503"), accepted(origin)}), "cdn_failing"},
    {"attack", said_no(509, "", {accepted(origin)}), "cdn_rate_or_attack_ban", {origin}, "cdn_failing"},
    {"overload", said_no(614, "", {accepted(origin)}), "cdn_rate_or_attack_ban", {origin}, "cdn_failing"},
    {"list_or_rate", said_no(514, "", {refused(again, "514"), accepted(origin)}), "cdn_failing"},
    {"no_https",
     said_no(514, "", {refused(again, "514"), accepted(origin), accepted(over_http)}),
     "cdn_cert_expired",
     {again, over_http},
     "cdn_failing"},
    {"redirect", said_no(302, ""), "cdn_failing"},
    {"teapot", said_no(418, ""), ""},
    {"too_long", said_no(414, ""), ""},

    // 200.
    {"stale",
     wrong(CdnError::other_version, "other version", another,
           {accepted(origin), refused(again, "other version"), accepted(fresh_query)}),
     "cdn_stale_object",
     {origin, again, fresh_query},
     "cdn_wrong_object"},
    {"another_for_good",
     wrong(CdnError::other_version, "other version", another,
           {accepted(origin), refused(again, "other version"), refused(fresh_query, "other version")}),
     "cdn_wrong_object"},
    {"damaged",
     wrong(CdnError::bytes_differ, "bytes differ", same, {accepted(origin), refused(again, "bytes differ")}),
     "cdn_hash_mismatch",
     {origin, again},
     "cdn_wrong_object"},
    {"short",
     wrong(CdnError::length_differs, "length differs", same,
           {accepted(origin), refused(again, "length differs")}),
     "cdn_hash_mismatch",
     {origin, again},
     "cdn_wrong_object"},
    {"other_bytes_of_no_version",
     wrong(CdnError::bytes_differ, "bytes differ", "no ETag to compare",
           {accepted(origin), refused(again, "bytes differ")}),
     "cdn_wrong_object"},
    {"compressed", wrong(CdnError::encoded, "encoded", same, {accepted(origin), refused(again, "encoded")}),
     "cdn_wrong_object"},
    {"not_cached",
     wrong(CdnError::not_cached, "miss", same, {refused(again, "miss"), refused(fresh_query, "miss")}),
     "cdn_cache_miss_storm",
     {again},
     ""},
    {"cached_the_next_time", wrong(CdnError::not_cached, "miss", same, {accepted(again)}), ""},
};

class CdnFetchRules : public testing::TestWithParam<Rule> {};

TEST_P(CdnFetchRules, LeadTo) {
    const Rule& rule = GetParam();
    const Diagnosis found = diagnose(rule.run);
    EXPECT_EQ(found.label(), rule.label) << found.because;
    EXPECT_EQ(found.cause.has_value(), !std::string_view(rule.label).empty() && !found.cause_class);
    test::expect_weaker_without_any_control(diagnose, rule.run);
}

TEST_P(CdnFetchRules, NeedTheirControls) {
    const Rule& rule = GetParam();
    for (const auto name : rule.needs) {
        ASSERT_NE(rule.run.control(name), nullptr) << name;
        RunResult without = rule.run;
        for (auto& control : without.controls)
            if (control.name == name) control = inconclusive(name);
        EXPECT_EQ(diagnose(without).label(), rule.rest) << "once " << name << " shows nothing";
        std::erase_if(without.controls, [&](const Control& control) { return control.name == name; });
        EXPECT_EQ(diagnose(without).label(), rule.rest) << "without " << name;
    }
}
INSTANTIATE_TEST_SUITE_P(, CdnFetchRules, testing::ValuesIn(rules),
                         [](const auto& row) { return row.param.name; });

/// Calls `visit` with every set of outcomes of `names`; `how` is the run's own fingerprint.
void for_all_sets(const RunResult& base, std::span<const std::string_view> names, const std::string& how,
                  const std::function<void(const RunResult&)>& visit) {
    constexpr std::size_t kinds = 5;
    std::size_t sets = 1;
    for (std::size_t i = 0; i < names.size(); ++i) sets *= kinds;
    for (std::size_t set = 0; set < sets; ++set) {
        RunResult run = base;
        std::size_t digits = set;
        for (const auto name : names) {
            const Control outcomes[kinds] = {
                {}, inconclusive(name), accepted(name), refused(name, how), refused(name, "other")};
            if (digits % kinds != 0) run.controls.push_back(outcomes[digits % kinds]);
            digits /= kinds;
        }
        visit(run);
    }
}

TEST(CdnFetchDiagnose, WhateverTheControlsSayNothingIsClaimedOnLess) {
    constexpr std::array<std::string_view, 5> of_403{again, origin, not_signed, other_referer,
                                                     other_user_agent};
    for (const RunResult& run : {said_no(403, ""), signed_said_no(403, {})})
        for_all_sets(run, of_403, "403", [&](const RunResult& with) {
            if (testing::Test::HasFailure()) return;
            test::expect_weaker_without_any_control(diagnose, with);
            const bool lasts = with.control(again) != nullptr && with.control(again)->fingerprint == "403";
            EXPECT_TRUE(lasts || !diagnose(with).cause) << "a moment's failure blames nobody";
        });
    constexpr std::array<std::string_view, 4> of_content{again, origin, fresh_query, other_address};
    for (const auto& [run, how] :
         {std::pair(wrong(CdnError::other_version, "other version", another), "other version"),
          std::pair(wrong(CdnError::bytes_differ, "bytes differ", same), "bytes differ"),
          std::pair(wrong(CdnError::not_cached, "miss", same), "miss"),
          std::pair(said_no(404, "", {}, {{"cache", "hit"}}), "404"),
          std::pair(said_no(503, "SlowDown"), "503 SlowDown"), std::pair(said_no(502, ""), "502")})
        for_all_sets(run, of_content, how, [&](const RunResult& with) {
            if (testing::Test::HasFailure()) return;
            test::expect_weaker_without_any_control(diagnose, with);
            const bool lasts = with.control(again) != nullptr && with.control(again)->fingerprint == how;
            EXPECT_TRUE(lasts || !diagnose(with).cause);
        });
}

TEST(CdnFetchDiagnose, CandidatesLikeliestFirst) {
    const auto first = [](const RunResult& run) { return diagnose(run).candidates.at(0).cause; };
    EXPECT_EQ(first(said_no(403, "")), Cause::cdn_cos_acceleration_disabled);
    EXPECT_EQ(first(signed_said_no(403, {})), Cause::cdn_url_auth_failed);
    EXPECT_EQ(first(said_no(403, "AccessDenied")), Cause::cdn_private_bucket_origin_auth_off);
    EXPECT_EQ(first(said_no(404, "", {}, {{"cache", "hit"}})), Cause::cdn_negative_cache);
    EXPECT_EQ(first(said_no(404, "")), Cause::cdn_origin_unreachable);
    EXPECT_EQ(first(said_no(404, "", {refused(origin, "404")})), Cause::cos_object_missing);
    EXPECT_EQ(first(said_no(503, "")), Cause::cdn_cos_freq_control);
    EXPECT_EQ(first(said_no(514, "")), Cause::cdn_rate_or_attack_ban);
    EXPECT_EQ(first(said_no(302, "")), Cause::cdn_domain_offline_or_blocked);
    EXPECT_EQ(first(failed(tls, eof, "tls closed")), Cause::cdn_endpoint_unreachable);
}

TEST(CdnFetchDiagnose, NameThatLeadsElsewhereIsACandidateAndDecidesNothing) {
    const RunResult run =
        said_no(404, "", {},
                {{"leads_to", "no name of Tencent Cloud CDN that we know"}, {"cname", "parked.example.org"}});
    const Diagnosis found = diagnose(run);
    EXPECT_EQ(found.label(), "cdn_failing");
    EXPECT_TRUE(std::ranges::any_of(found.candidates,
                                    [](const Candidate& c) { return c.cause == Cause::cdn_dns_failure; }));
}

TEST(CdnFetchDiagnose, StatusesAreCountedByThoseTheVendorHasMeaningsFor) {
    EXPECT_EQ(code_of(200), "200");
    EXPECT_EQ(code_of(514), "514");
    for (const unsigned status : {100U, 206U, 302U, 418U, 999U}) EXPECT_EQ(code_of(status), "other");
}

}  // namespace
}  // namespace livecanary::cdn_fetch
