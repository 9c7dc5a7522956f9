#pragma once
// Everything the practice stack has, at once and as it should be, with a configuration of livecanary that
// watches all of it: what `livecanary drill` breaks.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/practice/backend.hpp"
#include "tests/practice/cdn_edge.hpp"
#include "tests/practice/cloud_events.hpp"
#include "tests/practice/cos_server.hpp"
#include "tests/practice/hook_server.hpp"
#include "tests/practice/nginx_rtmp.hpp"

namespace livecanary::practice {

/// What the configuration says that could be wrong in it, or that was issued to it by what it watches.
struct DrillTold {
    std::string issued_push{};  ///< a whole push URL, as a backend issues it
    std::string app{"live"};    ///< of push-main
    std::string stream{};       ///< of push-main
    std::string watched{};      ///< of play-main
    std::uint16_t push_port = 0;
    std::string app_backend{};  ///< URL of the backend that is compiled into the app
    std::vector<std::string> logo_edges{};
    /// A journey too: what it takes is more than all else, and so it is there only for what it is to find.
    bool journey = false;
    /// How often every probe runs; 0: as the bounds of faults go by.
    std::chrono::milliseconds every{0};
    /// What the backend may take for an event that is passed on to it: short, since a fault is named after
    /// it.
    std::chrono::milliseconds forward_within{2000};
};

/// Its thread is that of its maker: servers that a fault restarts end with the thread that did so.
class DrillStack {
public:
    static constexpr const char* push_domain = "push.example.com";
    static constexpr const char* issuing_domain = "1234.livepush.example.com";
    static constexpr const char* play_domain = "play.example.com";
    static constexpr const char* appid = "1250000000";
    static constexpr const char* cover = "cover-1250000000";  ///< private, of the XML and the JSON API
    static constexpr const char* logo = "logo-1250000000";    ///< for all to read
    static constexpr const char* region = "ap-shanghai";
    static constexpr const char* logo_domain =
        "logo-1250000000.file.myqcloud.com";  ///< its default CDN domain
    static constexpr const char* logo_object = "logo.bin";
    static constexpr const char* secret_id = "AKIDpracticepracticepractice";  ///< the backend's
    static constexpr const char* monitor_id = "AKIDmonitor";
    static constexpr const char* traveller = "drill_journey";  ///< whose replay the journey makes
    static constexpr const char* temporary_id = "AKIDtemporarytemporarytemporary";

    /// Keys, configuration and log go to `directory`. Throws what its parts throw.
    explicit DrillStack(const std::filesystem::path& directory);
    DrillStack(const DrillStack&) = delete;
    DrillStack& operator=(const DrillStack&) = delete;

    std::filesystem::path config() const { return directory_ / "livecanary.toml"; }
    /// What the configuration says, as it is changed; the file is another only after write_config().
    DrillTold told{};
    DrillTold right_told() const;
    void write_config() const;
    /// Appends a line to the log of app and backend.
    void log(const std::string& line) const;

    /// The cloud says that recordings are where they are not.
    std::atomic<bool> recordings_are_gone = false;
    bool database_is_frozen = false, redis_is_frozen = false;
    // What faults leave, made good.
    void reset_push();
    void reset_cos();
    void reset_cdn();
    void reset_backend();
    void reset_database();
    void reset_redis();
    void reset_events();

    std::string push_url(const std::string& domain, const std::string& app, const std::string& name) const;
    CdnEdge::Options cover_edge() const;
    std::string main_key{"practice-main-key"}, backup_key{"practice-backup-key"};
    std::string play_key{"practice-play-key"}, play_backup_key{"practice-play-backup-key"};
    std::string cdn_key{"practicecdnkey1"}, cdn_backup_key{"practicecdnkey2"};

private:
    std::filesystem::path directory_;
    std::uint16_t receiver_port_;

public:
    HookServer hook{};
    NginxRtmp nginx;
    CosServer cos{};
    CdnEdge cover_cdn;  ///< with URL authentication, before the private bucket
    CdnEdge logo_cdn;   ///< without, before the public one
    BackendStack backend{};
    CloudEvents events;

private:
    std::string secret(const std::string& name, const std::string& key) const;
    NginxRtmp::Options nginx_options() const;
    CdnEdge::Options logo_edge() const;
    CloudEvents::Options told_of();
    void fill_store(Cos& store) const;
};

/// Serves the stack until SIGTERM, SIGINT or SIGHUP, which must be blocked; prints a line of JSON with
/// `config` and `control_port` once all is up. `healthy`: to be watched by every kind, once a second. There,
/// on 127.0.0.1: `GET /faults`; `POST /faults/ID` breaks, `DELETE /faults/ID` heals: `{"reload":true}` if the
/// configuration has changed.
int serve_drill(const std::filesystem::path& directory, bool healthy);
/// What `GET /faults` says.
std::string faults_json();

}  // namespace livecanary::practice
