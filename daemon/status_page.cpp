#include "daemon/status_page.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <vector>

namespace livecanary::daemon {
namespace {

/// What a probe is at, worst first. The enumerators are the classes in the style sheet.
enum class State { alerting, failing, unknown, waiting, ok };

struct StateWords {
    std::string_view css;
    std::string_view words;
};

constexpr std::array<StateWords, 5> state_words{{{"alerting", "alerting"},
                                                 {"failing", "failing"},
                                                 {"unknown", "inconclusive"},
                                                 {"waiting", "not run yet"},
                                                 {"ok", "ok"}}};

const StateWords& words_of(State state) { return state_words[static_cast<std::size_t>(state)]; }

State state_of(const ProbeStatus& probe) {
    if (probe.alerting) return State::alerting;
    if (probe.outcome == "failed") return State::failing;
    if (probe.outcome == "ok") return State::ok;
    return probe.outcome.empty() ? State::waiting : State::unknown;
}

std::string number(double value, int decimals, std::string_view unit) {
    std::array<char, 64> text{};
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, decimals);
    return std::string(text.data(), end.ptr) + std::string(unit);
}

/// "320 ms", "5.21 s", "12 min", "3 h", "2 d".
std::string span(std::chrono::milliseconds length) {
    using namespace std::chrono_literals;
    const auto in = [&](std::chrono::milliseconds unit) {
        return static_cast<double>(length.count()) / static_cast<double>(unit.count());
    };
    if (length < 1s) return number(in(1ms), 0, " ms");
    if (length < 10s) return number(in(1s), 2, " s");
    if (length < 2min) return number(in(1s), 0, " s");
    if (length < 2h) return number(in(1min), 0, " min");
    if (length < 48h) return number(in(1h), 0, " h");
    return number(in(24h), 0, " d");
}

/// The same in whole seconds.
std::string coarse(std::chrono::seconds length) {
    return length < std::chrono::seconds(10) ? std::to_string(length.count()) + " s" : span(length);
}

std::string age(WallTime then, WallTime now) {
    const auto length = std::chrono::floor<std::chrono::seconds>(now - then);
    return length.count() < 1 ? "just now" : coarse(length) + " ago";
}

std::string until(std::chrono::milliseconds length) {
    return length.count() <= 0 ? "now" : "in " + coarse(std::chrono::ceil<std::chrono::seconds>(length));
}

/// RFC 3339 in UTC, to the second.
std::string stamp(WallTime time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string time_element(WallTime time, WallTime now) {
    if (time == WallTime{}) return "–";
    const std::string at = stamp(time);
    return "<time datetime=\"" + at + "\" title=\"" + at + "\">" + age(time, now) + "</time>";
}

std::string fact(std::string_view name, const std::string& escaped) {
    return "<div><dt>" + std::string(name) + "</dt><dd>" + escaped + "</dd></div>\n";
}

std::string item(const ProbeStatus& probe, WallTime now) {
    const StateWords& state = words_of(state_of(probe));
    const bool wrong = probe.outcome == "failed" || probe.outcome == "inconclusive";
    std::string out = "<li class=\"" + std::string(state.css) + "\">\n<h2>" + html(probe.name) +
                      " <span class=\"state\">" + std::string(state.words) +
                      "</span></h2>\n<p class=\"what\">" + html(probe.kind) + " · <span class=\"target\">" +
                      html(probe.target) + "</span></p>\n";
    if (!probe.sentence.empty()) out += "<p class=\"sentence\">" + html(probe.sentence) + "</p>\n";
    out += "<dl>\n";
    if (wrong && !probe.cause.empty()) out += fact("cause", "<code>" + html(probe.cause) + "</code>");
    if (wrong && !probe.reason.empty())
        out += fact("failed in", html(probe.phase) + (probe.phase.empty() ? "" : ": ") + html(probe.reason));
    if (!probe.outcome.empty()) {
        out += fact("since", time_element(probe.since, now));
        out += fact("last run", time_element(probe.last_run, now));
        out += fact("took", span(probe.duration));
    }
    out += fact("next run", until(probe.until_next));
    if (state_of(probe) != State::ok) out += fact("severity", html(probe.severity));
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

constexpr std::string_view head = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="10">
<link rel="stylesheet" href="style.css">
)";

}  // namespace

std::string html(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        // clang-format off
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
        // clang-format on
    }
    return out;
}

