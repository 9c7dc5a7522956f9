#include "probes/protocol/cos_sign.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "probes/core/error_table.hpp"
#include "probes/protocol/ascii.hpp"
#include "probes/protocol/digest.hpp"
#include "probes/protocol/percent_encoding.hpp"

namespace livecanary::protocol {
namespace {

using Mistake = CosMatch::Mistake;

enum Position { algorithm, secret_id, sign_time, key_time, header_list, parameter_list, signature };
constexpr std::array<std::string_view, 7> field_names{"q-sign-algorithm", "q-ak",          "q-sign-time",
                                                      "q-key-time",       "q-header-list", "q-url-param-list",
                                                      "q-signature"};

std::string canonical_name(std::string_view name) { return ascii_lower(percent_encode(name)); }

struct Pair {
    std::string name;   // canonical
    std::string value;  // as it is
};

std::vector<Pair> canonical(const std::vector<CosField>& fields) {
    std::vector<Pair> pairs;
    // What has no name, such as the parameter of "?=x", cannot be named in a list.
    for (const auto& field : fields)
        if (!field.name.empty()) pairs.push_back({canonical_name(field.name), field.value});
    std::ranges::stable_sort(pairs, {}, &Pair::name);
    return pairs;
}

std::string joined(const std::vector<Pair>& pairs, bool encoded) {
    std::string text;
    for (const auto& pair : pairs) {
        if (!text.empty()) text += '&';
        text.append(pair.name).append("=").append(encoded ? percent_encode(pair.value) : pair.value);
    }
    return text;
}

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& name : names) {
        if (&name != &names.front()) text += ';';
        text += name;
    }
    return text;
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    if (text.empty()) return parts;
    for (;;) {
        const auto end = std::min(text.find(separator), text.size());
        parts.emplace_back(text.substr(0, end));
        if (end == text.size()) return parts;
        text.remove_prefix(end + 1);
    }
}

std::vector<std::string> names_of(const std::vector<Pair>& pairs) {
    std::vector<std::string> names;
    for (const auto& pair : pairs) names.push_back(pair.name);
    return names;
}

std::string http_string(const std::string& method, const std::string& path,
                        const std::vector<Pair>& parameters, const std::vector<Pair>& headers,
                        bool encoded = true) {
    return ascii_lower(method) + "\n" + path + "\n" + joined(parameters, encoded) + "\n" +
           joined(headers, encoded) + "\n";
}

std::string string_to_sign(const std::string& http, const KeyTime& time) {
    return "sha1\n" + time.to_string() + "\n" + hex_digest(Digest::sha1, http) + "\n";
}

std::string hex_hmac(std::string_view key, std::string_view text) {
    return lower_hex(hmac(Digest::sha1, key, text));
}

std::string_view name_of(std::string_view parameter) { return parameter.substr(0, parameter.find('=')); }

bool is_field(std::string_view parameter) {
    return std::ranges::find(field_names, name_of(parameter)) != field_names.end();
}

// One name and value a piece; `decode` for a query.
result<CosAuthorization> parse(std::string_view text, bool decode) {
    if (text.size() > max_cos_text_size) return CosSignError::too_long;
    std::array<std::optional<std::string>, field_names.size()> values;
    for (const auto& piece : split(text, '&')) {
        const auto* const known = std::ranges::find(field_names, name_of(piece));
        if (known == field_names.end()) continue;
        auto& value = values[static_cast<std::size_t>(known - field_names.begin())];
        if (value) return CosSignError::repeated_field;
        const std::string written = piece.substr(std::min(known->size() + 1, piece.size()));
        value = decode ? percent_decode(written) : written;
        if (!value) return CosSignError::bad_escape;
        if (!std::ranges::all_of(*value, [](char c) { return is_visible(c) && c != '&'; }))
            return CosSignError::forbidden_byte;
    }
    for (const auto& value : values)
        if (!value) return CosSignError::missing_field;
    const auto sign_times = parse_key_time(*values[sign_time]);
    const auto key_times = parse_key_time(*values[key_time]);
    if (!sign_times || !key_times) return CosSignError::bad_time;
    return CosAuthorization{.algorithm = *values[algorithm],
                            .secret_id = *values[secret_id],
                            .sign_time = *sign_times,
                            .key_time = *key_times,
                            .header_list = split(*values[header_list], ';'),
                            .parameter_list = split(*values[parameter_list], ';'),
                            .signature = *values[signature]};
}

