#include "daemon/page.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "probes/catalogue/catalogue.hpp"

namespace livecanary::daemon {

const StateWords& words_of(State state) { return state_words[static_cast<std::size_t>(state)]; }

State state_of(const ProbeStatus& probe) {
    if (probe.alerting) return State::alerting;
    if (probe.outcome == "failed") return State::failing;
    if (probe.outcome == "ok") return State::ok;
    return probe.outcome.empty() ? State::waiting : State::unknown;
}

namespace {

std::string number(double value, int decimals, std::string_view unit) {
    std::array<char, 64> text{};
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, decimals);
    return std::string(text.data(), end.ptr) + std::string(unit);
}

}  // namespace

std::string span(std::chrono::microseconds length) {
    using namespace std::chrono_literals;
    const auto in = [&](std::chrono::microseconds unit) {
        return static_cast<double>(length.count()) / static_cast<double>(unit.count());
    };
    // What is given in milliseconds is 0 if it was shorter.
    if (length < 10us) return "under 1 ms";
    if (length < 1ms) return number(in(1ms), 2, " ms");
    if (length < 10ms) return number(in(1ms), 1, " ms");
    if (length < 1s) return number(in(1ms), 0, " ms");
    if (length < 10s) return number(in(1s), 2, " s");
    if (length < 2min) return number(in(1s), 0, " s");
    if (length < 2h) return number(in(1min), 0, " min");
    if (length < 48h) return number(in(1h), 0, " h");
    return number(in(24h), 0, " d");
}

namespace {

/// The same in whole seconds.
std::string coarse(std::chrono::seconds length) {
    return length < std::chrono::seconds(10) ? std::to_string(length.count()) + " s" : span(length);
}

}  // namespace

std::string age(WallTime then, WallTime now) {
    const auto length = std::chrono::floor<std::chrono::seconds>(now - then);
    return length.count() < 1 ? "just now" : coarse(length) + " ago";
}

std::string until(std::chrono::milliseconds length) {
    return length.count() <= 0 ? "now" : "in " + coarse(std::chrono::ceil<std::chrono::seconds>(length));
}

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

std::string_view lang_of(std::string_view text) noexcept {
    // U+4000 to U+9FFF begin with these bytes, and no other character has them.
    const bool chinese = std::ranges::any_of(text, [](char c) {
        return static_cast<unsigned char>(c) >= 0xe4 && static_cast<unsigned char>(c) <= 0xe9;
    });
    return chinese ? " lang=\"zh\"" : "";
}

std::string sentence_element(std::string_view text) {
    if (text.empty()) return {};
    return "<p class=\"sentence\"" + std::string(lang_of(text)) + ">" + html(text) + "</p>\n";
}

std::string label_fact(std::string_view label) {
    return fact(class_from(label) ? "class" : "cause", "<code>" + html(label) + "</code>");
}

std::string cell(std::string_view text) {
    return "<td" + std::string(lang_of(text)) + ">" + html(text) + "</td>";
}

std::string section(std::string_view title, const std::string& content) {
    return "<section>\n<h2>" + std::string(title) + "</h2>\n" + content + "</section>\n";
}

std::string table(std::string_view name, std::string_view heads, const std::string& rows) {
    return "<div class=\"scroll\" role=\"region\" aria-label=\"" + std::string(name) +
           "\" tabindex=\"0\"><table>\n<thead><tr>" + std::string(heads) + "</tr></thead>\n<tbody>\n" + rows +
           "</tbody>\n</table></div>\n";
}

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

std::string percent_encoded(std::string_view text) {
    static constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '_' || c == '.' || c == '~';
        if (plain)
            out += c;
        else
            (((out += '%') += digits[byte >> 4]) += digits[byte & 15]);
    }
    return out;
}