std::string status_page(const Status& status, WallTime now) {
    std::vector<const ProbeStatus*> probes;
    for (const ProbeStatus& probe : status.probes) probes.push_back(&probe);
    std::ranges::stable_sort(probes, {}, [](const ProbeStatus* probe) { return state_of(*probe); });
    const std::string all = summary(probes);
    const State worst = probes.empty() ? State::waiting : state_of(*probes.front());

    std::string out{head};
    out +=
        "<title>" + all + " – livecanary " + html(status.location) + "</title>\n</head>\n<body>\n<header>\n";
    out += "<h1>livecanary <span class=\"where\">" + html(status.location) + "</span></h1>\n";
    out +=
        "<p class=\"summary " + std::string(words_of(worst).css) + "\">" + all + "</p>\n</header>\n<main>\n";
    out += "<ul class=\"probes\">\n";
    for (const ProbeStatus* probe : probes) out += item(*probe, now);
    out += "</ul>\n</main>\n<footer>\n<p>As of " + stamp(now) + ", renewed every 10 s · livecanary " +
           html(status.version) + " · <a href=\"metrics\">metrics</a></p>\n</footer>\n</body>\n</html>\n";
    return out;
}

std::string no_status_page(std::string_view why) {
    std::string out{head};
    out += "<title>no answer – livecanary</title>\n</head>\n<body>\n<header>\n<h1>livecanary</h1>\n";
    out += "<p class=\"summary alerting\">" + html(why) +
           "</p>\n</header>\n<main>\n<p>No probe can be shown, and none may be running. The log of the "
           "daemon says more.</p>\n</main>\n</body>\n</html>\n";
    return out;
}

std::string_view style_sheet() noexcept {
    return R"(:root {
    color-scheme: light dark;
    --page: #f6f7f9; --card: #ffffff; --text: #1b1f24; --soft: #57606a; --line: #d8dee4;
    --red: #b3261e; --amber: #8a5300; --green: #1a6b35; --grey: #57606a; --link: #0a58b5;
}
@media (prefers-color-scheme: dark) {
    :root {
        --page: #0e1116; --card: #171b22; --text: #e8ebef; --soft: #a2acb8; --line: #2d343e;
        --red: #ff8a80; --amber: #f2b455; --green: #6fd08c; --grey: #a2acb8; --link: #7db7ff;
    }
}
* { box-sizing: border-box; }
body {
    margin: 0 auto; padding: 1.25rem clamp(.75rem, 3vw, 2rem); max-width: 72rem;
    background: var(--page); color: var(--text);
    font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif;
}
header { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: .25rem 1.5rem; }
h1 { margin: 0; font-size: 1.35rem; letter-spacing: -.01em; }
.where { color: var(--soft); font-weight: 400; }
.summary { margin: 0; font-weight: 600; color: var(--tone); }
.alerting, .failing { --tone: var(--red); }
.unknown { --tone: var(--amber); }
.waiting { --tone: var(--grey); }
.ok { --tone: var(--green); }
.probes { list-style: none; margin: 1.25rem 0; padding: 0; display: grid; gap: .75rem; }
.probes li {
    padding: .85rem 1.1rem; border: 1px solid var(--line); border-left: .35rem solid var(--tone);
    border-radius: .5rem; background: var(--card); overflow-wrap: anywhere;
}
h2 { margin: 0; font-size: 1.05rem; display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .6rem; }
.state {
    padding: 0 .55em; border: 1px solid var(--tone); border-radius: 1em; color: var(--tone);
    font-size: .8rem; font-weight: 600;
}
.alerting .state { background: var(--tone); color: var(--card); }
.what { margin: 0; color: var(--soft); font-size: .9rem; }
.sentence { margin: .5rem 0 0; font-weight: 500; max-width: 65ch; }
dl { margin: .55rem 0 0; display: flex; flex-wrap: wrap; gap: .35rem 1.75rem; }
dt { color: var(--soft); font-size: .75rem; }
dd { margin: 0; font-size: .9rem; font-variant-numeric: tabular-nums; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .95em; }
footer { color: var(--soft); font-size: .85rem; }
a { color: var(--link); }
a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
@media (max-width: 34rem) {
    .probes li { padding: .75rem .85rem; }
    dl { display: grid; grid-template-columns: 1fr 1fr; }
}
)";
}

}  // namespace livecanary::daemon
