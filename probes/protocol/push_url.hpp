#pragma once
// The URLs of a live stream, and the txSecret/txTime pair that authorises pushing to or playing from them.
//
// Sources: Tencent Cloud documents 267/38393 "Splicing Live Streaming URLs" and 267/31560 "Hotlink Protection
// URL Calculation", read 2026-11-21; tcUrl as OBS Studio and librtmp compose it.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "probes/core/reason.hpp"
#include "probes/protocol/key_text.hpp"

namespace livecanary::protocol {

enum class UrlError {
    too_long = 1,        ///< longer than `max_url_size`
    forbidden_byte,      ///< white space, a control byte or '#'
    no_scheme,           ///< does not begin with a scheme and "://"
    unknown_scheme,      ///< a scheme that is not of this kind of URL
    rtmpt_unsupported,   ///< RTMP over HTTP polling, with or without TLS
    rtmpe_unsupported,   ///< RTMP under Adobe's own encryption, with or without polling
    user_info,           ///< "user:password@" before the host
    bad_host,            ///< empty, or not a host name, IPv4 address or bracketed IPv6 address
    bad_port,            ///< not 1 to 65535
    no_app,              ///< no application name after the host
    no_stream_name,      ///< nothing after the application name
    empty_path_segment,  ///< two slashes in a row in the path
};
error_code make_error_code(UrlError error) noexcept;

/// Bytes; far above every URL of a vendor's document, and well within an AMF0 string of 65535.
inline constexpr std::size_t max_url_size = 4096;

/// Where to push. Everything is kept as written; nothing is percent-decoded, because RTMP servers do not.
struct PushUrl {
    bool tls = false;    ///< rtmps
    std::string host{};  ///< name or address; an IPv6 address without its brackets
    std::uint16_t port = 1935;
    std::string app{};          ///< without slashes at its ends; may hold some inside
    std::string stream_name{};  ///< bare: without the query
    std::string query{};        ///< what follows the first '?', which is not part of it; may be empty

    /// The `tcUrl` of connect: `rtmp://host[:port]/app`, never with the query.
    std::string tc_url() const;
    /// The name for releaseStream, FCPublish and publish. The query travels here: a server that checks
    /// txSecret does not look for it in tcUrl (GitHub ossrs/srs-librtmp issue 27).
    std::string publish_name() const;
    /// The whole URL with every secret in it: for a publisher's command line, never for a log.
    std::string to_string() const;
    /// The whole URL for display: see redacted_query().
    std::string redacted() const;

    bool operator==(const PushUrl&) const = default;
};

/// Reads `rtmp[s]://host[:port]/app[/more]/stream[?query]`. The port defaults to 1935, of rtmps to 443.
result<PushUrl> parse_push_url(std::string_view url);

/// Where to play: `rtmp[s]` or `http[s]://host[:port]/app[/more]/stream[.flv|.m3u8][?query]`.
struct PlayUrl {
    std::string scheme{};     ///< lower case: rtmp, rtmps, http or https
    std::string host{};       ///< as in PushUrl
    std::uint16_t port = 80;  ///< default of the scheme: 1935, 443, 80, 443
    std::string app{};
    std::string stream_name{};  ///< with its transcode template, if any; without extension
    std::string extension{};    ///< ".flv", ".m3u8" or empty; not part of what is hashed
    std::string query{};

    std::string to_string() const;
    std::string redacted() const;

