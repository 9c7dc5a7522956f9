#include "daemon/probe_page.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include <boost/json/parse.hpp>

#include "daemon/page.hpp"
#include "daemon/status_page.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

const WallTime page_now{1'000'000'000s};

bool shows(const std::string& page, std::string_view part) { return page.find(part) != std::string::npos; }

RunSummary ran(RunOutcome outcome, Clock::duration took,
               std::vector<std::pair<std::string_view, Clock::duration>> phases = {}) {
    return {.run_id = "r",
            .started = page_now,
            .outcome = outcome,
            .duration = took,
            .phases = std::move(phases)};
}

ProbeDetails refused_push() {
    ProbeDetails probe;
    probe.location = "shanghai-1";
    probe.status.name = "push-main";
    probe.status.kind = "rtmp_push";
    probe.status.outcome = "failed";
    probe.status.cause = "push_refused";
    probe.status.phase = "publish";
    probe.status.reason = "rejected";
    probe.latest = boost::json::parse(R"({
        "cause": null, "class": "push_refused", "because": "closed <before> media",
        "candidates": [{"cause": "push_url_expired", "why": "txTime may lie in the past"}],
        "ruled_out": ["push_wrong_hotlink_key: the backup key is refused alike"],
        "controls": [{"name": "backup_key", "outcome": "failed", "shows": "refused alike"}],
        "evidence": [{"phase": "publish", "what": "status_code", "got": "NetStream.Publish.BadName"}],
        "fix": {"en": "Renew the URL.", "zh": "更新地址。"},
        "phases": [{"name": "tcp", "start_seconds": 0.0, "seconds": 0.01, "ok": true},
                   {"name": "publish", "start_seconds": 0.01, "seconds": 0.03, "ok": false}]})")
                       .get_object();
    probe.runs = {ran(RunOutcome::ok, 50ms, {{"tcp", 20ms}}), ran(RunOutcome::failed, 40ms)};
    return probe;
}

TEST(ProbePage, ShowsWhyAndWhatToDo) {
    const std::string page = probe_page(refused_push(), page_now, "en", false);
    for (const char* part :
         {"<title>push-main: failing – livecanary shanghai-1</title>", "closed &lt;before&gt; media",
          "<code>push_url_expired</code> txTime may lie in the past</li>",
          "push_wrong_hotlink_key: the backup key is refused alike",
          "<td>backup_key</td><td>failed</td><td>refused alike</td>",
          "<td>publish</td><td>status_code</td><td>NetStream.Publish.BadName</td>",
          "<dt>class</dt><dd><code>push_refused</code></dd>",
          "<p class=\"fix\" lang=\"en\">Renew the URL.</p>", "livecanary causes push_refused",
          "publish (failed)</th><td class=\"time\">30 ms</td><td class=\"time\">–</td>",
          "tcp</th><td class=\"time\">10 ms</td><td class=\"time\">20 ms</td>"})
        EXPECT_TRUE(shows(page, part)) << part;
    EXPECT_FALSE(shows(page, "style=")) << "the policy forbids it";
    EXPECT_TRUE(shows(probe_page(refused_push(), page_now, "zh", false), "lang=\"zh\">更新地址。</p>"));
}

TEST(ProbePage, OfOneThatIsFineOrNewClaimsNothing) {
    ProbeDetails fine = refused_push();
    fine.status.outcome = "ok";
    const std::string page = probe_page(fine, page_now, "en", true);
    EXPECT_FALSE(shows(page, "Renew"));
    EXPECT_FALSE(shows(page, "push_url_expired"));
    EXPECT_TRUE(shows(page, "action=\"../api/v1/probes/push-main/run\""));
    ProbeDetails fresh;
    fresh.status.name = "new";
    EXPECT_TRUE(shows(probe_page(fresh, page_now, "en", false), "not run yet"));
}

TEST(ProbePage, InTheLanguageOfTheReader) {
    EXPECT_EQ(language_of(""), "en");
    EXPECT_EQ(language_of("en-GB,en;q=0.9,zh;q=0.1"), "en");
    EXPECT_EQ(language_of("zh-CN,zh;q=0.9,en;q=0.8"), "zh");
    EXPECT_EQ(language_of("de"), "en");
}

