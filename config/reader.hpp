#pragma once
// Reads TOML tables into plain structs and collects every mistake with its place in the file.
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/impl/forward_declarations.h>

#include "config/secret.hpp"

namespace livecanary::config {

/// A place in a file, from 1. 0:0 where the file has no place to show.
struct Position {
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

/// What stands at the place of a mistake: it decides how much of the line may be shown (excerpt.hpp).
enum class Place {
    value,   ///< a value with nothing to hide
    secret,  ///< a secret
    key,     ///< a key that nobody knows: nobody knows either whether its value is a secret
    table,   ///< the header or the brace of a table
    syntax,  ///< something that is not TOML
};

/// One mistake in a configuration file; prints as `file:line:column: key: message`, a warning as
/// `file:line:column: warning: key: message`, and without the numbers or the key if it has none.
struct Mistake {
    std::string file;
    Position at{};
    std::string key{};
    std::string message{};
    bool warning = false;  ///< a warning does not refuse the file
    Place place = Place::value;
};

std::string to_string(const Mistake& mistake);

/// One probe naming another: that it exists is known only when all files are read.
struct Reference {
    std::string probe;     ///< the name it was given
    Mistake if_missing{};  ///< without its message
};

/// What a configuration may reach besides its own text. Tests replace every member.
struct Surroundings {
    /// The value of an environment variable, if set.
    std::function<std::optional<std::string>(const std::string& name)> environment;
    /// The content of a file, or the words why not ("No such file or directory").
    struct Content {
        std::optional<std::string> text{};
        std::string error{};
        bool others_can_read = false;  ///< group or world has read permission
    };
    std::function<Content(const std::string& path)> read_file;
    std::string credentials_directory{};  ///< $CREDENTIALS_DIRECTORY; empty outside systemd
    /// The names in a directory, in any order; none if it does not exist. May be empty: no directory exists.
    struct Listing {
        std::vector<std::string> names{};
        std::string error{};
    };
    std::function<Listing(const std::string& path)> list_directory{};
    std::string host_name{};
    /// Why the file cannot be read, without reading it; empty if it can be. May be empty: nobody looks.
    std::function<std::string(const std::string& path)> unreadable{};
};

/// The real ones: the process environment and the file system (blocking: not for the event loop). Files over
/// 4 MiB are not read.
Surroundings real_surroundings();

/// What all tables of one file share while it is read.
struct File {
    std::string name;
    bool others_can_read = false;
    const Surroundings* surroundings = nullptr;
    std::vector<Mistake>* mistakes = nullptr;
    std::vector<Secret>* secrets = nullptr;        ///< every secret resolved, if someone wants to know
    std::vector<Reference>* references = nullptr;  ///< every probe named by another, likewise
};

/// Reads one table. A bad value is noted and the member keeps its default, so one pass over the
/// file finds all its mistakes. `unread()` turns the keys nobody asked for into mistakes too.
class Reader {
public:
    /// `table` and `file` must outlive the reader.
    Reader(const toml::table& table, std::string path, const File& file)
        : table_(&table), path_(std::move(path)), file_(&file) {}

    bool has(std::string_view key) const;

    void required(std::string_view key, std::string& out);  ///< an empty string is a mistake too
    void optional(std::string_view key, std::string& out);
    void optional(std::string_view key, bool& out);
    void optional(std::string_view key, double& out, double min, double max);

    /// An integer in [min, max].
    template <class Int>
    requires std::is_integral_v<Int>
    void optional(std::string_view key, Int& out, std::int64_t min, std::int64_t max) {
        auto value = static_cast<std::int64_t>(out);
        integer(key, value, min, max);
        out = static_cast<Int>(value);
    }

    /// A duration written as a string of numbers with units (units.hpp): "250ms", "5s", "1m30s", "1h", "7d".
    void optional(std::string_view key, std::chrono::milliseconds& out,
                  std::chrono::milliseconds min = std::chrono::milliseconds(1),
                  std::chrono::milliseconds max = std::chrono::hours(24 * 366));

    /// A size written as a string with a unit: "512B", "64KiB", "1MiB", "10MB", "1GiB". In bytes.
    void size(std::string_view key, std::uint64_t& out, std::uint64_t min, std::uint64_t max);

    /// A list of strings.
    void optional(std::string_view key, std::vector<std::string>& out);
    /// A list of integers.
    void optional(std::string_view key, std::vector<std::int64_t>& out);

    /// The name of a file, socket or folder; a relative one counts from the folder of the configuration file.
    void path(std::string_view key, std::string& out);
    /// The same of a file that will be read: that it cannot be is a mistake.
    void readable(std::string_view key, std::string& out);
    /// The name of another probe of this configuration.
    void reference(std::string_view key, std::string& out);

    /// A string out of a closed set; a mistake lists the set and the nearest member.
    void one_of(std::string_view key, std::string& out, std::span<const std::string_view> allowed);

    /// { file = "…" }, { env = "…" }, { credential = "…" }, or a plain string (a warning; refused where
    /// others can read the file). A relative `file` counts from the folder of the configuration file.
    /// Trailing line ends are dropped; what is empty then is a mistake.
    void secret(std::string_view key, Secret& out);
    void required_secret(std::string_view key, Secret& out);

    /// The sub-table of that name, if there is one; call its unread() too.
    std::optional<Reader> table(std::string_view key);
    /// The tables of an array of tables ([[probe.table]] or an inline array of tables).
    std::vector<Reader> tables(std::string_view key);
    /// Every key of this table with its string value: for `labels` and the like. Marks them read.
    std::map<std::string, std::string> strings();

    /// Notes a mistake of the caller's own at the place of `key` (or of the table, if it is not there).
    void mistake(std::string_view key, std::string message);
    /// The same at an element of the list `key`, from 0.
    void mistake(std::string_view key, std::size_t index, std::string message);
    void warning(std::string_view key, std::string message);
    /// Where `key` stands, or the table if it is not there.
    Position at(std::string_view key) const;
    const std::string& file() const noexcept { return file_->name; }

    /// The whole table as TOML again, keys sorted, comments gone: plain secrets included, so not for people.
    std::string text() const;

    /// Makes every key that nobody asked for a mistake.
    void unread();

private:
    const toml::node* find(std::string_view key);
    /// The string at `key`, if there is one; anything else there is a mistake.
    const std::string* string(std::string_view key);
    void integer(std::string_view key, std::int64_t& out, std::int64_t min, std::int64_t max);
    /// The value that a secret's table (this one) names with its key `source`; a mistake if there is none.
    std::optional<std::string> secret_from(std::string_view source, const std::string& name);
    std::string beside_file(const std::string& name) const;
    std::string name_of(std::string_view key) const;
    Mistake make_mistake(std::string_view key, Position where, std::string message, Place place) const;
    void note(std::string_view key, const toml::node& node, std::string message);
    void note(std::string_view key, Position where, std::string message, Place place = Place::value);

    const toml::table* table_;
    std::string path_;
    const File* file_;
    std::set<std::string, std::less<>> read_{};
};

}  // namespace livecanary::config
