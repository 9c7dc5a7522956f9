#include <algorithm>
#include <array>
#include <functional>
#include <initializer_list>
#include <map>
#include <set>
#include <sstream>

#include "probes/catalogue/generate.hpp"

namespace livecanary::generate {
namespace {

/// The kinds a sign may speak of, in the order in which pages show them (contract: kinds of probe).
constexpr std::array<std::string_view, 7> sign_kinds{"rtmp_push", "cos_roundtrip", "callback",    "mysql",
                                                     "cdn_fetch", "backend_api",   "log_keywords"};

bool is_snake_case(std::string_view id) {
    const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
    const auto inner = [&](char c) { return lower(c) || (c >= '0' && c <= '9') || c == '_'; };
    return !id.empty() && lower(id.front()) && id.back() != '_' && std::ranges::all_of(id, inner) &&
           id.find("__") == std::string_view::npos;
}

/// Reads causes.toml and keeps every mistake with its place.
class Reader {
public:
    explicit Reader(std::string file) : file_(std::move(file)) {}

    Catalogue read(const toml::table& root) {
        Catalogue out;
        only(root, {"class", "cause", "keyword"}, "the file");
        each(root, "class", [&](const toml::table& t) { out.classes.push_back(read_class(t)); });
        each(root, "cause", [&](const toml::table& t) { out.causes.push_back(read_cause(t)); });
        each(root, "keyword", [&](const toml::table& t) { out.keywords.push_back(read_keyword(t)); });
        check_references(out);
        return out;
    }

    const Strings& mistakes() const { return mistakes_; }

    void mistake(toml::source_position at, std::string_view message) {
        std::ostringstream line;
        line << file_ << ':' << at.line << ':' << at.column << ": " << message;
        mistakes_.push_back(line.str());
    }

private:
    static toml::source_position place(const toml::node& node) { return node.source().begin; }

    void only(const toml::table& table, std::initializer_list<std::string_view> keys, std::string_view what) {
        for (const auto& [key, value] : table)
            if (std::ranges::find(keys, key.str()) == keys.end())
                mistake(key.source().begin,
                        std::string(what) + ": unknown key '" + std::string(key.str()) + "'");
    }

    void each(const toml::table& table, std::string_view key,
              const std::function<void(const toml::table&)>& use) {
        const toml::node* node = table.get(key);
        const toml::array* array = node != nullptr ? node->as_array() : nullptr;
        if (array == nullptr || array->empty()) {
            mistake(node != nullptr ? place(*node) : place(table),
                    "expected at least one [[" + std::string(key) + "]]");
            return;
        }
        for (const toml::node& element : *array) {
            if (const toml::table* found = element.as_table())
                use(*found);
            else
                mistake(place(element), "expected a table");
        }
    }

    std::string string_of(const toml::node& node, const std::string& what) {
        const auto text = node.value<std::string>();
        if (!node.is_string() || text->empty()) {
            mistake(place(node), what + ": expected a text that is not empty");
            return {};
        }
        if (text->find('\n') != std::string::npos || text->front() == ' ' || text->back() == ' ')
            mistake(place(node), what + ": a text has no line end, and no space at either end");
        return *text;
    }

    std::string required(const toml::table& table, std::string_view key, const std::string& what) {
        if (const toml::node* node = table.get(key)) return string_of(*node, what + "." + std::string(key));
        mistake(place(table), what + ": '" + std::string(key) + "' is missing");
        return {};
    }

    std::string optional(const toml::table& table, std::string_view key, const std::string& what) {
        const toml::node* node = table.get(key);
        return node != nullptr ? string_of(*node, what + "." + std::string(key)) : std::string();
    }

    /// Both languages, or neither if it may be absent.
    Text text(const toml::table& table, std::string_view key, const std::string& what,
              bool may_be_absent = false) {
        const toml::node* node = table.get(key);
        const std::string where = what + "." + std::string(key);
        if (node == nullptr) {
            if (!may_be_absent) mistake(place(table), what + ": '" + std::string(key) + "' is missing");
            return {};
        }
        const toml::table* languages = node->as_table();
        if (languages == nullptr) {
            mistake(place(*node), where + ": expected en and zh");
            return {};
        }
        only(*languages, {"en", "zh"}, where);
        Text out;
        for (auto [language, target] : {std::pair{"en", &out.en}, std::pair{"zh", &out.zh}}) {
            if (const toml::node* found = languages->get(language))
                *target = string_of(*found, where + "." + language);
            else
                mistake(place(*node), where + ": '" + language + "' is missing");
        }
        return out;
    }

    std::optional<Reference> reference(const toml::table& table, std::string_view key,
                                       const std::string& what) {
        const toml::node* node = table.get(key);
        if (node == nullptr) return std::nullopt;
        return Reference{string_of(*node, what + "." + std::string(key)), place(*node)};
    }

    std::string id(const toml::table& table, std::string_view sort) {
        const std::string found = required(table, "id", std::string(sort));
        if (found.empty()) return found;
        const toml::source_position at = place(*table.get("id"));
        if (!is_snake_case(found)) mistake(at, "'" + found + "' is not snake_case");
        // One space of names: a label, a link or `livecanary causes ID` may hold either sort.
        if (const auto [first, added] = ids_.emplace(found, at.line); !added)
            mistake(at, "'" + found + "' is the id of line " + std::to_string(first->second) + " already");
        return found;
    }

