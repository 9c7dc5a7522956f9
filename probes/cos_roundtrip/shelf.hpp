#pragma once
// Objects that lie in the bucket outside of a round trip: for another probe to fetch, or left behind.
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "probes/core/ledger.hpp"
#include "probes/core/peers.hpp"
#include "probes/cos_roundtrip/client.hpp"
#include "probes/cos_roundtrip/content.hpp"

namespace livecanary::cos_roundtrip {

/// An object that lies in the bucket between two runs, for other probes to fetch.
struct KeptObject {
    Litter litter{};
    Endpoint endpoint{};
    std::string key{};
    Expected expected{};
    std::string etag{};  ///< as the origin quotes it
    WallTime uploaded{};
    bool leaving = false;     ///< it is being deleted: nobody is told of it any more
    std::size_t holders = 0;  ///< answers given (PeerAnswer::hold) that live on
    /// Called when `holders` falls to 0; of the run that waits for it.
    std::function<void()> on_release{};
};

/// What a probe keeps from run to run. Of one executor.
struct Shelf {
    std::vector<std::shared_ptr<KeptObject>> objects{};  ///< the last one is the one to be fetched
};

/// The object that lies there (questions::object). PeerError.
asio::awaitable<result<PeerAnswer>> answer(const Config& config, const Shelf& shelf, ProbeRun& run,
                                           const Question& question);

/// Deletes what was kept between runs. What cannot be deleted stays in the ledger.
asio::awaitable<void> clear(const Config& config, Shelf& shelf, ProbeRun& run);

/// Removes what stands in the ledger. No error: gone, or was not there. errc::device_or_resource_busy: it is
/// on the shelf.
asio::awaitable<error_code> remove_litter(const Config& config, const Shelf& shelf, ProbeRun& run,
                                          const Litter& litter);

/// Objects whose key is one of this probe's, made longer ago than any run takes. Over the JSON API: none, as
/// nobody looks. Errors as of a call, or a protocol::CosObjectsError.
asio::awaitable<result<std::vector<Litter>>> find_strays(const Config& config, ProbeRun& run);

}  // namespace livecanary::cos_roundtrip
