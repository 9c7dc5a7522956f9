#include "daemon/state_file.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <thread>
#include <utility>

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

/// Of the tables below. A file of a later version is left alone: a newer daemon may be at work in it.
constexpr std::int64_t schema_version = 4;
/// What turns a file of each version into one of the next.
constexpr const char* schema[schema_version] = {
    "CREATE TABLE litter (probe TEXT NOT NULL, store TEXT NOT NULL, item TEXT NOT NULL, made_ms INTEGER NOT "
    "NULL,"
    " owner TEXT NOT NULL, PRIMARY KEY (probe, store, item)) WITHOUT ROWID;"
    "PRAGMA user_version = 1;",
    "CREATE TABLE memory (probe TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY (probe, key)) WITHOUT ROWID;"
    "PRAGMA user_version = 2;",
    "CREATE TABLE alert (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version = 3;",
    "CREATE TABLE incident (id TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version = 4;"};

/// Another process writes for milliseconds; somebody with a shell open may do so for as long as he likes.
constexpr int busy_milliseconds = 1000;
constexpr auto between_openings = 60s;
constexpr int most_tries = 20;
constexpr auto between_tries = 20ms;

std::string words_of(int error) { return std::generic_category().message(error); }

std::int64_t milliseconds_of(WallTime time) {
    return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

class Statement {
public:
    Statement(sqlite3* database, const char* sql)
        : code_(sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr)) {}
    ~Statement() { sqlite3_finalize(statement_); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    void bind(int at, const std::string& text) {
        if (code_ == SQLITE_OK)
            code_ = sqlite3_bind_text64(statement_, at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    void bind(int at, std::int64_t number) {
        if (code_ == SQLITE_OK) code_ = sqlite3_bind_int64(statement_, at, number);
    }
    /// SQLITE_ROW, SQLITE_DONE or what went wrong.
    int step() { return code_ != SQLITE_OK ? code_ : sqlite3_step(statement_); }
    std::int64_t number(int column) { return sqlite3_column_int64(statement_, column); }
    std::string text(int column) {
        // The cast is SQLite's way from its bytes to text.
        const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
        return bytes != nullptr
                   ? std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)))
                   : std::string();
    }

private:
    sqlite3_stmt* statement_ = nullptr;
    int code_;
};

LitterKey key_of(const Litter& litter) { return {litter.probe, litter.store, litter.item}; }

}  // namespace

void StateFile::Close::operator()(sqlite3* database) const noexcept { sqlite3_close(database); }

StateFile::StateFile(StateOptions options)
    : options_(std::move(options)), path_(options_.directory + "/state.sqlite") {
    open();
    if (!database_) give_up();
}

StateFile::~StateFile() = default;

void StateFile::record(const Litter& litter) {
    auto key = key_of(litter);
    const auto made = std::chrono::floor<std::chrono::milliseconds>(litter.made);
    auto& entry = entries_.try_emplace(key, LitterEntry{.made = made}).first->second;
    entry.owner = options_.owner;
    pending_[std::move(key)] = entry;
    write();
}

void StateFile::strike(const Litter& litter) {
    auto key = key_of(litter);
    const auto at = entries_.find(key);
    // What never came to the file needs no striking out there, or a long time without a disk would pile it
    // up.
    const bool in_file = at == entries_.end() ? database_ != nullptr : at->second.written;
    if (at != entries_.end()) entries_.erase(at);
    if (in_file) {
        pending_[std::move(key)].reset();
    } else {
        pending_.erase(key);
    }
    write();
}

void StateFile::refresh() {
    check_place();
    if (!database_) {
        open();
    } else if (!load()) {
        give_up();
    }
}

/// Opens the file, or else another in the place of a bad one. Without `database_` afterwards, `words_` says
/// why.
void StateFile::open() {
    const auto now = options_.now();
    if (!database_ && opened_ != Clock::time_point{} && now - opened_ < between_openings) return;
    opened_ = now;
    if (open_once()) return;
    database_.reset();
    if (options_.keeper && (code_ == SQLITE_CORRUPT || code_ == SQLITE_NOTADB || code_ == SQLITE_PERM)) {
        if (!set_aside() || !open_once()) database_.reset();
    }
}

