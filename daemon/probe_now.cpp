#include "daemon/probe_now.hpp"

#include <sstream>
#include <utility>
#include <vector>

#include <prometheus/text_serializer.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/metrics.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

using Labels = std::vector<prometheus::ClientMetric::Label>;

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

void gauge(Families& into, std::string_view name, std::string_view help, double value, Labels labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    into.family(name, help, prometheus::MetricType::Gauge).metric.push_back(std::move(metric));
}

}  // namespace

void RunWaiter::answer(std::shared_ptr<const ProbeNow> answer) {
    answer_ = std::move(answer);
    timer_.cancel();
}

asio::awaitable<std::shared_ptr<const ProbeNow>> wait_for(std::shared_ptr<RunWaiter> waiter) {
    while (!waiter->answered()) co_await waiter->timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return waiter->answer_;
}

std::string exposition(const ProbeNow& answer) {
    const RunResult& run = answer.run;
    const auto outcome = run.outcome();
    Families families;
    // The words of blackbox_exporter where the number is the same.
    if (outcome != RunOutcome::inconclusive)
        gauge(families, "probe_success", "Displays whether or not the probe was a success",
              outcome == RunOutcome::ok ? 1 : 0);
    gauge(families, "probe_inconclusive",
          "1 if the run proves nothing about its target; then there is no probe_success",
          outcome == RunOutcome::inconclusive ? 1 : 0);
    gauge(families, "probe_duration_seconds", "Returns how long the probe took to complete in seconds",
          seconds(run.duration));
    for (const auto& phase : run.phases)
        if (phase.phase.name == "dns")
            gauge(families, "probe_dns_lookup_time_seconds",
                  "Returns the time taken for probe dns lookup in seconds", seconds(phase.took));
    for (const auto& phase : run.phases)
        gauge(families, "probe_phase_duration_seconds", "How long each phase took that was reached",
              seconds(phase.took), {{"phase", std::string(phase.phase.name)}});
    if (outcome == RunOutcome::failed)
        gauge(families, "probe_failing", "1 where and why it failed; the cause, else the class of causes", 1,
              {{"phase", std::string(run.failed_phase())},
               {"reason", std::string(to_string(run.reason()))},
               {"cause", answer.label}});
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families.take());
    return std::move(out).str();
}

}  // namespace livecanary::daemon
