// The rules that lead from a failed push and its controls to a cause: each with what it needs.
#include "probes/rtmp_push/diagnose.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include <boost/asio/error.hpp>

#include "probes/net/resolver.hpp"
#include "probes/net/tls.hpp"
#include "probes/protocol/rtmp/error.hpp"
#include "probes/rtmp_push/controls.hpp"
#include "probes/rtmp_push/push.hpp"
#include "tests/unit/kinds/diagnosis_rules.hpp"

namespace livecanary::rtmp_push {
namespace {

using namespace std::chrono_literals;
using rtmp_error = protocol::rtmp::Error;
using test::accepted;
using test::Controls;
using test::Evidences;
using test::expect_sound;
using test::failed_run;
using test::inconclusive;
using test::refused;
using Rule = test::DiagnosisRule;

const error_code eof = asio::error::eof;
const error_code timed_out = asio::error::timed_out;
const error_code refused_code = asio::error::connection_refused;

Control checked(std::string_view fingerprint) {
    const bool passed = fingerprint == url_is::sound;
    return {.name = static_check,
            .outcome = passed ? ControlOutcome::passed : ControlOutcome::failed,
            .fingerprint = std::string(fingerprint),
            .shows = "the URL is " + std::string(fingerprint)};
}

void expect_weaker_without_any_control(RunResult run) {
    test::expect_weaker_without_any_control(diagnose, std::move(run));
}

const Evidences by_name{{"addresses", "1"}, {"address", "192.0.2.1:1935"}, {"cname", "push.cloud.test"}};
const Evidences two_addresses{
    {"addresses", "2"}, {"address", "192.0.2.1:1935"}, {"cname", "push.cloud.test"}};
const Evidences no_cname{{"addresses", "1"}, {"address", "192.0.2.1:1935"}};
const Evidences by_address{{"address", "192.0.2.1:1935"}};

RunResult refused_push(Controls controls, std::string fingerprint = "publish closed") {
    return failed_run(publish, eof, std::move(fingerprint), by_name, std::move(controls));
}
Control alike(std::string_view name) { return refused(name, "publish closed"); }

const Rule rules[] = {
    {"dns",
     failed_run(dns, net::DnsError::no_such_name, "dns nxdomain", {}, {accepted(other_domain)}),
     "push_domain_dns_failure",
     {other_domain}},
    {"dns_of_ours",
     failed_run(dns, net::DnsError::server_failed, "dns servfail", {}, {refused(other_domain)}),
     "push_unreachable"},
    {"dns_silent", failed_run(dns, net::DnsError::no_answer, "dns timeout", {}, {accepted(other_domain)}),
     "push_unreachable"},
    {"tcp_refused", failed_run(tcp, refused_code, "tcp refused", by_name), "push_tcp_refused"},
    {"tcp_refused_by_address", failed_run(tcp, refused_code, "tcp refused", by_address), "push_tcp_refused"},
    {"tcp_refused_without_cname", failed_run(tcp, refused_code, "tcp refused", no_cname), "push_unreachable"},
    {"tcp_refused_by_both",
     failed_run(tcp, refused_code, "tcp refused", two_addresses, {refused(other_address, "tcp refused")}),
     "push_tcp_refused",
     {other_address}},
    {"tcp_refused_by_one",
     failed_run(tcp, refused_code, "tcp refused", two_addresses, {accepted(other_address)}),
     "push_ingest_node_fault",
     {other_address}},
    {"tcp_refused_by_two_of_three",
     failed_run(tcp, refused_code, "tcp refused",
                {{"addresses", "3"}, {"address", "192.0.2.1:1935"}, {"cname", "c.test"}},
                {refused(other_address, "tcp refused")}),
     "push_unreachable"},
    {"tcp_timeout", failed_run(tcp, timed_out, "tcp timeout", by_name, {refused(other_port)}),
     "push_unreachable"},
    {"tcp_filtered",
     failed_run(tcp, timed_out, "tcp timeout", by_name, {accepted(other_port)}),
     "push_tcp_timeout",
     {other_port}},
    {"tcp_filtered_on_both",
     failed_run(tcp, timed_out, "tcp timeout", two_addresses,
                {refused(other_address, "tcp timeout"), accepted(other_port)}),
     "push_tcp_timeout",
     {other_address, other_port}},
    {"tcp_unreachable", failed_run(tcp, asio::error::host_unreachable, "tcp unreachable", by_name),
     "push_unreachable"},
    {"certificate_expired",
     failed_run(tls, net::TlsError::certificate_expired, "tls certificate",
                {{"verify", "10 certificate has expired"}}),
     "push_rtmps_cert_invalid"},
    {"certificate_of_another_name",
     failed_run(tls, net::TlsError::certificate_expired, "tls certificate",
                {{"verify", "62 hostname mismatch"}}),
     "push_unreachable"},
    {"tls_to_a_plain_port",
     failed_run(tls, eof, "tls closed", by_name, {accepted(other_scheme)}),
     "push_handshake_failed",
     {other_scheme}},
    {"tls_of_one_node",
     failed_run(tls, eof, "tls closed", two_addresses, {refused(other_scheme), accepted(other_address)}),
     "push_ingest_node_fault",
     {other_address}},
    {"tls_closed", failed_run(tls, eof, "tls closed", by_name, {refused(other_scheme)}), "push_unreachable"},
    {"speaks_http", failed_run(handshake, rtmp_error::server_speaks_http, "handshake mismatch", by_name),
     "push_handshake_failed"},
    {"speaks_http_on_one_node",
     failed_run(handshake, rtmp_error::server_speaks_http, "handshake mismatch", two_addresses,
                {accepted(other_address)}),
     "push_ingest_node_fault",
     {other_address}},
    {"plain_to_a_tls_port",
     failed_run(handshake, eof, "handshake closed", by_name, {accepted(other_scheme)}),
     "push_handshake_failed",
     {other_scheme}},
    {"handshake_of_one_node",
     failed_run(handshake, eof, "handshake closed", two_addresses,
                {refused(other_scheme), accepted(other_address)}),
     "push_ingest_node_fault",
     {other_address}},
    {"handshake_closed", failed_run(handshake, eof, "handshake closed", by_name, {refused(other_scheme)}),
     "push_unreachable"},

    {"account_numbers_differ",
     refused_push(
         {checked(url_is::bizid_differs), alike(trusted_url), refused(wrong_secret), alike(unknown_domain)}),
     "push_wrong_bizid_or_appid",
     {static_check, wrong_secret, unknown_domain}},
    {"account_numbers_differ_and_all_is_alike",
     refused_push(
         {checked(url_is::bizid_differs), alike(trusted_url), alike(wrong_secret), alike(unknown_domain)}),
     "push_refused"},
    {"account_numbers_differ_and_it_does_not_matter",
     refused_push({checked(url_is::bizid_differs), accepted(trusted_url)}), "push_refused"},
    {"expired",
     refused_push({checked(url_is::expired), accepted(trusted_url)}),
     "push_url_expired",
     {static_check, trusted_url}},
    {"unsigned",
     refused_push({checked(url_is::unsigned_url), accepted(trusted_url)}),
     "push_auth_params_missing",
     {static_check, trusted_url}},
    {"unknown_key",
     refused_push({checked(url_is::unknown_key), accepted(trusted_url)}),
     "push_wrong_hotlink_key",
     {static_check, trusted_url}},
    {"unknown_key_or_expired", refused_push({checked(url_is::several), accepted(trusted_url)}),
     "push_refused"},
    {"sound_and_refused", refused_push({checked(url_is::sound), accepted(trusted_url)}), "push_refused"},
    {"main_key_changed", refused_push({accepted(backup_key)}), "push_wrong_hotlink_key", {backup_key}},
    {"name_busy_and_then_free",
     refused_push({accepted(backup_key)}, "publish status NetStream.Publish.BadName"), "push_refused"},
    {"main_key_changed_or_url_expired",
     refused_push({checked(url_is::expired), inconclusive(trusted_url), accepted(backup_key)}),
     "push_refused"},
    {"app_disabled",
     refused_push({alike(free_name), accepted(live_app)}),
     "push_app_name_disabled",
     {free_name, live_app}},
    {"app_disabled_at_connect",
     failed_run(connect, eof, "connect closed", by_name, {accepted(live_app)}),
     "push_app_name_disabled",
     {live_app}},
    {"name_busy",
     refused_push({accepted(free_name)}, "publish status NetStream.Publish.BadName"),
     "push_stream_name_conflict",
     {free_name}},
    {"name_busy_in_other_letters",
     refused_push({accepted(free_name)}, "publish status netstream.publish.badname"),
     "push_stream_name_conflict",
     {free_name}},
    {"name_busy_or_key_of_the_issued_url",
     refused_push({checked(url_is::unknown_key), refused(trusted_url), accepted(free_name)},
                  "publish status NetStream.Publish.BadName"),
     "push_refused"},
    {"name_busy_or_forbidden", refused_push({accepted(free_name)}), "push_refused"},
    {"bad_name_for_a_key", refused_push({}, "publish status NetStream.Publish.BadName"), "push_refused"},
    {"as_a_wrong_secret",
     refused_push({alike(wrong_secret), refused(expired), refused(unknown_domain)}),
     "push_wrong_hotlink_key",
     {wrong_secret, expired, unknown_domain}},
    {"as_everything", refused_push({alike(wrong_secret), alike(expired), alike(unknown_domain)}),
     "push_refused"},
    {"authentication_off", refused_push({accepted(wrong_secret)}), "push_refused"},
    {"start_then_fin", failed_run(media, eof, "media at once closed", by_name), "push_refused"},
    {"backup_key_at_connect", failed_run(connect, eof, "connect closed", by_name, {accepted(backup_key)}),
     "push_refused"},

    {"dropped", failed_run(media, eof, "media accepted closed", by_name), "push_dropped"},
    {"dropped_here_only",
     failed_run(media, eof, "media accepted closed", two_addresses, {accepted(other_address)}),
     "push_dropped"},
    {"frozen", failed_run(media, PushError::frozen, "media accepted stalled", by_name), "push_dropped"},
    {"frozen_at_once", failed_run(media, PushError::frozen, "media at once stalled", by_name),
     "push_dropped"},
    {"out_of_time", failed_run(media, timed_out, "media at once timeout", by_name), ""},
};

class RtmpPushRules : public testing::TestWithParam<Rule> {};

TEST_P(RtmpPushRules, ClaimWhatTheyNeedFor) {
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
INSTANTIATE_TEST_SUITE_P(, RtmpPushRules, testing::ValuesIn(rules),
                         [](const auto& row) { return row.param.name; });

/// How a control may have ended in an enumeration of them all.
enum class Ended { absent, alike, differently, accepted };

/// Calls `visit` with every set of outcomes of `names` in which, as the experiment plays them, only the last
/// one was accepted.
void for_all_outcomes(const RunResult& base, std::span<const std::string_view> names, const Controls& before,
                      const std::function<void(RunResult)>& visit) {
    std::vector<Ended> ended(names.size(), Ended::absent);
    for (bool more = true; more;) {
        RunResult run = base;
        run.controls = before;
        bool possible = true;
        for (std::size_t at = 0; at < names.size(); ++at) {
            if (ended[at] == Ended::absent) continue;
            if (!run.controls.empty() && run.controls.back().outcome == ControlOutcome::passed &&
                run.controls.back().name != static_check)
                possible = false;
            run.controls.push_back(ended[at] == Ended::accepted ? accepted(names[at])
                                   : ended[at] == Ended::alike  ? refused(names[at], base.fingerprint)
                                                                : refused(names[at]));
        }
        if (possible) visit(std::move(run));
        std::size_t digit = 0;
        while (digit < ended.size() && ended[digit] == Ended::accepted) ended[digit++] = Ended::absent;
        more = digit < ended.size();
        if (more) ended[digit] = static_cast<Ended>(static_cast<int>(ended[digit]) + 1);
    }
}

TEST(RtmpPushDiagnose, NoCauseOfARefusalBecomesAnotherWithoutAControl) {
    constexpr std::array<std::string_view, 7> names{trusted_url,  backup_key, free_name,     live_app,
                                                    wrong_secret, expired,    unknown_domain};
    std::set<std::string> labels;
    for (const auto& base : {refused_push({}, "publish status NetStream.Publish.BadName"),
                             failed_run(connect, eof, "connect closed", by_name)}) {
        const bool knew_name = base.failed_phase() == publish.name;
        for (const auto url :
             {std::string_view(), url_is::sound, url_is::expired, url_is::unknown_key, url_is::unsigned_url,
              url_is::bizid_differs, url_is::several, url_is::unchecked}) {
            if (!knew_name && !url.empty()) continue;
            const Controls before = url.empty() ? Controls{} : Controls{checked(url)};
            for_all_outcomes(base, names, before, [&](RunResult run) {
                labels.emplace(diagnose(run).label());
                expect_weaker_without_any_control(std::move(run));
            });
            if (HasFailure()) return;
        }
    }
    EXPECT_EQ(labels, (std::set<std::string>{"push_app_name_disabled", "push_auth_params_missing",
                                             "push_refused", "push_stream_name_conflict", "push_url_expired",
                                             "push_wrong_bizid_or_appid", "push_wrong_hotlink_key"}));
}

TEST(RtmpPushDiagnose, NoCauseOfAnUnreachedServerBecomesAnotherWithoutAControl) {
    constexpr std::array<std::string_view, 4> names{other_scheme, other_port, other_domain, other_address};
    const error_code codes[] = {eof,
                                timed_out,
                                refused_code,
                                net::TlsError::certificate_expired,
                                rtmp_error::server_speaks_http,
                                PushError::frozen};
    for (const Evidences& evidence : {by_name, two_addresses, no_cname, by_address}) {
        // Only a name with two addresses has another one.
        const std::size_t count = evidence == two_addresses ? names.size() : names.size() - 1;
        for (const Phase phase : {dns, tcp, tls, handshake, media})
            for (const error_code& code : codes)
                for (unsigned set = 0; set < 1U << count; ++set)
                    for (const bool others_played : {false, true}) {
                        Controls controls;
                        for (std::size_t at = 0; at < count; ++at)
                            if ((set >> at & 1U) != 0)
                                controls.push_back(accepted(names[at]));
                            else if (others_played)
                                controls.push_back(refused(names[at]));
                        expect_weaker_without_any_control(
                            failed_run(phase, code, "media accepted closed", evidence, std::move(controls)));
                        if (HasFailure()) return;
                    }
    }
}

TEST(RtmpPushDiagnose, RuledOutIsNoCandidate) {
    const Diagnosis told = diagnose(
        refused_push({alike(free_name), refused(wrong_secret), refused(expired), alike(unknown_domain)}));
    EXPECT_EQ(told.label(), "push_refused");
    EXPECT_EQ(told.candidates.front().cause, Cause::push_domain_disabled_or_icp);
    EXPECT_EQ(told.ruled_out,
              (std::vector<std::string>{"push_wrong_hotlink_key: a wrong secret is refused in another way",
                                        "push_stream_forbidden: a name nobody uses is refused too"}));
    const Diagnosis early = diagnose(failed_run(connect, eof, "connect closed", by_name));
    EXPECT_EQ(std::ranges::count(early.candidates, Cause::push_wrong_hotlink_key, &Candidate::cause), 0);
}

TEST(RtmpPushDiagnose, SilentHookIsTheLikeliestOfALongWait) {
    for (const char* fingerprint : {"publish closed after 10 s", "publish closed after 30 s"})
        EXPECT_EQ(diagnose(refused_push({}, fingerprint)).candidates.front().cause,
                  Cause::push_remote_auth_denied);
    EXPECT_EQ(diagnose(refused_push({})).candidates.front().cause, Cause::push_wrong_hotlink_key);
}

}  // namespace
}  // namespace livecanary::rtmp_push
