#include "probes/protocol/cdn_auth.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <utility>
#include <vector>

#include "probes/core/error_table.hpp"
#include "probes/protocol/ascii.hpp"
#include "probes/protocol/percent_encoding.hpp"

namespace livecanary::protocol {
namespace {

using namespace std::chrono_literals;

constexpr auto china = 8h;  // ahead of UTC, in all seasons
constexpr std::size_t calendar_digits = 12, decimal_digits = 10, hex_digits = 8;

struct Url {
    std::string_view origin;  // scheme and host
    std::string_view path;    // from its '/'
    std::string_view query;
    bool has_query = false;
};

result<Url> split_url(std::string_view text) {
    if (text.size() > max_cdn_url_size) return CdnAuthError::too_long;
    if (!std::ranges::all_of(text, [](char c) { return is_visible(c) && c != '#'; }))
        return CdnAuthError::forbidden_byte;
    const std::string lower = ascii_lower(text.substr(0, 8));
    const std::size_t host = lower.starts_with("http://") ? 7 : lower == "https://" ? 8 : 0;
    if (host == 0) return CdnAuthError::bad_url;
    Url url;
    const auto question = text.find('?');
    if (question != text.npos) {
        url.has_query = true;
        url.query = text.substr(question + 1);
        text = text.substr(0, question);
    }
    const auto slash = text.find('/', host);
    if (slash == text.npos || slash == host || slash + 1 == text.size()) return CdnAuthError::bad_url;
    url.origin = text.substr(0, slash);
    url.path = text.substr(slash);
    if (url.origin.find('@') != url.origin.npos) return CdnAuthError::bad_url;
    return url;
}

std::string time_text(std::chrono::sys_seconds time, CdnTime format) {
    time = std::max(time, std::chrono::sys_seconds());
    const auto count = time.time_since_epoch().count();
    if (format == CdnTime::decimal) return std::to_string(count);
    std::array<char, 40> text;
    if (format == CdnTime::hex) {
        const auto end = std::to_chars(text.data(), text.data() + text.size(), count, 16).ptr;
        return {text.data(), end};
    }
    const auto local = time + china;
    const auto day = std::chrono::floor<std::chrono::days>(local);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(local - day);
    std::snprintf(text.data(), text.size(), "%04d%02u%02u%02d%02d", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()));
    return text.data();
}

template <class Number>
std::optional<Number> number(std::string_view text, int base = 10) {
    Number value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (ec != std::errc() || end != text.data() + text.size() || text.front() == '-') return std::nullopt;
    return value;
}

std::optional<std::chrono::sys_seconds> calendar_time(std::string_view text) {
    if (text.size() != calendar_digits || !std::ranges::all_of(text, is_digit)) return std::nullopt;
    const auto part = [&](std::size_t from, std::size_t size) {
        return *number<unsigned>(text.substr(from, size));
    };
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(part(0, 4))),
                                           std::chrono::month(part(4, 2)), std::chrono::day(part(6, 2))};
    if (!date.ok() || part(8, 2) > 23 || part(10, 2) > 59) return std::nullopt;
    return std::chrono::sys_days(date) + std::chrono::hours(part(8, 2)) + std::chrono::minutes(part(10, 2)) -
           china;
}

// Decimal Unix seconds have 10 digits from 2001 to 2286, hexadecimal ones 8 from 1978 to 2106.
CdnTime format_of(std::string_view text, CdnTime configured) {
    if (!std::ranges::all_of(text, is_digit) || text.size() == hex_digits) return CdnTime::hex;
    if (text.size() == decimal_digits) return CdnTime::decimal;
    return configured;
}

std::optional<std::chrono::sys_seconds> unix_time(std::string_view text, CdnTime format) {
    constexpr std::size_t max_digits = 11;  // more would only be a way to overflow
    if (text.empty() || text.size() > max_digits) return std::nullopt;
    const auto count = number<std::int64_t>(text, format == CdnTime::hex ? 16 : 10);
    if (!count) return std::nullopt;
    return std::chrono::sys_seconds(std::chrono::seconds(*count));
}

std::string hashed_text(CdnAuthType type, CdnOrder order, std::string_view key, std::string_view path,
                        std::string_view time, std::string_view rand, std::string_view uid) {
    std::string text;
    if (type == CdnAuthType::a) {
        for (const auto part : {path, time, rand, uid}) text.append(part).append("-");
        return text.append(key);
    }
    if (order == CdnOrder::time_first) std::swap(path, time);
    return text.append(key).append(path).append(time);
}

