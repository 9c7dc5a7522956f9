#pragma once
// A child of a verb that starts programs: it cannot outlive us, and what it says goes to a file.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace livecanary::daemon {

class ChildProcess {
public:
    struct Command {
        std::vector<std::string> argv{};           ///< the path of the program, then its arguments
        std::map<std::string, std::string> env{};  ///< set besides the inherited environment
        std::filesystem::path output{};  ///< gets stdout and stderr, at its end; empty discards both
        bool open_input = false;         ///< stdin stays open and silent; else it is at its end at once
        int death_signal = SIGTERM;      ///< what the kernel sends it when the thread that started it ends
    };

    /// A child as a number and descriptors: its owner waits for it and closes them.
    struct Started {
        pid_t pid = -1;
        int pidfd = -1;
        int input = -1;  ///< our end of its stdin if that stays open, else -1
    };
    /// In a process group of its own, with no signal blocked: a Ctrl-C is for us alone. Start it from a
    /// thread that lives as long as the child should: the kernel ties the death signal to the thread
    /// (prctl(2), PR_SET_PDEATHSIG). Throws std::system_error.
    static Started start(const Command& command);

    /// Of its own start().
    explicit ChildProcess(const Command& command);
    /// Kills it and what it has started, if it still runs.
    ~ChildProcess();
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    /// The exit status, or 128 + signal as a shell has it; nothing while it runs.
    std::optional<int> status();
    /// Nothing happens once it has ended. SIGKILL is for those that it has started, too.
    void signal(int number);
    /// SIGTERM; SIGKILL if it has not ended after `patience`. Returns the status.
    int stop(std::chrono::milliseconds patience);

private:
    Started child_;
    std::optional<int> status_{};
};

}  // namespace livecanary::daemon
