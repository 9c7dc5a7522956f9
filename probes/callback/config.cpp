#include "probes/callback/config.hpp"

#include <algorithm>
#include <charconv>

#include "config/reader.hpp"
#include "probes/protocol/ascii.hpp"

namespace livecanary::callback {
namespace {

using namespace std::chrono_literals;

/// The backend drops what lasted 60 s or less (tape_callback.php, measured).
constexpr auto shortest_recording = 61s;

std::optional<net::HttpUrl> read_url(config::Reader& in, std::string_view key) {
    std::string url;
    in.optional(key, url);
    if (url.empty()) {
        if (in.has(key)) in.mistake(key, "must not be empty");
        return std::nullopt;
    }
    const auto parsed = net::parse_http_url(url);
    if (parsed) return *parsed;
    in.mistake(key, "expected http[s]://host[:port]/path, found '" + url + "'");
    return std::nullopt;
}

bool holds(const std::vector<std::int64_t>& list, std::int64_t number) {
    return std::ranges::find(list, number) != list.end();
}

void read_events(config::Reader& in, std::string_view key, std::vector<std::int64_t>& events) {
    in.optional(key, events);
    for (std::size_t i = 0; i < events.size(); ++i) {
        const auto event = events[i];
        if (event != 0 && event != 1 && event != 100)
            in.mistake(key, i, "expected 1, 0 or 100, found " + std::to_string(event));
        else if (std::count(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(i), event) > 0)
            in.mistake(key, i, std::to_string(event) + " stands here twice");
    }
}

/// `address:port`, IPv6 in brackets.
std::optional<asio::ip::tcp::endpoint> endpoint_of(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == text.npos) return std::nullopt;
    std::string host(text.substr(0, colon));
    if (host.size() > 1 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    else if (host.find(':') != host.npos)
        return std::nullopt;
    const auto port_text = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, ec] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (ec != std::errc{} || end != port_text.data() + port_text.size()) return std::nullopt;
    boost::system::error_code failed;
    const auto address = asio::ip::make_address(host, failed);
    if (failed) return std::nullopt;
    return asio::ip::tcp::endpoint(address, port);
}

Receive read_receive(config::Reader& in) {
    Receive receive;
    std::string listen;
    in.required("listen", listen);
    if (const auto endpoint = endpoint_of(listen))
        receive.listen = *endpoint;
    else if (!listen.empty())
        in.mistake("listen", "expected address:port, such as 0.0.0.0:9878, found '" + listen + "'");
    in.required("path", receive.path);
    if (!receive.path.empty() &&
        (receive.path.front() != '/' || receive.path.find_first_of("?#") != receive.path.npos ||
         !std::ranges::all_of(receive.path, protocol::is_visible)))
        in.mistake("path", "expected a path such as /live, found '" + receive.path + "'");
    read_events(in, "expect", receive.expect);
    in.reference("push", receive.push);
    in.optional("expect_within", receive.expect_within, 1s, 1h);
    in.optional("record_within", receive.record_within, 1s, 24h);
    in.optional("rate", receive.rate, 1, 10000);
    receive.forward = read_url(in, "forward");
    in.optional("forward_within", receive.forward_within, 1s, 19s);
    in.optional("refusal_stands", receive.refusal_stands, 1s, 24h);
    in.unread();
    return receive;
}

void read_recording(config::Reader& in, Config& config) {
    if (auto table = in.table("record")) {
        table->optional("duration", config.record.duration, shortest_recording, 24h);
        table->optional("every", config.record.every, 1min, 24h * 7);
        table->optional("video_url", config.record.video_url);
        table->optional("file_format", config.record.file_format);
        table->optional("video_id", config.record.video_id);
        table->unread();
        // Recordings that overlap are one to the backend, which then changes the row it has.
        if (config.record.every <= config.record.duration)
            in.mistake("record", "every must be longer than duration: recordings would overlap");
    }
    const bool sends = holds(config.events, 100);
    if (sends && !config.mutates)
        in.mistake("events", "100 makes the backend write a row: set mutates = true to allow it");
    if (in.has("record") && !sends) in.mistake("record", "is only for event 100");
    if (sends && config.stream_id.empty())
        in.mistake("stream_id", "event 100 needs it: anything, '_', and the id of a user with a room");
    if (sends && !config.stream_id.empty() && config.stream_id.find('_') == std::string::npos)
        in.warning("stream_id", "has no '_': the backend takes what follows the first one for the user");
}

/// What concerns sending only.
void read_outbound(config::Reader& in, Config& config) {
    config.url = read_url(in, "url");
    std::string address;
    in.optional("address", address);
    if (!address.empty()) {
        boost::system::error_code ec;
        config.address = asio::ip::make_address(address, ec);
        if (ec) in.mistake("address", "expected an IPv4 or IPv6 address, found '" + address + "'");
    }
    in.readable("ca_file", config.ca_file);
    if (in.has("ca_file") && config.url && !config.url->tls) in.mistake("ca_file", "needs an https:// URL");
    read_events(in, "events", config.events);
    if (in.has("events") && config.events.empty()) in.mistake("events", "must not be empty");
    in.optional("control", config.control);
    in.optional("loose_control", config.loose_control);
    if (config.loose_control && !config.control) in.mistake("loose_control", "needs control = true");
    in.optional("mutates", config.mutates);
    in.optional("domain", config.domain);
    in.optional("app", config.app);
    in.optional("appid", config.appid, 0, std::int64_t{1} << 53);
    in.optional("stream_id", config.stream_id);
    read_recording(in, config);
}

}  // namespace

Config read(config::Reader& in) {
    Config config;
    in.required_secret("key", config.key);
    in.secret("backup_key", config.backup_key);
    read_outbound(in, config);
    if (auto table = in.table("receive")) config.receive = read_receive(*table);
    if (!in.has("url") && !in.has("receive")) in.mistake("url", "missing: nothing to send to or to receive");
    if (!in.has("url"))
        for (const auto* key : {"address", "ca_file", "events", "control", "loose_control", "mutates",
                                "domain", "app", "appid", "stream_id", "record"})
            if (in.has(key)) in.mistake(key, "needs url: nothing is sent without it");
    return config;
}

net::HttpUrl at(const net::HttpUrl& url, std::string target) {
    net::HttpUrl other = url;
    other.target = std::move(target);
    return other;
}

}  // namespace livecanary::callback
