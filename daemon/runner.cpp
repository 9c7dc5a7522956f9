#include "daemon/runner.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/explain.hpp"
#include "daemon/log.hpp"
#include "daemon/result_json.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

/// How far past its time a loop may be until the scheduler counts as standing.
constexpr auto standing_after = 10s;
/// For a probe that leaves to put away what it kept; a stop as a whole has 4.5 s (app.cpp).
constexpr auto leaving_patience = 2s;
/// A result of a run that ended so long ago at most is given to who asks for one now.
constexpr auto just_ended = 1s;
/// Who wait for one probe's next run at once.
constexpr std::size_t most_waiters = 64;
/// A keyword in a log speaks for what fails now if it was found this long ago at most.
constexpr auto keyword_holds = 15min;

/// Behind a hop that broke, the others could not be walked.
std::vector<HopStatus> hops_of(const Kind& journey, const RunResult& run) {
    std::vector<HopStatus> hops;
    bool broken = false;
    for (const Phase& hop : journey.phases) {
        const auto at = std::ranges::find_if(
            run.phases, [&](const PhaseTime& time) { return time.phase.name == hop.name; });
        HopStatus status{.name = std::string(hop.name), .state = broken ? "blocked" : "not walked"};
        if (at != run.phases.end()) {
            status.state = at->ok ? "ok" : "failed";
            status.took = std::chrono::duration_cast<std::chrono::milliseconds>(at->took);
            broken = broken || !at->ok;
        }
        hops.push_back(std::move(status));
    }
    return hops;
}

std::string milliseconds_text(Clock::duration d) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(d).count()) + "ms";
}

}  // namespace

Runner::Runner(std::shared_ptr<const ProbeSettings> settings, Shared& shared)
    : settings_(std::move(settings)),
      shared_(shared),
      incidents_(settings_->fail_after, settings_->recover_after),
      metrics_(*settings_) {
    env_ = world();
    const auto seed = shared.seed();
    env_.random.seed(seed);
    log::debug("probe seeded", {{"probe", settings_->name}, {"seed", std::to_string(seed)}});
    status_.name = settings_->name;
    status_.kind = settings_->kind->name;
    status_.target = settings_->probe.target;
    status_.severity = settings_->severity;
}

Env Runner::world() const {
    Env env;
    env.now = shared_.now;
    env.wall = shared_.wall;
    env.ledger = shared_.state;
    env.memory = shared_.state;
    env.peers = shared_.exchange;
    env.blocking = shared_.blocking;
    env.probe = settings_->name;
    env.location = shared_.location;
    return env;
}

void Runner::start(std::function<void()> ended) {
    ended_ = std::move(ended);
    const auto told = [this](std::string_view part) {
        return [this, part](const std::exception_ptr& failed) { part_ended(failed, part); };
    };
    if (settings_->probe.background) {
        beside_dns_ = shared_.dns;
        beside_env_ = world();
        beside_env_.dns = beside_dns_.get();
        beside_env_.random.seed(shared_.seed());
        beside_.start(shared_.executor, beside(), told("background"));
    }
    loop_.start(shared_.executor, loop(), told("loop"));
}

void Runner::part_ended(const std::exception_ptr& failed, std::string_view part) {
    // What is cancelled between two waits ends by an exception: that is how it is stopped.
    if (failed && !stopping_)
        log::error("a part of a probe ended by a fault of our own",
                   {{"probe", settings_->name}, {"part", std::string(part)}});
    if (loop_.running() || beside_.running()) return;
    if (settings_->probe.leave)
        leave_.start(shared_.executor, leave(), [this](const std::exception_ptr&) { ended_(); });
    else
        ended_();
}

asio::awaitable<void> Runner::beside() { co_await settings_->probe.background(beside_env_); }

asio::awaitable<void> Runner::leave() {
    const auto dns = shared_.dns;
    env_.dns = dns.get();
    ProbeRun run(env_, leaving_patience);
    co_await settings_->probe.leave(run);
}

Exchange::Answerer Runner::answerer() const {
    Exchange::Answerer answerer;
    answerer.settings = settings_;
    answerer.dns = shared_.dns;
    answerer.env = [world = world(), dns = shared_.dns.get(), seed = shared_.seed()] {
        Env env = world;
        env.dns = dns;
        env.random.seed(seed);
        return env;
    };
    return answerer;
}

void Runner::run_now() {
    if (asleep_ != nullptr) asleep_->cancel();
}

void Runner::answer_with_next(std::shared_ptr<RunWaiter> waiter) {
    const auto refuse = [&](std::string why) {
        waiter->answer(std::make_shared<const ProbeNow>(ProbeNow{.refused = std::move(why)}));
    };
    if (stopping_) return refuse("the probe is being stopped");
    // Those who wait already get what they wait for.
    if (waiters_.size() >= most_waiters) return refuse("too many wait for this probe");
    waiters_.push_back(std::move(waiter));
    if (!running_ && last_ && shared_.now() - last_at_ < just_ended)
        answer_waiters(last_);
    else
        run_now();
}

void Runner::answer_waiters(const std::shared_ptr<const ProbeNow>& answer) {
    for (const auto& waiter : std::exchange(waiters_, {})) waiter->answer(answer);
}

