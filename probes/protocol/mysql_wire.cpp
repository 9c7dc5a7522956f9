#include "probes/protocol/mysql_wire.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "probes/core/error_table.hpp"

namespace livecanary::protocol {

error_code make_error_code(MysqlWireError error) noexcept {
    using enum MysqlWireError;
    static const ErrorTable<MysqlWireError> table{
        "livecanary.mysql_wire",
        {{not_a_greeting, "what answers is no MySQL server", Reason::protocol},
         {too_long, "a packet of the handshake is too long", Reason::protocol}}};
    return {static_cast<int>(error), table};
}

namespace {

constexpr std::uint8_t version_10 = 10;
constexpr std::uint8_t ok_packet = 0x00;
constexpr std::uint8_t error_packet = 0xFF;
/// Flags, largest packet, character set and filler: what a request for TLS consists of.
constexpr std::size_t tls_request_size = 32;
/// Where the flag of TLS stands: bit 3 of the second byte.
constexpr std::uint8_t tls_bit = mysql_can::tls >> 8;

}  // namespace

std::optional<std::size_t> mysql_packet_size(std::span<const std::uint8_t> bytes) noexcept {
    if (bytes.size() < mysql_header) return std::nullopt;
    const std::size_t size = mysql_header + (bytes[0] | static_cast<std::size_t>(bytes[1]) << 8 |
                                             static_cast<std::size_t>(bytes[2]) << 16);
    if (bytes.size() < size) return std::nullopt;
    return size;
}

result<MysqlGreeting> read_mysql_greeting(std::span<const std::uint8_t> packet) {
    const auto bytes = packet.subspan(std::min(mysql_header, packet.size()));
    MysqlGreeting greeting;
    if (bytes.empty()) return MysqlWireError::not_a_greeting;
    greeting.refused = bytes[0] == error_packet;
    if (greeting.refused) return greeting;
    const auto end = std::find(bytes.begin(), bytes.end(), std::uint8_t{0});
    if (bytes[0] != version_10 || end == bytes.end()) return MysqlWireError::not_a_greeting;
    greeting.version.assign(bytes.begin() + 1, end);
    // The thread's id, eight bytes of scramble and a filler come between.
    const auto lower = static_cast<std::size_t>(end - bytes.begin()) + 1 + 4 + 8 + 1;
    // Then a character set and the status, before the upper half.
    const auto upper = lower + 2 + 1 + 2;
    if (bytes.size() < upper + 2) return MysqlWireError::not_a_greeting;
    const auto byte = [&](std::size_t at) { return static_cast<std::uint32_t>(bytes[at]); };
    greeting.capabilities = byte(lower) | byte(lower + 1) << 8 | byte(upper) << 16 | byte(upper + 1) << 24;
    greeting.capabilities_at = mysql_header + lower;
    return greeting;
}

void hide_tls(std::span<std::uint8_t> packet, const MysqlGreeting& greeting) noexcept {
    if (greeting.refused) return;
    auto& second = packet[greeting.capabilities_at + 1];
    second = static_cast<std::uint8_t>(second & ~tls_bit);
}

std::vector<std::uint8_t> mysql_tls_request(std::span<const std::uint8_t> client_packet) {
    std::vector<std::uint8_t> request(mysql_header + tls_request_size);
    std::copy_n(client_packet.begin(), std::min(client_packet.size(), request.size()), request.begin());
    request[0] = tls_request_size;
    request[1] = request[2] = 0;
    request[mysql_header + 1] |= tls_bit;
    return request;
}

void after_tls_request(std::span<std::uint8_t> client_packet) noexcept {
    if (client_packet.size() < mysql_header + 2) return;
    ++client_packet[3];
    client_packet[mysql_header + 1] |= tls_bit;
}

std::uint32_t mysql_capabilities(std::span<const std::uint8_t> client_packet) noexcept {
    std::uint32_t flags = 0;
    for (std::size_t i = 0; i < 4 && mysql_header + i < client_packet.size(); ++i)
        flags |= static_cast<std::uint32_t>(client_packet[mysql_header + i]) << (8 * i);
    return flags;
}

std::vector<std::uint8_t> mysql_nobody(std::uint8_t sequence, std::uint32_t capabilities) {
    constexpr std::string_view plugin = "mysql_native_password";
    std::vector<std::uint8_t> packet(mysql_header + tls_request_size);
    packet[3] = sequence;
    for (std::size_t i = 0; i < 4; ++i)
        packet[mysql_header + i] = static_cast<std::uint8_t>(capabilities >> (8 * i));
    packet[mysql_header + 6] = 1;   // largest packet: 64 KiB
    packet[mysql_header + 8] = 33;  // utf8
    packet.push_back(0);            // no name
    packet.push_back(0);            // no password
    if ((capabilities & mysql_can::connect_with_database) != 0) packet.push_back(0);
    if ((capabilities & mysql_can::plugin_auth) != 0) {
        packet.insert(packet.end(), plugin.begin(), plugin.end());
        packet.push_back(0);
    }
    if ((capabilities & mysql_can::connect_attributes) != 0) packet.push_back(0);
    packet[0] = static_cast<std::uint8_t>(packet.size() - mysql_header);
    return packet;
}

bool MysqlRenumber::feed(std::span<std::uint8_t> bytes, bool ends_handshake) noexcept {
    bool ended = false;
    for (std::size_t at = 0; at < bytes.size();) {
        if (left_ > 0) {
            if (std::exchange(first_, false) && ends_handshake &&
                (bytes[at] == ok_packet || bytes[at] == error_packet)) {
                ended = true;
                stop();
            }
            const std::size_t part = std::min(left_, bytes.size() - at);
            left_ -= part;
            at += part;
            continue;
        }
        if (in_header_ < 3) {
            length_ |= static_cast<std::size_t>(bytes[at]) << (8 * in_header_);
        } else {
            bytes[at] = static_cast<std::uint8_t>(bytes[at] + by_);
        }
        ++at;
        if (++in_header_ == mysql_header) {
            in_header_ = 0;
            left_ = std::exchange(length_, 0);
            first_ = true;
        }
    }
    return ended;
}

}  // namespace livecanary::protocol
