#include "tests/practice/cloud.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include <openssl/evp.h>

namespace livecanary::practice {

namespace {

constexpr const char* http_play = "http_play";

std::string percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        const bool escape =
            text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(&text[i + 1], &text[i + 1] + 2, value, 16).ptr == &text[i + 1] + 2;
        decoded += escape ? static_cast<char>(value) : text[i];
        if (escape) i += 2;
    }
    return decoded;
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

/// `HOST[:PORT]` → HOST in lower case.
std::string without_port(std::string_view authority) {
    if (authority.starts_with('[')) return lower_case(authority.substr(0, authority.find(']') + 1));
    return lower_case(authority.substr(0, authority.find(':')));
}

/// `rtmp://HOST[:PORT]/app` → HOST in lower case.
std::string host_of(std::string_view url) {
    const auto scheme = url.find("://");
    if (scheme == std::string_view::npos) return {};
    url.remove_prefix(scheme + 3);
    return without_port(url.substr(0, url.find_first_of("/?")));
}

/// `grace`: see Domain.
Verdict judge_signature(const std::string& main_key, const std::string& backup_key,
                        std::chrono::seconds grace, std::string_view form, std::string_view name,
                        std::chrono::system_clock::time_point now) {
    const auto secret = form_field(form, "txSecret");
    const auto time = form_field(form, "txTime");
    if (!secret || !time || secret->empty() || time->empty()) return Verdict::unsigned_url;
    const bool known = *secret == tx_secret(main_key, name, *time) ||
                       (!backup_key.empty() && *secret == tx_secret(backup_key, name, *time));
    if (!known) return Verdict::wrong_secret;
    std::uint32_t expires = 0;
    const auto [end, error] = std::from_chars(time->data(), time->data() + time->size(), expires, 16);
    if (error != std::errc() || end != time->data() + time->size()) return Verdict::wrong_secret;
    const auto last = std::chrono::sys_seconds(std::chrono::seconds(expires)) + grace;
    return now < last ? Verdict::accepted : Verdict::expired;
}

/// `domain` is null for one of the players.
Verdict judge_play(const Domain* domain, const Call& call, std::string_view query,
                   std::chrono::system_clock::time_point now) {
    if (domain == nullptr) return Verdict::accepted;
    if (!domain->apps.contains(call.app)) return Verdict::unknown_app;
    if (domain->play_key.empty()) return Verdict::accepted;
    return judge_signature(domain->play_key, domain->play_backup_key, domain->grace, query, call.name, now);
}

Verdict judge(const Cloud& cloud, const Call& call, std::string_view form,
              std::chrono::system_clock::time_point now) {
    if (call.call.ends_with("_done")) return Verdict::accepted;
    const Behaviour& behaviour = cloud.behaviour;
    const bool fails = behaviour.refuse || behaviour.hang || behaviour.drop || behaviour.status >= 400;
    if (fails && behaviour.calls.contains(call.call)) return Verdict::told_to;
    const auto found = cloud.domains.find(call.domain);
    const Domain* const domain = found == cloud.domains.end() ? nullptr : &found->second;
    const bool may_push = domain != nullptr && domain->push;
    const bool may_play = domain != nullptr || cloud.players.contains(call.domain);
    if (call.call == "connect")
        return may_play || behaviour.judge_domain_at_publish ? Verdict::accepted : Verdict::unknown_domain;
    if (call.call == "play" || call.call == http_play)
        return may_play ? judge_play(domain, call, form, now) : Verdict::unknown_domain;
    if (!may_push) return Verdict::unknown_domain;
    if (!domain->apps.contains(call.app)) return Verdict::unknown_app;
    if (behaviour.forbidden.contains(call.name)) return Verdict::forbidden;
    const Verdict verdict = domain->auth ? judge_signature(domain->main_key, domain->backup_key,
                                                           domain->grace, form, call.name, now)
                                         : Verdict::accepted;
    if (verdict == Verdict::accepted && behaviour.busy.contains(call.name)) return Verdict::busy;
    return verdict;
}

}  // namespace