TEST(History, KeepsTheLastRunsAndTheirMedians) {
    History history;
    for (int i = 0; i < 30; ++i) {
        RunResult run;
        run.run_id = std::to_string(i);
        history.add(run, "");
    }
    EXPECT_EQ(history.runs().size(), History::most);
    EXPECT_EQ(history.runs().back().run_id, "29");
    const auto found = medians(
        {ran(RunOutcome::ok, 1s, {{"tcp", 3ms}, {"tls", 9ms}}), ran(RunOutcome::failed, 1s, {{"tcp", 900ms}}),
         ran(RunOutcome::ok, 1s, {{"tcp", 1ms}}), ran(RunOutcome::ok, 1s, {{"tcp", 2ms}})});
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].first, "tcp");
    EXPECT_EQ(found[0].second, 2ms) << "of those that were ok";
    EXPECT_EQ(found[1].second, 9ms);
}

TEST(StatusPageParts, JourneysComeFirstWithTheirHops) {
    ProbeStatus bad;
    bad.name = "push-main";
    bad.outcome = "failed";
    bad.alerting = true;
    ProbeStatus journey;
    journey.name = "replay";
    journey.outcome = "ok";
    journey.hops = {{"push", "ok", 5s}, {"callback", "failed", {}}, {"row", "blocked", {}}};
    journey.strip = {{"ok", 100ms}, {"failed", 200ms}};
    const std::string page = status_page({.probes = {bad, journey}}, page_now);
    EXPECT_LT(page.find("probe-replay"), page.find("probe-push-main"));
    EXPECT_TRUE(shows(page, "<li class=\"ok\">push: ok, 5.00 s</li>"));
    EXPECT_TRUE(shows(page, "<li class=\"alerting\">callback: failed</li>"));
    EXPECT_TRUE(shows(page, "<li class=\"blocked\">row: blocked</li>"));
    EXPECT_TRUE(shows(page, "<title>last 2 runs: 1 ok</title>"));
}

TEST(StatusPageParts, ManyProbesComeInPagesAndCanBeSought) {
    Status status;
    for (int i = 0; i < 250; ++i) {
        ProbeStatus probe;
        probe.name = "probe-" + std::to_string(1000 + i);
        probe.kind = i % 2 == 0 ? "mysql" : "callback";
        status.probes.push_back(probe);
    }
    const auto count = [](const std::string& page) {
        std::size_t found = 0;
        for (auto at = page.find("<li id="); at != page.npos; at = page.find("<li id=", at + 1)) ++found;
        return found;
    };
    EXPECT_EQ(count(status_page(status, page_now)), probes_a_page);
    EXPECT_EQ(count(status_page(status, page_now, {.page = 3})), 50U);
    EXPECT_EQ(count(status_page(status, page_now, {.page = 99})), 50U) << "the last there is";
    const std::string sought = status_page(status, page_now, {.text = "mysql"});
    EXPECT_TRUE(shows(sought, "125 of 250 probes"));
    EXPECT_TRUE(shows(sought, "href=\"?q=mysql&amp;page=2\""));
    EXPECT_TRUE(shows(status_page(status, page_now, {.text = "<b>\""}), "value=\"&lt;b&gt;&quot;\""));
}

TEST(StatusPageParts, WishOfAQuery) {
    EXPECT_EQ(page_wish("q=push+main%2F&page=2").text, "push main/");
    EXPECT_EQ(page_wish("q=push+main%2F&page=2").page, 2U);
    for (const char* bad : {"page=0", "page=-1", "page=x", "page=", "page=99999999999999999999999", ""})
        EXPECT_EQ(page_wish(bad).page, 1U) << bad;
    EXPECT_EQ(page_wish("q=%zz%").text, "%zz%");
    EXPECT_EQ(page_wish("q=" + std::string(1000, 'x')).text.size(), 100U);
}

}  // namespace
}  // namespace livecanary::daemon
