#pragma once
// The keys of `[[probe]] kind = "cos_roundtrip"`.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <boost/asio/ip/address.hpp>

#include "config/secret.hpp"

namespace livecanary::config {
class Reader;
}

namespace livecanary::cos_roundtrip {

namespace asio = boost::asio;

/// Where a bucket is served, and how to get there.
struct Endpoint {
    bool tls = true;
    std::string host{};  ///< `{bucket}.cos.{region}.myqcloud.com`, or of the configured endpoint
    std::uint16_t port = 443;
    /// Connects there instead of resolving the host.
    std::optional<asio::ip::address> address{};
    std::string ca_file{};

    /// For Host: with the port unless it is the scheme's own.
    std::string host_header() const;
    bool operator==(const Endpoint&) const = default;
};

/// Who signs.
struct Credentials {
    std::string secret_id{};
    config::Secret secret_key{};
    config::Secret token{};  ///< x-cos-security-token of a temporary key; empty for a long-term one
};

struct Config {
    std::string bucket{};  ///< name-appid
    std::string region{};  ///< such as ap-shanghai
    Endpoint endpoint{};
    Credentials credentials{};
    std::uint64_t object_size = 64 * 1024;  ///< bytes, 1 to 1 GiB
    std::string prefix = "livecanary/";     ///< of object keys; ends in a slash
    /// How long a signature holds: the app's own is 30 s (backend), the vendor's SDK takes 15 minutes.
    std::chrono::seconds signature_lifetime{std::chrono::minutes(5)};
};

Config read(config::Reader& in);

/// The same bucket in another region; nothing if the endpoint's host does not name its region.
std::optional<Endpoint> in_region(const Endpoint& endpoint, const std::string& from, const std::string& to);

}  // namespace livecanary::cos_roundtrip
