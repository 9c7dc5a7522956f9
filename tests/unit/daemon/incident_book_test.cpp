#include "daemon/incident_book.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/explain.hpp"
#include "daemon/incident_keeper.hpp"
#include "daemon/incidents.hpp"
#include "daemon/result_json.hpp"
#include "tests/unit/daemon/scripted_probe.hpp"
#include "tests/unit/daemon/state_folder.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
using livecanary::test::run_until;
using namespace test;
namespace json = boost::json;
using Strings = std::vector<std::string>;

/// A book, and probes that are judged as a daemon's are.
class IncidentBookTest : public testing::Test {
protected:
    IncidentBookTest() {
        for (const char* name : {"push", "callback", "replay", "db"}) {
            auto& probe = probes[name];
            probe = scripted.settings();
            probe.name = name;
            if (probe.name != "db") probe.journey = "replay";
            machines.emplace(name, Incidents(3, 2));
        }
        probes.at("db").severity = "warning";
        adopt();
    }
    void adopt() {
        std::map<std::string, std::string, std::less<>> about;
        for (const auto& [name, probe] : probes)
            about[name] = probe.journey.empty() ? probe.name : probe.journey;
        book.adopt(std::move(about), wall);
    }
    /// A run a second after the one before; its run_id.
    std::string ran(const std::string& name, const std::string& how, Diagnosis found = {}) {
        wall += 1s;
        Env env;
        env.wall = [this] { return wall; };
        env.random.seed(++seeds);
        ProbeRun run(env, 1s);
        run.enter(publish);
        run.saw("answer", "no");
        RunResult result =
            how == "ok" ? run.ok() : run.fail(make_error_code(boost::system::errc::connection_refused));
        if (how == "inconclusive") result.inconclusive = "late";
        Incidents& machine = machines.at(name);
        machine.feed(result.outcome());
        const ProbeSettings& probe = probes.at(name);
        book.judged(probe, result, found, machine.standing(), sentence(result, found, "en"),
                    json::serialize(to_json(probe, "here", result, found)));
        return result.run_id;
    }
    void ran(const std::string& name, const std::string& how, int times) {
        for (int i = 0; i < times; ++i) ran(name, how);
    }
    Strings ids(IncidentWish wish = {}) const {
        Strings all;
        for (const auto& one : book.list(wish).incidents) all.push_back(one.id);
        return all;
    }
    /// "push: refused (cause)" and so on.
    static Strings changes(const Incident& incident) {
        Strings all;
        for (const auto& one : incident.changes)
            all.push_back(one.probe + ": " + one.phase + ' ' + one.reason + ' ' + one.label());
        return all;
    }
    static Diagnosis key() { return claim(Cause::callback_api_key_mismatch, "seen"); }

    WallTime wall = std::chrono::sys_days{std::chrono::year{2026} / 11 / 28};
    std::uint64_t seeds = 0;
    ScriptedProbe scripted{{succeeds()}};
    std::map<std::string, ProbeSettings> probes{};
    std::map<std::string, Incidents> machines{};
    IncidentBook book{};
};

TEST_F(IncidentBookTest, OneFailureThatDoesNotLastIsNone) {
    ran("db", "ok");
    ran("db", "failed");
    EXPECT_EQ(book.open_of("db"), "") << "only suspected";
    EXPECT_TRUE(ids().empty());
    EXPECT_TRUE(book.take_changed(Clock::now(), true).empty());
    ran("db", "ok");
    EXPECT_TRUE(ids().empty());
    EXPECT_TRUE(book.take_changed(Clock::now(), true).empty()) << "nothing of it is stored";
    EXPECT_EQ(book.size(), 0U);
}

