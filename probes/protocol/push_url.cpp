#include "probes/protocol/push_url.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <utility>
#include <vector>

#include "probes/core/error_table.hpp"
#include "probes/protocol/ascii.hpp"
#include "probes/protocol/digest.hpp"

namespace livecanary::protocol {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }

std::uint16_t default_port(std::string_view scheme) {
    if (scheme == "rtmp") return 1935;
    return scheme == "http" ? 80 : 443;
}

// A URL taken apart, for either use. The texts point into the URL.
struct Parts {
    std::string scheme;
    std::string_view host;
    std::uint16_t port = 0;
    std::string_view app, stream_name, query;
};

error_code check_scheme(std::string_view scheme, std::span<const std::string_view> allowed) {
    if (scheme == "rtmpt" || scheme == "rtmpts") return UrlError::rtmpt_unsupported;
    if (scheme == "rtmpe" || scheme == "rtmpte") return UrlError::rtmpe_unsupported;
    if (std::ranges::find(allowed, scheme) == allowed.end()) return UrlError::unknown_scheme;
    return {};
}

error_code split_authority(std::string_view authority, Parts& parts) {
    if (authority.find('@') != authority.npos) return UrlError::user_info;
    std::string_view port;
    if (authority.starts_with('[')) {
        const auto end = authority.find(']');
        if (end == authority.npos) return UrlError::bad_host;
        parts.host = authority.substr(1, end - 1);
        port = authority.substr(end + 1);
        if (!port.empty() && port.front() != ':') return UrlError::bad_host;
        const auto of_ipv6 = [](char c) { return is_hex_digit(c) || c == ':' || c == '.'; };
        if (parts.host.find(':') == parts.host.npos || !std::ranges::all_of(parts.host, of_ipv6))
            return UrlError::bad_host;
    } else {
        const auto end = std::min(authority.find(':'), authority.size());
        parts.host = authority.substr(0, end);
        port = authority.substr(end);
        const auto of_name = [](char c) {
            return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
        };
        if (parts.host.empty() || !std::ranges::all_of(parts.host, of_name)) return UrlError::bad_host;
    }
    parts.port = default_port(parts.scheme);
    if (port.empty()) return {};
    port.remove_prefix(1);
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), parts.port);
    if (ec != std::errc() || end != port.data() + port.size() || parts.port == 0) return UrlError::bad_port;
    return {};
}

error_code split_path(std::string_view path, Parts& parts) {
    if (path.empty()) return UrlError::no_app;
    if (path.front() == '/' || path.find("//") != path.npos) return UrlError::empty_path_segment;
    const auto slash = path.rfind('/');
    if (slash == path.npos || slash + 1 == path.size()) return UrlError::no_stream_name;
    parts.app = path.substr(0, slash);
    parts.stream_name = path.substr(slash + 1);
    return {};
}

result<Parts> split(std::string_view url, std::span<const std::string_view> allowed) {
    if (url.size() > max_url_size) return UrlError::too_long;
    if (std::ranges::any_of(url, [](char c) { return is_control(c) || c == ' ' || c == '#'; }))
        return UrlError::forbidden_byte;
    const auto colon = url.find("://");
    if (colon == url.npos || colon == 0) return UrlError::no_scheme;
    Parts parts;
    parts.scheme = ascii_lower(url.substr(0, colon));
    if (const auto ec = check_scheme(parts.scheme, allowed)) return ec;

    url.remove_prefix(colon + 3);
    if (const auto question = url.find('?'); question != url.npos) {
        parts.query = url.substr(question + 1);
        url = url.substr(0, question);
    }
    const auto slash = std::min(url.find('/'), url.size());
    if (const auto ec = split_authority(url.substr(0, slash), parts)) return ec;
    if (const auto ec = split_path(url.substr(std::min(slash + 1, url.size())), parts)) return ec;
    return parts;
}

std::string with_query(std::string text, std::string_view query) {
    if (!query.empty()) text.append("?").append(query);
    return text;
}

