// The receiver as the cloud meets it, with pushes told by another probe and a backend behind it.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "probes/callback/client.hpp"
#include "probes/callback/inbox.hpp"
#include "tests/practice/callback_sender.hpp"
#include "tests/unit/kinds/callback_stage.hpp"

namespace livecanary::test {
namespace {

using callback::CallbackError;
using practice::CallbackSender;
using practice::http_ask;
using practice::HttpAnswered;

struct ReceiverStage : CallbackStage {
    Probe probe;
    std::optional<Task<int>> background{};

    explicit ReceiverStage(const std::string& receive = {}, const std::string& more = {})
        : probe(made_of("key = { env = 'KEY' }\n" + more +
                        "[receive]\nlisten = '127.0.0.1:0'\npath = '/live'\n" + receive)) {
        background.emplace(io, listening(probe, env));
        run_until(io, [this] { return port() != 0; });
    }
    ~ReceiverStage() {
        background->cut();
        background->wait();
    }
    static asio::awaitable<int> listening(const Probe& probe, Env& env) {
        co_await probe.background(env);
        co_return 0;
    }
    /// As a run says.
    std::uint16_t port() {
        constexpr std::string_view words = "listens on port ";
        ProbeRun under_way(env, 30s - passed);
        const RunResult found = await(io, probe.run(under_way));
        const auto said = found.got("receiver");
        if (!said.starts_with(words)) return 0;
        return static_cast<std::uint16_t>(std::stoi(std::string(said.substr(words.size()))));
    }
    HttpAnswered post(const std::string& body, const std::string& target = "/live",
                      const std::string& method = "POST") {
        return await(io, http_ask(listening_on(), method, target, body));
    }
    std::uint16_t listening_on() {
        if (!port_) port_ = port();
        return *port_;
    }
    std::string event(int type, const std::string& stream, const char* key = "callback-key",
                      const std::string& sequence = "s") {
        practice::CallbackSender::Settings settings;
        settings.key = key;
        return practice::CallbackSender::event_body(settings, type, stream, sequence, now());
    }
    CallbackJudged judge_received() { return judge(probe); }

private:
    std::optional<std::uint16_t> port_{};
};

TEST(CallbackReceiver, AnswersOnlyItsPathAndOnlyPost) {
    ReceiverStage stage;
    EXPECT_EQ(stage.post("{}", "/").status, 404U);
    EXPECT_EQ(stage.post("{}", "/live/x").status, 404U);
    EXPECT_EQ(stage.post("{}", "/metrics").status, 404U);
    EXPECT_EQ(stage.post("", "/live", "GET").status, 405U);
    EXPECT_EQ(stage.post("{}").status, 400U);
    EXPECT_EQ(stage.post(std::string(70'000, 'x')).status, 413U);
    const auto taken = stage.post(stage.event(1, "a"), "/live?x=1");
    EXPECT_EQ(taken.status, 200U);
    EXPECT_EQ(taken.body, R"({"code":0})");
}

TEST(CallbackReceiver, PushAndItsEvents) {
    ReceiverStage stage;
    stage.peers.push("1", "a", stage.now());
    stage.passed += 2s;
    EXPECT_EQ(stage.post(stage.event(1, "a")).status, 200U);
    stage.passed += 5s;
    stage.peers.push("0", "a", stage.now());
    stage.passed += 3s;
    EXPECT_EQ(stage.post(stage.event(0, "a")).status, 200U);
    const RunResult run = stage.run(stage.probe);
    EXPECT_EQ(run.outcome(), RunOutcome::ok);
    EXPECT_EQ(way_of(run), "callback");
    EXPECT_EQ(found_of(run, "livecanary_callbacks_total", "1"), 1);
    EXPECT_EQ(found_of(run, "livecanary_callbacks_total", "0"), 1);
    EXPECT_NEAR(found_of(run, "livecanary_callback_delay_seconds", "1"), 2, 0.001);
    EXPECT_NEAR(found_of(run, "livecanary_callback_delay_seconds", "0"), 3, 0.001);
    EXPECT_EQ(run.headline, "2 events received, the last 0 s ago");
    EXPECT_EQ(found_of(stage.run(stage.probe), "livecanary_callbacks_total", "1"), 0);
}

TEST(CallbackReceiver, EventThatDoesNotComeFailsEveryRunUntilOneDoes) {
    ReceiverStage stage;
    stage.peers.push("1", "a", stage.now());
    EXPECT_EQ(stage.run(stage.probe).outcome(), RunOutcome::ok);
    stage.passed += 61s;
    auto judged = stage.judge_received();
    EXPECT_EQ(judged.run.code, CallbackError::missing);
    EXPECT_EQ(judged.run.failed_phase(), "callback");
    EXPECT_EQ(to_string(judged.run.reason()), "timeout");
    EXPECT_EQ(judged.diagnosis.label(), "callback_not_delivered");
    EXPECT_EQ(found_of(judged.run, "livecanary_callback_defects_total", "missing"), 1);
    judged = stage.judge_received();
    EXPECT_EQ(judged.run.code, CallbackError::missing);
    EXPECT_EQ(found_of(judged.run, "livecanary_callback_defects_total", "missing"), 0);
    stage.peers.push("1", "a", stage.now());
    EXPECT_EQ(stage.post(stage.event(1, "a")).status, 200U);
    EXPECT_EQ(stage.run(stage.probe).outcome(), RunOutcome::ok);
}

TEST(CallbackReceiver, EventSignedWithAnotherKeyOfOurOwnPush) {
    ReceiverStage stage;
    stage.peers.push("1", "a", stage.now());
    EXPECT_EQ(stage.post(stage.event(1, "a", "another-key")).status, 403U);
    const auto judged = stage.judge_received();
    EXPECT_EQ(judged.run.code, CallbackError::badly_signed);
    EXPECT_EQ(to_string(judged.run.reason()), "mismatch");
    EXPECT_EQ(judged.diagnosis.label(), "callback_api_key_mismatch");
    EXPECT_EQ(found_of(judged.run, "livecanary_callback_defects_total", "bad_signature"), 1);
}

TEST(CallbackReceiver, ReplayIsRefused) {
    ReceiverStage stage;
    const auto body = stage.event(1, "a");
    EXPECT_EQ(stage.post(body).status, 200U);
    EXPECT_EQ(stage.post(body).status, 409U);
    const RunResult run = stage.run(stage.probe);
    EXPECT_EQ(found_of(run, "livecanary_callbacks_total", "1"), 1);
    EXPECT_EQ(found_of(run, "livecanary_callback_defects_total", "duplicate"), 1);
}

TEST(CallbackReceiver, RateIsBounded) {
    ReceiverStage stage("rate = 1\n");
    std::map<unsigned, int> statuses;
    for (int i = 0; i < 8; ++i) ++statuses[stage.post("{}").status];
    EXPECT_GE(statuses[400], 5);
    EXPECT_GE(statuses[429], 1);
}

TEST(CallbackReceiver, PortThatIsTakenIsOurFault) {
    ReceiverStage stage;
    CallbackStage other;
    const Probe probe =
        CallbackStage::made_of("key = { env = 'KEY' }\n[receive]\npath = '/live'\nlisten = '127.0.0.1:" +
                               std::to_string(stage.listening_on()) + "'\n");
    Task<int> background(other.io, ReceiverStage::listening(probe, other.env));
    other.io.poll();
    const RunResult run = other.run(probe);
    EXPECT_EQ(run.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(run.inconclusive, "the receiver cannot listen: Address already in use");
    background.cut();
    background.wait();
}

TEST(CallbackReceiver, OutsideTheDaemonItProvesNothing) {
    CallbackStage stage;
    const Probe probe = CallbackStage::made_of(
        "key = { env = 'KEY' }\nreceive = { listen = '127.0.0.1:0', path = '/live' }\n");
    const RunResult run = stage.run(probe);
    EXPECT_EQ(run.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(run.inconclusive, "the receiver listens only within the daemon");
    // Events are sent all the same.
    const Probe both = stage.make("receive = { listen = '127.0.0.1:0', path = '/live' }\n");
    EXPECT_EQ(stage.run(both).outcome(), RunOutcome::ok);
}

// --- passed on

std::string forwarding(const CallbackStage& stage) { return "forward = '" + stage.url() + "'\n"; }

struct ForwardStage : CallbackStage {
    ReceiverStage receiver{forwarding(*this)};
    /// Both loops turn until the answer has come.
    HttpAnswered post(const std::string& body) {
        Task<HttpAnswered> task(receiver.io, http_ask(receiver.listening_on(), "POST", "/live", body));
        while (!task.ended()) {
            receiver.io.restart();
            receiver.io.poll();
            io.restart();
            io.poll();
        }
        return task.wait();
    }
};

TEST(CallbackReceiver, EventIsPassedOnAsItCame) {
    ForwardStage stage;
    const auto body = stage.receiver.event(1, "a_b");
    EXPECT_EQ(stage.post(body).status, 200U);
    ASSERT_EQ(stage.server.heard().size(), 1U);
    EXPECT_EQ(stage.server.last().body, body);
    EXPECT_EQ(stage.server.last().headers.at("content-type"), "application/json");
    EXPECT_EQ(stage.receiver.run(stage.receiver.probe).outcome(), RunOutcome::ok);
    // What is badly signed is not.
    EXPECT_EQ(stage.post(stage.receiver.event(1, "a_b", "other")).status, 403U);
    EXPECT_EQ(stage.server.heard().size(), 1U);
}

TEST(CallbackReceiver, BackendsStatusIsRelayedAndTheSameEventMayComeAgain) {
    ForwardStage stage;
    stage.backend.database = TapeCallback::Database::refuses;
    const auto body = stage.receiver.event(1, "a_b");
    EXPECT_EQ(stage.post(body).status, 500U);
    auto judged = stage.receiver.judge_received();
    EXPECT_EQ(judged.run.code, CallbackError::forward_refused);
    EXPECT_EQ(to_string(judged.run.reason()), "rejected");
    EXPECT_EQ(judged.run.got("forward_answer"), "HTTP 500 empty");
    EXPECT_EQ(judged.diagnosis.label(), "callback_refused");
    stage.backend.database = TapeCallback::Database::ok;
    EXPECT_EQ(stage.post(body).status, 200U);
    EXPECT_EQ(stage.receiver.judge_received().run.outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.post(body).status, 409U);
}

TEST(CallbackReceiver, RealRecordingWithoutVideoId) {
    ForwardStage stage;
    const auto answer = stage.post(stage.receiver.event(100, "a_b"));
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.body, R"({"code":4002})");
    const auto judged = stage.receiver.judge_received();
    EXPECT_EQ(judged.diagnosis.label(), "callback_payload_missing_video_id");
}

TEST(CallbackReceiver, BackendThatIsNotThereIs502) {
    ForwardStage stage;
    stage.backend.instead = HttpReply{.raw = "", .then = HttpThen::finish};
    EXPECT_EQ(stage.post(stage.receiver.event(1, "a_b")).status, 502U);
}

// --- what other probes ask

PeerAnswer answer_of(ReceiverStage& stage, Facts with) {
    ProbeRun run(stage.env, 30s);
    const Question question{.what = questions::event, .with = std::move(with), .deadline = run.deadline()};
    auto given = await(stage.io, stage.probe.answer(run, question));
    EXPECT_TRUE(given) << given.error().message();
    return given ? *given : PeerAnswer{};
}

TEST(CallbackReceiver, SaysWhetherAnEventCame) {
    ReceiverStage stage;
    EXPECT_EQ(answer_of(stage, {{"event", "100"}, {"stream_id", "a_b"}}).facts,
              (Facts{{"arrived", "no"}, {"files", "0"}}));
    stage.post(stage.event(100, "a_b"));
    const auto facts = answer_of(stage, {{"event", "100"}, {"stream_id", "a_b"}}).facts;
    EXPECT_EQ(facts.at("arrived"), "yes");
    EXPECT_EQ(facts.at("file_id"), "file-s");
    EXPECT_EQ(facts.at("video_url"), "http://vod.example.com/s.mp4");
    EXPECT_EQ(facts.at("duration"), "120");
    EXPECT_EQ(facts.count("code"), 0U);
    EXPECT_TRUE(facts.at("at").starts_with("17950000"));
    EXPECT_EQ(answer_of(stage, {{"event", "100"}, {"stream_id", "a_b"}, {"after", "1795999999000"}}).facts,
              (Facts{{"arrived", "no"}, {"files", "0"}}));
}

TEST(CallbackReceiver, TellsOfEachFileOfARecording) {
    ReceiverStage stage;
    const auto event_of = [&](const std::string& file) {
        auto event = boost::json::parse(stage.event(100, "a_b")).as_object();
        event["file_id"] = file;
        return boost::json::serialize(event);
    };
    for (const char* file : {"mp4", "hls"}) stage.post(event_of(file));
    const Facts asked{{"event", "100"}, {"stream_id", "a_b"}};
    const auto newest = answer_of(stage, asked).facts;
    EXPECT_EQ(newest.at("files"), "2");
    EXPECT_EQ(newest.at("file_id"), "hls");
    EXPECT_EQ(std::stol(newest.at("end_time")) - std::stol(newest.at("start_time")), 120);
    for (const auto& [nth, file] : {std::pair("1", "mp4"), std::pair("2", "hls"), std::pair("3", "")}) {
        Facts with = asked;
        with["nth"] = nth;
        const auto given = answer_of(stage, with).facts;
        EXPECT_EQ(given.contains("file_id") ? given.at("file_id") : "", file);
    }
}

TEST(CallbackReceiver, UnderstandsNoOtherQuestion) {
    ReceiverStage stage;
    ProbeRun run(stage.env, 30s);
    for (const auto& question : {Question{.what = questions::object}, Question{.what = questions::event}}) {
        const auto given = await(stage.io, stage.probe.answer(run, question));
        ASSERT_FALSE(given);
        EXPECT_EQ(given.error(), PeerError::not_understood);
    }
}

TEST(CallbackReceiver, HasNothingYetWhileItDoesNotListen) {
    CallbackStage stage;
    const Probe probe = CallbackStage::made_of(
        "key = { env = 'KEY' }\nreceive = { listen = '127.0.0.1:0', path = '/live' }\n");
    ProbeRun run(stage.env, 30s);
    const Question question{.what = questions::event};
    const auto given = await(stage.io, probe.answer(run, question));
    EXPECT_EQ(given.error(), PeerError::nothing_yet);
}

// --- as the cloud delivers

TEST(CallbackReceiver, CloudDeliversUntilItIsTaken) {
    ReceiverStage stage;
    practice::CallbackSender::Settings settings;
    settings.key = "callback-key";
    settings.port = stage.listening_on();
    settings.path = "/live";
    settings.scale = 1e-4;
    settings.now = [&] { return stage.now(); };
    CallbackSender sender(stage.io.get_executor(), settings);
    stage.peers.push("1", "a", stage.now());
    sender.push_started("a", "s1");
    run_until(stage.io, [&] { return sender.idle(); });
    ASSERT_EQ(sender.deliveries().size(), 1U);
    EXPECT_EQ(sender.deliveries()[0].statuses, std::vector<unsigned>{200});
    sender.set_key("another-key");
    sender.push_ended("a", "s1", 5s);
    run_until(stage.io, [&] { return sender.idle(); });
    // Once, and twelve times more.
    EXPECT_EQ(sender.deliveries()[1].statuses, std::vector<unsigned>(13, 403U));
    const RunResult run = stage.run(stage.probe);
    EXPECT_EQ(found_of(run, "livecanary_callbacks_total", "1"), 1);
    EXPECT_EQ(found_of(run, "livecanary_callback_defects_total", "bad_signature"), 13);
}

}  // namespace
}  // namespace livecanary::test
