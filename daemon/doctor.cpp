#include "daemon/doctor.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "daemon/redact_forms.hpp"

namespace livecanary::daemon {
namespace {

using Level = Finding::Level;
using namespace std::chrono_literals;

// What signatures live by: COS and the push domains refuse what is minutes off, callbacks are good for ten.
constexpr std::chrono::duration<double> clock_is_wrong = 60s;
constexpr std::chrono::duration<double> clock_is_off =
    5s;  // a Date header is true to a second, an answer may be slow
/// Sockets of one run: a push with its players, a resolver, the files of a log probe.
constexpr std::uint64_t files_of_a_run = 16;
constexpr std::uint64_t files_of_a_daemon = 200;  // pages, state, log, standard libraries

constexpr std::string_view level_words(Level level) {
    return level == Level::ok ? "ok" : level == Level::warn ? "warn" : "fail";
}

std::string seconds_text(std::chrono::duration<double> time) {
    char text[32];
    const double value = std::abs(time.count());
    if (value < 1)
        std::snprintf(text, sizeof text, "%.3g ms", value * 1e3);
    else
        std::snprintf(text, sizeof text, "%.1f s", value);
    return text;
}

std::string octal(unsigned mode) {
    char text[8];
    std::snprintf(text, sizeof text, "%04o", mode & 07777U);
    return text;
}

/// The value of a line such as `NoNewPrivs:\t1`.
std::string line_of(std::string_view text, std::string_view name) {
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        at = end + 1;
        if (!line.starts_with(name)) continue;
        line.remove_prefix(name.size());
        const auto begin = line.find_first_not_of(" \t");
        return begin == line.npos ? std::string() : std::string(line.substr(begin));
    }
    return {};
}

class Book {
public:
    explicit Book(const char* check) : check_(check) {}
    void ok(std::string what) { all_.push_back({Level::ok, check_, std::move(what)}); }
    void warn(std::string what, std::string why, std::string todo) {
        all_.push_back({Level::warn, check_, std::move(what), std::move(why), std::move(todo)});
    }
    void fail(std::string what, std::string why, std::string todo) {
        all_.push_back({Level::fail, check_, std::move(what), std::move(why), std::move(todo)});
    }
    Findings all() { return std::move(all_); }

private:
    const char* check_;
    Findings all_{};
};

}  // namespace

std::string to_line(const Finding& finding) {
    std::string line(level_words(finding.level));
    line.resize(5, ' ');
    line += finding.check + ": " + finding.what;
    for (const auto* part : {&finding.why, &finding.todo})
        if (!part->empty()) line += " - " + *part;
    return line;
}

boost::json::object to_json(const Finding& finding) {
    return {{"level", level_words(finding.level)},
            {"check", finding.check},
            {"what", finding.what},
            {"why", finding.why},
            {"todo", finding.todo}};
}

Findings check_clock(const ClockFacts& facts) {
    Book book("clock");
    if (!facts.known)
        book.warn("the kernel does not say whether it is synchronised", "signatures carry the time",
                  "allow adjtimex(2), or look with timedatectl");
    else if (!facts.synchronized)
        book.warn("not synchronised", "it drifts, and signatures of a wrong time are refused by the cloud",
                  "run systemd-timesyncd or chrony, and see timedatectl");
    else
        book.ok("synchronised, " + seconds_text(facts.offset) + " to correct, wrong by " +
                seconds_text(facts.largest_error) + " at most");
    if (facts.anchors.empty())
        book.warn("not compared with anybody's", "a synchronised clock may follow a wrong one",
                  "name a neutral web server in [control] anchors");
    for (const auto& anchor : facts.anchors) {
        if (!anchor.ahead) {
            book.warn("cannot be compared with " + anchor.url + " (" + anchor.trouble + ")",
                      anchor.certificate
                          ? "a clock that is far off makes each certificate look expired, or not yet valid"
                          : "anchors tell whether a failure is our own",
                      anchor.certificate ? "see date -u first, then the certificate"
                                         : "see whether it can be reached from here");
            continue;
        }
        const auto off = *anchor.ahead;
        const std::string what =
            seconds_text(off) + (off.count() < 0 ? " behind " : " ahead of ") + anchor.url;
        if (std::abs(off.count()) >= clock_is_wrong.count())
            book.fail(what, "signatures carry the time: pushes and COS requests are refused",
                      "set the clock: systemd-timesyncd or chrony");
        else if (std::abs(off.count()) >= clock_is_off.count())
            book.warn(what, "latencies between hosts and short-lived signatures are off by it",
                      "see timedatectl timesync-status or chronyc tracking");
        else
            book.ok("as " + anchor.url + " has it, to some seconds");
    }
    return book.all();
}

