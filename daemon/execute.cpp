#include "daemon/execute.hpp"

#include <exception>
#include <optional>

#include <boost/asio/this_coro.hpp>

#include "daemon/log.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

std::string milliseconds_text(Clock::duration d) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(d).count()) + " ms";
}

/// Why the run proves nothing about its target; empty if it does.
std::string doubt(const RunResult& run, const Honesty& honesty, Env& env, Clock::time_point started) {
    const auto now = env.now();
    if (honesty.lag != nullptr) {
        const auto lag = honesty.lag->worst_since(started, now);
        if (lag > honesty.max_loop_lag)
            return "our own event loop was " + milliseconds_text(lag) + " late during the run";
    }
    const auto stepped = (env.wall() - run.started) - (now - started);
    if (stepped > honesty.max_clock_step || stepped < -honesty.max_clock_step)
        return "our own clock was stepped during the run";
    return {};
}

}  // namespace

asio::awaitable<RunResult> execute(const ProbeSettings& probe, Env& env, const Honesty& honesty,
                                   ProbeRun::Observer observer) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto started = env.now();
    ProbeRun run(env, probe.timeout, std::move(observer));
    const std::string run_id = run.run_id();
    RunResult result;
    std::optional<std::string> bug;
    try {
        result = co_await probe.probe.run(run);
    } catch (const std::exception& e) {
        bug = e.what();
    }
    if (bug) {
        log::error("a probe threw: please report this", {{"probe", probe.name}, {"error", *bug}});
        result = run.fail(make_error_code(boost::system::errc::state_not_recoverable));
        result.inconclusive = "a fault of our own: " + *bug;
    }
    result.run_id = run_id;
    if (result.inconclusive.empty() && result.code && result.reason() == Reason::local)
        result.inconclusive = "a fault of our own: " + result.code.message();
    if (result.inconclusive.empty()) result.inconclusive = doubt(result, honesty, env, started);
    if (result.inconclusive.empty())
        for (const auto& window : probe.maintenance)
            if (window.contains(result.started)) result.inconclusive = "maintenance";
    co_return result;
}

asio::awaitable<void> play_controls(const ProbeSettings& probe, Env& env, RunResult& failed) {
    if (!probe.probe.controls) co_return;
    ProbeRun run(env, 2 * probe.timeout);
    std::vector<Control> played;
    std::string bug;
    try {
        played = co_await probe.probe.controls(run, failed);
    } catch (const std::exception& e) {
        bug = e.what();
    }
    if (!bug.empty())
        log::error("controls threw: please report this", {{"probe", probe.name}, {"error", bug}});
    for (auto& control : played) failed.controls.push_back(std::move(control));
}

Diagnosis judge(const ProbeSettings& probe, const RunResult& run) {
    if (run.outcome() != RunOutcome::failed || !probe.probe.diagnose) return {};
    return probe.probe.diagnose(run);
}

void confirm_by_keywords(Diagnosis& found, const std::vector<Notice>& keywords, WallTime now,
                         Clock::duration holds) {
    const auto add = [&](Cause cause, std::string& words) {
        // The newest says it best.
        for (auto notice = keywords.rbegin(); notice != keywords.rend(); ++notice) {
            const auto named = notice->facts.find("cause");
            // With `among` the words are of several causes, and confirm none.
            if (named == notice->facts.end() || named->second != to_string(cause) ||
                now - notice->at > holds || notice->facts.contains("among"))
                continue;
            const auto line = notice->facts.find("line");
            words += (words.empty() ? "" : "; ") + std::string("the log read by ") + notice->from +
                     " says so too" + (line != notice->facts.end() ? ": " + line->second : std::string());
            return;
        }
    };
    if (found.cause) add(*found.cause, found.because);
    for (Candidate& candidate : found.candidates) add(candidate.cause, candidate.why);
}

Verdict verdict_of(const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                   Clock::time_point began) {
    return {.probe = probe.name,
            .kind = probe.kind->name,
            .system = probe.system,
            .target = probe.probe.target,
            .bucket = std::string(run.got("bucket")),
            .api = std::string(run.got("api")),
            .asks = probe.probe.asks,
            .ok = run.outcome() == RunOutcome::ok,
            .found = found,
            .began = began,
            .failing_since = began,
            .holds = 2 * probe.interval + probe.timeout};
}

}  // namespace livecanary::daemon
