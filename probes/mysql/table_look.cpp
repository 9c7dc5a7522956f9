#include "probes/mysql/table_look.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "probes/protocol/ascii.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::mysql {
namespace {

using net::MysqlFailure;
using protocol::ascii_lower;
using protocol::printable;

/// Rows that are this far ahead of the server's clock are not new but wrong, such as those written in another
/// zone.
constexpr int seconds_ahead = 300;
/// Points of the time span that must lie in the active hours: closer together than anybody's pause.
constexpr int samples = 96;
/// Of one answer, as peers.hpp has it.
constexpr std::uint64_t most_rows = 32;

/// What a server writes for "no date at all".
bool is_zero(std::string_view time) { return time.starts_with("0000-00-00"); }

std::uint64_t to_count(const std::optional<std::string>& text) {
    std::uint64_t number = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), number);
    return number;
}

std::optional<double> to_seconds(const std::optional<std::string>& text) {
    double number = 0;
    if (!text) return std::nullopt;
    const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (code != std::errc()) return std::nullopt;
    return number;
}

/// The value of a watermark as SQL has it. It came from the server, or from our own memory.
std::string literal_of(const Session& session, MarkKind kind, const std::string& value) {
    const bool digits = !value.empty() && value.find_first_not_of("-0123456789") == std::string::npos;
    return kind == MarkKind::number && digits ? value : session.literal(value);
}

/// One look at one table.
class Looker {
public:
    Looker(Session& session, const Tables& tables, const Server& server, WallTime wall, TableLook& found)
        : session_(session), server_(server), wall_(wall), table_(*found.table), found_(found) {
        const auto facts = tables.find(ascii_lower(table_.name));
        if (facts != tables.end()) facts_ = &facts->second;
    }

    asio::awaitable<void> whole(const Mark* mark, bool explained);

private:
    asio::awaitable<void> missing();
    asio::awaitable<void> schema();
    asio::awaitable<void> rows(const Mark* mark, bool explained);
    asio::awaitable<bool> explain(const std::string& newest);
    asio::awaitable<bool> count(const Mark* mark, const std::optional<std::string>& newest);
    asio::awaitable<void> expectation(const Mark* mark);
    asio::awaitable<void> insertion();

    void drift(Finding finding, const std::string& column, const std::string& how) {
        found_.schema_ok = false;
        found_.problems.push_back(
            {.code = finding, .evidence = {{"drift", table_.name + "." + column + ": " + how}}});
    }
    void failed(const MysqlFailure& failure, const std::string& doing) {
        found_.problems.push_back(problem_of(failure, doing + " " + table_.name));
    }
    void wrong(Finding finding, std::string_view what, std::string got) {
        found_.problems.push_back({.code = finding, .evidence = {{what, std::move(got)}}});
    }
    std::string name() const { return Session::name(table_.name); }
    std::string column() const { return Session::name(table_.watermark); }
    /// The table, to be read by the index that begins with the watermark.
    std::string from() const { return " FROM " + name() + " FORCE INDEX (" + Session::name(index_) + ")"; }
    std::string value(const std::string& text) const { return literal_of(session_, kind_, text); }

    Session& session_;
    const Server& server_;
    WallTime wall_;
    const Table& table_;
    TableLook& found_;
    const TableFacts* facts_ = nullptr;
    std::string index_{};
    MarkKind kind_ = MarkKind::number;
    bool is_zoned_ = false;  // TIMESTAMP: kept in UTC, whatever zone it is shown in
};

asio::awaitable<void> Looker::whole(const Mark* mark, bool explained) {
    if (facts_ == nullptr) {
        co_await missing();
        co_return;
    }
    found_.looked = found_.schema_ok = true;
    found_.rows = facts_->rows;
    co_await schema();
    if (!table_.watermark.empty() && session_.is_open()) co_await rows(mark, explained);
    if (!table_.insert_check.empty() && session_.is_open()) co_await insertion();
}

/// information_schema hides what an account has no rights on: only a statement says which it is.
asio::awaitable<void> Looker::missing() {
    found_.looked = true;
    const auto reply = co_await session_.ask("SELECT 1 FROM " + name() + " LIMIT 0");
    if (reply.failure)
        failed(reply.failure, "reading");
    else
        wrong(Finding::table_missing, "missing", table_.name);
}

