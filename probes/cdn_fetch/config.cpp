#include "probes/cdn_fetch/config.hpp"

#include <algorithm>
#include <array>

#include "config/reader.hpp"
#include "probes/protocol/ascii.hpp"

namespace livecanary::cdn_fetch {
namespace {

bool is_host(const std::string& text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return protocol::is_letter(c) || protocol::is_digit(c) || c == '.' || c == '-' || c == '_';
    });
}

bool is_field_value(const std::string& text) {
    return std::ranges::all_of(text, [](char c) { return c == ' ' || protocol::is_visible(c); });
}

std::optional<asio::ip::address> read_address(const std::string& text, std::string& mistake) {
    boost::system::error_code ec;
    auto address = asio::ip::make_address(text, ec);
    if (!ec) return address;
    mistake = "expected an IPv4 or IPv6 address, found '" + text + "'";
    return std::nullopt;
}

Endpoint endpoint_of(const net::HttpUrl& url, const std::string& ca_file) {
    return {.tls = url.tls, .host = url.host, .port = url.port, .ca_file = ca_file};
}

/// The object of another probe, fetched through `domain`.
void read_domain(config::Reader& in, Config& config) {
    in.required("domain", config.edge.host);
    if (!config.edge.host.empty() && !is_host(config.edge.host))
        in.mistake("domain", "expected the name of the CDN domain, found '" + config.edge.host + "'");
    std::string scheme = "https";
    constexpr std::array<std::string_view, 2> schemes{"http", "https"};
    in.one_of("scheme", scheme, schemes);
    config.edge.tls = scheme == "https";
    config.edge.port = config.edge.tls ? 443 : 80;
    in.optional("port", config.edge.port, 1, 65535);
    for (const char* key : {"origin", "origin_address"})
        if (in.has(key)) {
            std::string ignored;
            in.optional(key, ignored);
            in.mistake(key, "belongs to 'url'; the probe that 'after' names says what its origin is");
        }
}

void read_url(config::Reader& in, const std::string& url, Config& config) {
    const auto parsed = net::parse_http_url(url);
    if (!parsed) {
        in.mistake("url", "expected http[s]://host[:port]/path (" + parsed.error().message() + ")");
        return;
    }
    config.edge = endpoint_of(*parsed, config.edge.ca_file);
    config.path = parsed->target;
    for (const char* key : {"domain", "scheme"})
        if (in.has(key)) {
            std::string ignored;
            in.optional(key, ignored);
            in.mistake(key, "stands in 'url' already");
        }
    if (in.has("port")) {
        std::uint16_t ignored = 1;
        in.optional("port", ignored, 1, 65535);
        in.mistake("port", "stands in 'url' already");
    }
}

void read_origin(config::Reader& in, Config& config) {
    std::string url, address;
    in.optional("origin", url);
    in.optional("origin_address", address);
    if (url.empty()) {
        if (!address.empty()) in.mistake("origin_address", "needs 'origin'");
        return;
    }
    const auto parsed = net::parse_http_url(url);
    if (!parsed) {
        in.mistake("origin", "expected http[s]://host[:port][/path] (" + parsed.error().message() + ")");
        return;
    }
    FixedOrigin origin{.endpoint = endpoint_of(*parsed, config.edge.ca_file),
                       .target = parsed->target == "/" ? config.path : parsed->target};
    if (!address.empty()) {
        std::string mistake;
        origin.address = read_address(address, mistake);
        if (!origin.address) in.mistake("origin_address", mistake);
    }
    config.origin = std::move(origin);
}

void read_addresses(config::Reader& in, Config& config) {
    std::string one;
    std::vector<std::string> several;
    in.optional("address", one);
    in.optional("addresses", several);
    if (in.has("address") && in.has("addresses")) in.mistake("address", "either this or 'addresses'");
    std::string mistake;
    if (!one.empty()) {
        if (const auto address = read_address(one, mistake))
            config.addresses.push_back(*address);
        else
            in.mistake("address", mistake);
    }
    for (std::size_t i = 0; i < several.size(); ++i) {
        if (const auto address = read_address(several[i], mistake))
            config.addresses.push_back(*address);
        else
            in.mistake("addresses", i, mistake);
    }
    if (several.size() > most_addresses) in.mistake("addresses", "at most " + std::to_string(most_addresses));
    in.optional("every_address", config.every_address);
}

