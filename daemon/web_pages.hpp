#pragma once
// The pages for people, their style and script.
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "daemon/web.hpp"
#include "daemon/web_questions.hpp"
#include "daemon/web_reply.hpp"

namespace livecanary::daemon::web {

/// Of the web loop.
class Pages {
public:
    /// All must outlive it.
    Pages(const WebOptions& options, const WebBackend& backend, Questions& questions)
        : options_(options), backend_(backend), questions_(questions) {}

    static Access access(std::string_view path);
    /// For a path and a method that access() allows. `request` must outlive the coroutine.
    boost::asio::awaitable<Reply> answer(const Request& request);

private:
    boost::asio::awaitable<Reply> status(std::string query);
    boost::asio::awaitable<Reply> probe(std::string name, std::string_view lang);
    boost::asio::awaitable<Reply> incidents(std::string query);
    boost::asio::awaitable<Reply> incident(std::string id, std::string_view lang);
    Reply no_answer(bool failed, std::string_view root) const;

    const WebOptions& options_;
    const WebBackend& backend_;
    Questions& questions_;
};

}  // namespace livecanary::daemon::web
