#include "tests/integration/servers.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <openssl/evp.h>

namespace livecanary::test {

namespace {

using practice::Command;
using practice::find_program;
using practice::free_port;
using practice::Process;
using practice::read_file;
using practice::wait_until_listening;

constexpr const char* loopback = "127.0.0.1";
const std::filesystem::path node_directory =
    std::filesystem::path(LIVECANARY_SOURCE_DIR) / "tests" / "integration" / "node";

std::string at_port(std::uint16_t port) { return std::string(loopback) + ":" + std::to_string(port); }

/// Starts a server and waits until it listens on every port; throws what it printed if it does not.
void start_server(std::optional<Process>& process, Command command, const std::vector<std::uint16_t>& ports) {
    const std::filesystem::path log = command.output;
    const std::string name = command.argv[0];
    process.emplace(std::move(command));
    for (const std::uint16_t port : ports) {
        if (wait_until_listening(loopback, port, *process)) continue;
        process.reset();
        throw std::runtime_error(name + " did not start: " + read_file(log));
    }
}

std::string md5_hex(const std::string& text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_md5(), nullptr) != 1)
        throw std::runtime_error("OpenSSL offers no MD5");
    std::string hex;
    for (unsigned i = 0; i < size; ++i) {
        constexpr const char* digits = "0123456789abcdef";
        hex += digits[digest[i] >> 4U];
        hex += digits[digest[i] & 15U];
    }
    return hex;
}

std::string absent(const char* program, const char* package) {
    return find_program(program).empty() ? std::string(program) + " is missing: apt-get install " + package
                                         : "";
}

Command command_of(const FfmpegPush& push, const std::filesystem::path& log) {
    std::vector<std::string> argv{"ffmpeg",       "-nostdin",
                                  "-hide_banner", "-loglevel",
                                  "warning",      "-re",
                                  "-f",           "lavfi",
                                  "-i",           "testsrc2=size=160x90:rate=25",
                                  "-f",           "lavfi",
                                  "-i",           "sine",
                                  "-t",           std::to_string(push.seconds),
                                  "-c:v",         "libx264",
                                  "-preset",      "ultrafast",
                                  "-bf",          "0",
                                  "-g",           "25",
                                  "-pix_fmt",     "yuv420p",
                                  "-c:a",         "aac"};
    if (!push.tc_url.empty()) argv.insert(argv.end(), {"-rtmp_tcurl", push.tc_url});
    argv.insert(argv.end(), {"-f", "flv", push.url});
    return {.argv = std::move(argv), .output = log};
}

}  // namespace

bool under_ci() {
    const char* const ci = std::getenv("CI");
    return ci != nullptr && std::string_view(ci) == "true";
}

std::string missing(Need need) {
    switch (need) {
        case Need::nginx_rtmp:
            return practice::NginxRtmp::installed()
                       ? ""
                       : "nginx-rtmp is missing: apt-get install libnginx-mod-rtmp";
        case Need::node:
            if (auto what = absent("node", "nodejs"); !what.empty()) return what;
            return std::filesystem::exists(node_directory / "node_modules")
                       ? ""
                       : "node-media-server is missing: npm ci in tests/integration/node";
        case Need::ffmpeg:
            return absent("ffmpeg", "ffmpeg");
        case Need::nginx:
            return absent("nginx", "nginx");
        case Need::curl:
            return absent("curl", "curl");
        case Need::rtmpsrv:
            return absent("rtmpsrv", "rtmpdump");
        case Need::tls_front:
            if (auto what = absent("openssl", "openssl"); !what.empty()) return what;
            return absent("stunnel4", "stunnel4");
    }
    return {};
}

FfmpegResult run(const FfmpegPush& push, std::chrono::milliseconds deadline) {
    const practice::TemporaryDirectory directory("livecanary-ffmpeg");
    const auto log = directory.path() / "ffmpeg.log";
    Process process(command_of(push, log));
    FfmpegResult result{.status = process.wait_for(deadline), .log = {}};
    result.log = read_file(log);
    return result;
}

