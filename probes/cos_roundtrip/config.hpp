#pragma once
// The keys of `[[probe]] kind = "cos_roundtrip"`.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <boost/asio/ip/address.hpp>

#include "config/secret.hpp"
#include "probes/protocol/cos_sign.hpp"

namespace livecanary::config {
class Reader;
}

namespace livecanary::cos_roundtrip {

namespace asio = boost::asio;

/// A bucket as the JSON API has it.
struct V4Bucket {
    std::string app_id{};
    std::string name{};          ///< without "-app_id"
    std::string version = "v2";  ///< v1 is the generation before, at a host of its own
    bool operator==(const V4Bucket&) const = default;
};

/// Where a bucket is served, and how to get there.
struct Endpoint {
    bool tls = true;
    std::string host{};  ///< `{bucket}.cos.{region}.myqcloud.com`, or of the configured endpoint
    std::uint16_t port = 443;
    /// Connects there instead of resolving the host.
    std::optional<asio::ip::address> address{};
    std::string ca_file{};
    /// Spoken to over the JSON API; else over the XML API, where the host names the bucket.
    std::optional<V4Bucket> v4{};

    /// For Host: with the port unless it is the scheme's own.
    std::string host_header() const;
    bool operator==(const Endpoint&) const = default;
};

/// What a backend hands out instead of its SecretKey.
struct Issued {
    config::Secret sign_key{};
    protocol::KeyTime key_time{};
};

/// Who signs: a key pair, or for as long as it holds what a backend has issued.
struct Credentials {
    std::string secret_id{};
    config::Secret secret_key{};
    config::Secret token{};          ///< x-cos-security-token of a temporary key; empty for a long-term one
    std::optional<Issued> issued{};  ///< used instead of secret_key
};

/// With a `backend`, each run takes bucket, region, endpoint and credentials from what the backend says
/// (backend.hpp); what stands here of bucket and region is then what it is expected to say, and may be empty.
struct Config {
    std::string bucket{};  ///< name-appid; over the JSON API the name alone
    std::string region{};  ///< such as ap-shanghai; over the JSON API such as sh
    Endpoint endpoint{};
    /// The key `endpoint`, or where the vendor serves a bucket; `{bucket}` and `{region}` stand in for
    /// theirs.
    std::string endpoint_url{};
    Credentials credentials{};
    std::string backend{};             ///< name of the probe that is asked what an app signs with, or empty
    std::optional<Credentials> own{};  ///< besides a backend: a key pair of the monitor's own, for controls
    std::uint64_t object_size = 64 * 1024;  ///< bytes, 1 to 1 GiB
    std::string prefix = "livecanary/";     ///< of object keys; ends in a slash
    /// How long a signature holds: the app's own is 30 s (backend), the vendor's SDK takes 15 minutes.
    std::chrono::seconds signature_lifetime{std::chrono::minutes(5)};
};

Config read(config::Reader& in);

/// `name-appid`, with the appid once: a client that appends it to a full name doubles it.
bool is_bucket(const std::string& bucket);
/// Such as ap-shanghai.
bool is_region(const std::string& region);

/// Where `config` has that bucket served; nothing if its `endpoint_url` is no URL of a host alone.
std::optional<Endpoint> endpoint_of(const Config& config, const std::string& bucket,
                                    const std::string& region);

/// The same bucket in another region; nothing if the endpoint's host does not name its region.
std::optional<Endpoint> in_region(const Endpoint& endpoint, const std::string& from, const std::string& to);

}  // namespace livecanary::cos_roundtrip
