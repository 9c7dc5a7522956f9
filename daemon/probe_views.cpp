#include "daemon/probe_views.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/serialize.hpp>

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

constexpr std::size_t probes_between_yields = 8;

}  // namespace

std::vector<std::string> ProbeViews::names() const {
    std::vector<std::string> all;
    for (const auto& [name, runner] : runners_) all.push_back(name);
    return all;
}

asio::awaitable<void> ProbeViews::collect(Families& families) const {
    const auto wanted = names();
    std::size_t done = 0;
    for (const auto& name : wanted) {
        // A reload may have come between.
        if (const auto at = runners_.find(name); at != runners_.end())
            at->second->collect(families, Clock::now());
        if (++done % probes_between_yields == 0) co_await asio::post(executor_, asio::use_awaitable);
    }
}

ProbeViews::Alerts ProbeViews::alerts() const {
    Alerts alerts;
    for (const auto& [name, runner] : runners_) {
        const Standing& standing = runner->standing();
        alerts.firing += standing.alerting ? 1 : 0;
        alerts.pending += standing.known && !standing.ok && !standing.alerting ? 1 : 0;
    }
    return alerts;
}

std::vector<ProbeStatus> ProbeViews::status() const {
    std::vector<ProbeStatus> all;
    const auto now = Clock::now();
    for (const auto& [name, runner] : runners_) all.push_back(runner->status(now));
    const auto rank = [](const ProbeStatus& p) {
        if (p.outcome == "failed") return p.alerting ? 0 : 1;
        return p.outcome == "inconclusive" ? 2 : p.outcome.empty() ? 3 : 4;
    };
    std::ranges::stable_sort(all, {}, rank);
    return all;
}

boost::json::object ProbeViews::counts() const {
    std::map<std::string, int> outcomes{{"ok", 0}, {"failed", 0}, {"inconclusive", 0}, {"not_run", 0}};
    int alerting = 0;
    const auto now = Clock::now();
    for (const auto& [name, runner] : runners_) {
        const auto probe = runner->status(now);
        ++outcomes[probe.outcome.empty() ? "not_run" : probe.outcome];
        alerting += probe.alerting ? 1 : 0;
    }
    boost::json::object counts{{"configured", runners_.size()}, {"alerting", alerting}};
    for (const auto& [outcome, count] : outcomes) counts[outcome] = count;
    return counts;
}

asio::awaitable<std::string> ProbeViews::results(std::string name) const {
    const auto wanted = name.empty() ? names() : std::vector<std::string>{std::move(name)};
    std::string list = "[";
    std::size_t done = 0;
    for (const auto& probe : wanted) {
        if (const auto at = runners_.find(probe); at != runners_.end()) {
            if (list.size() > 1) list += ',';
            list += boost::json::serialize(at->second->latest());
        }
        if (++done % probes_between_yields == 0) co_await asio::post(executor_, asio::use_awaitable);
    }
    list += ']';
    co_return list;
}

std::shared_ptr<const ProbeDetails> ProbeViews::details(const std::string& name,
                                                        const std::string& location) const {
    const auto at = runners_.find(name);
    if (at == runners_.end()) return nullptr;
    const Runner& runner = *at->second;
    return std::make_shared<const ProbeDetails>(ProbeDetails{.status = runner.status(Clock::now()),
                                                             .latest = runner.latest(),
                                                             .runs = runner.history().runs(),
                                                             .location = location});
}

asio::awaitable<std::shared_ptr<const ProbeNow>> ProbeViews::probe_now(const std::string& name) const {
    auto waiter = std::make_shared<RunWaiter>(executor_);
    if (const auto at = runners_.find(name); at != runners_.end())
        at->second->answer_with_next(waiter);
    else
        waiter->answer(std::make_shared<const ProbeNow>(ProbeNow{.known = false}));
    return wait_for(std::move(waiter));
}

bool ProbeViews::run_now(const std::string& name) const {
    const auto at = runners_.find(name);
    if (at == runners_.end()) return false;
    at->second->run_now();
    return true;
}

std::string ProbeViews::standing_still() const {
    const auto now = Clock::now();
    for (const auto& [name, runner] : runners_)
        if (auto why = runner->standing_still(now); !why.empty()) return why;
    return {};
}

}  // namespace livecanary::daemon
