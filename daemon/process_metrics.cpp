#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

#include "daemon/metrics.hpp"

namespace livecanary::daemon {
namespace {

using prometheus::MetricType;

struct Metric {
    std::string_view name;
    std::string_view help;
    MetricType type;
};

// Names and words as in Prometheus' client libraries ("Writing client libraries", read 2026-11-21);
// process_threads is an addition of ours.
constexpr Metric cpu_seconds{"process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                             MetricType::Counter};
constexpr Metric open_fds{"process_open_fds", "Number of open file descriptors.", MetricType::Gauge};
constexpr Metric max_fds{"process_max_fds", "Maximum number of open file descriptors.", MetricType::Gauge};
constexpr Metric virtual_memory{"process_virtual_memory_bytes", "Virtual memory size in bytes.",
                                MetricType::Gauge};
constexpr Metric resident_memory{"process_resident_memory_bytes", "Resident memory size in bytes.",
                                 MetricType::Gauge};
constexpr Metric start_time{"process_start_time_seconds",
                            "Start time of the process since unix epoch in seconds.", MetricType::Gauge};
constexpr Metric threads{"process_threads", "Number of threads in the process.", MetricType::Gauge};

/// What we want of /proc/self/stat, in its own units (proc(5)).
struct Stat {
    double utime = 0;      // field 14, clock ticks
    double stime = 0;      // field 15, clock ticks
    double threads = 0;    // field 20
    double starttime = 0;  // field 22, clock ticks since boot
    double vsize = 0;      // field 23, bytes
    double rss = 0;        // field 24, pages
};

std::optional<Stat> read_stat() {
    std::ifstream file("/proc/self/stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    // Field 2, the program's name in brackets, may itself hold spaces and brackets.
    const auto name_end = text.rfind(')');
    if (name_end == std::string::npos) return {};
    std::istringstream fields(text.substr(name_end + 1));
    std::string unused;
    const auto skip = [&](int count) {
        while (count-- > 0) fields >> unused;
    };
    Stat stat;
    skip(11);  // 3 to 13
    fields >> stat.utime >> stat.stime;
    skip(4);  // 16 to 19
    fields >> stat.threads;
    skip(1);  // 21
    fields >> stat.starttime >> stat.vsize >> stat.rss;
    if (!fields) return {};
    return stat;
}

/// When the machine was started, in seconds since the epoch.
std::optional<double> boot_time() {
    std::ifstream file("/proc/stat");
    std::string line;
    while (std::getline(file, line)) {
        if (!line.starts_with("btime ")) continue;
        std::istringstream number(line.substr(6));
        double seconds = 0;
        if (number >> seconds) return seconds;
    }
    return {};
}

std::optional<double> descriptors() {
    std::error_code error;
    double count = -1;  // one of them is the directory we are reading
    for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
         entry.increment(error))
        ++count;
    if (error) return {};
    return count;
}

void add(Families& into, const Metric& metric, double number) {
    prometheus::ClientMetric sample;
    (metric.type == MetricType::Counter ? sample.counter.value : sample.gauge.value) = number;
    into.family(metric.name, metric.help, metric.type).metric.push_back(std::move(sample));
}

}  // namespace

void collect_process(Families& into) {
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    if (const auto stat = read_stat()) {
        add(into, cpu_seconds, (stat->utime + stat->stime) / ticks);
        add(into, virtual_memory, stat->vsize);
        add(into, resident_memory, stat->rss * static_cast<double>(::sysconf(_SC_PAGESIZE)));
        add(into, threads, stat->threads);
        if (const auto boot = boot_time()) add(into, start_time, *boot + stat->starttime / ticks);
    }
    if (const auto open = descriptors()) add(into, open_fds, *open);
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) add(into, max_fds, static_cast<double>(limit.rlim_cur));
}

}  // namespace livecanary::daemon
