#include "tests/support/mysql_server.hpp"

#include <optional>

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace livecanary::test {

std::string mysql_packet(std::uint8_t sequence, const std::string &payload) {
    std::string packet{static_cast<char>(payload.size() & 0xFF),
                       static_cast<char>(payload.size() >> 8 & 0xFF),
                       static_cast<char>(payload.size() >> 16 & 0xFF), static_cast<char>(sequence)};
    return packet + payload;
}

namespace mysql_says {

std::string ok() { return std::string("\0\0\0\2\0\0\0", 7); }
std::string error(unsigned number, const std::string &text) {
    return std::string("\xFF") + static_cast<char>(number & 0xFF) + static_cast<char>(number >> 8) +
           "#HY000" + text;
}

std::string early_error(unsigned number, const std::string &text) {
    return std::string("\xFF") + static_cast<char>(number & 0xFF) + static_cast<char>(number >> 8) + text;
}

std::string switch_to(const std::string &plugin) {
    return "\xFE" + plugin + std::string(1, '\0') + "01234567890123456789" + std::string(1, '\0');
}

std::string eof() { return std::string("\xFE\0\0\2\0", 5); }
std::string text(const std::string &value) { return static_cast<char>(value.size()) + value; }
std::string column(const std::string &name) {
    return text("def") + text("") + text("") + text("") + text(name) + text("") +
           std::string("\x0C\x2D\0\xFF\0\0\0\xFD\0\0\0\0\0", 13);
}

std::string greeting(const std::string &version, const std::string &plugin, bool tls) {
    std::string said = "\x0A" + version +
                       std::string(
                           "\0\1\0\0\0"
                           "12345678\0",
                           14);
    // Flags: PROTOCOL_41, CONNECT_WITH_DB, SECURE_CONNECTION, PLUGIN_AUTH,
    // TRANSACTIONS and what else any server has.
    said +=
        std::string("\x0F", 1) + static_cast<char>(tls ? 0xAA : 0xA2) + std::string("\x2D\2\0\x08\0\x15", 6);
    said += std::string(10, '\0') + std::string("901234567890\0", 13) + plugin + std::string(1, '\0');
    return said;
}

}  // namespace mysql_says

namespace {

asio::awaitable<std::optional<std::pair<std::uint8_t, std::string>>> read_packet(tcp::socket &socket) {
    std::string header(4, '\0');
    const auto head = asio::buffer(header);
    const auto [failed, size] = co_await asio::async_read(socket, head, net::no_throw);
    if (failed) co_return std::nullopt;
    const auto byte = [&](std::size_t at) {
        return static_cast<std::size_t>(static_cast<std::uint8_t>(header[at]));
    };
    std::string payload(byte(0) | byte(1) << 8 | byte(2) << 16, '\0');
    const auto body = asio::buffer(payload);
    const auto [broken, read] = co_await asio::async_read(socket, body, net::no_throw);
    if (broken) co_return std::nullopt;
    co_return std::pair(static_cast<std::uint8_t>(byte(3)), std::move(payload));
}

asio::awaitable<void> say(tcp::socket &socket, std::string bytes) {
    const auto data = asio::buffer(bytes);
    co_await asio::async_write(socket, data, net::no_throw);
}

}  // namespace

MysqlPeer::MysqlPeer(asio::io_context &io, MysqlScript script)
    : shared_(std::make_shared<Shared>(std::move(script))),
      peer_(io, [shared = shared_](tcp::socket socket) { return play(shared, std::move(socket)); }) {}

// Until the peer goes; counts a quit.
asio::awaitable<void> MysqlPeer::stay(std::shared_ptr<Shared> shared, tcp::socket &socket) {
    while (auto packet = co_await read_packet(socket))
        if (packet->second == "\1") ++shared->quits;
}

asio::awaitable<void> MysqlPeer::play(std::shared_ptr<Shared> shared, tcp::socket socket) {
    const MysqlScript script = shared->script;
    if (!script.greeting.empty()) co_await say(socket, mysql_packet(0, script.greeting));
    const bool refused = script.greeting.starts_with('\xFF');
    if (script.greeting.empty()) co_await stay(shared, socket);
    if (refused || script.greeting.empty()) co_return;
    auto login = co_await read_packet(socket);
    if (!login) co_return;
    shared->logins.push_back(login->second);
    if (script.to_login.empty()) {
        co_await stay(shared, socket);
        co_return;
    }
    co_await say(socket, mysql_packet(static_cast<std::uint8_t>(login->first + 1), script.to_login));
    while (auto packet = co_await read_packet(socket)) {
        if (packet->second == "\1") {
            ++shared->quits;
            co_return;
        }
        if (!packet->second.starts_with('\3')) continue;  // no statement: what a method to log in says
        shared->statements.push_back(packet->second.substr(1));
        const auto answers =
            script.to_query ? script.to_query(shared->statements.back()) : std::vector<std::string>{};
        std::uint8_t sequence = 0;
        std::string all;
        for (const auto &answer : answers) all += mysql_packet(++sequence, answer);
        if (!all.empty()) co_await say(socket, std::move(all));
        if (script.hangs_up) co_return;
    }
}

}  // namespace livecanary::test
