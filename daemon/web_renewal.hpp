#pragma once
// Looks after the pages' certificate, which others renew without a word to us.
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "daemon/web_tls.hpp"
#include "probes/core/run.hpp"

namespace livecanary::daemon {

struct WebRenewal {
    /// A renewed certificate is served that much later at most.
    Clock::duration period = std::chrono::minutes(1);
    /// What is served now; null without TLS.
    std::function<std::shared_ptr<const WebTls>()> served{};
    /// Reads the files again, somewhere where that may take its time.
    std::function<boost::asio::awaitable<WebTlsRead>(WebTlsFiles)> read{};
    /// Told of another certificate.
    std::function<void(std::shared_ptr<const WebTls>)> renewed{};
    /// Told of what is wrong with the files: once for as long as it is the same.
    std::function<void(const std::string&)> trouble{};
};

/// Until it is cancelled. What cannot be served, such as a half written file, leaves the one before.
boost::asio::awaitable<void> renew_web_tls(WebRenewal renewal);

}  // namespace livecanary::daemon
