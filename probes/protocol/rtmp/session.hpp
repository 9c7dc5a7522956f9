#pragma once
// The publisher's conversation with an RTMP server, from C0 to deleteStream: sans-io.
//
// Theory of operation. The caller moves the session forward, one call a step; each call queues the bytes of
// that step, which the caller takes with take_output() and sends in one write. Everything the server sends
// goes into feed(), in any pieces and at any time, and comes out as events.
//
//   state         left by                                 with the event
//   idle          start()                                 -
//   handshake     the last byte of S2                     HandshakeDone
//   greeted       connect()                               -
//   connecting    _result or _error of connect            Connected, Refused
//   connected     create_stream()                         -
//   creating      _result or _error of createStream       StreamCreated, Refused
//   created       publish()                               -
//   publishing    onStatus on our stream                  PublishStarted, Refused
//   started       unpublish(), or onStatus                Refused (the server ended it)
//   unpublishing  NetStream.Unpublish.Success             Unpublished
//   ended         -                                       nothing more can be sent but what teardown needs
//
// From every state a Refused, a ServerClosed or an error of feed() leads to `ended`. There, media and pings
// are dropped, what was queued but not yet taken is dropped too (some servers relay the media of a publisher
// they have refused), and unpublish() still queues what gives the name back. Feeding goes on, since a server
// may say more; after an error it does not.
//
// PublishStarted is not acceptance: nginx-rtmp and node-media-server 4 say it and close at once. A push is
// accepted only after a second of media without FIN, better with an Acknowledged above where media began.
//
// The session itself answers the server's PingRequests (one per 100 ms at most), acknowledges its bytes, and
// follows its chunk sizes.
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "probes/protocol/rtmp/amf0.hpp"
#include "probes/protocol/rtmp/command.hpp"
#include "probes/protocol/rtmp/connection.hpp"
#include "probes/protocol/rtmp/handshake.hpp"
#include "probes/protocol/rtmp/session_parts.hpp"

namespace livecanary::protocol::rtmp {

struct PublishOptions {
    std::string app;          ///< without slashes at its ends, such as "live"
    std::string tc_url;       ///< rtmp[s]://host[:port]/app; IPv6 addresses in brackets
    std::string stream_name;  ///< all after the application, with its ?query: most clouds read the key there
    /// As OBS and FMLE say it: some servers allow known publishers only.
    std::string flash_ver = "FMLE/3.0 (compatible; FMSc/1.0)";
    bool digest_handshake =
        false;  ///< sign C1; needed by none of the servers we know, by old CDN edges perhaps
    std::uint32_t chunk_size = 4096;        ///< of what we send, 128..65536 bytes
    std::uint32_t window_ack_size = 10000;  ///< ask for an Acknowledgement each so many bytes; 0 does not ask
    /// The first media timestamp on the wire, in milliseconds. Anything but 0 is for tests against a server
    /// of one's own: node-media-server 4.4.3 ends its process on timestamps near 2^32.
    std::uint32_t first_timestamp = 0;
};

/// Error::bad_app, bad_tc_url, bad_stream_name or bad_option; nothing if a session can be made of it.
error_code check(const PublishOptions& options);

/// NetStream.Publish.Start in an onStatus on our stream.
struct PublishStarted {
    Status status;
    bool operator==(const PublishStarted&) const = default;
};
/// NetStream.Unpublish.Success after unpublish().
struct Unpublished {
    Status status;
    bool operator==(const Unpublished&) const = default;
};
/// The server has read our bytes up to this position, counted from the first byte of C0 like bytes_out().
/// Compare with what bytes_out() said after a write to know how long that write took to arrive.
struct Acknowledged {
    std::uint64_t bytes = 0;
    bool operator==(const Acknowledged&) const = default;
};
/// The answer to ping(), with its number.
struct Pong {
    std::uint32_t value = 0;
    bool operator==(const Pong&) const = default;
};
/// ServerSettings (connection.hpp) comes each time the server sets one of them, with all of them.
using Event = std::variant<HandshakeDone, Connected, StreamCreated, PublishStarted, Refused, Unpublished,
                           Acknowledged, ServerSettings, Pong, StatusSeen, ServerClosed, ReconnectRequest>;

/// One audio (8) or video (9) message; `body` is that of an FLV tag.
struct Media {
    MessageType type = MessageType::video;
    std::uint32_t timestamp = 0;  ///< decoding time in milliseconds
    std::span<const std::uint8_t> body;
};

/// One publication on one connection. No I/O, no clock, no randomness.
///
/// Strings of the server are fit for a log: at most 512 bytes, printable, and with the query of the stream
/// name (the key) taken out.
class PublishSession {
public:
    /// Handshake's `time` and `random`. Throws boost::system::system_error if check(options) finds a mistake.
    PublishSession(PublishOptions options, std::uint32_t time,
                   std::span<const std::uint8_t, handshake_random_size> random);

