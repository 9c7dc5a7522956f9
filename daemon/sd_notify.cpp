#include "daemon/sd_notify.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace livecanary::daemon {

SystemdNotifier::SystemdNotifier(std::string socket, std::string watchdog_usec) : socket_(std::move(socket)) {
    if (socket_.empty() || socket_.size() >= sizeof(sockaddr_un::sun_path)) return;
    descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    std::int64_t usec = 0;
    std::from_chars(watchdog_usec.data(), watchdog_usec.data() + watchdog_usec.size(), usec);
    if (usec > 0) period_ = std::chrono::microseconds(usec / 2);
}

SystemdNotifier::~SystemdNotifier() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

void SystemdNotifier::send(std::string_view text) const {
    if (descriptor_ < 0) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket_.data(), socket_.size());
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // an abstract name
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
    [[maybe_unused]] const auto sent = ::sendto(descriptor_, text.data(), text.size(), MSG_NOSIGNAL,
                                                reinterpret_cast<const sockaddr*>(&address), size);
}

void SystemdNotifier::ready(std::string_view status) const { send("READY=1\nSTATUS=" + std::string(status)); }
void SystemdNotifier::reloading(std::chrono::microseconds monotonic) const {
    send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic.count()));
}
void SystemdNotifier::stopping() const { send("STOPPING=1"); }
void SystemdNotifier::watchdog() const { send("WATCHDOG=1"); }
void SystemdNotifier::status(std::string_view text) const { send("STATUS=" + std::string(text)); }

}  // namespace livecanary::daemon
