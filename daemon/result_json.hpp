#pragma once
// One result as JSON: the schema that `probe --json`, the API and the state store share.
#include <string>

#include <boost/json/object.hpp>

#include "daemon/settings.hpp"

namespace livecanary::daemon {

/// Holds no secret: targets and evidence are redacted where they are made.
boost::json::object to_json(const ProbeSettings& probe, const std::string& location, const RunResult& run,
                            const Diagnosis& found);

/// RFC 3339 in UTC with milliseconds.
std::string rfc3339(WallTime time);

}  // namespace livecanary::daemon
