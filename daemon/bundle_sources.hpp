#pragma once
// What a bundle is made of, and where each part of it was had: the running daemon's API, its state, or a run
// of now.
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

struct BundleParts {
    boost::json::array results{};                      ///< of contract section 4, one a probe
    std::map<std::string, boost::json::array> runs{};  ///< newest first, by probe
    boost::json::array alerts{};                       ///< that the state file has
    boost::json::value incidents{};                    ///< as the API has them; null if it has none
    boost::json::value status{};                       ///< likewise
    std::vector<BundleOrigin> origins{};
};

/// The probe itself, those it asks, and the journey it is a hop of with its hops; of an empty name all. In
/// the order of the configuration; none if there is no such probe.
std::vector<std::string> belonging_to(const Settings& settings, const std::string& probe);

/// Where a daemon with these settings serves its pages, as asked from this machine; empty if that cannot be
/// known (port 0).
std::string own_pages(const Settings& settings);

/// Blocks for as long as the daemon takes to answer (some seconds at most) and, with `run`, the probes take.
/// What does not work becomes an origin that says so.
BundleParts gather(std::ostream& err, const BundleWish& wish, const Settings& settings);

}  // namespace livecanary::daemon
