#include "probes/rtmp_push/push.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "probes/core/error_table.hpp"
#include "probes/core/peers.hpp"
#include "probes/net/resolver.hpp"
#include "probes/protocol/rtmp/session.hpp"
#include "probes/protocol/stamp.hpp"
#include "probes/protocol/test_stream.hpp"
#include "probes/rtmp_push/report.hpp"

namespace livecanary::rtmp_push {

error_code make_error_code(PushError error) noexcept {
    using enum PushError;
    static const ErrorTable<PushError> table{
        "livecanary.rtmp_push",
        {{frozen, "the server no longer takes what is sent", Reason::stalled},
         {unsafe_clock, "our own clock cannot be right", Reason::local},
         {bad_session, "the URL cannot be spoken as RTMP", Reason::local}}};
    return {static_cast<int>(error), table};
}

namespace {

using namespace std::chrono_literals;
namespace rtmp = protocol::rtmp;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

/// How long a server may take nothing until it counts as frozen. Acknowledgements are asked for each 10000
/// bytes, which at the test stream's rate is 0.4 s.
constexpr auto frozen_after = 3s;
/// For the answer to FCUnpublish and deleteStream, then we go without: it comes within 2 ms where it comes.
constexpr auto farewell_patience = 500ms;
/// For the answer to the last ping, which says that everything before it was read.
constexpr auto last_ping_patience = 2s;

/// Time kept back from viewers for the last ping and the farewell.
constexpr auto reserve = 1s;

/// How often we ask for acknowledgements, in bytes.
constexpr std::uint64_t ack_window = 10'000;

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

/// A connection with its session, and a reader that is always at work: a refusal or a FIN must not wait until
/// somebody looks. The reader never writes; what the session wants to answer goes out with the next flush.
struct Link {
    Link(asio::any_io_executor executor, net::Connection&& open, rtmp::PublishOptions options,
         std::uint32_t time, std::span<const std::uint8_t, rtmp::handshake_random_size> random)
        : connection(std::move(open)), session(std::move(options), time, random), changed(executor) {
        changed.expires_at(Clock::time_point::max());
    }
    net::Connection connection;
    rtmp::PublishSession session;
    asio::steady_timer changed;  // cancelled whenever the reader has news
    bool reading = false;
    error_code read_error{};
    Clock::time_point read_at{};  // of the last read
    std::uint64_t news = 0;       // reads so far
    std::exception_ptr bug{};     // what ended the reader, if it was not the connection
};

asio::awaitable<void> read_all(Link& link, Clock::time_point deadline) {
    std::array<std::uint8_t, 16384> buffer;
    while (!link.read_error) {
        const net::Moved moved = co_await link.connection.read_some(buffer, deadline);
        link.read_at = moved.at;
        ++link.news;
        if (moved.code) {
            link.read_error = moved.code;
        } else {
            const auto now_ms =
                std::chrono::duration_cast<std::chrono::milliseconds>(moved.at.time_since_epoch());
            link.read_error = link.session.feed(std::span(buffer).first(moved.size),
                                                static_cast<std::uint32_t>(now_ms.count()));
        }
        link.changed.cancel();
    }
}

/// Waits until the reader has news, or `until`. `seen`: link.news when the caller last looked.
asio::awaitable<void> wait_for_news(Link& link, std::uint64_t seen, Clock::time_point until) {
    if (link.news != seen || link.read_error) co_return;
    link.changed.expires_at(until);
    co_await link.changed.async_wait(no_throw);
}

/// The run's id as the number it was printed from.
std::uint64_t number_of(const std::string& run_id) {
    std::uint64_t number = 0;
    std::from_chars(run_id.data(), run_id.data() + run_id.size(), number, 16);
    return number;
}

/// The talk over one link, step by step.
class Talk {
public:
    Talk(Link& link, const Plan& plan, ProbeRun& run)
        : link_(link), plan_(plan), run_(run), sent_(number_of(run.run_id())) {}

