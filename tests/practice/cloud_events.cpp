#include "tests/practice/cloud_events.hpp"

#include <charconv>
#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json.hpp>

#include "tests/practice/changes.hpp"

namespace livecanary::practice {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr const char* control_target = "/callbacks";
/// Pushes whose end was not heard of are forgotten above this.
constexpr std::size_t most_pushes = 1000;

std::string url_of(const CallbackSender::Settings& settings) {
    return "http://127.0.0.1:" + std::to_string(settings.port) + settings.path;
}

}  // namespace

void set_url(CallbackSender::Settings& settings, const std::string& url) {
    constexpr std::string_view begin = "http://127.0.0.1:";
    std::uint16_t port = 0;
    const char* const end = url.data() + url.size();
    const auto [after, error] = url.starts_with(begin)
                                    ? std::from_chars(url.data() + begin.size(), end, port)
                                    : std::from_chars_result{url.data(), std::errc::invalid_argument};
    if (error != std::errc() || port == 0 || (after != end && *after != '/'))
        throw std::invalid_argument("expected http://127.0.0.1:PORT/PATH, found " + url);
    settings.port = port;
    settings.path = after == end ? "/" : std::string(after, end);
}

class CloudEvents::Server {
public:
    explicit Server(Options options)
        : recording_(options.recording),
          record_scale_(options.record_scale),
          formats_(std::move(options.formats)),
          video_url_(std::move(options.video_url)) {
        sender_.emplace(io_.get_executor(), std::move(options.sender));
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Server() {
        io_.stop();
        thread_.join();
    }

    /// Runs `use(*this)` while nothing else happens.
    template <class Use>
    auto on_thread(Use use) {
        return asio::dispatch(io_, asio::use_future([this, &use] { return use(*this); })).get();
    }
    void hear_of(const Call& call) {
        asio::post(io_, [this, call] { take(call); });
    }

    std::string control(const std::string& method, const std::string& body) {
        if (method != "GET" && method != "POST") return {};
        if (method == "POST") change(body);
        return json::serialize(described());
    }

    asio::io_context io_{};
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    std::optional<CallbackSender> sender_{};
    bool recording_;
    double record_scale_;
    std::vector<std::string> formats_;
    std::string unbound_{};  ///< a domain without a template

private:
    using Clock = std::chrono::steady_clock;
    struct Push {
        std::string stream{}, sequence{};
        Clock::time_point began{};
    };

    void take(const Call& call) {
        if (call.call != "publish" && call.call != "publish_done") return;
        if (!unbound_.empty() && call.domain == unbound_) return;
        sender_->change([&](CallbackSender::Settings& settings) {
            settings.domain = call.domain;
            settings.app = call.app;
        });
        // A refused one is told of when it ends, too.
        const auto key = call.client + " " + call.app + "/" + call.name;
        if (call.call == "publish") {
            if (pushes_.size() == most_pushes) pushes_.erase(pushes_.begin());
            Push& push =
                pushes_[key] = {call.name, std::to_string(++numbers_) + "-" + call.client, Clock::now()};
            sender_->push_started(push.stream, push.sequence);
            return;
        }
        const auto found = pushes_.find(key);
        if (found == pushes_.end()) return;
        const Push push = found->second;
        pushes_.erase(found);
        const auto lasted = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - push.began);
        sender_->push_ended(push.stream, push.sequence, lasted);
        if (!recording_) return;
        const auto recorded = std::chrono::duration_cast<std::chrono::seconds>(lasted * record_scale_);
        const std::string name = push.stream + "-" + push.sequence;
        const std::string url = video_url_ ? video_url_(push.stream) : std::string();
        if (formats_.empty()) sender_->recorded(push.stream, name, recorded, url);
        const std::string usual = sender_->settings().record_format;
        const auto say = [&](const std::string& format) {
            sender_->change([&](CallbackSender::Settings& settings) { settings.record_format = format; });
        };
        for (const auto& format : formats_) {
            say(format);
            sender_->recorded(push.stream, name + "-" + format, recorded, url);
        }
        say(usual);
    }

