#include "probes/journey/kind.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "probes/journey/diagnose.hpp"
#include "probes/journey/walk.hpp"
#include "probes/net/resolver.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/memory_ledger.hpp"
#include "tests/support/name_server.hpp"
#include "tests/support/task.hpp"
#include "tests/support/toml_text.hpp"
#include "tests/unit/kinds/diagnosis_rules.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using journey::JourneyError;

PeerAnswer facts(Facts with) {
    PeerAnswer answer;
    answer.facts = std::move(with);
    return answer;
}

/// The probes that a journey asks. All is well but for what stands in `instead`, by question.
class World final : public Peers {
public:
    using AnswerTo = std::function<result<PeerAnswer>(const Question&)>;

    boost::asio::awaitable<result<PeerAnswer>> ask(std::string probe, Question question) override {
        // As the daemon's exchange does.
        if (question.deadline <= Clock::now()) co_return make_error_code(boost::system::errc::timed_out);
        asked.push_back(probe + " " + std::string(question.what));
        if (question.what == questions::push) stream = question.with.at("stream_id");
        if (question.what == questions::push) seconds = question.with.at("seconds");
        if (const auto at = instead.find(question.what); at != instead.end()) co_return at->second(question);
        co_return right(question);
    }
    result<PeerAnswer> right(const Question& question) {
        if (question.what == questions::push) {
            pushed = true;
            return facts({{"outcome", "ok"}, {"accepted", "1"}});
        }
        if (question.what == questions::event)
            return question.with.at("stream_id") == stream && pushed
                       ? facts({{"arrived", "yes"}, {"file_id", "file-new"}, {"code", "0"}})
                       : facts({{"arrived", "no"}});
        if (question.what == questions::row)
            return rows.empty() ? facts({{"found", "0"}})
                                : facts({{"found", "1"},
                                         {"column.file_id", pushed ? rows.back() : rows.front()},
                                         {"column.play_url", url},
                                         {"column.start_time", "2026-11-28 06:00:00"}});
        if (question.what == questions::remove_row) {
            removed.push_back(question.with.at("userid") + " " + question.with.at("file_id"));
            std::erase(rows, question.with.at("file_id"));
            return facts({{"removed", "1"}});
        }
        return facts({{"found", "yes"}, {"file_id", rows.back()}, {"play_url", url}});
    }
    bool is_asked(std::string_view) const override { return false; }
    void tell(Notice) override {}
    std::vector<Notice> told(std::string_view, std::uint64_t) const override { return {}; }

    std::map<std::string, AnswerTo, std::less<>> instead{};
    std::vector<std::string> asked{};
    std::vector<std::string> rows{"file-old", "file-new"};
    std::vector<std::string> removed{};
    std::string stream{}, seconds{}, url{};
    bool pushed = false;
};

struct JourneyStage {
    asio::io_context io{};
    NameServer names{io};
    net::Resolver dns{io.get_executor(), {names.address()}};
    MemoryLedger ledger{};
    World world{};
    Env env{};
    HttpReply reply = http_says::page("FLV and then some", "video/mp4");
    ScriptedHttpServer server{io, [this](const HttpHeard&) { return reply; }};

    JourneyStage() {
        env.dns = &dns;
        env.ledger = &ledger;
        env.peers = &world;
        env.probe = "replay";
        env.location = "Here-1";
        world.url = "http://127.0.0.1:" + std::to_string(server.port()) + "/replay.mp4?sign=secret";
    }
    static constexpr const char* whole =
        "push = 'push-main'\ncallback = 'calls'\nrows = { mysql = 'db', table = 'tb_vod' }\nlist = 'api'\n"
        "playback = true\nmutates = true\nuserid = 'livecanary_sh1'\n"
        "deadlines = { callback = '300ms', row = '300ms', list = '300ms', playback = '5s' }\n";

    RunResult run(const std::string& keys = whole) {
        TomlText text(keys);
        probe = journey::kind.make(text.reader());
        text.reader().unread();
        ProbeRun under_way(env, 30s);
        return await(io, probe.run(under_way));
    }
    Probe probe{};
};

std::string way_of(const RunResult& run) {
    std::string names;
    for (const auto& phase : run.phases) names += (names.empty() ? "" : " ") + std::string(phase.phase.name);
    return names;
}

World::AnswerTo always_told(const std::string& seconds) {
    return [seconds](const Question&) {
        return result<PeerAnswer>(
            facts({{"arrived", "yes"}, {"file_id", "file-new"}, {"code", "0"}, {"duration", seconds}}));
    };
}

