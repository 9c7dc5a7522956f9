#include "tests/practice/callback_sender.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "probes/net/one_request.hpp"
#include "tests/practice/cloud.hpp"

namespace livecanary::practice {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

using namespace std::chrono_literals;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

std::int64_t unix_seconds(std::chrono::system_clock::time_point time) {
    return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

/// MD5(key + t), by way of the one digest the practice cloud has.
std::string signature(const std::string& key, std::int64_t t) {
    return tx_secret(key, std::to_string(t), "");
}

json::object common(const CallbackSender::Settings& settings, int event, const std::string& stream,
                    std::chrono::system_clock::time_point now) {
    const std::int64_t t = unix_seconds(now + 10min);
    return {{"appid", settings.appid},
            {"app", settings.domain},
            {"appname", settings.app},
            {"stream_id", stream},
            {"channel_id", stream},
            {"event_type", event},
            {"t", t},
            {"sign", signature(settings.key, t)}};
}

json::object push_event(const CallbackSender::Settings& settings, bool started, const std::string& stream,
                        const std::string& sequence, std::chrono::milliseconds lasted,
                        std::chrono::system_clock::time_point now) {
    json::object event = common(settings, started ? 1 : 0, stream, now);
    event["event_time"] = unix_seconds(now);
    event["sequence"] = sequence;
    event["node"] = "192.0.2.1";
    event["user_ip"] = "192.0.2.2";
    event["stream_param"] = "";
    event["errcode"] = started ? 0 : 1;
    event["errmsg"] = started ? "ok" : "The push client actively stopped the push";
    event["set_id"] = 2;
    event["width"] = 0;
    event["height"] = 0;
    if (!started) event["push_duration"] = std::to_string(lasted.count());
    return event;
}

json::object record_event(const CallbackSender::Settings& settings, const std::string& stream,
                          const std::string& name, std::chrono::seconds lasted, const std::string& url,
                          std::chrono::system_clock::time_point now) {
    json::object event = common(settings, 100, stream, now);
    const std::string id = "file-" + name;
    event["file_id"] = id;
    event["record_file_id"] = id;
    if (settings.video_id) event["video_id"] = id;
    event["file_format"] = settings.record_format;
    event["task_id"] = "";
    event["start_time"] = unix_seconds(now - lasted);
    event["end_time"] = unix_seconds(now);
    event["start_time_usec"] = 0;
    event["end_time_usec"] = 0;
    event["duration"] = lasted.count();
    event["file_size"] = 1'000'000;
    event["stream_param"] = "";
    event["video_url"] = url.empty() ? "http://vod.example.com/" + name + ".mp4" : url;
    event["media_start_time"] = 0;
    event["record_bps"] = 0;
    event["callback_ext"] = "{}";
    return event;
}

}  // namespace

asio::awaitable<HttpAnswered> http_ask(std::uint16_t port, std::string method, std::string target,
                                       std::string body, std::chrono::milliseconds patience) {
    net::HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.host = "127.0.0.1";
    request.headers = {{"Content-Type", "application/json"}};
    request.body = std::move(body);
    const auto deadline = Clock::now() + patience;
    const asio::ip::tcp::endpoint server(asio::ip::address_v4::loopback(), port);
    std::optional<net::TlsOptions> plain;
    auto answer = co_await net::request_at(server, std::move(request), std::move(plain), deadline);
    HttpAnswered answered;
    if (answer) {
        answered.status = answer->head.status;
        answered.body = std::move(answer->body);
    }
    co_return answered;
}

struct CallbackSender::State {
    State(asio::any_io_executor runs_on, Settings told)
        : executor(std::move(runs_on)), settings(std::move(told)) {}

    asio::any_io_executor executor;
    Settings settings;
    std::deque<Delivery> deliveries{};
    std::size_t forgotten = 0;  ///< deliveries that made room
    std::set<asio::steady_timer*> timers{};
    bool gone = false;

