// The rules that lead from the pattern of a failed run's checks to a cause: each with what it needs.
#include "probes/backend_api/diagnose.hpp"

#include <gtest/gtest.h>

#include <random>

#include <boost/asio/error.hpp>

#include "probes/backend_api/checks.hpp"
#include "probes/backend_api/controls.hpp"
#include "probes/backend_api/pattern.hpp"
#include "probes/net/resolver.hpp"
#include "probes/net/tls.hpp"
#include "tests/unit/kinds/diagnosis_rules.hpp"

namespace livecanary::backend_api {
namespace {

using enum BackendError;
using test::accepted;
using test::Controls;
using test::Evidences;
using test::failed_run;
using test::refused;
using Rule = test::DiagnosisRule;

/// A run with these words of its checks, "static" to "cos_sign"; empty: not made.
RunResult words(error_code code, std::initializer_list<std::string> of_checks, Controls controls = {},
                Evidences more = {}) {
    Evidences evidence;
    std::size_t at = 0;
    for (const auto& word : of_checks) {
        if (!word.empty()) evidence.emplace_back(check_names[at], word + ": HTTP 200, 1.0 ms");
        ++at;
    }
    evidence.insert(evidence.end(), more.begin(), more.end());
    return failed_run(first_byte, code, "x", evidence, std::move(controls));
}

const Rule rules[] = {
    {"nxdomain", failed_run(dns, net::DnsError::no_such_name, ""), "backend_unreachable"},
    {"resolver_silent", failed_run(dns, net::DnsError::no_answer, ""), ""},
    {"tcp_refused", failed_run(tcp, asio::error::connection_refused, ""), "backend_unreachable"},
    {"tcp_timeout", failed_run(tcp, asio::error::timed_out, ""), "backend_unreachable"},
    {"tls_expired", failed_run(tls, net::TlsError::certificate_expired, ""), "backend_tls_expired"},
    {"tls_other_name", failed_run(tls, net::TlsError::name_mismatch, ""), ""},

    {"bad_gateway", words(bad_gateway, {"ok", "bad_gateway", "bad_gateway", "bad_gateway"}),
     "backend_php_down"},
    {"not_found", words(not_found, {"ok", "not_found", "not_found", "not_found"}), "backend_php_not_reached"},
    {"not_found_by_php", words(not_found, {"ok", "not_found", "not_found"}, {accepted(made_up_script)}),
     "backend_php_not_reached"},
    {"rewrite",
     words(not_found, {"ok", "ok", "not_found", "not_found"}, {accepted(direct)}),
     "backend_nginx_rewrite_broken",
     {direct},
     "backend_php_not_reached"},
    {"rewrite_and_direct_fails_too",
     words(not_found, {"ok", "ok", "not_found", "not_found"}, {refused(direct)}), "backend_php_not_reached"},
    {"log_dir", words(empty_500, {"ok", "empty_500", "empty_500", "empty_500", "empty_500"}),
     "backend_http_500"},
    {"redis", words(empty_500, {"ok", "ok", "empty_500", "ok", "empty_500"}), "backend_http_500"},
    {"database", words(empty_500, {"ok", "ok", "ok", "empty_500", "empty_500"}), "backend_http_500"},
    {"redis_full",
     words(empty_500, {"ok", "ok", "ok", "ok", "empty_500", "ok", "ok"}, {refused(refresh, "empty_500")}),
     "backend_redis_full_or_read_only",
     {refresh},
     "backend_http_500"},
    {"login_alone_and_redis_takes_writes",
     words(empty_500, {"ok", "ok", "ok", "ok", "empty_500", "ok", "ok"}, {accepted(refresh)}),
     "backend_http_500"},
    {"refresh_refused_otherwise",
     words(empty_500, {"ok", "ok", "ok", "ok", "empty_500"}, {refused(refresh, "other_code")}),
     "backend_http_500"},
    {"tb_account", words(db_statement, {"ok", "ok", "ok", "db_statement"}), "backend_statement_failed"},
    {"tb_vod", words(db_statement, {"ok", "ok", "ok", "ok", "ok", "db_statement"}),
     "backend_statement_failed"},
    {"display_errors", words(displays_errors, {"ok", "displays_errors"}), "backend_display_errors_on"},

    {"php_hangs", words(hangs, {"ok", "hangs"}), "backend_pool_exhausted"},
    // Without the web server's answer, it may be the way there.
    {"php_hangs_and_nothing_else_was_asked", words(hangs, {"", "hangs"}), "backend_hangs"},
    {"redis_hangs", words(hangs, {"ok", "ok", "hangs"}), "backend_redis_frozen"},
    {"redis_hangs_and_php_was_not_asked", words(hangs, {"ok", "", "hangs"}), "backend_hangs"},
    {"db_hangs", words(hangs, {"ok", "ok", "ok", "hangs"}), "backend_hangs"},
    {"asked_for_another", words(still_hanging, {"ok"}, {}, {{"other", "hangs: asked by an earlier run"}}),
     "backend_hangs"},
    {"token", words(token_invalid, {"ok", "ok", "ok", "ok", "ok", "token_invalid"}),
     "backend_session_token_invalid"},
    {"slow", words(out_of_time, {"ok", "ok", "out_of_time"}), "backend_timeout"},
    {"exposed",
     words(exposed, {"ok"}, {}, {{"secrets_hidden", "exposed: HTTP 200"}, {saw::exposed, "/createDB.sh"}}),
     "backend_config_exposed"},
    {"app_has_another_address",
     words(not_found, {"ok", "not_found"}, {accepted(true_address)}, {{saw::same_as, "backend.example.com"}}),
     "client_wrong_backend_address",
     {true_address},
     ""},
    {"app_has_the_right_address_of_a_php_that_is_down",
     words(not_found, {"ok", "not_found"}, {refused(true_address)}, {{saw::same_as, "backend.example.com"}}),
     "backend_php_not_reached"},
    {"wrong_password", words(wrong_password, {"ok", "ok", "ok", "ok", "wrong_password"}), ""},
};

class BackendApiRule : public testing::TestWithParam<Rule> {};
TEST_P(BackendApiRule, LeadsTo) {
    const Diagnosis found = diagnose(GetParam().run);
    EXPECT_EQ(found.label(), GetParam().label) << found.because;
    test::expect_sound(found);
    test::expect_weaker_without_any_control(diagnose, GetParam().run);
    for (const auto needed : GetParam().needs) {
        RunResult without = GetParam().run;
        std::erase_if(without.controls, [&](const Control& control) { return control.name == needed; });
        EXPECT_EQ(diagnose(without).label(), GetParam().rest) << needed;
    }
}
INSTANTIATE_TEST_SUITE_P(, BackendApiRule, testing::ValuesIn(rules),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(BackendApiDiagnose, SaysThatFilesAreExposedBesides) {
    const Diagnosis found =
        diagnose(words(empty_500, {"ok", "ok", "ok", "empty_500"}, {}, {{saw::exposed, "/createDB.sh"}}));
    EXPECT_NE(found.because.find("/createDB.sh can be fetched"), std::string::npos) << found.because;
    EXPECT_EQ(found.label(), "backend_http_500");
}

/// Whatever the pattern, a diagnosis is sound, and no control makes it another cause by its absence.
TEST(BackendApiDiagnose, EveryPatternIsSound) {
    std::mt19937 random(7);
    const auto pick = [&](std::size_t below) {
        return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
    };
    std::vector<error_code> codes;
    for (int value = 1; value <= static_cast<int>(no_credentials); ++value)
        codes.push_back(make_error_code(static_cast<BackendError>(value)));
    codes.push_back(asio::error::eof);
    for (int round = 0; round < 3000; ++round) {
        Evidences evidence;
        error_code first;
        for (const auto name : check_names) {
            if (pick(4) == 0) continue;
            const error_code code = pick(2) == 0 ? error_code() : codes[pick(codes.size())];
            if (!first) first = code;
            evidence.emplace_back(name, std::string(word_of(code)) + ": HTTP 200");
        }
        if (!first) continue;
        Controls controls;
        for (const auto name : {direct, made_up_script, refresh}) {
            if (pick(2) == 0) continue;
            controls.push_back(pick(2) == 0 ? accepted(name) : refused(name, "empty_500"));
        }
        const RunResult run = failed_run(first_byte, first, "x", evidence, controls);
        test::expect_sound(diagnose(run));
        test::expect_weaker_without_any_control(diagnose, run);
        if (HasFailure()) FAIL() << diagnose(run).because;
    }
}

TEST(BackendApiError, EveryOneHasAWordOfItsOwnAndIsDescribed) {
    std::map<std::string_view, int> words_seen;
    for (int value = 1; value <= static_cast<int>(no_credentials); ++value) {
        const error_code code = make_error_code(static_cast<BackendError>(value));
        EXPECT_EQ(code.message().find("error "), code.message().npos == 0 ? 0 : std::string::npos) << value;
        ++words_seen[word_of(code)];
    }
    EXPECT_EQ(words_seen.count("local"), 0U);
    EXPECT_EQ(words_seen.at("hangs"), 2) << "an earlier run's hang is a hang";
    EXPECT_EQ(words_seen.size(), static_cast<std::size_t>(no_credentials) - 1);
    EXPECT_EQ(word_of({}), "ok");
    EXPECT_EQ(word_of(asio::error::eof), "closed");
}

}  // namespace
}  // namespace livecanary::backend_api
