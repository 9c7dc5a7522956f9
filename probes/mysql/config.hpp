#pragma once
// The keys of `[[probe]] kind = "mysql"`.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "config/secret.hpp"
#include "config/window.hpp"

namespace livecanary::config {
class Reader;
}

namespace livecanary::mysql {

namespace asio = boost::asio;

/// Tables of one probe: four series each, so that a probe keeps to its 75.
inline constexpr std::size_t most_tables = 6;

/// What a column must be. What is not given is not compared.
struct Column {
    std::string name{};
    std::string type{};  ///< as information_schema's COLUMN_TYPE has it, normalised
    std::optional<bool> nullable{};
    /// Normalised; the inner one is empty where there must be no default.
    std::optional<std::optional<std::string>> default_value{};
};

struct ExpectRows {
    std::uint64_t at_least = 1;
    std::chrono::seconds within{};
    std::optional<config::Window> active{};  ///< without it: always
    std::string active_text{};
};

struct Table {
    std::string name{};
    std::string watermark{};  ///< a column; empty: new rows are not counted
    std::optional<ExpectRows> expect{};
    std::vector<Column> columns{};
    /// Other columns than these must have a default or be nullable: the writer does not know of them.
    bool all_columns = false;
    std::map<std::string, std::string> insert_check{};  ///< column to value; empty: none
    /// How a journey's row goes again: a DELETE or UPDATE with names in braces, such as {file_id}; empty:
    /// not.
    std::string remove{};
};

struct Replication {
    std::optional<std::chrono::seconds> max_lag{};
};

struct Tls {
    std::string server_name{};
    std::string ca_file{};
    bool verify = true;
};

struct Config {
    std::string host{};  ///< empty: by the socket
    std::uint16_t port = 3306;
    std::optional<asio::ip::address> address{};  ///< connects there instead of resolving the host
    std::string socket{};                        ///< without a host: the way in; beside one: a control
    std::string user{};
    config::Secret password{};
    std::string database{};
    std::optional<Tls> tls{};
    std::vector<Table> tables{};
    std::optional<bool> read_only{};  ///< what the server must be
    std::optional<Replication> replication{};
    std::optional<std::chrono::minutes> time_zone{};  ///< what the server's zone must be, east of UTC

    std::string target() const;
    const Table* table(std::string_view name) const;
};

Config read(config::Reader& in);

/// Types and defaults as servers of both makes and all versions write them, made comparable: lower case,
/// without display widths of integers, without quotes.
std::string normal_type(std::string_view type);
std::optional<std::string> normal_default(const std::optional<std::string>& text);

/// "+08:00".
std::optional<std::chrono::minutes> parse_offset(std::string_view text);
std::string format_offset(std::chrono::minutes offset);

}  // namespace livecanary::mysql
