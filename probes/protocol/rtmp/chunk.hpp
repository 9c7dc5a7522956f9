#pragma once
// RTMP's chunk stream: messages cut into chunks, interleaved, with compressed headers (RTMP 1.0 §5.3).
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "probes/protocol/rtmp/error.hpp"

namespace livecanary::protocol::rtmp {

/// Message types (RTMP 1.0 §5.4, §7.1). A server may send others; they are carried, not interpreted.
enum class MessageType : std::uint8_t {
    set_chunk_size = 1,
    abort = 2,
    acknowledgement = 3,
    user_control = 4,
    window_ack_size = 5,
    set_peer_bandwidth = 6,
    audio = 8,
    video = 9,
    data_amf3 = 15,     ///< one extra byte, then as data_amf0
    command_amf3 = 17,  ///< one extra byte, then as command_amf0
    data_amf0 = 18,
    command_amf0 = 20,
    aggregate = 22,  ///< audio, video and data as FLV tags, §7.1.6
};

struct Message {
    MessageType type = MessageType::command_amf0;
    std::uint32_t timestamp = 0;          ///< milliseconds, wraps at 2^32 (after 49.7 days)
    std::uint32_t message_stream_id = 0;  ///< 0 is the connection itself
    std::uint32_t chunk_stream_id = 3;    ///< 2..65599; 2 is for protocol control
    std::vector<std::uint8_t> payload;    ///< at most 0xFFFFFF bytes
    bool operator==(const Message&) const = default;
};

/// Bytes per chunk before any Set Chunk Size (§5.4.1), in either direction.
inline constexpr std::uint32_t default_chunk_size = 128;
/// A larger chunk size has no effect, since no message is longer (§5.4.1).
inline constexpr std::uint32_t max_chunk_size = 0xFFFFFF;

struct ChunkLimits {
    /// Longest message that is kept, in bytes. A longer one is read past and counted. A publisher receives
    /// commands and control messages only; the longest seen is below 1 KiB.
    std::size_t message_bytes = 64 * 1024;
    /// Chunk streams with a state of their own; the protocol allows 65598, servers use about five.
    std::size_t chunk_streams = 64;
    /// What unfinished messages of all chunk streams may hold together, in bytes. The default is what the
    /// other two amount to.
    std::size_t total_bytes = 64 * 64 * 1024;
};

/// From bytes, in pieces of any size, to messages.
///
/// Set Chunk Size and Abort act here, from the very next chunk on, and are delivered as messages too. Nothing
/// is allocated by an announced length. The four bytes of an extended timestamp, which some senders repeat in
/// each type 3 chunk and some do not, are taken as such if they equal the timestamp or the delta that is
/// being repeated, and as payload otherwise.
class ChunkReader {
public:
    explicit ChunkReader(ChunkLimits limits = {}) noexcept : limits_(limits) {}

    /// Error::unknown_chunk_stream, interrupted_message, bad_chunk_size, too_many_chunk_streams,
    /// too_much_unfinished. After an error the framing is lost: each further call returns the same error.
    /// Messages completed before stay available.
    error_code feed(std::span<const std::uint8_t> bytes);

    /// The next complete message, in the order of their last bytes.
    std::optional<Message> next();

    /// The server's present chunk size, in bytes.
    std::uint32_t chunk_size() const noexcept { return chunk_size_; }
    /// Messages above ChunkLimits::message_bytes that were read past.
    std::uint64_t skipped_messages() const noexcept { return skipped_messages_; }

private:
    struct ChunkStream {
        Message message;             // the one under way; after its end, what the next header may inherit
        std::uint32_t length = 0;    // bytes of the message
        std::uint32_t received = 0;  // bytes of the message so far; 0 between messages
        std::uint32_t field = 0;     // timestamp or delta as last sent: what type 3 repeats
        bool extended = false;       // the field was sent in its four byte form
    };

    error_code consume(std::span<const std::uint8_t> bytes);
    error_code on_header_byte(std::uint8_t byte);
    std::size_t header_size() const noexcept;
    error_code on_header();
    error_code on_repeat_byte(std::uint8_t byte);
    error_code start_payload();
    error_code on_payload(std::span<const std::uint8_t> bytes);
    error_code on_message();

    ChunkLimits limits_;
    error_code failed_;
    std::uint32_t chunk_size_ = default_chunk_size;
    std::uint64_t skipped_messages_ = 0;
    std::size_t unfinished_bytes_ = 0;  // in the messages of all chunk streams
    std::map<std::uint32_t, ChunkStream> streams_;
    std::deque<Message> ready_;
    // The header being read: 3 bytes basic header, 11 message header, 4 extended timestamp at most.
    std::array<std::uint8_t, 18> header_{};
    std::size_t header_bytes_ = 0;
    // The chunk being read, once its header is complete.
    ChunkStream* stream_ = nullptr;
    std::uint32_t chunk_left_ = 0;  // bytes of payload
    bool repeat_ = false;           // deciding whether a type 3 chunk repeats the extended timestamp
    std::array<std::uint8_t, 4> repeated_{};
    std::size_t repeated_bytes_ = 0;
};

/// From messages to bytes.
///
/// Full headers (type 0), except for audio and video that follow a message of the same chunk stream and
/// message stream in time, which get a delta (type 1). The extended timestamp is repeated in each type 3
/// chunk: nginx-rtmp and node-media-server 2 lose the framing without it.
class ChunkWriter {
public:
    /// Appends the message to `out`. A Set Chunk Size takes effect with the chunk after it.
    /// std::length_error for a payload above 0xFFFFFF bytes, std::out_of_range for a chunk stream id outside
    /// 2..65599.
    void write(const Message& message, std::vector<std::uint8_t>& out);

    std::uint32_t chunk_size() const noexcept { return chunk_size_; }

private:
    struct Last {
        std::uint32_t timestamp = 0;
        std::uint32_t message_stream_id = 0;
    };
    std::uint32_t chunk_size_ = default_chunk_size;
    std::map<std::uint32_t, Last> last_;  // by chunk stream id
};

}  // namespace livecanary::protocol::rtmp
