#pragma once
// One execution of a probe: its deadline, its phases, its evidence, its result.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "probes/core/reason.hpp"

namespace livecanary {

namespace net {
class Resolver;
}
class Ledger;
class Memory;
class Peers;

using Clock = std::chrono::steady_clock;
using WallTime = std::chrono::system_clock::time_point;

/// A step of a run, such as `tcp`. The name is the value of the metric label `phase`.
struct Phase {
    std::string_view name;
};

/// How the numbers of a Value add up over runs.
enum class ValueType {
    gauge,      ///< the last run's number
    counter,    ///< the sum over all runs; the metric name ends in `_total`
    histogram,  ///< every number observed, in `buckets`
    summary,    ///< how many numbers were observed, and their sum
};

/// A number a kind finds besides durations of phases, and the metric it becomes.
struct Value {
    std::string_view metric;  ///< ends in its unit (and `_total` if it is a counter)
    std::string_view help;
    ValueType type = ValueType::gauge;
    std::span<const double> buckets{};  ///< upper bounds of a histogram, ascending
    std::string_view label{};           ///< name of one extra label, or empty
    /// The closed set that label may take; empty: what Probe::label_values has for it.
    std::span<const std::string_view> label_values{};
    /// Of a counter with two labels: its series come once they were observed.
    std::string_view second_label{};
    std::span<const std::string_view> second_label_values{};  ///< never empty if there is a second label
};

/// All that a run may know of the world outside its target. Tests replace every member.
struct Env {
    /// Monotonic: durations and deadlines.
    std::function<Clock::time_point()> now = Clock::now;
    /// Calendar time: signatures, expiry, stamps.
    std::function<WallTime()> wall = std::chrono::system_clock::now;
    /// Nonces, object names. One per probe, seeded in main.
    std::mt19937_64 random{0};
    net::Resolver* dns = nullptr;
    /// Where what a run makes is written down first. Null: nothing may be made.
    Ledger* ledger = nullptr;
    /// What outlives runs and restarts. Null: nothing is remembered.
    Memory* memory = nullptr;
    /// The other probes of this daemon. Null: there are none to ask.
    Peers* peers = nullptr;
    /// Where files are read, since a disk may take its time (blocking.hpp). Empty: on the run's own executor.
    boost::asio::any_io_executor blocking{};
    /// Name of the probe: part of object keys.
    std::string probe = "probe";
    /// Where this daemon stands: part of stream names and object keys.
    std::string location = "here";
};

/// `failed` is said only when the target is proven wrong; `inconclusive` proves nothing about the target.
enum class RunOutcome { ok, failed, inconclusive };

constexpr std::string_view to_string(RunOutcome outcome) noexcept {
    switch (outcome) {
        case RunOutcome::ok:
            return "ok";
        case RunOutcome::failed:
            return "failed";
        case RunOutcome::inconclusive:
            return "inconclusive";
    }
    return "inconclusive";
}

struct PhaseTime {
    Phase phase;
    Clock::duration start{};  ///< since the run started
    Clock::duration took{};
    bool ok = true;  ///< false: the run failed here
};

struct Evidence {
    Phase phase;
    std::string_view what;  ///< a name out of the code, such as `status_code`
    std::string got;        ///< the peer's own words: for people, never a metric label
};

struct Found {
    Value value;
    double number = 0;
    std::string label_value{};  ///< one of the values of value.label, or empty
    std::string second_label_value{};
};

/// How a control measurement ended. `inconclusive`: it could not be made, and shows nothing.
enum class ControlOutcome { passed, failed, inconclusive };

constexpr std::string_view to_string(ControlOutcome outcome) noexcept {
    switch (outcome) {
        case ControlOutcome::passed:
            return "passed";
        case ControlOutcome::failed:
            return "failed";
        case ControlOutcome::inconclusive:
            return "inconclusive";
    }
    return "inconclusive";
}

/// A cheap extra measurement made after a failure, to split the space of causes.
struct Control {
    std::string_view name;  ///< a name out of the code, such as `wrong_secret`
    ControlOutcome outcome = ControlOutcome::inconclusive;
    std::string fingerprint{};  ///< how it ended, comparable with RunResult::fingerprint of the same kind
    std::string shows{};        ///< one sentence for people
};

/// What a run found, as a value. `phases` is in the order entered; a failure belongs to the last one.
struct RunResult {
    std::string run_id{};
    WallTime started{};
    std::vector<PhaseTime> phases{};
    std::vector<Evidence> evidence{};
    std::vector<Found> values{};
    std::vector<Control> controls{};
    /// What a run that is ok measured, in a few words for people; empty if the kind has none.
    std::string headline{};
    /// How the run ended, in a form that two runs of one kind can be compared by; empty if the kind has none.
    std::string fingerprint{};
    error_code code{};           ///< empty if ok
    std::string inconclusive{};  ///< why the run proves nothing about the target; empty if it does
    Clock::duration duration{};

