#pragma once
// The page of one probe as HTML: its last run in full, and the runs before it. Pure; needs no script.
#include <deque>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "daemon/history.hpp"
#include "daemon/web.hpp"

namespace livecanary::daemon {

/// What the page is made of.
struct ProbeDetails {
    ProbeStatus status{};
    boost::json::object latest{};  ///< the last result (result_json.hpp); empty before the first run
    std::deque<RunSummary> runs{};
    std::string location{};
};

/// `lang`: of the fix, "en" or "zh"; `runnable`: it may be run from here (POST /api/v1/probes/NAME/run).
std::string probe_page(const ProbeDetails& probe, WallTime now, std::string_view lang, bool runnable);

/// The parts of a page that say what a failed result (result_json.hpp) comes from and what to do, and what it
/// was seen by.
std::string why_sections(const boost::json::object& result, std::string_view lang);
std::string seen_sections(const boost::json::object& result);

/// "zh" if a reader who sends this Accept-Language wants Chinese before English, else "en".
std::string_view language_of(std::string_view accept_language) noexcept;

}  // namespace livecanary::daemon
