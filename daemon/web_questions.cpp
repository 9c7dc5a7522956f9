#include "daemon/web_questions.hpp"

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace livecanary::daemon::web {

namespace asio = boost::asio;

std::string what(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "an exception that is no std::exception";
    }
}

asio::awaitable<void> Questions::waiting(asio::steady_timer& wait) {
    waits_.insert(&wait);
    co_await wait.async_wait(asio::as_tuple(asio::use_awaitable));
    waits_.erase(&wait);
}

asio::awaitable<void> Questions::pause(Milliseconds length) {
    if (stopping_) co_return;
    asio::steady_timer wait(io_, length);
    co_await waiting(wait);
}

void Questions::stop() {
    stopping_ = true;
    for (asio::steady_timer* wait : waits_) wait->cancel();
}

void Questions::tell(std::function<void()> function) {
    asio::post(probe_loop_, [link = link_, function = std::move(function)] {
        if (link->open()) function();
    });
}

void Questions::report(const std::exception_ptr& error) {
    if (trouble_) tell([trouble = trouble_, words = what(error)] { trouble(words); });
}

Reply Questions::no_answer(bool failed) const {
    if (failed) return sentence(http::status::internal_server_error, "a bug of ours; the log says more");
    if (stopping_) return sentence(http::status::service_unavailable, "livecanary is shutting down");
    return sentence(http::status::service_unavailable,
                    "the probe loop did not answer within " + std::to_string(patience_.count()) + " ms");
}

}  // namespace livecanary::daemon::web