    void change(const std::string& body) {
        Changes changes(body);
        bool recording = recording_;
        double scale = record_scale_;
        CallbackSender::Settings settings = sender_->settings();
        std::string to = url_of(settings);
        changes.take("to", to);
        changes.take("dead", settings.dead);
        changes.take("key", settings.key);
        changes.take("lost", settings.lost);
        changes.take("delay_ms", settings.delay);
        changes.take("retries", settings.retries);
        changes.take("retry_every_ms", settings.retry_every);
        changes.take("recording", recording);
        changes.take("record_scale", scale);
        changes.take("format", settings.record_format);
        changes.take("video_id", settings.video_id);
        changes.end();
        if (to != url_of(settings)) set_url(settings, to);
        recording_ = recording;
        record_scale_ = scale;
        sender_->change([&](CallbackSender::Settings& old) { old = settings; });
    }

    json::object described() const {
        const CallbackSender::Settings& settings = sender_->settings();
        json::object sent;
        for (const auto& delivery : sender_->deliveries()) {
            auto& counts = sent[std::to_string(delivery.event)];
            if (counts.is_null()) counts = {{"delivered", 0}, {"given_up", 0}, {"under_way", 0}};
            const char* what = "under_way";
            if (delivery.done) what = delivery.statuses.back() == 200 ? "delivered" : "given_up";
            auto& count = counts.as_object()[what];
            count = count.to_number<std::int64_t>() + 1;
        }
        return {{"to", url_of(settings)},
                {"dead", settings.dead},
                {"lost", json::value_from(settings.lost)},
                {"delay_ms", settings.delay.count()},
                {"retries", settings.retries},
                {"retry_every_ms", settings.retry_every.count()},
                {"recording", recording_},
                {"record_scale", record_scale_},
                {"format", settings.record_format},
                {"video_id", settings.video_id},
                {"sent", std::move(sent)}};
    }

    std::function<std::string(const std::string&)> video_url_;
    std::map<std::string, Push> pushes_{};  ///< by connection and name
    std::uint64_t numbers_ = 0;
    std::thread thread_{};
};

CloudEvents::CloudEvents(HookServer& hook, Options options)
    : hook_(hook), server_(std::make_unique<Server>(std::move(options))) {
    Server* const server = server_.get();
    hook_.on_control(control_target, [server](const std::string& method, const std::string& body) {
        return server->on_thread([&](Server& self) { return self.control(method, body); });
    });
    hook_.on_call([server](const Call& call) { server->hear_of(call); });
}
CloudEvents::~CloudEvents() {
    hook_.on_call({});
    hook_.on_control(control_target, {});
}

void CloudEvents::change(const std::function<void(CallbackSender::Settings&)>& how) {
    server_->on_thread([&](Server& self) { self.sender_->change(how); });
}
void CloudEvents::set_recording(bool on) {
    server_->on_thread([on](Server& self) { self.recording_ = on; });
}
void CloudEvents::scale_recordings(double scale) {
    server_->on_thread([scale](Server& self) { self.record_scale_ = scale; });
}
void CloudEvents::unbind(const std::string& domain) {
    server_->on_thread([&](Server& self) { self.unbound_ = domain; });
}
void CloudEvents::set_formats(std::vector<std::string> formats) {
    server_->on_thread([&](Server& self) { self.formats_ = std::move(formats); });
}
void CloudEvents::deliver(int event, const std::string& stream, const std::string& body) {
    server_->on_thread([&](Server& self) { self.sender_->deliver(event, stream, body); });
}
std::string CloudEvents::event_body(int event, const std::string& stream, const std::string& name) const {
    return server_->on_thread([&](Server& self) {
        const auto& settings = self.sender_->settings();
        return CallbackSender::event_body(settings, event, stream, name, settings.now());
    });
}
std::vector<CallbackSender::Delivery> CloudEvents::deliveries() const {
    return server_->on_thread([](Server& self) {
        const auto& kept = self.sender_->deliveries();
        return std::vector(kept.begin(), kept.end());
    });
}

}  // namespace livecanary::practice
