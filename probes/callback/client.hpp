#pragma once
// One backend at which callbacks are posted: connection, answer, and the care that it is never asked twice at
// a time.
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "probes/callback/answer.hpp"
#include "probes/callback/config.hpp"
#include "probes/core/run.hpp"
#include "probes/core/turn.hpp"
#include "probes/net/http.hpp"

namespace livecanary::callback {

inline constexpr Phase dns{"dns"}, tcp{"tcp"}, tls{"tls"}, request{"request"}, first_byte{"first_byte"},
    body{"body"}, received{"callback"};
inline constexpr std::array phases{dns, tcp, tls, request, first_byte, body, received};

enum class CallbackError {
    server_error = 1,   ///< HTTP 5xx
    not_found,          ///< HTTP 404
    forbidden,          ///< HTTP 401 or 403
    other_status,       ///< any other status but 200
    no_json,            ///< HTTP 200 without a JSON object
    no_code,            ///< JSON without `code`
    refused,            ///< a code other than 0
    too_late,           ///< an answer after more than 20 s, which the cloud no longer waits for
    unsigned_accepted,  ///< code 0 for an event that was wrongly signed
    missing,            ///< an event of a push did not come in time
    badly_signed,       ///< an event came whose signature does not come out with our key
    forward_refused,    ///< what was passed on was not answered with 200 and code 0
};
error_code make_error_code(CallbackError error) noexcept;

/// What came of a request.
struct Reply {
    unsigned status = 0;
    std::string body{};  ///< its first 64 KiB
    Said said{};
    Clock::duration took{};  ///< from sending until the last byte

    /// 200 with code 0.
    bool good() const { return status == 200 && said.code == 0; }
};

/// `HTTP 500 empty`, `HTTP 200 code 4002`: what two answers are compared by.
std::string fingerprint(const Reply& reply);
/// Empty for what is good.
error_code error_of(const Reply& reply);

/// Lets one request at a time through to a backend, those of other probes included, and none for a while
/// after one that was not answered: each such holds a worker there for minutes, and a pool has five
/// (measured).
class Gate {
public:
    /// The first pause after a hang; each further one is twice as long, up to `longest`.
    static constexpr std::chrono::minutes pause{2}, longest{10};

    /// None of ours is asked before then.
    std::optional<Clock::time_point> closed_until(Clock::time_point now) const;
    /// Nor on account of another probe's.
    std::optional<Clock::time_point> closed_by_another(Clock::time_point now) const;
    /// Waits until nobody else asks. Nothing: not by the deadline, or cut, or closed.
    asio::awaitable<std::optional<Turn::Hold>> enter(Env& env, const net::HttpUrl& url,
                                                     Clock::time_point deadline);
    void hung(Clock::time_point now);
    void answered();

private:
    std::vector<std::shared_ptr<Turn>> turns_{};  ///< of the backend, and of the one that is passed on to
    std::optional<Clock::time_point> closed_until_{};
    int pauses_ = 0;
};

/// What it needs of the world must outlive it. The gate is the caller's to enter.
class Client {
public:
    Client(asio::any_io_executor executor, net::HttpUrl url, std::optional<asio::ip::address> address,
           std::string ca_file, Env& env, Gate& gate);

    /// Phases and facts of all requests to come go there; null: nowhere.
    void speak_on(ProbeRun* run) noexcept { run_ = run; }
    asio::awaitable<error_code> post(std::string text, Reply& reply, Clock::time_point deadline);
    /// Of a path on the same host.
    asio::awaitable<error_code> get(std::string target, Reply& reply, Clock::time_point deadline);
    void close() { connection_.close(); }

private:
    asio::awaitable<error_code> open(Clock::time_point deadline);
    asio::awaitable<error_code> call(net::HttpRequest request, Reply& reply, Clock::time_point deadline);
    asio::awaitable<error_code> exchange(net::HttpRequest request, Reply& reply, Clock::time_point deadline);
    void enter(Phase phase) {
        if (run_ != nullptr) run_->enter(phase);
    }
    void saw(std::string_view what, std::string got) {
        if (run_ != nullptr) run_->saw(what, std::move(got));
    }

    net::HttpUrl url_;
    std::optional<asio::ip::address> address_;
    std::string ca_file_;
    Env& env_;
    Gate& gate_;
    ProbeRun* run_ = nullptr;
    net::Connection connection_;
    std::optional<net::HttpExchange> exchange_{};
    std::array<std::uint8_t, 8192> buffer_{};
};

}  // namespace livecanary::callback

template <>
struct boost::system::is_error_code_enum<livecanary::callback::CallbackError> : std::true_type {};
