#pragma once
// The first page of a bundle, for somebody who was not there: what to quote to the vendor, what is broken,
// since when, why as far as it is known, and what to ask. In English, then in Chinese.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "daemon/bundle_sources.hpp"
#include "daemon/settings.hpp"

namespace livecanary::daemon {

/// What a vendor can find a request by.
struct VendorId {
    std::string probe{};
    std::string started{};  ///< of its run, RFC 3339
    std::string run_id{};
    std::string name{};  ///< as the vendor calls it: `x-cos-request-id`
    std::string id{};    ///< with our word for the request before it, such as `put`
};

/// In the order of the results.
std::vector<VendorId> vendor_ids(const boost::json::array& results);

/// What of a log line says that it belongs to one of these runs: run ids, vendors' ids, streams, objects.
std::vector<std::string> words_of(const boost::json::array& results);

/// Since when a probe fails, from its last runs, newest first.
struct FailingSince {
    std::string time{};     ///< start of the first failed run; empty if the newest conclusive one was ok
    bool at_least = false;  ///< no run that was ok is known before it
};
FailingSince failing_since(const boost::json::array& runs);

/// Since when a probe fails, from an incident that is open; empty if there is none.
std::string open_since(const boost::json::array& incidents, std::string_view probe);

/// `2026-11-28T14:03:07.123Z` to the second; nothing if it is no such time.
std::optional<WallTime> parse_rfc3339(std::string_view text);

struct CoverFacts {
    std::string probe{};  ///< the bundle is about; empty: all
    std::string location{};
    std::string version{};
    WallTime made{};
    const BundleParts* parts = nullptr;
    std::vector<std::string> files{};      ///< of the archive, besides the cover
    std::vector<std::string> uncertain{};  ///< names of secrets too short to be found in every place
    std::size_t redacted = 0;              ///< places where something was taken out
    std::size_t log_lines = 0;
};

/// Markdown. Holds what the results hold: redact it.
std::string cover(const CoverFacts& facts);

}  // namespace livecanary::daemon
