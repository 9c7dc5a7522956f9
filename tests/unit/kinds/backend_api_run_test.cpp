// Runs of backend_api against a scripted backend: every way a run can end, what it asks, and what it does not
// ask.
#include <algorithm>
#include <set>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "probes/backend_api/checks.hpp"
#include "probes/backend_api/client.hpp"
#include "probes/backend_api/controls.hpp"
#include "tests/support/fake_peers.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/unit/kinds/backend_stage.hpp"

namespace livecanary::backend_api {
namespace {

using test::backend_says;
using namespace std::chrono_literals;
using test::BackendStage;
using test::HttpReply;
namespace http_says = test::http_says;

std::string word(const RunResult& run, std::string_view check) {
    return std::string(word_in(run.got(check)));
}

TEST(BackendApiRun, AsksTheCheapestFirstOverOneConnection) {
    BackendStage stage;
    stage.rows = BackendStage::row("f1") + "," + BackendStage::row("f0", "2026-11-17 18:06:40");
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message() << run.fingerprint;
    EXPECT_EQ(stage.requests(),
              (std::vector<std::string>{"GET /", "GET /interface.php", "POST /get_vod_list", "POST /login",
                                        "POST /login", "POST /get_vod_list", "POST /get_cos_sign",
                                        "GET /conf/cdn.route.ini", "GET /createDB.sh"}));
    EXPECT_EQ(stage.server.connections(), 1U);
    EXPECT_EQ(run.headline, "8 checks, newest replay 60 min old");
    for (const auto name : check_names) EXPECT_EQ(word(run, name), "ok") << name;
    std::map<std::string, double> found;
    for (const auto& value : run.values)
        found[std::string(value.value.metric) + " " + value.label_value] = value.number;
    for (const auto name : check_names)
        EXPECT_EQ(found.at("livecanary_backend_check_ok " + std::string(name)), 1) << name;
    EXPECT_EQ(found.at("livecanary_backend_newest_replay_age_seconds "), 3600);
    EXPECT_EQ(run.phases.front().phase.name, "dns");
    for (const auto& phase : run.phases) EXPECT_TRUE(phase.ok);
}

TEST(BackendApiRun, WhatItSends) {
    BackendStage stage;
    const RunResult run = stage.run(stage.make());
    const auto& heard = stage.server.heard();
    const std::string nobody = "lc" + run.run_id;
    EXPECT_EQ(heard[2].body,
              R"({"userid":")" + nobody + R"(","timestamp":1795000000,"expires":30,"index":1,"count":20})");
    EXPECT_EQ(heard[3].body,
              R"({"userid":")" + nobody +
                  R"(","timestamp":1795000000,"expires":30,"password":"00000000000000000000000000000000"})");
    using protocol::Digest, protocol::hex_digest;
    const std::string password =
        hex_digest(Digest::md5, hex_digest(Digest::md5, "the-password") + "livecanary_sh1");
    EXPECT_EQ(
        heard[4].body,
        R"({"userid":"livecanary_sh1","timestamp":1795000000,"expires":30,"password":")" + password + "\"}");
    EXPECT_EQ(heard[2].headers.count("liteav-sig"), 0U);
    EXPECT_EQ(heard[5].headers.at("liteav-sig"),
              hex_digest(Digest::md5, "token1" + hex_digest(Digest::md5, heard[5].body)));
    for (const auto& request : heard) EXPECT_EQ(request.headers.at("user-agent"), "livecanary");
}

// The vendor's own code made these (vectors.json, `backend`).
TEST(BackendApiRun, SignsAsTheApp) {
    using protocol::Digest, protocol::hex_digest;
    EXPECT_EQ(
        hex_digest(Digest::md5,
                   "963341094" +
                       hex_digest(Digest::md5, R"({"userid":"probe01","timestamp":1700000000,"expires":3})")),
        "8bc67ecf579dd63b5b5e46908b2664dc");
    EXPECT_EQ(hex_digest(Digest::md5, hex_digest(Digest::md5, "x") + "probe01"),
              "395a5f6c2e6b53b2fac574e3d4b0de58");
}

TEST(BackendApiRun, APrefixGoesBeforeEveryPath) {
    BackendStage stage;
    stage.run(
        BackendStage::made_of("url = '" + stage.server.url("/live/") + "'\nchecks = ['static', 'php']\n"));
    EXPECT_EQ(stage.requests(), (std::vector<std::string>{"GET /live/", "GET /live/interface.php"}));
}

