#include "daemon/explain.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <string>

#include <boost/asio/error.hpp>

#include "probes/catalogue/catalogue.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

constexpr Phase dns{"dns"}, tcp{"tcp"}, publish{"publish"}, teardown{"teardown"};
constexpr std::array phases{dns, tcp, publish, teardown};
constexpr Kind kind{.name = "rtmp_push", .phases = phases, .values = {}, .make = nullptr};

ProbeSettings settings() {
    ProbeSettings settings;
    settings.name = "push-main";
    settings.kind = &kind;
    settings.probe.target = "rtmp://push.example.com/live/canary";
    return settings;
}

/// A run of 100 ms: half of it in `dns`, a quarter in `tcp`, the rest in `publish`.
RunResult run(error_code code = {}) {
    Clock::time_point now{1h};
    Env env;
    env.now = [&] { return now; };
    ProbeRun run(env, 10s);
    run.enter(dns);
    now += 50ms;
    run.enter(tcp);
    now += 25ms;
    run.enter(publish);
    run.saw("status", "onStatus error NetStream.Publish.BadName");
    now += 25ms;
    auto result = code ? run.fail(code) : run.ok();
    result.run_id = "00c0ffee00c0ffee";
    return result;
}

std::string printed(const RunResult& run, const Diagnosis& found, const Paper& paper = {}) {
    std::ostringstream out;
    print_result(out, settings(), run, found, paper);
    return out.str();
}

std::string title(Cause cause, Lang lang = Lang::en) { return std::string(entry(cause).title.in(lang)); }
std::string title(CauseClass id, Lang lang = Lang::en) { return std::string(entry(id).title.in(lang)); }

Diagnosis a_cause() {
    return {.cause = Cause::push_wrong_hotlink_key,
            .because = "the backup key is accepted",
            .ruled_out = {"push_url_expired: txTime is tomorrow"}};
}
Diagnosis a_class() {
    return {.cause_class = CauseClass::push_refused,
            .candidates = {{Cause::push_wrong_hotlink_key, "refused as a wrong key is"},
                           {Cause::push_url_expired, "the clock is not sure"}}};
}

TEST(Sentence, OfAnOkRunIsWhatItMeasured) {
    EXPECT_EQ(sentence(run(), {}, "en"), "");
    RunResult played = run();
    played.headline = "played rtmp 3.2 ms behind";
    EXPECT_EQ(sentence(played, {}, "en"), "played rtmp 3.2 ms behind");
    EXPECT_NE(printed(played, {}).find("\n  played rtmp 3.2 ms behind\n"), std::string::npos);
}

TEST(Sentence, NamesTheCause) {
    const auto failed = run(boost::asio::error::eof);
    EXPECT_EQ(sentence(failed, a_cause(), "en"), title(Cause::push_wrong_hotlink_key) + " (publish: closed)");
    EXPECT_EQ(sentence(failed, a_cause(), "zh"),
              title(Cause::push_wrong_hotlink_key, Lang::zh) + " (publish: closed)");
}

TEST(Sentence, NamesTheClassAndTheLikeliestCandidate) {
    const auto failed = run(boost::asio::error::eof);
    EXPECT_EQ(sentence(failed, a_class(), "en"),
              title(CauseClass::push_refused) +
                  " (publish: closed); likeliest: " + title(Cause::push_wrong_hotlink_key));
    EXPECT_EQ(sentence(failed, a_class(), "zh"), title(CauseClass::push_refused, Lang::zh) +
                                                     " (publish: closed)；最可能：" +
                                                     title(Cause::push_wrong_hotlink_key, Lang::zh));
    EXPECT_EQ(sentence(failed, {.cause_class = CauseClass::push_refused}, "en"),
              title(CauseClass::push_refused) + " (publish: closed)");
}

TEST(Sentence, WithoutADiagnosisSaysWhatHappened) {
    EXPECT_EQ(sentence(run(boost::asio::error::connection_refused), {}, "en"),
              "publish: refused (Connection refused)");
}

TEST(Sentence, OfAnInconclusiveRunIsWhy) {
    auto result = run(boost::asio::error::connection_refused);
    result.inconclusive = "maintenance";
    EXPECT_EQ(sentence(result, a_cause(), "en"), "maintenance");
}

TEST(Fix, IsThatOfTheCauseOrTheLikeliestCandidate) {
    const auto of_key = std::string(entry(Cause::push_wrong_hotlink_key).fix.in(Lang::en));
    EXPECT_FALSE(of_key.empty());
    EXPECT_EQ(fix(a_cause(), "en"), of_key);
    EXPECT_EQ(fix(a_class(), "en"), of_key);
    EXPECT_EQ(fix(a_cause(), "zh"), entry(Cause::push_wrong_hotlink_key).fix.in(Lang::zh));
    EXPECT_EQ(fix({}, "en"), "");
    EXPECT_EQ(fix({.cause_class = CauseClass::push_refused}, "en"), "");
}

