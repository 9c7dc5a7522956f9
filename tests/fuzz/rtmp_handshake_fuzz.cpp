// Any answer to C0 C1 gives the same details, C2 and error in any pieces, and what follows it is left alone.
// The input is XORed over a correct simple answer, so that small inputs reach the end.
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/rtmp/handshake.hpp"

namespace {

using namespace livecanary::protocol::rtmp;
using livecanary::error_code;

constexpr std::array<std::uint8_t, handshake_random_size> random_bytes{1, 2, 3};

struct Outcome {
    error_code error;
    bool done = false;
    std::size_t taken = 0;
    HandshakeDetails details;
    std::vector<std::uint8_t> c2;
    bool operator==(const Outcome&) const = default;
};

Outcome answer(Handshake handshake, std::span<const std::uint8_t> bytes, std::size_t piece) {
    Outcome outcome;
    while (!bytes.empty() && !outcome.error) {
        const auto part = bytes.first(std::min(piece, bytes.size()));
        bytes = bytes.subspan(part.size());
        const auto taken = handshake.feed(part);
        if (!taken)
            outcome.error = taken.error();
        else
            outcome.taken += *taken;
    }
    outcome.done = handshake.done();
    outcome.details = handshake.details();
    outcome.c2 = handshake.c2();
    // After an error only the pieces differ in how much was taken.
    if (outcome.error) outcome.done = false, outcome.taken = 0;
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    for (const auto form :
         {Handshake::Form::simple, Handshake::Form::digest_first, Handshake::Form::digest_second}) {
        const Handshake handshake(form, 7, random_bytes);
        const auto sent = handshake.c0_c1();
        std::vector<std::uint8_t> bytes(sent.begin(), sent.end());
        bytes.insert(bytes.end(), sent.begin() + 1, sent.end());
        bytes.resize(std::max(bytes.size(), size));
        for (std::size_t at = 0; at < size; ++at) bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ data[at]);
        const Outcome whole = answer(handshake, bytes, bytes.size());
        if (answer(handshake, bytes, 1) != whole || answer(handshake, bytes, 1000) != whole) std::abort();
        if (!whole.error && (!whole.done || whole.taken != handshake_size)) std::abort();
        if (whole.done != (whole.c2.size() == handshake_part_size)) std::abort();
    }
    return 0;
}
