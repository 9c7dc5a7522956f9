#include "probes/mysql/advice.hpp"

#include "probes/net/mysql.hpp"

namespace livecanary::mysql {
namespace {

std::string quoted(const std::string& text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
    return out + "'";
}

}  // namespace

std::vector<std::string> grants(const Config& config) {
    const std::string account =
        quoted(config.user) + "@" + quoted(config.host.empty() ? "localhost" : "address of this machine");
    const auto name = [](const std::string& identifier) { return net::Mysql::identifier(identifier); };
    std::vector<std::string> lines;
    lines.push_back("CREATE USER " + account + " IDENTIFIED BY 'its password'" +
                    (config.tls ? " REQUIRE SSL;" : ";"));
    for (const Table& table : config.tables)
        lines.push_back("GRANT SELECT" + std::string(table.insert_check.empty() ? "" : ", INSERT") +
                        (table.remove.empty() ? "" : ", " + table.remove.substr(0, table.remove.find(' '))) +
                        " ON " + name(config.database) + "." + name(table.name) + " TO " + account + ";");
    // Without any right on it, an account may not choose a schema (error 1044).
    if (config.tables.empty())
        lines.push_back("GRANT SELECT ON " + name(config.database) + ".* TO " + account + ";");
    if (config.replication)
        lines.push_back("GRANT REPLICA MONITOR ON *.* TO " + account + ";  -- MySQL: REPLICATION CLIENT");
    return lines;
}

}  // namespace livecanary::mysql
