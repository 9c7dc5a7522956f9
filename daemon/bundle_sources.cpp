#include "daemon/bundle_sources.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <ostream>
#include <set>
#include <sstream>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>

#include "daemon/incident_book.hpp"
#include "daemon/probe_command.hpp"
#include "daemon/store.hpp"
#include "daemon/turned.hpp"
#include "daemon/web_users.hpp"
#include "probes/net/one_request.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

using namespace std::chrono_literals;

constexpr auto answer_patience = 5s;
/// For all questions to one daemon: a thousand probes are some seconds.
constexpr auto api_patience = 60s;
/// A thousand probes with all their evidence.
constexpr std::size_t largest_answer = 32 * 1024 * 1024;
/// An incident with the results of 20 probes, 200 incidents in short.
constexpr std::size_t usual_answer = 4 * 1024 * 1024;

std::string_view text_of(const json::value& value, std::string_view key) {
    const auto* object = value.if_object();
    const auto* member = object != nullptr ? object->if_contains(key) : nullptr;
    return member != nullptr && member->is_string() ? std::string_view(member->get_string())
                                                    : std::string_view();
}

bool is_on_this_machine(std::string_view url) {
    const auto scheme = url.find("://");
    const auto authority = url.substr(scheme == url.npos ? 0 : scheme + 3);
    if (authority.starts_with("[::1]")) return true;
    const auto host = authority.substr(0, authority.find_first_of(":/"));
    return host == "localhost" ||
           (host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos);
}

/// The daemon's API (contract section 6), as one who asks one question after the other.
class DaemonApi {
public:
    /// `here`: the daemon is one of this machine. `key` opens to us (web_users.hpp); may be empty.
    DaemonApi(std::string url, const std::vector<std::string>& dns_servers, bool here, config::Secret key)
        : url_(std::move(url)), dns_servers_(dns_servers), here_(here), key_(std::move(key)) {}

    /// What stands in `data` of the envelope; nothing, and the words why in trouble().
    std::optional<json::object> get(const std::string& path, std::size_t most = usual_answer) {
        // One that hangs would be waited for once for each probe.
        if (gone_) return std::nullopt;
        trouble_.clear();
        asio::io_context io;
        net::Resolver dns(io.get_executor(), dns_servers_);
        net::UrlRequest asked{.url = url_ + path, .most = most};
        asked.request.headers = {{"Accept", "application/json"}, {"User-Agent", "livecanary"}};
        // Of this machine: the certificate has a name, and it is asked under an address.
        asked.verify = !here_;
        if (!key_.empty()) asked.request.headers.emplace_back("Authorization", local_authorization(key_));
        const auto deadline = std::min<Clock::time_point>(Clock::now() + answer_patience, until_);
        const auto answer = turned(io, net::request_url(dns, std::move(asked), deadline));
        if (!answer || !*answer) {
            gone_ = true;
            trouble_ = answer ? answer->error().message() : "a fault of our own";
            return std::nullopt;
        }
        const auto& said = **answer;
        if (said.cut) {
            trouble_ = "its answer is too long";
            return std::nullopt;
        }
        boost::system::error_code unreadable;
        const json::value parsed = json::parse(said.body, unreadable);
        const auto* envelope = unreadable ? nullptr : parsed.if_object();
        const auto* data = envelope != nullptr ? envelope->if_contains("data") : nullptr;
        if (said.head.status == 200 && data != nullptr && data->is_object()) return data->get_object();
        trouble_ = said.head.status == 200 ? "what answers there is no livecanary"
                   : said.head.status == 401
                       ? "it wants a user: run this as root or as the daemon's user, with its state directory"
                       : "status " + std::to_string(said.head.status);
        return std::nullopt;
    }
    const std::string& url() const noexcept { return url_; }
    const std::string& trouble() const noexcept { return trouble_; }
    /// It did not answer any more.
    bool gone() const noexcept { return gone_; }

private:
    std::string url_, trouble_{};
    const std::vector<std::string>& dns_servers_;
    const bool here_;
    const config::Secret key_;
    const Clock::time_point until_ = Clock::now() + api_patience;
    bool gone_ = false;
};

class Gathering {
public:
    Gathering(std::ostream& err, const BundleWish& wish, const Settings& settings)
        : err_(err), wish_(wish), settings_(settings) {}

    BundleParts all() {
        ask_daemon();
        if (wish_.run) run_now();
        look_into_state();
        if (results_.empty() && !trouble_en_.empty()) no_results();
        for (const ProbeSettings& probe : settings_.probes)
            if (const auto at = results_.find(probe.name); at != results_.end())
                parts_.results.push_back(std::move(at->second));
        return std::move(parts_);
    }

private:
    void origin(std::string what_en, std::string what_zh, std::string from_en, std::string from_zh) {
        parts_.origins.push_back(
            {std::move(what_en), std::move(what_zh), std::move(from_en), std::move(from_zh)});
    }
    void no_results() {
        origin("last results and runs", "最近的结果和运行记录",
               "missing: " + trouble_en_ + ". With --run the probes are run once, now",
               "没有：" + trouble_zh_ + "。加 --run 可立即运行一次探测");
        err_ << "livecanary: there are no results in it: " << trouble_en_
             << ". Start the daemon, say where its pages are with --daemon, or give --run to run the probes "
                "once, "
                "now\n";
    }
    void daemon_trouble(std::string en, std::string zh) {
        trouble_en_ = std::move(en);
        trouble_zh_ = std::move(zh);
    }
    bool is_meant(std::string_view probe) const {
        return std::ranges::find(wish_.probes, probe) != wish_.probes.end();
    }

