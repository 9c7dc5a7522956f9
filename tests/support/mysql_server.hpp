#pragma once
// A MySQL server of a few packets, for what a real one does not do on demand:
// errors in place of a greeting, silence, and results that stop in the middle.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/scripted_peer.hpp"

namespace livecanary::test {

/// A packet as it goes over the wire.
std::string mysql_packet(std::uint8_t sequence, const std::string &payload);

/// Payloads (MariaDB knowledge base, "Connection Protocol").
namespace mysql_says {
std::string ok();
std::string error(unsigned number, const std::string &text);
/// Before a greeting there is no state in it.
std::string early_error(unsigned number, const std::string &text);
std::string switch_to(const std::string &plugin);
std::string eof();
std::string text(const std::string &value);
std::string column(const std::string &name);
/// What a server of that make says first: with a method to log in by, and
/// without TLS.
std::string greeting(const std::string &version = "8.0.40",
                     const std::string &plugin = "mysql_native_password", bool tls = false);
}  // namespace mysql_says

/// How a connection goes on.
struct MysqlScript {
    std::string greeting = mysql_says::greeting();  ///< empty: says nothing, and does not close
    std::string to_login = mysql_says::ok();        ///< empty: says nothing any more
    /// Payloads to answer a statement with; without any, says nothing any more.
    std::function<std::vector<std::string>(const std::string &sql)> to_query{};
    bool hangs_up = false;  ///< after the last answer above, instead of going on
};

class MysqlPeer {
public:
    MysqlPeer(asio::io_context &io, MysqlScript script);
    std::uint16_t port() const { return peer_.port(); }
    int accepted() const { return peer_.accepted(); }
    const std::vector<std::string> &statements() const { return shared_->statements; }
    /// Connections that ended with COM_QUIT.
    int quits() const { return shared_->quits; }
    /// The client's first packets, without header.
    const std::vector<std::string> &logins() const { return shared_->logins; }
    void script(MysqlScript script) { shared_->script = std::move(script); }

private:
    struct Shared {
        explicit Shared(MysqlScript played) : script(std::move(played)) {}
        MysqlScript script;
        std::vector<std::string> statements{};
        std::vector<std::string> logins{};
        int quits = 0;
    };
    static asio::awaitable<void> stay(std::shared_ptr<Shared> shared, tcp::socket &socket);
    static asio::awaitable<void> play(std::shared_ptr<Shared> shared, tcp::socket socket);

    std::shared_ptr<Shared> shared_;
    ScriptedPeer peer_;
};

}  // namespace livecanary::test