    // The steps, in this order; each may be called in the state of the table above that it leaves, in any
    // other it throws std::logic_error. In `ended` they do nothing, so that a refusal need not be raced.
    void start();          ///< C0 C1
    void connect();        ///< C2, SetChunkSize, WindowAckSize, connect
    void create_stream();  ///< releaseStream, FCPublish, createStream
    void publish();        ///< publish(stream_name, "live")

    /// @setDataFrame onMetaData, with the timestamp of the last media (at first the first one). False, and
    /// nothing queued, if the state is not `started`.
    bool send_metadata(const AmfEcmaArray& metadata);
    /// False, and nothing queued, if the state is not `started`. Timestamps are moved so that the first is
    /// PublishOptions::first_timestamp and none lies before it.
    bool send(const Media& media);
    /// PingRequest, answered by a Pong on nginx-rtmp, SRS and ffmpeg, by nothing on node-media-server.
    /// `value` comes back. False, and nothing queued, before Connected and once ended.
    bool ping(std::uint32_t value);

    /// FCUnpublish and deleteStream, as far as there is something to give back: nothing before StreamCreated,
    /// deleteStream alone if publish was refused (the name may be somebody else's). May be called in any
    /// state; a second call queues nothing.
    void unpublish();

    /// The bytes queued since the last call, to be sent in one write and to the end: the next ones follow
    /// them.
    std::vector<std::uint8_t> take_output();

    /// What was read from the server, in any pieces. `now_ms`: a monotonic clock in milliseconds that may
    /// wrap; it only limits the answers to pings. An error (reason `protocol` or `mismatch`) is final and
    /// ends the session; events completed before it stay available.
    error_code feed(std::span<const std::uint8_t> bytes, std::uint32_t now_ms);

    std::optional<Event> next_event();

    /// Refused, closed, or failed: send() drops.
    bool ended() const noexcept { return state_ == State::ended; }

    std::uint64_t bytes_in() const noexcept { return connection_.bytes_in(); }  ///< fed, handshake included
    std::uint64_t bytes_out() const noexcept {
        return connection_.bytes_out();
    }  ///< taken, handshake included
    std::uint64_t bytes_acknowledged() const noexcept { return connection_.acknowledged().position(); }
    /// From which byte the server counts, as far as its acknowledgements have shown.
    AckBase ack_base() const noexcept { return connection_.acknowledged().base(); }
    const ServerSettings& server_settings() const noexcept { return connection_.settings(); }
    /// Messages of the server that were too long to keep.
    std::uint64_t skipped_messages() const noexcept { return connection_.skipped_messages(); }
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
        publishing,
        started,
        unpublishing,
        ended,
    };

    bool enter(State from, State to, const char* call);
    double send_command(std::string_view name, std::vector<AmfValue> arguments, std::uint32_t chunk_stream_id,
                        std::uint32_t message_stream_id);
    error_code on_incoming(const Incoming& incoming);
    error_code on_message(const Message& message);
    error_code on_answer(const Command& command, bool is_result);
    error_code on_create_stream_result(const Command& command);
    void on_connect_result(const Command& command);
    void on_status(const Command& command);
    void on_connection_status(const Command& command, const Status& status);
    void on_stream_status(const Command& command, const Status& status);
    void refuse(Step step, const Command& command);
    void saw(const Command& command);
    std::uint32_t timestamp() const noexcept;
    Step step() const noexcept;
    Status status_of(const Command& command) const { return read_status(command, secrets_); }
    void end();

    PublishOptions options_;
    Connection connection_;
    State state_ = State::idle;
    std::vector<std::string> secrets_;  // what of the stream name and application must not appear in an event
    std::deque<Event> events_;
    error_code failed_;
    // Transaction ids; 0 until the command was sent.
    double last_transaction_ = 0;
    double connect_transaction_ = 0;
    double create_stream_transaction_ = 0;
    double publish_transaction_ = 0;
    std::optional<std::uint32_t> stream_id_;  // until deleted
    bool name_held_ = false;                  // publish was sent and not refused: FCUnpublish is ours to send
    bool unpublish_sent_ = false;
    struct Clock {
        std::uint32_t media = 0;   // timestamp of the last media message as the caller gave it
        std::int64_t elapsed = 0;  // milliseconds since the first one
    };
    std::optional<Clock> clock_;
};

}  // namespace livecanary::protocol::rtmp