Findings check_resolver(const std::vector<ServerFacts>& servers, bool configured) {
    Book book("resolver");
    const std::string place = configured ? "[dns] servers" : "/etc/resolv.conf";
    if (servers.empty())
        book.fail("there is no name server", "no name of a target can be looked up",
                  "put one into /etc/resolv.conf or [dns] servers");
    for (const auto& one : servers) {
        if (!one.answered)
            book.fail(one.server + " does not answer (" + one.trouble + ")",
                      "each lookup waits for it before it asks the next one",
                      "see whether it runs and UDP port 53 is open, or take it out of " + place);
        else if (one.unknown)
            book.warn(one.server + " answers that there is no " + one.asked,
                      "what is watched must be known to each server",
                      "see whether it is the right server: " + place);
        else
            book.ok(one.server + (one.asked.empty() ? " answers" : " knows " + one.asked) + ", " +
                    seconds_text(one.took));
    }
    return book.all();
}

Findings check_limits(const LimitFacts& facts) {
    Book book("limits");
    const std::uint64_t wanted = facts.runs_at_once * files_of_a_run + files_of_a_daemon;
    const std::string what = "open files: " + std::to_string(facts.open_files);
    if (facts.open_files < wanted)
        book.warn(what,
                  std::to_string(facts.runs_at_once) + " runs at once may need " + std::to_string(wanted),
                  "LimitNOFILE=" + std::to_string(std::max<std::uint64_t>(wanted, 8192)) +
                      " in the unit, or ulimit -n, or a smaller max_concurrent_probes");
    else
        book.ok(what + ", enough for " + std::to_string(facts.runs_at_once) + " runs at once");
    if (facts.swaps)
        book.warn("there is swap space, and memory is not locked (" +
                      std::to_string(facts.locked_memory / 1024) + " KiB may be)",
                  "keys in memory may be written to the disk",
                  "encrypt the swap space, or MemorySwapMax=0 in the unit");
    else
        book.ok("memory lock: not needed, there is no swap space on a disk");
    return book.all();
}

Findings check_credentials(const std::vector<SecretPlace>& secrets, const std::vector<PlaceFacts>& places,
                           bool systemd) {
    Book book("credentials");
    if (secrets.empty()) book.ok("the configuration has no secret");
    for (const auto& secret : secrets) {
        using Source = SecretPlace::Source;
        const std::string at = secret.file + ':' + std::to_string(secret.at.line);
        const std::string from = secret.source == Source::plain ? "plain in " + at
                                 : secret.source == Source::env ? "environment variable " + secret.where
                                 : secret.source == Source::credential ? "credential " + secret.where
                                                                       : "file " + secret.path;
        if (!secret.error.empty()) {
            const bool by_hand = secret.source == Source::credential && !systemd;
            book.fail(
                secret.name + ": " + from + ": " + secret.error, "what it signs or opens cannot be probed",
                by_hand
                    ? "systemd hands it out: run CREDENTIALS_DIRECTORY=/run/credentials/livecanary.service "
                      "livecanary doctor as root, while the daemon runs"
                : secret.source == Source::credential ? "LoadCredential=" + secret.where + ":PATH in the unit"
                : secret.source == Source::env ? "set it in the daemon's environment, or use a credential"
                                               : "see path, owner and mode of the file: " + at);
            continue;
        }
        const auto place = std::ranges::find(places, secret.path, &PlaceFacts::path);
        const bool in_file = secret.source == Source::file && place != places.end() && place->exists;
        // A hash is made to be written down.
        const bool is_hash = secret.name.starts_with("web.users.");
        if (secret.source == Source::plain && is_hash)
            book.ok(secret.name + ": a bcrypt hash in " + at);
        else if (secret.source == Source::plain)
            book.warn(secret.name + ": " + from, "whoever sees the configuration sees the key",
                      "move it into a credential or a file of its own");
        else if (in_file && (place->mode & 022U) != 0)
            book.fail(secret.name + ": " + from + " has mode " + octal(place->mode),
                      "others can replace the key", "chmod 0400 " + secret.path);
        else if (in_file && (place->mode & 044U) != 0)
            book.warn(secret.name + ": " + from + " has mode " + octal(place->mode),
                      "others can read the key", "chmod 0400 " + secret.path);
        else if (secret.value.reveal().size() < shortest_certain_secret)
            book.warn(secret.name + ": " + from + " holds fewer than " +
                          std::to_string(shortest_certain_secret) + " characters",
                      "it can be guessed, and not be told from ordinary words when a bundle is redacted",
                      "replace the key");
        else
            book.ok(secret.name + ": " + from);
    }
    return book.all();
}

