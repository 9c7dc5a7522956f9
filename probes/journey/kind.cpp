#include "probes/journey/kind.hpp"

#include <memory>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "probes/journey/diagnose.hpp"
#include "probes/journey/walk.hpp"

namespace livecanary::journey {
namespace {

/// What belongs to one probe: its configuration, and what its walk and a sweep must know of each other.
struct Made {
    Config config;
    Ongoing ongoing{};
};

/// `run` must outlive the coroutines: the runner holds it.
asio::awaitable<RunResult> probe(std::shared_ptr<Made> made, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await walk(made->config, run, made->ongoing);
    co_return run.end();
}

asio::awaitable<error_code> sweep(std::shared_ptr<Made> made, ProbeRun& run, const Litter& litter) {
    co_await asio::this_coro::throw_if_cancelled(false);
    Show show = show_of(litter);
    co_return co_await remove_rows(made->config, run, std::move(show), &made->ongoing);
}

Probe make(config::Reader& in) {
    auto all = std::make_shared<Made>(Made{.config = read(in)});
    const Config* const config = &all->config;
    Probe made;
    for (const std::string* hop : {&config->push, &config->callback, &config->mysql, &config->list})
        if (!hop->empty()) made.asks.push_back(*hop);
    for (const auto& hop : made.asks) made.target += (made.target.empty() ? "" : " → ") + hop;
    if (config->playback) made.target += " → player";
    made.at_least = config->length;
    made.run = [all](ProbeRun& run) { return probe(all, run); };
    if (config->goes_on() && !config->mysql.empty())
        made.remove = [all](ProbeRun& run, const Litter& litter) { return sweep(all, run, litter); };
    made.diagnose = diagnose;
    return made;
}

}  // namespace

constinit const Kind kind{.name = "journey", .phases = phases, .values = {}, .make = make};

}  // namespace livecanary::journey
