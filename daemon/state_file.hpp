#pragma once
// The ledger, what probes remember, which alerts there are and which incidents there were, as they stand in
// SQLite; in memory while the disk cannot be had.
// Blocking: for the store's own thread.
#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "daemon/log.hpp"
#include "daemon/owner.hpp"
#include "probes/core/ledger.hpp"

struct sqlite3;

namespace livecanary::daemon {

struct StateOptions {
    std::string directory{};
    /// The daemon's own, which sets a bad file aside. A command leaves that to it.
    bool keeper = false;
    std::string owner = own_name();  ///< in whose name things are recorded
    std::function<OwnerState(std::string_view)> look = look_at;
    std::function<Clock::time_point()> now = Clock::now;
    std::function<WallTime()> wall = std::chrono::system_clock::now;
    /// Where it says, once, that it works in memory, and that it no longer has to. Called on the store's
    /// thread.
    std::function<void(log::Level, std::string_view, const log::Fields&)> say{};
};

/// Names an entry.
struct LitterKey {
    std::string probe{}, store{}, item{};
    auto operator<=>(const LitterKey&) const = default;
};

struct LitterEntry {
    WallTime made{};       ///< to the millisecond
    std::string owner{};   ///< the process that recorded it last (owner.hpp)
    bool written = false;  ///< stands in the file
};

/// Names what a probe remembers.
struct MemoryKey {
    std::string probe{}, key{};
    auto operator<=>(const MemoryKey&) const = default;
};

/// Every entry is known in memory too. What could not be written waits, and goes along with the next write
/// that can be made: so a full disk costs durability, and nothing else.
class StateFile {
public:
    /// Opens `directory`/state.sqlite, which it makes if it is not there.
    explicit StateFile(StateOptions options);
    StateFile(const StateFile&) = delete;
    StateFile& operator=(const StateFile&) = delete;
    ~StateFile();

    /// Durable once it returns, unless `trouble()`. An entry that is there gets us as its owner.
    void record(const Litter& litter);
    void strike(const Litter& litter);
    /// Looks what other processes have recorded and struck out.
    void refresh();
    /// As record().
    void remember(const MemoryKey& key, std::string value);
    /// As record(); nothing: the alert is forgotten.
    void keep_alert(const std::string& name, std::optional<std::string> text);
    /// Likewise.
    void keep_incident(const std::string& id, std::optional<std::string> text);

    const std::map<LitterKey, LitterEntry>& entries() const noexcept { return entries_; }
    /// What this process remembered, and what stood in the file when it was opened: nobody else writes it.
    const std::map<MemoryKey, std::string>& memories() const noexcept { return memories_; }
    /// Likewise, by name.
    const std::map<std::string, std::string>& alerts() const noexcept { return alerts_.known; }
    /// Likewise, by id.
    const std::map<std::string, std::string>& incidents() const noexcept { return incidents_.known; }
    const StateOptions& options() const noexcept { return options_; }
    /// Why we work in memory; empty if what was asked for last is on disk.
    const std::string& trouble() const noexcept { return trouble_; }
    /// Writes that had to be left to memory.
    std::uint64_t write_failures() const noexcept { return write_failures_; }

private:
    struct Close {
        void operator()(sqlite3* database) const noexcept;
    };

    void open();
    bool open_once();
    bool prepare_file();
    bool set_up();
    bool set_aside();
    bool load();
    void file_lost();
    void check_place();
    void write();
    bool write_pending();
    bool write_one(const LitterKey& key, const std::optional<LitterEntry>& entry);
    bool write_memory(const MemoryKey& key);
    bool load_memories();
    /// A table of names and texts that are kept until they are removed.
    struct Texts {
        struct Sql {
            const char *select, *put, *remove;
        };
        Sql sql;
        std::map<std::string, std::string> known{};
        std::set<std::string> pending{};  ///< not yet written; one that is not known: to be removed
        void lost();
    };
    void keep(Texts& texts, const std::string& name, std::optional<std::string> text);
    bool load_texts(Texts& texts);
    bool write_texts(const Texts& texts);
    bool run(const char* sql);
    bool number(const char* sql, std::int64_t& out);
    bool failed(int code, std::string words = {});
    void give_up();

    StateOptions options_;
    std::string path_;
    std::unique_ptr<sqlite3, Close> database_{};
    std::map<LitterKey, LitterEntry> entries_{};
    std::map<LitterKey, std::optional<LitterEntry>>
        pending_{};  ///< not yet written; nothing: to be struck out
    std::map<MemoryKey, std::string> memories_{};
    std::set<MemoryKey> pending_memories_{};  ///< not yet written
    Texts alerts_{.sql = {"SELECT name, value FROM alert",
                          "INSERT INTO alert (name, value) VALUES (?1, ?2)"
                          " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                          "DELETE FROM alert WHERE name = ?1"}};
    Texts incidents_{.sql = {"SELECT id, value FROM incident",
                             "INSERT INTO incident (id, value) VALUES (?1, ?2)"
                             " ON CONFLICT (id) DO UPDATE SET value = excluded.value",
                             "DELETE FROM incident WHERE id = ?1"}};
    Clock::time_point opened_{};  ///< or tried to
    std::uint64_t device_ = 0, inode_ = 0;
    int code_ = 0;  ///< of the last failure, as SQLite has it
    std::string trouble_{}, words_{};
    std::uint64_t write_failures_ = 0;
};

}  // namespace livecanary::daemon
