#pragma once
// `livecanary sign`: signatures by the library the probes use.
#include <chrono>
#include <ostream>
#include <string>

#include "config/secret.hpp"
#include "probes/core/run.hpp"

namespace livecanary::daemon {

struct SignUrl {
    std::string url{};
    config::Secret key{};
    config::Secret backup_key{};  ///< only for verify
    std::chrono::seconds lifetime{std::chrono::hours(12)};
    std::string expires{};  ///< Unix seconds, or txTime as hex after "0x"; empty: now + lifetime
    bool sha256 = false;
    bool lower_case = false;  ///< of txTime
    bool verify = false;      ///< says what does not match instead of signing
};

/// Push and play URLs. 0 signed or sound; 1 it does not verify; 2 not a URL.
int sign_push_url(std::ostream& out, std::ostream& err, const SignUrl& command, WallTime now);
int sign_play_url(std::ostream& out, std::ostream& err, const SignUrl& command, WallTime now);

}  // namespace livecanary::daemon
