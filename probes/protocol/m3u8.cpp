#include "probes/protocol/m3u8.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "probes/core/error_table.hpp"

namespace livecanary::protocol {
namespace {

using std::chrono::seconds;

/// A day: longer than any sensible segment, short enough to be added to any time.
constexpr std::uint32_t max_duration = 86'400;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
/// With the '\r' of a line end.
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

/// Takes the text up to `end`, and `end` itself, off the front; all of it if `end` does not occur.
std::string_view take_until(std::string_view& text, char end) {
    const auto size = std::min(text.find(end), text.size());
    const auto taken = text.substr(0, size);
    text.remove_prefix(std::min(size + 1, text.size()));
    return taken;
}

/// decimal-integer (§4.2).
template <class Number>
error_code read_number(std::string_view text, Number& number, Number max) {
    Number value = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, ec] = std::from_chars(text.data(), end, value);
    if (ec != std::errc() || stopped != end || value > max) return M3u8Error::bad_number;
    number = value;
    return {};
}

/// decimal-floating-point (§4.2), seconds.
error_code read_duration(std::string_view text, double& duration) {
    // from_chars would take "inf", "nan" and a sign.
    if (!std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.'; }))
        return M3u8Error::bad_number;
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, ec] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    if (ec != std::errc() || stopped != end || value > max_duration) return M3u8Error::bad_number;
    duration = value;
    return {};
}

/// decimal-resolution (§4.2): WIDTHxHEIGHT.
error_code read_resolution(std::string_view text, VariantStream& variant) {
    constexpr std::uint32_t max = 1'000'000;
    const auto width = take_until(text, 'x');
    if (const auto ec = read_number(width, variant.width, max)) return ec;
    return read_number(text, variant.height, max);
}

/// Takes the next attribute off an attribute list (§4.2). A quoted string loses its quotes.
error_code take_attribute(std::string_view& list, std::string_view& name, std::string_view& value) {
    const auto equals = list.find('=');
    if (equals == list.npos) return M3u8Error::bad_attributes;
    name = trimmed(list.substr(0, equals));
    list = trimmed(list.substr(equals + 1));
    if (name.empty()) return M3u8Error::bad_attributes;
    if (!list.starts_with('"')) {
        value = trimmed(take_until(list, ','));
        return value.find('"') == value.npos ? error_code() : M3u8Error::bad_attributes;
    }
    list.remove_prefix(1);
    const auto quote = list.find('"');
    if (quote == list.npos) return M3u8Error::bad_attributes;
    value = list.substr(0, quote);
    list = trimmed(list.substr(quote + 1));
    if (!list.empty() && list.front() != ',') return M3u8Error::bad_attributes;
    take_until(list, ',');
    return {};
}

/// The number of `digits` digits at the front, taken off; none if there are other characters.
std::optional<int> take_digits(std::string_view& text, std::size_t digits) {
    int value = 0;
    if (text.size() < digits) return std::nullopt;
    for (const char c : text.substr(0, digits)) {
        if (!is_digit(c)) return std::nullopt;
        value = 10 * value + (c - '0');
    }
    text.remove_prefix(digits);
    return value;
}

bool take_char(std::string_view& text, std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == any_of.npos) return false;
    text.remove_prefix(1);
    return true;
}

/// `.` and digits, of which nine count; 0 without.
std::chrono::nanoseconds take_fraction(std::string_view& text) {
    std::chrono::nanoseconds fraction{0}, unit{std::chrono::seconds(1)};
    if (!take_char(text, ".,")) return fraction;
    for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1)) {
        unit /= 10;
        fraction += unit * (text.front() - '0');
    }
    return fraction;
}

/// `Z`, `±hh`, `±hhmm` or `±hh:mm`, to the end: east of Greenwich is positive.
std::optional<std::chrono::minutes> read_zone(std::string_view text) {
    if (text == "Z" || text == "z") return std::chrono::minutes(0);
    const bool west = text.starts_with('-');
    if (!take_char(text, "+-")) return std::nullopt;
    const auto hours = take_digits(text, 2);
    if (!hours || *hours > 23) return std::nullopt;
    const bool has_minutes = take_char(text, ":") || !text.empty();
    const auto minutes = has_minutes ? take_digits(text, 2) : std::optional(0);
    if (!minutes || *minutes > 59 || !text.empty()) return std::nullopt;
    const std::chrono::minutes offset = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
    return west ? -offset : offset;
}

