#include "probes/cos_roundtrip/config.hpp"

#include <algorithm>
#include <array>

#include "config/reader.hpp"
#include "probes/net/http.hpp"

namespace livecanary::cos_roundtrip {
namespace {

using namespace std::chrono_literals;

bool is_word(const std::string& text, std::string_view more) {
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || more.find(c) != std::string_view::npos;
    });
}

/// `name-appid`, once (facts: a bucket that already ends in -APPID would be doubled by a naive client).
bool is_bucket(const std::string& bucket) {
    const auto dash = bucket.rfind('-');
    if (dash == std::string::npos || dash == 0 || !is_word(bucket, "-")) return false;
    if (std::string_view(bucket).substr(0, dash).ends_with(std::string_view(bucket).substr(dash)))
        return false;
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    return bucket.size() - dash > 5 &&
           std::all_of(bucket.begin() + static_cast<std::ptrdiff_t>(dash) + 1, bucket.end(), digit);
}

void read_endpoint(config::Reader& in, Config& config) {
    config.endpoint.host = config.bucket + ".cos." + config.region + ".myqcloud.com";
    std::string url;
    in.optional("endpoint", url);
    if (!url.empty()) {
        const auto parsed = net::parse_http_url(url);
        if (!parsed || parsed->target != "/") {
            in.mistake("endpoint", "expected http[s]://host[:port], found '" + url + "'");
        } else {
            config.endpoint.tls = parsed->tls;
            config.endpoint.host = parsed->host;
            config.endpoint.port = parsed->port;
        }
    }
    std::string address;
    in.optional("address", address);
    if (!address.empty()) {
        boost::system::error_code ec;
        config.endpoint.address = asio::ip::make_address(address, ec);
        if (ec) in.mistake("address", "expected an IPv4 or IPv6 address, found '" + address + "'");
    }
    in.path("ca_file", config.endpoint.ca_file);
    if (in.has("ca_file") && !config.endpoint.tls) in.mistake("ca_file", "needs an https:// endpoint");
}

}  // namespace

std::string Endpoint::host_header() const {
    return net::HttpUrl{.tls = tls, .host = host, .port = port, .target = "/"}.host_header();
}

Config read(config::Reader& in) {
    Config config;
    in.required("bucket", config.bucket);
    if (!config.bucket.empty() && !is_bucket(config.bucket))
        in.mistake("bucket",
                   "expected the bucket's name, '-' and the APPID, such as cover-1250000000, found '" +
                       config.bucket + "'");
    in.required("region", config.region);
    if (!config.region.empty() && !is_word(config.region, "-"))
        in.mistake("region", "expected a region such as ap-shanghai, found '" + config.region + "'");
    in.required("secret_id", config.credentials.secret_id);
    in.required_secret("secret_key", config.credentials.secret_key);
    in.secret("token", config.credentials.token);
    std::string api = "xml";
    constexpr std::array<std::string_view, 1> apis{"xml"};
    in.one_of("api", api, apis);
    read_endpoint(in, config);
    in.size("object_size", config.object_size, 1, std::uint64_t{1} << 30);
    in.optional("prefix", config.prefix);
    if (config.prefix.empty() || config.prefix.front() == '/' || config.prefix.back() != '/' ||
        config.prefix.find("//") != std::string::npos || !is_word(config.prefix, "-_/"))
        in.mistake("prefix", "expected a-z, 0-9, '-', '_' and single slashes, ending in a slash, found '" +
                                 config.prefix + "'");
    std::chrono::milliseconds lifetime = config.signature_lifetime;
    in.optional("signature_lifetime", lifetime, 10s, 24h);
    config.signature_lifetime = std::chrono::ceil<std::chrono::seconds>(lifetime);
    return config;
}

std::optional<Endpoint> in_region(const Endpoint& endpoint, const std::string& from, const std::string& to) {
    const std::string mark = ".cos." + from + ".";
    const auto at = endpoint.host.find(mark);
    if (at == std::string::npos) return std::nullopt;
    Endpoint other = endpoint;
    other.host.replace(at, mark.size(), ".cos." + to + ".");
    return other;
}

}  // namespace livecanary::cos_roundtrip
