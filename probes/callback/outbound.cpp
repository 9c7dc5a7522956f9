#include "probes/callback/outbound.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "probes/protocol/callback_sign.hpp"

namespace livecanary::callback {
namespace {

using namespace std::chrono_literals;
using protocol::CallbackStamp;

/// Another digit in the place of the first: no signature of anything.
std::string wrong(std::string sign) {
    sign.front() = sign.front() == '0' ? '1' : '0';
    return sign;
}

protocol::CallbackStream stream_of(const Config& config, std::string stream_id) {
    return {.appid = config.appid,
            .app = config.domain,
            .app_name = config.app,
            .stream_id = std::move(stream_id)};
}

std::string clock_text(Clock::duration d) {
    return std::to_string(std::chrono::ceil<std::chrono::seconds>(d).count()) + " s";
}

void saw(ProbeRun& run, const std::string& what, const Reply& reply) {
    run.saw("answer", what + ": " + fingerprint(reply));
    if (!reply.good() && !reply.body.empty()) run.saw("body", shown(reply.body));
}

/// True if it was good, or is not due.
asio::awaitable<bool> send(const Config& config, State& state, ProbeRun& run, Client& client,
                           std::int64_t type) {
    const auto now = run.env().now();
    if (type == 100) {
        if (state.record_due && now < *state.record_due) co_return true;
        state.record_due = now + config.record.every;
    }
    std::string text = Bodies(config, run.env()).event(type);
    Reply reply;
    if (const auto code = co_await client.post(std::move(text), reply, run.deadline())) {
        run.saw("waited", clock_text(run.env().now() - now));
        run.saw("failed_event", std::to_string(type));
        run.failed(code);
        co_return false;
    }
    saw(run, "event " + std::to_string(type), reply);
    // PHP's messages before a good answer harm nobody who looks at the status only, but say what is on.
    if (reply.said.php_text) run.saw("php_text", shown(reply.body));
    const error_code code = error_of(reply);
    if (!code) co_return true;
    if (code == CallbackError::too_late) run.saw("waited", clock_text(reply.took));
    run.saw("failed_event", std::to_string(type));
    run.fingerprint(fingerprint(reply));
    run.failed(code);
    // What was refused was not written down: it is sent again until it is taken.
    if (type == 100) state.record_due.reset();
    co_return false;
}

/// Sends what must be refused.
asio::awaitable<void> send_wrong(State& state, ProbeRun& run, Client& client, std::string text,
                                 std::string what) {
    Reply reply;
    if (const auto code = co_await client.post(std::move(text), reply, run.deadline())) {
        // The rightly signed ones were answered, so this says nothing of the backend.
        run.saw("control", what + ": could not be tried (" + code.message() + ")");
        co_return;
    }
    run.saw("control", what + ": " + fingerprint(reply));
    if (!reply.good()) co_return;
    state.control_due.reset();
    run.enter(body);
    run.found(defects, 1, defect::unsigned_accepted);
    run.fingerprint(what + ": " + fingerprint(reply));
    run.failed(CallbackError::unsigned_accepted);
}

asio::awaitable<void> send_all(const Config& config, State& state, ProbeRun& run) {
    Client client(co_await asio::this_coro::executor, *config.url, config.address, config.ca_file, run.env(),
                  state.gate);
    client.speak_on(&run);
    for (const auto type : config.events) {
        const bool good = co_await send(config, state, run, client, type);
        if (!good) {
            client.close();
            co_return;
        }
    }
    const auto now = run.env().now();
    if (config.control && (!state.control_due || now >= *state.control_due)) {
        state.control_due = now + control_every;
        // It is no part of what a run of events takes.
        client.speak_on(nullptr);
        std::string text = Bodies(config, run.env()).wrongly_signed();
        co_await send_wrong(state, run, client, std::move(text), "wrongly signed");
        if (config.loose_control && !run.has_failed()) {
            std::string loose = Bodies(config, run.env()).loosely_signed();
            co_await send_wrong(state, run, client, std::move(loose), "sign: true");
        }
    }
    client.close();
}

CallbackError error_of(Standing::What what) {
    switch (what) {
        case Standing::What::missing:
            return CallbackError::missing;
        case Standing::What::badly_signed:
            return CallbackError::badly_signed;
        case Standing::What::forward_refused:
            break;
    }
    return CallbackError::forward_refused;
}

}  // namespace

Bodies::Bodies(const Config& config, Env& env)
    : config_(config),
      stream_id_(config.stream_of(env.location)),
      now_(std::chrono::floor<std::chrono::seconds>(env.wall())),
      t_(now_ + protocol::callback_lifetime) {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(env.random()));
    unique_ = std::string("livecanary") + digits;
}

