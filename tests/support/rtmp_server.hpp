#pragma once
// An RTMP server on loopback that plays a story on each connection, most of them bad, and keeps what it
// heard.
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "probes/protocol/rtmp/chunk.hpp"
#include "probes/protocol/rtmp/command.hpp"
#include "probes/protocol/rtmp/connection.hpp"

namespace livecanary::test {

/// What a client did on one connection.
struct RtmpHeard {
    std::vector<std::string> commands{};      ///< names, in order
    double transaction = 0;                   ///< of the last one
    std::string app{};                        ///< of connect
    std::string tc_url{};                     ///< of connect
    std::string publish_name{};               ///< with its query; of publish
    std::string play_name{};                  ///< with its query; of play
    std::uint32_t window_ack_size = 0;        ///< that the client asked for; 0: it did not
    std::uint32_t chunk_size = 128;           ///< that the client set
    std::vector<std::uint32_t> timestamps{};  ///< of audio and video
    std::size_t media_messages = 0;           ///< audio, video and metadata
    std::size_t media_after_last_word =
        0;                    ///< of them, those in a read after the one that we refused or left at
    std::uint64_t bytes = 0;  ///< read, handshake included
    std::uint64_t said = 0;   ///< bytes written, handshake included
    std::optional<std::uint64_t> said_at_start{};   ///< `said` once the answer to publish was written
    std::optional<std::uint64_t> bytes_at_start{};  ///< `bytes` then
    std::uint32_t ping_answered = 0;                ///< the number of our ping that came back
    bool ended = false;                             ///< the client has closed or reset the connection

    bool has(std::string_view command) const;
    bool gave_back() const { return has("FCUnpublish") && has("deleteStream"); }
};

/// What becomes of a connection after an answer.
enum class Then {
    go_on,
    stay_silent,  ///< reads on and says nothing more
    finish,       ///< sends its FIN and reads on
    hold,         ///< reads on and sends its FIN when the test calls release()
    reset,        ///< tears the connection down
    freeze,       ///< neither reads nor speaks any more
};

/// How a player gets what is published: the codec headers first, then each message as it comes.
struct RtmpRelay {
    /// What becomes of a message; nothing leaves it out. Without it all go out as they came.
    std::function<std::optional<protocol::rtmp::Message>(const protocol::rtmp::Message&)> edit{};
    bool cached_group = false;  ///< after the headers all from the last keyframe on
    std::size_t at_most = std::numeric_limits<std::size_t>::max();  ///< so many messages, …
    std::vector<protocol::rtmp::Message> last_words{};              ///< … then these, …
    Then then = Then::go_on;                                        ///< … and this
};

struct RtmpAnswer {
    std::vector<protocol::rtmp::Message> messages{};
    std::string raw{};  ///< bytes said after the messages
    Then then = Then::go_on;
    bool endless = false;              ///< says `messages` again and again until the client leaves
    std::optional<RtmpRelay> relay{};  ///< the client becomes a player
    std::size_t once_published = 0;    ///< says nothing before so many messages of media were published
};

namespace rtmp_says {
using protocol::rtmp::Message;
RtmpAnswer connected(const RtmpHeard& heard);  ///< NetConnection.Connect.Success, with nginx-rtmp's settings
RtmpAnswer created(const RtmpHeard& heard);    ///< stream 1
RtmpAnswer started(const RtmpHeard& heard);    ///< NetStream.Publish.Start
RtmpAnswer unpublished(const RtmpHeard& heard);  ///< NetStream.Unpublish.Success
RtmpAnswer played(const RtmpHeard& heard);       ///< NetStream.Play.Start, then what is published
Message status(const char* level, const char* code, const char* description = "");  ///< onStatus on stream 1
Message fc_publish();  ///< SRS's, with Publish.Start in it
Message close();
/// `_error` to the last command; `ex`: members of the object `ex` beside the code.
Message error(const RtmpHeard& heard, const char* code, const char* description = "",
              const char* redirect = nullptr);
}  // namespace rtmp_says

using RtmpAnswers = std::function<RtmpAnswer(const RtmpHeard&)>;

/// The same answer whoever asks.
RtmpAnswers always(RtmpAnswer answer);
RtmpAnswers always(Then then);
RtmpAnswers always(protocol::rtmp::Message message, Then then = Then::go_on);
/// What `answers` says, then something else.
RtmpAnswers after(RtmpAnswers answers, Then then);
RtmpAnswers after(RtmpAnswers answers, protocol::rtmp::Message message, Then then = Then::go_on);

/// How the server behaves; by default well, as nginx-rtmp does.
struct RtmpStory {
    static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

