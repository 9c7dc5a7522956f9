#include "daemon/alerts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>

#include "daemon/because_zh.hpp"
#include "daemon/result_json.hpp"
#include "daemon/rules.hpp"
#include "probes/catalogue/catalogue.hpp"
#include "tests/unit/daemon/scripted_probe.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

/// As much of an Alertmanager as tells what fires.
class AlertmanagerDouble {
public:
    bool post(const std::string& body) {
        if (away) return false;
        ++requests;
        const auto alerts = json::parse(body);
        for (const auto& alert : alerts.as_array())
            ends[std::string(alert.at("labels").at("probe").as_string())] =
                std::string(alert.at("endsAt").as_string());
        return true;
    }
    bool fires(const std::string& probe, WallTime wall) const {
        const auto at = ends.find(probe);
        return at != ends.end() && at->second > rfc3339(wall);
    }

    bool away = false;
    int requests = 0;
    std::map<std::string, std::string> ends{};  // probe → endsAt, as written
};

AlertFacts facts(const std::string& probe, const std::string& cause = "push_refused",
                 const std::string& severity = "critical") {
    return {.probe = probe,
            .labels = {{"alertname", "LivecanaryProbeFailing"}, {"probe", probe}, {"severity", severity}},
            .annotations = {{"summary", probe + " fails"}, {"cause", cause}, {"description", cause}},
            .generator_url = "http://canary:9877/probes/" + probe};
}

/// A daemon's alerts and its Alertmanagers over hours that take no time.
class AlertHours : public testing::Test {
protected:
    struct Receiver {
        AlertmanagerDouble double_{};
        Outbox outbox{};
    };

    /// A second at a time, as the senders would.
    void pass(Clock::duration length) {
        for (const auto end = now + length; now < end; now += 1s, wall += 1s) {
            book.forget(now);
            for (auto& receiver : receivers) send(receiver);
        }
    }
    void send(Receiver& receiver) {
        for (;;) {
            const auto batch = receiver.outbox.due(book, now);
            if (batch.empty()) return;
            EXPECT_LE(*receiver.outbox.next(book, now), now);
            if (receiver.double_.post(alerts_body(book, batch, wall)))
                receiver.outbox.answered(book, batch, now);
            else
                receiver.outbox.unanswered(now);
        }
    }
    void fire(const std::string& probe, const std::string& cause = "push_refused") {
        book.fire(facts(probe, cause), now, wall);
    }
    void resolve(const std::string& probe) { book.resolve(probe, now, wall); }
    bool fires(std::size_t receiver, const std::string& probe = "p") const {
        return receivers[receiver].double_.fires(probe, wall);
    }

    Clock::time_point now{1000h};
    WallTime wall{std::chrono::sys_days{std::chrono::year{2026} / 11 / 28} + 8h};
    AlertBook book{};
    std::vector<Receiver> receivers = std::vector<Receiver>(2);
};

TEST_F(AlertHours, FiresAtEveryAlertmanagerAtOnceAndIsResentEachMinute) {
    pass(10min);
    EXPECT_EQ(receivers[0].double_.requests, 0) << "nothing to say, nothing said";
    fire("p");
    pass(1s);
    EXPECT_TRUE(fires(0) && fires(1));
    EXPECT_EQ(receivers[0].double_.requests, 1);
    pass(10min);
    EXPECT_EQ(receivers[0].double_.requests, 11);
    EXPECT_EQ(receivers[1].double_.requests, 11);
    EXPECT_TRUE(fires(0) && fires(1));
}

TEST_F(AlertHours, EndsFourResendsAheadSoThatALostDaemonIsNoAlertForEver) {
    fire("p");
    const auto batch = receivers[0].outbox.due(book, now);
    const auto body = json::parse(alerts_body(book, batch, wall)).as_array();
    ASSERT_EQ(body.size(), 1U);
    EXPECT_EQ(body[0].at("startsAt").as_string(), "2026-11-28T08:00:00.000Z");
    EXPECT_EQ(body[0].at("endsAt").as_string(), "2026-11-28T08:04:00.000Z");
    EXPECT_EQ(body[0].at("generatorURL").as_string(), "http://canary:9877/probes/p");
    EXPECT_EQ(body[0].at("labels").at("severity").as_string(), "critical");
    EXPECT_EQ(body[0].at("annotations").at("cause").as_string(), "push_refused");
    pass(30min + 1s);
    for (auto& receiver : receivers) receiver.double_.away = true;
    pass(3min);
    EXPECT_TRUE(fires(0));
    pass(2min);
    EXPECT_FALSE(fires(0));
}

