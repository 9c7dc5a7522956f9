#pragma once
// One HTTP request on a connection of its own, and its answer as a whole: for what is asked now and then,
// such as an Alertmanager or the daemon's own pages. What a probe measures goes through HttpExchange itself.
#include <cstddef>
#include <optional>
#include <string>

#include "probes/net/http.hpp"
#include "probes/net/resolver.hpp"

namespace livecanary::net {

/// A final response, read to its end.
struct HttpAnswer {
    HttpHead head{};
    std::string body{};
    bool cut = false;  ///< the body was longer than what was to be read of it
};

/// Bytes of a body that are read unless something else is said.
inline constexpr std::size_t usual_answer = 64 * 1024;

/// `request` to `server`, over TLS if `tls` is there. Errors are those of Connection and HttpExchange; an
/// answer whose body breaks off is one (HttpError::closed_in_body). Who is cut gets operation_aborted, if not
/// the exception that Asio throws then: what is cut in one wait would not be cut in the next.
asio::awaitable<result<HttpAnswer>> request_at(tcp::endpoint server, HttpRequest request,
                                               std::optional<TlsOptions> tls, Clock::time_point deadline,
                                               std::size_t most = usual_answer);

/// What goes to a URL.
struct UrlRequest {
    std::string url{};      ///< http or https
    HttpRequest request{};  ///< its target and host are those of `url`
    std::string ca_file{};  ///< of https; empty: the system's trust
    bool verify = true;     ///< of https; false: any certificate will do
    std::size_t most = usual_answer;
    bool part_will_do = false;  ///< a body that breaks off counts as one that is longer than `most`
};

/// Looks the host up and asks the first of its addresses that can be connected to; a dead one leaves time for
/// the next. Errors besides those of request_at(): of parse_http_url() and Resolver.
asio::awaitable<result<HttpAnswer>> request_url(Resolver& dns, UrlRequest asked, Clock::time_point deadline);

/// "Basic …" for the header Authorization (RFC 7617).
std::string basic_authorization(const std::string& user, const std::string& password);

}  // namespace livecanary::net
