#pragma once
// A run that is asked for over HTTP, and its answer in the terms of blackbox_exporter.
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/core/run.hpp"

namespace livecanary::daemon {

/// What came of it.
struct ProbeNow {
    bool known = true;      ///< there is a probe of that name
    std::string refused{};  ///< why there is no result; empty if there is one
    RunResult run{};
    std::string label{};  ///< cause, else class, else empty
};

/// Somebody who waits for the result of a probe's next run.
class RunWaiter {
public:
    explicit RunWaiter(const boost::asio::any_io_executor& executor)
        : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

    /// Ends the wait.
    void answer(std::shared_ptr<const ProbeNow> answer);
    bool answered() const noexcept { return answer_ != nullptr; }

private:
    friend boost::asio::awaitable<std::shared_ptr<const ProbeNow>> wait_for(std::shared_ptr<RunWaiter>);
    boost::asio::steady_timer timer_;
    std::shared_ptr<const ProbeNow> answer_{};
};

/// Until the waiter is answered, for as long as that takes.
boost::asio::awaitable<std::shared_ptr<const ProbeNow>> wait_for(std::shared_ptr<RunWaiter> waiter);

/// In Prometheus' text format. Of a run that proves nothing `probe_success` is absent.
std::string exposition(const ProbeNow& answer);

}  // namespace livecanary::daemon