TEST_F(IncidentBookTest, ASecondFailureOpensItFromTheFirstOn) {
    const std::string first = ran("db", "failed");
    const WallTime began = wall;
    ran("db", "inconclusive");
    ran("db", "failed");
    ASSERT_EQ(ids(), Strings{first});
    EXPECT_EQ(book.open_of("db"), first);
    EXPECT_EQ(book.find(first)->opened, began);
    EXPECT_FALSE(book.find(first)->alerted());
    EXPECT_EQ(book.open(), 1U);
    ran("db", "failed");
    EXPECT_EQ(book.find(first)->alerted(), wall);
    EXPECT_EQ(book.find(first)->probes.at(0).failures, 3U);
    ran("db", "ok");
    EXPECT_FALSE(book.find(first)->closed) << "one success is not recover_after";
    ran("db", "inconclusive");
    ran("db", "ok");
    EXPECT_EQ(book.find(first)->closed, wall);
    EXPECT_EQ(book.find(first)->probes.at(0).ended, "recovered");
    EXPECT_EQ(book.open_of("db"), "");
    ran("db", "failed", 2);
    EXPECT_EQ(ids().size(), 2U) << "another one";
    EXPECT_EQ(ids()[1], first) << "the newest first";
}

TEST_F(IncidentBookTest, NamesWhatItWasTakenForOverTime) {
    const Diagnosis open =
        one_of(CauseClass::callback_refused, {{Cause::callback_api_key_mismatch, "it may be"}}, "refused");
    const std::string first = ran("db", "failed", open);
    ran("db", "failed", open);
    const std::string named = ran("db", "failed", key());
    ran("db", "failed", key());
    const Incident& incident = *book.find(first);
    EXPECT_EQ(changes(incident), (Strings{"db: publish refused callback_refused",
                                          "db: publish refused callback_api_key_mismatch"}));
    EXPECT_EQ(incident.changes[0].run_id, first);
    EXPECT_EQ(incident.changes[1].run_id, named);
    EXPECT_EQ(incident.latest().cause, "callback_api_key_mismatch");
    const auto result = json::parse(incident.lead().result);
    EXPECT_EQ(result.at("because").as_string(), "seen");
    EXPECT_EQ(result.at("evidence").at(0).at("got").as_string(), "no");
    const auto shown = to_json(incident, true);
    EXPECT_EQ(shown.at("state").as_string(), "open");
    EXPECT_EQ(shown.at("cause").as_string(), "callback_api_key_mismatch");
    EXPECT_TRUE(shown.at("class").is_null());
    EXPECT_EQ(shown.at("changes").as_array().size(), 2U);
    EXPECT_EQ(shown.at("probes").at(0).at("result").at("cause").as_string(), "callback_api_key_mismatch");
    EXPECT_FALSE(to_json(incident, false).at("probes").at(0).as_object().contains("result"));
}

TEST_F(IncidentBookTest, AJourneyAndItsProbesAreOneIncident) {
    const std::string first = ran("callback", "failed", key());
    ran("callback", "failed", key());
    ran("replay", "failed");
    ran("push", "failed");  // once only
    ran("push", "ok");
    ran("replay", "failed");
    ASSERT_EQ(ids(), Strings{first});
    const Incident& incident = *book.find(first);
    EXPECT_EQ(incident.about, "replay");
    EXPECT_TRUE(incident.is_journey);
    ASSERT_EQ(incident.probes.size(), 2U) << "a single failure is no part of it";
    EXPECT_EQ(incident.lead().probe, "replay") << "as its alert speaks for theirs";
    EXPECT_EQ(book.open_of("callback"), first);
    EXPECT_EQ(book.open_of("push"), "");
    EXPECT_EQ(ids({.probe = "callback"}), Strings{first});
    EXPECT_TRUE(ids({.probe = "push"}).empty());
    ran("replay", "ok", 2);
    EXPECT_FALSE(incident.closed);
    EXPECT_EQ(incident.lead().probe, "callback") << "which still fails";
    EXPECT_EQ(incident.latest().cause, "callback_api_key_mismatch");
    ran("replay", "failed");
    EXPECT_FALSE(incident.probes[1].until) << "it is back";
    ran("replay", "ok");
    ran("callback", "ok", 2);
    EXPECT_TRUE(incident.closed);
    EXPECT_EQ(incident.severity(), "critical");
}

