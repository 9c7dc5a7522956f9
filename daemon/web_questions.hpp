#pragma once
// How the web loop asks what only the probe loop knows. A question is spawned on that loop, its answer is
// posted back through `Link`, and who asked waits for it on a timer. An answer that comes late finds nobody
// waiting, or, after the server is gone, a closed Link; in both cases it is dropped.
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/web_reply.hpp"

namespace livecanary::daemon::web {

/// The way back from the probe loop to the web loop, which may be gone by then.
class Link {
public:
    explicit Link(boost::asio::io_context& web) : web_(&web) {}

    template <class Function>
    void post(Function function) {
        const std::lock_guard lock(mutex_);
        if (web_) boost::asio::post(*web_, std::move(function));
    }
    bool open() {
        const std::lock_guard lock(mutex_);
        return web_ != nullptr;
    }
    void close() {
        const std::lock_guard lock(mutex_);
        web_ = nullptr;
    }

private:
    std::mutex mutex_{};
    boost::asio::io_context* web_;
};

/// What came of a question to the probe loop. Touched on the web loop only.
template <class T>
struct Answer {
    std::optional<T> value{};
    bool failed = false;  ///< the backend threw; neither: it did not answer in time
    boost::asio::steady_timer* waiting = nullptr;
};

template <class T>
using AnswerPtr = std::shared_ptr<Answer<T>>;

template <class T>
using Question = std::function<boost::asio::awaitable<T>()>;

template <class T>
boost::asio::awaitable<T> at_once(std::function<T()> function) {
    co_return function();
}

template <class T>
boost::asio::awaitable<T> on_probe_loop(std::shared_ptr<Link> link, Question<T> question) {
    if (!link->open()) co_return T{};
    auto answer = question();
    co_return co_await std::move(answer);
}

std::string what(const std::exception_ptr& error);

/// Of the web loop.
class Questions {
public:
    using Milliseconds = std::chrono::milliseconds;

    /// `patience`: how long an answer may take. `trouble` is told, on the probe loop, about exceptions; may
    /// be empty.
    Questions(boost::asio::io_context& web, boost::asio::any_io_executor probe_loop, Milliseconds patience,
              std::function<void(const std::string&)> trouble)
        : io_(web), probe_loop_(std::move(probe_loop)), patience_(patience), trouble_(std::move(trouble)) {}

    /// Asks a coroutine of the probe loop.
    template <class T>
    boost::asio::awaitable<AnswerPtr<T>> ask(Question<T> question) {
        return ask_within(std::move(question), patience_);
    }
    /// Asks a plain function.
    template <class T>
    boost::asio::awaitable<AnswerPtr<T>> ask_at_once(const std::function<T()>& function) {
        Question<T> question = [function] { return at_once(function); };
        return ask_within(std::move(question), patience_);
    }
    template <class T>
    boost::asio::awaitable<AnswerPtr<T>> ask_within(Question<T> question, Milliseconds patience) {
        auto answer = std::make_shared<Answer<T>>();
        if (stopping_) co_return answer;
        auto answered = [link = link_, answer, trouble = trouble_](std::exception_ptr error, T value) {
            if (error && trouble && link->open()) trouble(what(error));
            link->post([answer, failed = error != nullptr, value = std::move(value)]() mutable {
                answer->failed = failed;
                if (!failed) answer->value = std::move(value);
                if (answer->waiting) answer->waiting->cancel();
            });
        };
        boost::asio::steady_timer wait(io_, patience);
        boost::asio::co_spawn(probe_loop_, on_probe_loop<T>(link_, std::move(question)), std::move(answered));
        answer->waiting = &wait;
        co_await waiting(wait);
        answer->waiting = nullptr;
        co_return answer;
    }
    /// Waits so long, or until stop().
    boost::asio::awaitable<void> pause(Milliseconds length);

    /// For an answer without a value: why there is none.
    Reply no_answer(bool failed) const;
    /// Has `function` called on the probe loop, unless the server is gone by then.
    void tell(std::function<void()> function);
    /// Tells `trouble` of it.
    void report(const std::exception_ptr& error);

    bool stopping() const noexcept { return stopping_; }
    /// Who waits gets no answer, and so does who asks from here on.
    void stop();
    /// The web loop is gone.
    void close() { link_->close(); }

private:
    boost::asio::awaitable<void> waiting(boost::asio::steady_timer& wait);

    boost::asio::io_context& io_;
    const boost::asio::any_io_executor probe_loop_;
    const Milliseconds patience_;
    const std::function<void(const std::string&)> trouble_;
    const std::shared_ptr<Link> link_ = std::make_shared<Link>(io_);
    std::set<boost::asio::steady_timer*> waits_{};
    bool stopping_ = false;
};

}  // namespace livecanary::daemon::web