TEST(Journey, WalksEveryHopAndLeavesNothing) {
    JourneyStage stage;
    const RunResult run = stage.run();
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message() << run.inconclusive;
    EXPECT_EQ(way_of(run), "push callback row list playback");
    EXPECT_EQ(stage.world.stream, "lc-Here-1-" + run.run_id + "_livecanary_sh1");
    EXPECT_EQ(stage.world.seconds, "65");
    EXPECT_EQ(stage.world.removed, std::vector<std::string>{"livecanary_sh1 file-new"});
    EXPECT_TRUE(stage.ledger.kept.empty());
    ASSERT_EQ(stage.ledger.ever.size(), 2U) << "before the push, and once its file is known";
    const std::string item =
        "table=tb_vod userid=livecanary_sh1 stream=" + stage.world.stream + " before=file-old";
    EXPECT_EQ(stage.ledger.ever[0].item, item);
    EXPECT_EQ(stage.ledger.ever[1].item, item + " file=file-new");
    EXPECT_EQ(run.got("url").find("secret"), std::string_view::npos);
    EXPECT_EQ(run.headline, "from the push to the player, replay file-new");
    EXPECT_EQ(stage.probe.asks, (std::vector<std::string>{"push-main", "calls", "db", "api"}));
}

TEST(Journey, WithoutMutatesItEndsBeforeAnythingIsSeen) {
    JourneyStage stage;
    const RunResult run = stage.run("push = 'push-main'\ncallback = 'calls'\n");
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(way_of(run), "push callback");
    EXPECT_EQ(stage.world.seconds, "10");
    EXPECT_TRUE(stage.ledger.ever.empty());
    EXPECT_EQ(stage.world.asked, (std::vector<std::string>{"push-main push", "calls event"}));
}

TEST(Journey, HopsThatAreNotConfiguredAreLeftOut) {
    JourneyStage stage;
    const RunResult run = stage.run(
        "push = 'push-main'\nrows = { mysql = 'db', table = 'tb_vod' }\n"
        "playback = true\nmutates = true\n");
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(way_of(run), "push row playback") << "the row is the proof of the callback";
}

// What a kill -9 between the push and the end leaves is found by the user and what was there before.
TEST(Journey, WhatStaysIsRemovedByASweep) {
    JourneyStage stage;
    stage.world.instead[std::string(questions::remove_row)] = [](const Question&) {
        return result<PeerAnswer>(error_code(asio::error::connection_refused));
    };
    const RunResult run = stage.run();
    EXPECT_EQ(run.outcome(), RunOutcome::ok);
    ASSERT_EQ(stage.ledger.kept.size(), 1U);
    stage.world.instead.clear();
    ProbeRun sweeping(stage.env, 5s);
    EXPECT_FALSE(await(stage.io, stage.probe.remove(sweeping, stage.ledger.kept[0])));
    EXPECT_EQ(stage.world.removed, std::vector<std::string>{"livecanary_sh1 file-new"});
}
TEST(Journey, BeforeItsFileIsKnownASweepTakesWhatIsNewAndNothingElse) {
    JourneyStage stage;
    stage.run();
    stage.world.removed.clear();
    Litter left{.probe = "replay",
                .store = "mysql",
                .item = "table=tb_vod userid=livecanary_sh1 stream=s before=file-old"};
    stage.world.rows = {"file-old", "file-new"};
    ProbeRun sweeping(stage.env, 5s);
    EXPECT_FALSE(await(stage.io, stage.probe.remove(sweeping, left)));
    EXPECT_EQ(stage.world.removed, std::vector<std::string>{"livecanary_sh1 file-new"});
    ProbeRun again(stage.env, 5s);
    EXPECT_FALSE(await(stage.io, stage.probe.remove(again, left))) << "gone is gone";
    EXPECT_EQ(stage.world.removed.size(), 1U) << "what was there before stays";
}
// A user may get another row meanwhile, which is none of the journey's.
TEST(Journey, ItsOwnFileIsRemovedWhateverIsNewer) {
    JourneyStage stage;
    stage.world.instead[std::string(questions::vod_list)] = [&](const Question&) {
        stage.world.rows = {"file-old", "file-new", "file-of-another-show"};
        return result<PeerAnswer>(
            facts({{"found", "yes"}, {"file_id", "file-new"}, {"play_url", stage.world.url}}));
    };
    EXPECT_EQ(stage.run().outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.world.removed, std::vector<std::string>{"livecanary_sh1 file-new"});
    EXPECT_EQ(stage.world.rows, (std::vector<std::string>{"file-old", "file-of-another-show"}));
}
// As the recorder tells of it, the replay is shorter than what was pushed.
TEST(Journey, RecordingThatIsTooShortIsNotStored) {
    JourneyStage stage;
    stage.world.instead[std::string(questions::event)] = always_told("31");
    stage.world.instead[std::string(questions::row)] = [](const Question&) {
        return result<PeerAnswer>(facts({{"found", "0"}}));
    };
    const RunResult run = stage.run();
    EXPECT_EQ(run.failed_phase(), "row");
    EXPECT_EQ(stage.probe.diagnose(run).label(), "replay_too_short");
    stage.world.instead[std::string(questions::event)] = always_told("61");
    EXPECT_EQ(stage.probe.diagnose(stage.run()).label(), "callback_not_stored");
}

