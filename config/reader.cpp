#include "config/reader.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>

#include "config/nearest.hpp"
#include "config/units.hpp"

namespace livecanary::config {
namespace {

std::string_view type_name(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::string:
            return "a string";
        case toml::node_type::integer:
            return "an integer";
        case toml::node_type::floating_point:
            return "a float";
        case toml::node_type::boolean:
            return "a boolean";
        case toml::node_type::array:
            return "a list";
        case toml::node_type::table:
            return "a table";
        default:
            return "a date or time";
    }
}

std::string expected(std::string_view what, const toml::node& found) {
    return std::string("expected ").append(what).append(", found ").append(type_name(found));
}

std::string out_of_range(const std::string& min, const std::string& max, const std::string& found) {
    return "expected " + min + " to " + max + ", found " + found;
}

std::string quoted(std::string_view text) { return std::string("'").append(text).append("'"); }

Position begin_of(const toml::source_region& region) { return {region.begin.line, region.begin.column}; }

std::string number(double value) {
    std::ostringstream out;
    out << value;
    return std::move(out).str();
}

bool is_variable_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    return !name.empty() && std::ranges::all_of(name, allowed);
}

constexpr std::array<std::string_view, 3> secret_sources{"file", "env", "credential"};
constexpr std::string_view secret_form = R"({ file = "…" }, { env = "…" } or { credential = "…" })";

}  // namespace

std::string to_string(const Mistake& mistake) {
    std::string text = mistake.file;
    if (mistake.at.line != 0)
        text += ':' + std::to_string(mistake.at.line) + ':' + std::to_string(mistake.at.column);
    text += ": ";
    if (mistake.warning) text += "warning: ";
    if (!mistake.key.empty()) text += mistake.key + ": ";
    text += mistake.message;
    // Keys and values come from the file: none of them may move a terminal's cursor or start a log line.
    std::ranges::replace_if(
        text, [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
    return text;
}

bool Reader::has(std::string_view key) const { return table_->contains(key); }

const toml::node* Reader::find(std::string_view key) {
    read_.emplace(key);
    return table_->get(key);
}

const std::string* Reader::string(std::string_view key) {
    const toml::node* node = find(key);
    if (node == nullptr) return nullptr;
    if (const auto* text = node->as_string()) return &text->get();
    note(key, *node, expected("a string", *node));
    return nullptr;
}

void Reader::required(std::string_view key, std::string& out) {
    if (!has(key)) {
        read_.emplace(key);
        note(key, at(key), "missing", Place::table);
    } else if (const std::string* text = string(key)) {
        if (text->empty()) mistake(key, "must not be empty");
        out = *text;
    }
}

void Reader::optional(std::string_view key, std::string& out) {
    if (const std::string* text = string(key)) out = *text;
}

void Reader::optional(std::string_view key, bool& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (const auto value = node->value_exact<bool>()) {
        out = *value;
    } else {
        note(key, *node, expected("true or false", *node));
    }
}

void Reader::optional(std::string_view key, double& out, double min, double max) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (!node->is_number()) {
        note(key, *node, expected("a number", *node));
        return;
    }
    const double value = node->value<double>().value_or(min);
    if (value >= min && value <= max) {
        out = value;
    } else {
        note(key, *node, out_of_range(number(min), number(max), number(value)));
    }
}

void Reader::integer(std::string_view key, std::int64_t& out, std::int64_t min, std::int64_t max) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto value = node->value_exact<std::int64_t>();
    if (!value) {
        note(key, *node, expected("an integer", *node));
    } else if (*value < min || *value > max) {
        note(key, *node, out_of_range(std::to_string(min), std::to_string(max), std::to_string(*value)));
    } else {
        out = *value;
    }
}

void Reader::optional(std::string_view key, std::chrono::milliseconds& out, std::chrono::milliseconds min,
                      std::chrono::milliseconds max) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    constexpr std::string_view form = R"(a duration with its unit, such as "250ms", "5s" or "1m30s")";
    const auto* text = node->as_string();
    const auto value = text != nullptr ? parse_duration(text->get()) : std::nullopt;
    if (text == nullptr) {
        note(key, *node, expected(form, *node));
    } else if (!value) {
        note(key, *node,
             std::string("expected ").append(form).append(", found ").append(quoted(text->get())));
    } else if (*value < min || *value > max) {
        note(key, *node, out_of_range(format_duration(min), format_duration(max), format_duration(*value)));
    } else {
        out = *value;
    }
}

