#include "tests/practice/process.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
extern "C" {  // glibc 2.36 declares it without C linkage
#include <sys/pidfd.h>
}

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

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
    std::vector<std::string> entries;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        if (!added.contains(std::string(text.substr(0, text.find('='))))) entries.emplace_back(text);
    }
    for (const auto& [name, value] : added) entries.push_back(name + "=" + value);
    return entries;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (auto& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
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
    // Everything the child needs is made before fork(): after it, in a program with threads, only
    // async-signal-safe functions may be called.
    auto entries = environment_with(command.env);
    const auto argv = pointers_to(command.argv);
    const auto envp = pointers_to(entries);
    const std::string output = output_.empty() ? "/dev/null" : output_.string();
    const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0) throw_errno(output);
    int in = -1;
    if (std::array<int, 2> ends{-1, -1}; command.open_input && ::pipe2(ends.data(), O_CLOEXEC) == 0) {
        in = ends[0];
        input_ = ends[1];
    } else {
        in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    const pid_t parent = ::getpid();
    // The child writes here why it failed; its end closes by itself when the program starts.
    std::array<int, 2> failure{-1, -1};
    if (::pipe2(failure.data(), O_CLOEXEC) != 0) throw_errno("pipe2");

    pid_ = ::fork();
    if (pid_ == 0) {
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, command.death_signal);
        if (::getppid() != parent) ::_exit(127);
        sigset_t none;
        ::sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::signal(SIGPIPE, SIG_DFL);
        ::dup2(in, STDIN_FILENO);
        ::dup2(out, STDOUT_FILENO);
        ::dup2(out, STDERR_FILENO);
        // Asio's sockets are passed on to children; a listening one would stay open in them.
        ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        ::execve(program.c_str(), argv.data(), envp.data());
        const int error = errno;
        [[maybe_unused]] const auto written = ::write(failure[1], &error, sizeof error);
        ::_exit(127);
    }
    const int forked = errno;
    ::close(in);
    ::close(out);
    ::close(failure[1]);
    // Until here the child has not set its death signal for certain, and this thread must not end.
    int error = 0;
    const bool failed = pid_ < 0 || ::read(failure[0], &error, sizeof error) > 0;
    ::close(failure[0]);
    if (failed) {
        if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
        errno = pid_ < 0 ? forked : error;
        throw_errno(program.string());
    }
    // Both sides set the group, so that it is there whichever runs first.
    ::setpgid(pid_, pid_);
    pidfd_ = ::pidfd_open(pid_, 0);
    if (pidfd_ < 0) {
        const int unopened = errno;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        errno = unopened;
        throw_errno("pidfd_open");
    }
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
