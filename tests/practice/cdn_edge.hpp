#pragma once
// A CDN for practice: one nginx with a cache for each of several loopback addresses, in front of the practice
// object store (or any other origin), with Tencent Cloud's URL authentication, its headers, and faults that
// can be switched while it runs.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "probes/protocol/cdn_auth.hpp"
#include "tests/practice/process.hpp"

namespace livecanary::practice {

/// How the domain authenticates URLs.
struct CdnUrlAuth {
    protocol::CdnAuth how{};
    std::string key{};
    std::string backup_key{};  ///< empty: none set
    std::chrono::seconds validity{1800};
};

/// With what the CDN signs what it asks of a private bucket ("origin-pull authentication").
struct CdnOriginKey {
    std::string secret_id{};
    std::string secret_key{};
};

/// How the CDN misbehaves. The default is: not at all.
struct CdnFaults {
    /// Answered to everybody with a page of the CDN's own, whatever is asked: 403 is acceleration that is
    /// off, 302 leads to a notice. 0: by the rules.
    int status = 0;
    std::set<std::string> at{};      ///< the edges that `status` is of; empty: all
    bool pull_unsigned = false;      ///< asks a private bucket without a signature
    bool no_cache = false;           ///< asks the origin each time
    bool only_with_referer = false;  ///< hotlink protection that wants one
    std::string forbidden_agent{};   ///< User-Agents that begin so get 403; empty: none
    bool only_http = false;          ///< HTTPS is not configured: 514
};

/// Asks the origin only for what its cache does not hold: 200 stays for 10 minutes, 404 for 10 seconds.
/// Parameters of the URL authentication are no part of what is cached, other parameters are.
class CdnEdge {
public:
    struct Pem {
        std::filesystem::path certificate{}, private_key{};
    };
    struct Options {
        std::vector<std::string> addresses{"127.0.0.2", "127.0.0.3"};
        std::string domain = "cover.cdn.example.com";
        std::uint16_t origin_port = 0;  ///< on 127.0.0.1, plain HTTP
        std::string origin_host{};      ///< for Host:, without a port
        std::optional<CdnOriginKey> origin_key{};
        std::optional<CdnUrlAuth> auth{};
        std::filesystem::path directory{};  ///< where its files go; empty: a temporary directory
        std::uint16_t port = 0;             ///< of all addresses; 0: a free one
        /// With it the edges also listen for TLS, on `tls_port`.
        std::optional<Pem> pem{};
        std::map<std::string, Pem> pem_of{};  ///< of edges that have another
    };

    /// False if nginx is not installed.
    static bool installed();

    /// Throws std::runtime_error, with nginx's own words, if it does not come up.
    explicit CdnEdge(Options options);
    CdnEdge(const CdnEdge&) = delete;
    CdnEdge& operator=(const CdnEdge&) = delete;
    ~CdnEdge();

    std::uint16_t port() const noexcept { return port_; }
    std::uint16_t tls_port() const noexcept { return tls_port_; }  ///< 0 without certificates

    /// From the next request on.
    void behave(CdnFaults faults);
    void authenticate(std::optional<CdnUrlAuth> auth);
    /// Changes the last byte of everything that the edge at `address` has in its cache.
    void damage(const std::string& address);
    /// Every cache is empty again.
    void purge();

    bool running() { return process_ && process_->running(); }
    /// nginx's error log. Holds requests with their signatures when something fails.
    std::string log() const;

private:
    class Check;
    void write_configuration() const;
    void write_edge(std::ostream& out, const std::string& address) const;
    void start();
    std::filesystem::path cache_of(const std::string& address) const {
        return directory_ / ("cache-" + address);
    }

    Options options_;
    std::optional<TemporaryDirectory> temporary_;
    std::filesystem::path directory_;
    std::unique_ptr<Check> check_;
    std::uint16_t port_ = 0;
    std::uint16_t tls_port_ = 0;
    std::optional<Process> process_;
};

}  // namespace livecanary::practice