std::string_view to_string(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::accepted:
            return "accepted";
        case Verdict::unknown_domain:
            return "unknown_domain";
        case Verdict::unknown_app:
            return "unknown_app";
        case Verdict::unsigned_url:
            return "unsigned_url";
        case Verdict::expired:
            return "expired";
        case Verdict::wrong_secret:
            return "wrong_secret";
        case Verdict::forbidden:
            return "forbidden";
        case Verdict::busy:
            return "busy";
        case Verdict::told_to:
            return "told_to";
    }
    return "";
}

std::size_t Seen::count(std::string_view call, std::string_view name) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        calls, [&](const Call& seen) { return seen.call == call && (name.empty() || seen.name == name); }));
}

std::size_t Seen::count(std::string_view call, Verdict verdict) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        calls, [&](const Call& seen) { return seen.call == call && seen.verdict == verdict; }));
}

Verdict Cloud::take(std::string_view form, std::chrono::system_clock::time_point now) {
    // nginx-rtmp writes its own fields first and then appends the query of the stream name as it came, so the
    // first field of a name is nginx's even if a publisher adds another `app` or `name`.
    Call call{.call = form_field(form, "call").value_or(""),
              .domain = host_of(form_field(form, "tcurl").value_or("")),
              .app = form_field(form, "app").value_or(""),
              .name = form_field(form, "name").value_or(""),
              .client = form_field(form, "clientid").value_or("")};
    // A client cannot connect without an application; nginx-rtmp's own relay, which takes a stream to push it
    // on, has none, and is no player.
    if (call.app.empty() && call.call.starts_with("play")) return Verdict::accepted;
    return judged(std::move(call), form, now);
}

Verdict Cloud::take_http_play(std::string_view host, std::string_view target,
                              std::chrono::system_clock::time_point now) {
    const auto mark = std::min(target.find('?'), target.size());
    const std::string path = percent_decoded(target.substr(0, mark));
    const auto slash = path.rfind('/');
    Call call{.call = http_play, .domain = without_port(host), .app = {}, .name = {}};
    if (path.starts_with('/') && slash > 0) {
        call.app = path.substr(1, slash - 1);
        call.name = path.substr(slash + 1);
        call.name.resize(std::min(call.name.rfind('.'), call.name.size()));
    }
    return judged(std::move(call), target.substr(std::min(mark + 1, target.size())), now);
}

Verdict Cloud::judged(Call call, std::string_view query, std::chrono::system_clock::time_point now) {
    call.verdict = judge(*this, call, query, now);
    constexpr std::size_t most = 20'000;
    if (seen.calls.size() == most) seen.calls.erase(seen.calls.begin(), seen.calls.begin() + most / 2);
    seen.calls.push_back(std::move(call));
    return seen.calls.back().verdict;
}

std::optional<std::string> form_field(std::string_view form, std::string_view name) {
    while (!form.empty()) {
        const std::string_view field = form.substr(0, form.find('&'));
        const auto equals = field.find('=');
        if (field.substr(0, equals) == name)
            return equals == std::string_view::npos ? "" : percent_decoded(field.substr(equals + 1));
        form.remove_prefix(std::min(form.size(), field.size() + 1));
    }
    return std::nullopt;
}

std::string tx_secret(std::string_view key, std::string_view name, std::string_view tx_time) {
    const std::string text = std::string(key).append(name).append(tx_time);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_md5(), nullptr) != 1)
        throw std::runtime_error("OpenSSL offers no MD5");
    std::string hex;
    for (unsigned i = 0; i < size; ++i) {
        constexpr std::string_view digits = "0123456789abcdef";
        hex += digits[digest[i] >> 4U];
        hex += digits[digest[i] & 15U];
    }
    return hex;
}

std::string signed_name(std::string_view key, const std::string& name,
                        std::chrono::system_clock::time_point expires) {
    std::array<char, 16> buffer{};
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(expires.time_since_epoch()).count();
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), seconds, 16).ptr;
    const std::string tx_time(buffer.data(), end);
    return name + "?txSecret=" + tx_secret(key, name, tx_time) + "&txTime=" + tx_time;
}

}  // namespace livecanary::practice
