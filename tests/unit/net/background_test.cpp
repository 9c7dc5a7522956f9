// A coroutine beside: its end, and what comes of stopping it in any place at any time.
#include "probes/net/background.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "tests/support/task.hpp"

namespace livecanary::test {
namespace {

using net::Background;

asio::awaitable<void> returns() { co_return; }

asio::awaitable<void> throws() {
    throw std::runtime_error("a bug");
    co_return;
}

/// Ends when `gate` is cancelled, or when it is itself.
asio::awaitable<void> waits(asio::steady_timer &gate, bool &cancelled) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await gate.async_wait(net::no_throw);
    const auto state = co_await asio::this_coro::cancellation_state;
    cancelled = state.cancelled() != asio::cancellation_type::none;
}

class BackgroundTest : public testing::Test {
protected:
    void start(asio::awaitable<void> work) {
        ended_ = false;
        background_->start(io_.get_executor(), std::move(work), [this](const std::exception_ptr &failed) {
            ended_ = true;
            failed_ = failed;
            if (on_end_) on_end_();
        });
    }
    void end() {
        run_until(io_, [this] { return ended_; });
    }
    /// Whatever the loop still has to do.
    void drain() {
        io_.restart();
        io_.poll();
    }

    asio::io_context io_{1};
    asio::steady_timer gate_{io_, Clock::time_point::max()};
    std::unique_ptr<Background> background_ = std::make_unique<Background>();
    std::function<void()> on_end_{};
    std::exception_ptr failed_{};
    bool ended_ = false;
    bool cancelled_ = false;
};

TEST_F(BackgroundTest, TellsThatItReturned) {
    EXPECT_FALSE(background_->running());
    start(returns());
    EXPECT_TRUE(background_->running());
    EXPECT_FALSE(ended_) << "it began before the loop turned";
    end();
    EXPECT_FALSE(background_->running());
    EXPECT_FALSE(failed_);
}

TEST_F(BackgroundTest, TellsWhatItThrew) {
    start(throws());
    end();
    EXPECT_THROW(std::rethrow_exception(failed_), std::runtime_error);
}

TEST_F(BackgroundTest, IsIdleWhenItTellsOfItsEnd) {
    bool running = true;
    on_end_ = [&] { running = background_->running(); };
    start(returns());
    end();
    EXPECT_FALSE(running);
}

TEST_F(BackgroundTest, AStopWithinTheLoopActsAtOnce) {
    start(waits(gate_, cancelled_));
    drain();
    bool held = true;
    asio::post(io_, [&] {
        background_->stop();
        held = gate_.cancel() > 0;
    });
    end();
    EXPECT_TRUE(cancelled_);
    EXPECT_FALSE(held) << "it still waited after it was stopped";
}

TEST_F(BackgroundTest, AStopFromOutsideWaitsForTheLoop) {
    start(waits(gate_, cancelled_));
    drain();
    background_->stop();
    EXPECT_TRUE(background_->running());
    end();
    EXPECT_TRUE(cancelled_);
}

TEST_F(BackgroundTest, AStopBeforeTheFirstStepIsNotLost) {
    start(waits(gate_, cancelled_));
    background_->stop();
    end();
    EXPECT_TRUE(cancelled_);
}

TEST_F(BackgroundTest, AStopWithNothingToStopIsNone) {
    background_->stop();
    start(returns());
    end();
    background_->stop();
    drain();
    EXPECT_FALSE(background_->running());
}

/// The naive way, a cancellation_signal whose owner goes with the coroutine, writes to freed memory here:
/// AddressSanitizer says so.
TEST_F(BackgroundTest, EndsByItselfWhileAStopIsOnItsWayAndItsOwnerGoes) {
    start(waits(gate_, cancelled_));
    drain();
    gate_.cancel();
    background_->stop();
    on_end_ = [&] { background_.reset(); };
    end();
    EXPECT_FALSE(cancelled_) << "the stop came first: the test shows nothing";
    drain();
}

TEST_F(BackgroundTest, AStopThatComesTooLateDoesNotHitTheNext) {
    start(waits(gate_, cancelled_));
    drain();
    gate_.cancel();
    background_->stop();
    end();
    asio::steady_timer other(io_, Clock::time_point::max());
    start(waits(other, cancelled_));
    drain();
    EXPECT_FALSE(ended_);
    other.cancel();
    end();
    EXPECT_FALSE(cancelled_);
}

TEST_F(BackgroundTest, RunsOneAtATime) {
    start(waits(gate_, cancelled_));
    EXPECT_THROW(start(returns()), std::logic_error);
    gate_.cancel();
    drain();
    background_->stop();
    end();
}

TEST_F(BackgroundTest, IsStartedAnewByItsEnd) {
    int left = 3;
    on_end_ = [&] {
        if (--left > 0) start(returns());
    };
    start(returns());
    run_until(io_, [&] { return left == 0; });
    EXPECT_FALSE(background_->running());
}

TEST(Background, GoesWithItsLoop) {
    bool ended = false;
    bool cancelled = false;
    const auto kept = std::make_shared<int>();
    {
        asio::io_context io(1);
        asio::steady_timer gate(io, Clock::time_point::max());
        Background background;
        background.start(io.get_executor(), waits(gate, cancelled),
                         [&ended, kept](const std::exception_ptr &) { ended = true; });
        io.poll();
    }
    EXPECT_FALSE(ended);
    EXPECT_EQ(kept.use_count(), 1) << "what its end was to be told with is still there";
}

}  // namespace
}  // namespace livecanary::test
