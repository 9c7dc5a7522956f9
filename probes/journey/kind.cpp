#include "probes/journey/kind.hpp"

#include <memory>

#include <boost/asio/this_coro.hpp>

#include "probes/journey/diagnose.hpp"
#include "probes/journey/walk.hpp"

namespace livecanary::journey {
namespace {

/// `config` and `run` must outlive the coroutines: the Probe and the runner hold them.
asio::awaitable<RunResult> probe(std::shared_ptr<const Config> config, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await walk(*config, run);
    co_return run.end();
}

asio::awaitable<error_code> sweep(std::shared_ptr<const Config> config, ProbeRun& run, const Litter& litter) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await remove_litter(*config, run, litter);
}

Probe make(config::Reader& in) {
    auto config = std::make_shared<const Config>(read(in));
    Probe made;
    for (const std::string* hop : {&config->push, &config->callback, &config->mysql, &config->list})
        if (!hop->empty()) made.asks.push_back(*hop);
    for (const auto& hop : made.asks) made.target += (made.target.empty() ? "" : " → ") + hop;
    if (config->playback) made.target += " → player";
    made.at_least = config->length;
    made.run = [config](ProbeRun& run) { return probe(config, run); };
    if (config->goes_on() && !config->mysql.empty())
        made.remove = [config](ProbeRun& run, const Litter& litter) { return sweep(config, run, litter); };
    made.diagnose = diagnose;
    return made;
}

}  // namespace

constinit const Kind kind{.name = "journey", .phases = phases, .values = {}, .make = make};

}  // namespace livecanary::journey
