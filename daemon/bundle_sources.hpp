#pragma once
// What a bundle is made of, and where each part of it was had: the running daemon's API, its state, or a run
// of now.
#include <cstddef>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "daemon/settings.hpp"

namespace livecanary::daemon {

struct BundleWish {
    std::vector<std::string> probes{};  ///< names; those of one system part that belong together
    bool all = false;                   ///< the bundle is not about one probe
    std::string daemon_url{};           ///< where its pages are; empty: at `[web] listen`
    bool run = false;                   ///< run the probes now
};

/// Where one part comes from, in both languages.
struct BundleOrigin {
    std::string what_en{}, what_zh{}, from_en{}, from_zh{};
};

/// Most of those are taken.
inline constexpr std::size_t most_incidents_in_bundle = 20;

struct BundleParts {
    boost::json::array results{};                      ///< of contract section 4, one a probe
    std::map<std::string, boost::json::array> runs{};  ///< newest first, by probe
    boost::json::array alerts{};                       ///< that the state file has
    boost::json::array incidents{};                    ///< as /api/v1/incidents/ID has them, newest first
    boost::json::value status{};                       ///< as /api/v1/status has it; null if there is none
    std::vector<BundleOrigin> origins{};
};

/// The probe itself, those it asks, and the journey it is a hop of with its hops; of an empty name all. In
/// the order of the configuration; none if there is no such probe.
std::vector<std::string> belonging_to(const Settings& settings, const std::string& probe);

/// Where a daemon with these settings serves its pages, as asked from this machine; empty if that cannot be
/// known (port 0).
std::string own_pages(const Settings& settings);

/// Blocks for as long as the daemon takes to answer (a minute at most, some seconds if it hangs) and, with
/// `run`, the probes take. What does not work becomes an origin that says so.
BundleParts gather(std::ostream& err, const BundleWish& wish, const Settings& settings);

}  // namespace livecanary::daemon
