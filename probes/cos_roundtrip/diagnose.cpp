#include "probes/cos_roundtrip/diagnose.hpp"

#include <charconv>
#include <cstdlib>
#include <string>

#include "probes/cos_roundtrip/controls.hpp"
#include "probes/cos_roundtrip/v4_answer.hpp"

namespace livecanary::cos_roundtrip {
namespace {

/// A failed round trip with its controls, asked in the words of the rules below.
class Facts : public ControlFacts {
public:
    using ControlFacts::ControlFacts;

    /// The control was refused with this code.
    bool refused_with(std::string_view control, std::string_view code) const {
        return refused(control) && fingerprint(control).ends_with(code);
    }
    /// The backend signs, not a key pair.
    bool by_backend() const { return !run().got("key_time_width").empty(); }
    /// A number of seconds, as evidence has it: "30 s".
    std::optional<long long> seconds(std::string_view what) const {
        const auto text = run().got(what);
        long long number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc{}) return std::nullopt;
        return number;
    }
    bool is_v4() const { return run().got("api") == "v4"; }
    bool list(std::string_view says) const { return passed(own_buckets) && fingerprint(own_buckets) == says; }
};

/// What COS said, for people: status, code, message; of the network if it did not come to say anything.
std::string said_by(const RunResult& run) {
    if (run.got("status").empty()) return run.code.message();
    std::string said = "COS answered " + std::string(run.got("status"));
    if (const auto code = run.got("cos_code"); !code.empty()) said += " " + std::string(code);
    if (const auto message = run.got("message"); !message.empty()) said += ": " + std::string(message);
    return said;
}

/// Both codes name what they mean (vendor's document 436/7730); the control shows that this server uses them
/// so.
Diagnosis of_signature(const RunResult& run, const Facts& facts, const std::string& said) {
    if (refusal_of(run) == "InvalidAccessKeyId") {
        if (facts.refused_with(made_up_id, "InvalidAccessKeyId"))
            return claim(Cause::cos_wrong_secret_id, said + "; a made-up SecretId is refused in the same way",
                         {"cos_wrong_secret_key: COS does not come to compare signatures"});
        if (facts.passed(own_pair))
            return claim(Cause::cos_wrong_secret_id, said + "; " + facts.shows(own_pair),
                         {"cos_wrong_secret_key: COS does not come to compare signatures"});
        return one_of(CauseClass::cos_access_denied,
                      {{Cause::cos_wrong_secret_id, "the code says so; no control could confirm it"}}, said);
    }
    // The signer is proven by the vendor's vectors, so a signature that does not match was made with another
    // key.
    if (facts.refused_with(made_up_id, "InvalidAccessKeyId"))
        return claim(Cause::cos_wrong_secret_key,
                     said + "; a made-up SecretId is refused otherwise, so this one exists",
                     {"cos_wrong_secret_id: " + facts.shows(made_up_id)});
    // Two signatures of the same signer, of which the one by the backend's signKey does not match, and the
    // signKey is not what the SecretKey of this very SecretId gives.
    if (facts.passed(own_pair) && run.got("sign_key").starts_with("not "))
        return claim(Cause::cos_wrong_secret_key,
                     said + "; " + facts.shows(own_pair) +
                         "; the backend's signKey is not the one that this SecretId's SecretKey gives");
    return one_of(
        CauseClass::cos_access_denied,
        {{Cause::cos_wrong_secret_key, "the code says so; no control could confirm that the SecretId exists"},
         {Cause::cos_wrong_secret_id, "a SecretId of another pair looks the same"}},
        said);
}

Diagnosis of_expiry(const RunResult& run, const Facts& facts, const std::string& said) {
    const std::string skew(run.got("clock_skew"));
    if (facts.passed(server_time))
        return claim(Cause::cos_clock_skew,
                     said + "; the server's clock is " + skew + " from ours, and " + facts.shows(server_time),
                     {"cos_signkey_window_expired: our own signature holds for minutes"});
    return one_of(CauseClass::cos_request_expired,
                  {{Cause::cos_clock_skew,
                    "the server's clock is " + (skew.empty() ? "not known" : skew) + " from ours"},
                   {Cause::cos_signkey_window_expired, "a slow upload over a short window looks alike"}},
                  said);
}

/// Where a backend signs, its clock and the width of its keyTime are what can be wrong: keyTime begins at its
/// own now. COS's clock is the judge.
Diagnosis of_window(const Facts& facts, const RunResult& run, const std::string& said) {
    const auto width = facts.seconds("key_time_width"), behind = facts.seconds("backend_clock"),
               age = facts.seconds("key_age"), ours = facts.seconds("clock_skew");
    const std::string clocks = "COS's clock is " + std::string(run.got("backend_clock")) +
                               " from the backend's; keyTime is " + std::string(run.got("key_time_width")) +
                               " wide and was used " + std::string(run.got("key_age")) + " after it was made";
    // Dates have whole seconds, and the question took some time too.
    constexpr long long agreed = 2;
    if (width && behind && age) {
        const bool agree = std::abs(*behind) <= agreed;
        // By COS's own clock the time was over when it was made; and it is not ours that is wrong, since ours
        // agrees with COS's, or our own pair passes.
        const bool at_birth = *behind > std::max(*width, agreed) || *behind < -agreed;
        const bool not_ours = facts.passed(own_pair) || (ours && std::abs(*ours) <= agreed);
        if (at_birth && not_ours && !facts.passed(fresh_sign_key))
            return claim(Cause::push_backend_clock_skew, said + "; " + clocks,
                         {"cos_signkey_window_expired: it was over, or had not begun, when it was made"});
        // The clocks agree, so the time was over only because it is so short.
        if (agree && (*width <= 0 || (*age >= *width && facts.passed(fresh_sign_key))))
            return claim(Cause::cos_signkey_window_expired, said + "; " + clocks,
                         {"push_backend_clock_skew: the clocks agree"});
    }
    return one_of(
        CauseClass::cos_request_expired,
        {{Cause::cos_signkey_window_expired, clocks},
         {Cause::push_backend_clock_skew, "the backend's clock says from when until when it holds"}},
        said);
}

Diagnosis of_bucket(const Facts& facts, const std::string& said) {
    if (facts.passed(configured_bucket)) {
        const auto in = facts.fingerprint(configured_bucket);
        const std::string because = said + "; " + facts.shows(configured_bucket);
        // The backend names another one than is configured, and only that one is there.
        if (in == differs_in::name) return claim(Cause::cos_wrong_bucket, because);
        if (in == differs_in::appid) return claim(Cause::cos_wrong_appid, because);
        if (in == differs_in::region) return claim(Cause::cos_wrong_region, because);
    }
    if (facts.list(list_says::other_appid))
        return claim(Cause::cos_wrong_appid,
                     said + "; the account has a bucket of this name under another APPID",
                     {"cos_wrong_region: " + facts.shows(own_buckets)});
    if (facts.list(list_says::other_region) || facts.passed(other_region))
        return claim(
            Cause::cos_wrong_region,
            said + "; " + (facts.passed(other_region) ? facts.shows(other_region) : facts.shows(own_buckets)),
            {"cos_wrong_bucket: the bucket exists"});
    if (facts.list(list_says::nothing))
        return claim(Cause::cos_service_not_activated, said + "; the account has no bucket at all");
    if (facts.list(list_says::not_there))
        return claim(Cause::cos_wrong_bucket, said + "; the account has buckets, and none of this name",
                     {"cos_wrong_region: the account has no such bucket in any region",
                      "cos_wrong_appid: the account has no bucket of this name"});
    if (facts.passed(old_generation))
        return claim(Cause::cos_generation_mismatch, said + "; " + facts.shows(old_generation),
                     {"cos_wrong_bucket: the bucket exists"});
    std::vector<Candidate> candidates{{Cause::cos_wrong_bucket, "the commonest of these"}};
    std::vector<std::string> ruled_out;
    if (facts.refused(other_region))
        ruled_out.push_back("cos_wrong_region: " + facts.shows(other_region));
    else
        candidates.push_back({Cause::cos_wrong_region, "no other region could be asked"});
    if (facts.is_v4()) {
        // The number for it is another one: -70.
        ruled_out.push_back("cos_wrong_appid: COS has another refusal for it");
        candidates.push_back(
            {Cause::cos_generation_mismatch,
             "a bucket of another generation of COS is not found, though its values are right"});
        return one_of(CauseClass::cos_bucket_not_found, std::move(candidates), said, std::move(ruled_out));
    }
    candidates.push_back(
        {Cause::cos_wrong_appid, "the key may not list the account's buckets, which would tell"});
    candidates.push_back({Cause::cos_service_not_activated, "likewise"});
    return one_of(CauseClass::cos_bucket_not_found, std::move(candidates), said, std::move(ruled_out));
}

Diagnosis of_denial(const Facts& facts, const std::string& said) {
    // The key pair is good, the bucket is the account's own: what is missing is the right (catalogue:
    // "signature control gives SignatureDoesNotMatch, so the key is valid").
    const bool key_is_valid = facts.refused_with(wrong_signature, "SignatureDoesNotMatch");
    if (key_is_valid && facts.list(list_says::this_one))
        return claim(Cause::cos_permission_denied,
                     said + "; a wrong signature is refused otherwise, and the bucket is the account's own",
                     {"cos_wrong_appid: the account has this very bucket"});
    std::vector<Candidate> candidates{
        {Cause::cos_permission_denied,
         key_is_valid ? "the key pair is right, since a wrong signature is refused otherwise"
                      : "the key may lack rights"},
        {Cause::cos_wrong_appid, "a bucket of this name in another account denies in the same way"},
        {Cause::cos_arrears, "an account in arrears may deny everything"}};
    return one_of(CauseClass::cos_access_denied, std::move(candidates), said);
}

/// What the backend hands out cannot be a bucket, an APPID, a region, a SecretId: no control is needed.
std::optional<Cause> of_backend(const RunResult& run) {
    if (run.code == CosError::backend_bucket) return Cause::cos_invalid_bucket_name;
    if (run.code == CosError::backend_appid) return Cause::cos_wrong_appid;
    if (run.code == CosError::backend_region) return Cause::cos_wrong_region;
    if (run.code == CosError::backend_secret_id) return Cause::cos_wrong_secret_id;
    return std::nullopt;
}

Diagnosis of_network(const RunResult& run) {
    const std::string because = "the endpoint could not be reached: " + run.code.message();
    std::vector<Candidate> candidates{{Cause::cos_endpoint_unreachable, run.code.message()}};
    if (run.reason() == Reason::nxdomain)
        candidates.insert(candidates.begin(), {Cause::cos_wrong_region,
                                               "the host of a region that does not exist has no address"});
    // A host that resolves and does not answer is just what the catalogue's item says.
    if (run.failed_phase() == tcp.name) return claim(Cause::cos_endpoint_unreachable, because);
    Diagnosis found;
    found.candidates = std::move(candidates);
    found.because = because;
    return found;
}

}  // namespace