struct End {
    const char* name;
    std::function<void(BackendStage&)> change;
    const char* phase;
    const char* reason;
    const char* label = "";
    const char* candidate = "";
    const char* keys = "";
};
void PrintTo(const End& end, std::ostream* out) { *out << end.name; }

auto put(const char* what, HttpReply reply) {
    return [what, reply](BackendStage& stage) { stage.instead[what] = reply; };
}
/// Every PHP URL.
auto all_php(HttpReply reply) {
    return [reply](BackendStage& stage) {
        for (const char* what :
             {"/interface.php", "unsigned", "nobody", "/login", "/get_vod_list", "/get_cos_sign"})
            stage.instead[what] = reply;
    };
}
auto list(std::string rows) {
    return [rows](BackendStage& stage) { stage.rows = rows; };
}
HttpReply html(const std::string& body) { return http_says::page(body, "text/html; charset=UTF-8"); }
HttpReply with_header(HttpReply reply, const char* name, const char* value) {
    reply.headers.emplace_back(name, value);
    return reply;
}
const HttpReply fatal = test::empty_500(), missing = http_says::status(404);

const End ends[] = {
    // Each part alone.
    {"static_503", put("/", http_says::status(503)), "first_byte", "rejected"},
    {"static_another_status", put("/", http_says::status(200)), "body", "mismatch", "", "",
     "static_status = 403\n"},
    {"everything_500", all_php(fatal), "first_byte", "rejected", "backend_http_500",
     "backend_log_dir_unwritable"},
    {"everything_502", all_php(http_says::status(502)), "first_byte", "rejected", "backend_php_down"},
    {"everything_404", all_php(missing), "first_byte", "not_found", "backend_php_not_reached",
     "backend_php_down"},
    {"php_answers_404",
     [](BackendStage& stage) {
         all_php(missing)(stage);
         stage.server.answer([](const test::HttpHeard& heard) {
             if (heard.path() == "/") return http_says::status(403);
             if (!heard.path().starts_with("/livecanary-")) return http_says::status(404);
             HttpReply reply = html("File not found.\n");
             reply.status = 404;
             return reply;
         });
     },
     "first_byte", "not_found", "backend_php_not_reached", "backend_nginx_rewrite_broken"},
    {"rewrite",
     [](BackendStage& stage) {
         for (const char* what : {"unsigned", "nobody", "/login", "/get_vod_list", "/get_cos_sign"})
             stage.instead[what] = missing;
         stage.instead["/interface.php/register"] = backend_says(602);
     },
     "first_byte", "not_found", "backend_nginx_rewrite_broken"},
    {"redis", [](BackendStage& stage) { stage.instead["unsigned"] = stage.instead["/login"] = fatal; },
     "first_byte", "rejected", "backend_http_500", "backend_redis_down_or_auth"},
    {"database", [](BackendStage& stage) { stage.instead["nobody"] = stage.instead["/login"] = fatal; },
     "first_byte", "rejected", "backend_http_500", "db_config_mismatch"},
    {"both",
     [](BackendStage& stage) {
         stage.instead["unsigned"] = stage.instead["nobody"] = stage.instead["/login"] = fatal;
     },
     "first_byte", "rejected", "backend_http_500", "db_config_mismatch"},
    {"redis_writes_and_no_session", put("/login", fatal), "first_byte", "rejected", "backend_http_500",
     "backend_redis_full_or_read_only"},
    {"tb_account", put("nobody", backend_says(500)), "body", "rejected", "backend_statement_failed",
     "db_table_missing"},
    {"tb_vod", put("/get_vod_list", backend_says(500)), "body", "rejected", "backend_statement_failed",
     "db_table_missing"},
    {"another_code", put("nobody", backend_says(700)), "body", "mismatch"},
    {"no_json", put("nobody", html("<html>hello</html>")), "body", "protocol"},
    {"no_code", put("nobody", http_says::page(R"({"message":"m"})")), "body", "protocol"},
    {"no_object", put("nobody", http_says::page("[620]")), "body", "protocol"},
    {"a_500_that_says_something",
     put("nobody",
         [] {
             HttpReply reply = html("oops");
             reply.status = 500;
             return reply;
         }()),
     "first_byte", "rejected"},
    {"warnings_before_the_answer",
     all_php(html("<br />\n<b>Warning</b>:  Undefined array key in <b>/x.php</b>{\"code\":400}")), "body",
     "protocol", "backend_display_errors_on"},
    {"only_ten_bytes_of_it", all_php(html("<br />\n<b>")), "body", "protocol", "backend_display_errors_on"},
    {"forbidden", all_php(http_says::status(403)), "first_byte", "forbidden"},
    {"closes", put("nobody", http_says::cut({.raw = ""}, 0)), "first_byte", "closed"},
    {"cut_in_the_body", put("nobody", http_says::cut(backend_says(620), 5)), "body", "closed"},
    {"no_http", put("nobody", {.raw = "SSH-2.0-x\r\n\r\n"}), "first_byte", "protocol"},

    // The account.
    {"no_account", put("/login", backend_says(620)), "body", "rejected"},
    {"wrong_password", put("/login", backend_says(621)), "body", "rejected"},
    {"login_without_token", put("/login", backend_says(200)), "body", "mismatch"},
    {"token_never_valid", [](BackendStage& stage) { stage.token_valid = false; }, "body", "rejected",
     "backend_session_token_invalid"},

    // What the answers hold.
    {"no_list", put("/get_vod_list", backend_says(200, R"({"list":{}})")), "body", "mismatch"},
    {"no_data", put("/get_vod_list", backend_says(200, "[]")), "body", "mismatch"},
    {"a_row_that_is_a_number", list("5"), "body", "mismatch"},
    {"a_row_without_fields", list("{}"), "body", "mismatch", "", "db_too_long_1406"},
    {"url_cut_off", list(BackendStage::row("f", "2026-11-18 18:06:40", "http://1234.vod.")), "body",
     "mismatch", "", "db_too_long_1406"},
    {"url_without_file", list(BackendStage::row("f", "2026-11-18 18:06:40", "http://v")), "body", "mismatch",
     "", "db_too_long_1406"},
    {"no_url", list(BackendStage::row("f", "2026-11-18 18:06:40", "")), "body", "mismatch", "",
     "db_too_long_1406"},
    {"time_is_a_number",
     list(BackendStage::row("f", "2026-11-18 18:06:40", "http://v/f.mp4", "\"1700000000\"")), "body",
     "mismatch", "replay_db_write_failed_schema_changed"},
    {"too_old", list(BackendStage::row("f", "2026-11-16 18:06:40")), "body", "stale", "replay_missing",
     "callback_api_key_mismatch", "vod = { max_age = '1d' }\n"},
    {"no_replay_at_all", list(""), "body", "stale", "replay_missing", "callback_api_key_mismatch",
     "vod = { max_age = '1d' }\n"},
    {"sign_key_empty",
     put("/get_cos_sign", backend_says(200, R"({"signKey":"","keyTime":"1795000000;1795000030"})")), "body",
     "mismatch"},
    {"key_time_of_yesterday", [](BackendStage& stage) { stage.key_time = "1794900000;1794900030"; }, "body",
     "mismatch"},
    {"key_time_backwards", [](BackendStage& stage) { stage.key_time = "1795000030;1795000000"; }, "body",
     "mismatch"},
    {"exposed", put("/conf/cdn.route.ini", html("[DB]\nPASSWD=sesame\n")), "body", "mismatch",
     "backend_config_exposed"},
    {"script_exposed", put("/createDB.sh", html("#!/bin/bash\nCREATE DATABASE x;\n")), "body", "mismatch",
     "backend_config_exposed"},

    // The UserSig.
    {"sig_of_another_app", [](BackendStage& stage) { stage.user_sig.sdkappid = 1400000001; }, "body",
     "mismatch", "im_wrong_sdkappid_or_accounttype", "", "im = { sdkappid = 1400000000 }\n"},
    {"sig_for_another", [](BackendStage& stage) { stage.user_sig.identifier = "somebody"; }, "body",
     "mismatch", "im_usersig_identifier_mismatch", "", "im = { sdkappid = 1400000000 }\n"},
    {"sig_expired", [](BackendStage& stage) { stage.user_sig.expire = 0s; }, "body", "mismatch",
     "im_usersig_expired", "", "im = { sdkappid = 1400000000 }\n"},
    {"sig_by_another_key", [](BackendStage&) {}, "body", "mismatch", "im_usersig_key_mismatch", "",
     "im = { sdkappid = 1400000000, key = { env = 'BAD' } }\n"},
    {"sig_unreadable",
     put("/login", backend_says(200, R"({"token":"t","roomservice_sign":{"userSig":"x"}})")), "body",
     "mismatch", "", "", "im = { sdkappid = 1400000000 }\n"},
    {"no_sig", put("/login", backend_says(200, R"({"token":"t"})")), "body", "mismatch", "", "",
     "im = { sdkappid = 1400000000 }\n"},
};

