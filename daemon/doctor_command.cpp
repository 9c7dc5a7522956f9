#include "daemon/doctor_command.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <ostream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include <boost/asio/io_context.hpp>
#include <boost/json/serialize.hpp>

#include "config/reader.hpp"
#include "daemon/doctor.hpp"
#include "daemon/settings.hpp"
#include "daemon/turned.hpp"
#include "probes/net/one_request.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;

constexpr auto lookup_patience = 3s;
constexpr auto anchor_patience = 5s;

std::string read_text(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return std::move(text).str();
}

ClockFacts::Anchor compare_with(const std::string& url, const std::vector<std::string>& servers) {
    ClockFacts::Anchor anchor{.url = url};
    asio::io_context io;
    net::Resolver dns(io.get_executor(), servers);
    net::UrlRequest asked;
    asked.url = url;
    asked.request.method = "HEAD";
    asked.request.headers = {{"User-Agent", "livecanary"}};
    const auto answer = turned(io, net::request_url(dns, std::move(asked), Clock::now() + anchor_patience));
    if (!answer || !*answer) {
        anchor.trouble = answer ? answer->error().message() : "a fault of our own";
        anchor.certificate = answer && reason_of(answer->error()) == Reason::certificate;
        return anchor;
    }
    const auto now = std::chrono::system_clock::now();
    const std::string date((*answer)->head.header("Date"));
    std::tm parts{};
    if (::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) == nullptr) {
        anchor.trouble = "it does not tell the time";
        return anchor;
    }
    anchor.ahead = now - std::chrono::system_clock::from_time_t(::timegm(&parts));
    return anchor;
}

ClockFacts clock_facts(const Settings& settings) {
    ClockFacts facts;
    timex kernel{};
    const int state = ::adjtimex(&kernel);
    facts.known = state >= 0;
    facts.synchronized = state >= 0 && state != TIME_ERROR && (kernel.status & STA_UNSYNC) == 0;
    const double unit = (kernel.status & STA_NANO) != 0 ? 1e-9 : 1e-6;
    facts.offset = std::chrono::duration<double>(static_cast<double>(kernel.offset) * unit);
    facts.largest_error = std::chrono::duration<double>(static_cast<double>(kernel.maxerror) * 1e-6);
    for (const auto& url : settings.anchors) facts.anchors.push_back(compare_with(url, settings.dns_servers));
    return facts;
}

/// resolv.conf(5): a line `nameserver ADDRESS` each, of which the first three count; without one, that of
/// this machine is asked.
std::vector<std::string> system_servers() {
    std::vector<std::string> servers;
    std::ifstream in("/etc/resolv.conf");
    for (std::string line; std::getline(in, line) && servers.size() < 3;) {
        std::istringstream words(line);
        std::string keyword, address;
        if (words >> keyword >> address && keyword == "nameserver") servers.push_back(address);
    }
    if (servers.empty()) servers.push_back("127.0.0.1");
    return servers;
}

bool is_name(const std::string& host) {
    boost::system::error_code no_address;
    asio::ip::make_address(host, no_address);
    return no_address && host.find('.') != std::string::npos;
}

/// A name that the daemon has to look up; empty if there is none.
std::string name_to_ask(const Settings& settings) {
    std::vector<std::string> urls = settings.anchors;
    for (const auto& probe : settings.probes) urls.push_back(probe.probe.target);
    for (const auto& url : urls) {
        const auto scheme = url.find("://");
        if (scheme == std::string::npos) continue;
        const auto begin = scheme + 3;
        const std::string host =
            url.substr(begin, std::min(url.find_first_of(":/?", begin), url.size()) - begin);
        if (is_name(host)) return host;
    }
    return {};
}

ServerFacts ask_server(const std::string& server, const std::string& configured) {
    // Any answer will do then, such as that there is no such name.
    const std::string name = configured.empty() ? "example.com" : configured;
    ServerFacts facts{.server = server, .asked = configured};
    try {
        asio::io_context io;
        net::Resolver dns(io.get_executor(), {server});
        const auto began = Clock::now();
        const auto found = turned(io, dns.resolve(name, 80, began + lookup_patience));
        facts.took = Clock::now() - began;
        const bool unknown =
            found && !*found && found->error() == net::make_error_code(net::DnsError::no_such_name);
        facts.unknown = unknown && !configured.empty();
        facts.answered = found && (*found || unknown);
        if (found && !*found) facts.trouble = found->error().message();
    } catch (const std::invalid_argument&) {
        facts.trouble = "it is no address that can be asked by itself";
    }
    return facts;
}

/// The daemon that runs, by its name and first argument; empty if none can be seen.
std::string daemon_process() {
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", failed)) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        const std::string arguments = read_text(entry.path() / "cmdline");
        const auto end = std::min(arguments.find('\0'), arguments.size());
        const std::string program = arguments.substr(0, end);
        if (program.substr(program.rfind('/') + 1) == "livecanary" &&
            arguments.substr(std::min(end + 1, arguments.size())).starts_with(std::string("run\0", 4)))
            return name;
    }
    return {};
}

