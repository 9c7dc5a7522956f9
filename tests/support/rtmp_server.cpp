#include "tests/support/rtmp_server.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "probes/protocol/push_url.hpp"
#include "probes/protocol/rtmp/big_endian.hpp"
#include "probes/protocol/rtmp/handshake.hpp"
#include "tests/support/task.hpp"

namespace livecanary::test {

namespace rtmp = protocol::rtmp;
using asio::ip::tcp;
using rtmp::AmfNull;
using rtmp::AmfObject;
using rtmp::AmfValue;
using rtmp::Message;
using rtmp::MessageType;
using Bytes = std::vector<std::uint8_t>;

bool RtmpHeard::has(std::string_view command) const { return std::ranges::count(commands, command) > 0; }

namespace rtmp_says {
namespace {

Message control(MessageType type, Bytes payload) {
    return {.type = type,
            .timestamp = 0,
            .message_stream_id = 0,
            .chunk_stream_id = 2,
            .payload = std::move(payload)};
}
Message number(MessageType type, std::uint32_t value) {
    Bytes payload;
    rtmp::append_be(value, 4, payload);
    return control(type, std::move(payload));
}
AmfValue info(const char* level, const char* code, const char* description) {
    return AmfObject{{{"level", level}, {"code", code}, {"description", description}}};
}
Message stream_status(const AmfValue& status) {
    return rtmp::encode_command("onStatus", 0, {AmfNull{}, status}, 5, 1);
}

}  // namespace

RtmpAnswer connected(const RtmpHeard& heard) {
    Message bandwidth = number(MessageType::set_peer_bandwidth, 5'000'000);
    bandwidth.payload.push_back(2);
    const AmfObject server{{{"fmsVer", "FMS/3,0,1,123"}, {"capabilities", 31}}};
    return {.messages = {
                number(MessageType::window_ack_size, 5'000'000), std::move(bandwidth),
                number(MessageType::set_chunk_size, 4096),
                rtmp::encode_command("_result", heard.transaction,
                                     {server, info("status", "NetConnection.Connect.Success", "")}, 3, 0)}};
}
RtmpAnswer created(const RtmpHeard& heard) {
    return {.messages = {rtmp::encode_command("_result", heard.transaction, {AmfNull{}, 1}, 3, 0)}};
}
RtmpAnswer started(const RtmpHeard&) { return {.messages = {status("status", "NetStream.Publish.Start")}}; }
RtmpAnswer unpublished(const RtmpHeard&) {
    return {.messages = {status("status", "NetStream.Unpublish.Success")}};
}
RtmpAnswer played(const RtmpHeard&) {
    return {.messages = {status("status", "NetStream.Play.Start")}, .relay = RtmpRelay{}};
}
Message status(const char* level, const char* code, const char* description) {
    return stream_status(info(level, code, description));
}
Message fc_publish() {
    return rtmp::encode_command("onFCPublish", 0,
                                {AmfNull{}, info("status", "NetStream.Publish.Start", "Started")}, 5, 1);
}
Message close() { return rtmp::encode_command("close", 0, {AmfNull{}}, 3, 0); }
Message error(const RtmpHeard& heard, const char* code, const char* description, const char* redirect) {
    AmfObject status{{{"level", "error"}, {"code", code}, {"description", description}}};
    if (redirect != nullptr)
        status.members.push_back({"ex", AmfObject{{{"code", 302}, {"redirect", redirect}}}});
    return rtmp::encode_command("_error", heard.transaction, {AmfNull{}, std::move(status)}, 3, 0);
}

}  // namespace rtmp_says

RtmpAnswers always(RtmpAnswer answer) {
    return [answer = std::move(answer)](const RtmpHeard&) { return answer; };
}
RtmpAnswers always(Then then) { return always(RtmpAnswer{.then = then}); }
RtmpAnswers always(Message message, Then then) {
    return always(RtmpAnswer{.messages = {std::move(message)}, .then = then});
}
RtmpAnswers after(RtmpAnswers answers, Then then) {
    return [answers = std::move(answers), then](const RtmpHeard& heard) {
        RtmpAnswer answer = answers(heard);
        answer.then = then;
        return answer;
    };
}
RtmpAnswers after(RtmpAnswers answers, Message message, Then then) {
    return [answers = after(std::move(answers), then), message = std::move(message)](const RtmpHeard& heard) {
        RtmpAnswer answer = answers(heard);
        answer.messages.push_back(message);
        return answer;
    };
}

RtmpAnswer RtmpCloud::judge(const RtmpHeard& heard, std::chrono::sys_seconds now) const {
    const auto url = protocol::parse_push_url(heard.tc_url + "/" + heard.publish_name);
    if (!url || !domains.contains(url->host)) return unknown_domain;
    if (url->app != app) return unknown_app;
    if (auth) {
        const auto check = protocol::check_push_url(*url, main_key, backup_key, now);
        if (time_first && check.expired()) return expired;
        if (!check.has_tx_secret || !check.secret.exact()) return wrong_secret;
        if (!check.expires || check.expired()) return expired;
        const auto& bizid = check.bizid;
        if (bizid.query && bizid.domain_label && *bizid.query != *bizid.domain_label) return unknown_domain;
    }
    if (busy.contains(url->stream_name)) return name_busy;
    return rtmp_says::started(heard);
}

RtmpStory judged_by(const RtmpCloud& cloud) {
    RtmpStory story;
    story.on_publish = [&cloud](const RtmpHeard& heard) {
        return cloud.judge(heard, std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
    };
    return story;
}

namespace {

/// Two minutes of a test stream. Who pushes for longer plays nothing from its beginning.
constexpr std::size_t most_published = 10'000;

bool is_media(const Message& message) {
    return message.type == MessageType::audio || message.type == MessageType::video ||
           message.type == MessageType::data_amf0;
}
/// FLV, annex E.4.2.1 and E.4.3.1: of AVC and AAC.
bool is_codec_header(const Message& message) {
    return message.type != MessageType::data_amf0 && message.payload.size() > 1 && message.payload[1] == 0;
}
bool is_keyframe(const Message& message) {
    return message.type == MessageType::video && message.payload.size() > 1 && message.payload[0] == 0x17 &&
           message.payload[1] == 1;
}

}  // namespace

struct ScriptedRtmpServer::State : std::enable_shared_from_this<State> {
    State(asio::io_context& io, RtmpStory played)
        : acceptor(io), story(std::move(played)), news(io, Clock::time_point::max()) {}

    void accept();
    void publish(const Message& message);

    tcp::acceptor acceptor;
    RtmpStory story;
    std::deque<RtmpHeard> heard{};
    std::vector<std::shared_ptr<Talk>> talks{};
    std::vector<Message> published{};
    std::vector<std::weak_ptr<Talk>> players{};
    asio::steady_timer news;  // cancelled at each message that is published
    bool closing = false;
};

/// The server's side of one connection. Held by its coroutine.
class ScriptedRtmpServer::Talk : public std::enable_shared_from_this<Talk> {
public:
    Talk(const std::shared_ptr<State>& state, tcp::socket socket, RtmpHeard& heard)
        : state_(state), story_(state->story), socket_(std::move(socket)), heard_(heard) {
        socket_.set_option(tcp::no_delay(true));
    }

    static asio::awaitable<void> serve(std::shared_ptr<Talk> self) {
        co_await self->talk();
        if (self->reads_) co_await self->read_away();
    }
    void stop() {
        error_code ignored;
        socket_.close(ignored);
    }
    void release() {
        if (held_) end(Then::finish);
    }
    /// Passes on what is published, to a player.
    void relay(const Message& message);

private:
    asio::awaitable<void> talk();
    asio::awaitable<bool> shake_hands();
    asio::awaitable<bool> on_message(const Message& message);
    asio::awaitable<bool> on_command(const Message& message);
    asio::awaitable<bool> give(const RtmpAnswers& answers);
    asio::awaitable<bool> say(Bytes bytes);
    asio::awaitable<bool> say(const Message& message) {
        Bytes bytes;
        writer_.write(message, bytes);
        return say(std::move(bytes));
    }
    asio::awaitable<bool> read(std::size_t at_most);
    asio::awaitable<bool> acknowledge();
    void start_relay(RtmpRelay relay);
    void queue(const Bytes& bytes);
    static asio::awaitable<void> write_queue(std::shared_ptr<Talk> self);
    asio::awaitable<void> read_away();
    bool end(Then then);

    std::shared_ptr<State> state_;  // keeps `heard_`
    const RtmpStory story_;
    tcp::socket socket_;
    RtmpHeard& heard_;
    rtmp::ChunkReader reader_{};
    rtmp::ChunkWriter writer_{};
    Bytes input_{};  // read and not looked at
    std::uint64_t acknowledged_ = 0;
    std::uint64_t reads_so_far_ = 0;
    std::optional<std::uint64_t> last_word_at_{};  // reads_so_far_ then
    bool reads_ = true;
    bool held_ = false;
    std::optional<RtmpRelay> relay_{};  // from then on all that is said goes through `queue_`
    std::size_t relayed_ = 0;
    Bytes queue_{};
    bool writes_queue_ = false;
};

void ScriptedRtmpServer::State::accept() {
    acceptor.async_accept([self = shared_from_this()](error_code code, tcp::socket socket) {
        if (code || self->closing) return;
        const auto executor = socket.get_executor();
        auto talk = std::make_shared<Talk>(self, std::move(socket), self->heard.emplace_back());
        self->talks.push_back(talk);
        asio::co_spawn(executor, Talk::serve(std::move(talk)), asio::detached);
        self->accept();
    });
}

/// Does what comes after an answer. True if the talk goes on.
bool ScriptedRtmpServer::Talk::end(Then then) {
    error_code ignored;
    if (then == Then::go_on) return true;
    if (then == Then::hold) held_ = true;
    if (then == Then::freeze) reads_ = false;
    if (then == Then::finish) socket_.shutdown(tcp::socket::shutdown_send, ignored);
    if (then == Then::reset) {
        reads_ = false;
        heard_.ended = true;
        socket_.set_option(tcp::socket::linger(true, 0), ignored);
        socket_.close(ignored);
    }
    if (then == Then::finish || then == Then::reset) last_word_at_ = reads_so_far_;
    return false;
}

void ScriptedRtmpServer::State::publish(const Message& message) {
    if (published.size() < most_published) published.push_back(message);
    news.cancel();
    for (const auto& player : players)
        if (const auto talk = player.lock()) talk->relay(message);
}

void ScriptedRtmpServer::Talk::start_relay(RtmpRelay relay) {
    relay_ = std::move(relay);
    const auto& all = state_->published;
    for (const Message& message : all)
        if (is_codec_header(message)) this->relay(message);
    const auto last = std::find_if(all.rbegin(), all.rend(), is_keyframe);
    if (relay_->cached_group && last != all.rend())
        std::for_each(std::prev(last.base()), all.end(), [this](const Message& m) { this->relay(m); });
    state_->players.push_back(weak_from_this());
}

void ScriptedRtmpServer::Talk::relay(const Message& message) {
    if (relayed_ >= relay_->at_most) return;
    const auto edited = relay_->edit ? relay_->edit(message) : std::optional(message);
    if (!edited) return;
    Bytes bytes;
    writer_.write(*edited, bytes);
    if (++relayed_ == relay_->at_most)
        for (const Message& word : relay_->last_words) writer_.write(word, bytes);
    queue(bytes);
}

void ScriptedRtmpServer::Talk::queue(const Bytes& bytes) {
    queue_.insert(queue_.end(), bytes.begin(), bytes.end());
    if (std::exchange(writes_queue_, true)) return;
    asio::co_spawn(socket_.get_executor(), write_queue(shared_from_this()), asio::detached);
}

asio::awaitable<void> ScriptedRtmpServer::Talk::write_queue(std::shared_ptr<Talk> self) {
    while (!self->queue_.empty()) {
        const Bytes bytes = std::exchange(self->queue_, {});
        const auto [code, size] =
            co_await asio::async_write(self->socket_, asio::buffer(bytes), net::no_throw);
        self->heard_.said += size;
        if (code) co_return;  // `writes_queue_` stays: nothing more can be written
    }
    self->writes_queue_ = false;
    if (self->relayed_ >= self->relay_->at_most) self->end(self->relay_->then);
}

asio::awaitable<bool> ScriptedRtmpServer::Talk::say(Bytes bytes) {
    if (relay_) {
        queue(bytes);
        co_return true;
    }
    const auto left = story_.cut_after_said - heard_.said;
    const bool cut = bytes.size() >= left;
    if (cut) bytes.resize(static_cast<std::size_t>(left));
    const std::size_t step = story_.one_byte_at_a_time ? 1 : std::max<std::size_t>(bytes.size(), 1);
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        const auto piece = asio::buffer(bytes.data() + at, step);
        const auto [code, size] = co_await asio::async_write(socket_, piece, net::no_throw);
        heard_.said += size;
        if (code) co_return false;
        if (story_.one_byte_at_a_time) co_await asio::post(socket_.get_executor(), asio::use_awaitable);
    }
    co_return cut ? end(story_.cut) : true;
}

/// Reads at least one byte to `input_`. False if the connection or the story is over.
asio::awaitable<bool> ScriptedRtmpServer::Talk::read(std::size_t at_most) {
    std::array<std::uint8_t, 65536> buffer;
    const auto left = story_.cut_after_heard - heard_.bytes;
    if (left == 0) co_return end(story_.cut);
    const auto space = std::min<std::uint64_t>({at_most, left, buffer.size()});
    const auto to = asio::buffer(buffer.data(), static_cast<std::size_t>(space));
    const auto [code, size] = co_await socket_.async_read_some(to, net::no_throw);
    ++reads_so_far_;
    heard_.bytes += size;
    if (code) {
        heard_.ended = true;
        reads_ = false;
        co_return false;
    }
    input_.insert(input_.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
    co_return heard_.bytes < story_.cut_after_heard || end(story_.cut);
}

asio::awaitable<void> ScriptedRtmpServer::Talk::talk() {
    if (!end(story_.on_accept)) co_return;
    if (!co_await shake_hands()) co_return;
    for (;;) {
        while (auto message = reader_.next())
            if (!co_await on_message(*message)) co_return;
        if (!co_await acknowledge()) co_return;
        if (!co_await read(65536)) co_return;
        if (reader_.feed(std::exchange(input_, {}))) co_return;
    }
}

asio::awaitable<bool> ScriptedRtmpServer::Talk::shake_hands() {
    constexpr std::size_t c0_c1 = 1 + rtmp::handshake_part_size;
    while (input_.size() < c0_c1) {
        if (!co_await read(c0_c1 - input_.size())) co_return false;
        if (story_.looks_at_c0 && input_.front() != 3) co_return end(Then::finish);
    }
    if (story_.greeting) {
        Bytes bytes(story_.greeting->begin(), story_.greeting->end());
        if (co_await say(std::move(bytes))) end(Then::finish);
        co_return false;
    }
    if (!end(story_.on_c0_c1)) co_return false;
    Bytes answer{3};
    answer.resize(c0_c1, 0x5A);
    std::fill_n(answer.begin() + 5, 4, std::uint8_t{0});
    if (story_.wrong_s2)
        answer.resize(rtmp::handshake_size, 0xA5);
    else
        answer.insert(answer.end(), input_.begin() + 1, input_.end());
    input_.clear();
    if (!co_await say(std::move(answer))) co_return false;
    while (input_.size() < rtmp::handshake_part_size)
        if (!co_await read(rtmp::handshake_part_size - input_.size())) co_return false;
    input_.clear();
    co_return true;
}

asio::awaitable<bool> ScriptedRtmpServer::Talk::acknowledge() {
    const bool enough = heard_.timestamps.size() >= story_.acked_media;
    if (!story_.acks || enough || heard_.window_ack_size == 0) co_return true;
    if (heard_.bytes - acknowledged_ < heard_.window_ack_size) co_return true;
    acknowledged_ = heard_.bytes;
    const bool from_start = story_.ack_base == rtmp::AckBase::from_start;
    const auto count = heard_.bytes - (from_start ? 0 : rtmp::handshake_size);
    const Message ack = rtmp_says::number(MessageType::acknowledgement, static_cast<std::uint32_t>(count));
    co_return co_await say(ack);
}

asio::awaitable<bool> ScriptedRtmpServer::Talk::on_message(const Message& message) {
    switch (message.type) {
        case MessageType::set_chunk_size:
            heard_.chunk_size = reader_.chunk_size();
            break;
        case MessageType::window_ack_size:
            heard_.window_ack_size = static_cast<std::uint32_t>(rtmp::read_be(message.payload));
            break;
        case MessageType::user_control:
            if (message.payload.size() == 6 && message.payload[1] == 7)
                heard_.ping_answered =
                    static_cast<std::uint32_t>(rtmp::read_be(std::span(message.payload).subspan(2)));
            if (story_.pongs && message.payload.size() == 6 && message.payload[1] == 6) {
                Message pong = message;
                pong.payload[1] = 7;
                co_return co_await say(pong);
            }
            break;
        case MessageType::command_amf0:
            co_return co_await on_command(message);
        case MessageType::audio:
        case MessageType::video:
            heard_.timestamps.push_back(message.timestamp);
            [[fallthrough]];
        case MessageType::data_amf0:
            ++heard_.media_messages;
            state_->publish(message);
            if (reads_so_far_ > last_word_at_.value_or(reads_so_far_)) ++heard_.media_after_last_word;
            if (heard_.media_messages == story_.media_before) co_return co_await give(story_.on_media);
            break;
        default:
            break;
    }
    co_return true;
}

asio::awaitable<bool> ScriptedRtmpServer::Talk::on_command(const Message& message) {
    const auto command = rtmp::decode_command(message);
    if (!command) co_return false;
    heard_.commands.push_back(command->name);
    heard_.transaction = command->transaction;
    const auto& arguments = command->arguments;
    if (command->name == "connect" && !arguments.empty()) {
        heard_.app = arguments[0].string_at("app").value_or("");
        heard_.tc_url = arguments[0].string_at("tcUrl").value_or("");
        co_return co_await give(story_.on_connect);
    }
    if (command->name == "createStream") co_return co_await give(story_.on_create_stream);
    if (command->name == "publish" && arguments.size() > 1) {
        if (const auto* name = arguments[1].string()) heard_.publish_name = *name;
        state_->published.clear();
        const bool goes_on = co_await give(story_.on_publish);
        heard_.said_at_start = heard_.said;
        heard_.bytes_at_start = heard_.bytes;
        if (!goes_on || !story_.pings) co_return goes_on;
        const Message ping = rtmp_says::control(MessageType::user_control, {0, 6, 0, 0, 0, 9});
        co_return co_await say(ping);
    }
    if (command->name == "play" && arguments.size() > 1) {
        if (const auto* name = arguments[1].string()) heard_.play_name = *name;
        co_return co_await give(story_.on_play);
    }
    if (command->name == "deleteStream") co_return co_await give(story_.on_unpublish);
    co_return true;
}

asio::awaitable<bool> ScriptedRtmpServer::Talk::give(const RtmpAnswers& answers) {
    const RtmpAnswer answer = answers(heard_);
    while (state_->published.size() < answer.once_published && !state_->closing) {
        state_->news.expires_at(Clock::time_point::max());
        co_await state_->news.async_wait(net::no_throw);
    }
    do {
        // In one write, so that what belongs together arrives together.
        Bytes bytes;
        for (const Message& message : answer.messages) {
            const auto command = rtmp::decode_command(message);
            const AmfValue* info = command ? command->info() : nullptr;
            if (info != nullptr && info->string_at("level") == "error") last_word_at_ = reads_so_far_;
            writer_.write(message, bytes);
        }
        bytes.insert(bytes.end(), answer.raw.begin(), answer.raw.end());
        if (!bytes.empty() && !co_await say(std::move(bytes))) co_return false;
    } while (answer.endless);
    if (answer.relay) start_relay(*answer.relay);
    co_return end(answer.then);
}

/// Goes on keeping what the client says, with nothing to answer.
asio::awaitable<void> ScriptedRtmpServer::Talk::read_away() {
    std::array<std::uint8_t, 65536> buffer;
    for (;;) {
        const auto [code, size] = co_await socket_.async_read_some(asio::buffer(buffer), net::no_throw);
        heard_.bytes += size;
        if (code) break;
        if (reader_.feed(std::span(buffer).first(size))) continue;
        while (const auto message = reader_.next()) {
            if (is_media(*message) && message->type != MessageType::data_amf0 && last_word_at_)
                ++heard_.media_after_last_word;
            if (message->type != MessageType::command_amf0) continue;
            if (const auto command = rtmp::decode_command(*message)) heard_.commands.push_back(command->name);
        }
    }
    heard_.ended = true;
}

ScriptedRtmpServer::ScriptedRtmpServer(asio::io_context& io, RtmpStory story, int receive_buffer,
                                       const char* address, std::uint16_t port)
    : state_(std::make_shared<State>(io, std::move(story))) {
    auto& acceptor = state_->acceptor;
    acceptor.open(tcp::v4());
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    // Before listen(): the window a connection starts with depends on it (tcp(7)).
    if (receive_buffer > 0) acceptor.set_option(asio::socket_base::receive_buffer_size(receive_buffer));
    acceptor.bind({asio::ip::make_address(address), port});
    acceptor.listen();
    state_->accept();
}

ScriptedRtmpServer::~ScriptedRtmpServer() {
    state_->closing = true;
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->news.cancel();
    for (const auto& talk : state_->talks) talk->stop();
    state_->talks.clear();
}

std::uint16_t ScriptedRtmpServer::port() const { return state_->acceptor.local_endpoint().port(); }
const std::deque<RtmpHeard>& ScriptedRtmpServer::heard() const { return state_->heard; }
const std::vector<Message>& ScriptedRtmpServer::published() const { return state_->published; }
bool ScriptedRtmpServer::deserted() const { return std::ranges::all_of(heard(), &RtmpHeard::ended); }
void ScriptedRtmpServer::play(RtmpStory story) { state_->story = std::move(story); }
void ScriptedRtmpServer::release() {
    for (const auto& talk : state_->talks) talk->release();
}

}  // namespace livecanary::test
