#include <openssl/err.h>
#include <openssl/ssl.h>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>

#include "probes/core/reason.hpp"

namespace livecanary {

Reason reason_of(const error_code& code) noexcept {
    namespace asio = boost::asio;
    namespace http = boost::beast::http;
    namespace errc = boost::system::errc;

    const auto condition = code.default_error_condition();
    if (condition.category() == reason_category()) return static_cast<Reason>(condition.value());

    if (code == boost::beast::error::timeout || code == errc::timed_out) return Reason::timeout;
    if (code == errc::connection_refused) return Reason::refused;
    if (code == errc::connection_reset || code == errc::broken_pipe || code == errc::connection_aborted)
        return Reason::reset;
    if (code == asio::error::eof || code == asio::ssl::error::stream_truncated ||
        code == http::error::end_of_stream || code == http::error::partial_message)
        return Reason::closed;
    if (code == errc::host_unreachable || code == errc::network_unreachable || code == errc::network_down)
        return Reason::unreachable;
    if (code.category() == asio::error::get_ssl_category()) {
        const int why = ERR_GET_REASON(static_cast<unsigned long>(code.value()));
        if (why == SSL_R_CERTIFICATE_VERIFY_FAILED) return Reason::certificate;
        return why > SSL_AD_REASON_OFFSET ? Reason::rejected : Reason::protocol;  // above: the peer's alerts
    }
    if (code.category() == make_error_code(http::error::bad_version).category()) return Reason::protocol;
    return Reason::local;
}

}  // namespace livecanary
