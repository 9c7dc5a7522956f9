// What comes in, held against what was pushed.
#include "probes/callback/inbox.hpp"

#include <gtest/gtest.h>

#include "probes/protocol/callback_sign.hpp"

namespace livecanary::callback {
namespace {

using namespace std::chrono_literals;

constexpr const char* key = "callback-key";
constexpr WallTime start{std::chrono::seconds(1'795'000'000)};

struct Bench {
    explicit Bench(Receive settings = {}) : receive(std::move(settings)) {}
    Receive receive;
    Inbox inbox{receive, config::Secret(key), config::Secret("old-key")};
    WallTime now = start;
    std::uint64_t notices = 0;
    Clock::time_point steady{};

    static std::string body(int type, const std::string& stream, WallTime sent, const char* with = key,
                            const std::string& sequence = "s1") {
        const auto t = std::chrono::floor<std::chrono::seconds>(sent) + 10min;
        const auto stamp = protocol::callback_stamp(with, t);
        return protocol::JsonFields()
            .number("event_type", type)
            .text("stream_id", stream)
            .text("sequence", sequence)
            .raw("t", stamp.t)
            .text("sign", stamp.sign)
            .object();
    }
    Verdict take(const std::string& text) {
        const auto verdict = inbox.take(text, now, steady);
        if (verdict == Verdict::taken) inbox.settle(inbox.last().number, true);
        steady += 1s;
        return verdict;
    }
    Verdict event(int type, const std::string& stream, const std::string& sequence = "s1") {
        return take(body(type, stream, now, key, sequence));
    }
    void push(const std::string& event, const std::string& stream, const std::string& from = "push-main") {
        inbox.told({{.number = ++notices,
                     .topic = std::string(topics::push),
                     .from = from,
                     .at = now,
                     .facts = {{"event", event}, {"stream_id", stream}}}},
                   start);
    }
    Report report() { return inbox.report(now); }
};

std::string got(const Standing& standing, std::string_view what) {
    for (const auto& [name, text] : standing.evidence)
        if (name == what) return text;
    return {};
}

TEST(CallbackInbox, PushWithItsEvents) {
    Bench bench;
    bench.push("1", "a");
    bench.now += 2s;
    EXPECT_EQ(bench.event(1, "a"), Verdict::taken);
    bench.now += 8s;
    bench.push("0", "a");
    bench.now += 3s;
    EXPECT_EQ(bench.event(0, "a"), Verdict::taken);
    const Report report = bench.report();
    EXPECT_EQ(report.callbacks, (std::map<std::string_view, double>{{"1", 1}, {"0", 1}}));
    EXPECT_TRUE(report.defects.empty());
    EXPECT_EQ(report.delays, (std::vector<std::pair<std::string_view, double>>{{"1", 2.0}, {"0", 3.0}}));
    EXPECT_FALSE(report.standing);
    EXPECT_EQ(report.headline, "2 events received, the last 0 s ago");
    // Each is told once.
    EXPECT_TRUE(bench.report().callbacks.empty());
}

// A push counts as accepted only once its media was taken, and the cloud may be quicker to tell.
TEST(CallbackInbox, EventMayComeBeforeItsPushIsTold) {
    Bench bench;
    EXPECT_EQ(bench.event(1, "a"), Verdict::taken);
    bench.now += 5s;
    bench.push("1", "a");
    bench.now += 10min;
    const Report report = bench.report();
    EXPECT_TRUE(report.defects.empty());
    EXPECT_EQ(report.delays, (std::vector<std::pair<std::string_view, double>>{{"1", 0.0}}));
}

// A template is bound to a domain: what comes of another one shows that a template leads here, and that this
// domain has it no more.
TEST(CallbackInbox, OtherDomainsAreHeardOfWhileThisOneIsNot) {
    const auto heard = [](const std::string& domain, WallTime::duration since_push) {
        Bench bench;
        const auto tell = [&] {
            bench.inbox.told(
                {{.number = ++bench.notices,
                  .topic = std::string(topics::push),
                  .from = "push-main",
                  .at = bench.now,
                  .facts = {{"event", "1"}, {"stream_id", "a"}, {"domain", "push.example.com"}}}},
                start);
        };
        tell();
        bench.event(1, "a");
        bench.now += 10min;
        tell();
        bench.now += since_push;
        const auto t = std::chrono::floor<std::chrono::seconds>(bench.now) + 10min;
        const auto stamp = protocol::callback_stamp(key, t);
        bench.take(protocol::JsonFields()
                       .number("event_type", 1)
                       .text("stream_id", "b")
                       .text("app", domain)
                       .raw("t", stamp.t)
                       .text("sign", stamp.sign)
                       .object());
        bench.now += 10min;
        const Report report = bench.report();
        EXPECT_TRUE(report.standing);
        return report.standing ? got(*report.standing, "other_streams") : std::string();
    };
    EXPECT_EQ(heard("other.example.com", 1s), "their events come in");
    EXPECT_EQ(heard("push.example.com", 1s), "") << "this very domain has its template";
    EXPECT_EQ(heard("other.example.com", -1min), "") << "nothing comes any more, of nobody";
}

TEST(CallbackInbox, EventThatDoesNotComeIsMissingOnceAndStandsUntilTheNextComes) {
    Bench bench;
    bench.push("1", "a");
    bench.now += 60s;
    EXPECT_FALSE(bench.report().standing);
    bench.now += 1s;
    Report report = bench.report();
    EXPECT_EQ(report.defects["missing"], 1);
    ASSERT_TRUE(report.standing);
    EXPECT_EQ(report.standing->what, Standing::What::missing);
    EXPECT_EQ(got(*report.standing, "missing"), "1");
    EXPECT_EQ(got(*report.standing, "missing_stream"), "a");
    EXPECT_EQ(got(*report.standing, "arrived"), "none");
    report = bench.report();
    EXPECT_EQ(report.defects["missing"], 0);
    EXPECT_TRUE(report.standing);

    bench.push("1", "a");
    EXPECT_TRUE(bench.report().standing);
    EXPECT_EQ(bench.event(1, "a", "s2"), Verdict::taken);
    EXPECT_FALSE(bench.report().standing);
}

TEST(CallbackInbox, EventThatComesAfterAllIsLate) {
    Bench bench;
    bench.push("1", "a");
    bench.now += 61s;
    bench.report();
    bench.now += 59s;
    bench.event(1, "a");
    const Report report = bench.report();
    EXPECT_EQ(report.defects, (std::map<std::string_view, double>{{"late", 1}}));
    EXPECT_EQ(report.delays, (std::vector<std::pair<std::string_view, double>>{{"1", 120.0}}));
    EXPECT_FALSE(report.standing);
}

TEST(CallbackInbox, RecordingHasTimeOfItsOwn) {
    Receive receive;
    receive.expect = {100};
    Bench bench(receive);
    bench.push("1", "a");
    bench.push("0", "a");
    bench.now += 10min;
    EXPECT_FALSE(bench.report().standing);
    bench.now += 1s;
    const Report report = bench.report();
    EXPECT_EQ(got(*report.standing, "missing"), "100");
}

TEST(CallbackInbox, OnlyPushesOfTheProbeNamed) {
    Receive receive;
    receive.push = "push-main";
    Bench bench(receive);
    bench.push("1", "a", "push-other");
    bench.now += 2min;
    EXPECT_FALSE(bench.report().standing);
    bench.push("1", "a");
    bench.now += 2min;
    EXPECT_TRUE(bench.report().standing);
}

// Before it listened nothing could come.
TEST(CallbackInbox, PushesOfBeforeAreNotJudged) {
    Bench bench;
    bench.now = start - 1s;
    bench.push("1", "a");
    bench.now += 2min;
    EXPECT_TRUE(bench.report().defects.empty());
    EXPECT_EQ(bench.inbox.last_notice(), 1U);
}

TEST(CallbackInbox, StreamThatNobodyHerePushedIsUnmatched) {
    Bench bench;
    bench.event(1, "user_stream");
    EXPECT_TRUE(bench.report().defects.empty());
    bench.now += 61s;
    const Report report = bench.report();
    EXPECT_EQ(report.defects, (std::map<std::string_view, double>{{"unmatched", 1}}));
    EXPECT_FALSE(report.standing);
}

// The cloud tells of a recording too, whether it is expected or not.
TEST(CallbackInbox, EventOfAnOwnPushThatNeedNotComeIsNotUnmatched) {
    Bench bench;
    bench.push("1", "a");
    bench.event(1, "a");
    bench.push("0", "a");
    bench.event(0, "a");
    bench.event(100, "a");
    bench.now += 61s;
    EXPECT_TRUE(bench.report().defects.empty());
}

TEST(CallbackInbox, SameRequestAgainIsRefused) {
    Bench bench;
    bench.push("1", "a");
    const auto text = bench.body(1, "a", bench.now);
    EXPECT_EQ(bench.take(text), Verdict::taken);
    EXPECT_EQ(bench.take(text), Verdict::replayed);
    const Report report = bench.report();
    EXPECT_EQ(report.callbacks, (std::map<std::string_view, double>{{"1", 1}}));
    EXPECT_EQ(report.defects, (std::map<std::string_view, double>{{"duplicate", 1}}));
    EXPECT_FALSE(report.standing);
}

TEST(CallbackInbox, SameEventSentAnewIsTakenAndADuplicate) {
    Bench bench;
    bench.push("1", "a");
    bench.event(1, "a");
    bench.now += 5s;
    EXPECT_EQ(bench.event(1, "a"), Verdict::taken);
    bench.now += 5min;
    const Report report = bench.report();
    EXPECT_EQ(report.defects, (std::map<std::string_view, double>{{"duplicate", 1}}));
}

// What was not answered with 200 is sent again, byte by byte.
TEST(CallbackInbox, WhatWasNotTakenMayComeAgain) {
    Bench bench;
    bench.push("1", "a");
    const auto text = bench.body(1, "a", bench.now);
    for (int delivery = 0; delivery < 3; ++delivery) {
        EXPECT_EQ(bench.inbox.take(text, bench.now, bench.steady), Verdict::taken);
        bench.inbox.settle(bench.inbox.last().number, delivery == 2);
        bench.now += 60s;
    }
    EXPECT_EQ(bench.take(text), Verdict::replayed);
    bench.now += 5min;
    const Report report = bench.report();
    EXPECT_EQ(report.defects, (std::map<std::string_view, double>{{"duplicate", 1}}));
}

TEST(CallbackInbox, RightSignatureAndTimeOnly) {
    Bench bench;
    EXPECT_EQ(bench.take(bench.body(1, "a", bench.now, "other")), Verdict::badly_signed);
    EXPECT_EQ(bench.take(bench.body(1, "a", bench.now, "callback-key ")), Verdict::badly_signed);
    EXPECT_EQ(bench.take(bench.body(1, "a", bench.now, "old-key")), Verdict::taken);
    EXPECT_EQ(bench.take(bench.body(1, "a", bench.now - 10min, key)), Verdict::taken);
    EXPECT_EQ(bench.take(bench.body(1, "a", bench.now - 10min - 1s, key)), Verdict::expired);
    EXPECT_EQ(bench.take("{}"), Verdict::malformed);
    EXPECT_EQ(bench.take(R"({"event_type":1,"stream_id":"a","t":1795000600,"sign":true})"),
              Verdict::malformed);
    EXPECT_EQ(bench.take("event_type=1"), Verdict::malformed);
    Report report = bench.report();
    EXPECT_EQ(report.defects["bad_signature"], 2);
    EXPECT_EQ(report.defects["late"], 1);
}

TEST(CallbackInbox, StatusesAreWhatTheCloudUnderstands) {
    EXPECT_EQ(status_of(Verdict::taken), 200U);
    for (const auto verdict :
         {Verdict::replayed, Verdict::badly_signed, Verdict::expired, Verdict::malformed, Verdict::too_many})
        EXPECT_GE(status_of(verdict), 400U);
    EXPECT_EQ(status_of(Verdict::badly_signed), 403U);
    EXPECT_EQ(status_of(Verdict::too_many), 429U);
}

TEST(CallbackInbox, BadSignatureOfSomebodyFailsOneReport) {
    Bench bench;
    bench.take(bench.body(1, "a", bench.now, "other"));
    const Report report = bench.report();
    ASSERT_TRUE(report.standing);
    EXPECT_EQ(report.standing->what, Standing::What::badly_signed);
    EXPECT_EQ(got(*report.standing, "badly_signed"), "of somebody");
    EXPECT_EQ(got(*report.standing, "badly_signed_event"), "event 1 of stream a");
    EXPECT_FALSE(bench.report().standing);
}

class CallbackInboxOrder : public testing::TestWithParam<bool> {};
TEST_P(CallbackInboxOrder, BadSignatureOfOurOwnPushStands) {
    Bench bench;
    if (GetParam()) bench.push("1", "a");
    bench.take(bench.body(1, "a", bench.now, "other"));
    if (!GetParam()) bench.push("1", "a");
    bench.report();
    bench.now += 61s;
    for (int i = 0; i < 2; ++i) {
        const Report report = bench.report();
        ASSERT_TRUE(report.standing);
        EXPECT_EQ(report.standing->what, Standing::What::badly_signed);
        EXPECT_EQ(got(*report.standing, "badly_signed"), "of our own push");
        EXPECT_EQ(got(*report.standing, "missing"), "1");
    }
}
INSTANTIATE_TEST_SUITE_P(, CallbackInboxOrder, testing::Bool());

TEST(CallbackInbox, BadSignatureOfOnePushSaysNothingOfTheNext) {
    Bench bench;
    bench.push("1", "a");
    bench.take(bench.body(1, "a", bench.now, "other"));
    bench.report();
    // Of this one nothing comes at all.
    bench.now += 2s;
    bench.push("1", "a");
    bench.now += 61s;
    const Report report = bench.report();
    ASSERT_TRUE(report.standing);
    EXPECT_EQ(report.standing->what, Standing::What::missing);
    EXPECT_EQ(got(*report.standing, "badly_signed"), "");
}

TEST(CallbackInbox, RateIsBounded) {
    Receive receive;
    receive.rate = 2;
    Bench bench(receive);
    int taken = 0;
    for (int i = 0; i < 30; ++i)
        taken += bench.inbox.take(bench.body(1, "s" + std::to_string(i), bench.now), bench.now, {}) ==
                 Verdict::taken;
    EXPECT_EQ(taken, 10);
    bench.steady = Clock::time_point{} + 1s;
    EXPECT_EQ(bench.event(1, "x"), Verdict::taken);
    EXPECT_EQ(bench.inbox.take("{}", bench.now, Clock::time_point{} + 1s), Verdict::malformed);
    EXPECT_EQ(bench.inbox.take("{}", bench.now, Clock::time_point{} + 1s), Verdict::too_many);
}

struct ForwardBench : Bench {
    using Bench::Bench;
    void forwarded(int type, const std::string& stream, std::int64_t code) {
        settled(type, stream,
                {.status = 200, .code = code, .answer = "HTTP 200 code " + std::to_string(code)});
    }
    void settled(int type, const std::string& stream, Forwarded answer) {
        ++times;
        inbox.take(body(type, stream, now, key, std::to_string(times)), now, steady += 1s);
        inbox.settle(inbox.last().number, answer.status == 200, std::move(answer));
    }
    int times = 0;
};

TEST(CallbackInbox, RefusedStreamStandsBesideOneThatIsWell) {
    ForwardBench bench;
    bench.forwarded(100, "nounderscore", 2003);
    Report report = bench.report();
    ASSERT_TRUE(report.standing);
    EXPECT_EQ(report.standing->what, Standing::What::forward_refused);
    EXPECT_EQ(got(*report.standing, "forward_event"), "100");
    EXPECT_EQ(got(*report.standing, "forward_answer"), "HTTP 200 code 2003");
    EXPECT_EQ(got(*report.standing, "forward_lacks_underscore"), "nounderscore");
    EXPECT_EQ(got(*report.standing, "forward_streams"), "");
    // Another event of it, and the same one of a stream that is well, say nothing of it.
    bench.forwarded(1, "nounderscore", 0);
    bench.now += 1min;
    bench.forwarded(100, "a_b", 0);
    report = bench.report();
    ASSERT_TRUE(report.standing);
    EXPECT_EQ(got(*report.standing, "forwarded"), "event 100 of stream nounderscore");
    bench.forwarded(100, "nounderscore", 0);
    EXPECT_FALSE(bench.report().standing);
}

// A stream that never comes again must not stand for ever, if others show that the backend takes such events.
TEST(CallbackInbox, RefusedStreamThatDoesNotComeAgainHealsByAnotherAfterItsTime) {
    ForwardBench bench;
    bench.forwarded(100, "gone", 2003);
    bench.now += 1s;
    bench.forwarded(100, "a_b", 0);
    bench.now += 15min - 1s;
    EXPECT_TRUE(bench.report().standing);
    bench.now += 1s;
    EXPECT_FALSE(bench.report().standing);
    // Nobody has shown anything since: it stands on, and an event of another number shows nothing.
    bench.forwarded(100, "gone", 2003);
    bench.now += 1h;
    bench.forwarded(0, "a_b", 0);
    EXPECT_TRUE(bench.report().standing);
    bench.forwarded(100, "a_b", 0);
    EXPECT_FALSE(bench.report().standing);
}

TEST(CallbackInbox, RefusedStreamsAreCountedAndBounded) {
    Receive receive;
    receive.rate = 10000;
    ForwardBench bench(receive);
    for (int i = 0; i < 300; ++i) bench.forwarded(100, "s_" + std::to_string(i), 2003);
    Report report = bench.report();
    ASSERT_TRUE(report.standing);
    EXPECT_EQ(got(*report.standing, "forwarded"), "event 100 of stream s_299") << "the newest speaks";
    EXPECT_EQ(got(*report.standing, "forward_streams"), "256 streams");
    for (int i = 44; i < 300; ++i) bench.forwarded(100, "s_" + std::to_string(i), 0);
    EXPECT_FALSE(bench.report().standing);
}

// One slow answer, and what is held back on its account, are one fact about the backend: that it hung then.
TEST(CallbackInbox, WhatWasHeldBackIsNotHeldAgainstTheBackend) {
    ForwardBench bench;
    const auto settled = [&](const std::string& stream, std::string_view answer) {
        bench.settled(1, stream, {.answer = std::string(answer)});
    };
    settled("held_a", held_back);
    Report report = bench.report();
    EXPECT_FALSE(report.standing);
    EXPECT_EQ(report.held_back, 1U);
    settled("slow_a", no_answer);
    for (int i = 0; i < 3; ++i) settled("held_a", held_back);
    settled("slow_a", held_back);
    report = bench.report();
    ASSERT_TRUE(report.standing);
    EXPECT_EQ(got(*report.standing, "forward_answer"), "no answer in time");
    EXPECT_EQ(got(*report.standing, "forwarded"), "event 1 of stream slow_a");
    EXPECT_EQ(got(*report.standing, "forward_streams"), "");
    EXPECT_EQ(report.held_back, 4U);
    // Any event that it answers shows that it hangs no more.
    bench.forwarded(0, "other_a", 0);
    report = bench.report();
    EXPECT_FALSE(report.standing);
    EXPECT_EQ(report.held_back, 0U);
}

TEST(CallbackInbox, HoldsNoMoreThanItsBounds) {
    Receive receive;
    receive.rate = 10000;
    Bench bench(receive);
    for (int i = 0; i < 1200; ++i) {
        const std::string stream = "s" + std::to_string(i);
        bench.push("1", stream);
        EXPECT_EQ(bench.event(1, stream), Verdict::taken) << i;
    }
    EXPECT_EQ(bench.inbox.find(1, "s0"), nullptr);
    EXPECT_NE(bench.inbox.find(1, "s1199"), nullptr);
    EXPECT_EQ(bench.take(bench.body(1, "s100", bench.now)), Verdict::replayed);
}

TEST(CallbackInbox, FindsTheNewest) {
    Bench bench;
    bench.event(100, "a_b", "1");
    bench.now += 1min;
    bench.event(100, "a_b", "2");
    ASSERT_NE(bench.inbox.find(100, "a_b"), nullptr);
    EXPECT_EQ(bench.inbox.find(100, "a_b")->at, bench.now);
    EXPECT_NE(bench.inbox.find(100, "a_b", bench.now), nullptr);
    EXPECT_EQ(bench.inbox.find(100, "a_b", bench.now + 1ms), nullptr);
    EXPECT_EQ(bench.inbox.find(0, "a_b"), nullptr);
}

TEST(CallbackInbox, LabelsAreAClosedSet) {
    EXPECT_EQ(label_of(100), "100");
    EXPECT_EQ(label_of(318), "other");
    EXPECT_EQ(label_of(-1), "other");
}

}  // namespace
}  // namespace livecanary::callback
