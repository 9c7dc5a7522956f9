#pragma once
// The viewers of a push: each plays the stream over one URL at one address while it is pushed, and says what
// it got.
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/core/run.hpp"
#include "probes/protocol/push_url.hpp"
#include "probes/rtmp_push/reception.hpp"

namespace livecanary::rtmp_push {

namespace asio = boost::asio;

enum class PlayProtocol { rtmp, http_flv, hls };
std::string_view to_string(PlayProtocol protocol) noexcept;
/// By scheme and extension; nothing for http without .flv or .m3u8.
std::optional<PlayProtocol> protocol_of(const protocol::PlayUrl& url) noexcept;

/// How playing can end where no code of a lower layer says it.
enum class PlayError {
    not_found = 1,      ///< HTTP 404, NetStream.Play.StreamNotFound
    forbidden,          ///< HTTP 401 or 403, NetStream.Play.Failed
    http_status,        ///< any other status that is not 200
    segment_not_found,  ///< the playlist lists a segment that the server does not have
    no_media,           ///< the request was granted and no media came
    undecodable,        ///< media came, and no picture that could be shown
    stalled,            ///< media came for a while
    stale,              ///< the playlist is no longer renewed, or shows an earlier push
    foreign,            ///< the pictures are those of another push
    redirects,          ///< sent on too often, or to an address that cannot be
    no_protocol,        ///< our fault: the URL is none that can be played
    unsupported,        ///< nothing proven: fMP4 or encrypted segments, which this player cannot read
};
error_code make_error_code(PlayError error) noexcept;

/// What one viewer is to play.
struct Viewing {
    protocol::PlayUrl url{};  ///< as it goes out: signed
    /// Connects there instead of resolving the name.
    std::optional<asio::ip::address> address{};
    bool every_address = false;  ///< one viewer for each address of the name, at most 16
    std::string ca_file{};
    std::chrono::milliseconds wait{10'000};  ///< how long the stream may take to appear there
};

/// What one viewer saw.
struct Viewed {
    std::size_t viewing = 0;  ///< which of those handed to the Audience
    PlayProtocol protocol = PlayProtocol::rtmp;
    std::string host{};      ///< of the URL
    std::string address{};   ///< address:port it played from; empty if it never came that far
    error_code code{};       ///< empty: the stream was played
    std::string said{};      ///< the server's own words: a status
    bool greeted = false;    ///< RTMP: the handshake was done
    bool asked = false;      ///< the stream was asked for
    bool cut_short = false;  ///< the run had less time than Viewing::wait
    Received received{};
    // HLS alone.
    std::chrono::milliseconds target_duration{0}, segment_duration{0}, playlist_age{0};
    std::uint64_t segments = 0;   ///< fetched whole
    std::uint64_t missed = 0;     ///< that were gone from the playlist before we came
    std::uint64_t went_back = 0;  ///< media sequence numbers that started anew
};

/// Plays while a push runs. Nothing here ends the push, whatever happens to a viewer.
class Audience {
public:
    /// Nobody waits beyond `latest`. `env` and `log` must outlive it.
    Audience(asio::any_io_executor executor, Env& env, const SentLog& log, Clock::time_point latest);
    ~Audience();
    Audience(const Audience&) = delete;
    Audience& operator=(const Audience&) = delete;

    /// Lets one viewer in for each; they ask for the stream at once.
    void open(const std::vector<Viewing>& viewings);
    /// Every viewer either has seen what it came for or will not see it any more.
    bool content() const noexcept;
    /// Ends all viewers and waits until they are gone. The only way to destroy an Audience that was opened.
    asio::awaitable<void> leave();
    /// After leave(), in the order of the viewings.
    std::vector<Viewed> take();

private:
    class Viewer;
    struct Seat;
    void seat(const Viewing& viewing, std::size_t index);

    asio::any_io_executor executor_;
    Env& env_;
    const SentLog& log_;
    Clock::time_point latest_;
    std::list<Seat> seats_;
    asio::steady_timer gone_;  // cancelled whenever one more viewer has
    bool leaving_ = false;
};

}  // namespace livecanary::rtmp_push

template <>
struct boost::system::is_error_code_enum<livecanary::rtmp_push::PlayError> : std::true_type {};
