#pragma once
// In Chinese, what rules over several probes (rules.hpp) say of why they conclude what they do.
#include <optional>
#include <string>
#include <string_view>

namespace livecanary::daemon {

/// The Chinese of a rule's words, with their "{}"; nothing if the table lacks it.
std::optional<std::string_view> rule_words_zh(std::string_view why) noexcept;

/// `because` of a diagnosis with the sentences of rules in Chinese. What a probe saw itself stays as it is:
/// it quotes what peers say.
std::string because_zh(std::string_view because);

}  // namespace livecanary::daemon
