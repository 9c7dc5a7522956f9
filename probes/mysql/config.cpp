#include "probes/mysql/config.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "config/reader.hpp"
#include "probes/mysql/profile.hpp"
#include "probes/protocol/ascii.hpp"

namespace livecanary::mysql {
namespace {

using namespace std::chrono_literals;

/// Of a name of a schema, table or column (MariaDB knowledge base, "Identifier Names", read 2026-11-28).
constexpr std::size_t most_name = 64;

bool is_name(const std::string& name) {
    return !name.empty() && name.size() <= most_name &&
           std::ranges::none_of(name, [](char c) { return c == '\0' || c == '.' || c == '/' || c == '\\'; });
}

void read_name(config::Reader& in, std::string_view key, std::string& out) {
    if (!out.empty() && !is_name(out))
        in.mistake(key, "expected a name of at most 64 bytes, found '" + out + "'");
}

Column column_of(config::Reader& in) {
    Column column;
    in.required("name", column.name);
    read_name(in, "name", column.name);
    in.optional("type", column.type);
    column.type = normal_type(column.type);
    if (in.has("nullable")) {
        bool nullable = false;
        in.optional("nullable", nullable);
        column.nullable = nullable;
    }
    bool no_default = false;
    in.optional("no_default", no_default);
    if (in.has("default")) {
        std::string text;
        in.optional("default", text);
        column.default_value = normal_default(text);
        if (no_default) in.mistake("no_default", "there is a 'default' too");
    } else if (no_default) {
        column.default_value.emplace(std::nullopt);
    }
    in.unread();
    return column;
}

void read_columns(config::Reader& in, Table& table) {
    std::vector<std::string> names;
    in.optional("columns", names);
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (!is_name(names[i]))
            in.mistake("columns", i, "expected a name of at most 64 bytes, found '" + names[i] + "'");
        table.columns.push_back({.name = names[i]});
    }
    for (auto& one : in.tables("column")) table.columns.push_back(column_of(one));
    std::string profile;
    constexpr std::array<std::string_view, 1> profiles{"live_demo"};
    in.one_of("profile", profile, profiles);
    if (profile.empty()) return;
    const ProfileTable* const known = find_in_live_demo(table.name);
    if (known == nullptr) {
        std::string all;
        for (const auto name : names_of_live_demo()) all += (all.empty() ? "" : ", ") + std::string(name);
        in.mistake("profile", "live_demo has no table '" + table.name + "', only " + all);
        return;
    }
    table.all_columns = true;
    for (const auto& column : known->columns)
        if (std::ranges::find(table.columns, column.name, &Column::name) == table.columns.end())
            table.columns.push_back({.name = std::string(column.name), .type = std::string(column.type)});
}

void read_expect(config::Reader& in, Table& table) {
    auto expect = in.table("expect_new_rows");
    if (!expect) return;
    auto& wanted = table.expect.emplace();
    if (table.watermark.empty()) in.mistake("expect_new_rows", "needs a 'watermark'");
    expect->optional("at_least", wanted.at_least, 1, 1'000'000);
    std::chrono::milliseconds within{};
    expect->optional("within", within, 1min, 24h * 31);
    if (!expect->has("within")) expect->mistake("within", "missing");
    wanted.within = std::chrono::ceil<std::chrono::seconds>(within);
    expect->optional("active", wanted.active_text);
    if (!wanted.active_text.empty()) {
        wanted.active = config::Window::parse(wanted.active_text);
        if (!wanted.active)
            expect->mistake("active",
                            "expected a daily window such as \"08:00-24:00 Asia/Shanghai\", found '" +
                                wanted.active_text + "'");
    }
    expect->unread();
}

/// One statement that takes a row away and names which: not every row there is.
bool is_removal(const std::string& sql) {
    const bool removes = sql.starts_with("DELETE ") || sql.starts_with("UPDATE ");
    return removes && sql.find(';') == sql.npos && sql.find(" WHERE ") != sql.npos &&
           sql.find('{', sql.find(" WHERE ")) != sql.npos;
}

Table table_of(config::Reader& in) {
    Table table;
    in.required("name", table.name);
    read_name(in, "name", table.name);
    in.optional("watermark", table.watermark);
    read_name(in, "watermark", table.watermark);
    read_columns(in, table);
    read_expect(in, table);
    if (auto values = in.table("insert_check")) {
        table.insert_check = values->strings();
        if (table.insert_check.empty()) in.mistake("insert_check", "expected columns with their values");
        values->unread();
    }
    in.optional("remove", table.remove);
    if (!table.remove.empty() && !is_removal(table.remove))
        in.mistake(
            "remove",
            "expected one DELETE or UPDATE with the row's values in braces, such as \"DELETE FROM tb_vod "
            "WHERE userid = {userid} AND file_id = {file_id}\"");
    in.unread();
    return table;
}

void read_way(config::Reader& in, Config& config) {
    in.optional("host", config.host);
    in.optional("port", config.port, 1, 65535);
    in.path("socket", config.socket);
    // 108 bytes with the terminator (unix(7)).
    if (config.socket.size() > 107)
        in.mistake("socket", "the path is longer than the 107 bytes of a socket's name");
    if (config.host.empty() && config.socket.empty()) in.mistake("host", "missing");
    if (config.host.empty() && in.has("port")) in.mistake("port", "needs a 'host'");
    std::string address;
    in.optional("address", address);
    if (!address.empty()) {
        boost::system::error_code ec;
        config.address = asio::ip::make_address(address, ec);
        if (ec) in.mistake("address", "expected an IPv4 or IPv6 address, found '" + address + "'");
        if (config.host.empty()) in.mistake("address", "needs a 'host'");
    }
    if (auto tls = in.table("tls")) {
        auto& wanted = config.tls.emplace();
        wanted.server_name = config.host;
        tls->optional("server_name", wanted.server_name);
        tls->readable("ca_file", wanted.ca_file);
        tls->optional("verify", wanted.verify);
        tls->unread();
        if (config.host.empty()) in.mistake("tls", "needs a 'host': a local socket has no TLS");
    }
}

}  // namespace

