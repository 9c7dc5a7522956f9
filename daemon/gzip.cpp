#include "daemon/gzip.hpp"

#define ZLIB_CONST  // next_in points to const
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>

#include <boost/algorithm/string/predicate.hpp>

namespace livecanary::daemon {
namespace {

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t";
    const auto first = text.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

/// Cuts what is before `separator` off the front of `text`.
std::string_view cut(std::string_view& text, char separator) {
    const auto at = std::min(text.find(separator), text.size());
    const auto front = text.substr(0, at);
    text.remove_prefix(std::min(at + 1, text.size()));
    return trimmed(front);
}

/// Whether the parameters of a coding hold a weight of 0: "q=0", "q=0.000".
bool weighs_nothing(std::string_view parameters) {
    while (!parameters.empty()) {
        const auto parameter = cut(parameters, ';');
        if (!parameter.starts_with("q=") && !parameter.starts_with("Q=")) continue;
        return parameter.find_first_not_of("0.", 2) == std::string_view::npos;
    }
    return false;
}

}  // namespace

bool accepts_gzip(std::string_view accept_encoding) {
    bool any = false;
    while (!accept_encoding.empty()) {
        auto parameters = cut(accept_encoding, ',');
        const auto coding = cut(parameters, ';');
        const bool allowed = !weighs_nothing(parameters);
        // A coding that is named counts for more than `*`.
        if (boost::algorithm::iequals(coding, "gzip") || boost::algorithm::iequals(coding, "x-gzip"))
            return allowed;
        if (coding == "*") any = allowed;
    }
    return any;
}

std::string gzip(std::string_view plain) {
    constexpr int gzip_window = 15 + 16;  // the largest window; 16 asks for gzip's header (zlib.h)
    constexpr int memory_level = 8;       // zlib's default
    z_stream stream{};
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, gzip_window, memory_level, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        throw std::bad_alloc();
    std::string packed;
    std::array<unsigned char, 64 * 1024> chunk;
    int state = Z_OK;
    while (state == Z_OK) {
        if (stream.avail_in == 0 && !plain.empty()) {
            const auto part = plain.substr(0, std::numeric_limits<uInt>::max());
            plain.remove_prefix(part.size());
            stream.next_in = reinterpret_cast<const Bytef*>(part.data());
            stream.avail_in = static_cast<uInt>(part.size());
        }
        stream.next_out = chunk.data();
        stream.avail_out = static_cast<uInt>(chunk.size());
        state = deflate(&stream, plain.empty() ? Z_FINISH : Z_NO_FLUSH);
        packed.append(reinterpret_cast<const char*>(chunk.data()), chunk.size() - stream.avail_out);
    }
    deflateEnd(&stream);
    return packed;
}

}  // namespace livecanary::daemon
