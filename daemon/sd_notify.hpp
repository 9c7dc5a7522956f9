#pragma once
// What systemd is told (sd_notify(3), "Type=notify"): a datagram each to $NOTIFY_SOCKET.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace livecanary::daemon {

/// Never blocks: a datagram the socket does not take is lost.
class SystemdNotifier {
public:
    /// `socket`: $NOTIFY_SOCKET, a path or an abstract name after '@'; empty: nobody listens.
    /// `watchdog_usec`: $WATCHDOG_USEC, if this process is the one watched.
    explicit SystemdNotifier(std::string socket, std::string watchdog_usec = {});
    ~SystemdNotifier();
    SystemdNotifier(const SystemdNotifier&) = delete;
    SystemdNotifier& operator=(const SystemdNotifier&) = delete;

    void ready(std::string_view status) const;
    /// `monotonic`: CLOCK_MONOTONIC now, which tells systemd which reload this answers.
    void reloading(std::chrono::microseconds monotonic) const;
    void stopping() const;
    void watchdog() const;
    void status(std::string_view text) const;
    /// How often to say watchdog(): half of what systemd waits. Nothing: it does not watch.
    std::optional<std::chrono::microseconds> watchdog_period() const noexcept { return period_; }

private:
    void send(std::string_view text) const;

    std::string socket_;
    std::optional<std::chrono::microseconds> period_{};
    int descriptor_ = -1;
};

}  // namespace livecanary::daemon
