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
            return facts({{"outcome", "ok"}, {"accepted", "1"}, {"began", "1795000000000"}});
        }
        if (question.what == questions::event)
            return question.with.at("stream_id") == stream && pushed
                       ? facts({{"arrived", "yes"}, {"file_id", "file-new"}, {"code", "0"}})
                       : facts({{"arrived", "no"}});
        if (question.what == questions::row && question.with.contains("rows")) return newest_first();
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
    /// All of them, but for the last one before the push.
    PeerAnswer newest_first() const {
        std::vector<Facts> all;
        for (const auto& file : rows)
            if (pushed || file == rows.front())
                all.push_back({{"column.file_id", file}, {"column.play_url", url}});
        return rows_answer({all.rbegin(), all.rend()});
    }
    static PeerAnswer rows_answer(const std::vector<Facts>& all) {
        PeerAnswer answer = facts({{"found", all.empty() ? "0" : "1"}});
        for (std::size_t i = 0; i < all.size(); ++i)
            for (const auto& [name, text] : all[i])
                answer.facts[(i == 0 ? "" : std::to_string(i + 1) + ".") + name] = text;
        return answer;
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
    /// What a sweep does with what stands in the ledger.
    void sweep() {
        const auto all = ledger.kept;
        for (const Litter& litter : all) {
            ProbeRun sweeping(env, 5s);
            const error_code code = await(io, probe.remove(sweeping, litter));
            if (!code) std::erase(ledger.kept, litter);
        }
    }
    /// Nothing but what is to be looked for again, and then nothing.
    bool leaves_nothing() {
        const auto before = world.removed;
        sweep();
        return ledger.kept.empty() &&
               std::set(world.removed.begin(), world.removed.end()) == std::set(before.begin(), before.end());
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
    ASSERT_EQ(stage.ledger.kept.size(), 1U) << "for the sweep, should another event come late";
    EXPECT_EQ(stage.ledger.kept[0].item, stage.ledger.ever[1].item);
    EXPECT_TRUE(stage.leaves_nothing());
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
        "playback = true\nmutates = true\ndeadlines = { row = '300ms' }\n");
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
    {"no_row_of_an_event_without_answer",
     [](JourneyStage& stage) {
         stage.world.rows = {"file-old"};
         answers(questions::event,
                 always({{"arrived", "yes"}, {"file_id", "file-new"}, {"unanswered", "yes"}}))(stage);
     },
     "push callback row", "timeout", "backend_hangs", "db_frozen"},
    {"table_unreachable", answers(questions::row, never(asio::error::connection_refused)),
     "push callback row", "refused", ""},
    {"not_listed", answers(questions::vod_list, always({{"found", "no"}})), "push callback row list",
     "timeout", "replay_missing", "replay_window_7_days"},
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
        "deadlines = { row = '300ms', list = '1h' }\n");
    const Probe probe = journey::kind.make(text.reader());
    ProbeRun under_way(stage.env, 1h);
    Task<RunResult> task(stage.io, probe.run(under_way));
    run_until(stage.io,
              [&] { return !stage.world.asked.empty() && stage.world.asked.back() == "api vod_list"; });
    task.cut();
    task.wait();
    EXPECT_TRUE(under_way.was_cut());
    EXPECT_EQ(stage.world.removed, std::vector<std::string>{"livecanary file-new"});
    stage.probe = probe;
    EXPECT_TRUE(stage.leaves_nothing());
}

// A slow backend was asked no more for two minutes, and what we had held back was booked on it as not stored.
TEST(Journey, AnEventThatWeHeldBackProvesNothing) {
    JourneyStage stage;
    answers(questions::event, always({{"arrived", "yes"},
                                      {"file_id", "file-new"},
                                      {"forwarded", "not passed on: an earlier request is not answered"},
                                      {"held_back", "yes"}}))(stage);
    const RunResult run = stage.run();
    EXPECT_EQ(way_of(run), "push callback");
    EXPECT_EQ(run.code, JourneyError::held_back);
    EXPECT_EQ(run.reason(), Reason::local);
    EXPECT_EQ(stage.probe.diagnose(run).label(), "");
}

