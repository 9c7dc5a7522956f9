#include "daemon/loop_lag.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace livecanary::daemon {

namespace asio = boost::asio;

void LagRecord::tick(Clock::time_point due, Clock::time_point at) {
    const auto lag = at - due;
    if (lag >= worth_keeping) {
        while (!spikes_.empty() && spikes_.back().lag <= lag) spikes_.pop_back();
        spikes_.push_back({at, lag});
        if (spikes_.size() > most) spikes_.pop_front();
    }
    next_due_ = at + period;
}

Clock::duration LagRecord::worst_since(Clock::time_point from, Clock::time_point now) const {
    const auto first = std::ranges::lower_bound(spikes_, from, {}, &Spike::at);
    auto worst = first == spikes_.end() ? Clock::duration{} : first->lag;
    if (next_due_ != Clock::time_point{}) worst = std::max(worst, now - next_due_);
    return worst;
}

asio::awaitable<void> measure_lag(LagRecord& record, std::function<void(Clock::duration)> seen) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (;;) {
        const auto due = Clock::now() + LagRecord::period;
        timer.expires_at(due);
        auto [ec] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (ec) co_return;
        const auto now = Clock::now();
        record.tick(due, now);
        seen(now - due);
    }
}

}  // namespace livecanary::daemon
