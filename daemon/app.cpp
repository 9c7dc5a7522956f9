#include "daemon/app.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <sstream>

#include <sys/timex.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/host_name.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/check_config_command.hpp"
#include "daemon/incident_keeper.hpp"
#include "daemon/log.hpp"
#include "daemon/notify.hpp"
#include "daemon/probe_views.hpp"
#include "daemon/result_json.hpp"
#include "daemon/runner.hpp"
#include "daemon/sd_notify.hpp"
#include "daemon/store.hpp"
#include "daemon/sweep.hpp"
#include "daemon/version.hpp"
#include "daemon/web.hpp"
#include "daemon/web_renewal.hpp"
#include "probes/net/background.hpp"
#include "probes/net/connection.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

/// What a stop may take; a unit file's TimeoutStopSec is longer.
constexpr auto stop_patience = 4500ms;
constexpr auto clock_check_period = 30s;

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

/// $WATCHDOG_USEC, unless it is meant for another process (sd_watchdog_enabled(3)).
std::string watchdog_usec() {
    const auto watched = environment("WATCHDOG_PID");
    return watched.empty() || watched == std::to_string(getpid()) ? environment("WATCHDOG_USEC") : "";
}

/// Reading files blocks, so it is done on the worker thread.
asio::awaitable<Loaded> load(std::string path) {
    Loaded loaded = load_settings(path, config::real_surroundings());
    co_return loaded;
}

/// The same for [web.tls].
asio::awaitable<WebTlsRead> read_again(WebTlsFiles files) {
    co_return read_web_tls(files, config::real_surroundings(), std::chrono::system_clock::now());
}

void say(log::Level level, std::string_view message, const log::Fields& fields) {
    level == log::Level::error ? log::error(message, fields) : log::info(message, fields);
}

StateOptions state_options(const Settings& settings) {
    StateOptions options;
    options.directory = settings.state_directory;
    options.keeper = true;
    options.say = say;
    return options;
}

class App {
public:
    App(AppOptions options, Settings settings);
    int run();

private:
    void adopt(Settings settings);
    void start_runner(std::shared_ptr<const ProbeSettings> settings);
    void retire(std::unique_ptr<Runner> runner, std::shared_ptr<const ProbeSettings> successor);
    void on_ended(Runner* runner);
    void alerts_loaded();
    std::string own_url() const;
    WebAccess web_access() const;
    void look_at_web_access() const;
    std::shared_ptr<const ProbeSettings> configured(const std::string& probe) const;
    Exchange::Answerer answerer(const std::string& probe) const;
    std::vector<std::shared_ptr<const ProbeSettings>> all_configured() const;
    void stop(int signal);
    void finish_if_idle();
    asio::awaitable<std::string> reload();
    asio::awaitable<std::string> reload_once();
    asio::awaitable<std::vector<prometheus::MetricFamily>> metrics();
    boost::json::object own_status() const;
    WebBackend backend();
    WebRenewal renewal();
    void listen_to_signals();
    asio::awaitable<void> watch();
    asio::awaitable<void> check_clock();
    void spawn(asio::awaitable<void> work);

    AppOptions options_;
    Settings settings_;
    asio::io_context io_{1};
    asio::thread_pool worker_{1};
    asio::signal_set signals_{io_, SIGTERM, SIGINT, SIGHUP};
    SystemdNotifier systemd_;
    std::mt19937_64 seeds_{std::random_device{}()};
    StateStore state_;
    /// Files of probes, apart from ours: a file system of theirs that hangs must not hold a reload up.
    asio::thread_pool probe_files_{1};
    Exchange exchange_{[this](const std::string& probe) { return answerer(probe); }};
    Shared shared_{};
    Runners runners_{};
    const ProbeViews views_{io_.get_executor(), runners_};
    /// Stopped, but still cleaning up, each with the settings of the probe that takes its name over.
    struct Leaving {
        std::unique_ptr<Runner> runner;
        std::shared_ptr<const ProbeSettings> successor;
    };
    std::list<Leaving> leaving_{};
    std::unique_ptr<Notifier> notifier_{};         // null after it has ended
    std::unique_ptr<IncidentKeeper> incidents_{};  // likewise
    std::unique_ptr<Sweeper> sweeper_{};           // null before it starts and after it has ended
    std::unique_ptr<WebServer> web_{};
    config::Secret local_key_{};
    std::list<net::Background> background_{};
    asio::steady_timer stop_deadline_{io_};
    asio::steady_timer reloaded_{io_};
    bool ready_ = false;
    bool stopping_ = false;
    bool reloading_ = false;
    bool reload_again_ = false;
    std::string reload_words_{};
    const WallTime started_ = std::chrono::system_clock::now();
    struct Reload {
        WallTime at{};
        bool taken = true;
        WallTime last_taken{};
    };
    Reload last_reload_{.at = started_, .last_taken = started_};
    struct ClockState {
        double offset_seconds = 0;
        bool synchronized = false;
    };
    std::optional<ClockState> clock_{};
};

