#pragma once
// What a drill expects and what it makes of what was said: data and rules, without I/O.
#include <chrono>
#include <iosfwd>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "probes/core/run.hpp"

namespace livecanary::daemon {

/// One thing that the practice stack can break, as its `GET /faults` tells.
struct DrillFault {
    struct NamedBy {
        std::string probe{};
        /// `cause`: it has to be claimed. A class, or empty for candidates without one: `cause` must be among
        /// the first three candidates, since nothing that this probe sees tells it from them.
        std::string label{};
        /// From the fault until it is to be named at the latest, in seconds: until the next run begins (the
        /// interval), that run, the pause before the confirmation and the confirmation, and what the probe
        /// or a control waits for beside.
        double bound = 0;
    };
    std::string id{};
    std::string breaks{};  ///< what, in words
    std::string cause{};   ///< the truth
    bool seed = false;     ///< a failure of the owner's documents
    std::vector<NamedBy> named_by{};
    /// One of `named_by` is enough: whoever of those that share a backend asks first, holds the others back.
    bool any = false;
    std::set<std::string> explained{};  ///< other causes that may rightly be claimed meanwhile
    std::chrono::seconds settle{0};     ///< how long it may be told of after it was healed
    bool fresh_start = false;  ///< probes keep quiet for minutes after it: the daemon is started anew
};

/// Of the body of `GET /faults`. Throws std::exception if it is none.
std::vector<DrillFault> read_faults(std::string_view json);

/// What came of one fault.
struct DrillRow {
    struct Named {
        std::string probe{};
        std::string label{};  ///< what it said: a cause, a class, or empty
        std::vector<std::string> candidates{};
        double seconds = 0;  ///< from the fault until the run that said so had ended
        double bound = 0;    ///< DrillFault::NamedBy::bound
        bool right = false;
    };
    DrillFault fault{};
    std::vector<Named> named{};    ///< one for each of `named_by` that said anything; the last it said
    std::vector<Named> wrong{};    ///< causes claimed that are not so
    std::string trouble{};         ///< what kept it from being tried or healed; empty: nothing
    double recovered_seconds = 0;  ///< from the end of the fault until every probe was well
    bool alert_watched = false;    ///< there is an Alertmanager to look at
    /// From the fault until Alertmanager had an alert with what was named.
    std::optional<double> alert_seconds{};

    bool is_named() const;
    bool right() const;
    /// Until the slowest of the probes had named it.
    double seconds() const;
    /// That of whoever named it; of several the longest.
    double bound() const;
    /// Each of the probes had named it by its own.
    bool in_time() const;
};

/// Follows the results of the API while one thing is broken.
class DrillWatch {
public:
    /// `since`: from when on it was broken. Runs that began before prove nothing.
    DrillWatch(DrillFault fault, WallTime since);

    /// `results`: as `/api/v1/probes` has them, `now`.
    void observe(const boost::json::array& results, WallTime now);
    /// All that must name it have done so.
    bool named() const { return row_.is_named(); }
    /// Every probe has ended a run that began after the fault.
    bool all_have_run() const { return all_have_run_; }
    DrillRow row() const { return row_; }

private:
    std::string since_text_;
    WallTime since_;
    bool all_have_run_ = false;
    std::set<std::string> judged_{};         // run ids
    std::map<std::string, int> failures_{};  // by probe, of runs that began after the fault
    DrillRow row_{};
};

/// The probes that have not been well in a run that began after `since`; each with what it says.
std::vector<std::string> not_well(const boost::json::array& results, WallTime since);

/// Each fault, what was named, after how long, right or wrong; then the confusion matrix and the sum. As
/// Markdown, which is readable as it is.
void print_rows(std::ostream& out, const std::vector<DrillRow>& rows);
boost::json::object to_json(const DrillRow& row);

}  // namespace livecanary::daemon
