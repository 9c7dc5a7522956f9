#pragma once
// The player's conversation with an RTMP server, from C0 to deleteStream: sans-io.
//
// Theory of operation. As PublishSession: the caller moves the session forward, one call a step, and sends
// what take_output() gives; what the server sends goes into feed(), in any pieces and at any time. What comes
// of it are events and, apart from them, media.
//
//   state         left by                                 with the event
//   idle          start()                                 -
//   handshake     the last byte of S2                     HandshakeDone
//   greeted       connect()                               -
//   connecting    _result or _error of connect            Connected, Refused
//   connected     create_stream()                         -
//   creating      _result or _error of createStream       StreamCreated, Refused
//   created       play()                                  -
//   playing       onStatus of our stream                  PlayStarted, Refused
//   started       onStatus of our stream                  Refused (the server ends it)
//   ended         -                                       nothing more can be sent but what teardown needs
//
// From every state stop(), a Refused, a ServerClosed or an error of feed() leads to `ended`. There, media is
// dropped, and what was queued but not yet taken is dropped too, but for stop(). Feeding goes on, since a
// server may say more; after an error it does not.
//
// PlayStarted proves nothing: nginx-rtmp, SRS and node-media-server say it of streams that do not exist,
// nginx-rtmp also to a player it then hangs up on (deny play); and media may come before it or without it.
// Only audio or video in take_media() shows that a stream is there. PlayEnded changes no state: a server may
// go on when the publisher comes back.
//
// The session itself answers the server's PingRequests, acknowledges its bytes (or it may stop sending), and
// follows its chunk sizes: take_output() has something to send after any feed().
//
// What is held. With reads of at most 64 KiB and both queues emptied after each: the parts of unfinished
// messages (8 MiB), the media of one read and of the messages it completes, and 256 events and a few. What a
// caller does not take is bounded too, at 16 MiB and 65536 tags, and what comes beyond is dropped and
// counted.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "probes/protocol/flv.hpp"
#include "probes/protocol/rtmp/command.hpp"
#include "probes/protocol/rtmp/connection.hpp"
#include "probes/protocol/rtmp/handshake.hpp"
#include "probes/protocol/rtmp/session_parts.hpp"

namespace livecanary::protocol::rtmp {

struct PlayOptions {
    std::string app;                          ///< without slashes at its ends, such as "live"
    std::string tc_url;                       ///< rtmp[s]://host[:port]/app; IPv6 addresses in brackets
    std::string stream_name;                  ///< all after the application, with its ?query
    std::string flash_ver = "LNX 9,0,124,2";  ///< as ffmpeg says it
    bool digest_handshake = false;            ///< as PublishOptions
    /// Of what we send, 128..65536 bytes; announced if it is not 128. Players send little and do not.
    std::uint32_t chunk_size = default_chunk_size;
    /// Ask for an Acknowledgement each so many bytes, as ffmpeg does; 0 does not ask.
    std::uint32_t window_ack_size = 2500000;
    /// What we say we buffer, 100..60000 milliseconds; ffmpeg's default. Live streams come at their own pace
    /// whatever is said.
    std::uint32_t buffer_ms = 3000;
};

/// Error::bad_app, bad_tc_url, bad_stream_name or bad_option; nothing if a session can be made of it.
error_code check(const PlayOptions& options);

/// NetStream.Play.Start. Not a proof of media, see above.
struct PlayStarted {
    Status status;
    bool operator==(const PlayStarted&) const = default;
};
/// The stream that was played is over: NetStream.Play.UnpublishNotify, NetStream.Play.Stop, or the user
/// control event StreamEOF, which is given as Status::command. Comes once, and only after PlayStarted or
/// media; what says it again is StatusSeen. Error::playback_ended is the code to fail with.
struct PlayEnded {
    Status status;
    bool operator==(const PlayEnded&) const = default;
};

/// Refused::step is `play` until the first audio or video, then `media`.
using PlayEvent = std::variant<HandshakeDone, Connected, StreamCreated, PlayStarted, Refused, PlayEnded,
                               ServerSettings, StatusSeen, ServerClosed, ReconnectRequest>;

/// One stream played on one connection. No I/O, no clock, no randomness.
///
/// Strings of the server are fit for a log: at most 512 bytes, printable, and with the query of the stream
/// name (the key) taken out.
class PlaySession {
public:
    /// Handshake's `time` and `random`. Throws boost::system::system_error if check(options) finds a mistake.
    PlaySession(PlayOptions options, std::uint32_t time,
                std::span<const std::uint8_t, handshake_random_size> random);

