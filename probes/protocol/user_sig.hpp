#pragma once
// UserSig of the vendor's instant messaging, second generation (TLSSigAPIv2): what an app logs in with, made
// by the business backend with the key of its SDKAppID.
//
// Sources: the vendor's TLSSigAPIv2.php as the product's backend ships it, and its error codes (document
// 269/1671), both read 2026-11-21. JSON, deflated (RFC 1950), as base64 with three characters changed; inside
// is an HMAC-SHA256 over the fields.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "probes/core/reason.hpp"
#include "probes/protocol/key_text.hpp"

namespace livecanary::protocol {

enum class UserSigError {
    too_long = 1,   ///< more than `max_user_sig_size`
    not_base64,     ///< not of its alphabet, or not padded
    not_deflated,   ///< not one whole zlib stream
    too_large,      ///< more than `max_user_sig_json` once inflated
    not_json,       ///< not one flat JSON object of strings and whole numbers
    field_missing,  ///< without identifier, SDKAppID, time, expire or sig, or one of another type
    other_version,  ///< TLS.ver is not 2.x: such are signed otherwise
    bad_field,      ///< a time that is no time
};
error_code make_error_code(UserSigError error) noexcept;

/// Bytes. A real one has some 200; the longest identifier and userbuf the vendor allows stay below 1 KiB.
inline constexpr std::size_t max_user_sig_size = 8 * 1024;
inline constexpr std::size_t max_user_sig_json = 16 * 1024;

/// What it says, in the words of its JSON.
struct UserSig {
    std::string identifier{};
    std::int64_t sdkappid = 0;
    std::chrono::sys_seconds time{};  ///< when it was made
    std::chrono::seconds expire{0};   ///< how long it holds from then
    std::string userbuf{};            ///< base64, as it stands there; empty if there is none
    std::string sig{};                ///< base64 of the HMAC

    std::chrono::sys_seconds end() const { return time + expire; }
    bool operator==(const UserSig&) const = default;
};

/// What `sig` is the HMAC of.
std::string user_sig_content(const UserSig& fields);
/// The HMAC of that, as `sig` has it.
std::string user_sig_hmac(const UserSig& fields, std::string_view key);
/// `fields` with its `sig` as the text that an app gets. `sig` is not made here.
std::string write_user_sig(const UserSig& fields);
/// The whole of it: signs and writes.
std::string make_user_sig(UserSig fields, std::string_view key);

/// Reads what write_user_sig() or the vendor's own code writes.
result<UserSig> parse_user_sig(std::string_view text);

/// What a UserSig is compared with.
struct UserSigExpected {
    std::string_view identifier{};  ///< empty: not compared
    std::int64_t sdkappid = 0;      ///< 0: not compared
    std::string_view key{};         ///< empty: not compared
};

struct UserSigCheck {
    bool identifier_differs = false;
    bool sdkappid_differs = false;
    std::chrono::seconds expired_for{0};  ///< negative while it holds
    std::chrono::seconds made_ahead{0};   ///< of our clock, if positive
    KeyFound key = KeyFound::none;        ///< none too if no key was given
    KeySpace stray_space = KeySpace::none;

    bool expired() const { return expired_for >= std::chrono::seconds(0); }
};
UserSigCheck check_user_sig(const UserSig& fields, const UserSigExpected& expected,
                            std::chrono::sys_seconds now);

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::UserSigError> : std::true_type {};
