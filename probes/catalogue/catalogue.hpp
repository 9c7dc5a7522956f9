#pragma once
// The cause catalogue, compiled in from causes.toml: what livecanary can name, how to tell it, how to repair
// it.
//
// All text lives in read-only memory: entries and views stay valid for the life of the program, nothing
// allocates.
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "probes/catalogue/ids.hpp"  // generated: enum class Cause, enum class CauseClass, to_string, cause_from

namespace livecanary {

/// Languages of the catalogue. The enumerators are the values of `--lang` and of `[alerting] lang`.
enum class Lang : std::uint8_t { en, zh };

/// One text in both languages; both are present, or both are empty where a text is optional.
struct Text {
    std::string_view en{};
    std::string_view zh{};
    constexpr std::string_view in(Lang lang) const noexcept { return lang == Lang::zh ? zh : en; }
};

/// What one kind of probe shows when the cause is at work; "ok" if it stays green.
struct Sign {
    std::string_view kind;  ///< id of the kind, such as `rtmp_push`
    std::string_view shows;
};

/// One item of the watched system that can be wrong.
struct CauseEntry {
    Cause id;
    std::optional<CauseClass> cause_class{};  ///< reported when the evidence does not single the cause out
    std::span<const std::string_view> manuals{};  ///< sections of the vendor's troubleshooting manuals
    std::string_view item{};                      ///< configuration item or part that is wrong
    Text title{};                                 ///< short sentence for an alert
    Text symptom{};                               ///< what users see
    std::string_view evidence{};                  ///< the fact that no other cause produces
    std::string_view lookalike{};                 ///< what cannot be told apart from it; may be empty
    std::span<const Sign> signs{};  ///< in the order of the kinds; a kind it says nothing of is absent
    Text fix{};                     ///< one sentence for an alert
    Text steps{};                   ///< more about the repair, for the runbook; may be empty
    Text confirm{};                 ///< how to confirm the cause by hand
    Text verify{};                  ///< how to know that it is repaired
};

/// A cause that a class may turn out to be.
struct ClassCandidate {
    Cause cause;
    std::string_view why;  ///< what makes it likely, or how it would show
};

/// What is reported when the evidence does not single out one cause.
struct ClassEntry {
    CauseClass id;
    Text title{};
    Text seen{};                                   ///< what was observed
    std::span<const ClassCandidate> candidates{};  ///< likeliest first, never empty
};

/// A log line that holds `text` points at `causes` and at `cause_class`; at least one of them is there.
struct Keyword {
    std::string_view text;  ///< substring, case as printed
    std::span<const Cause> causes{};
    std::optional<CauseClass> cause_class{};
    std::string_view note{};
    bool alert = true;  ///< false: baseline noise of a healthy system
};

const CauseEntry& entry(Cause cause) noexcept;
const ClassEntry& entry(CauseClass cause_class) noexcept;

/// In the order of causes.toml, which is that of the enumerators.
std::span<const CauseEntry> all_causes() noexcept;
std::span<const ClassEntry> all_classes() noexcept;
std::span<const Keyword> keywords() noexcept;

}  // namespace livecanary