void Runner::refuse_waiters(std::string why) {
    if (waiters_.empty()) return;
    answer_waiters(std::make_shared<const ProbeNow>(ProbeNow{.refused = std::move(why)}));
}

void Runner::stop() {
    stopping_ = true;
    refuse_waiters("the probe is being stopped");
    // A successor of this name has another verdict.
    shared_.verdicts.forget(settings_->system, settings_->name);
    loop_.stop();
    beside_.stop();
}

asio::awaitable<void> Runner::loop() {
    co_await asio::this_coro::throw_if_cancelled(false);
    asio::steady_timer timer(shared_.executor);
    const auto schedule = Schedule::starting(shared_.now(), settings_->interval, settings_->name);
    auto slot = schedule.first();
    while (!stopping_) {
        const bool confirmation = confirm_.has_value();
        due_ = confirm_.value_or(slot);
        confirm_.reset();
        // Who asked before there was a sleep to wake from is not kept waiting for the schedule.
        timer.expires_at(waiters_.empty() ? due_ : Clock::time_point::min());
        asleep_ = &timer;
        co_await timer.async_wait(no_throw);
        asleep_ = nullptr;
        if (stopping_) break;
        // Woken before its time, it is not late.
        const bool asked_for = shared_.now() < due_;
        due_ = std::min(due_, shared_.now());
        if (shared_.in_flight >= shared_.max_concurrent) {
            metrics_.skipped(Skip::admission);
            refuse_waiters("as many runs as may be are under way already");
        } else {
            shared_.metrics.start_lateness(shared_.now() - due_);
            // A bug in one run must not end all the runs to come.
            std::string bug;
            try {
                co_await run_once(confirmation);
            } catch (const std::exception& e) {
                bug = std::string("threw: ") + e.what();
            }
            if (!bug.empty()) {
                log::error("a run could not be recorded: please report this",
                           {{"probe", settings_->name}, {"error", bug}});
                if (std::exchange(running_, false)) shared_.metrics.runs_in_flight(--shared_.in_flight);
                refuse_waiters("the run could not be recorded: the log says more");
            }
            if (shared_.state != nullptr) shared_.state->run_ended(settings_->name);
        }
        // A confirmation does not use its slot up, nor does a run that somebody asked for: who asks again and
        // again would put the schedule off for ever.
        const bool keeps_slot = confirmation || asked_for;
        const auto next = schedule.after(keeps_slot ? slot - settings_->interval : slot, shared_.now());
        for (std::uint64_t i = 0; i < next.missed; ++i) metrics_.skipped(Skip::overlap);
        slot = next.due;
        // Also drops the one that is never due.
        if (confirm_ && *confirm_ >= slot) confirm_.reset();
    }
}

asio::awaitable<void> Runner::run_once(bool confirmation) {
    dns_ = shared_.dns;
    env_.dns = dns_.get();
    running_ = true;
    shared_.metrics.runs_in_flight(++shared_.in_flight);
    const Honesty honesty{.lag = &shared_.lag, .max_loop_lag = shared_.max_loop_lag};
    // Controls come after the run, and are not its evidence.
    const auto began = shared_.now();
    RunResult result = co_await execute(*settings_, env_, honesty);
    if (!stopping_) co_await ask_anchors(result);
    Incidents::Step step;
    if (!stopping_) {
        step = incidents_.feed(result.outcome());
        if (step.confirmed) {
            co_await experiment(result);
        } else if (step.began) {
            confirm_ = confirmation_due(shared_.now(), Clock::time_point::max(), settings_->interval,
                                        result.reason());
        }
    }
    shared_.metrics.runs_in_flight(--shared_.in_flight);
    running_ = false;
    // A run that was cut has no result.
    if (!stopping_) record(std::move(result), began, step, confirmation);
}

asio::awaitable<void> Runner::ask_anchors(RunResult& result) {
    const auto phase = result.failed_phase();
    if (result.outcome() != RunOutcome::failed || (phase != "dns" && phase != "tcp")) co_return;
    const auto anchors = shared_.anchors;  // a reload may bring others meanwhile
    auto control = co_await anchors->ask(env_, shared_.now() - result.duration);
    if (!control) co_return;
    if (control->outcome == ControlOutcome::failed)
        result.inconclusive = "the anchors fail too: " + control->shows;
    result.controls.push_back(*std::move(control));
}

/// At most once an incident. Later runs of the incident are judged with what was learnt, as long as they fail
/// the same way; another failure makes the old controls worthless. A probe that flaps must not turn each of
/// its incidents into a round of control pushes: hence the gap.
asio::awaitable<void> Runner::experiment(RunResult& result) {
    const auto now = shared_.now();
    const auto failure = std::string(result.failed_phase()) + ' ' + std::string(to_string(result.reason())) +
                         ' ' + result.fingerprint;
    if (!controls_played_ && (!controls_at_ || now - *controls_at_ >= shared_.controls_gap)) {
        controls_played_ = true;
        controls_at_ = now;
        controls_for_ = failure;
        const auto before = static_cast<std::ptrdiff_t>(result.controls.size());
        co_await play_controls(*settings_, env_, result);
        controls_.assign(result.controls.begin() + before, result.controls.end());
    } else if (controls_played_ && controls_for_ == failure) {
        result.controls.insert(result.controls.end(), controls_.begin(), controls_.end());
    }
}

