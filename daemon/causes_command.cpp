#include "daemon/causes_command.hpp"

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "config/nearest.hpp"

namespace livecanary {
namespace {

namespace json = boost::json;

constexpr std::size_t page_width = 100;  ///< columns

/// One character of UTF-8 with the columns it takes: East Asian wide characters take two (Unicode TR 11).
struct Glyph {
    std::string_view bytes;
    std::size_t columns;
};

/// `text` is valid UTF-8 and not empty.
Glyph first_glyph(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text.front());
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    // From U+2E80 on three bytes and more are wide in what the catalogue uses: ideographs, their punctuation,
    // full-width forms. Quotes, dots and arrows (U+20xx, U+21xx: lead byte 0xe2, second below 0xba) are
    // narrow.
    const bool wide = size > 2 && (lead > 0xe2 || static_cast<unsigned char>(text[1]) >= 0xba);
    return {text.substr(0, size), wide ? std::size_t{2} : std::size_t{1}};
}

std::size_t columns(std::string_view text) {
    std::size_t sum = 0;
    while (!text.empty()) {
        const Glyph glyph = first_glyph(text);
        sum += glyph.columns;
        text.remove_prefix(glyph.bytes.size());
    }
    return sum;
}

/// Pieces between which a line may end: words with the space behind them, and single wide characters.
std::vector<std::string_view> pieces(std::string_view text) {
    std::vector<std::string_view> out;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < text.size();) {
        const Glyph glyph = first_glyph(text.substr(i));
        const std::size_t next = i + glyph.bytes.size();
        const bool wide = glyph.columns == 2;
        // A line does not begin with closing punctuation.
        static constexpr std::string_view closing = "，。；：、！？）》～";
        const bool closes = wide && closing.find(glyph.bytes) != std::string_view::npos;
        if (wide && !closes && begin < i) {
            out.push_back(text.substr(begin, i - begin));
            begin = i;
        }
        const bool more = next < text.size();
        const bool closing_follows =
            more && first_glyph(text.substr(next)).columns == 2 &&
            closing.find(first_glyph(text.substr(next)).bytes) != std::string_view::npos;
        if ((glyph.bytes == " " || wide) && !closing_follows) {
            out.push_back(text.substr(begin, next - begin));
            begin = next;
        }
        i = next;
    }
    if (begin < text.size()) out.push_back(text.substr(begin));
    return out;
}

/// Writes `text` after what stands in the line up to column `indent`, and indents the lines that follow.
void wrapped(std::ostream& out, std::size_t indent, std::string_view text) {
    std::string line;
    const auto flush = [&] {
        while (line.ends_with(' ')) line.pop_back();
        out << line << '\n';
        line.clear();
    };
    for (const std::string_view piece : pieces(text)) {
        if (!line.empty() &&
            indent + columns(line) + columns(piece) > page_width + (piece.ends_with(' ') ? 1 : 0)) {
            flush();
            out << std::string(indent, ' ');
        }
        line += piece;
    }
    flush();
}

void field(std::ostream& out, std::string_view name, std::string_view text) {
    constexpr std::size_t indent = 14;
    if (text.empty()) return;
    out << "  " << name << std::string(indent - 2 - columns(name), ' ');
    wrapped(out, indent, text);
}

/// The causes of a class: its candidates, likeliest first, then the others; of none: those without a class.
std::vector<const CauseEntry*> causes_of(std::optional<CauseClass> cause_class) {
    std::vector<const CauseEntry*> out;
    const auto add = [&](const CauseEntry& cause) {
        if (cause.cause_class == cause_class && std::ranges::find(out, &cause) == out.end())
            out.push_back(&cause);
    };
    if (cause_class)
        for (const ClassCandidate& candidate : entry(*cause_class).candidates) add(entry(candidate.cause));
    for (const CauseEntry& cause : all_causes()) add(cause);
    return out;
}

void print_group(std::ostream& out, std::string_view heading, std::string_view title,
                 const std::vector<const CauseEntry*>& causes, Lang lang) {
    std::size_t widest = 0;
    for (const CauseEntry& cause : all_causes()) widest = std::max(widest, to_string(cause.id).size());
    out << heading << ": " << title << '\n';
    for (const CauseEntry* cause : causes) {
        const std::string_view id = to_string(cause->id);
        out << "  " << id << std::string(widest - id.size() + 2, ' ');
        wrapped(out, widest + 4, cause->title.in(lang));
    }
    out << '\n';
}

void print_all(std::ostream& out, Lang lang) {
    for (const ClassEntry& found : all_classes())
        print_group(out, to_string(found.id), found.title.in(lang), causes_of(found.id), lang);
    if (lang == Lang::zh)
        print_group(out, "（无类别）", "可直接判定的原因", causes_of(std::nullopt), lang);
    else
        print_group(out, "(no class)", "named directly", causes_of(std::nullopt), lang);
}

std::string joined(std::span<const std::string_view> words, std::string_view separator) {
    std::string out;
    for (const std::string_view word : words) {
        if (!out.empty()) out += separator;
        out += word;
    }
    return out;
}

void print_english(std::ostream& out, const CauseEntry& cause) {
    field(out, "Symptom", cause.symptom.en);
    field(out, "Confirm", cause.confirm.en);
    field(out, "Fix", cause.fix.en);
    field(out, "", cause.steps.en);
    field(out, "Verify", cause.verify.en);
    out << '\n';
    field(out, "Item", cause.item);
    if (cause.cause_class) field(out, "Class", to_string(*cause.cause_class));
    field(out, "Proof", cause.evidence);
    field(out, "Lookalikes", cause.lookalike);
    field(out, "Manuals", joined(cause.manuals, "; "));
    std::string_view name = "Probes";
    for (const Sign& sign : cause.signs) {
        field(out, name, std::string(sign.kind) + ": " + std::string(sign.shows));
        name = "";
    }
}