    Reason reason() const noexcept { return reason_of(code); }
    RunOutcome outcome() const noexcept {
        if (!inconclusive.empty() || (code && reason() == Reason::local)) return RunOutcome::inconclusive;
        return code ? RunOutcome::failed : RunOutcome::ok;
    }
    /// The phase that failed; empty if the run is ok or never entered one.
    std::string_view failed_phase() const noexcept {
        return code && !phases.empty() ? failed_phase_ : std::string_view{};
    }
    /// The first evidence of that name; empty if there is none.
    std::string_view got(std::string_view what) const noexcept {
        for (const auto& e : evidence)
            if (e.what == what) return e.got;
        return {};
    }
    /// The control of that name, or null if it was not played.
    const Control* control(std::string_view name) const noexcept {
        for (const auto& c : controls)
            if (c.name == name) return &c;
        return nullptr;
    }

private:
    friend class ProbeRun;
    std::string_view failed_phase_{};
};

/// Times the phases of one run and gathers its result. Not thread-safe: a run stays on its executor.
/// The first failure of a run wins: phases entered afterwards (teardown) are only timed.
class ProbeRun {
public:
    /// Told about each phase as it is entered (`took` zero) and as it ends.
    using Observer = std::function<void(const PhaseTime&, bool ended)>;

    ProbeRun(Env& env, Clock::duration timeout, Observer observer = {})
        : env_(env), started_(env.now()), deadline_(started_ + timeout), observer_(std::move(observer)) {
        result_.started = env.wall();
        char id[17];
        std::snprintf(id, sizeof id, "%016llx", static_cast<unsigned long long>(env.random()));
        result_.run_id = id;
    }

    Env& env() noexcept { return env_; }
    /// 64 random bits as hexadecimal digits: names the run in logs, on pages and in streams.
    const std::string& run_id() const noexcept { return result_.run_id; }
    /// One deadline for the whole run; phases share it rather than having one each.
    Clock::time_point deadline() const noexcept { return deadline_; }
    Clock::time_point started() const noexcept { return started_; }

    /// Ends the phase under way, if any, and starts `phase`, both at `at`.
    void enter(Phase phase) { enter(phase, env_.now()); }
    void enter(Phase phase, Clock::time_point at) {
        close(at, true);
        open_ = phase;
        entered_ = at;
        if (observer_) observer_({phase, at - started_, {}, true}, false);
    }
    /// Keeps what was seen in the phase under way.
    void saw(std::string_view what, std::string got) {
        // A chatty server repeats itself; the first few of a kind say it all.
        if (std::ranges::count(result_.evidence, what, &Evidence::what) >= most_of_one_kind) return;
        result_.evidence.push_back({open_.value_or(Phase{}), what, std::move(got)});
    }
    void found(const Value& value, double number, std::string_view label_value = {},
               std::string_view second_label_value = {}) {
        result_.values.push_back({value, number, std::string(label_value), std::string(second_label_value)});
    }
    void headline(std::string words) { result_.headline = std::move(words); }
    void fingerprint(std::string how) { result_.fingerprint = std::move(how); }
    /// Records that the phase under way failed, and lets the run go on to clean up. Only the first counts.
    void failed(error_code code) {
        if (result_.code) return;
        result_.code = code;
        if (open_) result_.failed_phase_ = open_->name;
        close(env_.now(), false);
    }
    /// Marks the run as proving nothing about the target. Only the first reason is kept.
    void inconclusive(std::string why) {
        if (result_.inconclusive.empty()) result_.inconclusive = std::move(why);
    }
    /// The run was ended from outside (shutdown, reload): what follows must only clean up.
    void cut() noexcept { cut_ = true; }
    bool was_cut() const noexcept { return cut_; }
    bool has_failed() const noexcept { return static_cast<bool>(result_.code); }
    const RunResult& so_far() const noexcept { return result_; }

    /// Ends the run: ok unless `failed` was called.
    RunResult end() {
        const auto now = env_.now();
        close(now, true);
        result_.duration = now - started_;
        return std::move(result_);
    }
    RunResult ok() { return end(); }
    RunResult fail(error_code code) {
        failed(code);
        return end();
    }

private:
    void close(Clock::time_point now, bool ok) {
        if (!open_) return;
        const PhaseTime ended{*open_, entered_ - started_, now - entered_, ok};
        result_.phases.push_back(ended);
        open_.reset();
        if (observer_) observer_(ended, true);
    }

    Env& env_;
    Clock::time_point started_;
    Clock::time_point deadline_;
    Observer observer_;
    std::optional<Phase> open_;
    Clock::time_point entered_;
    bool cut_ = false;
    static constexpr std::ptrdiff_t most_of_one_kind = 8;
    RunResult result_;
};

}  // namespace livecanary
