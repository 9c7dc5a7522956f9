// A publisher against any server: the same events and the same error in any pieces, whatever the server says
// after a correct handshake; and once ended, no more media.
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/rtmp/session.hpp"

namespace {

using namespace livecanary::protocol::rtmp;
using livecanary::error_code;

constexpr std::array<std::uint8_t, handshake_random_size> random_bytes{};

struct Outcome {
    std::vector<Event> events;
    error_code error;
    bool ended = false;
    bool operator==(const Outcome&) const = default;
};

// The client that goes on as far as it is let.
void answer(PublishSession& session, const Event& event) {
    if (std::holds_alternative<HandshakeDone>(event) && !session.ended()) session.connect();
    if (std::holds_alternative<Connected>(event) && !session.ended()) session.create_stream();
    if (std::holds_alternative<StreamCreated>(event) && !session.ended()) session.publish();
    if (std::holds_alternative<PublishStarted>(event)) session.send_metadata({{{"width", 320}}});
    const std::array<std::uint8_t, 2> body{0x27, 0x01};
    const bool may_send = !session.ended();
    if (session.send({.type = MessageType::video, .timestamp = 40, .body = body}) && !may_send) std::abort();
}

// The input is a list of reads, each a byte of length and that many bytes. The client acts between them, so
// that it acts at the same places however a read is cut.
Outcome run(std::span<const std::uint8_t> input, bool whole) {
    PublishSession session(
        {.app = "live", .tc_url = "rtmp://127.0.0.1/live", .stream_name = "a?key=0123456789"}, 0,
        random_bytes);
    session.start();
    Outcome outcome;
    std::vector<std::uint8_t> handshake = session.take_output();
    handshake.insert(handshake.end(), handshake.begin() + 1, handshake.end());
    outcome.error = session.feed(handshake, 0);
    for (;;) {
        while (auto event = session.next_event()) {
            answer(session, *event);
            // A position is measured against what we have sent, and how often we acknowledge depends on the
            // pieces.
            if (!std::holds_alternative<Acknowledged>(*event)) outcome.events.push_back(*std::move(event));
        }
        session.take_output();
        if (outcome.error || input.empty()) break;
        const auto read = input.subspan(1, std::min<std::size_t>(input[0], input.size() - 1));
        input = input.subspan(1 + read.size());
        for (std::size_t at = 0; at < read.size() && !outcome.error; at += whole ? read.size() : 1)
            outcome.error = session.feed(read.subspan(at, whole ? read.size() : 1), 0);
    }
    outcome.ended = session.ended();
    session.unpublish();
    session.take_output();
    session.unpublish();
    if (!session.take_output().empty() || session.bytes_acknowledged() > session.bytes_out()) std::abort();
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::uint8_t> input(data, size);
    if (run(input, true) != run(input, false)) std::abort();
    return 0;
}
