#include "config/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace livecanary::config {
namespace {

/// Edits (insert, delete, replace) that turn one word into the other.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row.back();
}

// A configuration can hold any key, also one of megabytes; nobody misspells a word of this length.
constexpr std::size_t longest_word = 100;

}  // namespace

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates) {
    if (word.size() > longest_word) return std::nullopt;
    const auto edits = [&](std::string_view candidate) { return distance(word, candidate); };
    const auto best = std::ranges::min_element(candidates, {}, edits);
    if (best == candidates.end()) return std::nullopt;
    const std::size_t shorter = std::min(word.size(), best->size());
    if (edits(*best) > (shorter > 3 ? 2 : shorter > 2 ? 1 : 0)) return std::nullopt;
    return *best;
}

std::string none_of(std::string_view found, std::span<const std::string_view> allowed) {
    std::string words = "expected one of ";
    for (const std::string_view value : allowed)
        words.append(words.ends_with("of ") ? "'" : ", '").append(value).append("'");
    words.append(", found '").append(found.substr(0, longest_word)).append("'");
    if (const auto near = nearest(found, allowed))
        words.append("; did you mean '").append(*near).append("'?");
    return words;
}

}  // namespace livecanary::config