std::string Bodies::event(std::int64_t type) const {
    if (type == 100)
        return recording(stream_id_, std::chrono::ceil<std::chrono::seconds>(config_.record.duration),
                         config_.record.video_id);
    const protocol::PushEvent push{
        .started = type == 1, .at = now_, .sequence = unique_, .push_duration = type == 1 ? 0ms : 1000ms};
    return push_event_body(stream_of(config_, stream_id_), push,
                           protocol::callback_stamp(config_.key.reveal(), t_));
}

std::string Bodies::recording(std::string stream_id, std::chrono::seconds duration, bool video_id) const {
    const protocol::RecordEvent record{.start = now_ - duration,
                                       .end = now_,
                                       .file_id = unique_,
                                       .file_format = config_.record.file_format,
                                       .video_url = config_.record.video_url,
                                       .file_size = 1,
                                       .video_id = video_id};
    return record_event_body(stream_of(config_, std::move(stream_id)), record,
                             protocol::callback_stamp(config_.key.reveal(), t_));
}

std::string Bodies::wrongly_signed() const {
    auto stamp = protocol::callback_stamp(config_.key.reveal(), t_);
    stamp.sign = wrong(std::move(stamp.sign));
    const protocol::PushEvent push{
        .started = false, .at = now_, .sequence = unique_, .push_duration = 1000ms};
    return push_event_body(stream_of(config_, stream_id_), push, stamp);
}

std::string Bodies::loosely_signed() const {
    return protocol::JsonFields()
        .number("event_type", 0)
        .text("stream_id", stream_id_)
        .number("t", t_.time_since_epoch().count())
        .raw("sign", "true")
        .object();
}

std::string Bodies::key_check(const std::string& key) const {
    return protocol::bare_event_body(100, stream_id_, protocol::callback_stamp(key, t_));
}

std::string Bodies::wrongly_signed_key_check() const {
    auto stamp = protocol::callback_stamp(config_.key.reveal(), t_);
    stamp.sign = wrong(std::move(stamp.sign));
    return protocol::bare_event_body(100, stream_id_, stamp);
}

std::string Bodies::short_recording() const { return recording(stream_id_, 60s, true); }

std::string Bodies::recording_with_underscore() const {
    return recording("livecanary_" + stream_id_,
                     std::chrono::ceil<std::chrono::seconds>(config_.record.duration),
                     config_.record.video_id);
}

asio::awaitable<void> run_events(const Config& config, State& state, ProbeRun& run) {
    const auto pass = co_await state.gate.enter(run.env(), *config.url, run.deadline());
    if (!pass) {
        const auto now = run.env().now();
        const auto until = state.gate.closed_until(now);
        if (until)
            run.inconclusive("a request to the backend was not answered, so none is made for another " +
                             clock_text(*until - now) + ": each holds one of its few workers");
        else if (state.gate.closed_by_another(now))
            run.inconclusive(
                "another probe's request to this backend is not answered, so none is made: each holds one of "
                "its few workers");
        else
            run.inconclusive("the backend is being asked otherwise, and does not answer");
        co_return;
    }
    co_await send_all(config, state, run);
}

void report_received(State& state, ProbeRun& run, bool alone) {
    hear_of_pushes(state, run.env());
    Report report = state.inbox->report(run.env().wall());
    run.enter(received);
    for (const auto& [label, count] : report.callbacks) run.found(callbacks, count, label);
    for (const auto& [label, count] : report.defects) run.found(defects, count, label);
    for (const auto& [label, seconds] : report.delays) run.found(delay, seconds, label);
    run.headline(report.headline);
    if (state.listener == nullptr) {
        const std::string why = state.started ? "the receiver cannot listen: " + state.cannot_listen
                                              : "the receiver listens only within the daemon";
        run.saw("receiver", why);
        // Where events are sent too, one run of `livecanary probe` is about that.
        if (!run.has_failed() && (state.started || alone)) run.inconclusive(why);
        return;
    }
    run.saw("receiver", "listens on port " + std::to_string(state.listener->port()));
    if (!state.listener->bug().empty() && !run.has_failed())
        run.inconclusive("a fault of our own in the receiver: " + state.listener->bug());
    if (!report.standing) {
        // Held back on account of another's request: whether the backend would take it is not known.
        if (report.held_back > 0 && !run.has_failed())
            run.inconclusive(std::to_string(report.held_back) +
                             (report.held_back == 1 ? " event was " : " events were ") +
                             std::string(held_back));
        return;
    }
    for (auto& [what, got] : report.standing->evidence)
        if (!got.empty()) run.saw(what, std::move(got));
    run.fingerprint("received");
    run.failed(error_of(report.standing->what));
}

}  // namespace livecanary::callback
