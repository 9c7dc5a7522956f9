#pragma once
// The status page as HTML: a pure function of what the probes are at. Needs no script.
#include <cstddef>
#include <string>
#include <string_view>

#include "daemon/web.hpp"

namespace livecanary::daemon {

/// Which probes a page shows: those whose name, kind, target or cause contains `text`.
struct PageWish {
    std::string text{};
    std::size_t page = 1;  ///< from 1; of `probes_a_page` probes each
};

constexpr std::size_t probes_a_page = 100;

/// The query of a request for the page ("q=push&page=2"); what it does not understand, it leaves out.
PageWish page_wish(std::string_view query);

/// The page, journeys first, then the worst probe first. `now` is what ages are counted from.
std::string status_page(const Status& status, WallTime now, const PageWish& wish = {});

/// The page for when there is no status to show, with a sentence that says why.
std::string no_status_page(std::string_view why, std::string_view root = "");

/// The page for the address of a probe or incident (`thing`) that there is none of, right below "/THING/".
std::string no_such_page(std::string_view thing);

}  // namespace livecanary::daemon