std::string composed(const CosAuthorization& from, bool encode) {
    const std::array<std::string, field_names.size()> values{from.algorithm,
                                                             from.secret_id,
                                                             from.sign_time.to_string(),
                                                             from.key_time.to_string(),
                                                             joined(from.header_list),
                                                             joined(from.parameter_list),
                                                             from.signature};
    std::string text;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (i > 0) text += '&';
        text.append(field_names[i]).append("=").append(encode ? percent_encode(values[i]) : values[i]);
    }
    return text;
}

struct Url {
    std::string_view scheme, authority, path, query;
};

result<Url> split_url(std::string_view text) {
    if (text.size() > max_cos_text_size) return CosSignError::too_long;
    // Bytes beyond ASCII may stand for themselves: people copy a URL from where it is shown.
    if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; }))
        return CosSignError::forbidden_byte;
    const auto colon = text.find("://");
    if (colon == text.npos || text.find('#') != text.npos) return CosSignError::bad_url;
    Url url{.scheme = text.substr(0, colon), .authority = {}, .path = {}, .query = {}};
    const std::string scheme = ascii_lower(url.scheme);
    if (scheme != "http" && scheme != "https") return CosSignError::bad_url;
    text.remove_prefix(colon + 3);
    const auto question = std::min(text.find('?'), text.size());
    url.query = text.substr(std::min(question + 1, text.size()));
    text = text.substr(0, question);
    const auto slash = std::min(text.find('/'), text.size());
    url.authority = text.substr(0, slash);
    url.path = text.substr(slash);
    if (url.authority.empty() || url.authority.find('@') != url.authority.npos) return CosSignError::bad_url;
    return url;
}

std::string host_of(const Url& url) {
    const std::string_view port = ascii_lower(url.scheme) == "http" ? ":80" : ":443";
    auto host = url.authority;
    if (host.ends_with(port)) host.remove_suffix(port.size());
    return std::string(host);
}

// What a list names of the fields there are; names that are not among them go to `missing`.
std::vector<Pair> selected(const std::vector<std::string>& list, const std::vector<Pair>& fields,
                           std::vector<std::string>& missing) {
    std::vector<Pair> found;
    for (const auto& written : list) {
        const std::string name = ascii_lower(written);
        const auto at = std::ranges::find(fields, name, &Pair::name);
        if (at == fields.end())
            missing.push_back(written);
        else
            found.push_back(*at);
    }
    return found;
}

bool is_canonical(const std::vector<std::string>& list) {
    return std::ranges::is_sorted(list) &&
           std::ranges::all_of(list, [](const auto& name) { return ascii_lower(name) == name; });
}

bool names(const std::vector<std::string>& list, const std::string& name) {
    return std::ranges::any_of(list, [&](const auto& written) { return ascii_lower(written) == name; });
}

struct SignKey {
    std::string text;
    KeySpace stray_space;
};

std::vector<SignKey> sign_keys(const CosKeys& keys, const KeyTime& time) {
    std::vector<SignKey> found;
    for (const auto& key : key_texts(keys.sign_key)) found.push_back({key.text, key.stray_space});
    for (const auto& key : key_texts(keys.secret_key))
        found.push_back({cos_sign_key(key.text, time), key.stray_space});
    return found;
}

std::optional<std::string> from_hex(std::string_view text) {
    if (text.size() % 2 != 0 || !std::ranges::all_of(text, is_hex_digit)) return std::nullopt;
    std::string bytes;
    for (; !text.empty(); text.remove_prefix(2)) {
        unsigned byte = 0;
        std::from_chars(text.data(), text.data() + 2, byte, 16);
        bytes += static_cast<char>(byte);
    }
    return bytes;
}

struct Candidate {
    Mistake mistake;
    std::string string_to_sign;
};

