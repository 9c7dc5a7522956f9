// livecanary-practice: a real nginx-rtmp behind a practice cloud, for the demo and for trying things out;
// with HLS and an HTTP front for playback if asked.
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "tests/practice/backend.hpp"
#include "tests/practice/cdn_edge.hpp"
#include "tests/practice/cloud_events.hpp"
#include "tests/practice/cos_server.hpp"
#include "tests/practice/drill_stack.hpp"
#include "tests/practice/hook_server.hpp"
#include "tests/practice/nginx_rtmp.hpp"
#include "tests/practice/play_front.hpp"

namespace {

using namespace livecanary::practice;

constexpr std::string_view help = R"(usage: livecanary-practice [option...]
Runs nginx-rtmp behind a practice cloud that checks txSecret and txTime, until SIGTERM or SIGINT.
Prints one line of JSON with the addresses once everything is up.
  --dir DIR           where nginx keeps its files (default: a temporary directory)
  --domain NAME       the push domain it knows (default: push.example.com)
  --main-key FILE     holds the domain's main push key (default: $LIVECANARY_PRACTICE_MAIN_KEY)
  --backup-key FILE   holds its backup key (default: $LIVECANARY_PRACTICE_BACKUP_KEY, or none)
  --rtmp-port N, --http-port N, --hook-port N, --control-port N
                      ports on 127.0.0.1 (default: free ones)
  --play              serve playback at the play domain: RTMP, and HLS over HTTP
  --play-domain NAME  the play domain (default: play.example.com)
  --play-key FILE     holds its key (default: $LIVECANARY_PRACTICE_PLAY_KEY, or none: playing is open)
  --play-backup-key FILE
                      holds its backup key (default: $LIVECANARY_PRACTICE_PLAY_BACKUP_KEY, or none)
  --play-port N       port of the HTTP front on 127.0.0.1 (default: a free one)
  --flv-port N        serve HTTP-FLV too, from the server at this port of 127.0.0.1, and
  --flv-push URL      push to it what is pushed here: rtmp://127.0.0.1:PORT/live
  --cos FILE          run an object store too; FILE holds the SecretKey of its one key pair
  --cdn               run a CDN before the object store too, over HTTP at 127.0.0.2 and 127.0.0.3
  --cdn-domain NAME   its domain (default: cover.cdn.example.com)
  --cdn-key FILE      holds the key of its URL authentication, type A (default: there is none)
  --cdn-port N        its port (default: a free one)
  --backend           run the business backend too, over a MariaDB and a Redis of its own
  --backend-port N    its port on 127.0.0.1 (default: a free one)
  --record            record what is pushed under DIR/recordings
  --callbacks URL     record, and tell of pushes and recordings at http://127.0.0.1:PORT/PATH with signed events 1, 0
                      and 100; "backend" for the callback of --backend. An event that is not answered with 200 is
                      sent 12 times more, a minute apart. Faults: /callbacks of the control port (hook_server.hpp)
  --callback-key FILE holds the template's key (default: that of --backend)
  --record-scale N    tell of recordings N times as long as what was pushed (default: 1), since the backend stores
                      none of 60 s or less
  --record-format F   file_format of event 100: MP4 (the default) or mp4, which alone the backend knows as such
With --drill alone, as `livecanary drill` starts it:
  --drill --list      prints the faults it can show, as JSON
  --drill --dir DIR   runs all of the above, with a configuration of livecanary that watches it in DIR, and a
                      control port where these faults are switched on and off (drill_stack.hpp);
                      --healthy behind it: with a journey, and every probe once a second
)";

// What the practice object store has.
constexpr const char* cos_appid = "1250000000";
constexpr const char* cos_bucket = "cover-1250000000";
constexpr const char* cos_region = "ap-shanghai";
constexpr const char* cos_secret_id = "AKIDpracticepracticepractice";

struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The options given, by name without dashes; flags hold "".
std::map<std::string, std::string> parse(int argc, char** argv) {
    std::map<std::string, std::string> options{{"dir", ""},
                                               {"domain", "push.example.com"},
                                               {"main-key", ""},
                                               {"backup-key", ""},
                                               {"rtmp-port", "0"},
                                               {"http-port", "0"},
                                               {"hook-port", "0"},
                                               {"control-port", "0"},
                                               {"play-domain", "play.example.com"},
                                               {"play-key", ""},
                                               {"play-backup-key", ""},
                                               {"play-port", "0"},
                                               {"flv-port", "0"},
                                               {"flv-push", ""},
                                               {"cos", ""},
                                               {"cdn-domain", "cover.cdn.example.com"},
                                               {"cdn-key", ""},
                                               {"cdn-port", "0"},
                                               {"backend-port", "0"},
                                               {"callbacks", ""},
                                               {"callback-key", ""},
                                               {"record-scale", "1"},
                                               {"record-format", "MP4"}};
    for (int i = 1; i < argc; ++i) {
        std::string_view option = argv[i];
        if (!option.starts_with("--")) throw UsageError("not an option: " + std::string(option));
        option.remove_prefix(2);
        if (option == "record" || option == "play" || option == "cdn" || option == "backend") {
            options[std::string(option)] = "";
            continue;
        }
        const auto found = options.find(std::string(option.substr(0, option.find('='))));
        if (found == options.end()) throw UsageError("unknown option --" + std::string(option));
        if (const auto equals = option.find('='); equals != std::string_view::npos)
            found->second = option.substr(equals + 1);
        else if (++i < argc)
            found->second = argv[i];
        else
            throw UsageError("--" + found->first + " needs a value");
    }
    return options;
}

