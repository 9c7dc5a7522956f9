#include "probes/cdn_fetch/kind.hpp"

#include <memory>

#include <boost/asio/this_coro.hpp>

#include "probes/cdn_fetch/controls.hpp"
#include "probes/cdn_fetch/diagnose.hpp"

namespace livecanary::cdn_fetch {
namespace {

/// `run` must outlive the coroutines: the runner holds it.
asio::awaitable<RunResult> probe(std::shared_ptr<const Config> config, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await fetch(*config, run);
    co_return run.end();
}

asio::awaitable<std::vector<Control>> controls(std::shared_ptr<const Config> config, ProbeRun& run,
                                               const RunResult& failed) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await play_controls(*config, run, failed);
}

Probe make(config::Reader& in) {
    auto config = std::make_shared<const Config>(read(in));
    Probe probe_made;
    probe_made.target = (config->edge.tls ? "https://" : "http://") + config->edge.host_header() +
                        config->path.substr(0, config->path.find('?'));
    if (!config->after.empty()) probe_made.asks = probe_made.after = {config->after};
    probe_made.run = [config](ProbeRun& run) { return probe(config, run); };
    probe_made.controls = [config](ProbeRun& run, const RunResult& failed) {
        return controls(config, run, failed);
    };
    probe_made.diagnose = diagnose;
    return probe_made;
}

}  // namespace

constinit const Kind kind{.name = "cdn_fetch", .phases = phases, .values = values, .make = make};

}  // namespace livecanary::cdn_fetch
