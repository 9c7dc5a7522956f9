#pragma once
// A kind of probe that does nothing, for tests of what stands around kinds.
#include <array>
#include <string>

#include "probes/core/probe.hpp"

namespace livecanary::test {

/// Keys: `url` (required; the target), `push_key` (secret), `ca_file` (path), `port`, `after` (another
/// probe).
inline Probe make_fake(config::Reader& in) {
    Probe probe;
    config::Secret push_key;
    std::string ca_file, after;
    int port = 0;
    in.required("url", probe.target);
    in.secret("push_key", push_key);
    in.path("ca_file", ca_file);
    in.optional("port", port, 1, 65535);
    in.reference("after", after);
    return probe;
}

inline constexpr Kind fake_kind{.name = "fake", .phases = {}, .values = {}, .make = make_fake};
inline constexpr Kind other_kind{.name = "other", .phases = {}, .values = {}, .make = make_fake};
inline constexpr std::array<const Kind*, 2> fake_kinds{&fake_kind, &other_kind};

}  // namespace livecanary::test
