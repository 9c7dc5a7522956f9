#include "probes/rtmp_push/playback.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "probes/core/error_table.hpp"
#include "probes/net/background.hpp"
#include "probes/net/connection.hpp"
#include "probes/net/http.hpp"
#include "probes/net/resolver.hpp"
#include "probes/protocol/m3u8.hpp"
#include "probes/protocol/rtmp/play_session.hpp"

namespace livecanary::rtmp_push {

error_code make_error_code(PlayError error) noexcept {
    using enum PlayError;
    static const ErrorTable<PlayError> table{
        "livecanary.playback",
        {{not_found, "the server has no such stream", Reason::not_found},
         {forbidden, "the server does not let us play the stream", Reason::forbidden},
         {http_status, "the server answers with an error status", Reason::rejected},
         {segment_not_found, "the playlist lists a segment that is not there", Reason::not_found},
         {no_media, "playing was granted and no media came", Reason::no_media},
         {undecodable, "media came, but no picture that can be shown", Reason::undecodable},
         {stalled, "the media stopped coming", Reason::stalled},
         {stale, "the playlist is old", Reason::stale},
         {foreign, "the pictures are those of another push", Reason::mismatch},
         {redirects, "sent on too often, or to nowhere", Reason::mismatch},
         {no_protocol, "the URL is none that can be played", Reason::local},
         {unsupported, "segments that this player cannot read (fMP4, encrypted or byte ranges)",
          Reason::local}}};
    return {static_cast<int>(error), table};
}

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
namespace rtmp = protocol::rtmp;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

/// A viewer of RTMP or HTTP-FLV who gets nothing for so long has a frozen picture: players buffer less.
constexpr auto stall_limit = 3s;
/// Between two questions for a stream that is not there yet: clouds take seconds to show a new one.
constexpr auto ask_again_after = 1s;
/// For deleteStream to go out.
constexpr auto farewell_patience = 200ms;
constexpr int most_redirects = 3;
/// Master playlists do not list master playlists; one level more does no harm.
constexpr int most_playlists_deep = 2;
constexpr std::size_t most_addresses = 16;
constexpr std::size_t read_size = 16384;

std::uint32_t wrapping_ms(Clock::time_point at) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<milliseconds>(at.time_since_epoch()).count());
}

}  // namespace

std::string_view to_string(PlayProtocol protocol) noexcept {
    switch (protocol) {
        case PlayProtocol::rtmp:
            return "rtmp";
        case PlayProtocol::http_flv:
            return "http-flv";
        case PlayProtocol::hls:
            return "hls";
    }
    return "rtmp";
}

std::optional<PlayProtocol> protocol_of(const protocol::PlayUrl& url) noexcept {
    if (url.scheme == "rtmp" || url.scheme == "rtmps") return PlayProtocol::rtmp;
    if (url.extension == ".flv") return PlayProtocol::http_flv;
    if (url.extension == ".m3u8") return PlayProtocol::hls;
    return std::nullopt;
}

/// One player at one address. Its coroutine is run(); what it learns stays here.
class Audience::Viewer {
public:
    Viewer(Audience& audience, const Viewing& viewing, std::size_t index)
        : audience_(audience), viewing_(viewing), env_(audience.env_), connection_(audience.executor_) {
        viewed_.viewing = index;
        // Also of a viewer whose name does not resolve.
        if (const auto protocol = protocol_of(viewing_.url)) viewed_.protocol = *protocol;
        viewed_.host = viewing_.url.host;
        give_up_ = env_.now() + viewing_.wait;
        viewed_.cut_short = give_up_ > audience.latest_;
        if (viewed_.cut_short) give_up_ = audience.latest_;
    }

    asio::awaitable<void> run();
    bool content() const noexcept { return done_ || (reception_ && reception_->complete()); }
    Viewed take();
    void failed(error_code code) {
        viewed_.code = code;
        done_ = true;
    }

private:
    asio::awaitable<error_code> find_address();
    asio::awaitable<error_code> connect(const std::string& host, std::uint16_t port, bool with_tls);
    asio::awaitable<error_code> play();
    asio::awaitable<error_code> play_rtmp();
    asio::awaitable<error_code> play_flv();
    asio::awaitable<error_code> play_hls();
    /// GET, following redirects; `url` becomes the one that answered. The status is 200 if there is no error.
    asio::awaitable<error_code> get(std::string& url, net::HttpHead& head);
    asio::awaitable<error_code> load_text(std::string& url, std::string& text);
    asio::awaitable<error_code> load_playlist(std::string& url, protocol::MediaPlaylist& playlist);
    asio::awaitable<error_code> fetch_segment(const std::string& playlist_url,
                                              const protocol::MediaSegment& segment);
    asio::awaitable<void> sleep_until(Clock::time_point at);