std::string Config::target() const {
    const std::string where = host.empty()                          ? socket
                              : host.find(':') != std::string::npos ? "[" + host + "]:" + std::to_string(port)
                                                                    : host + ":" + std::to_string(port);
    return "mysql://" + where + "/" + database;
}

const Table* Config::table(std::string_view name) const {
    const auto found = std::ranges::find(tables, name, &Table::name);
    return found != tables.end() ? &*found : nullptr;
}

std::string normal_type(std::string_view type) {
    std::string text = protocol::ascii_lower(type);
    for (const std::string_view integer : {"tinyint", "smallint", "mediumint", "bigint", "int", "integer"}) {
        if (!text.starts_with(std::string(integer) + "(")) continue;
        const auto close = text.find(')');
        if (close != std::string::npos) text.erase(integer.size(), close + 1 - integer.size());
        break;
    }
    if (text.starts_with("integer")) text.erase(3, 4);
    return text;
}

std::optional<std::string> normal_default(const std::optional<std::string>& text) {
    if (!text) return std::nullopt;
    std::string value = *text;
    const std::string lower = protocol::ascii_lower(value);
    // MariaDB writes NULL for a column that may be NULL and has no other default; MySQL has a real NULL
    // there.
    if (lower == "null") return std::nullopt;
    if (lower.starts_with("current_timestamp")) {
        const auto digits = lower.find_first_of("123456");
        return digits == std::string::npos ? "current_timestamp"
                                           : "current_timestamp(" + lower.substr(digits, 1) + ")";
    }
    if (value.size() >= 2 && value.front() == '\'' && value.back() == '\'')
        value = value.substr(1, value.size() - 2);
    return value;
}

std::optional<std::chrono::minutes> parse_offset(std::string_view text) {
    const auto digit = [&](std::size_t at) { return protocol::is_digit(text[at]) ? text[at] - '0' : -100; };
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
    const int hours = digit(1) * 10 + digit(2);
    const int minutes = digit(4) * 10 + digit(5);
    // MySQL's own range (Reference Manual, "MySQL Server Time Zone Support", read 2026-11-28).
    if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59) return std::nullopt;
    const std::chrono::minutes offset(hours * 60 + minutes);
    return text[0] == '-' ? -offset : offset;
}

std::string format_offset(std::chrono::minutes offset) {
    const auto minutes = std::abs(offset.count());
    char text[16];
    std::snprintf(text, sizeof text, "%c%02d:%02d", offset.count() < 0 ? '-' : '+',
                  static_cast<int>(minutes / 60) % 100, static_cast<int>(minutes % 60));
    return text;
}

Config read(config::Reader& in) {
    Config config;
    read_way(in, config);
    in.required("user", config.user);
    in.secret("password", config.password);
    in.required("database", config.database);
    read_name(in, "database", config.database);
    if (in.has("read_only")) {
        bool read_only = false;
        in.optional("read_only", read_only);
        config.read_only = read_only;
    }
    if (auto replication = in.table("replication")) {
        config.replication.emplace();
        std::chrono::milliseconds lag{};
        replication->optional("max_lag", lag, 1s, 24h * 31);
        if (replication->has("max_lag"))
            config.replication->max_lag = std::chrono::ceil<std::chrono::seconds>(lag);
        replication->unread();
    }
    std::string zone;
    in.optional("time_zone", zone);
    if (!zone.empty()) {
        config.time_zone = parse_offset(zone);
        if (!config.time_zone)
            in.mistake("time_zone", "expected an offset such as \"+08:00\", found '" + zone + "'");
    }
    for (auto& table : in.tables("table")) {
        Table made = table_of(table);
        if (config.table(made.name) != nullptr)
            table.mistake("name", "the table '" + made.name + "' is there twice");
        config.tables.push_back(std::move(made));
    }
    if (config.tables.size() > most_tables)
        in.mistake("table", "a probe looks at 6 tables at most; make another probe for the rest");
    return config;
}

}  // namespace livecanary::mysql
