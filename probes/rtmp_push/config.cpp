#include "probes/rtmp_push/config.hpp"

#include <array>
#include <optional>

#include "config/reader.hpp"

namespace livecanary::rtmp_push {
namespace {

constexpr std::string_view location_mark = "{location}";

/// Each plays at once, and each may have 16 addresses.
constexpr std::size_t most_playbacks = 8;

std::chrono::sys_seconds seconds_of(WallTime time) { return std::chrono::floor<std::chrono::seconds>(time); }

void fill_in_location(std::string& stream_name, const std::string& location) {
    for (auto at = stream_name.find(location_mark); at != std::string::npos;
         at = stream_name.find(location_mark, at + location.size()))
        stream_name.replace(at, location_mark.size(), location);
}

void read_hash(config::Reader& in, protocol::TxSigning& signing) {
    std::string hash = "md5";
    constexpr std::array<std::string_view, 2> hashes{"md5", "sha256"};
    in.one_of("hash", hash, hashes);
    signing.hash = hash == "sha256" ? protocol::TxHash::sha256 : protocol::TxHash::md5;
}

std::optional<asio::ip::address> read_address(config::Reader& in) {
    std::string text;
    in.optional("address", text);
    if (text.empty()) return std::nullopt;
    error_code ec;
    const auto address = asio::ip::make_address(text, ec);
    if (!ec) return address;
    in.mistake("address", "expected an IPv4 or IPv6 address, found '" + text + "'");
    return std::nullopt;
}

/// A transcoded rendition goes by the stream's name with a template behind it (document 267/38393).
void warn_of_other_stream(config::Reader& in, const std::string& pushed, const std::string& played) {
    if (pushed.empty() || played.empty() || played == pushed || played.starts_with(pushed + "_")) return;
    in.warning("url", "plays stream '" + played + "', while '" + pushed + "' is pushed");
}

Playback read_playback(config::Reader& in) {
    Playback playback;
    std::string url;
    in.required("url", url);
    if (!url.empty()) {
        constexpr const char* expected =
            "expected rtmp[s]://host[:port]/app/stream, or http[s]://host[:port]/app/stream with .flv or "
            ".m3u8";
        if (auto parsed = protocol::parse_play_url(url)) {
            playback.url = *std::move(parsed);
            if (!protocol_of(playback.url)) in.mistake("url", expected);
        } else {
            in.mistake("url", parsed.error().message() + ": " + expected);
        }
    }
    in.secret("key", playback.key);
    const auto check = protocol::check_play_url(playback.url, {}, {}, {});
    playback.issued = check.has_tx_secret || check.has_tx_time;
    in.secret("backup_key", playback.backup_key);
    if (playback.key.empty() && in.has("backup_key") && !in.has("key"))
        in.mistake("backup_key", "needs key: it is tried only when the main key is refused");
    read_hash(in, playback.signing);
    playback.viewing.address = read_address(in);
    in.optional("every_address", playback.viewing.every_address);
    if (playback.viewing.every_address && playback.viewing.address)
        in.mistake("every_address", "one address is given, so there are no others");
    in.readable("ca_file", playback.viewing.ca_file);
    using namespace std::chrono_literals;
    in.optional("wait", playback.viewing.wait, 1s, 5min);
    in.unread();
    return playback;
}

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

    read_hash(in, config.signing);
    in.optional("tx_time_lifetime", config.tx_time_lifetime, 1min, 24h * 365);

    in.optional("media", config.plan.media, acceptance, 1h);
    in.optional("chunk_size", config.plan.chunk_size, 128, 65536);
    std::string form = "simple";
    constexpr std::array<std::string_view, 2> forms{"simple", "digest"};
    in.one_of("handshake", form, forms);
    config.plan.digest_handshake = form == "digest";
    in.readable("ca_file", config.plan.ca_file);
    if (in.has("ca_file") && !config.url.host.empty() && !config.url.tls)
        in.mistake("ca_file", "needs an rtmps:// URL");
    config.plan.address = read_address(in);
    for (auto& table : in.tables("playback")) {
        if (config.playback.size() == most_playbacks) {
            table.mistake("", "at most " + std::to_string(most_playbacks) + " of them for one push");
            break;
        }
        config.playback.push_back(read_playback(table));
        if (const auto& played = config.playback.back().url; protocol_of(played))
            warn_of_other_stream(table, config.url.stream_name, played.stream_name);
    }
    return config;
}

protocol::PushUrl url_of_run(const Config& config, const std::string& location, const config::Secret& key,
                             WallTime expiry) {
    auto url = config.url;
    fill_in_location(url.stream_name, location);
    if (key.empty()) return url;
    return protocol::sign_push_url(std::move(url), key.reveal(), seconds_of(expiry), config.signing);
}

Viewing viewing_of_run(const Playback& playback, const std::string& location, const config::Secret& key,
                       WallTime expiry) {
    Viewing viewing = playback.viewing;
    viewing.url = playback.url;
    fill_in_location(viewing.url.stream_name, location);
    if (!key.empty())
        viewing.url = protocol::sign_play_url(std::move(viewing.url), key.reveal(), seconds_of(expiry),
                                              playback.signing);
    return viewing;
}

}  // namespace livecanary::rtmp_push
