#include "probes/callback/kind.hpp"

#include <memory>

#include <boost/asio/this_coro.hpp>

#include "probes/callback/controls.hpp"
#include "probes/callback/diagnose.hpp"

namespace livecanary::callback {
namespace {

using Shared = std::shared_ptr<const Config>;
using Kept = std::shared_ptr<State>;

asio::awaitable<RunResult> probe(Shared config, Kept state, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    if (config->url) co_await run_events(*config, *state, run);
    if (config->receive) report_received(*state, run, !config->url);
    co_return run.end();
}

asio::awaitable<std::vector<Control>> controls(Shared config, Kept state, ProbeRun& run,
                                               const RunResult& failed) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await play_controls(*config, *state, run, failed);
}

asio::awaitable<result<PeerAnswer>> answer_to(Shared config, Kept state, ProbeRun& run,
                                              const Question& question) {
    return answer(std::move(config), std::move(state), run, question);
}

/// `0.0.0.0:9878/live`
std::string listens_on(const Receive& receive) {
    const auto address = receive.listen.address().to_string();
    return (receive.listen.address().is_v6() ? "[" + address + "]" : address) + ":" +
           std::to_string(receive.listen.port()) + receive.path;
}

std::string target_of(const Config& config) {
    if (config.url) {
        const auto path = config.url->target.substr(0, config.url->target.find('?'));
        return (config.url->tls ? "https://" : "http://") + config.url->host_header() + path;
    }
    return config.receive ? "listens on " + listens_on(*config.receive) : std::string();
}

Probe make(config::Reader& in) {
    const auto config = std::make_shared<const Config>(read(in));
    const auto state = std::make_shared<State>();
    if (config->receive) state->inbox.emplace(*config->receive, config->key, config->backup_key);
    Probe made;
    made.target = target_of(*config);
    made.run = [config, state](ProbeRun& run) { return probe(config, state, run); };
    made.controls = [config, state](ProbeRun& run, const RunResult& failed) {
        return controls(config, state, run, failed);
    };
    made.diagnose = diagnose;
    if (!config->receive) return made;
    made.background = [config, state](Env& env) { return listen(config, state, env); };
    made.answer = [config, state](ProbeRun& run, const Question& question) {
        return answer_to(config, state, run, question);
    };
    made.advice = {"Callback template of the cloud: a URL that leads to " + listens_on(*config->receive) +
                   ", and the CallbackKey that this probe has as its key."};
    return made;
}

}  // namespace

constinit const Kind kind{.name = "callback", .phases = phases, .values = values, .make = make};

}  // namespace livecanary::callback
