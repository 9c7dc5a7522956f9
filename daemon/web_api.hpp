#pragma once
// /api/v1: the answers of the daemon in the envelope of Prometheus' API.
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "daemon/web.hpp"
#include "daemon/web_questions.hpp"
#include "daemon/web_reply.hpp"

namespace livecanary::daemon::web {

/// Of the web loop.
class Api {
public:
    /// All must outlive it.
    Api(const WebOptions& options, const WebBackend& backend, Questions& questions)
        : options_(options), backend_(backend), questions_(questions) {}

    static Access access(std::string_view path);
    /// For a path and a method that access() allows. `request` must outlive the coroutine.
    boost::asio::awaitable<Reply> answer(const Request& request);

private:
    boost::asio::awaitable<Reply> run_now(std::string name, const Request& request);
    boost::asio::awaitable<Reply> results(std::string name);
    boost::asio::awaitable<Reply> runs(std::string name);
    boost::asio::awaitable<Reply> own_status();
    boost::asio::awaitable<Reply> incidents(std::string query);
    boost::asio::awaitable<Reply> incident(std::string id);
    Reply no_answer(bool failed) const;

    const WebOptions& options_;
    const WebBackend& backend_;
    Questions& questions_;
};

}  // namespace livecanary::daemon::web