class BackendApiEnd : public testing::TestWithParam<End> {};
TEST_P(BackendApiEnd, InPhaseForReasonFromCause) {
    BackendStage stage;
    GetParam().change(stage);
    const auto [run, found] = stage.judge(stage.make(GetParam().keys));
    EXPECT_EQ(run.failed_phase(), GetParam().phase) << run.fingerprint;
    EXPECT_EQ(run.code ? to_string(run.reason()) : std::string_view(), GetParam().reason)
        << run.code.message() << " [" << run.fingerprint << "]";
    EXPECT_EQ(run.outcome(), RunOutcome::failed);
    EXPECT_EQ(found.label(), GetParam().label) << found.because;
    EXPECT_EQ(found.candidates.empty() ? std::string_view() : to_string(found.candidates.front().cause),
              GetParam().candidate);
    EXPECT_FALSE(found.because.empty());
    EXPECT_FALSE(run.fingerprint.empty());
    // Nothing secret, whatever came.
    std::string seen = found.because + run.fingerprint;
    for (const auto& e : run.evidence) seen += e.got;
    for (const auto& c : run.controls) seen += c.shows;
    for (const char* secret : {"the-password", "the-im-key", "token1", "sesame", BackendStage::sign_key})
        EXPECT_EQ(seen.find(secret), std::string::npos) << secret << " in " << seen;
}
INSTANTIATE_TEST_SUITE_P(, BackendApiEnd, testing::ValuesIn(ends),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(BackendApiRun, LaterChecksGoOnAfterOneThatFails) {
    BackendStage stage;
    stage.instead["nobody"] = fatal;
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.fingerprint, "db empty_500");
    EXPECT_EQ(word(run, "db"), "empty_500");
    for (const char* check : {"static", "php", "redis", "login", "vod_list", "cos_sign", "secrets_hidden"})
        EXPECT_EQ(word(run, check), "ok") << check;
    EXPECT_EQ(run.got(saw::broken), "the database");
    EXPECT_EQ(std::ranges::count(run.phases, false, &PhaseTime::ok), 1) << "the first failure is the run's";
}

