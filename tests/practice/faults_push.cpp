#include "tests/practice/fault_rows.hpp"

#include <utility>

namespace livecanary::practice::rows {

using namespace std::chrono_literals;

namespace {

auto hooks(void (*change)(Behaviour&)) {
    return [change](S stack) {
        Behaviour behaviour;
        change(behaviour);
        stack.hook.behave(std::move(behaviour));
    };
}

}  // namespace

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

}  // namespace livecanary::practice::rows
