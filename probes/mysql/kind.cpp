#include "probes/mysql/kind.hpp"

#include <memory>

#include <boost/asio/this_coro.hpp>

#include "probes/mysql/advice.hpp"
#include "probes/mysql/controls.hpp"
#include "probes/mysql/diagnose.hpp"
#include "probes/mysql/look.hpp"

namespace livecanary::mysql {
namespace {

/// `config`, `kept` and `run` must outlive the coroutines: the Probe and the runner hold them.
asio::awaitable<RunResult> probe(std::shared_ptr<const Config> config, std::shared_ptr<Kept> kept,
                                 ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await look(*config, *kept, run);
    co_return run.end();
}

asio::awaitable<std::vector<Control>> controls(std::shared_ptr<const Config> config, ProbeRun& run,
                                               const RunResult& failed) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await play_controls(*config, run, failed);
}

asio::awaitable<result<PeerAnswer>> answer(std::shared_ptr<const Config> config, ProbeRun& run,
                                           Question question) {
    co_await asio::this_coro::throw_if_cancelled(false);
    if (question.what == questions::remove_row) {
        auto removed = co_await remove_row(*config, run, question);
        co_return removed;
    }
    if (question.what != questions::row) co_return PeerError::not_understood;
    co_return co_await find_row(*config, run, question);
}

Probe make(config::Reader& in) {
    auto config = std::make_shared<const Config>(read(in));
    auto kept = std::make_shared<Kept>();
    Probe made;
    made.target = config->target();
    made.run = [config, kept](ProbeRun& run) { return probe(config, kept, run); };
    made.controls = [config](ProbeRun& run, const RunResult& failed) {
        return controls(config, run, failed);
    };
    made.diagnose = diagnose;
    made.answer = [config](ProbeRun& run, const Question& question) { return answer(config, run, question); };
    made.advice = grants(*config);
    auto& tables = made.label_values["table"];
    for (const Table& table : config->tables) tables.push_back(table.name);
    return made;
}

}  // namespace

constinit const Kind kind{.name = "mysql", .phases = phases, .values = values, .make = make};

}  // namespace livecanary::mysql