TEST(BackendApiRun, AReplayIsFetchedWhenAsked) {
    for (const auto& [status, reason] : {std::pair{206, ""},
                                         {200, ""},
                                         {302, ""},
                                         {403, "forbidden"},
                                         {404, "not_found"},
                                         {500, "mismatch"}}) {
        BackendStage stage;
        stage.rows = BackendStage::row("f", "2026-11-18 18:06:40", stage.server.url("/replay/f.mp4"));
        stage.instead["/replay/f.mp4"] = http_says::status(status);
        const RunResult run = stage.run(stage.make("vod = { fetch_play_url = true }\n"));
        EXPECT_EQ(run.code ? to_string(run.reason()) : std::string_view(), reason) << status;
        EXPECT_EQ(stage.server.count("/replay/f.mp4"), 1U);
        for (const auto& heard : stage.server.heard()) {
            if (heard.path() == "/replay/f.mp4") {
                EXPECT_EQ(heard.headers.at("range"), "bytes=0-1023");
            }
        }
    }
}

TEST(BackendApiRun, TheFilesMayBeAnythingButThemselves) {
    for (const HttpReply& reply : {http_says::status(403), http_says::status(404), backend_says(400, "[]"),
                                   html("<html>welcome</html>"), http_says::redirect("/")}) {
        BackendStage stage;
        stage.instead["/conf/cdn.route.ini"] = stage.instead["/createDB.sh"] = reply;
        EXPECT_EQ(stage.run(stage.make()).outcome(), RunOutcome::ok) << reply.status;
    }
}

TEST(BackendApiRun, ARateLimitIsNoOutage) {
    for (const HttpReply& reply : {http_says::status(429), backend_says(4003), backend_says(70050),
                                   with_header(http_says::status(503), "Retry-After", "60")}) {
        BackendStage stage;
        stage.instead["unsigned"] = reply;
        const RunResult run = stage.run(stage.make());
        EXPECT_EQ(run.outcome(), RunOutcome::inconclusive);
        EXPECT_TRUE(run.inconclusive.starts_with("the backend limits our rate: HTTP ")) << run.inconclusive;
        EXPECT_EQ(stage.server.heard().size(), 3U) << "and nothing more is asked";
    }
}

