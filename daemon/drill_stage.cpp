#include "daemon/drill_stage.hpp"

#include <fstream>
#include <ostream>
#include <sstream>
#include <system_error>

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>

#include "probes/net/one_request.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;
namespace json = boost::json;
using namespace std::chrono_literals;
using std::filesystem::path;

namespace {

constexpr auto listing_patience = 10s;
constexpr auto stack_patience = 90s;     // until the practice stack is up: it makes a database
constexpr auto start_patience = 20s;     // until the daemon listens
constexpr auto answer_patience = 60s;    // a fault may stop and start a database server
constexpr auto well_patience = 60s;      // until every probe is ok again
constexpr auto daemon_patience = 6s;     // it promises to end within 5 s
constexpr auto practice_patience = 30s;  // of which MariaDB takes most
/// Of /api/v1/probes: each of its probes has some kilobytes.
constexpr std::size_t largest_answer = 16 * 1024 * 1024;

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

}  // namespace

DrillFolder::DrillFolder(const std::string& given) : keep_(!given.empty()) {
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

DrillFolder::~DrillFolder() {
    std::error_code ignored;
    if (!keep_) std::filesystem::remove_all(path_, ignored);
}

std::string ask_local(std::uint16_t port, const char* method, const std::string& target) {
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

DrillStage::DrillStage(const std::string& practice, path work)
    : work_(std::move(work)), practice_path_(find_practice(practice)) {
    sigemptyset(&signals_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, number);
    sigprocmask(SIG_BLOCK, &signals_, nullptr);
}

DrillStage::~DrillStage() {
    alerts_.reset();
    // Probes put away what they made while there is still something to put it away at.
    if (daemon_) daemon_->stop(daemon_patience);
    if (practice_) practice_->stop(practice_patience);
}

std::vector<DrillFault> DrillStage::list() const {
    std::filesystem::remove(work_ / "faults.json");
    ChildProcess listing(
        {.argv = {practice_path_.string(), "--drill", "--list"}, .output = work_ / "faults.json"});
    if (!wait_until(listing_patience, [&] { return listing.status().has_value(); }))
        throw std::runtime_error("livecanary-practice does not say what it can break");
    return read_faults(read_text(work_ / "faults.json"));
}

void DrillStage::start_practice(Pace pace) {
    const path folder = work_ / "practice", temporary = work_ / "tmp", log = work_ / "practice.log";
    for (const path& made : {folder, temporary}) std::filesystem::create_directories(made);
    std::vector<std::string> argv{practice_path_.string(), "--drill", "--dir", folder.string()};
    if (pace == Pace::healthy) argv.emplace_back("--healthy");
    practice_.emplace(ChildProcess::Command{
        .argv = std::move(argv), .env = {{"TMPDIR", temporary.string()}}, .output = log});
    std::string line;
    const bool up = wait_until(stack_patience, [&] {
        const std::string text = read_text(log);
        const auto begin = text.starts_with('{') ? 0 : text.find("\n{") + 1;
        const auto end = text.find('\n', begin);
        if (text.empty() || text[begin] != '{' || end == text.npos) return practice_->status().has_value();
        line = text.substr(begin, end - begin);
        return true;
    });
    if (!up || line.empty())
        throw std::runtime_error("the practice stack did not start:\n" + last_lines(log, 20));
    const json::value parsed = json::parse(line);
    config_ = parsed.as_object().at("config").as_string().c_str();
    control_ = static_cast<std::uint16_t>(parsed.as_object().at("control_port").as_int64());
}

void DrillStage::start_daemon() {
    const path log = work_ / "daemon.log";
    if (daemon_) daemon_->stop(daemon_patience);
    const std::size_t before = std::filesystem::exists(log) ? std::filesystem::file_size(log) : 0;
    daemon_.emplace(ChildProcess::Command{
        .argv = {self().string(), "run", "--config.file=" + config_, "--web.listen-address=127.0.0.1:0"},
        .output = log});
    web_ = 0;
    const bool up = wait_until(start_patience, [&] {
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

void DrillStage::start_alerts() {
    const path rules = find_rules(self());
    if (rules.empty() || !DrillAlerts::installed()) return;
    const path folder = work_ / "alerts";
    std::filesystem::create_directories(folder);
    alerts_.emplace(folder, rules);
    alerts_->watch(web_);
}

std::string DrillStage::ask_daemon(const std::string& target) const { return ask_local(web_, "GET", target); }

json::array DrillStage::results() const {
    json::value parsed = json::parse(ask_daemon("/api/v1/probes"));
    return std::move(parsed.as_object().at("data").as_object().at("probes").as_array());
}

std::string DrillStage::wait_until_well(WallTime since) const {
    std::vector<std::string> waiting;
    wait_until(well_patience, [&] {
        waiting = not_well(results(), since);
        return waiting.empty();
    });
    std::string words;
    for (const auto& one : waiting) words += (words.empty() ? "" : "; ") + one;
    return words;
}

bool DrillStage::wait_until(std::chrono::milliseconds patience, const std::function<bool()>& is_so,
                            std::chrono::milliseconds pause) const {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(pause);
    const timespec time{.tv_sec = seconds.count(),
                        .tv_nsec = std::chrono::nanoseconds(pause - seconds).count()};
    while (!is_so()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        const int number = sigtimedwait(&signals_, nullptr, &time);
        if (number > 0) throw DrillInterrupted(number);
    }
    return true;
}

void DrillStage::tell(const char* method, const std::string& fault) {
    const json::value said = json::parse(ask_local(control_, method, "/faults/" + fault));
    // What is wrong may be what the daemon was told, not what it watches.
    if (said.as_object().at("reload").as_bool()) daemon_->signal(SIGHUP);
}

void DrillProgress::say(const std::string& words) {
    if (live_) err_ << "\r\033[K" << words << std::flush;
}

}  // namespace livecanary::daemon
