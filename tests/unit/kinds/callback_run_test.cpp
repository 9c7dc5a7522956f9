// Every way the reference backend can answer an event, and what each is called. The rows are those of the
// measured tables: the callback's own answers, and its answers while something behind it fails.
#include <gtest/gtest.h>

#include <set>

#include <boost/json/parse.hpp>

#include "probes/callback/client.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/unit/kinds/callback_stage.hpp"

namespace livecanary::test {
namespace {

namespace json = boost::json;
using callback::CallbackError;
constexpr const char* defects = "livecanary_callback_defects_total";

const json::object sent(const CallbackStage& stage, std::size_t number) {
    return json::parse(stage.server.heard().at(number).body).as_object();
}

// --- what is sent

TEST(CallbackRun, SendsEventOneAsTheCloudDoesAndThenAWrongOne) {
    CallbackStage stage;
    const RunResult run = stage.run(stage.make("domain = '1234.livepush.example.com'\nappid = 1250000000\n"));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(way_of(run), "dns tcp request first_byte body");
    ASSERT_EQ(stage.server.heard().size(), 2U);
    EXPECT_EQ(stage.server.connections(), 1U);
    const auto& heard = stage.server.heard()[0];
    EXPECT_EQ(heard.method, "POST");
    EXPECT_EQ(heard.headers.at("content-type"), "application/json");
    const auto event = sent(stage, 0);
    EXPECT_EQ(event.at("event_type").as_int64(), 1);
    EXPECT_EQ(event.at("app").as_string(), "1234.livepush.example.com");
    EXPECT_EQ(event.at("appname").as_string(), "live");
    EXPECT_EQ(event.at("appid").as_int64(), 1250000000);
    EXPECT_EQ(event.at("stream_id").as_string(), "livecanary_here-1");
    EXPECT_EQ(event.at("t").as_int64(), CallbackStage::start.count() + 600);
    EXPECT_EQ(event.at("sign").as_string(), protocol::callback_sign("callback-key", "1795000600"));
    const auto wrong = sent(stage, 1);
    EXPECT_EQ(wrong.at("event_type").as_int64(), 0);
    EXPECT_NE(wrong.at("sign").as_string(), protocol::callback_sign("callback-key", "1795000600"));
    EXPECT_EQ(wrong.at("sign").as_string().size(), 32U);
    EXPECT_EQ(run.got("answer"), "event 1: HTTP 200 code 0");
    EXPECT_EQ(run.got("control"), "wrongly signed: HTTP 500 empty");
}

TEST(CallbackRun, NothingOfKeyOrSignatureIsSaid) {
    CallbackStage stage;
    stage.backend.key = "other";
    const auto judged = stage.judge(stage.make());
    std::string all = judged.diagnosis.because;
    for (const auto& e : judged.run.evidence) all += e.got + "\n";
    for (const auto& c : judged.run.controls) all += c.shows + c.fingerprint + "\n";
    EXPECT_EQ(all.find("callback-key"), all.npos);
    for (const auto& heard : stage.server.heard()) {
        if (heard.body.empty()) continue;
        const std::string sign(json::parse(heard.body).at("sign").as_string());
        EXPECT_EQ(all.find(sign), all.npos);
    }
}

TEST(CallbackRun, WrongOneIsSentOnceAnHour) {
    CallbackStage stage;
    const Probe probe = stage.make();
    const auto wrong_ones = [&] { return stage.server.heard().size(); };
    stage.run(probe);
    EXPECT_EQ(wrong_ones(), 2U);
    stage.passed = 59min;
    stage.run(probe);
    EXPECT_EQ(wrong_ones(), 3U);
    stage.passed = 61min;
    stage.run(probe);
    EXPECT_EQ(wrong_ones(), 5U);
}

TEST(CallbackRun, OnceAcceptedItIsSentWithEveryRunUntilItIsRefused) {
    CallbackStage stage;
    stage.backend.compares_signature = false;
    const Probe probe = stage.make();
    for (int i = 0; i < 3; ++i) {
        const RunResult run = stage.run(probe);
        EXPECT_EQ(run.code, CallbackError::unsigned_accepted);
        EXPECT_EQ(found_of(run, defects, "unsigned_accepted"), 1);
    }
    stage.backend.compares_signature = true;
    EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
    const auto before = stage.server.heard().size();
    EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.server.heard().size(), before + 1);
}

TEST(CallbackRun, NoControlIfToldSo) {
    CallbackStage stage;
    stage.run(stage.make("control = false\nevents = [0, 1]\n"));
    ASSERT_EQ(stage.server.heard().size(), 2U);
    EXPECT_EQ(sent(stage, 0).at("event_type").as_int64(), 0);
    EXPECT_EQ(sent(stage, 1).at("event_type").as_int64(), 1);
}

TEST(CallbackRun, LooseComparisonIsFoundWhereAskedFor) {
    CallbackStage stage;
    const auto judged = stage.judge(stage.make("loose_control = true\n"));
    EXPECT_EQ(judged.run.code, CallbackError::unsigned_accepted);
    EXPECT_EQ(judged.diagnosis.label(), "callback_unsigned_accepted");
    EXPECT_TRUE(sent(stage, 2).at("sign").as_bool());
    EXPECT_EQ(stage.backend.rows, 0);
}

constexpr const char* recording = "events = [100]\nmutates = true\nstream_id = 'x_probe01'\n";

TEST(CallbackRun, RecordingIsWrittenOnceAnHourInAWindowOfItsOwn) {
    CallbackStage stage;
    const Probe probe = stage.make(std::string(recording) + "control = false\n");
    EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.backend.rows, 1);
    stage.passed = 59min;
    EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.server.heard().size(), 1U);
    stage.passed = 61min;
    EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.backend.rows, 2);
    const auto first = sent(stage, 0), second = sent(stage, 1);
    EXPECT_EQ(first.at("end_time").as_int64() - first.at("start_time").as_int64(), 120);
    EXPECT_GT(second.at("start_time").as_int64(), first.at("end_time").as_int64());
    EXPECT_NE(first.at("file_id").as_string(), second.at("file_id").as_string());
    EXPECT_EQ(first.at("video_id").as_string(), first.at("file_id").as_string());
}

