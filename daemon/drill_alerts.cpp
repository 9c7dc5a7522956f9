#include "daemon/drill_alerts.hpp"

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/json/parse.hpp>

namespace livecanary::daemon {

namespace json = boost::json;
using std::filesystem::path;
using namespace std::chrono_literals;

namespace {

constexpr auto goodbye = 5s;

/// Of the first that is in $PATH; empty if none is.
path find_program(std::initializer_list<std::string_view> names) {
    const char* const places = std::getenv("PATH");
    for (const auto name : names) {
        std::istringstream folders(places == nullptr ? "" : places);
        for (std::string folder; std::getline(folders, folder, ':');) {
            const path program = path(folder) / name;
            if (::access(program.c_str(), X_OK) == 0) return program;
        }
    }
    return {};
}

path prometheus_program() { return find_program({"prometheus"}); }
path alertmanager_program() { return find_program({"prometheus-alertmanager", "alertmanager"}); }

/// One that was free a moment ago.
std::uint16_t free_port() {
    boost::asio::io_context io;
    using boost::asio::ip::tcp;
    const tcp::acceptor acceptor(io, {boost::asio::ip::address_v4::loopback(), 0});
    return acceptor.local_endpoint().port();
}

std::string local(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

std::string_view text_in(const json::object& object, std::string_view table, std::string_view key) {
    const auto* const inner = object.if_contains(table);
    if (inner == nullptr || !inner->is_object()) return {};
    const auto* const value = inner->get_object().if_contains(key);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                  : std::string_view();
}

}  // namespace

path find_rules(const path& self) {
    for (const char* place : {"../share/livecanary/dashboards/prometheus/livecanary.rules.yml",
                              "../../dashboards/prometheus/livecanary.rules.yml"}) {
        const path rules = (self.parent_path() / place).lexically_normal();
        if (::access(rules.c_str(), R_OK) == 0) return rules;
    }
    return {};
}

bool has_alert(std::string_view text, std::string_view probe, std::string_view cause) {
    boost::system::error_code error;
    const json::value alerts = json::parse(text, error);
    if (error || !alerts.is_array()) return false;
    for (const auto& value : alerts.get_array()) {
        if (!value.is_object()) continue;
        const json::object& alert = value.get_object();
        if (text_in(alert, "labels", "alertname") == "LivecanaryProbeFailing" &&
            text_in(alert, "labels", "probe") == probe && text_in(alert, "annotations", "cause") == cause)
            return true;
    }
    return false;
}

bool DrillAlerts::installed() { return !prometheus_program().empty() && !alertmanager_program().empty(); }

DrillAlerts::DrillAlerts(const path& work, const path& rules)
    : work_(work), alertmanager_port_(free_port()), prometheus_port_(free_port()) {
    watch(0);
    std::ofstream(work_ / "alertmanager.yml")
        << "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n";
    std::ofstream(work_ / "prometheus.yml")
        << "global: { scrape_interval: 1s, evaluation_interval: 1s }\n"
        << "rule_files: ['" << rules.string() << "']\n"
        << "scrape_configs:\n  - job_name: livecanary\n    file_sd_configs: [{ files: ['"
        << (work_ / "targets.json").string() << "'] }]\n"
        << "alerting:\n  alertmanagers: [{ static_configs: [{ targets: ['" << local(alertmanager_port_)
        << "'] }] }]\n";
    alertmanager_.emplace(ChildProcess::Command{
        .argv = {alertmanager_program().string(), "--config.file=" + (work_ / "alertmanager.yml").string(),
                 "--storage.path=" + (work_ / "alertmanager").string(),
                 "--web.listen-address=" + local(alertmanager_port_), "--cluster.listen-address="},
        .output = work_ / "alertmanager.log"});
    prometheus_.emplace(ChildProcess::Command{
        .argv = {prometheus_program().string(), "--config.file=" + (work_ / "prometheus.yml").string(),
                 "--storage.tsdb.path=" + (work_ / "prometheus").string(),
                 // Else new words of an alert that stands come a minute late.
                 "--rules.alert.resend-delay=1s", "--web.listen-address=" + local(prometheus_port_)},
        .output = work_ / "prometheus.log"});
}

DrillAlerts::~DrillAlerts() {
    prometheus_->stop(goodbye);
    alertmanager_->stop(goodbye);
}

/// Replaced at once, since Prometheus reads it whenever it changes.
void DrillAlerts::watch(std::uint16_t daemon_port) const {
    const path file = work_ / "targets.json", fresh = work_ / "targets.json.new";
    std::ofstream(fresh) << (daemon_port == 0 ? "[]" : "[{\"targets\": [\"" + local(daemon_port) + "\"]}]");
    std::filesystem::rename(fresh, file);
}

}  // namespace livecanary::daemon
