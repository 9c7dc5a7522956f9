#include "daemon/incident_keeper.hpp"

#include <exception>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/explain.hpp"
#include "daemon/log.hpp"
#include "daemon/result_json.hpp"
#include "probes/net/quiet.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

constexpr auto between_rounds = std::chrono::seconds(15);

}  // namespace

void IncidentKeeper::adopt(IncidentLimits limits, const Probes& probes) {
    std::map<std::string, std::string, std::less<>> about;
    for (const auto& probe : probes)
        about[probe->name] = probe->journey.empty() ? probe->name : probe->journey;
    book_.limit(limits);
    book_.adopt(std::move(about), shared_.wall());
    book_.forget(shared_.wall());
    publish();
}

void IncidentKeeper::judged(const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                            const Standing& standing) {
    const bool failed = run.outcome() == RunOutcome::failed;
    book_.judged(
        probe, run, found, standing, failed ? sentence(run, found, shared_.lang) : std::string(),
        failed ? boost::json::serialize(to_json(probe, shared_.location, run, found)) : std::string());
    publish();
}

void IncidentKeeper::publish(bool all) {
    if (shared_.state == nullptr) return;
    for (const auto& id : book_.take_changed(shared_.now(), all)) {
        const Incident* const incident = book_.find(id);
        shared_.state->keep_incident(
            id, incident != nullptr ? std::optional(IncidentBook::text(*incident)) : std::nullopt);
    }
}

void IncidentKeeper::tell_if_ended() {
    if (!ended_ || restore_.running() || house_.running()) return;
    // Posted, because what is told of it may destroy us.
    asio::post(shared_.executor, std::exchange(ended_, nullptr));
}

void IncidentKeeper::start() {
    // What is cancelled between two waits ends by an exception: that is how it is stopped.
    const auto on_end = [this](const std::exception_ptr& failed) {
        if (failed && !stopping_) log::error("incidents are no longer kept, by a fault of our own");
        tell_if_ended();
    };
    restore_.start(shared_.executor, restore(), on_end);
    house_.start(shared_.executor, keep_house(), on_end);
}

asio::awaitable<void> IncidentKeeper::restore() {
    co_await asio::this_coro::throw_if_cancelled(false);
    std::vector<std::string> texts;
    if (shared_.state != nullptr) texts = co_await shared_.state->incidents();
    if (stopping_) co_return;
    for (const auto& text : texts) book_.restore(text, shared_.wall());
    book_.forget(shared_.wall());
    publish();
}

/// What time alone does: what has changed is stored after a while, what is old is forgotten.
asio::awaitable<void> IncidentKeeper::keep_house() {
    co_await asio::this_coro::throw_if_cancelled(false);
    asio::steady_timer timer(shared_.executor);
    while (!stopping_) {
        timer.expires_after(between_rounds);
        co_await timer.async_wait(net::no_throw);
        if (stopping_) break;
        book_.forget(shared_.wall());
        publish();
    }
}

void IncidentKeeper::stop(std::function<void()> ended) {
    stopping_ = true;
    ended_ = std::move(ended);
    publish(true);
    restore_.stop();
    house_.stop();
    tell_if_ended();
}

IncidentList IncidentKeeper::list(const IncidentWish& wish) const {
    IncidentList list = book_.list(wish);
    list.location = shared_.location;
    return list;
}

std::shared_ptr<const IncidentView> IncidentKeeper::view(const std::string& id) const {
    auto view = book_.view(id);
    if (!view) return nullptr;
    view->location = shared_.location;
    return std::make_shared<const IncidentView>(*std::move(view));
}

}  // namespace livecanary::daemon
