#pragma once
// The character classes and letter cases of ASCII, whatever locale the process has set.
#include <string>
#include <string_view>

namespace livecanary::protocol {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_hex_digit(char c) noexcept {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
constexpr bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
/// Neither white space nor control byte nor beyond ASCII.
constexpr bool is_visible(char c) noexcept { return c > ' ' && c < '\x7f'; }

/// Bytes beyond ASCII stay as they are.
std::string ascii_lower(std::string_view text);
std::string ascii_upper(std::string_view text);

}  // namespace livecanary::protocol