App::App(AppOptions options, Settings settings)
    : options_(std::move(options)),
      settings_(std::move(settings)),
      systemd_(environment("NOTIFY_SOCKET"), watchdog_usec()),
      state_(state_options(settings_)) {
    shared_.executor = io_.get_executor();
    shared_.state = &state_;
    shared_.exchange = &exchange_;
    shared_.blocking = probe_files_.get_executor();
    shared_.seed = [this] { return seeds_(); };
    notifier_ = std::make_unique<Notifier>(shared_);
    incidents_ = std::make_unique<IncidentKeeper>(shared_);
    shared_.incident_of = [this](const std::string& probe) {
        return incidents_ ? incidents_->book().open_of(probe) : std::string();
    };
    shared_.judged = [this](const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                            const Standing& standing) {
        // Alerts name the incident they are of.
        if (incidents_) incidents_->judged(probe, run, found, standing);
        if (notifier_) notifier_->judged(probe, run, found, standing);
    };
}

void App::spawn(asio::awaitable<void> work) {
    // One that is cancelled between two waits ends by an exception: that is how it is stopped.
    auto ended = [this](const std::exception_ptr& failed) {
        if (failed && !stopping_) log::error("a background task ended by a fault of our own");
    };
    background_.emplace_back().start(io_.get_executor(), std::move(work), ended);
}

void App::start_runner(std::shared_ptr<const ProbeSettings> settings) {
    auto runner = std::make_unique<Runner>(settings, shared_);
    auto* raw = runner.get();
    runners_[settings->name] = std::move(runner);
    // One whose configuration was changed is the same alert as long as its labels are the same.
    if (notifier_ && notifier_->fires(*settings)) raw->alert_stands();
    // Posted, because the loop's end must be able to destroy the runner that told of it.
    raw->start([this, raw] { asio::post(io_, [this, raw] { on_ended(raw); }); });
}

void App::retire(std::unique_ptr<Runner> runner, std::shared_ptr<const ProbeSettings> successor) {
    runner->stop();
    leaving_.push_back({std::move(runner), std::move(successor)});
}

void App::on_ended(Runner* runner) {
    const auto at = std::ranges::find(leaving_, runner, [](const Leaving& l) { return l.runner.get(); });
    if (at != leaving_.end()) {
        auto successor = std::move(at->successor);
        leaving_.erase(at);
        if (successor && !stopping_) start_runner(std::move(successor));
    }
    finish_if_idle();
}

/// A probe that alerted before a restart does so until it has recovered.
void App::alerts_loaded() {
    for (const auto& [probe, labels] : notifier_->book().firing()) {
        const auto at = runners_.find(probe);
        if (at == runners_.end() || !at->second->alert_stands()) notifier_->resolve(probe);
    }
}

std::string App::own_url() const {
    if (!options_.external_url.empty()) {
        const auto end = options_.external_url.find_last_not_of('/');
        return options_.external_url.substr(0, end == std::string::npos ? 0 : end + 1);
    }
    const auto endpoint = web_->endpoints().front();
    const auto address = endpoint.address();
    std::string host = address.is_v6() ? '[' + address.to_string() + ']' : address.to_string();
    boost::system::error_code ec;
    if (address.is_unspecified())
        if (auto name = asio::ip::host_name(ec); !ec && !name.empty()) host = std::move(name);
    return (settings_.web_tls ? "https://" : "http://") + host + ':' + std::to_string(endpoint.port());
}

