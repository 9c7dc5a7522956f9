#include "probes/log_keywords/matcher.hpp"

#include <gtest/gtest.h>

namespace livecanary::log_keywords {
namespace {

using Ids = std::vector<std::string_view>;

Ids ids(const Matcher& matcher, std::string_view line) {
    Ids found;
    const auto verdict = matcher.look(line);
    if (verdict.ignored) return {"ignored"};
    for (const auto label : verdict.labels) found.push_back(matcher.labels()[label].id);
    return found;
}

TEST(LogKeywordsMatcher, EveryBuiltInKeywordIsFound) {
    const auto matcher = Matcher::make({});
    for (const Keyword& keyword : keywords()) {
        const auto found = ids(*matcher, "2026-11-21 " + std::string(keyword.text) + " x");
        EXPECT_EQ(found.size(), keyword.alert ? 1U : 0U) << keyword.text;
    }
    EXPECT_EQ(ids(*matcher, "all is well"), Ids{});
    EXPECT_EQ(ids(*matcher, ""), Ids{});
    EXPECT_EQ(ids(*matcher, "CHECK_SIGN ERROR:"), Ids{}) << "case as printed";
}

TEST(LogKeywordsMatcher, TheStrongestWordsOfALineCount) {
    const auto matcher = Matcher::make({});
    const std::pair<const char*, Ids> cases[] = {
        {"mysqli_connect failed, error:Access denied for user 'u'@'h' (using password: YES)",
         {"db_auth_failed_1045"}},
        {"mysqli_sql_exception: Access denied for user 'u'@'%' to database 'live'",
         {"db_grant_missing_1044"}},
        {"Access denied for user ''", {"db_access_denied"}},
        {"mysqli_sql_exception: Too many connections", {"db_too_many_connections_1040"}},
        {"Uncaught mysqli_sql_exception: Connection refused in", {"db_unreachable_2002_2003_2005"}},
        {"mysqli_connect failed, error:", {"backend_http_500"}},
        {"add tape data: Unknown column 'x' in 'field list'", {"db_column_unknown_1054"}},
        {"add tape data: Incorrect string value: '\\xF0' for column", {"db_bad_value_1366"}},
        {"add tape data: something else", {"callback_not_stored"}},
        {"get list error :Table 'live.tb_vod' doesn't exist", {"db_table_missing"}},
        {"getRoomInfo error :Unknown column 'x'", {"db_column_unknown_1054"}},
        {"getRoomInfo error :?", {"db_table_missing"}},
        {"getRoomInfo Error:user1", {"callback_not_stored"}},
        {"RedisException: OOM command not allowed", {"backend_redis_full_or_read_only"}},
        {"RedisException: Connection refused", {"backend_redis_down_or_auth"}},
        {"tape duration too short:0", {"replay_too_short"}},
        {"updateRoom error :You have an error in your SQL syntax", {"ignored"}},
        {"updateRoom error :Lost connection to MySQL", {"db_connection_lost_2006_2013"}},
        {"Lost connection, then Too many connections",
         {"db_too_many_connections_1040", "db_connection_lost_2006_2013"}},
    };
    for (const auto& [line, expected] : cases) EXPECT_EQ(ids(*matcher, line), expected) << line;
}

TEST(LogKeywordsMatcher, SaysWhichCausesItMayBe) {
    const auto matcher = Matcher::make({});
    EXPECT_EQ(matcher->look("getRoomInfo Error:u").among,
              (std::vector<Cause>{Cause::room_row_missing, Cause::stream_id_without_underscore}));
    EXPECT_EQ(matcher->look("check_sign error:").among, std::vector<Cause>{});
    EXPECT_EQ(matcher->look("getRoomInfo Error: Unknown column").among, std::vector<Cause>{});
}

TEST(LogKeywordsMatcher, PatternsOfTheConfigurationOverruleTheCatalogue) {
    const auto matcher =
        Matcher::make({.patterns = {{.match = "Access .* for", .label = *label_of("db_config_mismatch")},
                                    {.match = "a.c", .literal = true, .label = *label_of("cdn_forbidden")}},
                       .ignore = {"^DEBUG"}});
    EXPECT_EQ(ids(*matcher, "Access denied for user 'u' (using password: YES)"), Ids{"db_config_mismatch"});
    EXPECT_EQ(ids(*matcher, "DEBUG Access denied for user"), Ids{"ignored"});
    EXPECT_EQ(ids(*matcher, "abc"), Ids{});
    EXPECT_EQ(ids(*matcher, "a.c"), Ids{"cdn_forbidden"});
}

TEST(LogKeywordsMatcher, KeywordsCanBeChosen) {
    const auto matcher = Matcher::make({.only = std::vector<std::string>{"db_access_denied"}});
    EXPECT_EQ(ids(*matcher, "Access denied for user 'u' (using password: YES)"), Ids{"db_access_denied"});
    EXPECT_EQ(ids(*matcher, "check_sign error:"), Ids{});
}

TEST(LogKeywordsMatcher, AnyBytes) {
    const std::string gbk = "\xC3\xDC\xC2\xEB\xFF";
    const auto matcher = Matcher::make({});
    EXPECT_EQ(ids(*matcher, gbk + "Access denied for user" + gbk + " (using password: YES)" + gbk),
              Ids{"db_auth_failed_1045"});
    const std::vector<Pattern> dots{{.match = "^a.b$", .label = *label_of("cdn_forbidden")}};
    EXPECT_EQ(ids(*Matcher::make({.patterns = dots}),
                  "a\xC3\xA9"
                  "b"),
              Ids{"cdn_forbidden"});
    EXPECT_EQ(ids(*Matcher::make({.patterns = dots, .encoding = Encoding::bytes}),
                  "a\xFF"
                  "b"),
              Ids{"cdn_forbidden"});
    EXPECT_EQ(ids(*Matcher::make({.patterns = dots}),
                  "a\xFF"
                  "b"),
              Ids{});
}

// What takes a backtracking engine longer than the universe lasts; the test's own limit of time tells.
TEST(LogKeywordsMatcher, NoPatternHangs) {
    std::vector<Pattern> bombs;
    for (const char* bomb : {"^(a+)+$", "(a|aa)+$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$",
                             "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^aA]$", "(a?){50}a{50}b"})
        bombs.push_back({.match = bomb, .label = *label_of("cdn_forbidden")});
    for (const auto& bomb : bombs) EXPECT_EQ(mistake_in(bomb.match, Encoding::utf8), "") << bomb.match;
    const auto matcher = Matcher::make({.patterns = bombs});
    ASSERT_TRUE(matcher);
    EXPECT_EQ(ids(*matcher, std::string(64 * 1024, 'a') + "A!"), Ids{"cdn_forbidden"});
    EXPECT_EQ(ids(*matcher, std::string(64 * 1024, 'x')), Ids{"cdn_forbidden"});
}

TEST(LogKeywordsMatcher, MoreStatesThanThereIsMemoryForCostTimeOnly) {
    // Needs a state for each way in which four letters lie in the last 40 characters.
    std::vector<Pattern> patterns;
    for (const char letter : {'a', 'b', 'c', 'd'})
        patterns.push_back({.match = std::string(1, letter) + ".{40}z", .label = *label_of("cdn_forbidden")});
    const auto matcher = Matcher::make({.patterns = patterns});
    ASSERT_TRUE(matcher);
    std::string line;
    std::uint32_t state = 1;
    while (line.size() < 4 * 1024) {
        state = state * 1664525 + 1013904223;
        line += static_cast<char>('a' + (state >> 30));
    }
    EXPECT_EQ(ids(*matcher, line), Ids{});
    EXPECT_EQ(ids(*matcher, line + "z"), Ids{"cdn_forbidden"});
}

}  // namespace
}  // namespace livecanary::log_keywords