/// Nothing is claimed; `first` is the likeliest.
void expect_only_candidates(const Diagnosis& found, std::string_view first, std::size_t ruled_out) {
    expect_sound(found);
    EXPECT_EQ(found.label(), "");
    ASSERT_FALSE(found.candidates.empty());
    EXPECT_EQ(to_string(found.candidates[0].cause), first);
    EXPECT_EQ(found.ruled_out.size(), ruled_out);
}

// --- two traps of the backend: a row for each format, and the letters of a format

/// A recording told of in several formats, and the rows that the backend made of it, by file.
struct Formats {
    std::vector<Facts> events{};
    std::map<std::string, Facts> rows{};

    static Facts event(const std::string& file, const std::string& format, int from = 1000, int to = 1065) {
        return {{"arrived", "yes"},
                {"file_id", file},
                {"file_format", format},
                {"start_time", std::to_string(from)},
                {"end_time", std::to_string(to)},
                {"duration", std::to_string(to - from)},
                {"code", "0"}};
    }
    static Facts row(const std::string& file, const std::string& play, const std::string& hls,
                     const std::string& starts = "1000") {
        Facts with{{"found", "1"},
                   {"column.file_id", file},
                   {"column.play_url", play},
                   {"column.hls_play_url", hls}};
        if (!starts.empty()) with["time.start_time"] = starts;
        return with;
    }
    RunResult walk(JourneyStage& stage, const std::string& more = {}) const {
        stage.world.instead[std::string(questions::event)] = [this](const Question& question) {
            const auto nth = question.with.find("nth");
            Facts given = nth == question.with.end() ? events.back() : events.at(std::stoul(nth->second) - 1);
            given["files"] = std::to_string(events.size());
            return result<PeerAnswer>(facts(given));
        };
        stage.world.instead[std::string(questions::row)] = [this, &stage](const Question& question) {
            const auto file = question.with.find("where.file_id");
            if (stage.world.pushed && file == question.with.end()) {
                std::vector<Facts> all;
                for (const auto& [name, row] : rows) all.push_back(row);
                return result<PeerAnswer>(World::rows_answer(all));
            }
            const auto at = file == question.with.end() ? rows.end() : rows.find(file->second);
            if (!stage.world.pushed || at == rows.end()) return result<PeerAnswer>(facts({{"found", "0"}}));
            return result<PeerAnswer>(facts(at->second));
        };
        stage.world.instead[std::string(questions::vod_list)] = [&stage, this](const Question& question) {
            const Facts& row = rows.at(question.with.at("file_id"));
            Facts given{
                {"found", "yes"}, {"file_id", question.with.at("file_id")}, {"play_url", stage.world.url}};
            if (row.at("column.play_url").empty()) given["play_url"].clear();
            const bool has_hls = !row.at("column.hls_play_url").empty();
            given["hls_play_url"] =
                has_hls ? stage.world.url.substr(0, stage.world.url.find(".mp4")) + ".m3u8" : "";
            return result<PeerAnswer>(facts(given));
        };
        return stage.run(std::string(JourneyStage::whole) + more);
    }
};

TEST(JourneyFormats, OneRowOfBothIsAllRightWhicheverCameFirst) {
    for (const char* file : {"f-mp4", "f-hls"}) {
        JourneyStage stage;
        const Formats world{.events = {Formats::event("f-mp4", "mp4"), Formats::event("f-hls", "hls")},
                            .rows = {{file, Formats::row(file, "http://h/a.mp4", "http://h/a.m3u8")}}};
        const RunResult run = world.walk(stage, "formats = 2\n");
        EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
        EXPECT_EQ(run.got("second_row"), "");
        EXPECT_TRUE(stage.leaves_nothing());
    }
}

TEST(JourneyFormats, ARowForEachNamesTheTimeZoneIfBothAreHoursOff) {
    JourneyStage stage;
    const Formats world{.events = {Formats::event("f-mp4", "mp4"), Formats::event("f-hls", "hls")},
                        .rows = {{"f-mp4", Formats::row("f-mp4", "http://h/a.mp4", "", "29800")},
                                 {"f-hls", Formats::row("f-hls", "", "http://h/a.m3u8", "29800")}}};
    const RunResult run = world.walk(stage);
    EXPECT_EQ(run.failed_phase(), "row");
    EXPECT_EQ(run.reason(), Reason::mismatch);
    const Diagnosis found = stage.probe.diagnose(run);
    expect_sound(found);
    EXPECT_EQ(found.label(), "db_timezone_mismatch");
    EXPECT_EQ(
        found.because,
        "one show stands in two rows: file_id f-hls of format hls, beside f-mp4 of format mp4; their "
        "start_time is 8 h after the start that the event tells of, so the backend's session has another "
        "time zone than +08:00, and its look for the same show misses");
    EXPECT_EQ(stage.world.removed, (std::vector<std::string>{"livecanary_sh1 f-mp4", "livecanary_sh1 f-hls"}))
        << "viewers see neither";
    EXPECT_TRUE(stage.leaves_nothing());
}