TEST(CallbackRun, RecordingThatWasRefusedIsSentAgain) {
    CallbackStage stage;
    stage.backend.room_row = false;
    const Probe probe = stage.make(std::string(recording) + "control = false\n");
    for (std::size_t i = 1; i <= 3; ++i) {
        EXPECT_EQ(stage.run(probe).code, CallbackError::refused);
        EXPECT_EQ(stage.server.heard().size(), i);
    }
}

// --- every answer

struct Fault {
    const char* name;
    void (*break_it)(TapeCallback& backend);
    const char* phase;
    const char* reason;
    const char* label;     ///< the cause or the class
    const char* controls;  ///< names of those played, in order, with how each ended
    const char* keys = "";
    const char* key = "KEY";
    const char* first = "";  ///< the likeliest candidate
};
void PrintTo(const Fault& row, std::ostream* out) { *out << row.name; }

constexpr const char* all_alive = "web_server passed, interface passed, key_check passed, wrong_sign failed";
constexpr const char* recording_alive =
    "web_server passed, interface passed, key_check passed, wrong_sign failed, event_0 passed";
constexpr const char* no_php = "web_server passed, interface failed, key_check failed, wrong_sign failed";
constexpr const char* other_key = "web_server passed, interface passed, key_check failed, wrong_sign failed";

