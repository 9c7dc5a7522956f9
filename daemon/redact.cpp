#include "daemon/redact.hpp"

#include <openssl/evp.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

namespace livecanary::daemon {
namespace {

/// How many decodings one after the other are undone: JSON in a JSON string in a URL.
constexpr int deepest = 3;
constexpr std::size_t key_size = 4;  // bytes that needles are looked up by
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

std::uint32_t key_of(std::string_view four) {
    std::uint32_t key = 0;
    for (std::size_t i = 0; i < key_size; ++i) key = key << 8U | static_cast<unsigned char>(four[i]);
    return key;
}

/// What may stand around a value.
bool ends_value(char c) {
    return is_blank(c) || std::string_view("\r\n\"'`=:,;&?/@()[]{}<>|\\").find(c) != std::string_view::npos;
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

constexpr std::array<Decoder, 5> decoders{percent, backslash, entity, line_end, plus};

/// How a secret looks that nobody configured. The group of the pattern is the value.
struct Shape {
    const char* name;
    const char* pattern;
    bool foreign_only = false;
    bool may_be_id = false;  ///< what keep() has is not meant
};

#define LIVECANARY_VALUE R"re(([^\s"'&,;)\]}<>\\{\[][^\s"'&,;)\]}<>\\]{2,}))re"
constexpr std::array<Shape, 12> shapes_known{{
    {"authorization",
     R"re((?i)(?:authorization|cookie)\\?["']?[ \t]*(?:=>|[:=])[ \t]*\\?["']?([^"'\\\r\n]{3,}))re"},
    {"private key", R"re((-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----))re"},
    {"token",
     R"re((?i)(?:[A-Za-z0-9_.\-]*(?:passw|pwd|secret|token|signature|user_?sig|session_?id|sessid)[A-Za-z0-9_\-]*|[A-Za-z0-9_.\-]*(?:pass|sign|sig|key))\\?["'\]]{0,2}[ \t]{0,4}(?:=>|=|:|%3D)[ \t]{0,4}\\?["']?)re" LIVECANARY_VALUE},
    {"url password", R"re(://[^/\s"'@:]*:([^/\s"'@]+)@)re"},
    {"secret id", R"re(\b(AKID[0-9A-Za-z]{8,}))re"},
    {"jwt", R"re(\b(eyJ[0-9A-Za-z_\-]{8,}\.[0-9A-Za-z_\-]{8,}(?:\.[0-9A-Za-z_\-]*)?))re"},
    {"password hash", R"re((\$(?:2[abxy]|5|6|y|argon2[a-z]*)\$[./0-9A-Za-z$,=+]{20,}))re"},
    {"cdn signature", R"re(\b[0-9]{10}-[0-9A-Za-z]+-[0-9]+-([0-9a-fA-F]{32,64})\b)re"},
    {"cdn signature", R"re(/([0-9a-f]{64}|[0-9a-f]{32})/)re", false, true},
    {"phone", R"re((?:^|[^0-9A-Za-z.+\-])((?:\+?86[ \-]?)?1[3-9][0-9]{9})(?:[^0-9A-Za-z]|$))re", false, true},
    {"digest", R"re(\b([0-9A-Fa-f]{32,})\b)re", true, true},
    {"blob", R"re(([0-9A-Za-z+_*\-]{32,}={0,2}))re", true, true},
}};
#undef LIVECANARY_VALUE

const std::vector<std::unique_ptr<RE2>>& compiled() {
    static const auto patterns = [] {
        std::vector<std::unique_ptr<RE2>> made;
        RE2::Options options;
        options.set_encoding(RE2::Options::EncodingLatin1);  // bytes of any encoding
        for (const Shape& shape : shapes_known) {
            made.push_back(std::make_unique<RE2>(shape.pattern, options));
            if (!made.back()->ok()) throw std::logic_error(made.back()->error());
        }
        return made;
    }();
    return patterns;
}

bool is_mixed(std::string_view text) {
    const auto holds = [&](char from, char to) {
        return std::ranges::any_of(text, [&](char c) { return c >= from && c <= to; });
    };
    return holds('A', 'Z') && holds('a', 'z') && holds('0', '9');
}

/// Chance does not make it: worth being searched for where it stands without its name.
bool is_random(std::string_view text) {
    const auto digits = std::ranges::count_if(text, [](char c) { return c >= '0' && c <= '9'; });
    const auto letters =
        std::ranges::count_if(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
    return text.size() >= 12 && digits > 1 && letters > 1;
}

/// What is said of a secret, not one.
bool is_harmless(std::string_view text, std::size_t at, std::string_view value, Words words) {
    static const RE2 quantity("[0-9.]+(?:ms|s|m|h|d|B|KiB|MiB|GiB)?|YES|NO|true|false|null|md5|sha1|sha256");
    if (RE2::FullMatch(re2::StringPiece(value.data(), value.size()), quantity) &&
        value.find_first_not_of("0123456789") != value.npos)
        return true;
    if (words == Words::foreign) return false;
    // "SignatureDoesNotMatch: The request …" is an error's name and its words.
    const std::size_t before = text.find_last_not_of("\"' \t\\", at == 0 ? 0 : at - 1);
    const bool told = before != text.npos && text[before] == ':';
    return told && std::ranges::none_of(value, [](char c) { return c >= '0' && c <= '9'; });
}

/// Calls `found` with each value of that shape and its place.
void each_of(const Shape& shape, const RE2& pattern, std::string_view text, Words words,
             const std::function<void(std::size_t, std::string_view)>& found) {
    re2::StringPiece rest(text.data(), text.size());
    re2::StringPiece value;
    while (RE2::FindAndConsume(&rest, pattern, &value)) {
        std::string_view got(value.data(), value.size());
        const auto at = static_cast<std::size_t>(value.data() - text.data());
        if (const auto next = got.find("%26"); next != got.npos) got = got.substr(0, next);
        const std::string_view name(shape.name);
        if (got.starts_with("***") || got.starts_with("[redacted")) continue;
        if (name == "token" && is_harmless(text, at, got, words)) continue;
        if (name == "blob" && !is_mixed(got)) continue;
        if (!got.empty()) found(at, got);
    }
}

std::string plain_name(const std::string& name) {
    std::string clean;
    for (const char c : name.substr(0, 80))
        clean += is_alnum(c) || std::string_view("._- ").find(c) != std::string_view::npos ? c : '_';
    return clean;
}

}  // namespace

/// A text as it reads in one way, and where each of its bytes stands in the original.
struct Redactor::View {
    std::string text{};
    std::vector<std::uint32_t> from{}, to{};

