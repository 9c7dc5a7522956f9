#include "daemon/notify.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "daemon/log.hpp"
#include "probes/net/one_request.hpp"
#include "probes/net/quiet.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

/// Bytes of an answer that are kept to say why alerts were refused.
constexpr std::size_t longest_words = 200;
bool in_maintenance(const ProbeSettings& probe, WallTime now) {
    return std::ranges::any_of(probe.maintenance, [&](const auto& window) { return window.contains(now); });
}

}  // namespace

class AlertSender {
public:
    /// `url` is an http or https URL without a slash at its end.
    AlertSender(Shared& shared, const AlertBook& book, std::string url, AlertmanagerAccess access)
        : shared_(shared),
          book_(book),
          url_(std::move(url)),
          access_(std::move(access)),
          outbox_(book.times()),
          timer_(shared.executor) {}

    asio::awaitable<void> loop() {
        co_await asio::this_coro::throw_if_cancelled(false);
        while (!stopping_) {
            const auto now = shared_.now();
            auto batch = outbox_.due(book_, now);
            if (!batch.empty()) {
                co_await deliver(std::move(batch));
                continue;
            }
            if (const auto next = outbox_.next(book_, now))
                timer_.expires_after(*next - now);
            else
                timer_.expires_at(Clock::time_point::max());
            co_await timer_.async_wait(net::no_throw);
        }
    }
    void wake() { timer_.cancel(); }
    void stop() {
        stopping_ = true;
        part_.stop();
    }

    const std::string& url() const noexcept { return url_; }
    net::Background& part() noexcept { return part_; }
    NotificationFigures::Receiver figures() const {
        return {.alertmanager = url_, .sent = sent_, .failed = failed_, .trouble = trouble_};
    }
    std::size_t waiting() const { return outbox_.waiting(book_, shared_.now()); }

private:
    struct Answer {
        error_code code{};    ///< why there is none
        unsigned status = 0;  ///< if there is one
        std::string words{};  ///< the beginning of its body, printable ASCII
    };

    asio::awaitable<void> deliver(Outbox::Batch batch) {
        Answer answer;
        try {
            answer = co_await post(alerts_body(book_, batch, shared_.wall()));
        } catch (const std::exception& e) {
            answer.code = make_error_code(boost::system::errc::state_not_recoverable);
            answer.words = e.what();
        }
        if (stopping_) co_return;
        const auto reception = answer.code ? Reception::later : reception_of(answer.status);
        sent_ += batch.size();
        if (reception != Reception::accepted) failed_ += batch.size();
        if (reception == Reception::later)
            outbox_.unanswered(shared_.now());
        else
            outbox_.answered(book_, batch, shared_.now());
        say(reception, answer);
    }

    /// Once for each way to fail, and when it is over.
    void say(Reception reception, const Answer& answer) {
        std::string trouble;
        if (reception != Reception::accepted)
            trouble = answer.code ? answer.code.message() : "status " + std::to_string(answer.status);
        if (trouble == trouble_) return;
        if (trouble.empty()) {
            log::info("alerts are delivered again", {{"alertmanager", url_}});
        } else {
            log::Fields fields{{"alertmanager", url_}, {"error", trouble}};
            if (!answer.words.empty()) fields.push_back({"answer", answer.words});
            log::warn(reception == Reception::refused ? "an Alertmanager refuses alerts"
                                                      : "alerts cannot be delivered",
                      fields);
        }
        trouble_ = std::move(trouble);
    }

    asio::awaitable<Answer> post(std::string body) {
        net::UrlRequest asked;
        asked.url = url_ + "/api/v2/alerts";
        asked.ca_file = access_.ca_file;
        // The status says it all: a body that breaks off changes nothing.
        asked.part_will_do = true;
        asked.request.method = "POST";
        asked.request.headers = {{"Content-Type", "application/json"}, {"User-Agent", "livecanary"}};
        if (!access_.user.empty())
            asked.request.headers.emplace_back(
                "Authorization", net::basic_authorization(access_.user, access_.password.reveal()));
        asked.request.body = std::move(body);
        const auto dns = shared_.dns;  // a reload may bring another
        const auto deadline = shared_.now() + book_.times().patience;
        const auto said = co_await net::request_url(*dns, std::move(asked), deadline);
        Answer answer;
        if (!said) {
            answer.code = said.error();
            co_return answer;
        }
        answer.status = said->head.status;
        for (const char c : said->body)
            if (c >= ' ' && c < 0x7f && answer.words.size() < longest_words) answer.words += c;
        co_return answer;
    }

    Shared& shared_;
    const AlertBook& book_;
    std::string url_;
    AlertmanagerAccess access_;
    Outbox outbox_;
    asio::steady_timer timer_;
    net::Background part_{};
    std::uint64_t sent_ = 0, failed_ = 0;
    std::string trouble_{};  // what was said last; empty: all is well
    bool stopping_ = false;
};

Notifier::Notifier(Shared& shared, AlertTimes times) : shared_(shared), book_(times) {}

Notifier::~Notifier() = default;

void Notifier::start(net::Background& part, asio::awaitable<void> work, std::function<void()> ended) {
    // What is cancelled between two waits ends by an exception: that is how it is stopped.
    part.start(shared_.executor, std::move(work),
               [this, ended = std::move(ended)](const std::exception_ptr& failed) {
                   if (failed && !stopping_) log::error("delivery of alerts ended by a fault of our own");
                   ended();
               });
}

