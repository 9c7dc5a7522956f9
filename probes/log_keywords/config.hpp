#pragma once
// The keys of `[[probe]] kind = "log_keywords"`.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "probes/log_keywords/matcher.hpp"

namespace livecanary::config {
class Reader;
}

namespace livecanary::log_keywords {

/// So many matching lines are expected, such as those that another probe's wrongly signed control writes.
struct Expected {
    std::size_t label = 0;  ///< index into Matcher::labels()
    double lines = 1;
    std::chrono::milliseconds per{};
};

/// What it means if no file is there.
enum class Missing {
    inconclusive,  ///< nothing is known: logs may not be where the configuration says, or not written yet
    fail,          ///< they ought to be there
    ok,            ///< they are written only when something goes wrong
};

/// What following files may cost.
struct Limits {
    std::uint64_t line = 16 * 1024;         ///< bytes of a line that are looked at
    std::uint64_t read = 16 * 1024 * 1024;  ///< bytes read in one run
    std::size_t files = 64;                 ///< files opened in one run
};

struct Config {
    std::vector<std::string> paths{};  ///< absolute, with *, ? and […]
    std::shared_ptr<const Matcher> matcher{};
    std::vector<bool> fails{};                                    ///< by label: a match fails the run
    std::chrono::milliseconds fail_for{std::chrono::minutes(5)};  ///< after the last match
    std::vector<Expected> expected{};
    bool from_start = false;  ///< of files that are there when the probe first runs
    Missing missing = Missing::inconclusive;
    Limits limits{};
};

/// Most paths. Each is a walk over directories in every run.
constexpr std::size_t most_paths = 16;

Config read(config::Reader& in);

}  // namespace livecanary::log_keywords
