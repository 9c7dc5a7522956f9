#include "probes/rtmp_push/config.hpp"

#include <array>

#include "config/reader.hpp"

namespace livecanary::rtmp_push {
namespace {

constexpr std::string_view location_mark = "{location}";

std::chrono::sys_seconds seconds_of(WallTime time) { return std::chrono::floor<std::chrono::seconds>(time); }

}  // namespace

Config read(config::Reader& in) {
    using namespace std::chrono_literals;
    Config config;
    std::string url;
    in.required("url", url);
    if (!url.empty()) {
        if (auto parsed = protocol::parse_push_url(url)) {
            config.url = *std::move(parsed);
        } else {
            in.mistake("url", parsed.error().message() + ": expected rtmp[s]://host[:port]/app/stream");
        }
    }
    in.secret("push_key", config.push_key);
    in.secret("backup_key", config.backup_key);
    const auto check = protocol::check_push_url(config.url, {}, {}, {});
    config.issued = check.has_tx_secret || check.has_tx_time;
    if (config.push_key.empty() && in.has("backup_key") && !in.has("push_key"))
        in.mistake("backup_key", "needs push_key: it is tried only when the main key is refused");

    std::string hash = "md5";
    constexpr std::array<std::string_view, 2> hashes{"md5", "sha256"};
    in.one_of("hash", hash, hashes);
    config.signing.hash = hash == "sha256" ? protocol::TxHash::sha256 : protocol::TxHash::md5;
    in.optional("tx_time_lifetime", config.tx_time_lifetime, 1min, 24h * 365);

    in.optional("media", config.plan.media, acceptance, 1h);
    in.optional("chunk_size", config.plan.chunk_size, 128, 65536);
    std::string form = "simple";
    constexpr std::array<std::string_view, 2> forms{"simple", "digest"};
    in.one_of("handshake", form, forms);
    config.plan.digest_handshake = form == "digest";
    in.path("ca_file", config.plan.ca_file);
    if (in.has("ca_file") && !config.url.host.empty() && !config.url.tls)
        in.mistake("ca_file", "needs an rtmps:// URL");
    std::string address;
    in.optional("address", address);
    if (!address.empty()) {
        error_code ec;
        config.plan.address = asio::ip::make_address(address, ec);
        if (ec) in.mistake("address", "expected an IPv4 or IPv6 address, found '" + address + "'");
    }
    return config;
}

protocol::PushUrl url_of_run(const Config& config, const std::string& location, const config::Secret& key,
                             WallTime expiry) {
    auto url = config.url;
    for (auto at = url.stream_name.find(location_mark); at != std::string::npos;
         at = url.stream_name.find(location_mark, at + location.size()))
        url.stream_name.replace(at, location_mark.size(), location);
    if (key.empty()) return url;
    return protocol::sign_push_url(std::move(url), key.reveal(), seconds_of(expiry), config.signing);
}

}  // namespace livecanary::rtmp_push
