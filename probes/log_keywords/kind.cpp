#include "probes/log_keywords/kind.hpp"

#include "probes/log_keywords/diagnose.hpp"
#include "probes/log_keywords/run.hpp"

namespace livecanary::log_keywords {
namespace {

Probe make(config::Reader& in) {
    auto config = std::make_shared<const Config>(read(in));
    auto state = std::make_shared<State>();
    Probe made;
    for (const auto& path : config->paths) {
        made.target += (made.target.empty() ? "" : ", ") + path;
        made.advice.push_back(
            "let the daemon's user read " + path +
            ": setfacl -m u:livecanary:rX on the directory, and -d -m u:livecanary:r for files to come");
    }
    for (const auto& label : config->matcher->labels())
        made.label_values[std::string(matches.label)].emplace_back(label.id);
    made.run = [config, state](ProbeRun& run) { return probe(config, state, run); };
    made.diagnose = diagnose;
    made.background = [config, state](Env& env) { return watch(config, state->arrivals, env); };
    return made;
}

}  // namespace

constinit const Kind kind{.name = "log_keywords", .phases = phases, .values = values, .make = make};

}  // namespace livecanary::log_keywords
