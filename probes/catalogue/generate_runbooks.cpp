#include <algorithm>
#include <cctype>

#include "probes/catalogue/generate.hpp"

namespace livecanary::generate {
namespace {

std::string link(std::string_view id) { return "[" + std::string(id) + "](#" + std::string(id) + ")"; }

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// What stands around the text of the catalogue, and which of its languages that is.
struct Words {
    std::string Text::*language;
    std::string_view opening, symptom, confirm, fix, verify, candidates, cause_class;
};

const Words english{.language = &Text::en,
                    .opening = R"(<!-- Generated from probes/catalogue/causes.toml. Do not edit. -->
# Runbook

What to do about each cause that livecanary names, and about each class of causes where it could not single one out.
`runbook_url` of an alert leads here; `livecanary causes ID` prints the same where there is no browser. [In Chinese](zh.md);
[proof, look-alikes and log lines of each cause](../causes.md).

)",
                    .symptom = "Symptom: ",
                    .confirm = "Confirm: ",
                    .fix = "**Fix:** ",
                    .verify = "Verify: ",
                    .candidates = "Likeliest first; what speaks for each, and its fix:",
                    .cause_class = "One of: "};

const Words chinese{.language = &Text::zh,
                    .opening = R"(<!-- Generated from probes/catalogue/causes.toml. Do not edit. -->
# 处理手册

livecanary 指出的每个原因、以及无法进一步区分时给出的每个类别，应如何处理。告警的 `runbook_url` 指向这里；没有浏览器时，
`livecanary causes ID --lang zh` 输出相同的内容。[英文版](en.md)；[各原因的判定依据、相似现象与日志](../causes.md)。

)",
                    .symptom = "现象：",
                    .confirm = "确认：",
                    .fix = "**修复：** ",
                    .verify = "验证：",
                    .candidates = "按可能性排列，附判断依据与修复方法：",
                    .cause_class = "所属类别："};

void write(std::ostream& out, const Catalogue& catalogue, const Words& words) {
    const Ids ids = ids_of(catalogue);
    const auto md = [&](const Text& text) { return markdown(text.*words.language, ids); };
    out << words.opening;
    for (const Class& entry : catalogue.classes) {
        out << "## " << entry.id << "\n\n**" << md(entry.title) << "**\n\n"
            << md(entry.seen) << "\n\n"
            << words.candidates << "\n\n";
        std::size_t number = 0;
        for (const Candidate& candidate : entry.candidates) {
            const auto cause = std::ranges::find(catalogue.causes, candidate.cause.id, &Cause::id);
            out << ++number << ". " << link(cause->id) << " (" << markdown(candidate.why, ids)
                << "): " << md(cause->fix) << '\n';
        }
        out << '\n';
    }
    for (const Cause& cause : catalogue.causes) {
        out << "## " << cause.id << "\n\n**" << md(cause.title) << "**\n\n- " << words.fix << md(cause.fix);
        if (!cause.steps.empty()) out << ' ' << md(cause.steps);
        out << "\n- " << words.symptom << md(cause.symptom) << "\n- " << words.confirm << md(cause.confirm)
            << "\n- " << words.verify << md(cause.verify) << '\n';
        if (cause.cause_class) out << "- " << words.cause_class << link(cause.cause_class->id) << '\n';
        out << '\n';
    }
}

}  // namespace

Ids ids_of(const Catalogue& catalogue) {
    Ids ids;
    for (const Cause& cause : catalogue.causes) ids.insert(cause.id);
    for (const Class& entry : catalogue.classes) ids.insert(entry.id);
    return ids;
}

std::string markdown(std::string_view text, const Ids& ids) {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] == '`') {
            const std::size_t end = text.find('`', i + 1);
            const std::string_view code = text.substr(i + 1, end - i - 1);
            out += ids.contains(code) ? link(code) : std::string(text.substr(i, end - i + 1));
            i = end == std::string_view::npos ? text.size() : end + 1;
            continue;
        }
        // An underscore inside a word is not emphasis (CommonMark 6.2).
        const bool inside = i > 0 && i + 1 < text.size() && is_word(text[i - 1]) && is_word(text[i + 1]);
        if (std::string_view("<*|").find(text[i]) != std::string_view::npos || (text[i] == '_' && !inside))
            out += '\\';
        out += text[i++];
    }
    return out;
}

void write_runbook_en(std::ostream& out, const Catalogue& catalogue) { write(out, catalogue, english); }

void write_runbook_zh(std::ostream& out, const Catalogue& catalogue) { write(out, catalogue, chinese); }

}  // namespace livecanary::generate