TEST(BackendApiRun, ASessionThatHasEndedIsMadeAnewOnce) {
    BackendStage stage;
    const Probe probe = stage.make("checks = ['cos_sign']\n");
    EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.tokens, 1) << "a session serves as long as it holds";
    ++stage.tokens;  // somebody else logs in
    const RunResult run = stage.run(probe);
    EXPECT_EQ(run.outcome(), RunOutcome::ok);
    EXPECT_FALSE(run.got(saw::relogin).empty());
    EXPECT_EQ(stage.tokens, 3);
    stage.token_valid = false;
    const auto [refused, found] = stage.judge(probe);
    EXPECT_EQ(stage.tokens, 4) << "once";
    EXPECT_EQ(found.label(), "backend_session_token_invalid");
}

TEST(BackendApiRun, AnOldSessionAndItsRefreshTellThatRedisTakesNoWrites) {
    for (const bool writes : {false, true}) {
        BackendStage stage;
        const Probe probe = stage.make();
        EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
        stage.instead["/login"] = fatal;
        if (!writes) stage.instead["/refresh"] = fatal;
        const auto [run, found] = stage.judge(probe);
        EXPECT_EQ(run.fingerprint, "login empty_500");
        EXPECT_EQ(word(run, "vod_list"), "ok");
        EXPECT_FALSE(run.got(saw::old_token).empty());
        EXPECT_EQ(found.label(), writes ? "backend_http_500" : "backend_redis_full_or_read_only");
        if (writes) {
            EXPECT_EQ(found.candidates.front().cause, Cause::backend_php_extension_missing);
        }
    }
}

// --- hangs

constexpr auto brief = 400ms;

TEST(BackendApiHang, EndsTheRunAndIsNotAskedAgain) {
    BackendStage stage;
    stage.instead["nobody"] = http_says::silence();
    const Probe probe = stage.make();
    const auto [run, found] = stage.judge(probe, brief);
    EXPECT_EQ(run.failed_phase(), "first_byte");
    EXPECT_EQ(run.reason(), Reason::timeout);
    EXPECT_EQ(run.fingerprint, "db hangs");
    EXPECT_EQ(found.label(), "backend_hangs");
    ASSERT_FALSE(found.candidates.empty());
    EXPECT_EQ(found.candidates.front().cause, Cause::db_frozen);
    EXPECT_TRUE(run.controls.empty()) << "which would be a second request";
    const std::size_t asked = stage.server.heard().size();
    EXPECT_EQ(asked, 4U);

    for (int again = 1; again <= 5; ++again) {
        const auto [still, found_still] = stage.judge(probe, brief);
        EXPECT_EQ(stage.server.heard().size(), asked + static_cast<std::size_t>(again));
        EXPECT_EQ(stage.server.last().path(), "/") << "which needs no PHP";
        EXPECT_EQ(still.fingerprint, run.fingerprint);
        EXPECT_EQ(still.failed_phase(), "first_byte");
        EXPECT_EQ(found_still.label(), found.label());
        EXPECT_EQ(found_still.candidates.front().cause, found.candidates.front().cause);
        EXPECT_FALSE(still.got(saw::hanging).empty());
    }
    EXPECT_EQ(stage.ask(probe, questions::cos_sign).error(), make_error_code(BackendError::still_hanging));
    EXPECT_EQ(stage.server.heard().size(), asked + 5);
}

TEST(BackendApiHang, OnceAnsweredEverythingIsAskedAgain) {
    BackendStage stage;
    HttpReply late = backend_says(620);
    late.delay = 800ms;
    stage.instead["nobody"] = late;
    const Probe probe = stage.make();
    EXPECT_EQ(stage.run(probe, brief).fingerprint, "db hangs");
    stage.instead.clear();
    RunResult run = stage.run(probe);
    while (run.outcome() != RunOutcome::ok) run = stage.run(probe);
    EXPECT_EQ(stage.server.count("/interface.php"), 2U);
    EXPECT_EQ(word(run, "db"), "ok");
}

