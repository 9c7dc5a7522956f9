#pragma once
// A state directory of a test's own, and what a test says of it with SQLite itself.
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace livecanary::daemon::test {

/// Removed, with all in it, at the end.
class StateFolder {
public:
    StateFolder() {
        std::string pattern = testing::TempDir() + "livecanary_state_XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
        path_ = pattern;
    }
    /// One that somebody else made and removes.
    explicit StateFolder(std::filesystem::path path) : path_(std::move(path)), ours_(false) {}
    StateFolder(const StateFolder&) = delete;
    StateFolder& operator=(const StateFolder&) = delete;
    ~StateFolder() {
        std::error_code ignored;
        if (ours_) std::filesystem::remove_all(path_, ignored);
    }

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path file() const { return path_ / "state.sqlite"; }
    /// The names of files that were set aside, in order.
    std::vector<std::string> set_aside() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(path_))
            if (const auto name = entry.path().filename().string();
                name.find(".corrupt-") != std::string::npos)
                names.push_back(name);
        return names;
    }

private:
    std::filesystem::path path_;
    bool ours_ = true;
};

/// A shell on the file, beside the store.
class Shell {
public:
    explicit Shell(const std::filesystem::path& file) {
        if (sqlite3_open(file.c_str(), &database_) != SQLITE_OK) throw std::runtime_error("no shell");
        sqlite3_busy_timeout(database_, 5000);
    }
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;
    ~Shell() { sqlite3_close(database_); }

    /// The first column of the last row, as text.
    std::string run(const std::string& sql) {
        std::string last;
        const auto keep = [](void* out, int, char** values, char**) {
            *static_cast<std::string*>(out) = values[0] != nullptr ? values[0] : "NULL";
            return 0;
        };
        char* words = nullptr;
        if (sqlite3_exec(database_, sql.c_str(), keep, &last, &words) != SQLITE_OK) {
            ADD_FAILURE() << sql << ": " << words;
            sqlite3_free(words);
        }
        return last;
    }

private:
    sqlite3* database_ = nullptr;
};

}  // namespace livecanary::daemon::test
