#include "tests/practice/nginx_rtmp.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <stdexcept>
#include <utility>

#include <unistd.h>

#include "tests/practice/http.hpp"

namespace livecanary::practice {

namespace {

constexpr const char* module_path = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

std::string get(const std::string& address, std::uint16_t port, const std::string& target) {
    HttpAnswer answer = ask(address, port, "GET", target);
    if (answer.status != 200)
        throw std::runtime_error(target + ": HTTP status " + std::to_string(answer.status));
    return std::move(answer.body);
}

}  // namespace

bool NginxRtmp::installed() { return !find_program("nginx").empty() && std::filesystem::exists(module_path); }

NginxRtmp::NginxRtmp(Options options) : options_(std::move(options)) {
    if (options_.directory.empty())
        directory_ = temporary_.emplace("livecanary-nginx").path();
    else
        directory_ = std::filesystem::absolute(options_.directory);
    // The ports we are given free may be taken before nginx binds them.
    constexpr int tries = 3;
    for (int attempt = 1; !process_; ++attempt) {
        rtmp_port_ = options_.rtmp_port != 0 ? options_.rtmp_port : free_port(options_.address);
        http_port_ = options_.http_port != 0 ? options_.http_port : free_port(options_.address);
        write_configuration();
        try {
            start();
        } catch (const std::runtime_error&) {
            if (attempt == tries) throw;
        }
    }
}

NginxRtmp::~NginxRtmp() { stop(); }

std::string NginxRtmp::url(const std::string& app) const {
    return "rtmp://" + options_.address + ":" + std::to_string(rtmp_port_) + "/" + app;
}

void NginxRtmp::write_configuration() const {
    const std::string dir = directory_.string();
    std::filesystem::create_directories(directory_ / "recordings");
    if (options_.hls) std::filesystem::create_directories(hls() / "live");
    std::ofstream out(directory_ / "nginx.conf");
    // The workers of a master that root started would run as nobody, who may not write here.
    if (::geteuid() == 0) out << "user root;\n";
    out << "daemon off;\nworker_processes 1;\nerror_log " << dir << "/error.log notice;\npid " << dir
        << "/nginx.pid;\nlock_file " << dir << "/nginx.lock;\nload_module " << module_path
        << ";\nevents { worker_connections 1024; }\n";

    const auto hook = [&](const char* directive) {
        out << "            " << directive << " http://127.0.0.1:" << options_.hook_port << "/;\n";
    };
    const auto record = [&] {
        if (options_.record)
            out << "            record all;\n            record_path " << dir << "/recordings;\n"
                << "            record_unique on;\n";
    };
    out << "rtmp {\n    access_log off;\n    server {\n        listen " << options_.address << ":"
        << rtmp_port_ << ";\n        chunk_size 4096;\n        notify_method post;\n"
        << options_.rtmp_directives;
    if (options_.hook_port != 0 && options_.connect_hook) hook("on_connect");
    out << "        application live {\n            live on;\n";
    record();
    if (options_.hook_port != 0)
        for (const char* directive : {"on_publish", "on_play", "on_publish_done", "on_play_done"})
            hook(directive);
    if (options_.hls)
        out << "            hls on;\n            hls_path " << hls().string()
            << "/live;\n            hls_nested off;\n"
            << "            hls_fragment " << options_.hls_fragment.count() << "ms;\n"
            << "            hls_playlist_length " << options_.hls_playlist.count() << "ms;\n"
            << "            hls_cleanup on;\n";
    for (const std::string& target : options_.push_to) out << "            push " << target << ";\n";
    out << "        }\n        application open {\n            live on;\n";
    record();
    out << "        }\n        application deny {\n            live on;\n            deny publish all;\n"
        << "        }\n        application nolive {\n            live off;\n        }\n    }\n}\n";

    out << "http {\n    access_log off;\n";
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
        out << "    " << kind << "_temp_path " << dir << "/" << kind << ";\n";
    out << "    server {\n        listen " << options_.address << ":" << http_port_
        << ";\n        location /control { rtmp_control all; }\n        location /stat { rtmp_stat all; }\n";
    if (options_.record) out << "        location /vod/ { alias " << dir << "/recordings/; }\n";
    out << "    }\n}\n";
    if (!out.flush()) throw std::runtime_error("cannot write " + dir + "/nginx.conf");
}

void NginxRtmp::start() {
    if (process_) return;
    const std::string dir = directory_.string();
    // SIGTERM on our death: the master ends its workers, which SIGKILL would leave behind.
    process_.emplace(
        Command{.argv = {"nginx", "-p", dir, "-c", dir + "/nginx.conf", "-e", dir + "/error.log"},
                .output = directory_ / "output.log",
                .death_signal = SIGTERM});
    if (wait_until_listening(options_.address, rtmp_port_, *process_) &&
        wait_until_listening(options_.address, http_port_, *process_))
        return;
    process_.reset();
    throw std::runtime_error("nginx did not start: " + read_file(directory_ / "output.log") + log());
}

void NginxRtmp::stop(int signal) {
    if (!process_) return;
    if (signal == SIGKILL)
        process_->signal_group(SIGKILL);
    else
        thaw();
    process_->stop(signal);
    process_.reset();
}

void NginxRtmp::freeze() {
    if (process_) process_->signal_group(SIGSTOP);
}

void NginxRtmp::thaw() {
    if (process_) process_->signal_group(SIGCONT);
}

std::vector<std::filesystem::path> NginxRtmp::recordings(const std::string& name) const {
    std::vector<std::filesystem::path> found;
    // record_unique writes NAME-SECONDS.flv.
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "recordings")) {
        const std::string stem = entry.path().stem().string();
        if (stem.substr(0, stem.rfind('-')) == name) found.push_back(entry.path());
    }
    std::ranges::sort(found);
    return found;
}

std::string NginxRtmp::recording_url(const std::string& name) const {
    const auto found = recordings(name);
    if (found.empty()) return {};
    return "http://" + options_.address + ":" + std::to_string(http_port_) + "/vod/" +
           found.back().filename().string();
}

int NginxRtmp::kick(const std::string& app, const std::string& name) {
    const std::string answer =
        get(options_.address, http_port_, "/control/drop/publisher?app=" + app + "&name=" + name);
    int dropped = 0;
    std::from_chars(answer.data(), answer.data() + answer.size(), dropped);
    return dropped;
}

int NginxRtmp::publishers() const {
    const std::string statistics = get(options_.address, http_port_, "/stat");
    // A line of its own in each stream that has a publisher; inside a line it belongs to a client.
    constexpr const char* mark = "\n<publishing/>";
    int found = 0;
    for (auto at = statistics.find(mark); at != std::string::npos; at = statistics.find(mark, at + 1))
        ++found;
    return found;
}

std::string NginxRtmp::log() const { return read_file(directory_ / "error.log"); }

}  // namespace livecanary::practice
