#include "probes/net/one_request.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

namespace livecanary::net {
namespace {

using namespace std::chrono_literals;

/// For one of several addresses.
constexpr auto patience_for_address = 3s;

/// What came of a step, unless the coroutine was cut during it.
error_code unless_cut(const asio::cancellation_state& state, const error_code& code) {
    return state.cancelled() == asio::cancellation_type::none ? code : asio::error::operation_aborted;
}
template <class T>
error_code unless_cut(const asio::cancellation_state& state, const result<T>& got) {
    return unless_cut(state, got ? error_code() : got.error());
}

/// How much of an answer is wanted.
struct Wanted {
    std::size_t most = usual_answer;
    bool part_will_do = false;
};

/// On a connection that stands.
asio::awaitable<result<HttpAnswer>> exchange(Connection& connection, HttpRequest request,
                                             std::optional<TlsOptions> tls, Clock::time_point deadline,
                                             Wanted wanted) {
    const auto state = co_await asio::this_coro::cancellation_state;
    if (tls) {
        TlsFacts facts;
        const auto code = co_await connection.start_tls(*std::move(tls), deadline, facts);
        if (const auto refused = unless_cut(state, code)) co_return refused;
    }
    request.headers.emplace_back("Connection", "close");
    HttpExchange exchange(connection);
    auto head = co_await exchange.send(request, deadline);
    if (const auto unsaid = unless_cut(state, head)) co_return unsaid;
    HttpAnswer answer;
    answer.head = *std::move(head);
    std::array<std::uint8_t, 16 * 1024> buffer;
    while (!answer.cut) {
        const auto size = co_await exchange.read_body(buffer, deadline);
        const auto unread = unless_cut(state, size);
        if (unread == asio::error::operation_aborted || (unread && !wanted.part_will_do)) co_return unread;
        answer.cut = static_cast<bool>(unread);
        if (unread || *size == 0) break;
        const std::size_t taken = std::min(*size, wanted.most - answer.body.size());
        answer.cut = taken < *size;
        answer.body.append(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    connection.close();
    co_return answer;
}

}  // namespace

asio::awaitable<result<HttpAnswer>> request_at(tcp::endpoint server, HttpRequest request,
                                               std::optional<TlsOptions> tls, Clock::time_point deadline,
                                               std::size_t most) {
    const auto state = co_await asio::this_coro::cancellation_state;
    const auto executor = co_await asio::this_coro::executor;
    Connection connection(executor);
    const auto code = co_await connection.connect(std::move(server), deadline);
    if (const auto refused = unless_cut(state, code)) co_return refused;
    const Wanted wanted{.most = most};
    auto answer = co_await exchange(connection, std::move(request), std::move(tls), deadline, wanted);
    co_return answer;
}

asio::awaitable<result<HttpAnswer>> request_url(Resolver& dns, UrlRequest asked, Clock::time_point deadline) {
    const auto state = co_await asio::this_coro::cancellation_state;
    const auto url = parse_http_url(asked.url);
    if (!url) co_return url.error();
    const auto found = co_await dns.resolve(url->host, url->port, deadline);
    if (const auto unfound = unless_cut(state, found)) co_return unfound;
    asked.request.target = url->target;
    asked.request.host = url->host_header();
    std::optional<TlsOptions> tls;
    if (url->tls) {
        tls.emplace();
        tls->server_name = url->host;
        tls->ca_file = asked.ca_file;
        tls->verify = asked.verify;
    }
    const auto executor = co_await asio::this_coro::executor;
    Connection connection(executor);
    error_code refused = asio::error::host_not_found;
    for (const auto& endpoint : found->endpoints) {
        const auto until = std::min<Clock::time_point>(deadline, Clock::now() + patience_for_address);
        const auto code = co_await connection.connect(endpoint, until);
        refused = unless_cut(state, code);
        if (!refused || refused == asio::error::operation_aborted) break;
    }
    if (refused) co_return refused;
    const Wanted wanted{.most = asked.most, .part_will_do = asked.part_will_do};
    auto answer = co_await exchange(connection, std::move(asked.request), std::move(tls), deadline, wanted);
    co_return answer;
}

std::string basic_authorization(const std::string& user, const std::string& password) {
    std::string text = user + ':' + password;
    std::string coded((text.size() + 2) / 3 * 4 + 1, '\0');
    // The casts are OpenSSL's way of saying bytes.
    const int size =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(coded.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    coded.resize(static_cast<std::size_t>(size));
    OPENSSL_cleanse(text.data(), text.size());
    return "Basic " + coded;
}

}  // namespace livecanary::net
