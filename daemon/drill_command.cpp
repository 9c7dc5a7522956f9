#include "daemon/drill_command.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/child_process.hpp"
#include "daemon/drill.hpp"
#include "daemon/drill_alerts.hpp"
#include "probes/net/one_request.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

using namespace std::chrono_literals;
using std::filesystem::path;

constexpr auto poll_every = 100ms;
constexpr auto listing_patience = 10s;
constexpr auto stack_patience = 90s;     // until the practice stack is up: it makes a database
constexpr auto answer_patience = 60s;    // a fault may stop and start a database server
constexpr auto named_patience = 45s;     // far more than interval, confirmation and timeout of its probes
constexpr auto well_patience = 60s;      // until every probe is ok again
constexpr auto alert_patience = 20s;     // of a scrape, a rule and a delivery a second each
constexpr auto daemon_patience = 6s;     // it promises to end within 5 s
constexpr auto practice_patience = 30s;  // of which MariaDB takes most
/// Of /api/v1/probes: each of its probes has some kilobytes.
constexpr std::size_t largest_answer = 16 * 1024 * 1024;

/// SIGINT or the like came: everything is put away and we end.
struct Interrupted : std::runtime_error {
    explicit Interrupted(int number) : std::runtime_error("interrupted"), signal(number) {}
    int signal;
};

std::string read_text(const path& file) {
    std::ostringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    return std::move(text).str();
}

std::string last_lines(const path& file, std::size_t count) {
    const std::string text = read_text(file);
    std::size_t at = text.size();
    while (at > 0 && (text[at - 1] != '\n' || count-- > 0)) --at;
    return text.substr(at);
}

/// A folder that goes with us, unless it was asked for.
class WorkFolder {
public:
    explicit WorkFolder(const std::string& given) : keep_(!given.empty()) {
        if (keep_) {
            path_ = std::filesystem::absolute(given);
            std::filesystem::create_directories(path_);
        } else {
            std::string name = (std::filesystem::temp_directory_path() / "livecanary-drill-XXXXXX").string();
            if (::mkdtemp(name.data()) == nullptr)
                throw std::system_error(errno, std::generic_category(), "mkdtemp " + name);
            path_ = name;
        }
    }
    ~WorkFolder() {
        std::error_code ignored;
        if (!keep_) std::filesystem::remove_all(path_, ignored);
    }
    WorkFolder(const WorkFolder&) = delete;
    WorkFolder& operator=(const WorkFolder&) = delete;
    const path& get() const noexcept { return path_; }

private:
    bool keep_;
    path path_{};
};

/// One request to 127.0.0.1. Throws std::runtime_error if it is not answered with 200.
std::string ask(std::uint16_t port, const char* method, const std::string& target) {
    asio::io_context io;
    std::optional<net::HttpAnswer> answer;
    std::string trouble;
    net::HttpRequest request{.method = method, .target = target, .host = "127.0.0.1"};
    const auto deadline = Clock::now() + answer_patience;
    auto work = net::request_at({asio::ip::address_v4::loopback(), port}, std::move(request), std::nullopt,
                                deadline, largest_answer);
    asio::co_spawn(io, std::move(work), [&](const std::exception_ptr& failed, result<net::HttpAnswer> said) {
        if (failed)
            trouble = "a fault of our own";
        else if (said)
            answer = *std::move(said);
        else
            trouble = said.error().message();
    });
    io.run();
    if (!answer) throw std::runtime_error(target + " is not answered: " + trouble);
    if (answer->head.status != 200)
        throw std::runtime_error(target + " is answered with " + std::to_string(answer->head.status) + ": " +
                                 answer->body);
    return std::move(answer->body);
}

path self() { return std::filesystem::read_symlink("/proc/self/exe"); }

path find_practice(const std::string& given) {
    std::vector<path> places;
    if (!given.empty()) {
        places.emplace_back(given);
    } else {
        const path folder = self().parent_path();
        for (const char* place : {"livecanary-practice", "tests/livecanary-practice",
                                  "../libexec/livecanary/livecanary-practice"})
            places.push_back(folder / place);
    }
    std::string looked;
    for (const path& place : places) {
        if (::access(place.c_str(), X_OK) == 0) return place;
        looked += (looked.empty() ? "" : ", ") + place.string();
    }
    throw std::runtime_error("there is no livecanary-practice (" + looked +
                             "): build it with -DLIVECANARY_TESTS=ON, or say where it is with --practice");
}

