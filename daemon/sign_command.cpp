#include "daemon/sign_command.hpp"

#include <charconv>
#include <optional>

#include "daemon/result_json.hpp"
#include "probes/protocol/push_url.hpp"

namespace livecanary::daemon {
namespace {

using protocol::SecretMatch;

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

}  // namespace livecanary::daemon
