#pragma once
// The keys of `[[probe]] kind = "callback"`.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "config/secret.hpp"
#include "probes/net/http.hpp"

namespace livecanary::config {
class Reader;
}

namespace livecanary::callback {

namespace asio = boost::asio;

/// The recording of which event 100 tells, which the backend writes down.
struct Recording {
    std::chrono::milliseconds duration{std::chrono::minutes(2)};  ///< more than 60 s: less is not stored
    std::chrono::milliseconds every{std::chrono::hours(1)};       ///< it is sent no oftener
    std::string video_url = "https://livecanary.invalid/replay.mp4";
    std::string file_format = "MP4";
    bool video_id = true;  ///< as in the documents of 2016 and 2017; today's do not have it
};

/// Being a callback URL of the cloud.
struct Receive {
    asio::ip::tcp::endpoint listen{};
    std::string path{};
    std::vector<std::int64_t> expect{1, 0};  ///< events that must follow each push
    std::string push{};                      ///< only pushes of that probe; empty: of all
    std::chrono::milliseconds expect_within{std::chrono::seconds(60)};  ///< of events 1 and 0
    std::chrono::milliseconds record_within{std::chrono::minutes(10)};  ///< of event 100, after the end
    std::int64_t rate = 20;                                             ///< requests a second, on average
    std::optional<net::HttpUrl> forward{};
    /// For the backend's answer; of the 20 s that the cloud waits for us (267/32744).
    std::chrono::milliseconds forward_within{std::chrono::seconds(15)};
    /// How long a stream whose event the backend refused has to come again, before those of others speak.
    std::chrono::milliseconds refusal_stands{std::chrono::minutes(15)};
};

struct Config {
    std::optional<net::HttpUrl> url{};  ///< none: nothing is sent
    std::optional<asio::ip::address> address{};
    std::string ca_file{};
    config::Secret key{};
    config::Secret backup_key{};  ///< one that a received event may be signed with too
    std::vector<std::int64_t> events{1};
    bool control = true;
    bool loose_control = false;
    bool mutates = false;
    std::string domain = "livecanary.invalid";
    std::string app = "live";
    std::int64_t appid = 0;
    std::string stream_id{};  ///< empty: livecanary_<location>
    Recording record{};
    std::optional<Receive> receive{};

    std::string stream_of(const std::string& location) const {
        return stream_id.empty() ? "livecanary_" + location : stream_id;
    }
};

Config read(config::Reader& in);

/// The same host, another target.
net::HttpUrl at(const net::HttpUrl& url, std::string target);

}  // namespace livecanary::callback
