#pragma once
// `livecanary sign`: signatures by the library the probes use.
#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "config/secret.hpp"
#include "probes/core/run.hpp"

namespace livecanary::daemon {

struct SignUrl {
    std::string url{};
    config::Secret key{};
    config::Secret backup_key{};  ///< only for verify
    std::chrono::seconds lifetime{std::chrono::hours(12)};
    std::string expires{};  ///< Unix seconds, or txTime as hex after "0x"; empty: now + lifetime
    bool sha256 = false;
    bool lower_case = false;  ///< of txTime
    bool verify = false;      ///< says what does not match instead of signing
};

/// Push and play URLs. 0 signed or sound; 1 it does not verify; 2 not a URL.
int sign_push_url(std::ostream& out, std::ostream& err, const SignUrl& command, WallTime now);
int sign_play_url(std::ostream& out, std::ostream& err, const SignUrl& command, WallTime now);

/// A request to COS's XML API.
struct SignCos {
    std::string method{};
    std::string url{};
    std::vector<std::string> headers{};  ///< "Name: value"; all of them are signed
    std::string secret_id{};             ///< with verify, empty: not compared
    config::Secret key{};
    bool key_is_sign_key =
        false;               ///< as a backend issues it, instead of a SecretKey; signs only with key_time
    std::string key_time{};  ///< "start;end" in Unix seconds; empty: from now for lifetime
    std::chrono::seconds lifetime{std::chrono::hours(1)};
    bool as_url = false;  ///< prints the URL with the signature in its query
    bool verify = false;
    std::string authorization{};  ///< only for verify; empty: the URL's own signature
};

/// COS's JSON API, the one before.
struct SignCosV4 {
    std::string app_id{}, bucket{}, secret_id{};  ///< with verify, empty: not compared
    config::Secret key{};
    std::string object{};  ///< the key of an object makes the signature one of single use; empty: many uses
    std::chrono::seconds lifetime{std::chrono::hours(1)};  ///< of one for many uses
    std::uint32_t random = 0;
    bool verify = false;
    std::string authorization{};  ///< only for verify
};

/// The URL authentication of the CDN.
struct SignCdn {
    std::string url{};
    std::string type{};  ///< A, B, C or D
    config::Secret key{};
    config::Secret backup_key{};  ///< only for verify
    bool sha256 = false;
    bool time_first = false;    ///< type C as the vendor's international site has it
    std::string time_format{};  ///< decimal or hex; empty: the type's own
    std::string sign_parameter = "sign";
    std::string time_parameter = "t";
    std::string rand = "0";
    std::chrono::seconds validity{std::chrono::minutes(30)};  ///< what the domain grants; only for verify
    bool verify = false;
};

/// UserSig of the instant messaging (TLSSigAPIv2).
struct SignUserSig {
    std::string identifier{};   ///< with verify, empty: not compared
    std::int64_t sdkappid = 0;  ///< with verify, 0: not compared
    config::Secret key{};
    std::chrono::seconds lifetime{std::chrono::hours(24 * 180)};
    bool verify = false;
    config::Secret user_sig{};  ///< only for verify: whoever has one can log in
};

/// A live callback.
struct SignCallback {
    config::Secret key{};
    config::Secret backup_key{};  ///< only for verify
    std::string t{};              ///< Unix seconds; empty: now + lifetime
    std::chrono::seconds lifetime{std::chrono::minutes(10)};
    std::string sign{};  ///< only for verify
    bool verify = false;
};

/// 0 signed or sound; 1 it does not verify; 2 what was given makes no sense.
int sign_cos(std::ostream& out, std::ostream& err, const SignCos& command, WallTime now);
int sign_cos_v4(std::ostream& out, std::ostream& err, const SignCosV4& command, WallTime now);
int sign_cdn(std::ostream& out, std::ostream& err, const SignCdn& command, WallTime now);
int sign_user_sig(std::ostream& out, std::ostream& err, const SignUserSig& command, WallTime now);
int sign_callback(std::ostream& out, std::ostream& err, const SignCallback& command, WallTime now);

}  // namespace livecanary::daemon
