#pragma once
// Certificates made as a test needs them, and a TLS peer on loopback that shows
// one.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <boost/asio/ssl/stream.hpp>

#include "tests/support/scripted_peer.hpp"

namespace livecanary::test {

struct CertificateOptions {
    std::string common_name{};
    std::vector<std::string> names{};        ///< as OpenSSL writes them: "DNS:a.test", "IP:127.0.0.1"
    std::chrono::seconds not_before{-3600};  ///< from now
    std::chrono::seconds not_after{3600};    ///< from now
    bool authority = false;
};

/// A certificate with its key (P-256), signed by `issuer` or by itself.
class Certificate {
public:
    explicit Certificate(const CertificateOptions &options, const Certificate *issuer = nullptr);

    /// PEM text.
    std::string certificate() const;
    std::string key() const;
    /// Writes the certificate, as a file of trusted roots.
    void save(const std::string &file) const;

private:
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
    std::unique_ptr<X509, decltype(&X509_free)> x509_;
};

using TlsStream = asio::ssl::stream<tcp::socket>;
/// Played once the handshake is done; the stream is closed without a
/// close_notify when it returns.
using TlsScript = std::function<asio::awaitable<void>(TlsStream &)>;

/// What a TLS peer saw.
struct TlsSeen {
    int handshakes = 0;
    std::string server_name{};  ///< SNI of the last one
    std::string failure{};      ///< OpenSSL's words for why the last handshake failed
};

/// Plays `script` over TLS on each connection.
class TlsPeer {
public:
    TlsPeer(asio::io_context &io, const Certificate &certificate, TlsScript script);
    ~TlsPeer();
    TlsPeer(const TlsPeer &) = delete;
    TlsPeer &operator=(const TlsPeer &) = delete;
    tcp::endpoint endpoint() const { return peer_.endpoint(); }
    const TlsSeen &seen() const;
    /// TLS1_VERSION and the like.
    void at_most(int version);

private:
    struct Shared;
    static asio::awaitable<void> play(std::shared_ptr<Shared> shared, tcp::socket socket);

    std::shared_ptr<Shared> shared_;
    ScriptedPeer peer_;
};

}  // namespace livecanary::test
