#include "probes/protocol/digest.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace livecanary::protocol {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const EVP_MD* of_openssl(Digest kind) {
    switch (kind) {
        case Digest::md5:
            return EVP_md5();
        case Digest::sha1:
            return EVP_sha1();
        case Digest::sha256:
            break;
    }
    return EVP_sha256();
}

using Room = std::array<std::uint8_t, EVP_MAX_MD_SIZE>;

std::vector<std::uint8_t> first(const Room& room, unsigned size) {
    return {room.begin(), room.begin() + size};
}

}  // namespace

std::vector<std::uint8_t> digest(Digest kind, std::string_view text) {
    Room room;
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), room.data(), &size, of_openssl(kind), nullptr) != 1)
        throw std::runtime_error("OpenSSL refused a digest");
    return first(room, size);
}

std::string hex_digest(Digest kind, std::string_view text) { return lower_hex(digest(kind, text)); }

std::vector<std::uint8_t> hmac(Digest kind, std::string_view key, std::string_view text) {
    // HMAC() takes the size as int, and no null pointer for a key that is empty. A longer key is hashed
    // first by HMAC's own definition.
    const EVP_MD* const md = of_openssl(kind);
    std::vector<std::uint8_t> short_key(key.begin(), key.end());
    if (key.size() > static_cast<std::size_t>(EVP_MD_get_block_size(md))) short_key = digest(kind, key);
    short_key.push_back(0);
    Room room;
    unsigned size = 0;
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (HMAC(md, short_key.data(), static_cast<int>(short_key.size() - 1), bytes, text.size(), room.data(),
             &size) == nullptr)
        throw std::runtime_error("OpenSSL refused an HMAC");
    OPENSSL_cleanse(short_key.data(), short_key.size());
    return first(room, size);
}

std::string lower_hex(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string hex;
    hex.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        hex += digits[byte >> 4];
        hex += digits[byte & 15];
    }
    return hex;
}

std::string base64(std::span<const std::uint8_t> bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    while (!bytes.empty()) {
        const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), 3));
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < piece.size() ? piece[i] : 0u);
        for (std::size_t i = 0; i < 4; ++i)
            out += i <= piece.size() ? alphabet[bits >> (18 - 6 * i) & 63] : '=';
        bytes = bytes.subspan(piece.size());
    }
    return out;
}

std::optional<std::vector<std::uint8_t>> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::vector<std::uint8_t> out;
    out.reserve(text.size() / 4 * 3);
    for (; !text.empty(); text.remove_prefix(4)) {
        const std::size_t padding = text.size() > 4 || text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            const auto value = i < 4 - padding ? alphabet.find(text[i]) : 0;
            if (value == alphabet.npos) return std::nullopt;
            bits = bits << 6 | static_cast<std::uint32_t>(value);
        }
        if (padding > 0 && (bits & ((1u << 8 * padding) - 1)) != 0) return std::nullopt;
        for (std::size_t i = 0; i < 3 - padding; ++i)
            out.push_back(static_cast<std::uint8_t>(bits >> (16 - 8 * i) & 255));
    }
    return out;
}

bool same_digest(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace livecanary::protocol
