#pragma once
// The client's side of one TLS connection without its I/O: ciphertext in and out through memory, so that a
// cancelled read or write of the socket never tears a record.
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <openssl/ssl.h>
#include <boost/asio/execution_context.hpp>

#include "probes/net/tls.hpp"

namespace livecanary::net {

struct FreeTls {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};

/// The trust of one loop, read once, because reading roots blocks: a service of the io_context, which owns
/// it. A file is read anew when its time stamp has changed.
class TlsContexts final : public boost::asio::execution_context::service {
public:
    using key_type = TlsContexts;
    inline static boost::asio::execution_context::id id;

    explicit TlsContexts(boost::asio::execution_context& owner) : service(owner) {}

    /// Valid until the next call; an SSL made of it keeps what it needs. TlsError::trust_unreadable.
    result<SSL_CTX*> get(const std::string& ca_file);

private:
    struct Entry {
        std::unique_ptr<SSL_CTX, FreeTls> context;
        std::int64_t stamp = 0;  ///< of the file, when it was read
    };
    void shutdown() override { entries_.clear(); }

    std::map<std::string, Entry> entries_;
};

/// Not ready: feed() what the peer sends next, and ask again.
inline const error_code needs_input =
    boost::system::errc::make_error_code(boost::system::errc::operation_would_block);

/// Whatever a call returns, there may be output() to send afterwards.
class TlsSession {
public:
    /// TlsError::name_unusable, or out of memory.
    static result<std::unique_ptr<TlsSession>> make(SSL_CTX* context, const TlsOptions& options);
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    /// Empty once the handshake is done, needs_input, or why it failed.
    error_code handshake();
    /// Puts plaintext into `buffer`. `size` is 0 with a code: needs_input, eof after the peer's
    /// close_notify, or why the stream is broken.
    error_code read(std::span<std::uint8_t> buffer, std::size_t& size);
    /// Takes all of `bytes`, which must not be empty.
    error_code write(std::span<const std::uint8_t> bytes);
    /// Adds a close_notify to the output.
    void shutdown();

    void feed(std::span<const std::uint8_t> ciphertext);
    /// Ciphertext due to the peer, in parts: empty when all is sent(). Stays where it is until sent().
    std::span<const std::uint8_t> output();
    /// Drops the first `size` bytes of output().
    void sent(std::size_t size);

    /// As far as the handshake came.
    TlsFacts facts() const;

private:
    TlsSession() = default;
    static int on_certificate(int ok, X509_STORE_CTX* store);
    error_code failure(int returned) const;

    std::unique_ptr<SSL, FreeTls> ssl_{};
    BIO* input_ = nullptr;   // owned by ssl_
    BIO* output_ = nullptr;  // owned by ssl_
    std::vector<std::uint8_t> due_{};
    bool verify_ = true;
    bool seen_ = false;       // the leaf is in certificate_
    TlsFacts certificate_{};  // without version and cipher
};

}  // namespace livecanary::net