// Each of the facts that single it out taken away, it is not claimed.
TEST(JourneyFormats, ARowForEachClaimsNoTimeZoneWithoutItsHours) {
    struct Row {
        const char* name;
        const char* mp4_starts;
        const char* hls_starts;
        const char* first;
        std::size_t ruled_out;
    };
    for (const auto& row : {Row{"unknown", "", "", "db_timezone_mismatch", 0},
                            Row{"of one unknown", "29800", "", "db_timezone_mismatch", 0},
                            Row{"different", "29800", "1000", "db_timezone_mismatch", 0},
                            Row{"no whole hours, as of a clock", "1410", "1410", "db_timezone_mismatch", 0},
                            Row{"none", "1000", "1000", "callback_duplicate_redelivery", 1}}) {
        JourneyStage stage;
        const Formats world{
            .events = {Formats::event("f-mp4", "mp4"), Formats::event("f-hls", "hls")},
            .rows = {{"f-mp4", Formats::row("f-mp4", "http://h/a.mp4", "", row.mp4_starts)},
                     {"f-hls", Formats::row("f-hls", "", "http://h/a.m3u8", row.hls_starts)}}};
        const RunResult run = world.walk(stage);
        EXPECT_EQ(run.failed_phase(), "row") << row.name;
        SCOPED_TRACE(row.name);
        expect_only_candidates(stage.probe.diagnose(run), row.first, row.ruled_out);
    }
}

// The hours alone break nothing that viewers see.
TEST(JourneyFormats, OneRowThatIsHoursOffIsNoFailure) {
    JourneyStage stage;
    const Formats world{.events = {Formats::event("f", "mp4")},
                        .rows = {{"f", Formats::row("f", "http://h/a.mp4", "", "29800")}}};
    EXPECT_EQ(world.walk(stage).outcome(), RunOutcome::ok);
}

// The cloud cuts a long show into files one after the other: each is a replay.
TEST(JourneyFormats, PartsOfALongShowAreRowsOfTheirOwn) {
    JourneyStage stage;
    const Formats world{
        .events = {Formats::event("f-1", "mp4", 1000, 1065), Formats::event("f-2", "mp4", 1065, 1130)},
        .rows = {{"f-1", Formats::row("f-1", "http://h/a.mp4", "")},
                 {"f-2", Formats::row("f-2", "http://h/b.mp4", "", "1065")}}};
    EXPECT_EQ(world.walk(stage).outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.world.removed, (std::vector<std::string>{"livecanary_sh1 f-1", "livecanary_sh1 f-2"}));
}

TEST(JourneyFormats, AnMp4FileInTheOtherColumnNamesTheLettersOfItsFormat) {
    JourneyStage stage;
    const Formats world{.events = {Formats::event("f", "MP4")},
                        .rows = {{"f", Formats::row("f", "", "http://h/a.MP4?sign=x")}}};
    const RunResult run = world.walk(stage);
    EXPECT_EQ(run.failed_phase(), "row");
    EXPECT_EQ(run.reason(), Reason::mismatch);
    const Diagnosis found = stage.probe.diagnose(run);
    expect_sound(found);
    EXPECT_EQ(found.label(), "replay_format_case_mismatch");
    EXPECT_EQ(found.because,
              "hls_play_url is http://h/a.MP4, and the event's file_format is 'MP4': the backend takes only "
              "'mp4' for play_url, and everything else for hls_play_url");
    EXPECT_EQ(stage.world.removed, std::vector<std::string>{"livecanary_sh1 f"});
}

