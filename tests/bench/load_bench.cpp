// 200 pushes at 1 s, half of them to names whose name server is dead: how late the other half starts.
// `load_bench [SECONDS]`; exit code 1 if its 99th percentile reaches the limit in an optimised build.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <list>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/runner.hpp"
#include "probes/net/background.hpp"
#include "tests/support/rtmp_server.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::udp;

constexpr int probes = 200;
constexpr auto interval = 1s;
constexpr double limit_ms = 5;  // for the 99th percentile of the start lateness of the half that can resolve

/// A server on a thread of its own, as far from the daemon's loop as one machine allows.
class Server {
public:
    Server() : server_(io_, {}), port_(server_.port()), thread_([this] { io_.run(); }) {}
    ~Server() {
        io_.stop();
        thread_.join();
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    std::uint16_t port() const { return port_; }

private:
    asio::io_context io_{};
    livecanary::test::ScriptedRtmpServer server_;
    std::uint16_t port_;
    std::thread thread_;
};

std::string configuration(std::uint16_t server) {
    std::string text = "[daemon]\nreference = false\n[defaults]\ninterval = \"1s\"\ntimeout = \"4s\"\n";
    for (int i = 0; i < probes; ++i) {
        const bool literal = i % 2 == 0;
        text += "[[probe]]\nkind = \"rtmp_push\"\nmedia = \"1s\"\nname = \"" +
                std::string(literal ? "good" : "lost") + std::to_string(i) + "\"\nurl = \"rtmp://" +
                (literal ? "127.0.0.1" : "push" + std::to_string(i) + ".test") + ":" +
                std::to_string(server) + "/live/canary" + std::to_string(i) + "\"\n";
    }
    return text;
}

Settings settings_of(const std::string& text) {
    const config::Surroundings surroundings{.environment = [](const std::string&) { return std::nullopt; },
                                            .read_file =
                                                [&](const std::string&) {
                                                    return config::Surroundings::Content{text, "", false};
                                                },
                                            .credentials_directory = {},
                                            .host_name = "bench"};
    auto loaded = load_settings("bench.toml", surroundings);
    for (const auto& mistake : loaded.mistakes) std::fprintf(stderr, "%s\n", to_string(mistake).c_str());
    if (!loaded.ok()) std::exit(2);
    return std::move(loaded.settings);
}

class Sample {
public:
    void add(Clock::duration value) {
        values_.push_back(std::chrono::duration<double, std::milli>(value).count());
    }
    double percentile(double part) {
        if (values_.empty()) return 0;
        std::ranges::sort(values_);
        return values_[static_cast<std::size_t>(part * static_cast<double>(values_.size() - 1))];
    }
    std::size_t size() const { return values_.size(); }

private:
    std::vector<double> values_{};
};

/// What the machine itself makes of a wait: a thread that does nothing but wake up each 10 ms.
class Floor {
public:
    Floor() : thread_([this] { run(); }) {}
    ~Floor() { stop(); }
    Floor(const Floor&) = delete;
    Floor& operator=(const Floor&) = delete;
    Sample& stop() {
        ended_ = true;
        if (thread_.joinable()) thread_.join();
        return lateness_;
    }

private:
    void run() {
        auto due = Clock::now();
        while (!ended_) {
            due += 10ms;
            std::this_thread::sleep_until(due);
            lateness_.add(Clock::now() - due);
        }
    }

    Sample lateness_{};
    std::atomic<bool> ended_{false};
    std::thread thread_;
};

/// Processor time this thread has used.
Clock::duration used() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

class Load {
public:
    explicit Load(std::uint16_t server) : settings_(settings_of(configuration(server))) {
        shared_.executor = io_.get_executor();
        shared_.dns = std::make_shared<net::Resolver>(
            io_.get_executor(), std::vector{"127.0.0.1:" + std::to_string(dead_.local_endpoint().port())});
        shared_.anchors = std::make_shared<Anchors>(std::vector<std::string>{});
        shared_.seed = [random = std::mt19937_64(1)]() mutable { return random(); };
        // Until all have begun their schedules time stands, so that their slots are known.
        shared_.now = [this] { return begun_ == Clock::time_point{} ? Clock::now() : begun_; };
    }