TEST(DurationText, HasThreeFigures) {
    EXPECT_EQ(duration_text(0s), "0.00 ms");
    EXPECT_EQ(duration_text(73us), "0.07 ms");
    EXPECT_EQ(duration_text(12345us), "12.35 ms");
    EXPECT_EQ(duration_text(99'400us), "99.40 ms");
    EXPECT_EQ(duration_text(99'600us), "100 ms");
    EXPECT_EQ(duration_text(999ms), "999 ms");
    EXPECT_EQ(duration_text(4980ms), "4.98 s");
    EXPECT_EQ(duration_text(2min), "120.00 s");
}

TEST(PrintResult, OfAnOkRunIsTheWaterfall) {
    EXPECT_EQ(printed(run(), {}),
              "push-main (rtmp_push) rtmp://push.example.com/live/canary\n"
              "  ok in 100 ms, run 00c0ffee00c0ffee\n"
              "  ok   dns             50.00 ms |====================                    |\n"
              "  ok   tcp             25.00 ms |                    ==========          |\n"
              "  ok   publish         25.00 ms |                              ==========|\n");
}

TEST(PrintResult, NamesCauseEvidenceControlsAndFix) {
    auto failed = run(boost::asio::error::eof);
    failed.controls = {
        {.name = "backup_key", .outcome = ControlOutcome::passed, .shows = "the backup key is accepted"},
        {.name = "anchors", .outcome = ControlOutcome::inconclusive, .shows = "not asked"}};
    EXPECT_EQ(printed(failed, a_cause()),
              "push-main (rtmp_push) rtmp://push.example.com/live/canary\n"
              "  failed in 100 ms, run 00c0ffee00c0ffee\n"
              "  ok   dns             50.00 ms |====================                    |\n"
              "  ok   tcp             25.00 ms |                    ==========          |\n"
              "  FAIL publish         25.00 ms |                              ==========|\n"
              "  " +
                  title(Cause::push_wrong_hotlink_key) +
                  " (publish: closed)\n"
                  "  cause      push_wrong_hotlink_key\n"
                  "  sure       proven: the evidence fits no other cause\n"
                  "  because    the backup key is accepted\n"
                  "  not        push_url_expired: txTime is tomorrow\n"
                  "  control    backup_key passed: the backup key is accepted\n"
                  "             anchors inconclusive: not asked\n"
                  "  evidence   publish status: onStatus error NetStream.Publish.BadName\n"
                  "  fix        " +
                  fix(a_cause(), "en") +
                  "\n"
                  "  runbook    livecanary causes push_wrong_hotlink_key\n");
}

TEST(PrintResult, NamesTheClassAndItsCandidates) {
    const auto text = printed(run(boost::asio::error::eof), a_class());
    EXPECT_NE(text.find("  class      push_refused\n"
                        "  sure       open: one of 2, the likeliest first\n"
                        "  may be     push_wrong_hotlink_key: refused as a wrong key is\n"
                        "             push_url_expired: the clock is not sure\n"
                        "  evidence "),
              std::string::npos)
        << text;
    EXPECT_EQ(text.find("cause  "), std::string::npos);
    EXPECT_TRUE(text.ends_with("  runbook    livecanary causes push_refused\n")) << text;
}

TEST(PrintResult, HasColourOnlyWhenAskedFor) {
    const auto failed = run(boost::asio::error::eof);
    EXPECT_EQ(printed(failed, a_cause()).find('\033'), std::string::npos);
    std::string coloured = printed(failed, a_cause(), {.colour = true});
    EXPECT_NE(coloured.find("\033[31mFAIL\033[0m publish"), std::string::npos) << coloured;
    // Without its colours it is the same text.
    for (std::size_t at = 0; (at = coloured.find('\033')) != std::string::npos;)
        coloured.erase(at, coloured.find('m', at) - at + 1);
    EXPECT_EQ(coloured, printed(failed, a_cause()));
}

TEST(PrintResult, AWaterfallStaysInItsBoundsWhateverThePhases) {
    RunResult odd = run();
    odd.phases = {{dns, 0s, 0s}, {tcp, 100ms, 0s}, {publish, 50ms, 10min}, {teardown, 99ms, 1ms}};
    std::istringstream lines(printed(odd, {}));
    int bars = 0;
    for (std::string line; std::getline(lines, line);) {
        const auto from = line.find('|');
        if (from == std::string::npos) continue;
        ++bars;
        EXPECT_EQ(line.rfind('|') - from, 41U) << line;
        EXPECT_NE(line.find('='), std::string::npos) << line;
    }
    EXPECT_EQ(bars, 4);
    odd.duration = 0s;
    EXPECT_FALSE(printed(odd, {}).empty());
}

}  // namespace
}  // namespace livecanary::daemon