/// The practice stack, the daemon before it, and our signals.
class Stage {
public:
    Stage(const DrillCommand& command, const path& work) : work_(work) {
        sigemptyset(&signals_);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, number);
        sigprocmask(SIG_BLOCK, &signals_, nullptr);
        practice_path_ = find_practice(command.practice);
    }
    ~Stage() {
        alerts_.reset();
        // Probes put away what they made while there is still something to put it away at.
        if (daemon_) daemon_->stop(daemon_patience);
        if (practice_) practice_->stop(practice_patience);
    }
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

    std::vector<DrillFault> list() const {
        std::filesystem::remove(work_ / "faults.json");
        ChildProcess listing(
            {.argv = {practice_path_.string(), "--drill", "--list"}, .output = work_ / "faults.json"});
        if (!wait_until(listing_patience, [&] { return listing.status().has_value(); }))
            throw std::runtime_error("livecanary-practice does not say what it can break");
        return read_faults(read_text(work_ / "faults.json"));
    }

    void start_practice() {
        const path folder = work_ / "practice", temporary = work_ / "tmp", log = work_ / "practice.log";
        for (const path& made : {folder, temporary}) std::filesystem::create_directories(made);
        practice_.emplace(
            ChildProcess::Command{.argv = {practice_path_.string(), "--drill", "--dir", folder.string()},
                                  .env = {{"TMPDIR", temporary.string()}},
                                  .output = log});
        std::string line;
        const bool up = wait_until(stack_patience, [&] {
            const std::string text = read_text(log);
            const auto begin = text.starts_with('{') ? 0 : text.find("\n{") + 1;
            const auto end = text.find('\n', begin);
            if (text.empty() || text[begin] != '{' || end == text.npos)
                return practice_->status().has_value();
            line = text.substr(begin, end - begin);
            return true;
        });
        if (!up || line.empty())
            throw std::runtime_error("the practice stack did not start:\n" + last_lines(log, 20));
        const json::value parsed = json::parse(line);
        config_ = parsed.as_object().at("config").as_string().c_str();
        control_ = static_cast<std::uint16_t>(parsed.as_object().at("control_port").as_int64());
    }

    void start_daemon() {
        const path log = work_ / "daemon.log";
        if (daemon_) daemon_->stop(daemon_patience);
        const std::size_t before = std::filesystem::exists(log) ? std::filesystem::file_size(log) : 0;
        daemon_.emplace(ChildProcess::Command{
            .argv = {self().string(), "run", "--config.file=" + config_, "--web.listen-address=127.0.0.1:0"},
            .output = log});
        web_ = 0;
        const bool up = wait_until(20s, [&] {
            const std::string text = read_text(log).substr(before);
            constexpr std::string_view key = " port=";
            const auto at = text.find(key, std::min(text.find("listening"), text.size()));
            if (at != text.npos && text.find('\n', at) != text.npos)
                web_ = static_cast<std::uint16_t>(std::stoul(text.substr(at + key.size())));
            return web_ != 0 || daemon_->status().has_value();
        });
        if (!up || web_ == 0) throw std::runtime_error("the daemon did not start:\n" + last_lines(log, 20));
        if (alerts_) alerts_->watch(web_);
    }

    /// Prometheus and Alertmanager, if they are installed and the rules are found.
    void start_alerts() {
        const path rules = find_rules(self());
        if (rules.empty() || !DrillAlerts::installed()) return;
        const path folder = work_ / "alerts";
        std::filesystem::create_directories(folder);
        alerts_.emplace(folder, rules);
        alerts_->watch(web_);
    }
    bool watches_alerts() const { return alerts_.has_value(); }
    /// Whether Alertmanager has an alert of what one of them has rightly named.
    bool is_alerted(const std::vector<DrillRow::Named>& named) const {
        std::string said;
        try {
            said = ask(alerts_->alertmanager_port(), "GET", "/api/v2/alerts?active=true");
        } catch (const std::runtime_error&) {
            return false;  // it starts
        }
        return std::ranges::any_of(named, [&](const DrillRow::Named& one) {
            return one.right && has_alert(said, one.probe, one.label);
        });
    }

    json::array results() const {
        json::value parsed = json::parse(ask(web_, "GET", "/api/v1/probes"));
        return std::move(parsed.as_object().at("data").as_object().at("probes").as_array());
    }

    void break_it(const std::string& fault) { tell("POST", fault); }
    void heal_it(const std::string& fault) { tell("DELETE", fault); }

    /// Empty once every probe was well in a run that began after `since`; else what is not, after a minute.
    std::string wait_until_well(WallTime since) {
        std::vector<std::string> waiting;
        wait_until(well_patience, [&] {
            waiting = not_well(results(), since);
            return waiting.empty();
        });
        std::string words;
        for (const auto& one : waiting) words += (words.empty() ? "" : "; ") + one;
        return words;
    }

    /// Asks again and again, without haste; false if it did not come true in time. Throws Interrupted.
    bool wait_until(std::chrono::milliseconds patience, const std::function<bool()>& is_so) const {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (!is_so()) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            const timespec pause{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(poll_every).count()};
            const int number = sigtimedwait(&signals_, nullptr, &pause);
            if (number > 0) throw Interrupted(number);
        }
        return true;
    }