    int run(std::chrono::seconds length);

private:
    void watch(ProbeSettings& probe);

    Settings settings_;
    asio::io_context io_{1};
    udp::socket dead_{io_, {asio::ip::address_v4::loopback(), 0}};  // nobody reads it
    Shared shared_{};
    Clock::time_point begun_{};
    std::list<Runner> runners_{};
    Sample lateness_{};
    Sample lag_{};
};

/// Takes the time of each start; the slots lie an interval apart.
void Load::watch(ProbeSettings& probe) {
    const auto first = Schedule::starting(begun_, probe.interval, probe.name).first();
    probe.probe.run = [this, first, run = probe.probe.run](ProbeRun& now) {
        lateness_.add((Clock::now() - first) % Clock::duration(interval));
        return run(now);
    };
}

int Load::run(std::chrono::seconds length) {
    begun_ = Clock::now();
    int running = 0;
    for (auto& probe : settings_.probes) {
        if (probe.name.starts_with("good")) watch(probe);
        auto& runner = runners_.emplace_back(std::make_shared<const ProbeSettings>(probe), shared_);
        ++running;
        runner.start([&running] { --running; });
    }
    net::Background lag;
    lag.start(io_.get_executor(), measure_lag(shared_.lag, [this](Clock::duration late) { lag_.add(late); }),
              [](const std::exception_ptr&) {});
    io_.poll();
    begun_ = {};
    Floor machine;

    asio::steady_timer end(io_, length);
    end.async_wait([&](error_code) {
        for (auto& runner : runners_) runner.stop();
        lag.stop();
    });
    // Processor time, so that it is ours whatever else runs on the machine.
    Clock::duration longest{};
    for (auto before = used(); running > 0 && io_.run_one() > 0;) {
        const auto now = used();
        longest = std::max(longest, now - before);
        before = now;
    }
    Sample& floor = machine.stop();

    std::map<std::string, int> outcomes;
    Families families;
    for (const auto& runner : runners_) runner.collect(families, Clock::now());
    for (const auto& family : families.take())
        for (const auto& metric : family.metric) {
            const bool good = metric.label.front().value.starts_with("good");
            outcomes[family.name + (good ? " good" : " lost")] += static_cast<int>(metric.counter.value);
        }
    const auto of = [&](const std::string& half) {
        return outcomes["livecanary_probe_runs_total" + half] -
               outcomes["livecanary_probe_failures_total" + half] -
               outcomes["livecanary_probe_inconclusive_total" + half];
    };
    const double p99 = lateness_.percentile(0.99);
    std::printf(
        "load: %d pushes at 1 s for %lld s, half without a name server: the other half starts late by p50 "
        "%.2f "
        "ms, p99 %.2f ms, most %.2f ms (%zu starts; %d runs ok, %d failed, %d inconclusive); loop lag p50 "
        "%.2f "
        "ms, p99 %.2f ms, most %.2f ms; longest step %.2f ms of processor time; a thread that only waits is "
        "late "
        "by p99 %.2f ms, most %.2f ms; runs without a name server: %d ok, %d failed\n",
        probes, static_cast<long long>(length.count()), lateness_.percentile(0.5), p99,
        lateness_.percentile(1), lateness_.size(), of(" good"),
        outcomes["livecanary_probe_failures_total good"],
        outcomes["livecanary_probe_inconclusive_total good"], lag_.percentile(0.5), lag_.percentile(0.99),
        lag_.percentile(1), std::chrono::duration<double, std::milli>(longest).count(),
        floor.percentile(0.99), floor.percentile(1), of(" lost"),
        outcomes["livecanary_probe_failures_total lost"]);
#ifdef NDEBUG
    return p99 < limit_ms ? 0 : 1;
#else
    static_cast<void>(limit_ms);
    return 0;
#endif
}

}  // namespace
}  // namespace livecanary::daemon

int main(int argc, char** argv) {
    const livecanary::daemon::Server server;
    livecanary::daemon::Load load(server.port());
    return load.run(std::chrono::seconds(argc > 1 ? std::atoi(argv[1]) : 20));
}
