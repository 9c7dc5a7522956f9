#pragma once
// AAC-LC silence at 44.1 kHz, as raw frames without ADTS headers (ISO/IEC 14496-3).
#include <array>
#include <cstdint>
#include <vector>

namespace livecanary::protocol {

enum class AacChannels : std::uint8_t { mono = 1, stereo = 2 };

inline constexpr unsigned aac_sample_rate = 44100;  ///< Hz
inline constexpr unsigned aac_frame_samples = 1024;

/// AudioSpecificConfig (§1.6.2.1).
std::array<std::uint8_t, 2> aac_config(AacChannels channels) noexcept;

/// One frame of 1024 silent samples for each channel.
std::vector<std::uint8_t> aac_silence(AacChannels channels);

/// When frame `index` (from 0) begins, in milliseconds. A frame lasts 23.22 ms: computed from the index,
/// because adding 23 would run ahead of the video by 10 ms a second. Exact up to 2^44 frames.
constexpr std::uint64_t aac_timestamp(std::uint64_t index) noexcept {
    return index * (aac_frame_samples * 1000U) / aac_sample_rate;
}

}  // namespace livecanary::protocol
