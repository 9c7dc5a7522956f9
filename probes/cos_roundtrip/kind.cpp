#include "probes/cos_roundtrip/kind.hpp"

#include <memory>

#include <boost/asio/this_coro.hpp>

#include "probes/cos_roundtrip/controls.hpp"
#include "probes/cos_roundtrip/diagnose.hpp"

namespace livecanary::cos_roundtrip {
namespace {

/// Of one configured probe.
struct Made {
    Config config{};
    Shelf shelf{};
};

// The Probe and the runner hold what these take by reference.

asio::awaitable<RunResult> probe(std::shared_ptr<Made> made, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await round_trip(made->config, made->shelf, run);
    co_return run.end();
}

asio::awaitable<std::vector<Control>> controls(std::shared_ptr<Made> made, ProbeRun& run,
                                               const RunResult& failed) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await play_controls(made->config, run, failed);
}

asio::awaitable<error_code> sweep(std::shared_ptr<Made> made, ProbeRun& run, const Litter& litter) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await remove_litter(made->config, made->shelf, run, litter);
}

asio::awaitable<result<std::vector<Litter>>> strays(std::shared_ptr<Made> made, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await find_strays(made->config, run);
}

asio::awaitable<result<PeerAnswer>> tell(std::shared_ptr<Made> made, ProbeRun& run,
                                         const Question& question) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await answer(made->config, made->shelf, run, question);
}

asio::awaitable<void> leave(std::shared_ptr<Made> made, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await clear(made->config, made->shelf, run);
}

std::string target_of(const Config& config) {
    if (config.endpoint.host.empty()) return "the bucket that " + config.backend + " names";
    return (config.endpoint.tls ? "https://" : "http://") + config.endpoint.host_header();
}

Probe make(config::Reader& in) {
    auto made = std::make_shared<Made>();
    made->config = read(in);
    Probe probe_made;
    probe_made.target = target_of(made->config);
    probe_made.run = [made](ProbeRun& run) { return probe(made, run); };
    probe_made.controls = [made](ProbeRun& run, const RunResult& failed) {
        return controls(made, run, failed);
    };
    probe_made.remove = [made](ProbeRun& run, const Litter& litter) { return sweep(made, run, litter); };
    probe_made.strays = [made](ProbeRun& run) { return strays(made, run); };
    probe_made.diagnose = diagnose;
    if (!made->config.backend.empty()) probe_made.asks.push_back(made->config.backend);
    probe_made.answer = [made](ProbeRun& run, const Question& question) { return tell(made, run, question); };
    probe_made.leave = [made](ProbeRun& run) { return leave(made, run); };
    return probe_made;
}

}  // namespace

constinit const Kind kind{.name = "cos_roundtrip", .phases = phases, .values = values, .make = make};

}  // namespace livecanary::cos_roundtrip
