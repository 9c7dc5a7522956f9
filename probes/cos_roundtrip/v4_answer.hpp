#pragma once
// What COS's JSON API ("v4") answers: numbers of two generations, and the texts that go with them.
//
// Sources: Tencent Cloud documents 436/8432 and 436/6059 (error codes of the JSON API), read 2026-11-21;
// names without a number there are of public clients' output. Whether the API is still served is not known.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "probes/core/reason.hpp"

namespace livecanary::cos_roundtrip {

enum class V4Error {
    too_long = 1,  ///< longer than `most_v4_answer`
    not_json,      ///< empty, cut short, nested too deep, or otherwise no JSON
    no_code,       ///< JSON, but no object with a number `code`
};
error_code make_error_code(V4Error error) noexcept;

/// Bytes; a real answer has about 500.
inline constexpr std::size_t most_v4_answer = 64UL * 1024;

/// An answer, taken apart. Texts as they came: nobody has checked them for control bytes.
struct V4Answer {
    std::int64_t code = 0;  ///< 0: done
    std::string message{};
    std::string request_id{};
    // Of `data`, as far as it is there:
    std::string access_url{};                    ///< through the CDN
    std::string source_url{};                    ///< at the origin
    std::string sha{};                           ///< lower-case hex SHA-1
    std::optional<std::uint64_t> file_length{};  ///< bytes that have been uploaded
};
result<V4Answer> parse_v4_answer(std::string_view body);

/// What a refusal means, in the words of the XML API (436/7730) where that has one for the same.
namespace v4_says {
inline constexpr std::string_view appid = "appid";              ///< not the one of key and bucket
inline constexpr std::string_view sign_bucket = "sign_bucket";  ///< the signed one is not the one asked
inline constexpr std::string_view secret_id = "InvalidAccessKeyId";
inline constexpr std::string_view signature = "SignatureDoesNotMatch";
inline constexpr std::string_view expired = "RequestTimeTooSkewed";
inline constexpr std::string_view bucket = "NoSuchBucket";
inline constexpr std::string_view file = "NoSuchKey";
inline constexpr std::string_view throttled = "SlowDown";
inline constexpr std::string_view checksum = "BadDigest";
inline constexpr std::string_view other = "other";
}  // namespace v4_says
/// By the text first, since numbers of two generations are about; by the number where the text says nothing.
std::string_view meaning_of(const V4Answer& answer);

}  // namespace livecanary::cos_roundtrip

template <>
struct boost::system::is_error_code_enum<livecanary::cos_roundtrip::V4Error> : std::true_type {};
