#pragma once
// What one look at one table finds, statement by statement.
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "probes/core/peers.hpp"
#include "probes/mysql/mark.hpp"
#include "probes/mysql/session.hpp"

namespace livecanary::mysql {

/// What a look at a table must know of its server.
struct Server {
    std::chrono::minutes offset{};  ///< of the zone that DATETIME columns are in, east of UTC
    std::string sql_mode{};
    std::int64_t now = 0;  ///< its clock, in Unix seconds
    bool is_mariadb = false;
};

/// As information_schema describes a column.
struct ColumnFacts {
    std::string type{};
    bool nullable = true;
    std::optional<std::string> default_value{};
    bool fills_itself = false;  ///< AUTO_INCREMENT, or generated
};

/// Table and column names in lower case: servers differ in whether their case matters.
struct TableFacts {
    std::string engine{};
    std::optional<double> rows{};  ///< an estimate
    std::map<std::string, ColumnFacts, std::less<>> columns{};
    std::map<std::string, std::string, std::less<>> index_of{};  ///< the index that begins with a column
};
using Tables = std::map<std::string, TableFacts, std::less<>>;

/// Of all configured tables, in three statements whatever their number and size.
asio::awaitable<net::MysqlFailure> read_tables(Session& session, const Config& config, Tables& tables);

struct TableLook {
    const Table* table = nullptr;
    bool looked = false;  ///< it came to say something of the schema
    bool schema_ok = false;
    std::optional<double> rows{};
    std::optional<double> newest{};  ///< Unix seconds
    std::optional<Mark> mark{};      ///< the new one
    std::uint64_t added = 0;
    bool explained = false;
    std::vector<Problem> problems{};
    std::vector<std::pair<std::string_view, std::string>> evidence{};
};

/// `mark` is null on the first look; `explained`: that counting is cheap was found before.
asio::awaitable<void> look_at(Session& session, const Config& config, const Tables& tables,
                              const Server& server, const Mark* mark, bool explained, WallTime wall,
                              TableLook& found);

/// questions::row of a configured table.
asio::awaitable<error_code> ask_for_row(Session& session, const Config& config, const Table& table,
                                        const Question& question, PeerAnswer& answer);

}  // namespace livecanary::mysql
