#include "probes/backend_api/client.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/json/parse.hpp>

#include "probes/core/error_table.hpp"
#include "probes/net/reach.hpp"
#include "probes/protocol/digest.hpp"

namespace livecanary::backend_api {

error_code make_error_code(BackendError error) noexcept {
    using enum BackendError;
    static const ErrorTable<BackendError> table{
        "livecanary.backend",
        {{hangs, "the backend took the request and does not answer", Reason::timeout},
         {still_hanging, "the backend has not answered a request of an earlier run yet", Reason::timeout},
         {empty_500, "HTTP 500 with an empty body: PHP ended with an uncaught error", Reason::rejected},
         {server_error, "the backend answers with a server error", Reason::rejected},
         {bad_gateway, "HTTP 502: the web server does not reach PHP", Reason::rejected},
         {not_found, "HTTP 404 where the backend should answer", Reason::not_found},
         {forbidden, "the web server does not allow it", Reason::forbidden},
         {other_status, "another HTTP status than it should be", Reason::mismatch},
         {displays_errors, "PHP's diagnostics stand in the answer", Reason::protocol},
         {not_json, "the answer is not the backend's JSON", Reason::protocol},
         {db_statement, "code 500: a database statement failed", Reason::rejected},
         {other_code, "another code than it should be", Reason::mismatch},
         {no_account, "code 620: the configured account does not exist", Reason::rejected},
         {wrong_password, "code 621: the configured account has another password", Reason::rejected},
         {token_invalid, "code 498: the token of a login just made is not valid", Reason::rejected},
         {bad_login, "the login lacks what it must give", Reason::mismatch},
         {bad_list, "the list of replays is not a list of objects", Reason::mismatch},
         {bad_row, "a row of the list of replays cannot be right", Reason::mismatch},
         {stale, "the newest replay is older than max_age", Reason::stale},
         {replay_refused, "the newest replay may not be fetched", Reason::forbidden},
         {replay_not_found, "the newest replay is not where its play URL says", Reason::not_found},
         {replay_unplayable, "the newest replay cannot be fetched", Reason::mismatch},
         {bad_sign_key, "the backend's signKey or keyTime cannot be right", Reason::mismatch},
         {user_sig_unreadable, "the UserSig of the login cannot be read", Reason::mismatch},
         {user_sig_expired, "the UserSig of the login has expired", Reason::mismatch},
         {user_sig_identifier, "the UserSig of the login is for another user", Reason::mismatch},
         {user_sig_sdkappid, "the UserSig of the login is of another SDKAppID", Reason::mismatch},
         {user_sig_key, "the UserSig of the login does not come out with the configured key",
          Reason::mismatch},
         {exposed, "a file with the backend's passwords can be fetched", Reason::mismatch},
         {limited, "the backend limits our rate", Reason::rejected},
         {out_of_time, "the backend's answers took so long that there was no time for all", Reason::timeout},
         {busy, "this probe is busy with another question to the backend", Reason::local},
         {no_credentials, "this probe has no account at the backend", Reason::local}}};
    return {static_cast<int>(error), table};
}

std::string_view word_of(const error_code& code) noexcept {
    using enum BackendError;
    if (!code) return "ok";
    if (code.category() != make_error_code(hangs).category()) return to_string(reason_of(code));
    // clang-format off
    switch (static_cast<BackendError>(code.value())) {
        case hangs: return "hangs";
        case still_hanging: return "hangs";
        case empty_500: return "empty_500";
        case server_error: return "server_error";
        case bad_gateway: return "bad_gateway";
        case not_found: return "not_found";
        case forbidden: return "forbidden";
        case other_status: return "other_status";
        case displays_errors: return "displays_errors";
        case not_json: return "not_json";
        case db_statement: return "db_statement";
        case other_code: return "other_code";
        case no_account: return "no_account";
        case wrong_password: return "wrong_password";
        case token_invalid: return "token_invalid";
        case bad_login: return "bad_login";
        case bad_list: return "bad_list";
        case bad_row: return "bad_row";
        case stale: return "stale";
        case replay_refused: return "replay_refused";
        case replay_not_found: return "replay_not_found";
        case replay_unplayable: return "replay_unplayable";
        case bad_sign_key: return "bad_sign_key";
        case user_sig_unreadable: return "user_sig_unreadable";
        case user_sig_expired: return "user_sig_expired";
        case user_sig_identifier: return "user_sig_identifier";
        case user_sig_sdkappid: return "user_sig_sdkappid";
        case user_sig_key: return "user_sig_key";
        case exposed: return "exposed";
        case limited: return "limited";
        case out_of_time: return "out_of_time";
        case busy: return "busy";
        case no_credentials: return "no_credentials";
    }
    // clang-format on
    return "local";
}

namespace {

/// RFC 9110 §5.6.7, the one form that servers must send.
std::optional<WallTime> read_date(std::string_view text) {
    const std::string date(text);
    std::tm utc{};
    const char* const end = ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
    if (end == nullptr || *end != '\0') return std::nullopt;
    // Counted in nanoseconds, other centuries do not fit.
    constexpr int from = 1970 - 1900, until = 2200 - 1900;
    if (utc.tm_year < from || utc.tm_year >= until) return std::nullopt;
    return std::chrono::system_clock::from_time_t(::timegm(&utc));
}

/// The backend's envelope, `{"code": …}`; nothing if it is anything else.
void read_json(Answer& answer) {
    boost::system::error_code failed;
    boost::json::value value = boost::json::parse(answer.body, failed);
    if (failed || !value.is_object()) return;
    auto& object = value.get_object();
    const auto* const code = object.if_contains("code");
    if (code == nullptr || !code->is_int64()) return;
    answer.code = code->get_int64();
    answer.json = std::move(object);
}

/// As PHP writes them with display_errors=On and html_errors=On, its defaults for development.
bool shows_php_errors(std::string_view body) {
    if (body.starts_with("<br />\n<b>")) return true;
    const auto mark = body.substr(0, 512);
    for (const std::string_view kind : {"Warning", "Notice", "Deprecated", "Fatal error", "Parse error"}) {
        const std::string html = "<b>" + std::string(kind) + "</b>:", text = "PHP " + std::string(kind) + ":";
        if (mark.find(html) != mark.npos || mark.find(text) != mark.npos) return true;
    }
    return false;
}

/// Codes that say "too often": the backend's own (defined, and returned by no version that was seen), and
/// those of the instant messaging (document 269/1671).
bool is_rate_limit(std::int64_t code) {
    constexpr std::array<std::int64_t, 7> codes{4003, 7008, 60007, 60011, 60018, 60019, 70050};
    return std::ranges::find(codes, code) != codes.end();
}

}  // namespace

Client::Client(boost::asio::any_io_executor executor, Endpoint endpoint, std::string prefix, ProbeRun& run,
               bool phases)
    : endpoint_(std::move(endpoint)),
      prefix_(std::move(prefix)),
      run_(run),
      phases_(phases),
      connection_(std::move(executor)) {}

asio::awaitable<error_code> Client::connect(Clock::time_point deadline) { return open(deadline, phases_); }

asio::awaitable<error_code> Client::open(Clock::time_point deadline, bool spoken) {
    exchange_.reset();
    net::Destination to{.host = endpoint_.host,
                        .port = endpoint_.port,
                        .tls = endpoint_.tls,
                        .address = endpoint_.address,
                        .ca_file = endpoint_.ca_file,
                        .counts_addresses = false};
    const auto code =
        co_await net::reach(connection_, std::move(to), *run_.env().dns, spoken ? &run_ : nullptr, deadline);
    if (code) co_return code;
    exchange_.emplace(connection_);
    co_return error_code{};
}

asio::awaitable<error_code> Client::read_body(Answer& answer, Clock::time_point deadline) {
    for (;;) {
        const auto size = co_await exchange_->read_body(buffer_, deadline);
        if (!size) co_return size.error();
        if (*size == 0) co_return error_code{};
        if (answer.body.size() == most_body) {
            connection_.close();
            co_return error_code{};
        }
        answer.body.append(reinterpret_cast<const char*>(buffer_.data()),
                           std::min(*size, most_body - answer.body.size()));
    }
}

asio::awaitable<error_code> Client::exchange(const Call& call, Answer& answer, Clock::time_point deadline) {
    net::HttpRequest to_send;
    to_send.method = call.method;
    to_send.target = prefix_ + call.path;
    to_send.host = endpoint_.host_header();
    to_send.body = call.json;
    to_send.headers = {{"User-Agent", "livecanary"}};
    if (!call.json.empty()) to_send.headers.emplace_back("Content-Type", "application/json");
    if (!call.range.empty()) to_send.headers.emplace_back("Range", call.range);
    if (!call.token.empty()) {
        using protocol::Digest, protocol::hex_digest;
        to_send.headers.emplace_back(
            "Liteav-Sig", hex_digest(Digest::md5, call.token + hex_digest(Digest::md5, call.json)));
    }
    const auto began = run_.env().now();
    auto head = co_await exchange_->send(to_send, deadline);
    // Written is not yet taken, but all that can be seen from here.
    const bool sent = exchange_->sent_at() != Clock::time_point{};
    if (sent) enter(first_byte, exchange_->sent_at());
    if (!head) {
        const bool late = head.error() == asio::error::timed_out;
        co_return late&& sent ? error_code(BackendError::hangs) : head.error();
    }
    answer.head = *std::move(head);
    answer.status = answer.head.status;
    answer.date = read_date(answer.head.header("date"));
    if (answer.status == 200) enter(body, answer.head.first_byte_at);
    const error_code code = co_await read_body(answer, deadline);
    answer.took = exchange_->last_read_at() - began;
    if (code == asio::error::timed_out) co_return BackendError::hangs;
    read_json(answer);
    co_return code;
}

asio::awaitable<error_code> Client::call(const Call& call, Answer& answer, Clock::time_point deadline) {
    answer = {};
    outstanding_ = false;
    enter(request, run_.env().now());
    if (!exchange_ || !connection_.is_open()) {
        if (const auto code = co_await open(deadline, false)) co_return code;
    }
    const error_code code = co_await exchange(call, answer, deadline);
    // A request that hangs is outstanding at the backend, whatever we do: its connection is kept.
    outstanding_ = code == BackendError::hangs;
    if (!outstanding_ && (code || !exchange_->keeps_alive())) connection_.close();
    co_return code;
}

error_code judge(const Answer& answer, std::int64_t code) {
    using enum BackendError;
    switch (answer.status) {
        case 200:
            break;
        case 401:
        case 403:
            return forbidden;
        case 404:
            return not_found;
        case 429:
            return limited;
        case 500:
            return answer.body.empty() ? empty_500 : server_error;
        case 502:
            return bad_gateway;
        default:
            // nginx's limit_req answers 503 unless told otherwise, and so does one that is overloaded: who
            // names a time to come back limits.
            if (answer.status == 503 && !answer.head.header("retry-after").empty()) return limited;
            return answer.status / 100 == 5 ? server_error : other_status;
    }
    if (!answer.code) return shows_php_errors(answer.body) ? displays_errors : not_json;
    if (*answer.code == code) return {};
    if (is_rate_limit(*answer.code)) return limited;
    return *answer.code == 500 ? db_statement : other_code;
}

}  // namespace livecanary::backend_api
