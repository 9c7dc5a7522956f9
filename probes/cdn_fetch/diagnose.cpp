#include "probes/cdn_fetch/diagnose.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "probes/cdn_fetch/controls.hpp"
#include "probes/net/tls.hpp"

namespace livecanary::cdn_fetch {
namespace {

using Candidates = std::vector<Candidate>;

/// A failed fetch with its controls, asked in the words of the rules below.
class Facts : public ControlFacts {
public:
    explicit Facts(const RunResult& run) : ControlFacts(run) {
        if (const auto text = run.got("status"); text.size() > 5)
            std::from_chars(text.data() + 5, text.data() + text.size(), status);
    }

    /// The same request fails in the same way: what another one changes is then due to what it changed.
    bool lasts() const { return alike(again); }
    bool turned_by(std::string_view control) const { return lasts() && passed(control); }
    /// The answer is not one that the CDN passes on from the origin.
    bool only_at_the_cdn() const { return passed(origin) || (refused(origin) && differs(origin)); }
    bool hit() const { return run().got("cache") == "hit"; }
    bool from_cos() const { return !run().got("cos_code").empty() && !run().got("request_id").empty(); }
    bool signs() const { return run().got("auth").starts_with("type"); }
    /// The domain is known to want no signature: it was said so, or is one that COS made by itself.
    bool wants_no_signature() const {
        return run().got("auth") == "none" || (!signs() && protocol::is_cos_cdn_name(run().got("domain")));
    }
    /// That the request is signed changes nothing.
    bool signature_is_not_it() const { return !signs() || refused(not_signed); }
    bool some_address_is_good() const { return !run().got("good_addresses").empty(); }

