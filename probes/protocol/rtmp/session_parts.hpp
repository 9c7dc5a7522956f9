#pragma once
// What the publisher's and the player's session have in common: events, the checks of names, and the reading
// of answers.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "probes/protocol/rtmp/amf0.hpp"
#include "probes/protocol/rtmp/command.hpp"
#include "probes/protocol/rtmp/error.hpp"
#include "probes/protocol/rtmp/handshake.hpp"

namespace livecanary::protocol::rtmp {

/// Which step the server refused; spelled as the phases of a probe.
enum class Step { connect, create_stream, publish, play, media };

struct HandshakeDone {
    HandshakeDetails details;
    bool operator==(const HandshakeDone&) const = default;
};
/// NetConnection.Connect.Success.
struct Connected {
    Status status;
    // What the server calls itself; each may be empty.
    std::string fms_ver;   ///< the version of Flash Media Server it claims to be, such as "FMS/3,0,1,123"
    std::string software;  ///< its real name, which only SRS tells: "SRS/7.0.18(…)"
    std::string version;   ///< the version in its `data` object
    std::optional<double> capabilities;
    bool operator==(const Connected&) const = default;
};
struct StreamCreated {
    std::uint32_t id = 0;
    bool operator==(const StreamCreated&) const = default;
};
/// The server said no. `error` is the code to fail the run with; its reason is `rejected`, or `not_found`
/// for a stream to play.
struct Refused {
    Step step = Step::connect;
    Error error = Error::connect_refused;
    Status status;
    std::string redirect;  ///< where to go instead (ex.redirect); empty if it does not say
    std::string authmod;   ///< the authentication asked for, such as "adobe" or "llnw"; empty if none
    std::string reason;  ///< "authfailed", "nosuchuser", …: why credentials were refused; empty if not said
    bool operator==(const Refused&) const = default;
};
/// A status or an `_error` that changes nothing, such as SRS's onFCPublish: evidence.
struct StatusSeen {
    Status status;
    std::uint32_t message_stream_id = 0;
    bool operator==(const StatusSeen&) const = default;
};
/// The command `close`: the server will hang up. Error::closed_by_command is the code to fail with.
struct ServerClosed {
    bool operator==(const ServerClosed&) const = default;
};
/// The server asks to come again, at `tc_url` if that is not empty. Not a failure; the session goes on.
struct ReconnectRequest {
    Status status;
    std::string tc_url;
    bool operator==(const ReconnectRequest&) const = default;
};

/// Longest of each text we send, in bytes: far above any real one, far below what AMF0 can carry.
inline constexpr std::size_t text_limit = 4096;
/// The chunk stream of the connection's commands, as all clients have it.
inline constexpr std::uint32_t command_chunk_stream = 3;

/// Error::bad_app, bad_tc_url or bad_stream_name.
error_code check_names(std::string_view app, std::string_view tc_url, std::string_view stream_name);

/// What of the stream name and application must not appear in an event: their queries and the longer values
/// of these. Longest first, so that none is left in parts.
std::vector<std::string> secrets_in(std::string_view stream_name, std::string_view app);

/// Whether a code begins with `prefix`, whatever its case.
bool starts_with_code(std::string_view code, std::string_view prefix) noexcept;

/// The string under a key, fit for a log; empty if there is none or `object` is nullptr.
std::string text_at(const AmfValue* object, std::string_view key, const std::vector<std::string>& secrets);

/// What a `_result` of connect says; nothing if it is a refusal.
std::optional<Connected> read_connected(const Command& command, const std::vector<std::string>& secrets);
/// The message stream id in a `_result` of createStream: 0 to 2^31; nothing if there is none.
std::optional<std::uint32_t> read_stream_id(const Command& command);
/// What a command says that is a refusal in this step.
Refused read_refused(Step step, Error error, const Command& command, const std::vector<std::string>& secrets);
/// Nothing if the command says nothing of note.
std::optional<StatusSeen> read_status_seen(const Command& command, const std::vector<std::string>& secrets);
/// Where the server asks to come again, if it does.
std::optional<ReconnectRequest> read_reconnect_request(const Command& command,
                                                       const std::vector<std::string>& secrets);
/// Whether a status on message stream 0 ends the connection.
bool ends_connection(const Status& status) noexcept;

}  // namespace livecanary::protocol::rtmp