    asio::awaitable<error_code> flush(Clock::time_point deadline);
    asio::awaitable<void> whole();
    asio::awaitable<void> farewell();
    /// Sends the viewers home, if there are any left.
    asio::awaitable<void> dismiss();
    std::vector<Viewed> take_viewed() { return std::move(viewed_); }
    /// What the cloud's callbacks are compared with (topics::push): that the stream is on air, and that it
    /// has ended.
    void tell(std::string_view event);
    bool was_accepted() const noexcept { return accepted_; }

private:
    /// Sends what the session queued and waits for an event of type `Wanted`, or the failure.
    template <class Wanted>
    asio::awaitable<result<Wanted>> expect();
    asio::awaitable<bool> play();
    void queue_frames(protocol::TestStream& stream, Clock::time_point began);
    asio::awaitable<bool> last_word(std::uint64_t sent);
    asio::awaitable<error_code> last_heard(error_code write_error);
    /// Deals with an event nobody waits for; the code of a refusal.
    error_code on_event(const rtmp::Event& event);
    error_code drain();
    bool fails(error_code code);
    bool server_is_frozen(Clock::time_point now);
    /// The server has taken or said nothing for too long, unless it was the run that had no time left.
    error_code out_of_patience() const {
        if (run_.env().now() >= run_.deadline()) return asio::error::timed_out;
        return PushError::frozen;
    }
    static bool cancelled(asio::cancellation_state state) {
        return state.cancelled() != asio::cancellation_type::none;
    }

