#include "daemon/redact.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>
#include <utility>

#include "daemon/redact_forms.hpp"

namespace livecanary::daemon {
namespace {

/// How many decodings one after the other are undone: JSON in a JSON string in a URL.
constexpr int deepest = 3;
constexpr std::size_t key_size = 4;  // bytes that needles are looked up by
/// Tokens that are searched for where they stand without their name, too; each is some twenty needles.
constexpr std::size_t most_tokens_everywhere = 10'000;
/// What stands behind the beginning of a text that was cut: PHP's in a stack trace, ours, and that of
/// bundle_logs.hpp.
constexpr std::array<std::string_view, 3> cut_marks{"...", "…", " [cut]"};

std::uint32_t key_of(std::string_view four) {
    std::uint32_t key = 0;
    for (std::size_t i = 0; i < key_size; ++i) key = key << 8U | static_cast<unsigned char>(four[i]);
    return key;
}

/// What may stand around a value.
bool ends_value(char c) {
    return std::string_view(" \t\r\n\"'`=:,;&?/@()[]{}<>|\\").find(c) != std::string_view::npos;
}

std::string plain_name(const std::string& name) {
    std::string clean;
    for (const char c : name.substr(0, 80))
        clean += std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                         std::string_view("._- ").find(c) != std::string_view::npos
                     ? c
                     : '_';
    return clean;
}

}  // namespace

Redactor::Redactor(std::vector<NamedSecret> secrets) {
    for (const NamedSecret& secret : secrets) {
        const std::string& value = secret.value.reveal();
        if (value.empty()) continue;
        if (value.size() < shortest_certain_secret) uncertain_.push_back(plain_name(secret.name));
        const std::size_t known = add(secret.name, value, true);
        // Of a PEM file each line is as good as the whole.
        for (std::size_t at = 0; value.find('\n') != value.npos && at < value.size();) {
            const std::size_t end = std::min(value.find('\n', at), value.size());
            const std::string_view line = std::string_view(value).substr(at, end - at);
            if (line.size() >= 16 && !line.starts_with("-----")) add_needle(std::string(line), known, false);
            at = end + 1;
        }
    }
    // Only now: a marker must hold none of them.
    for (std::size_t i = 0; i < known_.size(); ++i) known_[i].marker = marker_of(known_[i].name, i + 1);
}

std::size_t Redactor::add(const std::string& name, const std::string& value, bool everywhere) {
    if (const auto at = by_value_.find(value); at != by_value_.end()) return at->second;
    const std::size_t known = known_.size();
    known_.push_back({.name = plain_name(name)});
    names_.insert(known_.back().name);
    by_value_.emplace(value, known);
    if (!everywhere) return known;
    if (value.size() < shortest_certain_secret) {
        add_needle(value, known, true);
        return known;
    }
    add_needle(value, known, false);
    for (auto& form : coded_forms(value)) add_needle(std::move(form), known, false);
    return known;
}

void Redactor::add_needle(std::string bytes, std::size_t known, bool alone) {
    if (bytes.empty()) return;
    const std::size_t number = needles_.size();
    if (bytes.size() >= key_size)
        by_start_[key_of(bytes)].push_back(number);
    else
        tiny_.push_back(number);
    longest_needle_ = std::max(longest_needle_, bytes.size());
    needles_.push_back({.bytes = config::Secret(std::move(bytes)), .known = known, .alone = alone});
}

std::string Redactor::marker_of(const std::string& name, std::size_t number) const {
    for (const std::string& marker : {"[redacted " + name + ' ' + std::to_string(number) + ']',
                                      "[redacted " + std::to_string(number) + ']', std::string("[redacted]"),
                                      std::string("[###]"), std::string("[...]")})
        if (!holds_any(marker, deepest)) return marker;
    throw std::runtime_error("no marker can be made that holds no secret");
}

void Redactor::keep(std::string value) {
    if (!value.empty()) kept_.insert(std::move(value));
}

/// What a marker says is no secret, and would be found in it for ever.
bool Redactor::marks(std::string_view value) const {
    return std::ranges::any_of(names_, [&](const std::string& name) {
        return ("[redacted " + name).find(value) != std::string::npos || value.find(name + ' ') != value.npos;
    });
}

void Redactor::learn(std::string_view text, Words words) {
    find_shapes(text, words, [&](const Shaped& shaped) {
        const auto value = shaped.value;
        if (shaped.may_be_id && kept_.contains(value)) return;
        if (by_value_.contains(value) || holds_any(value, deepest)) return;
        const std::string name(shaped.name);
        // A log may be full of them.
        const bool everywhere =
            tokens_everywhere_ < most_tokens_everywhere && is_random(value) && !marks(value);
        if (everywhere) ++tokens_everywhere_;
        const std::size_t known = add(name, std::string(value), everywhere);
        known_[known].marker = marker_of(known_[known].name, ++token_numbers_[name]);
    });
}

void Redactor::match(const TextView& view, Report& report) const {
    const std::string_view text = view.text;
    const auto try_at = [&](std::size_t at, const Needle& needle) {
        const std::string& bytes = needle.bytes.reveal();
        if (text.compare(at, bytes.size(), bytes) != 0) return;
        const std::size_t end = at + bytes.size();
        if (needle.alone &&
            !((at == 0 || ends_value(text[at - 1])) && (end == text.size() || ends_value(text[end]))))
            return;
        report.push_back({view.from[at], view.to[end - 1], known_[needle.known].marker});
    };
    std::size_t last_mark = 0;  // where it ends
    for (std::size_t at = 0; at < text.size(); ++at) {
        for (const std::size_t number : tiny_) try_at(at, needles_[number]);
        for (const std::string_view mark : cut_marks)
            if (at >= last_mark && text.compare(at, mark.size(), mark) == 0) {
                match_cut(view, last_mark, at, report);
                last_mark = at + mark.size();
            }
        if (at + key_size > text.size()) continue;
        const auto here = by_start_.find(key_of(text.substr(at, key_size)));
        if (here == by_start_.end()) continue;
        for (const std::size_t number : here->second) try_at(at, needles_[number]);
    }
}

/// The beginning of a value, as far as it can be told from a word, that ends at `end`.
void Redactor::match_cut(const TextView& view, std::size_t begin, std::size_t end, Report& report) const {
    const std::string_view text = view.text;
    begin = std::max(begin, end > longest_needle_ ? end - longest_needle_ : 0);
    for (std::size_t at = begin; at + shortest_certain_secret <= end; ++at) {
        const auto here = by_start_.find(key_of(text.substr(at, key_size)));
        if (here == by_start_.end()) continue;
        const std::string_view left = text.substr(at, end - at);
        for (const std::size_t number : here->second) {
            const Needle& needle = needles_[number];
            if (!needle.alone && needle.bytes.reveal().starts_with(left))
                report.push_back({view.from[at], view.to[end - 1], known_[needle.known].marker});
        }
    }
}

bool Redactor::holds_any(std::string_view text, int depth) const {
    Report report;
    search(TextView(text), depth, report);
    return !report.empty();
}

void Redactor::search(const TextView& view, int depth, Report& report) const {
    match(view, report);
    if (depth == 0) return;
    for (const CodedRun& run : coded_runs(view.text)) {
        Report inner;
        search(TextView(run.means), depth - 1, inner);
        if (!inner.empty())
            report.push_back({view.from[run.begin], view.to[run.end - 1], inner.front().marker});
    }
    each_undone(view, [&](const TextView& other) { search(other, depth - 1, report); });
}

void Redactor::shapes(std::string_view text, Words words, Report& report) const {
    find_shapes(text, words, [&](const Shaped& shaped) {
        if (shaped.may_be_id && kept_.contains(shaped.value)) return;
        const auto known = by_value_.find(shaped.value);
        report.push_back({shaped.at, shaped.at + shaped.value.size(),
                          known != by_value_.end() ? known_[known->second].marker
                                                   : marker_of(std::string(shaped.name), 0)});
    });
}

std::string Redactor::text(std::string_view text, Words words) const {
    Report report;
    search(TextView(text), deepest, report);
    shapes(text, words, report);
    // Of those that begin at one place, the longest first; the marker is that of the first.
    std::ranges::sort(report, [](const Hit& a, const Hit& b) {
        return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
    });
    std::string out;
    std::size_t done = 0;
    for (std::size_t i = 0; i < report.size();) {
        const Hit& first = report[i];
        std::size_t end = first.end;
        for (++i; i < report.size() && report[i].begin < end; ++i) end = std::max(end, report[i].end);
        out += text.substr(done, first.begin - done);
        out += first.marker;
        out.append(
            static_cast<std::size_t>(std::ranges::count(text.substr(first.begin, end - first.begin), '\n')),
            '\n');
        ++removed_[first.marker];
        done = end;
    }
    out += text.substr(std::min(done, text.size()));
    return out;
}

std::vector<std::string> Redactor::found_in(std::string_view text) const {
    Report report;
    search(TextView(text), deepest, report);
    std::set<std::string> names;
    for (const Hit& hit : report)
        for (const Known& known : known_)
            if (known.marker == hit.marker) names.insert(known.name);
    return {names.begin(), names.end()};
}

}  // namespace livecanary::daemon
