#include "probes/rtmp_push/kind.hpp"

#include <charconv>
#include <memory>

#include "probes/rtmp_push/controls.hpp"
#include "probes/rtmp_push/diagnose.hpp"

namespace livecanary::rtmp_push {
namespace {

/// No clock of a machine that runs this program can rightly be before the day it was written.
constexpr std::chrono::sys_days earliest = std::chrono::year(2026) / 11 / 1;

/// `config` and `run` must outlive the coroutine: the Probe and the runner hold them.
asio::awaitable<RunResult> probe(std::shared_ptr<const Config> config, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto now = run.env().wall();
    const bool signs = !config->issued && !config->push_key.empty();
    Plan plan = config->plan;
    plan.url = url_of_run(*config, run.env().location, signs ? config->push_key : config::Secret{},
                          now + config->tx_time_lifetime);
    for (const Playback& playback : config->playback)
        plan.viewings.push_back(viewing_of_run(playback, run.env().location, key_of_run(playback),
                                               now + config->tx_time_lifetime));
    if (signs && now < earliest) {
        run.inconclusive("our own clock says a time before this program was written");
        co_return run.fail(PushError::unsafe_clock);
    }
    co_await push(plan, run);
    co_return run.end();
}

asio::awaitable<std::vector<Control>> controls(std::shared_ptr<const Config> config, ProbeRun& run,
                                               const RunResult& failed) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await play_controls(*config, run, failed);
}

std::string unix_milliseconds(WallTime time) {
    return std::to_string(
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

/// questions::push.
asio::awaitable<result<PeerAnswer>> push_for(std::shared_ptr<const Config> config, ProbeRun& run,
                                             const Question& question) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto stream = question.with.find("stream_id"), length = question.with.find("seconds");
    int seconds = 0;
    if (question.what != questions::push || stream == question.with.end() || length == question.with.end() ||
        std::from_chars(length->second.data(), length->second.data() + length->second.size(), seconds).ec !=
            std::errc{} ||
        seconds < 1)
        co_return PeerError::not_understood;
    const auto now = run.env().wall();
    const bool signs = !config->issued && !config->push_key.empty();
    Config named = *config;
    named.url.stream_name = stream->second;
    named.plan.url = url_of_run(named, run.env().location, signs ? config->push_key : config::Secret{},
                                now + config->tx_time_lifetime);
    named.plan.media = std::chrono::seconds(seconds);
    co_await push(named.plan, run);
    const RunResult pushed = run.end();
    PeerAnswer answer;
    answer.facts = {{"outcome", std::string(to_string(pushed.outcome()))},
                    {"accepted", pushed.code ? "0" : "1"},
                    {"began", unix_milliseconds(now)},
                    {"ended", unix_milliseconds(run.env().wall())},
                    {"domain", config->url.host},
                    {"app", config->url.app}};
    if (pushed.outcome() != RunOutcome::ok) {
        answer.facts["phase"] = pushed.failed_phase();
        answer.facts["reason"] = to_string(pushed.reason());
        answer.facts["detail"] = pushed.code.message();
        answer.facts["label"] = diagnose(pushed).label();
    }
    co_return answer;
}

Probe make(config::Reader& in) {
    auto config = std::make_shared<const Config>(read(in));
    return {.target = config->url.redacted(),
            .at_least = config->plan.media,
            .run = [config](ProbeRun& run) { return probe(config, run); },
            .controls = [config](ProbeRun& run,
                                 const RunResult& failed) { return controls(config, run, failed); },
            .diagnose = diagnose,
            .answer = [config](ProbeRun& run,
                               const Question& question) { return push_for(config, run, question); }};
}

}  // namespace

constinit const Kind kind{.name = "rtmp_push", .phases = phases, .values = values, .make = make};

}  // namespace livecanary::rtmp_push
