#include "daemon/config_facts.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <utility>

#include "config/source.hpp"

namespace livecanary::daemon {
namespace {

using Source = SecretPlace::Source;

constexpr std::array<std::pair<std::string_view, Source>, 3> sources{
    {{"file", Source::file}, {"env", Source::env}, {"credential", Source::credential}}};

class Walk {
public:
    Walk(ConfigFacts& facts, const config::Surroundings& surroundings,
         const std::vector<config::Mistake>& mistakes, std::string file)
        : facts_(facts), around_(surroundings), mistakes_(mistakes), file_(std::move(file)) {}

    void table(const toml::table& table, const std::string& prefix) {
        if (secret(table, prefix)) return;
        for (const auto& [key, node] : table)
            value(node, prefix.empty() ? std::string(key.str()) : prefix + '.' + std::string(key.str()));
    }
    void logs(const toml::table& root) {
        const auto* probes = root["probe"].as_array();
        if (probes == nullptr) return;
        for (const auto& node : *probes) {
            const auto* probe = node.as_table();
            if (probe == nullptr || (*probe)["kind"].value_or(std::string_view()) != "log_keywords") continue;
            LogPaths found{.probe = std::string((*probe)["name"].value_or(std::string_view()))};
            if (const auto* paths = (*probe)["paths"].as_array())
                for (const auto& path : *paths)
                    if (const auto text = path.value<std::string>()) found.paths.push_back(*text);
            facts_.logs.push_back(std::move(found));
        }
    }

private:
    void value(const toml::node& node, const std::string& name) {
        if (const auto* inner = node.as_table()) {
            table(*inner, name);
        } else if (const auto* list = node.as_array()) {
            std::size_t number = 0;
            for (const auto& element : *list) {
                ++number;
                std::string own = name + '.' + std::to_string(number);
                // People know a probe by its name.
                if (const auto* probe = element.as_table(); probe != nullptr && name == "probe")
                    own = (*probe)["name"].value_or(own);
                value(element, own);
            }
        } else if (const auto* text = node.as_string()) {
            const auto at = place(node);
            if (name == "web.tls.key") {
                // A path as it stands, since that is what it is everywhere else.
                SecretPlace found = begin(name, at);
                found.source = Source::file;
                found.where = text->get();
                resolve(found);
                facts_.secrets.push_back(std::move(found));
                return;
            }
            // A hash, of which a weak password can be guessed.
            const bool is_hash = name.starts_with("web.users.");
            const bool is_secret =
                is_hash || std::ranges::any_of(mistakes_, [&](const config::Mistake& mistake) {
                    return mistake.place == config::Place::secret && mistake.file == file_ &&
                           mistake.at.line == at.line && mistake.at.column == at.column;
                });
            if (!is_secret) return;
            SecretPlace found = begin(name, at);
            found.value = config::Secret(text->get());
            facts_.secrets.push_back(std::move(found));
        }
    }

    /// { file = "…" } and the like.
    bool secret(const toml::table& table, const std::string& name) {
        if (table.size() != 1) return false;
        const auto first = table.begin();  // it holds what it leads to
        const auto& [key, node] = *first;
        const auto source = std::ranges::find(sources, key.str(), &decltype(sources)::value_type::first);
        const auto* where = node.as_string();
        if (source == sources.end() || where == nullptr) return false;
        SecretPlace found = begin(name, place(table));
        found.source = source->second;
        found.where = where->get();
        resolve(found);
        facts_.secrets.push_back(std::move(found));
        return true;
    }

    void resolve(SecretPlace& found) const {
        std::optional<std::string> text;
        if (found.source == Source::env) {
            text = around_.environment(found.where);
            if (!text) found.error = "the environment variable is not set";
        } else if (found.source == Source::credential && around_.credentials_directory.empty()) {
            found.error = "$CREDENTIALS_DIRECTORY is not set";
        } else {
            found.path = found.source == Source::credential
                             ? around_.credentials_directory + '/' + found.where
                             : beside(found.where);
            auto content = around_.read_file(found.path);
            text = std::move(content.text);
            found.error = std::move(content.error);
        }
        if (!text) return;
        while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
        if (text->empty()) found.error = "it is empty";
        found.value = config::Secret(*std::move(text));
    }

    /// As config::Reader has it: a relative path counts from the folder of the configuration.
    std::string beside(const std::string& path) const {
        const auto slash = file_.rfind('/');
        if (path.starts_with('/') || slash == std::string::npos) return path;
        return file_.substr(0, slash + 1) + path;
    }
    SecretPlace begin(const std::string& name, config::Position at) const {
        SecretPlace found;
        found.name = name;
        found.file = file_;
        found.at = at;
        return found;
    }
    static config::Position place(const toml::node& node) {
        return {node.source().begin.line, node.source().begin.column};
    }

    ConfigFacts& facts_;
    const config::Surroundings& around_;
    const std::vector<config::Mistake>& mistakes_;
    std::string file_;
};

}  // namespace

ConfigFacts read_config_facts(const std::string& path, const config::Surroundings& surroundings,
                              const std::vector<config::Mistake>& mistakes) {
    ConfigFacts facts;
    std::vector<config::Mistake> again;
    for (const config::Source& source : config::read_sources(path, surroundings, again)) {
        if (source.table() == nullptr) continue;
        Walk walk(facts, surroundings, mistakes, source.file().name);
        walk.table(*source.table(), "");
        walk.logs(*source.table());
    }
    return facts;
}

}  // namespace livecanary::daemon
