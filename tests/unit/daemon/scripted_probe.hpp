#pragma once
// A probe whose runs a test writes, and the numbers it left behind.
#include <array>
#include <deque>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "daemon/metrics.hpp"
#include "daemon/settings.hpp"
#include "tests/support/task.hpp"

namespace livecanary::daemon::test {

namespace asio = boost::asio;

inline constexpr Phase dns{"dns"}, tcp{"tcp"}, publish{"publish"}, media{"media"};
inline constexpr std::array scripted_phases{dns, tcp, publish, media};
inline constexpr Kind scripted_kind{
    .name = "scripted", .phases = scripted_phases, .values = {}, .make = nullptr};

/// What one run does; a lambda may call a coroutine, but must not be one.
using Step = std::function<asio::awaitable<RunResult>(ProbeRun&)>;

namespace steps {

inline asio::awaitable<RunResult> end(ProbeRun& run, Phase phase, error_code code, std::string fingerprint) {
    run.enter(phase);
    run.fingerprint(std::move(fingerprint));
    co_return code ? run.fail(code) : run.ok();
}
inline asio::awaitable<RunResult> throw_up(ProbeRun& run, std::string words) {
    run.enter(tcp);
    throw std::runtime_error(words);
    co_return run.ok();
}
inline asio::awaitable<RunResult> wait(ProbeRun& run, livecanary::test::Gate& gate) {
    run.enter(tcp);
    co_await gate.pass();
    co_return run.ok();
}
/// Ends by being cut, and cleans up after that.
inline asio::awaitable<RunResult> hang(ProbeRun& run, bool& cleaned_up) {
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

inline Step succeeds() {
    return [](ProbeRun& run) { return steps::end(run, media, {}, ""); };
}
inline Step fails(error_code code = asio::error::connection_refused, Phase phase = publish,
                  std::string fingerprint = "") {
    return [=](ProbeRun& run) { return steps::end(run, phase, code, fingerprint); };
}
inline Step throws(std::string words) {
    return [=](ProbeRun& run) { return steps::throw_up(run, words); };
}
inline Step waits_for(livecanary::test::Gate& gate) {
    return [&gate](ProbeRun& run) { return steps::wait(run, gate); };
}
inline Step hangs(bool& cleaned_up) {
    return [&cleaned_up](ProbeRun& run) { return steps::hang(run, cleaned_up); };
}
/// Does `first`, then `then`.
inline Step after(std::function<void(ProbeRun&)> first, Step then) {
    return [=](ProbeRun& run) {
        first(run);
        return then(run);
    };
}

/// Plays its script, one step a run and the last one again and again, and keeps what it saw of the runner.
/// Must outlive the settings it gives.
class ScriptedProbe {
public:
    explicit ScriptedProbe(std::deque<Step> script) : script_(std::move(script)) {}
    ScriptedProbe(const ScriptedProbe&) = delete;
    ScriptedProbe& operator=(const ScriptedProbe&) = delete;

    ProbeSettings settings(std::chrono::milliseconds interval = std::chrono::milliseconds(20)) {
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

    int started = 0;
    int ended = 0;
    int at_once = 0;       ///< runs under way
    int most_at_once = 0;  ///< must never be more than one
    int experiments = 0;   ///< rounds of controls
    std::vector<RunResult> judged{};
    std::function<void()> on_judged{};

private:
    asio::awaitable<RunResult> run_counted(ProbeRun& run) {
        const Step step = script_.front();
        if (script_.size() > 1) script_.pop_front();
        ++started;
        most_at_once = std::max(most_at_once, ++at_once);
        const Leaving leaving{*this};
        co_return co_await step(run);
    }
    asio::awaitable<std::vector<Control>> controls(ProbeRun&) {
        ++experiments;
        std::vector<Control> played;
        played.push_back(
            {.name = "scripted", .outcome = ControlOutcome::passed, .shows = "it can be played"});
        co_return played;
    }
    struct Leaving {
        ScriptedProbe& probe;
        ~Leaving() {
            --probe.at_once;
            ++probe.ended;
        }
    };

    std::deque<Step> script_;
};

/// The number of a series, or -1 if it is absent. `label`: one more label's value that has to be there.
inline double series(const std::vector<prometheus::MetricFamily>& families, const std::string& name,
                     const std::string& label = "") {
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
