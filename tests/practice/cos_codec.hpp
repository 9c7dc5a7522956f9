#pragma once
// Bytes and texts as both APIs of the practice store write them. Not the library of the probes, which is what
// is tested against it.
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/types.h>

namespace livecanary::practice::codec {

std::string lower_case(std::string_view text);
std::string hex(std::string_view bytes);
/// Bytes. Throws std::runtime_error if OpenSSL lacks it.
std::string digest(const EVP_MD* algorithm, std::string_view text);
/// Bytes. Throws likewise.
std::string hmac_sha1(std::string_view key, std::string_view text);
std::string base64(std::string_view bytes);
/// Nothing if an escape is broken. A plus is a plus.
std::optional<std::string> percent_decoded(std::string_view text);
/// An empty text has no parts.
std::vector<std::string_view> split(std::string_view text, char separator);

/// Nothing if the text is anything else besides.
template <class Number>
std::optional<Number> number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace livecanary::practice::codec
