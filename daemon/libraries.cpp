#include <ares.h>
#include <openssl/crypto.h>
#include <spdlog/version.h>
#include <sqlite3.h>
#include <zlib.h>
#include <boost/version.hpp>

#include "daemon/version.hpp"

namespace livecanary::daemon {

std::string libraries() {
    const auto number = [](int n) { return std::to_string(n); };
    return "  Boost " + number(BOOST_VERSION / 100000) + '.' + number(BOOST_VERSION / 100 % 1000) + "\n  " +
           OpenSSL_version(OPENSSL_VERSION) + "\n  c-ares " + ares_version(nullptr) + "\n  zlib " +
           zlibVersion() + "\n  SQLite " + sqlite3_libversion() + "\n  spdlog " + number(SPDLOG_VER_MAJOR) +
           '.' + number(SPDLOG_VER_MINOR) + '.' + number(SPDLOG_VER_PATCH) + '\n';
}

}  // namespace livecanary::daemon