    // The steps, in this order; each may be called in the state of the table above that it leaves, in any
    // other it throws std::logic_error. In `ended` they do nothing, so that a refusal need not be raced.
    void start();          ///< C0 C1
    void connect();        ///< C2, SetChunkSize if not 128, WindowAckSize, connect
    void create_stream();  ///< createStream
    void play();           ///< play(stream_name, -2000) and SetBufferLength

    /// deleteStream, if there is a stream. May be called in any state; a second call queues nothing.
    void stop();

    /// The bytes queued since the last call, to be sent in one write and to the end: the next ones follow
    /// them.
    std::vector<std::uint8_t> take_output();

    /// One read from the server, in any pieces. `now_ms`: a monotonic clock in milliseconds that may wrap; it
    /// only limits the answers to pings. An error (reason `protocol` or `mismatch`) is final and ends the
    /// session; events and media completed before it stay available.
    error_code feed(std::span<const std::uint8_t> bytes, std::uint32_t now_ms);

    std::optional<PlayEvent> next_event();

    /// The audio, video and data messages completed since the last call, from play() on, in the order of the
    /// wire, as the tags of an FLV stream. An aggregate comes as its tags, AMF3 data without its extra byte,
    /// and data without a leading "@setDataFrame", which some servers relay. From whatever message stream:
    /// ffmpeg and librtmp do not look at it either. Bodies may be empty, and of any content; data is metadata
    /// and more, such as the "|RtmpSampleAccess" that nginx-rtmp and SRS begin with.
    std::vector<FlvTag> take_media();

    /// Stopped, refused, closed, or failed: media is dropped.
    bool ended() const noexcept { return state_ == State::ended; }

    std::uint64_t bytes_in() const noexcept { return connection_.bytes_in(); }  ///< fed, handshake included
    std::uint64_t bytes_out() const noexcept {
        return connection_.bytes_out();
    }  ///< taken, handshake included
    const ServerSettings& server_settings() const noexcept { return connection_.settings(); }
    /// Messages of the server that were too long to keep (4 MiB, commands 64 KiB), and aggregates that broke
    /// off.
    std::uint64_t skipped_messages() const noexcept {
        return connection_.skipped_messages() + skipped_messages_;
    }
    std::uint64_t dropped_events() const noexcept { return dropped_events_; }  ///< beyond 256 not taken
    std::uint64_t dropped_tags() const noexcept { return dropped_tags_; }      ///< beyond the bounds of media
    std::uint32_t stream_id() const noexcept { return stream_id_.value_or(0); }

private:
    enum class State {
        idle,
        handshake,
        greeted,
        connecting,
        connected,
        creating,
        created,
        playing,
        started,
        ended,
    };

    bool enter(State from, State to, const char* call);
    double send_command(std::string_view name, std::vector<AmfValue> arguments, std::uint32_t chunk_stream_id,
                        std::uint32_t message_stream_id);
    error_code on_incoming(Incoming& incoming);
    error_code on_message(Message& message);
    error_code on_command(const Message& message);
    error_code on_answer(const Command& command, bool is_result);
    error_code on_create_stream_result(const Command& command);
    void on_connect_result(const Command& command);
    void on_status(const Command& command);
    void on_stream_status(const Command& command, const Status& status);
    bool on_stream_end(const Status& status);
    void on_aggregate(const Message& message);
    void on_media(MessageType type, std::uint32_t timestamp, std::vector<std::uint8_t> body);
    void refuse(Step step, const Command& command);
    void saw(const Command& command);
    void note(PlayEvent event);
    Step step() const noexcept;
    void end();

    PlayOptions options_;
    Connection connection_;
    State state_ = State::idle;
    std::vector<std::string> secrets_;  // what of the stream name and application must not appear in an event
    std::deque<PlayEvent> events_;
    std::uint64_t dropped_events_ = 0;
    std::vector<FlvTag> media_;
    std::size_t media_bytes_ = 0;  // of the bodies in media_
    std::uint64_t dropped_tags_ = 0;
    std::uint64_t skipped_messages_ = 0;  // besides those of the connection
    error_code failed_;
    // Transaction ids; 0 until the command was sent.
    double last_transaction_ = 0;
    double connect_transaction_ = 0;
    double create_stream_transaction_ = 0;
    double play_transaction_ = 0;
    std::optional<std::uint32_t> stream_id_;
    bool media_seen_ = false;  // audio or video
    bool end_seen_ = false;
    bool stop_sent_ = false;
};

}  // namespace livecanary::protocol::rtmp