void Reader::size(std::string_view key, std::uint64_t& out, std::uint64_t min, std::uint64_t max) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    constexpr std::string_view form = R"(a size with its unit, such as "512B", "64KiB" or "10MB")";
    const auto* text = node->as_string();
    const auto value = text != nullptr ? parse_size(text->get()) : std::nullopt;
    if (text == nullptr) {
        note(key, *node, expected(form, *node));
    } else if (!value) {
        note(key, *node,
             std::string("expected ").append(form).append(", found ").append(quoted(text->get())));
    } else if (*value < min || *value > max) {
        note(key, *node, out_of_range(format_size(min), format_size(max), format_size(*value)));
    } else {
        out = *value;
    }
}

void Reader::optional(std::string_view key, std::vector<std::string>& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const toml::array* list = node->as_array();
    if (list == nullptr) {
        note(key, *node, expected("a list of strings", *node));
        return;
    }
    std::vector<std::string> texts;
    for (const toml::node& element : *list) {
        if (const auto* text = element.as_string())
            texts.push_back(text->get());
        else
            note(key, element, expected("a string", element));
    }
    if (texts.size() == list->size()) out = std::move(texts);
}

void Reader::optional(std::string_view key, std::vector<std::int64_t>& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const toml::array* list = node->as_array();
    if (list == nullptr) {
        note(key, *node, expected("a list of integers", *node));
        return;
    }
    std::vector<std::int64_t> numbers;
    for (const toml::node& element : *list) {
        if (const auto value = element.value_exact<std::int64_t>())
            numbers.push_back(*value);
        else
            note(key, element, expected("an integer", element));
    }
    if (numbers.size() == list->size()) out = std::move(numbers);
}

std::string Reader::beside_file(const std::string& name) const {
    const std::size_t slash = file_->name.rfind('/');
    if (name.starts_with('/') || slash == std::string::npos) return name;
    return file_->name.substr(0, slash + 1) + name;
}

void Reader::path(std::string_view key, std::string& out) {
    const std::string* text = string(key);
    if (text == nullptr) return;
    out = beside_file(*text);
    if (text->empty()) mistake(key, "must not be empty");
}

void Reader::readable(std::string_view key, std::string& out) {
    const std::string before = out;
    path(key, out);
    const auto& unreadable = file_->surroundings->unreadable;
    if (out == before || out.empty() || !unreadable) return;
    if (const std::string why = unreadable(out); !why.empty())
        mistake(key, "cannot read " + quoted(out) + ": " + why);
}

void Reader::reference(std::string_view key, std::string& out) {
    const std::string* text = string(key);
    if (text == nullptr) return;
    out = *text;
    if (file_->references != nullptr)
        file_->references->push_back({*text, make_mistake(key, at(key), {}, Place::value)});
}

void Reader::one_of(std::string_view key, std::string& out, std::span<const std::string_view> allowed) {
    const std::string* text = string(key);
    if (text == nullptr) return;
    if (std::ranges::find(allowed, *text) != allowed.end()) {
        out = *text;
    } else {
        mistake(key, none_of(*text, allowed));
    }
}

std::optional<std::string> Reader::secret_from(std::string_view source, const std::string& name) {
    const Surroundings& around = *file_->surroundings;
    if (source == "env") {
        // What is no name of a variable may well be the secret itself, put in the wrong place: not repeated.
        if (!is_variable_name(name)) {
            note(source, at(source), "expected the name of an environment variable", Place::secret);
            return std::nullopt;
        }
        auto value = around.environment(name);
        if (!value)
            note(source, at(source), "the environment variable " + quoted(name) + " is not set",
                 Place::secret);
        return value;
    }
    if (source == "credential" && (name.empty() || name.find('/') != std::string::npos)) {
        note(source, at(source), "expected the name of a credential", Place::secret);
        return std::nullopt;
    }
    if (source == "credential" && around.credentials_directory.empty()) {
        note(source, at(source),
             "no credential " + quoted(name) +
                 ": $CREDENTIALS_DIRECTORY is not set (systemd sets it for LoadCredential=)",
             Place::secret);
        return std::nullopt;
    }
    const std::string path =
        source == "credential" ? around.credentials_directory + '/' + name : beside_file(name);
    Surroundings::Content content = around.read_file(path);
    if (!content.text)
        note(source, at(source), "cannot read " + quoted(path) + ": " + content.error, Place::secret);
    return std::move(content.text);
}