TEST_F(AlertHours, AResolveIsToldAtOnceAndForAQuarterOfAnHour) {
    fire("p");
    pass(5min);
    resolve("p");
    pass(1s);
    EXPECT_FALSE(fires(0) || fires(1));
    EXPECT_EQ(receivers[0].double_.ends["p"], "2026-11-28T08:05:00.000Z");
    const int before = receivers[0].double_.requests;
    pass(14min + 58s);
    EXPECT_EQ(receivers[0].double_.requests - before, 14);
    pass(1h);
    EXPECT_EQ(receivers[0].double_.requests - before, 14);
    EXPECT_TRUE(book.alerts().empty());
}

TEST_F(AlertHours, AnAlertmanagerThatIsAwayForAnHourHoldsTheOtherUpInNothing) {
    fire("p");
    pass(5min);
    receivers[1].double_.away = true;
    fire("q");
    pass(30min + 1s);
    EXPECT_TRUE(fires(0, "p") && fires(0, "q"));
    EXPECT_EQ(receivers[1].outbox.waiting(book, now), 2U);
    EXPECT_EQ(receivers[0].outbox.waiting(book, now), 0U);
    resolve("p");
    fire("r");
    pass(1s);
    EXPECT_FALSE(fires(0, "p"));
    EXPECT_TRUE(fires(0, "r"));
    pass(30min);
    EXPECT_EQ(receivers[1].outbox.waiting(book, now), 2U) << "the queue is no longer than the book";
    receivers[1].double_.away = false;
    pass(1min);
    EXPECT_FALSE(fires(1, "p")) << "it ended by itself, when nobody sent it again";
    EXPECT_TRUE(fires(1, "q") && fires(1, "r")) << "within a minute of its return";
}

TEST_F(AlertHours, BacksOffFromAnAlertmanagerThatIsAway) {
    fire("p");
    int tries = 0;
    std::vector<std::int64_t> at;
    for (int second = 0; second < 600; ++second, now += 1s) {
        const auto batch = receivers[0].outbox.due(book, now);
        if (batch.empty()) {
            EXPECT_GT(*receivers[0].outbox.next(book, now), now);
            continue;
        }
        ++tries;
        at.push_back(second);
        receivers[0].outbox.unanswered(now);
        EXPECT_TRUE(receivers[0].outbox.due(book, now).empty());
        fire("another" + std::to_string(second));  // news do not break the wait
    }
    at.resize(8);
    EXPECT_EQ(at, (std::vector<std::int64_t>{0, 1, 3, 7, 15, 31, 63, 123}));
    EXPECT_EQ(tries, 15);
}

TEST_F(AlertHours, WhatIsRefusedIsNotTriedAgainBeforeTheNextResend) {
    fire("p");
    auto& outbox = receivers[0].outbox;
    const auto batch = outbox.due(book, now);
    ASSERT_EQ(batch.size(), 1U);
    ASSERT_EQ(reception_of(400), Reception::refused);
    outbox.answered(book, batch, now);
    EXPECT_TRUE(outbox.due(book, now + 59s).empty());
    EXPECT_EQ(*outbox.next(book, now), now + 60s);
    EXPECT_EQ(outbox.due(book, now + 60s).size(), 1U);
}

TEST(AlertReception, SaysWhatAStatusMeans) {
    for (const unsigned status : {200U, 202U}) EXPECT_EQ(reception_of(status), Reception::accepted);
    for (const unsigned status : {301U, 400U, 401U, 403U, 404U, 413U})
        EXPECT_EQ(reception_of(status), Reception::refused) << status;
    for (const unsigned status : {429U, 500U, 502U, 503U, 504U})
        EXPECT_EQ(reception_of(status), Reception::later) << status;
}