std::string page_head(std::string_view title, std::string_view root) {
    const std::string way(root);
    return R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<noscript><meta http-equiv="refresh" content="30"></noscript>
<link rel="stylesheet" href=")" +
           way + R"(style.css">
<script defer src=")" +
           way + R"(live.js" data-events=")" + way + R"(events"></script>
<title>)" + html(title) +
           "</title>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n";
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
    margin: 0 auto; padding: 1rem clamp(.75rem, 3vw, 2rem); max-width: 72rem;
    background: var(--page); color: var(--text);
    font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif;
}
header { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: .25rem 1.5rem; }
h1 { margin: 0; font-size: 1.35rem; line-height: 1.3; letter-spacing: -.01em; overflow-wrap: anywhere; }
main:focus { outline: none; }
.skip { position: absolute; left: -100rem; padding: .4rem .8rem; background: var(--card); }
.skip:focus { left: .5rem; top: .5rem; z-index: 2; }
.old {
    position: sticky; top: 0; z-index: 1; margin: 0 0 .75rem; padding: .5rem .75rem; border-radius: .4rem;
    background: var(--red); color: var(--card); font-weight: 600;
}
.where { color: var(--soft); font-weight: 400; }
.summary { margin: 0; font-weight: 600; color: var(--tone); }
.alerting, .failing { --tone: var(--red); }
.unknown { --tone: var(--amber); }
.waiting { --tone: var(--grey); }
.ok { --tone: var(--green); }
.probes { list-style: none; margin: 1rem 0; padding: 0; display: grid; gap: .6rem; }
.probes li {
    padding: .7rem 1.1rem .75rem; border: 1px solid var(--line); border-left: .35rem solid var(--tone);
    border-radius: .5rem; background: var(--card); overflow-wrap: anywhere;
}
h2 { margin: 0; font-size: 1.05rem; display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .6rem; }
.state {
    padding: 0 .55em; border: 1px solid var(--tone); border-radius: 1em; color: var(--tone);
    font-size: .8rem; font-weight: 600;
}
.alerting .state { background: var(--tone); color: var(--card); }
.what { margin: .15rem 0 0; color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
.sentence { margin: .2rem 0 0; font-weight: 500; line-height: 1.4; max-width: 65ch; overflow-wrap: anywhere; }
.alerting .sentence, .failing .sentence { font-weight: 600; }
dl { margin: .4rem 0 0; display: flex; flex-wrap: wrap; gap: 0 1.25rem; }
dl div { display: flex; gap: .4em; align-items: baseline; }
dt { color: var(--soft); font-size: .8rem; white-space: nowrap; }
dd { margin: 0; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .95em; }
footer { color: var(--soft); font-size: .85rem; }
a { color: var(--link); }
h2 a { color: inherit; text-decoration-color: var(--line); }
nav { margin: .25rem 0 .4rem; }
.field { display: flex; gap: .5rem; align-items: center; min-width: 0; }
.field input { min-width: 0; }
form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; margin: 1rem 0 0; }
label { font-size: .85rem; color: var(--soft); }
input, button, select {
    font: inherit; padding: .3rem .6rem; border: 1px solid var(--line); border-radius: .4rem;
    background: var(--card); color: var(--text);
}
button { cursor: pointer; border-color: var(--link); color: var(--link); }
button:focus-visible, input:focus-visible, select:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.strip { display: block; width: 100%; max-width: 20rem; height: .8rem; margin: .5rem 0 0; }
.strip rect { fill: var(--tone); }
.strip .none { --tone: var(--line); }
.hops { list-style: none; display: flex; flex-wrap: wrap; gap: .4rem; margin: .6rem 0 0; padding: 0; }
.probes .hops li {
    padding: .15rem .6rem; border: 1px solid var(--tone); border-radius: 1em; color: var(--tone); font-size: .85rem;
}
.hops .alerting { font-weight: 600; }
.blocked { --tone: var(--grey); }
.probes .hops .blocked { border-style: dashed; }
section { margin: 1.5rem 0 0; }
section h2 { font-size: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: start; color: var(--soft); font-size: .8rem; }
th { text-align: start; font-weight: 600; }
thead th { color: var(--soft); font-size: .8rem; font-weight: 400; }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
td:last-child, td.long { overflow-wrap: anywhere; }
td.long { width: 99%; }
td.time { white-space: nowrap; }
th .run { font-weight: 400; overflow-wrap: anywhere; }
.changes { list-style: none; margin: .6rem 0 0; padding: 0; max-width: 75ch; }
.changes li { margin: 0 0 .6rem; padding: 0 0 0 .75rem; border-left: .2rem solid var(--line); }
.changes time { color: var(--soft); }
.run { display: block; color: var(--soft); font-size: .8rem; }
.scroll { overflow-x: auto; }
td.bar { width: 99%; min-width: 5rem; }
.bar svg { display: block; width: 100%; height: 1rem; }
.bar .took { fill: var(--tone); }
.bar .median { fill: none; stroke: var(--soft); stroke-width: 2; vector-effect: non-scaling-stroke; }
.fix { border-left: .25rem solid var(--link); padding: .25rem .75rem; margin: .75rem 0; max-width: 75ch; }
.candidates { margin: .75rem 0; padding-left: 1.4rem; max-width: 75ch; }
.candidates li { margin: .4rem 0; }
.candidates code { display: block; font-weight: 600; overflow-wrap: anywhere; }
section p, section li { overflow-wrap: anywhere; }
.pages { display: flex; gap: 1rem; }
a:focus-visible, .scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
@media (max-width: 34rem) {
    .probes li { padding: .6rem .8rem .65rem; }
    .strip { max-width: none; }
}
)";
}

