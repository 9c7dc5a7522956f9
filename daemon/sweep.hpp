#pragma once
// Removes what runs have left behind: at the daemon's start what one before it did, later what a run could
// not.
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/runner.hpp"
#include "daemon/store.hpp"
#include "probes/net/background.hpp"

namespace livecanary::daemon {

/// Removes `litter` with the probe that made it, and strikes it out if it is gone. Nothing: it is in
/// somebody's hands, or struck out already. `probe` must have a `remove`.
boost::asio::awaitable<std::optional<error_code>> remove_leftover(const ProbeSettings& probe, Env& env,
                                                                  StateStore& store, Litter litter);

/// What Probe::strays of `probe` finds, but for what is `known`. A bug in it is logged, and an error.
boost::asio::awaitable<result<std::vector<Litter>>> find_strays(const ProbeSettings& probe, Env& env,
                                                                const std::vector<Litter>& known);

/// Removes it, whatever the ledger says. A bug of the kind is logged, and an error.
boost::asio::awaitable<error_code> remove_now(const ProbeSettings& probe, Env& env, const Litter& litter);

/// Whether what went wrong with one thing would go wrong with the next one of that probe too: the target is
/// not to be reached, and asking on would only add to its trouble.
bool hopeless(const error_code& code) noexcept;

/// One thing at a time, beside the runs: it takes no slot of theirs, and touches nothing they have under way.
class Sweeper {
public:
    /// The probe of that name as configured now, or null.
    using Find = std::function<std::shared_ptr<const ProbeSettings>(const std::string& probe)>;
    /// All probes as configured now.
    using All = std::function<std::vector<std::shared_ptr<const ProbeSettings>>()>;
    /// `shared.state` must be there.
    Sweeper(Shared& shared, Find find, All all, Clock::duration period = std::chrono::minutes(10));

    /// Sweeps now and then every `period`. `ended` is called once, when it is over: only then may this be
    /// destroyed.
    void start(std::function<void()> ended);
    /// Cuts the removal under way: what it would have removed stays in the ledger.
    void stop();
    /// One sweep, whole.
    boost::asio::awaitable<void> sweep();
    /// Looks at the targets for what does not stand in the ledger, and removes it.
    boost::asio::awaitable<void> sweep_strays();

private:
    boost::asio::awaitable<void> loop();
    Env env_of(const std::string& probe, net::Resolver* dns);

    Shared& shared_;
    Find find_;
    All all_;
    Clock::duration period_;
    boost::asio::steady_timer timer_;
    net::Background loop_{};
    std::optional<Clock::time_point> strays_at_{};  ///< when it last looked for strays
    std::set<std::string> mute_{};                  ///< probes whose strays could not be looked for, likewise
    std::set<std::string> unknown_{};               ///< probes not configured, of which it was said once
    bool stopping_ = false;
};

}  // namespace livecanary::daemon
