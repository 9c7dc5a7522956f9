#include "daemon/probe_page.hpp"

#include <algorithm>
#include <cmath>

#include "daemon/page.hpp"

namespace livecanary::daemon {
namespace {

namespace json = boost::json;

std::string_view text_in(const json::object& object, std::string_view key) {
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                  : std::string_view();
}

double number_in(const json::object& object, std::string_view key) {
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_double() ? value->get_double() : 0;
}

const json::array* array_in(const json::object& object, std::string_view key) {
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_array() && !value->get_array().empty() ? &value->get_array()
                                                                                : nullptr;
}

std::chrono::microseconds microseconds(double seconds) {
    return std::chrono::microseconds(std::llround(seconds * 1e6));
}

constexpr long least_bar = 16;  // of 1000

/// A bar for each phase, as wide as it took of the run; a line where its median ends.
std::string waterfall(const ProbeDetails& probe) {
    const auto* const phases = array_in(probe.latest, "phases");
    if (phases == nullptr) return {};
    const auto usual = medians(probe.runs);
    double whole = 1e-6;
    for (const auto& value : *phases) {
        const auto& phase = value.get_object();
        whole = std::max(whole, number_in(phase, "start_seconds") + number_in(phase, "seconds"));
    }
    const auto place = [&](double seconds) {
        return std::lround(std::clamp(seconds / whole, 0.0, 1.0) * 1000);
    };
    std::string rows;
    for (const auto& value : *phases) {
        const auto& phase = value.get_object();
        const auto name = text_in(phase, "name");
        const double start = number_in(phase, "start_seconds"), took = number_in(phase, "seconds");
        const auto* const ok = phase.if_contains("ok");
        const bool well = ok != nullptr && ok->is_bool() && ok->get_bool();
        const auto median = std::ranges::find(usual, name, [](const auto& one) { return one.first; });
        std::string line;
        std::string words = "–";
        if (median != usual.end()) {
            const double seconds = std::chrono::duration<double>(median->second).count();
            words = span(microseconds(seconds));
            const auto x = std::to_string(place(start + seconds));
            line = "<path class=\"median\" d=\"M" + x + " 0V16\"/>";
        }
        // However short, it is seen.
        const long from = std::min(place(start), 1000 - least_bar);
        rows += "<tr class=\"" + std::string(well ? "ok" : "failing") + "\"><th scope=\"row\">" + html(name) +
                (well ? "" : " (failed)") + "</th><td class=\"time\">" + span(microseconds(took)) +
                "</td><td class=\"time\">" + words +
                "</td><td class=\"bar\"><svg viewBox=\"0 0 1000 16\" preserveAspectRatio=\"none\" "
                "aria-hidden=\"true\"><rect class=\"took\" x=\"" +
                std::to_string(from) + "\" y=\"3\" width=\"" +
                std::to_string(std::clamp(place(took), least_bar, 1000 - from)) + "\" height=\"10\"/>" +
                line + "</svg></td></tr>\n";
    }
    return section(
        "Phases of the last run",
        table("Phases",
              "<th scope=\"col\">phase</th><th scope=\"col\">took</th><th scope=\"col\">median</th>"
              "<th scope=\"col\">when</th>",
              rows));
}

std::string causes(const json::object& latest) {
    std::string out;
    if (const auto sure = text_in(latest, "confidence"); !sure.empty())
        out += "<p" + std::string(lang_of(sure)) + "><strong>" + html(sure) + "</strong></p>\n";
    if (const auto because = text_in(latest, "because"); !because.empty())
        out += "<p" + std::string(lang_of(because)) + ">" + html(because) + "</p>\n";
    if (const auto* const candidates = array_in(latest, "candidates")) {
        out += "<p>It may be:</p>\n<ol class=\"candidates\">\n";
        for (const auto& value : *candidates) {
            const auto& one = value.get_object();
            const auto why = text_in(one, "why");
            out += "<li" + std::string(lang_of(why)) + "><code>" + html(text_in(one, "cause")) + "</code> " +
                   html(why) + "</li>\n";
        }
        out += "</ol>\n";
    }
    if (const auto* const ruled_out = array_in(latest, "ruled_out")) {
        out += "<p>It is not:</p>\n<ul>\n";
        for (const auto& value : *ruled_out) {
            const std::string_view it = value.get_string();
            out += "<li" + std::string(lang_of(it)) + ">" + html(it) + "</li>\n";
        }
        out += "</ul>\n";
    }
    return out.empty() ? out : section("Why", out);
}

std::string fix(const json::object& latest, std::string_view lang) {
    const auto* const fixes = latest.if_contains("fix");
    if (fixes == nullptr || !fixes->is_object()) return {};
    const auto text = text_in(fixes->get_object(), lang);
    if (text.empty()) return {};
    auto label = text_in(latest, "cause");
    if (label.empty()) label = text_in(latest, "class");
    return section("Fix",
                   "<p class=\"fix\" lang=\"" + std::string(lang) + "\">" + html(text) + "</p>\n" +
                       (label.empty() ? std::string()
                                      : "<p>More: <code>livecanary causes " + html(label) + "</code></p>\n"));
}

std::string controls(const json::object& latest) {
    const auto* const all = array_in(latest, "controls");
    if (all == nullptr) return {};
    std::string rows;
    for (const auto& value : *all) {
        const auto& one = value.get_object();
        rows += "<tr>" + cell(text_in(one, "name")) + cell(text_in(one, "outcome")) +
                cell(text_in(one, "shows")) + "</tr>\n";
    }
    return section("Controls", table("Controls",
                                     "<th scope=\"col\">control</th><th scope=\"col\">outcome</th><th "
                                     "scope=\"col\">shows</th>",
                                     rows));
}

std::string evidence(const json::object& latest) {
    const auto* const all = array_in(latest, "evidence");
    if (all == nullptr) return {};
    std::string rows;
    for (const auto& value : *all) {
        const auto& one = value.get_object();
        rows += "<tr>" + cell(text_in(one, "phase")) + cell(text_in(one, "what")) +
                cell(text_in(one, "got")) + "</tr>\n";
    }
    return section(
        "Evidence",
        table("Evidence", "<th scope=\"col\">phase</th><th scope=\"col\">what</th><th scope=\"col\">got</th>",
              rows));
}

std::string_view css_of(RunOutcome outcome) {
    return outcome == RunOutcome::ok ? "ok" : outcome == RunOutcome::failed ? "failing" : "unknown";
}

std::string runs(const ProbeDetails& probe, WallTime now) {
    if (probe.runs.empty()) return {};
    std::string rows;
    for (auto run = probe.runs.rbegin(); run != probe.runs.rend(); ++run) {
        std::string how(to_string(run->outcome));
        if (!run->reason.empty()) how += " in " + run->phase + ": " + run->reason;
        rows += "<tr><td class=\"time\">" + time_element(run->started, now) + "</td><td class=\"long " +
                std::string(css_of(run->outcome)) + "\">" + html(how);
        if (!run->label.empty()) rows += " <code>" + html(run->label) + "</code>";
        rows += " <span class=\"run\">run " + html(run->run_id) + "</span></td><td class=\"time\">" +
                span(std::chrono::duration_cast<std::chrono::microseconds>(run->duration)) + "</td></tr>\n";
    }
    return section("Last runs", table("Last runs",
                                      "<th scope=\"col\">when</th><th scope=\"col\">outcome</th><th "
                                      "scope=\"col\">took</th>",
                                      rows));
}

}  // namespace

std::string_view language_of(std::string_view accept_language) noexcept {
    const auto zh = accept_language.find("zh"), en = accept_language.find("en");
    return zh != accept_language.npos && (en == accept_language.npos || zh < en) ? "zh" : "en";
}

std::string why_sections(const json::object& result, std::string_view lang) {
    return fix(result, lang) + causes(result);
}

std::string seen_sections(const json::object& result) { return controls(result) + evidence(result); }

std::string probe_page(const ProbeDetails& probe, WallTime now, std::string_view lang, bool runnable) {
    const ProbeStatus& status = probe.status;
    const StateWords& state = words_of(state_of(status));
    std::string out =
        page_head(status.name + ": " + std::string(state.words) + " – livecanary " + probe.location, "../");
    out += "<header>\n<h1>" + html(status.name) + " <span class=\"where\">" + html(status.kind) +
           "</span></h1>\n<p role=\"status\" class=\"summary " + std::string(state.css) + "\">" +
           std::string(state.words) + "</p>\n</header>\n<main id=\"main\" tabindex=\"-1\" class=\"" +
           std::string(state.css) +
           "\">\n<nav><a href=\"../\">all probes</a> · <a href=\"../incidents?probe=" +
           percent_encoded(status.name) + "\">its incidents</a></nav>\n";
    out += sentence_element(status.sentence);
    out += "<p class=\"what\">" + html(status.target) + "</p>\n";
    out += "<dl>\n";
    const bool wrong = status.outcome == "failed" || status.outcome == "inconclusive";
    if (wrong && !status.cause.empty()) out += label_fact(status.cause);
    if (wrong && !status.reason.empty())
        out += fact(status.outcome == "failed" ? "failed in" : "ended in",
                    html(status.phase) + (status.phase.empty() ? "" : ": ") + html(status.reason));
    if (!status.outcome.empty()) {
        out += fact("since", time_element(status.since, now));
        out += fact("last run", time_element(status.last_run, now));
        out += fact("took", span(status.duration));
    }
    out += fact("next run", until(status.until_next)) + fact("severity", html(status.severity)) + "</dl>\n";
    if (runnable)
        out += "<form method=\"post\" action=\"../api/v1/probes/" + percent_encoded(status.name) +
               "/run\"><button>run now</button></form>\n";
    if (wrong) out += fix(probe.latest, lang) + causes(probe.latest);
    out += waterfall(probe);
    out += controls(probe.latest) + evidence(probe.latest) + runs(probe, now);
    return out + "</main>\n<footer>\n<p>As of " + stamp(now) + " · <a href=\"../api/v1/probes/" +
           percent_encoded(status.name) + "\">the last result as JSON</a></p>\n</footer>\n</body>\n</html>\n";
}

}  // namespace livecanary::daemon
