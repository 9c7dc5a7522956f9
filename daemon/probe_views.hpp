#pragma once
// What the pages, the API and /metrics ask of the running probes as a whole.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>

#include "daemon/metrics.hpp"
#include "daemon/probe_now.hpp"
#include "daemon/probe_page.hpp"
#include "daemon/runner.hpp"
#include "daemon/web.hpp"

namespace livecanary::daemon {

/// By name.
using Runners = std::map<std::string, std::unique_ptr<Runner>, std::less<>>;

/// Of the probe loop. With thousands of probes an answer takes seconds: what is a coroutine here gives the
/// loop its turn between, and a reload may come there.
class ProbeViews {
public:
    /// `runners` must outlive it.
    ProbeViews(boost::asio::any_io_executor executor, const Runners& runners)
        : executor_(std::move(executor)), runners_(runners) {}

    /// `families` must outlive the coroutine.
    boost::asio::awaitable<void> collect(Families& families) const;
    struct Alerts {
        std::size_t pending = 0, firing = 0;
    };
    Alerts alerts() const;
    /// The worst first.
    std::vector<ProbeStatus> status() const;
    /// How many there are of each outcome, and alert.
    boost::json::object counts() const;
    /// Their last results as a JSON array; of one if `name` is not empty.
    boost::asio::awaitable<std::string> results(std::string name) const;
    /// Null: there is no such probe.
    std::shared_ptr<const ProbeDetails> details(const std::string& name, const std::string& location) const;
    /// Runs it, or waits for the run under way.
    boost::asio::awaitable<std::shared_ptr<const ProbeNow>> probe_now(const std::string& name) const;
    /// False: there is no such probe.
    bool run_now(const std::string& name) const;
    /// Why the schedule stands still; empty if it does not.
    std::string standing_still() const;

private:
    std::vector<std::string> names() const;

    boost::asio::any_io_executor executor_;
    const Runners& runners_;
};

}  // namespace livecanary::daemon
