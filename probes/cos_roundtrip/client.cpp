#include "probes/cos_roundtrip/client.hpp"

#include <algorithm>
#include <ctime>

#include <boost/asio/error.hpp>

#include "probes/core/error_table.hpp"
#include "probes/cos_roundtrip/roundtrip.hpp"
#include "probes/net/reach.hpp"
#include "probes/protocol/cos_error.hpp"
#include "probes/protocol/cos_sign.hpp"
#include "probes/protocol/percent_encoding.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::cos_roundtrip {

error_code make_error_code(CosError error) noexcept {
    using enum CosError;
    static const ErrorTable<CosError> table{
        "livecanary.cos",
        {{forbidden, "COS does not allow it", Reason::forbidden},
         {not_found, "COS has no such bucket or object", Reason::not_found},
         {refused, "COS refused the request", Reason::rejected},
         {redirected, "COS sends us elsewhere", Reason::mismatch},
         {length_differs, "what was read back has another length than what was put", Reason::mismatch},
         {bytes_differ, "what was read back is not what was put", Reason::mismatch},
         {etag_differs, "the ETag is not the MD5 of what was put", Reason::mismatch},
         {sha_differs, "the SHA-1 is not that of what was put", Reason::mismatch},
         {crc_differs, "the CRC-64 is not that of what was put", Reason::mismatch},
         {still_there, "the object is still there after its deletion", Reason::mismatch},
         {other_endpoint, "it was made at an endpoint that this probe no longer has", Reason::local},
         {no_ledger, "there is no ledger to write the object down in", Reason::local},
         {clock_unsafe, "our own clock cannot be right", Reason::local},
         {backend_bucket, "the backend names no bucket that there could be", Reason::mismatch},
         {backend_appid, "the backend names no APPID", Reason::mismatch},
         {backend_region, "the backend names no region that there could be", Reason::mismatch},
         {backend_secret_id, "the backend names no SecretId", Reason::mismatch},
         {backend_sign_key, "the backend hands out no signKey with its keyTime", Reason::mismatch}}};
    return {static_cast<int>(error), table};
}

namespace {

/// COS's XML is about 500 bytes, a list of a thousand buckets 200 KiB.
constexpr std::size_t most_body = 256UL * 1024;

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

protocol::CosAuthorization signed_by(const Credentials& credentials, const protocol::CosRequest& request,
                                     std::chrono::sys_seconds now, std::chrono::seconds lifetime) {
    if (credentials.issued)
        return protocol::cos_sign(request, credentials.secret_id, credentials.issued->sign_key.reveal(),
                                  credentials.issued->key_time);
    const protocol::KeyTime key_time{now, now + lifetime};
    const config::Secret sign_key(protocol::cos_sign_key(credentials.secret_key.reveal(), key_time));
    return protocol::cos_sign(request, credentials.secret_id, sign_key.reveal(), key_time);
}

}  // namespace

Client::Client(boost::asio::any_io_executor executor, Endpoint endpoint, Credentials credentials,
               std::chrono::seconds signature_lifetime, ProbeRun& run)
    : endpoint_(std::move(endpoint)),
      credentials_(std::move(credentials)),
      signature_lifetime_(signature_lifetime),
      run_(run),
      connection_(std::move(executor)) {}

asio::awaitable<error_code> Client::connect(Clock::time_point deadline) { return open(deadline, true); }

asio::awaitable<error_code> Client::open(Clock::time_point deadline, bool spoken) {
    exchange_.reset();
    const error_code code = co_await connect_to(connection_, endpoint_, deadline, spoken);
    if (!code) exchange_.emplace(connection_);
    co_return code;
}

asio::awaitable<error_code> Client::connect_to(net::Connection& connection, const Endpoint& where,
                                               Clock::time_point deadline, bool spoken) {
    net::Destination to{.host = where.host,
                        .port = where.port,
                        .tls = where.tls,
                        .address = where.address,
                        .ca_file = where.ca_file};
    const error_code code =
        co_await net::reach(connection, std::move(to), *run_.env().dns, spoken ? &run_ : nullptr, deadline);
    co_return code;
}

