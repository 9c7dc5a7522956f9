#include "probes/rtmp_push/push.hpp"

#include <array>
#include <cstdint>
#include <exception>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "probes/core/error_table.hpp"
#include "probes/net/reach.hpp"
#include "probes/protocol/rtmp/session.hpp"
#include "probes/rtmp_push/link.hpp"
#include "probes/rtmp_push/talk.hpp"

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

namespace rtmp = protocol::rtmp;

/// What the name servers said, for people.
void note(const net::Lookup& found, const std::string& host, ProbeRun& run) {
    std::string chain;
    for (const auto& name : found.cname_chain) chain += (chain.empty() ? "" : " → ") + name;
    if (!chain.empty()) run.saw("cname", chain);
    error_code is_name;
    asio::ip::make_address(host, is_name);
    if (!is_name) return;
    run.saw("addresses", std::to_string(found.endpoints.size()));
    run.saw("ttl", std::to_string(found.ttl.count()) + " s");
}

asio::awaitable<bool> open(net::Connection& connection, const Plan& plan, ProbeRun& run) {
    net::Destination to{.host = plan.url.host,
                        .port = plan.url.port,
                        .tls = plan.url.tls,
                        .address = plan.address,
                        .ca_file = plan.ca_file};
    net::Lookup found;
    const auto code =
        co_await net::reach(connection, std::move(to), *run.env().dns, &run, run.deadline(), &found);
    if (!found.endpoints.empty()) note(found, plan.url.host, run);
    if (!code) co_return true;
    run.failed(code);
    run.fingerprint(std::string(run.so_far().failed_phase()) + " " + std::string(to_string(reason_of(code))));
    co_return false;
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
    start_reading(link, run.deadline() + farewell_patience);

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
    talk.tell_end();
    if (is_cut(co_await asio::this_coro::cancellation_state)) run.cut();
    link.connection.close();
    co_await join(link);
    run.found(sent_bytes, static_cast<double>(link.session.bytes_out()));
    run.found(acked_bytes, static_cast<double>(link.session.bytes_acknowledged()));
    if (bug || link.bug) std::rethrow_exception(bug ? bug : link.bug);
    co_return talk.take_viewed();
}

}  // namespace livecanary::rtmp_push
