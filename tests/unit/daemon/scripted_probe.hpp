#pragma once
// A probe whose runs a test writes, and the numbers it left behind.
#include <array>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>

#include "daemon/metrics.hpp"
#include "daemon/settings.hpp"
#include "tests/support/task.hpp"

namespace livecanary::daemon::test {

namespace asio = boost::asio;

inline constexpr Phase dns{"dns"}, tcp{"tcp"}, publish{"publish"}, media{"media"};
inline constexpr std::array scripted_phases{dns, tcp, publish, media};
inline constexpr Kind scripted_kind{
    .name = "scripted", .phases = scripted_phases, .values = {}, .make = nullptr};

/// What one run does; a lambda may call a coroutine, but must not be one.
using Step = std::function<asio::awaitable<RunResult>(ProbeRun&)>;

Step succeeds();
Step fails(error_code code = asio::error::connection_refused, Phase phase = publish,
           std::string fingerprint = "");
Step throws(std::string words);
Step waits_for(livecanary::test::Gate& gate);
Step hangs(bool& cleaned_up);
/// Does `first`, then `then`.
Step after(std::function<void(ProbeRun&)> first, Step then);

/// Plays its script, one step a run and the last one again and again, and keeps what it saw of the runner.
/// Must outlive the settings it gives.
class ScriptedProbe {
public:
    explicit ScriptedProbe(std::deque<Step> script);
    ~ScriptedProbe();
    ScriptedProbe(const ScriptedProbe&) = delete;
    ScriptedProbe& operator=(const ScriptedProbe&) = delete;

    ProbeSettings settings(std::chrono::milliseconds interval = std::chrono::milliseconds(20));

    int started = 0;
    int ended = 0;
    int at_once = 0;       ///< runs under way
    int most_at_once = 0;  ///< must never be more than one
    int experiments = 0;   ///< rounds of controls
    std::vector<RunResult> judged{};
    std::function<void()> on_judged{};

private:
    asio::awaitable<RunResult> run_counted(ProbeRun& run);
    asio::awaitable<std::vector<Control>> controls(ProbeRun&);
    struct Leaving {
        ScriptedProbe& probe;
        ~Leaving() {
            --probe.at_once;
            ++probe.ended;
        }
    };

    std::deque<Step> script_;
};

/// The number of a series, or -1 if it is absent. `label`: one more label's value that has to be there.
double series(const std::vector<prometheus::MetricFamily>& families, const std::string& name,
              const std::string& label = "");

}  // namespace livecanary::daemon::test
