#pragma once
// /probe?probe=NAME: runs one configured probe now, for whoever is used to blackbox_exporter.
#include <cstddef>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "daemon/web.hpp"
#include "daemon/web_questions.hpp"
#include "daemon/web_reply.hpp"

namespace livecanary::daemon::web {

/// Of the web loop.
class ProbeRuns {
public:
    /// Both must outlive it.
    ProbeRuns(const WebBackend& backend, Questions& questions) : backend_(backend), questions_(questions) {}

    static Access access(std::string_view path) { return path == "/probe" ? Access::get : Access::none; }
    /// `request` must outlive the coroutine.
    boost::asio::awaitable<Reply> answer(const Request& request);

private:
    const WebBackend& backend_;
    Questions& questions_;
    std::size_t waiting_ = 0;
};

}  // namespace livecanary::daemon::web