Diagnosis Runner::diagnosed(const RunResult& result, Clock::time_point began) {
    Diagnosis found = judge(*settings_, result);
    if (result.outcome() == RunOutcome::inconclusive) return found;
    const auto now = shared_.now();
    const Verdict& own = shared_.verdicts.put(verdict_of(*settings_, result, found, began));
    if (own.ok) return found;
    std::vector<Notice> keywords;
    if (shared_.exchange != nullptr) keywords = shared_.exchange->told(topics::keyword, 0);
    // What the log says of the failure may have been read in the run before the one that saw it.
    const auto since = shared_.wall() - std::chrono::duration_cast<WallTime::duration>(
                                            now - own.failing_since + settings_->interval);
    const auto all = shared_.verdicts.of(settings_->system);
    found = conclude(own, all, keywords, now, since).found;
    confirm_by_keywords(found, keywords, shared_.wall(), keyword_holds);
    return found;
}

void Runner::record(RunResult result, Clock::time_point began, const Incidents::Step& step,
                    bool confirmation) {
    const Diagnosis found = diagnosed(result, began);
    const auto& standing = incidents_.standing();
    metrics_.ran(result, found, standing, confirmation, shared_.now());
    if (shared_.judged) shared_.judged(*settings_, result, found, standing);
    if (step.ended) {
        controls_played_ = false;
        controls_.clear();
    }

    if (!waiters_.empty()) {
        last_ =
            std::make_shared<const ProbeNow>(ProbeNow{.run = result, .label = std::string(found.label())});
        last_at_ = shared_.now();
        answer_waiters(last_);
    }
    ++shared_.revision;
    latest_ = to_json(*settings_, shared_.location, result, found);
    history_.add(result, found.label());
    walked_.clear();
    if (settings_->kind->name == "journey") walked_ = hops_of(*settings_->kind, result);
    const auto outcome = std::string(to_string(result.outcome()));
    if (status_.outcome != outcome) status_.since = result.started;
    status_.outcome = outcome;
    status_.phase = result.failed_phase();
    status_.reason = result.code ? std::string(to_string(result.reason())) : std::string();
    status_.cause = found.label();
    status_.sentence = sentence(result, found, shared_.lang);
    status_.alerting = standing.alerting;
    status_.last_run = result.started;
    status_.duration = std::chrono::duration_cast<std::chrono::milliseconds>(result.duration);

    log::Fields fields{{"probe", settings_->name},
                       {"kind", std::string(settings_->kind->name)},
                       {"run_id", result.run_id},
                       {"outcome", outcome},
                       {"duration", milliseconds_text(result.duration)}};
    switch (result.outcome()) {
        case RunOutcome::ok:
            if (step.ended) {
                log::info("probe recovered", fields);
            } else {
                log::debug("probe ok", fields);
            }
            break;
        case RunOutcome::failed:
            fields.insert(fields.end(), {{"phase", status_.phase},
                                         {"reason", status_.reason},
                                         {"cause", status_.cause},
                                         {"failures", std::to_string(standing.consecutive_failures)},
                                         {"detail", status_.sentence}});
            log::warn("probe failed", fields);
            break;
        case RunOutcome::inconclusive:
            fields.insert(fields.end(), {{"why", result.inconclusive}});
            log::warn("probe inconclusive", fields);
            break;
    }
}

bool Runner::alert_stands() {
    if (!incidents_.alert_stands()) return false;
    status_.alerting = true;
    metrics_.stands(incidents_.standing());
    return true;
}

ProbeStatus Runner::status(Clock::time_point now) const {
    ProbeStatus status = status_;
    for (const auto& run : history_.runs())
        status.strip.push_back(
            {.outcome = to_string(run.outcome),
             .duration = std::chrono::duration_cast<std::chrono::milliseconds>(run.duration)});
    status.hops = walked_;
    status.until_next =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::max(due_ - now, Clock::duration{}));
    return status;
}

boost::json::object Runner::latest() const {
    boost::json::object latest = latest_;
    if (latest.empty())
        latest = {{"probe", settings_->name},
                  {"kind", settings_->kind->name},
                  {"target", settings_->probe.target},
                  {"outcome", nullptr}};
    const Standing& standing = incidents_.standing();
    latest["standing"] = {{"consecutive_failures", standing.consecutive_failures},
                          {"alerting", standing.alerting}};
    return latest;
}

std::string Runner::standing_still(Clock::time_point now) const {
    // A run has its timeout, its controls twice that, and time to clean up.
    const auto limit = due_ + (running_ ? 3 * settings_->timeout : 0ms) + standing_after;
    if (due_ == Clock::time_point{} || now <= limit) return {};
    return "probe " + settings_->name + (running_ ? " should have ended " : " should have started ") +
           milliseconds_text(now - limit) + " ago";
}

}  // namespace livecanary::daemon
