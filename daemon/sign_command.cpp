#include "daemon/sign_command.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "daemon/result_json.hpp"
#include "probes/protocol/callback_sign.hpp"
#include "probes/protocol/cdn_auth.hpp"
#include "probes/protocol/cos_sign.hpp"
#include "probes/protocol/cos_v4_sign.hpp"
#include "probes/protocol/push_url.hpp"
#include "probes/protocol/user_sig.hpp"

namespace livecanary::daemon {
namespace {

using protocol::SecretMatch;

/// What a check finds, a line each, and whether anything was wrong.
class Findings {
public:
    explicit Findings(std::ostream& out) : out_(out) {}
    void ok(const std::string& text) { out_ << "ok: " << text << '\n'; }
    void note(const std::string& text) { out_ << "note: " << text << '\n'; }
    void wrong(const std::string& text) {
        out_ << "wrong: " << text << '\n';
        code_ = 1;
    }
    void wrong_if(bool is, const std::string& text) {
        if (is) wrong(text);
    }
    void stray_space(protocol::KeySpace whose, const std::string& what) {
        wrong_if(whose == protocol::KeySpace::ours, "key: the key given here has white space around it");
        wrong_if(whose == protocol::KeySpace::theirs,
                 "key: " + what + " was signed with white space around the key");
    }
    void ends(std::chrono::sys_seconds end, std::chrono::seconds expired_for) {
        if (expired_for < std::chrono::seconds(0)) return ok("valid until " + rfc3339(end));
        wrong("expired " + std::to_string(expired_for.count()) + " s ago, at " + rfc3339(end) +
              " (by this machine's clock)");
    }
    int code() const { return code_; }

private:
    std::ostream& out_;
    int code_ = 0;
};

constexpr const char* no_key = " was not checked, because no key was given: --key.file or --key.env";

int usage(std::ostream& err, const std::string& text) {
    err << "livecanary: " << text << '\n';
    return 2;
}

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

std::optional<std::chrono::sys_seconds> expiry(const SignUrl& command, WallTime now) {
    if (command.expires.empty()) return std::chrono::floor<std::chrono::seconds>(now) + command.lifetime;
    std::string_view text = command.expires;
    const bool hex = text.starts_with("0x");
    if (hex) text.remove_prefix(2);
    std::int64_t seconds = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds, hex ? 16 : 10);
    if (ec != std::errc{} || end != text.data() + text.size() || seconds < 0) return std::nullopt;
    return std::chrono::sys_seconds(std::chrono::seconds(seconds));
}

/// Says everything that does not match; the exit code.
int report(std::ostream& out, const protocol::UrlCheck& check, bool has_key) {
    int wrong = 0;
    const auto fault = [&](const std::string& text) {
        out << "wrong: " << text << '\n';
        wrong = 1;
    };
    if (!check.has_tx_secret) fault("there is no txSecret");
    if (!check.has_tx_time) fault("there is no txTime");
    if (check.repeated) fault("txSecret or txTime stands there twice; servers look at one of them");
    if (check.has_tx_time && !check.expires) fault("txTime is not a hexadecimal time in seconds");
    if (check.expires) {
        const auto when = rfc3339(*check.expires);
        if (check.expired())
            fault("expired " + std::to_string(check.expired_for.count()) + " s ago, at " + when +
                  " (by this machine's clock)");
        else
            out << "ok: valid until " << when << '\n';
    }
    if (check.has_tx_secret && check.has_tx_time && has_key) {
        const auto& s = check.secret;
        if (s.key == SecretMatch::Key::none) {
            fault("txSecret comes out with no key given: another key, or another stream name was hashed");
        } else {
            out << "ok: txSecret comes out with the "
                << (s.key == SecretMatch::Key::backup ? "backup" : "main") << " key ("
                << (s.hash == protocol::TxHash::sha256 ? "SHA-256" : "MD5") << ")\n";
            if (s.tx_time_case_changed)
                fault("case: it was hashed with the other letter case of txTime than the URL shows");
            if (s.secret_case_changed) fault("case: txSecret is written with capitals");
            if (s.stray_space == SecretMatch::StraySpace::ours)
                fault("key: the key given here has white space around it");
            if (s.stray_space == SecretMatch::StraySpace::theirs)
                fault("key: the URL was signed with white space around the key");
        }
    }
    if (check.has_tx_secret && check.has_tx_time && !has_key)
        fault("txSecret was not checked, because no key was given: --key.file or --key.env");
    const auto& b = check.bizid;
    if (!b.agree())
        fault("bizid: the domain says " + b.domain_label.value_or("nothing") + ", bizid= says " +
              b.query.value_or("nothing") + ", the stream name begins with " +
              b.stream_prefix.value_or("nothing"));
    return wrong;
}

template <class Parse, class Sign, class Check>
int sign(std::ostream& out, std::ostream& err, const SignUrl& command, WallTime now, Parse parse,
         Sign sign_url, Check check_url) {
    const auto url = parse(command.url);
    if (!url) {
        err << "livecanary: " << url.error().message() << ": " << protocol::redacted_url(command.url) << '\n';
        return 2;
    }
    if (command.verify) {
        const auto check = check_url(*url, command.key.reveal(), command.backup_key.reveal(),
                                     std::chrono::floor<std::chrono::seconds>(now));
        return report(out, check, !command.key.empty());
    }
    const auto until = expiry(command, now);
    if (!until) {
        err << "livecanary: --expires takes Unix seconds, or txTime as 0x…\n";
        return 2;
    }
    protocol::TxSigning signing;
    if (command.sha256) signing.hash = protocol::TxHash::sha256;
    if (command.lower_case) signing.tx_time_case = protocol::HexCase::lower;
    out << sign_url(*url, command.key.reveal(), *until, signing).to_string() << '\n';
    return 0;
}

std::optional<std::vector<protocol::CosField>> headers_of(const std::vector<std::string>& lines) {
    std::vector<protocol::CosField> headers;
    for (const auto& line : lines) {
        const auto colon = line.find(':');
        if (colon == line.npos || colon == 0) return std::nullopt;
        const auto value = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
        headers.push_back({line.substr(0, colon), line.substr(value)});
    }
    return headers;
}

/// The words of a mistake of whoever signed.
const char* words(protocol::CosMatch::Mistake mistake) {
    using enum protocol::CosMatch::Mistake;
    switch (mistake) {
        case none:
            break;
        case unsorted:
            return "headers or parameters were hashed unsorted";
        case path_encoded:
            return "the path was hashed percent-encoded; it is hashed as UTF-8";
        case values_not_encoded:
            return "the values of headers and parameters were hashed without percent-encoding";
        case sign_key_binary:
            return "SignKey was used as 20 bytes; its 40 digits are the key";
    }
    return "";
}

void report_match(Findings& found, const protocol::CosMatch& match, bool by_sign_key) {
    const std::string key = by_sign_key ? "SignKey" : "SecretKey";
    if (match.key == protocol::KeyFound::none)
        return found.wrong("the signature does not come out with this " + key +
                           ": another key, or another request was signed");
    found.ok("the signature comes out with this " + key);
    found.wrong_if(match.mistake != protocol::CosMatch::Mistake::none, words(match.mistake));
    found.wrong_if(match.capitals, "case: the signature is written with capitals");
    found.stray_space(match.stray_space, "the request");
}

int report(std::ostream& out, const SignCos& command, const protocol::CosAuthorization& authorization,
           const protocol::CosCheck& check) {
    Findings found(out);
    const auto& sign = authorization.sign_time;
    const auto& key = authorization.key_time;
    found.wrong_if(!check.algorithm_known, "q-sign-algorithm is not sha1");
    found.wrong_if(!command.secret_id.empty() && command.secret_id != authorization.secret_id,
                   "q-ak is another SecretId than the one given");
    found.wrong_if(check.times_differ, "q-sign-time and q-key-time differ");
    found.wrong_if(check.ends_before_start, "the time ends before it starts");
    found.wrong_if(!command.key_time.empty() && command.key_time != key.to_string(),
                   "q-key-time is another than the one given");
    found.wrong_if(check.not_yet(), "not valid for another " + std::to_string(check.starts_in.count()) +
                                        " s, until " + rfc3339(std::max(sign.start, key.start)) +
                                        " (by this machine's clock)");
    found.ends(std::min(sign.end, key.end), check.expired_for);
    found.wrong_if(!check.lists_canonical,
                   "the lists of headers and parameters are not sorted and in lower case");
    found.wrong_if(!check.missing_headers.empty(),
                   "signed, but not in the request: header " + joined(check.missing_headers));
    found.wrong_if(!check.missing_parameters.empty(),
                   "signed, but not in the request: parameter " + joined(check.missing_parameters));
    if (!check.unsigned_headers.empty())
        found.note("not signed, which COS allows: header " + joined(check.unsigned_headers));
    if (!check.unsigned_parameters.empty())
        found.note("not signed, which COS allows: parameter " + joined(check.unsigned_parameters));
    if (command.key.empty())
        found.wrong(std::string("the signature") + no_key);
    else
        report_match(found, check.match, command.key_is_sign_key);
    return found.code();
}

int verify(std::ostream& out, std::ostream& err, const SignCos& command, const protocol::CosRequest& request,
           WallTime now) {
    const auto question = std::min(command.url.find('?'), command.url.size());
    const auto authorization = command.authorization.empty()
                                   ? protocol::parse_cos_query(command.url.substr(question).erase(0, 1))
                                   : protocol::parse_cos_authorization(command.authorization);
    if (!authorization) return usage(err, authorization.error().message());
    protocol::CosKeys keys;
    (command.key_is_sign_key ? keys.sign_key : keys.secret_key) = command.key.reveal();
    return report(out, command, *authorization,
                  check_cos(*authorization, request, keys, std::chrono::floor<std::chrono::seconds>(now)));
}

int report(std::ostream& out, const SignCosV4& command, const protocol::CosV4Authorization& authorization,
           const protocol::CosV4Check& check) {
    Findings found(out);
    const auto& fields = authorization.fields;
    const auto differs = [](const std::string& given, const std::string& there) {
        return !given.empty() && given != there;
    };
    found.wrong_if(differs(command.app_id, fields.app_id), "a= is another APPID than the one given");
    found.wrong_if(differs(command.bucket, fields.bucket), "b= is another bucket than the one given");
    found.wrong_if(differs(command.secret_id, fields.secret_id), "k= is another SecretId than the one given");
    if (!command.object.empty() && !fields.file_id.empty())
        found.wrong_if(
            fields.file_id != protocol::cos_v4_file_id(fields.app_id, fields.bucket, command.object),
            "f= is another object than the one given");
    if (fields.single_use())
        found.ok("of single use, without an end");
    else
        found.ends(fields.expires, check.expired_for);
    found.wrong_if(check.ends_before_signed, "it ends before it was signed");
    found.wrong_if(check.lives_too_long, "it lives longer than three months");
    found.wrong_if(check.single_use_without_file, "of single use, but without an object (f= is empty)");
    found.wrong_if(check.file_with_end, "it has both an object (f=) and an end (e=): COS takes one of them");
    found.wrong_if(
        check.signed_ahead > std::chrono::seconds(0),
        "signed " + std::to_string(check.signed_ahead.count()) + " s ahead of this machine's clock");
    if (command.key.empty()) {
        found.wrong(std::string("the signature") + no_key);
    } else if (check.key == protocol::KeyFound::none) {
        found.wrong("the signature does not come out with this SecretKey");
    } else {
        found.ok("the signature comes out with this SecretKey");
        found.stray_space(check.stray_space, "the text");
    }
    return found.code();
}

protocol::CdnAuth cdn_auth(const SignCdn& command) {
    using enum protocol::CdnAuthType;
    protocol::CdnAuth auth;
    auth.type = command.type == "A" ? a : command.type == "B" ? b : command.type == "C" ? c : d;
    if (command.sha256) auth.hash = protocol::Digest::sha256;
    if (command.time_first) auth.order = protocol::CdnOrder::time_first;
    if (command.time_format == "hex") auth.time = protocol::CdnTime::hex;
    if (command.time_format == "decimal") auth.time = protocol::CdnTime::decimal;
    auth.sign_parameter = command.sign_parameter;
    auth.time_parameter = command.time_parameter;
    return auth;
}

void report_match(Findings& found, const protocol::CdnMatch& match) {
    if (match.key == protocol::KeyFound::none)
        return found.wrong("the digest comes out with no key given: another key, or another path was hashed");
    found.ok(std::string("the digest comes out with the ") +
             (match.key == protocol::KeyFound::backup ? "backup" : "main") + " key");
    found.wrong_if(match.other_order, "order: path and time were hashed the other way round");
    found.wrong_if(match.path_decoded, "the path was hashed without its percent-encoding");
    found.wrong_if(match.time_case_changed,
                   "case: it was hashed with the other letter case of the time than the URL shows");
    found.wrong_if(match.digest_capitals, "case: the digest is written with capitals");
    found.stray_space(match.stray_space, "the URL");
}

int report(std::ostream& out, const SignCdn& command, const protocol::CdnAuth& auth,
           const protocol::CdnCheck& check, WallTime now) {
    Findings found(out);
    if (!check.type) {
        found.wrong("there is no signature of type " + command.type + ", nor of another type");
        return found.code();
    }
    const char type = "ABCD"[static_cast<int>(*check.type)];
    if (*check.type != auth.type) {
        found.wrong(std::string("signed for type ") + type + ", not " + command.type);
    } else {
        found.ok(std::string("of type ") + type);
        found.wrong_if(check.time != auth.actual_time(),
                       "the time is written in another form than the domain is set to");
        found.wrong_if(check.hash != auth.hash, check.hash == protocol::Digest::sha256
                                                    ? "hashed with SHA-256, not MD5"
                                                    : "hashed with MD5, not SHA-256");
    }
    found.wrong_if(check.repeated, "a parameter of the signature stands there twice");
    found.wrong_if(check.other_parameters,
                   "there is a query beside the signature, which the CDN does not support");
    if (check.signed_at) {
        const auto age = std::chrono::floor<std::chrono::seconds>(now) - *check.signed_at;
        found.wrong_if(age < std::chrono::seconds(0),
                       "signed " + std::to_string(-age.count()) + " s ahead of this machine's clock");
        found.ends(*check.signed_at + command.validity, age - command.validity);
    } else {
        found.wrong("its time cannot be read");
    }
    if (command.key.empty() && command.backup_key.empty())
        found.wrong(std::string("the digest") + no_key);
    else
        report_match(found, check.match);
    return found.code();
}

int report(std::ostream& out, const SignUserSig& command, const protocol::UserSig& sig,
           std::chrono::sys_seconds now) {
    Findings found(out);
    const auto check = protocol::check_user_sig(
        sig, {.identifier = command.identifier, .sdkappid = command.sdkappid, .key = command.key.reveal()},
        now);
    found.ok("of SDKAppID " + std::to_string(sig.sdkappid) + ", made at " + rfc3339(sig.time));
    found.wrong_if(check.identifier_differs, "it is for another identifier than the one given");
    found.wrong_if(check.sdkappid_differs, "it is of another SDKAppID than the one given");
    found.wrong_if(check.made_ahead > std::chrono::seconds(0),
                   "made " + std::to_string(check.made_ahead.count()) + " s ahead of this machine's clock");
    found.ends(sig.end(), check.expired_for);
    if (command.key.empty()) {
        found.wrong(std::string("its signature") + no_key);
    } else if (check.key == protocol::KeyFound::none) {
        found.wrong("its signature does not come out with this key: another key, or another SDKAppID's");
    } else {
        found.ok("its signature comes out with this key");
        found.stray_space(check.stray_space, "the UserSig");
    }
    return found.code();
}

int report(std::ostream& out, const SignCallback& command, const protocol::CallbackCheck& check) {
    Findings found(out);
    found.wrong_if(!check.has_t, "there is no t");
    found.wrong_if(check.has_t && !check.expires, "t is not a time in Unix seconds");
    if (check.expires) found.ends(*check.expires, check.expired_for);
    if (!check.has_sign) {
        found.wrong("there is no sign");
    } else if (command.key.empty() && command.backup_key.empty()) {
        found.wrong(std::string("sign") + no_key);
    } else if (check.match.key == protocol::KeyFound::none) {
        found.wrong("sign does not come out with any key given: another key, or another t was hashed");
    } else {
        found.ok(std::string("sign comes out with the ") +
                 (check.match.key == protocol::KeyFound::backup ? "backup" : "main") + " key");
        found.wrong_if(check.match.capitals, "case: sign is written with capitals");
        found.stray_space(check.match.stray_space, "the event");
    }
    return found.code();
}

}  // namespace

