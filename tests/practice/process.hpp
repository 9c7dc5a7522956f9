#pragma once
// A child process that cannot outlive us, and the small things needed to run real servers beside a test.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace livecanary::practice {

/// A directory of our own under the system's temporary directory; removed, with all in it, at the end.
class TemporaryDirectory {
public:
    /// Throws std::system_error if it cannot be made.
    explicit TemporaryDirectory(const std::string& prefix = "livecanary");
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory();
    const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

/// How a child is started.
struct Command {
    std::vector<std::string>
        argv;  ///< the program (looked up in PATH and the sbin folders) and its arguments
    std::map<std::string, std::string> env{};  ///< set besides the inherited environment
    std::filesystem::path output{};            ///< receives stdout and stderr; empty discards both
    bool open_input = false;                   ///< stdin stays open and silent; else it is at its end at once
    int death_signal = SIGKILL;  ///< what the kernel sends it when the thread that started it ends
};

/// A running child, in a process group of its own. Start it from a thread that lives as long as the child
/// should: the kernel ties the death signal to the thread (prctl(2), PR_SET_PDEATHSIG).
class Process {
public:
    /// Throws std::system_error if the program cannot be started.
    explicit Process(Command command);
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    /// Kills the whole process group.
    ~Process();

    pid_t pid() const noexcept { return pid_; }
    /// The exit status, or 128 + signal as a shell has it; nothing if it still runs after `timeout`.
    std::optional<int> wait_for(std::chrono::milliseconds timeout);
    bool running() { return !wait_for(std::chrono::milliseconds(0)); }
    /// Sends `signal` to the process, `signal_group` to its children too. Nothing happens once it has ended.
    void signal(int signal);
    void signal_group(int signal);
    /// Sends `signal`, then SIGKILL to the group after `patience`; returns the status.
    int stop(int signal = SIGTERM, std::chrono::milliseconds patience = std::chrono::seconds(5));
    /// What the child has written so far; empty if it is discarded.
    std::string output() const;

private:
    std::filesystem::path output_;
    pid_t pid_ = -1;
    int pidfd_ = -1;
    int input_ = -1;  ///< our end of its stdin, or -1
    std::optional<int> status_;
};

/// Where `program` is: as given if it has a slash, else from PATH and the sbin folders, which an ordinary
/// user's PATH lacks. Empty if it is nowhere.
std::filesystem::path find_program(const std::string& program);

/// A port that was free on `address` a moment ago. Another process may take it first: retry on a failed bind.
std::uint16_t free_port(const std::string& address = "127.0.0.1");

/// True once something listens at address:port; false after `timeout` or if `server` ends before. Makes no
/// connection, which a server for a single client would take for its client.
bool wait_until_listening(const std::string& address, std::uint16_t port, Process& server,
                          std::chrono::milliseconds timeout = std::chrono::seconds(10));

/// The whole file; empty if it cannot be read.
std::string read_file(const std::filesystem::path& path);

}  // namespace livecanary::practice