struct Parameter {
    std::string_view name, value;
};

std::vector<Parameter> parameters(std::string_view query) {
    std::vector<Parameter> found;
    while (!query.empty()) {
        const auto text = query.substr(0, query.find('&'));
        const auto equals = std::min(text.find('='), text.size());
        found.push_back({text.substr(0, equals), text.substr(std::min(equals + 1, text.size()))});
        query.remove_prefix(std::min(text.size() + 1, query.size()));
    }
    return found;
}

bool is_digest(std::string_view text) {
    constexpr std::size_t md5_digits = 32, sha256_digits = 64;
    return (text.size() == md5_digits || text.size() == sha256_digits) &&
           std::ranges::all_of(text, is_hex_digit);
}

// A URL of the form of one type. The texts point into it.
struct Signed {
    CdnAuthType type = CdnAuthType::a;
    std::string_view path{}, time{}, rand{}, uid{}, digest{};
    bool other_parameters = false;
    bool repeated = false;
};

std::optional<Signed> read_query(const Url& url, const CdnAuth& auth, CdnAuthType type) {
    const auto all = parameters(url.query);
    const auto sign = std::ranges::find(all, auth.sign_parameter, &Parameter::name);
    if (sign == all.end()) return std::nullopt;
    Signed found{.type = type, .path = url.path};
    auto own = std::ranges::count(all, auth.sign_parameter, &Parameter::name);
    found.repeated = own > 1;
    if (type == CdnAuthType::d) {
        const auto time = std::ranges::find(all, auth.time_parameter, &Parameter::name);
        if (time == all.end() || !is_digest(sign->value)) return std::nullopt;
        const auto times = std::ranges::count(all, auth.time_parameter, &Parameter::name);
        found.repeated = found.repeated || times > 1;
        own += times;
        found.digest = sign->value;
        found.time = time->value;
    } else {
        std::string_view rest = sign->value;
        for (auto* const part : {&found.time, &found.rand, &found.uid}) {
            const auto dash = rest.find('-');
            if (dash == rest.npos) return std::nullopt;
            *part = rest.substr(0, dash);
            rest.remove_prefix(dash + 1);
        }
        if (!is_digest(rest)) return std::nullopt;
        found.digest = rest;
    }
    found.other_parameters = std::cmp_not_equal(own, all.size());
    return found;
}

std::optional<Signed> read_path(const Url& url, CdnAuthType type) {
    const auto second = url.path.find('/', 1);
    if (second == url.path.npos) return std::nullopt;
    const auto third = url.path.find('/', second + 1);
    if (third == url.path.npos || third + 1 == url.path.size()) return std::nullopt;
    const auto one = url.path.substr(1, second - 1), two = url.path.substr(second + 1, third - second - 1);
    Signed found{.type = type, .path = url.path.substr(third), .other_parameters = url.has_query};
    found.time = type == CdnAuthType::b ? one : two;
    found.digest = type == CdnAuthType::b ? two : one;
    if (!is_digest(found.digest) || !std::ranges::all_of(found.time, is_hex_digit)) return std::nullopt;
    return found;
}

std::optional<Signed> read(const Url& url, const CdnAuth& auth) {
    using enum CdnAuthType;
    for (const auto type : {auth.type, d, a, b, c}) {
        const auto found = type == a || type == d ? read_query(url, auth, type) : read_path(url, type);
        if (found) return found;
    }
    return std::nullopt;
}

CdnMatch match(const Signed& found, CdnOrder order, Digest hash, std::string_view main_key,
               std::string_view backup_key) {
    const std::string wanted = ascii_lower(found.digest);
    std::vector<std::string> paths{std::string(found.path)}, times{std::string(found.time)};
    if (const auto decoded = percent_decode(found.path); decoded && *decoded != found.path)
        paths.push_back(*decoded);
    for (const auto& other : {ascii_upper(found.time), ascii_lower(found.time)})
        if (other != found.time) times.push_back(other);
    std::vector<CdnOrder> orders{order};
    if (found.type != CdnAuthType::a)
        orders.push_back(order == CdnOrder::path_first ? CdnOrder::time_first : CdnOrder::path_first);
    for (const auto& key : key_texts(main_key, backup_key))
        for (const auto& path : paths)
            for (const auto& time : times)
                for (const auto tried : orders) {
                    const auto text =
                        hashed_text(found.type, tried, key.text, path, time, found.rand, found.uid);
                    if (!same_digest(hex_digest(hash, text), wanted)) continue;
                    return {.key = key.key,
                            .other_order = tried != order,
                            .path_decoded = path != found.path,
                            .time_case_changed = time != found.time,
                            .digest_capitals = wanted != found.digest,
                            .stray_space = key.stray_space};
                }
    return {};
}

