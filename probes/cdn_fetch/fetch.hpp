#pragma once
// One run: the object through the CDN, at one address of it or at each; the same URL again; the object at its
// origin; and whether all of it is as it should be.
#include <array>

#include "probes/cdn_fetch/object.hpp"
#include "probes/net/values.hpp"

namespace livecanary::cdn_fetch {

inline constexpr std::array phases{dns, tcp, tls, request, first_byte, body, verify};

/// The statuses that are counted by their number: those the vendor gives a meaning (document 228/59531).
inline constexpr std::array<std::string_view, 15> codes{"200", "403", "404", "423", "502",
                                                        "503", "504", "509", "514", "524",
                                                        "531", "532", "538", "614", "other"};
inline constexpr std::array<std::string_view, 3> caches{"hit", "miss", "unknown"};
inline constexpr Value responses{.metric = "livecanary_cdn_responses_total",
                                 .help =
                                     "Responses of the CDN by HTTP status, and by whether one of its "
                                     "caches had the object.",
                                 .type = ValueType::counter,
                                 .label = "code",
                                 .label_values = codes,
                                 .second_label = "cache",
                                 .second_label_values = caches};
inline constexpr Value acceleration{"livecanary_cdn_acceleration_ratio",
                                    "Time of the request at the origin, divided by its time at the CDN when "
                                    "the same URL was asked for again, "
                                    "in the last run."};
using net::certificate_end, net::failing_addresses, net::resolved_addresses;
inline constexpr std::array values{responses, acceleration, certificate_end, resolved_addresses,
                                   failing_addresses};

/// The member of `codes` for a status.
std::string_view code_of(unsigned status) noexcept;

/// Fetches the same URL up to `most` times more, until it comes from a cache. Errors are in `fetched`.
asio::awaitable<void> fetch_again(Client& client, const Wish& wish, int most, Clock::time_point deadline,
                                  std::vector<Fetched>& fetched);

/// So often the same URL is asked for again: edges share their addresses, and the next request may come to
/// another machine than the one before.
inline constexpr int tries_for_a_hit = 3;

/// Says everything on `run`. The caller must have switched off `throw_if_cancelled` on its coroutine;
/// `config` and `run` must outlive it.
asio::awaitable<void> fetch(const Config& config, ProbeRun& run);

}  // namespace livecanary::cdn_fetch
