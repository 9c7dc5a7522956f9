#pragma once
// The signature of COS's JSON API ("v4"), the one before the XML API.
//
// Source: the pages "signature and authentication" of that API in GitHub tencentyun/qcloud-documents and
// intlcloud-documents, read 2026-11-21. Whether the API is still served is not known.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "probes/core/reason.hpp"
#include "probes/protocol/key_text.hpp"

namespace livecanary::protocol {

enum class CosV4Error {
    too_long = 1,    ///< longer than `max_cos_v4_size`
    not_base64,      ///< not standard base64 with padding
    too_short,       ///< no text after the 20 bytes of the HMAC
    forbidden_byte,  ///< the text holds a control byte, white space, or one beyond ASCII
    missing_field,   ///< one of a, b, k, e, t, r, f is not there
    repeated_field,  ///< one of them stands there twice
    bad_number,      ///< e, t or r is not a decimal number of at most 10 digits (t and e: 11)
};
error_code make_error_code(CosV4Error error) noexcept;

/// Bytes of the base64 text; far above what the seven fields need.
inline constexpr std::size_t max_cos_v4_size = 8 * 1024;
/// The longest that a signature for many uses may hold.
inline constexpr std::chrono::days max_cos_v4_lifetime{90};

/// What is signed. Without `file_id` and with an end it may be used any number of times, to upload, list or
/// create; with a `file_id` and without an end, once, to delete or change that object.
struct CosV4Signature {
    std::string app_id{};
    std::string bucket{};  ///< without "-app_id"
    std::string secret_id{};
    std::chrono::sys_seconds expires{};  ///< 1970: single use
    std::chrono::sys_seconds signed_at{};
    std::uint64_t random = 0;  ///< below 10^10
    std::string file_id{};     ///< as cos_v4_file_id() writes it

    bool single_use() const noexcept { return expires == std::chrono::sys_seconds(); }
    /// The text that is hashed and sent.
    std::string original() const;
    bool operator==(const CosV4Signature&) const = default;
};

/// `/app_id/bucket/key`, percent-encoded except '/'. The key may begin with a '/'.
std::string cos_v4_file_id(std::string_view app_id, std::string_view bucket, std::string_view key);

/// Value of the header Authorization: base64 of the HMAC-SHA1 and the text, one after the other.
std::string cos_v4_sign(const CosV4Signature& signature, std::string_view secret_key);

struct CosV4Authorization {
    CosV4Signature fields{};
    std::string mac{};   ///< 20 bytes
    std::string text{};  ///< as it was hashed: in any order of fields, maybe with others such as `u=0`
    bool operator==(const CosV4Authorization&) const = default;
};
result<CosV4Authorization> parse_cos_v4_authorization(std::string_view authorization);

/// What such an Authorization tells by itself, without any network. Facts only.
struct CosV4Check {
    std::chrono::seconds expired_for{0};    ///< now - expires; negative while valid; 0 of a single use
    bool ends_before_signed = false;        ///< expires, but not after it was signed
    bool lives_too_long = false;            ///< longer than `max_cos_v4_lifetime`
    bool single_use_without_file = false;   ///< no end and no file: good for nothing
    bool file_with_end = false;             ///< a file and an end: neither of the two forms
    std::chrono::seconds signed_ahead{0};   ///< signed_at - now; positive: signed by a clock before ours
    KeyFound key = KeyFound::none;          ///< main or none
    KeySpace stray_space = KeySpace::none;  ///< around the key

    bool exact() const noexcept { return key != KeyFound::none && stray_space == KeySpace::none; }
};

/// An empty key is not tried.
CosV4Check check_cos_v4(const CosV4Authorization& authorization, std::string_view secret_key,
                        std::chrono::sys_seconds now);

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::CosV4Error> : std::true_type {};
