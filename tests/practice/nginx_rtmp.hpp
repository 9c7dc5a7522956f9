#pragma once
// Debian's nginx with the RTMP module, on loopback ports, with a configuration of its own.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/practice/process.hpp"

namespace livecanary::practice {

/// A running nginx. Its applications:
/// - `live`: asks the hooks, if there are any; records to `recordings()` and writes HLS if told to
/// - `open`: asks nobody
/// - `deny`: `deny publish all`: says NetStream.Publish.Start, then closes
/// - `nolive`: `live off`: never answers a publish
class NginxRtmp {
public:
    struct Options {
        std::filesystem::path directory{};  ///< where its files go; empty: a temporary directory
        std::string address = "127.0.0.1";
        std::uint16_t rtmp_port = 0;  ///< 0: a free one
        std::uint16_t http_port = 0;  ///< control and statistics; 0: a free one
        std::uint16_t hook_port = 0;  ///< of the HookServer on 127.0.0.1; 0: no hooks
        bool connect_hook = true;     ///< on_connect too, not only publish, play and publish_done
        /// Write what `live` and `open` receive to FLV files, and serve them over HTTP.
        bool record = false;
        bool hls = false;                              ///< write what `live` receives as HLS under `hls()`
        std::chrono::milliseconds hls_fragment{1000};  ///< aimed at; a fragment ends at a keyframe only
        std::chrono::milliseconds hls_playlist{6000};  ///< media that a playlist lists
        /// RTMP servers that get what `live` receives: `rtmp://HOST:PORT/APP`, the names stay.
        std::vector<std::string> push_to{};
        std::string rtmp_directives{};  ///< more lines for the `server` block of RTMP
    };

    /// False if nginx or its RTMP module is not installed.
    static bool installed();

    /// Throws std::runtime_error, with nginx's own words, if it does not come up.
    explicit NginxRtmp(Options options);
    /// Stops it and removes what it wrote.
    ~NginxRtmp();

    std::uint16_t rtmp_port() const noexcept { return rtmp_port_; }
    std::uint16_t http_port() const noexcept { return http_port_; }
    /// `rtmp://ADDRESS:PORT/APP`
    std::string url(const std::string& app = "live") const;

    /// Finished or growing recordings of stream `name`, oldest first.
    std::vector<std::filesystem::path> recordings(const std::string& name) const;
    /// Where the newest of them can be fetched; empty if there is none.
    std::string recording_url(const std::string& name) const;
    /// Holds `live/NAME.m3u8` and `live/NAME-N.ts` while NAME is pushed; they stay when the push ends, until
    /// nginx's clean-up finds them twice the playlist's length old.
    std::filesystem::path hls() const { return directory_ / "hls"; }
    /// Drops the publisher of a stream through nginx-rtmp's control module. Returns how many were dropped.
    int kick(const std::string& app, const std::string& name);
    /// Streams that are being published now, as the statistics page has it.
    int publishers() const;

    /// SIGSTOP and SIGCONT for all of nginx: the kernel still accepts, nobody reads.
    void freeze();
    void thaw();
    /// SIGTERM (SIGQUIT: lets connections finish; SIGKILL: no good-bye). Idempotent.
    void stop(int signal = SIGTERM);
    /// Starts it again on the same ports.
    void start();

    /// False once it has ended, by itself or by stop().
    bool running() { return process_ && process_->running(); }
    /// nginx's error log.
    std::string log() const;

private:
    void write_configuration() const;

    Options options_;
    std::optional<TemporaryDirectory> temporary_;
    std::filesystem::path directory_;
    std::uint16_t rtmp_port_ = 0;
    std::uint16_t http_port_ = 0;
    std::optional<Process> process_;
};

}  // namespace livecanary::practice
