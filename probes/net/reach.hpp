#pragma once
// From a host to a connection that can be spoken over: dns, tcp, tls, as every kind with a network target
// does it.
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>

#include "probes/core/run.hpp"
#include "probes/net/connection.hpp"
#include "probes/net/resolver.hpp"

namespace livecanary::net {

struct Destination {
    std::string host{};  ///< also the name that the certificate must have
    std::uint16_t port = 0;
    bool tls = false;
    std::optional<asio::ip::address> address{};  ///< connects there instead of resolving `host`
    std::string ca_file{};                       ///< empty: the system's
    bool counts_addresses = true;                ///< for a kind that has resolved_addresses
};

/// The first address is taken. Whose error it is, is `run`'s current phase.
/// `run`, unless it is null, hears of it all: the phases `dns`, `tcp` and `tls`; as evidence `address`,
/// `certificate` and, of one that was not accepted, `verify`; resolved_addresses and certificate_end
/// (values.hpp), which its kind must have. `found`, unless it is null, gets the answer of the name servers.
/// Errors of Resolver and Connection.
asio::awaitable<error_code> reach(Connection& connection, Destination to, Resolver& dns, ProbeRun* run,
                                  Clock::time_point deadline, Lookup* found = nullptr);

/// How many addresses of each family a name has.
void note_addresses(const Lookup& found, ProbeRun& run);

}  // namespace livecanary::net
