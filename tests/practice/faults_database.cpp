#include "tests/practice/fault_rows.hpp"

namespace livecanary::practice::rows {

namespace {

// Who sees it when a whole part is gone.
const std::vector<Fault::NamedBy> no_database{{"mini-live", "backend_http_500"},
                                              {"record-callback", "callback_refused"}};

}  // namespace

std::vector<Fault> of_database() {
    return {
        {.id = "db-ini-password",
         .breaks = "PASSWD of cdn.route.ini is wrong",
         .cause = "db_config_mismatch",
         .named_by = no_database,
         .apply =
             [](S s) {
                 configured([](BackendConfig& c) { c.db_password = "wrong"; })(s);
                 // As PHP 8.1 and later write it.
                 s.log(
                     "PHP Fatal error:  Uncaught mysqli_sql_exception: Access denied for user "
                     "'live_user'@'localhost' (using password: YES) in /data/live_demo_service/dao.php:20");
             },
         .parts = {Part::backend, Part::log},
         .seed = true,
         // What the log says, which is true as well.
         .explained = {"db_auth_failed_1045"}},
        {.id = "db-password-changed",
         .breaks = "the database account of the backend has another password",
         .cause = "db_auth_failed_1045",
         .named_by = {{"app-db", "db_auth_failed_1045"}},
         .apply = sql("ALTER USER 'live_user'@'%' IDENTIFIED BY 'another'"),
         .parts = {database}},
        {.id = "db-grant-missing",
         .breaks = "the database account of the backend has no right to the schema",
         .cause = "db_grant_missing_1044",
         .named_by = {{"app-db", "db_grant_missing_1044"}},
         .apply = sql("REVOKE ALL PRIVILEGES ON live_demo.* FROM 'live_user'@'%'"),
         .parts = {database}},
        {.id = "db-schema-missing",
         .breaks = "the schema is not there",
         .cause = "db_unknown_1049",
         .named_by = {{"replay-db", "db_unknown_1049"}},
         .apply = sql("DROP DATABASE live_demo"),
         .parts = {database}},
        {.id = "db-down",
         .breaks = "the database server is down",
         .cause = "db_unreachable_2002_2003_2005",
         .named_by = {{"app-db", "db_unreachable_2002_2003_2005"},
                      {"replay-db", "db_unreachable_2002_2003_2005"},
                      {"mini-live", "backend_http_500"},
                      {"record-callback", "callback_refused"}},
         .apply = [](S s) { s.backend.mariadb.stop(); },
         .parts = {database}},
        {.id = "db-user-quota",
         .breaks = "the account of the backend has used its connections up",
         .cause = "db_user_quota_1226",
         .named_by = {{"app-db", "db_user_quota_1226"}},
         .apply = sql("ALTER USER 'live_user'@'%' WITH MAX_CONNECTIONS_PER_HOUR 1"),
         .parts = {database}},
        {.id = "db-vod-table-missing",
         .breaks = "createDB.sh made no tb_vod",
         .cause = "db_table_missing",
         .named_by = {{"replay-db", "db_table_missing"}, {"mini-live", "backend_statement_failed"}},
         .apply = sql("DROP TABLE live_demo.tb_vod"),
         .parts = {database},
         .seed = true},
        {.id = "db-account-table-missing",
         .breaks = "createDB.sh made no tb_account",
         .cause = "db_table_missing",
         .named_by = {{"replay-db", "db_table_missing"}, {"mini-live", "backend_statement_failed"}},
         .apply = sql("DROP TABLE live_demo.tb_account"),
         .parts = {database}},
        {.id = "db-zero-date",
         .breaks = "tb_vod could not be made where zero dates are forbidden",
         .cause = "createdb_zero_date_1067",
         .named_by = {{"replay-db", ""}, {"mini-live", "backend_statement_failed"}},
         .apply = sql("DROP TABLE live_demo.tb_vod; SET GLOBAL sql_mode = "
                      "'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE'"),
         .parts = {database},
         // It is missing indeed; why it is, is the finer cause.
         .explained = {"db_table_missing"}},
        {.id = "db-column-renamed",
         .breaks = "a column of tb_vod has another name",
         .cause = "db_column_unknown_1054",
         .named_by = {{"replay-db", "db_column_unknown_1054"}, {"mini-live", "backend_statement_failed"}},
         .apply = sql("ALTER TABLE live_demo.tb_vod CHANGE play_url url varchar(255)"),
         .parts = {database}},
        {.id = "db-column-type-changed",
         .breaks = "a column of tb_vod has another type than createDB.sh's",
         .cause = "replay_db_write_failed_schema_changed",
         .named_by = {{"replay-db", "callback_not_stored"},
                      {"mini-live", "replay_db_write_failed_schema_changed"}},
         .apply = sql("ALTER TABLE live_demo.tb_vod MODIFY start_time bigint"),
         .parts = {database},
         .seed = true},
        {.id = "db-new-column-no-default",
         .breaks = "a new column of tb_vod demands a value",
         .cause = "db_no_default_1364",
         .named_by = {{"replay-db", "db_no_default_1364"}},
         .apply = sql("ALTER TABLE live_demo.tb_vod ADD extra varchar(10) NOT NULL"),
         .parts = {database}},
        {.id = "db-title-utf8mb3",
         .breaks = "a column of tb_vod cannot hold what users type",
         .cause = "db_bad_value_1366",
         .named_by = {{"replay-db", "db_bad_value_1366"}},
         .apply = sql("ALTER TABLE live_demo.tb_vod MODIFY title varchar(128) CHARACTER SET utf8mb3"),
         .parts = {database}},
        {.id = "db-duplicate-key",
         .breaks = "the key of an insert is taken",
         .cause = "db_duplicate_1062",
         .named_by = {{"replay-db", "db_duplicate_1062"}},
         .apply = sql("INSERT INTO live_demo.tb_vod (userid, file_id) VALUES ('livecanary', 'check')"),
         .parts = {database}},
        {.id = "db-read-only",
         .breaks = "the database server is read-only",
         .cause = "db_read_only_1290",
         .named_by = {{"replay-db", "db_read_only_1290"}},
         .apply = sql("SET GLOBAL read_only = 1"),
         .parts = {database}},
        {.id = "db-time-zone",
         .breaks = "sessions of the database have another time zone",
         .cause = "db_timezone_mismatch",
         .named_by = {{"replay-db", "db_timezone_mismatch"}},
         .apply = sql("SET GLOBAL time_zone = '+00:00'"),
         .parts = {database}},
        {.id = "db-table-stalled",
         .breaks = "no rows come into a table any more",
         .cause = "db_table_stalled",
         .named_by = {{"replay-db", "db_table_stalled"}},
         .apply = sql("UPDATE live_demo.tb_account SET create_time = NOW() - INTERVAL 1 DAY"),
         .parts = {database}},
    };
}

}  // namespace livecanary::practice::rows