WebAccess App::web_access() const {
    return {.tls = settings_.web_tls, .users = settings_.web_users, .local_key = local_key_};
}

/// With addresses of the command line: check-config knows only the configured ones.
void App::look_at_web_access() const {
    if (settings_.web_users.empty() || settings_.web_tls || options_.listen.empty()) return;
    for (const auto& endpoint : web_->endpoints())
        if (!endpoint.address().is_loopback())
            return log::warn("passwords for the pages go over the network as they are: set [web.tls]",
                             {{"address", endpoint.address().to_string()}});
}

std::shared_ptr<const ProbeSettings> App::configured(const std::string& probe) const {
    if (const auto at = runners_.find(probe); at != runners_.end()) return at->second->shared_settings();
    for (const auto& leaving : leaving_)
        if (leaving.successor && leaving.successor->name == probe) return leaving.successor;
    return nullptr;
}

Exchange::Answerer App::answerer(const std::string& probe) const {
    const auto at = runners_.find(probe);
    return at != runners_.end() ? at->second->answerer() : Exchange::Answerer{};
}

std::vector<std::shared_ptr<const ProbeSettings>> App::all_configured() const {
    std::vector<std::shared_ptr<const ProbeSettings>> all;
    for (const auto& [name, runner] : runners_) all.push_back(runner->shared_settings());
    return all;
}

/// Makes the running probes those of `settings`: the same ones stay as they are, with schedule and history.
void App::adopt(Settings settings) {
    // The system's name servers are read anew: they may have changed.
    if (!shared_.dns || settings.dns_servers.empty() || settings.dns_servers != settings_.dns_servers)
        shared_.dns = std::make_shared<net::Resolver>(io_.get_executor(), settings.dns_servers);
    shared_.anchors = std::make_shared<Anchors>(settings.anchors);
    shared_.max_loop_lag = settings.max_loop_lag;
    shared_.controls_gap = settings.controls_gap;
    shared_.max_concurrent = settings.max_concurrent_probes;
    shared_.location = settings.location;
    shared_.lang = settings.lang;

    exchange_.asked(asked_by(settings.probes));
    std::map<std::string, std::shared_ptr<const ProbeSettings>, std::less<>> wanted;
    for (auto& probe : settings.probes) {
        const std::string name = probe.name;
        wanted[name] = std::make_shared<const ProbeSettings>(std::move(probe));
    }
    settings.probes.clear();
    settings_ = std::move(settings);
    web_->adopt(web_access());
    look_at_web_access();
    Notifier::Probes probes;
    for (const auto& [name, probe] : wanted) probes.push_back(probe);
    incidents_->adopt({.keep = settings_.keep_incidents, .most = settings_.most_incidents}, probes);
    notifier_->adopt(settings_, own_url(), probes);

    for (auto& leaving : leaving_) leaving.successor.reset();
    for (auto at = runners_.begin(); at != runners_.end();) {
        const auto next = wanted.find(at->first);
        if (next != wanted.end() && next->second->identity == at->second->settings().identity) {
            wanted.erase(next);
            ++at;
            continue;
        }
        std::shared_ptr<const ProbeSettings> successor;
        if (next != wanted.end()) {
            successor = next->second;
            wanted.erase(next);
        }
        retire(std::move(at->second), std::move(successor));
        at = runners_.erase(at);
    }
    for (auto& [name, probe] : wanted) {
        // Never two runs of one probe at once: a name still cleaning up is waited for.
        const auto busy =
            std::ranges::find(leaving_, name, [](const Leaving& l) { return l.runner->settings().name; });
        if (busy != leaving_.end()) {
            busy->successor = probe;
        } else {
            start_runner(probe);
        }
    }
}

