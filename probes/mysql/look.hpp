#pragma once
// One run: log in, look at the server and its tables, count the rows that came.
#include <array>
#include <map>
#include <set>
#include <string>

#include "probes/core/memory.hpp"
#include "probes/core/peers.hpp"
#include "probes/mysql/mark.hpp"
#include "probes/mysql/session.hpp"
#include "probes/net/values.hpp"

namespace livecanary::mysql {

inline constexpr std::array phases{dns, tcp, tls, auth, query};

inline constexpr Value table_rows{
    .metric = "livecanary_mysql_table_rows",
    .help = "Rows of the table: an estimate, as the server's statistics have it.",
    .label = "table"};
inline constexpr Value newest{.metric = "livecanary_mysql_table_newest_timestamp_seconds",
                              .help = "The greatest time in the table's watermark column, in Unix seconds.",
                              .label = "table"};
inline constexpr Value schema_ok{.metric = "livecanary_mysql_table_schema_ok",
                                 .help = "Whether the table is there and its columns are as expected.",
                                 .label = "table"};
inline constexpr Value rows_added{.metric = "livecanary_mysql_table_rows_added_total",
                                  .help = "Rows that came above the watermark, each counted once.",
                                  .type = ValueType::counter,
                                  .label = "table"};
inline constexpr Value replication_lag{"livecanary_mysql_replication_lag_seconds",
                                       "How far the replica is behind, as it says itself."};
using net::certificate_end, net::resolved_addresses;
inline constexpr std::array values{table_rows,      newest,          schema_ok,         rows_added,
                                   replication_lag, certificate_end, resolved_addresses};

/// What a probe keeps from run to run, besides what it remembers over restarts.
struct Kept {
    std::map<std::string, Mark, std::less<>> marks{};  ///< by table
    std::set<std::string, std::less<>> recalled{};     ///< tables whose mark was asked for
    std::set<std::string, std::less<>> explained{};    ///< tables whose counting was found to be cheap
};

/// Says everything on `run`. Leaves in good order also when cut, within a second of the deadline. The caller
/// must have switched off `throw_if_cancelled` on its coroutine; all three must outlive it.
asio::awaitable<void> look(const Config& config, Kept& kept, ProbeRun& run);

/// Answers questions::row on a connection of its own.
asio::awaitable<result<PeerAnswer>> find_row(const Config& config, ProbeRun& run, const Question& question);

/// Answers questions::remove_row, by the statement that the table has for it: one transaction.
asio::awaitable<result<PeerAnswer>> remove_row(const Config& config, ProbeRun& run, const Question& question);

}  // namespace livecanary::mysql
