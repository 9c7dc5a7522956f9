#pragma once
// A child of a verb that starts programs: it cannot outlive us, and what it says goes to a file.
#include <chrono>
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
        std::filesystem::path output{};            ///< gets stdout and stderr, at its end
    };

    /// In a process group of its own, with no signal blocked: a Ctrl-C is for us alone. When the thread that
    /// started it ends, the kernel sends it SIGTERM. Throws std::system_error.
    explicit ChildProcess(const Command& command);
    /// Kills it, if it still runs.
    ~ChildProcess();
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    /// The exit status, or 128 + signal as a shell has it; nothing while it runs.
    std::optional<int> status();
    /// Nothing happens once it has ended.
    void signal(int number);
    /// SIGTERM; SIGKILL if it has not ended after `patience`. Returns the status.
    int stop(std::chrono::milliseconds patience);

private:
    pid_t pid_ = -1;
    int pidfd_ = -1;
    std::optional<int> status_{};
};

}  // namespace livecanary::daemon
