#pragma once
// `[web.tls]` and `[web.users]` of the configuration: how the pages are served, and to whom.
#include <string>

#include "config/reader.hpp"
#include "daemon/settings.hpp"

namespace livecanary::daemon {

/// Reads the two tables of one file into `settings`. `web` is the table that `in` reads; `now` tells whether
/// the certificate is valid.
void read_web_access(config::Reader& in, const toml::table& web, const config::File& file, WallTime now,
                     Settings& settings);

/// Only this machine reaches it: "127.0.0.1:9877", "[::1]:9877".
bool is_loopback(const std::string& listen);

}  // namespace livecanary::daemon