asio::awaitable<void> Looker::schema() {
    std::set<std::string> expected;
    for (const Column& wanted : table_.columns) {
        const std::string key = ascii_lower(wanted.name);
        expected.insert(key);
        const auto at = facts_->columns.find(key);
        if (at == facts_->columns.end()) {
            const auto reply = co_await session_.ask("SELECT " + Session::name(wanted.name) + " FROM " +
                                                     name() + " LIMIT 0");
            if (reply.failure) {
                found_.schema_ok = false;
                failed(reply.failure, "reading column " + wanted.name + " of");
            } else {
                drift(Finding::column_missing, wanted.name, "is missing");
            }
            if (!session_.is_open()) co_return;
            continue;
        }
        const ColumnFacts& there = at->second;
        if (!wanted.type.empty() && wanted.type != there.type)
            drift(Finding::column_differs, wanted.name, printable(there.type) + ", expected " + wanted.type);
        if (wanted.nullable && *wanted.nullable != there.nullable)
            drift(Finding::column_differs, wanted.name, there.nullable ? "may be NULL" : "may not be NULL");
        if (wanted.default_value && *wanted.default_value != there.default_value)
            drift(Finding::column_differs, wanted.name,
                  (there.default_value ? "default '" + printable(*there.default_value) + "'" : "no default") +
                      ", expected " +
                      (*wanted.default_value ? "default '" + **wanted.default_value + "'" : "no default"));
    }
    if (!table_.all_columns) co_return;
    for (const auto& [name, there] : facts_->columns)
        if (!expected.contains(name) && !there.nullable && !there.default_value && !there.fills_itself)
            drift(Finding::column_unexpected, printable(name),
                  "a new column that must have a value and has no default");
}

asio::awaitable<void> Looker::rows(const Mark* mark, bool explained) {
    const auto at = facts_->columns.find(ascii_lower(table_.watermark));
    if (at == facts_->columns.end()) {
        const auto reply =
            co_await session_.ask("SELECT " + column() + from().substr(0, 6) + name() + " LIMIT 0");
        if (reply.failure) failed(reply.failure, "reading column " + table_.watermark + " of");
        co_return;
    }
    const auto kind = mark_kind(at->second.type);
    if (!kind) {
        wrong(Finding::unfit_watermark, "watermark",
              table_.name + "." + table_.watermark + " is " + printable(at->second.type));
        co_return;
    }
    kind_ = *kind;
    is_zoned_ = at->second.type.starts_with("timestamp");
    const auto index = facts_->index_of.find(ascii_lower(table_.watermark));
    if (index == facts_->index_of.end()) {
        wrong(Finding::not_indexed, "watermark",
              table_.name + "." + table_.watermark + ": CREATE INDEX livecanary ON " + name() + " (" +
                  column() + ")");
        co_return;
    }
    index_ = index->second;
    const std::string as_time = kind_ == MarkKind::time ? ", UNIX_TIMESTAMP(MAX(" + column() + "))" : "";
    const auto reply = co_await session_.ask("SELECT MAX(" + column() + ")" + as_time + from());
    if (reply.failure) {
        failed(reply.failure, "reading the newest row of");
        co_return;
    }
    const auto& values = reply.rows.rows.at(0);
    std::optional<std::string> newest = values[0];
    if (newest && kind_ == MarkKind::time && is_zero(*newest)) newest.reset();
    if (newest && kind_ == MarkKind::time) {
        found_.newest = to_seconds(values.at(1));
        // A DATETIME has no zone: it is of the writer's, which is the server's unless the configuration says
        // otherwise.
        if (found_.newest && !is_zoned_)
            *found_.newest -= static_cast<double>(std::chrono::seconds(server_.offset).count());
        if (found_.newest)
            found_.evidence.emplace_back(
                "newest", table_.name + " " + printable(*newest) + ", age " +
                              std::to_string(server_.now - static_cast<std::int64_t>(*found_.newest)) + " s");
    }
    if (newest && !explained) {
        if (!co_await explain(*newest)) co_return;
    }
    if (!co_await count(mark, newest)) co_return;
    if (table_.expect) co_await expectation(mark);
}

