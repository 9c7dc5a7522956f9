#pragma once
// Percent-encoding of URLs (RFC 3986 §2.1).
#include <optional>
#include <string>
#include <string_view>

namespace livecanary::protocol {

/// Everything but `A-Z a-z 0-9 - _ . ~` becomes %XX with capitals.
std::string percent_encode(std::string_view text);
/// The same, but '/' stays.
std::string percent_encode_path(std::string_view text);
/// Nothing if a '%' is not followed by two hexadecimal digits. '+' stays '+'.
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace livecanary::protocol
