#include "daemon/explain.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "probes/catalogue/catalogue.hpp"

namespace livecanary::daemon {
namespace {

constexpr std::size_t bar_width = 40;  // columns of the waterfall

struct Colours {
    std::string_view red, green, yellow, bold, dim, off;
};
constexpr Colours colours_of(bool on) {
    if (!on) return {};
    return {"\033[31m", "\033[32m", "\033[33m", "\033[1m", "\033[2m", "\033[0m"};
}

Lang language(std::string_view lang) { return lang == "zh" ? Lang::zh : Lang::en; }

template <class Id>
std::string title(Id id, std::string_view lang) {
    return std::string(entry(id).title.in(language(lang)));
}

/// A row of the waterfall: where in the run the phase lies.
std::string bar(const PhaseTime& phase, Clock::duration whole) {
    const double scale = static_cast<double>(bar_width) / std::max(1.0, static_cast<double>(whole.count()));
    const auto column = [&](Clock::duration at) {
        return std::min(bar_width,
                        static_cast<std::size_t>(std::floor(static_cast<double>(at.count()) * scale)));
    };
    const auto from = std::min(column(phase.start), bar_width - 1);
    const auto to = std::max(from + 1, column(phase.start + phase.took));
    std::string row(bar_width, ' ');
    for (auto i = from; i < to; ++i) row[i] = '=';
    return row;
}

void print_phases(std::ostream& out, const RunResult& run, const Colours& c) {
    for (const auto& phase : run.phases) {
        char name[16];
        std::snprintf(name, sizeof name, "%-14.*s", static_cast<int>(phase.phase.name.size()),
                      phase.phase.name.data());
        char took[16];
        std::snprintf(took, sizeof took, "%10s", duration_text(phase.took).c_str());
        out << "  " << (phase.ok ? c.green : c.red) << (phase.ok ? "ok  " : "FAIL") << c.off << ' ' << name
            << took << " |" << (phase.ok ? c.dim : c.red) << bar(phase, run.duration) << c.off << "|\n";
    }
}

}  // namespace

std::string duration_text(Clock::duration duration) {
    const double seconds = std::chrono::duration<double>(duration).count();
    char text[32];
    if (seconds < 0.0995) {
        std::snprintf(text, sizeof text, "%.2f ms", seconds * 1e3);
    } else if (seconds < 1) {
        std::snprintf(text, sizeof text, "%.0f ms", seconds * 1e3);
    } else {
        std::snprintf(text, sizeof text, "%.2f s", seconds);
    }
    return text;
}

std::string sentence(const RunResult& run, const Diagnosis& found, std::string_view lang) {
    if (run.outcome() == RunOutcome::inconclusive) return run.inconclusive;
    if (run.outcome() == RunOutcome::ok) return run.headline;
    std::string where(run.failed_phase());
    where += ": " + std::string(to_string(run.reason()));
    if (found.cause) return title(*found.cause, lang) + " (" + where + ")";
    if (found.cause_class) {
        std::string text = title(*found.cause_class, lang) + " (" + where + ")";
        if (!found.candidates.empty())
            text += (language(lang) == Lang::zh ? "；最可能：" : "; likeliest: ") +
                    title(found.candidates.front().cause, lang);
        return text;
    }
    return where + " (" + run.code.message() + ")";
}

std::string fix(const Diagnosis& found, std::string_view lang) {
    std::optional<Cause> cause = found.cause;
    if (!cause && !found.candidates.empty()) cause = found.candidates.front().cause;
    if (!cause) return {};
    return std::string(entry(*cause).fix.in(language(lang)));
}

std::string confidence(const Diagnosis& found, std::string_view lang) {
    const bool zh = language(lang) == Lang::zh;
    if (found.cause) return zh ? "已证实：证据只符合这一个原因" : "proven: the evidence fits no other cause";
    const auto count = std::to_string(found.candidates.size());
    if (found.candidates.size() == 1) return zh ? "可能，但未证实" : "likely, but not proven";
    if (!found.candidates.empty())
        return zh ? "未定：" + count + " 个可能的原因，按可能性排列"
                  : "open: one of " + count + ", the likeliest first";
    return {};
}

void print_result(std::ostream& out, const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                  const Paper& paper) {
    const Colours c = colours_of(paper.colour);
    const auto outcome = run.outcome();
    const auto colour = outcome == RunOutcome::ok       ? c.green
                        : outcome == RunOutcome::failed ? c.red
                                                        : c.yellow;
    out << c.bold << probe.name << c.off << " (" << probe.kind->name << ") " << probe.probe.target << '\n'
        << "  " << colour << to_string(outcome) << c.off << " in " << duration_text(run.duration) << ", run "
        << run.run_id << '\n';
    print_phases(out, run, c);
    if (const auto words = sentence(run, found, paper.lang); !words.empty())
        out << "  " << c.bold << words << c.off << '\n';
    if (found.cause) out << "  cause      " << c.red << to_string(*found.cause) << c.off << '\n';
    if (found.cause_class)
        out << "  class      " << c.yellow << to_string(*found.cause_class) << c.off << '\n';
    if (const auto words = confidence(found, paper.lang); !words.empty())
        out << "  sure       " << words << '\n';
    if (!found.because.empty()) out << "  because    " << found.because << '\n';
    const char* label = "  may be     ";
    for (const auto& candidate : found.candidates) {
        out << label << to_string(candidate.cause) << ": " << candidate.why << '\n';
        label = "             ";
    }
    label = "  not        ";
    for (const auto& excluded : found.ruled_out) {
        out << label << excluded << '\n';
        label = "             ";
    }
    label = "  control    ";
    for (const auto& control : run.controls) {
        out << label << control.name << ' ' << to_string(control.outcome) << ": " << control.shows << '\n';
        label = "             ";
    }
    if (outcome != RunOutcome::ok) {
        label = "  evidence   ";
        for (const auto& evidence : run.evidence) {
            out << label << evidence.phase.name << ' ' << evidence.what << ": " << evidence.got << '\n';
            label = "             ";
        }
    }
    if (const auto text = fix(found, paper.lang); !text.empty()) {
        out << "  " << c.bold << "fix" << c.off << "        " << text << '\n';
        if (!found.label().empty()) out << "  runbook    livecanary causes " << found.label() << '\n';
    }
}

}  // namespace livecanary::daemon
