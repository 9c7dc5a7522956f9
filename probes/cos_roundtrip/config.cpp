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

/// What the JSON API takes in one piece, without slices.
constexpr std::uint64_t most_v4_size = std::uint64_t{20} << 20U;

void replace_all(std::string& text, std::string_view what, const std::string& by) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
        text.replace(at, what.size(), by);
}

void read_endpoint(config::Reader& in, Config& config) {
    std::string url;
    in.optional("endpoint", url);
    config.endpoint_url = url;
    if (url.empty())
        config.endpoint_url = config.endpoint.v4 ? "https://{region}.file.myqcloud.com"
                                                 : "https://{bucket}.cos.{region}.myqcloud.com";
    // What a backend will name is not known yet: any bucket shows whether the URL is one.
    const bool named = (config.endpoint.v4 ? is_word(config.bucket, "-") : is_bucket(config.bucket)) &&
                       is_region(config.region);
    const auto endpoint = named ? endpoint_of(config, config.bucket, config.region)
                                : endpoint_of(config, "bucket-1250000000", "region");
    if (!endpoint) in.mistake("endpoint", "expected http[s]://host[:port], found '" + url + "'");
    std::string address;
    in.optional("address", address);
    if (!address.empty()) {
        boost::system::error_code ec;
        config.endpoint.address = asio::ip::make_address(address, ec);
        if (ec) in.mistake("address", "expected an IPv4 or IPv6 address, found '" + address + "'");
    }
    in.readable("ca_file", config.endpoint.ca_file);
    if (!endpoint) return;
    config.endpoint.tls = endpoint->tls;
    if (named || config.endpoint_url.find('{') == std::string::npos) {
        config.endpoint.host = endpoint->host;
        config.endpoint.port = endpoint->port;
    }
    if (in.has("ca_file") && !config.endpoint.tls) in.mistake("ca_file", "needs an https:// endpoint");
}

/// Keys and limits of the JSON API alone.
void read_v4(config::Reader& in, Config& config) {
    V4Bucket& v4 = config.endpoint.v4.emplace();
    in.required("app_id", v4.app_id);
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!v4.app_id.empty() && !std::ranges::all_of(v4.app_id, digit))
        in.mistake("app_id", "expected the account's APPID, such as 1250000000, found '" + v4.app_id + "'");
    in.required("bucket", config.bucket);
    if (!config.bucket.empty() && (!is_word(config.bucket, "-") || config.bucket.ends_with("-" + v4.app_id)))
        in.mistake("bucket", "expected the bucket's name without its APPID, such as cover, found '" +
                                 config.bucket + "'");
    v4.name = config.bucket;
    in.required("region", config.region);
    if (!config.region.empty() && !is_region(config.region))
        in.mistake("region", "expected a region such as sh, found '" + config.region + "'");
    for (const char* key : {"signature", "own", "token"}) {
        if (!in.has(key)) continue;
        config::Secret unused;
        if (std::string_view(key) == "token")
            in.secret(key, unused);
        else
            in.table(key);
        in.mistake(key, "is of the XML API: not with api = 'v4'");
    }
    in.required("secret_id", config.credentials.secret_id);
    in.required_secret("secret_key", config.credentials.secret_key);
}

void read_pair(config::Reader& in, Credentials& pair) {
    in.required("secret_id", pair.secret_id);
    in.required_secret("secret_key", pair.secret_key);
    in.secret("token", pair.token);
}

void read_signature(config::Reader& in, Config& config) {
    if (auto signature = in.table("signature")) {
        if (!signature->has("backend")) signature->mistake("backend", "missing");
        signature->reference("backend", config.backend);
        signature->unread();
    }
    if (!in.has("signature")) {
        read_pair(in, config.credentials);
        if (in.has("own")) {
            in.table("own");
            in.mistake("own", "is for a probe with a 'signature'; this one's key pair is its own already");
        }
        return;
    }
    Credentials unused;
    in.optional("secret_id", unused.secret_id);
    in.secret("secret_key", unused.secret_key);
    in.secret("token", unused.token);
    for (const char* key : {"secret_id", "secret_key", "token"})
        if (in.has(key))
            in.mistake(key,
                       "not beside 'signature', which says who signs; a key pair of the monitor's own "
                       "goes into 'own'");
    if (auto own = in.table("own")) {
        read_pair(*own, config.own.emplace());
        own->unread();
    }
}

void read_xml(config::Reader& in, Config& config) {
    if (in.has("app_id")) {
        std::string unused;
        in.optional("app_id", unused);
        in.mistake("app_id", "is for api = 'v4': else it is a part of 'bucket'");
    }
    const bool by_backend = in.has("signature");
    by_backend ? in.optional("bucket", config.bucket) : in.required("bucket", config.bucket);
    if (!config.bucket.empty() && !is_bucket(config.bucket))
        in.mistake("bucket",
                   "expected the bucket's name, '-' and the APPID, such as cover-1250000000, found '" +
                       config.bucket + "'");
    by_backend ? in.optional("region", config.region) : in.required("region", config.region);
    if (!config.region.empty() && !is_region(config.region))
        in.mistake("region", "expected a region such as ap-shanghai, found '" + config.region + "'");
    read_signature(in, config);
}

}  // namespace

bool is_bucket(const std::string& bucket) {
    const auto dash = bucket.rfind('-');
    if (dash == std::string::npos || dash == 0 || !is_word(bucket, "-")) return false;
    if (std::string_view(bucket).substr(0, dash).ends_with(std::string_view(bucket).substr(dash)))
        return false;
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    return bucket.size() - dash > 5 &&
           std::all_of(bucket.begin() + static_cast<std::ptrdiff_t>(dash) + 1, bucket.end(), digit);
}

bool is_region(const std::string& region) { return is_word(region, "-"); }

std::optional<Endpoint> endpoint_of(const Config& config, const std::string& bucket,
                                    const std::string& region) {
    std::string url = config.endpoint_url;
    replace_all(url, "{bucket}", bucket);
    replace_all(url, "{region}", region);
    const auto parsed = net::parse_http_url(url);
    if (!parsed || parsed->target != "/") return std::nullopt;
    Endpoint endpoint = config.endpoint;
    endpoint.tls = parsed->tls;
    endpoint.host = parsed->host;
    endpoint.port = parsed->port;
    return endpoint;
}

std::string Endpoint::host_header() const {
    return net::HttpUrl{.tls = tls, .host = host, .port = port, .target = "/"}.host_header();
}

Config read(config::Reader& in) {
    Config config;
    std::string api = "xml";
    constexpr std::array<std::string_view, 2> apis{"xml", "v4"};
    in.one_of("api", api, apis);
    api == "v4" ? read_v4(in, config) : read_xml(in, config);
    read_endpoint(in, config);
    in.size("object_size", config.object_size, 1, api == "v4" ? most_v4_size : std::uint64_t{1} << 30U);
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
    Endpoint other = endpoint;
    if (endpoint.v4) {
        if (!endpoint.host.starts_with(from + ".file.")) return std::nullopt;
        other.host.replace(0, from.size(), to);
        return other;
    }
    const std::string mark = ".cos." + from + ".";
    const auto at = endpoint.host.find(mark);
    if (at == std::string::npos) return std::nullopt;
    other.host.replace(at, mark.size(), ".cos." + to + ".");
    return other;
}

}  // namespace livecanary::cos_roundtrip
