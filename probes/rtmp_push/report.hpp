#pragma once
// What viewers saw, in words and numbers.
#include <string>
#include <string_view>
#include <vector>

#include "probes/core/run.hpp"
#include "probes/rtmp_push/playback.hpp"

namespace livecanary::rtmp_push {

/// How far a viewer came: evidence `playback_stage` of the one whose failure is the run's.
namespace stage_is {
inline constexpr std::string_view unconnected = "unconnected";  ///< no connection, no TLS, no handshake
inline constexpr std::string_view connect = "connect";          ///< RTMP: not yet asked for a stream
inline constexpr std::string_view asked = "asked";              ///< asked for the stream, and no media came
inline constexpr std::string_view media = "media";              ///< media came
}  // namespace stage_is
std::string_view stage_of(const Viewed& viewed) noexcept;

/// What a failure is compared by: over which protocol, and why. "played" if there is none.
std::string fingerprint(const Viewed& viewed);
/// One line for people: where, and what was measured or why nothing was. Begins with protocol and host.
std::string describe(const Viewed& viewed);
/// The host in a text of describe().
std::string_view host_in(std::string_view description) noexcept;
/// The address in a text of describe(), without its port; empty if there is none.
std::string_view address_in(std::string_view description) noexcept;

/// Says on `run` what its viewers saw: evidence, values, the headline, and the first failure among them. The
/// phase under way is `playback`.
void report(const std::vector<Viewing>& viewings, const std::vector<Viewed>& viewed, ProbeRun& run);

}  // namespace livecanary::rtmp_push
