#pragma once
// The line of a mistake as it may be shown to people.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "config/reader.hpp"

namespace livecanary::config {

struct Excerpt {
    std::string line{};
    std::size_t caret = 0;  ///< characters (not bytes) of `line` before the place of the mistake
};

/// The line of `text` that `mistake` is on. Every value but the one it is about reads ***, since any may be a
/// secret; that one too if `mistake.place` says so, and of a URL the parts that can carry a key. Comments are
/// left out. Empty if there is no place, or nothing on its line may be shown.
std::optional<Excerpt> excerpt(std::string_view text, const Mistake& mistake);

/// `text` without the user information and the query of a URL.
std::string redact(std::string_view text);

}  // namespace livecanary::config