    error_code on_event(rtmp::PlaySession& session, const rtmp::PlayEvent& event);
    void asked() {
        viewed_.asked = true;
        reception_.emplace(audience_.log_, env_.now());
    }
    bool some_media() const noexcept { return reception_ && reception_->received().first_media.has_value(); }
    /// Until when the next bytes must be there.
    Clock::time_point patience() const noexcept;
    /// The run has no more time for this viewer, or the stream did not become what it should in time.
    bool time_is_up() const noexcept {
        const auto now = env_.now();
        return audience_.leaving_ || now >= audience_.latest_ ||
               (now >= give_up_ && !(reception_ && reception_->complete()));
    }
    error_code verdict(error_code ended) const;

    Audience& audience_;
    Viewing viewing_;
    Env& env_;
    net::Connection connection_;
    std::optional<net::HttpExchange> exchange_{};
    std::string connected_to_{};  // scheme, host and port
    std::optional<asio::ip::address> address_{};
    Clock::time_point give_up_{};
    std::optional<Reception> reception_{};
    Viewed viewed_{};
    bool granted_ = false;  // NetStream.Play.Start has come
    bool done_ = false;
    std::array<std::uint8_t, read_size> buffer_{};
};

struct Audience::Seat {
    Seat(Audience& audience, const Viewing& viewing, std::size_t index) : viewer(audience, viewing, index) {}
    Viewer viewer;
    net::Background watching{};
};

Clock::time_point Audience::Viewer::patience() const noexcept {
    // The signal to leave ends what is under way; what follows it must not begin.
    if (audience_.leaving_) return env_.now();
    const bool complete = reception_ && reception_->complete();
    const auto limit = complete ? audience_.latest_ : give_up_;
    // HLS comes in segments, with as much time between them as they last.
    return some_media() && viewed_.protocol != PlayProtocol::hls
               ? std::min<Clock::time_point>(limit, reception_->received().last_media + stall_limit)
               : limit;
}

asio::awaitable<void> Audience::Viewer::sleep_until(Clock::time_point at) {
    asio::steady_timer timer(audience_.executor_, at);
    co_await timer.async_wait(no_throw);
}

asio::awaitable<void> Audience::Viewer::run() {
    co_await asio::this_coro::throw_if_cancelled(false);
    error_code code = co_await find_address();
    while (!code) {
        code = co_await play();
        connection_.close();
        connected_to_.clear();
        // A stream that has just begun takes its time to show up everywhere.
        if (code != PlayError::not_found || some_media()) break;
        if (audience_.leaving_ || env_.now() + ask_again_after >= give_up_) break;
        co_await sleep_until(env_.now() + ask_again_after);
        if (audience_.leaving_) break;
        code = {};
    }
    viewed_.code = verdict(code);
    done_ = true;
}

asio::awaitable<error_code> Audience::Viewer::find_address() {
    if (viewing_.address) {
        address_ = viewing_.address;
        co_return error_code{};
    }
    const auto found = co_await env_.dns->resolve(viewing_.url.host, viewing_.url.port, patience());
    if (!found) co_return found.error();
    address_ = found->endpoints.front().address();
    if (!viewing_.every_address) co_return error_code{};
    const std::size_t count = std::min(found->endpoints.size(), most_addresses);
    for (std::size_t i = 1; i < count; ++i) {
        Viewing other = viewing_;
        other.address = found->endpoints[i].address();
        audience_.seat(other, viewed_.viewing);
    }
    co_return error_code{};
}

/// To the viewer's own address if it is the URL's host, else to the first of that name.
asio::awaitable<error_code> Audience::Viewer::connect(const std::string& host, std::uint16_t port,
                                                      bool with_tls) {
    const std::string wanted = (with_tls ? "tls " : "") + host + " " + std::to_string(port);
    if (connection_.is_open() && connected_to_ == wanted) co_return error_code{};
    connection_.close();
    exchange_.reset();
    connected_to_.clear();
    net::tcp::endpoint endpoint(address_.value(), port);
    if (host != viewing_.url.host) {
        const auto found = co_await env_.dns->resolve(host, port, patience());
        if (!found) co_return found.error();
        endpoint = found->endpoints.front();
    }
    viewed_.address = (endpoint.address().is_v6() ? "[" + endpoint.address().to_string() + "]"
                                                  : endpoint.address().to_string()) +
                      ":" + std::to_string(port);
    if (const auto code = co_await connection_.connect(endpoint, patience())) co_return code;
    if (with_tls) {
        net::TlsOptions options;
        options.server_name = host;
        options.ca_file = viewing_.ca_file;
        net::TlsFacts facts;
        const auto code = co_await connection_.start_tls(std::move(options), patience(), facts);
        if (facts.verify_code != 0) viewed_.said = facts.verify_text;
        if (code) co_return code;
    }
    connected_to_ = wanted;
    co_return error_code{};
}