std::unique_ptr<Process> start(const FfmpegPush& push, const std::filesystem::path& log) {
    return std::make_unique<Process>(command_of(push, log));
}

FfmpegPlayed play(const FfmpegPlayer& player, std::chrono::milliseconds deadline) {
    const practice::TemporaryDirectory directory("livecanary-play");
    const auto report = directory.path() / "frames";
    // Not by ffprobe -count_frames: version 5.1 was seen to crash on a live RTMP stream.
    std::vector<std::string> argv{"ffmpeg",   "-nostdin",         "-hide_banner",
                                  "-nostats", "-analyzeduration", "1500000"};
    if (!player.host.empty()) argv.insert(argv.end(), {"-headers", "Host: " + player.host + "\r\n"});
    if (!player.tc_url.empty()) argv.insert(argv.end(), {"-rtmp_tcurl", player.tc_url});
    argv.insert(argv.end(), {"-i", player.url, "-t", std::to_string(player.seconds), "-fps_mode",
                             "passthrough", "-flush_packets", "1", "-f", "framecrc", report.string()});
    Process process({.argv = std::move(argv), .output = directory.path() / "ffmpeg.log"});
    FfmpegPlayed played{.status = process.wait_for(deadline)};
    played.log = process.output();
    // "  Stream #0:1: Video: h264 (High), yuv420p(progressive), 160x90, …", the input's first.
    std::smatch found;
    if (std::regex_search(played.log, found, std::regex("Stream #0:.*: Video: (\\w+).* (\\d+)x(\\d+)"))) {
        played.video = found[1];
        played.width = std::stoi(found[2]);
        played.height = std::stoi(found[3]);
    }
    if (std::regex_search(played.log, found, std::regex("Stream #0:.*: Audio: (\\w+)")))
        played.audio = found[1];
    // "#media_type 0: video", then "0, dts, pts, duration, size, crc" for each frame.
    std::istringstream lines(read_file(report));
    std::string video_stream;
    for (std::string line; std::getline(lines, line);) {
        constexpr std::string_view media_type = "#media_type ";
        if (line.starts_with(media_type) && line.ends_with(": video"))
            video_stream = line.substr(media_type.size(), line.find(':') - media_type.size());
        if (line.starts_with('#')) continue;
        ++(line.substr(0, line.find(',')) == video_stream ? played.pictures : played.audio_frames);
    }
    return played;
}

FfmpegTranscoder::FfmpegTranscoder(const std::string& from, const FfmpegPush& to)
    : directory_("livecanary-transcoder") {
    std::vector<std::string> argv{"ffmpeg",  "-nostdin",    "-hide_banner", "-loglevel",
                                  "warning", "-fflags",     "nobuffer",     "-analyzeduration",
                                  "1500000", "-copyts",     "-i",           from,
                                  "-c:v",    "libx264",     "-preset",      "ultrafast",
                                  "-tune",   "zerolatency", "-g",           "25",
                                  "-bf",     "0",           "-c:a",         "copy"};
    if (!to.tc_url.empty()) argv.insert(argv.end(), {"-rtmp_tcurl", to.tc_url});
    argv.insert(argv.end(), {"-f", "flv", to.url});
    process_.emplace(Command{.argv = std::move(argv), .output = directory_.path() / "ffmpeg.log"});
}

std::string FfmpegTranscoder::log() const { return process_->output(); }

NginxStack::NginxStack(practice::NginxRtmp::Options options, practice::HookServer::Options hook_options)
    : hook(std::move(hook_options)), nginx([&] {
          options.hook_port = hook.port();
          return std::move(options);
      }()) {
    hook.know(domain, {.main_key = main_key, .backup_key = backup_key});
    hook.on_kick([this](const std::string& app, const std::string& name) { return nginx.kick(app, name); });
}