const Fault faults[] = {
    // The callback's own answers.
    {"key_differs_on_php_8", [](TapeCallback& b) { b.key = "other"; }, "body", "rejected",
     "callback_api_key_mismatch", other_key},
    {"key_differs_on_php_7",
     [](TapeCallback& b) {
         b.key = "other";
         b.php8 = false;
     },
     "body", "rejected", "callback_api_key_mismatch", other_key},
    {"our_key_has_white_space", [](TapeCallback&) {}, "body", "rejected", "callback_api_key_mismatch",
     "web_server passed, interface passed, key_check failed, wrong_sign failed, trimmed_key passed", "",
     "SPACED"},
    {"signature_is_not_compared", [](TapeCallback& b) { b.compares_signature = false; }, "body", "mismatch",
     "callback_unsigned_accepted",
     "web_server passed, interface passed, key_check passed, wrong_sign passed, event_0 passed"},
    {"body_is_mangled_on_the_way", [](TapeCallback& b) { b.instead = b.code("4001"); }, "body", "rejected",
     "", "web_server passed, interface passed, key_check failed, wrong_sign failed"},
    {"recording_without_video_id", [](TapeCallback&) {}, "body", "rejected",
     "callback_payload_missing_video_id",
     "web_server passed, interface passed, key_check passed, wrong_sign failed, event_0 passed, "
     "with_video_id passed",
     "events = [100]\nmutates = true\nstream_id = 'x_probe01'\nrecord = { video_id = false }\n"},
    {"recording_without_room", [](TapeCallback& b) { b.room_row = false; }, "body", "rejected",
     "callback_not_stored", recording_alive, recording, "KEY", "room_row_missing"},
    {"recording_not_inserted", [](TapeCallback& b) { b.can_insert = false; }, "body", "rejected",
     "callback_not_stored", recording_alive, recording},
    {"recording_without_underscore", [](TapeCallback&) {}, "body", "rejected", "stream_id_without_underscore",
     "web_server passed, interface passed, key_check passed, wrong_sign failed, event_0 passed, underscore "
     "passed",
     "events = [100]\nmutates = true\nstream_id = 'probe01'\n"},
    {"recording_without_underscore_and_room", [](TapeCallback& b) { b.room_row = false; }, "body", "rejected",
     "callback_not_stored",
     "web_server passed, interface passed, key_check passed, wrong_sign failed, event_0 passed, underscore "
     "failed",
     "events = [100]\nmutates = true\nstream_id = 'probe01'\n", "KEY", "stream_id_without_underscore"},

    // While something behind it fails.
    {"db_refuses", [](TapeCallback& b) { b.database = TapeCallback::Database::refuses; }, "body", "rejected",
     "callback_refused", all_alive, "", "KEY", "db_config_mismatch"},
    {"mysqli_missing", [](TapeCallback& b) { b.mysqli = false; }, "body", "rejected", "callback_refused",
     all_alive, "", "KEY", "db_config_mismatch"},
    {"db_refuses_a_recording", [](TapeCallback& b) { b.database = TapeCallback::Database::refuses; }, "body",
     "rejected", "callback_refused",
     "web_server passed, interface passed, key_check passed, wrong_sign failed, event_0 failed", recording},
    {"log_directory", [](TapeCallback& b) { b.log_writable = false; }, "body", "rejected",
     "backend_log_dir_unwritable", no_php},
    {"php_down_without_error_page", [](TapeCallback& b) { b.gateway = 404; }, "body", "not_found",
     "backend_php_down", no_php},
    {"php_down_with_error_page", [](TapeCallback& b) { b.gateway = 502; }, "body", "rejected",
     "backend_php_down", no_php},
    {"everything_404", [](TapeCallback& b) { b.gateway = b.root = 404; }, "body", "not_found", "", no_php, "",
     "KEY", "backend_php_down"},
    {"path_is_wrong", [](TapeCallback& b) { b.instead = b.page_of_nginx(404); }, "body", "not_found", "",
     other_key},
    {"gateway_times_out", [](TapeCallback& b) { b.gateway = 504; }, "body", "rejected",
     "callback_endpoint_slow_or_failing", no_php},
    {"overloaded", [](TapeCallback& b) { b.gateway = 503; }, "body", "rejected",
     "callback_endpoint_slow_or_failing", no_php},
    {"forbidden", [](TapeCallback& b) { b.gateway = 403; }, "body", "forbidden",
     "callback_endpoint_slow_or_failing", no_php},
    {"moved", [](TapeCallback& b) { b.instead = http_says::redirect("https://other/"); }, "body", "mismatch",
     "callback_endpoint_slow_or_failing", other_key},
    {"good_code_and_bad_status",
     [](TapeCallback& b) {
         b.instead = b.code("0");
         b.instead->status = 202;
     },
     "body", "mismatch", "callback_endpoint_slow_or_failing", other_key},
    {"display_errors", [](TapeCallback& b) { b.display_errors = true; }, "body", "mismatch",
     "backend_display_errors_on", "web_server passed, interface passed, key_check failed, wrong_sign failed"},
    {"display_errors_and_db_refuses",
     [](TapeCallback& b) {
         b.display_errors = b.fatal_as_html = true;
         b.database = TapeCallback::Database::refuses;
     },
     "body", "mismatch", "backend_display_errors_on",
     "web_server passed, interface passed, key_check failed, wrong_sign failed"},
    {"something_else_answers",
     [](TapeCallback& b) { b.instead = http_says::page("<html>Welcome to nginx!</html>", "text/html"); },
     "body", "mismatch", "", other_key},
    {"json_without_code", [](TapeCallback& b) { b.instead = http_says::page("{\"ok\":true}"); }, "body",
     "mismatch", "", other_key},
    {"hangs_up", [](TapeCallback& b) { b.instead = HttpReply{.raw = "", .then = HttpThen::finish}; },
     "first_byte", "closed", "", "web_server passed, interface passed, key_check inconclusive", "", "KEY",
     "callback_endpoint_slow_or_failing"},
};