asio::awaitable<error_code> Audience::Viewer::play() {
    const auto protocol = protocol_of(viewing_.url);
    if (!protocol) co_return PlayError::no_protocol;
    viewed_.said.clear();
    switch (*protocol) {
        case PlayProtocol::rtmp:
            co_return co_await play_rtmp();
        case PlayProtocol::http_flv:
            co_return co_await play_flv();
        case PlayProtocol::hls:
            co_return co_await play_hls();
    }
    co_return PlayError::no_protocol;
}

error_code Audience::Viewer::on_event(rtmp::PlaySession& session, const rtmp::PlayEvent& event) {
    if (std::holds_alternative<rtmp::HandshakeDone>(event)) {
        viewed_.greeted = true;
        session.connect();
    } else if (std::holds_alternative<rtmp::Connected>(event)) {
        session.create_stream();
    } else if (std::holds_alternative<rtmp::StreamCreated>(event)) {
        session.play();
        asked();
    } else if (std::holds_alternative<rtmp::PlayStarted>(event)) {
        granted_ = true;
    } else if (const auto* refused = std::get_if<rtmp::Refused>(&event)) {
        viewed_.said = refused->status.code;
        if (!refused->status.description.empty()) viewed_.said += ": " + refused->status.description;
        if (rtmp::same_code(refused->status.code, "NetStream.Play.StreamNotFound"))
            return PlayError::not_found;
        if (rtmp::same_code(refused->status.code, "NetStream.Play.Failed")) return PlayError::forbidden;
        return refused->error;
    } else if (const auto* ended = std::get_if<rtmp::PlayEnded>(&event)) {
        viewed_.said = ended->status.code.empty() ? ended->status.command : ended->status.code;
        return rtmp::Error::playback_ended;
    } else if (std::holds_alternative<rtmp::ServerClosed>(event)) {
        return rtmp::Error::closed_by_command;
    }
    return {};
}

asio::awaitable<error_code> Audience::Viewer::play_rtmp() {
    const auto& url = viewing_.url;
    rtmp::PlayOptions options;
    options.app = url.app;
    options.tc_url = protocol::PushUrl{
        .tls = url.scheme == "rtmps",
        .host = url.host,
        .port = url.port,
        .app = url.app,
        .stream_name = {},
        .query = {}}.tc_url();
    options.stream_name = url.stream_name + (url.query.empty() ? "" : "?" + url.query);
    if (rtmp::check(options)) co_return PlayError::no_protocol;
    if (const auto code = co_await connect(url.host, url.port, url.scheme == "rtmps")) co_return code;

    std::array<std::uint8_t, rtmp::handshake_random_size> random;
    for (auto& byte : random) byte = static_cast<std::uint8_t>(env_.random());
    rtmp::PlaySession session(std::move(options), 0, random);
    session.start();
    error_code code;
    while (!code) {
        const auto out = session.take_output();
        if (!out.empty()) {
            const net::Moved written = co_await connection_.write(out, patience());
            if ((code = written.code)) break;
        }
        const net::Moved read = co_await connection_.read_some(buffer_, patience());
        if ((code = read.code)) break;
        if (reception_) reception_->bytes(read.at);
        code = session.feed(std::span(buffer_).first(read.size), wrapping_ms(read.at));
        while (const auto event = session.next_event())
            if (const auto said = on_event(session, *event); said && !code) code = said;
        for (const auto& tag : session.take_media())
            if (reception_) reception_->tag(tag, read.at);
        if (!code && time_is_up()) code = asio::error::timed_out;
    }
    // A server that is told counts one viewer less at once.
    session.stop();
    co_await asio::this_coro::reset_cancellation_state();
    const auto goodbye = session.take_output();
    if (!goodbye.empty()) {
        const auto written = co_await connection_.write(goodbye, env_.now() + farewell_patience);
        if (written.code && !code) code = written.code;
    }
    co_return code;
}

