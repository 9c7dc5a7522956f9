#include "probes/protocol/cos_v4_sign.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "probes/core/error_table.hpp"
#include "probes/protocol/ascii.hpp"
#include "probes/protocol/digest.hpp"
#include "probes/protocol/percent_encoding.hpp"

namespace livecanary::protocol {
namespace {

constexpr std::size_t mac_size = 20;
constexpr std::string_view names = "abketrf";

std::optional<std::uint64_t> number(std::string_view text, std::size_t max_digits) {
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc() || end != text.data() + text.size() || text.size() > max_digits)
        return std::nullopt;
    return value;
}

std::chrono::sys_seconds unix_time(std::uint64_t count) {
    return std::chrono::sys_seconds(std::chrono::seconds(static_cast<std::int64_t>(count)));
}

result<CosV4Signature> fields_of(std::string_view text) {
    std::array<std::optional<std::string>, names.size()> values;
    while (!text.empty()) {
        const auto piece = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(piece.size() + 1, text.size()));
        if (piece.size() < 2 || piece[1] != '=') continue;
        const auto at = names.find(piece[0]);
        if (at == names.npos) continue;
        if (values[at]) return CosV4Error::repeated_field;
        values[at] = piece.substr(2);
    }
    const auto value = [&](char name) -> const std::string& { return *values[names.find(name)]; };
    for (const auto& each : values)
        if (!each) return CosV4Error::missing_field;
    const auto expires = number(value('e'), 11), signed_at = number(value('t'), 11),
               random = number(value('r'), 10);
    if (!expires || !signed_at || !random) return CosV4Error::bad_number;
    return CosV4Signature{.app_id = value('a'),
                          .bucket = value('b'),
                          .secret_id = value('k'),
                          .expires = unix_time(*expires),
                          .signed_at = unix_time(*signed_at),
                          .random = *random,
                          .file_id = value('f')};
}

std::string mac_of(std::string_view key, std::string_view text) {
    const auto mac = hmac(Digest::sha1, key, text);
    return {mac.begin(), mac.end()};
}

}  // namespace

error_code make_error_code(CosV4Error error) noexcept {
    using enum CosV4Error;
    static const ErrorTable<CosV4Error> table{
        "livecanary.cos_v4",
        {{too_long, "the authorization is longer than 8 KiB", Reason::mismatch},
         {not_base64, "the authorization is not base64", Reason::mismatch},
         {too_short, "the authorization holds no text after its HMAC", Reason::mismatch},
         {forbidden_byte, "the text of the authorization holds white space or a byte that is not ASCII",
          Reason::mismatch},
         {missing_field, "one of the fields a, b, k, e, t, r, f of the authorization is missing",
          Reason::mismatch},
         {repeated_field, "one of the fields of the authorization stands there twice", Reason::mismatch},
         {bad_number, "e, t or r of the authorization is not a number", Reason::mismatch}}};
    return {static_cast<int>(error), table};
}

std::string CosV4Signature::original() const {
    return "a=" + app_id + "&b=" + bucket + "&k=" + secret_id +
           "&e=" + std::to_string(expires.time_since_epoch().count()) +
           "&t=" + std::to_string(signed_at.time_since_epoch().count()) + "&r=" + std::to_string(random) +
           "&f=" + file_id;
}

std::string cos_v4_file_id(std::string_view app_id, std::string_view bucket, std::string_view key) {
    if (key.starts_with('/')) key.remove_prefix(1);
    std::string id = "/";
    return id.append(app_id).append("/").append(bucket).append("/").append(percent_encode_path(key));
}

std::string cos_v4_sign(const CosV4Signature& signature, std::string_view secret_key) {
    const std::string text = signature.original();
    auto bytes = hmac(Digest::sha1, secret_key, text);
    bytes.insert(bytes.end(), text.begin(), text.end());
    return base64(bytes);
}

result<CosV4Authorization> parse_cos_v4_authorization(std::string_view authorization) {
    if (authorization.size() > max_cos_v4_size) return CosV4Error::too_long;
    const auto bytes = base64_decode(authorization);
    if (!bytes) return CosV4Error::not_base64;
    if (bytes->size() <= mac_size) return CosV4Error::too_short;
    const auto middle = bytes->begin() + mac_size;
    CosV4Authorization found{.mac = {bytes->begin(), middle}, .text = {middle, bytes->end()}};
    if (!std::ranges::all_of(found.text, is_visible)) return CosV4Error::forbidden_byte;
    auto fields = fields_of(found.text);
    if (!fields) return fields.error();
    found.fields = *std::move(fields);
    return found;
}

CosV4Check check_cos_v4(const CosV4Authorization& authorization, std::string_view secret_key,
                        std::chrono::sys_seconds now) {
    const auto& fields = authorization.fields;
    const bool single = fields.single_use();
    CosV4Check found;
    if (!single) {
        found.expired_for = now - fields.expires;
        found.ends_before_signed = fields.expires <= fields.signed_at;
        found.lives_too_long = fields.expires - fields.signed_at > max_cos_v4_lifetime;
    }
    found.single_use_without_file = single && fields.file_id.empty();
    found.file_with_end = !single && !fields.file_id.empty();
    found.signed_ahead = fields.signed_at - now;
    for (const auto& key : key_texts(secret_key)) {
        if (!same_digest(mac_of(key.text, authorization.text), authorization.mac)) continue;
        found.key = key.key;
        found.stray_space = key.stray_space;
        break;
    }
    return found;
}

}  // namespace livecanary::protocol