    unsigned status = 0;
};

std::string said_by(const RunResult& run, const Facts& facts) {
    if (facts.status == 0 || facts.status == 200) return run.code.message();
    std::string said = "the CDN answered HTTP " + std::to_string(facts.status);
    if (const auto code = run.got("cos_code"); !code.empty()) said += " with COS's code " + std::string(code);
    return said;
}

std::string at(const RunResult& run) {
    const auto address = run.got("address");
    return address.empty() ? std::string() : " at " + std::string(address);
}

/// A name that does not lead to the CDN explains much; which names do is not wholly known, so it never
/// decides.
void add_name(const RunResult& run, Candidates& candidates) {
    if (run.got("leads_to").starts_with("no name"))
        candidates.push_back(
            {Cause::cdn_dns_failure, "the domain leads to no name of the CDN that we know (CNAME: " +
                                         std::string(run.got("cname")) + ")"});
}

Diagnosis of_name(const RunResult& run, const Facts& facts) {
    const std::string because = "the domain does not resolve: " + run.code.message();
    // Our name servers answer for another name, so it is this one that has no answer.
    if (facts.passed(origin_name))
        return claim(Cause::cdn_dns_failure, because + "; " + facts.shows(origin_name));
    return one_of(CauseClass::cdn_unreachable,
                  {{Cause::cdn_dns_failure, "no other name could be looked up to compare"},
                   {Cause::cdn_domain_offline_or_blocked, "a stopped domain may lose its name"}},
                  because);
}

Diagnosis of_connection(const RunResult& run, const Facts& facts) {
    const std::string because = "no connection" + at(run) + ": " + run.code.message();
    // Our own network carries connections to the vendor's other machines at the same time.
    if (facts.lasts() &&
        (facts.some_address_is_good() || facts.passed(other_address) || facts.passed(origin))) {
        const std::string also = facts.some_address_is_good()
                                     ? std::string(run.got("good_addresses")) + " addresses serve it"
                                 : facts.passed(other_address) ? facts.shows(other_address)
                                                               : facts.shows(origin);
        return claim(Cause::cdn_endpoint_unreachable, because + "; " + also);
    }
    Candidates candidates{{Cause::cdn_endpoint_unreachable, "our own network could not be ruled out"}};
    add_name(run, candidates);
    return one_of(CauseClass::cdn_unreachable, std::move(candidates), because);
}

Diagnosis of_certificate(const RunResult& run, const Facts& facts) {
    const std::string because =
        "TLS" + at(run) + ": " + run.code.message() +
        (run.got("certificate").empty() ? "" : " (" + std::string(run.got("certificate")) + ")");
    const bool expired = run.code == net::TlsError::certificate_expired;
    const bool other_name = run.code == net::TlsError::name_mismatch;
    // The certificate says so itself: its end, or the names it is for. Where the origin's is refused as
    // well, our own clock or trust is more likely wrong.
    if ((expired || other_name) && !facts.alike(origin)) {
        if (facts.some_address_is_good())
            return claim(Cause::cdn_cert_expired, because + "; " + std::string(run.got("good_addresses")) +
                                                      " addresses have a good one");
        return claim(Cause::cdn_cert_expired, because);
    }
    Candidates candidates;
    if (run.reason() == Reason::certificate) {
        candidates.push_back(
            {Cause::cdn_cert_expired, facts.alike(origin)
                                          ? "the origin's certificate is refused too: look at our clock"
                                          : "the certificate is not accepted; check ca_file and our clock"});
    } else {
        candidates.push_back({Cause::cdn_endpoint_unreachable, "the handshake does not complete"});
        candidates.push_back(
            {Cause::cdn_cert_expired, facts.passed(over_http)
                                          ? "HTTPS may not be configured: " + facts.shows(over_http)
                                          : "HTTPS may not be configured"});
    }
    add_name(run, candidates);
    return one_of(CauseClass::cdn_unreachable, std::move(candidates), because);
}

Diagnosis of_silence(const RunResult& run, const Facts& facts) {
    const std::string because = "no whole answer" + at(run) + ": " + run.code.message();
    // Cut at the same byte again, while the origin gives all of it: the copy is short, not the network bad.
    if (run.failed_phase() == body.name && run.reason() == Reason::closed && facts.lasts() &&
        facts.passed(origin))
        return claim(Cause::cdn_hash_mismatch,
                     because + ", and again at the same byte; " + facts.shows(origin));
    Candidates candidates{{Cause::cdn_endpoint_unreachable, "the edge takes connections and does not answer"},
                          {Cause::cdn_origin_unreachable, "the edge may wait for the origin"}};
    if (run.failed_phase() == body.name)
        candidates.push_back({Cause::cdn_hash_mismatch, "the edge's copy may be cut short"});
    return one_of(CauseClass::cdn_unreachable, std::move(candidates), because);
}

/// COS's own refusal, passed on: the CDN asked, and may not read.
Diagnosis of_denial_by_cos(const RunResult& run, const Facts& facts, const std::string& said) {
    const bool denied = run.got("cos_code") == "AccessDenied";
    if (denied && facts.from_cos() && facts.lasts() && facts.passed(origin) && facts.alike(origin_unsigned))
        return claim(Cause::cdn_private_bucket_origin_auth_off,
                     said +
                         "; the origin refuses whoever does not sign in just the same way, and gives it to "
                         "whoever does",
                     {"cdn_cos_acceleration_disabled: the CDN did ask the origin",
                      "cdn_url_auth_failed: the CDN let the request pass"});
    return one_of(CauseClass::cdn_forbidden,
                  {{Cause::cdn_private_bucket_origin_auth_off, "COS refuses what the CDN asks for"},
                   {Cause::cos_permission_denied, "the origin may deny it to everybody"}},
                  said, {"cdn_cos_acceleration_disabled: the CDN did ask the origin"});
}

Diagnosis of_denial(const RunResult& run, const Facts& facts, const std::string& said) {
    if (!run.got("cos_code").empty()) return of_denial_by_cos(run, facts, said);
    // The same request but for its signature is let pass.
    for (const auto control : {backup_key, other_order, server_time, not_signed})
        if (facts.signs() && facts.turned_by(control))
            return claim(Cause::cdn_url_auth_failed, said + "; " + facts.shows(control),
                         {"cdn_cos_acceleration_disabled: the domain serves the object"});
    // The same request but for that one header is let pass.
    for (const auto control : {other_referer, other_user_agent})
        if (facts.signature_is_not_it() && facts.turned_by(control))
            return claim(Cause::cdn_hotlink_or_ip_blocked, said + "; " + facts.shows(control),
                         {"cdn_cos_acceleration_disabled: the domain serves the object"});
    std::vector<std::string> ruled_out;
    const bool no_rule = facts.alike(other_referer) && facts.alike(other_user_agent);
    if (no_rule)
        ruled_out.push_back(
            "cdn_hotlink_or_ip_blocked: refused alike with another Referer and with another User-Agent");
    if (facts.passed(origin))
        ruled_out.push_back(
            "cdn_private_bucket_origin_auth_off: the refusal is not COS's, which gives its XML");
    // Catalogue: "origin 200 and CDN 403 without XML". A domain that wants a signature refuses in the same
    // way whoever has none, or a wrong one, so it must be known to want none.
    const bool origin_is_cos =
        !run.got("uploaded_by").empty() || protocol::is_cos_cdn_name(run.got("domain"));
    if (facts.lasts() && facts.passed(origin) && no_rule && facts.wants_no_signature() && origin_is_cos)
        return claim(
            Cause::cdn_cos_acceleration_disabled,
            said +
                " in words of its own, whatever the client says of itself, while the origin gives the "
                "object; a domain that is stopped or in arrears looks the same",
            std::move(ruled_out));
    Candidates candidates;
    if (facts.signs())
        candidates.push_back({Cause::cdn_url_auth_failed,
                              facts.alike(wrong_sign)
                                  ? "it is refused in the same way as a deliberately wrong signature"
                                  : "the key, the type or a clock may differ from the domain's"});
    candidates.push_back({Cause::cdn_cos_acceleration_disabled,
                          facts.passed(origin) ? "the origin gives the object, and the refusal is not COS's"
                                               : "a domain whose acceleration is off refuses everything"});
    if (!facts.signs() && !facts.wants_no_signature())
        candidates.push_back(
            {Cause::cdn_url_auth_failed, "the domain may want signed URLs, and none is configured"});
    if (!no_rule)
        candidates.push_back(
            {Cause::cdn_hotlink_or_ip_blocked, "rules on Referer, User-Agent or network may say no"});
    candidates.push_back({Cause::cdn_domain_offline_or_blocked, "a stopped domain may answer so"});
    add_name(run, candidates);
    return one_of(CauseClass::cdn_forbidden, std::move(candidates), said, std::move(ruled_out));
}

Diagnosis of_absence(const RunResult& run, const Facts& facts, const std::string& said) {
    if (facts.signs() && facts.turned_by(not_signed))
        return claim(Cause::cdn_url_auth_failed,
                     said + "; " + facts.shows(not_signed) + ": the domain takes the signature for a path");
    // A cache says no, the origin has it, and so has the CDN under a URL that no cache knows.
    if (facts.hit() && facts.signature_is_not_it() && facts.passed(origin) && facts.turned_by(fresh_query))
        return claim(Cause::cdn_negative_cache,
                     said + " out of a cache; " + facts.shows(origin) + "; " + facts.shows(fresh_query));
    Candidates candidates;
    if (facts.refused(origin))
        candidates.push_back({Cause::cos_object_missing, facts.shows(origin)});
    else if (facts.hit())
        candidates.push_back({Cause::cdn_negative_cache, "the 404 came out of a cache"});
    candidates.push_back(
        {Cause::cdn_origin_unreachable, "the CDN may ask another origin, or with another Host"});
    candidates.push_back({Cause::cdn_domain_offline_or_blocked, "a stopped domain may answer so"});
    if (!facts.refused(origin) && !facts.hit())
        candidates.push_back({Cause::cdn_negative_cache, "an edge keeps a 404 for a while"});
    add_name(run, candidates);
    return one_of(CauseClass::cdn_failing, std::move(candidates), said);
}

/// 531 to 533, 537 to 540 and 562 to 564 each name what failed on the way to the origin (vendor's document
/// 228/59531).
constexpr std::pair<unsigned, std::string_view> origin_statuses[] = {
    {531, "the CDN cannot resolve the origin's name"},
    {532, "the origin refuses the CDN's connection"},
    {533, "the CDN's connection to the origin times out"},
    {537, "the origin does not answer the CDN in time"},
    {538, "TLS between CDN and origin fails"},
    {539, "the origin's certificate is not valid"},
    {540, "the origin's certificate is for another name"},
    {562, "the CDN cannot fetch from the origin over HTTPS"},
    {563, "the CDN cannot fetch from the origin over HTTPS"},
    {564, "the CDN cannot fetch from the origin over HTTPS"}};

std::string whose(const Facts& facts) {
    return facts.passed(origin)
               ? "; the origin answers us, so it is the CDN's settings of it or the way between"
               : "; " + facts.shows(origin);
}

Diagnosis of_origin(const RunResult& run, const Facts& facts, const std::string& said) {
    const auto named =
        std::ranges::find(origin_statuses, facts.status, &std::pair<unsigned, std::string_view>::first);
    // Numbers that the vendor made for this, and that the origin does not give by itself.
    if (named != std::end(origin_statuses) && facts.only_at_the_cdn())
        return claim(Cause::cdn_origin_unreachable, said + ": " + std::string(named->second) + whose(facts));
    // 502 and 504 say that whoever stands behind did not answer: the CDN's own, as long as the origin does
    // not give them.
    if ((facts.status == 502 || facts.status == 504) && facts.lasts() && facts.only_at_the_cdn())
        return claim(Cause::cdn_origin_unreachable, said + whose(facts));
    Candidates candidates{
        {Cause::cdn_origin_unreachable, "the status says that the origin did not answer the CDN"}};
    add_name(run, candidates);
    return one_of(CauseClass::cdn_failing, std::move(candidates), said);
}

Diagnosis of_overload(const RunResult& run, const Facts& facts, const std::string& said) {
    // COS's own words come through the CDN, and asked directly it does not say them.
    if (run.got("cos_code") == "SlowDown" && facts.lasts() && facts.passed(origin))
        return claim(Cause::cdn_cos_freq_control, said + "; " + facts.shows(origin),
                     {"cos_throttled: the origin answers us"});
    Candidates candidates{{Cause::cdn_cos_freq_control, "COS limits how often the CDN may ask"}};
    if (facts.refused(origin)) candidates.push_back({Cause::cos_throttled, facts.shows(origin)});
    candidates.push_back({Cause::cdn_rate_or_attack_ban, "the CDN may limit what it serves"});
    candidates.push_back({Cause::cdn_origin_unreachable, "the origin may be out of service"});
    return one_of(CauseClass::cdn_failing, std::move(candidates), said);
}

Diagnosis of_ban(const RunResult& run, const Facts& facts, const std::string& said) {
    if (facts.status != 514) {
        if (facts.only_at_the_cdn())
            return claim(Cause::cdn_rate_or_attack_ban,
                         said +
                             ", which it does when a domain or its own platform "
                             "is overrun");
        return one_of(CauseClass::cdn_failing,
                      {{Cause::cdn_rate_or_attack_ban, "the status may be the CDN's"}}, said);
    }
    if (facts.turned_by(over_http))
        return claim(Cause::cdn_cert_expired,
                     said + "; " + facts.shows(over_http) + ": HTTPS is not configured");
    Candidates candidates{{Cause::cdn_rate_or_attack_ban, "a limit on requests of one address"},
                          {Cause::cdn_hotlink_or_ip_blocked, "a list of addresses gives the same status"}};
    if (!facts.played(over_http) && run.got("certificate") != "")
        candidates.push_back({Cause::cdn_cert_expired, "so does HTTPS that is not configured"});
    return one_of(CauseClass::cdn_failing, std::move(candidates), said);
}

Diagnosis of_status(const RunResult& run, const Facts& facts) {
    const std::string said = said_by(run, facts);
    switch (facts.status) {
        case 401:
        case 403:
            return of_denial(run, facts, said);
        case 404:
            return of_absence(run, facts, said);
        case 423:
            // The vendor's number for a loop of the origin (228/59531); WebDAV gives it another meaning.
            if (facts.only_at_the_cdn())
                return claim(Cause::cdn_origin_loop, said + ": the request came round to the CDN again");
            return one_of(CauseClass::cdn_failing,
                          {{Cause::cdn_origin_loop, "the status is the CDN's for a loop"}}, said);
        case 503:
            return of_overload(run, facts, said);
        case 509:
        case 514:
        case 524:
        case 614:
            return of_ban(run, facts, said);
        default:
            break;
    }
    const bool of_the_origin = facts.status == 502 || facts.status == 504 || facts.status == 567 ||
                               (facts.status >= 531 && facts.status <= 540) ||
                               (facts.status >= 562 && facts.status <= 564);
    if (of_the_origin) return of_origin(run, facts, said);
    if (facts.status / 100 == 3) {
        const std::string where = said + ", to " + std::string(run.got("redirects_to"));
        Candidates candidates{{Cause::cdn_domain_offline_or_blocked, "a stopped domain may lead to a notice"},
                              {Cause::cdn_origin_loop, "the origin may redirect to the domain"}};
        add_name(run, candidates);
        return one_of(CauseClass::cdn_failing, std::move(candidates), where);
    }
    return {.because = said};
}

Diagnosis of_content(const RunResult& run, const Facts& facts) {
    std::string because = run.code.message() + at(run);
    if (facts.some_address_is_good())
        because += "; " + std::string(run.got("good_addresses")) + " addresses are right";
    if (run.code == CdnError::not_cached) {
        // Its first fetch is a miss by nature, and the next few may come to other machines; not all of these.
        if (facts.lasts()) {
            const bool of_all = facts.refused(fresh_query);
            return claim(Cause::cdn_cache_miss_storm, because + "; " + facts.shows(again) +
                                                          (of_all ? "; " + facts.shows(fresh_query) : ""));
        }
        return {.candidates = {{Cause::cdn_cache_miss_storm,
                                "it may be that each request came to another machine"}},
                .because = because};
    }
    if (run.code == CdnError::other_version) {
        // Under a URL that no cache knows, the CDN gives what the origin has.
        if (facts.turned_by(fresh_query) && facts.passed(origin))
            return claim(Cause::cdn_stale_object, because + "; " + facts.shows(fresh_query),
                         {"cdn_hash_mismatch: it is whole, and says itself that it is another version"});
        return one_of(CauseClass::cdn_wrong_object,
                      {{Cause::cdn_stale_object, "the ETag is another than the origin's"},
                       {Cause::cdn_origin_unreachable, "the CDN may ask another origin"}},
                      because);
    }
    const bool same = run.got("version").starts_with("the same");
    const bool differs = run.code == CdnError::bytes_differ || run.code == CdnError::length_differs;
    // The copy claims to be the very version whose bytes it does not have; the origin gives them rightly.
    if (differs && same && facts.lasts() && facts.passed(origin))
        return claim(
            Cause::cdn_hash_mismatch,
            because + ", though under " + std::string(run.got("version")) + "; " + facts.shows(origin),
            {"cdn_stale_object: the ETag is the origin's"});
    Candidates candidates;
    if (run.code == CdnError::encoded) {
        candidates.push_back({Cause::cdn_hash_mismatch, "the CDN compresses, though it was asked not to"});
    } else {
        candidates.push_back({Cause::cdn_hash_mismatch, same ? "the ETag is the origin's, the bytes are not"
                                                             : "the bytes are not the origin's"});
        if (!same) candidates.push_back({Cause::cdn_stale_object, "it may be an older version"});
    }
    return one_of(CauseClass::cdn_wrong_object, std::move(candidates), because);
}

}  // namespace

Diagnosis diagnose(const RunResult& run) {
    const Facts facts(run);
    const std::string_view phase = run.failed_phase();
    if (phase == dns.name) return of_name(run, facts);
    if (phase == tcp.name) return of_connection(run, facts);
    if (phase == tls.name) return of_certificate(run, facts);
    if (facts.status != 0 && facts.status != 200) return of_status(run, facts);
    if (run.code.category() == make_error_code(CdnError::not_cached).category())
        return of_content(run, facts);
    return of_silence(run, facts);
}

}  // namespace livecanary::cdn_fetch
