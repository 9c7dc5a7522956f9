#pragma once
// The signature of COS's XML API: made, read, and compared with the request it came with.
//
// Sources: Tencent Cloud document 436/7778 "Request Signature", read 2026-11-21; what is signed and how it is
// encoded and sorted as cos-nodejs-sdk-v5 3.0.0 does it.
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "probes/core/reason.hpp"
#include "probes/protocol/key_text.hpp"

namespace livecanary::protocol {

enum class CosSignError {
    too_long = 1,    ///< longer than `max_cos_text_size`
    forbidden_byte,  ///< a control byte, white space, or another that cannot stand there
    bad_method,      ///< empty, or not of letters alone
    bad_url,         ///< not http[s]://host[/path][?query], or with user info or '#'
    bad_escape,      ///< a '%' without two hexadecimal digits
    missing_field,   ///< one of the seven q-… fields is not there
    repeated_field,  ///< one of them stands there twice
    bad_time,        ///< not two Unix seconds with ';' between them
};
error_code make_error_code(CosSignError error) noexcept;

/// Bytes of a URL or an Authorization: a line of a request's head as long as nginx takes by default
/// (large_client_header_buffers).
inline constexpr std::size_t max_cos_text_size = 8 * 1024;

/// From when until when a signature, or the SignKey it is made with, holds.
struct KeyTime {
    std::chrono::sys_seconds start{};
    std::chrono::sys_seconds end{};

    /// `start;end` in decimal Unix seconds: the text that is hashed.
    std::string to_string() const;
    bool operator==(const KeyTime&) const = default;
};

/// Takes what to_string() writes, up to the year 5138; CosSignError::bad_time for all else, such as a leading
/// zero, since the text itself is hashed. That it ends before it starts is no error here.
result<KeyTime> parse_key_time(std::string_view text);

/// Lower-case hex HMAC-SHA1 of KeyTime: signs anything until it ends, so it is a secret too. This is what a
/// backend hands out to keep its SecretKey.
std::string cos_sign_key(std::string_view secret_key, const KeyTime& key_time);

/// A header or parameter with nothing encoded.
struct CosField {
    std::string name{};
    std::string value{};
    bool operator==(const CosField&) const = default;
};

/// What of a request a signature covers.
struct CosRequest {
    std::string method{};                ///< in any letter case
    std::string path = "/";              ///< "/" and the object's key, as UTF-8 and not percent-encoded
    std::vector<CosField> parameters{};  ///< of the query, decoded; a missing value is an empty one
    std::vector<CosField> headers{};
    bool operator==(const CosRequest&) const = default;
};

/// Reads the URL of a request as it goes over the wire. The header Host is added unless it is there. The
/// seven q-… fields are left out of the parameters.
result<CosRequest> cos_request(std::string_view method, std::string_view url,
                               std::vector<CosField> headers = {});

/// Whether the vendor's SDK signs a header of that name. Nothing must be signed, but an unsigned
/// Host lets the signature be used on another bucket. Not x-cos-security-token: it goes beside the signature
/// of temporary keys, signed by some SDKs and not by others.
bool cos_sdk_signs(std::string_view header_name);

/// The text whose SHA-1 is signed. Every header and parameter of the request that has a name goes in.
std::string cos_http_string(const CosRequest& request);
/// The text that the SignKey signs.
std::string cos_string_to_sign(const CosRequest& request, const KeyTime& key_time);

/// An Authorization, taken apart.
struct CosAuthorization {
    std::string algorithm = "sha1";
    std::string secret_id{};
    KeyTime sign_time{};
    KeyTime key_time{};
    std::vector<std::string> header_list{};     ///< percent-encoded names in lower case, sorted
    std::vector<std::string> parameter_list{};  ///< the same of the query
    std::string signature{};                    ///< lower-case hex

    /// Value of the header Authorization.
    std::string header() const;
    /// The same as a query, with every value percent-encoded.
    std::string query() const;
    bool operator==(const CosAuthorization&) const = default;
};

/// Signs every header and parameter of the request that has a name.
CosAuthorization cos_sign(const CosRequest& request, std::string_view secret_id, std::string_view sign_key,
                          const KeyTime& key_time);

/// The URL with that signature in its query, in place of an earlier one.
std::string cos_signed_url(std::string_view url, const CosAuthorization& authorization);

/// Reads the header's value. Unknown fields are skipped; another algorithm than sha1 is no error here.
result<CosAuthorization> parse_cos_authorization(std::string_view text);
/// The same out of a URL's query among other parameters.
result<CosAuthorization> parse_cos_query(std::string_view query);

/// With which key, and by which mistake of the signer, a signature comes out.
struct CosMatch {
    enum class Mistake {
        none,
        unsorted,            ///< the lists were hashed in their own order, which is not sorted
        path_encoded,        ///< the path was hashed percent-encoded
        values_not_encoded,  ///< values of headers and parameters were hashed as they are
        sign_key_binary,     ///< SignKey was taken as 20 bytes, not as 40 digits
    };
    KeyFound key = KeyFound::none;  ///< main or none
    Mistake mistake = Mistake::none;
    bool capitals = false;  ///< the signature is written with capitals
    KeySpace stray_space = KeySpace::none;

    bool exact() const noexcept {
        return key != KeyFound::none && mistake == Mistake::none && !capitals &&
               stray_space == KeySpace::none;
    }
    bool operator==(const CosMatch&) const = default;
};

/// What an Authorization tells beside its request, without any network. Facts only.
struct CosCheck {
    bool algorithm_known = false;                   ///< sha1
    bool times_differ = false;                      ///< q-sign-time is not q-key-time
    bool ends_before_start = false;                 ///< one of the two times does
    std::chrono::seconds expired_for{0};            ///< now - the earlier end; negative while it is valid
    std::chrono::seconds starts_in{0};              ///< the later start - now; positive: not valid yet
    bool lists_canonical = false;                   ///< the lists are in lower case and sorted
    std::vector<std::string> missing_headers{};     ///< named in the list, not in the request
    std::vector<std::string> missing_parameters{};  ///< the same of the query
    std::vector<std::string> unsigned_headers{};    ///< in the request, the SDK signs them, not in the list
    std::vector<std::string> unsigned_parameters{};
    CosMatch match{};

    /// The second of the end counts as expired.
    bool expired() const noexcept { return expired_for >= std::chrono::seconds(0); }
    bool not_yet() const noexcept { return starts_in > std::chrono::seconds(0); }
};

/// Of the two keys, the one known; an empty one is not tried.
struct CosKeys {
    std::string_view secret_key{};
    std::string_view sign_key{};  ///< as a backend issued it for the key time of the Authorization
};

CosCheck check_cos(const CosAuthorization& authorization, const CosRequest& request, CosKeys keys,
                   std::chrono::sys_seconds now);

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::CosSignError> : std::true_type {};
