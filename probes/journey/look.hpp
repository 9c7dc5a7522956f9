#pragma once
// Asking the probes of the hops, once or until one likes the answer.
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/core/peers.hpp"
#include "probes/core/run.hpp"

namespace livecanary::journey {

namespace asio = boost::asio;

/// For the answer to a question that nothing is waited for with.
inline constexpr std::chrono::seconds last_patience{2};

/// Whether the coroutine that asks this was cancelled.
asio::awaitable<bool> is_cut();

/// Of one run, which must outlive it; not two at a time.
class Looker {
public:
    Looker(ProbeRun& run, asio::any_io_executor executor) : run_(run), timer_(std::move(executor)) {}

    /// Asks until `there` likes the answer. An error of the asked one's network is no answer yet; the last of
    /// them is what it ends with. JourneyError::cannot_ask if that probe cannot be asked at all.
    asio::awaitable<result<Facts>> look(const std::string& probe, std::vector<Question> questions,
                                        std::chrono::milliseconds patience, error_code if_never,
                                        std::function<bool(const Facts&)> there);
    asio::awaitable<result<Facts>> once(const std::string& probe, Question question);

private:
    ProbeRun& run_;
    asio::steady_timer timer_;
};

}  // namespace livecanary::journey