/// False if counting would read the whole table.
asio::awaitable<bool> Looker::explain(const std::string& newest) {
    const auto reply = co_await session_.ask("EXPLAIN SELECT COUNT(*)" + from() + " WHERE " + column() +
                                             " > " + value(newest));
    if (reply.failure) {
        failed(reply.failure, "asking how rows would be counted in");
        co_return false;
    }
    const std::string how = ascii_lower(reply.rows.at(0, "type").value_or(""));
    // ALL reads every row, index every entry of the index (MariaDB knowledge base, "EXPLAIN", read
    // 2026-11-28).
    if (how == "all" || how == "index") {
        wrong(Finding::full_scan, "explain",
              table_.name + "." + table_.watermark + ": type " + printable(how));
        co_return false;
    }
    found_.explained = true;
    co_return true;
}

asio::awaitable<bool> Looker::count(const Mark* mark, const std::optional<std::string>& newest) {
    const auto now = std::chrono::floor<std::chrono::seconds>(wall_).time_since_epoch().count();
    const auto where = [&](const std::string& condition) {
        return "(SELECT COUNT(*)" + from() + " WHERE " + column() + condition + ")";
    };
    Seen seen{.newest = newest};
    if (newest) {
        const bool has_mark = mark != nullptr && mark->value;
        const int moved = has_mark ? compare(kind_, *newest, *mark->value) : 0;
        std::string sql = "SELECT " + where(" = " + value(*newest));
        if (has_mark && moved > 0)
            sql += ", " + where(" > " + value(*mark->value) + " AND " + column() + " < " + value(*newest)) +
                   ", " + where(" = " + value(*mark->value));
        // The table was empty: all that is there has come since.
        if (mark != nullptr && !mark->value) sql += ", " + where(" < " + value(*newest));
        const auto reply = co_await session_.ask(std::move(sql));
        if (reply.failure) {
            failed(reply.failure, "counting the new rows of");
            co_return false;
        }
        const auto& counts = reply.rows.rows.at(0);
        seen.at_newest = to_count(counts[0]);
        if (counts.size() > 1) seen.between = to_count(counts[1]);
        if (counts.size() > 2) seen.at_mark = to_count(counts[2]);
    }
    if (mark == nullptr) {
        // The first look: what is there is not new.
        found_.mark = Mark{.column = table_.watermark,
                           .value = newest,
                           .equal = seen.at_newest,
                           .since = static_cast<std::int64_t>(now)};
        found_.evidence.emplace_back("baseline", table_.name + " " + printable(newest.value_or("empty")));
        co_return true;
    }
    auto next = advance(kind_, *mark, seen);
    if (next.went_back)
        found_.evidence.emplace_back("went_back", table_.name + ": from " +
                                                      printable(mark->value.value_or("")) + " to " +
                                                      printable(newest.value_or("empty")));
    found_.added = next.rows;
    found_.evidence.emplace_back("new_rows", table_.name + " " + std::to_string(next.rows));
    if (table_.expect && kind_ == MarkKind::number)
        keep_history(next.mark, static_cast<std::int64_t>(now), next.rows, table_.expect->within);
    found_.mark = std::move(next.mark);
    co_return true;
}