class CallbackFault : public testing::TestWithParam<Fault> {};
TEST_P(CallbackFault, IsNamed) {
    const Fault& row = GetParam();
    CallbackStage stage;
    row.break_it(stage.backend);
    const auto judged = stage.judge(stage.make(row.keys, row.key));
    EXPECT_EQ(judged.run.failed_phase(), row.phase);
    EXPECT_EQ(to_string(judged.run.reason()), row.reason) << judged.run.code.message();
    EXPECT_EQ(outcomes_of(judged.run), row.controls);
    EXPECT_EQ(judged.diagnosis.label(), row.label) << judged.diagnosis.because;
    EXPECT_FALSE(judged.diagnosis.because.empty());
    if (*row.first != '\0') {
        ASSERT_FALSE(judged.diagnosis.candidates.empty());
        EXPECT_EQ(to_string(judged.diagnosis.candidates[0].cause), row.first);
    }
    // What PHP tells of passwords stays there.
    for (const auto& e : judged.run.evidence) EXPECT_EQ(e.got.find("live_pwd"), e.got.npos);
}
INSTANTIATE_TEST_SUITE_P(, CallbackFault, testing::ValuesIn(faults),
                         [](const auto& row) { return std::string(row.param.name); });

struct Fine {
    const char* name;
    void (*set)(TapeCallback& backend);
    const char* keys = "";
};
void PrintTo(const Fine& row, std::ostream* out) { *out << row.name; }
const Fine fine_ones[] = {
    {"php_8", [](TapeCallback&) {}},
    // A wrong signature gets a text that is no 0.
    {"php_7", [](TapeCallback& b) { b.php8 = false; }},
    {"recording", [](TapeCallback&) {}, recording},
    {"no_room_is_nothing_to_event_1", [](TapeCallback& b) { b.room_row = false; }},
    {"warnings_before_the_json",
     [](TapeCallback& b) {
         b.instead =
             http_says::page("<br />\n<b>Warning</b>: key {0} in x.php on line 5<br />\n{\"code\":0}");
     },
     "control = false\n"},
    {"code_is_a_text",
     [](TapeCallback& b) { b.instead = http_says::page("\xef\xbb\xbf {\"code\":\"0\"}\n"); },
     "control = false\n"},
    {"backend_of_today", [](TapeCallback& b) { b.needs_video_id = false; },
     "events = [100]\nmutates = true\nstream_id = 'x_a'\nrecord = { video_id = false }\n"},
};
class CallbackFine : public testing::TestWithParam<Fine> {};
TEST_P(CallbackFine, IsOk) {
    CallbackStage stage;
    GetParam().set(stage.backend);
    const RunResult run = stage.run(stage.make(GetParam().keys));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message() << " " << run.got("answer");
}
INSTANTIATE_TEST_SUITE_P(, CallbackFine, testing::ValuesIn(fine_ones),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(CallbackRun, WarningsBeforeAGoodAnswerAreSeen) {
    CallbackStage stage;
    stage.backend.instead = http_says::page("<br />\n<b>Warning</b>: x<br />\n{\"code\":0}");
    const RunResult run = stage.run(stage.make("control = false\n"));
    EXPECT_EQ(run.outcome(), RunOutcome::ok);
    EXPECT_TRUE(run.got("php_text").starts_with("<br />"));
}

// --- slow, hung, and never two at a time

TEST(CallbackRun, AnswerThatTheCloudNoLongerWaitsForIsLate) {
    CallbackStage stage;
    stage.when_asked = [&] { stage.passed += 21s; };
    const auto judged = stage.judge(stage.make(), 60s);
    EXPECT_EQ(judged.run.code, CallbackError::too_late);
    EXPECT_EQ(to_string(judged.run.reason()), "timeout");
    EXPECT_EQ(judged.diagnosis.label(), "callback_endpoint_slow_or_failing");
    EXPECT_EQ(outcomes_of(judged.run), "web_server passed");
}

TEST(CallbackRun, AnswerOfNineteenSecondsIsNot) {
    CallbackStage stage;
    stage.when_asked = [&] { stage.passed += 19s; };
    EXPECT_EQ(stage.run(stage.make("control = false\n"), 60s).outcome(), RunOutcome::ok);
}

TEST(CallbackRun, NothingIsAskedForAWhileAfterAHang) {
    CallbackStage stage;
    stage.backend.database = TapeCallback::Database::hangs;
    const Probe probe = stage.make();
    const auto judged = stage.judge(probe, 100ms);
    EXPECT_EQ(judged.run.failed_phase(), "first_byte");
    EXPECT_EQ(to_string(judged.run.reason()), "timeout");
    EXPECT_EQ(judged.diagnosis.label(), "");
    ASSERT_FALSE(judged.diagnosis.candidates.empty());
    EXPECT_EQ(judged.diagnosis.candidates[0].cause, Cause::db_frozen);
    // The control asks nothing of PHP.
    EXPECT_EQ(outcomes_of(judged.run), "web_server passed");
    EXPECT_EQ(stage.server.count("/callback/tape_callback.php"), 1U);

    stage.passed += 119s;
    const RunResult paused = stage.run(probe, 100ms);
    EXPECT_EQ(paused.outcome(), RunOutcome::inconclusive);
    EXPECT_TRUE(paused.inconclusive.starts_with("a request to the backend was not answered"));
    EXPECT_EQ(stage.server.count("/callback/tape_callback.php"), 1U);

    // Each further one is waited for twice as long, up to ten minutes: of ten minutes at most three.
    std::vector<Clock::duration> pauses;
    for (int hang = 0; hang < 5; ++hang) {
        const auto before = stage.passed;
        while (stage.run(probe, 50ms).outcome() == RunOutcome::inconclusive) stage.passed += 30s;
        pauses.push_back(stage.passed - before);
    }
    EXPECT_EQ(stage.server.count("/callback/tape_callback.php"), 6U);
    EXPECT_GE(pauses[1], 3min);
    EXPECT_GE(pauses[2], 7min);
    EXPECT_GE(pauses[4], 9min);
    EXPECT_LE(pauses[4], 11min);

    stage.backend.database = TapeCallback::Database::ok;
    stage.passed += 11min;
    EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
}

// --- the way there

TEST(CallbackRun, NobodyListens) {
    CallbackStage stage;
    ClosedPort taken(stage.io);
    const auto judged = stage.judge(
        CallbackStage::made_of("url = 'http://127.0.0.1:" + std::to_string(taken.endpoint().port()) +
                               "/x'\nkey = { env = 'KEY' }\n"));
    EXPECT_EQ(judged.run.failed_phase(), "tcp");
    EXPECT_EQ(to_string(judged.run.reason()), "refused");
    EXPECT_EQ(judged.diagnosis.label(), "callback_endpoint_unreachable");
    EXPECT_EQ(outcomes_of(judged.run), "");
}

TEST(CallbackRun, NameDoesNotExist) {
    CallbackStage stage;
    const auto judged =
        stage.judge(CallbackStage::made_of("url = 'http://backend.test/x'\nkey = { env = 'KEY' }\n"));
    EXPECT_EQ(judged.run.failed_phase(), "dns");
    EXPECT_EQ(to_string(judged.run.reason()), "nxdomain");
    EXPECT_EQ(judged.diagnosis.label(), "callback_endpoint_unreachable");
}

TEST(CallbackRun, NameServersFail) {
    CallbackStage stage;
    stage.names.set("backend.test", {.rcode = 2});
    const auto judged =
        stage.judge(CallbackStage::made_of("url = 'http://backend.test/x'\nkey = { env = 'KEY' }\n"));
    EXPECT_EQ(to_string(judged.run.reason()), "servfail");
    EXPECT_EQ(judged.diagnosis.label(), "");
}

struct TlsCase {
    const char* name;
    CertificateOptions certificate;
    const char* label;
};
void PrintTo(const TlsCase& row, std::ostream* out) { *out << row.name; }
const TlsCase tls_cases[] = {
    {"expired",
     {.names = {"DNS:backend.test"}, .not_before = -7200s, .not_after = -3600s},
     "backend_tls_expired"},
    {"of_another_name", {.names = {"DNS:other.test"}}, "callback_endpoint_unreachable"},
};
class CallbackTls : public testing::TestWithParam<TlsCase> {};
TEST_P(CallbackTls, IsNamed) {
    CallbackStage stage;
    const Certificate root({.common_name = "root", .authority = true});
    const Certificate leaf(GetParam().certificate, &root);
    const std::string ca_file = testing::TempDir() + "/callback-" + GetParam().name + ".pem";
    root.save(ca_file);
    const TlsPeer peer(stage.io, leaf, [](TlsStream&) -> asio::awaitable<void> { co_return; });
    const auto judged = stage.judge(CallbackStage::made_of(
        "url = 'https://backend.test:" + std::to_string(peer.endpoint().port()) +
        "/x'\naddress = '127.0.0.1'\nca_file = '" + ca_file + "'\nkey = { env = 'KEY' }\n"));
    EXPECT_EQ(judged.run.failed_phase(), "tls");
    EXPECT_EQ(to_string(judged.run.reason()), "certificate") << judged.run.code.message();
    EXPECT_EQ(judged.diagnosis.label(), GetParam().label);
}
INSTANTIATE_TEST_SUITE_P(, CallbackTls, testing::ValuesIn(tls_cases),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(CallbackRun, CutRunEnds) {
    CallbackStage stage;
    stage.backend.database = TapeCallback::Database::hangs;
    const Probe probe = stage.make();
    ProbeRun under_way(stage.env, 30s);
    Task<RunResult> task(stage.io, probe.run(under_way));
    run_until(stage.io, [&] { return !stage.server.heard().empty(); });
    task.cut();
    EXPECT_NE(task.wait().outcome(), RunOutcome::ok);
}

}  // namespace
}  // namespace livecanary::test
