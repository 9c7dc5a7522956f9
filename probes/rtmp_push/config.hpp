#pragma once
// The keys of `[[probe]] kind = "rtmp_push"`, and the pushes that follow from them.
#include <chrono>
#include <string>
#include <vector>

#include "config/secret.hpp"
#include "probes/rtmp_push/push.hpp"

namespace livecanary::config {
class Reader;
}

namespace livecanary::rtmp_push {

/// One of `playback = [{ url = …, key = … }]`: where the pushed stream is to be played back.
struct Playback {
    protocol::PlayUrl url{};      ///< as written; `{location}` in the stream name is filled in at each run
    config::Secret key{};         ///< of the play domain; empty: the URL goes out as written
    bool issued = false;          ///< the URL brings its own txSecret or txTime: it is tested as it is
    config::Secret backup_key{};  ///< for the control; may be empty
    protocol::TxSigning signing{};
    Viewing viewing{};  ///< everything but the URL
};

struct Config {
    protocol::PushUrl url{};      ///< as written; `{location}` in the stream name is filled in at each run
    config::Secret push_key{};    ///< main key of the push domain; empty: the URL goes out as written
    config::Secret backup_key{};  ///< for the control; may be empty
    bool issued = false;          ///< the URL brings its own txSecret or txTime: it is tested as it is
    protocol::TxSigning signing{};
    std::chrono::milliseconds tx_time_lifetime{std::chrono::hours(12)};
    Plan plan{};  ///< everything but the URL and the viewings
    std::vector<Playback> playback{};
};

Config read(config::Reader& in);

/// The URL of a run: with its location, and signed with `key` until `expiry` unless `key` is empty.
protocol::PushUrl url_of_run(const Config& config, const std::string& location, const config::Secret& key,
                             WallTime expiry);

/// With which key the URL of a run is signed; empty if it goes out as written.
inline config::Secret key_of_run(const Playback& playback) {
    return playback.issued ? config::Secret{} : playback.key;
}

/// What a viewer of a run asks for: with the run's location, and signed with `key` until `expiry` unless
/// `key` is empty.
Viewing viewing_of_run(const Playback& playback, const std::string& location, const config::Secret& key,
                       WallTime expiry);

}  // namespace livecanary::rtmp_push
