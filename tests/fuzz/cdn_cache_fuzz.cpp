// How a chain of cache lookups is cut into fields changes nothing, nor does letter case; and a miss anywhere
// wins.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "probes/protocol/ascii.hpp"
#include "probes/protocol/cdn_cache.hpp"

namespace {

using namespace livecanary::protocol;

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::vector<std::string_view> whole{text};
    const CdnCache found = read_cache_lookup(whole);

    std::vector<std::string_view> fields;
    for (std::size_t from = 0; from <= text.size();) {
        const auto end = std::min(text.find(',', from), text.size());
        fields.push_back(text.substr(from, end - from));
        from = end + 1;
    }
    require(read_cache_lookup(fields) == found);

    const std::string lower = ascii_lower(text), upper = ascii_upper(text);
    for (const std::string_view other : {std::string_view(lower), std::string_view(upper)}) {
        const std::vector<std::string_view> one{other};
        require(read_cache_lookup(one) == found);
    }
    fields.push_back("Cache Miss");
    require(read_cache_lookup(fields) == CdnCache::miss);
    // A bucket's default CDN domain is one of the CDN.
    require(!is_cos_cdn_name(text) || is_cdn_name(text));
    return 0;
}
