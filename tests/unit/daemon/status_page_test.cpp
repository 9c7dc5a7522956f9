#include "daemon/status_page.hpp"

#include <gtest/gtest.h>

#include "daemon/page.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

const WallTime now{1'000'000'000s};

ProbeStatus probe(std::string name, std::string outcome, bool alerting = false) {
    ProbeStatus status;
    status.name = std::move(name);
    status.kind = "rtmp_push";
    status.outcome = std::move(outcome);
    status.alerting = alerting;
    return status;
}

bool has(const std::string& page, std::string_view part) { return page.find(part) != std::string::npos; }

TEST(StatusPage, WorstFirst) {
    Status status;
    status.probes = {probe("a-ok", "ok"), probe("b-waiting", ""), probe("c-unknown", "inconclusive"),
                     probe("d-failing", "failed"), probe("e-alerting", "failed", true),
                     // Until recover_after successes it goes on alerting.
                     probe("f-recovering", "ok", true)};
    const std::string page = status_page(status, now);
    std::size_t last = 0;
    for (const char* name : {"e-alerting", "f-recovering", "d-failing", "c-unknown", "b-waiting", "a-ok"}) {
        const auto at = page.find(name);
        ASSERT_NE(at, std::string::npos) << name;
        EXPECT_GT(at, last) << name;
        last = at;
    }
    EXPECT_TRUE(has(page,
                    "<p role=\"status\" class=\"summary alerting\">2 alerting, 1 failing, 1 inconclusive, 1 "
                    "not run yet, 1 ok</p>"));
}

TEST(StatusPage, SaysWhatIsWrongSinceWhenAndWhatComesNext) {
    ProbeStatus wrong = probe("push-main", "failed");
    wrong.phase = "publish";
    wrong.reason = "rejected";
    wrong.cause = "push_wrong_hotlink_key";
    wrong.sentence = "The push key is wrong.";
    wrong.since = now - 3h;
    wrong.last_run = now - 7s;
    wrong.duration = 5210ms;
    wrong.until_next = 22'100ms;
    const std::string page =
        status_page({.location = "shanghai-1", .version = "1.2.3", .probes = {wrong}}, now);
    for (const char* part : {
             "<title>1 failing – livecanary shanghai-1</title>",
             "<p class=\"sentence\">The push key is wrong.</p>",
             "<dt>cause</dt><dd><code>push_wrong_hotlink_key</code></dd>",
             "<dt>failed in</dt><dd>publish: rejected</dd>",
             "<dt>since</dt><dd><time datetime=\"2001-09-08T22:46:40Z\" title=\"2001-09-08T22:46:40Z\">3 h "
             "ago</time></dd>",
             ">7 s ago</time></dd>",
             "<dt>took</dt><dd>5.21 s</dd>",
             "<dt>next run</dt><dd>in 23 s</dd>",
             "As of 2001-09-09T01:46:40Z",
             "livecanary 1.2.3",
         })
        EXPECT_TRUE(has(page, part)) << part;
}

TEST(StatusPage, SaysWhichOfItIsChineseAndWhichIsNotSure) {
    ProbeStatus refused = probe("push-main", "failed"), unproven = probe("push-backup", "inconclusive");
    refused.sentence = "推流被拒绝 (publish: closed)";
    refused.cause = "push_refused";
    refused.reason = unproven.reason = "closed";
    unproven.sentence = "the network is away – or we are";
    const std::string page = status_page({.probes = {refused, unproven}}, now);
    for (const char* part :
         {"<p class=\"sentence\" lang=\"zh\">推流被拒绝 (publish: closed)</p>",
          "<p class=\"sentence\">the network is away – or we are</p>",
          "<dt>class</dt><dd><code>push_refused</code></dd>", "<dt>failed in</dt>", "<dt>ended in</dt>"})
        EXPECT_TRUE(has(page, part)) << part;
}

TEST(StatusPage, AProbeThatIsFineDoesNotShowItsLastTrouble) {
    ProbeStatus fine = probe("push-main", "ok");
    fine.phase = "publish";
    fine.reason = "rejected";
    fine.cause = "push_wrong_hotlink_key";
    const std::string page = status_page({.probes = {fine}}, now);
    EXPECT_FALSE(has(page, "push_wrong_hotlink_key"));
    EXPECT_FALSE(has(page, "failed in"));
}

TEST(StatusPage, ANewProbeClaimsNothing) {
    const std::string page = status_page({.probes = {probe("new", "")}}, now);
    EXPECT_TRUE(has(page, "not run yet"));
    EXPECT_FALSE(has(page, "<dt>since</dt>"));
    EXPECT_FALSE(has(page, "<dt>took</dt>"));
    EXPECT_TRUE(has(page, "<dt>next run</dt><dd>now</dd>"));
}

TEST(StatusPage, SaysSoWhenThereAreNoProbes) {
    EXPECT_TRUE(has(status_page({}, now), "no probes are configured"));
}

TEST(StatusPage, EscapesForElementsAndAttributes) {
    EXPECT_EQ(html("<a href=\"x\" b='y'>&amp;</a>"),
              "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;");
    EXPECT_TRUE(has(no_status_page("<b>"), "&lt;b&gt;"));
}

}  // namespace
}  // namespace livecanary::daemon
