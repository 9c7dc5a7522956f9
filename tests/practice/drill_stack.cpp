#include "tests/practice/drill_stack.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>

#include "tests/practice/faults.hpp"

namespace livecanary::practice {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;

using namespace std::chrono_literals;

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
/// How often a probe of the configuration runs and how long a run may take. As with the defaults that users
/// have, no timeout is longer than its interval.
struct Pace {
    std::chrono::milliseconds interval = 3s, timeout = 2s;
    /// What it judges takes so long to come about after the fault, whatever its own runs.
    std::chrono::milliseconds waits = 0s;
};
constexpr auto expect_within = 3s, record_within = 3s;
/// Above the interval of pushes: a stream that is refused each time stands, and one that was is soon
/// forgotten.
constexpr auto refusal_stands = 6s;

const std::map<std::string, Pace>& paces() {
    static const std::map<std::string, Pace> all = [] {
        std::map<std::string, Pace> made;
        for (const char* name :
             {"reference", "push-main", "push-issued", "cover-bucket", "cover-fast", "cover-domain",
              "cover-temporary", "cover-v4", "cover-app", "cover-cdn", "logo-cdn", "app-db", "replay-db",
              "mini-live", "app-address", "record-callback", "backend-log"})
            made[name] = {};
        // A second of media, and what a busy machine takes to begin and end it.
        for (const char* name : {"push-main", "push-issued"}) made[name] = {.interval = 4s, .timeout = 3s};
        // Two seconds of media, since a picture that can be shown comes with the second keyframe.
        made["play-main"] = {.interval = 4s, .timeout = 3500ms};
        // Five seconds of media, and up to two for each of the other hops.
        made["replay"] = {.interval = 9s, .timeout = 9s};
        // It judges the events of pushes: the next one of them, and the time that its events have.
        const Pace push = made["push-main"];
        made["cloud-events"].waits =
            push.interval + push.timeout +
            std::max<std::chrono::milliseconds>({expect_within, record_within, DrillTold{}.forward_within});
        return made;
    }();
    return all;
}

std::string milliseconds(std::chrono::milliseconds time) { return std::to_string(time.count()) + "ms"; }

constexpr double record_scale = 120;
constexpr const char* callback_path = "/callback/tape_callback.php";
constexpr const char* monitor_secret = "practice-monitor-secret";
constexpr const char* temporary_secret = "practice-temporary-secret";
constexpr const char* temporary_token = "practice-temporary-token";
constexpr const char* db_monitor_password = "practice-db-monitor";

}  // namespace

std::string DrillStack::push_url(const std::string& domain, const std::string& app,
                                 const std::string& name) const {
    return "rtmp://" + domain + ":" + std::to_string(nginx.rtmp_port()) + "/" + app + "/" + name;
}

NginxRtmp::Options DrillStack::nginx_options() const {
    NginxRtmp::Options options;
    options.directory = directory_ / "nginx-rtmp";
    options.hook_port = hook.port();
    options.record = true;
    return options;
}

CdnEdge::Options DrillStack::cover_edge() const {
    CdnEdge::Options options;
    options.domain = "cover.cdn.example.com";
    options.origin_port = cos.port();
    options.origin_host = std::string(cover) + ".cos." + region + ".myqcloud.com";
    options.origin_key = CdnOriginKey{.secret_id = monitor_id, .secret_key = monitor_secret};
    options.auth = CdnUrlAuth{.key = cdn_key, .backup_key = cdn_backup_key};
    options.directory = directory_ / "cover-cdn";
    return options;
}

CdnEdge::Options DrillStack::logo_edge() const {
    CdnEdge::Options options = cover_edge();
    options.addresses = {"127.0.0.4", "127.0.0.5"};
    options.domain = logo_domain;
    options.origin_host = std::string(logo) + ".cos." + region + ".myqcloud.com";
    options.auth.reset();
    options.directory = directory_ / "logo-cdn";
    return options;
}

CloudEvents::Options DrillStack::told_of() {
    CloudEvents::Options options;
    options.sender.key = backend.backend.config().callback_key;
    options.sender.port = receiver_port_;
    options.sender.path = "/live";
    options.sender.video_id = true;
    // An event of one fault that came again a minute later would be taken for one of the next.
    options.sender.retries = 0;
    options.sender.record_format = "mp4";
    // A second is told of as two minutes, which is long enough to be stored.
    options.record_scale = record_scale;
    options.video_url = [this](const std::string& stream) {
        return nginx.recording_url(stream) + (recordings_are_gone ? ".gone" : "");
    };
    return options;
}

