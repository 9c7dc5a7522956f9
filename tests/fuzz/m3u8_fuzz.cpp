// Line ends, comments and blank lines make no difference; what was read is written and read back the same; a
// reload never gives a segment twice, nor one that is not in the playlist.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "probes/protocol/m3u8.hpp"

namespace {

using namespace livecanary::protocol;
using namespace std::chrono_literals;

void require(bool holds) {
    if (!holds) std::abort();
}

/// Every line ended by CRLF, and a comment and a blank line after the first.
std::string dressed(std::string_view text) {
    std::string out;
    bool first = true;
    while (!text.empty()) {
        const auto size = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, size);
        if (line.ends_with('\r')) line.remove_suffix(1);
        out.append(line).append(first ? "\r\n# comment\r\n\r\n" : "\r\n");
        text.remove_prefix(std::min(size + 1, text.size()));
        first = false;
    }
    return out;
}

std::string written(const MasterPlaylist& playlist) {
    std::string text = "#EXTM3U\n";
    for (const auto& variant : playlist.variants)
        text += "#EXT-X-STREAM-INF:BANDWIDTH=" + std::to_string(variant.bandwidth) + ",CODECS=\"" +
                variant.codecs + "\",RESOLUTION=" + std::to_string(variant.width) + "x" +
                std::to_string(variant.height) + "\n" + variant.uri + "\n";
    return text;
}

std::string written(const MediaPlaylist& playlist) {
    std::string text = "#EXTM3U\n#EXT-X-VERSION:" + std::to_string(playlist.version) +
                       "\n#EXT-X-TARGETDURATION:" + std::to_string(playlist.target_duration.count()) +
                       "\n#EXT-X-MEDIA-SEQUENCE:" + std::to_string(playlist.media_sequence) +
                       "\n#EXT-X-DISCONTINUITY-SEQUENCE:" + std::to_string(playlist.discontinuity_sequence) +
                       "\n";
    if (playlist.fragmented_mp4) text += "#EXT-X-MAP:URI=\"i\"\n";
    if (playlist.encrypted) text += "#EXT-X-KEY:METHOD=AES-128\n";
    for (const auto& segment : playlist.segments) {
        if (segment.discontinuity) text += "#EXT-X-DISCONTINUITY\n";
        if (segment.gap) text += "#EXT-X-GAP\n";
        char duration[400];
        std::snprintf(duration, sizeof duration, "%.340f", segment.duration);
        text += "#EXTINF:" + std::string(duration) + ",\n" + segment.uri + "\n";
    }
    if (playlist.byte_ranges) text += "#EXT-X-BYTERANGE:1\n";
    return text + (playlist.end_list ? "#EXT-X-ENDLIST\n" : "");
}

void try_reload(const MediaPlaylist& playlist) {
    const std::chrono::steady_clock::time_point start{};
    HlsReload reload;
    const auto first = reload.loaded(playlist, start, start);
    require(first.new_segments.size() == (playlist.segments.empty() ? 0 : 1));
    require(first.load_again_at.has_value() != playlist.end_list && first.age == 0s && !first.stale);
    const auto again = reload.loaded(playlist, start + 1s, start + 1s);
    require(!again.changed && again.new_segments.empty() && again.missed == 0 && !again.restarted);

    MediaPlaylist moved = playlist;
    if (moved.segments.empty()) return;
    moved.segments.erase(moved.segments.begin());
    ++moved.media_sequence;
    const auto later = reload.loaded(moved, start + 2s, start + 2s);
    require(later.new_segments.empty() && later.missed == 0 && !later.restarted && later.age == 2s);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto playlist = parse_m3u8(text);
    const auto same = parse_m3u8(dressed(text));
    require(playlist.has_value() == same.has_value());
    if (!playlist) {
        require(playlist.error() == same.error());
        return 0;
    }
    require(*playlist == *same);
    if (const auto* master = std::get_if<MasterPlaylist>(&*playlist)) {
        require(parse_m3u8(written(*master)) == Playlist(*master));
        return 0;
    }
    MediaPlaylist media = std::get<MediaPlaylist>(*playlist);
    try_reload(media);
    for (auto& segment : media.segments) segment.program_date_time.reset();
    require(parse_m3u8(written(media)) == Playlist(media));
    return 0;
}