// The HLS file's event came later and took the place.
TEST(JourneyFormats, AnMp4FileThatIsNowhereNamesThemToo) {
    JourneyStage stage;
    const Formats world{.events = {Formats::event("f-mp4", "MP4"), Formats::event("f-hls", "HLS")},
                        .rows = {{"f-mp4", Formats::row("f-mp4", "", "http://h/a.m3u8")}}};
    const Diagnosis found = stage.probe.diagnose(world.walk(stage));
    EXPECT_EQ(found.label(), "replay_format_case_mismatch");
}

TEST(JourneyFormats, WithoutAReceiverTheColumnAloneShowsIt) {
    JourneyStage stage;
    stage.world.instead[std::string(questions::row)] = [&](const Question&) {
        return result<PeerAnswer>(stage.world.pushed ? facts(Formats::row("f", "", "http://h/a.mp4", ""))
                                                     : facts({{"found", "0"}}));
    };
    const RunResult run = stage.run(
        "push = 'push-main'\nrows = { mysql = 'db', table = 'tb_vod' }\nmutates = true\ndeadlines = { row = "
        "'300ms' }\n");
    EXPECT_EQ(stage.probe.diagnose(run).label(), "replay_format_case_mismatch");
}

TEST(JourneyFormats, AFormatWrittenAsTheBackendWantsItIsNotAccused) {
    JourneyStage stage;
    const Formats world{.events = {Formats::event("f", "mp4")},
                        .rows = {{"f", Formats::row("f", "", "http://h/a.mp4")}}};
    const Diagnosis found = stage.probe.diagnose(world.walk(stage));
    expect_sound(found);
    EXPECT_EQ(found.label(), "");
}

TEST(JourneyFormats, AnHlsReplayAloneIsAllRight) {
    JourneyStage stage;
    const Formats world{.events = {Formats::event("f", "HLS")},
                        .rows = {{"f", Formats::row("f", "", "http://h/a.m3u8")}}};
    EXPECT_EQ(world.walk(stage).outcome(), RunOutcome::ok);
}

TEST(JourneyFormats, AFormatThatIsNotToldOf) {
    JourneyStage stage;
    const Formats world{.events = {Formats::event("f", "hls")},
                        .rows = {{"f", Formats::row("f", "", "http://h/a.m3u8")}}};
    const RunResult run = world.walk(stage, "formats = 2\n");
    EXPECT_EQ(run.failed_phase(), "callback");
    const Diagnosis found = stage.probe.diagnose(run);
    expect_sound(found);
    EXPECT_EQ(found.label(), "callback_not_delivered");
    EXPECT_EQ(to_string(found.candidates[0].cause), "record_template_not_bound");
    EXPECT_EQ(found.because,
              "1 of 2 recordings of the journey's own stream were told of: one for each format was to come");
    EXPECT_EQ(stage.world.removed, std::vector<std::string>{"livecanary_sh1 f"})
        << "that of the one that came";
}

// A crash between the callback and the end.
TEST(JourneyFormats, ASweepTakesEveryFileOfTheShow) {
    JourneyStage stage;
    stage.run();
    stage.world.removed.clear();
    const Litter left{.probe = "replay",
                      .store = "mysql",
                      .item = "table=tb_vod userid=livecanary_sh1 stream=s before=o file=f-mp4 file=f-hls"};
    ProbeRun sweeping(stage.env, 5s);
    EXPECT_FALSE(await(stage.io, stage.probe.remove(sweeping, left)));
    EXPECT_EQ(stage.world.removed,
              (std::vector<std::string>{"livecanary_sh1 f-mp4", "livecanary_sh1 f-hls"}));
}

// --- nobody tells of the files: rows are known by what was there before, and by when they began

constexpr std::int64_t push_began = 1795000000;

/// A journey's configuration by itself.
struct JourneyKeys {
    explicit JourneyKeys(const std::string& keys) : text(keys), read(journey::read(text.reader())) {}
    TomlText text;
    journey::Config read;
};

