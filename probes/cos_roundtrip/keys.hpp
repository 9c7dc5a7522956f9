#pragma once
// The names of the objects that a probe makes, and what can be told from them.
#include <optional>
#include <string>
#include <string_view>

#include "probes/core/run.hpp"
#include "probes/cos_roundtrip/client.hpp"

namespace livecanary::cos_roundtrip {

/// `livecanary/here/probe/`: what the keys of a probe's objects begin with.
std::string folder_of(const Config& config, const Env& env);
/// When the object was made, if `key` is one that round_trip() makes in that folder.
std::optional<WallTime> made_at(std::string_view key, std::string_view folder);

/// `host key`, as it stands in the ledger.
std::string item_of(const Endpoint& endpoint, const std::string& key);

}  // namespace livecanary::cos_roundtrip
