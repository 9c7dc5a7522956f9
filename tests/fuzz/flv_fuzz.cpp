// Any bytes, in any pieces, give the same tags as all at once; tags written again are read again.
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/flv.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace livecanary::protocol;
    constexpr std::size_t max_body = 256;
    const std::span<const std::uint8_t> bytes(data, size);

    FlvReader whole(max_body), pieces(max_body), rewritten(max_body);
    std::vector<FlvTag> expected, got, again;
    const auto error = whole.feed(bytes, expected);
    for (const std::uint8_t& byte : bytes)
        if (pieces.feed({&byte, 1}, got)) break;
    if (got != expected || pieces.feed({}, got) != error) std::abort();
    if (pieces.wrong_previous_sizes() != whole.wrong_previous_sizes()) std::abort();

    if (rewritten.feed(flv_file_header(true, true), again)) std::abort();
    for (const FlvTag& tag : expected) {
        if (tag.body.size() > max_body) std::abort();
        if (rewritten.feed(flv_tag(tag), again)) std::abort();
    }
    if (again != expected || rewritten.wrong_previous_sizes() != 0) std::abort();
    return 0;
}
