#include "daemon/redact_forms.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace livecanary::daemon {
namespace {

/// Base64 and hexadecimal runs that could hold the shortest certain secret.
constexpr std::size_t shortest_run = 8;

constexpr std::size_t longest_indent = 64;  // blanks before a line end that are taken with it

constexpr std::string_view hex_digits = "0123456789abcdef";

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}
bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// Also as URLs and Tencent's UserSig have it; -1 for what is no digit of base64.
int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-' || c == '*') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

std::string hex_of(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += hex_digits[byte >> 4U];
        text += hex_digits[byte & 15U];
    }
    return text;
}

std::string upper(std::string text) {
    for (char& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return text;
}

std::string digest(const EVP_MD* which, std::string_view bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, which, nullptr) != 1) return {};
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += static_cast<char>(out[i]);
    return text;
}

/// The digits that `bytes` alone decide when `before` other bytes of its group stand before it.
std::string base64_within(std::string_view bytes, std::size_t before, std::string_view last_two) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    std::string text;
    const std::size_t first = (before * 8 + 5) / 6, end = (before + bytes.size()) * 8 / 6;
    for (std::size_t digit = first; digit < end; ++digit) {
        unsigned value = 0;
        for (std::size_t bit = digit * 6; bit < digit * 6 + 6; ++bit) {
            const auto byte = static_cast<unsigned char>(bytes[bit / 8 - before]);
            value = value << 1U | ((byte >> (7 - bit % 8)) & 1U);
        }
        text += value < letters.size() ? letters[value] : last_two[value - letters.size()];
    }
    return text;
}

void append_utf8(std::string& out, unsigned point) {
    const auto put = [&](unsigned byte) { out += static_cast<char>(byte); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xC0U | point >> 6U);
        put(0x80U | (point & 0x3FU));
    } else if (point < 0x10000) {
        put(0xE0U | point >> 12U);
        put(0x80U | (point >> 6U & 0x3FU));
        put(0x80U | (point & 0x3FU));
    } else {
        put(0xF0U | point >> 18U);
        put(0x80U | (point >> 12U & 0x3FU));
        put(0x80U | (point >> 6U & 0x3FU));
        put(0x80U | (point & 0x3FU));
    }
}

/// Something that stands for other bytes: how long it is, and which they are.
struct Coded {
    std::size_t size = 0;
    std::string bytes{};
};
using Decoder = std::optional<Coded> (*)(std::string_view);

std::optional<unsigned> hex_number(std::string_view text, std::size_t digits) {
    if (text.size() < digits) return std::nullopt;
    unsigned number = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        const int value = hex_value(text[i]);
        if (value < 0) return std::nullopt;
        number = number * 16 + static_cast<unsigned>(value);
    }
    return number;
}

std::optional<Coded> percent(std::string_view text) {
    if (text[0] != '%') return std::nullopt;
    const auto byte = hex_number(text.substr(1), 2);
    if (!byte) return std::nullopt;
    return Coded{3, std::string(1, static_cast<char>(*byte))};
}

/// JSON, TOML, C and PHP.
std::optional<Coded> backslash(std::string_view text) {
    if (text[0] != '\\' || text.size() < 2) return std::nullopt;
    switch (text[1]) {
        case 'n':
            return Coded{2, "\n"};
        case 'r':
            return Coded{2, "\r"};
        case 't':
            return Coded{2, "\t"};
        case 'b':
            return Coded{2, "\b"};
        case 'f':
            return Coded{2, "\f"};
        case 'x': {
            const auto byte = hex_number(text.substr(2), 2);
            if (!byte) return std::nullopt;
            return Coded{4, std::string(1, static_cast<char>(*byte))};
        }
        case 'u':
        case 'U': {
            const std::size_t digits = text[1] == 'u' ? 4 : 8;
            auto point = hex_number(text.substr(2), digits);
            if (!point || *point > 0x10FFFF) return std::nullopt;
            std::size_t size = 2 + digits;
            if (*point >= 0xD800 && *point < 0xDC00 && text.substr(size).starts_with("\\u")) {
                const auto low = hex_number(text.substr(size + 2), 4);
                if (low && *low >= 0xDC00 && *low < 0xE000) {
                    point = 0x10000 + ((*point - 0xD800) << 10U) + (*low - 0xDC00);
                    size += 6;
                }
            }
            Coded coded{size, {}};
            append_utf8(coded.bytes, *point);
            return coded;
        }
        default:
            if (is_alnum(text[1]) || text[1] == '\n' || text[1] == '\r') return std::nullopt;
            return Coded{2, std::string(1, text[1])};
    }
}

std::optional<Coded> entity(std::string_view text) {
    if (text[0] != '&') return std::nullopt;
    constexpr std::array<std::pair<std::string_view, std::string_view>, 6> names{
        {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}, {"&nbsp;", " "}}};
    for (const auto& [name, means] : names)
        if (text.starts_with(name)) return Coded{name.size(), std::string(means)};
    if (!text.starts_with("&#")) return std::nullopt;
    const bool hex = text.size() > 2 && (text[2] == 'x' || text[2] == 'X');
    unsigned point = 0;
    std::size_t at = hex ? 3 : 2;
    const std::size_t first = at;
    for (; at < text.size() && at < first + 7; ++at) {
        const int value = hex_value(text[at]);
        if (value < 0 || (!hex && value > 9)) break;
        point = point * (hex ? 16 : 10) + static_cast<unsigned>(value);
    }
    if (at == first || at >= text.size() || text[at] != ';' || point > 0x10FFFF) return std::nullopt;
    Coded coded{at + 1, {}};
    append_utf8(coded.bytes, point);
    return coded;
}