TEST(BackendApiHang, APatienceThatEndsRisksAnother) {
    BackendStage stage;
    Clock::duration shift{};
    stage.env.now = [&] { return Clock::now() + shift; };
    stage.instead["unsigned"] = http_says::silence();
    const Probe probe = stage.make();
    const auto [run, found] = stage.judge(probe, brief);
    EXPECT_EQ(found.label(), "backend_redis_frozen");
    stage.instead.clear();
    shift = 4min;
    EXPECT_EQ(stage.judge(probe).second.label(), "backend_redis_frozen");
    EXPECT_EQ(stage.server.count("/interface.php"), 1U);
    shift = 6min;
    EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.server.count("/interface.php"), 2U);
}

TEST(BackendApiHang, PatienceDoublesUpToAnHour) {
    State state;
    const std::pair<unsigned, std::chrono::minutes> steps[] = {
        {0, 5min}, {1, 5min}, {2, 10min}, {3, 20min}, {4, 40min}, {5, 60min}, {6, 60min}, {4000, 60min}};
    for (const auto& [hangs, patience] : steps) {
        state.hangs = hangs;
        EXPECT_EQ(state.patience(), patience) << hangs;
    }
}

TEST(BackendApiHang, AWebServerThatHangsIsNotAskedAtAll) {
    BackendStage stage;
    stage.instead["/"] = http_says::silence();
    const Probe probe = stage.make();
    EXPECT_EQ(stage.run(probe, brief).fingerprint, "static hangs");
    EXPECT_EQ(stage.run(probe, brief).fingerprint, "static hangs");
    EXPECT_EQ(stage.server.heard().size(), 1U);
}

TEST(BackendApiHang, EachPlaceHasItsName) {
    struct Place {
        const char* what;
        const char* label;
        const char* candidate;
    };
    for (const auto& [what, label, candidate] :
         {Place{"/interface.php", "backend_pool_exhausted", ""},
          Place{"unsigned", "backend_redis_frozen", ""}, Place{"nobody", "backend_hangs", "db_frozen"},
          Place{"/login", "backend_hangs", "backend_redis_frozen"},
          Place{"/get_vod_list", "backend_hangs", "db_lock_wait_1205"},
          Place{"/get_cos_sign", "backend_hangs", "backend_pool_exhausted"}}) {
        BackendStage stage;
        stage.instead[what] = http_says::silence();
        const auto [run, found] = stage.judge(stage.make(), brief);
        EXPECT_EQ(run.reason(), Reason::timeout) << what;
        EXPECT_EQ(found.label(), label) << what;
        EXPECT_EQ(found.candidates.empty() ? std::string_view() : to_string(found.candidates.front().cause),
                  candidate)
            << what;
    }
}

TEST(BackendApiHang, AnswersThatNeverEndAreOutstandingToo) {
    BackendStage stage;
    stage.instead["nobody"] = http_says::silence_after_head(backend_says(620));
    const Probe probe = stage.make();
    const RunResult run = stage.run(probe, brief);
    EXPECT_EQ(run.failed_phase(), "body");
    EXPECT_EQ(run.fingerprint, "db hangs");
    EXPECT_EQ(stage.run(probe, brief).fingerprint, "db hangs");
    EXPECT_EQ(stage.server.count("/interface.php"), 1U);
}

// --- one at a time

asio::awaitable<RunResult> run_of(const Probe& probe, ProbeRun& run) { return probe.run(run); }

TEST(BackendApiTurn, RunsAndAnswersNeverMix) {
    BackendStage stage;
    const Probe probe = stage.make();
    ProbeRun first(stage.env, 30s), second(stage.env, 30s), third(stage.env, 30s);
    const Question question{.what = questions::cos_sign, .with = {}, .deadline = Clock::now() + 30s};
    test::Task<RunResult> run(stage.io, run_of(probe, first));
    test::Task<result<PeerAnswer>> answer(stage.io, probe.answer(second, question));
    test::Task<result<PeerAnswer>> another(stage.io, probe.answer(third, question));
    EXPECT_EQ(run.wait().outcome(), RunOutcome::ok);
    EXPECT_TRUE(answer.wait());
    EXPECT_TRUE(another.wait());
    // A connection each, one after the other.
    std::vector<std::size_t> connections;
    for (const auto& heard : stage.server.heard()) connections.push_back(heard.connection);
    EXPECT_TRUE(std::ranges::is_sorted(connections));
    EXPECT_EQ(std::set(connections.begin(), connections.end()).size(), 3U);
    EXPECT_EQ(stage.tokens, 1);
}

