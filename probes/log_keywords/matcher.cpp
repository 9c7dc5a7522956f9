#include "probes/log_keywords/matcher.hpp"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <utility>

namespace livecanary::log_keywords {
namespace {

// Bytes of one pattern, and of all together, with RE2's cache of states. A pattern that does not fit is
// refused, such as (x{1000}){1000}; a cache that overflows costs time, not memory.
constexpr std::int64_t pattern_memory = std::int64_t{1} << 20;
constexpr std::int64_t set_memory = std::int64_t{4} << 20;

re2::RE2::Options options_for(Encoding encoding, std::int64_t memory) {
    re2::RE2::Options options;
    options.set_encoding(encoding == Encoding::utf8 ? re2::RE2::Options::EncodingUTF8
                                                    : re2::RE2::Options::EncodingLatin1);
    options.set_log_errors(false);
    options.set_never_capture(true);
    options.set_max_mem(memory);
    return options;
}

/// How much a hit says. Of a line only the strongest count.
enum class Weight {
    class_of_causes,  ///< a keyword of several causes
    place,            ///< where in the backend it was printed, which implies a cause if nothing else is said
    cause,            ///< the words of the fault itself
    configured,       ///< a pattern of the configuration, which thereby overrules the catalogue
    ignored,
};

struct Rule {
    std::string regex{};
    std::string words{};
    Weight weight = Weight::cause;
    std::size_t label = 0;
    std::vector<Cause> among{};
};

// What tells the causes of a keyword apart within its line: server and client errors in MySQL's own words
// (MySQL 8.0 Error Message Reference, read 2026-11-21), as the catalogue lists them under signs.log_keywords.
// \C is any byte, also of what is not UTF-8.
struct Refinement {
    const char* regex;
    const char* words;
    Cause cause;
};
constexpr std::array refinements{
    Refinement{R"(Access denied for user\C*\(using password: )",
               "Access denied for user … (using password: …)", Cause::db_auth_failed_1045},
    Refinement{R"(Access denied for user\C* to database ')", "Access denied for user … to database …",
               Cause::db_grant_missing_1044},
    Refinement{R"(Table '\C*' doesn't exist)", "Table … doesn't exist", Cause::db_table_missing},
    Refinement{R"(Incorrect \C* value: ')", "Incorrect … value", Cause::db_bad_value_1366},
    Refinement{R"(mysqli\C*(Connection refused|php_network_getaddresses|No such file or directory))",
               "mysqli … Connection refused", Cause::db_unreachable_2002_2003_2005},
};

// With a text on SQL syntax beside it the backend writes it for every /upload_user_info (catalogue).
constexpr std::string_view noise = R"(updateRoom error :\C*SQL syntax)";

// Keywords that say which function printed the line, not what went wrong in it.
constexpr std::array<std::string_view, 3> places{
    "getRoomInfo error :", "getAccountRecordByUserID error :", "RedisException"};

Label of(Cause cause) { return {.id = to_string(cause), .cause = cause}; }
Label of(CauseClass cause_class) { return {.id = to_string(cause_class), .cause_class = cause_class}; }

/// A single cause; else the class that is named, or that all of them are of; else the likeliest.
Label label_of(const Keyword& keyword) {
    if (keyword.cause_class) return of(*keyword.cause_class);
    const auto first = entry(keyword.causes.front()).cause_class;
    const bool of_one_class = first && std::ranges::all_of(keyword.causes, [&](Cause cause) {
                                  return entry(cause).cause_class == first;
                              });
    return keyword.causes.size() > 1 && of_one_class ? of(*first) : of(keyword.causes.front());
}

Weight weight_of(const Keyword& keyword) {
    if (keyword.cause_class || keyword.causes.size() > 1) return Weight::class_of_causes;
    return std::ranges::find(places, keyword.text) != places.end() ? Weight::place : Weight::cause;
}

}  // namespace

struct Matcher::Impl {
    explicit Impl(Encoding of_logs)
        : encoding(of_logs), set(options_for(of_logs, set_memory), re2::RE2::UNANCHORED) {}

    std::size_t label(const Label& wanted) {
        const auto at = std::ranges::find(labels, wanted.id, &Label::id);
        if (at != labels.end()) return static_cast<std::size_t>(at - labels.begin());
        labels.push_back(wanted);
        return labels.size() - 1;
    }
    void add(Rule rule) {
        set.Add(rule.regex, nullptr);
        rules.push_back(std::move(rule));
    }

