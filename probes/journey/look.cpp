#include "probes/journey/look.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "probes/journey/walk.hpp"

namespace livecanary::journey {
namespace {

using namespace std::chrono_literals;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

/// Between two looks; the same table is read by viewers.
constexpr auto first_wait = 200ms;
constexpr auto longest_wait = 5s;

}  // namespace

asio::awaitable<bool> is_cut() {
    co_return (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
}

asio::awaitable<result<Facts>> Looker::look(const std::string& probe, std::vector<Question> questions,
                                            std::chrono::milliseconds patience, error_code if_never,
                                            std::function<bool(const Facts&)> there) {
    const auto began = run_.env().now();
    const auto until = std::min<Clock::time_point>(run_.deadline(), began + patience);
    // The last look has time for its answer, so that what it says is not just that the time was over.
    const auto last_look = until - std::min<Clock::duration>(last_patience, (until - began) / 4);
    Clock::duration wait = first_wait;
    error_code last = if_never;
    for (;;) {
        for (Question& question : questions) {
            question.deadline = until;
            const auto answer = co_await run_.env().peers->ask(probe, question);
            if (co_await is_cut()) co_return error_code(asio::error::operation_aborted);
            if (answer && there(answer->facts)) co_return answer->facts;
            if (answer) {
                last = if_never;
            } else if (reason_of(answer.error()) == Reason::local) {
                run_.saw("asked", probe + ": " + answer.error().message());
                if (answer.error() != PeerError::nothing_yet) co_return JourneyError::cannot_ask;
                last = JourneyError::cannot_ask;
            } else {
                run_.saw("asked", probe + ": " + answer.error().message());
                last = answer.error();
            }
        }
        const auto now = run_.env().now();
        if (now >= last_look) co_return last;
        timer_.expires_at(std::min<Clock::time_point>(last_look, now + wait));
        co_await timer_.async_wait(no_throw);
        if (co_await is_cut()) co_return error_code(asio::error::operation_aborted);
        wait = std::min<Clock::duration>(2 * wait, longest_wait);
    }
}

asio::awaitable<result<Facts>> Looker::once(const std::string& probe, Question question) {
    question.deadline = std::min<Clock::time_point>(run_.deadline(), run_.env().now() + last_patience);
    const auto answer = co_await run_.env().peers->ask(probe, std::move(question));
    if (!answer) co_return answer.error();
    co_return answer->facts;
}

}  // namespace livecanary::journey
