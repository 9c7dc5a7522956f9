#pragma once
// Name lookups that never block the loop (c-ares on Asio) and end by their deadline.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "probes/core/run.hpp"

namespace livecanary::net {

namespace asio = boost::asio;
using asio::ip::tcp;

enum class DnsError {
    no_such_name = 1,  ///< NXDOMAIN, or the name has neither an A nor an AAAA record
    server_failed,     ///< SERVFAIL, REFUSED, NOTIMP, FORMERR, or nothing listens where the server should
    no_answer,         ///< nothing came before the deadline, or before c-ares gave up
    bad_answer,        ///< an answer that cannot be read
    out_of_memory,
};
error_code make_error_code(DnsError error) noexcept;

/// What a name resolved to.
struct Lookup {
    std::vector<tcp::endpoint> endpoints{};  ///< at least one; IPv4, then IPv6, each in the server's order
    /// The names the asked one is an alias of, first to last: for `a CNAME b`, `b CNAME c` it is {b, c}.
    std::vector<std::string> cname_chain{};
    std::chrono::seconds ttl{0};  ///< the smallest of all records; 0 for literals and hosts files
};

/// Looks names up for all probes of one loop. A lookup that outlives its caller is left behind. Destroying
/// the resolver ends the lookups under way with operation_aborted.
class Resolver {
public:
    /// `servers`: "192.0.2.1", "192.0.2.1:53", "2001:db8::1" or "[2001:db8::1]:53" each; empty takes the
    /// system's. Throws std::invalid_argument if one is not an address.
    explicit Resolver(asio::any_io_executor executor, const std::vector<std::string>& servers = {});
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// Both address families, asked for at once. A literal address resolves to itself and a name of the
    /// hosts file to what stands there, without a question. A name with a dot is asked for as it stands;
    /// only one without goes through the system's search list.
    /// Errors: DnsError; operation_aborted if cancelled; the system's own if no socket could be opened.
    asio::awaitable<result<Lookup>> resolve(std::string host, std::uint16_t port, Clock::time_point deadline);

private:
    class Channel;
    std::shared_ptr<Channel> channel_;
};

}  // namespace livecanary::net

template <>
struct boost::system::is_error_code_enum<livecanary::net::DnsError> : std::true_type {};
