#include "tests/practice/redis.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <utility>

namespace livecanary::practice {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_bytes = std::size_t{16} << 20U;

}  // namespace

RedisClient::RedisClient(std::uint16_t port, std::chrono::milliseconds patience, int stop)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      patience_(patience),
      stop_(stop) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    try {
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            if (errno != EINPROGRESS) throw RedisError("Connection refused");
            wait(POLLOUT);
            int failed = 0;
            socklen_t size = sizeof failed;
            ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &failed, &size);
            if (failed != 0) throw RedisError("Connection refused");
        }
    } catch (...) {
        ::close(socket_);
        throw;
    }
}

RedisClient::~RedisClient() { ::close(socket_); }

void RedisClient::wait(short events) {
    std::array<pollfd, 2> polled{pollfd{socket_, events, 0}, pollfd{stop_, POLLIN, 0}};
    const int ready = ::poll(polled.data(), stop_ < 0 ? 1 : 2, static_cast<int>(patience_.count()));
    if (ready <= 0 || polled[1].revents != 0) throw RedisError("read error on connection");
}

std::string RedisClient::line() {
    for (;;) {
        if (const auto end = buffer_.find("\r\n"); end != std::string::npos) {
            std::string text = buffer_.substr(0, end);
            buffer_.erase(0, end + 2);
            return text;
        }
        bytes(buffer_.size() + 1);
    }
}

/// Fills the buffer up to `size` bytes, which stay in it, and gives them.
std::string RedisClient::bytes(std::size_t size) {
    if (size > most_bytes) throw RedisError("protocol error");
    while (buffer_.size() < size) {
        wait(POLLIN);
        std::array<char, 4096> piece{};
        const auto got = ::recv(socket_, piece.data(), piece.size(), 0);
        if (got <= 0) throw RedisError("Connection lost");
        buffer_.append(piece.data(), static_cast<std::size_t>(got));
    }
    return buffer_.substr(0, size);
}

RedisReply RedisClient::reply(int depth) {
    const std::string first = line();
    if (first.empty() || depth > 4) throw RedisError("protocol error");
    const std::string rest = first.substr(1);
    switch (first[0]) {
        case '+':
        case ':':
            return {.text = rest};
        case '-':
            throw RedisError(rest);
        case '$': {
            const long size = std::stol(rest);
            if (size < 0) return {};
            RedisReply whole{.text = bytes(static_cast<std::size_t>(size))};
            bytes(static_cast<std::size_t>(size) + 2);
            buffer_.erase(0, static_cast<std::size_t>(size) + 2);
            return whole;
        }
        case '*': {
            RedisReply whole;
            for (long left = std::stol(rest); left > 0; --left) whole.list.push_back(reply(depth + 1));
            return whole;
        }
        default:
            throw RedisError("protocol error");
    }
}

RedisReply RedisClient::call(const std::vector<std::string>& words) {
    std::string text = "*" + std::to_string(words.size()) + "\r\n";
    for (const auto& word : words) text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    for (std::string_view left = text; !left.empty();) {
        wait(POLLOUT);
        const auto sent = ::send(socket_, left.data(), left.size(), MSG_NOSIGNAL);
        if (sent <= 0) throw RedisError("Connection lost");
        left.remove_prefix(static_cast<std::size_t>(sent));
    }
    return reply(0);
}

bool Redis::installed() { return !find_program("redis-server").empty(); }

Redis::Redis(std::string password) : password_(std::move(password)), port_(free_port()) { start(); }
Redis::~Redis() = default;

void Redis::start() {
    std::vector<std::string> argv{
        "redis-server", "--bind", "127.0.0.1",    "--port", std::to_string(port_), "--dir", folder_.path(),
        "--save",       "",       "--appendonly", "no"};
    if (!password_.empty()) argv.insert(argv.end(), {"--requirepass", password_});
    server_ =
        std::make_unique<Process>(Command{.argv = std::move(argv), .output = folder_.path() / "redis.log"});
    if (!wait_until_listening("127.0.0.1", port_, *server_, 30s))
        throw std::runtime_error("redis-server: " + server_->output());
}

void Redis::stop() {
    if (!server_) return;
    server_->signal(SIGCONT);
    server_->stop();
    server_.reset();
}

RedisReply Redis::command(const std::vector<std::string>& words) {
    RedisClient client(port_, 10s);
    if (!password_.empty()) client.call({"AUTH", password_});
    return client.call(words);
}

}  // namespace livecanary::practice
