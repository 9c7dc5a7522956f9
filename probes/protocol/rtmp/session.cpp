#include "probes/protocol/rtmp/session.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <boost/system/system_error.hpp>

namespace livecanary::protocol::rtmp {
namespace {

// As OBS has it: all of the stream.
constexpr std::uint32_t media_chunk_stream = 4;

PublishOptions checked(PublishOptions options) {
    if (const error_code error = check(options)) throw boost::system::system_error(error);
    return options;
}

Error error_of(Step step) noexcept {
    switch (step) {
        case Step::connect:
            return Error::connect_refused;
        case Step::create_stream:
            return Error::create_stream_refused;
        case Step::publish:
            return Error::publish_refused;
        case Step::media:
            return Error::media_refused;
        case Step::play:
            break;  // not a publisher's
    }
    return Error::connect_refused;
}

}  // namespace

error_code check(const PublishOptions& options) {
    if (const error_code error = check_names(options.app, options.tc_url, options.stream_name)) return error;
    if (options.chunk_size < default_chunk_size || options.chunk_size > 65536) return Error::bad_option;
    if (options.window_ack_size > 0x7FFFFFFF || options.flash_ver.size() > text_limit)
        return Error::bad_option;
    return {};
}

PublishSession::PublishSession(PublishOptions options, std::uint32_t time,
                               std::span<const std::uint8_t, handshake_random_size> random)
    : options_(checked(std::move(options))),
      connection_(options_.digest_handshake ? Handshake::Form::digest_first : Handshake::Form::simple, time,
                  random),
      secrets_(secrets_in(options_.stream_name, options_.app)) {}

bool PublishSession::enter(State from, State to, const char* call) {
    if (state_ == State::ended) return false;
    if (state_ != from) throw std::logic_error(std::string("PublishSession::") + call + " out of turn");
    state_ = to;
    return true;
}

double PublishSession::send_command(std::string_view name, std::vector<AmfValue> arguments,
                                    std::uint32_t chunk_stream_id, std::uint32_t message_stream_id) {
    connection_.send(
        encode_command(name, ++last_transaction_, arguments, chunk_stream_id, message_stream_id));
    return last_transaction_;
}

void PublishSession::start() {
    if (enter(State::idle, State::handshake, "start")) connection_.send_c0_c1();
}

void PublishSession::connect() {
    if (!enter(State::greeted, State::connecting, "connect")) return;
    connection_.send_c2();
    connection_.send_set_chunk_size(options_.chunk_size);
    if (options_.window_ack_size > 0) connection_.send_window_ack_size(options_.window_ack_size);
    const AmfObject object{{{"app", options_.app},
                            {"type", "nonprivate"},
                            {"flashVer", options_.flash_ver},
                            {"swfUrl", options_.tc_url},
                            {"tcUrl", options_.tc_url}}};
    connect_transaction_ = send_command("connect", {object}, command_chunk_stream, 0);
}

void PublishSession::create_stream() {
    if (!enter(State::connected, State::creating, "create_stream")) return;
    send_command("releaseStream", {AmfNull{}, options_.stream_name}, command_chunk_stream, 0);
    send_command("FCPublish", {AmfNull{}, options_.stream_name}, command_chunk_stream, 0);
    create_stream_transaction_ = send_command("createStream", {AmfNull{}}, command_chunk_stream, 0);
}

void PublishSession::publish() {
    if (!enter(State::created, State::publishing, "publish")) return;
    name_held_ = true;
    publish_transaction_ =
        send_command("publish", {AmfNull{}, options_.stream_name, "live"}, media_chunk_stream, stream_id());
}

bool PublishSession::send_metadata(const AmfEcmaArray& metadata) {
    if (state_ != State::started) return false;
    Message message{.type = MessageType::data_amf0,
                    .timestamp = timestamp(),
                    .message_stream_id = stream_id(),
                    .chunk_stream_id = media_chunk_stream,
                    .payload = {}};
    amf_encode("@setDataFrame", message.payload);
    amf_encode("onMetaData", message.payload);
    amf_encode(metadata, message.payload);
    connection_.send(message);
    return true;
}

bool PublishSession::send(const Media& media) {
    if (state_ != State::started) return false;
    if (!clock_) clock_ = Clock{.media = media.timestamp, .elapsed = 0};
    // Signed difference of the 32-bit timestamps, so that their wrap does not show; never before the first
    // one.
    const auto step = static_cast<std::int32_t>(media.timestamp - clock_->media);
    clock_->media = media.timestamp;
    clock_->elapsed = std::max<std::int64_t>(clock_->elapsed + step, 0);
    connection_.send({.type = media.type,
                      .timestamp = timestamp(),
                      .message_stream_id = stream_id(),
                      .chunk_stream_id = media_chunk_stream,
                      .payload = {media.body.begin(), media.body.end()}});
    return true;
}

std::uint32_t PublishSession::timestamp() const noexcept {
    return options_.first_timestamp + static_cast<std::uint32_t>(clock_ ? clock_->elapsed : 0);
}

bool PublishSession::ping(std::uint32_t value) {
    if (state_ < State::connected || state_ == State::ended) return false;
    connection_.send_ping_request(value);
    return true;
}

void PublishSession::unpublish() {
    if (state_ != State::ended) state_ = stream_id_ ? State::unpublishing : State::ended;
    if (!stream_id_ || std::exchange(unpublish_sent_, true)) return;
    if (name_held_) send_command("FCUnpublish", {AmfNull{}, options_.stream_name}, command_chunk_stream, 0);
    send_command("deleteStream", {AmfNull{}, stream_id()}, command_chunk_stream, 0);
}

std::vector<std::uint8_t> PublishSession::take_output() { return connection_.take_output(); }

error_code PublishSession::feed(std::span<const std::uint8_t> bytes, std::uint32_t now_ms) {
    if (failed_) return failed_;
    const error_code framing = connection_.feed(bytes, now_ms);
    for (const Incoming& incoming : connection_.take_incoming())
        if (failed_ = on_incoming(incoming); failed_) break;
    if (!failed_) failed_ = framing;
    if (failed_) end();
    return failed_;
}

std::optional<Event> PublishSession::next_event() {
    if (events_.empty()) return std::nullopt;
    std::optional<Event> event(std::move(events_.front()));
    events_.pop_front();
    return event;
}

error_code PublishSession::on_incoming(const Incoming& incoming) {
    if (const auto* message = std::get_if<Message>(&incoming)) return on_message(*message);
    if (const auto* settings = std::get_if<ServerSettings>(&incoming)) events_.emplace_back(*settings);
    if (const auto* ack = std::get_if<AckSeen>(&incoming)) events_.emplace_back(Acknowledged{ack->position});
    if (const auto* answer = std::get_if<PingAnswer>(&incoming)) events_.emplace_back(Pong{answer->value});
    if (std::holds_alternative<HandshakeEnd>(incoming)) {
        events_.emplace_back(HandshakeDone{connection_.handshake().details()});
        if (state_ == State::handshake) state_ = State::greeted;
    }
    return {};
}

error_code PublishSession::on_message(const Message& message) {
    if (message.type != MessageType::command_amf0 && message.type != MessageType::command_amf3) return {};
    const auto command = decode_command(message);
    if (!command) return command.error();
    if (command->name == "_result" || command->name == "_error")
        return on_answer(*command, command->name == "_result");
    if (command->name == "onStatus") {
        on_status(*command);
    } else if (command->name == "close") {
        events_.emplace_back(ServerClosed{});
        end();
    } else {
        // SRS's onFCPublish carries NetStream.Publish.Start before it has asked anyone: not an acceptance.
        saw(*command);
    }
    return {};
}

error_code PublishSession::on_answer(const Command& command, bool is_result) {
    const double transaction = command.transaction;
    if (state_ == State::connecting && transaction == connect_transaction_) {
        if (is_result)
            on_connect_result(command);
        else
            refuse(Step::connect, command);
    } else if (state_ == State::creating && transaction == create_stream_transaction_) {
        if (is_result) return on_create_stream_result(command);
        refuse(Step::create_stream, command);
    } else if (state_ == State::publishing && transaction == publish_transaction_ && !is_result) {
        refuse(Step::publish, command);
    } else if (!is_result) {
        // releaseStream and FCPublish may fail: FMLE sends them, not every server knows them.
        saw(command);
    }
    return {};
}

void PublishSession::on_connect_result(const Command& command) {
    auto connected = read_connected(command, secrets_);
    if (!connected) return refuse(Step::connect, command);
    events_.emplace_back(*std::move(connected));
    state_ = State::connected;
}

error_code PublishSession::on_create_stream_result(const Command& command) {
    stream_id_ = read_stream_id(command);
    if (!stream_id_) return Error::bad_stream_id;
    events_.emplace_back(StreamCreated{*stream_id_});
    state_ = State::created;
    return {};
}

void PublishSession::on_status(const Command& command) {
    const Status status = status_of(command);
    if (auto request = read_reconnect_request(command, secrets_)) {
        events_.emplace_back(*std::move(request));
    } else if (unpublish_sent_ && same_code(status.code, "NetStream.Unpublish.Success")) {
        events_.emplace_back(Unpublished{status});
        state_ = State::ended;
    } else if (state_ == State::unpublishing || state_ == State::ended) {
        saw(command);
    } else if (stream_id_ && command.message_stream_id == *stream_id_) {
        on_stream_status(command, status);
    } else {
        on_connection_status(command, status);
    }
}

// On message stream 0 a server speaks of the connection, on a foreign one of nothing that we asked for.
void PublishSession::on_connection_status(const Command& command, const Status& status) {
    if (command.message_stream_id == 0 && ends_connection(status))
        refuse(step(), command);
    else
        saw(command);
}

void PublishSession::on_stream_status(const Command& command, const Status& status) {
    const bool is_error = same_code(status.level, "error");
    const bool is_start = !is_error && same_code(status.code, "NetStream.Publish.Start");
    // nginx-rtmp's record_notify tells the publisher of recordings, also before Start.
    const bool is_aside = !is_error && starts_with_code(status.code, "NetStream.Record.");
    if (is_start && state_ == State::publishing) {
        events_.emplace_back(PublishStarted{status});
        state_ = State::started;
    } else if (is_aside || (is_start && state_ == State::started) ||
               (state_ == State::created && !is_error)) {
        saw(command);
    } else {
        // Servers invent codes, so what is not a known good one is a no.
        refuse(step(), command);
    }
}

void PublishSession::refuse(Step step, const Command& command) {
    events_.emplace_back(read_refused(step, error_of(step), command, secrets_));
    if (step == Step::publish) name_held_ = false;
    end();
}

void PublishSession::saw(const Command& command) {
    if (auto seen = read_status_seen(command, secrets_)) events_.emplace_back(*std::move(seen));
}

Step PublishSession::step() const noexcept {
    if (state_ <= State::connecting) return Step::connect;
    if (state_ <= State::creating) return Step::create_stream;
    return state_ <= State::publishing ? Step::publish : Step::media;
}

void PublishSession::end() {
    state_ = State::ended;
    connection_.drop_output();
}

}  // namespace livecanary::protocol::rtmp
