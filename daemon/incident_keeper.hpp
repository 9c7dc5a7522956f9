#pragma once
// Keeps the book of incidents over restarts, and in its bounds.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "daemon/incident_book.hpp"
#include "daemon/runner.hpp"
#include "probes/net/background.hpp"

namespace livecanary::daemon {

/// Of the probe loop, not thread-safe.
class IncidentKeeper {
public:
    using Probes = std::vector<std::shared_ptr<const ProbeSettings>>;

    /// `shared` must outlive it. Without `shared.state` incidents end with the process.
    explicit IncidentKeeper(Shared& shared) : shared_(shared) {}
    IncidentKeeper(const IncidentKeeper&) = delete;
    IncidentKeeper& operator=(const IncidentKeeper&) = delete;

    /// Takes over a configuration.
    void adopt(IncidentLimits limits, const Probes& probes);
    /// For Shared::judged, before the alerts are: those name the incident.
    void judged(const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                const Standing& standing);
    /// Loads what there was before a restart. After adopt().
    void start();
    /// Stores what is not yet stored; `ended` is called once it may be destroyed.
    void stop(std::function<void()> ended);

    const IncidentBook& book() const noexcept { return book_; }
    /// As the API and the pages show it.
    IncidentList list(const IncidentWish& wish) const;
    std::shared_ptr<const IncidentView> view(const std::string& id) const;

private:
    boost::asio::awaitable<void> restore();
    boost::asio::awaitable<void> keep_house();
    void tell_if_ended();
    void publish(bool all = false);

    Shared& shared_;
    IncidentBook book_{};
    net::Background restore_{}, house_{};
    std::function<void()> ended_{};
    bool stopping_ = false;
};

}  // namespace livecanary::daemon