TEST_F(IncidentBookTest, WhatElseGoesWrongMeanwhileIsNamed) {
    ran("db", "failed", 2);
    ran("db", "ok");
    const std::string early = ids().front();
    const std::string hop = ran("push", "failed");
    ran("push", "failed");
    const std::string db = ran("db", "failed");
    ran("db", "failed");
    const auto view = book.view(hop);
    ASSERT_TRUE(view);
    ASSERT_EQ(view->beside.size(), 1U) << "not the one that was over";
    EXPECT_EQ(view->beside[0].id, db);
    EXPECT_TRUE(view->beside[0].probes[0].result.empty());
    EXPECT_EQ(ids(), (Strings{db, hop, early}));
    EXPECT_EQ(ids({.open = true}), (Strings{db, hop}));
    EXPECT_EQ(ids({.open = false}), Strings{early});
    EXPECT_EQ(ids({.page = 2, .on_a_page = 2}), Strings{early});
    EXPECT_EQ(book.list({.page = 3, .on_a_page = 2}).count, 3U);
    EXPECT_TRUE(ids({.page = SIZE_MAX / 2 + 2, .on_a_page = 2}).empty()) << "no page comes round again";
    EXPECT_FALSE(book.view("none"));
}

TEST_F(IncidentBookTest, EndsWithItsProbe) {
    ran("db", "failed", 2);
    const std::string db = ids().front();
    const std::string push_failed = ran("push", "failed");
    ran("push", "failed");
    probes.erase("db");
    probes.at("push").journey.clear();
    adopt();
    EXPECT_EQ(book.find(db)->probes[0].ended, "removed");
    EXPECT_EQ(book.find(db)->closed, wall);
    EXPECT_TRUE(book.find(push_failed)->closed) << "it belongs to no journey any more";
    const std::string own = ran("push", "failed");
    EXPECT_EQ(book.find(own)->about, "push") << "which is confirmed already";
}

TEST_F(IncidentBookTest, IsBoundedByAgeAndNumber) {
    for (int i = 0; i < 15; ++i) {
        ran("db", "failed", 2);
        ran("db", "ok", 2);
    }
    ran("push", "failed", 2);
    const auto all = ids();
    ASSERT_EQ(all.size(), 16U);
    book.take_changed(Clock::now(), true);
    book.limit({.keep = 24h, .most = 10});
    book.forget(wall);
    EXPECT_EQ(ids(), Strings(all.begin(), all.begin() + 10));
    EXPECT_EQ(book.take_changed(Clock::now()), std::set<std::string>(all.begin() + 10, all.end()))
        << "to be removed from the store";
    book.forget(wall + 25h);
    EXPECT_EQ(ids(), Strings{all.front()}) << "an open one stays, however old";
}

TEST_F(IncidentBookTest, ACauseThatComesAndGoesFillsNothing) {
    const std::string first = ran("db", "failed");
    for (int i = 0; i < 100; ++i) {
        ran("db", "failed", key());
        ran("db", "failed");
    }
    const Incident& incident = *book.find(first);
    EXPECT_EQ(incident.changes.size(), 50U);
    EXPECT_EQ(incident.changes_left_out, 151U);
    EXPECT_EQ(incident.changes.front().run_id, first) << "how it began stays";
    const auto now = Clock::now();
    EXPECT_EQ(book.take_changed(now).size(), 1U);
    ran("db", "failed", key());
    EXPECT_TRUE(book.take_changed(now + 9s).empty()) << "not a write to the disk with each run";
    EXPECT_EQ(book.take_changed(now + 10s).size(), 1U);
    ran("db", "ok", 2);
    EXPECT_EQ(book.take_changed(now + 11s).size(), 1U) << "that it is over cannot wait";
}

