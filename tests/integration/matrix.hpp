#pragma once
// A probe against real servers and doubles, one row for each case: server × case → outcome, phase, reason,
// cause or class. With LIVECANARY_MATRIX set to a file name, the table is appended there as Markdown.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "daemon/execute.hpp"
#include "daemon/settings.hpp"
#include "probes/net/resolver.hpp"
#include "tests/support/task.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::test {

struct Judged {
    RunResult run;
    Diagnosis found;
};

/// What to do to the server once a phase is reached.
struct Meanwhile {
    std::string_view phase{};
    std::chrono::milliseconds after{0};
    std::function<void()> act{};
};

/// Runs the probe of `toml` once, controls and diagnosis included, as the daemon would. `peers`: what it
/// asks.
inline Judged probe(const std::string& toml, Meanwhile meanwhile = {}, const std::string& kind = "rtmp_push",
                    Ledger* ledger = nullptr, Peers* peers = nullptr) {
    const FakeWorld world{
        .files = {{"t.toml",
                   "[daemon]\nreference = false\n[[probe]]\nname = 'p'\nkind = '" + kind + "'\n" + toml}}};
    const auto loaded = daemon::load_settings("t.toml", world.surroundings());
    for (const auto& mistake : loaded.mistakes)
        if (!mistake.warning) ADD_FAILURE() << to_string(mistake);
    const daemon::ProbeSettings& settings = loaded.settings.probes.at(0);
    asio::io_context io;
    net::Resolver dns(io.get_executor());
    Env env;
    env.dns = &dns;
    env.ledger = ledger;
    env.peers = peers;
    env.random.seed(std::random_device{}());
    asio::steady_timer timer(io);
    auto observer = [&](const PhaseTime& phase, bool ended) {
        if (ended || !meanwhile.act || phase.phase.name != meanwhile.phase) return;
        timer.expires_after(meanwhile.after);
        timer.async_wait([&](error_code ec) {
            if (!ec) std::exchange(meanwhile.act, {})();
        });
    };
    Judged judged;
    // No loop lag is looked at: a machine busy with other tests must not turn these into `inconclusive`.
    judged.run = await(io, daemon::execute(settings, env, {}, observer));
    if (judged.run.outcome() == RunOutcome::failed) {
        auto controls = [](const daemon::ProbeSettings& of, Env& in,
                           RunResult& failed) -> asio::awaitable<bool> {
            co_await daemon::play_controls(of, in, failed);
            co_return true;
        };
        await(io, controls(settings, env, judged.run));
    }
    judged.found = daemon::judge(settings, judged.run);
    return judged;
}

/// Everything a run has seen, for the words of a failed expectation.
inline std::string seen_in(const Judged& judged) {
    const RunResult& run = judged.run;
    std::ostringstream seen;
    for (const auto& e : run.evidence)
        seen << "  evidence " << e.phase.name << ' ' << e.what << ": " << e.got << '\n';
    for (const auto& c : run.controls)
        seen << "  control " << c.name << ' ' << to_string(c.outcome) << " [" << c.fingerprint << "] "
             << c.shows << '\n';
    seen << "  fingerprint " << run.fingerprint << ", " << run.code.message() << ", " << run.inconclusive
         << '\n';
    return seen.str();
}

/// One row of the table, checked and printed. `candidate`: the first one, where a class is expected.
inline void expect(const char* server, const char* what, const Judged& judged, std::string_view outcome,
                   std::string_view phase = {}, std::string_view reason = {}, std::string_view cause = {},
                   std::string_view candidate = {}) {
    const auto& [run, found] = judged;
    const std::string seen = seen_in(judged);
    EXPECT_EQ(to_string(run.outcome()), outcome) << seen;
    EXPECT_EQ(run.failed_phase(), phase) << seen;
    EXPECT_EQ(run.code ? to_string(run.reason()) : std::string_view{}, reason) << seen;
    EXPECT_EQ(found.label(), cause) << seen;
    const std::string_view first =
        found.candidates.empty() ? std::string_view{} : to_string(found.candidates.front().cause);
    if (!candidate.empty()) {
        EXPECT_EQ(first, candidate) << seen;
    }
    std::string row = "| " + std::string(server) + " | " + what + " | " +
                      std::string(to_string(run.outcome())) + " | " + std::string(run.failed_phase()) +
                      " | " + std::string(run.code ? to_string(run.reason()) : std::string_view{}) + " | " +
                      (run.code ? run.fingerprint : run.headline) + " | " + std::string(found.label());
    if (!first.empty()) row += " (" + std::string(first) + " first)";
    row += " |";
    std::cout << row << '\n';
    if (const char* file = std::getenv("LIVECANARY_MATRIX"))
        std::ofstream(file, std::ios::app) << row << '\n';
}

/// As a TOML string, or a word of a shell.
inline std::string quoted(const std::string& text) { return "'" + text + "'"; }

}  // namespace livecanary::test
