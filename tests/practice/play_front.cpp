#include "tests/practice/play_front.hpp"

#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace livecanary::practice {

bool PlayFront::installed() { return !find_program("nginx").empty(); }

PlayFront::PlayFront(Options options) : options_(std::move(options)) {
    if (options_.directory.empty())
        directory_ = temporary_.emplace("livecanary-front").path();
    else
        directory_ = std::filesystem::absolute(options_.directory);
    const bool tls = !options_.certificate.empty();
    // The ports we are given free may be taken before nginx binds them.
    constexpr int tries = 3;
    for (int attempt = 1; !process_; ++attempt) {
        port_ = options_.port != 0 ? options_.port : free_port(options_.address);
        if (tls) tls_port_ = options_.tls_port != 0 ? options_.tls_port : free_port(options_.address);
        write_configuration();
        try {
            start();
        } catch (const std::runtime_error&) {
            if (attempt == tries) throw;
        }
    }
}

PlayFront::~PlayFront() {
    if (process_) process_->stop();
}

std::string PlayFront::url() const {
    return "http://" + options_.address + ":" + std::to_string(port_) + "/live";
}

void PlayFront::write_configuration() const {
    const std::string dir = directory_.string();
    std::filesystem::create_directories(directory_ / "faults");
    std::filesystem::create_directories(directory_ / "empty");
    const std::string hls = options_.hls.empty() ? dir + "/empty" : options_.hls.string();
    std::ofstream out(directory_ / "nginx.conf");
    // The workers of a master that root started would run as nobody, who may not read here.
    if (::geteuid() == 0) out << "user root;\n";
    out << "daemon off;\nworker_processes 1;\nerror_log " << dir << "/error.log notice;\npid " << dir
        << "/nginx.pid;\nlock_file " << dir << "/nginx.lock;\nevents { worker_connections 1024; }\n";
    out << "http {\n    access_log off;\n    log_not_found off;\n    sendfile on;\n    tcp_nodelay on;\n";
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
        out << "    " << kind << "_temp_path " << dir << "/" << kind << ";\n";
    out << "    types {\n        application/vnd.apple.mpegurl m3u8;\n        video/mp2t ts;\n    }\n"
        << "    server {\n        listen " << options_.address << ":" << port_ << ";\n";
    if (tls_port_ != 0)
        out << "        listen " << options_.address << ":" << tls_port_ << " ssl;\n        ssl_certificate "
            << options_.certificate.string() << ";\n        ssl_certificate_key "
            << options_.private_key.string() << ";\n";

    // A file is a fault: nginx looks for it at each request, so that a test need not wait for a reload.
    const std::string faults = dir + "/faults/";
    out << "        set $media " << hls << ";\n        if (-f " << faults << "still) { set $media " << faults
        << "picture; }\n        if (-f " << faults << "nothing) { return 404; }\n        root $media;\n";

    const char* checked = "";
    if (options_.hook_port != 0) {
        checked =
            "            auth_request /play_auth;\n"
            "            auth_request_set $play_status $upstream_http_x_play_status;\n"
            "            error_page 403 = @refused;\n";
        out << "        location = /play_auth {\n            internal;\n            proxy_pass "
               "http://127.0.0.1:"
            << options_.hook_port
            << "/play_auth;\n            proxy_method GET;\n            proxy_pass_request_body off;\n"
               "            proxy_set_header Content-Length \"\";\n"
               "            proxy_set_header Host $http_host;\n"
               "            proxy_set_header X-Original-URI $request_uri;\n        }\n"
               // auth_request passes no refusal on but 401 and 403.
               "        location @refused {\n            if ($play_status = 404) { return 404; }\n"
               "            return 403;\n        }\n";
    }
    out << "        location ~ ^/live/[^/]+\\.m3u8$ {\n"
        << checked << "            add_header Cache-Control no-cache;\n        }\n"
        << "        location ~ ^/live/[^/]+\\.ts$ {\n            if (-f " << faults
        << "no_segments) { return 404; }\n        }\n";
    if (options_.flv_port != 0)
        out << "        location ~ ^/live/[^/]+\\.flv$ {\n"
            << checked << "            proxy_pass http://127.0.0.1:" << options_.flv_port
            << ";\n            proxy_http_version 1.1;\n            proxy_set_header Connection \"\";\n"
               "            proxy_buffering off;\n        }\n";
    out << "        location / { return 404; }\n    }\n}\n";
    if (!out.flush()) throw std::runtime_error("cannot write " + dir + "/nginx.conf");
}

void PlayFront::start() {
    const std::string dir = directory_.string();
    // SIGTERM on our death: the master ends its workers, which SIGKILL would leave behind.
    process_.emplace(
        Command{.argv = {"nginx", "-p", dir, "-c", dir + "/nginx.conf", "-e", dir + "/error.log"},
                .output = directory_ / "output.log",
                .death_signal = SIGTERM});
    if (wait_until_listening(options_.address, port_, *process_) &&
        (tls_port_ == 0 || wait_until_listening(options_.address, tls_port_, *process_)))
        return;
    process_.reset();
    throw std::runtime_error("nginx did not start: " + read_file(directory_ / "output.log") + log());
}

void PlayFront::flag(const char* name, bool on) const {
    const auto file = directory_ / "faults" / name;
    if (!on)
        std::filesystem::remove(file);
    else if (!std::ofstream(file))
        throw std::runtime_error("cannot write " + file.string());
}

void PlayFront::serve_nothing(bool on) { flag("nothing", on); }

void PlayFront::lose_segments(bool on) { flag("no_segments", on); }

void PlayFront::stand_still(bool on) {
    const auto picture = directory_ / "faults" / "picture";
    if (on && std::filesystem::exists(picture)) return;
    if (!on) {
        flag("still", false);
        std::filesystem::remove_all(picture);
        return;
    }
    std::filesystem::create_directories(picture / "live");
    // nginx-rtmp goes on adding and removing files meanwhile. Playlists first: their segments are there for
    // longer than a copy takes. Those half written have another ending.
    for (const char* ending : {".m3u8", ".ts"})
        for (const auto& entry : std::filesystem::directory_iterator(options_.hls / "live")) {
            std::error_code gone;
            if (entry.path().extension() == ending)
                std::filesystem::copy_file(entry.path(), picture / "live" / entry.path().filename(), gone);
        }
    flag("still", true);
}

std::string PlayFront::log() const { return read_file(directory_ / "error.log"); }

}  // namespace livecanary::practice