std::string base(std::string_view scheme, const std::string& host, std::uint16_t port, std::string_view app) {
    std::string text(scheme);
    text += "://";
    text += host.find(':') == host.npos ? host : "[" + host + "]";
    if (port != default_port(scheme)) text += ":" + std::to_string(port);
    text.append("/").append(app);
    return text;
}

struct Parameter {
    std::string_view text;  // name=value
    std::string_view name, value;
};

std::vector<Parameter> parameters(std::string_view query) {
    std::vector<Parameter> found;
    while (!query.empty()) {
        const auto text = query.substr(0, query.find('&'));
        const auto equals = std::min(text.find('='), text.size());
        found.push_back({text, text.substr(0, equals), text.substr(std::min(equals + 1, text.size()))});
        query.remove_prefix(std::min(text.size() + 1, query.size()));
    }
    return found;
}

bool may_name_a_secret(std::string_view name) {
    static constexpr std::array<std::string_view, 8> signs{"secret", "sign", "key", "token",
                                                           "auth",   "pass", "pwd", "%"};
    const std::string text = ascii_lower(name);
    return std::ranges::any_of(signs, [&](auto sign) { return text.find(sign) != text.npos; });
}

std::string shortened(std::string_view secret) {
    const auto head = secret.substr(0, 4);
    // Anything else could be cut in the middle of a UTF-8 sequence.
    const bool plain = std::ranges::all_of(head, [](char c) { return is_letter(c) || is_digit(c); });
    return (secret.size() > 8 && plain ? std::string(head) : std::string()) + "…";
}

// The first '=' after a secret's name hides all the rest: a secret may hold any of the other separators.
std::string redacted_parameter(std::string_view text) {
    for (auto equals = text.find('='); equals != text.npos; equals = text.find('=', equals + 1)) {
        const auto before = text.substr(0, equals);
        const auto name = before.substr(before.find_last_of("?;=/") + 1);
        if (may_name_a_secret(name))
            return std::string(text.substr(0, equals + 1)) + shortened(text.substr(equals + 1));
    }
    return std::string(text);
}

SecretMatch match_secret(std::string_view secret, std::string_view stream_name, const std::string& time,
                         const std::vector<KeyText>& keys) {
    constexpr std::size_t sha256_digits = 64;
    const TxHash hash = secret.size() == sha256_digits ? TxHash::sha256 : TxHash::md5;
    const std::string lower_secret = ascii_lower(secret);
    std::vector<std::string> times{time};
    for (const auto& other : {ascii_upper(time), ascii_lower(time)})
        if (other != time) times.push_back(other);
    for (const auto& key : keys) {
        for (const auto& hashed_time : times) {
            const std::string digest = tx_secret(key.text, stream_name, hashed_time, hash);
            if (!same_digest(digest, lower_secret)) continue;
            return {.key = key.key,
                    .hash = hash,
                    .tx_time_case_changed = hashed_time != time,
                    .secret_case_changed = lower_secret != secret,
                    .stray_space = key.stray_space};
        }
    }
    return {};
}

Bizid find_bizid(std::string_view host, std::string_view stream_name, const std::vector<Parameter>& query) {
    const auto number = [](std::string_view text) {
        return !text.empty() && std::ranges::all_of(text, is_digit);
    };
    Bizid bizid;
    const auto label = host.substr(0, host.find('.'));
    // An IPv4 address begins with a number too, but has no letter.
    if (number(label) && std::ranges::any_of(host, is_letter)) bizid.domain_label = label;
    if (const auto at = std::ranges::find(query, "bizid", &Parameter::name); at != query.end())
        bizid.query = at->value;
    if (const auto end = stream_name.find('_'); end != stream_name.npos && number(stream_name.substr(0, end)))
        bizid.stream_prefix = stream_name.substr(0, end);
    return bizid;
}