    Link& link_;
    const Plan& plan_;
    ProbeRun& run_;
    Clock::time_point sent_at_{};  // of our last command
    Phase phase_ = handshake;
    std::string status_{};   // code of the refusal
    bool accepted_ = false;  // enough media without a close
    bool pongs_ = false;     // the server answers pings
    bool last_pong_ = false;
    std::uint64_t acknowledged_ = 0;       // as last seen
    std::uint64_t tcp_acked_ = 0;          // as last seen
    std::uint64_t ack_step_ = ack_window;  // the longest way between two acknowledgements
    Clock::time_point progress_at_{};      // when one of the two last grew
    Clock::duration longest_stall_{};
    SentLog sent_;
    std::optional<Audience> audience_{};
    std::vector<Viewed> viewed_{};
};

bool is_hang_up(const error_code& code) {
    const Reason reason = reason_of(code);
    return reason == Reason::closed || reason == Reason::reset;
}

std::string status_text(const rtmp::Status& status) {
    return status.command + " " + status.level + " " + status.code +
           (status.description.empty() ? "" : ": " + status.description);
}

error_code Talk::on_event(const rtmp::Event& event) {
    return std::visit(
        Overloaded{
            [&](const rtmp::Refused& refused) -> error_code {
                run_.saw("status", status_text(refused.status));
                if (!refused.redirect.empty()) run_.saw("redirect", refused.redirect);
                if (!refused.authmod.empty()) run_.saw("authmod", refused.authmod);
                if (!refused.reason.empty()) run_.saw("refusal_reason", refused.reason);
                status_ = refused.status.code;
                return refused.error;
            },
            [&](const rtmp::ServerClosed&) -> error_code { return rtmp::Error::closed_by_command; },
            [&](const rtmp::StatusSeen& seen) -> error_code {
                run_.saw("other_status", status_text(seen.status));
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
    const auto tcp = link_.connection.tcp_facts();
    const auto acknowledged = link_.session.bytes_acknowledged();
    if (acknowledged_ > 0 && acknowledged > acknowledged_)
        ack_step_ = std::max(ack_step_, acknowledged - acknowledged_);
    const bool owes_ack = acknowledged > 0 && link_.session.bytes_out() - acknowledged > 3 * ack_step_;
    const bool owes_tcp = tcp.unacked_segments > 0 || tcp.not_sent_bytes > 0;
    const bool tcp_grew = tcp.bytes_acked > tcp_acked_;
    if (acknowledged > acknowledged_ || (!owes_ack && (tcp_grew || !owes_tcp))) progress_at_ = now;
    acknowledged_ = std::max(acknowledged_, acknowledged);
    tcp_acked_ = tcp.bytes_acked;
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
    link_.connection.quick_ack(false);

    run_.enter(phase_ = media, link_.read_at);
    co_await play();
    run_.found(stall_seconds, std::chrono::duration<double>(longest_stall_).count());
}

/// Gives the name back and waits shortly for the answer, whatever went before.
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

asio::awaitable<bool> open(net::Connection& connection, const Plan& plan, ProbeRun& run) {
    net::tcp::endpoint endpoint;
    if (plan.address) {
        endpoint = {*plan.address, plan.url.port};
    } else {
        run.enter(dns);
        auto found = co_await run.env().dns->resolve(plan.url.host, plan.url.port, run.deadline());
        if (!found) {
            run.fingerprint("dns " + std::string(to_string(reason_of(found.error()))));
            run.failed(found.error());
            co_return false;
        }
        std::string chain;
        for (const auto& name : found->cname_chain) chain += (chain.empty() ? "" : " → ") + name;
        if (!chain.empty()) run.saw("cname", chain);
        error_code is_name;
        asio::ip::make_address(plan.url.host, is_name);
        if (is_name) {
            const auto six =
                std::ranges::count_if(found->endpoints, [](const auto& e) { return e.address().is_v6(); });
            const auto all = static_cast<std::ptrdiff_t>(found->endpoints.size());
            run.found(resolved_addresses, static_cast<double>(all - six), "ipv4");
            run.found(resolved_addresses, static_cast<double>(six), "ipv6");
            run.saw("addresses", std::to_string(all));
            run.saw("ttl", std::to_string(found->ttl.count()) + " s");
        }
        endpoint = found->endpoints.front();
    }
    run.enter(tcp);
    run.saw("address", endpoint.address().to_string() + ":" + std::to_string(endpoint.port()));
    if (const auto code = co_await connection.connect(endpoint, run.deadline())) {
        run.fingerprint("tcp " + std::string(to_string(reason_of(code))));
        run.failed(code);
        co_return false;
    }
    if (!plan.url.tls) co_return true;

    run.enter(tls);
    net::TlsFacts facts;
    net::TlsOptions options;
    options.server_name = plan.url.host;
    options.ca_file = plan.ca_file;
    const auto code = co_await connection.start_tls(std::move(options), run.deadline(), facts);
    if (facts.not_after) {
        run.found(certificate_end,
                  std::chrono::duration<double>(facts.not_after->time_since_epoch()).count());
        run.saw("certificate", facts.subject + ", issued by " + facts.issuer);
    }
    if (!facts.version.empty()) run.saw("tls", facts.version + " " + facts.cipher);
    if (code) {
        if (facts.verify_code != 0)
            run.saw("verify", std::to_string(facts.verify_code) + " " + facts.verify_text);
        run.fingerprint("tls " + std::string(to_string(reason_of(code))));
        run.failed(code);
        co_return false;
    }
    co_return true;
}

}  // namespace

asio::awaitable<std::vector<Viewed>> push(const Plan& plan, ProbeRun& run) {
    const auto executor = co_await asio::this_coro::executor;
    rtmp::PublishOptions options;
    options.app = plan.url.app;
    options.tc_url = plan.url.tc_url();
    options.stream_name = plan.url.publish_name();
    options.chunk_size = plan.chunk_size;
    options.digest_handshake = plan.digest_handshake;
    if (const auto wrong = rtmp::check(options)) {
        run.inconclusive(wrong.message());
        run.failed(PushError::bad_session);
        co_return std::vector<Viewed>{};
    }
    const auto is_cut = [](asio::cancellation_state state) {
        return state.cancelled() != asio::cancellation_type::none;
    };
    net::Connection connection(executor);
    if (!co_await open(connection, plan, run)) {
        if (is_cut(co_await asio::this_coro::cancellation_state)) run.cut();
        connection.close();
        co_return std::vector<Viewed>{};
    }
    run.enter(handshake);
    std::array<std::uint8_t, rtmp::handshake_random_size> random;
    for (auto& byte : random) byte = static_cast<std::uint8_t>(run.env().random());
    Link link(executor, std::move(connection), std::move(options), 0, random);
    link.reading = true;
    // Its end is waited for below, so it may hold references to this frame.
    auto ended = [&link](const std::exception_ptr& bug) {
        link.bug = bug;
        if (bug) link.read_error = asio::error::operation_aborted;
        link.reading = false;
        link.changed.cancel();
    };
    asio::co_spawn(executor, read_all(link, run.deadline() + farewell_patience), ended);

    Talk talk(link, plan, run);
    std::exception_ptr bug;
    try {
        co_await talk.whole();
    } catch (...) {
        bug = std::current_exception();
    }
    if (is_cut(co_await asio::this_coro::cancellation_state)) run.cut();
    // A run that is cut still says goodbye: a name left behind is busy for the next one.
    co_await asio::this_coro::reset_cancellation_state();
    co_await talk.dismiss();
    co_await talk.farewell();
    if (talk.was_accepted()) talk.tell(ended_event);
    if (is_cut(co_await asio::this_coro::cancellation_state)) run.cut();
    link.connection.close();
    while (link.reading) {
        link.changed.expires_at(Clock::time_point::max());
        co_await link.changed.async_wait(no_throw);
    }
    run.found(sent_bytes, static_cast<double>(link.session.bytes_out()));
    run.found(acked_bytes, static_cast<double>(link.session.bytes_acknowledged()));
    if (bug || link.bug) std::rethrow_exception(bug ? bug : link.bug);
    co_return talk.take_viewed();
}

}  // namespace livecanary::rtmp_push