std::string_view live_script() noexcept {
    return R"("use strict";
(() => {
    const events = document.currentScript.dataset.events;
    const again_after = 10000, ages_after = 30000;  // ms

    // Makes `old` what `now` is, and leaves alone what is the same: selections, focus, what somebody types.
    function renew_node(old, now) {
        if (old.nodeType !== Node.ELEMENT_NODE) {
            if (old.data !== now.data) old.data = now.data;
            return;
        }
        for (const { name } of [...old.attributes]) if (!now.hasAttribute(name)) old.removeAttribute(name);
        for (const { name, value } of now.attributes)
            if (old.getAttribute(name) !== value) old.setAttribute(name, value);
        const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
        let at = old.firstChild;
        for (const fresh of [...now.childNodes]) {
            const same = fresh.id ? named.get(fresh.id) : at && !at.id && at.nodeName === fresh.nodeName ? at : null;
            if (!same) {
                old.insertBefore(fresh, at);
                continue;
            }
            if (same === at) at = at.nextSibling;
            else old.insertBefore(same, at);
            renew_node(same, fresh);
        }
        while (at) {
            const next = at.nextSibling;
            at.remove();
            at = next;
        }
    }

    let old = null;  // the words that say so
    function is_old() {
        if (old) return;
        old = document.createElement("p");
        old.className = "old";
        old.setAttribute("role", "alert");
        old.textContent = "The daemon does not answer; what is shown is old.";
        document.body.prepend(old);
    }

    let busy = false, again = false;
    async function renew() {
        if (busy) { again = true; return; }
        busy = true;
        try {
            const answer = await fetch(location.href, {
                cache: "no-store",
                signal: AbortSignal.timeout(again_after),
            });
            const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
            const focused = document.activeElement;
            for (const part of ["header", "main", "footer"]) {
                const shown = document.querySelector(part), now = fresh.querySelector(part);
                if (shown && now) renew_node(shown, now);
            }
            // One that was moved has lost it.
            if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
            document.title = fresh.title;
            if (old) old.remove();
            old = null;
        } catch {
            is_old();
        }
        busy = false;
        if (again) { again = false; renew(); }
    }

    function listen() {
        const source = new EventSource(events);
        source.addEventListener("changed", renew);
        source.onopen = renew;
        source.onerror = () => {
            // What was refused, the browser does not ask for again: there are too many pages. Without word of changes
            // we look ourselves.
            renew();
            if (source.readyState === EventSource.CLOSED) setTimeout(listen, again_after);
        };
    }
    listen();
    // Ages grow without a result, and a network that was left says nothing.
    const renew_if_seen = () => { if (!document.hidden) renew(); };
    setInterval(renew_if_seen, ages_after);
    document.addEventListener("visibilitychange", renew_if_seen);
})();
)";
}

}  // namespace livecanary::daemon