/// What stands in the catalogue in English only is left to the English page.
void print_chinese(std::ostream& out, const CauseEntry& cause) {
    field(out, "现象", cause.symptom.zh);
    field(out, "确认", cause.confirm.zh);
    field(out, "修复", cause.fix.zh);
    field(out, "", cause.steps.zh);
    field(out, "验证", cause.verify.zh);
    out << '\n';
    field(out, "配置项", cause.item);
    if (cause.cause_class)
        field(out, "类别",
              std::string(to_string(*cause.cause_class)) + "：" +
                  std::string(entry(*cause.cause_class).title.zh));
    field(out, "手册", joined(cause.manuals, "；"));
    field(out, "更多", "判定依据与各探针表现见 --lang en");
}

void print_cause(std::ostream& out, const CauseEntry& cause, Lang lang) {
    out << to_string(cause.id) << "\n  ";
    wrapped(out, 2, cause.title.in(lang));
    out << '\n';
    lang == Lang::zh ? print_chinese(out, cause) : print_english(out, cause);
}

void print_class(std::ostream& out, const ClassEntry& found, Lang lang) {
    const bool chinese = lang == Lang::zh;
    out << to_string(found.id) << "\n  " << found.title.in(lang) << "\n\n";
    field(out, chinese ? "表现" : "Seen", found.seen.in(lang));
    out << '\n' << (chinese ? "  可能的原因，由高到低：\n" : "  Candidates, likeliest first:\n");
    std::size_t number = 0;
    for (const ClassCandidate& candidate : found.candidates) {
        const std::string label = "  " + std::to_string(++number) + ". ";
        out << label << to_string(candidate.cause) << '\n' << std::string(6, ' ');
        wrapped(out, 6, chinese ? entry(candidate.cause).title.zh : candidate.why);
    }
}

json::value text_json(const Text& text) {
    if (text.en.empty()) return nullptr;
    return {{"en", text.en}, {"zh", text.zh}};
}

json::value class_json(std::optional<CauseClass> cause_class) {
    return cause_class ? json::value(to_string(*cause_class)) : json::value(nullptr);
}

json::object to_json(const CauseEntry& cause) {
    json::object signs;
    for (const Sign& sign : cause.signs) signs[sign.kind] = sign.shows;
    return {{"id", to_string(cause.id)},
            {"class", class_json(cause.cause_class)},
            {"title", text_json(cause.title)},
            {"item", cause.item},
            {"manuals", json::array(cause.manuals.begin(), cause.manuals.end())},
            {"symptom", text_json(cause.symptom)},
            {"evidence", cause.evidence},
            {"lookalike", cause.lookalike},
            {"signs", std::move(signs)},
            {"fix", text_json(cause.fix)},
            {"steps", text_json(cause.steps)},
            {"confirm", text_json(cause.confirm)},
            {"verify", text_json(cause.verify)}};
}

json::object to_json(const ClassEntry& found) {
    json::array candidates;
    for (const ClassCandidate& candidate : found.candidates)
        candidates.push_back({{"cause", to_string(candidate.cause)}, {"why", candidate.why}});
    return {{"id", to_string(found.id)},
            {"title", text_json(found.title)},
            {"seen", text_json(found.seen)},
            {"candidates", std::move(candidates)}};
}

json::object to_json(const Keyword& keyword) {
    json::array causes;
    for (const Cause cause : keyword.causes) causes.push_back(json::value(to_string(cause)));
    return {{"text", keyword.text},
            {"causes", std::move(causes)},
            {"class", class_json(keyword.cause_class)},
            {"note", keyword.note},
            {"alert", keyword.alert}};
}

template <class Entries>
json::array all_json(const Entries& entries) {
    json::array out;
    for (const auto& found : entries) out.push_back(to_json(found));
    return out;
}

int unknown_id(std::ostream& err, std::string_view id) {
    std::vector<std::string_view> ids;
    for (const CauseEntry& cause : all_causes()) ids.push_back(to_string(cause.id));
    for (const ClassEntry& found : all_classes()) ids.push_back(to_string(found.id));

    err << "no cause or class '" << id << "'";
    if (const auto near = config::nearest(id, ids)) {
        err << "; did you mean '" << *near << "'?\n";
        return 2;
    }
    std::vector<std::string_view> alike;
    std::ranges::copy_if(ids, std::back_inserter(alike), [id](std::string_view known) {
        return !id.empty() && known.find(id) != std::string_view::npos;
    });
    err << (alike.empty() ? "; `livecanary causes` lists them" : "; there are ") << joined(alike, ", ")
        << '\n';
    return 2;
}

}  // namespace

int print_causes(std::ostream& out, std::ostream& err, std::optional<std::string_view> id, Lang lang,
                 bool as_json) {
    if (!id) {
        if (as_json)
            out << json::object{{"classes", all_json(all_classes())},
                                {"causes", all_json(all_causes())},
                                {"keywords", all_json(keywords())}}
                << '\n';
        else
            print_all(out, lang);
        return 0;
    }
    if (const auto cause = cause_from(*id)) {
        if (as_json)
            out << to_json(entry(*cause)) << '\n';
        else
            print_cause(out, entry(*cause), lang);
        return 0;
    }
    if (const auto cause_class = class_from(*id)) {
        if (as_json)
            out << to_json(entry(*cause_class)) << '\n';
        else
            print_class(out, entry(*cause_class), lang);
        return 0;
    }
    return unknown_id(err, *id);
}

}  // namespace livecanary