std::string NginxStack::url(const std::string& name) const {
    return std::string("rtmp://") + domain + ":" + std::to_string(nginx.rtmp_port()) + "/live/" + name;
}

FfmpegPush NginxStack::ffmpeg(const std::string& name_and_query, const std::string& app) const {
    return {.url = nginx.url(app) + "/" + name_and_query,
            .tc_url = std::string("rtmp://") + domain + ":" + std::to_string(nginx.rtmp_port()) + "/" + app};
}

NodeMediaServer::NodeMediaServer(Version version) : NodeMediaServer(version, Options{}) {}

NodeMediaServer::NodeMediaServer(Version version, Options options)
    : directory_("livecanary-nms"), rtmp_port_(free_port()), http_port_(free_port()) {
    const std::string script = version == Version::v2 ? "nms2.js" : "nms4.js";
    std::vector<std::string> argv{
        "node",        (node_directory / script).string(), "--dir",       directory_.path().string(),
        "--rtmp-port", std::to_string(rtmp_port_),         "--http-port", std::to_string(http_port_)};
    std::vector<std::uint16_t> ports{rtmp_port_, http_port_};
    if (options.tls) {
        rtmps_port_ = free_port();
        ports.push_back(rtmps_port_);
        argv.insert(argv.end(), {"--rtmps-port", std::to_string(rtmps_port_), "--key",
                                 options.private_key.string(), "--cert", options.certificate.string()});
    }
    start_server(process_,
                 {.argv = std::move(argv),
                  .env = {{"SIGN_SECRET", options.sign_secret}, {"PUSH_KEY", options.push_key}},
                  .output = directory_.path() / "node.log"},
                 ports);
}

std::string NodeMediaServer::url(const std::string& name) const {
    return "rtmp://" + at_port(rtmp_port_) + "/live/" + name;
}

std::string NodeMediaServer::flv_url(const std::string& name) const {
    return "http://" + at_port(http_port_) + "/live/" + name + ".flv";
}

std::string NodeMediaServer::signed_name(const std::string& secret, const std::string& name,
                                         std::chrono::system_clock::time_point expires) {
    const std::string seconds =
        std::to_string(std::chrono::duration_cast<std::chrono::seconds>(expires.time_since_epoch()).count());
    return name + "?sign=" + seconds + "-" + md5_hex("/live/" + name + "-" + seconds + "-" + secret);
}

std::string NodeMediaServer::log() const { return read_file(directory_.path() / "node.log"); }

PlayStack::PlayStack() : PlayStack(Options{}) {}

PlayStack::PlayStack(Options options)
    : flv_server(options.flv),
      push(
          [&] {
              options.nginx.hls = true;
              options.nginx.push_to.push_back("rtmp://" + at_port(flv_server.rtmp_port()) + "/live");
              return std::move(options.nginx);
          }(),
          std::move(options.hook)),
      front({.hls = push.nginx.hls(),
             .flv_port = flv_server.http_port(),
             .hook_port = push.hook.port(),
             .certificate = options.certificate,
             .private_key = options.private_key}) {
    push.hook.know(domain, {.play_key = play_key, .push = false});
}

FfmpegPlayer PlayStack::rtmp(const std::string& name_and_query) const {
    return {
        .url = push.nginx.url() + "/" + name_and_query,
        .tc_url = std::string("rtmp://") + domain + ":" + std::to_string(push.nginx.rtmp_port()) + "/live"};
}

namespace {

/// NAME?QUERY → URL/NAME.ENDING?QUERY
FfmpegPlayer http_play(const std::string& url, std::string name_and_query, const std::string& ending) {
    name_and_query.insert(std::min(name_and_query.find('?'), name_and_query.size()), "." + ending);
    return {.url = url + "/" + name_and_query, .host = PlayStack::domain};
}

}  // namespace

FfmpegPlayer PlayStack::http_flv(const std::string& name_and_query) const {
    return http_play(front.url(), name_and_query, "flv");
}