/// A line such as `Max open files  1024  4096  files` of /proc/PID/limits.
std::optional<std::uint64_t> soft_limit(const std::string& limits, const std::string& name) {
    const auto at = limits.find(name);
    if (at == std::string::npos) return std::nullopt;
    std::istringstream words(limits.substr(at + name.size()));
    std::string soft;
    words >> soft;
    if (soft == "unlimited") return UINT64_MAX;
    if (soft.empty() || soft.find_first_not_of("0123456789") != std::string::npos || soft.size() > 18)
        return std::nullopt;
    return std::stoull(soft);
}

LimitFacts limit_facts(const Settings& settings, const std::string& process) {
    // Of another user's process they cannot be read; then ours have to do.
    const std::string limits = process.empty() ? std::string() : read_text("/proc/" + process + "/limits");
    const std::string own = read_text("/proc/self/limits");
    const auto of = [&](const std::string& name) {
        return soft_limit(limits, name).value_or(soft_limit(own, name).value_or(0));
    };
    LimitFacts facts;
    facts.open_files = of("Max open files");
    facts.locked_memory = of("Max locked memory");
    facts.runs_at_once = std::min<std::uint64_t>(settings.max_concurrent_probes, settings.probes.size());
    std::istringstream swaps(read_text("/proc/swaps"));
    std::string line;
    std::getline(swaps, line);  // the heading
    while (std::getline(swaps, line)) facts.swaps = facts.swaps || !line.starts_with("/dev/zram");
    return facts;
}

PlaceFacts look_at_place(const std::string& path) {
    PlaceFacts facts{.path = path};
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) {
        facts.trouble = std::generic_category().message(errno);
        return facts;
    }
    facts.exists = true;
    facts.directory = S_ISDIR(found.st_mode);
    facts.mode = found.st_mode & 07777U;
    facts.writable = ::access(path.c_str(), W_OK | (facts.directory ? X_OK : 0)) == 0;
    if (!facts.writable) facts.trouble = std::generic_category().message(errno);
    return facts;
}

Finding configuration(const Loaded& loaded, const std::string& path) {
    std::size_t errors = 0;
    // What is wrong with a key has a line of its own.
    for (const auto& mistake : loaded.mistakes)
        if (!mistake.warning && mistake.place != config::Place::secret) ++errors;
    if (errors == 0)
        return {.check = "configuration",
                .what = path + ": " + std::to_string(loaded.settings.probes.size()) +
                        (loaded.settings.probes.size() == 1 ? " probe" : " probes")};
    return {.level = Finding::Level::fail,
            .check = "configuration",
            .what = path + ": " + std::to_string(errors) + (errors == 1 ? " error" : " errors"),
            .why = "the daemon does not start with it",
            .todo = "livecanary check-config says where"};
}

void print(std::ostream& out, const Finding& finding, const DoctorCommand& command) {
    if (command.json) {
        out << boost::json::serialize(to_json(finding)) << '\n';
        return;
    }
    const char* colour = finding.level == Finding::Level::ok     ? "\033[32m"
                         : finding.level == Finding::Level::warn ? "\033[33m"
                                                                 : "\033[31m";
    std::string line = to_line(finding);
    if (command.colour) line = colour + line.substr(0, 4) + "\033[0m" + line.substr(4);
    out << line << '\n';
}

}  // namespace

int doctor(std::ostream& out, std::ostream&, const DoctorCommand& command) {
    const auto surroundings = config::real_surroundings();
    const Loaded loaded = load_settings(command.config_file, surroundings);
    const Settings& settings = loaded.settings;
    const auto facts = read_config_facts(command.config_file, surroundings, loaded.mistakes);
    std::size_t oks = 0, warnings = 0, failures = 0;
    // At once: the next question may take seconds.
    const auto say = [&](const Findings& findings) {
        for (const auto& finding : findings) {
            print(out, finding, command);
            ++(finding.level == Finding::Level::ok     ? oks
               : finding.level == Finding::Level::warn ? warnings
                                                       : failures);
        }
        out << std::flush;
    };
    say({configuration(loaded, command.config_file)});

    say(check_clock(clock_facts(settings)));

    const bool configured = !settings.dns_servers.empty();
    std::vector<ServerFacts> servers;
    for (const auto& server : configured ? settings.dns_servers : system_servers())
        servers.push_back(ask_server(server, name_to_ask(settings)));
    say(check_resolver(servers, configured));

    const std::string process = daemon_process();
    say(check_limits(limit_facts(settings, process)));

    std::vector<PlaceFacts> keys, files;
    for (const auto& secret : facts.secrets)
        if (!secret.path.empty()) keys.push_back(look_at_place(secret.path));
    const bool systemd = !surroundings.credentials_directory.empty();
    say(check_credentials(facts.secrets, keys, systemd));

    for (const auto& file : loaded.files) files.push_back(look_at_place(file));
    say(check_permissions(files, look_at_place(settings.state_directory)));

    const std::string place = "/proc/" + (process.empty() ? "self" : process);
    say(check_sandbox({.daemon = !process.empty(),
                       .process = process,
                       .status = read_text(place + "/status"),
                       .cgroup = read_text(place + "/cgroup")}));

    if (!command.json)
        out << oks << " ok, " << warnings << (warnings == 1 ? " warning, " : " warnings, ") << failures
            << (failures == 1 ? " failure\n" : " failures\n");
    return failures == 0 ? 0 : 1;
}

}  // namespace livecanary::daemon