struct Broken {
    const char* name;
    std::function<void(JourneyStage&)> breaks;
    const char* way;
    const char* reason;
    const char* label;
    const char* first = "";  ///< of the candidates
};
void PrintTo(const Broken& row, std::ostream* out) { *out << row.name; }

World::AnswerTo always(Facts with) {
    return [with](const Question&) { return result<PeerAnswer>(facts(with)); };
}
World::AnswerTo never(error_code code) {
    return [code](const Question&) { return result<PeerAnswer>(code); };
}
std::function<void(JourneyStage&)> answers(std::string_view question, World::AnswerTo answer) {
    return [=](JourneyStage& stage) { stage.world.instead[std::string(question)] = answer; };
}
/// Events of the push itself come, that of the recording does not.
result<PeerAnswer> all_but_100(const Question& question) {
    return facts({{"arrived", question.with.at("event") == "100" ? "no" : "yes"}});
}
std::function<void(JourneyStage&)> serves(int status, bool cos = false) {
    return [=](JourneyStage& stage) {
        stage.reply.status = status;
        if (cos) stage.reply.headers.emplace_back("x-cos-request-id", "id");
    };
}

const Broken broken[] = {
    {"push_refused_and_named",
     answers(questions::push, always({{"outcome", "failed"},
                                      {"phase", "publish"},
                                      {"reason", "closed"},
                                      {"detail", "closed"},
                                      {"label", "push_url_expired"}})),
     "push", "rejected", "push_url_expired"},
    {"push_refused", answers(questions::push, always({{"outcome", "failed"}, {"label", "push_refused"}})),
     "push", "rejected", "push_refused", "push_wrong_hotlink_key"},
    {"nothing_called_back", answers(questions::event, always({{"arrived", "no"}})), "push callback",
     "timeout", "callback_not_delivered", "replay_callback_url_wrong"},
    {"no_recording", answers(questions::event, all_but_100), "push callback", "timeout",
     "callback_not_delivered", "record_template_not_bound"},
    {"event_lost_2003",
     answers(questions::event, always({{"arrived", "yes"}, {"file_id", "f"}, {"code", "2003"}})),
     "push callback", "rejected", "callback_not_stored", "room_row_missing"},
    {"event_lost_4002",
     answers(questions::event, always({{"arrived", "yes"}, {"file_id", "f"}, {"code", "4002"}})),
     "push callback", "rejected", "callback_not_stored", "callback_payload_missing_video_id"},
    {"no_row", [](JourneyStage& stage) { stage.world.rows = {"file-old"}; }, "push callback row", "timeout",
     "callback_not_stored", "callback_payload_missing_video_id"},
    {"table_unreachable", answers(questions::row, never(asio::error::connection_refused)),
     "push callback row", "refused", ""},
    {"not_listed", answers(questions::vod_list, always({{"found", "no"}})), "push callback row list",
     "timeout", "replay_missing", ""},
    {"forbidden", serves(403), "push callback row list playback", "rejected", "cdn_forbidden",
     "cdn_cos_acceleration_disabled"},
    {"forbidden_by_cos", serves(403, true), "push callback row list playback", "rejected", "cdn_forbidden",
     "cdn_private_bucket_origin_auth_off"},
    {"not_there", serves(404), "push callback row list playback", "rejected", "", "cos_object_missing"},
    {"unreachable", [](JourneyStage& stage) { stage.world.url = "http://127.0.0.1:1/replay.mp4"; },
     "push callback row list playback", "refused", "", "cdn_endpoint_unreachable"},
};
class JourneyBroken : public testing::TestWithParam<Broken> {};