asio::awaitable<void> hold_turn(std::shared_ptr<Turn> turns, asio::steady_timer& until) {
    const auto held = co_await turns->take(Clock::now() + 10s);
    co_await until.async_wait(asio::as_tuple(asio::use_awaitable));
}

TEST(BackendApiTurn, ARunThatWaitedForItsTurnCallsNobodySlow) {
    BackendStage stage;
    test::FakePeers peers;
    stage.env.peers = &peers;
    Clock::duration ahead{0};
    stage.env.now = [&] { return Clock::now() + ahead; };
    const Probe probe = stage.make();
    const auto turns = peers.turn_at("127.0.0.1:" + std::to_string(stage.server.port()));
    asio::steady_timer until(stage.io, Clock::now() + 20s);
    asio::co_spawn(stage.io, hold_turn(turns, until), asio::detached);
    stage.io.poll();
    ProbeRun waiting(stage.env, 10s);
    test::Task<RunResult> run(stage.io, run_of(probe, waiting));
    stage.io.restart();
    stage.io.poll();
    ahead = 9500ms;
    until.cancel();
    const RunResult result = run.wait();
    EXPECT_EQ(result.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(result.inconclusive, "another probe's question to this backend took the time");
}

TEST(BackendApiTurn, WhoeverWaitsInVainIsToldThatItIsUs) {
    BackendStage stage;
    stage.instead["nobody"] = http_says::silence();
    const Probe probe = stage.make();
    ProbeRun first(stage.env, 500ms), second(stage.env, 30s), third(stage.env, 100ms);
    const Question question{.what = questions::cos_sign, .with = {}, .deadline = Clock::now() + 50ms};
    test::Task<RunResult> run(stage.io, run_of(probe, first));
    test::Task<result<PeerAnswer>> answer(stage.io, probe.answer(second, question));
    test::Task<RunResult> overlapping(stage.io, run_of(probe, third));
    const auto busy = answer.wait();
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error(), make_error_code(BackendError::busy));
    EXPECT_EQ(reason_of(busy.error()), Reason::local);
    EXPECT_EQ(overlapping.wait().outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(run.wait().fingerprint, "db hangs");
}

TEST(BackendApiTurn, ACutRunGivesItBack) {
    BackendStage stage;
    stage.instead["nobody"] = http_says::silence();
    const Probe probe = stage.make();
    ProbeRun first(stage.env, 30s);
    test::Task<RunResult> run(stage.io, run_of(probe, first));
    test::run_until(stage.io, [&] { return stage.server.heard().size() == 4; });
    run.cut();
    run.wait();
    EXPECT_TRUE(first.was_cut());
    stage.instead.clear();
    EXPECT_EQ(stage.run(probe).outcome(), RunOutcome::ok);
}

// --- questions

TEST(BackendApiAnswer, CosSign) {
    BackendStage stage;
    const Probe probe = stage.make();
    const auto answer = stage.ask(probe, questions::cos_sign);
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->facts, (Facts{{"secret_id", "AKIDtest"},
                                    {"key_time", "1795000000;1795000030"},
                                    {"bucket", "cover"},
                                    {"region", "ap-shanghai"},
                                    {"appid", "1250000000"},
                                    {"date", "1795000000"}}));
    ASSERT_EQ(answer->secrets.size(), 1U);
    EXPECT_EQ(answer->secrets.at("sign_key").reveal(), BackendStage::sign_key);
    EXPECT_EQ(stage.requests(), (std::vector<std::string>{"POST /login", "POST /get_cos_sign"}));
    EXPECT_TRUE(stage.ask(probe, questions::cos_sign));
    EXPECT_EQ(stage.tokens, 1);
}

TEST(BackendApiAnswer, VodList) {
    BackendStage stage;
    stage.rows = BackendStage::row("f2") + "," + BackendStage::row("f1", "2026-11-17 18:06:40");
    const Probe probe = stage.make();
    const auto file = stage.ask(probe, questions::vod_list, {{"file_id", "f1"}});
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_EQ(file->facts, (Facts{{"found", "yes"},
                                  {"file_id", "f1"},
                                  {"userid", "livecanary_sh1"},
                                  {"play_url", "http://v.example.com/f.mp4"},
                                  {"hls_play_url", ""},
                                  {"start_time", "1794992800"},
                                  {"end_time", "1794910000"}}));
    const auto found = [&](Facts with) {
        return stage.ask(probe, questions::vod_list, std::move(with))->facts;
    };
    EXPECT_EQ(found({{"userid", "livecanary_sh1"}}).at("file_id"), "f2") << "the newest";
    EXPECT_EQ(found({{"stream_id", "1234_livecanary_sh1"}}).at("file_id"), "f2");
    EXPECT_EQ(found({{"stream_id", "1234_livecanary"}}), (Facts{{"found", "no"}}));
    EXPECT_EQ(found({{"userid", "livecanary_sh1"}, {"file_id", "f3"}}), (Facts{{"found", "no"}}));
}