Findings check_permissions(const std::vector<PlaceFacts>& configuration, const PlaceFacts& state) {
    Book book("permissions");
    for (const auto& file : configuration) {
        const std::string what = file.path + " has mode " + octal(file.mode);
        if (!file.exists)
            book.fail(file.path + ": " + file.trouble, "the daemon needs its configuration",
                      "see path and owner");
        else if ((file.mode & 022U) != 0)
            book.fail(what, "others can change what is probed, and with which keys",
                      "chmod 0640 " + file.path);
        else if ((file.mode & 004U) != 0)
            book.warn(what, "everybody on this host can read hosts, accounts and names of keys",
                      "chown root:livecanary, chmod 0640 " + file.path);
        else
            book.ok(what);
    }
    const std::string what = "state directory " + state.path;
    if (!state.exists)
        book.fail(what + ": " + state.trouble,
                  "what probes leave behind and which alerts stand is forgotten at a restart",
                  "systemd makes it (StateDirectory=livecanary); else mkdir it for the daemon's user");
    else if (!state.directory)
        book.fail(what + " is no directory", "nothing can be kept", "move it away");
    else if (!state.writable)
        book.fail(what + " cannot be written by this user: " + state.trouble,
                  "what probes leave behind and which alerts stand is forgotten at a restart",
                  "run this as the daemon's user (runuser -u livecanary), chown it, or mount it for writing");
    else if ((state.mode & 077U) != 0)
        book.warn(what + " has mode " + octal(state.mode), "others can read what was found",
                  "chmod 0700 " + state.path);
    else
        book.ok(what + " can be written, mode " + octal(state.mode));
    return book.all();
}

std::string unit_of(std::string_view cgroup) {
    for (std::size_t at = 0; at < cgroup.size();) {
        const auto end = std::min(cgroup.find('\n', at), cgroup.size());
        const std::string_view line = cgroup.substr(at, end - at);
        at = end + 1;
        const auto suffix = line.find(".service");
        if (suffix == line.npos) continue;
        const auto slash = line.rfind('/', suffix);
        if (slash != line.npos) return std::string(line.substr(slash + 1, suffix + 8 - slash - 1));
    }
    return {};
}

Findings check_sandbox(const SandboxFacts& facts) {
    Book book("sandbox");
    const std::string who = facts.daemon ? "the daemon (process " + facts.process + ")" : "this command";
    if (!facts.daemon)
        book.warn("no daemon runs that can be seen from here", "what follows is about this command",
                  "systemctl start livecanary, and run this as root or as its user");
    const std::string unit = unit_of(facts.cgroup);
    if (!unit.empty() && facts.daemon)
        book.ok(who + " runs in " + unit);
    else if (facts.daemon)
        book.warn(who + " was not started by systemd", "nobody restarts it when it hangs or crashes",
                  "systemctl enable --now livecanary");
    const std::string unit_words = "use the unit that is shipped: systemd/livecanary.service";
    const std::string user = line_of(facts.status, "Uid:");
    if (user.starts_with("0\t"))
        book.warn(who + " runs as root", "a fault of ours would have the whole host", unit_words);
    else if (!user.empty())
        book.ok(who + " runs as user " + user.substr(0, user.find('\t')));
    struct Protection {
        const char* line;
        const char* good;  ///< its value when all is well
        const char* ok_words;
        const char* bad_words;
        const char* why;
    };
    constexpr std::array<Protection, 3> protections{
        {{"CapEff:", "0000000000000000", "holds no capability", "holds capabilities",
          "it needs none, and they outlast a break-in"},
         {"NoNewPrivs:", "1", "cannot gain privileges", "may gain privileges by setuid programs",
          "NoNewPrivileges= prevents it"},
         {"Seccomp:", "2", "has a filter of system calls", "has no filter of system calls",
          "SystemCallFilter= leaves what a probe needs"}}};
    for (const auto& one : protections) {
        const std::string value = line_of(facts.status, one.line);
        if (value.empty()) continue;
        if (value == one.good)
            book.ok(who + ' ' + one.ok_words);
        else
            book.warn(who + ' ' + one.bad_words, one.why, unit_words);
    }
    return book.all();
}

}  // namespace livecanary::daemon
