#pragma once
// What the kernel knows of a TCP connection.
#include <chrono>
#include <cstdint>

namespace livecanary::net {

/// Linux TCP_INFO. All zero on a connection that is not open.
struct TcpFacts {
    std::uint64_t bytes_acked =
        0;  ///< of our bytes, by the peer's kernel (its application may not have them)
    std::uint32_t unacked_segments = 0;
    std::uint32_t not_sent_bytes = 0;  ///< still in our socket buffer, never sent
    std::uint32_t retransmits = 0;     ///< segments, over the whole connection
    std::chrono::microseconds rtt{0};  ///< smoothed
};

TcpFacts read_tcp_facts(int socket) noexcept;

}  // namespace livecanary::net