UrlCheck check(std::string_view host, std::string_view stream_name, std::string_view query,
               const std::vector<KeyText>& keys, std::chrono::sys_seconds now) {
    const auto all = parameters(query);
    const auto value_of = [&](std::string_view name) {
        const auto at = std::ranges::find(all, name, &Parameter::name);
        return at == all.end() ? std::string_view() : at->value;
    };
    const auto secret = value_of("txSecret");
    const std::string time(value_of("txTime"));

    UrlCheck found;
    found.has_query = !query.empty();
    found.has_tx_secret = !secret.empty();
    found.has_tx_time = !time.empty();
    found.repeated = std::ranges::count(all, "txSecret", &Parameter::name) > 1 ||
                     std::ranges::count(all, "txTime", &Parameter::name) > 1;
    // Ten digits reach the year 36812; more would only be a way to overflow.
    std::uint64_t seconds = 0;
    const auto [end, ec] = std::from_chars(time.data(), time.data() + time.size(), seconds, 16);
    if (time.size() <= 10 && ec == std::errc() && end == time.data() + time.size()) {
        found.expires = std::chrono::sys_seconds(std::chrono::seconds(static_cast<std::int64_t>(seconds)));
        found.expired_for = now - *found.expires;
    }
    if (found.has_tx_secret) found.secret = match_secret(secret, stream_name, time, keys);
    found.bizid = find_bizid(host, stream_name, all);
    return found;
}

}  // namespace

error_code make_error_code(UrlError error) noexcept {
    using enum UrlError;
    static const ErrorTable<UrlError> table{
        "livecanary.url",
        {{too_long, "the URL is longer than 4096 bytes", Reason::mismatch},
         {forbidden_byte, "the URL holds white space, a control byte or '#'", Reason::mismatch},
         {no_scheme, "the URL does not begin with a scheme such as rtmp://", Reason::mismatch},
         {unknown_scheme, "the scheme of the URL is not one of this use", Reason::mismatch},
         {rtmpt_unsupported, "RTMPT (RTMP over HTTP) is not supported", Reason::local},
         {rtmpe_unsupported, "RTMPE (RTMP under Adobe's encryption) is not supported", Reason::local},
         {user_info, "the URL holds a user name or password before the host", Reason::mismatch},
         {bad_host, "the host of the URL is not a name, an IPv4 address or a bracketed IPv6 address",
          Reason::mismatch},
         {bad_port, "the port of the URL is not 1 to 65535", Reason::mismatch},
         {no_app, "the URL has no application name after its host", Reason::mismatch},
         {no_stream_name, "the URL has no stream name after its application name", Reason::mismatch},
         {empty_path_segment, "the path of the URL has two slashes in a row", Reason::mismatch}}};
    return {static_cast<int>(error), table};
}

std::string PushUrl::tc_url() const { return base(tls ? "rtmps" : "rtmp", host, port, app); }
std::string PushUrl::publish_name() const { return with_query(stream_name, query); }
std::string PushUrl::to_string() const { return tc_url() + "/" + publish_name(); }
std::string PushUrl::redacted() const { return redacted_url(to_string()); }

result<PushUrl> parse_push_url(std::string_view url) {
    static constexpr std::array<std::string_view, 2> schemes{"rtmp", "rtmps"};
    const auto parts = split(url, schemes);
    if (!parts) return parts.error();
    return PushUrl{.tls = parts->scheme == "rtmps",
                   .host = std::string(parts->host),
                   .port = parts->port,
                   .app = std::string(parts->app),
                   .stream_name = std::string(parts->stream_name),
                   .query = std::string(parts->query)};
}

std::string PlayUrl::to_string() const {
    return with_query(base(scheme, host, port, app) + "/" + stream_name + extension, query);
}
std::string PlayUrl::redacted() const { return redacted_url(to_string()); }

