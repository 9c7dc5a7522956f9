#pragma once
// Which item of the watched system is wrong, as far as the evidence carries.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "probes/catalogue/ids.hpp"
#include "probes/core/run.hpp"

namespace livecanary {

struct Candidate {
    Cause cause;
    std::string why;  ///< what was seen that speaks for it, or why nothing speaks against it
};

/// One cause if its discriminating evidence was seen; else the class, with candidates likeliest first.
/// Both empty: the run found nothing that the catalogue has a word for.
struct Diagnosis {
    std::optional<Cause> cause{};
    std::optional<CauseClass> cause_class{};
    std::vector<Candidate> candidates{};
    std::string because{};                 ///< the discriminating evidence, one sentence for people
    std::vector<std::string> ruled_out{};  ///< "push_wrong_hotlink_key: the backup key is refused alike"

    /// The label `cause`: the cause, else the class, else empty.
    std::string_view label() const noexcept {
        if (cause) return to_string(*cause);
        if (cause_class) return to_string(*cause_class);
        return {};
    }
};

inline Diagnosis claim(Cause cause, std::string because, std::vector<std::string> ruled_out = {}) {
    return {.cause = cause, .because = std::move(because), .ruled_out = std::move(ruled_out)};
}

inline Diagnosis one_of(CauseClass cause_class, std::vector<Candidate> candidates, std::string because,
                        std::vector<std::string> ruled_out = {}) {
    return {.cause_class = cause_class,
            .candidates = std::move(candidates),
            .because = std::move(because),
            .ruled_out = std::move(ruled_out)};
}

/// The controls of a failed run, asked in the words of a kind's rules. `run` must outlive it.
class ControlFacts {
public:
    explicit ControlFacts(const RunResult& run) : run_(run) {}

    /// It was accepted.
    bool passed(std::string_view control) const { return outcome(control) == ControlOutcome::passed; }
    bool refused(std::string_view control) const { return outcome(control) == ControlOutcome::failed; }
    /// It was refused in just the way the run was.
    bool alike(std::string_view control) const {
        return refused(control) && run_.control(control)->fingerprint == run_.fingerprint;
    }
    /// It was refused, but in another way: the server tells the two apart.
    bool differs(std::string_view control) const {
        return refused(control) && run_.control(control)->fingerprint != run_.fingerprint;
    }
    /// It was played and showed nothing.
    bool open(std::string_view control) const { return outcome(control) == ControlOutcome::inconclusive; }
    bool played(std::string_view control) const { return outcome(control).has_value(); }
    /// Whatever its outcome.
    std::string_view fingerprint(std::string_view control) const {
        const auto* const found = run_.control(control);
        return found != nullptr ? std::string_view(found->fingerprint) : std::string_view();
    }
    std::string shows(std::string_view control) const {
        const auto* const found = run_.control(control);
        return found != nullptr ? found->shows : std::string();
    }

protected:
    const RunResult& run() const noexcept { return run_; }

private:
    std::optional<ControlOutcome> outcome(std::string_view control) const {
        const auto* const found = run_.control(control);
        return found != nullptr ? std::optional(found->outcome) : std::nullopt;
    }
    const RunResult& run_;
};

}  // namespace livecanary