CosMatch match(const CosAuthorization& authorization, const CosRequest& request, std::vector<Pair> parameters,
               std::vector<Pair> headers, const std::vector<SignKey>& keys) {
    const auto to_sign = [&](const std::string& path, bool encoded = true) {
        return string_to_sign(http_string(request.method, path, parameters, headers, encoded),
                              authorization.sign_time);
    };
    std::vector<Candidate> candidates{{Mistake::unsorted, to_sign(request.path)}};
    std::ranges::stable_sort(parameters, {}, &Pair::name);
    std::ranges::stable_sort(headers, {}, &Pair::name);
    // The right way first: where the lists are sorted, both are the same.
    candidates.insert(candidates.begin(), {Mistake::none, to_sign(request.path)});
    candidates.push_back({Mistake::path_encoded, to_sign(percent_encode_path(request.path))});
    candidates.push_back({Mistake::values_not_encoded, to_sign(request.path, false)});

    const std::string wanted = ascii_lower(authorization.signature);
    const bool capitals = wanted != authorization.signature;
    for (const auto& key : keys) {
        for (const auto& candidate : candidates)
            if (same_digest(hex_hmac(key.text, candidate.string_to_sign), wanted))
                return {KeyFound::main, candidate.mistake, capitals, key.stray_space};
        const auto binary = from_hex(key.text);
        if (binary && same_digest(hex_hmac(*binary, candidates.front().string_to_sign), wanted))
            return {KeyFound::main, Mistake::sign_key_binary, capitals, key.stray_space};
    }
    return {};
}

}  // namespace

error_code make_error_code(CosSignError error) noexcept {
    using enum CosSignError;
    static const ErrorTable<CosSignError> table{
        "livecanary.cos_sign",
        {{too_long, "the text is longer than 8 KiB", Reason::mismatch},
         {forbidden_byte, "the text holds white space, a control byte or another that cannot stand there",
          Reason::mismatch},
         {bad_method, "the method is not a word such as PUT", Reason::mismatch},
         {bad_url, "the URL is not of the form http[s]://host/path?query", Reason::mismatch},
         {bad_escape, "a '%' is not followed by two hexadecimal digits", Reason::mismatch},
         {missing_field, "one of the seven q-… fields of a COS signature is missing", Reason::mismatch},
         {repeated_field, "one of the q-… fields of a COS signature stands there twice", Reason::mismatch},
         {bad_time, "the time of a COS signature is not two Unix seconds with ';' between them",
          Reason::mismatch}}};
    return {static_cast<int>(error), table};
}

std::string KeyTime::to_string() const {
    return std::to_string(start.time_since_epoch().count()) + ";" +
           std::to_string(end.time_since_epoch().count());
}

result<KeyTime> parse_key_time(std::string_view text) {
    constexpr std::size_t max_digits = 11;
    const auto number = [](std::string_view digits) -> std::optional<std::chrono::sys_seconds> {
        std::uint64_t count = 0;
        const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
        if (ec != std::errc() || end != digits.data() + digits.size() || digits.size() > max_digits ||
            (digits.size() > 1 && digits.front() == '0'))
            return std::nullopt;
        return std::chrono::sys_seconds(std::chrono::seconds(static_cast<std::int64_t>(count)));
    };
    const auto semicolon = text.find(';');
    if (semicolon == text.npos) return CosSignError::bad_time;
    const auto start = number(text.substr(0, semicolon)), end = number(text.substr(semicolon + 1));
    if (!start || !end) return CosSignError::bad_time;
    return KeyTime{*start, *end};
}

std::string cos_sign_key(std::string_view secret_key, const KeyTime& key_time) {
    return hex_hmac(secret_key, key_time.to_string());
}

result<CosRequest> cos_request(std::string_view method, std::string_view url, std::vector<CosField> headers) {
    if (method.empty() || !std::ranges::all_of(method, is_letter)) return CosSignError::bad_method;
    const auto parts = split_url(url);
    if (!parts) return parts.error();
    CosRequest request{.method = std::string(method), .headers = std::move(headers)};
    const auto path = percent_decode(parts->path);
    if (!path) return CosSignError::bad_escape;
    if (!path->empty()) request.path = *path;
    for (const auto& piece : split(parts->query, '&')) {
        if (piece.empty() || is_field(piece)) continue;
        const auto written = name_of(piece);
        const auto name = percent_decode(written);
        const auto value = percent_decode(piece.substr(std::min(written.size() + 1, piece.size())));
        if (!name || !value) return CosSignError::bad_escape;
        request.parameters.push_back({*name, *value});
    }
    const auto is_host = [](const CosField& field) { return ascii_lower(field.name) == "host"; };
    if (std::ranges::none_of(request.headers, is_host)) request.headers.push_back({"Host", host_of(*parts)});
    return request;
}