/// A user's rows, as they come while a journey without a receiver looks.
struct UntoldStage : JourneyStage {
    explicit UntoldStage(std::vector<Facts> from_before = {}) : old(std::move(from_before)) {
        env.wall = [] { return WallTime(std::chrono::seconds(push_began - 1)); };
        world.instead[std::string(questions::row)] = [this](const Question&) {
            if (unreachable) return result<PeerAnswer>(error_code(asio::error::connection_refused));
            std::vector<Facts> all;
            if (world.pushed) {
                ++looks;
                for (const auto& [at, row] : coming)
                    if (looks >= at && !is_gone(row)) all.push_back(row);
            }
            all.insert(all.end(), old.begin(), old.end());
            return result<PeerAnswer>(World::rows_answer(all));
        };
    }
    bool is_gone(const Facts& row) const {
        return std::ranges::find(world.removed, "livecanary_sh1 " + row.at("column.file_id")) !=
               world.removed.end();
    }
    static Facts row(const std::string& file, const std::string& play, const std::string& hls,
                     std::int64_t after_push) {
        Facts with = Formats::row(file, play, hls, std::to_string(push_began + after_push));
        with.erase("found");
        return with;
    }
    RunResult walk(const std::string& more = {}) {
        return run(
            "push = 'push-main'\nrows = { mysql = 'db', table = 'tb_vod' }\nmutates = true\nuserid = "
            "'livecanary_sh1'\ndeadlines = { row = '900ms' }\n" +
            more);
    }
    std::vector<Facts> old{};
    std::vector<std::pair<int, Facts>> coming{};  ///< from that look on
    int looks = 0;
    bool unreachable = false;
};

TEST(JourneyUntold, SecondFormatsRowIsSeenAndNamesTheTimeZone) {
    UntoldStage stage({UntoldStage::row("f-old", "http://h/o.mp4", "", -90000)});
    stage.coming = {{1, UntoldStage::row("f-hls", "", "http://h/a.m3u8", 28802)},
                    {3, UntoldStage::row("f-mp4", "http://h/a.mp4", "", 28802)}};
    const RunResult run = stage.walk();
    EXPECT_EQ(run.code, JourneyError::two_rows) << run.code.message();
    const Diagnosis found = stage.probe.diagnose(run);
    expect_sound(found);
    EXPECT_EQ(found.label(), "db_timezone_mismatch");
    EXPECT_EQ(
        found.because,
        "one show stands in two rows: file_id f-hls with hls_play_url, beside f-mp4 with play_url; their "
        "start_time is 8 h after the push began, so the backend's session has another time zone than "
        "+08:00, and its look for the same show misses");
    EXPECT_EQ(std::set(stage.world.removed.begin(), stage.world.removed.end()),
              (std::set<std::string>{"livecanary_sh1 f-hls", "livecanary_sh1 f-mp4"}))
        << "both, and nothing of before";
    EXPECT_TRUE(stage.leaves_nothing());
}

// Each of the facts that single it out taken away, it is not claimed.
TEST(JourneyUntold, TimeZoneIsNotClaimedWithoutItsHours) {
    struct Row {
        std::int64_t hls, mp4;
        const char* first;
        std::size_t ruled_out;
    };
    for (const auto& row : {Row{2, 2, "callback_duplicate_redelivery", 1},
                            Row{28800 + 400, 28800 + 400, "db_timezone_mismatch", 0},
                            Row{-900 + 2, -900 + 2, "db_timezone_mismatch", 0}}) {
        UntoldStage stage;
        stage.coming = {{1, UntoldStage::row("f-hls", "", "http://h/a.m3u8", row.hls)},
                        {1, UntoldStage::row("f-mp4", "http://h/a.mp4", "", row.mp4)}};
        const RunResult run = stage.walk();
        SCOPED_TRACE(row.hls);
        expect_only_candidates(stage.probe.diagnose(run), row.first, row.ruled_out);
    }
}

TEST(JourneyUntold, ARowThatComesAfterTheWalkIsTakenByTheSweep) {
    UntoldStage stage;
    stage.coming = {{1, UntoldStage::row("f-mp4", "http://h/a.mp4", "", 2)}};
    EXPECT_EQ(stage.walk().outcome(), RunOutcome::ok);
    ASSERT_EQ(stage.ledger.kept.size(), 1U);
    stage.coming.emplace_back(1, UntoldStage::row("f-hls", "", "http://h/a.m3u8", 2));
    stage.sweep();
    EXPECT_TRUE(stage.ledger.kept.empty());
    EXPECT_EQ(std::set(stage.world.removed.begin(), stage.world.removed.end()),
              (std::set<std::string>{"livecanary_sh1 f-hls", "livecanary_sh1 f-mp4"}));
}

