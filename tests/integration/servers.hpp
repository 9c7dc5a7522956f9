#pragma once
// The real servers our pushes are proven on, each on free loopback ports and gone at the end of its scope.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/practice/hook_server.hpp"
#include "tests/practice/nginx_rtmp.hpp"
#include "tests/practice/play_front.hpp"
#include "tests/practice/process.hpp"

/// Ends the test when `what` is needed and absent: skipped on a developer's machine, failed under CI=true.
#define LIVECANARY_NEEDS(what)                                                         \
    if (const std::string absent = livecanary::test::missing(what); !absent.empty()) { \
        if (livecanary::test::under_ci()) FAIL() << absent;                            \
        GTEST_SKIP() << absent;                                                        \
    }                                                                                  \
    static_assert(true)

namespace livecanary::test {

/// Things a test can need.
enum class Need { nginx_rtmp, node, ffmpeg, rtmpsrv, tls_front, nginx, curl };
/// Empty if it is there, else what is missing and how to get it.
std::string missing(Need need);
bool under_ci();

/// A push by the ffmpeg command: test picture and tone at real-time pace.
struct FfmpegPush {
    std::string url;       ///< whom to connect to, with the stream name and its query
    std::string tc_url{};  ///< the tcUrl to send, when it shall name another host than `url`
    double seconds = 1.5;  ///< of media
};
/// What came of it.
struct FfmpegResult {
    std::optional<int> status;  ///< exit status; nothing if it was still running at the deadline
    std::string log;            ///< ffmpeg's warnings; they hold the URL
};
FfmpegResult run(const FfmpegPush& push, std::chrono::milliseconds deadline = std::chrono::seconds(15));
/// The same, left running; it ends with the object. Pass an owner of the log file's folder that lives longer.
std::unique_ptr<practice::Process> start(const FfmpegPush& push, const std::filesystem::path& log = {});

/// A play by the ffmpeg command: it decodes everything it gets.
struct FfmpegPlayer {
    std::string url;       ///< RTMP, HTTP-FLV or HLS, with its query; a file too
    std::string host{};    ///< whom an HTTP request names, when it shall be another than `url`
    std::string tc_url{};  ///< the same for RTMP
    double seconds = 2;    ///< of media, from the first picture or sound on
};
/// What it decoded.
struct FfmpegPlayed {
    std::optional<int> status;  ///< exit status; nothing if it was still running at the deadline
    std::string video{};        ///< codec, as ffmpeg names it; empty: no video
    std::string audio{};
    int width = 0, height = 0;
    int pictures = 0;      ///< decoded
    int audio_frames = 0;  ///< decoded
    std::string log{};     ///< warnings, decoding errors among them; they may hold the URL
};
/// Status 0 does not mean that anything came.
FfmpegPlayed play(const FfmpegPlayer& player, std::chrono::milliseconds deadline = std::chrono::seconds(15));

/// ffmpeg pulls a stream over RTMP, encodes the pictures anew (a keyframe every 25, no B pictures, SEI is
/// lost, timestamps kept) and pushes them on, as a cloud's transcoding does. It ends with the object, or when
/// the stream does.
class FfmpegTranscoder {
public:
    /// `from` is pulled, `to` pushed to (its `seconds` do not matter): by convention NAME and
    /// NAME_transcoded.
    FfmpegTranscoder(const std::string& from, const FfmpegPush& to);
    bool running() { return process_->running(); }
    std::string log() const;

private:
    practice::TemporaryDirectory directory_;
    std::optional<practice::Process> process_;
};

/// nginx-rtmp behind the practice cloud, which knows `push.example.com` with a main and a backup key.
class NginxStack {
public:
    static constexpr const char* domain = "push.example.com";
    static constexpr const char* main_key = "practice-main-key";
    static constexpr const char* backup_key = "practice-backup-key";

    /// `options.hook_port` is filled in here.
    explicit NginxStack(practice::NginxRtmp::Options options = {},
                        practice::HookServer::Options hook_options = {});

    practice::HookServer hook;
    practice::NginxRtmp nginx;

    /// `rtmp://push.example.com:PORT/live/NAME`, to be pushed to at 127.0.0.1.
    std::string url(const std::string& name) const;
    /// For ffmpeg, which cannot be told to connect elsewhere than the URL says.
    FfmpegPush ffmpeg(const std::string& name_and_query, const std::string& app = "live") const;
};

/// node-media-server. Version 2 refuses with an onStatus and stays open; version 4 says Start, then closes.
class NodeMediaServer {
public:
    enum class Version { v2 = 2, v4 = 4 };
    struct Options {
        std::string sign_secret{};  ///< of the server's own `?sign=expires-md5` check; empty: off
        std::string push_key{};  ///< verifies txSecret and txTime in the server's prePublish hook; empty: off
        bool tls = false;        ///< RTMPS beside RTMP, with `certificate`
        std::filesystem::path certificate{}, private_key{};  ///< PEM files, when tls
    };
    explicit NodeMediaServer(Version version);
    NodeMediaServer(Version version, Options options);

