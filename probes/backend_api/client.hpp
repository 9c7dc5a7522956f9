#pragma once
// Requests to one host over one connection at a time, and what their answers say.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>

#include "probes/backend_api/config.hpp"
#include "probes/core/run.hpp"
#include "probes/net/http.hpp"

namespace livecanary::backend_api {

inline constexpr Phase dns{"dns"}, tcp{"tcp"}, tls{"tls"}, request{"request"}, first_byte{"first_byte"},
    body{"body"};

/// What is wrong with an answer. Each has a word (word_of), which evidence and fingerprints carry.
enum class BackendError {
    hangs = 1,          ///< no answer before the deadline
    still_hanging,      ///< a request of an earlier run has no answer yet, so nothing more was asked
    empty_500,          ///< HTTP 500 without a body: PHP ended with an uncaught exception
    server_error,       ///< another 5xx
    bad_gateway,        ///< HTTP 502: nginx does not get through to PHP
    not_found,          ///< HTTP 404
    forbidden,          ///< HTTP 401 or 403
    other_status,       ///< any other status than the one it should be
    displays_errors,    ///< PHP's own diagnostics instead of, or before, the answer
    not_json,           ///< a body that is not the backend's JSON
    db_statement,       ///< code 500: a statement failed on a connection that works
    other_code,         ///< another code than the one it should be
    no_account,         ///< code 620 for the configured account
    wrong_password,     ///< code 621 for it
    token_invalid,      ///< code 498 for a request signed with the token of a login just made
    bad_login,          ///< a login that lacks what it must give
    bad_list,           ///< data.list is not a list of objects
    bad_row,            ///< a row of it that no player could use
    stale,              ///< the newest replay is older than max_age
    replay_refused,     ///< HTTP 401 or 403 for the newest replay's play URL
    replay_not_found,   ///< HTTP 404 for it
    replay_unplayable,  ///< it cannot be fetched otherwise
    bad_sign_key,       ///< not a signKey and a keyTime around the backend's own time
    user_sig_unreadable,
    user_sig_expired,
    user_sig_identifier,  ///< for another user than the one who logged in
    user_sig_sdkappid,    ///< of another SDKAppID than the configured one
    user_sig_key,         ///< its HMAC does not come out with the configured key
    exposed,              ///< a file with passwords can be fetched
    limited,              ///< the backend limits our rate
    out_of_time,          ///< all answered, but so slowly that there is no time for the rest
    busy,                 ///< our own: another run or question of this probe takes its time
    no_credentials,       ///< our own: asked for what needs an account, without one
};
error_code make_error_code(BackendError error) noexcept;

/// `ok`, or one word for a code: of BackendError its own name, of the network its reason.
std::string_view word_of(const error_code& code) noexcept;

struct Call {
    std::string method = "POST";
    std::string path{};   ///< without the configured prefix
    std::string json{};   ///< body; empty: none
    std::string token{};  ///< signs it (Liteav-Sig), if not empty
    std::string range{};  ///< for Range
};

struct Answer {
    unsigned status = 0;  ///< 0: there is none
    net::HttpHead head{};
    std::string body{};  ///< its first `most_body` bytes
    std::optional<boost::json::object> json{};
    std::optional<std::int64_t> code{};  ///< of the JSON
    std::optional<WallTime> date{};
    Clock::duration took{};
};
/// Bytes kept of a body. A list of 100 replays has 26 kB (measured).
constexpr std::size_t most_body = 512UL * 1024;

class Client {
public:
    /// `endpoint` is copied; `run` must outlive it. `phases`: whether the run's phases are to be entered.
    Client(boost::asio::any_io_executor executor, Endpoint endpoint, std::string prefix, ProbeRun& run,
           bool phases);

    /// The connection, with the phases dns, tcp and tls.
    asio::awaitable<error_code> connect(Clock::time_point deadline);
    /// Connects if it must, without phases of its own, then enters request, first_byte and, of a 200, body.
    /// An error is of the network, or BackendError::hangs.
    asio::awaitable<error_code> call(const Call& call, Answer& answer, Clock::time_point deadline);
    void close() { connection_.close(); }
    /// The last call hung.
    bool is_outstanding() const noexcept { return outstanding_; }
    /// The connection, for which a request is outstanding still.
    net::HeldSocket let_go() { return connection_.let_go(); }

private:
    asio::awaitable<error_code> open(Clock::time_point deadline, bool spoken);
    asio::awaitable<error_code> exchange(const Call& call, Answer& answer, Clock::time_point deadline);
    asio::awaitable<error_code> read_body(Answer& answer, Clock::time_point deadline);
    void enter(Phase phase, Clock::time_point at) {
        if (phases_) run_.enter(phase, at);
    }

    Endpoint endpoint_;
    std::string prefix_;
    ProbeRun& run_;
    bool phases_;
    bool outstanding_ = false;
    net::Connection connection_;
    std::optional<net::HttpExchange> exchange_{};
    std::array<std::uint8_t, 16384> buffer_{};
};

/// What is wrong with an answer that should be HTTP 200 with this code in its JSON; empty if it is that.
error_code judge(const Answer& answer, std::int64_t code);

}  // namespace livecanary::backend_api

template <>
struct boost::system::is_error_code_enum<livecanary::backend_api::BackendError> : std::true_type {};