void read_auth(config::Reader& in, Config& config) {
    auto table = in.table("auth");
    if (!table) return;
    std::string type, hash = "md5", order = "by_type", time = "by_type";
    constexpr std::array<std::string_view, 5> types{"A", "B", "C", "D", "none"};
    constexpr std::array<std::string_view, 2> hashes{"md5", "sha256"};
    constexpr std::array<std::string_view, 3> orders{"by_type", "path_first", "time_first"};
    constexpr std::array<std::string_view, 3> times{"by_type", "decimal", "hex"};
    table->required("type", type);
    if (!type.empty()) table->one_of("type", type, types);
    Auth auth;
    const bool none = type == "none";
    if (none)
        table->secret("key", auth.key);
    else
        table->required_secret("key", auth.key);
    table->secret("backup_key", auth.backup_key);
    table->one_of("hash", hash, hashes);
    table->one_of("order", order, orders);
    table->one_of("time", time, times);
    table->optional("sign_parameter", auth.how.sign_parameter);
    table->optional("time_parameter", auth.how.time_parameter);
    for (const auto& [key, value] : {std::pair("sign_parameter", &auth.how.sign_parameter),
                                     std::pair("time_parameter", &auth.how.time_parameter)})
        if (!is_host(*value)) table->mistake(key, "expected the name of a parameter, found '" + *value + "'");
    table->unread();
    config.never_signed = none;
    if (none) return;
    using enum protocol::CdnAuthType;
    auth.how.type = type == "B" ? b : type == "C" ? c : type == "D" ? d : a;
    auth.how.hash = hash == "sha256" ? protocol::Digest::sha256 : protocol::Digest::md5;
    auth.how.order = order == "path_first"   ? protocol::CdnOrder::path_first
                     : order == "time_first" ? protocol::CdnOrder::time_first
                                             : protocol::CdnOrder::by_type;
    auth.how.time = time == "decimal" ? protocol::CdnTime::decimal
                    : time == "hex"   ? protocol::CdnTime::hex
                                      : protocol::CdnTime::by_type;
    if (config.path.find('?') != std::string::npos)
        in.mistake("auth", "the CDN cannot authenticate a 'url' that has a query");
    config.auth = std::move(auth);
}

}  // namespace

std::string Endpoint::host_header() const {
    return net::HttpUrl{.tls = tls, .host = host, .port = port, .target = "/"}.host_header();
}

Config read(config::Reader& in) {
    Config config;
    in.readable("ca_file", config.edge.ca_file);
    std::string url;
    in.optional("url", url);
    if (in.has("after")) in.reference("after", config.after);
    if (url.empty() && !in.has("after"))
        in.mistake("after", "missing; it names the probe whose object is fetched. Or give a fixed 'url'");
    if (!url.empty() && in.has("after")) in.mistake("url", "either this or 'after'");
    if (url.empty()) {
        read_domain(in, config);
    } else {
        read_url(in, url, config);
        read_origin(in, config);
    }
    if (in.has("ca_file") && !config.edge.tls) in.mistake("ca_file", "needs https");
    read_addresses(in, config);
    read_auth(in, config);
    in.optional("expect_cache", config.expect_cache);
    in.optional("referer", config.referer);
    in.optional("user_agent", config.user_agent);
    for (const auto& [key, value] :
         {std::pair("referer", &config.referer), std::pair("user_agent", &config.user_agent)})
        if (!is_field_value(*value)) in.mistake(key, "expected visible ASCII");
    constexpr std::uint64_t most = std::uint64_t{1} << 30;
    in.size("max_size", config.max_size, 1, most);
    return config;
}

}  // namespace livecanary::cdn_fetch
