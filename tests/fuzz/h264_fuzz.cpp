// Any bytes: NAL units lie within them and are found again when written again, in either form; what is read
// from a parameter set keeps its ranges; a stamp of any bytes is found as it was written.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/avc.hpp"
#include "probes/protocol/h264.hpp"

namespace {

using namespace livecanary::protocol;
using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

constexpr std::array<std::uint8_t, 16> uuid{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

bool same(const std::vector<View>& a, const std::vector<View>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](View x, View y) { return std::equal(x.begin(), x.end(), y.begin(), y.end()); });
}

void check_units(const std::vector<View>& nal_units, View bytes) {
    if (nal_units.size() > max_nal_units) std::abort();
    const std::uint8_t* at = bytes.data();
    for (const View nal : nal_units) {
        if (nal.empty() || nal.data() < at || nal.data() + nal.size() > bytes.data() + bytes.size())
            std::abort();
        at = nal.data() + nal.size();
        if (const auto sps = parse_sps(nal))
            if (sps->width < 1 || sps->width > 16880 || sps->height < 1 || sps->height > 16880) std::abort();
        if (const auto found = find_user_data(nal, uuid); found && found->size() > max_sei_size) std::abort();
    }
    summarize(nal_units, uuid);
}

void check_annex_b(View bytes) {
    const auto nal_units = split_annex_b(bytes);
    check_units(nal_units, bytes);
    Bytes again;
    for (const View nal : nal_units) {
        again.insert(again.end(), {0, 0, 1});
        again.insert(again.end(), nal.begin(), nal.end());
    }
    if (!same(split_annex_b(again), nal_units)) std::abort();
}

void check_avcc(View bytes, unsigned length_size) {
    const auto nal_units = split_avcc(bytes, length_size);
    if (!nal_units) return;
    check_units(*nal_units, bytes);
    Bytes again;
    for (const View nal : *nal_units) {
        for (unsigned i = length_size; i > 0; --i)
            again.push_back(static_cast<std::uint8_t>(nal.size() >> (8 * (i - 1))));
        again.insert(again.end(), nal.begin(), nal.end());
    }
    if (!same(split_avcc(again, length_size).value(), *nal_units)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const View bytes(data, size);
    check_annex_b(bytes);
    for (const unsigned length_size : {1U, 2U, 4U}) check_avcc(bytes, length_size);
    if (const auto config = parse_avc_config(bytes)) {
        for (const Bytes& sps : config->sps) parse_sps(sps).has_value();
        if (config->sps.size() > 31 || config->pps.size() > 255) std::abort();
    }
    if (size < max_sei_size / 2) {
        const Bytes sei = avc_sei(uuid, bytes);
        if (find_user_data(sei, uuid) != Bytes(data, data + size)) std::abort();
        Bytes stream{0, 0, 0, 1};
        stream.insert(stream.end(), sei.begin(), sei.end());
        if (!same(split_annex_b(stream), {View(sei)})) std::abort();
    }
    return 0;
}