asio::awaitable<error_code> Audience::Viewer::get(std::string& url, net::HttpHead& head) {
    for (int redirects = 0; redirects <= most_redirects; ++redirects) {
        const auto parsed = net::parse_http_url(url);
        if (!parsed) co_return PlayError::redirects;
        if (exchange_ && !exchange_->keeps_alive()) connection_.close();
        if (const auto code = co_await connect(parsed->host, parsed->port, parsed->tls)) co_return code;
        net::HttpRequest request;
        request.target = parsed->target;
        request.host = parsed->host_header();
        request.headers = {{"User-Agent", "livecanary"}, {"Accept", "*/*"}};
        exchange_.emplace(connection_);
        const auto answer = co_await exchange_->send(request, patience());
        if (!answer) co_return answer.error();
        head = *answer;
        if (reception_) reception_->bytes(head.first_byte_at);
        viewed_.said = "HTTP " + std::to_string(head.status);
        if (head.status == 200) co_return error_code{};
        if (head.status == 404) co_return PlayError::not_found;
        if (head.status == 401 || head.status == 403) co_return PlayError::forbidden;
        if (head.status < 301 || head.status > 308) co_return PlayError::http_status;
        const auto next = net::resolve_reference(url, head.header("Location"));
        if (!next) co_return PlayError::redirects;
        url = *next;
    }
    co_return PlayError::redirects;
}

asio::awaitable<error_code> Audience::Viewer::play_flv() {
    asked();
    std::string url = viewing_.url.to_string();
    net::HttpHead head;
    if (const auto code = co_await get(url, head)) co_return code;
    protocol::FlvReader reader;
    std::vector<protocol::FlvTag> tags;
    for (;;) {
        const auto size = co_await exchange_->read_body(buffer_, patience());
        if (!size) co_return size.error();
        if (*size == 0) co_return error_code(asio::error::eof);
        const auto code = reader.feed(std::span(buffer_).first(*size), tags);
        for (const auto& tag : tags) reception_->tag(tag, exchange_->last_read_at());
        tags.clear();
        if (code) co_return code;
        if (time_is_up()) co_return error_code(asio::error::timed_out);
    }
}

asio::awaitable<error_code> Audience::Viewer::load_text(std::string& url, std::string& text) {
    net::HttpHead head;
    if (const auto code = co_await get(url, head)) co_return code;
    text.clear();
    for (;;) {
        const auto size = co_await exchange_->read_body(buffer_, patience());
        if (!size) co_return size.error();
        if (*size == 0) co_return error_code{};
        if (text.size() + *size > protocol::max_playlist_size) co_return protocol::M3u8Error::too_long;
        text.append(reinterpret_cast<const char*>(buffer_.data()), *size);
    }
}

/// The media playlist at `url`, or the first one that a master playlist there lists; `url` becomes its own.
asio::awaitable<error_code> Audience::Viewer::load_playlist(std::string& url,
                                                            protocol::MediaPlaylist& playlist) {
    std::string text;
    for (int depth = 0; depth <= most_playlists_deep; ++depth) {
        if (const auto code = co_await load_text(url, text)) co_return code;
        auto parsed = protocol::parse_m3u8(text);
        if (!parsed) co_return parsed.error();
        if (auto* media = std::get_if<protocol::MediaPlaylist>(&*parsed)) {
            playlist = std::move(*media);
            co_return error_code{};
        }
        const auto next =
            net::resolve_reference(url, std::get<protocol::MasterPlaylist>(*parsed).variants.front().uri);
        if (!next) co_return next.error();
        url = *next;
    }
    co_return PlayError::redirects;
}

asio::awaitable<error_code> Audience::Viewer::fetch_segment(const std::string& playlist_url,
                                                            const protocol::MediaSegment& segment) {
    auto url = net::resolve_reference(playlist_url, segment.uri);
    if (!url) co_return url.error();
    net::HttpHead head;
    if (const auto code = co_await get(*url, head))
        co_return code == PlayError::not_found ? error_code(PlayError::segment_not_found) : code;
    protocol::TsDemux demux;
    std::vector<protocol::TsUnit> units;
    for (;;) {
        const auto size = co_await exchange_->read_body(buffer_, patience());
        if (!size) co_return size.error();
        error_code code;
        if (*size > 0)
            code = demux.feed(std::span(buffer_).first(*size), units);
        else
            demux.finish(units);
        for (const auto& unit : units) reception_->unit(unit, exchange_->last_read_at());
        units.clear();
        if (code) co_return code;
        if (*size == 0) break;
    }
    ++viewed_.segments;
    viewed_.segment_duration =
        std::max(viewed_.segment_duration, milliseconds(std::llround(segment.duration * 1000)));
    co_return error_code{};
}