TEST_P(JourneyBroken, TheFirstBrokenHopFailsAndLaterOnesAreNotReached) {
    const auto& row = GetParam();
    JourneyStage stage;
    row.breaks(stage);
    const RunResult run = stage.run();
    EXPECT_EQ(run.outcome(), RunOutcome::failed) << run.inconclusive;
    EXPECT_EQ(way_of(run), row.way);
    EXPECT_EQ(run.code ? to_string(run.reason()) : "", row.reason) << run.code.message();
    const Diagnosis found = stage.probe.diagnose(run);
    expect_sound(found);
    EXPECT_EQ(found.label(), row.label) << found.because;
    if (*row.first != '\0') {
        ASSERT_FALSE(found.candidates.empty());
        EXPECT_EQ(to_string(found.candidates.front().cause), row.first);
    }
}
INSTANTIATE_TEST_SUITE_P(, JourneyBroken, testing::ValuesIn(broken),
                         [](const auto& row) { return row.param.name; });

TEST(Journey, WhatCannotBeAskedProvesNothing) {
    for (const auto question : {questions::push, questions::event, questions::row, questions::vod_list}) {
        JourneyStage stage;
        stage.world.instead[std::string(question)] = never(PeerError::no_such_probe);
        const RunResult run = stage.run();
        EXPECT_EQ(run.outcome(), RunOutcome::inconclusive) << question;
    }
}

TEST(Journey, NothingIsMadeThatIsNotWrittenDown) {
    JourneyStage stage;
    stage.ledger.fails = asio::error::fault;
    EXPECT_EQ(stage.run().outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(stage.world.asked, std::vector<std::string>{"db row"});
}

TEST(Journey, ARunThatIsCutStillTakesItsRowAway) {
    JourneyStage stage;
    stage.world.instead[std::string(questions::vod_list)] = always({{"found", "no"}});
    TomlText text(
        "push = 'p'\nrows = { mysql = 'db', table = 'tb_vod' }\nlist = 'api'\nmutates = true\n"
        "deadlines = { list = '1h' }\n");
    const Probe probe = journey::kind.make(text.reader());
    ProbeRun under_way(stage.env, 1h);
    Task<RunResult> task(stage.io, probe.run(under_way));
    run_until(stage.io,
              [&] { return !stage.world.asked.empty() && stage.world.asked.back() == "api vod_list"; });
    task.cut();
    task.wait();
    EXPECT_TRUE(under_way.was_cut());
    EXPECT_EQ(stage.world.removed, std::vector<std::string>{"livecanary file-new"});
    EXPECT_TRUE(stage.ledger.kept.empty());
}

std::vector<std::string> mistakes_of(const std::string& keys) {
    TomlText text(keys);
    journey::kind.make(text.reader());
    text.reader().unread();
    return text.mistakes();
}

TEST(JourneyConfig, EveryMistakeWithItsPlace) {
    EXPECT_EQ(
        mistakes_of("callback = 'c'\nuserid = '1x'\nlength = '2m'\nlists = 'x'\n"),
        (std::vector<std::string>{
            "t.toml:1:1: probe.push: missing: the rtmp_push whose URL and key the journey pushes with",
            "t.toml:2:10: probe.userid: expected 4 to 24 letters, digits and '_', a letter first, found "
            "'1x'",
            "t.toml:3:10: probe.length: a push this long becomes a replay that viewers see: expected 50 s "
            "at most, or mutates = true, found 2m",
            "t.toml:4:1: probe.lists: unknown key; did you mean 'list'?"}));
    EXPECT_EQ(
        mistakes_of("push = 'p'\nmutates = true\nlength = '1m'\nplayback = true\n"),
        (std::vector<std::string>{
            "t.toml:3:10: probe.length: the backend stores no replay of 60 s or less: expected more than "
            "that, found 1m",
            "t.toml:2:11: probe.mutates: needs rows: the replay that the journey makes is removed by the "
            "table's remove statement",
            "t.toml:4:12: probe.playback: nothing says where the replay is: needs callback, rows or "
            "list"}));
    EXPECT_EQ(mistakes_of("push = 'p'\ncallback = 'c'\nrows = { mysql = 'd', table = 't' }\n"),
              (std::vector<std::string>{
                  "t.toml:3:8: warning: probe.rows: not reached: without mutates = true the journey makes no "
                  "replay, and ends with the callback"}));
}

}  // namespace
}  // namespace livecanary::test
