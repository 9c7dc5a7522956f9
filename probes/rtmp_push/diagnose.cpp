#include "probes/rtmp_push/diagnose.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <span>

#include "probes/net/tls.hpp"
#include "probes/protocol/rtmp/error.hpp"
#include "probes/rtmp_push/controls.hpp"
#include "probes/rtmp_push/report.hpp"

namespace livecanary::rtmp_push {
namespace {

using rtmp_error = protocol::rtmp::Error;

/// A failed push with its controls, asked in the words of the rules below.
class Facts : public ControlFacts {
public:
    using ControlFacts::ControlFacts;

    /// No other address of the name is known to be served, or could be: the fault is not this node's alone.
    bool every_address() const {
        const auto count = run().got("addresses");
        // One other address is tried, so of more than two some are never seen.
        return count.empty() || count == "1" || (count == "2" && refused(other_address));
    }
    bool url_is(std::string_view what) const { return fingerprint(static_check) == what; }
};

Diagnosis of_dns(const RunResult& run, const Facts& facts) {
    const std::string what = "the name of the push domain does not resolve: " + run.code.message();
    // Our name servers answer for another domain, so the fault lies with this one (catalogue: "resolve
    // another Tencent domain as control").
    // A name server that cannot say, or is silent, may be our own with a broken way to others.
    if (run.reason() == Reason::nxdomain && facts.passed(other_domain))
        return claim(Cause::push_domain_dns_failure, what + "; " + facts.shows(other_domain));
    return one_of(CauseClass::push_unreachable,
                  {{Cause::push_domain_dns_failure,
                    facts.passed(other_domain)
                        ? "another name resolves here; another resolver should be asked"
                        : "no other name was seen to resolve, so our own resolver may be at fault"}},
                  what + (facts.refused(other_domain) ? "; " + facts.shows(other_domain) : ""));
}

constexpr const char* no_cname = "the name has no CNAME, so it may not point at the cloud";
constexpr const char* one_of_many = "the name has other addresses, which were not seen to fail";

Diagnosis of_tcp(const RunResult& run, const Facts& facts) {
    const std::string address(run.got("address"));
    const bool by_name = !run.got("addresses").empty();
    const bool has_cname = !run.got("cname").empty();
    if (facts.passed(other_address))
        return claim(Cause::push_ingest_node_fault,
                     address + " fails (" + run.code.message() + "), while " + facts.shows(other_address));
    if (run.reason() == Reason::refused) {
        // Without a CNAME the name may simply not point at the cloud; where there is none to miss, the
        // address itself says that nothing listens.
        if ((!by_name || has_cname) && facts.every_address())
            return claim(Cause::push_tcp_refused, address + " answers, and refuses the connection");
        std::vector<Candidate> candidates{{Cause::push_tcp_refused, "the address refuses the connection"}};
        if (by_name && !has_cname) candidates.push_back({Cause::push_cname_missing, no_cname});
        if (!facts.every_address()) candidates.push_back({Cause::push_ingest_node_fault, one_of_many});
        return one_of(CauseClass::push_unreachable, std::move(candidates),
                      address + " refuses the connection");
    }
    if (run.reason() == Reason::timeout && facts.passed(other_port) && facts.every_address())
        return claim(Cause::push_tcp_timeout, "no answer from " + address + ", while " +
                                                  facts.shows(other_port) +
                                                  ": the port is filtered on the way");
    std::vector<Candidate> candidates{
        {Cause::push_tcp_timeout, "no answer: dropped here, on the way or there look alike from one place"}};
    if (by_name && !has_cname) candidates.push_back({Cause::push_cname_missing, no_cname});
    if (!facts.every_address()) candidates.push_back({Cause::push_ingest_node_fault, one_of_many});
    return one_of(CauseClass::push_unreachable, std::move(candidates), address + ": " + run.code.message());
}

Diagnosis of_tls(const RunResult& run, const Facts& facts) {
    if (run.reason() == Reason::certificate) {
        const std::string verify(run.got("verify"));
        const std::string because =
            "the certificate was not accepted: " + verify + " (" + std::string(run.got("certificate")) + ")";
        // 10: X509_V_ERR_CERT_HAS_EXPIRED. The end of validity stands in the certificate itself; a middlebox
        // that answers in the server's place makes new ones.
        if (verify.starts_with("10 ")) return claim(Cause::push_rtmps_cert_invalid, because);
        return one_of(CauseClass::push_unreachable,
                      {{Cause::push_rtmps_cert_invalid,
                        "the certificate does not carry this name, or its chain is not trusted"},
                       {Cause::push_cname_missing,
                        "a foreign certificate also comes from a name that points elsewhere"}},
                      because);
    }
    if (facts.passed(other_address))
        return claim(Cause::push_ingest_node_fault, "TLS fails here, while " + facts.shows(other_address));
    if (facts.passed(other_scheme) && facts.every_address())
        return claim(Cause::push_handshake_failed, "TLS fails, and " + facts.shows(other_scheme));
    return one_of(
        CauseClass::push_unreachable,
        {{Cause::push_handshake_failed, "the port does not speak TLS, or something between does not let it"},
         {Cause::push_ingest_node_fault, "the node accepts connections and does not serve them"}},
        "TLS: " + run.code.message());
}

Diagnosis of_handshake(const RunResult& run, const Facts& facts) {
    if (facts.passed(other_address))
        return claim(Cause::push_ingest_node_fault,
                     "the handshake fails here, while " + facts.shows(other_address));
    // The first byte of the answer names what stands on the port.
    for (const auto spoken : {rtmp_error::server_speaks_http, rtmp_error::server_speaks_tls,
                              rtmp_error::server_speaks_ssh, rtmp_error::server_speaks_rtmpe})
        if (run.code == spoken && facts.every_address())
            return claim(Cause::push_handshake_failed, run.code.message());
    if (facts.passed(other_scheme) && facts.every_address())
        return claim(Cause::push_handshake_failed,
                     "plain RTMP is not answered, and " + facts.shows(other_scheme));
    std::vector<Candidate> candidates{
        {Cause::push_handshake_failed, "something else listens on the port, or a middlebox swallows RTMP"},
        {Cause::push_ingest_node_fault, "the node accepts connections and does not serve them"}};
    // Something else would have said something, or hung up.
    if (run.reason() == Reason::timeout) std::swap(candidates.front(), candidates.back());
    return one_of(CauseClass::push_unreachable, std::move(candidates),
                  "the RTMP handshake did not end: " + run.code.message());
}

/// What is left when nothing singles a cause out, without those that a control excludes.
Diagnosis refused_class(const RunResult& run, const Facts& facts, std::string because) {
    const bool before_key = run.failed_phase() == connect.name;
    const bool silent_hook = run.fingerprint.ends_with("after 10 s") ||
                             run.fingerprint.ends_with("after 30 s") || run.reason() == Reason::timeout;
    std::vector<std::string> ruled_out;
    std::string no_key;
    if (before_key)
        no_key = "the key travels with the stream name, which the server was not told yet";
    else if (facts.passed(wrong_secret))
        no_key = "a wrong secret is accepted";
    else if (facts.differs(wrong_secret))
        no_key = "a wrong secret is refused in another way";
    std::vector<Candidate> candidates;
    if (silent_hook)
        candidates.push_back(
            {Cause::push_remote_auth_denied,
             "the server did not decide for seconds, as if the service it asks were silent"});
    const bool domain_like = facts.alike(unknown_domain) && facts.differs(wrong_secret);
    if (domain_like || before_key) {
        candidates.push_back({Cause::push_domain_disabled_or_icp, domain_like
                                                                      ? "refused just as a made-up domain is"
                                                                      : "refused before the key was sent"});
        candidates.push_back({Cause::push_wrong_bizid_or_appid, domain_like
                                                                    ? "refused just as a made-up domain is"
                                                                    : "refused before the key was sent"});
        candidates.push_back({Cause::push_app_name_disabled, "the application is checked at connect"});
    }
    if (no_key.empty()) {
        const char* why =
            facts.alike(wrong_secret) ? "refused just as a wrong secret is" : "the commonest of these";
        candidates.push_back({Cause::push_wrong_hotlink_key, why});
        if (facts.url_is(url_is::expired) || facts.url_is(url_is::unchecked) ||
            facts.url_is(url_is::several) || facts.alike(expired))
            candidates.push_back({Cause::push_url_expired, facts.alike(expired)
                                                               ? "refused just as an expired URL is"
                                                               : facts.shows(static_check)});
        if (facts.url_is(url_is::unsigned_url))
            candidates.insert(candidates.begin(),
                              {Cause::push_auth_params_missing, facts.shows(static_check)});
    } else {
        ruled_out.push_back("push_wrong_hotlink_key: " + no_key);
    }
    if (facts.url_is(url_is::bizid_differs)) {
        std::erase_if(candidates,
                      [](const Candidate& c) { return c.cause == Cause::push_wrong_bizid_or_appid; });
        candidates.insert(candidates.begin(), {Cause::push_wrong_bizid_or_appid, facts.shows(static_check)});
    }
    if (!domain_like && !before_key) {
        if (facts.differs(unknown_domain) || facts.passed(unknown_domain)) {
            ruled_out.push_back(
                "push_domain_disabled_or_icp: a made-up domain is " +
                std::string(facts.passed(unknown_domain) ? "accepted" : "refused in another way"));
        } else {
            if (!facts.url_is(url_is::bizid_differs))
                candidates.push_back(
                    {Cause::push_wrong_bizid_or_appid, "not told from a wrong key by this server"});
            candidates.push_back(
                {Cause::push_domain_disabled_or_icp, "not told from a wrong key by this server"});
        }
    }
    if (facts.refused(free_name))
        ruled_out.push_back("push_stream_forbidden: a name nobody uses is refused too");
    else if (!before_key)
        candidates.push_back({Cause::push_stream_forbidden, "no other name could be tried"});
    for (const auto cause : {Cause::live_account_in_arrears, Cause::push_client_ip_not_allowed,
                             Cause::push_remote_auth_denied, Cause::push_quota_exceeded})
        if (std::ranges::find(candidates, cause, &Candidate::cause) == candidates.end())
            candidates.push_back({cause, "only the console's stream interruption record tells"});
    return one_of(CauseClass::push_refused, std::move(candidates), std::move(because), std::move(ruled_out));
}

/// The issued URL is refused and our own signature for the same stream is not: what is wrong is in the URL.
Diagnosis of_issued_url(const Facts& facts, const std::string& said) {
    const std::string check = facts.shows(static_check);
    if (facts.url_is(url_is::expired))
        return claim(Cause::push_url_expired, said + "; " + check + "; a fresh URL is accepted");
    if (facts.url_is(url_is::unsigned_url))
        return claim(Cause::push_auth_params_missing, said + "; " + check + "; with both it is accepted");
    if (facts.url_is(url_is::unknown_key))
        return claim(Cause::push_wrong_hotlink_key, said + "; " + check + "; our own signature is accepted");
    return one_of(CauseClass::push_refused,
                  {{Cause::push_wrong_hotlink_key, "only the signature is different"},
                   {Cause::push_url_expired, "txTime belongs to the signature"},
                   {Cause::push_backup_key_mismatch, "if it was signed with the backup key"}},
                  said + "; " + check + "; our own signature is accepted",
                  {"push_domain_disabled_or_icp: the same stream is accepted there"});
}

/// Codes are spelled as their servers like.
bool says_bad_name(const RunResult& run) {
    std::string fingerprint = run.fingerprint;
    std::ranges::transform(fingerprint, fingerprint.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return fingerprint.find("badname") != std::string::npos;
}

Diagnosis of_refusal(const RunResult& run, const Facts& facts) {
    const std::string status(run.got("status"));
    const std::string said = "the server let us come as far as '" + std::string(run.failed_phase()) +
                             "' and " +
                             (run.reason() == Reason::timeout ? "fell silent"
                              : status.empty()                ? "hung up without a word"
                                                              : "said " + status);

    // Two account numbers in one URL whose key is right, refused as a domain is that the server does not
    // know, and not as it refuses everything (catalogue: "txSecret of that URL recomputes with a known key =>
    // the key is right and bizid is wrong. Then F(backend URL)=F(P5)").
    if (facts.url_is(url_is::bizid_differs) && facts.alike(unknown_domain) && facts.differs(wrong_secret))
        return claim(Cause::push_wrong_bizid_or_appid, said + "; " + facts.shows(static_check));

    if (facts.passed(trusted_url)) return of_issued_url(facts, said);
    // What follows tells the name, the key and the application apart by changing one of them. Where the
    // issued URL failed and our own could not be tried, its signature would change as well.
    const bool own_failed = !facts.open(trusted_url);
    const bool knew_name = run.failed_phase() != connect.name;

    // The main key is refused and the backup key is not: the domain has another main key than we do.
    // A server that speaks of the name is believed: another publisher may have left for a moment.
    if (facts.passed(backup_key) && own_failed && knew_name && !says_bad_name(run))
        return claim(
            Cause::push_wrong_hotlink_key,
            said +
                "; the same stream signed with the backup key is accepted, so push_key is not (or no "
                "longer) the domain's main key; a backend that signs with it fails alike",
            {"push_domain_disabled_or_icp: the domain accepts the backup key"});

    // On another application the same key and domain are accepted. The name was changed too, so it must not
    // be the name: either it was not known yet, or a new one does not help.
    if (facts.passed(live_app) && own_failed && (!knew_name || facts.refused(free_name)))
        return claim(Cause::push_app_name_disabled,
                     said + "; application 'live' is accepted on the same server",
                     {"push_wrong_hotlink_key: the same key is accepted there"});

    if (facts.passed(free_name) && own_failed && knew_name) {
        const std::string because = said + "; the same key with a name nobody uses is accepted";
        const std::vector<std::string> ruled_out{
            "push_wrong_hotlink_key: the key is accepted with another name"};
        // BadName is the protocol's own word for a name in use (RTMP 1.0 §7.2.2.6 and Adobe's NetStream
        // codes). Servers that also say it for a refused key are excluded: the key has just been accepted.
        // A refused key of an issued URL is not ours: our own URL must have been refused in the same words.
        const bool own_name = !facts.played(trusted_url) || facts.alike(trusted_url);
        if (says_bad_name(run) && own_name)
            return claim(Cause::push_stream_name_conflict, because, ruled_out);
        return one_of(CauseClass::push_refused,
                      {{Cause::push_stream_forbidden, "only this name is refused"},
                       {Cause::push_stream_name_conflict, "somebody else may be publishing under this name"}},
                      because, ruled_out);
    }

    // The server refuses a wrong secret, an expired URL and an unknown domain each in its own way, and us as
    // it refuses a wrong secret (catalogue section 11, rule 3).
    if (facts.alike(wrong_secret) && facts.differs(expired) && facts.differs(unknown_domain))
        return claim(
            Cause::push_wrong_hotlink_key,
            said +
                ", just as it does to a wrong secret, and otherwise to an expired URL or an unknown domain");

    return refused_class(run, facts, said);
}

Diagnosis of_drop(const RunResult& run, const Facts& facts) {
    const std::string because =
        run.reason() == Reason::stalled
            ? "the push was accepted, then the server took no more"
            : "the push was accepted, then ended by the server: " + run.code.message();
    if (facts.passed(other_address))
        return one_of(
            CauseClass::push_dropped,
            {{Cause::push_ingest_node_fault, facts.shows(other_address)},
             {Cause::push_stream_name_conflict, "another publisher of this name may have taken over"}},
            because);
    std::vector<Candidate> candidates;
    if (run.reason() == Reason::stalled) {
        candidates = {{Cause::push_network_degraded, "sent bytes are not acknowledged"},
                      {Cause::push_ingest_node_fault, "a node that hangs looks the same from one place"}};
    } else {
        candidates = {{Cause::push_stream_name_conflict, "another publisher of this name takes over"},
                      {Cause::push_ingest_node_fault, "the node was stopped or crashed"},
                      {Cause::push_idle_or_bad_media, "the server did not like the media"},
                      {Cause::push_network_degraded, "a broken path may end like this"}};
    }
    return one_of(CauseClass::push_dropped, std::move(candidates), because);
}

/// The stream is pushed, and the play domain says no.
Diagnosis of_play_refusal(const RunResult& run, const Facts& facts) {
    const std::string said(run.got("not_played"));
    // The issued URL is refused and our own signature for the same stream is not: what is wrong is in the
    // URL.
    if (facts.passed(play_own_key))
        return one_of(
            CauseClass::play_refused,
            {{Cause::play_auth_key_mismatch, "only the issued signature is refused: wrong key, or expired"}},
            said + "; signed with our own key it plays", {"play_domain_mismatch: the stream is there"});
    // The other key of the domain plays, so ours is not its main key (catalogue: "compare signed, unsigned
    // and wrongly signed requests").
    if (facts.passed(play_backup_key))
        return claim(
            Cause::play_auth_key_mismatch,
            said + "; signed with the backup key it plays, so `key` is not the play domain's main key",
            {"play_domain_mismatch: the stream is there",
             "cdn_hotlink_or_ip_blocked: the same viewer is let in"});
    // The server looks at signatures, and takes ours for a wrong one: a viewer who is blocked for another
    // reason is refused alike without any signature.
    if (facts.alike(play_wrong_secret) && facts.differs(play_unsigned))
        return claim(Cause::play_auth_key_mismatch,
                     said + "; refused just as a wrong txSecret is, and otherwise than without one");
    if (facts.passed(play_wrong_secret))
        return {.because = said + "; a wrong txSecret plays, so it was not refused for its signature",
                .ruled_out = {"play_auth_key_mismatch: a wrong txSecret plays"}};
    std::vector<Candidate> candidates;
    if (facts.passed(play_unsigned))
        candidates.push_back(
            {Cause::play_auth_key_mismatch,
             "without a signature it plays: play authentication is off, or meant for others"});
    else
        candidates.push_back({Cause::play_auth_key_mismatch, facts.alike(play_wrong_secret)
                                                                 ? "refused just as a wrong txSecret is"
                                                                 : "the commonest of these"});
    if (!facts.passed(play_unsigned)) {
        candidates.push_back(
            {Cause::cdn_hotlink_or_ip_blocked, "this network or a missing Referer may be barred"});
        candidates.push_back({Cause::cdn_domain_offline_or_blocked, "the play domain may be stopped"});
    }
    return one_of(CauseClass::play_refused, std::move(candidates), said);
}

/// What a cloud may take to show a new stream everywhere (catalogue: "wait 10 s").
constexpr long long long_enough = 10'000;

/// The number before " ms"; 0 if there is none.
long long milliseconds_in(std::string_view text) {
    long long number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

/// The stream is pushed, and the play domain does not have it.
Diagnosis of_missing_stream(const RunResult& run, const Facts& facts) {
    const std::string said(run.got("not_played"));
    const auto host = host_in(said);
    bool here = false;  // something of this host played in the run
    for (const auto& e : run.evidence) here = here || (e.what == "played" && host_in(e.got) == host);
    const bool elsewhere = facts.passed(play_other_domain);
    const auto missing = [&](std::string_view control) {
        return !facts.played(control) || facts.refused(control);
    };
    const bool any_other = facts.refused(play_rtmp) || facts.refused(play_flv) || facts.refused(play_hls);
    const bool all_missing = any_other && missing(play_rtmp) && missing(play_flv) && missing(play_hls);
    // Catalogue: "RTMP, FLV and HLS of the same domain all fail; another play domain plays. Same as not yet
    // propagated: wait 10 s".
    const bool waited = milliseconds_in(run.got("playback_wait")) >= long_enough;
    if (!here && elsewhere && all_missing && waited)
        return claim(
            Cause::play_domain_mismatch,
            said + "; no other protocol of this host has it either, while " + facts.shows(play_other_domain));
    if (here || facts.passed(play_rtmp) || facts.passed(play_flv) || facts.passed(play_hls))
        return {.because = said + "; the same host plays it over another protocol",
                .ruled_out = {"play_domain_mismatch: the same host plays it over another protocol"}};
    return one_of(
        CauseClass::play_no_stream,
        {{Cause::play_domain_mismatch, elsewhere ? "another play domain has the stream"
                                                 : "no other play domain was there to compare with"}},
        said);
}

Diagnosis of_unreachable_player(const RunResult& run) {
    const std::string said(run.got("not_played"));
    const auto host = host_in(said);
    const auto protocol = said.substr(0, said.find(' '));
    std::string other;
    for (const auto& e : run.evidence)
        if (e.what == "played" && host_in(e.got) == host && address_in(e.got) != address_in(said) &&
            e.got.starts_with(protocol + ' '))
            other = e.got;
    // The end of validity stands in the certificate itself.
    if (run.code == net::TlsError::certificate_expired) return claim(Cause::cdn_cert_expired, said);
    const bool tcp_failed = run.reason() == Reason::refused || run.reason() == Reason::unreachable;
    // Another address of the same name plays from here, so neither our network nor the name is at fault.
    if (tcp_failed && !other.empty())
        return claim(Cause::cdn_endpoint_unreachable, said + ", while another address plays: " + other);
    std::vector<Candidate> candidates;
    switch (run.reason()) {
        case Reason::nxdomain:
        case Reason::servfail:
            candidates = {{Cause::cdn_dns_failure, "the name of the play domain does not resolve"}};
            break;
        case Reason::certificate:
            candidates = {{Cause::cdn_cert_expired, "the certificate of the play domain was not accepted"}};
            break;
        default:
            candidates = {{Cause::cdn_endpoint_unreachable, "this address does not serve"}};
    }
    return one_of(CauseClass::play_unreachable, std::move(candidates), said);
}

Diagnosis of_playback(const RunResult& run, const Facts& facts) {
    const auto stage = run.got("playback_stage");
    const bool over_rtmp = run.fingerprint.starts_with("playback rtmp ");
    switch (run.reason()) {
        case Reason::forbidden:
            return of_play_refusal(run, facts);
        case Reason::not_found:
        case Reason::no_media:
            // The stream is there: its playlist was.
            if (run.code == PlayError::segment_not_found)
                return {.because = std::string(run.got("not_played"))};
            return of_missing_stream(run, facts);
        case Reason::nxdomain:
        case Reason::servfail:
        case Reason::refused:
        case Reason::unreachable:
        case Reason::certificate:
        case Reason::timeout:
            return of_unreachable_player(run);
        case Reason::closed:
        case Reason::reset:
        case Reason::rejected:
            // Before it was told which stream, or with which signature.
            if (stage == stage_is::connect)
                return one_of(
                    CauseClass::play_no_stream,
                    {{Cause::play_domain_mismatch,
                      "the server ends it at connect: it does not know the application or the domain"}},
                    std::string(run.got("not_played")));
            // nginx-rtmp hangs up on whom it does not let play, without a word.
            return facts.played(play_wrong_secret) || (over_rtmp && stage == stage_is::asked)
                       ? of_play_refusal(run, facts)
                       : Diagnosis{.because = std::string(run.got("not_played"))};
        default:
            // The catalogue has no item for a picture that stalls, is old, or cannot be shown.
            return {.because = std::string(run.got("not_played"))};
    }
}

}  // namespace

Diagnosis diagnose(const RunResult& run) {
    const Facts facts(run);
    const std::string_view phase = run.failed_phase();
    if (phase == dns.name) return of_dns(run, facts);
    if (phase == tcp.name) return of_tcp(run, facts);
    if (phase == tls.name) return of_tls(run, facts);
    if (phase == handshake.name) return of_handshake(run, facts);
    if (phase == connect.name || phase == create_stream.name || phase == publish.name)
        return of_refusal(run, facts);
    if (phase == playing.name) return of_playback(run, facts);
    if (phase != media.name) return {};
    // Everything was taken until our own time was up: nothing that the catalogue has a word for.
    if (run.reason() == Reason::timeout)
        return {.because =
                    "the run's time was up while the server took the media: what came before took too long"};
    const bool at_once = run.fingerprint.starts_with("media at once") && run.reason() != Reason::stalled;
    return at_once ? of_refusal(run, facts) : of_drop(run, facts);
}

}  // namespace livecanary::rtmp_push