    std::uint16_t rtmp_port() const noexcept { return rtmp_port_; }
    std::uint16_t rtmps_port() const noexcept { return rtmps_port_; }  ///< 0 without tls
    std::uint16_t http_port() const noexcept { return http_port_; }
    /// `rtmp://127.0.0.1:PORT/live/NAME`. That version 2 never checks 127.0.0.1 is undone in nms2.js.
    std::string url(const std::string& name) const;
    /// `http://127.0.0.1:PORT/live/NAME.flv`: 200 and silence if nobody pushes NAME.
    std::string flv_url(const std::string& name) const;
    /// `NAME?sign=…`, as the server's own check wants it.
    static std::string signed_name(const std::string& secret, const std::string& name,
                                   std::chrono::system_clock::time_point expires);
    std::string log() const;
    bool running() { return process_->running(); }

private:
    practice::TemporaryDirectory directory_;
    std::uint16_t rtmp_port_ = 0, rtmps_port_ = 0, http_port_ = 0;
    std::optional<practice::Process> process_;
};

/// A push domain and a play domain with a key of its own: what is pushed to nginx-rtmp can be played from it
/// over RTMP, and over HTTP-FLV (by node-media-server) and HLS from a front.
class PlayStack {
public:
    static constexpr const char* domain = "play.example.com";
    static constexpr const char* play_key = "practice-play-key";

    struct Options {
        NodeMediaServer::Version flv = NodeMediaServer::Version::v4;
        practice::NginxRtmp::Options nginx{};  ///< `hls` and `push_to` are filled in
        practice::HookServer::Options hook{};
        std::filesystem::path certificate{}, private_key{};  ///< of the front; empty: no TLS
    };
    PlayStack();
    explicit PlayStack(Options options);

    NodeMediaServer flv_server;
    NginxStack push;  ///< its `hook` is the play domain's too
    practice::PlayFront front;

    /// Plays of NAME with its query at the play domain, connecting to 127.0.0.1.
    FfmpegPlayer rtmp(const std::string& name_and_query) const;
    FfmpegPlayer http_flv(const std::string& name_and_query) const;
    FfmpegPlayer hls(const std::string& name_and_query) const;
    /// A push of NAME, signed, left running.
    std::unique_ptr<practice::Process> start_push(const std::string& name, double seconds = 60) const;
    /// Waits until NAME has a playlist with a segment in it; false after 20 s, or if its `pusher` ends
    /// before.
    bool wait_for_playlist(const std::string& name, practice::Process& pusher) const;
};

/// `ffmpeg -listen 1`: accepts one publisher of any name and writes what it receives.
class FfmpegListener {
public:
    FfmpegListener();
    std::uint16_t port() const noexcept { return port_; }
    std::string url(const std::string& name) const;
    /// The FLV file; complete once `finished()`.
    const std::filesystem::path& recording() const noexcept { return recording_; }
    /// Waits for ffmpeg to end after its publisher left; its exit status, nothing if it still runs.
    std::optional<int> finished(std::chrono::milliseconds timeout = std::chrono::seconds(10));
    std::string log() const;

private:
    practice::TemporaryDirectory directory_;
    std::filesystem::path recording_;
    std::uint16_t port_ = 0;
    std::optional<practice::Process> process_;
};

/// librtmp's `rtmpsrv` 2.4, an old and strict reader of the handshake, of chunks and of AMF0: it verifies a
/// digest handshake ("Client not genuine Adobe!"), answers connect and createStream, prints what it
/// understood, and never answers a publish. Its port is compiled in, so only one can run on a machine.
class Rtmpsrv {
public:
    static constexpr std::uint16_t port = 1935;
    Rtmpsrv();
    std::string url(const std::string& name) const;
    std::string log() const;

private:
    practice::TemporaryDirectory directory_;
    std::optional<practice::Process> process_;
};

/// A key and a self-signed certificate for `names`, which are DNS names or addresses.
class CertificateFiles {
public:
    explicit CertificateFiles(const std::vector<std::string>& names = {"push.example.com", "127.0.0.1"});
    std::filesystem::path certificate() const { return directory_.path() / "cert.pem"; }
    std::filesystem::path private_key() const { return directory_.path() / "key.pem"; }

private:
    practice::TemporaryDirectory directory_;
};

/// stunnel in front of a plain server: what RTMPS to nginx-rtmp looks like.
class TlsFront {
public:
    TlsFront(const CertificateFiles& certificate, std::uint16_t backend_port);
    std::uint16_t port() const noexcept { return port_; }
    std::string log() const;

private:
    practice::TemporaryDirectory directory_;
    std::uint16_t port_ = 0;
    std::optional<practice::Process> process_;
};

}  // namespace livecanary::test
