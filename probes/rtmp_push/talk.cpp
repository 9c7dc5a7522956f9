#include "probes/rtmp_push/talk.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <variant>

#include <boost/asio/this_coro.hpp>

#include "probes/core/peers.hpp"
#include "probes/protocol/stamp.hpp"
#include "probes/rtmp_push/report.hpp"

namespace livecanary::rtmp_push {
namespace {

using namespace std::chrono_literals;
namespace rtmp = protocol::rtmp;

/// How long a server may take nothing until it counts as frozen. Acknowledgements are asked for each 10000
/// bytes, which at the test stream's rate is 0.4 s.
constexpr auto frozen_after = 3s;
/// For the answer to the last ping, which says that everything before it was read.
constexpr auto last_ping_patience = 2s;

/// Time kept back from viewers for the last ping and the farewell.
constexpr auto reserve = 1s;

/// How the cloud's callbacks number them (vendor's document 267/38081).
constexpr std::string_view began_event = "1", ended_event = "0";

constexpr std::uint32_t first_ping = 1;
constexpr std::uint32_t last_ping = 2;

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

/// The run's id as the number it was printed from.
std::uint64_t number_of(const std::string& run_id) {
    std::uint64_t number = 0;
    std::from_chars(run_id.data(), run_id.data() + run_id.size(), number, 16);
    return number;
}

bool cancelled(asio::cancellation_state state) { return state.cancelled() != asio::cancellation_type::none; }

bool is_hang_up(const error_code& code) {
    const Reason reason = reason_of(code);
    return reason == Reason::closed || reason == Reason::reset;
}

std::string status_text(const rtmp::Status& status) {
    return status.command + " " + status.level + " " + status.code +
           (status.description.empty() ? "" : ": " + status.description);
}

}  // namespace

Talk::Talk(Link& link, const Plan& plan, ProbeRun& run)
    : link_(link), plan_(plan), run_(run), sent_(number_of(run.run_id())) {}

error_code Talk::out_of_patience() const {
    if (run_.env().now() >= run_.deadline()) return asio::error::timed_out;
    return PushError::frozen;
}

void Talk::note_ids(const rtmp::Status& status) {
    const auto note = [&](std::string_view what, const std::string& id) {
        const bool known = std::ranges::any_of(
            run_.so_far().evidence, [&](const Evidence& e) { return e.what == what && e.got == id; });
        if (!id.empty() && !known) run_.saw(what, id);
    };
    note("clientid", status.client_id);
    note("requestid", status.request_id);
}

error_code Talk::on_event(const rtmp::Event& event) {
    return std::visit(
        Overloaded{
            [&](const rtmp::Refused& refused) -> error_code {
                run_.saw("status", status_text(refused.status));
                note_ids(refused.status);
                if (!refused.redirect.empty()) run_.saw("redirect", refused.redirect);
                if (!refused.authmod.empty()) run_.saw("authmod", refused.authmod);
                if (!refused.reason.empty()) run_.saw("refusal_reason", refused.reason);
                status_ = refused.status.code;
                return refused.error;
            },
            [&](const rtmp::ServerClosed&) -> error_code { return rtmp::Error::closed_by_command; },
            [&](const rtmp::StatusSeen& seen) -> error_code {
                run_.saw("other_status", status_text(seen.status));
                note_ids(seen.status);
                return {};
            },
            [&](const rtmp::ReconnectRequest& request) -> error_code {
                run_.saw("reconnect_request", request.tc_url);
                return {};
            },
            [&](const rtmp::Pong& pong) -> error_code {
                pongs_ = true;
                last_pong_ = last_pong_ || pong.value == last_ping;
                return {};
            },
            [](const auto&) -> error_code { return {}; },
        },
        event);
}

error_code Talk::drain() {
    while (auto event = link_.session.next_event())
        if (const auto code = on_event(*event)) return code;
    return {};
}

/// Notes how the conversation ended, in words that two runs can be compared by: where, how, and what was
/// said, but no free text and no exact time. True if there is a failure.
bool Talk::fails(error_code code) {
    if (!code) return false;
    const auto waited = link_.read_at - sent_at_;
    const Reason reason = reason_of(code);
    const bool by_server = reason == Reason::closed || reason == Reason::reset || reason == Reason::rejected;
    std::string how(phase_.name);
    if (phase_.name == media.name) how += accepted_ ? " accepted" : " at once";
    how += ' ';
    // A close is a close, whether our data met it (reset) or not.
    if (!status_.empty()) {
        how += "status " + status_;
    } else {
        how += to_string(reason == Reason::reset ? Reason::closed : reason);
    }
    // nginx-rtmp gives up on a silent hook after 10 s, SRS after 30 s: told from a refusal by the time only.
    // How long we waited for nothing says how patient we are.
    // Other times are latency, which says nothing.
    if (phase_.name != media.name && reason != Reason::timeout) {
        for (const auto plateau : {10s, 30s})
            if (waited > plateau - 1s && waited < plateau + 1s)
                how += " after " + std::to_string(plateau.count()) + " s";
    }
    if (by_server) {
        char text[32];
        std::snprintf(text, sizeof text, "%.1f ms",
                      std::chrono::duration<double, std::milli>(std::max(waited, Clock::duration{})).count());
        run_.saw("after_our_last_command", text);
        run_.found(server_closes, 1);
    }
    run_.saw("ended", code.message());
    run_.fingerprint(std::move(how));
    run_.failed(code);
    return true;
}

asio::awaitable<error_code> Talk::flush(Clock::time_point deadline) {
    const auto bytes = link_.session.take_output();
    if (bytes.empty()) co_return error_code{};
    const net::Moved moved = co_await link_.connection.write(bytes, deadline);
    sent_at_ = moved.at;
    co_return moved.code;
}

/// The code of a failed write, or better: what the server said before it hung up tells more than our broken
/// pipe, and the reader may not have come to it yet.
asio::awaitable<error_code> Talk::last_heard(error_code write_error) {
    const bool hung_up = is_hang_up(write_error);
    const auto until = run_.env().now() + farewell_patience;
    for (;;) {
        const auto seen = link_.news;
        if (const auto code = drain()) co_return code;
        if (link_.read_error) co_return link_.read_error;
        if (!hung_up || run_.env().now() >= until) co_return write_error;
        co_await wait_for_news(link_, seen, until);
        if (cancelled(co_await asio::this_coro::cancellation_state)) co_return write_error;
    }
}

template <class Wanted>
asio::awaitable<result<Wanted>> Talk::expect() {
    if (const auto code = co_await flush(run_.deadline())) co_return co_await last_heard(code);
    for (;;) {
        const auto seen = link_.news;
        while (auto event = link_.session.next_event()) {
            if (auto* wanted = std::get_if<Wanted>(&*event)) co_return std::move(*wanted);
            if (const auto code = on_event(*event)) co_return code;
        }
        if (link_.read_error) co_return link_.read_error;
        if (cancelled(co_await asio::this_coro::cancellation_state))
            co_return error_code(asio::error::operation_aborted);
        // Also for a server that talks all the time and never says what is waited for.
        if (run_.env().now() >= run_.deadline()) co_return error_code(asio::error::timed_out);
        co_await wait_for_news(link_, seen, run_.deadline());
        if (cancelled(co_await asio::this_coro::cancellation_state))
            co_return error_code(asio::error::operation_aborted);
        // The session may have something to answer: acknowledgements, pings.
        const auto answered = sent_at_;
        if (const auto code = co_await flush(run_.deadline())) co_return co_await last_heard(code);
        sent_at_ = answered;
    }
}

/// The server's side stands still if it has shown that it acknowledges, owes us something, and neither its
/// acknowledgements nor its kernel's have grown for `frozen_after`.
bool Talk::server_is_frozen(Clock::time_point now) {
    const auto socket = link_.connection.tcp_facts();
    const auto acknowledged = link_.session.bytes_acknowledged();
    if (acknowledged_ > 0 && acknowledged > acknowledged_)
        ack_step_ = std::max(ack_step_, acknowledged - acknowledged_);
    const bool owes_ack = acknowledged > 0 && link_.session.bytes_out() - acknowledged > 3 * ack_step_;
    const bool owes_tcp = socket.unacked_segments > 0 || socket.not_sent_bytes > 0;
    const bool tcp_grew = socket.bytes_acked > tcp_acked_;
    if (acknowledged > acknowledged_ || (!owes_ack && (tcp_grew || !owes_tcp))) progress_at_ = now;
    acknowledged_ = std::max(acknowledged_, acknowledged);
    tcp_acked_ = socket.bytes_acked;
    longest_stall_ = std::max(longest_stall_, now - progress_at_);
    return now - progress_at_ > frozen_after;
}

/// All that is due by now.
void Talk::queue_frames(protocol::TestStream& stream, Clock::time_point began) {
    while (began + std::chrono::milliseconds(stream.next_timestamp()) <= run_.env().now()) {
        std::vector<std::uint8_t> stamp;
        if (stream.next_is_keyframe()) {
            const auto now = run_.env().now();
            sent_.sent(std::chrono::milliseconds(stream.next_timestamp()), now);
            stamp = protocol::write_stamp({.run = sent_.run(), .sent = now.time_since_epoch()});
        }
        const auto frame = stream.next(stamp);
        link_.session.send({static_cast<rtmp::MessageType>(frame.type), frame.timestamp, frame.body});
    }
}

/// Media at real-time pace, and viewers who watch it. False if the run failed.
asio::awaitable<bool> Talk::play() {
    protocol::TestStream stream;
    rtmp::AmfEcmaArray fields;
    for (auto& field : stream.metadata()) {
        rtmp::AmfValue value =
            std::visit([](auto& plain) { return rtmp::AmfValue(std::move(plain)); }, field.value);
        fields.members.push_back({std::move(field.name), std::move(value)});
    }
    link_.session.send_metadata(fields);
    link_.session.ping(first_ping);
    const auto began = run_.env().now();
    progress_at_ = began;
    const auto until = began + plan_.media;
    if (!plan_.viewings.empty()) {
        audience_.emplace(co_await asio::this_coro::executor, run_.env(), sent_,
                          std::max(until, run_.deadline() - reserve));
        audience_->open(plan_.viewings);
    }
    for (;;) {
        const auto now = run_.env().now();
        if (!accepted_ && now - began >= acceptance) {
            accepted_ = true;
            tell(began_event);
        }
        if (fails(drain()) || fails(link_.read_error)) co_return false;
        if (now >= until && (!audience_ || audience_->content())) break;
        if (now >= run_.deadline()) co_return !fails(asio::error::timed_out);
        if (server_is_frozen(now)) co_return !fails(PushError::frozen);

        queue_frames(stream, began);
        const auto seen = link_.news;
        const auto patience = std::min<Clock::time_point>(run_.deadline(), run_.env().now() + frozen_after);
        if (const auto code = co_await flush(patience)) {
            if (cancelled(co_await asio::this_coro::cancellation_state))
                co_return !fails(asio::error::operation_aborted);
            const auto heard = co_await last_heard(code);
            // Nothing more fits: the server does not read.
            const bool full = heard == code && reason_of(code) == Reason::timeout;
            co_return !fails(full ? out_of_patience() : heard);
        }
        const auto due = began + std::chrono::milliseconds(stream.next_timestamp());
        co_await wait_for_news(link_, seen, now < until ? std::min(due, until) : due);
        if (cancelled(co_await asio::this_coro::cancellation_state))
            co_return !fails(asio::error::operation_aborted);
    }
    const auto sent = link_.session.bytes_out();
    // Before they could take the end of the stream for a stall.
    co_await dismiss();
    if (!co_await last_word(sent)) co_return false;
    if (!audience_) co_return true;
    run_.enter(playing, until);
    viewed_ = audience_->take();
    report(plan_.viewings, viewed_, run_);
    co_return true;
}

void Talk::tell(std::string_view event) {
    if (run_.env().peers == nullptr) return;
    Notice notice;
    notice.topic = topics::push;
    notice.from = run_.env().probe;
    notice.at = run_.env().wall();
    notice.facts = {{"event", std::string(event)},
                    {"domain", plan_.url.host},
                    {"app", plan_.url.app},
                    {"stream_id", plan_.url.stream_name},
                    {"run_id", run_.run_id()}};
    run_.env().peers->tell(std::move(notice));
}

void Talk::tell_end() {
    if (accepted_) tell(ended_event);
}

asio::awaitable<void> Talk::dismiss() {
    if (audience_) co_await audience_->leave();
}

/// A server that answers pings has read all that came before the last one. False if the run failed.
asio::awaitable<bool> Talk::last_word(std::uint64_t sent) {
    if (pongs_) {
        link_.session.ping(last_ping);
        const auto until =
            std::min<Clock::time_point>(run_.deadline(), run_.env().now() + last_ping_patience);
        if (const auto code = co_await flush(until)) {
            const auto heard = co_await last_heard(code);
            co_return !fails(reason_of(heard) == Reason::timeout ? out_of_patience() : heard);
        }
        while (!last_pong_) {
            const auto seen = link_.news;
            if (fails(drain()) || fails(link_.read_error)) co_return false;
            if (last_pong_) break;
            if (run_.env().now() >= until) co_return !fails(out_of_patience());
            co_await wait_for_news(link_, seen, until);
            if (cancelled(co_await asio::this_coro::cancellation_state))
                co_return !fails(asio::error::operation_aborted);
        }
    }
    run_.saw("media", std::to_string(sent) + " bytes sent, " +
                          std::to_string(link_.session.bytes_acknowledged()) + " acknowledged" +
                          (pongs_ ? ", the last ping answered" : ""));
    co_return true;
}

asio::awaitable<void> Talk::whole() {
    link_.session.start();
    const auto greeted = co_await expect<rtmp::HandshakeDone>();
    if (!greeted) {
        fails(greeted.error());
        co_return;
    }
    if (greeted->details.s2 == rtmp::S2::wrong) run_.saw("handshake", "S2 is not an answer to C1");

    run_.enter(phase_ = connect, link_.read_at);
    link_.session.connect();
    const auto connected = co_await expect<rtmp::Connected>();
    if (!connected) {
        fails(connected.error());
        co_return;
    }
    note_ids(connected->status);
    for (const auto& name : {connected->software, connected->version, connected->fms_ver})
        if (!name.empty()) run_.saw("server", name);
    const auto& settings = link_.session.server_settings();
    run_.found(server_window, settings.window_ack_size);
    run_.found(server_chunk_size, settings.chunk_size);

    run_.enter(phase_ = create_stream, link_.read_at);
    link_.session.create_stream();
    if (const auto created = co_await expect<rtmp::StreamCreated>(); !created) {
        fails(created.error());
        co_return;
    }

    run_.enter(phase_ = publish, link_.read_at);
    link_.session.publish();
    const auto started = co_await expect<rtmp::PublishStarted>();
    if (!started) {
        fails(started.error());
        co_return;
    }
    note_ids(started->status);
    link_.connection.quick_ack(false);

    run_.enter(phase_ = media, link_.read_at);
    co_await play();
    run_.found(stall_seconds, std::chrono::duration<double>(longest_stall_).count());
}

asio::awaitable<void> Talk::farewell() {
    if (link_.session.stream_id() == 0 || (link_.read_error && is_hang_up(link_.read_error))) co_return;
    run_.enter(teardown);
    link_.session.unpublish();
    const auto until = run_.env().now() + farewell_patience;
    if (co_await flush(until)) co_return;
    for (;;) {
        const auto seen = link_.news;
        while (auto event = link_.session.next_event())
            if (std::holds_alternative<rtmp::Unpublished>(*event)) co_return;
        if (link_.read_error || run_.env().now() >= until) co_return;
        co_await wait_for_news(link_, seen, until);
    }
}

}  // namespace livecanary::rtmp_push