/// ISO 8601, extended format with seconds (§4.3.2.6): "2010-02-19T14:54:23.031+08:00".
std::optional<std::chrono::system_clock::time_point> read_date_time(std::string_view text) {
    using namespace std::chrono;
    const auto y = take_digits(text, 4);
    if (!y || !take_char(text, "-")) return std::nullopt;
    const auto m = take_digits(text, 2);
    if (!m || !take_char(text, "-")) return std::nullopt;
    const auto d = take_digits(text, 2);
    if (!d || !take_char(text, "Tt ")) return std::nullopt;
    const auto hour = take_digits(text, 2);
    if (!hour || !take_char(text, ":")) return std::nullopt;
    const auto minute = take_digits(text, 2);
    if (!minute || !take_char(text, ":")) return std::nullopt;
    const auto second = take_digits(text, 2);
    if (!second) return std::nullopt;
    const auto fraction = take_fraction(text);
    const auto zone = read_zone(text);
    const year_month_day date(year(*y), month(static_cast<unsigned>(*m)), day(static_cast<unsigned>(*d)));
    // Nanoseconds in 64 bits reach the year 2262. Second 60 is a leap second.
    if (!zone || !date.ok() || *y < 1970 || *y > 2261 || *hour > 23 || *minute > 59 || *second > 60)
        return std::nullopt;
    return sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second) + fraction - *zone;
}

/// Reads line by line. A URI line takes what the tags before it have said of it: `segment_` after EXTINF,
/// `variant_` after EXT-X-STREAM-INF.
class PlaylistParser {
public:
    error_code on_line(std::string_view line) {
        if (line.empty()) return {};
        if (!line.starts_with('#')) return on_uri(line);
        if (!line.starts_with("#EXT")) return {};  // a comment
        const auto name = take_until(line, ':').substr(1);
        return on_tag(trimmed(name), trimmed(line));
    }
    result<Playlist> finish();

private:
    error_code on_uri(std::string_view uri);
    error_code on_tag(std::string_view name, std::string_view value);
    error_code on_segment_tag(std::string_view name, std::string_view value);
    error_code on_playlist_tag(std::string_view name, std::string_view value);
    error_code on_key(std::string_view attributes);
    error_code on_variant(std::string_view attributes);

    MediaPlaylist media_{};
    MasterPlaylist master_{};
    bool is_media_ = false;
    bool is_master_ = false;
    bool has_target_duration_ = false;
    // Of the URI to come.
    MediaSegment segment_{};
    VariantStream variant_{};
    bool has_duration_ = false;
    bool has_variant_ = false;
};

constexpr auto segment_tags =
    std::to_array<std::string_view>({"EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-KEY",
                                     "EXT-X-MAP", "EXT-X-PROGRAM-DATE-TIME", "EXT-X-DATERANGE", "EXT-X-GAP"});
constexpr auto media_playlist_tags = std::to_array<std::string_view>(
    {"EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-ENDLIST",
     "EXT-X-PLAYLIST-TYPE", "EXT-X-I-FRAMES-ONLY"});
constexpr auto master_playlist_tags =
    std::to_array<std::string_view>({"EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF",
                                     "EXT-X-SESSION-DATA", "EXT-X-SESSION-KEY"});

bool is_one_of(std::string_view name, const auto& names) {
    return std::ranges::find(names, name) != names.end();
}

error_code PlaylistParser::on_uri(std::string_view uri) {
    if (has_variant_) {
        if (master_.variants.size() == max_playlist_entries) return M3u8Error::too_long;
        variant_.uri = uri;
        master_.variants.push_back(std::exchange(variant_, {}));
        has_variant_ = false;
        return {};
    }
    if (!has_duration_) return M3u8Error::uri_without_tag;
    if (media_.segments.size() == max_playlist_entries) return M3u8Error::too_long;
    segment_.uri = uri;
    media_.segments.push_back(std::exchange(segment_, {}));
    has_duration_ = false;
    return {};
}

