#include "daemon/web_tls.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <optional>
#include <string_view>
#include <utility>

#include "config/secret.hpp"

namespace livecanary::daemon {
namespace {

namespace ssl = boost::asio::ssl;
using File = WebTlsTrouble::File;

struct Free {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
    void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

/// Any certificate of a chain is the work of an authority: a handful. More is a bundle of roots by mistake.
constexpr std::size_t longest_chain = 16;

std::string quoted(const std::string& path) { return '\'' + path + '\''; }

Owned<BIO> memory(const std::string& text) {
    return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// OpenSSL's words for what it has just refused; its queue is empty then.
std::string reason() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    const char* words = ERR_reason_error_string(code);
    return words != nullptr ? words : "OpenSSL gives no reason";
}

/// All certificates of a PEM text, up to the first thing that is none.
std::vector<Owned<X509>> certificates(const std::string& text) {
    std::vector<Owned<X509>> all;
    const auto in = memory(text);
    while (auto* one = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) all.emplace_back(one);
    ERR_clear_error();
    return all;
}

/// Nobody types a passphrase in when a daemon starts.
int no_passphrase(char*, int, int, void*) { return -1; }

Owned<EVP_PKEY> private_key(const std::string& text) {
    const auto in = memory(text);
    Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr));
    ERR_clear_error();
    return key;
}

bool is_encrypted(const std::string& key) {
    return key.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") != std::string::npos ||
           key.find("Proc-Type: 4,ENCRYPTED") != std::string::npos;
}

WallTime wall_time(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
    return std::chrono::system_clock::from_time_t(timegm(&parts));
}

std::string day_of(WallTime time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts)};
}

bool has_names(X509* certificate) {
    const Owned<GENERAL_NAMES> names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    return names && sk_GENERAL_NAME_num(names.get()) > 0;
}

std::string digest_of(const std::vector<std::string_view>& texts) {
    std::string all;
    // With its length before it, no part can pass for the end of another.
    for (const auto text : texts) all.append(std::to_string(text.size())).append(":").append(text);
    const config::Secret wiped(std::move(all));
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    // The cast is the way from text to the bytes OpenSSL wants.
    ::SHA256(reinterpret_cast<const unsigned char*>(wiped.reveal().data()), wiped.reveal().size(),
             digest.data());
    constexpr std::string_view digits = "0123456789abcdef";
    std::string hex;
    for (const unsigned char byte : digest) hex.append({digits[byte >> 4U], digits[byte & 15U]});
    return hex;
}

class Reading {
public:
    Reading(const WebTlsFiles& files, const config::Surroundings& surroundings, WallTime now)
        : files_(files), around_(surroundings), now_(now) {}

    WebTlsRead all() {
        auto cert = text_of(File::cert, files_.cert);
        auto key = text_of(File::key, files_.key);
        auto client_ca = files_.client_ca.empty() ? std::optional<std::string>("")
                                                  : text_of(File::client_ca, files_.client_ca);
        const config::Secret wiped(key.value_or(""));
        auto tls = std::make_shared<WebTls>();
        tls->files = files_;
        // Each is looked at, so that everything that is wrong is said at once.
        const auto chain = cert ? chain_of(*cert) : std::vector<Owned<X509>>();
        const auto private_key = key ? key_of(*key) : Owned<EVP_PKEY>();
        const auto roots = client_ca ? roots_of(*client_ca) : std::vector<Owned<X509>>();
        if (!chain.empty()) look_at(chain, *tls);
        if (!chain.empty() && private_key) check_pair(chain, private_key.get());
        if (!failed_) make_context(*tls, chain, private_key.get(), roots);
        if (failed_) return {.troubles = std::move(troubles_)};
        tls->digest = digest_of({*cert, *key, *client_ca});
        return {.tls = std::move(tls), .troubles = std::move(troubles_)};
    }

private:
    void refuse(File file, std::string words) {
        failed_ = true;
        troubles_.push_back({.file = file, .words = std::move(words)});
    }
    void warn(File file, std::string words) {
        troubles_.push_back({.file = file, .words = std::move(words), .warning = true});
    }

    std::optional<std::string> text_of(File file, const std::string& path) {
        auto content = around_.read_file(path);
        if (!content.text) refuse(file, "cannot read " + quoted(path) + ": " + content.error);
        // systemd shows a credential to the unit's user by an access control list, which looks as if a group
        // could read it.
        const bool credential =
            !around_.credentials_directory.empty() && path.starts_with(around_.credentials_directory + '/');
        if (file == File::key && content.text && content.others_can_read && !credential)
            warn(file,
                 "group or others can read " + quoted(path) + ": chmod 0400, owned by the daemon's user");
        return std::move(content.text);
    }

