#include "probes/protocol/printable.hpp"

#include <algorithm>

namespace livecanary::protocol {
namespace {

// Longest text of a server that is kept, in bytes.
constexpr std::size_t printable_limit = 512;

// Bytes of the well-formed UTF-8 character that `text` begins with (RFC 3629 §4); 0 if there is none.
std::size_t character_size(std::string_view text) noexcept {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
    // Overlong forms, surrogates, and what lies beyond U+10FFFF.
    const unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (byte(1) < low || byte(1) > high) return 0;
    for (std::size_t at = 2; at < size; ++at)
        if (byte(at) < 0x80 || byte(at) > 0xBF) return 0;
    return size;
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t size = character_size(text);
        const auto lead = static_cast<unsigned char>(text.front());
        // C1 controls (U+0080 to U+009F) command a terminal as C0 does.
        const bool is_c1 = lead == 0xC2 && size == 2 && static_cast<unsigned char>(text[1]) < 0xA0;
        const bool is_control = lead < 0x20 || lead == 0x7F || is_c1;
        const std::string_view shown = size == 0 || is_control ? "?" : text.substr(0, size);
        if (out.size() + shown.size() > printable_limit) break;
        out += shown;
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return out;
}

}  // namespace livecanary::protocol
