#include "config/source.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <map>
#include <utility>

namespace livecanary::config {
namespace {

/// The parser's words without the pieces of values it quotes: they could be of a secret. Single characters
/// stay.
std::string without_values(std::string_view words) {
    std::string kept;
    for (const std::string_view before : {"saw '", "interpret '", ": '"}) {
        const std::size_t found = words.find(before);
        if (found == std::string_view::npos) continue;
        const std::size_t begin = found + before.size();
        const std::size_t end = words.find('\'', begin + 1);
        const std::string_view piece = words.substr(begin, end - begin);
        const auto starts_character = [](char c) { return (c & 0xC0) != 0x80; };
        const auto characters = std::ranges::count_if(piece, starts_character);
        if (end == std::string_view::npos || characters <= (piece.starts_with('\\') ? 2 : 1)) continue;
        kept.append(words.substr(0, begin)).append("***").append(words.substr(end));
        return kept;
    }
    return std::string(words);
}

class Repeats {
public:
    explicit Repeats(std::vector<Mistake>& mistakes) : mistakes_(&mistakes) {}

    void add(const toml::table& table, const std::string& prefix, const std::string& file) {
        for (const auto& [key, node] : table) {
            const std::string path = prefix + std::string(key.str());
            if (const toml::table* inner = node.as_table()) {
                add(*inner, path + '.', file);
                continue;
            }
            if (node.is_array_of_tables()) continue;
            const Position at{key.source().begin.line, key.source().begin.column};
            const auto [first, is_new] = first_.try_emplace(path, file, at);
            if (is_new) continue;
            const auto& [first_file, first_at] = first->second;
            mistakes_->push_back({.file = file,
                                  .at = at,
                                  .key = path,
                                  .message = "already set at " + first_file + ':' +
                                             std::to_string(first_at.line) + ':' +
                                             std::to_string(first_at.column),
                                  .place = Place::key});
        }
    }

private:
    std::vector<Mistake>* mistakes_;
    std::map<std::string, std::pair<std::string, Position>> first_{};
};

}  // namespace

Source::Source(std::string name, const Surroundings& surroundings, std::vector<Mistake>& mistakes)
    : file_{.name = std::move(name), .surroundings = &surroundings, .mistakes = &mistakes} {
    Surroundings::Content content = surroundings.read_file(file_.name);
    if (!content.text) {
        mistakes.push_back({.file = file_.name, .message = "cannot read: " + content.error});
        return;
    }
    file_.others_can_read = content.others_can_read;
    text_ = *std::move(content.text);
    try {
        table_ = std::make_unique<const toml::table>(toml::parse(std::string_view(text_)));
    } catch (const toml::parse_error& error) {
        const toml::source_position where = error.source().begin;
        mistakes.push_back({.file = file_.name,
                            .at = {where.line, where.column},
                            .message = without_values(error.description()),
                            .place = Place::syntax});
    }
}

Source::~Source() = default;

std::deque<Source> read_sources(const std::string& path, const Surroundings& surroundings,
                                std::vector<Mistake>& mistakes) {
    std::deque<Source> sources;
    sources.emplace_back(path, surroundings, mistakes);
    if (!surroundings.list_directory) return sources;

    const std::size_t slash = path.rfind('/');
    const std::string folder = (slash == std::string::npos ? "" : path.substr(0, slash + 1)) + "conf.d";
    Surroundings::Listing listing = surroundings.list_directory(folder);
    if (!listing.error.empty())
        mistakes.push_back({.file = folder, .message = "cannot read: " + listing.error});
    std::ranges::sort(listing.names);
    for (const std::string& name : listing.names)
        if (name.ends_with(".toml") && !name.starts_with('.'))
            sources.emplace_back(folder + '/' + name, surroundings, mistakes);
    return sources;
}

void forbid_repeats(const std::deque<Source>& sources, std::vector<Mistake>& mistakes) {
    Repeats repeats(mistakes);
    for (const Source& source : sources)
        if (source.table() != nullptr) repeats.add(*source.table(), "", source.file().name);
}

}  // namespace livecanary::config
