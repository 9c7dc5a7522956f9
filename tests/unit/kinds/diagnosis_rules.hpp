#pragma once
// What the tests of every kind's diagnose() share: failed runs made by hand, and what all rules keep to.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "probes/core/diagnosis.hpp"
#include "probes/core/run.hpp"

namespace livecanary::test {

using Evidences = std::vector<std::pair<std::string_view, std::string>>;
using Controls = std::vector<Control>;
using Diagnose = Diagnosis (*)(const RunResult&);

inline RunResult failed_run(Phase phase, error_code code, std::string fingerprint,
                            const Evidences& evidence = {}, Controls controls = {}) {
    Env env;
    env.now = [] { return Clock::time_point{}; };
    env.wall = [] { return WallTime{}; };
    ProbeRun run(env, std::chrono::seconds(10));
    run.enter(phase);
    for (const auto& [what, got] : evidence) run.saw(what, got);
    run.fingerprint(std::move(fingerprint));
    run.failed(code);
    RunResult result = run.end();
    result.controls = std::move(controls);
    return result;
}

inline Control accepted(std::string_view name, std::string_view fingerprint = {}) {
    return {.name = name,
            .outcome = ControlOutcome::passed,
            .fingerprint = std::string(fingerprint),
            .shows = std::string(name) + " is accepted"};
}
inline Control refused(std::string_view name, std::string fingerprint = "something else") {
    return {.name = name,
            .outcome = ControlOutcome::failed,
            .fingerprint = std::move(fingerprint),
            .shows = std::string(name) + " is refused"};
}
inline Control inconclusive(std::string_view name) { return {.name = name, .shows = "could not be tried"}; }

/// What every diagnosis of a failed run keeps to. Where the catalogue has no class, candidates may stand
/// alone.
inline void expect_sound(const Diagnosis& found) {
    EXPECT_FALSE(found.cause && found.cause_class);
    EXPECT_TRUE(!found.cause || found.candidates.empty());
    EXPECT_TRUE(!found.cause_class || !found.candidates.empty());
    EXPECT_FALSE(found.because.empty());
    std::set<Cause> distinct;
    const auto excluded = [&](Cause cause) {
        for (const auto& text : found.ruled_out)
            if (text.starts_with(std::string(to_string(cause)) + ":")) return true;
        return false;
    };
    for (const auto& candidate : found.candidates) {
        EXPECT_TRUE(distinct.insert(candidate.cause).second) << to_string(candidate.cause) << " twice";
        EXPECT_FALSE(candidate.why.empty());
        EXPECT_FALSE(excluded(candidate.cause)) << to_string(candidate.cause);
    }
    EXPECT_FALSE(found.cause && excluded(*found.cause)) << found.label();
}

/// A cause must not turn into another one for want of a control, whether it was not played or showed nothing.
inline void expect_weaker_without_any_control(Diagnose diagnose, RunResult run) {
    const Diagnosis whole = diagnose(run);
    expect_sound(whole);
    if (!whole.cause) return;
    const Controls all = run.controls;
    for (std::size_t at = 0; at < all.size(); ++at) {
        run.controls = all;
        run.controls[at] = inconclusive(all[at].name);
        const Diagnosis without = diagnose(run);
        ASSERT_TRUE(!without.cause || without.cause == whole.cause)
            << whole.label() << " becomes " << without.label() << " once " << all[at].name
            << " shows nothing";
        run.controls.erase(run.controls.begin() + static_cast<std::ptrdiff_t>(at));
        const Diagnosis absent = diagnose(run);
        ASSERT_TRUE(!absent.cause || absent.cause == whole.cause)
            << whole.label() << " becomes " << absent.label() << " without " << all[at].name;
    }
}

/// A row of a kind's table.
struct DiagnosisRule {
    const char* name;
    RunResult run;
    const char* label;
    /// The controls without which the cause is not claimed.
    std::vector<std::string_view> needs{};
    /// What stays of it without any of these: a class, or nothing.
    const char* rest = "";
};
inline void PrintTo(const DiagnosisRule& rule, std::ostream* out) { *out << rule.name; }

}  // namespace livecanary::test
