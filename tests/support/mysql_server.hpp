#pragma once
// A MySQL server of a few packets, for what a real one does not do on demand: errors in place of a greeting,
// silence, and results that stop in the middle.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/read.hpp>

#include "tests/support/scripted_peer.hpp"

namespace livecanary::test {

/// A packet as it goes over the wire.
inline std::string mysql_packet(std::uint8_t sequence, const std::string& payload) {
    std::string packet{static_cast<char>(payload.size() & 0xFF),
                       static_cast<char>(payload.size() >> 8 & 0xFF),
                       static_cast<char>(payload.size() >> 16 & 0xFF), static_cast<char>(sequence)};
    return packet + payload;
}

/// Payloads (MariaDB knowledge base, "Connection Protocol").
namespace mysql_says {
inline std::string ok() { return std::string("\0\0\0\2\0\0\0", 7); }
inline std::string error(unsigned number, const std::string& text) {
    return std::string("\xFF") + static_cast<char>(number & 0xFF) + static_cast<char>(number >> 8) +
           "#HY000" + text;
}
/// Before a greeting there is no state in it.
inline std::string early_error(unsigned number, const std::string& text) {
    return std::string("\xFF") + static_cast<char>(number & 0xFF) + static_cast<char>(number >> 8) + text;
}
inline std::string switch_to(const std::string& plugin) {
    return "\xFE" + plugin + std::string(1, '\0') + "01234567890123456789" + std::string(1, '\0');
}
inline std::string eof() { return std::string("\xFE\0\0\2\0", 5); }
inline std::string text(const std::string& value) { return static_cast<char>(value.size()) + value; }
inline std::string column(const std::string& name) {
    return text("def") + text("") + text("") + text("") + text(name) + text("") +
           std::string("\x0C\x2D\0\xFF\0\0\0\xFD\0\0\0\0\0", 13);
}
/// What a server of that make says first: with a method to log in by, and without TLS.
inline std::string greeting(const std::string& version = "8.0.40",
                            const std::string& plugin = "mysql_native_password", bool tls = false) {
    std::string said = "\x0A" + version +
                       std::string(
                           "\0\1\0\0\0"
                           "12345678\0",
                           14);
    // Flags: PROTOCOL_41, CONNECT_WITH_DB, SECURE_CONNECTION, PLUGIN_AUTH, TRANSACTIONS and what else any
    // server has.
    said +=
        std::string("\x0F", 1) + static_cast<char>(tls ? 0xAA : 0xA2) + std::string("\x2D\2\0\x08\0\x15", 6);
    said += std::string(10, '\0') + std::string("901234567890\0", 13) + plugin + std::string(1, '\0');
    return said;
}
}  // namespace mysql_says

/// How a connection goes on.
struct MysqlScript {
    std::string greeting = mysql_says::greeting();  ///< empty: says nothing, and does not close
    std::string to_login = mysql_says::ok();        ///< empty: says nothing any more
    /// Payloads to answer a statement with; without any, says nothing any more.
    std::function<std::vector<std::string>(const std::string& sql)> to_query{};
    bool hangs_up = false;  ///< after the last answer above, instead of going on
};

class MysqlPeer {
public:
    MysqlPeer(asio::io_context& io, MysqlScript script)
        : shared_(std::make_shared<Shared>(std::move(script))),
          peer_(io, [shared = shared_](tcp::socket socket) { return play(shared, std::move(socket)); }) {}
    std::uint16_t port() const { return peer_.port(); }
    int accepted() const { return peer_.accepted(); }
    const std::vector<std::string>& statements() const { return shared_->statements; }
    /// Connections that ended with COM_QUIT.
    int quits() const { return shared_->quits; }
    /// The client's first packets, without header.
    const std::vector<std::string>& logins() const { return shared_->logins; }
    void script(MysqlScript script) { shared_->script = std::move(script); }

private:
    struct Shared {
        explicit Shared(MysqlScript played) : script(std::move(played)) {}
        MysqlScript script;
        std::vector<std::string> statements{};
        std::vector<std::string> logins{};
        int quits = 0;
    };
    static asio::awaitable<std::optional<std::pair<std::uint8_t, std::string>>> read_packet(
        tcp::socket& socket) {
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
    static asio::awaitable<void> say(tcp::socket& socket, std::string bytes) {
        const auto data = asio::buffer(bytes);
        co_await asio::async_write(socket, data, net::no_throw);
    }
    /// Until the peer goes; counts a quit.
    static asio::awaitable<void> stay(std::shared_ptr<Shared> shared, tcp::socket& socket) {
        while (auto packet = co_await read_packet(socket))
            if (packet->second == "\1") ++shared->quits;
    }
    static asio::awaitable<void> play(std::shared_ptr<Shared> shared, tcp::socket socket) {
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
            for (const auto& answer : answers) all += mysql_packet(++sequence, answer);
            if (!all.empty()) co_await say(socket, std::move(all));
            if (script.hangs_up) co_return;
        }
    }

    std::shared_ptr<Shared> shared_;
    ScriptedPeer peer_;
};

}  // namespace livecanary::test
