#include "daemon/owner.hpp"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

namespace livecanary::daemon {
namespace {

struct Stat {
    std::string state{};  ///< "R", "S", … "Z": ended, and not yet waited for by its parent
    std::string start{};  ///< clock ticks since boot
};

/// Fields 3 and 22 of /proc/<pid>/stat; nothing if it cannot be read.
std::optional<Stat> stat_of(const std::string& pid) {
    std::ifstream file("/proc/" + pid + "/stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    // Field 2 is the program's name in parentheses, which may hold spaces and parentheses itself.
    const auto name_end = text.rfind(')');
    if (name_end == std::string::npos) return std::nullopt;
    std::istringstream fields(text.substr(name_end + 1));
    Stat found;
    fields >> found.state;
    for (int field = 4; field <= 22; ++field) fields >> found.start;
    if (!fields) return std::nullopt;
    return found;
}

/// Another one after each boot (random(4)).
std::string boot_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(file, id);
    return id;
}

}  // namespace

std::string own_name() {
    const auto pid = std::to_string(getpid());
    return pid + ':' + stat_of(pid).value_or(Stat{}).start + ':' + boot_id();
}

OwnerState look_at(std::string_view owner) {
    const auto first = owner.find(':');
    const auto second = owner.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) return OwnerState::gone;
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(owner.data(), owner.data() + first, pid);
    if (error != std::errc{} || end != owner.data() + first || pid <= 0) return OwnerState::gone;
    if (owner.substr(second + 1) != boot_id()) return OwnerState::gone;
    // Signal 0 asks only. It answers for other users' processes too, which /proc may hide from us.
    if (kill(pid, 0) != 0 && errno == ESRCH) return OwnerState::gone;
    const auto found = stat_of(std::to_string(pid));
    if (!found) return OwnerState::hidden;
    const bool ended = found->state == "Z" || found->state == "X";
    return !ended && found->start == owner.substr(first + 1, second - first - 1) ? OwnerState::alive
                                                                                 : OwnerState::gone;
}

}  // namespace livecanary::daemon