asio::awaitable<error_code> Audience::Viewer::play_hls() {
    asked();
    std::string url = viewing_.url.to_string();
    protocol::HlsReload reload;
    protocol::MediaPlaylist playlist;
    for (;;) {
        const auto began = env_.now();
        if (const auto code = co_await load_playlist(url, playlist)) co_return code;
        if (playlist.fragmented_mp4 || playlist.encrypted || playlist.byte_ranges)
            co_return PlayError::unsupported;
        const auto update = reload.loaded(playlist, began, env_.now());
        viewed_.target_duration = playlist.target_duration;
        viewed_.missed += update.missed;
        viewed_.went_back += update.restarted ? 1 : 0;
        viewed_.playlist_age =
            std::max(viewed_.playlist_age, std::chrono::duration_cast<milliseconds>(update.age));
        if (update.stale || playlist.end_list) co_return PlayError::stale;
        for (const auto& segment : update.new_segments) {
            if (segment.gap) continue;
            if (const auto code = co_await fetch_segment(url, segment)) co_return code;
        }
        if (time_is_up()) co_return error_code(asio::error::timed_out);
        co_await sleep_until(std::min(update.load_again_at.value_or(audience_.latest_), patience()));
    }
}

/// What it means that playing ended with `ended`.
error_code Audience::Viewer::verdict(error_code ended) const {
    const Received none;
    const Received& received = reception_ ? reception_->received() : none;
    const bool ours = ended == asio::error::operation_aborted || reason_of(ended) == Reason::timeout;
    if (!ours && ended) return ended;
    if (some_media() && viewed_.protocol != PlayProtocol::hls &&
        env_.now() - received.last_media >= stall_limit)
        return PlayError::stalled;
    if (reception_ && reception_->complete()) return {};
    // Why there is no picture, from the last thing that worked.
    const bool answered = viewed_.protocol == PlayProtocol::rtmp ? granted_ : received.first_byte.has_value();
    if (!reception_ || (!answered && !received.first_media)) return asio::error::timed_out;
    if (!received.first_media) return PlayError::no_media;
    if (received.foreign_stamps > 0 && received.own_stamps == 0)
        return viewed_.protocol == PlayProtocol::hls ? PlayError::stale : PlayError::foreign;
    if (!received.first_frame) return PlayError::undecodable;
    return {};
}

Viewed Audience::Viewer::take() {
    if (reception_) viewed_.received = reception_->received();
    return std::move(viewed_);
}

Audience::Audience(asio::any_io_executor executor, Env& env, const SentLog& log, Clock::time_point latest)
    : executor_(std::move(executor)), env_(env), log_(log), latest_(latest), gone_(executor_) {}

Audience::~Audience() = default;

void Audience::open(const std::vector<Viewing>& viewings) {
    for (std::size_t i = 0; i < viewings.size(); ++i) seat(viewings[i], i);
}

void Audience::seat(const Viewing& viewing, std::size_t index) {
    if (leaving_) return;
    Seat& seat = seats_.emplace_back(*this, viewing, index);
    // leave() waits for its end, so it may hold references.
    auto ended = [this, &seat](const std::exception_ptr& bug) {
        if (bug)
            seat.viewer.failed(
                boost::system::errc::make_error_code(boost::system::errc::state_not_recoverable));
        gone_.cancel();
    };
    seat.watching.start(executor_, seat.viewer.run(), ended);
}

bool Audience::content() const noexcept {
    return std::ranges::all_of(seats_, [](const Seat& seat) { return seat.viewer.content(); });
}

asio::awaitable<void> Audience::leave() {
    leaving_ = true;
    for (Seat& seat : seats_) seat.watching.stop();
    const auto watching = [](const Seat& seat) { return seat.watching.running(); };
    while (std::ranges::any_of(seats_, watching)) {
        gone_.expires_at(Clock::time_point::max());
        co_await gone_.async_wait(no_throw);
    }
}

std::vector<Viewed> Audience::take() {
    std::vector<Viewed> all;
    for (Seat& seat : seats_) all.push_back(seat.viewer.take());
    std::ranges::stable_sort(all, {}, &Viewed::viewing);
    return all;
}

}  // namespace livecanary::rtmp_push
