#include "probes/net/tls_session.hpp"

#include <sys/stat.h>
#include <algorithm>
#include <chrono>
#include <utility>

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>

#include "probes/core/error_table.hpp"

namespace livecanary::net {

namespace asio = boost::asio;

error_code make_error_code(TlsError error) noexcept {
    using enum TlsError;
    static const ErrorTable<TlsError> table{
        "livecanary.tls",
        {{certificate_expired, "the certificate has expired", Reason::certificate},
         {certificate_not_yet_valid, "the certificate is not valid yet", Reason::certificate},
         {name_mismatch, "the certificate is not for this name", Reason::certificate},
         {untrusted, "the certificate is not signed by anyone we trust", Reason::certificate},
         {not_accepted, "the certificate is not acceptable", Reason::certificate},
         {trust_unreadable, "the file of trusted certificates cannot be read", Reason::local},
         {name_unusable, "there is no usable name to verify the certificate for", Reason::local}}};
    return {static_cast<int>(error), table};
}

namespace {

constexpr std::size_t max_names = 16;
constexpr std::size_t max_text = 512;

error_code ssl_error(unsigned long code) { return {static_cast<int>(code), asio::error::get_ssl_category()}; }

/// The oldest error OpenSSL queued, which is the root of the others.
error_code queued_error() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    return code != 0 ? ssl_error(code) : error_code(asio::error::no_memory);
}

}  // namespace

TlsError certificate_error(long verify_code) noexcept {
    using enum TlsError;
    switch (verify_code) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return certificate_expired;
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return certificate_not_yet_valid;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return name_mismatch;
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_CERT_UNTRUSTED:
        case X509_V_ERR_INVALID_CA:
            return untrusted;
        default:
            return not_accepted;
    }
}

namespace {

struct FreeBio {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};

/// What `print` writes into a BIO, cut.
template <class Print>
std::string printed(Print print) {
    const std::unique_ptr<BIO, FreeBio> bio(BIO_new(BIO_s_mem()));
    if (!bio) return {};
    print(bio.get());
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    if (size <= 0) return {};
    return std::string(text, std::min(static_cast<std::size_t>(size), max_text));
}

std::string to_text(const X509_NAME* name) {
    return printed([name](BIO* bio) { X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253); });
}

std::optional<std::string> to_text(const GENERAL_NAME& name) {
    if (name.type == GEN_DNS)
        return printed([&name](BIO* bio) {
            ASN1_STRING_print_ex(bio, name.d.dNSName, ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB);
        });
    if (name.type != GEN_IPADD) return std::nullopt;
    const unsigned char* bytes = ASN1_STRING_get0_data(name.d.iPAddress);
    const auto size = static_cast<std::size_t>(ASN1_STRING_length(name.d.iPAddress));
    if (asio::ip::address_v4::bytes_type v4; size == v4.size()) {
        std::copy_n(bytes, size, v4.begin());
        return asio::ip::address_v4(v4).to_string();
    }
    if (asio::ip::address_v6::bytes_type v6; size == v6.size()) {
        std::copy_n(bytes, size, v6.begin());
        return asio::ip::address_v6(v6).to_string();
    }
    return std::nullopt;
}

std::vector<std::string> alternative_names(const X509* certificate) {
    struct Free {
        void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
    };
    const std::unique_ptr<GENERAL_NAMES, Free> names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    std::vector<std::string> texts;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()) && texts.size() < max_names; ++i)
        if (auto text = to_text(*sk_GENERAL_NAME_value(names.get(), i))) texts.push_back(*std::move(text));
    return texts;
}

std::optional<WallTime> to_time(const ASN1_TIME* time) {
    std::tm tm{};
    if (ASN1_TIME_to_tm(time, &tm) != 1) return std::nullopt;
    const auto day = std::chrono::year(tm.tm_year + 1900) / (tm.tm_mon + 1) / tm.tm_mday;
    return std::chrono::sys_days(day) + std::chrono::hours(tm.tm_hour) + std::chrono::minutes(tm.tm_min) +
           std::chrono::seconds(tm.tm_sec);
}

/// Seconds and nanoseconds of the last change in one number; 0 if there is no such file.
std::int64_t time_stamp(const std::string& file) {
    struct stat status {};
    if (file.empty() || ::stat(file.c_str(), &status) != 0) return 0;
    return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

}  // namespace

result<SSL_CTX*> TlsContexts::get(const std::string& ca_file) {
    const auto stamp = time_stamp(ca_file);
    if (const auto at = entries_.find(ca_file); at != entries_.end() && at->second.stamp == stamp)
        return at->second.context.get();

    std::unique_ptr<SSL_CTX, FreeTls> context(SSL_CTX_new(TLS_client_method()));
    if (!context) return queued_error();
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION);
    const int loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get())
                                       : SSL_CTX_load_verify_file(context.get(), ca_file.c_str());
    ERR_clear_error();
    if (loaded != 1) return error_code(TlsError::trust_unreadable);
    Entry& entry = entries_[ca_file];
    entry = {std::move(context), stamp};
    return entry.context.get();
}

