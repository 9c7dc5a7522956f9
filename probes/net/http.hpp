#pragma once
// HTTP/1.1 as a probe needs it: one request and its response on a Connection, the body as a stream, and when
// each of it came. And the URLs of http and https.
//
// Sources: RFC 9110, RFC 9112; of URLs RFC 3986, and the URL Standard (whatwg.org) for what is no URL
// strictly.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "probes/net/connection.hpp"

namespace livecanary::net {

enum class HttpError {
    bad_request = 1,  ///< a request that cannot be written: see HttpRequest
    not_ready,  ///< send() before the last response was read to its end, or when it ended the connection
    bad_status_line,   ///< what the peer says does not begin as HTTP/1 does
    bad_header,        ///< a header field that breaks the format, or that makes the body's length ambiguous
    header_too_large,  ///< more than `max_http_header_size`
    bad_chunk,         ///< the chunked coding is broken, or a chunk's line or the trailer is too long
    closed_in_header,  ///< the peer closed before the header was complete
    closed_in_body,    ///< the peer closed before the body was complete
    url_too_long,      ///< more than `max_http_url_size`
};
error_code make_error_code(HttpError error) noexcept;

/// Bytes of a response's status line and header fields, those of its interim (1xx) responses included. Our
/// choice: twice what Beast takes by default.
inline constexpr std::size_t max_http_header_size = 16 * 1024;
/// Bytes; RFC 9110 §4.1 recommends support of at least 8000.
inline constexpr std::size_t max_http_url_size = 8 * 1024;

/// In the order of the message.
using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// Content that is made while it is sent, for what is too large to hold.
struct HttpContent {
    std::uint64_t size = 0;  ///< bytes
    /// Fills the front of what it is given with the next bytes and says how many; at least one, until `size`
    /// have come: none before that ends the exchange as bad_request. It must not block.
    std::function<std::size_t(std::span<std::uint8_t>)> next{};
};

/// Refused as bad_request, with nothing sent: a method that is no token or is CONNECT, a target or host that
/// is empty or holds white space, a header name that is no token, and a control byte other than a tab
/// anywhere but in the body. `headers` may not hold Host, Content-Length and Transfer-Encoding, which are
/// written from the rest.
struct HttpRequest {
    std::string method = "GET";
    std::string target = "/";  ///< origin-form: path and query, percent-encoded
    std::string host{};        ///< the Host header: with the port if it is not the default; IPv6 in brackets
    HttpHeaders headers{};
    std::string body{};
    std::optional<HttpContent> content{};  ///< if there, it is sent instead of `body`
};

/// A final response up to its body.
struct HttpHead {
    unsigned status = 0;   ///< 101 or 200 to 999
    std::string reason{};  ///< the server's words for the status; may be empty
    HttpHeaders headers{};
    std::optional<std::uint64_t> content_length{};  ///< as stated: also of HEAD and 304, which have no body
    bool chunked = false;
    /// When the read that brought the first byte of this response ended; of interim responses it is not.
    Clock::time_point first_byte_at{};

    /// Value of the first field of that name, in any case; empty if there is none.
    std::string_view header(std::string_view name) const noexcept;
};

/// One request and response after the other on `connection`, which must outlive it as it must outlive its own
/// operations. Connected anew, it wants a new one of these. Not thread-safe. Logs nothing.
///
///     send → head → read_body* → 0, and again as long as keeps_alive()
class HttpExchange {
public:
    explicit HttpExchange(Connection& connection);
    ~HttpExchange();
    HttpExchange(HttpExchange&&) noexcept;
    HttpExchange& operator=(HttpExchange&&) noexcept;

    /// Writes the request and reads until the header is complete, past interim responses. Errors are those of
    /// HttpError and Connection. A server that answers before it has read the whole request, and closes, is
    /// heard.
    asio::awaitable<result<HttpHead>> send(const HttpRequest& request, Clock::time_point deadline);

    /// Some bytes of the body, with the chunked coding taken off; 0 once it is complete. `into` is not empty
    /// (errc::invalid_argument). A body without length ends when the peer closes, over TLS in good order.
    /// After a deadline or a cancellation reading can go on; any other error is final.
    asio::awaitable<result<std::size_t>> read_body(std::span<std::uint8_t> into, Clock::time_point deadline);

    /// When the last send() had written its request; the epoch if it has not.
    Clock::time_point sent_at() const noexcept;
    /// When the last read from the connection that brought bytes ended.
    Clock::time_point last_read_at() const noexcept;
    /// The response is complete, and the connection can carry another exchange.
    bool keeps_alive() const noexcept;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

/// The parts of an http or https URL that a request is made of.
struct HttpUrl {
    bool tls = false;
    std::string host{};  ///< name or address as written; an IPv6 address without its brackets
    std::uint16_t port = 80;
    std::string target{};  ///< path and query; "/" at least

    /// For HttpRequest::host.
    std::string host_header() const;
    bool operator==(const HttpUrl&) const = default;
};

/// Reads `http[s]://host[:port][/path][?query][#fragment]`; the fragment is dropped. In the target, what
/// players encode before they send it is percent-encoded (the URL Standard's query percent-encode set: space,
/// '"', '<', '>', bytes above 126); all else is kept byte by byte, because signatures depend on it.
/// HttpError::url_too_long, or a protocol::UrlError; one is `user_info`.
result<HttpUrl> parse_http_url(std::string_view url);

/// `reference`, such as a playlist's segment, against the http or https URL it was found at (RFC 3986 §5.2).
/// Nothing is normalised but dot segments. The result may be of another scheme. Errors as in
/// parse_http_url().
result<std::string> resolve_reference(std::string_view base_url, std::string_view reference);

}  // namespace livecanary::net

template <>
struct boost::system::is_error_code_enum<livecanary::net::HttpError> : std::true_type {};