asio::awaitable<void> Looker::expectation(const Mark* mark) {
    const ExpectRows& wanted = *table_.expect;
    // Only a span of time that lies in the active hours as a whole says anything.
    if (wanted.active)
        for (int i = 0; i <= samples; ++i)
            if (!wanted.active->contains(wall_ - wanted.within * i / samples)) co_return;
    std::optional<std::uint64_t> rows;
    if (kind_ == MarkKind::time) {
        const std::string now = "UTC_TIMESTAMP() + INTERVAL " +
                                std::to_string(is_zoned_ ? 0 : server_.offset.count()) + " MINUTE";
        const auto reply = co_await session_.ask(
            "SELECT COUNT(*) FROM (SELECT 1" + from() + " WHERE " + column() + " > " + now + " - INTERVAL " +
            std::to_string(wanted.within.count()) + " SECOND AND " + column() + " <= " + now +
            " + INTERVAL " + std::to_string(seconds_ahead) + " SECOND LIMIT " +
            std::to_string(wanted.at_least) + ") AS recent");
        if (reply.failure) {
            failed(reply.failure, "counting the recent rows of");
            co_return;
        }
        rows = to_count(reply.rows.rows.at(0).at(0));
    } else if (mark != nullptr && found_.mark) {
        const auto now = std::chrono::floor<std::chrono::seconds>(wall_).time_since_epoch().count();
        rows = rows_within(*found_.mark, static_cast<std::int64_t>(now), wanted.within);
    }
    if (!rows || *rows >= wanted.at_least) co_return;
    const bool ahead = found_.newest && *found_.newest > static_cast<double>(server_.now + seconds_ahead);
    Problem problem{.code = Finding::too_few_rows};
    problem.evidence.emplace_back("stalled", table_.name + ": " + std::to_string(*rows) + " new rows in " +
                                                 std::to_string(wanted.within.count()) + " s, expected " +
                                                 std::to_string(wanted.at_least));
    if (ahead) {
        const auto by = static_cast<std::int64_t>(*found_.newest) - server_.now;
        problem.evidence.emplace_back("ahead", table_.name + ": the newest row is " + std::to_string(by) +
                                                   " s ahead of the server's clock");
    }
    found_.problems.push_back(std::move(problem));
}

/// Whatever becomes of it, nothing stays: it is rolled back, also by the end of the connection.
asio::awaitable<void> Looker::insertion() {
    if (ascii_lower(facts_->engine) != "innodb") {
        wrong(Finding::not_transactional, "engine", table_.name + " is " + printable(facts_->engine));
        co_return;
    }
    auto reply = co_await session_.ask("START TRANSACTION READ WRITE");
    if (reply.failure) {
        failed(reply.failure, "beginning the insert check of");
        co_return;
    }
    std::string columns, row;
    for (const auto& [column, text] : table_.insert_check) {
        columns += (columns.empty() ? "" : ", ") + Session::name(column);
        row += (row.empty() ? "" : ", ") + session_.literal(text);
    }
    const auto inserted =
        co_await session_.ask("INSERT INTO " + name() + " (" + columns + ") VALUES (" + row + ")");
    if (inserted.failure) failed(inserted.failure, "the insert check of");
    if (!session_.is_open()) co_return;
    reply = co_await session_.ask("ROLLBACK");
    if (reply.failure) failed(reply.failure, "rolling back the insert check of");
    if (!inserted.failure) found_.evidence.emplace_back("insert_check", table_.name + " takes a row");
}

std::string list_of_names(const Session& session, const Config& config) {
    std::string list;
    for (const Table& table : config.tables) list += (list.empty() ? "" : ", ") + session.literal(table.name);
    return list;
}

}  // namespace

asio::awaitable<net::MysqlFailure> read_tables(Session& session, const Config& config, Tables& tables) {
    const std::string where = " WHERE TABLE_SCHEMA = " + session.literal(config.database) +
                              " AND TABLE_NAME IN (" + list_of_names(session, config) + ")";
    auto reply =
        co_await session.ask("SELECT TABLE_NAME, ENGINE, TABLE_ROWS FROM information_schema.TABLES" + where);
    if (reply.failure) co_return reply.failure;
    const auto text = [&](std::size_t row, std::size_t at) {
        return reply.rows.rows[row].at(at).value_or("");
    };
    for (std::size_t i = 0; i < reply.rows.rows.size(); ++i) {
        TableFacts& facts = tables[ascii_lower(text(i, 0))];
        facts.engine = text(i, 1);
        facts.rows = to_seconds(reply.rows.rows[i].at(2));
    }
    reply = co_await session.ask(
        "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA "
        "FROM information_schema.COLUMNS" +
        where);
    if (reply.failure) co_return reply.failure;
    for (std::size_t i = 0; i < reply.rows.rows.size(); ++i) {
        ColumnFacts facts;
        facts.type = normal_type(text(i, 2));
        facts.nullable = text(i, 3) == "YES";
        facts.default_value = normal_default(reply.rows.rows[i].at(4));
        const std::string extra = ascii_lower(text(i, 5));
        facts.fills_itself =
            extra.find("auto_increment") != extra.npos || extra.find("generated") != extra.npos;
        tables[ascii_lower(text(i, 0))].columns[ascii_lower(text(i, 1))] = std::move(facts);
    }
    reply = co_await session.ask(
        "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS" + where +
        " AND SEQ_IN_INDEX = 1 AND INDEX_TYPE = 'BTREE' ORDER BY INDEX_NAME = 'PRIMARY'");
    if (reply.failure) co_return reply.failure;
    for (std::size_t i = 0; i < reply.rows.rows.size(); ++i)
        tables[ascii_lower(text(i, 0))].index_of.emplace(ascii_lower(text(i, 2)), text(i, 1));
    co_return net::MysqlFailure{};
}

