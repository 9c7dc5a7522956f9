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

namespace livecanary::rtmp_push {
namespace {

using namespace std::chrono_literals;
using rtmp_error = protocol::rtmp::Error;
using Evidences = std::vector<std::pair<std::string_view, std::string>>;
using Controls = std::vector<Control>;

const error_code eof = asio::error::eof;
const error_code timed_out = asio::error::timed_out;
const error_code refused_code = asio::error::connection_refused;

RunResult failed(Phase phase, error_code code, std::string fingerprint, const Evidences& evidence = {},
                 Controls controls = {}) {
    Env env;
    env.now = [] { return Clock::time_point{}; };
    env.wall = [] { return WallTime{}; };
    ProbeRun run(env, 10s);
    run.enter(phase);
    for (const auto& [what, got] : evidence) run.saw(what, got);
    run.fingerprint(std::move(fingerprint));
    run.failed(code);
    RunResult result = run.end();
    result.controls = std::move(controls);
    return result;
}

Control accepted(std::string_view name) {
    return {.name = name, .outcome = ControlOutcome::passed, .shows = std::string(name) + " is accepted"};
}
Control refused(std::string_view name, std::string fingerprint = "something else") {
    return {.name = name,
            .outcome = ControlOutcome::failed,
            .fingerprint = std::move(fingerprint),
            .shows = std::string(name) + " is refused"};
}
Control inconclusive(std::string_view name) { return {.name = name, .shows = "could not be tried"}; }
Control checked(std::string_view fingerprint) {
    const bool passed = fingerprint == url_is::sound;
    return {.name = static_check,
            .outcome = passed ? ControlOutcome::passed : ControlOutcome::failed,
            .fingerprint = std::string(fingerprint),
            .shows = "the URL is " + std::string(fingerprint)};
}

/// What every diagnosis of a failed push keeps to.
void expect_sound(const Diagnosis& found) {
    EXPECT_FALSE(found.cause && found.cause_class);
    EXPECT_EQ(found.candidates.empty(), !found.cause_class);
    EXPECT_FALSE(found.because.empty());
    std::set<Cause> distinct;
    for (const auto& candidate : found.candidates) {
        EXPECT_TRUE(distinct.insert(candidate.cause).second) << to_string(candidate.cause) << " twice";
        EXPECT_FALSE(candidate.why.empty());
        for (const auto& excluded : found.ruled_out)
            EXPECT_FALSE(excluded.starts_with(std::string(to_string(candidate.cause)) + ":")) << excluded;
    }
}

/// A cause must not turn into another one for want of a control, whether it was not played or showed nothing.
void expect_weaker_without_any_control(RunResult run) {
    const Diagnosis whole = diagnose(run);
    expect_sound(whole);
    if (!whole.cause) return;
    const Controls all = run.controls;
    for (std::size_t at = 0; at < all.size(); ++at) {
        run.controls = all;
        run.controls[at] = inconclusive(all[at].name);
        const Diagnosis without = diagnose(run);
        ASSERT_TRUE(!without.cause || without.cause == whole.cause)
            << whole.label() << " becomes " << without.label() << " once " << all[at].name
            << " shows nothing";
        run.controls.erase(run.controls.begin() + static_cast<std::ptrdiff_t>(at));
        const Diagnosis absent = diagnose(run);
        ASSERT_TRUE(!absent.cause || absent.cause == whole.cause)
            << whole.label() << " becomes " << absent.label() << " without " << all[at].name;
    }
}

const Evidences by_name{{"addresses", "1"}, {"address", "192.0.2.1:1935"}, {"cname", "push.cloud.test"}};
const Evidences two_addresses{
    {"addresses", "2"}, {"address", "192.0.2.1:1935"}, {"cname", "push.cloud.test"}};
const Evidences no_cname{{"addresses", "1"}, {"address", "192.0.2.1:1935"}};
const Evidences by_address{{"address", "192.0.2.1:1935"}};

RunResult refused_push(Controls controls, std::string fingerprint = "publish closed") {
    return failed(publish, eof, std::move(fingerprint), by_name, std::move(controls));
}
Control alike(std::string_view name) { return refused(name, "publish closed"); }

struct Rule {
    const char* name;
    RunResult run;
    const char* label;
    /// The controls without which the cause is not claimed.
    std::vector<std::string_view> needs{};
};
void PrintTo(const Rule& rule, std::ostream* out) { *out << rule.name; }

const Rule rules[] = {
    {"dns",
     failed(dns, net::DnsError::no_such_name, "dns nxdomain", {}, {accepted(other_domain)}),
     "push_domain_dns_failure",
     {other_domain}},
    {"dns_of_ours", failed(dns, net::DnsError::server_failed, "dns servfail", {}, {refused(other_domain)}),
     "push_unreachable"},
    {"dns_silent", failed(dns, net::DnsError::no_answer, "dns timeout", {}, {accepted(other_domain)}),
     "push_unreachable"},
    {"tcp_refused", failed(tcp, refused_code, "tcp refused", by_name), "push_tcp_refused"},
    {"tcp_refused_by_address", failed(tcp, refused_code, "tcp refused", by_address), "push_tcp_refused"},
    {"tcp_refused_without_cname", failed(tcp, refused_code, "tcp refused", no_cname), "push_unreachable"},
    {"tcp_refused_by_both",
     failed(tcp, refused_code, "tcp refused", two_addresses, {refused(other_address, "tcp refused")}),
     "push_tcp_refused",
     {other_address}},
    {"tcp_refused_by_one",
     failed(tcp, refused_code, "tcp refused", two_addresses, {accepted(other_address)}),
     "push_ingest_node_fault",
     {other_address}},
    {"tcp_refused_by_two_of_three",
     failed(tcp, refused_code, "tcp refused",
            {{"addresses", "3"}, {"address", "192.0.2.1:1935"}, {"cname", "c.test"}},
            {refused(other_address, "tcp refused")}),
     "push_unreachable"},
    {"tcp_timeout", failed(tcp, timed_out, "tcp timeout", by_name, {refused(other_port)}),
     "push_unreachable"},
    {"tcp_filtered",
     failed(tcp, timed_out, "tcp timeout", by_name, {accepted(other_port)}),
     "push_tcp_timeout",
     {other_port}},
    {"tcp_filtered_on_both",
     failed(tcp, timed_out, "tcp timeout", two_addresses,
            {refused(other_address, "tcp timeout"), accepted(other_port)}),
     "push_tcp_timeout",
     {other_address, other_port}},
    {"tcp_unreachable", failed(tcp, asio::error::host_unreachable, "tcp unreachable", by_name),
     "push_unreachable"},
    {"certificate_expired",
     failed(tls, net::TlsError::certificate_expired, "tls certificate",
            {{"verify", "10 certificate has expired"}}),
     "push_rtmps_cert_invalid"},
    {"certificate_of_another_name",
     failed(tls, net::TlsError::certificate_expired, "tls certificate", {{"verify", "62 hostname mismatch"}}),
     "push_unreachable"},
    {"tls_to_a_plain_port",
     failed(tls, eof, "tls closed", by_name, {accepted(other_scheme)}),
     "push_handshake_failed",
     {other_scheme}},
    {"tls_of_one_node",
     failed(tls, eof, "tls closed", two_addresses, {refused(other_scheme), accepted(other_address)}),
     "push_ingest_node_fault",
     {other_address}},
    {"tls_closed", failed(tls, eof, "tls closed", by_name, {refused(other_scheme)}), "push_unreachable"},
    {"speaks_http", failed(handshake, rtmp_error::server_speaks_http, "handshake mismatch", by_name),
     "push_handshake_failed"},
    {"speaks_http_on_one_node",
     failed(handshake, rtmp_error::server_speaks_http, "handshake mismatch", two_addresses,
            {accepted(other_address)}),
     "push_ingest_node_fault",
     {other_address}},
    {"plain_to_a_tls_port",
     failed(handshake, eof, "handshake closed", by_name, {accepted(other_scheme)}),
     "push_handshake_failed",
     {other_scheme}},
    {"handshake_of_one_node",
     failed(handshake, eof, "handshake closed", two_addresses,
            {refused(other_scheme), accepted(other_address)}),
     "push_ingest_node_fault",
     {other_address}},
    {"handshake_closed", failed(handshake, eof, "handshake closed", by_name, {refused(other_scheme)}),
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
     failed(connect, eof, "connect closed", by_name, {accepted(live_app)}),
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
    {"start_then_fin", failed(media, eof, "media at once closed", by_name), "push_refused"},
    {"backup_key_at_connect", failed(connect, eof, "connect closed", by_name, {accepted(backup_key)}),
     "push_refused"},

    {"dropped", failed(media, eof, "media accepted closed", by_name), "push_dropped"},
    {"dropped_here_only",
     failed(media, eof, "media accepted closed", two_addresses, {accepted(other_address)}), "push_dropped"},
    {"frozen", failed(media, PushError::frozen, "media accepted stalled", by_name), "push_dropped"},
    {"frozen_at_once", failed(media, PushError::frozen, "media at once stalled", by_name), "push_dropped"},
    {"out_of_time", failed(media, timed_out, "media at once timeout", by_name), ""},
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
                             failed(connect, eof, "connect closed", by_name)}) {
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
                            failed(phase, code, "media accepted closed", evidence, std::move(controls)));
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
    const Diagnosis early = diagnose(failed(connect, eof, "connect closed", by_name));
    EXPECT_EQ(std::ranges::count(early.candidates, Cause::push_wrong_hotlink_key, &Candidate::cause), 0);
}

TEST(RtmpPushDiagnose, SilentHookIsTheLikeliestOfALongWait) {
    for (const char* fingerprint : {"publish closed after 10 s", "publish closed after 30 s"})
        EXPECT_EQ(diagnose(refused_push({}, fingerprint)).candidates.front().cause,
                  Cause::push_remote_auth_denied);
    EXPECT_EQ(diagnose(refused_push({})).candidates.front().cause, Cause::push_wrong_hotlink_key);
}

// --- the push was accepted, and a viewer did not get it

const error_code reset_code = asio::error::connection_reset;

/// A run whose viewer failed with `code` over HTTP-FLV. `others`: what other viewers of the run saw. `wait`:
/// how long the stream was waited for; empty if the run's time was up before.
RunResult not_played(error_code code, Controls controls, const Evidences& others = {},
                     std::string wait = "10000 ms") {
    Evidences evidence{{"not_played", "http-flv play.test at 192.0.2.1:80: " + code.message()}};
    evidence.insert(evidence.end(), others.begin(), others.end());
    if (!wait.empty()) evidence.emplace_back("playback_wait", std::move(wait));
    return failed(playing, code, "playback http-flv " + std::string(to_string(reason_of(code))), evidence,
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
INSTANTIATE_TEST_SUITE_P(OfPlayback, RtmpPushRules, testing::ValuesIn(play_rules),
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
