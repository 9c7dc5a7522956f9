#pragma once
// A name server on loopback that answers, fails, keeps silent or answers late,
// name by name.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

#include "tests/support/task.hpp"

namespace livecanary::test {

/// How the server answers the questions for one name.
struct DnsReply {
    enum class How {
        at_once,
        never,
        held,       ///< when release() is called
        truncated,  ///< over UDP only the news that TCP has it all
        garbled,    ///< the header promises a record that is not there
    };
    std::vector<std::string> addresses{};  ///< those of IPv4 answer A questions, the others AAAA
    std::vector<std::string> cnames{};     ///< the chain that leads from the name to the addresses
    std::uint32_t ttl = 300;               ///< of the addresses, seconds
    std::uint32_t cname_ttl = 600;         ///< of the aliases
    std::uint8_t rcode = 0;                ///< RFC 1035 §4.1.1: 1 FORMERR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED
    How how = How::at_once;
};

/// UDP and TCP on one free loopback port. A name it does not know does not
/// exist (NXDOMAIN).
class NameServer {
    using Udp = asio::ip::udp;

public:
    static constexpr std::uint16_t type_a = 1;
    static constexpr std::uint16_t type_cname = 5;
    static constexpr std::uint16_t type_aaaa = 28;

    explicit NameServer(asio::io_context &io);
    ~NameServer();
    NameServer(const NameServer &) = delete;
    NameServer &operator=(const NameServer &) = delete;

    std::string address() const;
    void set(const std::string &name, const DnsReply &reply);
    void set(const std::string &name, std::uint16_t type, const DnsReply &reply);
    /// Answers all questions held back so far.
    void release();
    int questions() const { return questions_; }
    int questions_over_tcp() const { return questions_over_tcp_; }

private:
    using Bytes = std::vector<std::uint8_t>;

    bool bind();
    void listen();
    void accept();
    asio::awaitable<void> serve(asio::ip::tcp::socket socket);
    const DnsReply &find(const std::string &name, std::uint16_t type) const;

    Udp::socket udp_;
    asio::ip::tcp::acceptor tcp_;
    Udp::endpoint from_{};
    Bytes question_{};
    std::map<std::pair<std::string, std::uint16_t>, DnsReply> zone_{};
    std::vector<std::pair<Bytes, Udp::endpoint>> held_{};
    int questions_ = 0;
    int questions_over_tcp_ = 0;
};

}  // namespace livecanary::test