TEST_F(AlertHours, ARestartInBetweenGoesOnWhereItStopped) {
    fire("p");
    fire("q");
    const auto began = wall;
    pass(10min);
    resolve("q");
    std::vector<std::string> stored;
    for (const auto& [name, alert] : book.alerts()) stored.push_back(AlertBook::text(alert));
    // Away for two minutes; the new process has another steady clock and empty outboxes.
    wall += 2min;
    now = Clock::time_point(5s);
    book = AlertBook();
    for (auto& receiver : receivers) receiver.outbox = Outbox();
    for (const auto& text : stored) book.restore(text, now, wall);
    EXPECT_EQ(book.firing().size(), 1U);
    EXPECT_TRUE(fires(0, "p") && fires(0, "q")) << "it was not told of q's end before";
    pass(1s);
    EXPECT_TRUE(fires(0, "p"));
    EXPECT_FALSE(fires(0, "q"));
    EXPECT_EQ(book.alerts().begin()->second.starts_at, began);
    pass(12min + 57s);
    EXPECT_EQ(book.alerts().size(), 2U);
    pass(5s);
    EXPECT_EQ(book.alerts().size(), 1U) << "a quarter of an hour after its end, restart or not";
    resolve("p");
    pass(1s);
    EXPECT_FALSE(fires(0, "p"));
}

TEST_F(AlertHours, WhatIsKnownSinceTheRestartIsNewerThanWhatWasStored) {
    fire("p");
    const auto began = wall;
    const auto firing = AlertBook::text(book.alerts().begin()->second);
    pass(5min);
    book = AlertBook();
    fire("p", "push_wrong_hotlink_key");
    book.restore(firing, now, wall);
    ASSERT_EQ(book.alerts().size(), 1U);
    const auto& alert = book.alerts().begin()->second;
    EXPECT_EQ(alert.facts.annotations.at("cause"), "push_wrong_hotlink_key");
    EXPECT_EQ(alert.starts_at, began);
    resolve("p");
    book.restore(firing, now, wall);
    EXPECT_TRUE(book.firing().empty()) << "it has recovered since";
}

TEST_F(AlertHours, WhatCannotBeReadOfTheStoreIsDropped) {
    for (const auto* text : {"", "nonsense", "{}", "[1]", R"({"probe":"p","labels":{"a":1}})"})
        book.restore(text, now, wall);
    // A time that no clock has, as of a file that was spoilt.
    for (const auto* times :
         {R"("starts_ms":9223372036854775807,"ended_ms":null)", R"("starts_ms":-1,"ended_ms":null)",
          R"("starts_ms":1,"ended_ms":9223372036854775807)", R"("starts_ms":1,"ended_ms":"1")"})
        book.restore(R"({"probe":"p","labels":{"a":"1"},"annotations":{},"generator_url":"",)" +
                         std::string(times) + '}',
                     now, wall);
    EXPECT_TRUE(book.alerts().empty());
}

TEST_F(AlertHours, ACauseThatChangesIsTheSameAlertInOtherWords) {
    fire("p");
    pass(10s);
    fire("p", "push_wrong_hotlink_key");
    EXPECT_EQ(book.alerts().size(), 1U);
    EXPECT_EQ(receivers[0].outbox.waiting(book, now), 1U) << "told at once";
    pass(1s);
    EXPECT_EQ(receivers[0].double_.requests, 2);
    const auto starts = book.alerts().begin()->second.starts_at;
    EXPECT_EQ(starts, wall - 11s);
}

TEST_F(AlertHours, NumbersInADescriptionAreNoNews) {
    fire("p");
    pass(1s);
    book.take_changed();
    auto same = facts("p");
    same.annotations["description"] = "it took 12.3 ms";
    book.fire(same, now, wall);
    EXPECT_TRUE(book.take_changed().empty());
    EXPECT_EQ(receivers[0].outbox.waiting(book, now), 0U);
    EXPECT_EQ(book.alerts().begin()->second.facts.annotations.at("description"), "it took 12.3 ms")
        << "for the next resend";
}

TEST_F(AlertHours, OtherLabelsAreAnotherAlertAndEndTheOneBefore) {
    fire("p");
    pass(1s);
    book.fire(facts("p", "push_refused", "warning"), now, wall);
    ASSERT_EQ(book.alerts().size(), 2U);
    EXPECT_EQ(book.firing().at("p").at("severity"), "warning");
    EXPECT_EQ(std::ranges::count_if(book.alerts(), [](const auto& a) { return a.second.ended.has_value(); }),
              1);
}

