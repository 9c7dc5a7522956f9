#pragma once
// Which process something belongs to, so that another one can tell later whether that process still runs.
#include <string>
#include <string_view>

namespace livecanary::daemon {

/// The name of this process that no other one has or will have: "<pid>:<start>:<boot id>", `start` in clock
/// ticks since boot (proc(5), /proc/pid/stat, field 22). Empty fields where /proc does not say.
std::string own_name();

enum class OwnerState {
    alive,
    gone,
    hidden,  ///< a process of that id runs, and we may not see whether it is the same (ProtectProc=invisible)
};

/// What has become of the process that called itself `owner`.
OwnerState look_at(std::string_view owner);

}  // namespace livecanary::daemon
