#pragma once
// The pages of incidents as HTML: pure functions of what the book holds. Need no script.
#include <string>
#include <string_view>

#include "daemon/incident_book.hpp"

namespace livecanary::daemon {

/// The query of a request for incidents ("probe=push-main&state=open&page=2&limit=50"). What is wrong with
/// it, in words, empty if nothing is; what is wrong is left out of the wish.
std::string read_wish(std::string_view query, IncidentWish& wish);

/// `now` is what ages are counted from.
std::string incidents_page(const IncidentList& list, const IncidentWish& wish, WallTime now);
/// `lang`: of the fix, "en" or "zh".
std::string incident_page(const IncidentView& view, WallTime now, std::string_view lang);

}  // namespace livecanary::daemon
