#pragma once
// Numbers in network byte order, as RTMP has them everywhere but in one field.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace livecanary::protocol::rtmp {

/// The first `bytes.size()` bytes (at most 8) as a number.
inline std::uint64_t read_be(std::span<const std::uint8_t> bytes) noexcept {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    return value;
}

/// The low `size` bytes of `value`.
inline void append_be(std::uint64_t value, std::size_t size, std::vector<std::uint8_t>& out) {
    while (size > 0) out.push_back(static_cast<std::uint8_t>(value >> 8 * --size & 0xFF));
}

}  // namespace livecanary::protocol::rtmp