TEST_F(AlertHours, AnAlertThatComesBackBeginsAnew) {
    fire("p");
    pass(5min);
    resolve("p");
    pass(5min);
    fire("p");
    pass(1s);
    EXPECT_TRUE(fires(0));
    EXPECT_EQ(book.alerts().size(), 1U);
    EXPECT_EQ(book.alerts().begin()->second.starts_at, wall - 1s);
}

TEST_F(AlertHours, AClockThatWasSetBackEndsNoAlertBeforeItBegan) {
    fire("p");
    wall -= 1h;
    resolve("p");
    const auto& alert = book.alerts().begin()->second;
    EXPECT_EQ(alert.ended, alert.starts_at);
}

TEST_F(AlertHours, ThousandsComeInRequestsThatAnAlertmanagerTakes) {
    for (int i = 0; i < 1000; ++i) fire("p" + std::to_string(i));
    auto& outbox = receivers[0].outbox;
    EXPECT_EQ(outbox.due(book, now).size(), most_alerts_in_request);
    EXPECT_EQ(outbox.waiting(book, now), 1000U);
    pass(1s);
    EXPECT_EQ(receivers[0].double_.requests, 16);
    EXPECT_EQ(receivers[0].double_.ends.size(), 1000U);
    // News come first, even among a thousand that are due again.
    pass(59s);
    fire("q");
    const auto batch = outbox.due(book, now);
    ASSERT_EQ(batch.size(), most_alerts_in_request);
    EXPECT_NE(batch[0].first.find(R"("probe":"q")"), std::string::npos);
}

TEST_F(AlertHours, WhatHasChangedIsSaidOnce) {
    fire("p");
    fire("p", "other");
    EXPECT_EQ(book.take_changed().size(), 1U);
    EXPECT_TRUE(book.take_changed().empty());
    resolve("p");
    EXPECT_EQ(book.take_changed().size(), 1U);
    pass(16min);
    EXPECT_EQ(book.take_changed().size(), 1U) << "forgotten, so that the store forgets it too";
    resolve("nobody");
    EXPECT_TRUE(book.take_changed().empty());
}

class AlertText : public testing::Test {
protected:
    ProbeSettings settings() {
        auto settings = probe.settings();
        settings.name = "push-main";
        settings.journey = "replay";
        return settings;
    }
    RunResult failed(error_code code) {
        Env env;
        ProbeRun run(env, 1s);
        run.enter(test::publish);
        return run.fail(code);
    }
    test::ScriptedProbe probe{{test::succeeds()}};
};

TEST_F(AlertText, LabelsAreTheIdentityOfTheContract) {
    const auto labels = alert_labels(settings(), "shanghai-1");
    EXPECT_EQ(labels, (AlertWords{{"alertname", "LivecanaryProbeFailing"},
                                  {"probe", "push-main"},
                                  {"kind", "scripted"},
                                  {"severity", "critical"},
                                  {"journey", "replay"},
                                  {"location", "shanghai-1"}}));
    auto alone = settings();
    alone.journey.clear();
    EXPECT_FALSE(alert_labels(alone, "x").contains("journey"));
}

TEST_F(AlertText, NamesPhaseReasonCauseAndFixInBothLanguages) {
    const auto found = claim(Cause::push_wrong_hotlink_key, "the backup key is accepted");
    const auto run = failed(make_error_code(boost::system::errc::connection_refused));
    const AlertLinks links{.own = "http://canary:9877"};
    const auto en = alert_annotations(settings(), "sh", run, found, links, "en");
    EXPECT_EQ(en.at("summary"), "Probe push-main fails in publish: refused (push_wrong_hotlink_key)");
    EXPECT_EQ(en.at("cause"), "push_wrong_hotlink_key");
    EXPECT_NE(en.at("description").find("The scripted probe push-main at sh fails."), std::string::npos);
    EXPECT_NE(en.at("description").find("the backup key is accepted."), std::string::npos);
    EXPECT_NE(en.at("fix").find("PUSH_URL_KEY"), std::string::npos);
    EXPECT_EQ(
        en.at("runbook_url"),
        "https://github.com/livecanary/livecanary/blob/main/docs/runbooks/en.md#push_wrong_hotlink_key");
    EXPECT_EQ(en.at("dashboard_url"), "http://canary:9877/probes/push-main");
    const auto zh =
        alert_annotations(settings(), "sh", run, found, {.own = "x", .grafana = "https://g"}, "zh");
    EXPECT_EQ(zh.at("summary"), "探测 push-main 在 publish 阶段失败：refused（push_wrong_hotlink_key）");
    EXPECT_NE(zh.at("fix"), en.at("fix"));
    EXPECT_EQ(
        zh.at("runbook_url"),
        "https://github.com/livecanary/livecanary/blob/main/docs/runbooks/zh.md#push_wrong_hotlink_key");
    EXPECT_EQ(zh.at("dashboard_url"), "https://g/d/livecanary-overview?var-probe=push-main");
    EXPECT_EQ(zh.at("cause"), en.at("cause"));
}

