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

asio::awaitable<RunResult> push_to_end(rtmp_push::Plan plan, ProbeRun& run);

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

    PushStage();
    ~PushStage();
    PushStage(const PushStage&) = delete;
    PushStage& operator=(const PushStage&) = delete;

    /// To `server`, with more media than a test has time for: what ends it is the server.
    static rtmp_push::Plan plan(const ScriptedRtmpServer& server, std::chrono::milliseconds media = 1min);
    RunResult push(rtmp_push::Plan plan, Clock::duration timeout = 30s);
    /// A probe out of its keys; secrets come from `{ env = "MAIN" }`, `{ env = "BACKUP" }` and `{ env =
    /// "OTHER" }`.
    static Probe make(const std::string& keys);
    /// One run and, if it failed, its controls and what follows from them.
    Judged judge(const Probe& probe, Clock::duration timeout = 30s);
    /// Turns the loop until all clients of `server` have left.
    void wait_until_deserted(const ScriptedRtmpServer& server);
};

std::string reason_text(const RunResult& run);

/// The phases a run went through, in order, with blanks between them.
std::string way(const RunResult& run);

}  // namespace livecanary::test
