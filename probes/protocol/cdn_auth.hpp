#pragma once
// The URL authentication of Tencent Cloud CDN, types A to D: made, and compared with a URL.
//
// Sources: Tencent Cloud documents 228/41623 and its neighbours for types B, C and D (China site), and
// 228/35224 (international site), read 2026-11-21. They contradict each other on type C, so its order can be
// chosen.
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "probes/core/reason.hpp"
#include "probes/protocol/digest.hpp"
#include "probes/protocol/key_text.hpp"

namespace livecanary::protocol {

enum class CdnAuthError {
    too_long = 1,    ///< longer than `max_cdn_url_size`
    forbidden_byte,  ///< a control byte, white space, '#', or one beyond ASCII: the path must be
                     ///< percent-encoded
    bad_url,         ///< not http[s]://host/path with a path longer than "/", or with user info
    has_query,       ///< a URL with a query cannot be signed
    bad_rand,        ///< rand or uid is empty or holds other than letters and digits
};
error_code make_error_code(CdnAuthError error) noexcept;

/// Bytes; the CDN refuses URLs over 2 KiB with status 414 (document 228/59531).
inline constexpr std::size_t max_cdn_url_size = 4 * 1024;

enum class CdnAuthType {
    a,  ///< /file?sign=time-rand-uid-digest
    b,  ///< /time/digest/file
    c,  ///< /digest/time/file
    d,  ///< /file?sign=digest&t=time
};
/// What is hashed after the key; of type A, which has its own form, nothing changes.
enum class CdnOrder {
    by_type,  ///< B: time first, C and D: path first
    path_first,
    time_first,
};
/// How the time is written.
enum class CdnTime {
    by_type,   ///< A and D: decimal, B: calendar, C: hex
    decimal,   ///< Unix seconds
    hex,       ///< the same, with lower-case digits
    calendar,  ///< YYYYMMDDHHMM in UTC+8; only of type B
};

/// How a domain is set in the console.
struct CdnAuth {
    CdnAuthType type = CdnAuthType::a;
    Digest hash = Digest::md5;  ///< or sha256
    CdnOrder order = CdnOrder::by_type;
    CdnTime time = CdnTime::by_type;      ///< ignored of type B
    std::string sign_parameter = "sign";  ///< of A and D
    std::string time_parameter = "t";     ///< of D

    /// The two with `by_type` resolved.
    CdnOrder actual_order() const noexcept;
    CdnTime actual_time() const noexcept;
};

/// The URL that is valid from `signed_at` for as long as the domain grants. `rand` and `uid` are of type A.
result<std::string> cdn_sign(std::string_view url, const CdnAuth& auth, std::string_view key,
                             std::chrono::sys_seconds signed_at, std::string_view rand = "0",
                             std::string_view uid = "0");

/// With which key, and by which mistake of the signer, a digest comes out.
struct CdnMatch {
    KeyFound key = KeyFound::none;
    bool other_order = false;        ///< path and time were hashed the other way round
    bool path_decoded = false;       ///< the path was hashed without its percent-encoding
    bool time_case_changed = false;  ///< the time was hashed with the other case of hex digits
    bool digest_capitals = false;    ///< the digest is written with capitals
    KeySpace stray_space = KeySpace::none;

    bool exact() const noexcept {
        return key != KeyFound::none && !other_order && !path_decoded && !time_case_changed &&
               !digest_capitals && stray_space == KeySpace::none;
    }
    bool operator==(const CdnMatch&) const = default;
};

/// What a URL tells by itself, without any network. Facts only.
struct CdnCheck {
    std::optional<CdnAuthType> type{};  ///< whose form the URL has; the configured one if several fit
    Digest hash = Digest::md5;          ///< by the length of the digest
    CdnTime time = CdnTime::by_type;    ///< as it is written: 10 digits are decimal, 8 are hex
    std::optional<std::chrono::sys_seconds> signed_at{};  ///< absent if the time cannot be read
    bool other_parameters = false;  ///< a query beside the signature, which the CDN does not support
    bool repeated = false;  ///< a parameter of the signature stands there twice; the first is looked at
    CdnMatch match{};
};

/// Compares a URL with the keys we know. An empty key is not tried. Never CdnAuthError::has_query or
/// bad_rand.
result<CdnCheck> check_cdn_url(std::string_view url, const CdnAuth& auth, std::string_view main_key,
                               std::string_view backup_key);

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::CdnAuthError> : std::true_type {};
