#pragma once
// What a probe remembers from run to run, and over restarts of the daemon: watermarks, places in files.
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "probes/core/reason.hpp"

namespace livecanary {

/// Bytes of one value. Our choice: memory is for places and marks, not for data.
constexpr std::size_t most_remembered = 64 * 1024;

/// Kept by the daemon, outside of the event loop. A disk that cannot be had is no error: what is remembered
/// then lasts as long as the daemon. Not cut by cancellation.
class Memory {
public:
    virtual ~Memory() = default;
    /// What `probe` remembered last under `key`; nothing if it never did.
    virtual boost::asio::awaitable<std::optional<std::string>> recall(std::string probe, std::string key) = 0;
    /// Durable once it returns, if there is a disk. errc::value_too_large above `most_remembered`.
    virtual boost::asio::awaitable<error_code> remember(std::string probe, std::string key,
                                                        std::string value) = 0;
};

}  // namespace livecanary