void Notifier::tell_if_ended() {
    if (!ended_ || !leaving_.empty() || restore_.running() || house_.running()) return;
    // Posted, because what is told of it may destroy us.
    asio::post(shared_.executor, std::exchange(ended_, nullptr));
}

void Notifier::adopt(const Settings& settings, const std::string& own_url, const Probes& probes) {
    links_ = {.own = own_url, .grafana = settings.grafana_url};
    lang_ = settings.lang;
    probes_.clear();
    for (const auto& probe : probes) probes_[probe->name] = probe;
    send_to(settings.alertmanagers, settings.alertmanager_access);
    resolve_strangers();
    publish();
}

void Notifier::send_to(const std::vector<std::string>& urls, const AlertmanagerAccess& access) {
    if (stopping_) return;
    auto before = std::exchange(senders_, {});
    const bool same_access = access == access_;
    access_ = access;
    for (const auto& url : urls) {
        const auto at = std::ranges::find(before, url, [](const auto& sender) { return sender->url(); });
        if (same_access && at != before.end()) {
            senders_.splice(senders_.end(), before, at);
            continue;
        }
        auto& sender = senders_.emplace_back(std::make_unique<AlertSender>(shared_, book_, url, access));
        start(sender->part(), sender->loop(), [this, gone = sender.get()] {
            // Posted, because it is told of its end by what it owns.
            asio::post(shared_.executor, [this, gone] {
                std::erase_if(leaving_, [&](const auto& leaving) { return leaving.get() == gone; });
                tell_if_ended();
            });
        });
    }
    for (auto& sender : before) retire(std::move(sender));
}

void Notifier::retire(std::unique_ptr<AlertSender> sender) {
    sender->stop();
    if (sender->part().running()) leaving_.push_back(std::move(sender));
}

void Notifier::judged(const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                      const Standing& standing) {
    const auto now = shared_.now();
    const auto wall = shared_.wall();
    if (!standing.alerting || in_maintenance(probe, wall)) {
        book_.resolve(probe.name, now, wall);
    } else if (run.outcome() == RunOutcome::failed) {
        const std::string incident = shared_.incident_of ? shared_.incident_of(probe.name) : std::string();
        AlertFacts facts{.probe = probe.name,
                         .labels = alert_labels(probe, shared_.location),
                         .annotations = alert_annotations(probe, shared_.location, run, found, links_, lang_),
                         .generator_url = incident.empty() ? page_url(links_, probe.name)
                                                           : incident_url(links_, incident)};
        book_.fire(std::move(facts), now, wall);
    }
    publish();
}

bool Notifier::fires(const ProbeSettings& probe) const {
    const auto firing = book_.firing(probe.name);
    return firing && *firing == alert_labels(probe, shared_.location);
}

void Notifier::resolve(const std::string& probe) {
    book_.resolve(probe, shared_.now(), shared_.wall());
    publish();
}

void Notifier::resolve_strangers() {
    const auto now = shared_.now();
    const auto wall = shared_.wall();
    for (const auto& [probe, labels] : book_.firing()) {
        const auto at = probes_.find(probe);
        const bool stays = at != probes_.end() && labels == alert_labels(*at->second, shared_.location) &&
                           !in_maintenance(*at->second, wall);
        if (!stays) book_.resolve(probe, now, wall);
    }
}

void Notifier::publish() {
    const auto changed = book_.take_changed();
    if (changed.empty()) return;
    if (shared_.state != nullptr)
        for (const auto& name : changed) {
            const Alert* alert = book_.find(name);
            shared_.state->keep_alert(
                name, alert != nullptr ? std::optional(AlertBook::text(*alert)) : std::nullopt);
        }
    for (const auto& sender : senders_) sender->wake();
}

void Notifier::start(std::function<void()> loaded) {
    loaded_ = std::move(loaded);
    start(restore_, restore(), [this] { tell_if_ended(); });
    start(house_, keep_house(), [this] { tell_if_ended(); });
}

asio::awaitable<void> Notifier::restore() {
    co_await asio::this_coro::throw_if_cancelled(false);
    std::vector<std::string> texts;
    if (shared_.state != nullptr) texts = co_await shared_.state->alerts();
    if (stopping_) co_return;
    for (const auto& text : texts) book_.restore(text, shared_.now(), shared_.wall());
    resolve_strangers();
    if (loaded_) loaded_();
    publish();
    // The book has more than what has changed.
    for (const auto& sender : senders_) sender->wake();
}

/// What time alone does: windows of maintenance begin, resolved alerts are forgotten.
asio::awaitable<void> Notifier::keep_house() {
    co_await asio::this_coro::throw_if_cancelled(false);
    asio::steady_timer timer(shared_.executor);
    while (!stopping_) {
        timer.expires_after(book_.times().resend / 4);
        co_await timer.async_wait(net::no_throw);
        if (stopping_) break;
        resolve_strangers();
        book_.forget(shared_.now());
        publish();
    }
}

void Notifier::stop(std::function<void()> ended) {
    stopping_ = true;
    ended_ = std::move(ended);
    for (auto& sender : std::exchange(senders_, {})) retire(std::move(sender));
    restore_.stop();
    house_.stop();
    tell_if_ended();
}

NotificationFigures Notifier::figures() const {
    NotificationFigures figures;
    for (const auto& sender : senders_) {
        figures.receivers.push_back(sender->figures());
        figures.queue += sender->waiting();
    }
    return figures;
}

}  // namespace livecanary::daemon
