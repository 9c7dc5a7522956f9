#pragma once
// What runs make at their targets, written down before it is made: so that a crash leaves nothing behind that
// nobody knows of.
#include <string>

#include <boost/asio/awaitable.hpp>

#include "probes/core/run.hpp"

namespace livecanary {

/// One thing that must be removed again.
struct Litter {
    std::string probe{};  ///< name of the probe that makes it, and knows how to remove it
    std::string store{};  ///< what kind of place it lies in, such as "cos": the metric label `store`
    std::string item{};   ///< all that is needed to find it again, such as host and object key; no secret
    WallTime made{};
    bool operator==(const Litter&) const = default;
};

/// Kept by the daemon, outside of the event loop. `probe`, `store` and `item` together name an entry.
class Ledger {
public:
    virtual ~Ledger() = default;
    /// Durable once it returns without an error: only then may the thing be made. A second record of the same
    /// thing changes nothing.
    virtual boost::asio::awaitable<error_code> record(Litter litter) = 0;
    /// The thing is known to be gone. Striking out what is not there is no error.
    virtual boost::asio::awaitable<error_code> strike(Litter litter) = 0;
};

}  // namespace livecanary