DrillStack::DrillStack(const std::filesystem::path& directory)
    : directory_(directory),
      receiver_port_(free_port()),
      nginx([&] {
          for (const char* made : {"", "keys", "nginx-rtmp", "cover-cdn", "logo-cdn", "state"})
              std::filesystem::create_directories(directory / made);
          return nginx_options();
      }()),
      cover_cdn(cover_edge()),
      logo_cdn(logo_edge()),
      events(hook, told_of()) {
    reset_push();
    reset_cos();
    reset_backend();
    reset_database();
    log("the practice stack has started");
    told = right_told();
    write_config();
}

DrillTold DrillStack::right_told() const {
    DrillTold right;
    right.stream = "main_" + std::string(BackendStack::userid);
    right.watched = "watched_" + std::string(BackendStack::userid);
    right.push_port = nginx.rtmp_port();
    right.issued_push = push_url(issuing_domain, "live",
                                 signed_name(main_key, "1234_" + std::string(BackendStack::userid),
                                             std::chrono::system_clock::now() + 12h));
    right.app_backend = backend.backend.url();
    right.logo_edges = {"127.0.0.4", "127.0.0.5"};
    return right;
}

void DrillStack::reset_push() {
    hook.behave({});
    hook.reappear();
    for (const char* domain : {push_domain, issuing_domain})
        hook.know(domain, {.main_key = main_key, .backup_key = backup_key});
    hook.know(play_domain, {.play_key = play_key, .play_backup_key = play_backup_key, .push = false});
    nginx.thaw();
    if (!nginx.running()) nginx.start();
}

void DrillStack::fill_store(Cos& store) const {
    auto& account = store.accounts[appid];
    account.keys.clear();
    account.keys[secret_id] = {.secret_key = BackendConfig{}.cos_secret_key};
    account.keys[monitor_id] = {.secret_key = monitor_secret};
    account.temporary_keys.clear();
    account.temporary_keys[temporary_id] = {.secret_key = temporary_secret,
                                            .token = temporary_token,
                                            .expires = std::chrono::system_clock::now() + 24h};
    CosBucket& covers = store.buckets[cover];
    covers.region = region;
    covers.v4_region = "sh";
    covers.v1 = false;
    covers.accelerate = true;
    covers.domains = {"img.example.com"};
    CosBucket& logos = store.buckets[logo];
    logos.region = region;
    logos.public_read = true;
    logos.objects[logo_object] = {.upload = cos_upload(std::string(3000, 'a')),
                                  .modified = std::chrono::system_clock::now()};
}

void DrillStack::reset_cos() {
    cos.change([this](Cos& store) { fill_store(store); });
    cos.behave({});
    cos.reappear();
}

void DrillStack::reset_cdn() {
    for (CdnEdge* edge : {&cover_cdn, &logo_cdn}) {
        edge->behave({});
        edge->purge();
    }
    cover_cdn.authenticate(cover_edge().auth);
}

void DrillStack::reset_backend() {
    BackendConfig right;
    right.db_port = backend.mariadb.port();
    right.redis_port = backend.redis.port();
    backend.backend.configure(right);
    // As shipped its configuration can be fetched, which is a fault of its own here.
    backend.backend.behave({.config_hidden = true});
    backend.backend.reappear();
}

void DrillStack::reset_database() {
    MariaDb& server = backend.mariadb;
    if (std::exchange(database_is_frozen, false)) server.thaw();
    try {
        server.ask("SELECT 1");
    } catch (const std::runtime_error&) {
        server.restart();
    }
    server.execute("UNLOCK TABLES; SET GLOBAL sql_mode = DEFAULT; SET sql_mode = DEFAULT");
    backend.fill_database();
    server.execute(
        "ALTER TABLE live_demo.tb_account ADD KEY by_time (create_time);"
        "INSERT INTO live_demo.tb_room (userid, title) VALUES ('" +
        std::string(traveller) +
        "', 'drill');"
        "GRANT SELECT, INSERT, DELETE ON *.* TO 'live_monitor'@'%' IDENTIFIED BY '" +
        std::string(db_monitor_password) + "'");
}

void DrillStack::reset_redis() {
    if (std::exchange(redis_is_frozen, false)) backend.redis.thaw();
    backend.redis.restart();
}

void DrillStack::reset_events() {
    const CallbackSender::Settings right = told_of().sender;
    events.change([&](CallbackSender::Settings& settings) {
        settings.key = right.key;
        settings.dead = right.dead;
        settings.lost = right.lost;
        settings.video_id = right.video_id;
        settings.record_format = right.record_format;
    });
    events.scale_recordings(record_scale);
    recordings_are_gone = false;
    events.set_recording(true);
    events.set_formats({});
    events.unbind({});
}