/// The end of a line, with what continues it in a string, a comment or a quoted mail.
std::optional<Coded> line_end(std::string_view text) {
    std::size_t at = 0;
    if (text[at] == '\\') ++at;
    // A bound, or a page of blanks would be read once from each of them.
    while (at < text.size() && at < longest_indent && is_blank(text[at])) ++at;
    if (at >= text.size() || (text[at] != '\n' && text[at] != '\r')) return std::nullopt;
    while (at < text.size() &&
           (is_blank(text[at]) || text[at] == '\n' || text[at] == '\r' || text[at] == '#' || text[at] == '>'))
        ++at;
    return Coded{at, {}};
}

/// A form-encoded blank. Of its own, since a '+' mostly is one.
std::optional<Coded> plus(std::string_view text) {
    if (text[0] != '+') return std::nullopt;
    return Coded{1, " "};
}

/// UTF-16 of ASCII, in either order.
std::optional<Coded> nul(std::string_view text) {
    if (text[0] != '\0') return std::nullopt;
    return Coded{1, {}};
}

constexpr std::array<Decoder, 6> decoders{percent, backslash, entity, line_end, plus, nul};

/// `before` with everything undone that `decode` knows; nothing if there is none.
std::optional<TextView> decoded(const TextView& before, Decoder decode) {
    std::optional<TextView> view;
    const std::string_view text = before.text;
    for (std::size_t at = 0; at < text.size();) {
        const auto coded = decode(text.substr(at));
        if (coded && !view) {
            view.emplace(std::string_view());
            view->text = text.substr(0, at);
            const auto upto = static_cast<std::ptrdiff_t>(at);
            view->from.assign(before.from.begin(), before.from.begin() + upto);
            view->to.assign(before.to.begin(), before.to.begin() + upto);
        }
        const std::size_t size = coded ? coded->size : 1;
        if (view) {
            const std::string_view bytes = coded ? std::string_view(coded->bytes) : text.substr(at, 1);
            for (const char c : bytes) {
                view->text += c;
                view->from.push_back(before.from[at]);
                view->to.push_back(before.to[at + size - 1]);
            }
        }
        at += size;
    }
    return view;
}

}  // namespace

std::vector<std::string> coded_forms(const std::string& value) {
    const std::string hex = hex_of(value);
    std::vector<std::string> forms{hex, upper(hex)};
    for (const std::string_view last_two : {"+/", "-_", "*-"})
        for (std::size_t before = 0; before < 3; ++before)
            forms.push_back(base64_within(value, before, last_two));
    for (const EVP_MD* which : {EVP_md5(), EVP_sha1(), EVP_sha256()}) {
        const std::string sum = hex_of(digest(which, value));
        forms.push_back(sum);
        forms.push_back(upper(sum));
    }
    std::ranges::sort(forms);
    forms.erase(std::unique(forms.begin(), forms.end()), forms.end());
    return forms;
}

TextView::TextView(std::string_view original) : text(original), from(original.size()), to(original.size()) {
    for (std::size_t i = 0; i < original.size(); ++i) {
        from[i] = static_cast<std::uint32_t>(i);
        to[i] = static_cast<std::uint32_t>(i + 1);
    }
}

void each_undone(const TextView& before, const std::function<void(const TextView&)>& found) {
    for (const Decoder decode : decoders)
        if (const auto view = decoded(before, decode)) found(*view);
}

std::vector<CodedRun> coded_runs(std::string_view text) {
    std::vector<CodedRun> runs;
    for (std::size_t at = 0; at < text.size();) {
        if (base64_value(text[at]) < 0) {
            ++at;
            continue;
        }
        std::size_t end = at, hex_end = at;
        while (end < text.size() && base64_value(text[end]) >= 0) ++end;
        while (hex_end < end && hex_value(text[hex_end]) >= 0) ++hex_end;
        if (end - at >= shortest_run) {
            CodedRun run{.begin = at, .end = end};
            while (run.end < text.size() && run.end < end + 2 && text[run.end] == '=') ++run.end;
            unsigned bits = 0, value = 0;
            for (std::size_t i = at; i < end; ++i) {
                value = (value << 6U | static_cast<unsigned>(base64_value(text[i]))) & 0xFFFFFFU;
                bits += 6;
                if (bits < 8) continue;
                bits -= 8;
                run.means += static_cast<char>(value >> bits & 0xFFU);
            }
            if (run.means.size() >= shortest_certain_secret) runs.push_back(std::move(run));
        }
        if (hex_end == end && end - at >= 2 * shortest_certain_secret) {
            CodedRun run{.begin = at, .end = end};
            for (std::size_t i = at; i + 1 < end; i += 2)
                run.means += static_cast<char>(hex_value(text[i]) * 16 + hex_value(text[i + 1]));
            runs.push_back(std::move(run));
        }
        at = end;
    }
    return runs;
}

}  // namespace livecanary::daemon
