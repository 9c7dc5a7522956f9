#pragma once
// What went wrong when, what it was taken for over time, and when it was over. Pure: times come in.
//
// Theory of operation. An incident is about a journey and the probes it goes over, or about one probe that
// belongs to none: what is one alert is one incident. It begins with the first failed run of one of them and
// is *suspected* until that probe fails again or alerts; a suspicion that one success ends leaves nothing.
// Then it is *open*, dated back to its beginning, and has an id. It takes in what else of its probes fails.
// It is *closed* when the last of them has recovered or is no longer configured, and forgotten by age and
// number.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "daemon/metrics.hpp"
#include "daemon/settings.hpp"

namespace livecanary::daemon {

/// What a probe was taken to suffer from, from a run on.
struct IncidentChange {
    WallTime at{};
    std::string run_id{}, probe{}, phase{}, reason{};
    std::string cause{}, cause_class{};  ///< at most one of them
    std::string sentence{};              ///< the same for people
    const std::string& label() const noexcept { return cause.empty() ? cause_class : cause; }
};

/// A probe that failed in it.
struct IncidentProbe {
    std::string probe{}, kind{}, target{}, severity{};
    WallTime since{};                   ///< start of its first failed run
    std::optional<WallTime> until{};    ///< once it no longer fails
    std::string ended{};                ///< then: "recovered" or "removed" (from the configuration)
    std::optional<WallTime> alerted{};  ///< since when it alerts, or did
    std::uint64_t failures = 0;         ///< runs
    bool confirmed = false;             ///< failed again, or alerted
    std::string result{};               ///< the last failed one (result_json.hpp), as JSON
};

struct Incident {
    std::string id{};     ///< the run_id of the first failed run
    std::string about{};  ///< the journey, or the one probe
    bool is_journey = false;
    WallTime opened{};
    std::optional<WallTime> closed{};
    std::vector<IncidentProbe> probes{};    ///< in the order in which they began to fail
    std::vector<IncidentChange> changes{};  ///< in the order of time
    std::size_t changes_left_out = 0;       ///< from the middle

    bool confirmed() const noexcept;
    std::optional<WallTime> alerted() const noexcept;
    /// Of its probes the one to speak for it: that still fails, the journey first.
    const IncidentProbe& lead() const noexcept;
    /// What that one was last taken to suffer from.
    const IncidentChange& latest() const noexcept;
    /// The worst of its probes'.
    std::string_view severity() const noexcept;
};

struct IncidentLimits {
    std::chrono::milliseconds keep = std::chrono::hours(90 * 24);  ///< after its end
    std::size_t most = 1000;
    bool operator==(const IncidentLimits&) const = default;
};

/// What is asked for of the API and the page.
struct IncidentWish {
    std::string probe{};          ///< that failed in it; empty: any
    std::optional<bool> open{};   ///< only those that are, or are not
    std::size_t page = 1;         ///< from 1
    std::size_t on_a_page = 100;  ///< 1 to most_incidents_on_a_page
};
constexpr std::size_t most_incidents_on_a_page = 200;

/// The newest first. Holds copies without results.
struct IncidentList {
    std::vector<Incident> incidents{};
    std::size_t count = 0;  ///< of all that are wished for, on all pages
    std::string location{};
};

/// One of them, and what else went wrong at the same time.
struct IncidentView {
    Incident incident{};
    std::vector<Incident> beside{};  ///< without results
    std::string location{};
};

class IncidentBook {
public:
    void limit(IncidentLimits limits) { limits_ = limits; }
    /// A run that has a result. `sentence`: its diagnosis for people; `result`: as JSON, looked at only if it
    /// failed.
    void judged(const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                const Standing& standing, std::string sentence, std::string result);
    /// What is configured: of each probe what its incidents are about. Ends the part of those that are gone,
    /// or belong to something else now.
    void adopt(std::map<std::string, std::string, std::less<>> about, WallTime now);
    /// Forgets what is too old or too many. Open ones stay.
    void forget(WallTime now);
    /// What text() said before a restart. One that is still open goes on, and takes in what was opened since
    /// about the same. What cannot be read is dropped.
    void restore(std::string_view text, WallTime now);

    /// The id of the open incident in which this probe fails; empty if there is none.
    std::string open_of(std::string_view probe) const;
    const Incident* find(const std::string& id) const;
    IncidentList list(const IncidentWish& wish) const;
    /// Null if there is none of that id.
    std::optional<IncidentView> view(const std::string& id) const;
    std::size_t open() const;
    std::size_t size() const;

    /// The ids of what is to be stored or removed, and was not named since: at once what has begun, alerts or
    /// is over; what has changed otherwise when `now` is ten seconds after the last time. `all`: whatever
    /// has.
    std::set<std::string> take_changed(Clock::time_point now, bool all = false);
    /// As it is stored, for restore().
    static std::string text(const Incident& incident);

private:
    Incident* open_about(std::string_view about);
    void failed(Incident& incident, const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                const Standing& standing, std::string sentence, std::string result);
    void end(Incident& incident, IncidentProbe& member, WallTime at, std::string_view how);
    void drop_unconfirmed(Incident& incident, const std::string& probe);
    void close_if_over(const std::string& id, WallTime at);
    void drop_surplus(WallTime now);
    void drop(std::map<std::string, Incident>::iterator at);

    IncidentLimits limits_{};
    std::map<std::string, Incident> incidents_{};                   ///< by id
    std::map<std::string, std::string, std::less<>> open_about_{};  ///< about → id; suspected ones too
    std::map<std::string, std::string, std::less<>> about_{};       ///< probe → what it belongs to
    std::set<std::string> urgent_{}, changed_{};                    ///< ids
    std::optional<Clock::time_point> stored_{};                     ///< when changed_ was taken last
};

/// In the schema of /api/v1/incidents; with `all` as of one, with the results.
boost::json::object to_json(const Incident& incident, bool all);
boost::json::array to_json(const std::vector<Incident>& incidents);

}  // namespace livecanary::daemon
