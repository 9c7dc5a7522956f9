#include "daemon/incident_page.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "daemon/web_query.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

const WallTime page_now{1'000'000'000s};

bool shows(const std::string& page, std::string_view part) { return page.find(part) != std::string::npos; }

Incident key_changed() {
    Incident incident{
        .id = "0123456789abcdef", .about = "replay", .is_journey = true, .opened = page_now - 5min};
    incident.probes.push_back({.probe = "record-callback",
                               .kind = "callback",
                               .target = "https://<backend>/callback",
                               .severity = "critical",
                               .since = page_now - 5min,
                               .alerted = page_now - 3min,
                               .failures = 7,
                               .confirmed = true,
                               .result = R"({"cause": "callback_api_key_mismatch", "because": "an <answer>",
        "controls": [{"name": "wrong_sign", "outcome": "failed", "shows": "refused alike"}],
        "evidence": [{"phase": "verify", "what": "code", "got": "<b>7</b>"}],
        "fix": {"en": "Set the same key.", "zh": "统一密钥。"}})"});
    incident.changes = {{.at = page_now - 5min,
                         .run_id = "0123456789abcdef",
                         .probe = "record-callback",
                         .phase = "verify",
                         .reason = "rejected",
                         .cause_class = "callback_refused",
                         .sentence = "Refused <somehow>"},
                        {.at = page_now - 4min,
                         .run_id = "1111111111111111",
                         .probe = "record-callback",
                         .phase = "verify",
                         .reason = "rejected",
                         .cause = "callback_api_key_mismatch",
                         .sentence = "The callback key differs"}};
    return incident;
}

TEST(IncidentPage, SaysWhatWhenWhyAndWhatToDo) {
    const IncidentView view{.incident = key_changed(), .location = "shanghai-1"};
    const std::string page = incident_page(view, page_now, "en");
    for (const char* part :
         {"<title>replay: callback_api_key_mismatch – livecanary shanghai-1</title>", "open, alerting",
          "<p class=\"sentence\">The callback key differs</p>", "Set the same key.", "an &lt;answer&gt;",
          "<code>callback_refused</code>", "Refused &lt;somehow&gt;", "5 min ago", "&lt;b&gt;7&lt;/b&gt;",
          "refused alike", "<a href=\"../probes/record-callback\">record-callback</a>",
          "https://&lt;backend&gt;/callback", "href=\"../api/v1/incidents/0123456789abcdef\"",
          "<a href=\"../incidents\">"})
        EXPECT_TRUE(shows(page, part)) << part;
    EXPECT_FALSE(shows(page, "style=")) << "the policy forbids it";
    EXPECT_FALSE(shows(page, "At the same time"));
    IncidentView chinese = view;
    chinese.incident.changes.back().sentence = "回调密钥不一致";
    const std::string page_in_chinese = incident_page(chinese, page_now, "zh");
    for (const char* part : {"统一密钥。", "<p class=\"sentence\" lang=\"zh\">回调密钥不一致</p>",
                             "</time> <span lang=\"zh\">回调密钥不一致</span>", "</time> <span>Refused"})
        EXPECT_TRUE(shows(page_in_chinese, part)) << part;
}

TEST(IncidentPage, OfOneThatIsOverSaysHowLongItLasted) {
    IncidentView view{.incident = key_changed()};
    view.incident.closed = page_now - 1min;
    view.incident.probes[0].until = page_now - 1min;
    view.incident.probes[0].ended = "recovered";
    view.incident.changes_left_out = 3;
    view.beside.push_back(key_changed());
    view.beside[0].id = "fedcba9876543210";
    const std::string page = incident_page(view, page_now, "en");
    for (const char* part :
         {"class=\"summary ok\">closed", "<dt>lasted</dt><dd>4 min</dd>", "recovered, <time",
          "3 changes in between are left out", "At the same time", "href=\"../incidents/fedcba9876543210\""})
        EXPECT_TRUE(shows(page, part)) << part;
}

TEST(IncidentPage, ListsThemAPageAtATime) {
    IncidentList list{.incidents = {key_changed()}, .count = 250, .location = "<here>"};
    const std::string page = incidents_page(list, {.probe = "a&b", .open = true, .page = 2}, page_now);
    for (const char* part : {"250 incidents", "href=\"incidents/0123456789abcdef\"", "page 2 of 3",
                             "&lt;here&gt;", "?page=1&amp;probe=a%26b&amp;state=open\">previous",
                             "?page=3&amp;probe=a%26b&amp;state=open\">next", "value=\"a&amp;b\"",
                             "<option value=\"open\" selected>"})
        EXPECT_TRUE(shows(page, part)) << part;
    EXPECT_TRUE(
        shows(incidents_page({.incidents = {key_changed()}, .count = 1}, {}, page_now), ">1 incident<"));
    const std::string none = incidents_page({}, {}, page_now);
    EXPECT_TRUE(shows(none, "no incidents"));
    EXPECT_FALSE(shows(none, "page 1"));
}

TEST(IncidentPage, AWishThatMakesNoSenseIsNamed) {
    IncidentWish wish;
    EXPECT_EQ(read_wish("probe=push%2Dmain&state=closed&page=2&limit=5&x=y", wish), "");
    EXPECT_EQ(wish.probe, "push-main");
    EXPECT_EQ(wish.open, false);
    EXPECT_EQ(wish.page, 2U);
    EXPECT_EQ(wish.on_a_page, 5U);
    EXPECT_EQ(read_wish("state=", wish), "");
    EXPECT_EQ(read_wish("state=wild", wish), "state has to be open or closed");
    EXPECT_EQ(read_wish("page=0", wish), "page has to be a number from 1");
    EXPECT_EQ(read_wish("limit=201", wish), "limit has to be 1 to 200");
    EXPECT_EQ(read_wish("limit=-1", wish), "limit has to be 1 to 200");
}

TEST(Query, IsTakenApartAndBounded) {
    using Pairs = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(parse_query(""), Pairs{});
    EXPECT_EQ(parse_query("a=1&&b&c=%41+%zz%4&d=e=f"),
              (Pairs{{"a", "1"}, {"b", ""}, {"c", "A %zz%4"}, {"d", "e=f"}}));
    EXPECT_EQ(parse_query("a=" + std::string(1000, 'x')).front().second.size(), 100U);
    EXPECT_EQ(parse_count("12"), 12U);
    for (const char* text : {"", "0", "-1", "1x", "99999999999999999999999"})
        EXPECT_FALSE(parse_count(text)) << text;
}

}  // namespace
}  // namespace livecanary::daemon
