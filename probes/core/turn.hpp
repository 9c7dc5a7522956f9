#pragma once
// Who may ask a backend at the moment: one at a time, be it a run, its controls, or an answer to another
// probe; also of several probes that ask the same one. And for how long nobody else may, since somebody's
// request was taken and not answered: it occupies one of the few workers that the backend has.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "probes/core/run.hpp"

namespace livecanary {

/// Of one executor. Probes that share one get it from Peers::turn_at().
class Turn {
    struct State {
        bool taken = false;
        std::vector<boost::asio::steady_timer*> waiting{};
    };

public:
    /// Gives the turn back when it goes.
    class Hold {
    public:
        explicit Hold(std::shared_ptr<State> state) : state_(std::move(state)) { state_->taken = true; }
        Hold(Hold&&) noexcept = default;
        Hold& operator=(Hold&&) = delete;
        ~Hold() {
            if (!state_) return;
            state_->taken = false;
            // The first of them to run takes it; the others wait on.
            for (auto* timer : state_->waiting) timer->cancel();
        }

    private:
        std::shared_ptr<State> state_;
    };

    /// Nothing if it did not come until `deadline`, or the coroutine was cancelled, which must not throw
    /// there.
    boost::asio::awaitable<std::optional<Hold>> take(Clock::time_point deadline) {
        const auto state = state_;
        if (state->taken) {
            Waiting waiting(*state, co_await boost::asio::this_coro::executor, deadline);
            while (state->taken) {
                co_await waiting.timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
                const auto cut = co_await boost::asio::this_coro::cancellation_state;
                if (cut.cancelled() != boost::asio::cancellation_type::none || Clock::now() >= deadline)
                    break;
            }
        }
        if (state->taken) co_return std::nullopt;
        co_return Hold(state);
    }

    /// A request of `who` is not answered: the others wait until then, or until they are told that it is.
    void hung(const void* who, Clock::time_point until) { hung_[who] = until; }
    void answered(const void* who) { hung_.erase(who); }
    /// Until when `who` must ask nothing on account of another's request.
    std::optional<Clock::time_point> closed_to(const void* who, Clock::time_point now) {
        std::erase_if(hung_, [now](const auto& one) { return one.second <= now; });
        std::optional<Clock::time_point> until;
        for (const auto& [asker, end] : hung_)
            if (asker != who) until = std::max(until.value_or(end), end);
        return until;
    }

private:
    struct Waiting {
        Waiting(State& in, boost::asio::any_io_executor executor, Clock::time_point deadline)
            : state(in), timer(std::move(executor), deadline) {
            state.waiting.push_back(&timer);
        }
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;
        ~Waiting() { std::erase(state.waiting, &timer); }
        State& state;
        boost::asio::steady_timer timer;
    };

    std::shared_ptr<State> state_ = std::make_shared<State>();
    std::map<const void*, Clock::time_point> hung_{};
};

}  // namespace livecanary
