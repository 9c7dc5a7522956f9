#pragma once
// The loop of one probe: wait, run, control, diagnose, record.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/object.hpp>

#include "daemon/anchors.hpp"
#include "daemon/exchange.hpp"
#include "daemon/execute.hpp"
#include "daemon/history.hpp"
#include "daemon/incidents.hpp"
#include "daemon/metrics.hpp"
#include "daemon/probe_now.hpp"
#include "daemon/schedule.hpp"
#include "daemon/store.hpp"
#include "daemon/web.hpp"
#include "probes/net/background.hpp"
#include "probes/net/resolver.hpp"

namespace livecanary::daemon {

/// What the runners of one daemon share. Lives longer than they do.
struct Shared {
    boost::asio::any_io_executor executor{};
    std::shared_ptr<net::Resolver> dns{};
    std::shared_ptr<Anchors> anchors{};
    StateStore* state = nullptr;   ///< null: nothing may be made at a target, nothing is remembered
    Exchange* exchange = nullptr;  ///< null: each probe is alone
    boost::asio::any_io_executor blocking{};  ///< where probes read files; empty: on the loop
    Verdicts verdicts{};
    LagRecord lag{};
    DaemonMetrics metrics{};
    Clock::duration max_loop_lag = std::chrono::milliseconds(250);
    Clock::duration controls_gap = std::chrono::seconds(60);  ///< between two rounds of a probe's controls
    std::size_t max_concurrent = 256;
    std::size_t in_flight = 0;   ///< runs under way
    std::uint64_t revision = 0;  ///< counts results
    std::string location{};
    std::string lang = "en";
    std::function<std::uint64_t()> seed{};  ///< randomness for each probe's own generator
    /// Told about every run that has a result. May be empty.
    std::function<void(const ProbeSettings&, const RunResult&, const Diagnosis&, const Standing&)> judged{};
    /// The id of the open incident in which a probe fails; empty if there is none. May be empty itself.
    std::function<std::string(const std::string& probe)> incident_of{};
    std::function<Clock::time_point()> now = Clock::now;
    std::function<WallTime()> wall = std::chrono::system_clock::now;
};

/// Owns a probe's schedule, history and series. Runs never overlap; a run is never late by the one before.
class Runner {
public:
    Runner(std::shared_ptr<const ProbeSettings> settings, Shared& shared);

    /// Starts the loop, and what the probe does beside its runs. `ended` is called once, when all of it is
    /// over: only then may the runner be destroyed.
    void start(std::function<void()> ended);
    /// Cuts the run under way (it still cleans up) and ends the loop.
    void stop();
    /// Starts the next run at once, if none is under way.
    void run_now();
    /// Answers `waiter` with the result of the run under way, or starts one for it. The one that others who
    /// waited have just got is given again: so nobody can make a probe run more often than once a second.
    void answer_with_next(std::shared_ptr<RunWaiter> waiter);
    /// For Exchange.
    Exchange::Answerer answerer() const;
    const ProbeSettings& settings() const noexcept { return *settings_; }
    std::shared_ptr<const ProbeSettings> shared_settings() const noexcept { return settings_; }

    void collect(Families& into, Clock::time_point now) const { metrics_.collect(into, now, shared_.wall()); }
    ProbeStatus status(Clock::time_point now) const;
    const History& history() const noexcept { return history_; }
    /// The last result with what it means for alerts, as the API shows it (`standing`); before the first run
    /// only what the probe is.
    boost::json::object latest() const;
    const Standing& standing() const noexcept { return incidents_.standing(); }
    /// An alert from before a restart. False if runs since have ended it.
    bool alert_stands();
    /// Why the loop stands: its slot or its run's deadline is long past. Empty if it does not.
    std::string standing_still(Clock::time_point now) const;

private:
    boost::asio::awaitable<void> loop();
    boost::asio::awaitable<void> beside();
    boost::asio::awaitable<void> leave();
    void part_ended(const std::exception_ptr& failed, std::string_view part);
    Env world() const;
    boost::asio::awaitable<void> run_once(bool confirmation);
    /// A failure while nothing else answers either is not the target's.
    boost::asio::awaitable<void> ask_anchors(RunResult& result);
    boost::asio::awaitable<void> experiment(RunResult& result);
    void record(RunResult result, Clock::time_point began, const Incidents::Step& step, bool confirmation);
    void answer_waiters(const std::shared_ptr<const ProbeNow>& answer);
    void refuse_waiters(std::string why);
    /// The kind's diagnosis, and what other probes and logs know beside it.
    Diagnosis diagnosed(const RunResult& result, Clock::time_point began);

    std::shared_ptr<const ProbeSettings> settings_;
    Shared& shared_;
    std::shared_ptr<net::Resolver> dns_{};  // of the run under way: a reload may bring another
    Env env_{};
    Env beside_env_{};
    std::shared_ptr<net::Resolver> beside_dns_{};
    Incidents incidents_;
    ProbeMetrics metrics_;
    net::Background loop_{}, beside_{}, leave_{};
    std::function<void()> ended_{};
    bool stopping_ = false;
    bool running_ = false;
    Clock::time_point due_{};  // of the next run, or of the one under way
    std::optional<Clock::time_point> confirm_{};

    // The controls of this incident, and the failure they were played for.
    std::vector<Control> controls_{};
    std::string controls_for_{};
    bool controls_played_ = false;
    std::optional<Clock::time_point> controls_at_{};

    ProbeStatus status_{};
    boost::json::object latest_{};
    History history_{};
    std::vector<HopStatus> walked_{};
    boost::asio::steady_timer* asleep_ = nullptr;  // until the next run
    std::vector<std::shared_ptr<RunWaiter>> waiters_{};
    std::shared_ptr<const ProbeNow> last_{};  // what those who waited last got
    Clock::time_point last_at_{};             // when
};

}  // namespace livecanary::daemon
