#pragma once
// RTMP's commands and the status objects of their answers (RTMP 1.0 §7.2): what publishing and playing share.
#include <string>
#include <string_view>
#include <vector>

#include "probes/protocol/printable.hpp"
#include "probes/protocol/rtmp/amf0.hpp"
#include "probes/protocol/rtmp/chunk.hpp"

namespace livecanary::protocol::rtmp {

/// What a server says of itself or of us in an onStatus, `_result` or `_error`. Strings are fit for a log,
/// see printable(); any may be empty. Spelling and case of codes vary between servers: compare with
/// same_code().
struct Status {
    std::string command;      ///< that carried it: "onStatus", "_error", "onFCPublish", …
    std::string level;        ///< "status", "warning", "error"
    std::string code;         ///< such as "NetStream.Publish.Start"
    std::string description;  ///< free text
    /// By which the server's owner finds this connection or request in its logs: `clientid` (SRS, FMS) and
    /// `requestid` of the object itself or of its `data`; at most 128 bytes, a number as its digits.
    std::string client_id{};
    std::string request_id{};
    bool operator==(const Status&) const = default;
};

/// A command message, decoded.
struct Command {
    std::string name;
    double transaction = 0;           ///< 0 if the message has none: ffmpeg's onFCPublish is the name alone
    std::vector<AmfValue> arguments;  ///< all after the transaction id, the command object first
    std::uint32_t message_stream_id = 0;

    /// The first argument that is an object and has a `code` or a `level`; nullptr if there is none.
    const AmfValue* info() const noexcept;
};

/// Error::bad_command if it does not begin with a string; those of amf_decode().
result<Command> decode_command(const Message& message);

/// A command_amf0 message with timestamp 0. `arguments`: all after the transaction id, the command object
/// first.
Message encode_command(std::string_view name, double transaction, const std::vector<AmfValue>& arguments,
                       std::uint32_t chunk_stream_id, std::uint32_t message_stream_id);

/// The status in a command's info object, with every text in `secrets` taken out.
Status read_status(const Command& command, const std::vector<std::string>& secrets);

/// Codes are equal whatever their case: node-media-server 2 says NetStream.publish.Unauthorized.
bool same_code(std::string_view a, std::string_view b) noexcept;

/// `text` with each occurrence of each secret as "***".
std::string without(std::string_view text, const std::vector<std::string>& secrets);

}  // namespace livecanary::protocol::rtmp
