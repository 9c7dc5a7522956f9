#include "probes/log_keywords/config.hpp"

#include <gtest/gtest.h>

#include "probes/log_keywords/kind.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::log_keywords {
namespace {

using namespace std::chrono_literals;
using test::TomlText;
using Mistakes = std::vector<std::string>;

Config read_all(const std::string& keys, const Mistakes& expected = {}) {
    TomlText text(keys);
    Config config = read(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), expected) << keys;
    return config;
}

const std::string paths = "paths = ['/var/log/a.log']\n";

bool fails_for(const Config& config, std::string_view label) {
    const auto at = config.matcher->find(label);
    return at && config.fails[*at];
}

TEST(LogKeywordsConfig, Defaults) {
    const Config config = read_all(paths);
    EXPECT_EQ(config.paths, std::vector<std::string>{"/var/log/a.log"});
    EXPECT_EQ(config.fails, std::vector<bool>(config.matcher->labels().size()));
    EXPECT_EQ(config.fail_for, 5min);
    EXPECT_TRUE(config.expected.empty());
    EXPECT_FALSE(config.from_start);
    EXPECT_EQ(config.missing, Missing::inconclusive);
    EXPECT_EQ(config.limits.line, 16384U);
    EXPECT_EQ(config.limits.read, 16777216U);
    EXPECT_EQ(config.limits.files, 64U);
}

TEST(LogKeywordsConfig, EveryKey) {
    const Config config = read_all(R"(paths = ['/data/*/log/*.log', '/var/log/php-fpm.log']
patterns = [
  { match = 'Access denied for user', cause = 'db_auth_failed_1045' },
  { match = 'bad (thing)', literal = true, name = 'bad thing', cause = 'cdn_forbidden', fail = true },
]
causes = ['callback_api_key_mismatch', 'db_access_denied']
fail_on = ['callback_api_key_mismatch']
fail_for = '90s'
ignore = ['^DEBUG ']
subtract = [{ cause = 'callback_api_key_mismatch', lines = 2, per = '1m' }]
from = 'start'
missing = 'fail'
max_line = '1KiB'
max_read = '64KiB'
max_files = 8
encoding = 'bytes'
)");
    EXPECT_EQ(config.paths.size(), 2U);
    std::vector<std::string_view> labels;
    for (const auto& label : config.matcher->labels()) labels.push_back(label.id);
    EXPECT_EQ(labels, (std::vector<std::string_view>{"db_access_denied", "callback_api_key_mismatch",
                                                     "db_auth_failed_1045", "cdn_forbidden"}));
    EXPECT_TRUE(fails_for(config, "callback_api_key_mismatch"));
    EXPECT_TRUE(fails_for(config, "cdn_forbidden"));
    EXPECT_FALSE(fails_for(config, "db_auth_failed_1045"));
    EXPECT_EQ(config.fail_for, 90s);
    ASSERT_EQ(config.expected.size(), 1U);
    EXPECT_EQ(config.expected[0].label, config.matcher->find("callback_api_key_mismatch"));
    EXPECT_EQ(config.expected[0].lines, 2);
    EXPECT_EQ(config.expected[0].per, 1min);
    EXPECT_TRUE(config.from_start);
    EXPECT_EQ(config.missing, Missing::fail);
    EXPECT_EQ(config.limits.line, 1024U);
    EXPECT_EQ(config.limits.read, 65536U);
    EXPECT_EQ(config.limits.files, 8U);
    EXPECT_EQ(config.matcher->look("a bad (thing)").words, std::vector<std::string_view>{"bad thing"});
    EXPECT_TRUE(config.matcher->look("DEBUG a bad (thing)").ignored);
}

TEST(LogKeywordsConfig, AnyCauseMayFail) {
    const Config config = read_all(paths + "fail_on = ['any']\n");
    EXPECT_EQ(config.fails, std::vector<bool>(config.matcher->labels().size(), true));
}

TEST(LogKeywordsConfig, NothingGiven) { read_all("", {"t.toml:1:1: probe.paths: missing"}); }