    Encoding encoding;
    std::vector<Label> labels{};
    std::vector<Rule> rules{};
    re2::RE2::Set set;
};

Matcher::Matcher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Matcher::~Matcher() = default;

std::shared_ptr<const Matcher> Matcher::make(const Settings& settings) {
    auto impl = std::make_unique<Impl>(settings.encoding);
    const auto wanted = [&](const Label& label) {
        return !settings.only || std::ranges::find(*settings.only, label.id) != settings.only->end();
    };
    // What stands at the place of a literal: everything RE2 gives a meaning to is quoted.
    const auto quoted = [](std::string_view text) {
        return re2::RE2::QuoteMeta(re2::StringPiece(text.data(), text.size()));
    };
    for (const auto& regex : settings.ignore)
        impl->add({.regex = regex, .words = regex, .weight = Weight::ignored});
    impl->add({.regex = std::string(noise), .words = "updateRoom error :", .weight = Weight::ignored});
    for (const Keyword& keyword : keywords()) {
        if (!keyword.alert) continue;
        const Label label = label_of(keyword);
        if (!wanted(label)) continue;
        impl->add({.regex = quoted(keyword.text),
                   .words = std::string(keyword.text),
                   .weight = weight_of(keyword),
                   .label = impl->label(label),
                   .among = {keyword.causes.begin(), keyword.causes.end()}});
    }
    for (const auto& [regex, words, cause] : refinements)
        if (wanted(of(cause))) impl->add({.regex = regex, .words = words, .label = impl->label(of(cause))});
    for (const Pattern& pattern : settings.patterns)
        impl->add({.regex = pattern.literal ? quoted(pattern.match) : pattern.match,
                   .words = pattern.name.empty() ? pattern.match : pattern.name,
                   .weight = Weight::configured,
                   .label = impl->label(pattern.label)});
    if (!impl->set.Compile()) return nullptr;
    return std::shared_ptr<const Matcher>(new Matcher(std::move(impl)));
}

const std::vector<Label>& Matcher::labels() const noexcept { return impl_->labels; }

std::optional<std::size_t> Matcher::find(std::string_view label) const noexcept {
    const auto at = std::ranges::find(impl_->labels, label, &Label::id);
    if (at == impl_->labels.end()) return std::nullopt;
    return static_cast<std::size_t>(at - impl_->labels.begin());
}

Matcher::Verdict Matcher::look(std::string_view line) const {
    const re2::StringPiece text(line.data(), line.size());
    std::vector<int> hits;
    re2::RE2::Set::ErrorInfo error{re2::RE2::Set::kNoError};
    // It must not be taken for a line that matches nothing. Never seen: what compiles within the memory has
    // room enough to run.
    if (!impl_->set.Match(text, &hits, &error) && error.kind != re2::RE2::Set::kNoError)
        throw std::runtime_error("RE2 has run out of memory");
    Verdict verdict;
    if (hits.empty()) return verdict;
    std::ranges::sort(hits);
    const auto rule = [&](int hit) -> const Rule& { return impl_->rules[static_cast<std::size_t>(hit)]; };
    Weight most = Weight::class_of_causes;
    for (const int hit : hits) most = std::max(most, rule(hit).weight);
    if (most == Weight::ignored) {
        verdict.ignored = true;
        return verdict;
    }
    for (const int hit : hits) {
        const Rule& found = rule(hit);
        if (found.weight != most) continue;
        if (std::ranges::find(verdict.labels, found.label) == verdict.labels.end())
            verdict.labels.push_back(found.label);
        verdict.words.push_back(found.words);
        verdict.among = found.among;
        // Several classes for one line would say less than the first.
        if (most == Weight::class_of_causes) break;
    }
    if (most != Weight::class_of_causes) verdict.among.clear();
    return verdict;
}

std::optional<Label> label_of(std::string_view id) noexcept {
    if (const auto cause = cause_from(id)) return of(*cause);
    if (const auto cause_class = class_from(id)) return of(*cause_class);
    return std::nullopt;
}

std::string mistake_in(std::string_view pattern, Encoding encoding) {
    const re2::RE2 tried(re2::StringPiece(pattern.data(), pattern.size()),
                         options_for(encoding, pattern_memory));
    if (!tried.ok()) return tried.error();
    const bool matches_all = re2::RE2::PartialMatch("", tried) && re2::RE2::PartialMatch("\x01", tried);
    return matches_all ? "it matches every line" : "";
}

std::vector<Label> built_in_labels() { return Matcher::make({})->labels(); }

}  // namespace livecanary::log_keywords
