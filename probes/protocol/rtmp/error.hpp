#pragma once
// What can be wrong with the bytes and the answers of an RTMP server: one category for the whole protocol.
#include "probes/core/reason.hpp"

namespace livecanary::protocol::rtmp {

/// Category `livecanary.rtmp`. The words and the reason of each stand in error.cpp.
enum class Error {
    // The first byte of the answer (S0) is not 3, the version of plain RTMP.
    server_speaks_http = 1,  ///< 'H', as in "HTTP/1.1 400"
    server_speaks_tls,       ///< 0x15, a TLS alert record
    server_speaks_ssh,       ///< 'S', as in "SSH-2.0"
    server_speaks_rtmpe,     ///< 6 or 8, RTMP with its own encryption
    bad_version,             ///< any other byte
    // The framing is lost.
    unknown_chunk_stream,    ///< the first chunk of a chunk stream refers to a chunk before it
    interrupted_message,     ///< a new message starts inside an unfinished one of the same chunk stream
    bad_chunk_size,          ///< Set Chunk Size of 0 or above 0x7FFFFFFF
    too_many_chunk_streams,  ///< more than ChunkLimits::chunk_streams
    too_much_unfinished,     ///< unfinished messages above ChunkLimits::total_bytes
    zero_window,             ///< Window Acknowledgement Size of 0
    // A message cannot be understood.
    amf_truncated,     ///< a value runs past the end of its message
    amf_unknown_type,  ///< a type marker that AMF0 does not define
    amf_too_deep,      ///< more than amf_max_depth containers inside one another
    amf_too_large,     ///< more keys or values than one message may hold
    bad_command,       ///< a command message that does not begin with a name
    bad_stream_id,     ///< createStream was answered without a usable message stream id
    // The server understood and said no, or left.
    connect_refused,        ///< no to connect
    create_stream_refused,  ///< no to createStream
    publish_refused,        ///< no to publish
    media_refused,          ///< the publication was ended by the server
    stream_not_found,       ///< no to play: there is no such stream
    play_refused,           ///< no to play, or to playing on
    playback_ended,         ///< the stream that is played has ended
    closed_by_command,      ///< the server sent the command `close`
    // Our own options, found before a byte is sent.
    bad_app,          ///< empty, too long, or with a leading slash, a space or a control byte
    bad_tc_url,       ///< not rtmp[s]://host[:port]/app
    bad_stream_name,  ///< empty, too long, or with a space or a control byte
    bad_option,       ///< a chunk size, a window or a buffer length out of range
};

error_code make_error_code(Error error) noexcept;

}  // namespace livecanary::protocol::rtmp

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::rtmp::Error> : std::true_type {};