int sign_push_url(std::ostream& out, std::ostream& err, const SignUrl& command, WallTime now) {
    return sign(
        out, err, command, now, protocol::parse_push_url,
        [](auto&&... a) { return protocol::sign_push_url(std::forward<decltype(a)>(a)...); },
        protocol::check_push_url);
}

int sign_play_url(std::ostream& out, std::ostream& err, const SignUrl& command, WallTime now) {
    return sign(
        out, err, command, now, protocol::parse_play_url,
        [](auto&&... a) { return protocol::sign_play_url(std::forward<decltype(a)>(a)...); },
        protocol::check_play_url);
}

int sign_cos(std::ostream& out, std::ostream& err, const SignCos& command, WallTime now) {
    auto headers = headers_of(command.headers);
    if (!headers) return usage(err, "--header takes 'Name: value'");
    auto request = protocol::cos_request(command.method, command.url, *std::move(headers));
    if (!request) return usage(err, request.error().message() + ": " + protocol::redacted_url(command.url));
    if (command.verify) return verify(out, err, command, *request, now);

    const auto start = std::chrono::floor<std::chrono::seconds>(now);
    protocol::KeyTime key_time{start, start + command.lifetime};
    if (!command.key_time.empty()) {
        const auto given = protocol::parse_key_time(command.key_time);
        if (!given) return usage(err, "--key-time takes two Unix seconds: 'start;end'");
        key_time = *given;
    } else if (command.key_is_sign_key) {
        return usage(err, "a SignKey holds for one --key-time only, which must be given too");
    }
    if (command.secret_id.empty()) return usage(err, "--secret-id is needed");
    // A temporary key's token goes beside its signature.
    std::erase_if(request->parameters,
                  [](const auto& field) { return field.name == "x-cos-security-token"; });
    const std::string sign_key = command.key_is_sign_key
                                     ? command.key.reveal()
                                     : protocol::cos_sign_key(command.key.reveal(), key_time);
    const auto authorization = protocol::cos_sign(*request, command.secret_id, sign_key, key_time);
    out << (command.as_url ? protocol::cos_signed_url(command.url, authorization) : authorization.header())
        << '\n';
    return 0;
}