    std::vector<Owned<X509>> chain_of(const std::string& text) {
        auto chain = certificates(text);
        if (chain.empty())
            refuse(File::cert, "there is no certificate in " + quoted(files_.cert) +
                                   ": PEM is expected, which begins with -----BEGIN CERTIFICATE-----");
        if (chain.size() > longest_chain) {
            refuse(File::cert,
                   quoted(files_.cert) + " holds " + std::to_string(chain.size()) +
                       " certificates: expected the server's own and those between it and a root");
            chain.clear();
        }
        return chain;
    }

    Owned<EVP_PKEY> key_of(const std::string& text) {
        auto key = private_key(text);
        if (key) return key;
        refuse(File::key, is_encrypted(text)
                              ? "the key in " + quoted(files_.key) +
                                    " has a passphrase, which nobody could type in: openssl pkey takes it off"
                              : "there is no private key in " + quoted(files_.key) +
                                    ": PEM is expected, which begins with -----BEGIN PRIVATE KEY-----");
        return key;
    }

    std::vector<Owned<X509>> roots_of(const std::string& text) {
        auto roots = certificates(text);
        if (roots.empty() && !files_.client_ca.empty())
            refuse(File::client_ca, "there is no certificate in " + quoted(files_.client_ca));
        return roots;
    }

    void look_at(const std::vector<Owned<X509>>& chain, WebTls& tls) {
        X509* own = chain.front().get();
        tls.not_before = wall_time(X509_get0_notBefore(own));
        tls.not_after = wall_time(X509_get0_notAfter(own));
        if (tls.not_after < now_)
            warn(File::cert, "the certificate in " + quoted(files_.cert) + " expired on " +
                                 day_of(tls.not_after) + ": clients refuse it");
        else if (tls.not_before > now_)
            warn(File::cert, "the certificate in " + quoted(files_.cert) + " is not valid before " +
                                 day_of(tls.not_before) + ": clients refuse it");
        if (!has_names(own))
            warn(File::cert, "the certificate in " + quoted(files_.cert) +
                                 " has no subject alternative name: Prometheus and browsers do not look at "
                                 "any other name");
        for (std::size_t i = 1; i < chain.size(); ++i) {
            if (X509_check_issued(chain[i].get(), chain[i - 1].get()) == X509_V_OK) continue;
            warn(File::cert, "certificate " + std::to_string(i + 1) + " in " + quoted(files_.cert) +
                                 " is not the issuer of the one before it: clients may not find the way to "
                                 "a root they trust");
            break;
        }
    }

    void check_pair(const std::vector<Owned<X509>>& chain, EVP_PKEY* key) {
        for (std::size_t i = 0; i < chain.size(); ++i) {
            const bool fits = X509_check_private_key(chain[i].get(), key) == 1;
            ERR_clear_error();
            if (!fits) continue;
            if (i == 0) return;
            refuse(File::cert, "the key in " + quoted(files_.key) + " is that of certificate " +
                                   std::to_string(i + 1) + " in " + quoted(files_.cert) +
                                   ": the server's own certificate has to stand first");
            return;
        }
        refuse(File::key, "the key in " + quoted(files_.key) + " is not that of the certificate in " +
                              quoted(files_.cert));
    }

    void make_context(WebTls& tls, const std::vector<Owned<X509>>& chain, EVP_PKEY* key,
                      const std::vector<Owned<X509>>& roots) {
        tls.context = std::make_shared<ssl::context>(ssl::context::tls_server);
        SSL_CTX* context = tls.context->native_handle();
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
        // Renegotiation costs us more than who asks for it.
        SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
        // Tickets resume without memory of ours.
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        // Idle connections need no buffers.
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
        if (SSL_CTX_use_certificate(context, chain.front().get()) != 1)
            return refuse(File::cert,
                          "the certificate in " + quoted(files_.cert) + " cannot be used: " + reason());
        for (std::size_t i = 1; i < chain.size(); ++i)
            if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1)
                return refuse(File::cert, "certificate " + std::to_string(i + 1) + " in " +
                                              quoted(files_.cert) + " cannot be used: " + reason());
        if (SSL_CTX_use_PrivateKey(context, key) != 1)
            return refuse(File::key, "the key in " + quoted(files_.key) + " cannot be used: " + reason());
        if (roots.empty()) return;
        X509_STORE* store = SSL_CTX_get_cert_store(context);
        for (const auto& root : roots) {
            X509_STORE_add_cert(store, root.get());
            // Told to the client, which may have several certificates to choose from.
            SSL_CTX_add_client_CA(context, root.get());
        }
        ERR_clear_error();
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        // Without it, OpenSSL resumes no session of a client with a certificate.
        constexpr std::array<unsigned char, 3> session{'w', 'e', 'b'};
        SSL_CTX_set_session_id_context(context, session.data(), session.size());
    }

    const WebTlsFiles& files_;
    const config::Surroundings& around_;
    const WallTime now_;
    std::vector<WebTlsTrouble> troubles_{};
    bool failed_ = false;
};

}  // namespace

WebTlsRead read_web_tls(const WebTlsFiles& files, const config::Surroundings& surroundings, WallTime now) {
    return Reading(files, surroundings, now).all();
}

}  // namespace livecanary::daemon
