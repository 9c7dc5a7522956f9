#include "tests/practice/fault_rows.hpp"

#include <utility>

namespace livecanary::practice::rows {

namespace {

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

}  // namespace

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

}  // namespace livecanary::practice::rows
