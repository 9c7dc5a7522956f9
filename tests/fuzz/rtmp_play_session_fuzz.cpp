// A player against any server: the same events, media and error in any pieces, whatever the server says after
// a correct handshake; and once ended, no more media.
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/rtmp/play_session.hpp"

namespace {

using namespace livecanary::protocol::rtmp;
using livecanary::error_code;
using livecanary::protocol::FlvTag;

constexpr std::array<std::uint8_t, handshake_random_size> random_bytes{};

struct Outcome {
    std::vector<PlayEvent> events;
    std::vector<FlvTag> media;
    error_code error;
    std::uint64_t skipped_messages = 0;
    std::uint64_t dropped_events = 0;
    bool ended = false;
    bool operator==(const Outcome&) const = default;
};

// The client that goes on as far as it is let.
void answer(PlaySession& session, const PlayEvent& event) {
    if (session.ended()) return;
    if (std::holds_alternative<HandshakeDone>(event)) session.connect();
    if (std::holds_alternative<Connected>(event)) session.create_stream();
    if (std::holds_alternative<StreamCreated>(event)) session.play();
}

// The input is a list of reads, each a byte of length and that many bytes. The client acts between them, so
// that it acts at the same places however a read is cut.
Outcome run(std::span<const std::uint8_t> input, bool whole) {
    PlaySession session({.app = "live", .tc_url = "rtmp://127.0.0.1/live", .stream_name = "a?key=0123456789"},
                        0, random_bytes);
    session.start();
    Outcome outcome;
    std::vector<std::uint8_t> handshake = session.take_output();
    handshake.insert(handshake.end(), handshake.begin() + 1, handshake.end());
    outcome.error = session.feed(handshake, 0);
    for (;;) {
        while (auto event = session.next_event()) {
            answer(session, *event);
            outcome.events.push_back(*std::move(event));
        }
        for (FlvTag& tag : session.take_media()) outcome.media.push_back(std::move(tag));
        session.take_output();
        if (outcome.error || input.empty()) break;
        const auto read = input.subspan(1, std::min<std::size_t>(input[0], input.size() - 1));
        input = input.subspan(1 + read.size());
        const bool had_ended = session.ended();
        for (std::size_t at = 0; at < read.size() && !outcome.error; at += whole ? read.size() : 1)
            outcome.error = session.feed(read.subspan(at, whole ? read.size() : 1), 0);
        if (had_ended) {
            if (!session.take_media().empty()) std::abort();
        }
    }
    outcome.skipped_messages = session.skipped_messages();
    outcome.dropped_events = session.dropped_events();
    outcome.ended = session.ended();
    session.stop();
    session.take_output();
    session.stop();
    if (!session.take_output().empty() || !session.ended()) std::abort();
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::uint8_t> input(data, size);
    if (run(input, true) != run(input, false)) std::abort();
    return 0;
}
