#include "daemon/status_page.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "daemon/page.hpp"

namespace livecanary::daemon {
namespace {

constexpr std::size_t longest_text = 100;

/// The last runs, oldest left, a bar each; of those that were ok as high as they took long.
std::string strip(const ProbeStatus& probe) {
    if (probe.strip.empty()) return {};
    std::size_t ok = 0;
    std::chrono::milliseconds longest{1};
    for (const auto& run : probe.strip) {
        if (run.outcome == "ok") ++ok;
        longest = std::max(longest, run.duration);
    }
    const std::string words =
        "last " + std::to_string(probe.strip.size()) + " runs: " + std::to_string(ok) + " ok";
    // Of 20 runs at most, 10 wide each, from the right.
    std::string out =
        "<svg class=\"strip\" viewBox=\"0 0 200 20\" preserveAspectRatio=\"none\" role=\"img\">"
        "<title>" +
        words + "</title>";
    std::size_t x = 200 - 10 * std::min<std::size_t>(probe.strip.size(), 20);
    if (x > 0)
        out += "<rect class=\"none\" x=\"0\" y=\"18\" width=\"" + std::to_string(x - 2) + "\" height=\"2\"/>";
    for (const auto& run : probe.strip) {
        // One that failed is seen, however short it was.
        const auto height = run.outcome == "ok" ? 5 + 15 * run.duration.count() / longest.count() : 20;
        const char* css = run.outcome == "ok" ? "ok" : run.outcome == "failed" ? "failing" : "unknown";
        out += "<rect class=\"" + std::string(css) + "\" x=\"" + std::to_string(x) + "\" y=\"" +
               std::to_string(20 - height) + "\" width=\"8\" height=\"" + std::to_string(height) + "\"/>";
        x += 10;
    }
    return out + "</svg>\n";
}

std::string hops(const ProbeStatus& probe) {
    if (probe.hops.empty()) return {};
    std::string out = "<ol class=\"hops\">\n";
    for (const auto& hop : probe.hops) {
        const char* css = hop.state == "ok"        ? "ok"
                          : hop.state == "failed"  ? "alerting"
                          : hop.state == "blocked" ? "blocked"
                                                   : "waiting";
        out += "<li class=\"" + std::string(css) + "\">" + html(hop.name) + ": " + html(hop.state) +
               (hop.took.count() > 0 ? ", " + span(hop.took) : "") + "</li>\n";
    }
    return out + "</ol>\n";
}

std::string item(const ProbeStatus& probe, WallTime now) {
    const StateWords& state = words_of(state_of(probe));
    const bool wrong = probe.outcome == "failed" || probe.outcome == "inconclusive";
    std::string out = "<li id=\"probe-" + html(probe.name) + "\" class=\"" + std::string(state.css) +
                      "\">\n<h2><a href=\"probes/" + percent_encoded(probe.name) + "\">" + html(probe.name) +
                      "</a> <span class=\"state\">" + std::string(state.words) + "</span></h2>\n";
    out += sentence_element(probe.sentence);
    out += "<p class=\"what\">" + html(probe.kind) + " · <span class=\"target\">" + html(probe.target) +
           "</span></p>\n";
    out += hops(probe) + strip(probe) + "<dl>\n";
    if (wrong && !probe.cause.empty()) out += label_fact(probe.cause);
    if (wrong && !probe.reason.empty())
        out += fact(probe.outcome == "failed" ? "failed in" : "ended in",
                    html(probe.phase) + (probe.phase.empty() ? "" : ": ") + html(probe.reason));
    if (!probe.outcome.empty()) {
        out += fact("since", time_element(probe.since, now));
        out += fact("last run", time_element(probe.last_run, now));
        out += fact("took", span(probe.duration));
    }
    out += fact("next run", until(probe.until_next));
    // The others are critical.
    if (probe.severity == "warning") out += fact("severity", "warning");
    return out + "</dl>\n</li>\n";
}

/// "1 alerting, 7 ok": only states that some probe is in.
std::string summary(const std::vector<const ProbeStatus*>& probes) {
    std::array<std::size_t, state_words.size()> count{};
    for (const ProbeStatus* probe : probes) ++count[static_cast<std::size_t>(state_of(*probe))];
    std::string out;
    for (std::size_t i = 0; i < count.size(); ++i)
        if (count[i] != 0)
            out += (out.empty() ? "" : ", ") + std::to_string(count[i]) + " " +
                   std::string(state_words[i].words);
    return out.empty() ? "no probes are configured" : out;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

bool is_wanted(const ProbeStatus& probe, std::string_view text) {
    return contains(probe.name, text) || contains(probe.kind, text) || contains(probe.target, text) ||
           contains(probe.cause, text);
}

std::string list(const std::vector<const ProbeStatus*>& probes, WallTime now) {
    std::string out = "<ul class=\"probes\">\n";
    for (const ProbeStatus* probe : probes) out += item(*probe, now);
    return out + "</ul>\n";
}

std::string page_link(const PageWish& wish, std::size_t page, std::string_view words) {
    return "<a href=\"?q=" + percent_encoded(wish.text) + "&amp;page=" + std::to_string(page) + "\">" +
           std::string(words) + "</a>\n";
}

}  // namespace

PageWish page_wish(std::string_view query) {
    PageWish wish;
    while (!query.empty()) {
        const auto end = std::min(query.find('&'), query.size());
        const auto pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        const auto equals = std::min(pair.find('='), pair.size());
        const auto name = pair.substr(0, equals);
        const auto value = pair.substr(std::min(equals + 1, pair.size()));
        if (name == "page") {
            std::size_t page = 0;
            const auto [at, error] = std::from_chars(value.data(), value.data() + value.size(), page);
            if (error == std::errc() && at == value.data() + value.size() && page > 0) wish.page = page;
        } else if (name == "q") {
            wish.text.clear();
            for (std::size_t i = 0; i < value.size() && wish.text.size() < longest_text; ++i) {
                unsigned byte = 0;
                const bool coded =
                    value[i] == '%' && i + 2 < value.size() &&
                    std::from_chars(value.data() + i + 1, value.data() + i + 3, byte, 16).ptr ==
                        value.data() + i + 3;
                if (coded) i += 2;
                wish.text += coded ? static_cast<char>(byte) : value[i] == '+' ? ' ' : value[i];
            }
        }
    }
    return wish;
}

std::string status_page(const Status& status, WallTime now, const PageWish& wish) {
    std::vector<const ProbeStatus*> all, journeys, probes;
    for (const ProbeStatus& probe : status.probes) {
        all.push_back(&probe);
        if (!is_wanted(probe, wish.text)) continue;
        (probe.hops.empty() ? probes : journeys).push_back(&probe);
    }
    const auto worst_first = [](const ProbeStatus* probe) { return state_of(*probe); };
    std::ranges::stable_sort(all, {}, worst_first);
    std::ranges::stable_sort(journeys, {}, worst_first);
    std::ranges::stable_sort(probes, {}, worst_first);
    const std::string words = summary(all);
    const State worst = all.empty() ? State::waiting : state_of(*all.front());
    const std::size_t pages = std::max<std::size_t>(1, (probes.size() + probes_a_page - 1) / probes_a_page);
    const std::size_t page = std::min(wish.page, pages);
    const auto first = probes.begin() + static_cast<std::ptrdiff_t>((page - 1) * probes_a_page);
    const auto last =
        probes.begin() + static_cast<std::ptrdiff_t>(std::min(page * probes_a_page, probes.size()));
    const std::size_t shown = journeys.size() + probes.size();

    std::string out = page_head(words + " – livecanary " + status.location, "");
    out += "<header>\n<h1>livecanary <span class=\"where\">" + html(status.location) + "</span></h1>\n";
    out += "<p role=\"status\" class=\"summary " + std::string(words_of(worst).css) + "\">" + words +
           "</p>\n</header>\n<main id=\"main\" tabindex=\"-1\">\n";
    // Few are seen at a glance.
    if (all.size() > 10 || !wish.text.empty())
        out +=
            "<form method=\"get\" role=\"search\"><label for=\"q\">name, kind, target or cause</label> "
            "<input id=\"q\" name=\"q\" type=\"search\" value=\"" +
            html(wish.text) + "\"> <button>show</button></form>\n";
    if (!wish.text.empty())
        out += "<p>" + std::to_string(shown) + " of " + std::to_string(all.size()) +
               " probes. <a href=\".\">all</a></p>\n";
    if (page == 1 && !journeys.empty()) out += list(journeys, now);
    out += list({first, last}, now);
    if (pages > 1) {
        out += "<nav class=\"pages\" aria-label=\"pages\">\n";
        if (page > 1) out += page_link(wish, page - 1, "previous");
        out += "<span>page " + std::to_string(page) + " of " + std::to_string(pages) + "</span>\n";
        if (page < pages) out += page_link(wish, page + 1, "next");
        out += "</nav>\n";
    }
    return out + "</main>\n<footer>\n<p>As of " + stamp(now) + " · livecanary " + html(status.version) +
           " · <a href=\"incidents\">incidents</a> · <a "
           "href=\"metrics\">metrics</a></p>\n</footer>\n</body>\n</html>\n";
}

std::string no_status_page(std::string_view why, std::string_view root) {
    return page_head("no answer – livecanary", root) +
           "<header>\n<h1>livecanary</h1>\n<p class=\"summary alerting\">" + html(why) +
           "</p>\n</header>\n<main id=\"main\" tabindex=\"-1\">\n<p>No probe can be shown, and none may be "
           "running. The log of the daemon says more.</p>\n</main>\n</body>\n</html>\n";
}

std::string no_such_page(std::string_view thing) {
    const std::string words = "no such " + std::string(thing);
    return page_head(words + " – livecanary", "../") +
           "<header>\n<h1>livecanary</h1>\n<p class=\"summary unknown\">There is " + html(words) +
           ".</p>\n</header>\n<main id=\"main\" tabindex=\"-1\">\n<p>It may have been removed or renamed. <a "
           "href=\"../\">all probes</a></p>\n</main>\n</body>\n</html>\n";
}

}  // namespace livecanary::daemon