int sign_cos_v4(std::ostream& out, std::ostream& err, const SignCosV4& command, WallTime now) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
    if (command.verify) {
        if (command.authorization.empty()) return usage(err, "--verify needs --authorization");
        const auto authorization = protocol::parse_cos_v4_authorization(command.authorization);
        if (!authorization) return usage(err, authorization.error().message());
        return report(out, command, *authorization,
                      check_cos_v4(*authorization, command.key.reveal(), seconds));
    }
    if (command.app_id.empty() || command.bucket.empty() || command.secret_id.empty())
        return usage(err, "--app-id, --bucket and --secret-id are needed");
    protocol::CosV4Signature signature{.app_id = command.app_id,
                                       .bucket = command.bucket,
                                       .secret_id = command.secret_id,
                                       .signed_at = seconds,
                                       .random = command.random};
    if (command.object.empty())
        signature.expires = seconds + command.lifetime;
    else
        signature.file_id = protocol::cos_v4_file_id(command.app_id, command.bucket, command.object);
    out << protocol::cos_v4_sign(signature, command.key.reveal()) << '\n';
    return 0;
}

int sign_cdn(std::ostream& out, std::ostream& err, const SignCdn& command, WallTime now) {
    const auto auth = cdn_auth(command);
    const auto refuse = [&](const error_code& ec) {
        return usage(err, ec.message() + ": " + protocol::redacted_url(command.url));
    };
    if (command.verify) {
        const auto check =
            protocol::check_cdn_url(command.url, auth, command.key.reveal(), command.backup_key.reveal());
        return check ? report(out, command, auth, *check, now) : refuse(check.error());
    }
    const auto url = protocol::cdn_sign(command.url, auth, command.key.reveal(),
                                        std::chrono::floor<std::chrono::seconds>(now), command.rand);
    if (!url) return refuse(url.error());
    out << *url << '\n';
    return 0;
}