    void ask_daemon() {
        const std::string url = wish_.daemon_url.empty() ? own_pages(settings_) : wish_.daemon_url;
        if (url.empty())
            return daemon_trouble(
                "[web] listen has a port that only the daemon knows: say where its pages are with "
                "--daemon",
                "[web] listen 的端口只有守护进程知道，请用 --daemon 指出页面地址");
        const bool here = wish_.daemon_url.empty() || is_on_this_machine(url);
        DaemonApi api(url, settings_.dns_servers, here,
                      here ? read_local_key(settings_.state_directory) : config::Secret());
        const auto results = api.get("/api/v1/probes", largest_answer);
        const auto* list = results ? results->if_contains("probes") : nullptr;
        if (list == nullptr || !list->is_array()) {
            if (results)
                return daemon_trouble("what answers at " + url + " is no livecanary",
                                      url + " 不是 livecanary");
            return daemon_trouble("the daemon at " + url + " does not answer (" + api.trouble() + ")",
                                  url + " 的守护进程没有应答 (" + api.trouble() + ")");
        }
        for (const auto& value : list->get_array()) {
            const auto* one = value.if_object();
            const auto* name = one != nullptr ? one->if_contains("probe") : nullptr;
            if (name == nullptr || !name->is_string() || !is_meant(name->get_string())) continue;
            std::string probe(name->get_string());
            results_[probe] = value;
            add_runs(api, probe);
        }
        origin("last results and runs", "最近的结果和运行记录", "the API of the running daemon at " + url,
               "运行中的守护进程的 API：" + url);
        if (auto status = api.get("/api/v1/status")) parts_.status = *std::move(status);
        add_incidents(api);
        if (!api.gone()) return;
        origin("what else the daemon knows", "守护进程的其他数据",
               "missing in part: it answered no more (" + api.trouble() + ")",
               "部分缺失：守护进程停止应答 (" + api.trouble() + ")");
        err_ << "livecanary: it is not all in it: the daemon at " << url << " answered no more ("
             << api.trouble() << ")\n";
    }
    void add_incidents(DaemonApi& api) {
        const auto page = api.get("/api/v1/incidents?limit=200");
        const auto* list = page ? page->if_contains("incidents") : nullptr;
        if (list == nullptr || !list->is_array()) return;
        for (const auto& one : list->get_array()) {
            if (!is_about_us(one) || parts_.incidents.size() >= most_incidents_in_bundle) continue;
            if (auto whole = api.get("/api/v1/incidents/" + std::string(text_of(one, "id"))))
                parts_.incidents.push_back(*std::move(whole));
        }
        origin("incidents", "事件", "the same", "同上");
    }
    bool is_about_us(const json::value& incident) const {
        const auto* object = incident.if_object();
        const auto* probes = object != nullptr ? object->if_contains("probes") : nullptr;
        return probes != nullptr && probes->is_array() &&
               std::ranges::any_of(probes->get_array(),
                                   [&](const json::value& one) { return is_meant(text_of(one, "probe")); });
    }
    void add_runs(DaemonApi& api, const std::string& probe) {
        auto data = api.get("/api/v1/probes/" + probe + "/runs");
        if (!data) return;
        if (auto* runs = data->if_contains("runs"); runs != nullptr && runs->is_array())
            parts_.runs[probe] = std::move(runs->get_array());
    }

    void run_now() {
        err_ << "livecanary: running " << (wish_.all ? "all probes" : "the probe") << " once" << std::endl;
        ProbeCommand command;
        command.output = ProbeCommand::Output::json;
        if (wish_.all)
            command.all = true;
        else
            command.names = wish_.probes;
        std::ostringstream lines;
        probe_now(lines, err_, command, settings_);
        std::istringstream in(lines.str());
        std::size_t count = 0;
        for (std::string line; std::getline(in, line);) {
            json::value result = json::parse(line);
            std::string probe(result.at("probe").as_string());
            results_[std::move(probe)] = std::move(result);  // newer than what the daemon had
            ++count;
        }
        origin("last results", "最近的结果", std::to_string(count) + " runs made for this bundle (--run)",
               "为此压缩包运行的 " + std::to_string(count) + " 次探测 (--run)");
    }

