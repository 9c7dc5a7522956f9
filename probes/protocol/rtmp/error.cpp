#include "probes/protocol/rtmp/error.hpp"

#include "probes/core/error_table.hpp"

namespace livecanary::protocol::rtmp {

error_code make_error_code(Error error) noexcept {
    using enum Error;
    static const ErrorTable<Error> table{
        "livecanary.rtmp",
        {{server_speaks_http, "the server speaks HTTP, not RTMP", Reason::mismatch},
         {server_speaks_tls, "the server answers with a TLS alert, not RTMP", Reason::mismatch},
         {server_speaks_ssh, "the server speaks SSH, not RTMP", Reason::mismatch},
         {server_speaks_rtmpe, "the server speaks encrypted RTMP (RTMPE)", Reason::mismatch},
         {bad_version, "the first byte of the answer is not 3, the version of RTMP", Reason::protocol},
         {unknown_chunk_stream, "a chunk refers to a chunk stream not seen before", Reason::protocol},
         {interrupted_message, "a message starts inside an unfinished one", Reason::protocol},
         {bad_chunk_size, "the server sets an impossible chunk size", Reason::protocol},
         {too_many_chunk_streams, "the server uses too many chunk streams", Reason::protocol},
         {too_much_unfinished, "the server leaves too much in unfinished messages", Reason::protocol},
         {zero_window, "the server sets an acknowledgement window of 0", Reason::protocol},
         {amf_truncated, "an AMF0 value runs past the end of its message", Reason::protocol},
         {amf_unknown_type, "an AMF0 value of an unknown type", Reason::protocol},
         {amf_too_deep, "AMF0 values are nested too deep", Reason::protocol},
         {amf_too_large, "a message holds too many AMF0 keys or values", Reason::protocol},
         {bad_command, "a command without a name", Reason::protocol},
         {bad_stream_id, "createStream was answered without a usable stream id", Reason::protocol},
         {connect_refused, "the server refused connect", Reason::rejected},
         {create_stream_refused, "the server refused createStream", Reason::rejected},
         {publish_refused, "the server refused publish", Reason::rejected},
         {media_refused, "the server ended the publication", Reason::rejected},
         {stream_not_found, "the server does not have the stream", Reason::not_found},
         {play_refused, "the server refused play", Reason::rejected},
         {playback_ended, "the stream that was played has ended", Reason::closed},
         {closed_by_command, "the server sent the command close", Reason::closed},
         {bad_app, "the application is empty, too long or has a character it may not have", Reason::local},
         {bad_tc_url, "tcUrl is not rtmp[s]://host[:port]/app", Reason::local},
         {bad_stream_name, "the stream name is empty, too long or has a space or control byte",
          Reason::local},
         {bad_option, "a chunk size, window or buffer length out of range", Reason::local}}};
    return {static_cast<int>(error), table};
}

}  // namespace livecanary::protocol::rtmp
