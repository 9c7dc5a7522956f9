#pragma once
// A result in words, for the person who was woken by it.
#include <ostream>
#include <string>
#include <string_view>

#include "daemon/settings.hpp"

namespace livecanary::daemon {

/// One sentence: what is wrong, as far as it is known; of a run that is ok, what it measured, or nothing.
std::string sentence(const RunResult& run, const Diagnosis& found, std::string_view lang);

/// The fix of the cause, or of the likeliest candidate; empty if there is none.
std::string fix(const Diagnosis& found, std::string_view lang);

/// How sure the diagnosis is, in words; empty if there is none.
std::string confidence(const Diagnosis& found, std::string_view lang);

/// How a run is printed.
struct Paper {
    bool colour = false;
    std::string lang = "en";
};

/// The waterfall of phases, then cause, evidence, controls and fix.
void print_result(std::ostream& out, const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                  const Paper& paper);

/// "12.3 ms", "4.98 s".
std::string duration_text(Clock::duration duration);

}  // namespace livecanary::daemon