std::uint16_t port(const std::string& text) {
    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) throw UsageError("not a port: " + text);
    return number;
}

/// A key from a file (its last line end does not count), else from an environment variable, else empty.
std::string key(const std::string& file, const char* variable) {
    if (file.empty()) {
        const char* const value = std::getenv(variable);
        return value == nullptr ? "" : value;
    }
    if (!std::filesystem::exists(file)) throw UsageError("no such file: " + file);
    std::string text = read_file(file);
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

double positive(const std::string& text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || !(number > 0))
        throw UsageError("not a number above 0: " + text);
    return number;
}

/// What --callbacks and its like ask for. `backend`: null if there is none.
CloudEvents::Options told_of(const std::map<std::string, std::string>& options, const Backend* backend) {
    CloudEvents::Options told;
    const std::string& to = options.at("callbacks");
    const std::string& file = options.at("callback-key");
    if (backend == nullptr && to == "backend") throw UsageError("--callbacks backend needs --backend");
    if (backend == nullptr && file.empty())
        throw UsageError("--callbacks needs --callback-key FILE or --backend");
    told.sender.key = file.empty() ? backend->config().callback_key : key(file, "");
    try {
        set_url(told.sender, to == "backend" ? backend->url() + "/callback/tape_callback.php" : to);
    } catch (const std::invalid_argument& error) {
        throw UsageError(std::string("--callbacks: ") + error.what());
    }
    // The backend takes no recording without it.
    told.sender.video_id = true;
    told.sender.record_format = options.at("record-format");
    told.record_scale = positive(options.at("record-scale"));
    return told;
}

/// A folder in the one that was given; nothing if none was.
std::filesystem::path folder(const std::string& directory, const char* name) {
    return directory.empty() ? "" : std::filesystem::path(directory) / name;
}