TEST_F(IncidentBookTest, AProbeThatFlapsFillsNothingBeforeTheNextRound) {
    book.limit({.keep = 24h, .most = 10});
    ran("push", "failed", 2);
    const std::string open = ids().front();
    std::set<std::string> stored;
    for (int i = 0; i < 1000; ++i) {
        ran("db", "failed", 2);
        ran("db", "ok", 1);
        ASSERT_LE(book.size(), 10U);
        for (const auto& id : book.take_changed(Clock::now())) {
            if (book.find(id) != nullptr)
                stored.insert(id);
            else
                stored.erase(id);
        }
    }
    EXPECT_EQ(book.size(), 10U);
    EXPECT_EQ(stored.size(), 10U) << "nor is it stored any longer";
    EXPECT_EQ(ids().back(), open);
    EXPECT_EQ(book.open(), 1U);
}

TEST_F(IncidentBookTest, AClockThatWasSetBackHidesNothingOfWhatComes) {
    wall += 24h * 365;
    for (int i = 0; i < 10; ++i) {
        ran("db", "failed", 2);
        ran("db", "ok");
    }
    wall -= 24h * 365;
    book.limit({.keep = 24h, .most = 10});
    const std::string after = ran("db", "failed");
    ran("db", "failed");
    ran("db", "ok");
    book.forget(wall);
    EXPECT_EQ(book.size(), 10U);
    EXPECT_NE(book.find(after), nullptr);
    // Also within one incident.
    const std::string across = ran("db", "failed");
    ran("db", "failed");
    wall -= 1h;
    ran("db", "ok");
    ASSERT_NE(book.find(across), nullptr);
    EXPECT_EQ(book.find(across)->closed, book.find(across)->opened) << "it ends not before it began";
}

TEST_F(IncidentBookTest, WhoLeadsLaterStillSaysWhy) {
    const std::string first = ran("callback", "failed");
    for (int i = 0; i < 12; ++i) {
        ran("callback", "failed", key());
        ran("callback", "failed");
    }
    // Behind the twenty that stay, and before a hundred more.
    ran("push", "failed", key());
    ran("push", "failed", key());
    for (int i = 0; i < 50; ++i) {
        ran("callback", "failed", key());
        ran("callback", "failed");
    }
    ran("callback", "ok", 2);
    const Incident& incident = *book.find(first);
    EXPECT_EQ(incident.changes.size(), 50U);
    EXPECT_EQ(incident.lead().probe, "push");
    EXPECT_EQ(incident.latest().probe, "push");
    EXPECT_EQ(incident.latest().cause, "callback_api_key_mismatch");
}

TEST_F(IncidentBookTest, ASingleFailureBeforeItIsNotItsBeginning) {
    const std::string single = ran("push", "failed");
    ran("callback", "failed");
    const WallTime began = wall;
    ran("callback", "failed");
    ran("push", "ok");
    ASSERT_EQ(ids(), Strings{single}) << "whose run gave it its name";
    EXPECT_EQ(book.find(single)->opened, began);
    EXPECT_EQ(book.find(single)->probes.size(), 1U);
}

