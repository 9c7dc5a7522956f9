#pragma once
// Digests and the texts they travel as: what every signature of the cloud is made of.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace livecanary::protocol {

enum class Digest { md5, sha1, sha256 };

// These three throw std::runtime_error if OpenSSL refuses the digest (a FIPS provider refuses MD5).
std::vector<std::uint8_t> digest(Digest kind, std::string_view text);
std::string hex_digest(Digest kind, std::string_view text);
/// RFC 2104. Neither key nor text has a limit.
std::vector<std::uint8_t> hmac(Digest kind, std::string_view key, std::string_view text);

/// Two lower-case digits a byte.
std::string lower_hex(std::span<const std::uint8_t> bytes);

/// The standard alphabet, with padding (RFC 4648 §4).
std::string base64(std::span<const std::uint8_t> bytes);
/// Nothing unless `text` is what base64() writes: no white space, padded, unused bits zero.
std::optional<std::vector<std::uint8_t>> base64_decode(std::string_view text);

/// Compares in a time that does not tell how much of `b` is right.
bool same_digest(std::string_view a, std::string_view b) noexcept;

}  // namespace livecanary::protocol