error_code PlaylistParser::on_tag(std::string_view name, std::string_view value) {
    const bool of_segment = is_one_of(name, segment_tags);
    const bool of_media = is_one_of(name, media_playlist_tags);
    is_media_ = is_media_ || of_segment || of_media;
    is_master_ = is_master_ || is_one_of(name, master_playlist_tags);
    if (is_media_ && is_master_) return M3u8Error::mixed;
    if (of_segment) return on_segment_tag(name, value);
    if (of_media) return on_playlist_tag(name, value);
    if (name == "EXT-X-STREAM-INF") return on_variant(value);
    if (name == "EXT-X-VERSION")
        return read_number(value, media_.version, std::numeric_limits<std::uint32_t>::max());
    return {};
}

error_code PlaylistParser::on_segment_tag(std::string_view name, std::string_view value) {
    if (name == "EXTINF") {
        has_duration_ = true;
        return read_duration(trimmed(take_until(value, ',')), segment_.duration);
    }
    if (name == "EXT-X-KEY") return on_key(value);
    if (name == "EXT-X-DISCONTINUITY") segment_.discontinuity = true;
    if (name == "EXT-X-GAP") segment_.gap = true;
    if (name == "EXT-X-MAP") media_.fragmented_mp4 = true;
    if (name == "EXT-X-BYTERANGE") media_.byte_ranges = true;
    // A date nobody can read harms no playback.
    if (name == "EXT-X-PROGRAM-DATE-TIME") segment_.program_date_time = read_date_time(value);
    return {};
}

error_code PlaylistParser::on_playlist_tag(std::string_view name, std::string_view value) {
    // What is above would leave no numbers for the segments.
    constexpr std::uint64_t max_sequence = std::numeric_limits<std::uint64_t>::max() - max_playlist_entries;
    if (name == "EXT-X-TARGETDURATION") {
        std::uint32_t duration = 0;
        const error_code code = read_number(value, duration, max_duration);
        media_.target_duration = seconds(duration);
        has_target_duration_ = true;
        return code;
    }
    if (name == "EXT-X-MEDIA-SEQUENCE") return read_number(value, media_.media_sequence, max_sequence);
    if (name == "EXT-X-DISCONTINUITY-SEQUENCE")
        return read_number(value, media_.discontinuity_sequence, max_sequence);
    if (name == "EXT-X-ENDLIST") media_.end_list = true;
    return {};
}

error_code PlaylistParser::on_key(std::string_view attributes) {
    bool has_method = false;
    while (!attributes.empty()) {
        std::string_view name, value;
        if (const auto ec = take_attribute(attributes, name, value)) return ec;
        if (name != "METHOD") continue;
        has_method = true;
        if (value != "NONE") media_.encrypted = true;
    }
    return has_method ? error_code() : M3u8Error::bad_attributes;
}

error_code PlaylistParser::on_variant(std::string_view attributes) {
    variant_ = {};
    has_variant_ = true;
    while (!attributes.empty()) {
        std::string_view name, value;
        if (const auto ec = take_attribute(attributes, name, value)) return ec;
        error_code code;
        if (name == "BANDWIDTH")
            code = read_number(value, variant_.bandwidth, std::numeric_limits<std::uint64_t>::max());
        if (name == "RESOLUTION") code = read_resolution(value, variant_);
        if (name == "CODECS") variant_.codecs = value;
        if (code) return code;
    }
    return {};
}

result<Playlist> PlaylistParser::finish() {
    if (has_duration_ || has_variant_) return M3u8Error::tag_without_uri;
    if (is_media_) {
        if (!has_target_duration_) return M3u8Error::missing_target_duration;
        for (std::size_t i = 0; i < media_.segments.size(); ++i)
            media_.segments[i].sequence = media_.media_sequence + i;
        return Playlist(std::move(media_));
    }
    if (master_.variants.empty()) return M3u8Error::no_segments_or_variants;
    return Playlist(std::move(master_));
}

