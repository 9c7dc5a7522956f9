// Apart from connection.cpp because <linux/tcp.h> and the <netinet/tcp.h> of Asio both define tcp_info, and
// only the former has all of its members.
#include "probes/net/tcp_facts.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace livecanary::net {

TcpFacts read_tcp_facts(int socket) noexcept {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
    TcpFacts facts;
    // The kernel counts our SYN as one byte acknowledged (tcp_ack() in net/ipv4/tcp_input.c, Linux 6.1).
    facts.bytes_acked = info.tcpi_bytes_acked > 0 ? info.tcpi_bytes_acked - 1 : 0;
    facts.unacked_segments = info.tcpi_unacked;
    facts.not_sent_bytes = info.tcpi_notsent_bytes;
    facts.retransmits = info.tcpi_total_retrans;
    facts.rtt = std::chrono::microseconds(info.tcpi_rtt);
    return facts;
}

}  // namespace livecanary::net
