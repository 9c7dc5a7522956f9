// Any bytes give the same messages and the same error in any pieces, within the bounds; and what was read is
// read again from what ChunkWriter makes of it.
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/rtmp/chunk.hpp"

namespace {

using namespace livecanary::protocol::rtmp;
using livecanary::error_code;

constexpr ChunkLimits limits{.message_bytes = 300, .chunk_streams = 4};

struct Outcome {
    std::vector<Message> messages;
    error_code error;
    std::uint64_t skipped = 0;
    bool operator==(const Outcome&) const = default;
};

Outcome read(std::span<const std::uint8_t> bytes, std::size_t piece) {
    Outcome outcome;
    ChunkReader reader(limits);
    while (!bytes.empty()) {
        const auto part = bytes.first(std::min(piece, bytes.size()));
        bytes = bytes.subspan(part.size());
        outcome.error = reader.feed(part);
        while (auto message = reader.next()) outcome.messages.push_back(*std::move(message));
        if (outcome.error) break;
    }
    outcome.skipped = reader.skipped_messages();
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::uint8_t> bytes(data, size);
    const Outcome whole = read(bytes, size);
    for (const std::size_t piece : {1u, 2u, 7u})
        if (read(bytes, piece) != whole) std::abort();

    std::vector<std::uint8_t> written;
    ChunkWriter writer;
    std::vector<Message> messages;
    for (const Message& message : whole.messages) {
        if (message.payload.size() > limits.message_bytes) std::abort();
        // Those two would act on the reader, and may have been refused by it.
        if (message.type == MessageType::set_chunk_size || message.type == MessageType::abort) continue;
        writer.write(message, written);
        messages.push_back(message);
    }
    const Outcome again = read(written, written.size());
    if (again.error || again.messages != messages) std::abort();
    return 0;
}
