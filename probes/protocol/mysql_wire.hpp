#pragma once
// As much of MySQL's client/server protocol as it takes to start TLS on behalf of a client library, and to
// leave a server in good order (MariaDB knowledge base, "Connection Protocol", read 2026-11-28).
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "probes/core/reason.hpp"

namespace livecanary::protocol {

enum class MysqlWireError {
    not_a_greeting = 1,  ///< the first packet is none of protocol version 10
    too_long,            ///< a packet of the handshake is longer than any real one
};
error_code make_error_code(MysqlWireError error) noexcept;

/// Capability flags (there, "Capabilities").
namespace mysql_can {
inline constexpr std::uint32_t connect_with_database = 1U << 3;
inline constexpr std::uint32_t protocol_41 = 1U << 9;
inline constexpr std::uint32_t tls = 1U << 11;
inline constexpr std::uint32_t secure_connection = 1U << 15;
inline constexpr std::uint32_t plugin_auth = 1U << 19;
inline constexpr std::uint32_t connect_attributes = 1U << 20;
}  // namespace mysql_can

/// Bytes before the payload: its length in three, and a sequence number.
inline constexpr std::size_t mysql_header = 4;
/// No packet of a handshake comes near this. Ours.
inline constexpr std::size_t most_handshake_packet = 16 * 1024;

/// The size of the packet at the front of `bytes`, with its header; nothing while that is not all there.
std::optional<std::size_t> mysql_packet_size(std::span<const std::uint8_t> bytes) noexcept;

/// What a server says first, as far as it matters here.
struct MysqlGreeting {
    bool refused = false;  ///< it is an error packet, in place of a greeting
    std::string version{};
    std::uint32_t capabilities = 0;
    std::size_t capabilities_at = 0;  ///< where their lower two bytes stand in the packet
};

/// Of a whole packet with its header.
result<MysqlGreeting> read_mysql_greeting(std::span<const std::uint8_t> packet);

/// Takes TLS out of what a greeting offers.
void hide_tls(std::span<std::uint8_t> packet, const MysqlGreeting& greeting) noexcept;

/// The packet that asks for TLS, made from the client's whole first packet, which must follow it over TLS: a
/// server reads that one by the capabilities of this.
std::vector<std::uint8_t> mysql_tls_request(std::span<const std::uint8_t> client_packet);

/// Changes the client's first packet into the one that follows the request for TLS.
void after_tls_request(std::span<std::uint8_t> client_packet) noexcept;

/// The capabilities of a client's first packet, or of its request for TLS.
std::uint32_t mysql_capabilities(std::span<const std::uint8_t> client_packet) noexcept;

/// A login as nobody, without a password: a server that can read it says no in good order, and does not hold
/// a broken handshake against this host (error 1129). `capabilities`: those of the request for TLS, if there
/// was one.
std::vector<std::uint8_t> mysql_nobody(std::uint8_t sequence,
                                       std::uint32_t capabilities = mysql_can::protocol_41 |
                                                                    mysql_can::secure_connection);

/// COM_QUIT, whole.
inline constexpr std::array<std::uint8_t, 5> mysql_quit{1, 0, 0, 0, 1};

/// Changes the sequence numbers of one direction of a stream, whatever the pieces it comes in.
class MysqlRenumber {
public:
    /// `by` is added to each, modulo 256.
    explicit MysqlRenumber(int by) noexcept : by_(static_cast<std::uint8_t>(by)) {}

    /// In place. True if within these bytes a packet began that ends a handshake (OK or error); later packets
    /// then keep their numbers.
    bool feed(std::span<std::uint8_t> bytes, bool ends_handshake) noexcept;
    /// Later packets keep their numbers.
    void stop() noexcept { by_ = 0; }

private:
    std::uint8_t by_;
    std::size_t in_header_ = 0;  // bytes of the header seen
    std::size_t length_ = 0;     // of the payload, as far as the header says
    std::size_t left_ = 0;       // bytes of the payload to come
    bool first_ = false;         // the next byte is the first of a payload
};

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::MysqlWireError> : std::true_type {};