// Nothing of a day before or after, whatever was there when the journey looked.
TEST(JourneyUntold, RowsOfAnotherTimeAreNobodysLitter) {
    UntoldStage stage;
    stage.coming = {{1, UntoldStage::row("f-mp4", "http://h/a.mp4", "http://h/a.m3u8", 2)},
                    {1, UntoldStage::row("f-day-before", "http://h/b.mp4", "", -86400)},
                    {1, UntoldStage::row("f-day-after", "http://h/c.mp4", "", 86400)}};
    EXPECT_EQ(stage.walk().outcome(), RunOutcome::ok);
    stage.sweep();
    EXPECT_EQ(std::set(stage.world.removed.begin(), stage.world.removed.end()),
              std::set<std::string>{"livecanary_sh1 f-mp4"});
}

TEST(JourneyUntold, PartsOfALongShowAreNoSecondRow) {
    UntoldStage stage;
    stage.coming = {{1, UntoldStage::row("f-1", "http://h/a.mp4", "", 2)},
                    {1, UntoldStage::row("f-2", "http://h/b.mp4", "", 67)}};
    EXPECT_EQ(stage.walk().outcome(), RunOutcome::ok);
    EXPECT_TRUE(stage.leaves_nothing());
    EXPECT_EQ(stage.world.removed.size(), 4U) << "both, twice asked for";
}

TEST(JourneyUntold, FormatsAreWaitedForAndMissed) {
    UntoldStage stage;
    stage.coming = {{1, UntoldStage::row("f-hls", "", "http://h/a.m3u8", 2)}};
    const RunResult run = stage.walk("formats = 2\n");
    EXPECT_EQ(run.code, JourneyError::format_missing);
    const Diagnosis found = stage.probe.diagnose(run);
    expect_sound(found);
    EXPECT_EQ(found.label(), "replay_missing");
    EXPECT_EQ(to_string(found.candidates.at(0).cause), "record_template_not_bound");
    EXPECT_EQ(found.because, "1 of 2 formats of the show came to stand in the table");
    EXPECT_EQ(stage.world.removed, std::vector<std::string>{"livecanary_sh1 f-hls"});
}