    Then on_accept = Then::go_on;
    bool looks_at_c0 = true;  ///< leaves if it is not 3, as nginx-rtmp does; else waits for all of C1
    std::optional<std::string> greeting{};  ///< said in place of S0 S1 S2 once C0 C1 is here, then a FIN
    Then on_c0_c1 = Then::go_on;            ///< other than go_on: in place of S0 S1 S2
    bool wrong_s2 = false;
    RtmpAnswers on_connect = rtmp_says::connected;
    RtmpAnswers on_create_stream = rtmp_says::created;
    RtmpAnswers on_publish = rtmp_says::started;
    RtmpAnswers on_unpublish = rtmp_says::unpublished;  ///< at deleteStream
    RtmpAnswers on_play = rtmp_says::played;
    std::uint64_t media_before = never;  ///< after so many media messages …
    RtmpAnswers on_media{};              ///< … it says this
    bool pongs = true;
    bool pings = false;  ///< sends a PingRequest after Start
    bool acks = true;
    std::uint64_t acked_media = never;  ///< no acknowledgement after so many media messages
    protocol::rtmp::AckBase ack_base = protocol::rtmp::AckBase::after_handshake;
    bool one_byte_at_a_time = false;  ///< one byte of output a turn of the loop
    // Whatever else: after so many bytes written or read, `cut`.
    std::uint64_t cut_after_said = never;
    std::uint64_t cut_after_heard = never;
    Then cut = Then::finish;
};

/// A cloud that checks txSecret and txTime as Tencent Cloud's documents describe (267/31560, read
/// 2026-11-21), and refuses each fault in its own way or all in one.
struct RtmpCloud {
    std::string main_key{};
    std::string backup_key{};
    std::set<std::string> domains{};  ///< that it serves
    std::string app = "live";
    std::set<std::string> busy{};  ///< stream names, without query, that somebody publishes
    bool auth = true;
    bool time_first = false;  ///< an expired URL is told whatever its key
    RtmpAnswer wrong_secret{.then = Then::finish};
    RtmpAnswer expired{.then = Then::finish};
    RtmpAnswer unknown_domain{.then = Then::finish};
    RtmpAnswer unknown_app{.then = Then::finish};
    RtmpAnswer name_busy{.then = Then::finish};

    /// Its answer to publish at that time.
    RtmpAnswer judge(const RtmpHeard& heard, std::chrono::sys_seconds now) const;
};
/// A story that asks `cloud` at publish. `cloud` may be changed while the server stands.
RtmpStory judged_by(const RtmpCloud& cloud);

/// Listens on a free port of 127.0.0.1 or `address`.
class ScriptedRtmpServer {
public:
    /// `receive_buffer`: bytes of the kernel's buffer for what the client sends; 0 for the system's.
    ScriptedRtmpServer(boost::asio::io_context& io, RtmpStory story, int receive_buffer = 0,
                       const char* address = "127.0.0.1", std::uint16_t port = 0);
    ~ScriptedRtmpServer();
    ScriptedRtmpServer(const ScriptedRtmpServer&) = delete;
    ScriptedRtmpServer& operator=(const ScriptedRtmpServer&) = delete;

    std::uint16_t port() const;
    /// One entry for each connection, in order. Grows at its end only.
    const std::deque<RtmpHeard>& heard() const;
    const RtmpHeard& last() const { return heard().back(); }
    /// Audio, video and metadata since the last publish, whoever sent them; of long ones the beginning.
    const std::vector<protocol::rtmp::Message>& published() const;
    /// All clients have left.
    bool deserted() const;
    /// Changes what the next connections meet.
    void play(RtmpStory story);
    /// Sends the FIN that Then::hold keeps back, on all connections.
    void release();

private:
    class Talk;
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace livecanary::test
