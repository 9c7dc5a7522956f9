// Whatever decodes also encodes, to bytes that decode to the same; and never more than the bounds allow.
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/rtmp/amf0.hpp"

namespace {

using namespace livecanary::protocol::rtmp;

struct Count {
    std::size_t keys = 0;
    std::size_t values = 0;
    std::size_t depth = 0;
};

void count(const AmfValue& value, std::size_t depth, Count& total) {
    ++total.values;
    total.depth = std::max(total.depth, depth);
    if (const auto* members = value.members()) {
        total.keys += members->size();
        for (const AmfMember& member : *members) count(member.value, depth + 1, total);
    } else if (const auto* array = std::get_if<AmfStrictArray>(&value.data())) {
        for (const AmfValue& element : array->values) count(element, depth + 1, total);
    }
}

std::vector<std::uint8_t> encoded(const std::vector<AmfValue>& values) {
    std::vector<std::uint8_t> bytes;
    for (const AmfValue& value : values) amf_encode(value, bytes);
    return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto values = amf_decode({data, size});
    if (!values) return 0;
    Count total;
    for (const AmfValue& value : *values) count(value, 0, total);
    if (total.keys > amf_max_keys || total.values > amf_max_values || total.depth > amf_max_depth)
        std::abort();
    // Bytes are compared, not values: a NaN differs from itself.
    const auto bytes = encoded(*values);
    const auto again = amf_decode(bytes);
    if (!again || encoded(*again) != bytes) std::abort();
    return 0;
}
