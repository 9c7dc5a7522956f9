#pragma once
// GET requests to one address of the CDN, or to the origin, and all that an answer says of itself.
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <openssl/evp.h>
#include <boost/asio/awaitable.hpp>

#include "probes/cdn_fetch/config.hpp"
#include "probes/core/run.hpp"
#include "probes/net/http.hpp"
#include "probes/protocol/cdn_cache.hpp"
#include "probes/protocol/crc64.hpp"

namespace livecanary::cdn_fetch {

inline constexpr Phase dns{"dns"}, tcp{"tcp"}, tls{"tls"}, request{"request"}, first_byte{"first_byte"},
    body{"body"}, verify{"verify"};

enum class CdnError {
    forbidden = 1,   ///< HTTP 401 or 403
    not_found,       ///< HTTP 404
    refused,         ///< any other status but 200
    redirected,      ///< HTTP 3xx
    encoded,         ///< compressed, though the bytes as they are were asked for
    other_version,   ///< the ETag is that of another object than the origin's
    length_differs,  ///< longer or shorter than what the origin has
    bytes_differ,    ///< the same length, and not the same bytes
    not_cached,      ///< the same URL again went to the origin again
    no_object,       ///< our fault: there is nothing to fetch
    too_large,       ///< our limit: more than `max_size`
    clock_unsafe,    ///< our fault: our own clock cannot be right
};
error_code make_error_code(CdnError error) noexcept;

/// One GET. None of it is shown to anybody: `target` and `headers` may hold signatures.
struct Wish {
    std::string target{};
    net::HttpHeaders headers{};
    std::uint64_t most = 0;   ///< bytes of the body; a longer one ends as too_large,
    bool may_be_cut = false;  ///< unless this says just to stop reading there
    std::string signature{};  ///< digest in `target`: masked where a server says it back
};

/// What came of one GET, connection included. Texts of the server are fit for a log.
struct Fetched {
    Phase phase = tcp;  ///< how far it came
    error_code code{};  ///< of the network, the protocol, or too_large; that the server says no is not here
    unsigned status = 0;
    protocol::CdnCache cache = protocol::CdnCache::unknown;
    std::uint64_t size = 0;                    ///< bytes of the body that came
    std::optional<std::uint64_t> announced{};  ///< Content-Length
    std::string md5{};                         ///< hex, of the body of a 200
    std::string crc64{};                       ///< decimal, of the same
    std::string etag{}, crc64_said{}, encoding{}, last_modified{}, cache_control{};
    std::string lookup{}, log_uuid{}, request_id{}, via{}, server{};
    std::string location{};  ///< scheme and host of a redirect alone: the rest may hold our signature
    std::string cos_code{}, message{};
    std::optional<std::chrono::seconds> clock_skew{};  ///< the server's Date minus our clock
    net::TlsFacts tls_facts{};
    Clock::duration to_first_byte{};  ///< from when the request began to be written
    Clock::duration took{};           ///< from there to the last byte

    bool whole() const noexcept { return !code && status == 200; }
};

class Client {
public:
    /// `endpoint` is copied. With `spoken`, its first request enters the phases there.
    Client(asio::any_io_executor executor, Endpoint endpoint, net::tcp::endpoint address, Env& env,
           ProbeRun* spoken = nullptr);

    /// Connects if it must. What went wrong is in `fetched`.
    asio::awaitable<void> get(const Wish& wish, Clock::time_point deadline, Fetched& fetched);
    void close() { connection_.close(); }
    /// No more phases: what follows belongs to the one under way.
    void be_silent() noexcept { spoken_ = nullptr; }

private:
    asio::awaitable<error_code> open(Clock::time_point deadline, Fetched& fetched);
    asio::awaitable<error_code> exchange(const Wish& wish, Clock::time_point deadline, Fetched& fetched);
    asio::awaitable<error_code> read_body(const Wish& wish, Clock::time_point deadline, Fetched& fetched);
    void read_head(const Wish& wish, const net::HttpHead& head, Fetched& fetched) const;
    void reach(Phase phase, Fetched& fetched, std::optional<Clock::time_point> at = {});

    Endpoint endpoint_;
    net::tcp::endpoint address_;
    Env& env_;
    ProbeRun* spoken_;
    net::Connection connection_;
    std::optional<net::HttpExchange> exchange_{};
    std::array<std::uint8_t, 16384> buffer_{};
};

/// The code of a status that is not 200.
error_code error_of(unsigned status) noexcept;

/// How a fetch ended, comparable between fetches of this kind: `403 AccessDenied`, `tcp refused`. Empty if
/// it is whole.
std::string fingerprint(const Fetched& fetched);

}  // namespace livecanary::cdn_fetch

template <>
struct boost::system::is_error_code_enum<livecanary::cdn_fetch::CdnError> : std::true_type {};