    /// False if it is gone when the time is over.
    static asio::awaitable<bool> wait(std::shared_ptr<State> state,
                                      std::chrono::duration<double, std::milli> time) {
        asio::steady_timer timer(state->executor,
                                 std::chrono::duration_cast<asio::steady_timer::duration>(time));
        state->timers.insert(&timer);
        co_await timer.async_wait(no_throw);
        state->timers.erase(&timer);
        co_return !state->gone;
    }

    static asio::awaitable<void> deliver(std::shared_ptr<State> state, std::size_t number) {
        const Settings& settings = state->settings;
        // One that is not done makes no room, so `number` stays where it is but for `forgotten`.
        const auto delivery = [&]() -> Delivery& { return state->deliveries[number - state->forgotten]; };
        if (settings.delay.count() > 0) co_await wait(state, settings.delay);
        for (int attempt = 0; attempt <= settings.retries && !state->gone; ++attempt) {
            HttpAnswered answered;
            if (!settings.dead) {
                std::string body = delivery().body;
                std::string path = settings.path;
                std::string method = "POST";
                answered = co_await http_ask(settings.port, std::move(method), std::move(path),
                                             std::move(body), settings.patience);
            }
            delivery().statuses.push_back(answered.status);
            if (answered.status == 200 || attempt == settings.retries || state->gone) break;
            co_await wait(state, settings.retry_every * settings.scale);
        }
        delivery().done = true;
    }
};

CallbackSender::CallbackSender(asio::any_io_executor executor, Settings settings)
    : state_(std::make_shared<State>(std::move(executor), std::move(settings))) {}

CallbackSender::~CallbackSender() {
    state_->gone = true;
    for (auto* const timer : state_->timers) timer->cancel();
}

void CallbackSender::deliver(int event, std::string stream, std::string body) {
    if (state_->settings.lost.contains(event)) return;
    auto& kept = state_->deliveries;
    constexpr std::size_t most = 1000;
    while (kept.size() >= most && kept.front().done) {
        kept.pop_front();
        ++state_->forgotten;
    }
    kept.push_back({.event = event, .stream = std::move(stream), .body = std::move(body)});
    asio::co_spawn(state_->executor, State::deliver(state_, state_->forgotten + kept.size() - 1),
                   asio::detached);
}

void CallbackSender::push_started(const std::string& stream, const std::string& sequence) {
    const auto& settings = state_->settings;
    deliver(1, stream, json::serialize(push_event(settings, true, stream, sequence, {}, settings.now())));
}
void CallbackSender::push_ended(const std::string& stream, const std::string& sequence,
                                std::chrono::milliseconds lasted) {
    const auto& settings = state_->settings;
    deliver(0, stream,
            json::serialize(push_event(settings, false, stream, sequence, lasted, settings.now())));
}
void CallbackSender::recorded(const std::string& stream, const std::string& name, std::chrono::seconds lasted,
                              const std::string& url) {
    const auto& settings = state_->settings;
    deliver(100, stream, json::serialize(record_event(settings, stream, name, lasted, url, settings.now())));
}
void CallbackSender::set_key(std::string key) { state_->settings.key = std::move(key); }
void CallbackSender::lose(std::set<int> events) { state_->settings.lost = std::move(events); }
void CallbackSender::change(const std::function<void(Settings&)>& how) { how(state_->settings); }
const CallbackSender::Settings& CallbackSender::settings() const { return state_->settings; }

bool CallbackSender::idle() const {
    return std::ranges::all_of(state_->deliveries, [](const Delivery& d) { return d.done; });
}
const std::deque<CallbackSender::Delivery>& CallbackSender::deliveries() const { return state_->deliveries; }

std::string CallbackSender::event_body(const Settings& settings, int event, const std::string& stream,
                                       const std::string& name, std::chrono::system_clock::time_point now) {
    if (event == 100) return json::serialize(record_event(settings, stream, name, 120s, {}, now));
    return json::serialize(push_event(settings, event == 1, stream, name, 5s, now));
}

}  // namespace livecanary::practice