asio::awaitable<std::string> App::reload() {
    if (reloading_) {
        // A storm of requests becomes one more reload after the one under way.
        reload_again_ = true;
        while (reloading_) co_await reloaded_.async_wait(no_throw);
        co_return reload_words_;
    }
    reloading_ = true;
    reloaded_.expires_at(Clock::time_point::max());
    do {
        reload_again_ = false;
        systemd_.reloading(
            std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()));
        try {
            reload_words_ = co_await reload_once();
        } catch (const std::exception& e) {
            reload_words_ = e.what();
        }
        if (stopping_) break;
        const bool taken = reload_words_.empty();
        if (!taken)
            log::error("configuration not reloaded, the old one stays in use", {{"mistakes", reload_words_}});
        last_reload_.at = std::chrono::system_clock::now();
        last_reload_.taken = taken;
        if (taken) last_reload_.last_taken = last_reload_.at;
        shared_.metrics.reloaded(taken, last_reload_.at);
        systemd_.ready(taken ? "running" : "running; the last reload was refused");
    } while (reload_again_);
    reloading_ = false;
    reloaded_.cancel();
    co_return reload_words_;
}

/// The mistakes as text; empty if the configuration was taken.
asio::awaitable<std::string> App::reload_once() {
    Loaded loaded = co_await asio::co_spawn(worker_, load(options_.config_file), asio::use_awaitable);
    if (stopping_) co_return "stopping";
    if (!loaded.ok()) {
        std::ostringstream words;
        print_mistakes(words, loaded);
        co_return std::move(words).str();
    }
    if (options_.listen.empty() && loaded.settings.web_listen != settings_.web_listen)
        log::warn("web.listen changed: a restart is needed for it");
    if (loaded.settings.state_directory != settings_.state_directory)
        log::warn("daemon.state_directory changed: a restart is needed for it");
    const auto probes = loaded.settings.probes.size();
    adopt(std::move(loaded.settings));
    log::info("configuration reloaded", {{"probes", std::to_string(probes)}});
    co_return std::string();
}

asio::awaitable<std::vector<prometheus::MetricFamily>> App::metrics() {
    Families families;
    co_await views_.collect(families);
    const auto alerts = views_.alerts();
    shared_.metrics.alerts(alerts.pending, alerts.firing);
    if (notifier_) shared_.metrics.notifications(notifier_->figures());
    shared_.metrics.state(state_.figures());
    shared_.metrics.collect(families);
    co_return families.take();
}

boost::json::object App::own_status() const {
    boost::json::object probes = views_.counts();
    probes["disabled"] = settings_.disabled_probes;
    probes["in_flight"] = shared_.in_flight;
    const auto state = state_.figures();
    boost::json::value clock;
    if (clock_) clock = {{"synchronized", clock_->synchronized}, {"offset_seconds", clock_->offset_seconds}};
    boost::json::array alertmanagers;
    boost::json::object alerting_to{{"firing", notifier_ ? notifier_->book().firing().size() : 0}};
    const auto figures = notifier_ ? notifier_->figures() : NotificationFigures{};
    for (const auto& one : figures.receivers)
        alertmanagers.push_back(
            {{"url", one.alertmanager},
             {"sent", one.sent},
             {"failed", one.failed},
             {"trouble", one.trouble.empty() ? boost::json::value() : boost::json::value(one.trouble)}});
    alerting_to["waiting"] = figures.queue;
    alerting_to["alertmanagers"] = std::move(alertmanagers);
    return {{"version", version()},
            {"revision", revision()},
            {"location", settings_.location},
            {"started", rfc3339(started_)},
            {"ready", ready_},
            {"lifecycle", options_.lifecycle},
            {"config",
             {{"file", options_.config_file},
              {"last_reload", rfc3339(last_reload_.at)},
              {"last_reload_successful", last_reload_.taken},
              {"last_successful_reload", rfc3339(last_reload_.last_taken)}}},
            {"state",
             {{"directory", settings_.state_directory},
              {"trouble", state.trouble.empty() ? boost::json::value() : boost::json::value(state.trouble)},
              {"write_failures", state.write_failures}}},
            {"probes", std::move(probes)},
            {"incidents",
             {{"open", incidents_ ? incidents_->book().open() : 0},
              {"kept", incidents_ ? incidents_->book().size() : 0}}},
            {"alerting", std::move(alerting_to)},
            {"web",
             {{"tls", settings_.web_tls != nullptr},
              {"certificate_not_after",
               settings_.web_tls ? boost::json::value(rfc3339(settings_.web_tls->not_after)) : nullptr},
              {"users", settings_.web_users.size()}}},
            {"clock", std::move(clock)}};
}

