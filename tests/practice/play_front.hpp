#pragma once
// The HTTP face of a play domain: Debian's nginx on a loopback port, in front of an HLS directory and an
// HTTP-FLV server, with the cloud's key check and faults that can be switched while it runs.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "tests/practice/process.hpp"

namespace livecanary::practice {

/// Serves `/live/NAME.m3u8` and its `/live/NAME-N.ts` from a directory, and `/live/NAME.flv` from another
/// server. A playlist and FLV ask the HookServer first; segments do not, since their addresses in the
/// playlist carry no signature. What is refused gets 403, an unknown domain or application 404, and a hook
/// that fails or closes makes it 500. The hook is Behaviour's `http_play`: `delay` there delays the answer
/// here.
class PlayFront {
public:
    struct Options {
        std::filesystem::path hls{};        ///< holds `live/NAME.m3u8`, see NginxRtmp::hls(); empty: no HLS
        std::uint16_t flv_port = 0;         ///< HTTP-FLV server on 127.0.0.1; 0: none, 404
        std::uint16_t hook_port = 0;        ///< of the HookServer on 127.0.0.1; 0: everything is open
        std::filesystem::path directory{};  ///< where its files go; empty: a temporary directory
        std::string address = "127.0.0.1";
        std::uint16_t port = 0;  ///< 0: a free one
        /// PEM files; with them it also listens for TLS, on `tls_port` (0: a free one).
        std::filesystem::path certificate{}, private_key{};
        std::uint16_t tls_port = 0;
    };

    /// False if nginx is not installed.
    static bool installed();

    /// Throws std::runtime_error, with nginx's own words, if it does not come up.
    explicit PlayFront(Options options);
    PlayFront(const PlayFront&) = delete;
    PlayFront& operator=(const PlayFront&) = delete;
    ~PlayFront();

    std::uint16_t port() const noexcept { return port_; }
    std::uint16_t tls_port() const noexcept { return tls_port_; }  ///< 0 without a certificate
    /// `http://ADDRESS:PORT/live`
    std::string url() const;

    // Faults. Each takes effect with the next request, also on a connection that is open.

    /// 404 for whatever is asked, before any key check.
    void serve_nothing(bool on);
    /// 404 for every segment while the playlists are there.
    void lose_segments(bool on);
    /// Playlists and segments stay as they are now, whatever comes. Calling it again while it is on keeps the
    /// first picture.
    void stand_still(bool on);

    bool running() { return process_ && process_->running(); }
    /// nginx's error log. Holds requests with their signatures when something fails.
    std::string log() const;

private:
    void write_configuration() const;
    void start();
    void flag(const char* name, bool on) const;

    Options options_;
    std::optional<TemporaryDirectory> temporary_;
    std::filesystem::path directory_;
    std::uint16_t port_ = 0;
    std::uint16_t tls_port_ = 0;
    std::optional<Process> process_;
};

}  // namespace livecanary::practice
