#include "tests/support/tls_peer.hpp"

#include <fstream>
#include <stdexcept>
#include <utility>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <boost/asio/ssl/context.hpp>

namespace livecanary::test {
namespace {

void check(int ok) {
    if (ok == 0) throw std::runtime_error("OpenSSL cannot make a test certificate");
}

void add(X509_NAME *name, const char *field, const std::string &value) {
    check(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char *>(value.data()),
                                     static_cast<int>(value.size()), -1, 0));
}

void extend(X509 *x509, int nid, const std::string &value) {
    const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()), X509_EXTENSION_free);
    check(extension && X509_add_ext(x509, extension.get(), -1));
}

template <class Write>
std::string pem(Write write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    check(write(bio.get()));
    char *text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace

Certificate::Certificate(const CertificateOptions &options, const Certificate *issuer)
    : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), x509_(X509_new(), X509_free) {
    static long serial = 0;
    X509 *const x509 = x509_.get();
    check(key_ && x509 != nullptr);
    check(X509_set_version(x509, X509_VERSION_3));
    check(ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial));
    check(X509_gmtime_adj(X509_getm_notBefore(x509), static_cast<long>(options.not_before.count())) !=
          nullptr);
    check(X509_gmtime_adj(X509_getm_notAfter(x509), static_cast<long>(options.not_after.count())) != nullptr);
    X509_NAME *const subject = X509_get_subject_name(x509);
    add(subject, "O", "livecanary test");
    if (!options.common_name.empty()) add(subject, "CN", options.common_name);
    check(X509_set_issuer_name(x509, issuer ? X509_get_subject_name(issuer->x509_.get()) : subject));
    check(X509_set_pubkey(x509, key_.get()));
    std::string names;
    for (const auto &name : options.names) names += (names.empty() ? "" : ",") + name;
    if (!names.empty()) extend(x509, NID_subject_alt_name, names);
    if (options.authority) extend(x509, NID_basic_constraints, "critical,CA:TRUE");
    check(X509_sign(x509, (issuer ? *issuer : *this).key_.get(), EVP_sha256()));
}

std::string Certificate::certificate() const {
    return pem([this](BIO *bio) { return PEM_write_bio_X509(bio, x509_.get()); });
}

std::string Certificate::key() const {
    return pem([this](BIO *bio) {
        return PEM_write_bio_PrivateKey(bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
}

void Certificate::save(const std::string &file) const { std::ofstream(file) << certificate(); }

struct TlsPeer::Shared {
    explicit Shared(TlsScript played) : script(std::move(played)) {}
    asio::ssl::context context{asio::ssl::context::tls_server};
    TlsScript script;
    TlsSeen seen{};
};

TlsPeer::TlsPeer(asio::io_context &io, const Certificate &certificate, TlsScript script)
    : shared_(std::make_shared<Shared>(std::move(script))),
      peer_(io, [shared = shared_](tcp::socket socket) { return play(shared, std::move(socket)); }) {
    shared_->context.use_certificate_chain(asio::buffer(certificate.certificate()));
    shared_->context.use_private_key(asio::buffer(certificate.key()), asio::ssl::context::pem);
}

TlsPeer::~TlsPeer() = default;

const TlsSeen &TlsPeer::seen() const { return shared_->seen; }

void TlsPeer::at_most(int version) {
    SSL_CTX *const context = shared_->context.native_handle();
    SSL_CTX_set_security_level(context, 0);  // else OpenSSL 3 refuses to speak the old versions
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, version);
}

asio::awaitable<void> TlsPeer::play(std::shared_ptr<Shared> shared, tcp::socket socket) {
    TlsStream stream(std::move(socket), shared->context);
    const auto [code] = co_await stream.async_handshake(TlsStream::server, net::no_throw);
    if (code) {
        shared->seen.failure = code.message();
        co_return;
    }
    ++shared->seen.handshakes;
    const char *name = SSL_get_servername(stream.native_handle(), TLSEXT_NAMETYPE_host_name);
    shared->seen.server_name = name == nullptr ? "" : name;
    co_await shared->script(stream);
}

}  // namespace livecanary::test
