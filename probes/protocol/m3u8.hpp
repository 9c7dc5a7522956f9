#pragma once
// HLS playlists: read whole, and when to load a live one again.
//
// Source: RFC 8216. EXT-X-GAP is of its successor (draft-pantos-hls-rfc8216bis §4.4.4.7).
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "probes/core/reason.hpp"

namespace livecanary::protocol {

enum class M3u8Error {
    not_m3u8 = 1,             ///< does not begin with #EXTM3U, as an HTML error page does not
    no_segments_or_variants,  ///< neither a variant nor any tag of a media playlist
    mixed,                    ///< tags of a master and of a media playlist (§4.3.2, §4.3.4)
    bad_number,               ///< a number that is none, or beyond its bound
    bad_attributes,           ///< an attribute list that breaks §4.2, or lacks a METHOD it must have
    uri_without_tag,          ///< a URI without EXTINF or EXT-X-STREAM-INF before it
    tag_without_uri,          ///< the playlist ends between such a tag and its URI
    missing_target_duration,  ///< a media playlist without EXT-X-TARGETDURATION (§4.3.3.1)
    too_long,                 ///< text, line, or number of segments or variants beyond its bound
};
error_code make_error_code(M3u8Error error) noexcept;

// Bounds; far above what a live playlist needs, which lists minutes.
inline constexpr std::size_t max_playlist_size = 1024 * 1024;  ///< bytes
inline constexpr std::size_t max_playlist_line = 8 * 1024;     ///< bytes, without white space at its ends
inline constexpr std::size_t max_playlist_entries = 10'000;    ///< segments or variants

/// One EXT-X-STREAM-INF with its URI.
struct VariantStream {
    std::string uri{};            ///< as written: relative to the playlist's URL, its query included
    std::uint64_t bandwidth = 0;  ///< peak, bit/s; 0 if not said, though it must be
    std::string codecs{};         ///< RFC 6381, such as "avc1.64001f,mp4a.40.2"; may be empty
    std::uint32_t width = 0;      ///< pixels; 0 if not said
    std::uint32_t height = 0;

    bool operator==(const VariantStream&) const = default;
};

struct MasterPlaylist {
    std::vector<VariantStream> variants{};  ///< at least one
    bool operator==(const MasterPlaylist&) const = default;
};

struct MediaSegment {
    std::string uri{};           ///< as written
    double duration = 0;         ///< seconds, 0 to 86400
    std::uint64_t sequence = 0;  ///< media sequence number
    bool discontinuity = false;  ///< timestamps or encoding break before it
    bool gap = false;            ///< not there: must not be loaded
    /// When its first sample was captured, to the nanosecond. Only where the tag stands, in the years 1970 to
    /// 2261 and with a time zone; without one it could be off by hours.
    std::optional<std::chrono::system_clock::time_point> program_date_time{};

    bool operator==(const MediaSegment&) const = default;
};

struct MediaPlaylist {
    std::uint32_t version = 1;
    std::chrono::seconds target_duration{0};  ///< no segment is longer, rounded; 0 to 86400
    std::uint64_t media_sequence = 0;         ///< of the first segment
    std::uint64_t discontinuity_sequence = 0;
    bool end_list = false;                 ///< nothing will be added
    bool fragmented_mp4 = false;           ///< EXT-X-MAP seen: the segments need an initialization section
    bool encrypted = false;                ///< EXT-X-KEY seen with a METHOD other than NONE
    bool byte_ranges = false;              ///< EXT-X-BYTERANGE seen: a URI alone does not say what to load
    std::vector<MediaSegment> segments{};  ///< may be empty: a stream that has just begun

    bool operator==(const MediaPlaylist&) const = default;
};

using Playlist = std::variant<MasterPlaylist, MediaPlaylist>;

/// Reads a whole playlist. Accepts what players do: a byte order mark, CRLF, white space at line ends and
/// after the commas of attribute lists. Tags it does not know are ignored.
result<Playlist> parse_m3u8(std::string_view text);

/// What one load of a media playlist has shown.
struct HlsUpdate {
    using TimePoint = std::chrono::steady_clock::time_point;

    std::vector<MediaSegment> new_segments{};  ///< oldest first; at the start only the newest of all
    /// Segments that came and went between two loads: the media sequence has moved past them.
    std::uint64_t missed = 0;
    bool restarted = false;  ///< the media sequence went back: the stream began anew
    /// An earlier state of the playlist we had, as a second CDN node with an older copy gives it. Nothing of
    /// it is taken over.
    bool older_version = false;
    bool changed = false;  ///< something is different from the load before, so that the longer wait holds
    std::optional<TimePoint> load_again_at{};  ///< not before this; none if the playlist has ended
    /// How long no new segment has appeared, at least: from when we received the load that showed the last
    /// one to when this load began.
    TimePoint::duration age{};
    /// Not ended, and its age above 1.5 target durations: by then a server MUST have added a segment
    /// (§6.2.1).
    bool stale = false;
};

/// The reload rules of §6.3.4 for one live media playlist, as a pure function of what was loaded when.
///
/// A first load gives the newest segment only: a probe measures the live edge, while a player would start
/// three target durations before the end (§6.3.3). The same after a restart.
class HlsReload {
public:
    using TimePoint = HlsUpdate::TimePoint;

    /// `began`: when the load of `playlist` began, from which the waits count; `received`: when it was there.
    HlsUpdate loaded(const MediaPlaylist& playlist, TimePoint began, TimePoint received);

private:
    bool is_older(const MediaPlaylist& playlist) const;
    void take_over(const MediaPlaylist& playlist, HlsUpdate& update);

    std::optional<MediaPlaylist> last_{};    // without older versions
    std::optional<std::uint64_t> newest_{};  // sequence number of the newest segment given
    TimePoint appeared_{};                   // when that was received, or else the first load
};

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::M3u8Error> : std::true_type {};
