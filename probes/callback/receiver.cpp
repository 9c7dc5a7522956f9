#include "probes/callback/receiver.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "probes/net/quiet.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::callback {
namespace {

using namespace std::chrono_literals;

/// Until the port is tried again.
constexpr auto next_try = 5s;

constexpr const char* courtesy = R"({"code":0})";

bool is_cancelled(const asio::cancellation_state& state) {
    return state.cancelled() != asio::cancellation_type::none;
}

/// The answer to the cloud, and what is kept of the backend's.
struct Passed {
    net::HttpOutgoing outgoing{};
    Forwarded forwarded{};
};

asio::awaitable<Passed> forward(std::shared_ptr<const Config> config, std::shared_ptr<State> state, Env& env,
                                std::string text) {
    Passed passed{.outgoing = {.status = 503}};
    const auto deadline = env.now() + config->receive->forward_within;
    const auto pass = co_await state->gate.enter(env, *config->receive->forward, deadline);
    if (!pass) {
        passed.forwarded.answer = held_back;
        co_return passed;
    }
    Client client(co_await asio::this_coro::executor, *config->receive->forward, std::nullopt,
                  config->ca_file, env, state->gate);
    Reply reply;
    const error_code code = co_await client.post(std::move(text), reply, deadline);
    client.close();
    if (code) {
        const bool silent = code == asio::error::timed_out;
        passed.outgoing.status = silent ? 504 : 502;
        passed.forwarded.answer = silent ? std::string(no_answer) : code.message();
        co_return passed;
    }
    passed.outgoing.status = reply.status;
    if (reply.said.code) passed.outgoing.body = "{\"code\":" + std::to_string(*reply.said.code) + "}";
    passed.forwarded = {.status = reply.status, .code = reply.said.code, .answer = fingerprint(reply)};
    co_return passed;
}

asio::awaitable<net::HttpOutgoing> handle(std::shared_ptr<const Config> config, std::shared_ptr<State> state,
                                          Env& env, net::HttpIncoming incoming) {
    hear_of_pushes(*state, env);
    net::HttpOutgoing outgoing;
    const Verdict verdict = state->inbox->take(incoming.body, env.wall(), env.now());
    outgoing.status = status_of(verdict);
    if (verdict != Verdict::taken) co_return outgoing;
    outgoing.body = courtesy;
    const std::uint64_t number = state->inbox->last().number;
    if (!config->receive->forward) {
        state->inbox->settle(number, true);
        co_return outgoing;
    }
    Passed passed = co_await forward(config, state, env, std::move(incoming.body));
    state->inbox->settle(number, passed.outgoing.status == 200, passed.forwarded);
    co_return std::move(passed.outgoing);
}

std::string unix_milliseconds(WallTime time) {
    return std::to_string(
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

std::string fact(const Facts& facts, std::string_view name) {
    const auto found = facts.find(name);
    return found == facts.end() ? std::string() : found->second;
}

std::optional<std::int64_t> number_of(const std::string& text) {
    std::int64_t number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

}  // namespace

asio::awaitable<void> listen(std::shared_ptr<const Config> config, std::shared_ptr<State> state, Env& env) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto executor = co_await asio::this_coro::executor;
    state->started = true;
    for (;;) {
        net::HttpHandler handler = [config, state, &env](net::HttpIncoming incoming) {
            return handle(config, state, env, std::move(incoming));
        };
        net::HttpListener listener(executor, config->receive->path, {}, std::move(handler));
        error_code code = listener.listen(config->receive->listen);
        if (!code) {
            state->cannot_listen.clear();
            state->listener = &listener;
            state->listening_since = env.wall();
            code = co_await listener.serve();
            state->listener = nullptr;
        }
        auto cancellation = co_await asio::this_coro::cancellation_state;
        if (is_cancelled(cancellation)) break;
        state->cannot_listen = code.message();
        asio::steady_timer timer(executor, next_try);
        co_await timer.async_wait(net::no_throw);
        cancellation = co_await asio::this_coro::cancellation_state;
        if (is_cancelled(cancellation)) break;
    }
    state->started = false;
}

void hear_of_pushes(State& state, const Env& env) {
    if (!state.inbox || env.peers == nullptr || state.listener == nullptr) return;
    const auto notices = env.peers->told(topics::push, state.inbox->last_notice());
    state.inbox->told(notices, state.listening_since);
}

asio::awaitable<result<PeerAnswer>> answer(std::shared_ptr<const Config> config, std::shared_ptr<State> state,
                                           ProbeRun& run, const Question& question) {
    if (question.what != questions::event || !config->receive) co_return PeerError::not_understood;
    if (state->listener == nullptr) co_return PeerError::nothing_yet;
    hear_of_pushes(*state, run.env());
    const auto event = number_of(fact(question.with, "event"));
    if (!event) co_return PeerError::not_understood;
    const auto after = number_of(fact(question.with, "after")).value_or(0);
    PeerAnswer given;
    const std::string stream = fact(question.with, "stream_id");
    const WallTime since{std::chrono::milliseconds(after)};
    const auto* found = state->inbox->find(*event, stream, since);
    if (*event == 100) {
        const auto files = state->inbox->recordings(stream, since);
        given.facts["files"] = std::to_string(files.size());
        if (const auto nth = number_of(fact(question.with, "nth")); nth && *nth >= 1)
            found =
                std::cmp_less_equal(*nth, files.size()) ? files[static_cast<std::size_t>(*nth - 1)] : nullptr;
    }
    given.facts["arrived"] = found != nullptr ? "yes" : "no";
    if (found != nullptr) {
        given.facts["at"] = unix_milliseconds(found->at);
        given.facts["file_id"] = found->event.file_id;
        given.facts["video_url"] = found->event.video_url;
        given.facts["file_format"] = found->event.file_format;
        if (const auto duration = found->event.duration())
            given.facts["duration"] = std::to_string(*duration);
        if (found->event.start_time) given.facts["start_time"] = std::to_string(*found->event.start_time);
        if (found->event.end_time) given.facts["end_time"] = std::to_string(*found->event.end_time);
        if (found->forwarded) {
            given.facts["forwarded"] = found->forwarded->answer;
            if (found->forwarded->code) given.facts["code"] = std::to_string(*found->forwarded->code);
            if (found->forwarded->answer == held_back) given.facts["held_back"] = "yes";
            if (found->forwarded->answer == no_answer) given.facts["unanswered"] = "yes";
        }
    }
    co_return given;
}

}  // namespace livecanary::callback
