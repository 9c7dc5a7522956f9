#include "probes/protocol/user_sig.hpp"

#include <zlib.h>
#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "probes/core/error_table.hpp"
#include "probes/protocol/digest.hpp"

namespace livecanary::protocol {

error_code make_error_code(UserSigError error) noexcept {
    using enum UserSigError;
    static const ErrorTable<UserSigError> table{
        "livecanary.user_sig",
        {{too_long, "the UserSig is longer than 8 KiB", Reason::mismatch},
         {not_base64, "the UserSig is not base64 of its alphabet", Reason::mismatch},
         {not_deflated, "the UserSig is cut or not deflated", Reason::mismatch},
         {too_large, "the UserSig inflates to more than 16 KiB", Reason::mismatch},
         {not_json, "the UserSig does not hold one flat JSON object", Reason::mismatch},
         {field_missing, "the UserSig lacks a field", Reason::mismatch},
         {other_version, "the UserSig is not of version 2", Reason::mismatch},
         {bad_field, "a time in the UserSig is no time", Reason::mismatch}}};
    return {static_cast<int>(error), table};
}

namespace {

/// Its alphabet has '*', '-' and '_' where base64 has '+', '/' and '=', so that it can stand in a URL.
constexpr std::string_view base64_only = "+/=", of_user_sig = "*-_";

std::string changed(std::string text, std::string_view from, std::string_view to) {
    for (char& c : text)
        if (const auto at = from.find(c); at != from.npos) c = to[at];
    return text;
}

std::string deflated(std::string_view text) {
    uLongf size = compressBound(static_cast<uLong>(text.size()));
    std::string out(size, '\0');
    // Fails only without room or memory, and there is room.
    compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()),
             static_cast<uLong>(text.size()));
    out.resize(size);
    return out;
}

result<std::string> inflated(std::vector<std::uint8_t> bytes) {
    z_stream stream{};
    if (inflateInit(&stream) != Z_OK) return UserSigError::not_deflated;
    stream.next_in = bytes.data();
    stream.avail_in = static_cast<uInt>(bytes.size());
    // One byte more than allowed tells too much from just enough.
    std::string out(max_user_sig_json + 1, '\0');
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    const int ended = inflate(&stream, Z_FINISH);
    const bool whole = ended == Z_STREAM_END && stream.avail_in == 0;
    out.resize(out.size() - stream.avail_out);
    inflateEnd(&stream);
    if (out.size() > max_user_sig_json) return UserSigError::too_large;
    if (!whole) return UserSigError::not_deflated;
    return out;
}

/// A code point as UTF-8.
void append_utf8(std::string& out, std::uint32_t point) {
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (point < 0x80) return put(point);
    if (point < 0x800) {
        put(0xC0 | (point >> 6));
    } else if (point < 0x10000) {
        put(0xE0 | (point >> 12));
        put(0x80 | ((point >> 6) & 0x3F));
    } else {
        put(0xF0 | (point >> 18));
        put(0x80 | ((point >> 12) & 0x3F));
        put(0x80 | ((point >> 6) & 0x3F));
    }
    put(0x80 | (point & 0x3F));
}

/// Reads one flat object of strings and whole numbers, which is all that a UserSig holds (RFC 8259, less what
/// is nested). Strict but for what it does not need to know: bytes above 127 are not looked at.
class FlatObject {
public:
    explicit FlatObject(std::string_view text) : left_(text) {}

    struct Member {
        std::string name{};
        std::string text{};                    ///< of a string
        std::optional<std::int64_t> number{};  ///< of a number
    };

    /// False if it is not one.
    bool read(std::vector<Member>& members) {
        if (!take('{')) return false;
        if (take('}')) return at_end();
        do {
            Member member;
            space();
            if (!string(member.name) || !take(':')) return false;
            space();
            const bool is_text = left_.starts_with('"');
            if (is_text ? !string(member.text) : !number(member.number)) return false;
            members.push_back(std::move(member));
        } while (take(','));
        return take('}') && at_end();
    }

private:
    void space() { left_.remove_prefix(std::min(left_.find_first_not_of(" \t\r\n"), left_.size())); }
    bool at_end() {
        space();
        return left_.empty();
    }
    bool take(char c) {
        space();
        if (!left_.starts_with(c)) return false;
        left_.remove_prefix(1);
        return true;
    }
    bool number(std::optional<std::int64_t>& out) {
        std::int64_t value = 0;
        const auto [end, ec] = std::from_chars(left_.data(), left_.data() + left_.size(), value);
        if (ec != std::errc{}) return false;
        const auto size = static_cast<std::size_t>(end - left_.data());
        const auto digits = left_.substr(0, size).substr(left_.starts_with('-') ? 1 : 0);
        if (digits.size() > 1 && digits.front() == '0') return false;
        left_.remove_prefix(size);
        out = value;
        // A fraction or an exponent is left behind, and ends the object.
        return true;
    }
    bool hex4(std::uint32_t& out) {
        if (left_.size() < 4) return false;
        const auto [end, ec] = std::from_chars(left_.data(), left_.data() + 4, out, 16);
        if (ec != std::errc{} || end != left_.data() + 4) return false;
        left_.remove_prefix(4);
        return true;
    }
    bool escape(std::string& out) {
        if (left_.empty()) return false;
        const char c = left_.front();
        left_.remove_prefix(1);
        constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
        if (const auto at = from.find(c); at != from.npos) {
            out += to[at];
            return true;
        }
        std::uint32_t point = 0, low = 0;
        if (c != 'u' || !hex4(point)) return false;
        if (point >= 0xDC00 && point < 0xE000) return false;
        if (point >= 0xD800 && point < 0xDC00) {
            if (!left_.starts_with("\\u")) return false;
            left_.remove_prefix(2);
            if (!hex4(low) || low < 0xDC00 || low >= 0xE000) return false;
            point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
        }
        append_utf8(out, point);
        return true;
    }
    bool string(std::string& out) {
        if (!left_.starts_with('"')) return false;
        left_.remove_prefix(1);
        while (!left_.empty()) {
            const char c = left_.front();
            left_.remove_prefix(1);
            if (c == '"') return true;
            if (static_cast<unsigned char>(c) < 0x20) return false;
            if (c != '\\')
                out += c;
            else if (!escape(out))
                return false;
        }
        return false;
    }

