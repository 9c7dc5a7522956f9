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

ChildProcess::ChildProcess(const Command& command) {
    // Whatever allocates is done before fork().
    std::vector<std::string> arguments = command.argv;
    std::vector<std::string> entries = environment_with(command.env);
    const auto argv = pointers_to(arguments);
    const auto envp = pointers_to(entries);
    const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int out = ::open(command.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0) {
        const int error = errno;
        ::close(in);
        throw_errno(error, command.output.string());
    }
    const pid_t parent = ::getpid();
    // The child writes here why it failed; its end closes by itself when the program starts.
    std::array<int, 2> failure{-1, -1};
    if (::pipe2(failure.data(), O_CLOEXEC) != 0) throw_errno(errno, "pipe2");
    pid_ = ::fork();
    if (pid_ == 0) {
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != parent) ::_exit(127);
        sigset_t none;
        ::sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::signal(SIGPIPE, SIG_DFL);
        ::dup2(in, STDIN_FILENO);
        ::dup2(out, STDOUT_FILENO);
        ::dup2(out, STDERR_FILENO);
        ::execve(argv[0], argv.data(), envp.data());
        const int error = errno;
        [[maybe_unused]] const auto written = ::write(failure[1], &error, sizeof error);
        ::_exit(127);
    }
    int error = pid_ < 0 ? errno : 0;
    ::close(in);
    ::close(out);
    ::close(failure[1]);
    if (pid_ > 0) {
        if (::read(failure[0], &error, sizeof error) <= 0) pidfd_ = ::pidfd_open(pid_, 0);
        if (error == 0 && pidfd_ < 0) error = errno;
        if (error != 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }
    ::close(failure[0]);
    if (error != 0) throw_errno(error, command.argv.front());
}

ChildProcess::~ChildProcess() {
    stop(std::chrono::milliseconds(0));
    ::close(pidfd_);
}

std::optional<int> ChildProcess::status() {
    if (status_) return status_;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return status_;
}

void ChildProcess::signal(int number) {
    if (!status()) ::kill(pid_, number);
}

int ChildProcess::stop(std::chrono::milliseconds patience) {
    using Clock = std::chrono::steady_clock;
    signal(patience.count() > 0 ? SIGTERM : SIGKILL);
    const auto deadline = Clock::now() + patience;
    while (!status()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) signal(SIGKILL);
        // After SIGKILL the end is the kernel's, and near.
        pollfd ended{.fd = pidfd_, .events = POLLIN, .revents = 0};
        ::poll(&ended, 1, left.count() > 0 ? static_cast<int>(left.count()) : 1000);
    }
    return *status_;
}

}  // namespace livecanary::daemon
