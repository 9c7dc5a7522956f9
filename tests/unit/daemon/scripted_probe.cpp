#include "tests/unit/daemon/scripted_probe.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

namespace livecanary::daemon::test {
namespace {

namespace steps {

asio::awaitable<RunResult> end(ProbeRun& run, Phase phase, error_code code, std::string fingerprint) {
    run.enter(phase);
    run.fingerprint(std::move(fingerprint));
    co_return code ? run.fail(code) : run.ok();
}

asio::awaitable<RunResult> throw_up(ProbeRun& run, std::string words) {
    run.enter(tcp);
    throw std::runtime_error(words);
    co_return run.ok();
}

asio::awaitable<RunResult> wait(ProbeRun& run, livecanary::test::Gate& gate) {
    run.enter(tcp);
    co_await gate.pass();
    co_return run.ok();
}

asio::awaitable<RunResult> hang(ProbeRun& run, bool& cleaned_up) {
    run.enter(media);
    asio::steady_timer forever(co_await asio::this_coro::executor, Clock::time_point::max());
    const auto [code] = co_await forever.async_wait(net::no_throw);
    co_await asio::this_coro::reset_cancellation_state();
    forever.expires_after(std::chrono::milliseconds(1));
    co_await forever.async_wait(net::no_throw);
    cleaned_up = true;
    co_return run.fail(code);
}

}  // namespace steps

}  // namespace

Step succeeds() {
    return [](ProbeRun& run) { return steps::end(run, media, {}, ""); };
}

Step fails(error_code code, Phase phase, std::string fingerprint) {
    return [=](ProbeRun& run) { return steps::end(run, phase, code, fingerprint); };
}

Step throws(std::string words) {
    return [=](ProbeRun& run) { return steps::throw_up(run, words); };
}

Step waits_for(livecanary::test::Gate& gate) {
    return [&gate](ProbeRun& run) { return steps::wait(run, gate); };
}

Step hangs(bool& cleaned_up) {
    return [&cleaned_up](ProbeRun& run) { return steps::hang(run, cleaned_up); };
}

Step after(std::function<void(ProbeRun&)> first, Step then) {
    return [=](ProbeRun& run) {
        first(run);
        return then(run);
    };
}

ScriptedProbe::ScriptedProbe(std::deque<Step> script) : script_(std::move(script)) {}

ScriptedProbe::~ScriptedProbe() = default;

ProbeSettings ScriptedProbe::settings(std::chrono::milliseconds interval) {
    ProbeSettings settings;
    settings.name = "p";
    settings.kind = &scripted_kind;
    settings.interval = interval;
    settings.timeout = std::chrono::seconds(10);
    settings.probe.target = "a script";
    settings.probe.run = [this](ProbeRun& run) { return run_counted(run); };
    settings.probe.controls = [this](ProbeRun& run, const RunResult&) { return controls(run); };
    settings.probe.diagnose = [this](const RunResult& run) {
        judged.push_back(run);
        if (on_judged) on_judged();
        return Diagnosis{};
    };
    return settings;
}

asio::awaitable<RunResult> ScriptedProbe::run_counted(ProbeRun& run) {
    const Step step = script_.front();
    if (script_.size() > 1) script_.pop_front();
    ++started;
    most_at_once = std::max(most_at_once, ++at_once);
    const Leaving leaving{*this};
    co_return co_await step(run);
}

asio::awaitable<std::vector<Control>> ScriptedProbe::controls(ProbeRun&) {
    ++experiments;
    std::vector<Control> played;
    played.push_back({.name = "scripted", .outcome = ControlOutcome::passed, .shows = "it can be played"});
    co_return played;
}

double series(const std::vector<prometheus::MetricFamily>& families, const std::string& name,
              const std::string& label) {
    for (const auto& family : families) {
        if (family.name != name) continue;
        for (const auto& metric : family.metric) {
            bool has_label = label.empty();
            for (const auto& one : metric.label) has_label = has_label || one.value == label;
            if (!has_label) continue;
            if (family.type == prometheus::MetricType::Histogram)
                return static_cast<double>(metric.histogram.sample_count);
            return family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value;
        }
    }
    return -1;
}

}  // namespace livecanary::daemon::test
