#include "probes/protocol/aac.hpp"

namespace livecanary::protocol {

std::array<std::uint8_t, 2> aac_config(AacChannels channels) noexcept {
    constexpr unsigned aac_lc = 2, index_of_44100 = 4;
    const unsigned config = aac_lc << 11 | index_of_44100 << 7 | static_cast<unsigned>(channels) << 3;
    return {static_cast<std::uint8_t>(config >> 8), static_cast<std::uint8_t>(config & 0xff)};
}

// raw_data_block (§4.4.2.1): one element with global_gain 140, one long window and max_sfb 0, so that there
// are neither sections nor coefficients; then ID_END and zeros up to the byte.
std::vector<std::uint8_t> aac_silence(AacChannels channels) {
    if (channels == AacChannels::mono) return {0x01, 0x18, 0x20, 0x07};  // single_channel_element
    return {0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c};  // channel_pair_element, common_window
}

}  // namespace livecanary::protocol
