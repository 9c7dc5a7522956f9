// One push and 500 players of it at once, half over RTMP from a real nginx-rtmp, half over HLS from a real
// nginx: what a player costs in memory and processor time, and how much later it sees a picture than one
// alone does. `players_bench [PLAYERS] [SECONDS]`; exit code 1 if one did not play, or costs more memory than
// its limit.
#include <sys/resource.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include "probes/rtmp_push/push.hpp"
#include "probes/rtmp_push/report.hpp"
#include "tests/practice/nginx_rtmp.hpp"
#include "tests/practice/play_front.hpp"

namespace {

using namespace livecanary;
using namespace std::chrono_literals;
namespace asio = boost::asio;

/// A read buffer of 16 KiB, the unfinished message of a chunk stream, and what OpenSSL-free sockets and
/// coroutines need; a GOP of the test stream is 25 KB and would fit once more.
constexpr double most_kib_each = 96;

double resident_kib() {
    std::ifstream statm("/proc/self/statm");
    long pages = 0, resident = 0;
    statm >> pages >> resident;
    return static_cast<double>(resident) * 4;
}

double processor_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Outcome {
    std::vector<rtmp_push::Viewed> viewed{};
    RunResult run{};
    double kib = 0;        ///< resident memory after the run, above that before
    double processor = 0;  ///< seconds
};

asio::awaitable<void> play(const rtmp_push::Plan& plan, ProbeRun& run, Outcome& outcome) {
    co_await asio::this_coro::throw_if_cancelled(false);
    outcome.viewed = co_await rtmp_push::push(plan, run);
}

Outcome run_once(const practice::NginxRtmp& nginx, const practice::PlayFront& front, int players,
                 std::chrono::seconds length) {
    asio::io_context io(1);
    Env env;
    env.random.seed(static_cast<std::uint64_t>(players));
    const std::string name = "bench" + std::to_string(players);
    const auto local = asio::ip::make_address("127.0.0.1");
    rtmp_push::Plan plan;
    plan.url = protocol::parse_push_url(nginx.url("live") + "/" + name).value();
    plan.media = length;
    for (int i = 0; i < players; ++i) {
        rtmp_push::Viewing viewing;
        viewing.url = protocol::parse_play_url(i % 2 == 0 ? nginx.url("live") + "/" + name
                                                          : front.url() + "/" + name + ".m3u8")
                          .value();
        viewing.address = local;
        plan.viewings.push_back(viewing);
    }
    Outcome outcome;
    const double before = resident_kib(), used = processor_seconds();
    ProbeRun run(env, length + 30s);
    asio::co_spawn(io, play(plan, run, outcome), [](const std::exception_ptr& bug) {
        if (bug) std::rethrow_exception(bug);
    });
    io.run();
    outcome.run = run.end();
    outcome.kib = resident_kib() - before;
    outcome.processor = processor_seconds() - used;
    return outcome;
}

/// Milliseconds.
double percentile(const Outcome& outcome, rtmp_push::PlayProtocol protocol, double part) {
    std::vector<double> all;
    for (const auto& viewed : outcome.viewed)
        if (viewed.protocol == protocol)
            for (const auto latency : viewed.received.latencies)
                all.push_back(std::chrono::duration<double, std::milli>(latency).count());
    if (all.empty()) return -1;
    std::ranges::sort(all);
    return all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
    const int players = argc > 1 ? std::atoi(argv[1]) : 500;
    const std::chrono::seconds length(argc > 2 ? std::atoi(argv[2]) : 10);
    const practice::NginxRtmp nginx({.hls = true});
    const practice::PlayFront front({.hls = nginx.hls()});
    const Outcome alone = run_once(nginx, front, 2, length);
    const Outcome crowd = run_once(nginx, front, players, length);
    const auto played = std::ranges::count_if(crowd.viewed, [](const auto& viewed) { return !viewed.code; });
    for (const auto& viewed : crowd.viewed)
        if (viewed.code) {
            std::printf("not played: %s\n", rtmp_push::describe(viewed).c_str());
            break;
        }
    const double each = crowd.kib / players;
    using enum rtmp_push::PlayProtocol;
    std::printf(
        "players: %d at once, %td played, the push %s; %.1f KiB resident and %.2f ms of processor time a "
        "second "
        "each; rtmp behind p50 %.2f ms, p99 %.2f ms (alone %.2f ms), hls p50 %.0f ms (alone %.0f ms)\n",
        players, played, std::string(to_string(crowd.run.outcome())).c_str(), each,
        crowd.processor * 1e3 / players / static_cast<double>(length.count()), percentile(crowd, rtmp, 0.5),
        percentile(crowd, rtmp, 0.99), percentile(alone, rtmp, 0.5), percentile(crowd, hls, 0.5),
        percentile(alone, hls, 0.5));
    return played == players && each < most_kib_each ? 0 : 1;
}
