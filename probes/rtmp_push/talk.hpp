#pragma once
// What is said over one connection to an ingest server: handshake, connect, createStream, publish, media, and
// the farewell.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "probes/core/run.hpp"
#include "probes/protocol/rtmp/session.hpp"
#include "probes/protocol/test_stream.hpp"
#include "probes/rtmp_push/link.hpp"
#include "probes/rtmp_push/push.hpp"

namespace livecanary::rtmp_push {

/// For the answer to FCUnpublish and deleteStream, then we go without: it comes within 2 ms where it comes.
inline constexpr std::chrono::milliseconds farewell_patience{500};

/// How often we ask for acknowledgements, in bytes.
inline constexpr std::uint64_t ack_window = 10'000;

/// One talk over one link, step by step. Says everything on the run: phases, evidence, values, the
/// fingerprint and the failure.
class Talk {
public:
    /// All three must outlive it.
    Talk(Link& link, const Plan& plan, ProbeRun& run);

    /// From the handshake to the last frame, and the viewers meanwhile.
    asio::awaitable<void> whole();
    /// Gives the name back and waits shortly for the answer, whatever went before.
    asio::awaitable<void> farewell();
    /// Sends the viewers home, if there are any left.
    asio::awaitable<void> dismiss();
    std::vector<Viewed> take_viewed() { return std::move(viewed_); }
    /// To those whom the cloud's callbacks are compared by (topics::push): the stream has ended, if it ever
    /// was on air.
    void tell_end();

private:
    void tell(std::string_view event);
    asio::awaitable<error_code> flush(Clock::time_point deadline);
    /// Sends what the session queued and waits for an event of type `Wanted`, or the failure.
    template <class Wanted>
    asio::awaitable<result<Wanted>> expect();
    asio::awaitable<bool> play();
    void queue_frames(protocol::TestStream& stream, Clock::time_point began);
    asio::awaitable<bool> last_word(std::uint64_t sent);
    asio::awaitable<error_code> last_heard(error_code write_error);
    /// Deals with an event nobody waits for; the code of a refusal.
    error_code on_event(const protocol::rtmp::Event& event);
    /// The server's names for this connection, each once: what its owner asks for.
    void note_ids(const protocol::rtmp::Status& status);
    error_code drain();
    bool fails(error_code code);
    bool server_is_frozen(Clock::time_point now);
    /// The server has taken or said nothing for too long, unless it was the run that had no time left.
    error_code out_of_patience() const;

    Link& link_;
    const Plan& plan_;
    ProbeRun& run_;
    Clock::time_point sent_at_{};  // of our last command
    Phase phase_ = handshake;
    std::string status_{};   // code of the refusal
    bool accepted_ = false;  // enough media without a close
    bool pongs_ = false;     // the server answers pings
    bool last_pong_ = false;
    std::uint64_t acknowledged_ = 0;       // as last seen
    std::uint64_t tcp_acked_ = 0;          // as last seen
    std::uint64_t ack_step_ = ack_window;  // the longest way between two acknowledgements
    Clock::time_point progress_at_{};      // when one of the two last grew
    Clock::duration longest_stall_{};
    SentLog sent_;
    std::optional<Audience> audience_{};
    std::vector<Viewed> viewed_{};
};

}  // namespace livecanary::rtmp_push