// What cannot be told from what was there, or not be removed, is not made.
TEST(JourneyUntold, NothingIsPushedWithoutALookAtWhatIsThere) {
    UntoldStage stage;
    stage.unreachable = true;
    const RunResult run = stage.walk();
    EXPECT_EQ(way_of(run), "row");
    EXPECT_EQ(run.reason(), Reason::refused);
    EXPECT_FALSE(stage.world.pushed);
    EXPECT_TRUE(stage.ledger.ever.empty());
    std::vector<Facts> many;
    for (int i = 0; i < 17; ++i) many.push_back(UntoldStage::row("f" + std::to_string(i), "u", "", 0));
    UntoldStage crowd(std::move(many));
    const RunResult crowded = crowd.walk();
    EXPECT_EQ(crowded.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(crowded.code, JourneyError::crowded);
    EXPECT_FALSE(crowd.world.pushed);
}

// The push is cut when a replay may have become of it; and one that breaks off may leave one, too.
TEST(JourneyUntold, APushThatBreaksOffIsLookedFor) {
    UntoldStage stage;
    stage.world.instead[std::string(questions::push)] = [&](const Question&) {
        stage.world.pushed = true;
        return result<PeerAnswer>(facts({{"outcome", "failed"}, {"accepted", "1"}, {"phase", "media"}}));
    };
    stage.coming = {{1, UntoldStage::row("f", "http://h/a.mp4", "", 2)}};
    EXPECT_EQ(stage.walk().failed_phase(), "push");
    EXPECT_EQ(stage.world.removed, std::vector<std::string>{"livecanary_sh1 f"});
    EXPECT_EQ(stage.ledger.kept.size(), 1U);
}

// Another walk is under way: what came since its push may be its own.
TEST(JourneyUntold, ASweepLeavesTheWalkUnderWayWhatIsItsOwn) {
    UntoldStage stage;
    stage.coming = {{1, UntoldStage::row("f-late", "http://h/a.mp4", "", 2)}};
    const JourneyKeys config(
        "push = 'p'\nrows = { mysql = 'db', table = 'tb_vod' }\nmutates = true\nuserid = 'livecanary_sh1'\n");
    stage.world.pushed = true;
    journey::Show show{.table = "tb_vod", .userid = "livecanary_sh1", .stream = "s"};
    show.before.emplace();
    show.made = stage.env.wall();
    journey::Ongoing other{.walking = true};
    const auto removes = [&] {
        ProbeRun sweeping(stage.env, 5s);
        return await(stage.io, journey::remove_rows(config.read, sweeping, show, &other));
    };
    EXPECT_EQ(removes(), boost::system::errc::device_or_resource_busy) << "what it found is not known yet";
    other.before.emplace();
    EXPECT_EQ(removes(), boost::system::errc::device_or_resource_busy);
    EXPECT_TRUE(stage.world.removed.empty());
    other.before = {"f-late"};
    EXPECT_FALSE(removes()) << "it was there before that walk's push";
    EXPECT_EQ(stage.world.removed, std::vector<std::string>{"livecanary_sh1 f-late"});
}

// The receiver hears of a second file after the walk.
TEST(JourneyFormats, AFileThatIsToldOfLateIsTakenByTheSweep) {
    JourneyStage stage;
    Formats world{.events = {Formats::event("f-mp4", "mp4")},
                  .rows = {{"f-mp4", Formats::row("f-mp4", "http://h/a.mp4", "")}}};
    EXPECT_EQ(world.walk(stage).outcome(), RunOutcome::ok);
    world.events.push_back(Formats::event("f-hls", "hls"));
    stage.sweep();
    EXPECT_TRUE(stage.ledger.kept.empty());
    EXPECT_EQ(std::set(stage.world.removed.begin(), stage.world.removed.end()),
              (std::set<std::string>{"livecanary_sh1 f-hls", "livecanary_sh1 f-mp4"}));
}

TEST(JourneyShow, StandsInTheLedgerAsItIs) {
    journey::Show show{.table = "t", .userid = "u", .stream = "s", .files = {"f1", "f2"}};
    EXPECT_EQ(litter_of(show, "p").item, "table=t userid=u stream=s rows=unknown file=f1 file=f2");
    EXPECT_FALSE(journey::show_of(litter_of(show, "p")).before);
    show.before = {"b1", "b2"};
    EXPECT_EQ(litter_of(show, "p").item, "table=t userid=u stream=s before=b1 before=b2 file=f1 file=f2");
    EXPECT_EQ(journey::show_of(litter_of(show, "p")).before, show.before);
    EXPECT_EQ(journey::show_of(litter_of(show, "p")).files, show.files);
    show.before.emplace();
    EXPECT_TRUE(journey::show_of(litter_of(show, "p")).before->empty());
}

TEST(JourneyShow, ZonesBetweenAPushAndItsRecording) {
    using journey::zones_between;
    EXPECT_EQ(zones_between(1000, 1000), 0);
    EXPECT_EQ(zones_between(1000, 985), 0);
    EXPECT_EQ(zones_between(1000, 1060), 0);
    EXPECT_EQ(zones_between(1000, 1061), std::nullopt);
    EXPECT_EQ(zones_between(1000, 984), std::nullopt);
    EXPECT_EQ(zones_between(1000, 29810), 28800);
    EXPECT_EQ(zones_between(100000, 100000 - 21600 + 5), -21600);
    EXPECT_EQ(zones_between(100000, 100000 - 22500 + 5), std::nullopt) << "+14:00 is the last";
    EXPECT_EQ(zones_between(1000, 1000 + 72000), 72000);
    EXPECT_EQ(zones_between(1000, 1000 + 72900), std::nullopt);
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
    // A backend whose rule was lowered.
    EXPECT_EQ(mistakes_of("push = 'p'\nmutates = true\nrows = { mysql = 'd', table = 't' }\nlength = '30s'\n"
                          "shortest_replay = '20s'\n"),
              std::vector<std::string>{});
    EXPECT_EQ(
        mistakes_of("push = 'p'\nlength = '18s'\nshortest_replay = '20s'\n"),
        std::vector<std::string>{"t.toml:2:10: probe.length: a push this long becomes a replay that viewers "
                                 "see: expected 17 s at most, or mutates = true, found 18s"});
    EXPECT_EQ(mistakes_of("push = 'p'\ncallback = 'c'\nrows = { mysql = 'd', table = 't' }\n"),
              (std::vector<std::string>{
                  "t.toml:3:8: warning: probe.rows: not reached: without mutates = true the journey makes no "
                  "replay, and ends with the callback"}));
}

}  // namespace
}  // namespace livecanary::test
