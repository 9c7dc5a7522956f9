#pragma once
// Certificates made as a test needs them, and a TLS peer on loopback that shows one.
#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <boost/asio/ssl/context.hpp>
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
    explicit Certificate(const CertificateOptions& options, const Certificate* issuer = nullptr)
        : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), x509_(X509_new(), X509_free) {
        static long serial = 0;
        X509* const x509 = x509_.get();
        check(key_ && x509 != nullptr);
        check(X509_set_version(x509, X509_VERSION_3));
        check(ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial));
        check(X509_gmtime_adj(X509_getm_notBefore(x509), static_cast<long>(options.not_before.count())) !=
              nullptr);
        check(X509_gmtime_adj(X509_getm_notAfter(x509), static_cast<long>(options.not_after.count())) !=
              nullptr);
        X509_NAME* const subject = X509_get_subject_name(x509);
        add(subject, "O", "livecanary test");
        if (!options.common_name.empty()) add(subject, "CN", options.common_name);
        check(X509_set_issuer_name(x509, issuer ? X509_get_subject_name(issuer->x509_.get()) : subject));
        check(X509_set_pubkey(x509, key_.get()));
        std::string names;
        for (const auto& name : options.names) names += (names.empty() ? "" : ",") + name;
        if (!names.empty()) extend(NID_subject_alt_name, names);
        if (options.authority) extend(NID_basic_constraints, "critical,CA:TRUE");
        check(X509_sign(x509, (issuer ? *issuer : *this).key_.get(), EVP_sha256()));
    }

    /// PEM text.
    std::string certificate() const {
        return pem([this](BIO* bio) { return PEM_write_bio_X509(bio, x509_.get()); });
    }
    std::string key() const {
        return pem([this](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
        });
    }
    /// Writes the certificate, as a file of trusted roots.
    void save(const std::string& file) const { std::ofstream(file) << certificate(); }

private:
    static void check(int ok) {
        if (ok == 0) throw std::runtime_error("OpenSSL cannot make a test certificate");
    }
    static void add(X509_NAME* name, const char* field, const std::string& value) {
        check(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                         reinterpret_cast<const unsigned char*>(value.data()),
                                         static_cast<int>(value.size()), -1, 0));
    }
    void extend(int nid, const std::string& value) {
        const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
            X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()), X509_EXTENSION_free);
        check(extension && X509_add_ext(x509_.get(), extension.get(), -1));
    }
    template <class Write>
    static std::string pem(Write write) {
        const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
        check(write(bio.get()));
        char* text = nullptr;
        const long size = BIO_get_mem_data(bio.get(), &text);
        return std::string(text, static_cast<std::size_t>(size));
    }

    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
    std::unique_ptr<X509, decltype(&X509_free)> x509_;
};

using TlsStream = asio::ssl::stream<tcp::socket>;
/// Played once the handshake is done; the stream is closed without a close_notify when it returns.
using TlsScript = std::function<asio::awaitable<void>(TlsStream&)>;

/// What a TLS peer saw.
struct TlsSeen {
    int handshakes = 0;
    std::string server_name{};  ///< SNI of the last one
    std::string failure{};      ///< OpenSSL's words for why the last handshake failed
};

/// Plays `script` over TLS on each connection.
class TlsPeer {
public:
    TlsPeer(asio::io_context& io, const Certificate& certificate, TlsScript script)
        : shared_(std::make_shared<Shared>(std::move(script))),
          peer_(io, [shared = shared_](tcp::socket socket) { return play(shared, std::move(socket)); }) {
        shared_->context.use_certificate_chain(asio::buffer(certificate.certificate()));
        shared_->context.use_private_key(asio::buffer(certificate.key()), asio::ssl::context::pem);
    }
    tcp::endpoint endpoint() const { return peer_.endpoint(); }
    const TlsSeen& seen() const { return shared_->seen; }
    /// TLS1_VERSION and the like.
    void at_most(int version) {
        SSL_CTX* const context = shared_->context.native_handle();
        SSL_CTX_set_security_level(context, 0);  // else OpenSSL 3 refuses to speak the old versions
        SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
        SSL_CTX_set_max_proto_version(context, version);
    }

private:
    struct Shared {
        explicit Shared(TlsScript played) : script(std::move(played)) {}
        asio::ssl::context context{asio::ssl::context::tls_server};
        TlsScript script;
        TlsSeen seen{};
    };
    static asio::awaitable<void> play(std::shared_ptr<Shared> shared, tcp::socket socket) {
        TlsStream stream(std::move(socket), shared->context);
        const auto [code] = co_await stream.async_handshake(TlsStream::server, net::no_throw);
        if (code) {
            shared->seen.failure = code.message();
            co_return;
        }
        ++shared->seen.handshakes;
        const char* name = SSL_get_servername(stream.native_handle(), TLSEXT_NAMETYPE_host_name);
        shared->seen.server_name = name == nullptr ? "" : name;
        co_await shared->script(stream);
    }

    std::shared_ptr<Shared> shared_;
    ScriptedPeer peer_;
};

}  // namespace livecanary::test
