#include "probes/backend_api/kind.hpp"

#include <memory>

#include <boost/asio/this_coro.hpp>

#include "probes/backend_api/checks.hpp"
#include "probes/backend_api/controls.hpp"
#include "probes/backend_api/diagnose.hpp"
#include "probes/backend_api/questions.hpp"

namespace livecanary::backend_api {
namespace {

/// What a Probe holds. `run` must outlive the coroutines, as the runner sees to.
struct Made {
    Config config{};
    State state{};
};
using Shared = std::shared_ptr<Made>;

asio::awaitable<RunResult> probe(Shared made, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    if (const auto& there = made->config.same_as)
        run.saw(saw::same_as, there->endpoint.host_header() + there->prefix);
    co_await run_checks(made->config, made->state, run);
    co_return run.end();
}

asio::awaitable<std::vector<Control>> controls(Shared made, ProbeRun& run, const RunResult& failed) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await play_controls(made->config, made->state, run, failed);
}

asio::awaitable<result<PeerAnswer>> answer(Shared made, ProbeRun& run, const Question& question) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await answer_question(made->config, made->state, run, question);
}

std::vector<std::string> advice(const Config& config) {
    if (!config.has_account()) return {};
    return {"The account '" + config.userid +
            "' must exist at the backend, and nobody else may use it: each login "
            "ends the session before it. Register it once, as the app does: POST /register with userid and "
            "password = md5(md5(password) + userid)."};
}

Probe make(config::Reader& in) {
    auto made = std::make_shared<Made>();
    made->config = read(in);
    Probe probe_made;
    const Endpoint& endpoint = made->config.endpoint;
    probe_made.target =
        (endpoint.tls ? "https://" : "http://") + endpoint.host_header() + made->config.prefix;
    probe_made.run = [made](ProbeRun& run) { return probe(made, run); };
    probe_made.controls = [made](ProbeRun& run, const RunResult& failed) {
        return controls(made, run, failed);
    };
    probe_made.answer = [made](ProbeRun& run, const Question& question) {
        return answer(made, run, question);
    };
    probe_made.diagnose = diagnose;
    probe_made.advice = advice(made->config);
    return probe_made;
}

}  // namespace

constinit const Kind kind{.name = "backend_api", .phases = phases, .values = values, .make = make};

}  // namespace livecanary::backend_api
