// What the schedule costs, against what every run pays anyway: one reading of the clock.
#include <cstdio>
#include <string>
#include <vector>

#include "daemon/schedule.hpp"

namespace {

using namespace std::chrono_literals;
using livecanary::Clock;
using livecanary::daemon::Schedule;

constexpr int probes = 10'000;
constexpr int slots = 200;           // each probe's
constexpr double most_readings = 2;  // of the clock, a slot may cost

double nanoseconds_each(Clock::duration all, int count) {
    return std::chrono::duration<double, std::nano>(all).count() / count;
}

volatile Clock::rep kept;  // so that nothing is optimised away

}  // namespace

int main() {
    std::vector<std::string> names;
    for (int i = 0; i < probes; ++i) names.push_back("probe-" + std::to_string(i));

    const auto begun = Clock::now();
    std::vector<Schedule> schedules;
    schedules.reserve(names.size());
    for (const auto& name : names) schedules.push_back(Schedule::starting(begun, 30s, name));
    const auto started = Clock::now();

    // Each run ends late by half an interval, every seventh one by three.
    std::uint64_t missed = 0;
    Clock::duration sum{};
    for (const auto& schedule : schedules) {
        auto slot = schedule.first();
        for (int i = 0; i < slots; ++i) {
            const auto next = schedule.after(slot, slot + (i % 7 == 0 ? 90s : 15s));
            missed += next.missed;
            slot = next.due;
        }
        sum += slot.time_since_epoch();
    }
    const auto scheduled = Clock::now();

    for (int i = 0; i < probes * slots; ++i) sum += Clock::now().time_since_epoch();
    const auto read = Clock::now();

    const double start = nanoseconds_each(started - begun, probes);
    const double slot = nanoseconds_each(scheduled - started, probes * slots);
    const double reading = nanoseconds_each(read - scheduled, probes * slots);
    std::printf("schedule: %.0f ns to start a probe, %.1f ns a slot, %.1f ns a reading of the clock\n", start,
                slot, reading);
    kept = sum.count() + static_cast<Clock::rep>(missed);
#ifdef NDEBUG
    return slot < most_readings * reading ? 0 : 1;
#else
    static_cast<void>(most_readings);
    return 0;
#endif
}