bool StateFile::open_once() {
    database_.reset();
    if (!prepare_file()) return false;
    sqlite3* opened = nullptr;
    const int code =
        sqlite3_open_v2(path_.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    database_.reset(opened);
    if (code != SQLITE_OK) return failed(code);
    sqlite3_busy_timeout(opened, busy_milliseconds);
    struct stat facts {};
    if (::stat(path_.c_str(), &facts) != 0) return failed(SQLITE_CANTOPEN, words_of(errno));
    if (facts.st_dev != device_ || facts.st_ino != inode_) file_lost();
    device_ = facts.st_dev;
    inode_ = facts.st_ino;
    // SQLite does not wait for its turn when another process is just turning the new file to WAL.
    for (int tries = 1; !set_up(); ++tries) {
        if (code_ != SQLITE_BUSY || tries == most_tries) return false;
        sqlite3_exec(opened, "ROLLBACK", nullptr, nullptr, nullptr);
        std::this_thread::sleep_for(between_tries);
    }
    if (!load()) return false;
    // The names of new files are durable only with their directory.
    if (const int directory = ::open(options_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        directory >= 0) {
        ::fsync(directory);
        ::close(directory);
    }
    return true;
}

/// Makes the file if it is not there, and finds out what SQLite would not say clearly.
bool StateFile::prepare_file() {
    // Its parent is the administrator's to make.
    ::mkdir(options_.directory.c_str(), 0700);
    const int made = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const int error = errno;
    if (made >= 0) {
        // Made by root, with `livecanary probe` before the daemon's first start, it must be the daemon's yet.
        struct stat directory {};
        bool ours = true;
        if (::geteuid() == 0 && ::stat(options_.directory.c_str(), &directory) == 0)
            ours = ::fchown(made, directory.st_uid, directory.st_gid) == 0;
        ::close(made);
        file_lost();
        return ours || failed(SQLITE_CANTOPEN, "its owner cannot be set");
    }
    if (error != EEXIST) return failed(SQLITE_CANTOPEN, words_of(error));
    struct stat facts {};
    if (::stat(path_.c_str(), &facts) == 0 && !S_ISREG(facts.st_mode))
        return failed(SQLITE_PERM, "not a regular file");
    if (::access(path_.c_str(), R_OK | W_OK) != 0)
        return failed(errno == EACCES ? SQLITE_PERM : SQLITE_CANTOPEN, words_of(errno));
    return true;
}

bool StateFile::set_up() {
    // WAL: a reader never waits for a writer. FULL: a commit returns once it is on the disk.
    if (!run("PRAGMA journal_mode = WAL") || !run("PRAGMA synchronous = FULL")) return false;
    // Two processes may be the first at the same time.
    if (!run("BEGIN IMMEDIATE")) return false;
    std::int64_t version = 0;
    if (!number("PRAGMA user_version", version)) return false;
    if (version > schema_version)
        return failed(SQLITE_MISMATCH, "written by a newer livecanary (version " + std::to_string(version) +
                                           " of the file, this one knows " + std::to_string(schema_version) +
                                           ")");
    if (version < 0) return failed(SQLITE_CORRUPT, "its version is " + std::to_string(version));
    for (; version < schema_version; ++version)
        if (!run(schema[version])) return false;
    return run("COMMIT");
}

/// Renames what cannot be used, so that a new file can be begun and a person may look at the old one.
bool StateFile::set_aside() {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.wall().time_since_epoch());
    const std::string aside = path_ + ".corrupt-" + std::to_string(seconds.count());
    const std::string why = words_;
    if (::rename(path_.c_str(), aside.c_str()) != 0) return false;
    ::rename((path_ + "-wal").c_str(), (aside + "-wal").c_str());
    ::unlink((path_ + "-shm").c_str());
    if (options_.say)
        options_.say(log::Level::error, "the state cannot be read: set aside, and begun anew",
                     {{"file", path_}, {"error", why}, {"kept_as", aside}});
    file_lost();
    return true;
}

/// Another file is in the place of ours, or none: what we know is written again.
void StateFile::file_lost() {
    for (auto& [key, entry] : entries_) {
        entry.written = false;
        pending_[key] = entry;
    }
    for (const auto& [key, value] : memories_) pending_memories_.insert(key);
    alerts_.lost();
    incidents_.lost();
}

/// The entries as the file has them, with what waits to be written.
bool StateFile::load() {
    Statement select(database_.get(), "SELECT probe, store, item, made_ms, owner FROM litter");
    std::map<LitterKey, LitterEntry> found;
    int code = SQLITE_OK;
    while ((code = select.step()) == SQLITE_ROW)
        found[{select.text(0), select.text(1), select.text(2)}] = {
            WallTime(std::chrono::milliseconds(select.number(3))), select.text(4), true};
    if (code != SQLITE_DONE) return failed(code);
    for (const auto& [key, entry] : pending_) {
        if (!entry) {
            found.erase(key);
        } else {
            const LitterEntry waiting{.made = entry->made};
            found.try_emplace(key, waiting).first->second.owner = entry->owner;
        }
    }
    entries_ = std::move(found);
    return load_memories();
}

/// What is not known yet: what this process remembers is newer than the file.
bool StateFile::load_memories() {
    Statement select(database_.get(), "SELECT probe, key, value FROM memory");
    int code = SQLITE_OK;
    while ((code = select.step()) == SQLITE_ROW)
        memories_.try_emplace({select.text(0), select.text(1)}, select.text(2));
    if (code != SQLITE_DONE) return failed(code);
    return load_texts(alerts_) && load_texts(incidents_);
}

/// Likewise; what waits to be removed is not known again.
bool StateFile::load_texts(Texts& texts) {
    Statement select(database_.get(), texts.sql.select);
    int code = SQLITE_OK;
    while ((code = select.step()) == SQLITE_ROW)
        if (auto name = select.text(0); !texts.pending.contains(name))
            texts.known.try_emplace(std::move(name), select.text(1));
    return code == SQLITE_DONE || failed(code);
}

void StateFile::remember(const MemoryKey& key, std::string value) {
    memories_[key] = std::move(value);
    pending_memories_.insert(key);
    write();
}

void StateFile::keep_alert(const std::string& name, std::optional<std::string> text) {
    keep(alerts_, name, std::move(text));
}

void StateFile::keep_incident(const std::string& id, std::optional<std::string> text) {
    keep(incidents_, id, std::move(text));
}

void StateFile::keep(Texts& texts, const std::string& name, std::optional<std::string> text) {
    if (text)
        texts.known[name] = *std::move(text);
    else if (texts.known.erase(name) == 0)
        return;
    texts.pending.insert(name);
    write();
}

void StateFile::Texts::lost() {
    for (const auto& [name, text] : known) pending.insert(name);
}

/// Lets go of a file that is no longer the one at our path: what is written to it would be lost.
void StateFile::check_place() {
    struct stat facts {};
    if (!database_ ||
        (::stat(path_.c_str(), &facts) == 0 && facts.st_dev == device_ && facts.st_ino == inode_))
        return;
    file_lost();
    database_.reset();
    opened_ = {};
}

/// Writes all that waits, if it can be.
void StateFile::write() {
    if (pending_.empty() && pending_memories_.empty() && alerts_.pending.empty() &&
        incidents_.pending.empty())
        return;
    check_place();
    if (!database_) open();
    bool done = database_ && write_pending();
    if (!done && database_ && options_.keeper && (code_ == SQLITE_CORRUPT || code_ == SQLITE_NOTADB)) {
        database_.reset();
        done = set_aside() && open_once() && write_pending();
    }
    if (!done) {
        ++write_failures_;
        give_up();
    } else if (!trouble_.empty()) {
        trouble_.clear();
        if (options_.say) options_.say(log::Level::info, "the state is on disk again", {{"file", path_}});
    }
}

bool StateFile::write_pending() {
    if (!run("BEGIN IMMEDIATE")) return false;
    const bool done =
        std::ranges::all_of(pending_, [this](const auto& p) { return write_one(p.first, p.second); }) &&
        std::ranges::all_of(pending_memories_, [this](const auto& key) { return write_memory(key); }) &&
        write_texts(alerts_) && write_texts(incidents_);
    if (!done || !run("COMMIT")) {
        // Some failures end the transaction, some leave it open.
        sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
        return false;
    }
    for (const auto& [key, entry] : pending_)
        if (const auto at = entries_.find(key); at != entries_.end()) at->second.written = true;
    pending_.clear();
    pending_memories_.clear();
    alerts_.pending.clear();
    incidents_.pending.clear();
    return true;
}

bool StateFile::write_memory(const MemoryKey& key) {
    Statement statement(database_.get(),
                        "INSERT INTO memory (probe, key, value) VALUES (?1, ?2, ?3)"
                        " ON CONFLICT (probe, key) DO UPDATE SET value = excluded.value");
    statement.bind(1, key.probe);
    statement.bind(2, key.key);
    statement.bind(3, memories_.at(key));
    const int code = statement.step();
    return code == SQLITE_DONE || failed(code);
}

bool StateFile::write_texts(const Texts& texts) {
    for (const auto& name : texts.pending) {
        const auto at = texts.known.find(name);
        Statement statement(database_.get(), at != texts.known.end() ? texts.sql.put : texts.sql.remove);
        statement.bind(1, name);
        if (at != texts.known.end()) statement.bind(2, at->second);
        if (const int code = statement.step(); code != SQLITE_DONE) return failed(code);
    }
    return true;
}

bool StateFile::write_one(const LitterKey& key, const std::optional<LitterEntry>& entry) {
    Statement statement(
        database_.get(),
        entry ? "INSERT INTO litter (probe, store, item, made_ms, owner) VALUES (?1, ?2, ?3, ?4, ?5)"
                " ON CONFLICT (probe, store, item) DO UPDATE SET owner = excluded.owner"
              : "DELETE FROM litter WHERE probe = ?1 AND store = ?2 AND item = ?3");
    statement.bind(1, key.probe);
    statement.bind(2, key.store);
    statement.bind(3, key.item);
    if (entry) {
        statement.bind(4, milliseconds_of(entry->made));
        statement.bind(5, entry->owner);
    }
    const int code = statement.step();
    return code == SQLITE_DONE || failed(code);
}

bool StateFile::run(const char* sql) {
    const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
    return code == SQLITE_OK || failed(code);
}

bool StateFile::number(const char* sql, std::int64_t& out) {
    Statement statement(database_.get(), sql);
    const int code = statement.step();
    if (code != SQLITE_ROW) return failed(code);
    out = statement.number(0);
    return true;
}

/// Keeps why; always false.
bool StateFile::failed(int code, std::string words) {
    code_ = code & 0xff;  // without what SQLite's extended codes add
    if (words.empty()) words = database_ ? sqlite3_errmsg(database_.get()) : sqlite3_errstr(code);
    words_ = std::move(words);
    return false;
}

/// From here on in memory, until a write succeeds.
void StateFile::give_up() {
    // A full disk or a busy file may serve the next time; anything else is opened again after a while.
    if (code_ != SQLITE_FULL && code_ != SQLITE_IOERR && code_ != SQLITE_BUSY) database_.reset();
    if (!std::exchange(trouble_, words_).empty()) return;
    if (options_.say)
        options_.say(log::Level::error, "the state cannot be written: it is kept in memory only",
                     {{"file", path_}, {"error", words_}});
}

}  // namespace livecanary::daemon
