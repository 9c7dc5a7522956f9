#pragma once
// `livecanary bundle`: what a vendor's support, or a colleague, needs to help, in one file without a secret.
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "config/reader.hpp"
#include "daemon/bundle_archive.hpp"
#include "daemon/redact.hpp"
#include "probes/core/probe.hpp"

namespace livecanary::daemon {

struct BundleCommand {
    std::string config_file{};
    std::string probe{};       ///< and what belongs to it; empty: all
    std::string output{};      ///< a path; "-": stdout
    bool force = false;        ///< replace a file that is there
    bool run = false;          ///< run the probes once, now
    std::string daemon_url{};  ///< where the daemon's pages are; empty: at `[web] listen`
    bool terminal = false;     ///< stdout is one: no place for an archive
};

/// 0, or 1 with words to `err`. Tests bring their own `kinds`.
int bundle(std::ostream& out, std::ostream& err, const BundleCommand& command,
           const config::Surroundings& surroundings, std::span<const Kind* const> kinds = all_kinds());

/// Each string and key of it redacted by itself, and each number that is a secret: it stays JSON.
boost::json::value redacted(const Redactor& redactor, const boost::json::value& value);

/// Indented, for people; members in their order.
std::string pretty(const boost::json::value& value);

/// What still stands in a finished archive, as `NAME in FILE`; that it cannot be read is one, too.
std::vector<std::string> secrets_left(const Redactor& redactor, std::string_view archive);

}  // namespace livecanary::daemon
