// The rules that lead from a failed round trip and its controls to a cause: each with what it needs.
#include "probes/cos_roundtrip/diagnose.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include <boost/asio/error.hpp>

#include "probes/cos_roundtrip/client.hpp"
#include "probes/cos_roundtrip/controls.hpp"
#include "probes/net/resolver.hpp"
#include "probes/net/tls.hpp"
#include "tests/unit/kinds/diagnosis_rules.hpp"

namespace livecanary::cos_roundtrip {
namespace {

using namespace std::chrono_literals;
using test::accepted;
using test::Controls;
using test::Evidences;
using test::expect_sound;
using test::inconclusive;
using Rule = test::DiagnosisRule;

const error_code eof = asio::error::eof;
const error_code timed_out = asio::error::timed_out;
const error_code refused_code = asio::error::connection_refused;

RunResult failed(Phase phase, error_code code, const Evidences& evidence = {}, Controls controls = {}) {
    return test::failed_run(phase, code, {}, evidence, std::move(controls));
}

/// A call that COS refused, with its XML.
RunResult said_no(unsigned status, const char* cos_code, Controls controls = {}, const char* message = "No.",
                  Phase phase = put) {
    const error_code code = error_of({.status = status});
    Evidences evidence{{"clock_skew", "0 s"},
                       {"status", std::string(phase.name) + " HTTP " + std::to_string(status)}};
    if (*cos_code != '\0') evidence.insert(evidence.end(), {{"cos_code", cos_code}, {"message", message}});
    return failed(phase, code, evidence, std::move(controls));
}

Control refused(std::string_view name, std::string fingerprint = "403 AccessDenied") {
    return test::refused(name, std::move(fingerprint));
}
Control list(std::string_view says) { return accepted(own_buckets, says); }

const std::string unknown_id = "403 InvalidAccessKeyId";
const std::string bad_signature = "403 SignatureDoesNotMatch";

void expect_weaker_without_any_control(RunResult run) {
    test::expect_weaker_without_any_control(diagnose, std::move(run));
}

const Rule rules[] = {
    // The way there.
    {"name_unknown", failed(dns, net::DnsError::no_such_name), ""},
    {"name_servers_fail", failed(dns, net::DnsError::server_failed), ""},
    {"name_servers_silent", failed(dns, net::DnsError::no_answer), ""},
    {"tcp_refused", failed(tcp, refused_code), "cos_endpoint_unreachable"},
    {"tcp_timeout", failed(tcp, timed_out), "cos_endpoint_unreachable"},
    {"tcp_unreachable", failed(tcp, asio::error::host_unreachable), "cos_endpoint_unreachable"},
    {"tls_expired", failed(tls, net::TlsError::certificate_expired), ""},
    {"tls_other_name", failed(tls, net::TlsError::name_mismatch), ""},
    {"tls_closed", failed(tls, eof), ""},

    // The keys.
    {"secret_id",
     said_no(403, "InvalidAccessKeyId",
             {refused(made_up_id, unknown_id), refused(wrong_signature, unknown_id)}),
     "cos_wrong_secret_id",
     {made_up_id},
     "cos_access_denied"},
    {"secret_id_and_made_up_one_refused_otherwise",
     said_no(403, "InvalidAccessKeyId", {refused(made_up_id, bad_signature)}), "cos_access_denied"},
    {"secret_id_and_made_up_one_accepted", said_no(403, "InvalidAccessKeyId", {accepted(made_up_id)}),
     "cos_access_denied"},
    {"secret_id_and_nothing_tried", said_no(403, "InvalidAccessKeyId"), "cos_access_denied"},
    {"secret_key",
     said_no(403, "SignatureDoesNotMatch",
             {refused(made_up_id, unknown_id), refused(wrong_signature, bad_signature)}),
     "cos_wrong_secret_key",
     {made_up_id},
     "cos_access_denied"},
    // A server that says this of everything does not say which.
    {"secret_key_and_made_up_id_refused_alike",
     said_no(403, "SignatureDoesNotMatch", {refused(made_up_id, bad_signature)}), "cos_access_denied"},
    {"secret_key_and_nothing_tried", said_no(403, "SignatureDoesNotMatch"), "cos_access_denied"},
    {"token_expired", said_no(400, "ExpiredToken"), "cos_temp_token_expired"},

    // The clock.
    {"skewed",
     said_no(403, "RequestTimeTooSkewed", {accepted(server_time)}),
     "cos_clock_skew",
     {server_time},
     "cos_request_expired"},
    {"expired",
     said_no(403, "AccessDenied", {accepted(server_time)}, "Request has expired"),
     "cos_clock_skew",
     {server_time},
     "cos_request_expired"},
    {"expired_also_by_the_server_s_time",
     said_no(403, "AccessDenied", {refused(server_time)}, "Request has expired"), "cos_request_expired"},
    {"expired_and_no_date", said_no(403, "AccessDenied", {}, "Request has expired"), "cos_request_expired"},
    {"skewed_and_no_date", said_no(403, "RequestTimeTooSkewed"), "cos_request_expired"},

    // The bucket.
    {"other_appid",
     said_no(404, "NoSuchBucket", {list(list_says::other_appid)}),
     "cos_wrong_appid",
     {own_buckets},
     "cos_bucket_not_found"},
    {"other_region_by_the_list",
     said_no(404, "NoSuchBucket", {list(list_says::other_region), refused(other_region)}),
     "cos_wrong_region",
     {own_buckets},
     "cos_bucket_not_found"},
    {"other_region_by_trying",
     said_no(404, "NoSuchBucket", {inconclusive(own_buckets), accepted(other_region)}),
     "cos_wrong_region",
     {other_region},
     "cos_bucket_not_found"},
    {"no_buckets",
     said_no(404, "NoSuchBucket", {list(list_says::nothing)}),
     "cos_service_not_activated",
     {own_buckets},
     "cos_bucket_not_found"},
    {"not_in_the_list",
     said_no(404, "NoSuchBucket", {list(list_says::not_there)}),
     "cos_wrong_bucket",
     {own_buckets},
     "cos_bucket_not_found"},
    {"in_the_list_and_not_there", said_no(404, "NoSuchBucket", {list(list_says::this_one)}),
     "cos_bucket_not_found"},
    {"no_list_and_no_region",
     said_no(404, "NoSuchBucket", {inconclusive(own_buckets), refused(other_region, "")}),
     "cos_bucket_not_found"},
    {"no_bucket_and_nothing_tried", said_no(404, "NoSuchBucket"), "cos_bucket_not_found"},
    {"bucket_name_invalid", said_no(400, "InvalidBucketName"), "cos_invalid_bucket_name"},
    {"bucket_name_too_long", said_no(400, "BucketNameTooLong"), "cos_invalid_bucket_name"},

    // Rights and money.
    {"denied",
     said_no(403, "AccessDenied",
             {refused(made_up_id, unknown_id), refused(wrong_signature, bad_signature),
              list(list_says::this_one)}),
     "cos_permission_denied",
     {wrong_signature, own_buckets},
     "cos_access_denied"},
    {"denied_with_a_key_that_may_not_list",
     said_no(403, "AccessDenied", {refused(wrong_signature, bad_signature), inconclusive(own_buckets)}),
     "cos_access_denied"},
    {"denied_whatever_the_signature",
     said_no(403, "AccessDenied", {refused(wrong_signature), list(list_says::this_one)}),
     "cos_access_denied"},
    {"denied_at_a_bucket_of_others",
     said_no(403, "AccessDenied", {refused(wrong_signature, bad_signature), list(list_says::not_there)}),
     "cos_access_denied"},
    {"denied_and_nothing_tried", said_no(403, "AccessDenied"), "cos_access_denied"},
    {"deletion_denied",
     said_no(403, "AccessDenied", {refused(wrong_signature, bad_signature), list(list_says::this_one)}, "No.",
             remove),
     "cos_permission_denied",
     {wrong_signature, own_buckets},
     "cos_access_denied"},
    {"payment_required", said_no(402, "PaymentRequired"), "cos_access_denied"},
    {"unavailable_for_legal_reasons", said_no(451, "UnavailableForLegalReasons"), "cos_access_denied"},
    {"denied_to_a_head", said_no(403, "", {}, "", head), ""},

    // Hosts.
    {"accelerate",
     said_no(400, "BucketAccelerateNotEnabled", {accepted(regional_host)}),
     "cos_accelerate_not_enabled",
     {regional_host}},
    {"accelerate_and_the_region_refuses_too",
     said_no(400, "BucketAccelerateNotEnabled", {refused(regional_host)}), ""},
    {"domain_unbound",
     said_no(400, "UserCnameInvalid", {accepted(regional_host)}),
     "cos_custom_domain_unbound",
     {regional_host}},
    {"domain_unbound_and_the_region_refuses_too", said_no(400, "UserCnameInvalid", {refused(regional_host)}),
     ""},
    {"redirected", said_no(307, ""), ""},

    // Load.
    {"slow_down", said_no(503, "SlowDown"), "cos_throttled"},
    {"service_unavailable", said_no(503, "ServiceUnavailable"), ""},  // throttled and out look alike
    {"network_too_slow", said_no(400, "UserNetworkTooSlow"), "cos_network_too_slow"},
    {"request_timeout", said_no(400, "RequestTimeout"), "cos_network_too_slow"},
    {"internal_error", said_no(500, "InternalError"), ""},
    {"page_of_somebody_in_between", said_no(503, ""), ""},

    // Bytes.
    {"bad_digest", said_no(400, "BadDigest"), "cos_body_corrupted"},
    {"bytes_differ", failed(verify, CosError::bytes_differ), "cos_body_corrupted"},
    {"length_differs", failed(verify, CosError::length_differs), "cos_body_corrupted"},
    {"etag_differs", failed(head, CosError::etag_differs), "cos_body_corrupted"},
    {"crc_differs", failed(put, CosError::crc_differs), "cos_body_corrupted"},

    // The object.
    {"object_not_there", said_no(404, "", {}, "", head), "cos_object_missing"},
    {"object_gone_before_the_get", said_no(404, "NoSuchKey", {}, "", get), "cos_object_missing"},
    {"bucket_gone_before_the_get", said_no(404, "NoSuchBucket", {}, "", get), "cos_bucket_not_found"},

    // What the catalogue has no word for.
    {"still_there", failed(remove, CosError::still_there), ""},
    {"closed_in_the_put", failed(put, eof), ""},
    {"silent_in_the_get", failed(get, timed_out), ""},
    {"unknown_code", said_no(409, "SomethingNew"), ""},
};

class CosRoundtripRules : public testing::TestWithParam<Rule> {};

TEST_P(CosRoundtripRules, LeadTo) {
    const Rule& rule = GetParam();
    const Diagnosis found = diagnose(rule.run);
    EXPECT_EQ(found.label(), rule.label) << found.because;
    EXPECT_EQ(found.cause.has_value(), !std::string_view(rule.label).empty() && !found.cause_class);
    expect_weaker_without_any_control(rule.run);
}

TEST_P(CosRoundtripRules, NeedTheirControls) {
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
INSTANTIATE_TEST_SUITE_P(, CosRoundtripRules, testing::ValuesIn(rules),
                         [](const auto& row) { return row.param.name; });

/// Calls `visit` with every set of outcomes of `names`.
void for_all_sets(const RunResult& base, std::span<const std::string_view> names,
                  const std::function<void(const RunResult&)>& visit) {
    constexpr std::size_t kinds = 6;
    std::size_t sets = 1;
    for (std::size_t i = 0; i < names.size(); ++i) sets *= kinds;
    for (std::size_t set = 0; set < sets; ++set) {
        RunResult run = base;
        std::size_t digits = set;
        for (const auto name : names) {
            const Control outcomes[kinds] = {{},
                                             inconclusive(name),
                                             accepted(name),
                                             refused(name),
                                             refused(name, unknown_id),
                                             refused(name, bad_signature)};
            if (digits % kinds != 0) run.controls.push_back(outcomes[digits % kinds]);
            digits /= kinds;
        }
        visit(run);
    }
}

bool refused_as(const RunResult& run, std::string_view name, std::string_view fingerprint) {
    const Control* control = run.control(name);
    return control != nullptr && control->outcome == ControlOutcome::failed &&
           control->fingerprint == fingerprint;
}

TEST(CosRoundtripDiagnose, KeysAreBlamedOnlyWhereAMadeUpIdIsRefusedAsUnknown) {
    constexpr std::array<std::string_view, 3> names{made_up_id, wrong_signature, server_time};
    for (const char* code : {"InvalidAccessKeyId", "SignatureDoesNotMatch"})
        for_all_sets(said_no(403, code), names, [&](const RunResult& run) {
            if (testing::Test::HasFailure()) return;
            expect_weaker_without_any_control(run);
            const std::string_view claim = std::string_view(code) == "InvalidAccessKeyId"
                                               ? "cos_wrong_secret_id"
                                               : "cos_wrong_secret_key";
            EXPECT_EQ(diagnose(run).label(),
                      refused_as(run, made_up_id, unknown_id) ? claim : "cos_access_denied");
        });
}

TEST(CosRoundtripDiagnose, RightsAreBlamedOnlyForAKeyThatIsValidAndABucketOfItsOwn) {
    constexpr std::array<std::string_view, 3> names{made_up_id, wrong_signature, server_time};
    for (const auto says : {std::string_view(), list_says::this_one, list_says::other_appid,
                            list_says::other_region, list_says::not_there, list_says::nothing}) {
        RunResult base = said_no(403, "AccessDenied");
        if (!says.empty()) base.controls.push_back(list(says));
        for_all_sets(base, names, [&](const RunResult& run) {
            if (testing::Test::HasFailure()) return;
            expect_weaker_without_any_control(run);
            const bool proven =
                says == list_says::this_one && refused_as(run, wrong_signature, bad_signature);
            EXPECT_EQ(diagnose(run).label(), proven ? "cos_permission_denied" : "cos_access_denied");
        });
    }
}

TEST(CosRoundtripDiagnose, BucketIsBlamedForWhatTheListOrARegionShows) {
    for (const auto says : {std::string_view(), list_says::this_one, list_says::other_appid,
                            list_says::other_region, list_says::not_there, list_says::nothing})
        for (const Control& region :
             {Control{}, inconclusive(other_region), accepted(other_region), refused(other_region, "")}) {
            // Regions are asked only where the list leaves them open.
            if (!region.name.empty() && !says.empty() && says != list_says::other_region) continue;
            RunResult run = said_no(404, "NoSuchBucket");
            run.controls.push_back(says.empty() ? inconclusive(own_buckets) : list(says));
            if (!region.name.empty()) run.controls.push_back(region);
            expect_weaker_without_any_control(run);
            const bool elsewhere =
                says == list_says::other_region || region.outcome == ControlOutcome::passed;
            EXPECT_EQ(diagnose(run).label(), elsewhere                        ? "cos_wrong_region"
                                             : says == list_says::other_appid ? "cos_wrong_appid"
                                             : says == list_says::nothing     ? "cos_service_not_activated"
                                             : says == list_says::not_there   ? "cos_wrong_bucket"
                                                                              : "cos_bucket_not_found")
                << says;
        }
}

TEST(CosRoundtripDiagnose, CandidatesLikeliestFirst) {
    const auto candidates = [](const RunResult& run) {
        std::vector<Cause> causes;
        for (const auto& candidate : diagnose(run).candidates) causes.push_back(candidate.cause);
        return causes;
    };
    using Causes = std::vector<Cause>;
    EXPECT_EQ(candidates(said_no(404, "NoSuchBucket")),
              (Causes{Cause::cos_wrong_bucket, Cause::cos_wrong_region, Cause::cos_wrong_appid,
                      Cause::cos_service_not_activated}));
    EXPECT_EQ(candidates(said_no(404, "NoSuchBucket", {refused(other_region, "")})),
              (Causes{Cause::cos_wrong_bucket, Cause::cos_wrong_appid, Cause::cos_service_not_activated}));
    EXPECT_EQ(candidates(said_no(403, "SignatureDoesNotMatch")),
              (Causes{Cause::cos_wrong_secret_key, Cause::cos_wrong_secret_id}));
    EXPECT_EQ(candidates(said_no(403, "InvalidAccessKeyId")), Causes{Cause::cos_wrong_secret_id});
    EXPECT_EQ(candidates(said_no(403, "RequestTimeTooSkewed")),
              (Causes{Cause::cos_clock_skew, Cause::cos_signkey_window_expired}));
    EXPECT_EQ(candidates(said_no(403, "AccessDenied")),
              (Causes{Cause::cos_permission_denied, Cause::cos_wrong_appid, Cause::cos_arrears}));
    EXPECT_EQ(candidates(said_no(402, "PaymentRequired")), Causes{Cause::cos_arrears});
    EXPECT_EQ(candidates(failed(dns, net::DnsError::no_such_name)),
              (Causes{Cause::cos_wrong_region, Cause::cos_endpoint_unreachable}));
    EXPECT_EQ(candidates(failed(dns, net::DnsError::server_failed)), Causes{Cause::cos_endpoint_unreachable});
    EXPECT_EQ(candidates(failed(tls, eof)), Causes{Cause::cos_endpoint_unreachable});
}

TEST(CosRoundtripDiagnose, SaysWhatCosSaid) {
    EXPECT_EQ(diagnose(said_no(403, "InvalidAccessKeyId", {refused(made_up_id, unknown_id)})).because,
              "COS answered put HTTP 403 InvalidAccessKeyId: No.; a made-up SecretId is refused in the same "
              "way");
    EXPECT_EQ(diagnose(said_no(403, "RequestTimeTooSkewed", {accepted(server_time)})).because,
              "COS answered put HTTP 403 RequestTimeTooSkewed: No.; the server's clock is 0 s from ours, and "
              "server_time is accepted");
    EXPECT_EQ(diagnose(said_no(500, "")).because, "COS answered put HTTP 500");
    EXPECT_EQ(diagnose(failed(put, timed_out)).because, timed_out.message())
        << "a server that said nothing has not answered";
    EXPECT_EQ(diagnose(failed(remove, CosError::still_there)).because,
              "the object is still there after its deletion");
    EXPECT_EQ(diagnose(failed(tcp, refused_code)).because,
              "the endpoint could not be reached: Connection refused");
}

TEST(CosRoundtripDiagnose, CodeOfAnAnswerIsItsReason) {
    const auto reason = [](unsigned status) { return to_string(reason_of(error_of({.status = status}))); };
    for (const unsigned status : {200U, 201U, 204U, 206U, 299U}) EXPECT_FALSE(error_of({.status = status}));
    for (const unsigned status : {300U, 301U, 304U, 307U}) EXPECT_EQ(reason(status), "mismatch") << status;
    for (const unsigned status : {401U, 403U}) EXPECT_EQ(reason(status), "forbidden") << status;
    EXPECT_EQ(reason(404), "not_found");
    for (const unsigned status : {101U, 400U, 402U, 409U, 411U, 451U, 500U, 503U, 600U})
        EXPECT_EQ(reason(status), "rejected") << status;
    EXPECT_EQ(fingerprint(get, {.status = 404, .cos_code = "NoSuchKey"}), "get 404 NoSuchKey");
    EXPECT_EQ(fingerprint(head, {.status = 404}), "head 404");
}

}  // namespace
}  // namespace livecanary::cos_roundtrip
