#include "probes/protocol/key_text.hpp"

#include <array>
#include <utility>

namespace livecanary::protocol {
namespace {

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view space = " \t\r\n";
    const auto first = text.find_first_not_of(space);
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(space) + 1 - first);
}

}  // namespace

std::vector<KeyText> key_texts(std::string_view main_key, std::string_view backup_key) {
    const std::array keys{std::pair(main_key, KeyFound::main), std::pair(backup_key, KeyFound::backup)};
    std::vector<KeyText> texts;
    for (const auto& [text, key] : keys)
        if (!text.empty()) texts.push_back({std::string(text), key, KeySpace::none});
    for (const auto& [text, key] : keys) {
        const std::string bare(trimmed(text));
        if (bare.empty()) continue;
        if (bare != text) texts.push_back({bare, key, KeySpace::ours});
        for (const auto* end : {" ", "\n", "\r\n", "\r", "\t"})
            if (bare + end != text) texts.push_back({bare + end, key, KeySpace::theirs});
        if (" " + bare != text) texts.push_back({" " + bare, key, KeySpace::theirs});
    }
    return texts;
}

}  // namespace livecanary::protocol
