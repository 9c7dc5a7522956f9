// The rules that lead from a push that was taken and not played, and its controls, to a cause.
#include "probes/rtmp_push/diagnose.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <span>

#include <boost/asio/error.hpp>

#include "probes/net/resolver.hpp"
#include "probes/net/tls.hpp"
#include "probes/protocol/rtmp/error.hpp"
#include "probes/rtmp_push/controls.hpp"
#include "probes/rtmp_push/push.hpp"
#include "probes/rtmp_push/report.hpp"
#include "tests/unit/kinds/diagnosis_rules.hpp"

namespace livecanary::rtmp_push {
namespace {

using namespace std::chrono_literals;
using test::accepted;
using test::Controls;
using test::Evidences;
using test::expect_sound;
using test::failed_run;
using test::inconclusive;
using test::refused;
using Rule = test::DiagnosisRule;
using rtmp_error = protocol::rtmp::Error;

const error_code eof = asio::error::eof;
const error_code timed_out = asio::error::timed_out;
const error_code refused_code = asio::error::connection_refused;

void expect_weaker_without_any_control(RunResult run) {
    test::expect_weaker_without_any_control(diagnose, std::move(run));
}

const error_code reset_code = asio::error::connection_reset;

/// A run whose viewer failed with `code` over HTTP-FLV, after it had asked for the stream. `others`: what
/// other viewers of the run saw. `wait`: how long the stream was waited for; empty if the run's time was up
/// before.
RunResult not_played(error_code code, Controls controls, const Evidences& others = {},
                     std::string wait = "10000 ms") {
    Evidences evidence{{"not_played", "http-flv play.test at 192.0.2.1:80: " + code.message()},
                       {"playback_stage", std::string(stage_is::asked)}};
    evidence.insert(evidence.end(), others.begin(), others.end());
    if (!wait.empty()) evidence.emplace_back("playback_wait", std::move(wait));
    return failed_run(playing, code, "playback http-flv " + std::string(to_string(reason_of(code))), evidence,
                      std::move(controls));
}

/// The same over RTMP, which ended at `stage`.
RunResult not_played_over_rtmp(error_code code, std::string_view stage, Controls controls = {}) {
    return failed_run(playing, code, "playback rtmp closed",
                      {{"not_played", "rtmp play.test at 192.0.2.1:1935: the server hung up"},
                       {"playback_stage", std::string(stage)}},
                      std::move(controls));
}

/// Fails as the run itself does.
Control as_forbidden(std::string_view name) { return refused(name, "playback http-flv forbidden"); }
Control as_closed(std::string_view name) { return refused(name, "playback http-flv closed"); }

const Evidences other_host_plays{{"played", "http-flv other.test at 192.0.2.9:80: played; first byte 5 ms"}};
const Evidences rtmp_plays_here{{"played", "rtmp play.test at 192.0.2.1:1935: played; first byte 5 ms"}};
const Evidences other_edge_plays{{"played", "http-flv play.test at 192.0.2.2:80: played; first byte 5 ms"}};
const Evidences longer_name_plays{
    {"played", "http-flv play.test.a at 192.0.2.2:80: played; first byte 5 ms"}};

const Rule play_rules[] = {
    {"other_key_plays",
     not_played(PlayError::forbidden,
                {accepted(play_backup_key), as_forbidden(play_wrong_secret), as_forbidden(play_unsigned)}),
     "play_auth_key_mismatch",
     {play_backup_key}},
    {"other_key_plays_where_refusals_are_hang_ups",
     not_played(eof, {accepted(play_backup_key), as_closed(play_wrong_secret), as_closed(play_unsigned)}),
     "play_auth_key_mismatch",
     {play_backup_key}},
    {"refused_as_a_wrong_secret_and_not_as_none",
     not_played(PlayError::forbidden,
                {as_forbidden(play_backup_key), as_forbidden(play_wrong_secret), refused(play_unsigned)}),
     "play_auth_key_mismatch",
     {play_wrong_secret, play_unsigned}},
    {"refused_as_all",
     not_played(PlayError::forbidden, {as_forbidden(play_backup_key), as_forbidden(play_wrong_secret),
                                       as_forbidden(play_unsigned)}),
     "play_refused"},
    {"refused_otherwise_than_a_wrong_secret",
     not_played(PlayError::forbidden, {refused(play_wrong_secret), refused(play_unsigned)}), "play_refused"},
    {"plays_unsigned",
     not_played(PlayError::forbidden, {as_forbidden(play_wrong_secret), accepted(play_unsigned)}),
     "play_refused"},
    {"plays_with_a_wrong_secret",
     not_played(PlayError::forbidden, {accepted(play_wrong_secret), accepted(play_unsigned)}), ""},
    {"refused_and_nothing_tried", not_played(PlayError::forbidden, {}), "play_refused"},
    {"refused_and_nothing_shown",
     not_played(PlayError::forbidden, {inconclusive(play_backup_key), inconclusive(play_wrong_secret),
                                       inconclusive(play_unsigned)}),
     "play_refused"},
    {"hangs_up_on_all", not_played(eof, {as_closed(play_wrong_secret), as_closed(play_unsigned)}),
     "play_refused"},
    {"hangs_up_and_nothing_tried", not_played(eof, {}), ""},
    {"rtmp_hangs_up_at_play", not_played_over_rtmp(eof, stage_is::asked), "play_refused"},
    {"rtmp_resets_at_play", not_played_over_rtmp(reset_code, stage_is::asked), "play_refused"},
    {"rtmp_hangs_up_at_connect", not_played_over_rtmp(eof, stage_is::connect), "play_no_stream"},
    {"rtmp_hangs_up_at_connect_whatever_the_secret",
     not_played_over_rtmp(eof, stage_is::connect, {refused(play_wrong_secret, "playback rtmp closed")}),
     "play_no_stream"},
    {"rtmp_hangs_up_before_it_speaks", not_played_over_rtmp(eof, stage_is::unconnected), ""},
    {"rtmp_hangs_up_in_the_media", not_played_over_rtmp(eof, stage_is::media), ""},
    // What was issued is refused, and what we sign ourselves is not: key or time, which look alike.
    {"issued_url_alone_is_refused",
     not_played(PlayError::forbidden, {accepted(play_own_key), as_forbidden(play_wrong_secret)}),
     "play_refused"},
    {"issued_url_and_ours_are_refused",
     not_played(PlayError::forbidden, {as_forbidden(play_own_key), as_forbidden(play_wrong_secret)}),
     "play_refused"},
    {"reset_and_nothing_tried", not_played(reset_code, {}), ""},
    {"error_status_and_nothing_tried", not_played(PlayError::http_status, {}), ""},

    {"missing_here_and_not_elsewhere",
     not_played(PlayError::not_found, {refused(play_rtmp), accepted(play_other_domain)}, other_host_plays),
     "play_domain_mismatch",
     {play_rtmp, play_other_domain}},
    {"missing_here_in_every_form",
     not_played(PlayError::not_found,
                {refused(play_rtmp), refused(play_flv), refused(play_hls), accepted(play_other_domain)}),
     "play_domain_mismatch",
     {play_other_domain}},
    {"granted_and_nothing_came",
     not_played(PlayError::no_media, {refused(play_flv), refused(play_hls), accepted(play_other_domain)}),
     "play_domain_mismatch",
     {play_other_domain}},
    {"missing_after_too_short_a_wait",
     not_played(PlayError::not_found, {refused(play_rtmp), accepted(play_other_domain)}, {}, "9999 ms"),
     "play_no_stream"},
    {"missing_until_the_run_was_over",
     not_played(PlayError::not_found, {refused(play_rtmp), accepted(play_other_domain)}, {}, ""),
     "play_no_stream"},
    {"missing_everywhere", not_played(PlayError::not_found, {refused(play_rtmp), refused(play_other_domain)}),
     "play_no_stream"},
    {"missing_and_one_form_not_tried",
     not_played(PlayError::not_found,
                {refused(play_rtmp), inconclusive(play_hls), accepted(play_other_domain)}),
     "play_no_stream"},
    {"missing_and_no_other_form", not_played(PlayError::not_found, {accepted(play_other_domain)}),
     "play_no_stream"},
    {"missing_and_nothing_tried", not_played(PlayError::not_found, {}), "play_no_stream"},
    {"segment_missing", not_played(PlayError::segment_not_found, {}), ""},
    {"another_form_plays",
     not_played(PlayError::not_found, {accepted(play_rtmp), refused(play_hls), accepted(play_other_domain)}),
     ""},
    {"another_form_played_in_the_run",
     not_played(PlayError::not_found, {refused(play_hls), accepted(play_other_domain)}, rtmp_plays_here), ""},
    {"name_that_begins_alike_played",
     not_played(PlayError::not_found, {refused(play_hls), accepted(play_other_domain)}, longer_name_plays),
     "play_domain_mismatch",
     {play_hls, play_other_domain}},

    {"edge_refuses", not_played(refused_code, {}, other_edge_plays), "cdn_endpoint_unreachable"},
    {"edge_out_of_reach", not_played(asio::error::host_unreachable, {}, other_edge_plays),
     "cdn_endpoint_unreachable"},
    {"only_edge_refuses", not_played(refused_code, {}), "play_unreachable"},
    {"edge_refuses_and_another_name_plays", not_played(refused_code, {}, other_host_plays),
     "play_unreachable"},
    {"edge_refuses_and_a_longer_name_plays", not_played(refused_code, {}, longer_name_plays),
     "play_unreachable"},
    // The edge is there: what refuses is one port of it.
    {"edge_refuses_one_port_and_plays_on_another", not_played(refused_code, {}, rtmp_plays_here),
     "play_unreachable"},
    {"edge_is_silent", not_played(timed_out, {}, other_edge_plays), "play_unreachable"},
    {"play_name_unknown", not_played(net::DnsError::no_such_name, {}), "play_unreachable"},
    {"play_name_servers_fail", not_played(net::DnsError::server_failed, {}), "play_unreachable"},
    {"play_certificate_expired", not_played(net::TlsError::certificate_expired, {}), "cdn_cert_expired"},
    {"play_certificate_of_another_name", not_played(net::TlsError::name_mismatch, {}), "play_unreachable"},
    {"play_certificate_not_trusted", not_played(net::TlsError::untrusted, {}, other_edge_plays),
     "play_unreachable"},

    {"picture_stalls", not_played(PlayError::stalled, {}), ""},
    {"playlist_is_old", not_played(PlayError::stale, {}), ""},
    {"pictures_of_another_push", not_played(PlayError::foreign, {}), ""},
    {"no_picture", not_played(PlayError::undecodable, {}), ""},
    {"sent_in_a_circle", not_played(PlayError::redirects, {}), ""},
};
class RtmpPushPlayRules : public testing::TestWithParam<Rule> {};

TEST_P(RtmpPushPlayRules, ClaimWhatTheyNeedFor) {
    const Rule& rule = GetParam();
    const Diagnosis found = diagnose(rule.run);
    EXPECT_EQ(found.label(), rule.label) << found.because;
    expect_weaker_without_any_control(rule.run);
    for (const auto needed : rule.needs) {
        RunResult run = rule.run;
        ASSERT_NE(run.control(needed), nullptr);
        std::erase_if(run.controls, [&](const Control& control) { return control.name == needed; });
        const Diagnosis without = diagnose(run);
        EXPECT_TRUE(without.cause_class) << "without " << needed << ": " << without.label();
        expect_sound(without);
    }
}
INSTANTIATE_TEST_SUITE_P(, RtmpPushPlayRules, testing::ValuesIn(play_rules),
                         [](const auto& row) { return row.param.name; });

TEST(RtmpPushPlayDiagnose, CandidateIsWhatTheCodeSpeaksOf) {
    const auto candidate = [](error_code code) {
        return diagnose(not_played(code, {})).candidates.at(0).cause;
    };
    EXPECT_EQ(candidate(net::DnsError::no_such_name), Cause::cdn_dns_failure);
    EXPECT_EQ(candidate(net::DnsError::server_failed), Cause::cdn_dns_failure);
    EXPECT_EQ(candidate(net::TlsError::name_mismatch), Cause::cdn_cert_expired);
    EXPECT_EQ(candidate(refused_code), Cause::cdn_endpoint_unreachable);
    EXPECT_EQ(candidate(timed_out), Cause::cdn_endpoint_unreachable);
    EXPECT_EQ(candidate(PlayError::forbidden), Cause::play_auth_key_mismatch);
    EXPECT_EQ(candidate(PlayError::not_found), Cause::play_domain_mismatch);
}

TEST(RtmpPushPlayDiagnose, SaysWhoDidNotPlayAndWhoDid) {
    const Diagnosis edge = diagnose(not_played(refused_code, {}, other_edge_plays));
    EXPECT_EQ(edge.because,
              "http-flv play.test at 192.0.2.1:80: Connection refused, while another address "
              "plays: http-flv play.test at 192.0.2.2:80: played; first byte 5 ms");
    const Diagnosis missing =
        diagnose(not_played(PlayError::not_found, {refused(play_rtmp), accepted(play_other_domain)}));
    EXPECT_EQ(missing.because,
              "http-flv play.test at 192.0.2.1:80: the server has no such stream; no other protocol of this "
              "host has it either, while play_other_domain is accepted");
}

TEST(RtmpPushPlayDiagnose, BlockedViewersAreCandidatesOnlyWhileNobodyPlays) {
    const auto has = [](const Controls& controls, Cause cause) {
        const Diagnosis found = diagnose(not_played(PlayError::forbidden, controls));
        return std::ranges::count(found.candidates, cause, &Candidate::cause) == 1;
    };
    EXPECT_TRUE(has({as_forbidden(play_wrong_secret), as_forbidden(play_unsigned)},
                    Cause::cdn_hotlink_or_ip_blocked));
    EXPECT_FALSE(
        has({as_forbidden(play_wrong_secret), accepted(play_unsigned)}, Cause::cdn_hotlink_or_ip_blocked));
    EXPECT_TRUE(
        has({as_forbidden(play_wrong_secret), accepted(play_unsigned)}, Cause::play_auth_key_mismatch));
}

/// Calls `visit` with every set of outcomes of `names`: all are played at once, so any may be accepted.
void for_all_plays(const RunResult& base, std::span<const std::string_view> names,
                   const std::function<void(const RunResult&)>& visit) {
    std::size_t sets = 1;
    for (std::size_t i = 0; i < names.size(); ++i) sets *= 5;
    for (std::size_t set = 0; set < sets; ++set) {
        RunResult run = base;
        std::size_t digits = set;
        for (const auto name : names) {
            const Control outcomes[] = {
                {}, refused(name, base.fingerprint), refused(name), accepted(name), inconclusive(name)};
            if (digits % 5 != 0) run.controls.push_back(outcomes[digits % 5]);
            digits /= 5;
        }
        visit(run);
    }
}

bool passed(const RunResult& run, std::string_view name) {
    const Control* control = run.control(name);
    return control != nullptr && control->outcome == ControlOutcome::passed;
}
bool failed_alike(const RunResult& run, std::string_view name, bool alike) {
    const Control* control = run.control(name);
    return control != nullptr && control->outcome == ControlOutcome::failed &&
           (control->fingerprint == run.fingerprint) == alike;
}
bool tried(const RunResult& run, std::string_view name) {
    return passed(run, name) || failed_alike(run, name, true) || failed_alike(run, name, false);
}

TEST(RtmpPushPlayDiagnose, RefusalIsAKeyOnlyWhereTheControlsSaySo) {
    constexpr std::array<std::string_view, 3> names{play_backup_key, play_wrong_secret, play_unsigned};
    std::set<std::string_view> labels;
    for (const error_code& code :
         {error_code(PlayError::forbidden), eof, reset_code, error_code(PlayError::http_status)})
        for_all_plays(not_played(code, {}), names, [&](const RunResult& run) {
            if (HasFailure()) return;
            const Diagnosis found = diagnose(run);
            labels.insert(found.label());
            expect_weaker_without_any_control(run);
            if (found.cause) {
                EXPECT_EQ(found.cause, Cause::play_auth_key_mismatch);
                EXPECT_TRUE(passed(run, play_backup_key) || (failed_alike(run, play_wrong_secret, true) &&
                                                             failed_alike(run, play_unsigned, false)));
                EXPECT_FALSE(run.controls.empty());
            } else if (code == PlayError::forbidden && !passed(run, play_wrong_secret)) {
                EXPECT_EQ(found.cause_class, CauseClass::play_refused);
                EXPECT_FALSE(passed(run, play_backup_key));
            } else if (passed(run, play_wrong_secret)) {
                EXPECT_EQ(found.label(), "") << "it was not refused for its signature";
            }
        });
    EXPECT_EQ(labels, (std::set<std::string_view>{"", "play_auth_key_mismatch", "play_refused"}));
}

TEST(RtmpPushPlayDiagnose, MissingStreamIsAnotherDomainOnlyWhereTheControlsSaySo) {
    constexpr std::array<std::string_view, 4> names{play_rtmp, play_flv, play_hls, play_other_domain};
    std::set<std::string_view> labels;
    for (const PlayError error : {PlayError::not_found, PlayError::no_media})
        for (const char* wait : {"", "1000 ms", "9999 ms", "10000 ms", "300000 ms"})
            for (const Evidences& others : {Evidences{}, other_host_plays, rtmp_plays_here})
                for_all_plays(not_played(error, {}, others, wait), names, [&](const RunResult& run) {
                    if (HasFailure()) return;
                    const Diagnosis found = diagnose(run);
                    labels.insert(found.label());
                    expect_weaker_without_any_control(run);
                    const bool waited = std::string_view(wait).size() >= 8;
                    bool any = false, all = true;
                    for (const auto name : {play_rtmp, play_flv, play_hls}) {
                        any = any || (tried(run, name) && !passed(run, name));
                        all =
                            all && (run.control(name) == nullptr || (tried(run, name) && !passed(run, name)));
                    }
                    const bool proven =
                        waited && any && all && passed(run, play_other_domain) && others != rtmp_plays_here;
                    const bool here = others == rtmp_plays_here || passed(run, play_rtmp) ||
                                      passed(run, play_flv) || passed(run, play_hls);
                    EXPECT_EQ(found.label(), proven ? "play_domain_mismatch" : here ? "" : "play_no_stream");
                });
    EXPECT_EQ(labels, (std::set<std::string_view>{"", "play_domain_mismatch", "play_no_stream"}));
}

TEST(RtmpPushPlayDiagnose, WithoutControlsAndOtherViewersOnlyTheCertificateIsProven) {
    const error_code codes[] = {PlayError::not_found,
                                PlayError::forbidden,
                                PlayError::http_status,
                                PlayError::segment_not_found,
                                PlayError::no_media,
                                PlayError::undecodable,
                                PlayError::stalled,
                                PlayError::stale,
                                PlayError::foreign,
                                PlayError::redirects,
                                eof,
                                reset_code,
                                timed_out,
                                refused_code,
                                asio::error::host_unreachable,
                                net::DnsError::no_such_name,
                                net::DnsError::server_failed,
                                net::DnsError::no_answer,
                                net::TlsError::certificate_expired,
                                net::TlsError::name_mismatch,
                                rtmp_error::server_speaks_http};
    for (const error_code& code : codes) {
        const Diagnosis found = diagnose(not_played(code, {}));
        expect_sound(found);
        EXPECT_EQ(found.cause.has_value(), code == net::TlsError::certificate_expired) << code.message();
        for (const auto& candidate : found.candidates) EXPECT_FALSE(candidate.why.empty());
    }
}

}  // namespace
}  // namespace livecanary::rtmp_push
