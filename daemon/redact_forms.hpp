#pragma once
// The forms that a value takes on its way into a text: made, to search for them, and undone, to read a text
// as it was meant.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace livecanary::daemon {

/// Shorter values (bytes) cannot be told from ordinary words in other forms than their own.
inline constexpr std::size_t shortest_certain_secret = 6;

/// Base64 (of three alphabets) as it reads at each of the three places in a group, hexadecimal digits in
/// either case, and MD5, SHA-1 and SHA-256 as hexadecimal digits.
std::vector<std::string> coded_forms(const std::string& value);

/// A text as it reads in one way, and where each of its bytes stands in the original.
struct TextView {
    std::string text{};
    std::vector<std::uint32_t> from{}, to{};

    explicit TextView(std::string_view original);
};

/// Calls `found` with `before` as it reads with percent-encoding, backslash escapes, HTML entities, line
/// ends, '+' for a blank or UTF-16 undone: with each of these that occurs, one after the other, since each
/// takes nine times the memory of its text.
void each_undone(const TextView& before, const std::function<void(const TextView&)>& found);

/// A run of base64 or hexadecimal digits in a text.
struct CodedRun {
    std::size_t begin = 0, end = 0;
    std::string means{};  ///< its bytes
};
/// Those that could hold a value of shortest_certain_secret bytes.
std::vector<CodedRun> coded_runs(std::string_view text);

}  // namespace livecanary::daemon
