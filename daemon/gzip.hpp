#pragma once
// Content coding `gzip` (RFC 9110 §8.4.1.3): whether a client takes it, and the coding itself.
#include <string>
#include <string_view>

namespace livecanary::daemon {

/// Whether an `Accept-Encoding` (RFC 9110 §12.5.3) allows gzip: named or by `*`, with a weight other than 0.
bool accepts_gzip(std::string_view accept_encoding);

/// `plain` as one gzip member, at zlib's fastest level: metrics shrink to a tenth even so.
std::string gzip(std::string_view plain);

}  // namespace livecanary::daemon
