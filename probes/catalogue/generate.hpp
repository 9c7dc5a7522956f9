#pragma once
// The catalogue as the host tool catalogue_generate holds it: read from causes.toml, written as C++ or
// Markdown.
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <toml++/toml.h>

namespace livecanary::generate {

using Strings = std::vector<std::string>;

struct Text {
    std::string en, zh;
    bool empty() const { return en.empty() && zh.empty(); }
};

/// An id and where it stands in the file.
struct Reference {
    std::string id;
    toml::source_position at;
};

struct Candidate {
    Reference cause;
    std::string why;
};

struct Class {
    std::string id;
    Text title, seen;
    std::vector<Candidate> candidates;
};

struct Cause {
    std::string id;
    std::optional<Reference> cause_class;
    Strings manuals;
    std::string item, evidence, lookalike;
    Text title, symptom, fix, steps, confirm, verify;
    std::vector<std::pair<std::string_view, std::string>> signs;
};

struct Keyword {
    std::string text, note;
    std::vector<Reference> causes;
    std::optional<Reference> cause_class;
    bool alert = true;
};

struct Catalogue {
    std::vector<Class> classes;
    std::vector<Cause> causes;
    std::vector<Keyword> keywords;
};

struct ReadFile {
    Catalogue catalogue;
    Strings mistakes;  ///< `causes.toml:line:col: message`; the catalogue is whole only if there are none
};

/// Reads and checks the whole catalogue: unique snake_case ids, every reference, both languages, no empty
/// text.
ReadFile read(const std::string& path);

/// ids.hpp: the enums and their names.
void write_header(std::ostream& out, const Catalogue& catalogue);

/// catalogue_data.cpp: the entries behind catalogue.hpp.
void write_source(std::ostream& out, const Catalogue& catalogue);

/// causes.md: the whole catalogue in both languages, one anchor a cause and a class.
void write_docs(std::ostream& out, const Catalogue& catalogue);

/// runbooks/en.md and runbooks/zh.md, which alerts link to: what to do, one anchor a cause and a class.
void write_runbook_en(std::ostream& out, const Catalogue& catalogue);
void write_runbook_zh(std::ostream& out, const Catalogue& catalogue);

/// Of all causes and classes.
using Ids = std::set<std::string, std::less<>>;
Ids ids_of(const Catalogue& catalogue);

/// Text of the catalogue as Markdown: `id` of a cause becomes a link within the page; what HTML or a table
/// would eat is escaped.
std::string markdown(std::string_view text, const Ids& ids);

}  // namespace livecanary::generate
