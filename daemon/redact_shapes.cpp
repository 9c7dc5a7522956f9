#include "daemon/redact_shapes.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <vector>

namespace livecanary::daemon {
namespace {

/// How a secret looks that nobody configured. The group of the pattern is the value.
struct Shape {
    const char* name;
    const char* pattern;
    bool foreign_only = false;
    bool may_be_id = false;  ///< what keep() has is not meant
};

// Names of what is secret, in front of its value.
#define LIVECANARY_NAME \
    R"re((?i)(?:[A-Za-z0-9_.\-]*(?:passw|passphrase|pwd|secret|token|signature|user_?sig|session_?id|sessid)[A-Za-z0-9_\-]*|[A-Za-z0-9_.\-]*(?:pass|sign|sig|key)))re"
#define LIVECANARY_VALUE R"re(([^\s"'&,;)\]}<>\\{\[][^\s"'&,;)\]}<>\\]{2,}))re"
constexpr std::array<Shape, 17> shapes_known{{
    {"authorization",
     R"re((?i)(?:authorization|cookie)\\?["']?[ \t]*(?:=>|[:=])[ \t]*\\?["']?([^"'\\\r\n]{3,}))re"},
    {"private key", R"re((-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----))re"},
    {"token",
     LIVECANARY_NAME R"re(\\?["'\]]{0,2}[ \t]{0,4}(?:=>|=|:|%3D)[ \t]{0,4}\\?["']?)re" LIVECANARY_VALUE},
    // Between quotes the value may hold what ends it elsewhere.
    {"token", LIVECANARY_NAME R"re(["'\]]{0,2}[ \t]{0,4}(?:=>|=|:)[ \t]{0,4}"((?:[^"\\\r\n]|\\.){3,})")re"},
    {"token", LIVECANARY_NAME R"re(["'\]]{0,2}[ \t]{0,4}(?:=>|=|:)[ \t]{0,4}'((?:[^'\\\r\n]|\\.){3,})')re"},
    {"token", LIVECANARY_NAME R"re(\\["'][ \t]{0,4}[=:][ \t]{0,4}\\"([^"\\\r\n]{3,})\\")re"},
    {"token",
     R"re((?i)<(?:[a-z]+:)?[a-z]*(?:token|password|passwd|secret|secretkey|signature|signatureprovided)>\s*([^<\s]{3,})\s*</)re"},
    // PHP writes the arguments of calls into the stack traces of its log.
    {"password", R"re((?i)(?:mysqli[a-z_:>\-]*|PDO->__construct)\('[^']*', *'[^']*', *'([^']+)')re"},
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
#undef LIVECANARY_NAME

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

}  // namespace

bool is_random(std::string_view text) {
    const auto digits = std::ranges::count_if(text, [](char c) { return c >= '0' && c <= '9'; });
    const auto letters =
        std::ranges::count_if(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
    return text.size() >= 12 && digits > 1 && letters > 1;
}

void find_shapes(std::string_view text, Words words, const std::function<void(const Shaped&)>& found) {
    for (std::size_t i = 0; i < shapes_known.size(); ++i) {
        const Shape& shape = shapes_known[i];
        if (shape.foreign_only && words == Words::ours) continue;
        each_of(shape, *compiled()[i], text, words, [&](std::size_t at, std::string_view value) {
            found({.name = shape.name, .at = at, .value = value, .may_be_id = shape.may_be_id});
        });
    }
}

}  // namespace livecanary::daemon
