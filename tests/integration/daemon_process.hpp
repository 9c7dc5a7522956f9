#pragma once
// The built binary, run as a daemon on a free port with a configuration of its own.
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/practice/http.hpp"
#include "tests/practice/process.hpp"

namespace livecanary::test {

/// One scrape, taken apart.
struct Scrape {
    explicit Scrape(std::string body) : text(std::move(body)) {
        std::istringstream in(text);
        for (std::string line; std::getline(in, line);) {
            if (line.starts_with("# TYPE ")) {
                const auto end = line.find(' ', 7);
                types[line.substr(7, end - 7)] = line.substr(end + 1);
            } else if (!line.empty() && line[0] != '#') {
                const auto end = line.rfind(' ');
                series[line.substr(0, end)] = std::stod(line.substr(end + 1));
            }
        }
    }
    /// The number of the one series of that name whose labels hold `label`, such as `probe="p"`.
    std::optional<double> at(const std::string& name, const std::string& label = "") const {
        for (const auto& [key, value] : series)
            if ((key == name || key.starts_with(name + "{")) && key.find(label) != std::string::npos)
                return value;
        return std::nullopt;
    }
    std::optional<double> probe(const std::string& name, const std::string& metric) const {
        return at("livecanary_probe_" + metric, "probe=\"" + name + "\"");
    }
    std::set<std::string> probes() const {
        static const std::regex label("probe=\"([^\"]*)\"");
        std::set<std::string> names;
        for (const auto& [key, value] : series)
            if (std::smatch found; std::regex_search(key, found, label)) names.insert(found[1]);
        return names;
    }

    std::string text;
    std::map<std::string, std::string> types{};  // metric → its TYPE
    std::map<std::string, double> series{};      // name with labels → number
};

/// A folder with a configuration; what `livecanary` says about it.
class Installation {
public:
    explicit Installation(const std::string& config) { configure(config); }

    /// Replaces the configuration at once, as `mv` does.
    void configure(const std::string& config) const {
        write("next.toml", config);
        std::filesystem::rename(path() / "next.toml", path() / "l.toml");
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path() / name) << text;
        std::filesystem::permissions(
            path() / name, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    }
    const std::filesystem::path& path() const { return folder_.path(); }
    std::string config_file() const { return (path() / "l.toml").string(); }

private:
    practice::TemporaryDirectory folder_{};
};

struct Ended {
    std::optional<int> code{};
    std::string output{};  ///< stdout and stderr
};

/// Runs the binary to its end.
inline Ended livecanary(std::vector<std::string> arguments, std::map<std::string, std::string> env = {}) {
    const practice::TemporaryDirectory folder;
    env.try_emplace("STATE_DIRECTORY", folder.path().string());
    arguments.insert(arguments.begin(), LIVECANARY_BINARY);
    practice::Process process(
        {.argv = std::move(arguments), .env = std::move(env), .output = folder.path() / "out"});
    const auto code = process.wait_for(std::chrono::seconds(30));
    return {code, process.output()};
}

/// `livecanary run`, up and serving.
class DaemonProcess {
public:
    explicit DaemonProcess(const Installation& installation, std::map<std::string, std::string> env = {},
                           std::vector<std::string> more = {})
        : process_({.argv = arguments(installation, std::move(more)),
                    .env = with_state(installation, std::move(env)),
                    .output = installation.path() / "log"}) {
        static const std::regex listening("msg=listening address=127.0.0.1 port=(\\d+)");
        until("it listens", [&] {
            const std::string log = process_.output();
            std::smatch found;
            if (!std::regex_search(log, found, listening)) return false;
            port_ = static_cast<std::uint16_t>(std::stoi(found[1]));
            return log.find("msg=started") != std::string::npos;
        });
    }

    practice::HttpAnswer get(const std::string& target) const {
        return practice::ask("127.0.0.1", port_, "GET", target);
    }
    practice::HttpAnswer post(const std::string& target) const {
        return practice::ask("127.0.0.1", port_, "POST", target);
    }
    Scrape scrape() const { return Scrape(get("/metrics").body); }
    std::uint16_t port() const { return port_; }
    practice::Process& process() { return process_; }
    std::string log() const { return process_.output(); }

    /// Looks again and again until it `happened`. Throws if the daemon ends before, or takes 30 s.
    void until(const std::string& what, const std::function<bool()>& happened) {
        for (int i = 0; i < 3000; ++i) {
            if (happened()) return;
            if (const auto code = process_.wait_for(std::chrono::milliseconds(10)))
                throw std::runtime_error("ended with " + std::to_string(*code) + " before " + what + ":\n" +
                                         log());
        }
        throw std::runtime_error("it did not happen that " + what + ":\n" + log());
    }
    void until_metric(const std::string& probe, const std::string& metric, double at_least) {
        until(probe + " has " + metric,
              [&] { return scrape().probe(probe, metric).value_or(-1) >= at_least; });
    }
    void reload(const Installation& installation, const std::string& config) {
        installation.configure(config);
        process_.signal(SIGHUP);
    }

private:
    /// Not the one of the machine, unless a test says so.
    static std::map<std::string, std::string> with_state(const Installation& installation,
                                                         std::map<std::string, std::string> env) {
        env.try_emplace("STATE_DIRECTORY", (installation.path() / "state").string());
        return env;
    }
    static std::vector<std::string> arguments(const Installation& installation,
                                              std::vector<std::string> more) {
        std::vector<std::string> argv{LIVECANARY_BINARY,      "run",
                                      "--config.file",        installation.config_file(),
                                      "--web.listen-address", "127.0.0.1:0"};
        argv.insert(argv.end(), more.begin(), more.end());
        return argv;
    }

    practice::Process process_;
    std::uint16_t port_ = 0;
};

}  // namespace livecanary::test
