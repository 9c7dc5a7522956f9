#pragma once
// What other probes may ask this one (probes/core/peers.hpp): a signKey for an upload, and a replay in the
// list.
#include "probes/backend_api/state.hpp"
#include "probes/core/peers.hpp"

namespace livecanary::backend_api {

/// Waits for its turn. PeerError::not_understood; BackendError, also of what is no fault of the backend's
/// (busy, no_credentials); an error of the network. The caller must have switched off `throw_if_cancelled` on
/// its coroutine.
asio::awaitable<result<PeerAnswer>> answer_question(const Config& config, State& state, ProbeRun& run,
                                                    const Question& question);

}  // namespace livecanary::backend_api