int sign_callback(std::ostream& out, std::ostream& err, const SignCallback& command, WallTime now) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
    if (command.verify)
        return report(out, command,
                      protocol::check_callback(command.sign, command.t, command.key.reveal(),
                                               command.backup_key.reveal(), seconds));
    if (!command.t.empty() && !protocol::parse_callback_time(command.t))
        return usage(err, "--t takes Unix seconds");
    const auto t = command.t.empty() ? seconds + command.lifetime : *protocol::parse_callback_time(command.t);
    const auto stamp = protocol::callback_stamp(command.key.reveal(), t);
    out << protocol::JsonFields().raw("t", stamp.t).text("sign", stamp.sign).object() << '\n';
    return 0;
}

int sign_user_sig(std::ostream& out, std::ostream& err, const SignUserSig& command, WallTime now) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
    if (command.verify) {
        if (command.user_sig.empty()) return usage(err, "--verify needs --user-sig.file or --user-sig.env");
        const auto sig = protocol::parse_user_sig(command.user_sig.reveal());
        if (!sig) {
            // Whether it can be read at all is the first question of whoever verifies it.
            out << "wrong: " << sig.error().message() << '\n';
            return 1;
        }
        return report(out, command, *sig, seconds);
    }
    if (command.identifier.empty() || command.sdkappid <= 0)
        return usage(err, "--identifier and --sdkappid are needed");
    const protocol::UserSig sig{.identifier = command.identifier,
                                .sdkappid = command.sdkappid,
                                .time = seconds,
                                .expire = command.lifetime};
    out << protocol::make_user_sig(sig, command.key.reveal()) << '\n';
    return 0;
}

}  // namespace livecanary::daemon