void DrillStack::log(const std::string& line) const {
    std::ofstream(directory_ / "backend.log", std::ios::app) << line << '\n';
}

std::string DrillStack::secret(const std::string& name, const std::string& key) const {
    const auto file = directory_ / "keys" / name;
    std::ofstream(file) << key;
    std::filesystem::permissions(file,
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return "{ file = \"" + file.string() + "\" }";
}

void DrillStack::write_config() const {
    const BackendConfig right;
    const std::string cos_port = std::to_string(cos.port());
    const std::string main = secret("main", main_key), backup = secret("backup", backup_key);
    const std::string monitor = secret("cos-monitor", monitor_secret);
    const std::string callback = secret("callback", right.callback_key);
    std::ostringstream toml;
    const auto probe = [&](const char* kind, const char* name) -> std::ostream& {
        const Pace& pace = paces().at(name);
        return toml << "\n[[probe]]\nkind = \"" << kind << "\"\nname = \"" << name << "\"\ninterval = \""
                    << milliseconds(told.every > 0ms ? told.every : pace.interval) << "\"\ntimeout = \""
                    << milliseconds(pace.timeout) << "\"\n";
    };
    const auto store = [&](const std::string& host) {
        return "endpoint = \"http://" + host + ":" + cos_port + "\"\naddress = \"127.0.0.1\"\n";
    };
    const auto key_pair = [&] {
        return "secret_id = \"" + std::string(monitor_id) + "\"\nsecret_key = " + monitor + "\n";
    };
    const std::string bucket =
        "bucket = \"" + std::string(cover) + "\"\nregion = \"" + std::string(region) + "\"\n";
    const std::string cover_host = std::string(cover) + ".cos." + region + ".myqcloud.com";

    toml << "[daemon]\nlocation = \"drill\"\nstate_directory = \""
         << (directory_ / "state").string()
         // Faults follow each other faster than a day's incidents do, and the machine may be busy.
         << "\"\ncontrols_gap = \"0s\"\nmax_loop_lag = \"2s\"\nreference = false\n"
         << "\n[defaults]\nfail_after = 2\nrecover_after = 1\n";
    probe("reference", "reference");

    probe("rtmp_push", "push-main") << "url = \"rtmp://" << push_domain << ':' << told.push_port << '/'
                                    << told.app << '/' << told.stream
                                    << "\"\naddress = \"127.0.0.1\"\nmedia = \"1s\"\npush_key = " << main
                                    << "\nbackup_key = " << backup << '\n';
    probe("rtmp_push", "push-issued") << "url = \"" << told.issued_push
                                      << "\"\naddress = \"127.0.0.1\"\nmedia = \"1s\"\npush_key = " << main
                                      << "\nbackup_key = " << backup << '\n';
    const std::string& watched = told.watched;
    probe("rtmp_push", "play-main") << "url = \"" << push_url(push_domain, "live", watched)
                                    << "\"\naddress = \"127.0.0.1\"\nmedia = \"2s\"\npush_key = " << main
                                    << "\nbackup_key = " << backup << "\n[[probe.playback]]\nurl = \""
                                    << push_url(play_domain, "live", watched)
                                    << "\"\naddress = \"127.0.0.1\"\nwait = \"2s\"\nkey = "
                                    << secret("play", play_key)
                                    << "\nbackup_key = " << secret("play-backup", play_backup_key) << '\n';

    probe("cos_roundtrip", "cover-bucket") << bucket << key_pair() << store(cover_host);
    probe("cos_roundtrip", "cover-fast")
        << bucket << key_pair() << store(std::string(cover) + ".cos.accelerate.myqcloud.com");
    probe("cos_roundtrip", "cover-domain") << bucket << key_pair() << store("img.example.com");
    probe("cos_roundtrip", "cover-temporary")
        << bucket << "secret_id = \"" << temporary_id
        << "\"\nsecret_key = " << secret("cos-temporary", temporary_secret)
        << "\ntoken = " << secret("cos-token", temporary_token) << '\n'
        << store(cover_host);
    probe("cos_roundtrip", "cover-v4")
        << "api = \"v4\"\napp_id = \"" << appid << "\"\nbucket = \"cover\"\nregion = \"sh\"\n"
        << key_pair() << store("{region}.file.myqcloud.com");
    probe("cos_roundtrip", "cover-app") << "signature = { backend = \"mini-live\" }\nown = { secret_id = \""
                                        << monitor_id << "\", secret_key = " << monitor << " }\n"
                                        << bucket << store("{bucket}.cos.{region}.myqcloud.com");

    probe("cdn_fetch", "cover-cdn")
        << "after = \"cover-bucket\"\ndomain = \"cover.cdn.example.com\"\nscheme = "
           "\"http\"\nport = "
        << cover_cdn.port()
        << "\naddresses = [\"127.0.0.2\", \"127.0.0.3\"]\nevery_address = "
           "true\nauth = { type = \"A\", key = "
        << secret("cdn", cdn_key) << ", backup_key = " << secret("cdn-backup", cdn_backup_key) << " }\n";
    probe("cdn_fetch", "logo-cdn")
        << "url = \"http://" << logo_domain << ':' << logo_cdn.port() << '/' << logo_object
        << "\"\norigin = \"http://" << logo << ".cos." << region << ".myqcloud.com:" << cos_port
        << "\"\norigin_address = \"127.0.0.1\"\nevery_address = true\nauth = { type "
           "= \"none\" }\naddresses = [";
    for (const auto& edge : told.logo_edges) toml << '"' << edge << "\", ";
    toml << "]\n";

    const auto database = [&](const char* name, const std::string& user, const std::string& password) {
        probe("mysql", name) << "host = \"127.0.0.1\"\nport = " << backend.mariadb.port() << "\nuser = \""
                             << user << "\"\npassword = " << password << "\ndatabase = \"live_demo\"\n";
    };
    database("app-db", right.db_user, secret("db-app", right.db_password));
    database("replay-db", "live_monitor", secret("db-monitor", db_monitor_password));
    toml << "time_zone = \"+08:00\"\nread_only = false\n"
            "[[probe.table]]\nname = \"tb_vod\"\nprofile = \"live_demo\"\n"
            "remove = \"DELETE FROM tb_vod WHERE userid = {userid} AND file_id = {file_id}\"\n"
            "insert_check = { userid = \"livecanary\", file_id = \"check\", play_url = "
            "\"https://play.example.com/replay.mp4\", title = \"\xF0\x9F\x90\xA4\" }\n"
            "[[probe.table]]\nname = \"tb_room\"\nprofile = \"live_demo\"\n"
            "[[probe.table]]\nname = \"tb_account\"\nprofile = \"live_demo\"\nwatermark = \"create_time\"\n"
            "expect_new_rows = { within = \"12h\" }\n";

    probe("backend_api", "mini-live")
        << "url = \"" << backend.backend.url() << "\"\nuserid = \"" << BackendStack::userid
        << "\"\npassword = " << secret("backend", BackendStack::password)
        << "\nim = { sdkappid = " << right.im_sdkappid << ", key = " << secret("im", right.im_key) << " }\n";
    probe("backend_api", "app-address") << "url = \"" << told.app_backend << "\"\nsame_as = \""
                                        << backend.backend.url() << "\"\nchecks = [\"static\", \"php\"]\n";

    probe("callback", "record-callback")
        << "url = \"" << backend.backend.url() << callback_path << "\"\nkey = " << callback << '\n';
    probe("callback", "cloud-events")
        << "key = " << callback << "\nreceive = { listen = \"127.0.0.1:" << receiver_port_
        << "\", path = \"/live\", expect = [1, 0, 100], "
        << "expect_within = \"" << milliseconds(expect_within) << "\", record_within = \""
        << milliseconds(record_within) << "\", rate = 100, forward_within = \""
        << milliseconds(told.forward_within) << "\", refusal_stands = \"" << milliseconds(refusal_stands)
        << "\", forward = \"" << backend.backend.url() << callback_path << "\" }\n";
    if (told.journey)
        probe("journey", "replay")
            << "push = \"push-main\"\ncallback = \"cloud-events\"\nrows = { mysql = \"replay-db\", table = "
               "\"tb_vod\" }\nlist = \"mini-live\"\nplayback = true\nmutates = true\nuserid = \""
            << traveller
            // The practice cloud tells of two minutes for each second, so that nobody has to wait for one.
            << "\"\nlength = \"5s\"\nshortest_replay = \"4s\"\ndeadlines = { callback = \"2s\", row = "
               "\"2s\", "
               "list = \"2s\", playback = \"2s\" }\n";
    // The words of a log alone name it here: as a rule they only confirm.
    probe("log_keywords", "backend-log") << "paths = [\"" << (directory_ / "backend.log").string()
                                         << "\"]\nfail_on = [\"any\"]\nfail_for = \"8s\"\npatterns = [{ "
                                            "match = \"(?i)unexpected failure\", cause = "
                                            "\"unlisted_needs_logs\" }]\n";

    const auto next = directory_ / "next.toml";
    std::ofstream(next) << toml.str();
    std::filesystem::permissions(next,
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    std::filesystem::rename(next, config());
}

namespace {

/// Events of pushes made before the end of a fault are missed for so long after it.
int settle_seconds(const Fault& fault) {
    const bool of_events = std::ranges::find(fault.parts, Part::events) != fault.parts.end();
    return of_events ? 7 : 0;
}

}  // namespace

std::string faults_json() {
    json::array list;
    for (const Fault& fault : drill_faults()) {
        json::array named_by, explained;
        for (const auto& [probe, label] : fault.named_by)
            named_by.push_back(json::object{{"probe", probe}, {"label", label}});
        for (const char* cause : fault.explained) explained.emplace_back(cause);
        list.push_back(json::object{{"id", fault.id},
                                    {"breaks", fault.breaks},
                                    {"cause", fault.cause},
                                    {"seed", fault.seed},
                                    {"any", fault.any},
                                    {"fresh_start", fault.fresh_start},
                                    {"settle_seconds", settle_seconds(fault)},
                                    {"control_seconds", fault.control.count()},
                                    {"named_by", std::move(named_by)},
                                    {"explained", std::move(explained)}});
    }
    const auto seconds = [](std::chrono::milliseconds time) {
        return std::chrono::duration<double>(time).count();
    };
    json::array probes;
    for (const auto& [name, pace] : paces())
        probes.push_back(json::object{{"probe", name},
                                      {"interval_seconds", seconds(pace.interval)},
                                      {"timeout_seconds", seconds(pace.timeout)},
                                      {"waits_seconds", seconds(pace.waits)}});
    return json::serialize(json::object{{"probes", std::move(probes)}, {"faults", std::move(list)}});
}

namespace {

using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

Response answer(DrillStack& stack, const Request& request) {
    const std::string target(request.target());
    Response response(http::status::ok, 11);
    response.set(http::field::content_type, "application/json");
    if (request.method() == http::verb::get && target == "/faults") {
        response.body() = faults_json();
        return response;
    }
    response.result(http::status::not_found);
    response.body() = R"({"error":"no such fault"})";
    for (const Fault& fault : drill_faults()) {
        if (target != "/faults/" + std::string(fault.id)) continue;
        const bool breaks = request.method() == http::verb::post;
        try {
            if (breaks)
                fault.apply(stack);
            else
                heal(stack, fault);
            const bool reload = std::ranges::find(fault.parts, Part::told) != fault.parts.end();
            if (reload) stack.write_config();
            response.result(http::status::ok);
            response.body() = json::serialize(json::object{{"reload", reload}});
        } catch (const std::exception& error) {
            response.result(http::status::internal_server_error);
            response.body() = json::serialize(json::object{{"error", error.what()}});
        }
    }
    return response;
}

asio::awaitable<void> serve_one(DrillStack& stack, asio::ip::tcp::socket socket) {
    beast::tcp_stream stream(std::move(socket));
    stream.expires_after(10s);
    beast::flat_buffer buffer;
    Request request;
    const auto [unread, read] = co_await http::async_read(stream, buffer, request, no_throw);
    if (unread) co_return;
    Response response = answer(stack, request);
    response.keep_alive(false);
    response.prepare_payload();
    stream.expires_after(10s);
    co_await http::async_write(stream, response, no_throw);
}

asio::awaitable<void> serve_control(DrillStack& stack, asio::ip::tcp::acceptor& acceptor) {
    // One after the other: faults are broken and healed in turn.
    while (acceptor.is_open()) {
        auto [error, socket] = co_await acceptor.async_accept(no_throw);
        if (!error) co_await serve_one(stack, std::move(socket));
    }
}

}  // namespace

int serve_drill(const std::filesystem::path& directory, bool healthy) {
    DrillStack stack(directory);
    if (healthy) {
        stack.told.journey = true;
        stack.told.every = 1s;
        stack.write_config();
    }
    asio::io_context io{1};
    asio::signal_set signals(io, SIGTERM, SIGINT, SIGHUP);
    sigset_t unblocked;
    sigemptyset(&unblocked);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&unblocked, number);
    asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
    signals.async_wait([&](const auto&, int) { io.stop(); });
    asio::co_spawn(io, serve_control(stack, acceptor), asio::detached);
    pthread_sigmask(SIG_UNBLOCK, &unblocked, nullptr);
    std::cout << json::serialize(json::object{{"config", stack.config().string()},
                                              {"control_port", acceptor.local_endpoint().port()}})
              << std::endl;
    io.run();
    return 0;
}

}  // namespace livecanary::practice
