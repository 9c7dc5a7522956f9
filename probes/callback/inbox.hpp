#pragma once
// What comes in from the cloud: checked, counted and held against the pushes of this daemon. No I/O.
//
// Each push that is told of opens an expectation for each event that must follow it. An expectation is met by
// the first rightly signed event of its number and stream, or is missed once its time is over; if the event
// still comes, it is late. Events of streams that nobody here pushed are kept for a while, since a push may
// be told of after its event, and are then unmatched.
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "probes/callback/answer.hpp"
#include "probes/callback/config.hpp"
#include "probes/core/peers.hpp"
#include "probes/core/run.hpp"

namespace livecanary::callback {

inline constexpr std::array<std::string_view, 8> event_labels{"0",   "1",   "100", "200",
                                                              "317", "321", "332", "other"};
inline constexpr Value callbacks{.metric = "livecanary_callbacks_total",
                                 .help = "Rightly signed callbacks received, by event.",
                                 .type = ValueType::counter,
                                 .label = "event",
                                 .label_values = event_labels};
namespace defect {
inline constexpr std::string_view missing = "missing", duplicate = "duplicate",
                                  bad_signature = "bad_signature", late = "late", unmatched = "unmatched",
                                  unsigned_accepted = "unsigned_accepted";
}
inline constexpr std::array defect_labels{defect::missing, defect::duplicate, defect::bad_signature,
                                          defect::late,    defect::unmatched, defect::unsigned_accepted};
inline constexpr Value defects{.metric = "livecanary_callback_defects_total",
                               .help = "What was wrong with callbacks, sent or received, by defect.",
                               .type = ValueType::counter,
                               .label = "defect",
                               .label_values = defect_labels};
inline constexpr std::array delay_bounds{1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0};
inline constexpr Value delay{.metric = "livecanary_callback_delay_seconds",
                             .help = "From a push's start (event 1) or end (0, 100) until its event came in.",
                             .type = ValueType::histogram,
                             .buckets = delay_bounds,
                             .label = "event",
                             .label_values = event_labels};

/// Of `event_labels`.
std::string_view label_of(std::int64_t event) noexcept;

/// What a request is answered with.
enum class Verdict {
    taken,         ///< rightly signed; 200 unless what it is passed on to says otherwise
    replayed,      ///< byte by byte one that was taken before: 409
    badly_signed,  ///< 403
    expired,       ///< rightly signed, `t` over: 403
    malformed,     ///< no JSON, or without what every event has: 400
    too_many,      ///< 429
};
unsigned status_of(Verdict verdict) noexcept;

/// `answer` of an event that the backend has taken and said nothing to, and of those after it meanwhile.
inline constexpr std::string_view no_answer = "no answer in time";
inline constexpr std::string_view held_back = "not passed on: an earlier request is not answered";

/// What the backend answered to an event that was passed on.
struct Forwarded {
    unsigned status = 0;                 ///< 0: none came
    std::optional<std::int64_t> code{};  ///< of its JSON
    std::string answer{};                ///< for people: `HTTP 200 code 2003`, or why there was none
    bool good() const { return status == 200 && code == 0; }
};

/// A rightly signed event.
struct Arrival {
    std::uint64_t number = 0;  ///< from 1
    Event event{};
    WallTime at{};
    std::optional<Forwarded> forwarded{};
    bool settled = false;  ///< answered with 200
    bool matched = false;  ///< it met an expectation, or was counted as unmatched
};

/// What stands at the moment, as a failure of the probe.
struct Standing {
    enum class What { missing, badly_signed, forward_refused };
    What what{};
    std::vector<std::pair<std::string_view, std::string>> evidence{};
};

struct Report {
    std::map<std::string_view, double> callbacks{};
    std::map<std::string_view, double> defects{};
    std::vector<std::pair<std::string_view, double>> delays{};  ///< event label, seconds
    std::size_t held_back = 0;                                  ///< events that we did not pass on
    std::optional<Standing> standing{};
    std::string headline{};
};

class Inbox {
public:
    static constexpr std::size_t most_arrivals = 512, most_expectations = 512, most_remembered_bodies = 4096,
                                 most_refused = 256;

