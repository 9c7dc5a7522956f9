#pragma once
// The keys of `[[probe]] kind = "cdn_fetch"`.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "config/secret.hpp"
#include "probes/net/http.hpp"
#include "probes/protocol/cdn_auth.hpp"

namespace livecanary::config {
class Reader;
}

namespace livecanary::cdn_fetch {

namespace asio = boost::asio;

/// Addresses of one name that are asked in one run; further ones are left out, and said so.
inline constexpr std::size_t most_addresses = 32;

/// A scheme, a host and a port, and how to get there.
struct Endpoint {
    bool tls = true;
    std::string host{};
    std::uint16_t port = 443;
    std::string ca_file{};

    /// For Host: with the port unless it is the scheme's own.
    std::string host_header() const;
};

/// How the URLs of the domain are signed.
struct Auth {
    protocol::CdnAuth how{};
    config::Secret key{};
    config::Secret backup_key{};  ///< empty: none
};

/// Where the same object can be had without the CDN, of a fixed URL.
struct FixedOrigin {
    Endpoint endpoint{};
    std::string target{};
    std::optional<asio::ip::address> address{};
};

struct Config {
    std::string after{};  ///< the probe that uploads what is fetched; empty: the fixed `path`
    std::string path{};   ///< path and query of a fixed URL
    Endpoint edge{};      ///< of the CDN domain
    std::vector<asio::ip::address> addresses{};  ///< instead of resolving the domain
    bool every_address = false;
    std::optional<FixedOrigin> origin{};  ///< of a fixed URL
    std::optional<Auth> auth{};
    bool never_signed = false;  ///< `auth` says that the domain wants no signature
    bool expect_cache = true;   ///< the same URL again, at the same address, must come from a cache
    std::string referer{};      ///< sent with every request; empty: none
    std::string user_agent = "livecanary";
    std::uint64_t max_size = std::uint64_t{64} << 20;  ///< bytes of an object that is fetched
};

Config read(config::Reader& in);

}  // namespace livecanary::cdn_fetch
