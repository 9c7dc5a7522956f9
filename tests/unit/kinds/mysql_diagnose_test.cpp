// The rules that lead from a failed look and its controls to a cause: each with what it needs.
#include "probes/mysql/diagnose.hpp"

#include <gtest/gtest.h>

#include <boost/asio/error.hpp>

#include "probes/mysql/controls.hpp"
#include "probes/net/resolver.hpp"
#include "tests/unit/kinds/diagnosis_rules.hpp"

namespace livecanary::mysql {
namespace {

using test::accepted;
using test::Controls;
using test::Evidences;
using test::refused;
using Rule = test::DiagnosisRule;

const error_code eof = boost::asio::error::eof;
const error_code timed_out = boost::asio::error::timed_out;

RunResult failed(Phase phase, error_code code, const Evidences& evidence = {}, Controls controls = {}) {
    return test::failed_run(phase, code, {}, evidence, std::move(controls));
}
RunResult said(unsigned number, Phase phase = query, const char* message = "No.", Controls controls = {},
               const char* sql_mode = "") {
    return failed(phase, net::mysql_code(number),
                  {{"errno", std::to_string(number)}, {"message", message}, {"sql_mode", sql_mode}},
                  std::move(controls));
}
RunResult found(Finding finding, const Evidences& evidence = {}) { return failed(query, finding, evidence); }

constexpr const char* strict = "STRICT_TRANS_TABLES,NO_ZERO_DATE";

const Rule rules[] = {
    {"name_unknown", failed(dns, net::DnsError::no_such_name), "db_unreachable_2002_2003_2005"},
    {"refused", failed(tcp, boost::asio::error::connection_refused), "db_unreachable_2002_2003_2005"},
    {"no_socket", failed(tcp, net::MysqlError::no_socket), "db_unreachable_2002_2003_2005"},
    {"frozen", failed(auth, net::MysqlError::no_greeting), "db_frozen"},
    {"frozen_before_tls", failed(tls, net::MysqlError::no_greeting), "db_frozen"},
    {"tls_name",
     failed(tls, net::TlsError::name_mismatch, {}, {accepted(plain)}),
     "db_tls_error_2026",
     {plain}},
    {"tls_and_nothing_without", failed(tls, net::TlsError::untrusted, {}, {refused(plain)}), ""},
    {"tls_not_offered",
     failed(tls, net::MysqlError::tls_not_offered, {}, {accepted(plain)}),
     "db_tls_error_2026",
     {plain}},
    {"tls_silent", failed(tls, timed_out), ""},
    {"closed_at_login", failed(auth, eof), ""},
    {"closed_in_query", failed(query, eof), "db_connection_lost_2006_2013"},
    {"lost_in_query", said(2013), "db_connection_lost_2006_2013"},
    {"gone_away", said(2006), "db_connection_lost_2006_2013"},
    {"silent_in_query", failed(query, timed_out), ""},
    {"auth", said(1045, auth), "db_auth_failed_1045"},
    {"auth_by_socket", said(1045, auth, "No.", {accepted(by_socket)}), "db_auth_failed_1045"},
    {"auth_by_plugin", said(1698, auth), "db_auth_failed_1045"},
    {"grant",
     said(1044, auth, "No.", {accepted(no_database)}),
     "db_grant_missing_1044",
     {no_database},
     "db_access_denied"},
    {"grant_without_control", said(1044, auth), "db_access_denied"},
    {"schema", said(1049, auth), "db_unknown_1049"},
    {"table", said(1146), "db_table_missing"},
    {"table_of_the_script", said(1146, query, "No.", {accepted(tables, "tb_account tb_room")}, strict), ""},
    {"table_where_zero_dates_may_be", said(1146, query, "No.", {accepted(tables, "tb_account tb_room")}),
     "db_table_missing"},
    {"other_table", said(1146, query, "No.", {accepted(tables, "tb_account tb_vod")}, strict),
     "db_table_missing"},
    {"table_rights", said(1142), "db_access_denied"},
    {"column_rights", said(1143), "db_access_denied"},
    {"privilege", said(1227), "db_access_denied"},
    {"column", said(1054), "db_column_unknown_1054"},
    {"no_default", said(1364), "db_no_default_1364"},
    {"bad_value", said(1366), "db_bad_value_1366"},
    {"truncated", said(1265), "db_bad_value_1366"},
    {"bad_datetime", said(1292), "db_bad_value_1366"},
    {"too_long", said(1406), "db_too_long_1406"},
    {"duplicate", said(1062), "db_duplicate_1062"},
    {"connections", said(1040, auth), "db_too_many_connections_1040"},
    {"user_connections", said(1203, auth), "db_too_many_connections_1040"},
    {"blocked", said(1129, auth), "db_host_blocked_1129_1130"},
    {"not_allowed", said(1130, auth), "db_host_blocked_1129_1130"},
    {"lock", said(1205), "db_lock_wait_1205"},
    {"deadlock", said(1213), "db_lock_wait_1205"},
    {"quota", said(1226), "db_user_quota_1226"},
    {"read_only", said(1290, query, "running with the --read-only option"), "db_read_only_1290"},
    {"super_read_only", said(1290, query, "running with the --super-read-only option"), "db_read_only_1290"},
    {"another_option", said(1290, query, "running with the --skip-grant-tables option"), ""},
    {"read_only_transaction", said(1792), "db_read_only_1290"},
    {"read_only_mode", said(1836), "db_read_only_1290"},
    {"disk", said(1021), "db_disk_full"},
    {"table_full", said(1114), "db_disk_full"},
    {"plugin_of_server", said(1524, auth), "db_auth_plugin_missing"},
    {"plugin_of_client", said(2059, auth), "db_auth_plugin_missing"},
    {"statement_timeout", said(1969), ""},
    {"any_other_number", said(1064), ""},
    {"column_missing", found(Finding::column_missing), "db_column_unknown_1054"},
    {"column_changed", found(Finding::column_differs), "callback_not_stored"},
    {"column_added", found(Finding::column_unexpected, {{"sql_mode", strict}}), "db_no_default_1364"},
    {"column_added_without_strictness", found(Finding::column_unexpected), "callback_not_stored"},
    {"watermark_became_text", found(Finding::unfit_watermark), "callback_not_stored"},
    {"table_missing", found(Finding::table_missing), "db_table_missing"},
    {"stalled", found(Finding::too_few_rows), "db_table_stalled"},
    {"stalled_and_ahead", found(Finding::too_few_rows, {{"ahead", "t: 28800 s"}}), ""},
    {"lag", found(Finding::replication_lags), "db_replication_lag"},
    {"replication_stopped", found(Finding::replication_stopped), "db_replication_lag"},
    {"no_replica", found(Finding::not_a_replica), ""},
    {"is_read_only", found(Finding::is_read_only), "db_read_only_1290"},
    {"is_writable", found(Finding::is_writable), ""},
    {"time_zone", found(Finding::other_time_zone), "db_timezone_mismatch"},
    {"not_indexed", found(Finding::not_indexed), ""},
    {"full_scan", found(Finding::full_scan), ""},
    {"not_transactional", found(Finding::not_transactional), ""},
};

class MysqlDiagnose : public testing::TestWithParam<Rule> {};

TEST_P(MysqlDiagnose, NamesIt) {
    const Rule& rule = GetParam();
    const Diagnosis diagnosis = diagnose(rule.run);
    EXPECT_EQ(diagnosis.label(), rule.label);
    test::expect_sound(diagnosis);
    test::expect_weaker_without_any_control(diagnose, rule.run);
    for (const auto need : rule.needs) {
        RunResult without = rule.run;
        std::erase_if(without.controls, [&](const Control& control) { return control.name == need; });
        EXPECT_EQ(diagnose(without).label(), rule.rest) << need;
    }
}
INSTANTIATE_TEST_SUITE_P(Rules, MysqlDiagnose, testing::ValuesIn(rules),
                         [](const auto& each) { return each.param.name; });

/// Any number in any phase, with any control or none: sound, and never a stronger claim for want of a
/// control.
TEST(MysqlDiagnose, IsSoundWhateverComes) {
    for (const Phase phase : {dns, tcp, tls, auth, query})
        for (unsigned number = 1000; number < 5020; number += number < 2100 ? 3 : 501)
            for (const std::string_view control : {no_database, by_socket, plain, tables, uptime})
                for (const bool passed : {true, false}) {
                    const Control played =
                        passed ? accepted(control, "tb_account tb_room") : refused(control);
                    const auto run = said(number, phase, "--read-only", {played}, strict);
                    test::expect_sound(diagnose(run));
                    test::expect_weaker_without_any_control(diagnose, run);
                }
}

}  // namespace
}  // namespace livecanary::mysql