result<PlayUrl> parse_play_url(std::string_view url) {
    static constexpr std::array<std::string_view, 4> schemes{"rtmp", "rtmps", "http", "https"};
    const auto parts = split(url, schemes);
    if (!parts) return parts.error();
    std::string_view name = parts->stream_name, extension;
    if (parts->scheme.starts_with("http"))
        for (const std::string_view known : {".flv", ".m3u8"})
            if (name.ends_with(known)) {
                extension = known;
                name.remove_suffix(known.size());
                break;
            }
    if (name.empty()) return UrlError::no_stream_name;
    return PlayUrl{.scheme = parts->scheme,
                   .host = std::string(parts->host),
                   .port = parts->port,
                   .app = std::string(parts->app),
                   .stream_name = std::string(name),
                   .extension = std::string(extension),
                   .query = std::string(parts->query)};
}

std::string redacted_query(std::string_view query) {
    std::string out;
    for (;;) {
        const auto text = query.substr(0, query.find('&'));
        out += redacted_parameter(text);
        if (text.size() == query.size()) return out;
        out += '&';
        query.remove_prefix(text.size() + 1);
    }
}

std::string redacted_url(std::string_view url) {
    std::string out;
    if (const auto colon = url.find("://"); colon != url.npos) {
        out = url.substr(0, colon + 3);
        url.remove_prefix(colon + 3);
        const auto authority = url.substr(0, url.find_first_of("/?"));
        if (const auto at = authority.rfind('@'); at != authority.npos) {
            out += "…";
            url.remove_prefix(at);
        }
    }
    // The path too: "stream&txSecret=…", without '?', is a mistake people make.
    out += redacted_query(url);
    std::ranges::replace_if(out, is_control, '?');
    return out;
}

std::string tx_time(std::chrono::sys_seconds expiry, HexCase hex_case) {
    const auto seconds = std::max<std::int64_t>(expiry.time_since_epoch().count(), 0);
    std::array<char, 16> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), seconds, 16).ptr;
    const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
    return hex_case == HexCase::upper ? ascii_upper(text) : std::string(text);
}

std::string tx_secret(std::string_view key, std::string_view stream_name, std::string_view tx_time,
                      TxHash hash) {
    std::string text(key);
    text.append(stream_name).append(tx_time);
    return hex_digest(hash == TxHash::md5 ? Digest::md5 : Digest::sha256, text);
}

std::string sign_query(std::string_view key, std::string_view stream_name, std::chrono::sys_seconds expiry,
                       TxSigning signing, std::string_view query) {
    std::string out;
    for (const Parameter& parameter : parameters(query))
        if (parameter.name != "txSecret" && parameter.name != "txTime")
            out.append(parameter.text).append("&");
    const std::string time = tx_time(expiry, signing.tx_time_case);
    return out + "txSecret=" + tx_secret(key, stream_name, time, signing.hash) + "&txTime=" + time;
}

PushUrl sign_push_url(PushUrl url, std::string_view key, std::chrono::sys_seconds expiry, TxSigning signing) {
    url.query = sign_query(key, url.stream_name, expiry, signing, url.query);
    return url;
}

PlayUrl sign_play_url(PlayUrl url, std::string_view key, std::chrono::sys_seconds expiry, TxSigning signing) {
    url.query = sign_query(key, url.stream_name, expiry, signing, url.query);
    return url;
}

bool Bizid::agree() const noexcept {
    if (domain_label && query && *domain_label != *query) return false;
    if (!stream_prefix) return true;
    return (!domain_label || *domain_label == *stream_prefix) && (!query || *query == *stream_prefix);
}

UrlCheck check_push_url(const PushUrl& url, std::string_view main_key, std::string_view backup_key,
                        std::chrono::sys_seconds now) {
    return check(url.host, url.stream_name, url.query, key_texts(main_key, backup_key), now);
}

UrlCheck check_play_url(const PlayUrl& url, std::string_view main_key, std::string_view backup_key,
                        std::chrono::sys_seconds now) {
    return check(url.host, url.stream_name, url.query, key_texts(main_key, backup_key), now);
}

}  // namespace livecanary::protocol
