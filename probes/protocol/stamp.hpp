#pragma once
// What our test stream carries in each keyframe, so that a player knows whose picture it sees and when it was
// sent: the payload of an SEI user_data_unregistered behind stamp_uuid (test_stream.hpp).
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace livecanary::protocol {

struct Stamp {
    std::uint64_t run = 0;             ///< which push: drawn at random for each
    std::chrono::nanoseconds sent{0};  ///< on the sender's monotonic clock, from its epoch; not negative
    bool operator==(const Stamp&) const = default;
};

/// As text, `livecanary 1 <run, 16 hex digits> <nanoseconds>`: whoever finds it in a stream can read it, and
/// it holds no zero byte that would need emulation prevention.
std::vector<std::uint8_t> write_stamp(const Stamp& stamp);

/// Nothing if it is not a stamp of this form.
std::optional<Stamp> read_stamp(std::span<const std::uint8_t> payload);

}  // namespace livecanary::protocol
