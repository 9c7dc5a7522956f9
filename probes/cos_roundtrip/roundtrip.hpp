#pragma once
// One round trip of an object: PUT, HEAD, GET, compare, DELETE, and HEAD again, which must find nothing.
// Where another probe wants to fetch the object, it is deleted by the next run instead.
#include <array>

#include "probes/cos_roundtrip/client.hpp"
#include "probes/cos_roundtrip/shelf.hpp"
#include "probes/net/values.hpp"

namespace livecanary::cos_roundtrip {

inline constexpr std::array phases{dns, tcp, tls, put, head, get, verify, remove};

inline constexpr std::array<std::string_view, 4> operations{"put", "head", "get", "delete"};
inline constexpr Value operation_seconds{
    .metric = "livecanary_cos_operation_duration_seconds",
    .help = "From the start of a COS request to the last byte of its answer.",
    .type = ValueType::summary,
    .label = "operation",
    .label_values = operations};
inline constexpr std::array read_after_write_bounds{0.01, 0.05, 0.25, 1.0, 5.0};
inline constexpr Value read_after_write{
    .metric = "livecanary_cos_read_after_write_seconds",
    .help = "From the answer to a PUT until the object could first be read.",
    .type = ValueType::histogram,
    .buckets = read_after_write_bounds};
inline constexpr Value clock_skew{"livecanary_cos_clock_skew_seconds",
                                  "The server's clock, as its Date says, minus our own, in the last run."};
using net::certificate_end, net::resolved_addresses;
inline constexpr std::array values{operation_seconds, read_after_write, clock_skew, certificate_end,
                                   resolved_addresses};

/// Says everything on `run`, whose ledger holds the key from before the PUT until the object is known to be
/// gone. Cleans up also when cut or failed, within the run's deadline and a second. The caller must have
/// switched off `throw_if_cancelled` on its coroutine; all three must outlive it.
asio::awaitable<void> round_trip(const Config& config, Shelf& shelf, ProbeRun& run);

}  // namespace livecanary::cos_roundtrip
