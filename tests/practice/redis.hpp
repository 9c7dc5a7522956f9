#pragma once
// A real Redis server in a folder of its own, from Debian's package, and the little of its protocol that is
// needed to speak to one.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/practice/process.hpp"

namespace livecanary::practice {

/// The server said no, in its own words; or it said nothing, or nothing of its protocol.
struct RedisError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What a command gives: a text (a number as its digits), nothing, or a list.
struct RedisReply {
    std::optional<std::string> text{};
    std::vector<RedisReply> list{};
};

/// A blocking client of one connection (RESP 2). Every call ends by `patience`, or once `stop` can be read.
class RedisClient {
public:
    /// Throws RedisError. `stop`: a descriptor, or -1.
    RedisClient(std::uint16_t port, std::chrono::milliseconds patience, int stop = -1);
    ~RedisClient();
    RedisClient(const RedisClient&) = delete;
    RedisClient& operator=(const RedisClient&) = delete;

    /// Throws RedisError, also for what the server refuses.
    RedisReply call(const std::vector<std::string>& words);

private:
    std::string line();
    std::string bytes(std::size_t size);
    RedisReply reply(int depth);
    void wait(short events);

    int socket_ = -1;
    std::chrono::milliseconds patience_;
    int stop_;
    std::string buffer_{};
};

/// Started at once, on a loopback port that stays the same over restarts; nothing is kept over them.
class Redis {
public:
    /// An empty password asks for none. Throws std::runtime_error.
    explicit Redis(std::string password);
    ~Redis();
    Redis(const Redis&) = delete;
    Redis& operator=(const Redis&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    void start();
    void stop();
    void restart() {
        stop();
        start();
    }
    /// It accepts connections and does nothing with them, until it is thawed.
    void freeze() { server_->signal(SIGSTOP); }
    void thaw() { server_->signal(SIGCONT); }
    /// Takes effect with the next start.
    void password(std::string password) { password_ = std::move(password); }

    /// As an administrator. Throws RedisError.
    RedisReply command(const std::vector<std::string>& words);

    /// Whether its package is here.
    static bool installed();

private:
    TemporaryDirectory folder_{"livecanary-redis"};
    std::string password_;
    std::uint16_t port_;
    std::unique_ptr<Process> server_{};
};

}  // namespace livecanary::practice