bool is_plain(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return is_letter(c) || is_digit(c); });
}

}  // namespace

error_code make_error_code(CdnAuthError error) noexcept {
    using enum CdnAuthError;
    static const ErrorTable<CdnAuthError> table{
        "livecanary.cdn_auth",
        {{too_long, "the URL is longer than 4096 bytes", Reason::mismatch},
         {forbidden_byte, "the URL holds '#', or a byte that must be percent-encoded", Reason::mismatch},
         {bad_url, "the URL is not of the form http[s]://host/path", Reason::mismatch},
         {has_query, "a URL with a query cannot be signed for the CDN", Reason::mismatch},
         {bad_rand, "rand and uid take letters and digits only", Reason::mismatch}}};
    return {static_cast<int>(error), table};
}

CdnOrder CdnAuth::actual_order() const noexcept {
    if (order != CdnOrder::by_type) return order;
    return type == CdnAuthType::b ? CdnOrder::time_first : CdnOrder::path_first;
}

CdnTime CdnAuth::actual_time() const noexcept {
    if (type == CdnAuthType::b) return CdnTime::calendar;
    if (time == CdnTime::decimal || time == CdnTime::hex) return time;
    return type == CdnAuthType::c ? CdnTime::hex : CdnTime::decimal;
}

result<std::string> cdn_sign(std::string_view url, const CdnAuth& auth, std::string_view key,
                             std::chrono::sys_seconds signed_at, std::string_view rand,
                             std::string_view uid) {
    const auto parts = split_url(url);
    if (!parts) return parts.error();
    if (parts->has_query) return CdnAuthError::has_query;
    if (!is_plain(rand) || !is_plain(uid)) return CdnAuthError::bad_rand;
    const std::string time = time_text(signed_at, auth.actual_time());
    const std::string digest =
        hex_digest(auth.hash, hashed_text(auth.type, auth.actual_order(), key, parts->path, time, rand, uid));
    const std::string origin(parts->origin), path(parts->path);
    switch (auth.type) {
        case CdnAuthType::a:
            return origin + path + "?" + auth.sign_parameter + "=" + time + "-" + std::string(rand) + "-" +
                   std::string(uid) + "-" + digest;
        case CdnAuthType::b:
            return origin + "/" + time + "/" + digest + path;
        case CdnAuthType::c:
            return origin + "/" + digest + "/" + time + path;
        case CdnAuthType::d:
            break;
    }
    return origin + path + "?" + auth.sign_parameter + "=" + digest + "&" + auth.time_parameter + "=" + time;
}

result<CdnCheck> check_cdn_url(std::string_view url, const CdnAuth& auth, std::string_view main_key,
                               std::string_view backup_key) {
    const auto parts = split_url(url);
    if (!parts) return parts.error();
    CdnCheck found;
    const auto as_signed = read(*parts, auth);
    if (!as_signed) return found;
    // Where another type was used than configured, its own ways are the ones to expect.
    CdnAuth actual = auth;
    if (as_signed->type != auth.type) {
        actual.type = as_signed->type;
        actual.order = CdnOrder::by_type;
        actual.time = CdnTime::by_type;
    }
    found.type = as_signed->type;
    found.hash = as_signed->digest.size() == 64 ? Digest::sha256 : Digest::md5;
    found.other_parameters = as_signed->other_parameters;
    found.repeated = as_signed->repeated;
    if (found.type == CdnAuthType::b) {
        found.time = CdnTime::calendar;
        found.signed_at = calendar_time(as_signed->time);
    } else {
        found.time = format_of(as_signed->time, actual.actual_time());
        found.signed_at = unix_time(as_signed->time, found.time);
    }
    found.match = match(*as_signed, actual.actual_order(), found.hash, main_key, backup_key);
    return found;
}

}  // namespace livecanary::protocol
