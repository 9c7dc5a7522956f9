#pragma once
// The files of a configuration: the one named, and conf.d/*.toml beside it.
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "config/reader.hpp"

namespace livecanary::config {

/// One file, read and parsed.
class Source {
public:
    /// Reads `name`. What stands against that becomes a mistake of `mistakes`, which must outlive this.
    Source(std::string name, const Surroundings& surroundings, std::vector<Mistake>& mistakes);
    ~Source();
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    /// Null if the file could not be read or is not TOML.
    const toml::table* table() const noexcept { return table_.get(); }
    const File& file() const noexcept { return file_; }
    const std::string& text() const noexcept { return text_; }

private:
    File file_;
    std::string text_{};
    std::unique_ptr<const toml::table> table_{};
};

/// Reads `path`, then conf.d/*.toml in its folder in name order, hidden files left out.
std::deque<Source> read_sources(const std::string& path, const Surroundings& surroundings,
                                std::vector<Mistake>& mistakes);

/// A key of a table set in two files is a mistake. Lists of tables, such as [[probe]], add up instead.
void forbid_repeats(const std::deque<Source>& sources, std::vector<Mistake>& mistakes);

}  // namespace livecanary::config
