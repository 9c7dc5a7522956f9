#include "probes/protocol/percent_encoding.hpp"

#include <charconv>

#include "probes/protocol/ascii.hpp"

namespace livecanary::protocol {
namespace {

std::string encode(std::string_view text, std::string_view kept) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        if (is_letter(c) || is_digit(c) || kept.find(c) != kept.npos) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

}  // namespace

std::string percent_encode(std::string_view text) { return encode(text, "-_.~"); }
std::string percent_encode_path(std::string_view text) { return encode(text, "-_.~/"); }

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const auto hex = text.substr(i + 1, 2);
        if (hex.size() < 2 || !is_hex_digit(hex[0]) || !is_hex_digit(hex[1])) return std::nullopt;
        unsigned byte = 0;
        std::from_chars(hex.data(), hex.data() + 2, byte, 16);
        out += static_cast<char>(byte);
        i += 2;
    }
    return out;
}

}  // namespace livecanary::protocol
