#include "probes/protocol/rtmp/chunk.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "probes/protocol/rtmp/big_endian.hpp"

namespace livecanary::protocol::rtmp {
namespace {

// A timestamp field of this value says that the real one follows in four bytes (RTMP 1.0 §5.3.1.3).
constexpr std::uint32_t extended_mark = 0xFFFFFF;
constexpr std::array<std::size_t, 4> message_header_sizes{11, 7, 3, 0};

std::size_t basic_header_size(std::uint8_t first) noexcept {
    switch (first & 0x3F) {
        case 0:
            return 2;
        case 1:
            return 3;
        default:
            return 1;
    }
}

std::uint32_t chunk_stream_id(std::span<const std::uint8_t> basic_header) noexcept {
    if (basic_header.size() == 1) return basic_header[0] & 0x3F;
    std::uint32_t id = 64u + basic_header[1];
    if (basic_header.size() == 3) id += 256u * basic_header[2];
    return id;
}

std::uint32_t read32(std::span<const std::uint8_t> bytes) noexcept {
    return static_cast<std::uint32_t>(read_be(bytes));
}

void append_basic_header(unsigned type, std::uint32_t id, std::vector<std::uint8_t>& out) {
    const auto first = static_cast<std::uint8_t>(type << 6);
    if (id < 64) {
        out.push_back(static_cast<std::uint8_t>(first | id));
    } else if (id < 320) {
        out.push_back(first);
        append_be(id - 64, 1, out);
    } else {
        out.push_back(first | 1);
        append_be((id - 64) % 256, 1, out);
        append_be((id - 64) / 256, 1, out);
    }
}

}  // namespace

error_code ChunkReader::feed(std::span<const std::uint8_t> bytes) {
    if (!failed_) failed_ = consume(bytes);
    return failed_;
}

error_code ChunkReader::consume(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
        error_code error;
        if (stream_ && !repeat_) {
            const auto payload = bytes.first(std::min<std::size_t>(bytes.size(), chunk_left_));
            bytes = bytes.subspan(payload.size());
            error = on_payload(payload);
        } else {
            const std::uint8_t byte = bytes.front();
            bytes = bytes.subspan(1);
            error = repeat_ ? on_repeat_byte(byte) : on_header_byte(byte);
        }
        if (error) return error;
    }
    return {};
}

std::optional<Message> ChunkReader::next() {
    if (ready_.empty()) return std::nullopt;
    Message message = std::move(ready_.front());
    ready_.pop_front();
    return message;
}

error_code ChunkReader::on_header_byte(std::uint8_t byte) {
    header_[header_bytes_++] = byte;
    return header_bytes_ < header_size() ? error_code() : on_header();
}

// As far as it can be known: four more once the timestamp field turns out to hold the mark.
std::size_t ChunkReader::header_size() const noexcept {
    const std::size_t basic = basic_header_size(header_[0]);
    const std::size_t size = basic + message_header_sizes[header_[0] >> 6];
    if (header_[0] >> 6 == 3 || header_bytes_ < basic + 3) return size;
    return read32(std::span(header_).subspan(basic, 3)) == extended_mark ? size + 4 : size;
}

error_code ChunkReader::on_header() {
    const std::span<const std::uint8_t> header(header_.data(), std::exchange(header_bytes_, 0));
    const unsigned type = header[0] >> 6;
    const std::size_t basic = basic_header_size(header[0]);
    const std::uint32_t id = chunk_stream_id(header.first(basic));
    if (!streams_.contains(id)) {
        // Type 1 lacks only the message stream id: ffmpeg's listener opens chunk stream 2 with it.
        if (type > 1) return Error::unknown_chunk_stream;
        if (streams_.size() >= limits_.chunk_streams) return Error::too_many_chunk_streams;
    }
    ChunkStream& stream = streams_[id];
    Message& message = stream.message;
    message.chunk_stream_id = id;
    if (type != 3) {
        if (stream.received > 0) return Error::interrupted_message;
        const auto fields = header.subspan(basic);
        stream.field = read32(fields.first(3));
        stream.extended = stream.field == extended_mark;
        if (stream.extended) stream.field = read32(fields.last(4));
        if (type < 2) {
            stream.length = read32(fields.subspan(3, 3));
            message.type = static_cast<MessageType>(fields[6]);
        }
        if (type == 0) {
            message.message_stream_id =  // the one little-endian field
                static_cast<std::uint32_t>(fields[7] | fields[8] << 8 | fields[9] << 16) |
                static_cast<std::uint32_t>(fields[10]) << 24;
            message.timestamp = 0;
        }
    }
    // Type 3 starts a message too, with the delta of the one before; after type 0 its timestamp is the delta
    // (§5.3.1.2.4).
    if (stream.received == 0) message.timestamp += stream.field;
    stream_ = &stream;
    if (type == 3 && stream.extended) {
        repeat_ = true;
        repeated_bytes_ = 0;
        return {};
    }
    return start_payload();
}

