// One COS round trip of 1 GiB: what it takes of memory, and how fast it goes. `cos_bench [SIZE]`, such as
// 64MiB; exit code 1 if the run is not ok, or its process ever held 64 MiB. The store is a process of its
// own, `cos_bench serve`.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>

#include "daemon/execute.hpp"
#include "probes/net/resolver.hpp"
#include "tests/practice/cos_server.hpp"
#include "tests/practice/process.hpp"
#include "tests/support/memory_ledger.hpp"
#include "tests/support/task.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

constexpr long limit_kib = 64L * 1024;  // of the resident memory

/// Says its port on stdout, and serves until stdin ends.
int serve() {
    practice::CosServer server;
    server.change([](practice::Cos& cos) {
        cos.accounts["1250000000"].keys["practice-id"] = {.secret_key = "practice-key"};
        cos.buckets["cover-1250000000"] = {.region = "ap-shanghai"};
    });
    std::printf("%d\n", server.port());
    std::fflush(stdout);
    char byte = 0;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
    return 0;
}

/// The store as a child.
class Store {
public:
    Store()
        : process_(
              {.argv = {"/proc/self/exe", "serve"}, .output = folder_.path() / "out", .open_input = true}) {
        while (!process_.output().ends_with('\n'))
            if (process_.wait_for(10ms)) throw std::runtime_error("the store ended");
    }
    std::string port() const {
        std::string line = process_.output();
        line.pop_back();
        return line;
    }

private:
    practice::TemporaryDirectory folder_{};
    practice::Process process_;
};

Settings settings_of(const std::string& size, const std::string& port) {
    const std::string text =
        "[daemon]\nreference = false\n[[probe]]\nkind = \"cos_roundtrip\"\nname = \"large\"\n"
        "interval = \"1h\"\ntimeout = \"30m\"\nsignature_lifetime = \"1h\"\nbucket = \"cover-1250000000\"\n"
        "region = \"ap-shanghai\"\nsecret_id = \"practice-id\"\nsecret_key = { env = \"KEY\" }\n"
        "address = \"127.0.0.1\"\nobject_size = \"" +
        size + "\"\nendpoint = \"http://cover-1250000000.cos.ap-shanghai.myqcloud.com:" + port + "\"\n";
    const config::Surroundings surroundings{
        .environment = [](const std::string& name) -> std::optional<std::string> {
            if (name == "KEY") return "practice-key";
            return std::nullopt;
        },
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

/// The most resident memory of this process so far, KiB (proc(5), VmHWM).
long peak_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::atol(line.c_str() + 6);
    throw std::runtime_error("/proc/self/status says no VmHWM");
}

/// Processor time that this process has used, s.
double used() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double seconds_of(const RunResult& run, std::string_view operation) {
    for (const auto& found : run.values)
        if (found.label_value == operation) return found.number;
    return 0;
}

int measure(const std::string& size) {
    const Store store;
    const Settings settings = settings_of(size, store.port());
    boost::asio::io_context io;
    net::Resolver dns(io.get_executor());
    test::MemoryLedger ledger;
    Env env;
    env.dns = &dns;
    env.ledger = &ledger;
    env.random.seed(std::random_device{}());

    const long before_kib = peak_kib();
    const double used_before = used();
    const RunResult run = test::await(io, execute(settings.probes.at(0), env, {}));
    const double cpu = used() - used_before;
    const long peak = peak_kib();

    if (run.outcome() != RunOutcome::ok || !ledger.kept.empty()) {
        std::fprintf(stderr, "the run is %s: %s %s%s\n", std::string(to_string(run.outcome())).c_str(),
                     std::string(run.failed_phase()).c_str(), run.code.message().c_str(),
                     ledger.kept.empty() ? "" : "; the object was not removed");
        return 1;
    }
    const double megabytes = std::atof(std::string(run.got("read")).c_str()) / 1e6;
    const double up = seconds_of(run, "put"), down = seconds_of(run, "get");
    const double took = std::chrono::duration<double>(run.duration).count();
    std::printf(
        "cos_roundtrip: %.0f MB in %.1f s: up %.0f MB/s, down %.0f MB/s, %.1f s before the upload and "
        "beside; "
        "%.1f s of processor time; most memory %.1f MiB, %.1f MiB before the run\n",
        megabytes, took, megabytes / up, megabytes / down, took - up - down, cpu,
        static_cast<double>(peak) / 1024, static_cast<double>(before_kib) / 1024);
    return peak < limit_kib ? 0 : 1;
}

}  // namespace
}  // namespace livecanary::daemon

int main(int argc, char** argv) {
    const std::string argument = argc > 1 ? argv[1] : "1GiB";
    return argument == "serve" ? livecanary::daemon::serve() : livecanary::daemon::measure(argument);
}