result<std::unique_ptr<TlsSession>> TlsSession::make(SSL_CTX* context, const TlsOptions& options) {
    ERR_clear_error();
    std::unique_ptr<TlsSession> session(new TlsSession);
    session->verify_ = options.verify;
    session->ssl_.reset(SSL_new(context));
    if (!session->ssl_) return queued_error();
    SSL* const ssl = session->ssl_.get();
    session->input_ = BIO_new(BIO_s_mem());
    session->output_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, session->input_, session->output_);
    if (session->input_ == nullptr || session->output_ == nullptr) return queued_error();
    SSL_set_connect_state(ssl);
    SSL_set_app_data(ssl, session.get());
    SSL_set_verify(ssl, SSL_VERIFY_PEER, &TlsSession::on_certificate);

    std::string name = options.server_name;
    if (name.ends_with('.')) name.pop_back();  // the root's dot is no part of names in certificates
    error_code not_address;
    asio::ip::make_address(name, not_address);
    X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const bool usable =
        !not_address
            ? X509_VERIFY_PARAM_set1_ip_asc(wanted, name.c_str()) == 1
            : !name.empty() && name.find('\0') == name.npos &&
                  X509_VERIFY_PARAM_set1_host(wanted, name.data(), name.size()) == 1 &&
                  SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) == 1;
    ERR_clear_error();
    if (!usable && options.verify) return error_code(TlsError::name_unusable);
    return session;
}

int TlsSession::on_certificate(int ok, X509_STORE_CTX* store) {
    const auto* ssl =
        static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto& session = *static_cast<TlsSession*>(SSL_get_app_data(ssl));
    TlsFacts& facts = session.certificate_;
    if (const X509* leaf = X509_STORE_CTX_get0_cert(store);
        leaf != nullptr && !std::exchange(session.seen_, true)) {
        facts.subject = to_text(X509_get_subject_name(leaf));
        facts.issuer = to_text(X509_get_issuer_name(leaf));
        facts.names = alternative_names(leaf);
        facts.not_before = to_time(X509_get0_notBefore(leaf));
        facts.not_after = to_time(X509_get0_notAfter(leaf));
        facts.verify_text = X509_verify_cert_error_string(X509_V_OK);
    }
    if (ok == 0 && facts.verify_code == X509_V_OK) {
        facts.verify_code = X509_STORE_CTX_get_error(store);
        facts.verify_text = X509_verify_cert_error_string(facts.verify_code);
    }
    return ok != 0 || !session.verify_ ? 1 : 0;
}

error_code TlsSession::failure(int returned) const {
    switch (SSL_get_error(ssl_.get(), returned)) {
        case SSL_ERROR_WANT_READ:
            return needs_input;
        case SSL_ERROR_ZERO_RETURN:
            return asio::error::eof;
        default:
            return queued_error();
    }
}

error_code TlsSession::handshake() {
    ERR_clear_error();
    const int returned = SSL_do_handshake(ssl_.get());
    if (returned == 1) return {};
    const error_code code = failure(returned);
    if (verify_ && certificate_.verify_code != X509_V_OK) return certificate_error(certificate_.verify_code);
    return code;
}

error_code TlsSession::read(std::span<std::uint8_t> buffer, std::size_t& size) {
    ERR_clear_error();
    size = 0;
    const int returned = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &size);
    return returned == 1 ? error_code() : failure(returned);
}

error_code TlsSession::write(std::span<const std::uint8_t> bytes) {
    ERR_clear_error();
    std::size_t size = 0;
    const int returned = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &size);
    return returned == 1 ? error_code() : failure(returned);
}

void TlsSession::shutdown() {
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
}

void TlsSession::feed(std::span<const std::uint8_t> ciphertext) {
    std::size_t taken = 0;
    BIO_write_ex(input_, ciphertext.data(), ciphertext.size(), &taken);
}

std::span<const std::uint8_t> TlsSession::output() {
    if (due_.empty()) {
        due_.resize(BIO_ctrl_pending(output_));
        std::size_t taken = 0;
        if (!due_.empty()) BIO_read_ex(output_, due_.data(), due_.size(), &taken);
        due_.resize(taken);
    }
    return due_;
}

void TlsSession::sent(std::size_t size) {
    due_.erase(due_.begin(), due_.begin() + static_cast<std::ptrdiff_t>(size));
}

TlsFacts TlsSession::facts() const {
    TlsFacts facts = certificate_;
    const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_.get());
    if (cipher == nullptr) cipher = SSL_get_pending_cipher(ssl_.get());
    if (cipher != nullptr) {  // the server has spoken
        facts.version = SSL_get_version(ssl_.get());
        facts.cipher = SSL_CIPHER_get_name(cipher);
    }
    return facts;
}

}  // namespace livecanary::net