void App::listen_to_signals() {
    signals_.async_wait([this](error_code ec, int signal) {
        if (ec) return;
        if (signal == SIGHUP) {
            auto ended = [](const std::exception_ptr&, const std::string&) {};
            asio::co_spawn(io_, reload(), ended);
        } else {
            stop(signal);
        }
        listen_to_signals();
    });
}

/// Tells systemd that the scheduler makes progress, as long as it does.
asio::awaitable<void> App::watch() {
    const auto period = systemd_.watchdog_period();
    if (!period) co_return;
    asio::steady_timer timer(io_);
    for (;;) {
        if (const auto why = views_.standing_still(); why.empty()) {
            systemd_.watchdog();
        } else {
            log::error("the scheduler stands", {{"why", why}});
        }
        timer.expires_after(*period);
        if (auto [ec] = co_await timer.async_wait(no_throw); ec) co_return;
    }
}

/// What the kernel's clock discipline says (adjtimex(2)); it answers without waiting.
asio::awaitable<void> App::check_clock() {
    asio::steady_timer timer(io_);
    for (;;) {
        timex kernel{};
        const int state = adjtimex(&kernel);
        const double unit = (kernel.status & STA_NANO) != 0 ? 1e-9 : 1e-6;
        clock_ = {.offset_seconds = static_cast<double>(kernel.offset) * unit,
                  .synchronized = state >= 0 && state != TIME_ERROR && (kernel.status & STA_UNSYNC) == 0};
        shared_.metrics.clock(std::chrono::duration<double>(clock_->offset_seconds), clock_->synchronized);
        timer.expires_after(clock_check_period);
        if (auto [ec] = co_await timer.async_wait(no_throw); ec) co_return;
    }
}

WebRenewal App::renewal() {
    return {.served = [this] { return settings_.web_tls; },
            .read =
                [this](WebTlsFiles files) {
                    return asio::co_spawn(worker_, read_again(std::move(files)), asio::use_awaitable);
                },
            .renewed =
                [this](std::shared_ptr<const WebTls> tls) {
                    settings_.web_tls = std::move(tls);
                    web_->adopt(web_access());
                    log::info("the pages' certificate was renewed",
                              {{"not_after", rfc3339(settings_.web_tls->not_after)}});
                },
            .trouble =
                [](const std::string& words) {
                    log::warn("[web.tls]", {{"trouble", words}});
                }};
}

void App::stop(int signal) {
    if (stopping_) return;
    stopping_ = true;
    ready_ = false;
    systemd_.stopping();
    web_->stop();
    log::info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
    for (auto& [name, runner] : runners_) retire(std::move(runner), nullptr);
    runners_.clear();
    for (auto& leaving : leaving_) leaving.successor.reset();
    if (sweeper_) sweeper_->stop();
    notifier_->stop([this] {
        notifier_.reset();
        finish_if_idle();
    });
    incidents_->stop([this] {
        incidents_.reset();
        finish_if_idle();
    });
    for (auto& work : background_) work.stop();
    stop_deadline_.expires_after(stop_patience);
    stop_deadline_.async_wait([this](error_code ec) {
        if (ec) return;
        for (const auto& leaving : leaving_)
            log::error("a probe did not end in time", {{"probe", leaving.runner->settings().name}});
        if (sweeper_) log::error("the sweep did not end in time");
        if (notifier_) log::error("delivery of alerts did not end in time");
        if (incidents_) log::error("the keeping of incidents did not end in time");
        io_.stop();
    });
    finish_if_idle();
}