Diagnosis diagnose(const RunResult& run) {
    const Facts facts(run);
    const std::string_view phase = run.failed_phase();
    if (phase == dns.name || phase == tcp.name || phase == tls.name) return of_network(run);
    const auto code = refusal_of(run);
    const auto message = run.got("message");
    const std::string said = said_by(run);
    if (const auto cause = of_backend(run))
        return claim(*cause, run.code.message() + " (" + std::string(run.got("backend_bucket")) + ")");
    if (run.code == CosError::bytes_differ || run.code == CosError::length_differs ||
        run.code == CosError::crc_differs || run.code == CosError::sha_differs ||
        run.code == CosError::etag_differs)
        return claim(Cause::cos_body_corrupted, run.code.message() + ": " + std::string(run.got("read")) +
                                                    std::string(run.got("crc64")) +
                                                    std::string(run.got("sha1")));
    // Their texts name their own cause (documents 436/8432 and 436/6059).
    if (code == v4_says::appid) return claim(Cause::cos_wrong_appid, said);
    if (code == v4_says::sign_bucket) return claim(Cause::cos_wrong_bucket, said);
    // Codes that name their own cause (vendor's document 436/7730).
    if (code == "BadDigest") return claim(Cause::cos_body_corrupted, said);
    if (code == "ExpiredToken") return claim(Cause::cos_temp_token_expired, said);
    if (code == "InvalidBucketName" || code == "BucketNameTooLong")
        return claim(Cause::cos_invalid_bucket_name, said);
    if (code == "SlowDown") return claim(Cause::cos_throttled, said);
    if (code == "UserNetworkTooSlow" || code == "RequestTimeout")
        return claim(Cause::cos_network_too_slow, said);
    if (code == "BucketAccelerateNotEnabled" && facts.passed(regional_host))
        return claim(Cause::cos_accelerate_not_enabled, said + "; " + facts.shows(regional_host));
    if (code == "UserCnameInvalid" && facts.passed(regional_host))
        return claim(Cause::cos_custom_domain_unbound, said + "; " + facts.shows(regional_host));
    if (code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch")
        return of_signature(run, facts, said);
    if (code == "RequestTimeTooSkewed" || message.find("Request has expired") != std::string_view::npos)
        return facts.by_backend() ? of_window(facts, run, said) : of_expiry(run, facts, said);
    // The PUT of this key was accepted in this bucket just before, so it is the object that is not there.
    if ((phase == head.name || phase == get.name) && run.code == CosError::not_found &&
        code != "NoSuchBucket")
        return claim(Cause::cos_object_missing, said + "; its upload was accepted just before",
                     {"cos_wrong_bucket: the upload into it was accepted"});
    if (code == "NoSuchBucket") return of_bucket(facts, said);
    const bool unpaid = run.got("status").ends_with("402") || run.got("status").ends_with("451");
    if (unpaid)
        return one_of(CauseClass::cos_access_denied,
                      {{Cause::cos_arrears, "the status is one of those that an account in arrears may get"}},
                      said);
    if (code == "AccessDenied") return of_denial(facts, said);
    return {.because = said};
}

}  // namespace livecanary::cos_roundtrip
