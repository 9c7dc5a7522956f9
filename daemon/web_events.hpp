#pragma once
// The stream of events that tells open pages of new results.
#include <chrono>
#include <cstddef>

#include <boost/asio/awaitable.hpp>

#include "daemon/web.hpp"
#include "daemon/web_client.hpp"
#include "daemon/web_questions.hpp"
#include "daemon/web_reply.hpp"

namespace livecanary::daemon::web {

/// Of the web loop.
class EventStreams {
public:
    /// All must outlive it.
    EventStreams(const WebOptions& options, const WebBackend& backend, Questions& questions)
        : options_(options), backend_(backend), questions_(questions) {}

    static bool is_path(std::string_view path) noexcept { return path == "/events"; }
    /// There is room for this one.
    bool takes(const Request& request) const;
    /// Server-sent events (HTML Living Standard, 9.2): `changed` when there are new results. Until the client
    /// hangs up, the daemon stops, or the probe loop does not answer.
    boost::asio::awaitable<void> serve(Client& client);

private:
    const WebOptions& options_;
    const WebBackend& backend_;
    Questions& questions_;
    std::size_t streams_ = 0;
};

}  // namespace livecanary::daemon::web