    std::string_view left_;
};

std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            constexpr std::string_view digits = "0123456789abcdef";
            out += "\\u00";
            out += digits[static_cast<unsigned char>(c) >> 4];
            out += digits[static_cast<unsigned char>(c) & 15];
        } else {
            out += c;
        }
    }
    return out + '"';
}

const FlatObject::Member* find(const std::vector<FlatObject::Member>& members, std::string_view name) {
    // Of two with one name the last counts, as for PHP and JavaScript.
    for (auto member = members.rbegin(); member != members.rend(); ++member)
        if (member->name == name) return &*member;
    return nullptr;
}

/// Far ahead of every real time, and far from the end of the type.
constexpr std::int64_t latest = std::int64_t{1} << 40;

}  // namespace

std::string user_sig_content(const UserSig& fields) {
    std::string content = "TLS.identifier:" + fields.identifier +
                          "\nTLS.sdkappid:" + std::to_string(fields.sdkappid) +
                          "\nTLS.time:" + std::to_string(fields.time.time_since_epoch().count()) +
                          "\nTLS.expire:" + std::to_string(fields.expire.count()) + "\n";
    if (!fields.userbuf.empty()) content += "TLS.userbuf:" + fields.userbuf + "\n";
    return content;
}

std::string user_sig_hmac(const UserSig& fields, std::string_view key) {
    return base64(hmac(Digest::sha256, key, user_sig_content(fields)));
}

std::string write_user_sig(const UserSig& fields) {
    std::string json = R"({"TLS.ver":"2.0","TLS.identifier":)" + json_string(fields.identifier) +
                       R"(,"TLS.sdkappid":)" + std::to_string(fields.sdkappid) + R"(,"TLS.expire":)" +
                       std::to_string(fields.expire.count()) + R"(,"TLS.time":)" +
                       std::to_string(fields.time.time_since_epoch().count());
    if (!fields.userbuf.empty()) json += R"(,"TLS.userbuf":)" + json_string(fields.userbuf);
    json += R"(,"TLS.sig":)" + json_string(fields.sig) + "}";
    const std::string bytes = deflated(json);
    return changed(base64({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}), base64_only,
                   of_user_sig);
}

std::string make_user_sig(UserSig fields, std::string_view key) {
    fields.sig = user_sig_hmac(fields, key);
    return write_user_sig(fields);
}

result<UserSig> parse_user_sig(std::string_view text) {
    using enum UserSigError;
    if (text.size() > max_user_sig_size) return too_long;
    if (text.find_first_of(base64_only) != text.npos) return not_base64;
    auto bytes = base64_decode(changed(std::string(text), of_user_sig, base64_only));
    if (!bytes) return not_base64;
    const auto json = inflated(*std::move(bytes));
    if (!json) return json.error();
    std::vector<FlatObject::Member> members;
    if (!FlatObject(*json).read(members)) return not_json;

    const auto* const version = find(members, "TLS.ver");
    if (version != nullptr && !version->text.starts_with("2.")) return other_version;
    const auto* const identifier = find(members, "TLS.identifier");
    const auto* const sdkappid = find(members, "TLS.sdkappid");
    const auto* const time = find(members, "TLS.time");
    const auto* const expire = find(members, "TLS.expire");
    const auto* const userbuf = find(members, "TLS.userbuf");
    const auto* const sig = find(members, "TLS.sig");
    if (version == nullptr || identifier == nullptr || identifier->number || sdkappid == nullptr ||
        !sdkappid->number || time == nullptr || !time->number || expire == nullptr || !expire->number ||
        (userbuf != nullptr && userbuf->number) || sig == nullptr || sig->number)
        return field_missing;
    const auto is_time = [](std::int64_t seconds) { return seconds >= 0 && seconds < latest; };
    if (!is_time(*time->number) || !is_time(*expire->number)) return bad_field;
    return UserSig{.identifier = identifier->text,
                   .sdkappid = *sdkappid->number,
                   .time = std::chrono::sys_seconds(std::chrono::seconds(*time->number)),
                   .expire = std::chrono::seconds(*expire->number),
                   .userbuf = userbuf != nullptr ? userbuf->text : std::string(),
                   .sig = sig->text};
}

UserSigCheck check_user_sig(const UserSig& fields, const UserSigExpected& expected,
                            std::chrono::sys_seconds now) {
    UserSigCheck check{
        .identifier_differs = !expected.identifier.empty() && expected.identifier != fields.identifier,
        .sdkappid_differs = expected.sdkappid != 0 && expected.sdkappid != fields.sdkappid,
        .expired_for = now - fields.end(),
        .made_ahead = fields.time - now};
    for (const auto& [text, key, stray_space] : key_texts(expected.key)) {
        if (!same_digest(user_sig_hmac(fields, text), fields.sig)) continue;
        check.key = key;
        check.stray_space = stray_space;
        break;
    }
    return check;
}

}  // namespace livecanary::protocol
