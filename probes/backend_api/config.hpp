#pragma once
// The keys of `[[probe]] kind = "backend_api"`.
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "config/secret.hpp"

namespace livecanary::config {
class Reader;
}

namespace livecanary::backend_api {

namespace asio = boost::asio;

/// What is looked at, cheapest first: each touches one thing more than those before it.
enum class Check { static_page, php, redis, db, login, vod_list, cos_sign, secrets_hidden };
/// In the order of Check; also names of evidence and label values.
inline constexpr std::array<std::string_view, 8> check_names{
    "static", "php", "redis", "db", "login", "vod_list", "cos_sign", "secrets_hidden"};
constexpr std::string_view name_of(Check check) noexcept {
    return check_names[static_cast<std::size_t>(check)];
}
/// It needs an account.
constexpr bool needs_account(Check check) noexcept {
    return check == Check::login || check == Check::vod_list || check == Check::cos_sign;
}

/// Where something is served, and how to get there.
struct Endpoint {
    bool tls = true;
    std::string host{};
    std::uint16_t port = 443;
    /// Connects there instead of resolving the host.
    std::optional<asio::ip::address> address{};
    std::string ca_file{};

    /// For Host: with the port unless it is the scheme's own.
    std::string host_header() const;
    bool operator==(const Endpoint&) const = default;
};

/// The instant messaging that a login's UserSig is for.
struct Im {
    std::int64_t sdkappid = 0;
    config::Secret key{};  ///< empty: its HMAC is not checked
};

/// The backend where it really is, for a probe of an address that an app has compiled in.
struct TrueAddress {
    Endpoint endpoint{};
    std::string prefix{};
};

struct Config {
    Endpoint endpoint{};
    std::string prefix{};  ///< of every path: empty, or "/like/this"
    std::optional<TrueAddress> same_as{};
    std::string userid{};  ///< of an account of this probe's own; empty: there is none
    config::Secret password{};
    std::vector<Check> checks{};  ///< in the order of Check
    unsigned static_status = 0;   ///< what `/` must answer; 0: anything below 500
    std::optional<Im> im{};
    /// The newest replay may be this old; nothing: its age is not judged.
    std::optional<std::chrono::seconds> max_age{};
    bool fetch_play_url = false;  ///< asks for the first bytes of the newest replay

    bool has(Check check) const;
    bool has_account() const { return !userid.empty() && !password.empty(); }
};

Config read(config::Reader& in);

}  // namespace livecanary::backend_api