TEST(LogKeywordsConfig, EveryMistakeWithItsPlace) {
    read_all(
        R"(paths = ['/var/log/a.log', 'b.log', '/var/log/', '/var/log/a.log']
causes = ['db_access_denied', 'nonsense', 'callback_unsigned_accepted']
fail_on = ['db_access_denied', 'cdn_forbidden', 'all']
fail_for = '0s'
ignore = ['ok', '(', '.*']
from = 'middle'
missing = 'no'
max_line = '63B'
max_read = '63KiB'
max_files = 257
encoding = 'gbk'
pattern = []
[[patterns]]
match = 'a{2000}'
cause = 'db_unknown_1049'
[[patterns]]
match = ''
cause = 'db_unknown_1049'
[[patterns]]
match = 'a|'
cause = 'nonsense'
fails = true
[[patterns]]
match = '(?:(?:x{1000}){1000})'
[[subtract]]
cause = 'cdn_forbidden'
lines = 0
per = '1ms'
[[subtract]]
line = 5
)",
        {
            "t.toml:1:28: probe.paths: expected the absolute path of a file, found 'b.log'",
            "t.toml:1:37: probe.paths: expected the absolute path of a file, found '/var/log/'",
            "t.toml:1:50: probe.paths: '/var/log/a.log' stands here twice",
            "t.toml:11:12: probe.encoding: expected one of 'utf-8', 'bytes', found 'gbk'",
            "t.toml:2:31: probe.causes: no built-in keyword points at 'nonsense'; "
            "docs/probes/log_keywords.md lists them",
            "t.toml:2:43: probe.causes: no built-in keyword points at 'callback_unsigned_accepted'; "
            "docs/probes/log_keywords.md lists them",
            "t.toml:14:9: probe.patterns.match: 'a{2000}': invalid repetition size: {2000}",
            "t.toml:17:9: probe.patterns.match: must not be empty",
            "t.toml:22:1: probe.patterns.fails: unknown key; did you mean 'fail'?",
            "t.toml:20:9: probe.patterns.match: 'a|': it matches every line",
            "t.toml:21:9: probe.patterns.cause: 'nonsense' is no cause and no class of the catalogue; see: "
            "livecanary causes",
            "t.toml:23:1: probe.patterns.cause: missing",
            "t.toml:5:17: probe.ignore: '(': missing ): (",
            "t.toml:5:22: probe.ignore: '.*': it matches every line",
            "t.toml:3:32: probe.fail_on: no keyword or pattern of this probe points at 'cdn_forbidden'",
            "t.toml:3:49: probe.fail_on: no keyword or pattern of this probe points at 'all'",
            "t.toml:4:12: probe.fail_for: expected 1ms to 366d, found 0s",
            "t.toml:27:9: probe.subtract.lines: expected 0.001 to 1e+06, found 0",
            "t.toml:28:7: probe.subtract.per: expected 1s to 366d, found 1ms",
            "t.toml:26:9: probe.subtract.cause: no keyword or pattern of this probe points at "
            "'cdn_forbidden'",
            "t.toml:29:1: probe.subtract.cause: missing",
            "t.toml:30:1: probe.subtract.line: unknown key; did you mean 'lines'?",
            "t.toml:6:8: probe.from: expected one of 'end', 'start', found 'middle'",
            "t.toml:7:11: probe.missing: expected one of 'inconclusive', 'fail', 'ok', found 'no'",
            "t.toml:8:12: probe.max_line: expected 64B to 1MiB, found 63B",
            "t.toml:9:12: probe.max_read: expected 64KiB to 1GiB, found 63KiB",
            "t.toml:10:13: probe.max_files: expected 1 to 256, found 257",
            "t.toml:12:1: probe.pattern: unknown key; did you mean 'patterns'?",
        });
}

TEST(LogKeywordsConfig, WrongTypes) {
    read_all("paths = 5\npatterns = 5\ncauses = 5\nfail_on = [5]\nfrom = 5\n",
             {
                 "t.toml:1:9: probe.paths: expected a list of strings, found an integer",
                 "t.toml:1:9: probe.paths: expected the paths of log files, such as [\"/var/log/app/*.log\"]",
                 "t.toml:3:10: probe.causes: expected a list of strings, found an integer",
                 "t.toml:2:12: probe.patterns: expected a list of tables, found an integer",
                 "t.toml:3:10: probe.causes: nothing is left to look for: no built-in keyword and no pattern",
                 "t.toml:4:12: probe.fail_on: expected a string, found an integer",
                 "t.toml:5:8: probe.from: expected a string, found an integer",
             });
}

TEST(LogKeywordsConfig, PatternsTooLargeAreRefusedAndNotCompiled) {
    read_all(paths + "ignore = ['((((x{100}){10}){10}){10})']\n",
             {"t.toml:2:11: probe.ignore: '((((x{100}){10}){10}){10})': invalid repetition size: {10}"});
    read_all(paths + R"(ignore = ['(\pL{100}){10}'])" + "\n",
             {R"(t.toml:2:11: probe.ignore: '(\pL{100}){10}': pattern too large - compile failed)"});
}

TEST(LogKeywordsConfig, CausesAreBoundedByTheSeriesAProbeMayHave) {
    std::string keys = paths;
    for (const auto& cause : all_causes().first(60))
        keys += "[[patterns]]\nmatch = 'x'\ncause = '" + std::string(to_string(cause.id)) + "'\n";
    TomlText text(keys);
    read(text.reader());
    ASSERT_EQ(text.mistakes().size(), 1U);
    EXPECT_TRUE(
        text.mistakes()[0].starts_with("t.toml:2:1: probe.patterns: with the built-in keywords these are "))
        << text.mistakes()[0];
    EXPECT_TRUE(text.mistakes()[0].ends_with(
        " different causes, at most 38 can be counted: say in `causes` which built-in ones to keep"));
    // What every probe has, a phase, three values without a label, and the reasons that are kept
    // (daemon/metrics).
    EXPECT_EQ(27 + 3 * kind.phases.size() + (kind.values.size() - 1) + most_labels + 4, 75U);
    EXPECT_LT(built_in_labels().size(), most_labels) << "no room for a cause of the user's own";
}

TEST(LogKeywordsConfig, ProbeTellsWhatItWatchesAndWhatItNeeds) {
    TomlText text("paths = ['/a/*.log', '/b.log']\n");
    const Probe probe = kind.make(text.reader());
    EXPECT_EQ(probe.target, "/a/*.log, /b.log");
    EXPECT_EQ(probe.advice.size(), 2U);
    EXPECT_EQ(probe.label_values.at("cause").size(), built_in_labels().size());
    EXPECT_TRUE(probe.run && probe.background && probe.diagnose);
}

}  // namespace
}  // namespace livecanary::log_keywords
