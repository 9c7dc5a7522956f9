#include "config/secret.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/support/toml_text.hpp"

namespace livecanary::config {
namespace {

using test::FakeWorld, test::TomlText;
using Mistakes = std::vector<std::string>;

TEST(Secret, PrintsAsStars) {
    std::ostringstream out;
    out << Secret("hunter2");
    EXPECT_EQ(out.str(), "***");
}

TEST(Secret, CopiesMovesAndCompares) {
    const Secret first("hunter2");
    Secret copy = first;
    EXPECT_EQ(copy, first);
    const Secret moved = std::move(copy);
    EXPECT_EQ(moved.reveal(), "hunter2");
    Secret assigned("longer than what fits into the object itself");
    assigned = first;
    EXPECT_EQ(assigned.reveal(), "hunter2");
    assigned = Secret("other");
    EXPECT_EQ(assigned.reveal(), "other");
    EXPECT_FALSE(assigned == first);
    EXPECT_TRUE(Secret().empty());
}

TEST(Secret, MovedFromKeepsNoByte) {
    Secret from("hunter2");
    const Secret to = std::move(from);
    // A short string lives inside the object, past its end too once it is empty.
    EXPECT_EQ(std::string(from.reveal().data(), 7), std::string(7, '\0'));
}

TEST(Secret, ComesFromFileEnvironmentOrCredential) {
    const FakeWorld world{.files = {{"/etc/key", "from file\n"},
                                    {"near.key", "from beside\r\n"},
                                    {"/creds/key", "from systemd"}},
                          .variables = {{"PUSH_KEY", "from env\n\n"}},
                          .credentials_directory = "/creds"};
    TomlText text(
        "a = { file = '/etc/key' }\nb = { file = 'near.key' }\nc = { env = 'PUSH_KEY' }\nd = { credential = "
        "'key' }",
        world);
    Secret a, b, c, d, e;
    text.reader().required_secret("a", a);
    text.reader().secret("b", b);
    text.reader().secret("c", c);
    text.reader().secret("d", d);
    text.reader().secret("e", e);
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), Mistakes{});
    EXPECT_EQ(a.reveal(), "from file");
    EXPECT_EQ(b.reveal(), "from beside");
    EXPECT_EQ(c.reveal(), "from env");
    EXPECT_EQ(d.reveal(), "from systemd");
    EXPECT_TRUE(e.empty());
    EXPECT_EQ(text.secrets(), (std::vector<Secret>{a, b, c, d}));
}

TEST(Secret, PlainIsTakenWithAWarning) {
    TomlText text("key = 'hunter2'");
    Secret key;
    text.reader().secret("key", key);
    EXPECT_EQ(key.reveal(), "hunter2");
    EXPECT_EQ(
        text.mistakes(),
        Mistakes{
            "t.toml:1:7: warning: probe.key: a plain secret; better { file = \"…\" }, { env = \"…\" } or "
            "{ credential = \"…\" }"});
}

TEST(Secret, PlainIsRefusedWhereOthersCanRead) {
    TomlText text("key = 'hunter2'", {.others_can_read = true});
    Secret key;
    text.reader().secret("key", key);
    EXPECT_TRUE(key.empty());
    EXPECT_EQ(text.mistakes(),
              Mistakes{"t.toml:1:7: probe.key: a plain secret in a file that group or others can read; "
                       "use { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }"});
}

TEST(Secret, EveryMistakeWithItsPlace) {
    TomlText text(R"(none = {}
two = { file = "a", env = "B" }
other = { fiel = "a" }
number = 5
nested = { file = 5 }
gone = { file = "gone.key" }
unset = { env = "UNSET" }
leak = { env = "hunter2!" }
nosystemd = { credential = "key" }
path = { credential = "../key" }
empty = { file = "empty.key" }
plain = ""
)",
                  {.files = {{"empty.key", "\n"}}});
    Secret out;
    for (const char* key : {"none", "two", "other", "number", "nested", "gone", "unset", "leak", "nosystemd",
                            "path", "empty", "plain"})
        text.reader().secret(key, out);
    text.reader().required_secret("missing", out);
    EXPECT_TRUE(out.empty());
    const std::string form = R"({ file = "…" }, { env = "…" } or { credential = "…" })";
    EXPECT_EQ(
        text.mistakes(),
        (Mistakes{
            "t.toml:1:8: probe.none: expected one of " + form,
            "t.toml:2:7: probe.two: expected one of " + form,
            "t.toml:3:11: probe.other.fiel: unknown key; did you mean 'file'?",
            "t.toml:3:9: probe.other: expected one of " + form,
            "t.toml:4:10: probe.number: expected a secret: " + form + ", found an integer",
            "t.toml:5:19: probe.nested.file: expected a string, found an integer",
            "t.toml:6:17: probe.gone.file: cannot read 'gone.key': No such file or directory",
            "t.toml:7:17: probe.unset.env: the environment variable 'UNSET' is not set",
            "t.toml:8:16: probe.leak.env: expected the name of an environment variable",
            "t.toml:9:28: probe.nosystemd.credential: no credential 'key': $CREDENTIALS_DIRECTORY is not set "
            "(systemd sets it for LoadCredential=)",
            "t.toml:10:23: probe.path.credential: expected the name of a credential",
            "t.toml:11:9: probe.empty: the secret is empty",
            "t.toml:12:9: probe.plain: the secret is empty",
            "t.toml:1:1: probe.missing: missing",
        }));
}

}  // namespace
}  // namespace livecanary::config
