#include "tests/practice/faults.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string>
#include <utility>

namespace livecanary::practice {

using namespace std::chrono_literals;

namespace {

using S = DrillStack&;
using enum Part;

auto wall() { return std::chrono::system_clock::now(); }

const std::string issued_name = "1234_" + std::string(BackendStack::userid);

/// A push URL as the backend would have issued it.
void issue(S stack, const std::string& name) {
    stack.told.issued_push = stack.push_url(DrillStack::issuing_domain, "live", name);
}

// What changes one member of a part's settings.

auto told_as(void (*change)(DrillTold&)) {
    return [change](S stack) { change(stack.told); };
}
auto hooks(void (*change)(Behaviour&)) {
    return [change](S stack) {
        Behaviour behaviour;
        change(behaviour);
        stack.hook.behave(std::move(behaviour));
    };
}
auto store(void (*change)(Cos&)) {
    return [change](S stack) { stack.cos.change(change); };
}
auto store_at(CosCall call, CosFault fault) {
    return [call, fault](S stack) { stack.cos.behave({.calls = {{call, fault}}}); };
}
auto cover_edge(void (*change)(CdnFaults&)) {
    return [change](S stack) {
        CdnFaults faults;
        change(faults);
        stack.cover_cdn.behave(std::move(faults));
    };
}
auto logo_edge(void (*change)(CdnFaults&)) {
    return [change](S stack) {
        CdnFaults faults;
        change(faults);
        stack.logo_cdn.behave(std::move(faults));
        stack.logo_cdn.purge();
    };
}
auto configured(void (*change)(BackendConfig&)) {
    return [change](S stack) {
        BackendConfig config = stack.backend.backend.config();
        change(config);
        stack.backend.backend.configure(config);
    };
}
auto php(void (*change)(BackendFaults&)) {
    return [change](S stack) {
        BackendFaults faults{.config_hidden = true};
        change(faults);
        stack.backend.backend.behave(faults);
    };
}
auto sql(const char* statements) {
    return [statements](S stack) { stack.backend.mariadb.execute(statements); };
}
auto event_sender(void (*change)(CallbackSender::Settings&)) {
    return [change](S stack) { stack.events.change(change); };
}
auto line(const char* text) {
    return [text](S stack) { stack.log(text); };
}

// Who sees it when a whole part is gone.
const std::vector<Fault::NamedBy> no_database{{"mini-live", "backend_http_500"},
                                              {"record-callback", "callback_refused"}};

std::vector<Fault> of_push() {
    return {
        {.id = "push-main-key-changed",
         .breaks = "the push domain has another main key (PUSH_URL_KEY)",
         .cause = "push_wrong_hotlink_key",
         .named_by = {{"push-main", "push_wrong_hotlink_key"}, {"play-main", "push_wrong_hotlink_key"}},
         .apply = [](S s) { s.hook.set_main_key(DrillStack::push_domain, "a-new-main-key"); },
         .parts = {push},
         .seed = true},
        {.id = "push-issued-with-another-key",
         .breaks = "the backend signs push URLs with a key that is not the domain's",
         .cause = "push_wrong_hotlink_key",
         .named_by = {{"push-issued", "push_wrong_hotlink_key"}},
         .apply = [](S s) { issue(s, signed_name("an-old-key", issued_name, wall() + 12h)); },
         .parts = {Part::told}},
        {.id = "push-issued-bizid-differs",
         .breaks = "the backend issues push URLs with another account's bizid (APP_BIZID)",
         .cause = "push_wrong_bizid_or_appid",
         .named_by = {{"push-issued", "push_refused"}},
         .apply =
             [](S s) {
                 std::string name = signed_name(s.main_key, issued_name, wall() + 12h);
                 name.insert(name.find('?') + 1, "bizid=1234&");
                 s.told.issued_push = s.push_url("5678.livepush.example.com", "live", name);
             },
         .parts = {Part::told},
         .seed = true},
        {.id = "push-issued-expired",
         .breaks = "the app keeps a push URL for longer than its txTime",
         .cause = "push_url_expired",
         .named_by = {{"push-issued", "push_url_expired"}},
         .apply = [](S s) { issue(s, signed_name(s.main_key, issued_name, wall() - 1h)); },
         .parts = {Part::told}},
        {.id = "push-issued-unsigned",
         .breaks = "the backend issues push URLs without txSecret",
         .cause = "push_auth_params_missing",
         .named_by = {{"push-issued", "push_auth_params_missing"}},
         .apply = [](S s) { issue(s, issued_name + "?txTime=7FFFFFFF"); },
         .parts = {Part::told}},
        {.id = "push-domain-disabled",
         .breaks = "the push domain is no more at the cloud",
         .cause = "push_domain_disabled_or_icp",
         .named_by = {{"push-main", "push_refused"}, {"play-main", "push_refused"}},
         .apply = [](S s) { s.hook.unknow(DrillStack::push_domain); },
         .parts = {push}},
        {.id = "push-stream-forbidden",
         .breaks = "the cloud forbids this one stream",
         .cause = "push_stream_forbidden",
         .named_by = {{"push-main", "push_refused"}},
         .apply =
             [](S s) {
                 Behaviour behaviour;
                 behaviour.forbidden = {s.told.stream};
                 s.hook.behave(std::move(behaviour));
             },
         .parts = {push}},
        {.id = "push-app-name-unknown",
         .breaks = "the app pushes to an application that the domain does not have",
         .cause = "push_app_name_disabled",
         .named_by = {{"push-main", "push_app_name_disabled"}},
         .apply = told_as([](DrillTold& t) { t.app = "nosuch"; }),
         .parts = {Part::told}},
        {.id = "push-acl-denies",
         .breaks = "the server starts the publish, then closes (an ACL of the application)",
         .cause = "push_app_name_disabled",
         .named_by = {{"push-main", "push_app_name_disabled"}},
         .apply = told_as([](DrillTold& t) { t.app = "deny"; }),
         .parts = {Part::told}},
        {.id = "push-remote-auth-silent",
         .breaks = "the service that the cloud asks about pushes does not answer",
         .cause = "push_remote_auth_denied",
         .named_by = {{"push-main", "push_refused"}},
         .apply = hooks([](Behaviour& b) { b.hang = true; }),
         .parts = {push}},
        {.id = "push-port-is-http",
         .breaks = "something else than RTMP listens on the push port",
         .cause = "push_handshake_failed",
         .named_by = {{"push-main", "push_handshake_failed"}},
         .apply = [](S s) { s.told.push_port = s.nginx.http_port(); },
         .parts = {Part::told}},
        {.id = "push-server-down",
         .breaks = "nothing listens on the push port",
         .cause = "push_tcp_refused",
         .named_by = {{"push-main", "push_tcp_refused"}, {"push-issued", "push_tcp_refused"}},
         .apply = [](S s) { s.nginx.stop(); },
         .parts = {push}},
        {.id = "push-server-frozen",
         .breaks = "the ingest node takes connections and does nothing with them",
         .cause = "push_ingest_node_fault",
         .named_by = {{"push-main", "push_unreachable"}},
         .apply = [](S s) { s.nginx.freeze(); },
         .parts = {push},
         // It asks the port for TLS.
         .control = 3s},
        {.id = "play-key-changed",
         .breaks = "the play domain has another key",
         .cause = "play_auth_key_mismatch",
         .named_by = {{"play-main", "play_auth_key_mismatch"}},
         .apply = [](S s) { s.hook.set_play_key(DrillStack::play_domain, "another-play-key"); },
         .parts = {push}},
        {.id = "play-domain-unknown",
         .breaks = "the play domain does not belong to the push domain",
         .cause = "play_domain_mismatch",
         .named_by = {{"play-main", "play_no_stream"}},
         .apply = [](S s) { s.hook.unknow(DrillStack::play_domain); },
         .parts = {push}},
    };
}

std::vector<Fault> of_cos() {
    return {
        {.id = "cos-backend-secret-key",
         .breaks = "COSKEY_SECRECTKEY of the backend is wrong",
         .cause = "cos_wrong_secret_key",
         .named_by = {{"cover-app", "cos_wrong_secret_key"}},
         .apply = configured([](BackendConfig& c) { c.cos_secret_key = "stale-secret"; }),
         .parts = {Part::backend},
         .seed = true},
        {.id = "cos-backend-secret-id",
         .breaks = "COSKEY_SECRECTID of the backend is nobody's",
         .cause = "cos_wrong_secret_id",
         .named_by = {{"cover-app", "cos_wrong_secret_id"}},
         .apply = configured([](BackendConfig& c) { c.cos_secret_id = "AKIDnobody"; }),
         .parts = {Part::backend},
         .seed = true},
        {.id = "cos-backend-bucket",
         .breaks = "COSKEY_BUCKET of the backend is wrong",
         .cause = "cos_wrong_bucket",
         .named_by = {{"cover-app", "cos_wrong_bucket"}},
         .apply = configured([](BackendConfig& c) { c.cos_bucket = "covers"; }),
         .parts = {Part::backend},
         .seed = true},
        {.id = "cos-backend-appid",
         .breaks = "COSKEY_APPID of the backend is wrong",
         .cause = "cos_wrong_appid",
         .named_by = {{"cover-app", "cos_wrong_appid"}},
         .apply = configured([](BackendConfig& c) { c.cos_appid = "1250000001"; }),
         .parts = {Part::backend},
         .seed = true},
        {.id = "cos-backend-region",
         .breaks = "COSKEY_BUCKET_REGION of the backend is wrong",
         .cause = "cos_wrong_region",
         .named_by = {{"cover-app", "cos_wrong_region"}},
         .apply = configured([](BackendConfig& c) { c.cos_region = "ap-guangzhou"; }),
         .parts = {Part::backend}},
        {.id = "cos-backend-key-time",
         .breaks = "COSKEY_EXPIRED_TIME of the backend leaves a signKey no time",
         .cause = "cos_signkey_window_expired",
         .named_by = {{"cover-app", "cos_signkey_window_expired"}},
         .apply = configured([](BackendConfig& c) { c.cos_lifetime = -1; }),
         .parts = {Part::backend}},
        {.id = "backend-clock-behind",
         .breaks = "the backend's clock is an hour behind",
         .cause = "push_backend_clock_skew",
         .named_by = {{"cover-app", "push_backend_clock_skew"}},
         .apply = php([](BackendFaults& f) { f.clock_offset = -1h; }),
         .parts = {Part::backend}},
        {.id = "cos-secret-key-changed",
         .breaks = "the monitor's own SecretKey is no more the account's",
         .cause = "cos_wrong_secret_key",
         .named_by = {{"cover-bucket", "cos_wrong_secret_key"}, {"cover-v4", "cos_wrong_secret_key"}},
         .apply = store([](Cos& c) {
             c.accounts[DrillStack::appid].keys[DrillStack::monitor_id].secret_key = "another-secret";
         }),
         .parts = {Part::cos, cdn}},
        {.id = "cos-secret-id-deleted",
         .breaks = "the monitor's own SecretId was deleted",
         .cause = "cos_wrong_secret_id",
         .named_by = {{"cover-bucket", "cos_wrong_secret_id"}, {"cover-v4", "cos_wrong_secret_id"}},
         .apply = store([](Cos& c) { c.accounts[DrillStack::appid].keys.erase(DrillStack::monitor_id); }),
         .parts = {Part::cos, cdn}},
        {.id = "cos-not-activated",
         .breaks = "COS was never activated: the account has no bucket",
         .cause = "cos_service_not_activated",
         .named_by = {{"cover-bucket", "cos_service_not_activated"}},
         .apply = store([](Cos& c) { c.buckets.clear(); }),
         .parts = {Part::cos, cdn},
         .seed = true,
         // Of the JSON API there is no list of buckets; the object of the other bucket is gone too.
         .explained = {"cos_object_missing"}},
        {.id = "cos-bucket-of-old-generation",
         .breaks = "the bucket was made on the generation of COS before the SDK's",
         .cause = "cos_generation_mismatch",
         .named_by = {{"cover-v4", "cos_generation_mismatch"}},
         .apply = store([](Cos& c) {
             c.buckets[DrillStack::cover].v4_region.clear();
             c.buckets[DrillStack::cover].v1 = true;
         }),
         .parts = {Part::cos},
         .seed = true},
        {.id = "cos-permission-denied",
         .breaks = "the key may not upload",
         .cause = "cos_permission_denied",
         .named_by = {{"cover-bucket", "cos_permission_denied"}},
         .apply = store([](Cos& c) {
             c.accounts[DrillStack::appid].keys[DrillStack::monitor_id].may.erase(CosCall::put_object);
         }),
         .parts = {Part::cos}},
        {.id = "cos-clock-skew",
         .breaks = "our clock is a day off COS's",
         .cause = "cos_clock_skew",
         .named_by = {{"cover-bucket", "cos_clock_skew"}},
         .apply = [](S s) { s.cos.behave({.calls = {}, .clock_offset = 24h}); },
         .parts = {Part::cos, cdn},
         // The host of the backend is our own here, and so is its clock.
         .explained = {"push_backend_clock_skew", "cos_temp_token_expired"}},
        {.id = "cos-temporary-key-expired",
         .breaks = "the temporary key pair is over",
         .cause = "cos_temp_token_expired",
         .named_by = {{"cover-temporary", "cos_temp_token_expired"}},
         .apply = store([](Cos& c) {
             c.accounts[DrillStack::appid].temporary_keys[DrillStack::temporary_id].expires = wall() - 1h;
         }),
         .parts = {Part::cos}},
        {.id = "cos-throttled",
         .breaks = "COS says SlowDown to uploads",
         .cause = "cos_throttled",
         .named_by = {{"cover-bucket", "cos_throttled"}},
         .apply = store_at(CosCall::put_object, {.code = "SlowDown"}),
         .parts = {Part::cos}},
        {.id = "cos-arrears",
         .breaks = "the account is in arrears: 402",
         .cause = "cos_arrears",
         .named_by = {{"cover-bucket", "cos_access_denied"}},
         .apply = store_at(CosCall::put_object, {.code = "PaymentRequired"}),
         .parts = {Part::cos}},
        {.id = "cos-bucket-name-invalid",
         .breaks = "COS takes the bucket's name for none",
         .cause = "cos_invalid_bucket_name",
         .named_by = {{"cover-bucket", "cos_invalid_bucket_name"}},
         .apply = store_at(CosCall::put_object, {.code = "InvalidBucketName"}),
         .parts = {Part::cos}},
        {.id = "cos-network-too-slow",
         .breaks = "COS gives up on uploads that are too slow",
         .cause = "cos_network_too_slow",
         .named_by = {{"cover-bucket", "cos_network_too_slow"}},
         .apply = store_at(CosCall::put_object, {.code = "UserNetworkTooSlow"}),
         .parts = {Part::cos}},
        {.id = "cos-body-corrupted-up",
         .breaks = "something between flips a bit of uploads",
         .cause = "cos_body_corrupted",
         .named_by = {{"cover-bucket", "cos_body_corrupted"}},
         .apply = store_at(CosCall::put_object, {.corrupt = true}),
         .parts = {Part::cos}},
        {.id = "cos-body-corrupted-down",
         .breaks = "something between flips a bit of downloads",
         .cause = "cos_body_corrupted",
         .named_by = {{"cover-bucket", "cos_body_corrupted"}},
         .apply = store_at(CosCall::get_object, {.corrupt = true}),
         .parts = {Part::cos, cdn},
         .explained = {"cdn_hash_mismatch"}},
        {.id = "cos-object-lost",
         .breaks = "uploads are accepted and not kept",
         .cause = "cos_object_missing",
         .named_by = {{"cover-bucket", "cos_object_missing"}},
         .apply = store_at(CosCall::put_object, {.lose = true}),
         .parts = {Part::cos}},
        {.id = "cos-unreachable",
         .breaks = "COS takes no connections",
         .cause = "cos_endpoint_unreachable",
         .named_by = {{"cover-bucket", "cos_endpoint_unreachable"}, {"cover-v4", "cos_endpoint_unreachable"}},
         .apply = [](S s) { s.cos.vanish(); },
         .parts = {Part::cos, cdn},
         .explained = {"cdn_origin_unreachable"}},
        {.id = "cos-acceleration-host-off",
         .breaks = "global acceleration of the bucket is off",
         .cause = "cos_accelerate_not_enabled",
         .named_by = {{"cover-fast", "cos_accelerate_not_enabled"}},
         .apply = store([](Cos& c) { c.buckets[DrillStack::cover].accelerate = false; }),
         .parts = {Part::cos}},
        {.id = "cos-custom-domain-unbound",
         .breaks = "the custom domain is no more bound to the bucket",
         .cause = "cos_custom_domain_unbound",
         .named_by = {{"cover-domain", "cos_custom_domain_unbound"}},
         .apply = store([](Cos& c) { c.buckets[DrillStack::cover].domains.clear(); }),
         .parts = {Part::cos}},
    };
}

std::vector<Fault> of_cdn() {
    return {
        {.id = "cdn-acceleration-off",
         .breaks = "acceleration of the bucket's CDN domain is off",
         .cause = "cdn_cos_acceleration_disabled",
         .named_by = {{"logo-cdn", "cdn_cos_acceleration_disabled"}},
         .apply = logo_edge([](CdnFaults& f) { f.status = 403; }),
         .parts = {cdn},
         .seed = true},
        {.id = "cdn-origin-auth-off",
         .breaks = "origin-pull authentication to the private bucket is off",
         .cause = "cdn_private_bucket_origin_auth_off",
         .named_by = {{"cover-cdn", "cdn_private_bucket_origin_auth_off"}},
         .apply = cover_edge([](CdnFaults& f) { f.pull_unsigned = true; }),
         .parts = {cdn}},
        {.id = "cdn-url-key-changed",
         .breaks = "the domain's URL authentication has another main key",
         .cause = "cdn_url_auth_failed",
         .named_by = {{"cover-cdn", "cdn_url_auth_failed"}},
         .apply =
             [](S s) {
                 s.cover_cdn.authenticate(CdnUrlAuth{.key = "anotherkey1", .backup_key = s.cdn_backup_key});
             },
         .parts = {cdn}},
        {.id = "cdn-hotlink-protection",
         .breaks = "hotlink protection wants a Referer",
         .cause = "cdn_hotlink_or_ip_blocked",
         .named_by = {{"logo-cdn", "cdn_hotlink_or_ip_blocked"}},
         .apply = logo_edge([](CdnFaults& f) { f.only_with_referer = true; }),
         .parts = {cdn}},
        {.id = "cdn-agent-barred",
         .breaks = "our User-Agent is barred",
         .cause = "cdn_hotlink_or_ip_blocked",
         .named_by = {{"logo-cdn", "cdn_hotlink_or_ip_blocked"}},
         .apply = logo_edge([](CdnFaults& f) { f.forbidden_agent = "livecanary"; }),
         .parts = {cdn}},
        {.id = "cdn-domain-offline",
         .breaks = "the CDN domain leads to a notice",
         .cause = "cdn_domain_offline_or_blocked",
         .named_by = {{"logo-cdn", "cdn_failing"}},
         .apply = logo_edge([](CdnFaults& f) { f.status = 302; }),
         .parts = {cdn}},
        {.id = "cdn-origin-loop",
         .breaks = "the CDN's origin leads back to it: 423",
         .cause = "cdn_origin_loop",
         .named_by = {{"logo-cdn", "cdn_origin_loop"}},
         .apply = logo_edge([](CdnFaults& f) { f.status = 423; }),
         .parts = {cdn}},
        {.id = "cdn-origin-dns",
         .breaks = "the CDN does not find its origin: 531",
         .cause = "cdn_origin_unreachable",
         .named_by = {{"logo-cdn", "cdn_origin_unreachable"}},
         .apply = logo_edge([](CdnFaults& f) { f.status = 531; }),
         .parts = {cdn}},
        {.id = "cdn-attack-ban",
         .breaks = "the CDN takes us for an attack: 509",
         .cause = "cdn_rate_or_attack_ban",
         .named_by = {{"logo-cdn", "cdn_rate_or_attack_ban"}},
         .apply = logo_edge([](CdnFaults& f) { f.status = 509; }),
         .parts = {cdn}},
        {.id = "cdn-cos-throttles-it",
         .breaks = "COS throttles whoever reads, the CDN first",
         .cause = "cdn_cos_freq_control",
         .named_by = {{"logo-cdn", "cdn_failing"}},
         .apply =
             [](S s) {
                 s.cos.behave({.calls = {{CosCall::get_object, {.code = "SlowDown"}}}});
                 s.logo_cdn.purge();
             },
         .parts = {Part::cos, cdn},
         .explained = {"cos_throttled"}},
        {.id = "cdn-never-caches",
         .breaks = "the CDN's rules cache nothing",
         .cause = "cdn_cache_miss_storm",
         .named_by = {{"logo-cdn", "cdn_cache_miss_storm"}},
         .apply = logo_edge([](CdnFaults& f) { f.no_cache = true; }),
         .parts = {cdn}},
        {.id = "cdn-stale-object",
         .breaks = "the object was overwritten, and the CDN has the old one",
         .cause = "cdn_stale_object",
         .named_by = {{"logo-cdn", "cdn_stale_object"}},
         .apply = store([](Cos& c) {
             c.buckets[DrillStack::logo].objects[DrillStack::logo_object].upload =
                 cos_upload(std::string(3000, 'b'));
         }),
         .parts = {Part::cos, cdn}},
        {.id = "cdn-copy-damaged",
         .breaks = "a byte of one edge's copy is another",
         .cause = "cdn_hash_mismatch",
         .named_by = {{"logo-cdn", "cdn_hash_mismatch"}},
         .apply = [](S s) { s.logo_cdn.damage("127.0.0.5"); },
         .parts = {cdn}},
        {.id = "cdn-edge-down",
         .breaks = "one of the domain's edges takes no connections",
         .cause = "cdn_endpoint_unreachable",
         .named_by = {{"logo-cdn", "cdn_endpoint_unreachable"}},
         .apply = told_as([](DrillTold& t) { t.logo_edges.emplace_back("127.0.0.9"); }),
         .parts = {Part::told}},
    };
}

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

std::vector<Fault> of_backend() {
    return {
        {.id = "backend-down",
         .breaks = "the backend's web server takes no connections",
         .cause = "backend_unreachable",
         .named_by = {{"mini-live", "backend_unreachable"}, {"app-address", "backend_unreachable"}},
         .apply = [](S s) { s.backend.backend.vanish(); },
         .parts = {Part::backend},
         .explained = {"callback_endpoint_unreachable"}},
        {.id = "backend-php-down",
         .breaks = "php-fpm is down, and nginx has a page for it",
         .cause = "backend_php_down",
         .named_by = {{"mini-live", "backend_php_down"}, {"record-callback", "backend_php_down"}},
         .apply = php([](BackendFaults& f) { f.fpm_down = f.error_page = true; }),
         .parts = {Part::backend}},
        {.id = "backend-php-down-as-404",
         .breaks = "php-fpm is down, and nginx says 404 as it is shipped",
         .cause = "backend_php_down",
         .named_by = {{"mini-live", "backend_php_not_reached"}},
         .apply = php([](BackendFaults& f) { f.fpm_down = true; }),
         .parts = {Part::backend}},
        {.id = "backend-log-directory",
         .breaks = "PHP cannot write its log directory",
         .cause = "backend_log_dir_unwritable",
         .named_by = {{"mini-live", "backend_http_500"}, {"record-callback", "backend_log_dir_unwritable"}},
         .apply = php([](BackendFaults& f) { f.log_dir_unwritable = true; }),
         .parts = {Part::backend}},
        {.id = "backend-rewrite-rule",
         .breaks = "nginx lacks the rule from /NAME to /interface.php/NAME",
         .cause = "backend_nginx_rewrite_broken",
         .named_by = {{"mini-live", "backend_nginx_rewrite_broken"}},
         .apply = php([](BackendFaults& f) { f.rewrite_broken = true; }),
         .parts = {Part::backend}},
        {.id = "backend-display-errors",
         .breaks = "PHP prints its warnings before the JSON",
         .cause = "backend_display_errors_on",
         .named_by = {{"mini-live", "backend_display_errors_on"}},
         .apply = php([](BackendFaults& f) { f.display_errors = true; }),
         .parts = {Part::backend}},
        {.id = "backend-mysqli-missing",
         .breaks = "PHP lacks mysqli",
         .cause = "backend_php_extension_missing",
         .named_by = {{"record-callback", "callback_refused"}},
         .apply = php([](BackendFaults& f) { f.mysqli_missing = true; }),
         .parts = {Part::backend}},
        {.id = "backend-phpredis-missing",
         .breaks = "PHP lacks phpredis",
         .cause = "backend_php_extension_missing",
         .named_by = {{"mini-live", "backend_http_500"}},
         .apply = php([](BackendFaults& f) { f.phpredis_missing = true; }),
         .parts = {Part::backend}},
        {.id = "backend-config-exposed",
         .breaks = "the backend's configuration can be fetched",
         .cause = "backend_config_exposed",
         .named_by = {{"mini-live", "backend_config_exposed"}},
         .apply = php([](BackendFaults& f) { f.config_hidden = false; }),
         .parts = {Part::backend}},
        {.id = "redis-password",
         .breaks = "the backend's password of Redis is wrong",
         .cause = "backend_redis_down_or_auth",
         .named_by = {{"mini-live", "backend_http_500"}},
         .apply = configured([](BackendConfig& c) { c.redis_password = "wrong"; }),
         .parts = {Part::backend}},
        {.id = "redis-down",
         .breaks = "Redis is down",
         .cause = "backend_redis_down_or_auth",
         .named_by = {{"mini-live", "backend_http_500"}},
         .apply = [](S s) { s.backend.redis.stop(); },
         .parts = {redis}},
        {.id = "redis-full",
         .breaks = "Redis has no room left",
         .cause = "backend_redis_full_or_read_only",
         .named_by = {{"mini-live", "backend_redis_full_or_read_only"}},
         .apply =
             [](S s) {
                 s.backend.redis.command({"CONFIG", "SET", "maxmemory", "1"});
             },
         .parts = {redis}},
        {.id = "im-sdkappid",
         .breaks = "the backend signs UserSigs for another SDKAppID (IM_SDKAPPID)",
         .cause = "im_wrong_sdkappid_or_accounttype",
         .named_by = {{"mini-live", "im_wrong_sdkappid_or_accounttype"}},
         .apply = configured([](BackendConfig& c) { c.im_sdkappid = 1400000001; }),
         .parts = {Part::backend},
         .seed = true},
        {.id = "im-key",
         .breaks = "IM_SECRETKEY of the backend is another SDKAppID's",
         .cause = "im_usersig_key_mismatch",
         .named_by = {{"mini-live", "im_usersig_key_mismatch"}},
         .apply = configured([](BackendConfig& c) { c.im_key = "another-key"; }),
         .parts = {Part::backend}},
        {.id = "im-usersig-expired",
         .breaks = "UserSigs of the backend are over at once",
         .cause = "im_usersig_expired",
         .named_by = {{"mini-live", "im_usersig_expired"}},
         .apply = configured([](BackendConfig& c) { c.im_expire = 0s; }),
         .parts = {Part::backend}},
        {.id = "im-usersig-identifier",
         .breaks = "the backend signs UserSigs for another user",
         .cause = "im_usersig_identifier_mismatch",
         .named_by = {{"mini-live", "im_usersig_identifier_mismatch"}},
         .apply = configured([](BackendConfig& c) { c.im_identifier = "somebody"; }),
         .parts = {Part::backend}},
        {.id = "app-backend-address",
         .breaks = "the app has another address of the backend compiled in (kHttpServerAddr)",
         .cause = "client_wrong_backend_address",
         .named_by = {{"app-address", "client_wrong_backend_address"}},
         .apply = told_as([](DrillTold& t) { t.app_backend = "http://127.0.0.1:9"; }),
         .parts = {Part::told},
         .seed = true},
    };
}

std::vector<Fault> of_callbacks() {
    return {
        {.id = "callback-backend-key",
         .breaks = "the backend has another callback key than the template (API_KEY)",
         .cause = "callback_api_key_mismatch",
         .named_by = {{"record-callback", "callback_api_key_mismatch"}},
         .apply = configured([](BackendConfig& c) { c.callback_key = "another-key"; }),
         .parts = {Part::backend},
         .seed = true},
        {.id = "callback-template-key",
         .breaks = "the callback template has another key",
         .cause = "callback_api_key_mismatch",
         .named_by = {{"cloud-events", "callback_api_key_mismatch"}},
         .apply = event_sender([](CallbackSender::Settings& s) { s.key = "another-key"; }),
         .parts = {Part::events}},
        {.id = "callback-url-wrong",
         .breaks = "the template has a URL that leads nowhere",
         .cause = "replay_callback_url_wrong",
         .named_by = {{"cloud-events", "callback_not_delivered"}},
         .apply = event_sender([](CallbackSender::Settings& s) { s.dead = true; }),
         .parts = {Part::events},
         .seed = true},
        {.id = "callback-template-not-bound",
         .breaks = "the callback template is not bound to the push domain any more, but to another one",
         .cause = "callback_template_not_bound",
         .named_by = {{"cloud-events", "callback_not_delivered"}},
         .apply = [](S s) { s.events.unbind(DrillStack::push_domain); },
         .parts = {Part::events},
         .seed = true},
        {.id = "callback-recording-off",
         .breaks = "no recording template is bound: nothing is recorded",
         .cause = "record_template_not_bound",
         .named_by = {{"cloud-events", "callback_not_delivered"}},
         .apply = [](S s) { s.events.set_recording(false); },
         .parts = {Part::events}},
        {.id = "callback-without-video-id",
         .breaks = "the cloud's recording events have no video_id, which the backend wants",
         .cause = "callback_payload_missing_video_id",
         .named_by = {{"cloud-events", "callback_payload_missing_video_id"}},
         .apply = event_sender([](CallbackSender::Settings& s) { s.video_id = false; }),
         .parts = {Part::events}},
        {.id = "callback-room-missing",
         .breaks = "the user who is live has no row in tb_room",
         .cause = "room_row_missing",
         .named_by = {{"cloud-events", "callback_not_stored"}},
         .apply = sql("DELETE FROM live_demo.tb_room"),
         .parts = {database}},
        {.id = "callback-stream-without-underscore",
         .breaks = "names of streams lack the '_' before their user",
         .cause = "stream_id_without_underscore",
         .named_by = {{"cloud-events", "callback_not_stored"}},
         // Of all: the newest event speaks, and one of a stream that is well would hide the others.
         .apply =
             [](S s) {
                 s.told.stream = "nounderscore";
                 s.told.watched = "watchednounderscore";
                 issue(s, signed_name(s.main_key, "1234-nounderscore", wall() + 12h));
             },
         .parts = {Part::told}},
    };
}

/// The hops of a journey, each broken once. The configuration has it meanwhile.
std::vector<Fault> of_journey() {
    const auto travelling = [](auto breaks) {
        return [breaks](S s) {
            s.told.journey = true;
            breaks(s);
        };
    };
    return {
        {.id = "journey-push",
         .breaks = "of a replay's way the push: the domain has another main key",
         .cause = "push_wrong_hotlink_key",
         .named_by = {{"replay", "push_refused"}},
         .apply = travelling([](S s) { s.hook.set_main_key(DrillStack::push_domain, "a-new-main-key"); }),
         .parts = {push, Part::told}},
        {.id = "journey-callback",
         .breaks = "of a replay's way the callback: nothing is recorded",
         .cause = "record_template_not_bound",
         .named_by = {{"replay", "callback_not_delivered"}},
         .apply = travelling([](S s) { s.events.set_recording(false); }),
         .parts = {Part::events, Part::told}},
        {.id = "journey-row",
         .breaks = "of a replay's way the row: the recording is too short to be stored",
         .cause = "replay_too_short",
         .named_by = {{"replay", "replay_too_short"}},
         .apply = travelling([](S s) { s.events.scale_recordings(0.5); }),
         .parts = {Part::events, Part::told}},
        {.id = "journey-format-letters",
         .breaks = "of a replay's way the row: the cloud says MP4, and the backend compares with mp4",
         .cause = "replay_format_case_mismatch",
         .named_by = {{"replay", "replay_format_case_mismatch"}},
         .apply = travelling(event_sender([](CallbackSender::Settings& s) { s.record_format = "MP4"; })),
         .parts = {Part::events, Part::told}},
        {.id = "journey-two-rows",
         .breaks = "of a replay's way the row: sessions have another time zone, and each format gets a row",
         .cause = "db_timezone_mismatch",
         .named_by = {{"replay", "db_timezone_mismatch"}},
         .apply = travelling([](S s) {
             s.backend.mariadb.execute("SET GLOBAL time_zone = '+00:00'");
             s.events.set_formats({"mp4", "hls"});
         }),
         .parts = {database, Part::events, Part::told}},
        {.id = "journey-list",
         .breaks = "of a replay's way the list: the row is older than the seven days that it shows",
         .cause = "replay_window_7_days",
         .named_by = {{"replay", "replay_missing"}},
         .apply =
             travelling(sql("CREATE TRIGGER live_demo.old BEFORE INSERT ON live_demo.tb_vod FOR EACH ROW SET "
                            "NEW.create_time = NEW.create_time - INTERVAL 8 DAY")),
         .parts = {database, Part::told}},
        {.id = "journey-playback",
         .breaks = "of a replay's way the playback: the recording is not where the row says",
         .cause = "cos_object_missing",
         .named_by = {{"replay", ""}},
         .apply = travelling([](S s) { s.recordings_are_gone = true; }),
         .parts = {Part::events, Part::told}},
    };
}

std::vector<Fault> of_logs() {
    return {
        {.id = "log-client-cos-appid",
         .breaks = "the app has another APPID of COS compiled in (kTCCOSAppId); only its own log shows it",
         .cause = "client_wrong_cos_appid_or_bucket",
         .named_by = {{"backend-log", ""}},
         .apply = line("upload failed, code:-70 ERROR_PROXY_APPID_USERID_NOTMATCH"),
         .parts = {Part::log},
         .seed = true},
        {.id = "log-client-cos-region",
         .breaks = "the app has another region of COS compiled in (kTCCOSRegion); only its own log shows it",
         .cause = "client_wrong_cos_region",
         .named_by = {{"backend-log", "client_wrong_cos_region"}},
         .apply = line("upload failed, code:-133 bucket notexist"),
         .parts = {Part::log},
         .seed = true},
        {.id = "log-im-registrations",
         .breaks = "too many accounts are registered from one network",
         .cause = "im_register_rate_limited",
         .named_by = {{"backend-log", "im_register_rate_limited"}},
         .apply = line("TLSHelper: Registration operation is rejected for security reason"),
         .parts = {Part::log},
         .seed = true},
        {.id = "log-unlisted",
         .breaks = "a failure that is in no list; its line is found by a pattern of the configuration",
         .cause = "unlisted_needs_logs",
         .named_by = {{"backend-log", "unlisted_needs_logs"}},
         .apply = line("E/room: unexpected failure 7 while entering"),
         .parts = {Part::log},
         .seed = true},
        {.id = "log-php8",
         .breaks = "PHP 8 does not know a constant of the old code",
         .cause = "backend_php8_incompatible",
         .named_by = {{"backend-log", "backend_php8_incompatible"}},
         .apply =
             line("PHP Fatal error:  Uncaught Error: Undefined constant \"ERR_ROOM\" in interface.php:12"),
         .parts = {Part::log}},
        {.id = "log-connections",
         .breaks = "the database has no connection left",
         .cause = "db_too_many_connections_1040",
         .named_by = {{"backend-log", "db_too_many_connections_1040"}},
         .apply = line("mysqli_connect failed, error: Too many connections"),
         .parts = {Part::log}},
    };
}

/// Last, since they cost most.
std::vector<Fault> of_hangs() {
    return {
        {.id = "redis-frozen",
         .breaks = "Redis takes connections and does not answer",
         .cause = "backend_redis_frozen",
         .named_by = {{"mini-live", "backend_hangs"}},
         .apply =
             [](S s) {
                 s.redis_is_frozen = true;
                 s.backend.redis.freeze();
             },
         .parts = {redis},
         .fresh_start = true},
        {.id = "db-frozen",
         .breaks = "the database server takes connections and does not answer",
         .cause = "db_frozen",
         .named_by = {{"app-db", "db_frozen"}, {"replay-db", "db_frozen"}},
         .apply =
             [](S s) {
                 s.database_is_frozen = true;
                 s.backend.mariadb.freeze();
             },
         .parts = {database},
         .fresh_start = true},
        {.id = "db-table-locked",
         .breaks = "somebody holds a write lock on tb_vod",
         .cause = "db_lock_wait_1205",
         .named_by = {{"mini-live", "backend_hangs"},
                      {"replay-db", "db_lock_wait_1205"},
                      {"cloud-events", "backend_hangs"}},
         .any = true,
         .apply = sql("LOCK TABLES live_demo.tb_vod WRITE"),
         .parts = {database},
         .fresh_start = true},
        {.id = "backend-pool-frozen",
         .breaks = "no PHP worker is free",
         .cause = "backend_pool_exhausted",
         .named_by = {{"mini-live", "backend_hangs"},
                      {"app-address", "backend_hangs"},
                      {"record-callback", ""},
                      {"cloud-events", "backend_hangs"}},
         .any = true,
         .apply = php([](BackendFaults& f) { f.fpm_frozen = true; }),
         .parts = {Part::backend},
         .fresh_start = true},
    };
}

}  // namespace

std::span<const Fault> drill_faults() {
    static const std::vector<Fault> all = [] {
        std::vector<Fault> faults;
        for (auto* part :
             {of_push, of_cos, of_cdn, of_database, of_backend, of_callbacks, of_journey, of_logs, of_hangs})
            for (Fault& fault : part()) faults.push_back(std::move(fault));
        return faults;
    }();
    return all;
}

void heal(DrillStack& stack, const Fault& fault) {
    for (const Part part : fault.parts) {
        switch (part) {
            case push:
                stack.reset_push();
                break;
            case Part::cos:
                stack.reset_cos();
                break;
            case cdn:
                stack.reset_cdn();
                break;
            case Part::backend:
                stack.reset_backend();
                break;
            case database:
                stack.reset_database();
                break;
            case redis:
                stack.reset_redis();
                break;
            case Part::events:
                stack.reset_events();
                break;
            case Part::told:
                stack.told = stack.right_told();
                break;
            // A line that was written stands; its time passes.
            case Part::log:
                break;
        }
    }
}

}  // namespace livecanary::practice