int serve(const std::map<std::string, std::string>& options, const sigset_t& signals) {
    const Domain domain{.main_key = key(options.at("main-key"), "LIVECANARY_PRACTICE_MAIN_KEY"),
                        .backup_key = key(options.at("backup-key"), "LIVECANARY_PRACTICE_BACKUP_KEY")};
    if (domain.main_key.empty()) throw UsageError("no main key: give --main-key FILE");
    HookServer hook(
        {.port = port(options.at("hook-port")), .control_port = port(options.at("control-port"))});
    hook.know(options.at("domain"), domain);
    const bool play = options.contains("play");
    const std::uint16_t flv_port = port(options.at("flv-port"));
    if (play)
        hook.know(
            options.at("play-domain"),
            {.play_key = key(options.at("play-key"), "LIVECANARY_PRACTICE_PLAY_KEY"),
             .play_backup_key = key(options.at("play-backup-key"), "LIVECANARY_PRACTICE_PLAY_BACKUP_KEY"),
             .push = false});
    const bool callbacks = !options.at("callbacks").empty();
    std::vector<std::string> push_to;
    if (!options.at("flv-push").empty()) push_to.push_back(options.at("flv-push"));
    NginxRtmp nginx({.directory = options.at("dir"),
                     .rtmp_port = port(options.at("rtmp-port")),
                     .http_port = port(options.at("http-port")),
                     .hook_port = hook.port(),
                     .record = options.contains("record") || callbacks,
                     .hls = play,
                     .push_to = std::move(push_to)});
    hook.on_kick([&nginx](const std::string& app, const std::string& name) { return nginx.kick(app, name); });

    std::optional<PlayFront> front;
    if (play)
        front.emplace(PlayFront::Options{.hls = nginx.hls(),
                                         .flv_port = flv_port,
                                         .hook_port = hook.port(),
                                         .directory = folder(options.at("dir"), "front"),
                                         .port = port(options.at("play-port"))});
    std::optional<CosServer> cos;
    if (!options.at("cos").empty()) {
        cos.emplace();
        cos->change([&](Cos& store) {
            store.accounts[cos_appid].keys[cos_secret_id] = {.secret_key = key(options.at("cos"), "")};
            store.buckets[cos_bucket] = {.region = cos_region};
        });
    }
    std::optional<CdnEdge> cdn;
    if (options.contains("cdn")) {
        if (!cos) throw UsageError("--cdn needs --cos");
        CdnEdge::Options edge;
        edge.domain = options.at("cdn-domain");
        edge.origin_port = cos->port();
        edge.origin_host = std::string(cos_bucket) + ".cos." + cos_region + ".myqcloud.com";
        edge.origin_key = CdnOriginKey{.secret_id = cos_secret_id, .secret_key = key(options.at("cos"), "")};
        if (!options.at("cdn-key").empty()) edge.auth = CdnUrlAuth{.key = key(options.at("cdn-key"), "")};
        edge.directory = folder(options.at("dir"), "cdn");
        edge.port = port(options.at("cdn-port"));
        cdn.emplace(std::move(edge));
    }
    std::optional<BackendStack> backend;
    if (options.contains("backend")) {
        backend.emplace(Backend::Options{.port = port(options.at("backend-port"))});
        // As the real one is shipped they can be fetched, and a demo that begins with a finding hides the
        // rest.
        backend->backend.behave({.config_hidden = true});
        if (cos) {
            // It signs uploads to the store beside it.
            BackendConfig config = backend->backend.config();
            config.cos_secret_key = key(options.at("cos"), "");
            backend->backend.configure(config);
        }
    }
    std::optional<CloudEvents> events;
    if (callbacks) {
        CloudEvents::Options told = told_of(options, backend ? &backend->backend : nullptr);
        told.video_url = [&nginx](const std::string& stream) { return nginx.recording_url(stream); };
        events.emplace(hook, std::move(told));
    }
    boost::json::object addresses{
        {"rtmp_port", nginx.rtmp_port()},
        {"http_port", nginx.http_port()},
        {"hook_port", hook.port()},
        {"domain", options.at("domain")},
        {"push", "rtmp://" + options.at("domain") + ":" + std::to_string(nginx.rtmp_port()) + "/live"},
        {"play", nginx.url("live")},
        {"statistics", "http://127.0.0.1:" + std::to_string(nginx.http_port()) + "/stat"},
        {"control", "http://127.0.0.1:" + std::to_string(hook.control_port())}};
    if (front) {
        const std::string& host = options.at("play-domain");
        const std::string http = "http://" + host + ":" + std::to_string(front->port()) + "/live";
        addresses["play_port"] = front->port();
        addresses["play_domain"] = host;
        addresses["play_rtmp"] = "rtmp://" + host + ":" + std::to_string(nginx.rtmp_port()) + "/live";
        addresses["play_hls"] = http;
        if (flv_port != 0) addresses["play_flv"] = http;
    }
    if (cos) {
        addresses["cos_bucket"] = cos_bucket;
        addresses["cos_region"] = cos_region;
        addresses["cos_secret_id"] = cos_secret_id;
        addresses["cos_endpoint"] = std::string("http://") + cos_bucket + ".cos." + cos_region +
                                    ".myqcloud.com:" + std::to_string(cos->port());
    }
    if (cdn) {
        addresses["cdn_domain"] = options.at("cdn-domain");
        addresses["cdn_port"] = cdn->port();
        addresses["cdn_addresses"] = boost::json::array{"127.0.0.2", "127.0.0.3"};
    }
    if (backend) {
        const BackendConfig config = backend->backend.config();
        addresses["backend"] = backend->backend.url();
        addresses["backend_userid"] = BackendStack::userid;
        addresses["backend_password"] = BackendStack::password;
        addresses["callback"] = backend->backend.url() + "/callback/tape_callback.php";
        addresses["callback_key"] = config.callback_key;
        addresses["im_sdkappid"] = config.im_sdkappid;
        addresses["im_key"] = config.im_key;
        addresses["db_port"] = config.db_port;
        addresses["db_socket"] = backend->mariadb.socket();
        addresses["db_user"] = config.db_user;
        addresses["db_password"] = config.db_password;
        addresses["db_name"] = config.db_name;
        addresses["redis_port"] = config.redis_port;
    }
    std::cout << boost::json::serialize(addresses) << std::endl;
    for (;;) {
        int signal = 0;
        sigwait(&signals, &signal);
        if (signal != SIGCHLD) return 0;
        if (!nginx.running()) {
            std::cerr << "livecanary-practice: nginx ended: " << nginx.log();
            return 1;
        }
        if (front && !front->running()) {
            std::cerr << "livecanary-practice: the front ended: " << front->log();
            return 1;
        }
        if (cdn && !cdn->running()) {
            std::cerr << "livecanary-practice: the CDN ended: " << cdn->log();
            return 1;
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    // Blocked before any thread is made, so that every thread leaves them to sigwait().
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    try {
        if (argc > 1 && std::string_view(argv[1]) == "--help") {
            std::cout << help;
            return 0;
        }
        // Ways of its own, for `livecanary drill`.
        if (argc > 1 && std::string_view(argv[1]) == "--drill") {
            const std::string_view what = argc > 2 ? argv[2] : "";
            if (argc == 3 && what == "--list") {
                std::cout << faults_json() << std::endl;
                return 0;
            }
            const bool healthy = argc == 5 && std::string_view(argv[4]) == "--healthy";
            if ((argc != 4 && !healthy) || what != "--dir")
                throw UsageError("--drill goes with --list or --dir DIR");
            return serve_drill(argv[3], healthy);
        }
        return serve(parse(argc, argv), signals);
    } catch (const UsageError& error) {
        std::cerr << "livecanary-practice: " << error.what() << "\n" << help;
        return 2;
    } catch (const std::exception& error) {
        std::cerr << "livecanary-practice: " << error.what() << "\n";
        return 1;
    }
}