FfmpegPlayer PlayStack::hls(const std::string& name_and_query) const {
    return http_play(front.url(), name_and_query, "m3u8");
}

std::unique_ptr<Process> PlayStack::start_push(const std::string& name, double seconds) const {
    FfmpegPush order = push.ffmpeg(practice::signed_name(
        NginxStack::main_key, name, std::chrono::system_clock::now() + std::chrono::hours(1)));
    order.seconds = seconds;
    return start(order);
}

bool PlayStack::wait_for_playlist(const std::string& name, Process& pusher) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const auto playlist = push.nginx.hls() / "live" / (name + ".m3u8");
    while (read_file(playlist).find(".ts") == std::string::npos) {
        constexpr std::chrono::milliseconds between_looks(20);
        if (pusher.wait_for(between_looks) || std::chrono::steady_clock::now() > deadline) return false;
    }
    return true;
}

FfmpegListener::FfmpegListener()
    : directory_("livecanary-listen"), recording_(directory_.path() / "received.flv"), port_(free_port()) {
    start_server(process_,
                 {.argv = {"ffmpeg", "-nostdin", "-hide_banner", "-y", "-listen", "1", "-i", url("received"),
                           "-c", "copy", "-f", "flv", recording_.string()},
                  .output = directory_.path() / "ffmpeg.log"},
                 {port_});
}

std::string FfmpegListener::url(const std::string& name) const {
    return "rtmp://" + at_port(port_) + "/live/" + name;
}

std::optional<int> FfmpegListener::finished(std::chrono::milliseconds timeout) {
    return process_->wait_for(timeout);
}

std::string FfmpegListener::log() const { return read_file(directory_.path() / "ffmpeg.log"); }

Rtmpsrv::Rtmpsrv() : directory_("livecanary-rtmpsrv") {
    // It reads commands from stdin, and spins when that ends. -z prints each message it understood.
    start_server(process_,
                 {.argv = {"rtmpsrv", "-z"}, .output = directory_.path() / "rtmpsrv.log", .open_input = true},
                 {port});
}

std::string Rtmpsrv::url(const std::string& name) const {
    return "rtmp://" + at_port(port) + "/live/" + name;
}

std::string Rtmpsrv::log() const { return read_file(directory_.path() / "rtmpsrv.log"); }

CertificateFiles::CertificateFiles(const std::vector<std::string>& names)
    : directory_("livecanary-certificate") {
    std::string alternatives;
    for (const auto& name : names) {
        const bool is_address = name.find_first_not_of("0123456789.") == std::string::npos;
        alternatives += (alternatives.empty() ? "" : ",") + std::string(is_address ? "IP:" : "DNS:") + name;
    }
    const auto log = directory_.path() / "openssl.log";
    Process openssl(
        {.argv = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-days", "2", "-subj", "/CN=" + names.at(0), "-addext", "subjectAltName=" + alternatives,
                  "-keyout", private_key().string(), "-out", certificate().string()},
         .output = log});
    if (openssl.wait_for(std::chrono::seconds(20)) != 0)
        throw std::runtime_error("openssl made no certificate: " + read_file(log));
}

TlsFront::TlsFront(const CertificateFiles& certificate, std::uint16_t backend_port)
    : directory_("livecanary-stunnel"), port_(free_port()) {
    const auto configuration = directory_.path() / "stunnel.conf";
    std::ofstream(configuration) << "foreground = yes\npid =\ndebug = notice\n[rtmps]\naccept = "
                                 << at_port(port_) << "\nconnect = " << at_port(backend_port)
                                 << "\ncert = " << certificate.certificate().string()
                                 << "\nkey = " << certificate.private_key().string() << "\n";
    start_server(process_,
                 {.argv = {"stunnel4", configuration.string()}, .output = directory_.path() / "stunnel.log"},
                 {port_});
}

std::string TlsFront::log() const { return read_file(directory_.path() / "stunnel.log"); }

}  // namespace livecanary::test