void Reader::secret(std::string_view key, Secret& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const Position place = begin_of(node->source());
    std::optional<std::string> value;
    if (const auto* plain = node->as_string()) {
        if (file_->others_can_read) {
            note(key, place,
                 std::string("a plain secret in a file that group or others can read; use ")
                     .append(secret_form),
                 Place::secret);
            return;
        }
        value = plain->get();
        if (!value->empty()) {
            Mistake seen = make_mistake(
                key, place, std::string("a plain secret; better ").append(secret_form), Place::secret);
            seen.warning = true;
            file_->mistakes->push_back(std::move(seen));
        }
    } else if (const toml::table* table = node->as_table()) {
        Reader in(*table, name_of(key), *file_);
        std::string_view chosen;
        std::size_t sources = 0;
        for (const std::string_view source : secret_sources) {
            in.read_.emplace(source);
            if (!in.has(source)) continue;
            chosen = source;
            ++sources;
        }
        in.unread();
        if (sources != 1) {
            note(key, place, std::string("expected one of ").append(secret_form), Place::secret);
            return;
        }
        const toml::node& name = *table->get(chosen);
        if (!name.is_string()) {
            in.note(chosen, begin_of(name.source()), expected("a string", name), Place::secret);
            return;
        }
        value = in.secret_from(chosen, name.as_string()->get());
        if (!value) return;
    } else {
        note(key, place, expected(std::string("a secret: ").append(secret_form), *node), Place::secret);
        return;
    }
    while (value->ends_with('\n') || value->ends_with('\r')) value->pop_back();
    if (value->empty()) {
        note(key, place, "the secret is empty", Place::secret);
        return;
    }
    out = Secret(*std::move(value));
    if (file_->secrets != nullptr) file_->secrets->push_back(out);
}

void Reader::required_secret(std::string_view key, Secret& out) {
    if (has(key)) {
        secret(key, out);
        return;
    }
    read_.emplace(key);
    note(key, at(key), "missing", Place::table);
}

std::optional<Reader> Reader::table(std::string_view key) {
    const toml::node* node = find(key);
    if (node == nullptr) return std::nullopt;
    if (const toml::table* table = node->as_table()) return Reader(*table, name_of(key), *file_);
    note(key, *node, expected("a table", *node));
    return std::nullopt;
}

std::vector<Reader> Reader::tables(std::string_view key) {
    std::vector<Reader> readers;
    const toml::node* node = find(key);
    if (node == nullptr) return readers;
    const toml::array* list = node->as_array();
    if (list == nullptr) {
        note(key, *node,
             node->is_table() ? "expected a list of tables: write [[" + name_of(key) + "]]"
                              : expected("a list of tables", *node));
        return readers;
    }
    for (const toml::node& element : *list) {
        if (const toml::table* table = element.as_table())
            readers.emplace_back(*table, name_of(key), *file_);
        else
            note(key, element, expected("a table", element));
    }
    return readers;
}

std::map<std::string, std::string> Reader::strings() {
    std::map<std::string, std::string> all;
    for (const auto& [key, node] : *table_)
        if (const std::string* text = string(key.str())) all.emplace(key.str(), *text);
    return all;
}

Position Reader::at(std::string_view key) const {
    const toml::node* node = table_->get(key);
    return begin_of(node != nullptr ? node->source() : table_->source());
}

std::string Reader::name_of(std::string_view key) const {
    if (path_.empty() || key.empty()) return path_ + std::string(key);
    return std::string(path_).append(".").append(key);
}

Mistake Reader::make_mistake(std::string_view key, Position where, std::string message, Place place) const {
    return {
        .file = file_->name, .at = where, .key = name_of(key), .message = std::move(message), .place = place};
}

void Reader::note(std::string_view key, Position where, std::string message, Place place) {
    file_->mistakes->push_back(make_mistake(key, where, std::move(message), place));
}

void Reader::note(std::string_view key, const toml::node& node, std::string message) {
    note(key, begin_of(node.source()), std::move(message), node.is_table() ? Place::table : Place::value);
}

void Reader::mistake(std::string_view key, std::string message) {
    note(key, at(key), std::move(message), has(key) ? Place::value : Place::table);
}

void Reader::mistake(std::string_view key, std::size_t index, std::string message) {
    const toml::node* node = table_->get(key);
    const toml::array* list = node != nullptr ? node->as_array() : nullptr;
    const toml::node* element = list != nullptr ? list->get(index) : nullptr;
    note(key, element != nullptr ? begin_of(element->source()) : at(key), std::move(message));
}

void Reader::warning(std::string_view key, std::string message) {
    Mistake seen = make_mistake(key, at(key), std::move(message), has(key) ? Place::value : Place::table);
    seen.warning = true;
    file_->mistakes->push_back(std::move(seen));
}

std::string Reader::text() const {
    std::ostringstream out;
    out << toml::toml_formatter(*table_,
                                toml::toml_formatter::default_flags & ~toml::format_flags::indentation);
    return std::move(out).str();
}

void Reader::unread() {
    const std::vector<std::string_view> known(read_.begin(), read_.end());
    for (const auto& [key, node] : *table_) {
        const std::string_view unknown = key.str();
        if (read_.contains(unknown)) continue;
        const auto near = nearest(unknown, known);
        note(unknown, begin_of(key.source()),
             near ? "unknown key; did you mean " + quoted(*near) + "?" : "unknown key", Place::key);
    }
}

}  // namespace livecanary::config
