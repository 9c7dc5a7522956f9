#pragma once
// Takes secrets out of text that leaves the house, by their value: each is searched for in every form that it
// may have taken on its way into a log, a URL or a comment.
//
// Theory of operation. A text is looked at as it stands, and as it reads with percent-encoding, backslash
// escapes or HTML entities undone, with its lines joined, and with these one after the other, three deep;
// runs of base64 and of hexadecimal digits are decoded and looked into likewise. In each of these views
// needles are searched for: the value, its base64 at each of the three places in a group, its hexadecimal
// digits, and the digests that people compare keys by (MD5, SHA-1, SHA-256). Where a text was cut ("...",
// "…", " [cut]") the beginning of one counts, too. What is found is replaced where it stands in the original.
//
// Values that nobody configured are known by their shape (`txSecret=…`, `Authorization: …`, AKID…, a JWT …):
// learn() reads everything first, so that a token that stands once behind its name is also found where it
// stands alone.
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/secret.hpp"
#include "daemon/redact_shapes.hpp"

namespace livecanary::daemon {

/// A value that must not be seen.
struct NamedSecret {
    std::string name{};  ///< what its marker says, such as `push-main.push_key`
    config::Secret value{};
};

struct TextView;  // redact_forms.hpp

/// Values shorter than shortest_certain_secret (redact_forms.hpp) are only replaced where they stand alone,
/// between quotes, blanks, '=' and the like: "abc" is part of too many words.
class Redactor {
public:
    /// Of equal values the first name counts. Empty ones are left out.
    explicit Redactor(std::vector<NamedSecret> secrets);

    /// This is no secret although it looks like one, such as a vendor's request id. Does not shield a
    /// configured secret.
    void keep(std::string value);
    /// Remembers what is a secret by its shape; the first 10,000 are found where they stand alone, too.
    void learn(std::string_view text, Words words);

    /// `text` with a marker such as `[redacted push-main.push_key 1]` in the place of each secret; line ends
    /// inside of one stay, so that all lines keep their numbers.
    std::string text(std::string_view text, Words words) const;
    /// The names of the secrets, and of tokens learnt, that still stand in `text` in any form.
    std::vector<std::string> found_in(std::string_view text) const;

    /// Names of those that are shorter than shortest_certain_secret.
    const std::vector<std::string>& uncertain() const noexcept { return uncertain_; }
    /// How often something was replaced, by marker.
    const std::map<std::string, std::size_t>& removed() const noexcept { return removed_; }

private:
    struct Known {
        std::string name{};
        std::string marker{};
    };
    struct Needle {
        config::Secret bytes{};
        std::size_t known = 0;
        bool alone = false;  ///< counts only where it is a whole value
    };
    struct Hit {
        std::size_t begin = 0, end = 0;
        std::string marker{};
    };
    using Report = std::vector<Hit>;

    std::size_t add(const std::string& name, const std::string& value, bool everywhere);
    void add_needle(std::string bytes, std::size_t known, bool alone);
    bool marks(std::string_view value) const;
    std::string marker_of(const std::string& name, std::size_t number) const;
    void search(const TextView& view, int depth, Report& report) const;
    void match(const TextView& view, Report& report) const;
    void match_cut(const TextView& view, std::size_t begin, std::size_t end, Report& report) const;
    bool holds_any(std::string_view text, int depth) const;
    void shapes(std::string_view text, Words words, Report& report) const;

    std::vector<Known> known_{};
    std::vector<Needle> needles_{};
    std::unordered_map<std::uint32_t, std::vector<std::size_t>>
        by_start_{};                   ///< needles of four bytes or more
    std::vector<std::size_t> tiny_{};  ///< the others
    std::size_t longest_needle_ = 0;   ///< bytes
    std::map<std::string, std::size_t, std::less<>> by_value_{};
    std::set<std::string> names_{};  ///< of all that is known
    std::size_t tokens_everywhere_ = 0;
    std::map<std::string, std::size_t> token_numbers_{};  ///< shape → how many were learnt
    std::set<std::string, std::less<>> kept_{};
    std::vector<std::string> uncertain_{};
    mutable std::map<std::string, std::size_t> removed_{};
};

}  // namespace livecanary::daemon
