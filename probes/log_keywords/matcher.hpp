#pragma once
// Which causes a line of a log points at: the catalogue's keywords, and patterns of the configuration.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "probes/catalogue/catalogue.hpp"

namespace livecanary::log_keywords {

/// What a line is counted as: a cause, or the class of those it may be.
struct Label {
    std::string_view id{};  ///< of the catalogue: the metric label `cause`
    std::optional<Cause> cause{};
    std::optional<CauseClass> cause_class{};
};

/// The label of that id; nothing if the catalogue does not know it.
std::optional<Label> label_of(std::string_view id) noexcept;

/// One pattern of the configuration.
struct Pattern {
    std::string match{};  ///< RE2's syntax; or as it stands, if `literal`
    bool literal = false;
    std::string name{};  ///< for people; empty: the pattern itself
    Label label{};
};

/// What the bytes of logs are.
enum class Encoding {
    utf8,   ///< what is not UTF-8 is matched by literals of ASCII and by \C alone
    bytes,  ///< every byte is a character: for GBK and the like, with \x escapes
};

/// Most labels of one probe: 75 series, less those every probe has, the kind's other ones, and the four
/// combinations of phase and reason that are kept at least (daemon/metrics.cpp).
constexpr std::size_t most_labels = 38;
/// Most patterns of the configuration, and as many to be ignored.
constexpr std::size_t most_patterns = 64;

/// All patterns of a probe, tried on a line in one pass. RE2 takes linear time whatever the pattern; its
/// memory is bounded here.
class Matcher {
public:
    /// What a line came to.
    struct Verdict {
        bool ignored = false;
        std::vector<std::size_t> labels{};      ///< distinct
        std::vector<std::string_view> words{};  ///< the keywords and names of patterns behind them
        std::vector<Cause> among{};             ///< which it may be, if the label is a class
    };
    struct Settings {
        /// Built-in keywords that point at none of these are left out; nothing: all are taken.
        std::optional<std::vector<std::string>> only{};
        std::vector<Pattern> patterns{};
        std::vector<std::string> ignore{};
        Encoding encoding = Encoding::utf8;
    };

    /// Patterns that mistake_in() has no word against. Null if they are too much together.
    static std::shared_ptr<const Matcher> make(const Settings& settings);
    ~Matcher();
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;

    const std::vector<Label>& labels() const noexcept;
    std::optional<std::size_t> find(std::string_view label) const noexcept;
    /// `line` without its end. Safe from several threads at once.
    Verdict look(std::string_view line) const;

private:
    struct Impl;
    explicit Matcher(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// What is wrong with a pattern, in RE2's words; empty if nothing is.
std::string mistake_in(std::string_view pattern, Encoding encoding);

/// The labels that built-in keywords point at, in the order of the catalogue's keywords.
std::vector<Label> built_in_labels();

}  // namespace livecanary::log_keywords