asio::awaitable<void> look_at(Session& session, const Config&, const Tables& tables, const Server& server,
                              const Mark* mark, bool explained, WallTime wall, TableLook& found) {
    Looker looker(session, tables, server, wall, found);
    co_await looker.whole(mark, explained);
}

asio::awaitable<error_code> ask_for_row(Session& session, const Config& config, const Table& table,
                                        const Question& question, PeerAnswer& answer) {
    constexpr std::string_view where_column = "where.", instant = "time.";
    const auto asked = question.with.find("rows");
    const std::uint64_t most = asked != question.with.end() ? to_count(asked->second) : 1;
    if (most < 1 || most > most_rows) co_return PeerError::not_understood;
    Tables tables;
    const auto failure = co_await read_tables(session, config, tables);
    if (failure) co_return failure.code;
    const auto& facts = tables[ascii_lower(table.name)];
    std::string condition, wanted;
    bool indexed = false;
    for (const auto& [fact, text] : question.with) {
        if (!fact.starts_with(where_column)) continue;
        const std::string column = fact.substr(where_column.size());
        if (std::ranges::find(table.columns, column, &Column::name) == table.columns.end())
            co_return PeerError::not_understood;
        indexed = indexed || facts.index_of.contains(ascii_lower(column));
        condition +=
            (condition.empty() ? "" : " AND ") + Session::name(column) + " = " + session.literal(text);
    }
    if (condition.empty()) co_return PeerError::not_understood;
    if (!indexed) co_return Finding::not_indexed;
    for (const Column& column : table.columns) {
        wanted += (wanted.empty() ? "" : ", ") + Session::name(column.name);
        const auto at = facts.columns.find(ascii_lower(column.name));
        if (at != facts.columns.end() && at->second.type.starts_with("timestamp"))
            wanted += ", UNIX_TIMESTAMP(" + Session::name(column.name) + ") AS " +
                      Session::name(std::string(instant) + column.name);
    }
    std::string sql = "SELECT " + wanted + " FROM " + Session::name(table.name) + " WHERE " + condition;
    if (!table.watermark.empty()) sql += " ORDER BY " + Session::name(table.watermark) + " DESC";
    sql += " LIMIT " + std::to_string(most);
    // Times as an asker anywhere can read them.
    auto reply = co_await session.ask("SET SESSION time_zone = '+00:00'");
    if (!reply.failure) reply = co_await session.ask(std::move(sql));
    if (reply.failure) co_return reply.failure.code;
    const auto& rows = reply.rows.rows;
    answer.facts["found"] = rows.empty() ? "0" : "1";
    for (std::size_t nth = 0; nth < rows.size(); ++nth) {
        const std::string before = nth == 0 ? std::string() : std::to_string(nth + 1) + ".";
        for (std::size_t i = 0; i < reply.rows.columns.size(); ++i)
            if (const auto& text = rows[nth].at(i)) {
                const std::string& name = reply.rows.columns[i];
                answer.facts[before + (name.starts_with(instant) ? name : "column." + name)] =
                    printable(*text);
            }
    }
    co_return error_code{};
}

}  // namespace livecanary::mysql
