#pragma once
// What stands against a daemon doing its work here: clock, resolver, limits, keys, permissions, sandbox.
// Facts in, findings out; who gathers the facts is the verb (doctor_command.hpp).
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "daemon/config_facts.hpp"

namespace livecanary::daemon {

struct Finding {
    enum class Level { ok, warn, fail };

    Level level = Level::ok;
    std::string
        check{};  ///< `clock`, `resolver`, `limits`, `credentials`, `permissions`, `sandbox`, `configuration`
    std::string what{};
    std::string why{};   ///< it matters; empty if all is well
    std::string todo{};  ///< likewise
};

/// `warn clock: what - why - what to do`
std::string to_line(const Finding& finding);
/// {"level","check","what","why","todo"}
boost::json::object to_json(const Finding& finding);

using Findings = std::vector<Finding>;

struct ClockFacts {
    bool known = false;  ///< the kernel said something
    bool synchronized = false;
    std::chrono::duration<double> offset{}, largest_error{};  ///< as the kernel has them; if synchronized
    /// Ours minus that of each anchor, to the second; nothing if it did not tell.
    struct Anchor {
        std::string url{};
        std::optional<std::chrono::duration<double>> ahead{};
        std::string trouble{};
        bool certificate = false;  ///< it is not accepted, which may be the clock's doing
    };
    std::vector<Anchor> anchors{};
};
Findings check_clock(const ClockFacts& facts);

struct ServerFacts {
    std::string server{};
    std::string asked{};  ///< the name, if the configuration has one
    bool answered = false;
    bool unknown = false;   ///< it says that there is no such name, which the configuration has
    std::string trouble{};  ///< why there is no answer
    std::chrono::duration<double> took{};
};
/// `configured`: the servers stand in our configuration, not in the system's.
Findings check_resolver(const std::vector<ServerFacts>& servers, bool configured);

struct LimitFacts {
    std::uint64_t open_files = 0;     ///< the soft limit of the process that is looked at
    std::uint64_t runs_at_once = 0;   ///< the smaller of max_concurrent_probes and the number of probes
    bool swaps = false;               ///< there is swap space that is not memory (zram)
    std::uint64_t locked_memory = 0;  ///< bytes it may lock
};
Findings check_limits(const LimitFacts& facts);

/// A file or directory as it was found.
struct PlaceFacts {
    std::string path{};
    bool exists = false;
    bool directory = false;
    unsigned mode = 0;      ///< permission bits
    bool writable = false;  ///< by us
    std::string trouble{};  ///< why it cannot be looked at, else why not written
};
/// `places` has those of the secrets that lie in files, by path. `systemd`: we were started by it.
Findings check_credentials(const std::vector<SecretPlace>& secrets, const std::vector<PlaceFacts>& places,
                           bool systemd);
Findings check_permissions(const std::vector<PlaceFacts>& configuration, const PlaceFacts& state_directory);

struct SandboxFacts {
    bool daemon = false;    ///< it is about the daemon that runs, not about this command
    std::string process{};  ///< its number
    std::string status{};   ///< its /proc/…/status
    std::string cgroup{};   ///< its /proc/…/cgroup
};
Findings check_sandbox(const SandboxFacts& facts);

/// The unit of systemd that a process belongs to by its /proc/…/cgroup; empty if to none.
std::string unit_of(std::string_view cgroup);

}  // namespace livecanary::daemon