    explicit View(std::string_view original) : text(original), from(original.size()), to(original.size()) {
        for (std::size_t i = 0; i < original.size(); ++i) {
            from[i] = static_cast<std::uint32_t>(i);
            to[i] = static_cast<std::uint32_t>(i + 1);
        }
    }
    /// `before` with everything undone that `decode` knows; nothing if there is none.
    static std::optional<View> decoded(const View& before, Decoder decode) {
        std::optional<View> view;
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
};

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
    by_value_.emplace(value, known);
    if (!everywhere) return known;
    if (value.size() < shortest_certain_secret) {
        add_needle(value, known, true);
        return known;
    }
    add_needle(value, known, false);
    const std::string hex = hex_of(value);
    add_needle(hex, known, false);
    add_needle(upper(hex), known, false);
    for (const std::string_view last_two : {"+/", "-_", "*-"})
        for (std::size_t before = 0; before < 3; ++before)
            add_needle(base64_within(value, before, last_two), known, false);
    for (const EVP_MD* which : {EVP_md5(), EVP_sha1(), EVP_sha256()}) {
        const std::string sum = hex_of(digest(which, value));
        add_needle(sum, known, false);
        add_needle(upper(sum), known, false);
    }
    return known;
}

void Redactor::add_needle(std::string bytes, std::size_t known, bool alone) {
    if (bytes.empty()) return;
    const std::size_t number = needles_.size();
    if (bytes.size() >= key_size)
        by_start_[key_of(bytes)].push_back(number);
    else
        tiny_.push_back(number);
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

void Redactor::learn(std::string_view text, Words words) {
    for (std::size_t i = 0; i < shapes_known.size(); ++i) {
        const Shape& shape = shapes_known[i];
        if (shape.foreign_only && words == Words::ours) continue;
        each_of(shape, *compiled()[i], text, words, [&](std::size_t, std::string_view value) {
            if (shape.may_be_id && kept_.contains(value)) return;
            if (by_value_.contains(value) || holds_any(value, deepest)) return;
            // What a marker says is no secret, and would be found in it for ever.
            const bool marks = std::ranges::any_of(
                known_, [&](const Known& other) { return other.marker.find(value) != std::string::npos; });
            const std::size_t known = add(shape.name, std::string(value), !marks && is_random(value));
            known_[known].marker = marker_of(known_[known].name, ++token_numbers_[shape.name]);
        });
    }
}

void Redactor::match(const View& view, Report& report) const {
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
    for (std::size_t at = 0; at < text.size(); ++at) {
        for (const std::size_t number : tiny_) try_at(at, needles_[number]);
        if (at + key_size > text.size()) continue;
        const auto here = by_start_.find(key_of(text.substr(at, key_size)));
        if (here == by_start_.end()) continue;
        for (const std::size_t number : here->second) try_at(at, needles_[number]);
    }
}

bool Redactor::holds_any(std::string_view text, int depth) const {
    Report report;
    search(View(text), depth, report);
    return !report.empty();
}

/// Base64 and hexadecimal digits of something that holds a secret.
void Redactor::look_into_runs(const View& view, int depth, Report& report) const {
    const std::string_view text = view.text;
    const auto run_over = [&](std::size_t begin, std::size_t end, const std::string& means) {
        if (means.size() < shortest_certain_secret) return;
        Report inner;
        search(View(means), depth, inner);
        if (!inner.empty()) report.push_back({view.from[begin], view.to[end - 1], inner.front().marker});
    };
    for (std::size_t at = 0; at < text.size();) {
        if (base64_value(text[at]) < 0) {
            ++at;
            continue;
        }
        std::size_t end = at, hex_end = at;
        while (end < text.size() && base64_value(text[end]) >= 0) ++end;
        while (hex_end < end && hex_value(text[hex_end]) >= 0) ++hex_end;
        if (end - at >= shortest_run) {
            std::string means;
            unsigned bits = 0, value = 0;
            for (std::size_t i = at; i < end; ++i) {
                value = (value << 6U | static_cast<unsigned>(base64_value(text[i]))) & 0xFFFFFFU;
                bits += 6;
                if (bits < 8) continue;
                bits -= 8;
                means += static_cast<char>(value >> bits & 0xFFU);
            }
            std::size_t padded = end;
            while (padded < text.size() && padded < end + 2 && text[padded] == '=') ++padded;
            run_over(at, padded, means);
        }
        if (hex_end == end && end - at >= 2 * shortest_certain_secret) {
            std::string means;
            for (std::size_t i = at; i + 1 < end; i += 2)
                means += static_cast<char>(hex_value(text[i]) * 16 + hex_value(text[i + 1]));
            run_over(at, end, means);
        }
        at = end;
    }
}

void Redactor::search(const View& view, int depth, Report& report) const {
    match(view, report);
    if (depth == 0) return;
    look_into_runs(view, depth - 1, report);
    for (const Decoder decode : decoders)
        if (const auto decoded = View::decoded(view, decode)) search(*decoded, depth - 1, report);
}

void Redactor::shapes(std::string_view text, Words words, Report& report) const {
    for (std::size_t i = 0; i < shapes_known.size(); ++i) {
        const Shape& shape = shapes_known[i];
        if (shape.foreign_only && words == Words::ours) continue;
        each_of(shape, *compiled()[i], text, words, [&](std::size_t at, std::string_view value) {
            if (shape.may_be_id && kept_.contains(value)) return;
            const auto known = by_value_.find(value);
            report.push_back(
                {at, at + value.size(),
                 known != by_value_.end() ? known_[known->second].marker : marker_of(shape.name, 0)});
        });
    }
}

std::string Redactor::text(std::string_view text, Words words) const {
    Report report;
    search(View(text), deepest, report);
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
    search(View(text), deepest, report);
    std::set<std::string> names;
    for (const Hit& hit : report)
        for (const Known& known : known_)
            if (known.marker == hit.marker) names.insert(known.name);
    return {names.begin(), names.end()};
}

}  // namespace livecanary::daemon
