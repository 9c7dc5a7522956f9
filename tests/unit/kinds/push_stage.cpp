#include "tests/unit/kinds/push_stage.hpp"

#include <utility>

namespace livecanary::test {

asio::awaitable<RunResult> push_to_end(rtmp_push::Plan plan, ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await rtmp_push::push(plan, run);
    co_return run.end();
}

PushStage::PushStage() { env.dns = &dns; }

PushStage::~PushStage() = default;

rtmp_push::Plan PushStage::plan(const ScriptedRtmpServer& server, std::chrono::milliseconds media) {
    rtmp_push::Plan plan;
    plan.url = {.host = "127.0.0.1", .port = server.port(), .app = "live", .stream_name = "canary"};
    plan.media = media;
    return plan;
}

RunResult PushStage::push(rtmp_push::Plan plan, Clock::duration timeout) {
    ProbeRun run(env, timeout);
    return await(io, push_to_end(std::move(plan), run));
}

Probe PushStage::make(const std::string& keys) {
    const FakeWorld world{
        .variables = {{"MAIN", "main-key"}, {"BACKUP", "backup-key"}, {"OTHER", "other-key"}}};
    TomlText text(keys, world);
    Probe probe = rtmp_push::kind.make(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), std::vector<std::string>{});
    return probe;
}

Judged PushStage::judge(const Probe& probe, Clock::duration timeout) {
    ProbeRun run(env, timeout);
    Judged judged{.run = await(io, probe.run(run))};
    if (judged.run.outcome() != RunOutcome::failed) return judged;
    ProbeRun controls(env, 2 * timeout);
    judged.run.controls = await(io, probe.controls(controls, judged.run));
    judged.diagnosis = probe.diagnose(judged.run);
    return judged;
}

void PushStage::wait_until_deserted(const ScriptedRtmpServer& server) {
    run_until(io, [&] { return server.deserted(); });
}

std::string reason_text(const RunResult& run) {
    return run.code ? std::string(to_string(run.reason())) : std::string();
}

std::string way(const RunResult& run) {
    std::string names;
    for (const auto& phase : run.phases) names += (names.empty() ? "" : " ") + std::string(phase.phase.name);
    return names;
}

}  // namespace livecanary::test