bool cos_sdk_signs(std::string_view header_name) {
    static constexpr std::array<std::string_view, 13> whole{"cache-control",
                                                            "content-disposition",
                                                            "content-encoding",
                                                            "content-length",
                                                            "content-md5",
                                                            "content-type",
                                                            "expect",
                                                            "expires",
                                                            "host",
                                                            "origin",
                                                            "range",
                                                            "transfer-encoding",
                                                            "pic-operations"};
    const std::string name = ascii_lower(header_name);
    if (name == "x-cos-security-token") return false;
    return name.starts_with("x-cos-") || name.starts_with("x-ci-") || name.starts_with("if-") ||
           std::ranges::find(whole, name) != whole.end();
}

std::string cos_http_string(const CosRequest& request) {
    return http_string(request.method, request.path, canonical(request.parameters),
                       canonical(request.headers));
}

std::string cos_string_to_sign(const CosRequest& request, const KeyTime& key_time) {
    return string_to_sign(cos_http_string(request), key_time);
}

std::string CosAuthorization::header() const { return composed(*this, false); }
std::string CosAuthorization::query() const { return composed(*this, true); }

CosAuthorization cos_sign(const CosRequest& request, std::string_view secret_id, std::string_view sign_key,
                          const KeyTime& key_time) {
    return {.secret_id = std::string(secret_id),
            .sign_time = key_time,
            .key_time = key_time,
            .header_list = names_of(canonical(request.headers)),
            .parameter_list = names_of(canonical(request.parameters)),
            // The text of SignKey is the key, not the bytes it stands for.
            .signature = hex_hmac(sign_key, cos_string_to_sign(request, key_time))};
}

std::string cos_signed_url(std::string_view url, const CosAuthorization& authorization) {
    const auto question = std::min(url.find('?'), url.size());
    std::string text(url.substr(0, question));
    text += '?';
    for (const auto& piece : split(url.substr(std::min(question + 1, url.size())), '&'))
        if (!is_field(piece)) text += piece + "&";
    return text + authorization.query();
}

result<CosAuthorization> parse_cos_authorization(std::string_view text) { return parse(text, false); }
result<CosAuthorization> parse_cos_query(std::string_view query) { return parse(query, true); }

CosCheck check_cos(const CosAuthorization& authorization, const CosRequest& request, CosKeys keys,
                   std::chrono::sys_seconds now) {
    const auto& sign = authorization.sign_time;
    const auto& key = authorization.key_time;
    const auto headers = canonical(request.headers), parameters = canonical(request.parameters);

    CosCheck found;
    found.algorithm_known = authorization.algorithm == "sha1";
    found.times_differ = sign != key;
    found.ends_before_start = sign.end < sign.start || key.end < key.start;
    found.expired_for = now - std::min(sign.end, key.end);
    found.starts_in = std::max(sign.start, key.start) - now;
    found.lists_canonical =
        is_canonical(authorization.header_list) && is_canonical(authorization.parameter_list);
    for (const auto& field : request.headers)
        if (cos_sdk_signs(field.name) && !names(authorization.header_list, canonical_name(field.name)))
            found.unsigned_headers.push_back(canonical_name(field.name));
    for (const auto& pair : parameters)
        if (pair.name != "x-cos-security-token" && !names(authorization.parameter_list, pair.name))
            found.unsigned_parameters.push_back(pair.name);
    const auto signed_parameters =
        selected(authorization.parameter_list, parameters, found.missing_parameters);
    const auto signed_headers = selected(authorization.header_list, headers, found.missing_headers);
    found.match = match(authorization, request, signed_parameters, signed_headers, sign_keys(keys, key));
    return found;
}

}  // namespace livecanary::protocol
