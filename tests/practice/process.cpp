#include "tests/practice/process.hpp"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/child_process.hpp"

namespace livecanary::practice {

namespace {

[[noreturn]] void throw_errno(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// A TCP socket bound to address:port, or -1 and errno.
int bound_socket(const std::string& address, std::uint16_t port, sockaddr_in& bound) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    // Two sockets that both allow it may be bound to one port as long as neither listens. So trying a port
    // out never takes it away from the server we wait for, and fails once that server listens.
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bound = {};
    bound.sin_family = AF_INET;
    bound.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &bound.sin_addr);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&bound), sizeof bound) != 0) {
        const int error = errno;
        ::close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

bool is_listening(const std::string& address, std::uint16_t port) {
    sockaddr_in bound;
    const int fd = bound_socket(address, port, bound);
    if (fd >= 0) ::close(fd);
    return fd < 0 && errno == EADDRINUSE;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory(const std::string& prefix) {
    std::string name = (std::filesystem::temp_directory_path() / (prefix + "-XXXXXX")).string();
    if (::mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp " + name);
    path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

Process::Process(Command command) : output_(std::move(command.output)) {
    const std::filesystem::path program = find_program(command.argv.at(0));
    if (program.empty()) throw std::system_error(ENOENT, std::generic_category(), command.argv[0]);
    command.argv[0] = program.string();
    const auto child = daemon::ChildProcess::start({.argv = std::move(command.argv),
                                                    .env = std::move(command.env),
                                                    .output = output_,
                                                    .open_input = command.open_input,
                                                    .death_signal = command.death_signal});
    pid_ = child.pid;
    pidfd_ = child.pidfd;
    input_ = child.input;
}

Process::~Process() {
    stop(SIGKILL);
    ::close(pidfd_);
    if (input_ >= 0) ::close(input_);
}

std::optional<int> Process::wait_for(std::chrono::milliseconds timeout) {
    if (status_) return status_;
    using std::chrono::steady_clock;
    const auto deadline = steady_clock::now() + timeout;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
        pollfd ended{.fd = pidfd_, .events = POLLIN, .revents = 0};
        const int ready = ::poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        if (ready > 0) break;
        if (ready == 0) return std::nullopt;
        if (errno != EINTR) throw_errno("poll");
    }
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0)
        if (errno != EINTR) throw_errno("waitpid");
    status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return status_;
}

void Process::signal(int signal) {
    if (running()) ::kill(pid_, signal);
}

void Process::signal_group(int signal) {
    if (running()) ::kill(-pid_, signal);
}

int Process::stop(int signal, std::chrono::milliseconds patience) {
    if (signal != SIGKILL && running()) {
        ::kill(pid_, signal);
        wait_for(patience);
    }
    // A leader that is gone may have left children in its group; the group's number is not reused while they
    // live.
    if (!status_ || ::kill(-pid_, 0) == 0) ::kill(-pid_, SIGKILL);
    if (!status_) wait_for(std::chrono::seconds(10));
    return status_.value_or(-1);
}

std::string Process::output() const { return output_.empty() ? "" : read_file(output_); }

std::filesystem::path find_program(const std::string& program) {
    if (program.find('/') != std::string::npos) return program;
    const char* const path = std::getenv("PATH");
    std::string folders = std::string(path == nullptr ? "" : path) + ":/usr/local/sbin:/usr/sbin:/sbin";
    for (std::size_t at = 0; at <= folders.size();) {
        const std::size_t end = std::min(folders.find(':', at), folders.size());
        const auto candidate = std::filesystem::path(folders.substr(at, end - at)) / program;
        if (end > at && ::access(candidate.c_str(), X_OK) == 0) return candidate;
        at = end + 1;
    }
    return {};
}

std::uint16_t free_port(const std::string& address) {
    sockaddr_in bound;
    const int fd = bound_socket(address, 0, bound);
    if (fd < 0) throw_errno("bind " + address);
    socklen_t size = sizeof bound;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
    ::close(fd);
    return ntohs(bound.sin_port);
}

bool wait_until_listening(const std::string& address, std::uint16_t port, Process& server,
                          std::chrono::milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    constexpr std::chrono::milliseconds between_tries(10);
    while (!is_listening(address, port)) {
        if (server.wait_for(between_tries) || std::chrono::steady_clock::now() > deadline) return false;
    }
    return server.running();
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace livecanary::practice
