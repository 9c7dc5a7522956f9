// What was read is bounded, written and read back the same. A first byte of 'j' takes the rest as JSON and
// packs it, so that the fuzzer reaches what is behind zlib.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "probes/protocol/digest.hpp"
#include "probes/protocol/user_sig.hpp"

#include <zlib.h>

namespace {

using namespace livecanary::protocol;

void require(bool holds) {
    if (!holds) std::abort();
}

std::string packed(std::string_view text) {
    uLongf size = compressBound(static_cast<uLong>(text.size()));
    std::string bytes(size, '\0');
    compress(reinterpret_cast<Bytef*>(bytes.data()), &size, reinterpret_cast<const Bytef*>(text.data()),
             static_cast<uLong>(text.size()));
    std::string out = base64({reinterpret_cast<const std::uint8_t*>(bytes.data()), size});
    for (char& c : out) c = c == '+' ? '*' : c == '/' ? '-' : c == '=' ? '_' : c;
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto read = parse_user_sig(input.starts_with('j') ? packed(input.substr(1)) : std::string(input));
    if (!read) return 0;
    require(read->identifier.size() + read->userbuf.size() + read->sig.size() <= max_user_sig_json);
    const std::string text = write_user_sig(*read);
    // Ours may be longer than what was read, where that was not escaped.
    if (const auto again = parse_user_sig(text)) require(*again == *read);
    const auto check = check_user_sig(*read, {read->identifier, read->sdkappid, "key"}, read->time);
    require(!check.identifier_differs && check.made_ahead.count() == 0);
    return 0;
}
