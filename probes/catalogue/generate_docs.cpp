#include <algorithm>
#include <set>

#include "probes/catalogue/generate.hpp"

namespace livecanary::generate {
namespace {

std::string link(std::string_view id) { return "[" + std::string(id) + "](#" + std::string(id) + ")"; }

constexpr std::string_view docs_opening =
    R"(<!-- Generated from probes/catalogue/causes.toml. Do not edit. -->
# Causes

Every cause that livecanary can name, with its runbook: how to confirm it by hand, how to repair it, how to know that it is repaired. Alerts link here. `livecanary causes ID` prints the same, `--lang zh` in Chinese.

本页是 livecanary 能指出的全部故障原因及处理手册，告警中的链接指向这里；命令行 `livecanary causes ID --lang zh` 输出相同的中文内容。

A cause is named only when its proof was seen. Otherwise the [class](#classes) is reported, with the candidates likeliest first. Statements marked (unconfirmed) have no source yet.

## Words used here

- **Trusted push**, or the monitor's own push: a push whose URL the monitor signed itself with values known to be right. Its variations are controls: with the backup key, with a deliberately wrong txSecret, with a txTime days in the past, without the auth query, to an unknown domain. Two pushes are *refused in the same way* when the last phase, the status object, who closed and how fast are alike.
- **Static check**: recomputing txSecret of a URL with the known keys, comparing domain, `bizid=` and stream prefix, and decoding txTime. No network is needed.
- **Console record**: errcode.sub_errcode in the live console's stream interruption records, kept for 30 days. It is the only authoritative answer to why a push was refused.
- **Key check**: a signed recording event (`event_type` 100) without `video_id`. The backend answers code 4002 if the key is right, and touches neither database nor Redis. **Event 0**: a signed end-of-stream event, which opens a database connection and writes nothing. **Full signed event**: a complete event 100, which writes a row. These answers were measured on the second generation with PHP 8; on the first, and on PHP 5 and 7, they are unconfirmed.
- **Round trip**: PUT, HEAD, GET and DELETE of a small COS object, signed with the monitor's own key or by the backend (`/get_cos_sign`).
- **SDK event**: 3001 DNS failed, 3002 connect failed, 3003 handshake failed, 3004 server closed, 3005 write failed.
- **Generation**: the first backend (2016-2017) has tape_data and live_data, CALL_BACK_KEY and PUSH_URL_KEY; the second (2018-2019) tb_vod, tb_room, tb_account and API_KEY. Its host, paths and database names are examples: use yours.
- **mini-live guide** and **小直播常见问题**: the vendor's troubleshooting manuals for the first generation (English) and the second (Chinese).

)";

void write_index(std::ostream& out, const Catalogue& catalogue) {
    const auto line = [&](const Cause& cause) {
        out << "- " << link(cause.id) << ": " << cause.title.en << " · " << cause.title.zh << '\n';
    };
    out << "## Index\n\n";
    for (const Class& entry : catalogue.classes) {
        out << "**" << link(entry.id) << "**: " << entry.title.en << " · " << entry.title.zh << "\n\n";
        std::set<std::string> listed;
        for (const Candidate& candidate : entry.candidates) {
            listed.insert(candidate.cause.id);
            line(*std::ranges::find(catalogue.causes, candidate.cause.id, &Cause::id));
        }
        for (const Cause& cause : catalogue.causes)
            if (cause.cause_class && cause.cause_class->id == entry.id && !listed.contains(cause.id))
                line(cause);
        out << '\n';
    }
    out << "**Named directly, without a class** · 可直接判定，不属于任何类别\n\n";
    for (const Cause& cause : catalogue.causes)
        if (!cause.cause_class) line(cause);
    out << '\n';
}

template <class Predicate>
std::string keywords_of(const Catalogue& catalogue, const Predicate& wanted) {
    std::string out;
    for (const Keyword& keyword : catalogue.keywords)
        if (wanted(keyword)) out += (out.empty() ? "`" : ", `") + keyword.text + "`";
    return out;
}

/// One cause, the runbook first: who reads this was just paged.
void write_cause(std::ostream& out, const Cause& cause, const Catalogue& catalogue, const Ids& ids) {
    const auto md = [&](std::string_view text) { return markdown(text, ids); };
    out << "## " << cause.id << "\n\n**" << md(cause.title.en) << "** · **" << md(cause.title.zh) << "**\n\n";
    out << "- Symptom: " << md(cause.symptom.en) << "\n- Confirm: " << md(cause.confirm.en)
        << "\n- Fix: " << md(cause.fix.en);
    if (!cause.steps.empty()) out << ' ' << md(cause.steps.en);
    out << "\n- Verify: " << md(cause.verify.en) << "\n\n";
    out << "- 现象：" << md(cause.symptom.zh) << "\n- 确认：" << md(cause.confirm.zh) << "\n- 修复："
        << md(cause.fix.zh);
    if (!cause.steps.empty()) out << md(cause.steps.zh);
    out << "\n- 验证：" << md(cause.verify.zh) << "\n\n";

    const auto points_at_cause = [&](const Keyword& keyword) {
        return std::ranges::find(keyword.causes, cause.id, &Reference::id) != keyword.causes.end();
    };
    out << "Item: " << md(cause.item);
    if (cause.cause_class) out << "  \nClass when not singled out: " << link(cause.cause_class->id);
    out << "  \nProof: " << md(cause.evidence);
    if (!cause.lookalike.empty()) out << "  \nCannot be told apart: " << md(cause.lookalike);
    if (const std::string words = keywords_of(catalogue, points_at_cause); !words.empty())
        out << "  \nLog keywords: " << words;
    for (std::size_t i = 0; i < cause.manuals.size(); ++i)
        out << (i == 0 ? "  \nManuals: " : "; ") << md(cause.manuals[i]);
    out << "\n\n";

    std::string green;
    bool table = false;
    for (const auto& [kind, shows] : cause.signs) {
        if (shows == "ok") {
            green += (green.empty() ? "`" : ", `") + std::string(kind) + "`";
            continue;
        }
        if (!table) out << "| probe | shows |\n|---|---|\n";
        table = true;
        out << "| `" << kind << "` | " << md(shows) << " |\n";
    }
    if (table) out << '\n';
    if (!green.empty()) out << "Stays green: " << green << "\n\n";
}

}  // namespace

void write_docs(std::ostream& out, const Catalogue& catalogue) {
    const Ids ids = ids_of(catalogue);
    const auto md = [&](std::string_view text) { return markdown(text, ids); };

    out << docs_opening;
    write_index(out, catalogue);
    out << "# Classes\n\n";
    for (const Class& entry : catalogue.classes) {
        out << "## " << entry.id << "\n\n**" << md(entry.title.en) << "** · **" << md(entry.title.zh)
            << "**\n\n"
            << md(entry.seen.en) << "\n\n"
            << md(entry.seen.zh) << "\n\nCandidates, likeliest first:\n\n";
        std::size_t number = 0;
        for (const Candidate& candidate : entry.candidates)
            out << ++number << ". " << link(candidate.cause.id) << ": " << md(candidate.why) << '\n';
        out << '\n';
        const auto points_at_class = [&](const Keyword& keyword) {
            return keyword.cause_class && keyword.cause_class->id == entry.id;
        };
        if (const std::string words = keywords_of(catalogue, points_at_class); !words.empty())
            out << "Log keywords: " << words << "\n\n";
    }
    out << "# Runbook\n\n";
    for (const Cause& cause : catalogue.causes) write_cause(out, cause, catalogue, ids);

    out << "# Keywords in logs\n\nSubstrings, case as printed. A keyword without a failing probe may be old, "
           "or "
           "noise.\n\n| keyword | points at | note |\n|---|---|---|\n";
    for (const Keyword& keyword : catalogue.keywords) {
        out << "| `" << keyword.text << "` | ";
        std::string_view separator;
        for (const Reference& cause : keyword.causes) {
            out << separator << link(cause.id);
            separator = ", ";
        }
        if (keyword.cause_class) out << separator << "class " << link(keyword.cause_class->id);
        out << " | " << md(keyword.note) << (keyword.alert ? "" : " No alert.") << " |\n";
    }
}

}  // namespace livecanary::generate