TEST(BackendApiAnswer, VodListLooksThroughItsPages) {
    BackendStage stage;
    for (int at = 0; at < 100; ++at)
        stage.rows += (at > 0 ? "," : "") + BackendStage::row("f" + std::to_string(at));
    EXPECT_EQ(stage.ask(stage.make(), questions::vod_list, {{"file_id", "none"}})->facts.at("found"), "no");
    EXPECT_EQ(stage.server.count("/get_vod_list"), 3U) << "and not for ever";
    EXPECT_NE(stage.server.last().body.find(R"("index":3,"count":100)"), std::string::npos);
}

TEST(BackendApiAnswer, WhatItCannotAnswer) {
    BackendStage stage;
    const Probe probe = stage.make();
    EXPECT_EQ(stage.ask(probe, questions::object).error(), make_error_code(PeerError::not_understood));
    const Probe without = BackendStage::made_of("url = '" + stage.server.url("") + "'\n");
    EXPECT_EQ(stage.ask(without, questions::cos_sign).error(), make_error_code(BackendError::no_credentials));
    EXPECT_TRUE(stage.server.heard().empty());
    stage.instead["/login"] = backend_says(621);
    EXPECT_EQ(stage.ask(probe, questions::cos_sign).error(), make_error_code(BackendError::wrong_password));
}

// --- the way there

TEST(BackendApiWay, NoName) {
    BackendStage stage;
    const auto [run, found] =
        stage.judge(BackendStage::made_of("url = 'http://nowhere.example.com'\nchecks = ['php']\n"), 5s);
    EXPECT_EQ(run.failed_phase(), "dns");
    EXPECT_EQ(run.reason(), Reason::nxdomain);
    EXPECT_EQ(found.label(), "backend_unreachable");
}

TEST(BackendApiWay, Refused) {
    BackendStage stage;
    test::ClosedPort closed(stage.io);
    const auto [run, found] = stage.judge(
        BackendStage::made_of("url = 'http://127.0.0.1:" + std::to_string(closed.endpoint().port()) + "'\n"),
        5s);
    EXPECT_EQ(run.failed_phase(), "tcp");
    EXPECT_EQ(run.fingerprint, "tcp refused");
    EXPECT_EQ(found.label(), "backend_unreachable");
}

TEST(BackendApiWay, NoTls) {
    BackendStage stage;
    const auto [run, found] = stage.judge(
        BackendStage::made_of("url = 'https://127.0.0.1:" + std::to_string(stage.server.port()) + "'\n"), 5s);
    EXPECT_EQ(run.failed_phase(), "tls");
    EXPECT_EQ(found.label(), "");
    EXPECT_FALSE(found.because.empty());
}

TEST(BackendApiWay, AServerThatClosesIsConnectedAnew) {
    BackendStage stage;
    for (const char* what : {"/", "/interface.php"}) {
        HttpReply reply = std::string(what) == "/" ? http_says::status(403) : backend_says(400);
        reply.headers.emplace_back("Connection", "close");
        reply.then = test::HttpThen::finish;
        stage.instead[what] = reply;
    }
    EXPECT_EQ(stage.run(stage.make()).outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.server.connections(), 3U);
}

TEST(BackendApiRun, SlowAnswersLeaveNoTimeForAll) {
    BackendStage stage;
    Clock::duration shift{};
    stage.env.now = [&] { return Clock::now() + shift; };
    const Probe probe = stage.make();
    stage.server.answer([&](const test::HttpHeard&) {
        shift += 15s;  // of thirty
        return http_says::status(403);
    });
    const auto [run, found] = stage.judge(probe);
    EXPECT_EQ(stage.server.heard().size(), 2U);
    EXPECT_EQ(word(run, "redis"), "out_of_time");
}

}  // namespace
}  // namespace livecanary::backend_api