    Inbox(const Receive& receive, config::Secret key, config::Secret backup_key);

    /// Judges a request. Of a `taken` one, last() is the arrival, which settle() must follow.
    Verdict take(std::string_view body, WallTime now, Clock::time_point steady);
    const Arrival& last() const { return arrivals_.back(); }
    /// It was answered: with 200, or so that the cloud will send it again.
    void settle(std::uint64_t number, bool with_200, std::optional<Forwarded> forwarded = {});

    /// What was told of pushes, oldest first; notices of before `since` are not ours to judge.
    void told(const std::vector<Notice>& notices, WallTime since);
    std::uint64_t last_notice() const noexcept { return last_notice_; }

    /// What came since the last report, and what stands.
    Report report(WallTime now);

    /// The newest rightly signed one of that event and stream, not from before `after`.
    const Arrival* find(std::int64_t event, std::string_view stream_id, WallTime after = {}) const;
    /// Of each recording of that stream (event 100) the newest, in the order in which their first ones came.
    std::vector<const Arrival*> recordings(std::string_view stream_id, WallTime after = {}) const;

private:
    struct Expectation {
        std::int64_t event = 0;
        std::string stream{};
        std::string domain{};  ///< of the push; may be empty
        WallTime since{};
        WallTime due{};
        enum class State { open, met, missed } state = State::open;
        bool badly_signed = false;  ///< such an event came, with a wrong signature
    };
    bool admit(Clock::time_point steady);
    /// `settled`: and was answered with 200 then.
    bool seen_before(const Event& event, bool settled) const;
    void keep_badly_signed(const Event& event, WallTime now);
    static bool is_of(const Event& event, WallTime at, const Expectation& expected);
    bool is_of_own_push(const Arrival& arrival) const;
    void expect(std::int64_t event, const std::string& stream, const std::string& domain, WallTime since);
    void match(Arrival& arrival);
    void conclude(WallTime now);
    std::optional<Standing> standing() const;
    std::optional<Standing> standing_missing() const;
    std::optional<Standing> standing_forward() const;
    void keep_forwarded(const Arrival& arrival);
    /// Whether it is still held against the backend; it has not been answered well since.
    bool stands(const Arrival& refused, WallTime now) const;
    std::string arrived_of(const std::string& stream, WallTime since) const;
    bool hears_of_others(const Expectation& missed) const;

    const Receive receive_;
    config::Secret key_;
    config::Secret backup_key_;
    std::deque<Arrival> arrivals_{};
    std::deque<Expectation> expectations_{};
    struct OwnPush {
        std::string stream{};
        WallTime at{};
    };
    std::deque<OwnPush> own_pushes_{};
    std::deque<std::string> remembered_{};
    std::unordered_set<std::string> remembered_set_{};
    std::map<std::uint64_t, std::string> unsettled_{};   // digests, by arrival
    std::deque<Arrival> refused_{};                      // the newest of its event and stream, oldest first
    std::map<std::string_view, WallTime> last_taken_{};  // by the backend, by event label
    std::uint64_t numbers_ = 0;
    std::uint64_t last_notice_ = 0;
    std::uint64_t taken_ = 0;
    struct BadOne {
        Event event{};
        WallTime at{};
    };
    static constexpr std::size_t most_bad_ones = 64;
    std::deque<BadOne> bad_ones_{};        // of pushes that we may be told of yet
    std::optional<Event> badly_signed_{};  // since the last report
    bool badly_signed_matched_ = false;
    double tokens_ = 0;
    std::optional<Clock::time_point> tokens_at_{};
    Report since_report_{};
};

}  // namespace livecanary::callback
