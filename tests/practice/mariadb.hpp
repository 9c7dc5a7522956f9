#pragma once
// A real MariaDB server in a folder of its own, from Debian's packages.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/practice/process.hpp"

struct st_mysql;

namespace livecanary::practice {

/// Started at once, on a loopback port that stays the same over restarts. `root` has no password and may come
/// by the socket only; the anonymous accounts of a fresh server are gone. Starting takes a second or two.
class MariaDb {
public:
    /// `options` are further arguments of mariadbd, such as "--max-connections=10"; `address` is listened on.
    /// Throws std::runtime_error.
    explicit MariaDb(std::vector<std::string> options = {}, std::string address = "127.0.0.1");
    ~MariaDb();
    MariaDb(const MariaDb&) = delete;
    MariaDb& operator=(const MariaDb&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    std::string socket() const { return (folder_.path() / "mariadb.sock").string(); }
    const std::filesystem::path& folder() const noexcept { return folder_.path(); }

    void start();
    /// SIGTERM, or SIGKILL: a crash.
    void stop(int signal = SIGTERM);
    void restart(int signal = SIGTERM) {
        stop(signal);
        start();
    }
    /// It accepts connections and does nothing with them, until it is thawed.
    void freeze() { server_->signal(SIGSTOP); }
    void thaw() { server_->signal(SIGCONT); }
    void options(std::vector<std::string> options) { options_ = std::move(options); }

    /// As root, by the socket. Waits for the answer. Throws std::runtime_error with the server's words.
    void execute(const std::string& sql);
    /// The first column of the first row; empty if there is none.
    std::string ask(const std::string& sql);

    /// Whether its packages are here.
    static bool installed();

private:
    st_mysql* root();
    void leave();

    TemporaryDirectory folder_{"livecanary-mariadb"};
    std::vector<std::string> options_;
    std::string address_;
    std::uint16_t port_;
    std::unique_ptr<Process> server_{};
    st_mysql* root_ = nullptr;
};

}  // namespace livecanary::practice
