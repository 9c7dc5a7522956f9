#pragma once
// What the probes of one watched system know together: a decision table over their verdicts, which turns a
// class into a cause where another probe has the discriminating fact, and strikes candidates out that another
// probe disproves (docs/diagnosis.md). A kind's own diagnosis comes first and is never overruled.
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "probes/core/diagnosis.hpp"
#include "probes/core/peers.hpp"

namespace livecanary::daemon {

/// What a probe last proved, in its own words: what rules made of it does not count, so that no two verdicts
/// can hold each other up.
struct Verdict {
    std::string probe{};
    std::string_view kind{};
    std::string system{};  ///< probes of one watched system know of each other; "" is one too
    std::string target{};
    std::string bucket{};  ///< of a COS round trip whose backend named it: "NAME-APPID.cos.REGION."
    std::string api{};     ///< likewise: "v4", or empty for the XML API
    std::vector<std::string> asks{};  ///< whom it asks (Probe::asks)
    bool ok = true;
    Diagnosis found{};                  ///< if not ok
    Clock::time_point began{};          ///< start of the run that proved it
    Clock::time_point failing_since{};  ///< if not ok: start of the first failed run in a row
    Clock::duration holds{};            ///< after `began`: later than that it says nothing
};

/// Which other probes a fact of a rule looks at.
enum class Tie {
    system,       ///< all of that kind in the same system
    asked,        ///< those the subject asks
    same_bucket,  ///< COS round trips of the same bucket that sign by themselves
    json_api,     ///< COS round trips over the JSON API at a bucket for which a backend signs too
    same_host,    ///< those whose target has the subject's host
    other_host,   ///< those whose target has another one
};

/// What they must show. Only runs that began after the subject began to fail prove that something is well;
/// a failure must still hold.
enum class Shows {
    ok,            ///< there is one, and every one is well
    claims_among,  ///< one claims a cause that is among the subject's candidates
    fails,         ///< there is one, and every one fails with `label`
    keyword,       ///< a log of the system says one of `causes`, and nothing of another of the candidates
};

struct Fact {
    std::string_view kind{};
    Shows shows = Shows::ok;
    Tie tie = Tie::system;
    std::string_view label{};
    std::span<const Cause> causes{};  ///< empty for Shows::keyword: any one that is among the candidates
    bool same_table = false;          ///< the claim must speak of a table that the subject speaks of
};

enum class Effect {
    claim,     ///< `causes[0]` is the cause
    adopt,     ///< what the last fact says is the cause
    rule_out,  ///< `causes` go; if exactly one candidate is left and `last_one_left`, it is the cause
    first,     ///< `causes` are the likeliest, in this order
};

struct Rule {
    std::string_view id;
    std::string_view kind;                     ///< of the subject; empty: any
    std::span<const std::string_view> labels;  ///< the subject's class; "" is one without a class
    std::span<const Cause> needs;              ///< all of these must be among its candidates
    std::span<const Fact> facts;               ///< all of them
    Effect effect;
    std::span<const Cause> causes;
    bool last_one_left;
    std::string_view why;  ///< "{}" stands for the names of the probes that show it
};

std::span<const Rule> rules() noexcept;

/// A diagnosis and the rules that had a part in it.
struct Conclusion {
    Diagnosis found{};
    std::vector<std::string_view> by{};
};

/// What follows from `all` and from what logs said (topics::keyword, oldest first) for a failed `subject`.
/// Pure. `wall_since`: the calendar time of subject.failing_since.
Conclusion conclude(const Verdict& subject, std::span<const Verdict* const> all,
                    std::span<const Notice> keywords, Clock::time_point now, WallTime wall_since);

/// A system of more probes than this is no one system; no rule looks at it. It bounds what a conclusion
/// costs.
constexpr std::size_t most_of_a_system = 1000;

/// The last verdict of each probe of a daemon.
class Verdicts {
public:
    /// Keeps it in the place of the last one of that probe, and takes over since when it fails.
    const Verdict& put(Verdict verdict);
    void forget(const std::string& system, std::string_view probe);
    /// Those of one system; none if there are more than `most_of_a_system`.
    std::vector<const Verdict*> of(const std::string& system) const;

private:
    std::map<std::string, std::map<std::string, Verdict, std::less<>>> systems_{};
};

/// The host of `target`, if it is a URL; else empty.
std::string_view host_of(std::string_view target) noexcept;

}  // namespace livecanary::daemon