    bool operator==(const PlayUrl&) const = default;
};

result<PlayUrl> parse_play_url(std::string_view url);

/// A query in which each value that may be a secret, by its name (which holds secret, sign, key, token, auth,
/// pass or pwd, or is percent-encoded), is cut to its first 4 characters and "…". Of 8 characters or less,
/// none is shown.
std::string redacted_query(std::string_view query);
/// The same for the text of a URL, well-formed or not; user info is hidden too, and control
/// bytes become '?'.
std::string redacted_url(std::string_view url);

/// Which digest a domain is set to; MD5 unless its owner chose otherwise (document 267/31560).
enum class TxHash { md5, sha256 };
enum class HexCase { upper, lower };

struct TxSigning {
    TxHash hash = TxHash::md5;
    HexCase tx_time_case = HexCase::upper;  ///< the text is hashed as it is sent, so both cases are valid
};

/// Hexadecimal Unix seconds, without leading zeros. Times before 1970 give "0".
std::string tx_time(std::chrono::sys_seconds expiry, HexCase hex_case = HexCase::upper);

/// Lower-case hex digest of key, stream name and txTime, one after the other without separators.
/// Throws std::runtime_error if OpenSSL refuses the digest (a FIPS provider refuses MD5).
std::string tx_secret(std::string_view key, std::string_view stream_name, std::string_view tx_time,
                      TxHash hash = TxHash::md5);

/// `txSecret=…&txTime=…`, after what `query` holds besides these two (such as `bizid=`).
std::string sign_query(std::string_view key, std::string_view stream_name, std::chrono::sys_seconds expiry,
                       TxSigning signing = {}, std::string_view query = {});

/// A copy that is valid until `expiry`; its own txSecret and txTime, if any, are replaced.
PushUrl sign_push_url(PushUrl url, std::string_view key, std::chrono::sys_seconds expiry,
                      TxSigning signing = {});
PlayUrl sign_play_url(PlayUrl url, std::string_view key, std::chrono::sys_seconds expiry,
                      TxSigning signing = {});

/// With which key, and by which way of hashing, a URL's txSecret comes out.
struct SecretMatch {
    using Key = KeyFound;
    using StraySpace = KeySpace;

    Key key = Key::none;
    TxHash hash = TxHash::md5;
    bool tx_time_case_changed = false;  ///< hashed with the other case of hex digits than the URL shows
    bool secret_case_changed = false;   ///< the digest is written with capitals
    StraySpace stray_space = StraySpace::none;

    /// A known key, used as documented.
    bool exact() const noexcept {
        return key != Key::none && !tx_time_case_changed && !secret_case_changed &&
               stray_space == StraySpace::none;
    }
    bool operator==(const SecretMatch&) const = default;
};

/// The account number (bizid) in each of the places where a URL of the legacy form repeats it.
struct Bizid {
    /// First label of the host, if it is a number: `8888.livepush…`
    std::optional<std::string> domain_label{};
    /// Value of `bizid=`, as written.
    std::optional<std::string> query{};
    /// Number before the first '_' of the stream name: `8888_room`
    std::optional<std::string> stream_prefix{};

    /// No two of them differ. A stream prefix alone says nothing: names of the new form may begin like it.
    bool agree() const noexcept;
    bool operator==(const Bizid&) const = default;
};

/// What a URL tells by itself, without any network. Facts only: what they mean is for diagnose() to say.
struct UrlCheck {
    bool has_query = false;
    bool has_tx_secret = false;  ///< present and not empty
    bool has_tx_time = false;    ///< present and not empty
    bool repeated = false;       ///< txSecret or txTime stands there twice; the first one is looked at
    std::optional<std::chrono::sys_seconds> expires{};  ///< absent unless txTime is 1 to 10 hex digits
    std::chrono::seconds expired_for{0};                ///< now - expires; negative while it is valid
    SecretMatch secret{};
    Bizid bizid{};

    /// The instant of txTime itself counts as expired. A domain may grant more time (AuthDelta).
    bool expired() const noexcept { return expires && expired_for >= std::chrono::seconds(0); }
};

/// Compares a URL with the keys we know and the time it is. An empty key is not tried.
UrlCheck check_push_url(const PushUrl& url, std::string_view main_key, std::string_view backup_key,
                        std::chrono::sys_seconds now);
UrlCheck check_play_url(const PlayUrl& url, std::string_view main_key, std::string_view backup_key,
                        std::chrono::sys_seconds now);

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::UrlError> : std::true_type {};
