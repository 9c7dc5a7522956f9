#include "probes/net/held_socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace livecanary::net {
namespace {

void set(int socket, int level, int name, int value) noexcept {
    // Without it a peer that has gone is waited for as one that says nothing.
    ::setsockopt(socket, level, name, &value, sizeof value);
}

}  // namespace

HeldSocket::HeldSocket(int descriptor) noexcept : descriptor_(descriptor) {
    if (descriptor_ < 0) return;
    set(descriptor_, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(descriptor_, IPPROTO_TCP, TCP_KEEPIDLE, 30);
    set(descriptor_, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set(descriptor_, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

HeldSocket::~HeldSocket() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

bool HeldSocket::is_silent() const noexcept {
    if (descriptor_ < 0) return false;
    pollfd polled{descriptor_, POLLIN | POLLRDHUP, 0};
    return ::poll(&polled, 1, 0) == 0;
}

}  // namespace livecanary::net
