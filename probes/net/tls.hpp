#pragma once
// What a probe may ask of TLS, what it learns of the peer's certificate, and how it can fail.
#include <optional>
#include <string>
#include <vector>

#include "probes/core/run.hpp"

namespace livecanary::net {

/// Why TLS did not come up, where OpenSSL's own code would not say it. Other failures of a handshake keep
/// their code of Asio's SSL category.
enum class TlsError {
    certificate_expired = 1,
    certificate_not_yet_valid,
    name_mismatch,     ///< the certificate is for other names or addresses
    untrusted,         ///< no chain to a trusted root; includes self-signed
    not_accepted,      ///< any other of X509_V_ERR_*; see TlsFacts::verify_text
    trust_unreadable,  ///< our fault: the file of trusted roots cannot be read
    name_unusable,     ///< our fault: verification asked for without a name that can be verified
};
error_code make_error_code(TlsError error) noexcept;

/// Of a TlsFacts::verify_code that is not 0.
TlsError certificate_error(long verify_code) noexcept;

/// Whom to trust, and under which name.
struct TlsOptions {
    std::string server_name{};  ///< SNI (unless it is an address) and the name the certificate must carry
    std::string ca_file{};      ///< PEM; empty: the system's trust
    bool verify = true;         ///< false: facts are gathered, but any certificate will do
};

/// What a certificate said, kept also when it was not accepted. Texts are cut at 512 bytes and hold no
/// control characters.
struct TlsFacts {
    std::string version{};  ///< "TLSv1.3"
    std::string cipher{};
    std::string subject{};  ///< RFC 2253 text of the leaf
    std::string issuer{};
    std::vector<std::string> names{};  ///< DNS and IP subject alternative names, at most 16
    std::optional<WallTime> not_before{};
    std::optional<WallTime> not_after{};
    long verify_code = 0;       ///< X509_V_*; 0 is X509_V_OK; the first error if there are several
    std::string verify_text{};  ///< OpenSSL's words for it
};

}  // namespace livecanary::net

template <>
struct boost::system::is_error_code_enum<livecanary::net::TlsError> : std::true_type {};
