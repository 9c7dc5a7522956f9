#pragma once
// What every RTMP client does below its commands: handshake, chunks, acknowledgements, pings. Sans-io.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "probes/protocol/rtmp/chunk.hpp"
#include "probes/protocol/rtmp/handshake.hpp"

namespace livecanary::protocol::rtmp {

/// From which of our bytes a server counts in its Acknowledgements. The specification does not say.
enum class AckBase {
    unknown,          ///< it has not acknowledged anything
    after_handshake,  ///< from the first byte after C2: nginx-rtmp, node-media-server 2
    from_start,       ///< from C0: SRS
};

/// From the 32-bit counts of a server's Acknowledgements to positions in all that we sent.
///
/// A server that counts from C0 gives itself away by a count that would lie beyond our last byte if it
/// counted from the end of the handshake; servers acknowledge within a millisecond, so at real-time pace the
/// first count usually does. Until one does, after_handshake is assumed, and positions may be up to 3073
/// bytes too high.
class AckPosition {
public:
    /// `count`: of the message; `sent`: all bytes sent so far, handshake included. The new position; nothing
    /// if the count lies beyond what was sent or behind the last one (then it is ignored).
    std::optional<std::uint64_t> on_ack(std::uint32_t count, std::uint64_t sent) noexcept;

    /// Bytes known to have arrived, counted from C0; never goes back.
    std::uint64_t position() const noexcept { return position_; }
    AckBase base() const noexcept { return base_; }

private:
    AckBase base_ = AckBase::unknown;
    std::uint64_t count_ = 0;  // the server's own, unwrapped
    std::uint64_t position_ = 0;
};

/// Counts what we receive and says when to acknowledge it.
class ReceiveWindow {
public:
    void on_bytes(std::size_t bytes) noexcept { received_ += bytes; }
    /// Below 1024 is raised to that, or each read would cost an answer; above 2^31 is lowered to that.
    void set(std::uint32_t window) noexcept;
    /// The count to send, if a window was set and is used up; then a new window begins.
    std::optional<std::uint32_t> due() noexcept;
    std::uint64_t received() const noexcept { return received_; }  ///< bytes

private:
    std::uint64_t received_ = 0;
    std::uint32_t acknowledged_ = 0;  // the last count sent
    std::uint32_t window_ = 0;        // bytes; 0 until the server sets one
};

/// What the server has set so far; 0 where it has not.
struct ServerSettings {
    std::uint32_t window_ack_size = 0;              ///< we acknowledge each so many bytes
    std::uint32_t peer_bandwidth = 0;               ///< bytes we may have unacknowledged
    std::uint32_t chunk_size = default_chunk_size;  ///< bytes per chunk of what it sends
    bool operator==(const ServerSettings&) const = default;
};

struct HandshakeEnd {};  ///< S2 is complete
struct AckSeen {
    std::uint64_t position = 0;  ///< see AckPosition
};
struct PingAnswer {
    std::uint32_t value = 0;
};
/// StreamEOF: what was played on this message stream is over.
struct StreamEnd {
    std::uint32_t message_stream_id = 0;
};
/// What feed() found, for the session above.
using Incoming = std::variant<HandshakeEnd, AckSeen, PingAnswer, ServerSettings, Message, StreamEnd>;

/// Bytes in, messages out, and what must be answered is answered. Messages of types 1 to 6 end here.
class Connection {
public:
    /// As Handshake. `limits`: of the server's messages.
    Connection(Handshake::Form form, std::uint32_t time,
               std::span<const std::uint8_t, handshake_random_size> random, ChunkLimits limits = {});

    void send_c0_c1();
    void send_c2();  ///< once the handshake is done
    void send(const Message& message);
    void send_set_chunk_size(std::uint32_t bytes);
    void send_window_ack_size(std::uint32_t bytes);
    void send_ping_request(std::uint32_t value);
    void send_set_buffer_length(std::uint32_t message_stream_id, std::uint32_t milliseconds);

    std::vector<std::uint8_t> take_output();
    /// Forgets what is queued and not taken.
    void drop_output() noexcept { output_.clear(); }

    /// Errors of Handshake and ChunkReader, and Error::zero_window; final.
    error_code feed(std::span<const std::uint8_t> bytes, std::uint32_t now_ms);
    /// What was found since the last call, in the order of the wire.
    std::deque<Incoming> take_incoming();

    const Handshake& handshake() const noexcept { return handshake_; }
    const ServerSettings& settings() const noexcept { return settings_; }
    const AckPosition& acknowledged() const noexcept { return acknowledged_; }
    std::uint64_t bytes_in() const noexcept { return window_.received(); }
    std::uint64_t bytes_out() const noexcept { return bytes_out_; }  ///< taken
    std::uint64_t skipped_messages() const noexcept { return reader_.skipped_messages(); }

private:
    error_code on_message(Message message, std::uint32_t now_ms);
    void on_user_control(std::span<const std::uint8_t> payload, std::uint32_t now_ms);
    void send_control(MessageType type, std::vector<std::uint8_t> payload);
    void send_number(MessageType type, std::uint32_t number);
    void send_user_control(std::uint32_t event, std::initializer_list<std::uint32_t> values);

    Handshake handshake_;
    ChunkReader reader_;
    ChunkWriter writer_;
    std::vector<std::uint8_t> output_;
    std::uint64_t bytes_out_ = 0;
    std::deque<Incoming> incoming_;
    error_code failed_;
    ServerSettings settings_;
    AckPosition acknowledged_;
    ReceiveWindow window_;
    bool may_answer_ = false;  // C2 is queued: pings and windows may be answered
    std::optional<std::uint32_t> last_pong_ms_;
};

}  // namespace livecanary::protocol::rtmp
