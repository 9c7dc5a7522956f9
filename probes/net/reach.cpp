#include "probes/net/reach.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "probes/net/values.hpp"

namespace livecanary::net {
namespace {

constexpr Phase dns_phase{"dns"}, tcp_phase{"tcp"}, tls_phase{"tls"};

void note_certificate(const TlsFacts& facts, bool accepted, ProbeRun& run) {
    if (facts.not_after) {
        run.found(certificate_end,
                  std::chrono::duration<double>(facts.not_after->time_since_epoch()).count());
        run.saw("certificate", facts.subject + ", issued by " + facts.issuer);
    }
    if (!facts.version.empty()) run.saw("tls", facts.version + " " + facts.cipher);
    if (!accepted && facts.verify_code != 0)
        run.saw("verify", std::to_string(facts.verify_code) + " " + facts.verify_text);
}

}  // namespace

void note_addresses(const Lookup& found, ProbeRun& run) {
    const auto six =
        std::ranges::count_if(found.endpoints, [](const auto& e) { return e.address().is_v6(); });
    const auto all = static_cast<std::ptrdiff_t>(found.endpoints.size());
    run.found(resolved_addresses, static_cast<double>(all - six), "ipv4");
    run.found(resolved_addresses, static_cast<double>(six), "ipv6");
}

asio::awaitable<error_code> reach(Connection& connection, Destination to, Resolver& dns, ProbeRun* run,
                                  Clock::time_point deadline, Lookup* found) {
    tcp::endpoint endpoint;
    if (to.address) {
        endpoint = {*to.address, to.port};
    } else {
        if (run != nullptr) run->enter(dns_phase);
        const auto looked_up = co_await dns.resolve(to.host, to.port, deadline);
        if (!looked_up) co_return looked_up.error();
        endpoint = looked_up->endpoints.front();
        if (run != nullptr && to.counts_addresses) note_addresses(*looked_up, *run);
        if (found != nullptr) *found = *looked_up;
    }
    if (run != nullptr) {
        run->enter(tcp_phase);
        run->saw("address", endpoint.address().to_string() + ":" + std::to_string(endpoint.port()));
    }
    if (const auto code = co_await connection.connect(endpoint, deadline)) co_return code;
    if (!to.tls) co_return error_code{};

    if (run != nullptr) run->enter(tls_phase);
    TlsFacts facts;
    TlsOptions options;
    options.server_name = std::move(to.host);
    options.ca_file = std::move(to.ca_file);
    const auto code = co_await connection.start_tls(std::move(options), deadline, facts);
    if (run != nullptr) note_certificate(facts, !code, *run);
    co_return code;
}

}  // namespace livecanary::net
