#include "probes/protocol/rtmp/play_session.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include <boost/system/system_error.hpp>

#include "probes/protocol/rtmp/big_endian.hpp"

namespace livecanary::protocol::rtmp {
namespace {

constexpr std::uint32_t play_chunk_stream = 8;  // as ffmpeg has it
// The `start` of play: a live stream, or a recorded one of that name if there is none (RTMP 1.0 §7.2.2.1).
// In milliseconds, as ffmpeg and librtmp send it.
constexpr int live_or_recorded = -2000;

// A keyframe of a 50 Mb/s stream has about 1 MiB. Servers use about five chunk streams.
constexpr ChunkLimits player_limits{
    .message_bytes = 4 * 1024 * 1024, .chunk_streams = 16, .total_bytes = 8 * 1024 * 1024};
// Longest command that is looked at, as for a publisher: taking secrets out of text is quadratic in it.
constexpr std::size_t command_limit = 64 * 1024;

// Events that only inform, not taken; the others are few by themselves.
constexpr std::size_t note_limit = 256;
// Tags not taken: far more than a read and the largest message bring, unless all of them are empty.
constexpr std::size_t media_limit = 65536;
constexpr std::size_t media_bytes_limit = 16 * 1024 * 1024;

constexpr std::size_t tag_header_size = 11;
constexpr std::size_t back_pointer_size = 4;

PlayOptions checked(PlayOptions options) {
    if (const error_code error = check(options)) throw boost::system::system_error(error);
    return options;
}

Error error_of(Step step, const Status& status) noexcept {
    if (step == Step::connect) return Error::connect_refused;
    if (step == Step::create_stream) return Error::create_stream_refused;
    return same_code(status.code, "NetStream.Play.StreamNotFound") ? Error::stream_not_found
                                                                   : Error::play_refused;
}

// Codes that are a no also where the level does not say so.
bool is_refusal(const Status& status) noexcept {
    return same_code(status.level, "error") || same_code(status.code, "NetStream.Play.StreamNotFound") ||
           same_code(status.code, "NetStream.Play.Failed") || same_code(status.code, "NetStream.Failed");
}

bool is_end(const Status& status) noexcept {
    return same_code(status.code, "NetStream.Play.UnpublishNotify") ||
           same_code(status.code, "NetStream.Play.Stop");
}

// What a publisher says to its server in front of the metadata: the string "@setDataFrame".
void drop_set_data_frame(std::vector<std::uint8_t>& body) {
    static const auto prefix = [] {
        std::vector<std::uint8_t> bytes;
        amf_encode("@setDataFrame", bytes);
        return bytes;
    }();
    if (std::ranges::mismatch(body, prefix).in2 == prefix.end())
        body.erase(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(prefix.size()));
}

}  // namespace

error_code check(const PlayOptions& options) {
    if (const error_code error = check_names(options.app, options.tc_url, options.stream_name)) return error;
    if (options.chunk_size < default_chunk_size || options.chunk_size > 65536) return Error::bad_option;
    if (options.window_ack_size > 0x7FFFFFFF || options.flash_ver.size() > text_limit)
        return Error::bad_option;
    if (options.buffer_ms < 100 || options.buffer_ms > 60000) return Error::bad_option;
    return {};
}

PlaySession::PlaySession(PlayOptions options, std::uint32_t time,
                         std::span<const std::uint8_t, handshake_random_size> random)
    : options_(checked(std::move(options))),
      connection_(options_.digest_handshake ? Handshake::Form::digest_first : Handshake::Form::simple, time,
                  random, player_limits),
      secrets_(secrets_in(options_.stream_name, options_.app)) {}

bool PlaySession::enter(State from, State to, const char* call) {
    if (state_ == State::ended) return false;
    if (state_ != from) throw std::logic_error(std::string("PlaySession::") + call + " out of turn");
    state_ = to;
    return true;
}

double PlaySession::send_command(std::string_view name, std::vector<AmfValue> arguments,
                                 std::uint32_t chunk_stream_id, std::uint32_t message_stream_id) {
    connection_.send(
        encode_command(name, ++last_transaction_, arguments, chunk_stream_id, message_stream_id));
    return last_transaction_;
}

void PlaySession::start() {
    if (enter(State::idle, State::handshake, "start")) connection_.send_c0_c1();
}

void PlaySession::connect() {
    if (!enter(State::greeted, State::connecting, "connect")) return;
    connection_.send_c2();
    if (options_.chunk_size != default_chunk_size) connection_.send_set_chunk_size(options_.chunk_size);
    if (options_.window_ack_size > 0) connection_.send_window_ack_size(options_.window_ack_size);
    // As ffmpeg has it: no proxy; all capabilities; and as bits, every codec that is not obsolete.
    const AmfObject object{{{"app", options_.app},
                            {"flashVer", options_.flash_ver},
                            {"tcUrl", options_.tc_url},
                            {"fpad", false},
                            {"capabilities", 15},
                            {"audioCodecs", 4071},
                            {"videoCodecs", 252},
                            {"videoFunction", 1}}};
    connect_transaction_ = send_command("connect", {object}, command_chunk_stream, 0);
}

void PlaySession::create_stream() {
    if (!enter(State::connected, State::creating, "create_stream")) return;
    create_stream_transaction_ = send_command("createStream", {AmfNull{}}, command_chunk_stream, 0);
}

void PlaySession::play() {
    if (!enter(State::created, State::playing, "play")) return;
    play_transaction_ = send_command("play", {AmfNull{}, options_.stream_name, live_or_recorded},
                                     play_chunk_stream, stream_id());
    connection_.send_set_buffer_length(stream_id(), options_.buffer_ms);
}

void PlaySession::stop() {
    state_ = State::ended;
    if (!stream_id_ || std::exchange(stop_sent_, true)) return;
    send_command("deleteStream", {AmfNull{}, stream_id()}, command_chunk_stream, 0);
}

std::vector<std::uint8_t> PlaySession::take_output() { return connection_.take_output(); }

error_code PlaySession::feed(std::span<const std::uint8_t> bytes, std::uint32_t now_ms) {
    if (failed_) return failed_;
    const error_code framing = connection_.feed(bytes, now_ms);
    std::deque<Incoming> all = connection_.take_incoming();
    for (Incoming& incoming : all)
        if (failed_ = on_incoming(incoming); failed_) break;
    if (!failed_) failed_ = framing;
    if (failed_) end();
    return failed_;
}

std::optional<PlayEvent> PlaySession::next_event() {
    if (events_.empty()) return std::nullopt;
    std::optional<PlayEvent> event(std::move(events_.front()));
    events_.pop_front();
    return event;
}

std::vector<FlvTag> PlaySession::take_media() {
    media_bytes_ = 0;
    return std::exchange(media_, {});
}

error_code PlaySession::on_incoming(Incoming& incoming) {
    if (auto* message = std::get_if<Message>(&incoming)) return on_message(*message);
    if (const auto* settings = std::get_if<ServerSettings>(&incoming)) note(*settings);
    if (const auto* over = std::get_if<StreamEnd>(&incoming); over && over->message_stream_id == stream_id_)
        on_stream_end({.command = "StreamEOF", .level = {}, .code = {}, .description = {}});
    if (std::holds_alternative<HandshakeEnd>(incoming)) {
        events_.emplace_back(HandshakeDone{connection_.handshake().details()});
        if (state_ == State::handshake) state_ = State::greeted;
    }
    return {};
}

error_code PlaySession::on_message(Message& message) {
    switch (message.type) {
        case MessageType::command_amf0:
        case MessageType::command_amf3:
            return on_command(message);
        case MessageType::data_amf3:
            if (message.payload.empty()) return {};
            message.payload.erase(message.payload.begin());
            on_media(MessageType::data_amf0, message.timestamp, std::move(message.payload));
            return {};
        case MessageType::aggregate:
            on_aggregate(message);
            return {};
        default:
            on_media(message.type, message.timestamp, std::move(message.payload));
            return {};
    }
}

error_code PlaySession::on_command(const Message& message) {
    if (message.payload.size() > command_limit) {
        ++skipped_messages_;
        return {};
    }
    const auto command = decode_command(message);
    if (!command) return command.error();
    if (command->name == "_result" || command->name == "_error")
        return on_answer(*command, command->name == "_result");
    if (command->name == "onStatus") {
        on_status(*command);
    } else if (command->name == "close") {
        // Once ended it is no news, and would make the events many.
        if (state_ != State::ended) events_.emplace_back(ServerClosed{});
        end();
    } else {
        saw(*command);
    }
    return {};
}

error_code PlaySession::on_answer(const Command& command, bool is_result) {
    const double transaction = command.transaction;
    if (state_ == State::connecting && transaction == connect_transaction_) {
        if (is_result)
            on_connect_result(command);
        else
            refuse(Step::connect, command);
    } else if (state_ == State::creating && transaction == create_stream_transaction_) {
        if (is_result) return on_create_stream_result(command);
        refuse(Step::create_stream, command);
    } else if (state_ == State::playing && transaction == play_transaction_ && !is_result) {
        refuse(step(), command);
    } else if (!is_result) {
        saw(command);
    }
    return {};
}

void PlaySession::on_connect_result(const Command& command) {
    auto connected = read_connected(command, secrets_);
    if (!connected) return refuse(Step::connect, command);
    events_.emplace_back(*std::move(connected));
    state_ = State::connected;
}

error_code PlaySession::on_create_stream_result(const Command& command) {
    stream_id_ = read_stream_id(command);
    if (!stream_id_) return Error::bad_stream_id;
    events_.emplace_back(StreamCreated{*stream_id_});
    state_ = State::created;
    return {};
}

void PlaySession::on_status(const Command& command) {
    const Status status = read_status(command, secrets_);
    const bool on_connection = command.message_stream_id == 0;
    // There is one stream, so what is said of a stream is said of ours, also on the connection.
    const bool of_our_stream = stream_id_ && (command.message_stream_id == *stream_id_ ||
                                              (on_connection && starts_with_code(status.code, "NetStream.")));
    if (auto request = read_reconnect_request(command, secrets_))
        note(*std::move(request));
    else if (state_ == State::ended)
        saw(command);
    else if (of_our_stream)
        on_stream_status(command, status);
    else if (on_connection && ends_connection(status))
        refuse(step(), command);
    else
        saw(command);
}

void PlaySession::on_stream_status(const Command& command, const Status& status) {
    if (is_refusal(status)) {
        refuse(step(), command);
    } else if (state_ == State::playing && same_code(status.code, "NetStream.Play.Start")) {
        events_.emplace_back(PlayStarted{status});
        state_ = State::started;
    } else if (!is_end(status) || !on_stream_end(status)) {
        // Reset, PublishNotify, notices of bandwidth and the like.
        saw(command);
    }
}

// Whether it is the end of something that had begun, and the first.
bool PlaySession::on_stream_end(const Status& status) {
    const bool is_playing = state_ == State::started || (state_ == State::playing && media_seen_);
    if (!is_playing || std::exchange(end_seen_, true)) return false;
    events_.emplace_back(PlayEnded{status});
    return true;
}

// RTMP 1.0 §7.1.6: tags of FLV, of which only the first one's distance to the message's timestamp counts.
void PlaySession::on_aggregate(const Message& message) {
    std::span<const std::uint8_t> rest(message.payload);
    std::optional<std::uint32_t> shift;  // modulo 2^32
    while (!rest.empty()) {
        const std::size_t size = rest.size() < tag_header_size ? 0 : read_be(rest.subspan(1, 3));
        if (rest.size() < tag_header_size + size) {
            ++skipped_messages_;
            return;
        }
        const auto timestamp = static_cast<std::uint32_t>(read_be(rest.subspan(4, 3))) |
                               static_cast<std::uint32_t>(rest[7]) << 24;
        if (!shift) shift = message.timestamp - timestamp;
        const auto body = rest.subspan(tag_header_size, size);
        on_media(static_cast<MessageType>(rest[0]), timestamp + *shift, {body.begin(), body.end()});
        rest = rest.subspan(tag_header_size + size);
        // Some leave out the last back pointer.
        rest = rest.subspan(std::min(rest.size(), back_pointer_size));
    }
}

void PlaySession::on_media(MessageType type, std::uint32_t timestamp, std::vector<std::uint8_t> body) {
    if (state_ != State::playing && state_ != State::started) return;
    if (type != MessageType::audio && type != MessageType::video && type != MessageType::data_amf0) return;
    if (type == MessageType::data_amf0)
        drop_set_data_frame(body);
    else
        media_seen_ = true;
    if (media_.size() >= media_limit || media_bytes_ + body.size() > media_bytes_limit) {
        ++dropped_tags_;
        return;
    }
    media_bytes_ += body.size();
    media_.push_back(
        {.type = static_cast<FlvTagType>(type), .timestamp = timestamp, .body = std::move(body)});
}

void PlaySession::refuse(Step step, const Command& command) {
    const Error error = error_of(step, read_status(command, secrets_));
    events_.emplace_back(read_refused(step, error, command, secrets_));
    end();
}

void PlaySession::saw(const Command& command) {
    if (auto seen = read_status_seen(command, secrets_)) note(*std::move(seen));
}

void PlaySession::note(PlayEvent event) {
    if (events_.size() < note_limit)
        events_.push_back(std::move(event));
    else
        ++dropped_events_;
}

Step PlaySession::step() const noexcept {
    if (state_ <= State::connecting) return Step::connect;
    if (state_ <= State::creating) return Step::create_stream;
    return media_seen_ ? Step::media : Step::play;
}

void PlaySession::end() {
    state_ = State::ended;
    connection_.drop_output();
}

}  // namespace livecanary::protocol::rtmp