/// Queries may carry a token of the one who asks, which is another in each answer.
std::string_view without_query(std::string_view uri) { return uri.substr(0, uri.find('?')); }

}  // namespace

error_code make_error_code(M3u8Error error) noexcept {
    using enum M3u8Error;
    static const ErrorTable<M3u8Error> table{
        "livecanary.m3u8",
        {{not_m3u8, "not an HLS playlist: it does not begin with #EXTM3U", Reason::mismatch},
         {no_segments_or_variants, "the playlist has neither segments nor variants", Reason::protocol},
         {mixed, "the playlist mixes tags of a master and of a media playlist", Reason::protocol},
         {bad_number, "a number in the playlist cannot be read or is out of bounds", Reason::protocol},
         {bad_attributes, "an attribute list in the playlist is malformed", Reason::protocol},
         {uri_without_tag, "a URI in the playlist has no EXTINF or EXT-X-STREAM-INF", Reason::protocol},
         {tag_without_uri, "the playlist ends where a URI must follow", Reason::protocol},
         {missing_target_duration, "the playlist has no EXT-X-TARGETDURATION", Reason::protocol},
         {too_long, "the playlist, a line of it or its list is longer than the limit", Reason::protocol}}};
    return {static_cast<int>(error), table};
}

result<Playlist> parse_m3u8(std::string_view text) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (text.size() > max_playlist_size) return M3u8Error::too_long;
    if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
    PlaylistParser parser;
    for (bool first = true; first || !text.empty(); first = false) {
        const auto written = take_until(text, '\n');
        const auto line = trimmed(written);
        // Before its length: an HTML page may stand in one long line.
        if (first && written.substr(0, written.find_first_of(" \t\r")) != "#EXTM3U")
            return M3u8Error::not_m3u8;
        if (line.size() > max_playlist_line) return M3u8Error::too_long;
        if (const auto ec = parser.on_line(line)) return ec;
    }
    return parser.finish();
}

HlsUpdate HlsReload::loaded(const MediaPlaylist& playlist, TimePoint began, TimePoint received) {
    HlsUpdate update;
    update.older_version = is_older(playlist);
    if (!update.older_version) {
        update.changed = !last_ || *last_ != playlist;
        if (!last_) appeared_ = received;
        take_over(playlist, update);
    }
    if (!update.new_segments.empty()) appeared_ = received;
    update.age = std::max(began - appeared_, TimePoint::duration::zero());
    if (playlist.end_list) return update;
    // A target duration is a whole number, so segments below half a second may state 0. Without a pause
    // between loads we would be a flood.
    const std::chrono::milliseconds target = std::max(playlist.target_duration, seconds(1));
    update.load_again_at = began + (update.changed ? target : target / 2);
    update.stale = update.age > target * 3 / 2;
    return update;
}

/// It ends before what we have had, and knows a segment that we know under the same number. After a restart
/// the numbers would stand for other segments.
bool HlsReload::is_older(const MediaPlaylist& playlist) const {
    if (!newest_ || playlist.segments.empty() || playlist.segments.back().sequence >= *newest_) return false;
    return std::ranges::any_of(playlist.segments, [this](const MediaSegment& segment) {
        // What has left the list wraps to an index far beyond it.
        const std::uint64_t index = segment.sequence - last_->media_sequence;
        return index < last_->segments.size() &&
               without_query(last_->segments[index].uri) == without_query(segment.uri);
    });
}

void HlsReload::take_over(const MediaPlaylist& playlist, HlsUpdate& update) {
    last_ = playlist;
    if (playlist.segments.empty()) return;
    const std::uint64_t newest = playlist.segments.back().sequence;
    update.restarted = newest_ && newest < *newest_;
    if (!newest_ || update.restarted) {
        update.new_segments.push_back(playlist.segments.back());
    } else {
        if (playlist.media_sequence > *newest_) update.missed = playlist.media_sequence - *newest_ - 1;
        for (const MediaSegment& segment : playlist.segments)
            if (segment.sequence > *newest_) update.new_segments.push_back(segment);
    }
    newest_ = newest;
}

}  // namespace livecanary::protocol
