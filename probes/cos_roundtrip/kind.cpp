#include "probes/cos_roundtrip/kind.hpp"

#include <memory>

#include <boost/asio/this_coro.hpp>

#include "probes/cos_roundtrip/controls.hpp"
#include "probes/cos_roundtrip/diagnose.hpp"

namespace livecanary::cos_roundtrip {
namespace {

/// `config` and `run` must outlive the coroutines: the Probe and the runner hold them.
asio::awaitable<RunResult> probe(std::shared_ptr<const Config> config, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await round_trip(*config, run);
    co_return run.end();
}

asio::awaitable<std::vector<Control>> controls(std::shared_ptr<const Config> config, ProbeRun& run,
                                               const RunResult& failed) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await play_controls(*config, run, failed);
}

asio::awaitable<error_code> sweep(std::shared_ptr<const Config> config, ProbeRun& run, const Litter& litter) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await remove_litter(*config, run, litter);
}

Probe make(config::Reader& in) {
    auto config = std::make_shared<const Config>(read(in));
    Probe probe_made;
    probe_made.target = (config->endpoint.tls ? "https://" : "http://") + config->endpoint.host_header();
    probe_made.run = [config](ProbeRun& run) { return probe(config, run); };
    probe_made.controls = [config](ProbeRun& run, const RunResult& failed) {
        return controls(config, run, failed);
    };
    probe_made.remove = [config](ProbeRun& run, const Litter& litter) { return sweep(config, run, litter); };
    probe_made.diagnose = diagnose;
    return probe_made;
}

}  // namespace

constinit const Kind kind{.name = "cos_roundtrip", .phases = phases, .values = values, .make = make};

}  // namespace livecanary::cos_roundtrip
