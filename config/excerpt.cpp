#include "config/excerpt.hpp"

#include <algorithm>

#include "config/units.hpp"

namespace livecanary::config {
namespace {

constexpr std::size_t longest_line = 160;  // bytes; what is longer helps nobody
constexpr std::string_view hidden = "***";

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_quote(char c) { return c == '"' || c == '\''; }
bool is_bare(char c) { return std::string_view(" \t[]{},=#\"'").find(c) == std::string_view::npos; }

std::string_view line_of(std::string_view text, std::uint32_t number) {
    for (; number > 1; --number) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) return {};
        text.remove_prefix(end + 1);
    }
    std::string_view line = text.substr(0, text.find('\n'));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

std::size_t characters(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

/// The bytes before the given column, which counts characters from 1.
std::size_t bytes_before(std::string_view line, std::uint32_t column) {
    std::size_t byte = 0;
    for (std::uint32_t seen = 1; byte < line.size(); ++byte)
        if ((line[byte] & 0xC0) != 0x80 && seen++ == column) break;
    return byte;
}

/// The end of the quoted string that starts at `begin`; the end of the line if it does not end.
std::size_t quoted_end(std::string_view line, std::size_t begin) {
    for (std::size_t at = begin + 1; at < line.size(); ++at) {
        if (line[at] == '\\' && line[begin] == '"')
            ++at;
        else if (line[at] == line[begin])
            return at + 1;
    }
    return line.size();
}

std::size_t skip(std::string_view line, std::size_t at, bool (*what)(char)) {
    while (at < line.size() && what(line[at])) ++at;
    return at;
}

/// Copies a line piece by piece, values as ***.
class Masked {
public:
    Masked(std::string_view line, std::size_t caret, Place place)
        : line_(line), caret_(caret), place_(place) {}

    Excerpt run() {
        while (at_ < line_.size() && line_[at_] != '#' && !done_) piece();
        while (!out_.line.empty() && is_blank(out_.line.back())) out_.line.pop_back();
        out_.caret = seen_ ? std::min(out_.caret, characters(out_.line)) : characters(out_.line);
        return std::move(out_);
    }

private:
    void piece() {
        if (at_ >= caret_ && !seen_) {
            seen_ = true;
            out_.caret = characters(out_.line);
            if (place_ == Place::secret) return finish(is_quote(line_[at_]) ? "\"***\"" : hidden);
            if (place_ == Place::key) return lone_key();
            if (place_ == Place::table && line_[at_] == '[') return header();
            if (is_quote(line_[at_])) return shown(quoted_end(line_, at_));
            if (is_bare(line_[at_])) return shown(skip(line_, at_, is_bare));
        }
        const char c = line_[at_];
        if (!is_quote(c) && !is_bare(c)) {
            out_.line += c;
            ++at_;
            return;
        }
        const std::size_t end = is_quote(c) ? quoted_end(line_, at_) : skip(line_, at_, is_bare);
        const std::size_t next = skip(line_, end, is_blank);
        const bool is_key = next < line_.size() && line_[next] == '=';
        out_.line += is_key ? line_.substr(at_, end - at_) : is_quote(c) ? "\"***\"" : hidden;
        at_ = end;
    }
    void shown(std::size_t end) {
        std::string text = redact(line_.substr(at_, end - at_));
        if (is_quote(line_[at_]) && text.back() != line_[at_]) text += line_[at_];
        out_.line += text;
        at_ = end;
    }
    void lone_key() {
        const std::size_t end = std::min(line_.find('=', at_), line_.size());
        out_.line += line_.substr(at_, end - at_);
        finish(end < line_.size() ? "= ***" : "");
    }
    void header() {
        out_.line += line_.substr(at_, line_.find('#', at_) - at_);
        finish("");
    }
    void finish(std::string_view text) {
        out_.line += text;
        done_ = true;
    }

    std::string_view line_;
    std::size_t caret_;
    Place place_;
    std::size_t at_ = 0;
    bool seen_ = false;
    bool done_ = false;
    Excerpt out_{};
};

/// What is not TOML has no values to tell apart: only `key =` is shown, and of what follows only the
/// commonest slip, a duration or size without its quotes.
std::optional<Excerpt> not_toml(std::string_view line, std::size_t caret) {
    const std::size_t begin = skip(line, 0, is_blank);
    const std::size_t equals = skip(line, skip(line, begin, is_bare), is_blank);
    if (equals >= line.size() || line[equals] != '=' || equals == begin) return std::nullopt;
    const std::size_t value = skip(line, equals + 1, is_blank);
    const std::size_t end = skip(line, value, is_bare);
    const std::string_view bare = line.substr(value, end - value);
    Excerpt shown;
    shown.line = line.substr(0, value);
    shown.line += parse_duration(bare) || parse_size(bare) ? bare : hidden;
    shown.caret = std::min(characters(line.substr(0, caret)), characters(shown.line));
    return shown;
}

}  // namespace

std::string redact(std::string_view text) {
    std::string clean(text);
    // A query that was begun with '&' or ';' by mistake holds the same secrets.
    if (const std::size_t query = clean.find_first_of("?&;"); query != std::string::npos)
        clean.replace(query + 1, std::string::npos, hidden);
    const std::size_t scheme = clean.find("://");
    if (scheme == std::string::npos) return clean;
    const std::size_t authority = scheme + 3;
    const std::size_t user = clean.substr(authority, clean.find('/', authority) - authority).rfind('@');
    if (user != std::string::npos) clean.replace(authority, user, hidden);
    return clean;
}

std::optional<Excerpt> excerpt(std::string_view text, const Mistake& mistake) {
    if (mistake.at.line == 0 || mistake.at.column == 0) return std::nullopt;
    const std::string_view line = line_of(text, mistake.at.line);
    if (line.size() > longest_line) return std::nullopt;
    const std::size_t caret = bytes_before(line, mistake.at.column);
    auto shown = mistake.place == Place::syntax ? not_toml(line, caret)
                                                : std::optional(Masked(line, caret, mistake.place).run());
    if (!shown || shown->line.empty()) return std::nullopt;
    // TOML forbids control characters, but a file need not obey.
    std::ranges::replace_if(
        shown->line, [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; }, '?');
    return shown;
}

}  // namespace livecanary::config
