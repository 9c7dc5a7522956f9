#include "probes/protocol/crc64.hpp"

#include <array>

namespace livecanary::protocol {
namespace {

constexpr std::uint64_t reflected_polynomial = 0xC96C5795D7870F42;

constexpr std::array<std::uint64_t, 256> table = [] {
    std::array<std::uint64_t, 256> out{};
    for (std::uint64_t byte = 0; byte < out.size(); ++byte) {
        std::uint64_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? reflected_polynomial : 0);
        out[byte] = crc;
    }
    return out;
}();

}  // namespace

void Crc64::feed(std::span<const std::uint8_t> bytes) noexcept {
    for (const std::uint8_t byte : bytes) state_ = table[(state_ ^ byte) & 255] ^ state_ >> 8;
}

}  // namespace livecanary::protocol
