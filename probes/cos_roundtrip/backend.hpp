#pragma once
// Signing as the app does: with the signKey and the bucket that the business backend hands out.
//
// The backend is asked by its own probe (questions::cos_sign). A signKey signs anything until its keyTime
// ends, 30 s after it was made as the backend is shipped, so a run asks anew when that is near.
#include <chrono>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "probes/core/peers.hpp"
#include "probes/cos_roundtrip/config.hpp"

namespace livecanary::cos_roundtrip {

/// What the backend handed out last, and when.
class Backend {
public:
    /// `configured` and `run` must outlive it.
    Backend(const Config& configured, ProbeRun& run) : configured_(configured), run_(run) {}

    /// Whether somebody else than the configured key pair signs.
    bool signs() const noexcept { return !configured_.backend.empty(); }
    /// Nothing is left of the time of the last signKey, or less than any request needs. False if there is
    /// none.
    bool is_running_out() const;
    /// Asks, and puts bucket, region, endpoint and credentials into `config`. PeerError, whatever the asked
    /// probe gives, or a CosError of what the backend says (backend_bucket, …): that no app could use it.
    asio::awaitable<error_code> ask(Config& config, Clock::time_point deadline);
    /// Keeps what was handed out, compared with what is configured, as evidence. Nothing secret.
    void note() const;

    /// COS's clock minus the backend's, by an answer of COS at `at` whose Date says `date`: keyTime starts
    /// at the backend's own now. The time that the question took counts as the backend's.
    std::chrono::seconds behind(WallTime date, Clock::time_point at) const;
    /// Since the keyTime in use was asked for.
    Clock::duration age() const { return run_.env().now() - asked_at_; }

private:
    error_code take(const PeerAnswer& answer, Config& config);

    const Config& configured_;
    ProbeRun& run_;
    Facts said_{};
    protocol::KeyTime key_time_{};
    Clock::time_point asked_at_{};
    bool answered_ = false;
    bool own_secret_id_ = false;  // it is that of `own`
    bool own_sign_key_ = false;   // and the signKey too is the one that `own` gives
};

}  // namespace livecanary::cos_roundtrip