error_code ChunkReader::on_repeat_byte(std::uint8_t byte) {
    repeated_[repeated_bytes_++] = byte;
    const auto starts = [&](std::uint32_t value) {
        const std::uint32_t prefix = value >> 8 * (4 - repeated_bytes_);
        return read32(std::span(repeated_).first(repeated_bytes_)) == prefix;
    };
    const bool repeats = starts(stream_->field) || starts(stream_->message.timestamp);
    if (repeats && repeated_bytes_ < repeated_.size()) return {};
    repeat_ = false;
    if (const error_code error = start_payload()) return error;
    if (repeats) return {};
    // They were payload, and maybe the chunks after it: at most three more headers deep.
    const auto bytes = repeated_;
    return consume(std::span(bytes).first(repeated_bytes_));
}

error_code ChunkReader::start_payload() {
    chunk_left_ = std::min(chunk_size_, stream_->length - stream_->received);
    return chunk_left_ == 0 ? on_message() : error_code();
}

error_code ChunkReader::on_payload(std::span<const std::uint8_t> bytes) {
    ChunkStream& stream = *stream_;
    if (stream.length <= limits_.message_bytes) {
        unfinished_bytes_ += bytes.size();
        if (unfinished_bytes_ > limits_.total_bytes) return Error::too_much_unfinished;
        stream.message.payload.insert(stream.message.payload.end(), bytes.begin(), bytes.end());
    }
    stream.received += static_cast<std::uint32_t>(bytes.size());
    chunk_left_ -= static_cast<std::uint32_t>(bytes.size());
    if (chunk_left_ > 0) return {};
    if (stream.received == stream.length) return on_message();
    stream_ = nullptr;
    return {};
}

error_code ChunkReader::on_message() {
    ChunkStream& stream = *std::exchange(stream_, nullptr);
    stream.received = 0;
    if (stream.length > limits_.message_bytes) {
        ++skipped_messages_;
        return {};
    }
    const auto payload = std::exchange(stream.message.payload, {});
    unfinished_bytes_ -= payload.size();
    ready_.push_back(stream.message);
    ready_.back().payload = payload;
    if (payload.size() < 4) return {};
    const std::uint32_t number = read32(std::span(payload).first(4));
    if (stream.message.type == MessageType::set_chunk_size) {
        if (number == 0 || number > 0x7FFFFFFF) return Error::bad_chunk_size;
        chunk_size_ = std::min(number, max_chunk_size);
    } else if (stream.message.type == MessageType::abort) {
        const auto found = streams_.find(number);
        if (found == streams_.end()) return {};
        found->second.received = 0;
        unfinished_bytes_ -= found->second.message.payload.size();
        found->second.message.payload.clear();
    }
    return {};
}

void ChunkWriter::write(const Message& message, std::vector<std::uint8_t>& out) {
    if (message.payload.size() > max_chunk_size)
        throw std::length_error("an RTMP message above 0xFFFFFF bytes");
    if (message.chunk_stream_id < 2 || message.chunk_stream_id > 65599)
        throw std::out_of_range("an RTMP chunk stream id outside 2..65599");

    const auto last = last_.find(message.chunk_stream_id);
    const bool is_media = message.type == MessageType::audio || message.type == MessageType::video;
    // Serial arithmetic: a timestamp before the last one comes out above 2^31 and gets a full header, as does
    // a delta that would need the extended form, which servers read differently.
    const bool by_delta = is_media && last != last_.end() &&
                          last->second.message_stream_id == message.message_stream_id &&
                          message.timestamp - last->second.timestamp < extended_mark;
    const std::uint32_t field = by_delta ? message.timestamp - last->second.timestamp : message.timestamp;
    const bool extended = field >= extended_mark;

    append_basic_header(by_delta ? 1 : 0, message.chunk_stream_id, out);
    append_be(extended ? extended_mark : field, 3, out);
    append_be(message.payload.size(), 3, out);
    append_be(static_cast<std::uint8_t>(message.type), 1, out);
    if (!by_delta)
        for (unsigned shift = 0; shift < 32; shift += 8)
            append_be(message.message_stream_id >> shift, 1, out);
    if (extended) append_be(field, 4, out);

    std::span<const std::uint8_t> rest(message.payload);
    for (;;) {
        const auto chunk = rest.first(std::min<std::size_t>(rest.size(), chunk_size_));
        out.insert(out.end(), chunk.begin(), chunk.end());
        rest = rest.subspan(chunk.size());
        if (rest.empty()) break;
        append_basic_header(3, message.chunk_stream_id, out);
        if (extended) append_be(field, 4, out);
    }
    last_[message.chunk_stream_id] = {message.timestamp, message.message_stream_id};
    if (message.type == MessageType::set_chunk_size && message.payload.size() >= 4)
        chunk_size_ = std::clamp(read32(std::span(message.payload).first(4)), 1u, max_chunk_size);
}

}  // namespace livecanary::protocol::rtmp
