#pragma once
// The status page as HTML: a pure function of what the probes are at. Needs no script.
#include <string>
#include <string_view>

#include "daemon/web.hpp"

namespace livecanary::daemon {

/// The page, worst probe first. `now` is what ages are counted from.
std::string status_page(const Status& status, WallTime now);

/// The page for when there is no status to show, with a sentence that says why.
std::string no_status_page(std::string_view why);

/// What both pages look like, in light and dark.
std::string_view style_sheet() noexcept;

/// `text` for an element or an attribute in double quotes.
std::string html(std::string_view text);

}  // namespace livecanary::daemon
