#pragma once
// What a peer says, made fit for a log, a page and JSON.
#include <string>
#include <string_view>

namespace livecanary::protocol {

/// At most 512 bytes, cut between characters; control bytes and what is not UTF-8 become '?'.
std::string printable(std::string_view text);

}  // namespace livecanary::protocol
