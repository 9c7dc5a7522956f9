#include "probes/catalogue/generate.hpp"

namespace livecanary::generate {
namespace {

constexpr std::string_view do_not_edit = "// Generated from probes/catalogue/causes.toml. Do not edit.\n";

/// A C++ string literal. UTF-8 passes through: source and execution character sets are both UTF-8 here.
std::string literal(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string literal(const Text& text) { return "{" + literal(text.en) + ", " + literal(text.zh) + "}"; }

template <class Entries>
void enumeration(std::ostream& out, std::string_view name, std::string_view type, const Entries& entries) {
    out << "enum class " << name << " : " << type << " {\n";
    for (const auto& entry : entries) out << "    " << entry.id << ",  ///< " << entry.title.en << '\n';
    out << "};\n\n";
}

template <class Entries>
void names(std::ostream& out, std::string_view array, std::string_view type, std::string_view from,
           const Entries& entries) {
    out << "constexpr std::array<std::string_view, " << entries.size() << "> " << array << "{{\n";
    for (const auto& entry : entries) out << "    " << literal(entry.id) << ",\n";
    out << "}};\n\n}  // namespace\n\n";
    out << "std::string_view to_string(" << type << " id) noexcept {\n    return " << array
        << "[static_cast<std::size_t>(id)];\n}\n\n";
    out << "std::optional<" << type << "> " << from << "(std::string_view id) noexcept {\n"
        << "    for (std::size_t i = 0; i < " << array << ".size(); ++i)\n        if (" << array
        << "[i] == id) return static_cast<" << type
        << ">(i);\n    return std::nullopt;\n}\n\nnamespace {\n\n";
}

void data_of(std::ostream& out, const Cause& cause) {
    if (!cause.manuals.empty()) {
        out << "constexpr std::string_view " << cause.id << "_manuals[] = {";
        for (const std::string& manual : cause.manuals) out << literal(manual) << ", ";
        out << "};\n";
    }
    if (!cause.signs.empty()) {
        out << "constexpr Sign " << cause.id << "_signs[] = {\n";
        for (const auto& [kind, shows] : cause.signs)
            out << "    {" << literal(kind) << ", " << literal(shows) << "},\n";
        out << "};\n";
    }
}

void entry_of(std::ostream& out, const Cause& cause) {
    out << "    {.id = Cause::" << cause.id << ",\n";
    if (cause.cause_class) out << "     .cause_class = CauseClass::" << cause.cause_class->id << ",\n";
    if (!cause.manuals.empty()) out << "     .manuals = " << cause.id << "_manuals,\n";
    out << "     .item = " << literal(cause.item) << ",\n     .title = " << literal(cause.title)
        << ",\n     .symptom = " << literal(cause.symptom)
        << ",\n     .evidence = " << literal(cause.evidence)
        << ",\n     .lookalike = " << literal(cause.lookalike) << ",\n";
    if (!cause.signs.empty()) out << "     .signs = " << cause.id << "_signs,\n";
    out << "     .fix = " << literal(cause.fix) << ",\n     .steps = " << literal(cause.steps)
        << ",\n     .confirm = " << literal(cause.confirm) << ",\n     .verify = " << literal(cause.verify)
        << "},\n";
}

}  // namespace

void write_header(std::ostream& out, const Catalogue& catalogue) {
    out << "#pragma once\n" << do_not_edit;
    out << "#include <cstdint>\n#include <optional>\n#include <string_view>\n\nnamespace livecanary {\n\n"
           "/// Which item of the watched system is wrong. The enumerators are the ids of the catalogue.\n";
    enumeration(out, "Cause", "std::uint16_t", catalogue.causes);
    out << "/// What is reported when the evidence does not single out one cause.\n";
    enumeration(out, "CauseClass", "std::uint8_t", catalogue.classes);
    out << "std::string_view to_string(Cause cause) noexcept;\n"
           "std::string_view to_string(CauseClass cause_class) noexcept;\n"
           "std::optional<Cause> cause_from(std::string_view id) noexcept;\n"
           "std::optional<CauseClass> class_from(std::string_view id) noexcept;\n\n"
           "}  // namespace livecanary\n";
}

void write_source(std::ostream& out, const Catalogue& catalogue) {
    out << do_not_edit << "#include <array>\n\n#include \"probes/catalogue/catalogue.hpp\"\n\n"
        << "namespace livecanary {\nnamespace {\n\n";
    names(out, "cause_names", "Cause", "cause_from", catalogue.causes);
    names(out, "class_names", "CauseClass", "class_from", catalogue.classes);

    for (const Cause& cause : catalogue.causes) data_of(out, cause);
    out << "\nconstexpr CauseEntry causes[] = {\n";
    for (const Cause& cause : catalogue.causes) entry_of(out, cause);
    out << "};\n\n";

    for (const Class& entry : catalogue.classes) {
        out << "constexpr ClassCandidate " << entry.id << "_candidates[] = {\n";
        for (const Candidate& candidate : entry.candidates)
            out << "    {Cause::" << candidate.cause.id << ", " << literal(candidate.why) << "},\n";
        out << "};\n";
    }
    out << "\nconstexpr ClassEntry classes[] = {\n";
    for (const Class& entry : catalogue.classes)
        out << "    {.id = CauseClass::" << entry.id << ",\n     .title = " << literal(entry.title)
            << ",\n     .seen = " << literal(entry.seen) << ",\n     .candidates = " << entry.id
            << "_candidates},\n";
    out << "};\n\n";

    for (std::size_t i = 0; i < catalogue.keywords.size(); ++i) {
        if (catalogue.keywords[i].causes.empty()) continue;
        out << "constexpr Cause keyword_" << i << "_causes[] = {";
        for (const Reference& cause : catalogue.keywords[i].causes) out << "Cause::" << cause.id << ", ";
        out << "};\n";
    }
    out << "\nconstexpr Keyword all_keywords[] = {\n";
    for (std::size_t i = 0; i < catalogue.keywords.size(); ++i) {
        const Keyword& keyword = catalogue.keywords[i];
        out << "    {.text = " << literal(keyword.text) << ",\n";
        if (!keyword.causes.empty()) out << "     .causes = keyword_" << i << "_causes,\n";
        if (keyword.cause_class)
            out << "     .cause_class = CauseClass::" << keyword.cause_class->id << ",\n";
        out << "     .note = " << literal(keyword.note)
            << ",\n     .alert = " << (keyword.alert ? "true" : "false") << "},\n";
    }
    out << "};\n\n}  // namespace\n\n"
           "const CauseEntry& entry(Cause cause) noexcept { return causes[static_cast<std::size_t>(cause)]; "
           "}\n"
           "const ClassEntry& entry(CauseClass cause_class) noexcept {\n"
           "    return classes[static_cast<std::size_t>(cause_class)];\n}\n"
           "std::span<const CauseEntry> all_causes() noexcept { return causes; }\n"
           "std::span<const ClassEntry> all_classes() noexcept { return classes; }\n"
           "std::span<const Keyword> keywords() noexcept { return all_keywords; }\n\n"
           "}  // namespace livecanary\n";
}

}  // namespace livecanary::generate