    void look_into_state() {
        const std::string path = settings_.state_directory + "/state.sqlite";
        // SQLite's lock is a write.
        if (::access(path.c_str(), R_OK | W_OK) != 0)
            return errno == ENOENT
                       ? no_state(path, "is not there", "不存在", false)
                       : no_state(path, "cannot be opened by this user", "当前用户无法打开", true);
        StateOptions options;
        options.directory = settings_.state_directory;
        asio::io_context io;  // outlives the store, whose thread may still be about to leave it
        StateStore store(std::move(options));
        const auto alerts = turned(io, store.alerts());
        const auto incidents = turned(io, store.incidents());
        const auto trouble = turned(io, store.trouble());
        if (!alerts || !incidents || !trouble || !trouble->empty()) {
            const std::string why = trouble ? *trouble : "a fault of our own";
            return no_state(path, "cannot be read (" + why + ")", "无法读取 (" + why + ")", true);
        }
        for (const auto& text : *alerts) {
            boost::system::error_code unreadable;
            auto alert = json::parse(text, unreadable);
            if (!unreadable && is_of_ours(alert)) parts_.alerts.push_back(std::move(alert));
        }
        origin("alerts that stand", "未恢复的告警", "the state file " + path, "状态文件 " + path);
        // Of the daemon they are newer.
        if (parts_.incidents.empty()) remember_incidents(*incidents, path);
    }
    void no_state(const std::string& path, const std::string& en, const std::string& zh, bool aloud) {
        origin("alerts that stand", "未恢复的告警", "missing: " + path + ' ' + en,
               "没有：" + path + ' ' + zh);
        if (aloud)
            err_ << "livecanary: nothing of the state is in it: " << path << ' ' << en
                 << ". Root and the daemon's user may open it\n";
    }
    void remember_incidents(const std::vector<std::string>& texts, const std::string& path) {
        const auto now = std::chrono::system_clock::now();
        std::map<std::string, std::string, std::less<>> about;
        for (const auto& probe : settings_.probes)
            about[probe.name] = probe.journey.empty() ? probe.name : probe.journey;
        IncidentBook book;
        // First: of what it does not know, it takes the incident to be over.
        book.adopt(std::move(about), now);
        for (const auto& text : texts) book.restore(text, now);
        bool results = false;
        for (const auto& listed : book.list({.on_a_page = most_incidents_on_a_page}).incidents) {
            const auto* incident = book.find(listed.id);
            if (incident == nullptr || parts_.incidents.size() >= most_incidents_in_bundle) continue;
            json::value whole = to_json(*incident, true);
            if (!is_about_us(whole)) continue;
            // What was last known to be broken, where nobody knows more.
            for (const auto& one : whole.at("probes").as_array()) {
                const std::string probe(text_of(one, "probe"));
                if (!one.at("until").is_null() || !is_meant(probe) ||
                    text_of(one.at("result"), "probe") != probe)
                    continue;
                results = results_.try_emplace(probe, one.at("result")).second || results;
            }
            parts_.incidents.push_back(std::move(whole));
        }
        if (parts_.incidents.empty()) return;
        origin("incidents", "事件", "the state file " + path, "状态文件 " + path);
        if (!results || trouble_en_.empty()) return;
        origin("last results", "最近的结果",
               "the last failed runs of open incidents, from the state file: " + trouble_en_,
               "状态文件中未关闭事件的最近一次失败运行：" + trouble_zh_);
        err_ << "livecanary: only the last failed results of open incidents are in it: " << trouble_en_
             << '\n';
    }
    bool is_of_ours(const json::value& alert) const {
        if (wish_.all) return true;
        const auto* object = alert.if_object();
        const auto* probe = object != nullptr ? object->if_contains("probe") : nullptr;
        return probe == nullptr || (probe->is_string() && is_meant(probe->get_string()));
    }

    std::ostream& err_;
    const BundleWish& wish_;
    const Settings& settings_;
    std::string trouble_en_{}, trouble_zh_{};  ///< why the daemon says nothing
    std::map<std::string, json::value> results_{};
    BundleParts parts_{};
};

}  // namespace

std::vector<std::string> belonging_to(const Settings& settings, const std::string& probe) {
    std::set<std::string, std::less<>> meant;
    if (!probe.empty()) {
        const auto at = std::ranges::find(settings.probes, probe, &ProbeSettings::name);
        if (at == settings.probes.end()) return {};
        meant.insert(at->probe.asks.begin(), at->probe.asks.end());
        meant.insert(probe);
        for (const ProbeSettings& other : settings.probes)
            if (!at->journey.empty() && other.journey == at->journey) meant.insert(other.name);
    }
    std::vector<std::string> names;
    for (const ProbeSettings& one : settings.probes)
        if (probe.empty() || meant.contains(one.name)) names.push_back(one.name);
    return names;
}

std::string own_pages(const Settings& settings) {
    for (const std::string& listen : settings.web_listen) {
        const auto colon = listen.rfind(':');
        const std::string port = listen.substr(colon + 1);
        std::string host = listen.substr(0, colon);
        if (port == "0") continue;
        if (host.empty() || host == "0.0.0.0") host = "127.0.0.1";
        if (host == "[::]") host = "[::1]";
        return (settings.web_tls ? "https://" : "http://") + host + ':' + port;
    }
    return {};
}

BundleParts gather(std::ostream& err, const BundleWish& wish, const Settings& settings) {
    return Gathering(err, wish, settings).all();
}

}  // namespace livecanary::daemon
