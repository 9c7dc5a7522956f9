#pragma once
// A configuration out of strings: its files, its environment, its credentials.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/reader.hpp"
#include "config/source.hpp"

namespace livecanary::test {

/// The world of a configuration under test. Nothing exists in it but what a test puts there.
struct FakeWorld {
    std::map<std::string, std::string> files{};
    std::map<std::string, std::string> variables{};
    std::string credentials_directory{};
    std::string host_name = "test-host";
    bool others_can_read = false;

    /// The world must outlive what it gives.
    config::Surroundings surroundings() const {
        return {.environment = [this](const std::string& name) { return find(variables, name); },
                .read_file =
                    [this](const std::string& path) {
                        auto text = find(files, path);
                        const bool found = text.has_value();
                        return config::Surroundings::Content{
                            std::move(text), found ? "" : "No such file or directory", others_can_read};
                    },
                .credentials_directory = credentials_directory,
                .list_directory =
                    [this](const std::string& path) {
                        config::Surroundings::Listing listing;
                        for (const auto& [name, text] : files)
                            if (name.starts_with(path + '/'))
                                listing.names.insert(listing.names.begin(), name.substr(path.size() + 1));
                        return listing;
                    },
                .host_name = host_name};
    }

private:
    static std::optional<std::string> find(const std::map<std::string, std::string>& in,
                                           const std::string& name) {
        const auto found = in.find(name);
        return found != in.end() ? std::optional(found->second) : std::nullopt;
    }
};

/// One table of TOML under a Reader, as a file `t.toml` of its own: `mistakes()` is what the reader found.
class TomlText {
public:
    explicit TomlText(std::string text, FakeWorld world = {}, std::string path = "probe")
        : world_(std::move(world)) {
        world_.files["t.toml"] = std::move(text);
        surroundings_ = world_.surroundings();
        source_.emplace("t.toml", surroundings_, found_);
        file_ = source_->file();
        file_.secrets = &secrets_;
        if (source_->table() != nullptr)
            reader_.emplace(*source_->table(), std::move(path), file_);
        else
            ADD_FAILURE() << to_string(found_.front());
    }
    TomlText(const TomlText&) = delete;
    TomlText& operator=(const TomlText&) = delete;

    config::Reader& reader() { return reader_.value(); }
    const std::vector<config::Secret>& secrets() const { return secrets_; }
    std::vector<std::string> mistakes() const {
        std::vector<std::string> lines;
        for (const config::Mistake& mistake : found_) lines.push_back(to_string(mistake));
        return lines;
    }

private:
    FakeWorld world_;
    config::Surroundings surroundings_{};
    std::vector<config::Mistake> found_{};
    std::vector<config::Secret> secrets_{};
    std::optional<config::Source> source_{};
    config::File file_{};
    std::optional<config::Reader> reader_{};
};

}  // namespace livecanary::test