net::HttpRequest Client::request_of(const Call& call) const {
    if (endpoint_.v4) return v4_request_of(call);
    net::HttpRequest request;
    request.method = call.method;
    request.host = endpoint_.host_header();
    request.content = call.content;
    protocol::CosRequest to_sign;
    to_sign.method = call.method;
    // Our keys hold nothing that would have to be encoded (config.cpp).
    to_sign.path = request.target = "/" + call.key;
    for (const auto& [name, value] : call.query) {
        to_sign.parameters.push_back({name, value});
        request.target += (request.target.find('?') == std::string::npos ? '?' : '&') +
                          protocol::percent_encode(name) + '=' + protocol::percent_encode(value);
    }
    to_sign.headers = {{"host", request.host}};
    if (call.content) to_sign.headers.push_back({"content-length", std::to_string(call.content->size)});
    for (const auto& [name, value] : call.headers) {
        request.headers.emplace_back(name, value);
        to_sign.headers.push_back({name, value});
    }
    const auto now = std::chrono::floor<std::chrono::seconds>(run_.env().wall() + clock_shift_);
    auto authorization = signed_by(credentials_, to_sign, now, signature_lifetime_);
    if (call.wrong_signature) {
        auto& digit = authorization.signature.front();
        digit = digit == '0' ? '1' : '0';
    }
    request.headers.emplace_back("Authorization", authorization.header());
    if (!credentials_.token.empty())
        request.headers.emplace_back("x-cos-security-token", std::string(credentials_.token.reveal()));
    request.headers.emplace_back("User-Agent", "livecanary");
    return request;
}

asio::awaitable<error_code> Client::read_body(net::HttpExchange& exchange, const Call& call, Answer& answer,
                                              Clock::time_point deadline) {
    const bool to_sink = call.sink && answer.status == 200;
    for (;;) {
        const auto size = co_await exchange.read_body(buffer_, deadline);
        if (!size) co_return size.error();
        if (*size == 0) co_return error_code{};
        const auto bytes = std::span(buffer_).first(*size);
        if (to_sink) {
            call.sink(bytes);
        } else if (answer.body.size() < most_body) {
            answer.body.append(reinterpret_cast<const char*>(bytes.data()),
                               std::min(bytes.size(), most_body - answer.body.size()));
        }
    }
}

asio::awaitable<error_code> Client::exchange(const Call& call, Answer& answer, Clock::time_point deadline) {
    const auto began = run_.env().now();
    const net::HttpRequest request = request_of(call);
    auto head_read = co_await exchange_->send(request, deadline);
    if (!head_read) co_return head_read.error();
    answer.head = *std::move(head_read);
    answer.status = answer.head.status;
    answer.request_id = protocol::printable(answer.head.header("x-cos-request-id"));
    answer.trace_id = protocol::printable(answer.head.header("x-cos-trace-id"));
    // Date has whole seconds: half a second of it is nobody's fault. It says when the answer began, which may
    // be long after a large object began to be sent.
    answer.date = read_date(answer.head.header("date"));
    answer.head_at = run_.env().now();
    if (answer.date)
        answer.clock_skew = std::chrono::round<std::chrono::seconds>(*answer.date - run_.env().wall());
    const error_code code = co_await read_body(*exchange_, call, answer, deadline);
    answer.took = exchange_->last_read_at() - began;
    if (endpoint_.v4 && !code) co_return read_v4(call, answer);
    if (const auto said = protocol::parse_cos_error(answer.body)) {
        answer.cos_code = protocol::printable(said->code);
        answer.message = protocol::printable(said->message);
    }
    co_return code;
}

asio::awaitable<error_code> Client::call(const Call& call, Answer& answer, Clock::time_point deadline) {
    answer = {};
    if (endpoint_.v4 && call.method == "GET" && !call.key.empty()) {
        const error_code code = co_await download(call, answer, deadline);
        co_return code;
    }
    if (!exchange_ || !connection_.is_open()) {
        if (const auto code = co_await open(deadline, false)) co_return code;
    }
    const error_code code = co_await exchange(call, answer, deadline);
    if (code || !exchange_->keeps_alive()) connection_.close();
    co_return code;
}

config::Secret signed_get(const Endpoint& endpoint, const Credentials& credentials, const std::string& key,
                          std::chrono::sys_seconds now, std::chrono::seconds lifetime) {
    protocol::CosRequest request{.method = "GET", .path = "/" + key};
    request.headers = {{"host", endpoint.host_header()}};
    return config::Secret(signed_by(credentials, request, now, lifetime).header());
}

error_code error_of(const Answer& answer) {
    switch (answer.status / 100) {
        case 2:
            return {};
        case 3:
            return CosError::redirected;
        default:
            break;
    }
    if (answer.status == 401 || answer.status == 403) return CosError::forbidden;
    if (answer.status == 404) return CosError::not_found;
    return CosError::refused;
}

std::string fingerprint(Phase phase, const Answer& answer) {
    return std::string(phase.name) + " " + std::to_string(answer.status) +
           (answer.means.empty() ? answer.cos_code.empty() ? "" : " " + answer.cos_code : " " + answer.means);
}

}  // namespace livecanary::cos_roundtrip
