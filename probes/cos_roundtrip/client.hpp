#pragma once
// Signed calls to one COS endpoint over one connection at a time.
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "probes/core/run.hpp"
#include "probes/cos_roundtrip/config.hpp"
#include "probes/net/http.hpp"

namespace livecanary::cos_roundtrip {

inline constexpr Phase dns{"dns"}, tcp{"tcp"}, tls{"tls"}, put{"put"}, head{"head"}, get{"get"},
    verify{"verify"}, remove{"delete"};

enum class CosError {
    forbidden = 1,   ///< HTTP 401 or 403
    not_found,       ///< HTTP 404
    refused,         ///< any other status outside 200 to 299
    redirected,      ///< HTTP 3xx
    length_differs,  ///< what was read back is longer or shorter than what was put
    bytes_differ,    ///< the same length, and not the same bytes
    etag_differs,    ///< the ETag is not the MD5 of what was put
    sha_differs,     ///< the SHA-1 that COS tells is not that of what was put
    crc_differs,     ///< x-cos-hash-crc64ecma is not the CRC of what was put
    still_there,     ///< the object can be read after its deletion was confirmed
    other_endpoint,  ///< our fault: it was made where this probe no longer looks
    no_ledger,       ///< our fault: nothing may be made that is not written down
    clock_unsafe,    ///< our fault: our own clock cannot be right
    // What the backend hands out, where no app could use it.
    backend_bucket,     ///< no bucket can have the name it says
    backend_appid,      ///< not a number
    backend_region,     ///< no region can have the name it says
    backend_secret_id,  ///< empty
    backend_sign_key,   ///< no signKey, or no keyTime that can be read
};
error_code make_error_code(CosError error) noexcept;

/// One call. Header names are lower case.
struct Call {
    std::string method = "GET";
    std::string key{};  ///< of the object, raw UTF-8, without leading slash; empty: the bucket
    std::vector<std::pair<std::string, std::string>> headers{};  ///< beyond host, all of them signed
    std::vector<std::pair<std::string, std::string>> query{};    ///< of the XML API, raw; all of it signed
    std::optional<net::HttpContent> content{};
    std::string sha1{};  ///< of the content, lower-case hex; for the JSON API
    /// Told the body of a 200, piece by piece.
    std::function<void(std::span<const std::uint8_t>)> sink{};
    bool wrong_signature = false;  ///< for a control: one digit of it changed
};

/// What came of a call. Texts of the server are fit for a log, but for those of `head` and `body`.
struct Answer {
    unsigned status = 0;
    net::HttpHead head{};
    std::string body{};      ///< of anything without a sink, up to 64 KiB
    std::string cos_code{};  ///< Code of COS's XML; empty if there was none
    std::string message{};   ///< its Message
    // Over the JSON API:
    std::string means{};       ///< the refusal `cos_code` in the words of the XML API or of v4_says
    std::string sha1{};        ///< lower-case hex, as COS tells it
    std::string unread{};      ///< why the object could not be read, though COS did not refuse to serve it
    std::string request_id{};  ///< x-cos-request-id: what the vendor's support asks for first
    std::string trace_id{};
    std::optional<WallTime> date{};                    ///< as the server has it
    std::optional<std::chrono::seconds> clock_skew{};  ///< the server's Date minus our clock
    Clock::time_point head_at{};                       ///< when that came, once there is a status
    Clock::duration took{};
};

/// Over the XML API, or where the endpoint has a V4Bucket over the JSON API: there a PUT, HEAD, DELETE and
/// the GET of a bucket become the operations upload, stat, delete and list, and their refusals the same
/// statuses; a GET of an object goes to the source_url that an upload or stat before it was answered with.
class Client {
public:
    /// `endpoint` and `credentials` are copied; `run` must outlive it.
    Client(boost::asio::any_io_executor executor, Endpoint endpoint, Credentials credentials,
           std::chrono::seconds signature_lifetime, ProbeRun& run);

    /// The first connection, with the phases dns, tcp and tls on `run`.
    asio::awaitable<error_code> connect(Clock::time_point deadline);
    /// Connects if it must, silently. An error is of the network or the protocol: that the server says no is
    /// in the answer, for error_of().
    asio::awaitable<error_code> call(const Call& call, Answer& answer, Clock::time_point deadline);
    void close() { connection_.close(); }
    /// Signs with these from the next call on.
    void use(Credentials credentials) { credentials_ = std::move(credentials); }
    /// Added to our clock for signatures. What a backend has issued brings its own time.
    void shift_clock(std::chrono::seconds by) noexcept { clock_shift_ = by; }

private:
    asio::awaitable<error_code> open(Clock::time_point deadline, bool spoken);
    /// Connects to where `endpoint` is; with the phases of the run if it is `spoken` of.
    asio::awaitable<error_code> connect_to(net::Connection& connection, const Endpoint& endpoint,
                                           Clock::time_point deadline, bool spoken);
    asio::awaitable<error_code> exchange(const Call& call, Answer& answer, Clock::time_point deadline);
    asio::awaitable<error_code> read_body(net::HttpExchange& exchange, const Call& call, Answer& answer,
                                          Clock::time_point deadline);
    net::HttpRequest request_of(const Call& call) const;
    // client_v4.cpp
    net::HttpRequest v4_request_of(const Call& call) const;
    std::string v4_authorization(const Call& call, bool single_use) const;
    error_code read_v4(const Call& call, Answer& answer);
    asio::awaitable<error_code> download(const Call& call, Answer& answer, Clock::time_point deadline);

    Endpoint endpoint_;
    Credentials credentials_;
    std::chrono::seconds signature_lifetime_;
    std::chrono::seconds clock_shift_{0};
    ProbeRun& run_;
    net::Connection connection_;
    std::optional<net::HttpExchange> exchange_{};
    std::array<std::uint8_t, 16384> buffer_{};
    std::string source_url_{};  // of the object, as the JSON API told it last
};

/// The value of Authorization for a GET of the object `key` at that endpoint, made at `now`.
config::Secret signed_get(const Endpoint& endpoint, const Credentials& credentials, const std::string& key,
                          std::chrono::sys_seconds now, std::chrono::seconds lifetime);

/// The code of an answer that is not what its method should give; empty for 200 to 299.
error_code error_of(const Answer& answer);

/// The refusal of a failed run in the words of the XML API, or of v4_says.
inline std::string_view refusal_of(const RunResult& run) {
    const auto means = run.got("means");
    return means.empty() ? run.got("cos_code") : means;
}

/// `put 403 SignatureDoesNotMatch`: what two failures are compared by.
std::string fingerprint(Phase phase, const Answer& answer);

}  // namespace livecanary::cos_roundtrip

template <>
struct boost::system::is_error_code_enum<livecanary::cos_roundtrip::CosError> : std::true_type {};
