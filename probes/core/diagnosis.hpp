#pragma once
// Which item of the watched system is wrong, as far as the evidence carries.
#include <optional>
#include <string>
#include <vector>

#include "probes/catalogue/ids.hpp"

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

}  // namespace livecanary