    Class read_class(const toml::table& table) {
        Class out;
        out.id = id(table, "class");
        only(table, {"id", "title", "seen", "candidates"}, out.id);
        out.title = text(table, "title", out.id);
        out.seen = text(table, "seen", out.id);
        each(table, "candidates", [&](const toml::table& candidate) {
            const std::string what = out.id + ".candidates";
            only(candidate, {"cause", "why"}, what);
            const std::string why = required(candidate, "why", what);
            if (auto cause = reference(candidate, "cause", what))
                out.candidates.push_back({*cause, why});
            else
                mistake(place(candidate), what + ": 'cause' is missing");
        });
        return out;
    }

    Cause read_cause(const toml::table& table) {
        Cause out;
        out.id = id(table, "cause");
        only(table,
             {"id", "class", "manuals", "item", "title", "symptom", "evidence", "lookalike", "signs", "fix",
              "steps", "confirm", "verify"},
             out.id);
        out.cause_class = reference(table, "class", out.id);
        out.manuals = strings(table, "manuals", out.id);
        out.item = required(table, "item", out.id);
        out.title = text(table, "title", out.id);
        out.symptom = text(table, "symptom", out.id);
        out.evidence = required(table, "evidence", out.id);
        out.lookalike = optional(table, "lookalike", out.id);
        out.fix = text(table, "fix", out.id);
        out.steps = text(table, "steps", out.id, true);
        out.confirm = text(table, "confirm", out.id);
        out.verify = text(table, "verify", out.id);
        if (const toml::table* signs = table["signs"].as_table()) {
            for (const auto& [kind, node] : *signs)
                if (std::ranges::find(sign_kinds, kind.str()) == sign_kinds.end())
                    mistake(kind.source().begin,
                            out.id + ".signs: no kind of probe is called '" + std::string(kind.str()) + "'");
            for (const std::string_view kind : sign_kinds)
                if (const std::string shows = optional(*signs, kind, out.id + ".signs"); !shows.empty())
                    out.signs.emplace_back(kind, shows);
        } else {
            mistake(place(table), out.id + ": 'signs' is missing");
        }
        return out;
    }

    Keyword read_keyword(const toml::table& table) {
        Keyword out;
        out.text = required(table, "text", "keyword");
        only(table, {"text", "causes", "class", "note", "alert"}, "keyword");
        if (!texts_.insert(out.text).second)
            mistake(place(table), "keyword '" + out.text + "' is there twice");
        out.note = required(table, "note", "keyword");
        out.cause_class = reference(table, "class", "keyword");
        if (const toml::array* causes = table["causes"].as_array())
            for (const toml::node& node : *causes)
                out.causes.push_back({string_of(node, "keyword.causes"), place(node)});
        if (out.causes.empty() && !out.cause_class)
            mistake(place(table), "keyword '" + out.text + "' names neither causes nor class");
        if (const toml::node* alert = table.get("alert")) {
            if (!alert->is_boolean()) mistake(place(*alert), "keyword.alert: expected true or false");
            out.alert = alert->value_or(true);
        }
        return out;
    }

    Strings strings(const toml::table& table, std::string_view key, const std::string& what) {
        Strings out;
        const toml::node* node = table.get(key);
        if (node == nullptr) return out;
        if (!node->is_array())
            mistake(place(*node), what + "." + std::string(key) + ": expected an array");
        else
            for (const toml::node& element : *node->as_array())
                out.push_back(string_of(element, what + "." + std::string(key)));
        return out;
    }

    void check_references(const Catalogue& catalogue) {
        std::set<std::string, std::less<>> causes, classes;
        for (const Cause& cause : catalogue.causes) causes.insert(cause.id);
        for (const Class& entry : catalogue.classes) classes.insert(entry.id);
        const auto check = [this](const Reference& to, const auto& known, std::string_view sort) {
            if (!known.contains(to.id))
                mistake(to.at, "there is no " + std::string(sort) + " '" + to.id + "'");
        };
        for (const Class& entry : catalogue.classes)
            for (const Candidate& candidate : entry.candidates) check(candidate.cause, causes, "cause");
        for (const Cause& cause : catalogue.causes)
            if (cause.cause_class) check(*cause.cause_class, classes, "class");
        for (const Keyword& keyword : catalogue.keywords) {
            for (const Reference& cause : keyword.causes) check(cause, causes, "cause");
            if (keyword.cause_class) check(*keyword.cause_class, classes, "class");
        }
    }

    std::string file_;
    Strings mistakes_;
    std::map<std::string, toml::source_index> ids_;
    std::set<std::string> texts_;
};

}  // namespace

ReadFile read(const std::string& path) {
    Reader reader(path.substr(path.find_last_of('/') + 1));
    Catalogue catalogue;
    try {
        const toml::table root = toml::parse_file(path);
        catalogue = reader.read(root);
    } catch (const toml::parse_error& error) {
        reader.mistake(error.source().begin, error.description());
    }
    return {std::move(catalogue), reader.mistakes()};
}

}  // namespace livecanary::generate