void App::finish_if_idle() {
    if (!stopping_ || !leaving_.empty() || sweeper_ || notifier_ || incidents_) return;
    stop_deadline_.cancel();
    signals_.cancel();
    io_.stop();
}

WebBackend App::backend() {
    WebBackend backend;
    backend.metrics = [this] { return metrics(); };
    backend.status = [this] {
        return Status{
            .location = settings_.location, .version = std::string(version()), .probes = views_.status()};
    };
    backend.results = [this](std::string name) { return views_.results(std::move(name)); };
    backend.details = [this](const std::string& name) { return views_.details(name, shared_.location); };
    backend.incidents = [this](const IncidentWish& wish) {
        return std::make_shared<const IncidentList>(incidents_ ? incidents_->list(wish) : IncidentList{});
    };
    backend.incident = [this](const std::string& id) {
        return incidents_ ? incidents_->view(id) : std::shared_ptr<const IncidentView>();
    };
    backend.own_status = [this] { return boost::json::serialize(own_status()); };
    backend.probe_now = [this](const std::string& name) { return views_.probe_now(name); };
    backend.run_now = [this](const std::string& name) { return views_.run_now(name); };
    backend.revision = [this] { return shared_.revision; };
    backend.unhealthy = [this] { return views_.standing_still(); };
    backend.not_ready = [this] { return ready_ ? std::string() : std::string("starting or stopping"); };
    backend.reload = [this] { return reload(); };
    backend.trouble = [](const std::string& what) {
        log::error("a request got no answer by a fault of our own: please report this", {{"error", what}});
    };
    backend.refused = [](const std::string& what, const std::string& client, std::uint64_t count) {
        log::warn(what, {{"client", client}, {"count", std::to_string(count)}});
    };
    return backend;
}

int App::run() {
    std::string no_key;
    local_key_ = make_local_key(settings_.state_directory, no_key);
    if (!no_key.empty() && !settings_.web_users.empty())
        log::warn("`livecanary bundle` will not be let in", {{"error", no_key}});
    WebOptions web{.listen = options_.listen.empty() ? settings_.web_listen : options_.listen,
                   .lifecycle = options_.lifecycle,
                   .access = web_access()};
    try {
        web_ = std::make_unique<WebServer>(std::move(web), io_.get_executor(), backend());
    } catch (const std::exception& e) {
        log::error("cannot listen", {{"error", e.what()}});
        return 1;
    }
    for (const auto& endpoint : web_->endpoints())
        log::info("listening",
                  {{"address", endpoint.address().to_string()}, {"port", std::to_string(endpoint.port())}});
    listen_to_signals();
    // Reading the system's trust takes tens of milliseconds: now, not in the first run that needs it.
    if (const auto code = net::load_trust(io_.get_executor()))
        log::warn("the system's trusted certificates cannot be read", {{"error", code.message()}});
    shared_.metrics.reloaded(true, std::chrono::system_clock::now());
    adopt(std::move(settings_));
    incidents_->start();
    notifier_->start([this] { alerts_loaded(); });
    sweeper_ = std::make_unique<Sweeper>(
        shared_, [this](const auto& probe) { return configured(probe); },
        [this] { return all_configured(); });
    sweeper_->start([this] {
        asio::post(io_, [this] {
            sweeper_.reset();
            finish_if_idle();
        });
    });
    auto seen = [this](Clock::duration lag) { shared_.metrics.loop_lag(lag); };
    spawn(measure_lag(shared_.lag, std::move(seen)));
    spawn(watch());
    spawn(check_clock());
    spawn(renew_web_tls(renewal()));
    ready_ = true;
    systemd_.ready("running");
    log::info("started", {{"version", std::string(version())},
                          {"location", settings_.location},
                          {"probes", std::to_string(runners_.size())}});
    io_.run();
    // Its last requests wait for their clients at most as long as the probes had to end.
    web_.reset();
    worker_.join();
    log::info("stopped");
    return 0;
}

}  // namespace

int run_daemon(AppOptions options, Settings settings) {
    App app(std::move(options), std::move(settings));
    return app.run();
}

}  // namespace livecanary::daemon
