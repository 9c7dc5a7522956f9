#include "daemon/incident_page.hpp"

#include <algorithm>

#include <boost/json/parse.hpp>

#include "daemon/page.hpp"
#include "daemon/probe_page.hpp"
#include "daemon/web_query.hpp"

namespace livecanary::daemon {
namespace {

namespace json = boost::json;

std::string_view css_of(const Incident& incident) {
    if (incident.closed) return "ok";
    return incident.alerted() ? "alerting" : "failing";
}

std::string_view words_of(const Incident& incident) {
    if (incident.closed) return "closed";
    return incident.alerted() ? "open, alerting" : "open";
}

/// How long it lasted, or has.
std::string length(const Incident& incident, WallTime now) {
    return span(std::chrono::duration_cast<std::chrono::milliseconds>(
        std::max(incident.closed.value_or(now) - incident.opened, WallTime::duration{})));
}

std::string title_of(const Incident& incident) {
    const std::string& label = incident.latest().label();
    return incident.about + (label.empty() ? "" : ": " + label);
}

std::string code(std::string_view text) {
    return text.empty() ? std::string() : "<code>" + html(text) + "</code>";
}

std::string where(const IncidentChange& change) {
    return html(change.phase) + (change.phase.empty() ? "" : ": ") + html(change.reason);
}

std::string probe_link(std::string_view root, const std::string& probe) {
    return "<a href=\"" + std::string(root) + "probes/" + percent_encoded(probe) + "\">" + html(probe) +
           "</a>";
}

std::string facts(const Incident& incident, std::string_view root, WallTime now) {
    const IncidentChange& latest = incident.latest();
    std::string out = "<dl>\n";
    if (!latest.label().empty()) out += label_fact(latest.label());
    out += fact("failed in", where(latest));
    out += fact("began", time_element(incident.opened, now));
    if (const auto alerted = incident.alerted()) out += fact("alerted", time_element(*alerted, now));
    if (incident.closed) out += fact("over", time_element(*incident.closed, now));
    out += fact(incident.closed ? "lasted" : "has lasted", length(incident, now));
    out += fact("severity", html(incident.severity()));
    std::string probes;
    for (const auto& member : incident.probes)
        probes += (probes.empty() ? "" : ", ") + probe_link(root, member.probe);
    return out + fact(incident.probes.size() == 1 ? "probe" : "probes", probes) + "</dl>\n";
}

std::string item(const Incident& incident, std::string_view root, WallTime now) {
    return "<li class=\"" + std::string(css_of(incident)) + "\">\n<h2><a href=\"" + std::string(root) +
           "incidents/" + percent_encoded(incident.id) + "\">" + html(title_of(incident)) +
           "</a> <span class=\"state\">" + std::string(words_of(incident)) + "</span></h2>\n" +
           sentence_element(incident.latest().sentence) + facts(incident, root, now) + "</li>\n";
}

std::string items(const std::vector<Incident>& incidents, std::string_view root, WallTime now) {
    if (incidents.empty()) return {};
    std::string out = "<ul class=\"probes\">\n";
    for (const auto& incident : incidents) out += item(incident, root, now);
    return out + "</ul>\n";
}

std::string query_of(const IncidentWish& wish, std::size_t page) {
    std::string query = "?page=" + std::to_string(page);
    if (!wish.probe.empty()) query += "&amp;probe=" + percent_encoded(wish.probe);
    if (wish.open) query += std::string("&amp;state=") + (*wish.open ? "open" : "closed");
    return query;
}

std::string filter(const IncidentWish& wish) {
    const auto option = [&](std::string_view value, std::string_view words, bool chosen) {
        return "<option value=\"" + std::string(value) + "\"" + (chosen ? " selected" : "") + ">" +
               std::string(words) + "</option>";
    };
    return "<form method=\"get\" role=\"search\"><span class=\"field\"><label for=\"probe\">probe</label> "
           "<input id=\"probe\" "
           "name=\"probe\" type=\"search\" value=\"" +
           html(wish.probe) +
           "\"></span> <span class=\"field\"><label for=\"state\">state</label> <select id=\"state\" "
           "name=\"state\">" +
           option("", "any", !wish.open) + option("open", "open", wish.open == true) +
           option("closed", "closed", wish.open == false) + "</select></span> <button>show</button></form>\n";
}

/// No table: on a phone its columns would be as narrow as words.
std::string changes(const Incident& incident, WallTime now) {
    std::string out = "<ol class=\"changes\">\n";
    for (const auto& change : incident.changes) {
        out += "<li>" + time_element(change.at, now) + " <span" + std::string(lang_of(change.sentence)) +
               ">" + html(change.sentence) + "</span>";
        if (!change.label().empty()) out += " " + code(change.label());
        out += " <span class=\"run\">" + probe_link("../", change.probe) + ", failed in " + where(change) +
               ", run " + html(change.run_id) + "</span></li>\n";
    }
    out += "</ol>\n";
    if (incident.changes_left_out > 0)
        out += "<p>" + std::to_string(incident.changes_left_out) + " changes in between are left out.</p>\n";
    return section("What it was taken for", out);
}

std::string members(const Incident& incident, WallTime now) {
    std::string rows;
    for (const auto& member : incident.probes) {
        const std::string until =
            !member.until ? "fails" : html(member.ended) + ", " + time_element(*member.until, now);
        rows += "<tr><th scope=\"row\">" + probe_link("../", member.probe) + " <span class=\"run\">" +
                html(member.kind) + " · " + html(member.target) + "</span></th><td class=\"time\">" +
                time_element(member.since, now) + "</td><td class=\"" + (member.until ? "ok" : "failing") +
                "\">" + until + "</td><td>" + std::to_string(member.failures) + "</td></tr>\n";
    }
    return section("Probes that failed", table("Probes",
                                               "<th scope=\"col\">probe</th><th scope=\"col\">since</th><th "
                                               "scope=\"col\">now</th><th scope=\"col\">failed runs</th>",
                                               rows));
}

json::object result_of(const IncidentProbe& member) {
    boost::system::error_code error;
    const json::value result = json::parse(member.result, error);
    return !error && result.is_object() ? result.get_object() : json::object();
}

}  // namespace

std::string read_wish(std::string_view query, IncidentWish& wish) {
    std::string mistake;
    for (auto& [name, value] : parse_query(query)) {
        if (name == "probe") {
            wish.probe = std::move(value);
        } else if (name == "state") {
            if (value == "open" || value == "closed")
                wish.open = value == "open";
            else if (!value.empty())
                mistake = "state has to be open or closed";
        } else if (name == "page") {
            if (const auto page = parse_count(value))
                wish.page = *page;
            else
                mistake = "page has to be a number from 1";
        } else if (name == "limit") {
            const auto limit = parse_count(value);
            if (limit && *limit <= most_incidents_on_a_page)
                wish.on_a_page = *limit;
            else
                mistake = "limit has to be 1 to " + std::to_string(most_incidents_on_a_page);
        }
    }
    return mistake;
}

std::string incidents_page(const IncidentList& list, const IncidentWish& wish, WallTime now) {
    const auto open = std::ranges::count_if(list.incidents, [](const auto& one) { return !one.closed; });
    const std::string words = list.count == 0   ? "no incidents"
                              : list.count == 1 ? "1 incident"
                                                : std::to_string(list.count) + " incidents";
    const std::size_t pages = std::max<std::size_t>(1, (list.count + wish.on_a_page - 1) / wish.on_a_page);
    std::string out = page_head(words + " – livecanary " + list.location, "");
    out += "<header>\n<h1>Incidents <span class=\"where\">" + html(list.location) +
           "</span></h1>\n<p role=\"status\" class=\"summary " + (open > 0 ? "alerting" : "ok") + "\">" +
           words +
           "</p>\n</header>\n<main id=\"main\" tabindex=\"-1\">\n<nav><a href=\"./\">all probes</a></nav>\n" +
           filter(wish) + items(list.incidents, "", now);
    if (pages > 1) {
        out += "<nav class=\"pages\" aria-label=\"pages\">\n";
        if (wish.page > 1)
            out += "<a href=\"" + query_of(wish, std::min(wish.page - 1, pages)) + "\">previous</a>\n";
        out += "<span>page " + std::to_string(wish.page) + " of " + std::to_string(pages) + "</span>\n";
        if (wish.page < pages) out += "<a href=\"" + query_of(wish, wish.page + 1) + "\">next</a>\n";
        out += "</nav>\n";
    }
    return out + "</main>\n<footer>\n<p>As of " + stamp(now) +
           " · <a href=\"api/v1/incidents\">as JSON</a></p>\n</footer>\n</body>\n</html>\n";
}

std::string incident_page(const IncidentView& view, WallTime now, std::string_view lang) {
    const Incident& incident = view.incident;
    const std::string css(css_of(incident));
    const IncidentProbe& lead = incident.lead();
    std::string out = page_head(title_of(incident) + " – livecanary " + view.location, "../");
    out += "<header>\n<h1>" + html(incident.about) + " <span class=\"where\">" +
           (incident.is_journey ? "journey" : html(lead.kind)) +
           "</span></h1>\n<p role=\"status\" class=\"summary " + css + "\">" +
           std::string(words_of(incident)) + "</p>\n</header>\n<main id=\"main\" tabindex=\"-1\" class=\"" +
           css +
           "\">\n<nav><a href=\"../incidents\">all incidents</a> · <a href=\"../\">all probes</a></nav>\n" +
           sentence_element(incident.latest().sentence) + facts(incident, "../", now);
    const json::object result = result_of(lead);
    out +=
        why_sections(result, lang) + changes(incident, now) + members(incident, now) + seen_sections(result);
    if (!view.beside.empty()) out += section("At the same time", items(view.beside, "../", now));
    return out + "</main>\n<footer>\n<p>As of " + stamp(now) + " · <a href=\"../api/v1/incidents/" +
           percent_encoded(incident.id) + "\">as JSON</a></p>\n</footer>\n</body>\n</html>\n";
}

}  // namespace livecanary::daemon
