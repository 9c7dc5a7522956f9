// Any bytes, in any pieces, give the same units and counts as all at once, within the limits.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/mpeg_ts.hpp"

namespace {

using namespace livecanary::protocol;
constexpr std::size_t max_pes = 1024;

struct Read {
    std::vector<TsUnit> units{};
    livecanary::error_code error{};
    bool video = false, audio = false;
    std::array<std::uint64_t, 5> counts{};
    bool operator==(const Read&) const = default;
};

// As two segments, so that the second one is read with what is known by then.
Read read_in_pieces(std::span<const std::uint8_t> bytes, std::size_t size) {
    TsDemux demux(max_pes);
    Read read;
    for (const auto segment :
         {bytes.first(bytes.size() / 376 * 188), bytes.subspan(bytes.size() / 376 * 188)}) {
        auto rest = segment;
        while (!rest.empty()) {
            const auto piece = rest.first(std::min(size, rest.size()));
            read.error = demux.feed(piece, read.units);
            rest = rest.subspan(piece.size());
        }
        demux.finish(read.units);
    }
    read.video = demux.has_video();
    read.audio = demux.has_audio();
    read.counts = {demux.packets(), demux.continuity_errors(), demux.scrambled(), demux.dropped_units(),
                   demux.section_errors()};
    return read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::uint8_t> bytes(data, size);
    const Read whole = read_in_pieces(bytes, bytes.size());
    for (const std::size_t piece : {1U, 61U, 189U})
        if (read_in_pieces(bytes, piece) != whole) std::abort();
    for (const TsUnit& unit : whole.units) {
        if (unit.data.size() > max_pes || unit.pid > 0x1fff) std::abort();
        if (unit.pts.value_or(0) >> 33 != 0 || unit.dts.value_or(0) >> 33 != 0) std::abort();
        if (unit.dts && !unit.pts) std::abort();
    }
    if (whole.counts[0] > size / 188) std::abort();
    return 0;
}
