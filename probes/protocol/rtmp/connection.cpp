#include "probes/protocol/rtmp/connection.hpp"

#include <algorithm>
#include <utility>

#include "probes/protocol/rtmp/big_endian.hpp"

namespace livecanary::protocol::rtmp {
namespace {

// Smallest window we acknowledge by, and the shortest time between two answers to pings: a server must not
// make us send as much as it sends.
constexpr std::uint32_t min_window = 1024;      // bytes
constexpr std::uint32_t max_window = 1u << 31;  // bytes; above, 32-bit counts could not tell it from 0
constexpr std::uint32_t min_pong_interval_ms = 100;

// User Control events (RTMP 1.0 §7.1.7); the others change nothing.
constexpr std::uint32_t stream_eof = 1;
constexpr std::uint32_t set_buffer_length = 3;
constexpr std::uint32_t ping_request = 6;
constexpr std::uint32_t ping_response = 7;

constexpr std::uint32_t control_chunk_stream = 2;  // §5.4

}  // namespace

std::optional<std::uint64_t> AckPosition::on_ack(std::uint32_t count, std::uint64_t sent) noexcept {
    const std::uint64_t unwrapped = count_ + (count - static_cast<std::uint32_t>(count_));
    if (unwrapped > sent) return std::nullopt;
    count_ = unwrapped;
    if (base_ == AckBase::unknown) base_ = AckBase::after_handshake;
    if (count_ + handshake_size > sent) base_ = AckBase::from_start;
    position_ = std::max(position_, base_ == AckBase::from_start ? count_ : count_ + handshake_size);
    return position_;
}

void ReceiveWindow::set(std::uint32_t window) noexcept {
    window_ = std::clamp(window, min_window, max_window);
}

std::optional<std::uint32_t> ReceiveWindow::due() noexcept {
    const auto count = static_cast<std::uint32_t>(received_);
    // Unsigned 32-bit subtraction: right also when the count has wrapped and the last one has not.
    if (window_ == 0 || count - acknowledged_ < window_) return std::nullopt;
    acknowledged_ = count;
    return count;
}

Connection::Connection(Handshake::Form form, std::uint32_t time,
                       std::span<const std::uint8_t, handshake_random_size> random, ChunkLimits limits)
    : handshake_(form, time, random), reader_(limits) {}

void Connection::send_c0_c1() {
    const auto bytes = handshake_.c0_c1();
    output_.insert(output_.end(), bytes.begin(), bytes.end());
}

void Connection::send_c2() {
    const auto& bytes = handshake_.c2();
    output_.insert(output_.end(), bytes.begin(), bytes.end());
    may_answer_ = true;
}

void Connection::send(const Message& message) { writer_.write(message, output_); }

void Connection::send_control(MessageType type, std::vector<std::uint8_t> payload) {
    send({.type = type,
          .timestamp = 0,
          .message_stream_id = 0,
          .chunk_stream_id = control_chunk_stream,
          .payload = std::move(payload)});
}

void Connection::send_number(MessageType type, std::uint32_t number) {
    std::vector<std::uint8_t> payload;
    append_be(number, 4, payload);
    send_control(type, std::move(payload));
}

void Connection::send_set_chunk_size(std::uint32_t bytes) { send_number(MessageType::set_chunk_size, bytes); }

void Connection::send_window_ack_size(std::uint32_t bytes) {
    send_number(MessageType::window_ack_size, bytes);
}

void Connection::send_ping_request(std::uint32_t value) { send_user_control(ping_request, {value}); }

void Connection::send_set_buffer_length(std::uint32_t message_stream_id, std::uint32_t milliseconds) {
    send_user_control(set_buffer_length, {message_stream_id, milliseconds});
}

void Connection::send_user_control(std::uint32_t event, std::initializer_list<std::uint32_t> values) {
    std::vector<std::uint8_t> payload;
    append_be(event, 2, payload);
    for (const std::uint32_t value : values) append_be(value, 4, payload);
    send_control(MessageType::user_control, std::move(payload));
}

std::vector<std::uint8_t> Connection::take_output() {
    bytes_out_ += output_.size();
    return std::exchange(output_, {});
}

error_code Connection::feed(std::span<const std::uint8_t> bytes, std::uint32_t now_ms) {
    if (failed_) return failed_;
    window_.on_bytes(bytes.size());
    if (!handshake_.done()) {
        const auto taken = handshake_.feed(bytes);
        if (!taken) return failed_ = taken.error();
        if (!handshake_.done()) return {};
        incoming_.emplace_back(HandshakeEnd{});
        bytes = bytes.subspan(*taken);
    }
    const error_code framing = reader_.feed(bytes);
    while (auto message = reader_.next())
        if (const error_code error = on_message(*std::move(message), now_ms)) return failed_ = error;
    failed_ = framing;
    // Nothing may go before C2.
    if (!failed_ && may_answer_)
        if (const auto count = window_.due()) send_number(MessageType::acknowledgement, *count);
    return failed_;
}

std::deque<Incoming> Connection::take_incoming() { return std::exchange(incoming_, {}); }

error_code Connection::on_message(Message message, std::uint32_t now_ms) {
    const std::span<const std::uint8_t> payload(message.payload);
    // A control message too short for its number is ignored.
    const bool has_number = payload.size() >= 4;
    const auto number = has_number ? static_cast<std::uint32_t>(read_be(payload.first(4))) : 0;
    switch (message.type) {
        case MessageType::set_chunk_size:
            // The reader has taken it or failed on it.
            if (!has_number || number == 0 || number > 0x7FFFFFFF) return {};
            settings_.chunk_size = std::min(number, max_chunk_size);
            break;
        case MessageType::window_ack_size:
            if (!has_number) return {};
            if (number == 0) return Error::zero_window;
            settings_.window_ack_size = number;
            window_.set(number);
            break;
        case MessageType::set_peer_bandwidth:
            if (!has_number) return {};
            settings_.peer_bandwidth = number;
            break;
        case MessageType::acknowledgement:
            if (!has_number) return {};
            if (const auto position = acknowledged_.on_ack(number, bytes_out_))
                incoming_.emplace_back(AckSeen{*position});
            return {};
        case MessageType::user_control:
            on_user_control(payload, now_ms);
            return {};
        case MessageType::abort:
            return {};
        default:
            incoming_.emplace_back(std::move(message));
            return {};
    }
    incoming_.emplace_back(settings_);
    return {};
}

void Connection::on_user_control(std::span<const std::uint8_t> payload, std::uint32_t now_ms) {
    if (payload.size() < 6) return;
    const auto event = static_cast<std::uint32_t>(read_be(payload.first(2)));
    const auto value = static_cast<std::uint32_t>(read_be(payload.subspan(2, 4)));
    if (event == stream_eof) incoming_.emplace_back(StreamEnd{value});
    if (event == ping_response) incoming_.emplace_back(PingAnswer{value});
    if (event != ping_request || !may_answer_) return;
    if (last_pong_ms_ && now_ms - *last_pong_ms_ < min_pong_interval_ms) return;
    last_pong_ms_ = now_ms;
    send_user_control(ping_response, {value});
}

}  // namespace livecanary::protocol::rtmp
