#include "probes/protocol/redact.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "probes/protocol/ascii.hpp"

namespace livecanary::protocol {
namespace {

constexpr std::string_view hidden = "***";
// MD5, the shortest digest that signs anything here, has 32 hexadecimal digits; Tencent's SecretKeys have 32
// letters and digits.
constexpr std::size_t shortest_digest = 32;
constexpr std::size_t shortest_blob = 32;

bool is_word(char c) noexcept { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; }
/// Also as URLs and UserSigs have it. Without '/', which would make blobs of paths, and '=', which comes
/// last.
bool is_base64(char c) noexcept { return is_word(c) || c == '+' || c == '*'; }
bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }
bool is_quote(char c) noexcept { return c == '"' || c == '\''; }

/// The rest of the line is its value, spaces and all.
bool takes_all(std::string_view name) noexcept {
    return name.ends_with("authorization") || name.ends_with("cookie");
}

bool speaks_of_a_secret(std::string_view name) noexcept {
    constexpr std::array<std::string_view, 9> within{
        "passw", "pwd", "secret", "token", "signature", "credential", "usersig", "session_id", "sessid"};
    constexpr std::array<std::string_view, 4> at_end{"pass", "sign", "sig", "key"};
    return takes_all(name) ||
           std::ranges::any_of(within, [&](auto w) { return name.find(w) != name.npos; }) ||
           std::ranges::any_of(at_end, [&](auto w) { return name.ends_with(w); });
}

/// Reads a line from front to back, and writes what may be seen of it.
class Redactor {
public:
    explicit Redactor(std::string_view line) : line_(line) {}

    std::string all() {
        while (at_ < line_.size()) {
            if (is_word(line_[at_]) || is_base64(line_[at_]))
                word();
            else if (line_.substr(at_).starts_with("://"))
                user_of_url();
            else
                out_ += line_[at_++];
        }
        return std::move(out_);
    }

private:
    char peek(std::size_t at) const noexcept { return at < line_.size() ? line_[at] : '\0'; }

    /// The longest run of `is` from here.
    template <class Is>
    std::size_t run(std::size_t from, Is is) const noexcept {
        std::size_t end = from;
        while (end < line_.size() && is(line_[end])) ++end;
        return end;
    }

    void word() {
        if (const std::size_t end = blob(); end != at_) {
            out_ += hidden;
            at_ = end;
            return;
        }
        const std::size_t end = run(at_, is_word);
        if (end == at_) {  // '+', '=' or '*'
            out_ += line_[at_++];
            return;
        }
        const std::string name = ascii_lower(line_.substr(at_, end - at_));
        without_digests(end);
        if (name == "connect" || name == "__construct" || name == "mysqli_connect" || name == "pconnect" ||
            name == "real_connect" || name == "auth")
            arguments();
        else if (speaks_of_a_secret(name))
            value(name);
    }

    /// Where a run of base64 that is a secret by itself ends; here if it is none.
    std::size_t blob() noexcept {
        // What was judged as a whole is not judged again from its middle: that would be quadratic.
        if (at_ < judged_until_) return at_;
        std::size_t end = run(at_, is_base64);
        while (peek(end) == '=') ++end;
        judged_until_ = end;
        const std::string_view text = line_.substr(at_, end - at_);
        if (text.starts_with("AKID") && text.size() >= 16) return end;
        const auto holds = [&](auto is) { return std::ranges::any_of(text, is); };
        const bool is_secret = text.size() >= shortest_blob &&
                               holds([](char c) { return c >= 'A' && c <= 'Z'; }) &&
                               holds([](char c) { return c >= 'a' && c <= 'z'; }) && holds(is_digit);
        return is_secret ? end : at_;
    }

    /// Writes up to `end`, digests hidden.
    void without_digests(std::size_t end) {
        while (at_ < end) {
            const std::size_t digits = std::max(run(at_, is_hex_digit), at_ + 1);
            out_ += digits - at_ >= shortest_digest ? hidden : line_.substr(at_, digits - at_);
            at_ = digits;
        }
    }

    /// `(…)` behind the name of a call.
    void arguments() {
        if (peek(at_) != '(' || peek(at_ + 1) == ')') return;
        const std::size_t close = line_.find(')', at_);
        out_ += "(***)";
        at_ = close == line_.npos ? line_.size() : close + 1;
    }

    /// What is assigned to the name just written, if anything is.
    void value(std::string_view name) {
        std::size_t at = at_;
        if (is_quote(peek(at)) || peek(at) == ']') ++at;  // "name": …, [name] => …
        at = run(at, is_space);
        if (peek(at) == '=' && peek(at + 1) == '>')
            at += 2;
        else if (peek(at) == '=' || (peek(at) == ':' && peek(at + 1) != ':' && peek(at + 1) != '/'))
            ++at;
        else
            return;
        at = run(at, is_space);
        std::size_t end = at;
        if (is_quote(peek(at))) {
            end = closing_quote(at);
        } else if (takes_all(name)) {
            end = run(at, [](char c) { return !is_quote(c); });
        } else {
            end = run(at, [](char c) {
                return !is_space(c) && !is_quote(c) &&
                       std::string_view("&,;)]}<>").find(c) == std::string_view::npos;
            });
        }
        const std::string_view text = line_.substr(at, end - at);
        // Of 1045: whether one was sent, not what.
        if (text.empty() || (name == "password" && (text == "YES" || text == "NO"))) return;
        out_ += line_.substr(at_, at - at_);
        out_ += hidden;
        at_ = end;
    }

    /// Behind the quote that closes the one at `open`; the end if none does. A backslash takes the next
    /// along.
    std::size_t closing_quote(std::size_t open) const noexcept {
        for (std::size_t at = open + 1; at < line_.size(); ++at) {
            if (line_[at] == '\\')
                ++at;
            else if (line_[at] == line_[open])
                return at + 1;
        }
        return line_.size();
    }

    /// `://user:password@host`
    void user_of_url() {
        out_ += "://";
        at_ += 3;
        const std::size_t end = run(at_, [](char c) { return !is_space(c) && !is_quote(c) && c != '/'; });
        const auto authority = line_.substr(at_, end - at_);
        const auto user_end = authority.rfind('@');
        const auto colon = authority.find(':');
        if (user_end == authority.npos || colon > user_end) return;
        out_ += authority.substr(0, colon + 1);
        out_ += hidden;
        at_ += user_end;
    }

    std::string_view line_;
    std::size_t at_ = 0;
    std::size_t judged_until_ = 0;
    std::string out_{};
};

}  // namespace

std::string redact(std::string_view line) { return Redactor(line).all(); }

}  // namespace livecanary::protocol