private:
    void tell(const char* method, const std::string& fault) {
        const json::value said = json::parse(ask(control_, method, "/faults/" + fault));
        // What is wrong may be what the daemon was told, not what it watches.
        if (said.as_object().at("reload").as_bool()) daemon_->signal(SIGHUP);
    }

    path work_, practice_path_{};
    sigset_t signals_{};
    std::optional<ChildProcess> practice_{}, daemon_{};
    std::optional<DrillAlerts> alerts_{};
    std::string config_{};
    std::uint16_t control_ = 0, web_ = 0;
};

WallTime now() { return std::chrono::system_clock::now(); }

DrillRow drill_one(Stage& stage, const DrillFault& fault) {
    stage.break_it(fault.id);
    const WallTime broken = now();
    DrillWatch watch(fault, broken);
    // Others are waited for too, so that a wrong cause is seen wherever it is claimed.
    stage.wait_until(named_patience, [&] {
        watch.observe(stage.results(), now());
        return watch.named() && watch.all_have_run();
    });
    DrillRow row = watch.row();
    if (stage.watches_alerts() && row.is_named()) {
        row.alert_watched = true;
        // What is named may still change from a class to its cause.
        const auto alerted = [&] {
            watch.observe(stage.results(), now());
            return stage.is_alerted(watch.row().named);
        };
        if (stage.wait_until(alert_patience, alerted))
            row.alert_seconds = std::chrono::duration<double>(now() - broken).count();
    }
    stage.heal_it(fault.id);
    const WallTime healed = now();
    if (fault.fresh_start) stage.start_daemon();
    std::string unwell = stage.wait_until_well(healed);
    row.recovered_seconds = std::chrono::duration<double>(now() - healed).count();
    if (fault.settle > 0s) {
        stage.wait_until(fault.settle, [] { return false; });
        unwell = stage.wait_until_well(now());
    }
    if (!unwell.empty()) row.trouble = "not well again: " + unwell;
    return row;
}

std::string minutes_text(std::chrono::duration<double> time) {
    const auto seconds = static_cast<long>(time.count());
    return seconds < 90 ? std::to_string(seconds) + " s" : std::to_string((seconds + 30) / 60) + " min";
}

/// A line that is written over; nothing where that is no terminal.
class Progress {
public:
    Progress(std::ostream& err, bool live) : err_(err), live_(live) {}
    ~Progress() { say(""); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    void say(const std::string& words) {
        if (live_) err_ << "\r\033[K" << words << std::flush;
    }

private:
    std::ostream& err_;
    bool live_;
};

std::vector<DrillFault> chosen(std::vector<DrillFault> all, const std::vector<std::string>& ids,
                               std::string& unknown) {
    for (const auto& id : ids)
        if (std::ranges::find(all, id, &DrillFault::id) == all.end()) unknown = id;
    if (!ids.empty())
        std::erase_if(all, [&](const DrillFault& f) { return std::ranges::find(ids, f.id) == ids.end(); });
    return all;
}

}  // namespace

int drill(std::ostream& out, std::ostream& err, const DrillCommand& command) {
    std::vector<DrillRow> rows;
    try {
        const WorkFolder work(command.directory);
        Stage stage(command, work.get());
        std::string unknown;
        const auto faults = chosen(stage.list(), command.faults, unknown);
        if (!unknown.empty()) {
            err << "livecanary: there is no fault '" << unknown << "': --list names them\n";
            return 2;
        }
        if (command.list) {
            for (const DrillFault& fault : faults)
                out << fault.id << '\t' << fault.cause << (fault.seed ? " *" : "") << '\t' << fault.breaks
                    << '\n';
            return 0;
        }
        Progress progress(err, command.live);
        progress.say("starting the practice stack");
        stage.start_practice();
        const WallTime began = now();
        stage.start_daemon();
        stage.start_alerts();
        progress.say("waiting until every probe is well");
        if (const auto unwell = stage.wait_until_well(began); !unwell.empty())
            throw std::runtime_error("before anything was broken: " + unwell);
        const auto start = std::chrono::steady_clock::now();
        for (const DrillFault& fault : faults) {
            std::string left;
            if (const std::chrono::duration<double> used = std::chrono::steady_clock::now() - start;
                !rows.empty())
                left = ", " +
                       minutes_text(used / rows.size() * static_cast<double>(faults.size() - rows.size())) +
                       " left";
            progress.say(std::to_string(rows.size() + 1) + " of " + std::to_string(faults.size()) + left +
                         ": " + fault.id);
            rows.push_back(drill_one(stage, fault));
            if (command.json) out << json::serialize(to_json(rows.back())) << std::endl;
            if (!rows.back().trouble.empty()) stage.start_daemon();
        }
    } catch (const Interrupted&) {
        err << "livecanary: interrupted\n";
        if (!command.json) print_rows(out, rows);
        return 1;
    } catch (const std::exception& e) {
        err << "livecanary: " << e.what() << '\n';
        if (!command.json && !rows.empty()) print_rows(out, rows);
        return 1;
    }
    if (!command.json) print_rows(out, rows);
    return std::ranges::all_of(rows, &DrillRow::right) ? 0 : 1;
}

}  // namespace livecanary::daemon
