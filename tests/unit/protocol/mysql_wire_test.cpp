#include "probes/protocol/mysql_wire.hpp"

#include <gtest/gtest.h>

#include <string>

namespace livecanary::protocol {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

/// The first packet of MariaDB 10.11.19, captured on loopback (scramble and thread id made up).
Bytes greeting() {
    Bytes packet = bytes_of(std::string("\x6B\0\0\0\x0A", 5) + "5.5.5-10.11.19-MariaDB-0+deb12u1" +
                            std::string("\0\x1F\0\0\0"
                                        "12345678\0\xFE\xFF\x2D\2\0\xFF\x81\x15",
                                        22) +
                            std::string(6, '\0') + std::string("\x1D\0\0\0", 4) + "901234567890" +
                            std::string(1, '\0') + "mysql_native_password" + std::string(1, '\0'));
    packet[0] = static_cast<std::uint8_t>(packet.size() - mysql_header);
    return packet;
}

TEST(MysqlWire, ReadsAGreetingAndHidesItsTls) {
    Bytes packet = greeting();
    EXPECT_EQ(mysql_packet_size(packet), packet.size());
    const auto read = read_mysql_greeting(packet);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->version, "5.5.5-10.11.19-MariaDB-0+deb12u1");
    EXPECT_EQ(read->capabilities, 0x81FFFFFEU);
    hide_tls(packet, *read);
    EXPECT_EQ(read_mysql_greeting(packet)->capabilities, 0x81FFFFFEU & ~mysql_can::tls);
}

TEST(MysqlWire, IsNotWholeBeforeItsLastByte) {
    const Bytes packet = greeting();
    for (std::size_t size = 0; size < packet.size(); ++size) {
        EXPECT_EQ(mysql_packet_size(std::span(packet).first(size)), std::nullopt) << size;
        // Also where a length lies about it, no byte beyond the end is looked at.
        const auto read = read_mysql_greeting(std::span(packet).first(size));
        if (read) {
            EXPECT_FALSE(read->refused);
        }
    }
}

TEST(MysqlWire, TellsRefusalsAndStrangers) {
    EXPECT_TRUE(
        read_mysql_greeting(bytes_of(std::string("\x11\0\0\0\xFF\x69\x04Host is blocked", 22)))->refused);
    EXPECT_EQ(read_mysql_greeting(bytes_of("HTTP/1.1 400 Bad Request\r\n")).error(),
              MysqlWireError::not_a_greeting);
    EXPECT_EQ(read_mysql_greeting(bytes_of(std::string("\1\0\0\0\x09", 5))).error(),
              MysqlWireError::not_a_greeting);
    EXPECT_EQ(read_mysql_greeting({}).error(), MysqlWireError::not_a_greeting);
}

TEST(MysqlWire, RequestForTlsIsTheFixedPartOfTheLogin) {
    Bytes login = bytes_of(std::string("\x40\0\0\1", 4));
    for (int i = 0; i < 0x40; ++i) login.push_back(static_cast<std::uint8_t>(i));
    login[mysql_header + 1] = 0x81;
    const Bytes request = mysql_tls_request(login);
    ASSERT_EQ(request.size(), 36U);
    EXPECT_EQ((Bytes{request.begin(), request.begin() + 7}), (Bytes{32, 0, 0, 1, 0, 0x89, 2}));
    EXPECT_EQ(request.back(), 31);
    after_tls_request(login);
    EXPECT_EQ(login[3], 2);
    EXPECT_EQ(mysql_capabilities(login) & mysql_can::tls, mysql_can::tls);
}

TEST(MysqlWire, NobodyHasTheFieldsThatItsCapabilitiesPromise) {
    const Bytes least = mysql_nobody(1);
    EXPECT_EQ(mysql_packet_size(least), least.size());
    EXPECT_EQ(least.size(), mysql_header + 34);
    EXPECT_EQ(least[3], 1);
    const auto flags =
        mysql_can::connect_with_database | mysql_can::plugin_auth | mysql_can::connect_attributes;
    const Bytes most = mysql_nobody(2, flags);
    EXPECT_EQ(mysql_packet_size(most), most.size());
    EXPECT_EQ(most.size(), mysql_header + 34 + 1 + 22 + 1);
    EXPECT_EQ(mysql_capabilities(most), flags);
}

Bytes packet(std::uint8_t sequence, std::size_t size, std::uint8_t first) {
    Bytes bytes{static_cast<std::uint8_t>(size), static_cast<std::uint8_t>(size >> 8), 0, sequence};
    bytes.insert(bytes.end(), size, 3);
    if (size > 0) bytes[mysql_header] = first;
    return bytes;
}

void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

/// In one piece, byte by byte, and in two pieces cut anywhere.
TEST(MysqlWire, NumbersAreShiftedUntilTheHandshakeIsOver) {
    Bytes sent, expected;
    for (const auto& [sequence, size, first, becomes] : {std::tuple(3, 300, 0xFE, 2),
                                                         {5, 0, 0, 4},
                                                         {5, 1, 1, 4},
                                                         {7, 7, 0x00, 6},
                                                         {1, 5, 0, 1},
                                                         {2, 4, 0xFF, 2}}) {
        append(sent, packet(static_cast<std::uint8_t>(sequence), static_cast<std::size_t>(size),
                            static_cast<std::uint8_t>(first)));
        append(expected, packet(static_cast<std::uint8_t>(becomes), static_cast<std::size_t>(size),
                                static_cast<std::uint8_t>(first)));
    }
    for (std::size_t cut = 0; cut <= sent.size(); ++cut) {
        Bytes bytes = sent;
        MysqlRenumber renumber(-1);
        const bool first = renumber.feed(std::span(bytes).first(cut), true);
        const bool second = renumber.feed(std::span(bytes).subspan(cut), true);
        EXPECT_TRUE(first || second) << cut;
        ASSERT_EQ(bytes, expected) << cut;
    }
    Bytes bytes = sent;
    MysqlRenumber renumber(-1);
    int ends = 0;
    for (std::size_t at = 0; at < bytes.size(); ++at)
        if (renumber.feed(std::span(bytes).subspan(at, 1), true)) ++ends;
    EXPECT_EQ(bytes, expected);
    EXPECT_GE(ends, 1);
}

TEST(MysqlWire, ClientsNumbersAreShiftedUntilTold) {
    Bytes bytes = packet(1, 20, 0);
    MysqlRenumber renumber(1);
    EXPECT_FALSE(renumber.feed(bytes, false));
    EXPECT_EQ(bytes[3], 2);
    renumber.stop();
    bytes = packet(0, 5, 3);
    renumber.feed(bytes, false);
    EXPECT_EQ(bytes[3], 0);
    bytes = packet(255, 5, 3);
    MysqlRenumber wraps(1);
    wraps.feed(bytes, false);
    EXPECT_EQ(bytes[3], 0);
}

}  // namespace
}  // namespace livecanary::protocol
