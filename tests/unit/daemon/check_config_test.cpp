#include <gtest/gtest.h>

#include <sstream>

#include "daemon/check_config_command.hpp"
#include "tests/support/fake_kind.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::daemon {
namespace {

using test::FakeWorld;

struct Checked {
    int code = 0;
    std::string out{};
    std::string err{};
};

Checked check(const FakeWorld& world) {
    std::ostringstream out, err;
    const int code = check_config(out, err, "l.toml", world.surroundings(), test::fake_kinds);
    return {code, out.str(), err.str()};
}

TEST(CheckConfig, SummaryOfTheProbes) {
    const Checked checked = check({.files = {{"l.toml", R"(
[[probe]]
name = "push-main"
kind = "fake"
url = "rtmp://push.example.com/live/直播"
interval = "1m30s"
[[probe]]
name = "b"
kind = "other"
url = "x"
fail_after = 1
[[probe]]
name = "c"
kind = "fake"
url = "x"
enabled = false
)"}}});
    EXPECT_EQ(checked.code, 0);
    EXPECT_EQ(checked.err, "");
    EXPECT_EQ(checked.out,
              "NAME       KIND   TARGET                           INTERVAL  TIMEOUT  ALERT AFTER\n"
              "push-main  fake   rtmp://push.example.com/live/直播  1m30s     10s      3 failures\n"
              "b          other  x                                30s       10s      1 failure\n"
              "2 probes, 1 more not enabled\n");
}

TEST(CheckConfig, NoProbes) {
    const Checked checked = check({.files = {{"l.toml", ""}}});
    EXPECT_EQ(checked.code, 0);
    EXPECT_EQ(checked.out, "0 probes\n");
    EXPECT_EQ(checked.err, "");
}

TEST(CheckConfig, EveryMistakeWithItsLineAndACaret) {
    const Checked checked =
        check({.files = {{"l.toml",
                          "[web]\n\tlisten = ['nowhere']  # for now\n"
                          "[[probe]]\nname = 'push'\nkind = 'fkae'\n"},
                         {"conf.d/a.toml", "[defaults]\nintervall = '5s'\ntimeout = 5\n"}}});
    EXPECT_EQ(checked.code, 1);
    EXPECT_EQ(checked.out, "0 probes\n");
    EXPECT_EQ(
        checked.err,
        R"(l.toml:2:12: web.listen: expected an address and port such as "127.0.0.1:9877", "[::1]:9877" or ":9877"
    	listen = ['nowhere']
    	          ^
l.toml:5:8: probe.kind: expected one of 'fake', 'other', found 'fkae'; did you mean 'fake'?
    kind = 'fkae'
           ^
conf.d/a.toml:2:1: defaults.intervall: unknown key; did you mean 'interval'?
    intervall = ***
    ^
conf.d/a.toml:3:11: defaults.timeout: expected a duration with its unit, such as "250ms", "5s" or "1m30s", found an integer
    timeout = 5
              ^
l.toml: 4 errors, 0 warnings
)");
}

TEST(CheckConfig, AWarningIsNoError) {
    const Checked checked = check(
        {.files = {{"l.toml", "[[probe]]\nname = 'p'\nkind = 'fake'\nurl = 'x'\npush_key = 'hunter2'\n"}}});
    EXPECT_EQ(checked.code, 0);
    EXPECT_EQ(
        checked.err,
        "l.toml:5:12: warning: probe.push_key: a plain secret; better { file = \"…\" }, { env = \"…\" } or "
        "{ credential = \"…\" }\n"
        "    push_key = \"***\"\n"
        "               ^\n"
        "l.toml: 0 errors, 1 warning\n");
}

TEST(CheckConfig, AFileThatIsNotThere) {
    const Checked checked = check({});
    EXPECT_EQ(checked.code, 1);
    EXPECT_EQ(checked.err, "l.toml: cannot read: No such file or directory\nl.toml: 1 error, 0 warnings\n");
}

TEST(CheckConfig, ShowsNoSecretWhateverIsWrong) {
    for (const char* line :
         {"push_key = 'hunter2'", "push_kye = 'hunter2'", "push_key = hunter2", "push_key = ['hunter2']",
          "push_key = { fiel = 'hunter2' }", "push_key = { file = 'x', env = 'hunter2' }",
          "push_key = 'hunter2", "push_key 'hunter2'", "push_key = \"hunter2\\q\"",
          "push_key = \"\"\"\nhunter2\\q\"\"\"", "push_key = { env = 'hunter2!' }", "push_key = 'hunter2' 5",
          "port = 0 # hunter2", "hunter2"}) {
        const Checked checked =
            check({.files = {{"l.toml", "[[probe]]\nname = 'p'\nkind = 'fake'\nurl = 'x'\n" +
                                            std::string(line) + '\n'}}});
        EXPECT_NE(checked.err, "") << line;
        EXPECT_EQ(checked.err.find("hunter2"), std::string::npos) << checked.err;
        EXPECT_EQ(checked.out.find("hunter2"), std::string::npos) << checked.out;
    }
}

}  // namespace
}  // namespace livecanary::daemon
