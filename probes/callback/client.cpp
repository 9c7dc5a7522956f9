#include "probes/callback/client.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include "probes/core/error_table.hpp"
#include "probes/core/peers.hpp"
#include "probes/net/quiet.hpp"
#include "probes/net/reach.hpp"
#include "probes/protocol/callback_sign.hpp"

namespace livecanary::callback {
namespace {

constexpr std::size_t most_body = 64 * 1024;

}  // namespace

error_code make_error_code(CallbackError error) noexcept {
    using enum CallbackError;
    static const ErrorTable<CallbackError> table{
        "livecanary.callback",
        {{server_error, "the callback answers with a server error", Reason::rejected},
         {not_found, "there is nothing at the callback's path", Reason::not_found},
         {forbidden, "the callback may not be called from here", Reason::forbidden},
         {other_status, "the callback answers with a status other than 200", Reason::mismatch},
         {no_json, "the callback's answer is no JSON", Reason::mismatch},
         {no_code, "the callback's answer has no code", Reason::mismatch},
         {refused, "the callback answers with a code other than 0", Reason::rejected},
         {too_late, "the callback answers later than the cloud waits", Reason::timeout},
         {unsigned_accepted, "a wrongly signed event is accepted", Reason::mismatch},
         {missing, "an event of a push did not come in", Reason::timeout},
         {badly_signed, "an event came in that is not signed with our key", Reason::mismatch},
         {forward_refused, "an event that was passed on was not taken", Reason::rejected}}};
    return {static_cast<int>(error), table};
}

std::string fingerprint(const Reply& reply) {
    std::string text = "HTTP " + std::to_string(reply.status);
    if (reply.said.json)
        return text + (reply.said.code_text.empty() ? " no code" : " code " + reply.said.code_text);
    if (reply.said.php_text) return text + " php text";
    if (reply.body.empty()) return text + " empty";
    return text;
}

error_code error_of(const Reply& reply) {
    using enum CallbackError;
    if (reply.took > protocol::callback_patience) return too_late;
    if (reply.status == 404) return not_found;
    if (reply.status == 401 || reply.status == 403) return forbidden;
    if (reply.status / 100 == 5) return server_error;
    if (reply.status != 200) return other_status;
    if (!reply.said.json) return no_json;
    if (reply.said.code_text.empty()) return no_code;
    return reply.said.code == 0 ? error_code{} : refused;
}

std::optional<Clock::time_point> Gate::closed_until(Clock::time_point now) const {
    return closed_until_ && now < *closed_until_ ? closed_until_ : std::nullopt;
}

std::optional<Clock::time_point> Gate::closed_by_another(Clock::time_point now) const {
    for (const auto& turn : turns_)
        if (const auto until = turn->closed_to(this, now)) return until;
    return std::nullopt;
}

asio::awaitable<std::optional<Turn::Hold>> Gate::enter(Env& env, const net::HttpUrl& url,
                                                       Clock::time_point deadline) {
    const std::string backend = url.host + ":" + std::to_string(url.port);
    const auto turn = env.peers != nullptr ? env.peers->turn_at(backend)
                      : turns_.empty()     ? std::make_shared<Turn>()
                                           : turns_.front();
    if (std::ranges::find(turns_, turn) == turns_.end()) turns_.push_back(turn);
    auto hold = co_await turn->take(deadline);
    const auto now = env.now();
    if (!hold || closed_until(now) || turn->closed_to(this, now)) co_return std::nullopt;
    co_return std::move(hold);
}

void Gate::hung(Clock::time_point now) {
    const Clock::duration wait = std::min<Clock::duration>(pause * (1 << std::min(pauses_, 8)), longest);
    closed_until_ = now + wait;
    ++pauses_;
    for (const auto& turn : turns_) turn->hung(this, *closed_until_);
}

void Gate::answered() {
    pauses_ = 0;
    for (const auto& turn : turns_) turn->answered(this);
}

Client::Client(asio::any_io_executor executor, net::HttpUrl url, std::optional<asio::ip::address> address,
               std::string ca_file, Env& env, Gate& gate)
    : url_(std::move(url)),
      address_(std::move(address)),
      ca_file_(std::move(ca_file)),
      env_(env),
      gate_(gate),
      connection_(std::move(executor)) {}

asio::awaitable<error_code> Client::open(Clock::time_point deadline) {
    exchange_.reset();
    net::Destination to{
        .host = url_.host, .port = url_.port, .tls = url_.tls, .address = address_, .ca_file = ca_file_};
    const auto code = co_await net::reach(connection_, std::move(to), *env_.dns, run_, deadline);
    if (code) co_return code;
    exchange_.emplace(connection_);
    co_return error_code{};
}

asio::awaitable<error_code> Client::exchange(net::HttpRequest to_send, Reply& reply,
                                             Clock::time_point deadline) {
    const auto began = env_.now();
    enter(request);
    // Once the last of the body is handed out, what is left is to wait.
    std::string content = std::move(to_send.body);
    std::size_t sent = 0;
    if (!content.empty()) {
        to_send.content = net::HttpContent{
            .size = content.size(), .next = [this, &content, &sent](std::span<std::uint8_t> into) {
                const std::size_t size = std::min(into.size(), content.size() - sent);
                std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(sent), size, into.begin());
                sent += size;
                if (sent == content.size()) enter(first_byte);
                return size;
            }};
    }
    auto head = co_await exchange_->send(to_send, deadline);
    if (!head) co_return head.error();
    enter(body);
    reply.status = head->status;
    for (;;) {
        const auto size = co_await exchange_->read_body(buffer_, deadline);
        if (!size) co_return size.error();
        if (*size == 0) break;
        reply.body.append(reinterpret_cast<const char*>(buffer_.data()),
                          std::min(*size, most_body - reply.body.size()));
    }
    reply.took = env_.now() - began;
    reply.said = read_answer(reply.body);
    co_return error_code{};
}

asio::awaitable<error_code> Client::call(net::HttpRequest to_send, Reply& reply, Clock::time_point deadline) {
    reply = {};
    if (!exchange_ || !connection_.is_open()) {
        if (const auto code = co_await open(deadline)) co_return code;
    }
    to_send.host = url_.host_header();
    to_send.headers.emplace_back("User-Agent", "livecanary");
    const bool is_post = to_send.method == "POST";
    const error_code code = co_await exchange(std::move(to_send), reply, deadline);
    if (code == asio::error::timed_out) gate_.hung(env_.now());
    // That the web server answers by itself says nothing of PHP.
    if (!code && is_post) gate_.answered();
    if (code || !exchange_->keeps_alive()) connection_.close();
    co_return code;
}

asio::awaitable<error_code> Client::post(std::string text, Reply& reply, Clock::time_point deadline) {
    net::HttpRequest to_send;
    to_send.method = "POST";
    to_send.target = url_.target;
    to_send.headers = {{"Content-Type", "application/json"}};
    to_send.body = std::move(text);
    co_return co_await call(std::move(to_send), reply, deadline);
}

asio::awaitable<error_code> Client::get(std::string target, Reply& reply, Clock::time_point deadline) {
    net::HttpRequest to_send;
    to_send.target = std::move(target);
    co_return co_await call(std::move(to_send), reply, deadline);
}

}  // namespace livecanary::callback
