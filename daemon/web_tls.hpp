#pragma once
// What the pages show to a client that comes over TLS: certificate and key out of files, found to be right.
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ssl/context.hpp>

#include "config/reader.hpp"
#include "probes/core/run.hpp"

namespace livecanary::daemon {

/// Paths of PEM files.
struct WebTlsFiles {
    std::string cert{};       ///< the server's own certificate first, then the ones between it and a root
    std::string key{};        ///< of the first certificate; without a passphrase
    std::string client_ca{};  ///< a client has to have a certificate of these; empty: no client needs one
    bool operator==(const WebTlsFiles&) const = default;
};

/// `[web.tls]`, read and found right.
struct WebTls {
    WebTlsFiles files{};
    /// Of a server: TLS 1.2 or later. Connections keep what they need of it.
    std::shared_ptr<boost::asio::ssl::context> context{};
    /// Of all that was read (SHA-256, hex): another one means that a file was renewed. Not for logs.
    std::string digest{};
    WallTime not_before{}, not_after{};  ///< of the first certificate
};

/// Something that is wrong with one of the files.
struct WebTlsTrouble {
    enum class File { cert, key, client_ca };

    File file = File::cert;
    std::string words{};
    bool warning = false;  ///< it can be served nevertheless
};

struct WebTlsRead {
    std::shared_ptr<const WebTls> tls{};  ///< null if there is a trouble that is no warning
    std::vector<WebTlsTrouble> troubles{};
};

/// Blocking: files. `now` tells whether the certificate is valid.
WebTlsRead read_web_tls(const WebTlsFiles& files, const config::Surroundings& surroundings, WallTime now);

}  // namespace livecanary::daemon
