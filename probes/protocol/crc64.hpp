#pragma once
// The checksum that COS returns of an object as `x-cos-hash-crc64ecma`, in unsigned decimal.
//
// CRC-64/XZ: polynomial 0x42F0E1EBA9EA3693 of ECMA-182, reflected, all ones at start and end; its check
// value, of "123456789", is 0x995DC9BBDF1939FA. That this is the one: the unit test of GitHub
// tencentyun/cos-cpp-sdk-v5.
#include <cstdint>
#include <span>

namespace livecanary::protocol {

/// Fed in pieces of any size.
class Crc64 {
public:
    void feed(std::span<const std::uint8_t> bytes) noexcept;
    /// Of all that was fed so far; 0 of nothing.
    std::uint64_t value() const noexcept { return ~state_; }

private:
    std::uint64_t state_ = ~std::uint64_t{0};
};

}  // namespace livecanary::protocol
