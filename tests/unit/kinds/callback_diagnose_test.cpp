// The rules that lead from a failed run and its controls to a cause: each with what it needs.
#include "probes/callback/diagnose.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include <boost/asio/error.hpp>

#include "probes/callback/controls.hpp"
#include "probes/net/http.hpp"
#include "probes/net/resolver.hpp"
#include "probes/net/tls.hpp"
#include "tests/unit/kinds/diagnosis_rules.hpp"

namespace livecanary::callback {
namespace {

using test::accepted;
using test::Controls;
using test::Evidences;
using test::inconclusive;
using Rule = test::DiagnosisRule;
using enum CallbackError;

Control not_so(std::string_view name, std::string fingerprint) {
    return test::refused(name, std::move(fingerprint));
}

const error_code timed_out = asio::error::timed_out;
constexpr const char* e500 = "HTTP 500 empty";
constexpr const char* c4002 = "HTTP 200 code 4002";

RunResult failed(Phase phase, error_code code, const Evidences& evidence = {}, Controls controls = {}) {
    return test::failed_run(phase, code, {}, evidence, std::move(controls));
}
RunResult answered(error_code code, const char* fingerprint, Controls controls = {}, const char* event = "1",
                   const char* words = "") {
    Evidences evidence{{"answer", std::string("event ") + event + ": " + fingerprint},
                       {"failed_event", event}};
    if (*words != '\0') evidence.emplace_back("body", words);
    return test::failed_run(body, code, fingerprint, evidence, std::move(controls));
}
RunResult came(error_code code, const Evidences& evidence) {
    return test::failed_run(received, code, "received", evidence);
}

const Control root = accepted(web_server, "HTTP 403"), php = accepted(interface_php, "HTTP 200 code 400"),
              key_ok = accepted(key_check, c4002), no_php = not_so(interface_php, e500),
              wrong_500 = not_so(wrong_sign, e500);

const Rule rules[] = {
    // The way there.
    {"name_unknown", failed(dns, net::DnsError::no_such_name), "callback_endpoint_unreachable"},
    {"name_servers_fail", failed(dns, net::DnsError::server_failed), ""},
    {"name_servers_silent", failed(dns, net::DnsError::no_answer), ""},
    {"tcp_refused", failed(tcp, asio::error::connection_refused), "callback_endpoint_unreachable"},
    {"tcp_timeout", failed(tcp, timed_out), "callback_endpoint_unreachable"},
    {"tls_expired", failed(tls, net::TlsError::certificate_expired), "backend_tls_expired"},
    {"tls_untrusted", failed(tls, net::TlsError::untrusted), "callback_endpoint_unreachable"},
    {"tls_closed", failed(tls, asio::error::eof), ""},

    // The key.
    {"key",
     answered(server_error, e500, {root, php, not_so(key_check, e500), wrong_500}),
     "callback_api_key_mismatch",
     {interface_php, key_check, wrong_sign},
     "callback_refused"},
    {"key_on_php_7",
     answered(refused, "HTTP 200 code EC_SYSTEM_INVALID_SIGN",
              {root, php, not_so(key_check, "HTTP 200 code 0"), not_so(wrong_sign, "HTTP 200 code 0")}),
     "callback_api_key_mismatch",
     {key_check, wrong_sign}},
    {"key_check_and_wrong_one_differ",
     answered(server_error, e500, {root, php, not_so(key_check, "HTTP 200 code 4001"), wrong_500}),
     "callback_refused"},
    {"all_alike_but_not_of_the_script",
     answered(refused, "HTTP 200 code 4001",
              {root, php, not_so(key_check, "HTTP 200 code 4001"), not_so(wrong_sign, "HTTP 200 code 4001")}),
     ""},

    // Behind the key.
    {"database", answered(server_error, e500, {root, php, key_ok, wrong_500}), "callback_refused"},
    {"nothing_tried", answered(server_error, e500), "callback_refused"},
    {"log_directory",
     answered(server_error, e500, {root, no_php, not_so(key_check, e500), wrong_500}),
     "backend_log_dir_unwritable",
     {interface_php, key_check},
     "callback_refused"},
    {"php_down_502",
     answered(server_error, "HTTP 502", {root, not_so(interface_php, "HTTP 502")}),
     "backend_php_down",
     {web_server, interface_php},
     ""},
    {"php_down_404",
     answered(not_found, "HTTP 404", {root, not_so(interface_php, "HTTP 404")}),
     "backend_php_down",
     {web_server, interface_php},
     ""},
    {"all_404",
     answered(not_found, "HTTP 404", {accepted(web_server, "HTTP 404"), not_so(interface_php, "HTTP 404")}),
     ""},
    {"path_wrong", answered(not_found, "HTTP 404", {root, php}), ""},
    {"display_errors", answered(no_json, "HTTP 200 php text", {root}), "backend_display_errors_on"},
    {"other_status", answered(other_status, "HTTP 301 empty", {root}), "callback_endpoint_slow_or_failing"},
    {"forbidden", answered(forbidden, "HTTP 403", {root}), "callback_endpoint_slow_or_failing"},
    {"other_page", answered(no_json, "HTTP 200", {root, php}, "1", "Welcome"), ""},

    // Recordings.
    {"video_id",
     answered(refused, c4002, {root, php, key_ok, wrong_500, accepted(with_video_id, "HTTP 200 code 0")},
              "100"),
     "callback_payload_missing_video_id",
     {with_video_id},
     "callback_not_stored"},
    {"event_1_gets_4002", answered(refused, c4002, {root, php, key_ok, wrong_500}), ""},
    {"no_row", answered(refused, "HTTP 200 code 2003", {root, php, key_ok, wrong_500}, "100"),
     "callback_not_stored"},
    {"no_underscore",
     answered(refused, "HTTP 200 code 2003",
              {root, php, key_ok, wrong_500, accepted(underscore, "HTTP 200 code 0")}, "100"),
     "stream_id_without_underscore",
     {underscore},
     "callback_not_stored"},

    // Time.
    {"late", failed(body, too_late, {{"waited", "21 s"}}, {root}), "callback_endpoint_slow_or_failing"},
    {"hang_of_30_s", failed(first_byte, timed_out, {{"waited", "30 s"}}, {root}),
     "callback_endpoint_slow_or_failing"},
    {"hang_of_10_s", failed(first_byte, timed_out, {{"waited", "10 s"}}, {root}), ""},
    {"hang_of_all", failed(first_byte, timed_out, {{"waited", "10 s"}}, {inconclusive(web_server)}), ""},
    {"hangs_up", failed(first_byte, net::HttpError::closed_in_header, {{"waited", "1 s"}}), ""},

    // Safety.
    {"unsigned", answered(unsigned_accepted, "wrongly signed: HTTP 200 code 0", {root, php}),
     "callback_unsigned_accepted"},

    // What comes in.
    {"no_event", came(missing, {{"missing", "1"}, {"missing_stream", "a"}, {"arrived", "none"}}),
     "callback_not_delivered"},
    {"no_recording", came(missing, {{"missing", "100"}, {"missing_stream", "a"}, {"arrived", "1 0"}}),
     "callback_not_delivered"},
    {"our_push_signed_otherwise",
     came(badly_signed, {{"missing", "1"}, {"missing_stream", "a"}, {"badly_signed", "of our own push"}}),
     "callback_api_key_mismatch"},
    {"somebody_signs_otherwise",
     came(badly_signed, {{"badly_signed_event", "event 1 of stream a"}, {"badly_signed", "of somebody"}}),
     ""},
    {"forward_lacks_video_id",
     came(forward_refused, {{"forwarded", "event 100 of stream a_b"},
                            {"forward_event", "100"},
                            {"forward_answer", c4002},
                            {"forward_lacks", "video_id"}}),
     "callback_payload_missing_video_id"},
    {"forward_lacks_something", came(forward_refused, {{"forward_event", "100"}, {"forward_answer", c4002}}),
     "callback_not_stored"},
    {"forward_not_stored",
     came(forward_refused, {{"forward_event", "100"}, {"forward_answer", "HTTP 200 code 2003"}}),
     "callback_not_stored"},
    {"forward_500", came(forward_refused, {{"forward_event", "1"}, {"forward_answer", e500}}),
     "callback_refused"},
    {"forward_refused",
     came(forward_refused, {{"forward_event", "1"}, {"forward_answer", "Connection refused"}}), ""},
    {"forward_without_answer",
     came(forward_refused, {{"forward_event", "1"}, {"forward_answer", "no answer in time"}}),
     "backend_hangs"},
};

class CallbackRule : public testing::TestWithParam<Rule> {};
TEST_P(CallbackRule, Holds) {
    const Rule& rule = GetParam();
    const Diagnosis found = diagnose(rule.run);
    EXPECT_EQ(found.label(), rule.label) << found.because;
    test::expect_weaker_without_any_control(diagnose, rule.run);
    for (const auto needed : rule.needs) {
        RunResult without = rule.run;
        std::erase_if(without.controls, [&](const Control& c) { return c.name == needed; });
        const Diagnosis left = diagnose(without);
        EXPECT_EQ(left.label(), rule.rest) << "without " << needed << ": " << left.because;
        test::expect_sound(left);
    }
}
INSTANTIATE_TEST_SUITE_P(, CallbackRule, testing::ValuesIn(rules),
                         [](const auto& row) { return std::string(row.param.name); });

Cause first_of(const RunResult& run) { return diagnose(run).candidates.at(0).cause; }

TEST(CallbackCandidates, LikeliestFirst) {
    EXPECT_EQ(first_of(came(missing, {{"missing", "100"}, {"arrived", "1 0"}})),
              Cause::record_template_not_bound);
    EXPECT_EQ(first_of(came(missing, {{"missing", "1"}, {"arrived", "none"}})),
              Cause::replay_callback_url_wrong);
    // Somebody else's come: the way is open, and some template has this URL.
    EXPECT_EQ(
        first_of(came(missing,
                      {{"missing", "1"}, {"arrived", "none"}, {"other_streams", "their events come in"}})),
        Cause::callback_template_not_bound);
    EXPECT_EQ(first_of(came(forward_refused, {{"forward_event", "100"},
                                              {"forward_answer", "HTTP 200 code 2003"},
                                              {"forward_lacks_underscore", "a"}})),
              Cause::stream_id_without_underscore);
    EXPECT_EQ(first_of(failed(first_byte, timed_out, {{"waited", "10 s"}}, {root})), Cause::db_frozen);
}

// Whatever the controls say, alone or together, no claim is made that one of them less would turn into
// another.
TEST(CallbackProperty, EveryCombinationOfControlsIsSound) {
    const std::array<const char*, 5> fingerprints{e500, c4002, "HTTP 200 code 0", "HTTP 404", "HTTP 502"};
    const std::array<std::string_view, 6> names{web_server, interface_php, key_check,
                                                wrong_sign, with_video_id, underscore};
    struct Start {
        error_code code;
        const char* fingerprint;
        const char* event;
    };
    const std::array<Start, 6> starts{{{server_error, e500, "1"},
                                       {server_error, "HTTP 502", "1"},
                                       {not_found, "HTTP 404", "1"},
                                       {refused, c4002, "100"},
                                       {refused, "HTTP 200 code 2003", "100"},
                                       {refused, "HTTP 200 code X", "0"}}};
    std::mt19937 random(1);
    for (const auto& start : starts)
        for (int turn = 0; turn < 400; ++turn) {
            Controls controls;
            for (const auto name : names) {
                const char* const fingerprint = fingerprints[random() % fingerprints.size()];
                switch (random() % 4) {
                    case 0:
                        controls.push_back(accepted(name, fingerprint));
                        break;
                    case 1:
                        controls.push_back(inconclusive(name));
                        break;
                    default:
                        controls.push_back(not_so(name, fingerprint));
                }
            }
            test::expect_weaker_without_any_control(
                diagnose, answered(start.code, start.fingerprint, std::move(controls), start.event));
        }
}

}  // namespace
}  // namespace livecanary::callback
