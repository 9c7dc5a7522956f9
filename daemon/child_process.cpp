#include "daemon/child_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgot it for C++
#include <sys/pidfd.h>
}

#include "config/descriptor.hpp"

namespace livecanary::daemon {
namespace {

[[noreturn]] void throw_errno(int number, const std::string& what) {
    throw std::system_error(number, std::generic_category(), what);
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
    std::vector<std::string> entries;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string text(*entry);
        if (!added.contains(text.substr(0, text.find('=')))) entries.push_back(text);
    }
    for (const auto& [name, value] : added) entries.push_back(name + '=' + value);
    return entries;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (auto& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

}  // namespace

ChildProcess::Started ChildProcess::start(const Command& command) {
    // Whatever allocates is done before fork(): after it, in a program with threads, only async-signal-safe
    // functions may be called.
    std::vector<std::string> arguments = command.argv;
    std::vector<std::string> entries = environment_with(command.env);
    const auto argv = pointers_to(arguments);
    const auto envp = pointers_to(entries);
    const std::string output = command.output.empty() ? "/dev/null" : command.output.string();
    const config::Descriptor out(::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (out.get() < 0) throw_errno(errno, output);
    std::array<int, 2> input{-1, -1};
    if (command.open_input) {
        if (::pipe2(input.data(), O_CLOEXEC) != 0) throw_errno(errno, "pipe2");
    } else {
        input[0] = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (input[0] < 0) throw_errno(errno, "/dev/null");
    }
    const config::Descriptor in(input[0]);
    Started child{.input = input[1]};
    const pid_t parent = ::getpid();
    // The child writes here why it failed; its end closes by itself when the program starts.
    std::array<int, 2> failure{-1, -1};
    if (::pipe2(failure.data(), O_CLOEXEC) != 0) {
        const int error = errno;
        ::close(child.input);
        throw_errno(error, "pipe2");
    }
    const config::Descriptor told(failure[0]);
    child.pid = ::fork();
    if (child.pid == 0) {
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, command.death_signal);
        if (::getppid() != parent) ::_exit(127);
        sigset_t none;
        ::sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::signal(SIGPIPE, SIG_DFL);
        ::dup2(in.get(), STDIN_FILENO);
        ::dup2(out.get(), STDOUT_FILENO);
        ::dup2(out.get(), STDERR_FILENO);
        // Asio's sockets are passed on to children; a listening one would stay open in them.
        ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        ::execve(argv[0], argv.data(), envp.data());
        const int error = errno;
        [[maybe_unused]] const auto written = ::write(failure[1], &error, sizeof error);
        ::_exit(127);
    }
    int error = child.pid < 0 ? errno : 0;
    ::close(failure[1]);
    if (child.pid > 0) {
        // Both sides set the group, so that it is there whichever runs first.
        ::setpgid(child.pid, child.pid);
        // Until there is an answer the child may not have set its death signal, and this thread must not end.
        if (::read(told.get(), &error, sizeof error) <= 0) child.pidfd = ::pidfd_open(child.pid, 0);
        if (error == 0 && child.pidfd < 0) error = errno;
        if (error != 0) {
            ::kill(child.pid, SIGKILL);
            ::waitpid(child.pid, nullptr, 0);
        }
    }
    if (error != 0) {
        ::close(child.input);
        throw_errno(error, command.argv.front());
    }
    return child;
}

ChildProcess::ChildProcess(const Command& command) : child_(start(command)) {}

ChildProcess::~ChildProcess() {
    stop(std::chrono::milliseconds(0));
    ::close(child_.pidfd);
    ::close(child_.input);
}

std::optional<int> ChildProcess::status() {
    if (status_) return status_;
    int status = 0;
    if (::waitpid(child_.pid, &status, WNOHANG) != child_.pid) return std::nullopt;
    status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return status_;
}

void ChildProcess::signal(int number) {
    // What is killed cannot end those that it has started.
    if (!status()) ::kill(number == SIGKILL ? -child_.pid : child_.pid, number);
}

int ChildProcess::stop(std::chrono::milliseconds patience) {
    using Clock = std::chrono::steady_clock;
    signal(patience.count() > 0 ? SIGTERM : SIGKILL);
    const auto deadline = Clock::now() + patience;
    while (!status()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) signal(SIGKILL);
        // After SIGKILL the end is the kernel's, and near.
        pollfd ended{.fd = child_.pidfd, .events = POLLIN, .revents = 0};
        ::poll(&ended, 1, left.count() > 0 ? static_cast<int>(left.count()) : 1000);
    }
    return *status_;
}

}  // namespace livecanary::daemon
