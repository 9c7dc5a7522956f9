#pragma once
// Delivery of alerts to Alertmanager's v2 API by the daemon itself, for when Prometheus is down. Off without
// `[alerting] alertmanagers`; which alerts there are is kept all the same, since it decides what a probe is
// after a restart.
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "daemon/alerts.hpp"
#include "daemon/runner.hpp"
#include "probes/net/background.hpp"

namespace livecanary::daemon {

/// One Alertmanager: an outbox and the coroutine that empties it. Its own timer, connection and back-off, so
/// one that hangs holds up neither the others nor a probe.
class AlertSender;

/// Of the probe loop, not thread-safe.
class Notifier {
public:
    using Probes = std::vector<std::shared_ptr<const ProbeSettings>>;

    /// `shared` must outlive it. Without `shared.state` alerts end with the process.
    explicit Notifier(Shared& shared, AlertTimes times = {});
    ~Notifier();
    Notifier(const Notifier&) = delete;
    Notifier& operator=(const Notifier&) = delete;

    /// Takes over a configuration: who is sent alerts, and where their links lead. A sender that stays keeps
    /// what it knows. The alerts of probes that are not among `probes`, or have other labels now, are
    /// resolved.
    void adopt(const Settings& settings, const std::string& own_url, const Probes& probes);
    /// For Shared::judged.
    void judged(const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                const Standing& standing);
    /// Whether an alert of this very probe fires.
    bool fires(const ProbeSettings& probe) const;
    void resolve(const std::string& probe);

    /// Loads what alerts there were before a restart, then calls `loaded`: they are in the book. After
    /// adopt().
    void start(std::function<void()> loaded);
    /// Cuts the deliveries; `ended` is called once it may be destroyed. Nothing is resolved by it: the next
    /// process goes on where this one stops.
    void stop(std::function<void()> ended);

    NotificationFigures figures() const;
    const AlertBook& book() const noexcept { return book_; }

private:
    boost::asio::awaitable<void> restore();
    boost::asio::awaitable<void> keep_house();
    void start(net::Background& part, boost::asio::awaitable<void> work, std::function<void()> ended);
    void tell_if_ended();
    void send_to(const std::vector<std::string>& urls, const AlertmanagerAccess& access);
    void retire(std::unique_ptr<AlertSender> sender);
    /// Alerts of probes that are gone, have other labels, or are in maintenance.
    void resolve_strangers();
    /// Stores what has changed and wakes the senders.
    void publish();

    Shared& shared_;
    AlertBook book_;
    AlertLinks links_{};
    std::string lang_ = "en";
    AlertmanagerAccess access_{};
    std::map<std::string, std::shared_ptr<const ProbeSettings>, std::less<>> probes_{};
    std::list<std::unique_ptr<AlertSender>> senders_;  ///< in the order of the configuration
    std::list<std::unique_ptr<AlertSender>> leaving_;
    net::Background restore_{}, house_{};
    std::function<void()> loaded_{}, ended_{};
    bool stopping_ = false;
};

}  // namespace livecanary::daemon