TEST_F(AlertText, AClassNamesItsCandidatesAndWhatIsUnknownSaysSo) {
    const auto found =
        one_of(CauseClass::push_refused,
               {{Cause::push_wrong_hotlink_key, "the likeliest"}, {Cause::push_url_expired, "or this"}}, "");
    const auto run = failed(make_error_code(boost::system::errc::connection_reset));
    const AlertLinks links{.own = "http://canary:9877"};
    const auto class_ = alert_annotations(settings(), "sh", run, found, links, "en");
    EXPECT_EQ(class_.at("cause"), "push_refused");
    EXPECT_NE(class_.at("description")
                  .find("It may be: push_wrong_hotlink_key (the likeliest); push_url_expired (or this)."),
              std::string::npos)
        << class_.at("description");
    const auto unknown = alert_annotations(settings(), "sh", run, {}, links, "en");
    EXPECT_EQ(unknown.at("cause"), "");
    EXPECT_EQ(unknown.at("fix"), "");
    EXPECT_EQ(unknown.at("runbook_url"),
              "https://github.com/livecanary/livecanary/blob/main/docs/alerts.md#livecanaryprobefailing");
}

TEST_F(AlertText, InChineseSaysWhyInChineseToo) {
    const auto run = failed(make_error_code(boost::system::errc::connection_reset));
    const auto description = [&](const Diagnosis& found) {
        return alert_annotations(settings(), "sh", run, found, {}, "zh").at("description");
    };
    const std::string open =
        description(one_of(CauseClass::push_refused, {{Cause::push_wrong_hotlink_key, "the likeliest"}}, ""));
    EXPECT_EQ(open.find("the likeliest"), std::string::npos) << open;
    EXPECT_NE(open.find("可能的原因：push_wrong_hotlink_key（" +
                        std::string(entry(Cause::push_wrong_hotlink_key).title.zh) + "）。"),
              std::string::npos)
        << open;
    EXPECT_NE(
        description(claim(Cause::push_wrong_hotlink_key, "status 7; push-b, at another domain, is accepted"))
            .find("依据：status 7；另一域名的 push-b 被接受。"),
        std::string::npos);
}

TEST_F(AlertText, InChineseHasWordsForEveryRule) {
    for (const Rule& rule : rules()) {
        EXPECT_TRUE(rule_words_zh(rule.why)) << rule.id << ": " << rule.why;
        std::string said(rule.why);
        said.replace(said.find("{}"), 2, "a-1, b_2");
        const std::string zh = because_zh(said + ": what it saw");
        EXPECT_NE(zh.find("a-1, b_2"), std::string::npos);
        EXPECT_TRUE(zh.ends_with("：what it saw")) << zh;
        EXPECT_EQ(zh.find(std::string(rule.why).substr(rule.why.find("{}") + 2, 8)), std::string::npos) << zh;
    }
    EXPECT_EQ(because_zh("it said no; x passes with what the backend issues, and nothing else is left"),
              "it said no；x 用后端签发的签名可以通过，且别无其他可能");
    EXPECT_EQ(because_zh("the log read by log says so too: [error] {} passes"),
              "log 读取的日志也如此显示：[error] {} passes");
    EXPECT_EQ(because_zh(""), "");
}

TEST_F(AlertText, WordsOfAPeerAreCutAtACharacter) {
    std::string because;
    for (int i = 0; i < 2000; ++i) because += "推";
    const auto run = failed(make_error_code(boost::system::errc::connection_reset));
    const auto annotations =
        alert_annotations(settings(), "sh", run, claim(Cause::push_url_expired, because), {}, "en");
    const auto& text = annotations.at("description");
    EXPECT_LE(text.size(), 2051U);
    EXPECT_TRUE(text.ends_with("推…"));
}

}  // namespace
}  // namespace livecanary::daemon