TEST_F(IncidentBookTest, AHugeResultLosesItsEvidence) {
    ProbeSettings& probe = probes.at("db");
    Env env;
    for (int i = 0; i < 2; ++i) {
        ProbeRun run(env, 1s);
        run.enter(publish);
        run.saw("answer", std::string(100'000, 'x'));
        const auto result = run.fail(make_error_code(boost::system::errc::connection_refused));
        machines.at("db").feed(RunOutcome::failed);
        book.judged(probe, result, key(), machines.at("db").standing(), std::string(3000, 'x'),
                    json::serialize(to_json(probe, "here", result, key())));
    }
    const Incident& incident = *book.find(ids().front());
    EXPECT_LT(IncidentBook::text(incident).size(), 10'000U);
    EXPECT_EQ(json::parse(incident.lead().result).at("cause").as_string(), "callback_api_key_mismatch");
    EXPECT_TRUE(json::parse(incident.lead().result).at("left_out").as_bool());
}

TEST_F(IncidentBookTest, GoesOnAfterARestart) {
    const std::string first = ran("callback", "failed", key());
    ran("callback", "failed", key());
    ran("callback", "failed", key());
    ran("db", "failed", 2);
    ran("db", "ok");
    Strings texts;
    for (const auto& id : book.take_changed(Clock::now(), true))
        texts.push_back(IncidentBook::text(*book.find(id)));
    ASSERT_EQ(texts.size(), 2U);
    const auto before = to_json(*book.find(first), true);

    book = {};
    adopt();
    texts.push_back("no JSON");
    texts.push_back("{}");
    // A time that no clock has.
    std::string spoilt = texts.front();
    spoilt.replace(spoilt.find("\"opened\":"), 10, "\"opened\":999999");
    spoilt.replace(spoilt.find("\"id\":\""), 6, "\"id\":\"spoilt");
    texts.push_back(spoilt);
    for (const auto& text : texts) book.restore(text, wall);
    EXPECT_EQ(ids().size(), 2U);
    EXPECT_EQ(to_json(*book.find(first), true), before);
    EXPECT_EQ(book.open_of("callback"), first);
    // Its runner knows nothing of the failures before.
    machines.at("callback") = Incidents(3, 2);
    ran("callback", "failed", key());
    EXPECT_EQ(book.find(first)->probes[0].failures, 4U);
    ran("callback", "ok");
    EXPECT_TRUE(book.find(first)->closed);
}

TEST_F(IncidentBookTest, WhatBeganBeforeTheOldOnesWereLoadedBecomesPartOfThem) {
    const std::string first = ran("callback", "failed", key());
    const WallTime began = wall;
    ran("callback", "failed", key());
    const std::string text = IncidentBook::text(*book.find(first));
    book = {};
    adopt();
    const std::string younger = ran("replay", "failed");
    ran("replay", "failed");
    ran("callback", "failed");
    book.take_changed(Clock::now(), true);
    book.restore(text, wall);
    EXPECT_EQ(ids(), Strings{first});
    EXPECT_EQ(book.find(first)->opened, began);
    ASSERT_EQ(book.find(first)->probes.size(), 2U);
    EXPECT_EQ(book.find(first)->probes[0].failures, 3U);
    EXPECT_EQ(book.find(first)->probes[0].since, began);
    EXPECT_EQ(book.take_changed(Clock::now()), (std::set{first, younger})) << "the younger is removed";
    // And one of a probe that is gone is over.
    book = {};
    probes.erase("callback");
    adopt();
    book.restore(text, wall);
    EXPECT_TRUE(book.find(first)->closed);
}

TEST(IncidentKeeping, SurvivesARestart) {
    const StateFolder folder;
    StateOptions options;
    options.directory = folder.path();
    asio::io_context io;
    ScriptedProbe scripted{{succeeds()}};
    const auto probe = std::make_shared<const ProbeSettings>(scripted.settings());
    Env env;
    std::string id;
    for (int life = 0; life < 3; ++life) {
        StateStore store(options);
        Shared shared;
        shared.executor = io.get_executor();
        shared.state = &store;
        IncidentKeeper keeper(shared);
        keeper.adopt({}, {probe});
        keeper.start();
        if (life > 0) {
            run_until(io, [&] { return keeper.book().size() == 1; });
            EXPECT_EQ(keeper.view(id)->incident.closed.has_value(), life == 2);
        }
        Standing standing{.known = true, .ok = life == 1};
        for (int i = 0; i < 2 && life < 2; ++i) {
            ProbeRun run(env, 1s);
            run.enter(publish);
            const auto result =
                life == 0 ? run.fail(make_error_code(boost::system::errc::connection_refused)) : run.ok();
            if (life == 0) ++standing.consecutive_failures;
            if (id.empty()) id = result.run_id;
            keeper.judged(*probe, result, {}, standing);
        }
        EXPECT_EQ(keeper.list({}).incidents.size(), 1U);
        bool ended = false;
        keeper.stop([&] { ended = true; });
        run_until(io, [&] { return ended; });
    }
    EXPECT_EQ(Shell(folder.file()).run("SELECT id FROM incident"), id);
}

}  // namespace
}  // namespace livecanary::daemon
