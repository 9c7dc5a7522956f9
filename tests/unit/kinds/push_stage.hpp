#pragma once
// What the tests of rtmp_push share: a loop with its name server, and runs on it.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "probes/net/resolver.hpp"
#include "probes/rtmp_push/diagnose.hpp"
#include "probes/rtmp_push/kind.hpp"
#include "probes/rtmp_push/push.hpp"
#include "tests/support/name_server.hpp"
#include "tests/support/rtmp_server.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::test {

using namespace std::chrono_literals;

inline asio::awaitable<RunResult> push_to_end(rtmp_push::Plan plan, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await rtmp_push::push(plan, run);
    co_return run.end();
}

/// A failed run as the daemon judges it.
struct Judged {
    RunResult run{};
    Diagnosis diagnosis{};
};

struct PushStage {
    asio::io_context io{};
    NameServer names{io};
    net::Resolver dns{io.get_executor(), {names.address()}};
    Env env{};

    PushStage() { env.dns = &dns; }

    /// To `server`, with more media than a test has time for: what ends it is the server.
    static rtmp_push::Plan plan(const ScriptedRtmpServer& server, std::chrono::milliseconds media = 1min) {
        rtmp_push::Plan plan;
        plan.url = {.host = "127.0.0.1", .port = server.port(), .app = "live", .stream_name = "canary"};
        plan.media = media;
        return plan;
    }
    RunResult push(rtmp_push::Plan plan, Clock::duration timeout = 30s) {
        ProbeRun run(env, timeout);
        return await(io, push_to_end(std::move(plan), run));
    }
    /// A probe out of its keys; secrets come from `{ env = "MAIN" }`, `{ env = "BACKUP" }` and `{ env =
    /// "OTHER" }`.
    static Probe make(const std::string& keys) {
        const FakeWorld world{
            .variables = {{"MAIN", "main-key"}, {"BACKUP", "backup-key"}, {"OTHER", "other-key"}}};
        TomlText text(keys, world);
        Probe probe = rtmp_push::kind.make(text.reader());
        text.reader().unread();
        EXPECT_EQ(text.mistakes(), std::vector<std::string>{});
        return probe;
    }
    /// One run and, if it failed, its controls and what follows from them.
    Judged judge(const Probe& probe, Clock::duration timeout = 30s) {
        ProbeRun run(env, timeout);
        Judged judged{.run = await(io, probe.run(run))};
        if (judged.run.outcome() != RunOutcome::failed) return judged;
        ProbeRun controls(env, 2 * timeout);
        judged.run.controls = await(io, probe.controls(controls, judged.run));
        judged.diagnosis = probe.diagnose(judged.run);
        return judged;
    }
    /// Turns the loop until all clients of `server` have left.
    void wait_until_deserted(const ScriptedRtmpServer& server) {
        run_until(io, [&] { return server.deserted(); });
    }
};

inline std::string reason_text(const RunResult& run) {
    return run.code ? std::string(to_string(run.reason())) : std::string();
}

/// The phases a run went through, in order, with blanks between them.
inline std::string way(const RunResult& run) {
    std::string names;
    for (const auto& phase : run.phases) names += (names.empty() ? "" : " ") + std::string(phase.phase.name);
    return names;
}

}  // namespace livecanary::test
